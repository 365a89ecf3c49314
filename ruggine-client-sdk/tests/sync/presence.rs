//! Typing, coming and going.

use ruggine_client_sdk::ClientEvent;
use ruggine_server::testing::{TestServer, patiently};

use super::support::device::Device;
use super::support::next_event;

#[tokio::test]
async fn typing_is_told_to_the_others() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let bob = Device::register(&server, "bob").await;
    let talk = ada.direct(&bob).await;
    bob.has(talk, 1).await;
    let mut events = bob.events();
    for active in [true, false] {
        // Reports that follow too closely are refused.
        patiently("a report to be taken", async {
            while ada.at(talk).set_typing(active).await.is_err() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let typing = next_event(&mut events, "typing", |event| match event {
            ClientEvent::Typing(typing) => Some(typing),
            _ => None,
        })
        .await;
        assert_eq!(
            (typing.conversation, typing.user, typing.active),
            (talk, ada.user(), active)
        );
    }
}

#[tokio::test]
async fn coming_and_going_is_told_to_acquaintances() {
    let server = TestServer::start().await;
    let mut ada = Device::register(&server, "ada").await;
    let bob = Device::register(&server, "bob").await;
    let talk = ada.direct(&bob).await;
    bob.has(talk, 1).await;
    let mut events = bob.events();
    let presence = |wanted: bool| {
        let ada = ada.user();
        move |event| match event {
            ClientEvent::Presence(presence)
                if presence.user == ada && presence.online == wanted =>
            {
                Some(())
            }
            _ => None,
        }
    };
    let (gone, back) = (presence(false), presence(true));
    ada.close().await;
    next_event(&mut events, "the going", gone).await;
    ada.open().await;
    next_event(&mut events, "the coming", back).await;
}
