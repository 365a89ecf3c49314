//! Keeping level with the log, against a real server and against a scripted one.

#[expect(dead_code, reason = "each of the test programs uses a part")]
#[path = "../support/mod.rs"]
mod support;

mod absence;
mod ending;
mod everybody;
mod membership;
mod older;
mod presence;
mod ranges;
mod reading;

use ruggine_core::api::conversation::ProtectionMode;
use ruggine_core::codec::Encoding;
use ruggine_core::{ConversationId, UserId};
use ruggine_server::testing::{Person, TestServer, text_message};
use support::device::Device;

/// Requests that a socket may have under way.
const AT_ONCE: usize = 25;

/// Writes numbered messages, many at once; their words.
async fn write_many(
    server: &TestServer,
    writer: &Person,
    id: ConversationId,
    count: usize,
) -> Vec<String> {
    let said: Vec<String> = (1..=count)
        .map(|number| format!("thought {number}"))
        .collect();
    let mut socket = server.socket(writer, Encoding::MsgPack).await;
    for burst in said.chunks(AT_ONCE) {
        let mut pending = Vec::new();
        for words in burst {
            let sent = socket.begin(&text_message(id, words)).await;
            pending.push(sent.expect("the connection holds"));
        }
        for sent in pending {
            let answer = socket.finish(sent).await.expect("the connection holds");
            answer.expect("a member may write");
        }
    }
    socket.close().await;
    said
}

async fn group_with(device: &Device, users: &[UserId]) -> ConversationId {
    let group = device
        .client()
        .group(users.to_vec(), ProtectionMode::Managed, None)
        .await
        .expect("a group can be made");
    group.id()
}
