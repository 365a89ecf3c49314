//! The view-models: lists that say how they change.

#[expect(dead_code, reason = "each of the test programs uses a part")]
#[path = "../support/mod.rs"]
mod support;

mod changes;
mod conversations;
mod echo;
mod reader;
mod timelines;

use ruggine_client_sdk::ui::{Body, TimelineItem};

fn body_words(body: &Body) -> &str {
    match body {
        Body::Text(text) => &text.body,
        Body::Title(_) => "<title>",
        Body::Notice(_) => "<notice>",
        Body::Undecryptable => "<undecryptable>",
        _ => "<unsupported>",
    }
}

fn shown(items: &[TimelineItem]) -> Vec<&str> {
    items.iter().map(|item| body_words(&item.body)).collect()
}
