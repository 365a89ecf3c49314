//! Positions reach those whom they concern, and only move forward.

use ruggine_core::Event;
use ruggine_core::api::member;
use ruggine_core::api::position::{Delivered, Read};
use ruggine_core::codec::Encoding;
use ruggine_core::event::PositionEvent;
use ruggine_server::testing::{TestServer, text_message};

use super::support::seq;

#[tokio::test]
async fn delivered_and_read_positions_reach_the_members_and_only_move_forward() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let phone = server.another_device(&bob).await;
    let group = server.group(&ada, &[&bob]).await;
    for number in 0..3 {
        let message = text_message(group, &number.to_string());
        server.http_of(&ada).call(message).await.unwrap();
    }
    let mut a = server.socket(&ada, Encoding::Json).await;
    let mut b = server.socket(&bob, Encoding::MsgPack).await;
    let mut p = server.socket(&phone, Encoding::MsgPack).await;
    for socket in [&mut a, &mut b, &mut p] {
        socket.catch_up().await;
    }
    let position = |number| PositionEvent {
        conversation: group,
        user: bob.user(),
        seq: seq(number),
    };
    let is_position = |event: &Event| matches!(event, Event::Delivered(_) | Event::Read(_));

    b.call(Delivered {
        conversation: group,
        seq: seq(3),
    })
    .await
    .unwrap();
    for socket in [&mut a, &mut b, &mut p] {
        assert_eq!(
            socket.wait_for(is_position).await,
            Event::Delivered(position(3))
        );
    }
    b.call(Read {
        conversation: group,
        seq: seq(2),
    })
    .await
    .unwrap();
    for socket in [&mut a, &mut b, &mut p] {
        assert_eq!(socket.wait_for(is_position).await, Event::Read(position(2)));
    }
    // Neither an older position nor that of a device that is behind is news.
    b.call(Delivered {
        conversation: group,
        seq: seq(1),
    })
    .await
    .unwrap();
    p.call(Delivered {
        conversation: group,
        seq: seq(2),
    })
    .await
    .unwrap();
    p.call(Read {
        conversation: group,
        seq: seq(2),
    })
    .await
    .unwrap();
    for socket in [&mut a, &mut b, &mut p] {
        assert!(!socket.catch_up().await.iter().any(is_position));
    }
    // One beyond the head is cut to it.
    p.call(Delivered {
        conversation: group,
        seq: seq(1_000),
    })
    .await
    .unwrap();
    for socket in [&mut a, &mut b, &mut p] {
        assert_eq!(
            socket.wait_for(is_position).await,
            Event::Delivered(position(4))
        );
    }
    let list = member::List {
        conversation: group,
        after: None,
    };
    let members = a.call(list).await.unwrap().members;
    let listed = members
        .iter()
        .find(|member| member.user.id == bob.user())
        .unwrap();
    assert_eq!((listed.delivered, listed.read), (seq(4), seq(2)));
}

#[tokio::test]
async fn a_device_hears_what_its_user_read_on_another_also_when_that_one_used_http() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let phone = server.another_device(&ada).await;
    let bob = server.register("bob").await;
    let group = server.group(&ada, &[&bob]).await;
    let mut socket = server.socket(&phone, Encoding::Json).await;
    server
        .http_of(&ada)
        .call(Read {
            conversation: group,
            seq: seq(1),
        })
        .await
        .unwrap();
    let event = socket
        .wait_for(|event| matches!(event, Event::Read(_)))
        .await;
    let expected = PositionEvent {
        conversation: group,
        user: ada.user(),
        seq: seq(1),
    };
    assert_eq!(event, Event::Read(expected));
}
