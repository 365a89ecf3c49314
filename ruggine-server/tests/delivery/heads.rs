//! What hello names as new, so that a device can go on where it was.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use ruggine_core::api::conversation::{self, ConversationKind, Create, ProtectionMode};
use ruggine_core::api::position::{Delivered, Read};
use ruggine_core::api::sync::{Head, HeadsRequest};
use ruggine_core::codec::Encoding;
use ruggine_core::{Incarnation, Seq, limits};
use ruggine_server::auth::Principal;
use ruggine_server::engine::Caller;
use ruggine_server::testing::{SocketClient, TestServer, text_message};

use super::support::{BOTH, expect_rows, hello_of, seq};

#[tokio::test]
async fn hello_names_what_is_new_for_the_device_and_nothing_else() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let phone = server.another_device(&ada).await;
    let bob = server.register("bob").await;
    let quiet = server.group(&ada, &[&bob]).await;
    let busy = server.group(&ada, &[&bob]).await;
    let http = server.http_of(&ada);
    let heads = http.call(hello_of(&ada, None)).await.unwrap();
    let log = heads.incarnation;
    assert_eq!(log, server.engine().incarnation());
    assert_eq!((heads.user, heads.device), (ada.user(), ada.device()));
    let ids = |heads: &[Head]| heads.iter().map(|head| head.id).collect::<BTreeSet<_>>();
    assert_eq!(ids(&heads.conversations), BTreeSet::from([quiet, busy]));

    for conversation in [quiet, busy] {
        http.call(Delivered {
            conversation,
            seq: seq(1),
        })
        .await
        .unwrap();
    }
    let mut socket = SocketClient::connect(server.address(), Encoding::Json).await;
    let heads = socket.call(hello_of(&ada, Some(log))).await.unwrap();
    assert_eq!(heads.conversations, []);
    let all = socket.call(HeadsRequest::default()).await.unwrap();
    assert_eq!(ids(&all.conversations), BTreeSet::from([quiet, busy]));
    socket.close().await;

    server
        .http_of(&bob)
        .call(text_message(busy, "news"))
        .await
        .unwrap();
    let heads = http
        .call(hello_of(&ada, Some(log)))
        .await
        .unwrap()
        .conversations;
    let expected = Head {
        id: busy,
        kind: ConversationKind::Group,
        mode: ProtectionMode::Managed,
        head: seq(2),
        cursor: seq(1),
        own_read: Seq::ZERO,
        roster_version: 1,
    };
    assert_eq!(heads, [expected]);
    let heads = http
        .call(hello_of(&phone, Some(log)))
        .await
        .unwrap()
        .conversations;
    assert_eq!(
        ids(&heads),
        BTreeSet::from([quiet, busy]),
        "each device has its own cursors"
    );

    let other = Incarnation::new(log.get() ^ 1);
    let heads = http.call(hello_of(&ada, Some(other))).await.unwrap();
    assert_eq!(ids(&heads.conversations), BTreeSet::from([quiet, busy]));
    assert_eq!(heads.incarnation, log);
}

#[tokio::test]
async fn an_own_read_position_is_news_for_the_other_device_only() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let phone = server.another_device(&ada).await;
    let group = server.group(&ada, &[]).await;
    let log = Some(server.engine().incarnation());
    let one = seq(1);
    for device in [&ada, &phone] {
        let http = server.http_of(device);
        http.call(Delivered {
            conversation: group,
            seq: one,
        })
        .await
        .unwrap();
    }
    server
        .http_of(&ada)
        .call(Read {
            conversation: group,
            seq: one,
        })
        .await
        .unwrap();
    let http = server.http();
    assert_eq!(
        http.call(hello_of(&ada, log)).await.unwrap().conversations,
        []
    );
    let heads = http
        .call(hello_of(&phone, log))
        .await
        .unwrap()
        .conversations;
    assert_eq!(heads.len(), 1);
    assert_eq!((heads[0].own_read, heads[0].cursor), (one, one));
    server
        .http_of(&phone)
        .call(Read {
            conversation: group,
            seq: one,
        })
        .await
        .unwrap();
    assert_eq!(
        http.call(hello_of(&phone, log))
            .await
            .unwrap()
            .conversations,
        []
    );
}

#[tokio::test]
async fn more_heads_than_one_page_holds_are_led_through() {
    const COUNT: usize = 2 * limits::HEADS_PAGE + 1;
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let caller = Caller {
        principal: Some(Principal {
            user: ada.user(),
            device: ada.device(),
            session: ada.session(),
        }),
        ..Caller::anonymous(Ipv4Addr::LOCALHOST.into())
    };
    let mut made = BTreeSet::new();
    let mut creating: FuturesUnordered<_> = (0..COUNT)
        .map(|_| {
            let create = Create {
                kind: ConversationKind::Group,
                mode: ProtectionMode::Managed,
                members: Vec::new(),
                id: None,
            };
            server.engine().call(&caller, create)
        })
        .collect();
    while let Some(conversation) = creating.next().await {
        made.insert(conversation.unwrap().id);
    }
    assert_eq!(made.len(), COUNT);

    let mut socket = SocketClient::connect(server.address(), Encoding::MsgPack).await;
    let mut heads = socket.hello(ada.token()).await.unwrap();
    let mut listed = Vec::new();
    let mut pages = 1;
    loop {
        assert!(heads.conversations.len() <= limits::HEADS_PAGE);
        listed.extend(heads.conversations.iter().map(|head| head.id));
        let Some(next) = heads.next else { break };
        assert_eq!(listed.last(), Some(&next));
        let request = HeadsRequest {
            incarnation: None,
            after: Some(next),
        };
        heads = socket.call(request).await.unwrap();
        pages += 1;
    }
    assert_eq!(pages, 3);
    assert!(listed.is_sorted());
    assert_eq!(listed.len(), COUNT, "none is listed twice");
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), made);

    let mut listed = BTreeSet::new();
    let mut list = conversation::List::default();
    loop {
        let page = socket.call(list).await.unwrap();
        listed.extend(
            page.conversations
                .iter()
                .map(|conversation| conversation.id),
        );
        list.after = page.next;
        if list.after.is_none() {
            break;
        }
    }
    assert_eq!(listed, made);
}

#[tokio::test]
async fn between_the_heads_of_a_hello_and_the_first_event_no_number_is_missing() {
    let server = Arc::new(TestServer::start().await);
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let group = server.group(&ada, &[&bob]).await;
    let over = Arc::new(AtomicBool::new(false));
    let flood = {
        let (over, server) = (Arc::clone(&over), Arc::clone(&server));
        tokio::spawn(async move {
            let mut socket = server.socket(&ada, Encoding::MsgPack).await;
            while !over.load(Ordering::Relaxed) {
                socket.call(text_message(group, "flood")).await.unwrap();
                socket.take_events();
            }
        })
    };
    for round in 0..50 {
        let mut socket = SocketClient::connect(server.address(), BOTH[round % 2]).await;
        let heads = socket.hello(bob.token()).await.unwrap();
        let head = heads.conversations[0].head;
        let (_, first) = socket.next_row().await;
        assert!(
            first.seq <= head.next(),
            "{} after a head of {head}",
            first.seq
        );
        let from = first.seq.get();
        expect_rows(&mut socket, group, from + 1..=from + 5).await;
    }
    over.store(true, Ordering::Relaxed);
    flood.await.unwrap();
}
