//! Who is added hears from then on, and who is removed no more.

use ruggine_core::api::member;
use ruggine_core::api::message::Item;
use ruggine_core::api::position::Read;
use ruggine_core::api::presence::SetTyping;
use ruggine_core::codec::Encoding;
use ruggine_core::content::Notice;
use ruggine_core::event::MessageEvent;
use ruggine_core::{ConversationId, Event, Seq};
use ruggine_server::testing::{TestServer, text_message};

use super::support::{expect_rows, seq};

fn row_of(event: &Event) -> Option<(ConversationId, Seq)> {
    match event {
        Event::Message(MessageEvent {
            conversation,
            item: Item::Row(row),
            ..
        }) => Some((*conversation, row.seq)),
        _ => None,
    }
}

#[tokio::test]
async fn a_removed_member_hears_of_the_removal_and_of_nothing_after_it() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let phone = server.another_device(&bob).await;
    let cleo = server.register("cleo").await;
    let group = server.group(&ada, &[&bob, &cleo]).await;
    let mut a = server.socket(&ada, Encoding::MsgPack).await;
    let mut c = server.socket(&cleo, Encoding::MsgPack).await;
    let mut gone = [
        server.socket(&bob, Encoding::MsgPack).await,
        server.socket(&phone, Encoding::Json).await,
    ];
    a.call(text_message(group, "with bob")).await.unwrap();
    let remove = member::Remove {
        conversation: group,
        user: bob.user(),
    };
    // Sent behind the removal on the same socket, without waiting for it.
    let removal = a.begin(&remove).await.unwrap();
    let secret = a.begin(&text_message(group, "without bob")).await.unwrap();
    let removed = a.finish(removal).await.unwrap().unwrap();
    let secret = a.finish(secret).await.unwrap().unwrap();
    a.call(SetTyping {
        conversation: group,
        active: true,
    })
    .await
    .unwrap();
    a.call(Read {
        conversation: group,
        seq: seq(4),
    })
    .await
    .unwrap();
    c.wait_for(|event| matches!(event, Event::Read(_))).await;
    assert_eq!(removed.head.get().max(secret.seq.get()), 4);

    for socket in &mut gone {
        let events = socket.catch_up().await;
        let rows: Vec<Seq> = events
            .iter()
            .filter_map(row_of)
            .map(|(_, seq)| seq)
            .collect();
        let expected: Vec<Seq> = (2..=removed.head.get()).map(seq).collect();
        assert_eq!(rows, expected);
        let last = events
            .iter()
            .rfind(|event| row_of(event).is_some())
            .unwrap();
        let Event::Message(MessageEvent {
            item: Item::Row(row),
            ..
        }) = last
        else {
            panic!()
        };
        let notice = Notice::from_payload(&row.payload);
        assert_eq!(notice, Some(Notice::Removed { user: bob.user() }));
        assert!(
            !events
                .iter()
                .any(|event| matches!(event, Event::Typing(_) | Event::Read(_)))
        );
    }
    expect_rows(&mut c, group, 2..=4).await;
}

#[tokio::test]
async fn who_is_added_while_connected_hears_their_first_row_and_what_follows() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let mut b = server.socket(&bob, Encoding::Json).await;
    let group = server.group(&ada, &[]).await;
    let http = server.http_of(&ada);
    http.call(text_message(group, "before bob")).await.unwrap();
    let add = member::Add {
        conversation: group,
        users: vec![bob.user()],
    };
    http.call(add).await.unwrap();
    http.call(text_message(group, "hello bob")).await.unwrap();
    expect_rows(&mut b, group, 3..=4).await;
    let direct = server.direct(&ada, &bob).await;
    expect_rows(&mut b, direct, 1..=1).await;
}

#[tokio::test]
async fn who_is_added_to_a_large_group_counts_with_all_its_members() {
    let server = TestServer::options()
        .config(|config| {
            config.large_group = 3;
            config.presence_members_max = 3;
        })
        .start()
        .await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let cleo = server.register("cleo").await;
    let dina = server.register("dina").await;
    // Nobody of the group is connected when the first who is comes in.
    let group = server.group(&ada, &[&bob, &cleo]).await;
    let mut d = server.socket(&dina, Encoding::Json).await;
    let http = server.http_of(&ada);
    let add = member::Add {
        conversation: group,
        users: vec![dina.user()],
    };
    http.call(add).await.unwrap();
    let last = http
        .call(text_message(group, "to four of us"))
        .await
        .unwrap()
        .seq;
    let of_the_message = |event: &Event| match event {
        Event::Message(message) => message.item.span() == Some((last, last)),
        Event::Resync(resync) => resync.heads.iter().any(|mark| mark.head == last),
        _ => false,
    };
    let event = d.wait_for(of_the_message).await;
    assert!(
        matches!(event, Event::Resync(_)),
        "who looks elsewhere is told the head: {event:?}"
    );

    let mut a = server.socket(&ada, Encoding::Json).await;
    d.call(Read {
        conversation: group,
        seq: last,
    })
    .await
    .unwrap();
    let told = a.catch_up().await;
    assert!(
        !told.iter().any(|event| matches!(event, Event::Read(_))),
        "{told:?}"
    );
}
