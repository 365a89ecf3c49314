//! The connection: made, greeted, kept and made again, whatever the server does.

#[expect(dead_code, reason = "each of the test programs uses a part")]
#[path = "../support/mod.rs"]
mod support;

mod failures;
mod garbage;
mod lies;
mod logins;
mod other_logs;
mod pages;
mod requests;
mod returning;
mod tokens;

use ruggine_client_sdk::store::ClientStore;
use ruggine_core::api::account::LookUp;
use ruggine_core::api::session::Tokens;

fn stored_tokens(store: &dyn ClientStore) -> Option<Tokens> {
    let identity = store.identity().expect("the store can be read");
    identity.expect("somebody has logged in").tokens
}

fn nobody() -> LookUp {
    LookUp {
        username: "nobody".to_owned(),
    }
}
