//! The echo of what the user writes, from sending to read or failed.

use ruggine_client_sdk::ui::{Body, SendState, TimelineItem};
use ruggine_core::api::message::Send;
use ruggine_core::{ClientMsgId, ErrorCode};
use ruggine_server::testing::TestServer;

use super::reader::timeline;
use super::shown;
use super::support::device::Device;
use super::support::replies::{error, refusal};
use super::support::script::Script;
use super::support::world::World;
use super::support::{quick, seq};

/// The only item of the user's own that is text.
fn own(items: &[TimelineItem]) -> Option<&TimelineItem> {
    items
        .iter()
        .find(|item| item.is_own && matches!(item.body, Body::Text(_)))
}

#[tokio::test]
async fn a_local_echo_keeps_its_name_from_sending_to_read() {
    let mut server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let mut bob = Device::register(&server, "bob").await;
    let talk = ada.direct(&bob).await;
    for device in [&ada, &bob] {
        device.has(talk, 1).await;
    }
    bob.close().await;
    server.stop().await;
    let mut timeline = timeline(ada.client(), talk).await;
    let message = ada.at(talk).send_text("a word").await.expect("queued");
    let in_state = |wanted: SendState| {
        move |items: &[TimelineItem]| own(items).is_some_and(|item| item.state == wanted)
    };
    timeline
        .until("it to be sending", in_state(SendState::Sending))
        .await;
    let echo = own(&timeline.seen).expect("it is shown").clone();
    assert_eq!(echo.key.client_msg_id, message);
    assert_eq!(echo.seq, None);
    assert_eq!(echo.sender, ada.user());
    assert_eq!(echo.sender_name.as_deref(), Some("ada"));
    let still = |seen: &[TimelineItem]| {
        let item = own(seen).expect("it is shown all the time");
        assert_eq!(item.key, echo.key);
        assert_eq!(shown(seen), ["<notice>", "a word"]);
    };
    server.resume().await;
    timeline
        .until("it to be sent", in_state(SendState::Sent))
        .await;
    still(&timeline.seen);
    bob.open().await;
    timeline
        .until("it to be delivered", in_state(SendState::Delivered))
        .await;
    still(&timeline.seen);
    assert_eq!(own(&timeline.seen).and_then(|item| item.seq), Some(seq(2)));
    bob.has(talk, 2).await;
    bob.mark_read(talk, 2).await;
    timeline
        .until("it to be read", in_state(SendState::Read))
        .await;
    still(&timeline.seen);
}

#[tokio::test]
async fn an_echo_is_never_gone_or_doubled_on_its_way() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let bob = Device::register(&server, "bob").await;
    let talk = ada.direct(&bob).await;
    ada.has(talk, 1).await;
    let mut timeline = timeline(ada.client(), talk).await;
    let mut written = Vec::new();
    for number in 1..=40 {
        let words = format!("word {number}");
        written.push(ada.at(talk).send_text(words).await.expect("queued"));
    }
    let mut known = 0;
    timeline
        .until("all to be sent", |items| {
            let keys: Vec<ClientMsgId> = items
                .iter()
                .filter(|item| matches!(item.body, Body::Text(_)))
                .map(|item| item.key.client_msg_id)
                .collect();
            assert!(keys.len() >= known, "a message that was shown is gone");
            known = keys.len();
            assert_eq!(keys, written[..known]);
            items.iter().all(|item| item.seq.is_some()) && known == written.len()
        })
        .await;
}

#[tokio::test]
async fn a_message_that_failed_says_why() {
    let mut world = World::new();
    let id = world.room(1);
    let served = Script::start(world, quick()).serve(|world, asked| {
        if asked.is::<Send>() {
            return error(asked, &refusal(ErrorCode::Refused));
        }
        world.answer(asked)
    });
    served.has(id, 1).await;
    let mut timeline = timeline(&served.client, id).await;
    let conversation = served.client.conversation(id);
    let message = conversation.send_text("no").await.expect("queued");
    timeline
        .until("the failure", |items| {
            own(items).is_some_and(|item| item.state == SendState::Failed(ErrorCode::Refused))
        })
        .await;
    assert!(
        conversation
            .discard(message)
            .await
            .expect("the store can be written")
    );
    timeline
        .until("it to be gone", |items| own(items).is_none())
        .await;
    assert_eq!(shown(&timeline.seen), ["row 1"]);
}
