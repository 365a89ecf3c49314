//! Who writes, comes and goes is told to those who may know.

use ruggine_core::api::presence::{Presence, Query, SetTyping};
use ruggine_core::codec::Encoding;
use ruggine_core::event::TypingEvent;
use ruggine_core::{ErrorCode, Event, Timestamp, UserId, limits};
use ruggine_server::testing::TestServer;

#[tokio::test]
async fn typing_is_told_to_the_other_members() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let eve = server.register("eve").await;
    let group = server.group(&ada, &[&bob]).await;
    let mut a = server.socket(&ada, Encoding::Json).await;
    let mut b = server.socket(&bob, Encoding::MsgPack).await;
    let mut e = server.socket(&eve, Encoding::Json).await;
    let is_typing = |event: &Event| matches!(event, Event::Typing(_));
    for active in [true, false] {
        a.call(SetTyping {
            conversation: group,
            active,
        })
        .await
        .unwrap();
        let expected = TypingEvent {
            conversation: group,
            user: ada.user(),
            active,
        };
        assert_eq!(b.wait_for(is_typing).await, Event::Typing(expected));
    }
    for socket in [&mut a, &mut e] {
        assert!(!socket.catch_up().await.iter().any(is_typing));
    }
}

#[tokio::test]
async fn who_comes_and_goes_is_told_to_acquaintances_and_to_nobody_else() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let eve = server.register("eve").await;
    server.group(&ada, &[&bob]).await;
    let mut a = server.socket(&ada, Encoding::Json).await;
    let mut e = server.socket(&eve, Encoding::Json).await;
    let of_bob =
        |event: &Event| matches!(event, Event::Presence(presence) if presence.user == bob.user());
    let is = |online| {
        Event::Presence(Presence {
            user: bob.user(),
            online,
        })
    };
    let first = server.socket(&bob, Encoding::MsgPack).await;
    assert_eq!(a.wait_for(of_bob).await, is(true));
    let second = server.socket(&bob, Encoding::MsgPack).await;
    first.close().await;
    let query = || Query {
        users: vec![bob.user(), eve.user(), ada.user()],
    };
    let known = a.call(query()).await.unwrap().presences;
    let expected = [
        Presence {
            user: bob.user(),
            online: true,
        },
        Presence {
            user: ada.user(),
            online: true,
        },
    ];
    assert_eq!(known, expected, "of a stranger nothing is said");
    assert!(
        !a.catch_up().await.iter().any(of_bob),
        "one device less is no news"
    );
    second.close().await;
    assert_eq!(a.wait_for(of_bob).await, is(false));
    assert!(!e.catch_up().await.iter().any(of_bob));
    let known = e.call(query()).await.unwrap().presences;
    assert_eq!(
        known,
        [Presence {
            user: eve.user(),
            online: true
        }]
    );

    let too_many = Query {
        users: vec![UserId::new(Timestamp::from_millis(1)); limits::PRESENCE_QUERY_MAX + 1],
    };
    assert_eq!(
        a.call(too_many).await.unwrap_err().code,
        ErrorCode::LimitReached
    );
}
