//! The outbox: whatever happens in between, a message arrives once, in order,
//! or its writer is told why it does not.

#[expect(dead_code, reason = "each of the test programs uses a part")]
#[path = "../support/mod.rs"]
mod support;

mod again;
mod refused;
mod unsent;
mod waiting;

use ruggine_client_sdk::Client;
use ruggine_client_sdk::store::{OutboxRecord, SendProgress};
use ruggine_core::api::message::Send;
use ruggine_core::content::Content;
use ruggine_core::{ClientMsgId, ConversationId};
use support::replies::Asked;
use support::script::Served;
use support::until;

/// The line of a conversation once every message in it is acknowledged or gone.
async fn delivered(client: &Client, id: ConversationId) {
    until(client, "the line to be empty", async || {
        line(client, id).await.is_empty()
    })
    .await;
}

async fn line(client: &Client, id: ConversationId) -> Vec<OutboxRecord> {
    let line = client.conversation(id).outbox().await;
    line.expect("the store can be read")
}

async fn progress(client: &Client, id: ConversationId) -> Vec<SendProgress> {
    line(client, id)
        .await
        .iter()
        .map(|message| message.progress)
        .collect()
}

async fn say(client: &Client, id: ConversationId, words: &str) -> ClientMsgId {
    let queued = client.conversation(id).send_text(words).await;
    queued.expect("the message is queued")
}

/// The sends that the scripted server was asked for, in their order.
fn sends(served: &Served) -> Vec<Send> {
    let world = served.world.lock();
    let sends = world.requests.iter().filter(|asked| asked.is::<Send>());
    sends.map(Asked::read::<Send>).collect()
}

fn said(send: &Send) -> String {
    let payload = send.payload.as_deref().expect("a client sends bytes");
    let content = Content::from_payload(payload).expect("a client sends content");
    content.as_text().expect("it is text").body.clone()
}
