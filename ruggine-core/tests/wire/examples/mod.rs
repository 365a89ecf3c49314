//! An example of every request and response.

mod accounts;
mod conversations;
mod keys;
mod messages;
mod sync;

use ruggine_core::api::Done;

/// Values of a wire type that together show each of its fields.
pub(crate) trait Examples: Sized {
    fn examples() -> Vec<(&'static str, Self)>;
}

impl Examples for Done {
    fn examples() -> Vec<(&'static str, Self)> {
        vec![("always", Self {})]
    }
}
