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
use ruggine_core::ConversationId;
use support::device::Device;
use support::seq;

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

async fn mark_read(device: &Device, id: ConversationId, number: u64) {
    let read = device.at(id).mark_read(seq(number)).await;
    read.expect("the store can be written");
}
