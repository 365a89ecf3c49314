//! The delivery contract on one instance, over real sockets.
#![cfg(all(feature = "http", feature = "sqlite"))]

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use ruggine_core::api::conversation::{self, ConversationKind, Create, ProtectionMode};
use ruggine_core::api::member;
use ruggine_core::api::message::{Ack, Item, PageRequest, PageStart, Send};
use ruggine_core::api::position::{Delivered, Read};
use ruggine_core::api::presence::{Presence, Query, SetTyping};
use ruggine_core::api::sync::{Head, HeadsRequest, Hello};
use ruggine_core::codec::Encoding;
use ruggine_core::content::Notice;
use ruggine_core::event::{MessageEvent, PositionEvent, TypingEvent};
use ruggine_core::version::ProtocolVersion;
use ruggine_core::{ConversationId, ErrorCode, Event, Incarnation, Seq, Timestamp, UserId, limits};
use ruggine_server::Drain;
use ruggine_server::auth::Principal;
use ruggine_server::engine::Caller;
use ruggine_server::metrics::{Measurement, Metrics};
use ruggine_server::testing::{
    Ending, Person, SocketClient, TestServer, eventually, patiently, text_message, words_of,
};
use tokio::net::TcpSocket;

const GOING_AWAY: Option<u16> = Some(4009);
const BOTH: [Encoding; 2] = [Encoding::Json, Encoding::MsgPack];

fn seq(number: u64) -> Seq {
    Seq::new(number)
}

fn hello_of(person: &Person, incarnation: Option<Incarnation>) -> Hello {
    Hello {
        token: person.token().clone(),
        protocol: ProtocolVersion::CURRENT,
        locale: None,
        incarnation,
    }
}

fn page_after(conversation: ConversationId, after: Seq) -> PageRequest {
    PageRequest {
        conversation,
        from: PageStart::After(after),
        limit: None,
        as_content: false,
    }
}

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

async fn expect_rows(
    socket: &mut SocketClient,
    conversation: ConversationId,
    numbers: std::ops::RangeInclusive<u64>,
) {
    for number in numbers {
        let (from, row) = socket.next_row().await;
        assert_eq!((from, row.seq), (conversation, seq(number)));
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_still_there_when_the_connection_breaks_at_once() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    for encoding in BOTH {
        for number in 0..10 {
            let words = format!("{encoding:?} {number}");
            let mut socket = server.socket(&ada, encoding).await;
            let ack = socket.call(text_message(group, &words)).await.unwrap();
            drop(socket);
            let log = server.http_of(&ada).read_log(group).await.unwrap();
            let item = log.last().unwrap();
            assert_eq!(words_of(item), Some(words));
            assert_eq!(item.span(), Some((ack.seq, ack.seq)));
        }
    }
}

#[tokio::test]
async fn a_message_sent_again_gets_the_first_ack_and_no_second_number() {
    let mut server = TestServer::start().await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    let message = text_message(group, "once");
    let mut socket = server.socket(&ada, Encoding::MsgPack).await;
    let first = socket.call(message.clone()).await.unwrap();
    socket.call(text_message(group, "between")).await.unwrap();
    assert_eq!(socket.call(message.clone()).await.unwrap(), first);
    assert_eq!(
        server.http_of(&ada).call(message.clone()).await.unwrap(),
        first
    );
    server.restart().await;
    assert_eq!(
        server.http_of(&ada).call(message.clone()).await.unwrap(),
        first
    );
    assert_eq!(server.http_of(&ada).read_log(group).await.unwrap().len(), 3);
}

#[tokio::test]
async fn of_one_message_sent_many_times_at_once_one_is_stored() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    let message = text_message(group, "once");
    let mut socket = server.socket(&ada, Encoding::Json).await;
    let mut pending = Vec::new();
    for _ in 0..30 {
        pending.push(socket.begin(&message).await.unwrap());
    }
    let mut acks = Vec::new();
    for pending in pending {
        acks.push(socket.finish(pending).await.unwrap().unwrap());
    }
    assert!(acks.iter().all(|ack| *ack == acks[0]));
    assert_eq!(acks[0].seq, seq(2));
    let next = socket.call(text_message(group, "next")).await.unwrap();
    assert_eq!(next.seq, seq(3), "no number was burnt");
}

#[tokio::test]
async fn another_payload_under_a_used_id_is_a_conflict_and_changes_nothing() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    let http = server.http_of(&ada);
    let message = text_message(group, "first words");
    let ack = http.call(message.clone()).await.unwrap();
    let other = Send {
        payload: text_message(group, "other words").payload,
        ..message.clone()
    };
    let conflict = http.call(other).await.unwrap_err();
    assert_eq!(conflict.code, ErrorCode::IdempotencyConflict);
    let log = http.read_log(group).await.unwrap();
    assert_eq!(
        words_of(log.last().unwrap()).as_deref(),
        Some("first words")
    );
    assert_eq!(http.call(message).await.unwrap(), ack);
}

#[tokio::test]
async fn an_id_belongs_to_its_device_and_its_conversation() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let phone = server.another_device(&ada).await;
    let group = server.group(&ada, &[]).await;
    let other_group = server.group(&ada, &[]).await;
    let message = text_message(group, "from here");
    let elsewhere = Send {
        conversation: other_group,
        ..message.clone()
    };
    let first = server.http_of(&ada).call(message.clone()).await.unwrap();
    let second = server.http_of(&phone).call(message).await.unwrap();
    let third = server.http_of(&ada).call(elsewhere).await.unwrap();
    assert_eq!((first.seq, second.seq, third.seq), (seq(2), seq(3), seq(2)));
}

#[tokio::test]
async fn messages_of_one_socket_are_committed_in_the_order_in_which_they_were_sent() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let groups = [server.group(&ada, &[]).await, server.group(&ada, &[]).await];
    for encoding in BOTH {
        let mut socket = server.socket(&ada, encoding).await;
        let mut pending = Vec::new();
        for number in 0..200 {
            let message = text_message(groups[number % 2], &number.to_string());
            pending.push(socket.begin(&message).await.unwrap());
        }
        let mut last = BTreeMap::new();
        for pending in pending {
            let ack = socket.finish(pending).await.unwrap().unwrap();
            let before = last.insert(ack.conversation, ack.seq);
            assert!(before.is_none_or(|before| ack.seq == before.next()));
        }
    }
}

#[tokio::test]
async fn every_device_of_every_member_hears_the_same_log_in_order() {
    const EACH: u64 = 20;
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let cleo = server.register("cleo").await;
    let group = server.group(&ada, &[&bob, &cleo]).await;
    let mut sockets = Vec::new();
    for person in [&ada, &bob, &cleo] {
        let other_device = server.another_device(person).await;
        for (person, encoding) in [(person, Encoding::Json), (&other_device, Encoding::MsgPack)] {
            sockets.push(server.socket(person, encoding).await);
        }
    }
    let total = EACH * sockets.len() as u64;
    let talking = sockets.into_iter().enumerate().map(|(index, mut socket)| {
        tokio::spawn(async move {
            let mut pending = Vec::new();
            for number in 0..EACH {
                let message = text_message(group, &format!("{index}: {number}"));
                pending.push(socket.begin(&message).await.unwrap());
            }
            let mut acks = Vec::new();
            for pending in pending {
                acks.push(socket.finish(pending).await.unwrap().unwrap());
            }
            let mut heard = Vec::new();
            for number in 2..=total + 1 {
                let (_, row) = socket.next_row().await;
                assert_eq!(row.seq, seq(number));
                heard.push(row);
            }
            for ack in acks {
                let row = &heard[usize::try_from(ack.seq.get()).unwrap() - 2];
                assert_eq!(row.client_msg_id, ack.client_msg_id);
                assert_eq!(row.server_ts, ack.server_ts);
            }
            heard
        })
    });
    let heard = futures_util::future::try_join_all(talking).await.unwrap();
    assert!(heard.iter().all(|rows| *rows == heard[0]));
    let log = server.http_of(&ada).read_log(group).await.unwrap();
    let rows: Vec<_> = heard[0].iter().cloned().map(Item::Row).collect();
    assert_eq!(log[1..], rows);
}

/// Counts how often a connection was too slow.
#[derive(Debug, Default)]
struct Lagged(AtomicU64);

impl Metrics for Lagged {
    fn record(&self, measurement: Measurement) {
        if measurement == Measurement::Lagged {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A connection whose system buffers are as small as they can be.
async fn narrow_socket(server: &TestServer, person: &Person) -> SocketClient {
    let socket = TcpSocket::new_v4().expect("a socket can be made");
    socket
        .set_recv_buffer_size(4 * 1024)
        .expect("a buffer may be small");
    let stream = socket
        .connect(server.address())
        .await
        .expect("the server takes connections");
    let mut socket = SocketClient::over(stream, Encoding::MsgPack)
        .await
        .expect("the server takes a WebSocket");
    socket
        .hello(person.token())
        .await
        .expect("the token is valid");
    socket
}

/// Reads as a client does: events in order, and pages where it is told to.
/// How often it was told to.
async fn follow_up_to(
    socket: &mut SocketClient,
    cursors: &mut BTreeMap<ConversationId, Seq>,
    ends: &BTreeMap<ConversationId, Seq>,
) -> usize {
    let mut resyncs = 0;
    while cursors != ends {
        match socket.next_event().await {
            Event::Message(message) => {
                let (_, number) = message.item.span().expect("an event brings a row");
                let cursor = cursors.entry(message.conversation).or_default();
                assert_eq!(number, cursor.next(), "an event is the next row");
                *cursor = number;
            }
            Event::Resync(resync) => {
                resyncs += 1;
                for mark in resync.heads {
                    let cursor = cursors.entry(mark.conversation).or_default();
                    let end = ends[&mark.conversation];
                    assert!(
                        mark.head > *cursor && mark.head <= end,
                        "{mark:?} after {cursor}"
                    );
                    while *cursor < mark.head {
                        let page = socket
                            .call(page_after(mark.conversation, *cursor))
                            .await
                            .expect("a member may read");
                        assert_eq!(page.from, cursor.next());
                        // What the page brings beyond the mark comes as events too.
                        *cursor = page.to.min(mark.head);
                    }
                }
            }
            _ => {}
        }
    }
    resyncs
}

async fn send_many(
    server: &TestServer,
    person: &Person,
    group: ConversationId,
    count: usize,
    bytes: usize,
) {
    let words = "x".repeat(bytes);
    let mut socket = server.socket(person, Encoding::MsgPack).await;
    for _ in 0..count {
        socket
            .call(text_message(group, &words))
            .await
            .expect("a member may write");
        socket.take_events();
    }
}

#[tokio::test]
async fn who_reads_too_slowly_is_told_where_each_log_stands_and_pages_close_the_gaps() {
    let lagged = Arc::new(Lagged::default());
    let server = TestServer::options()
        .metrics(lagged.clone())
        .edge(|edge| edge.write_timeout = Duration::from_secs(60))
        .start()
        .await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let busy = server.group(&ada, &[&bob]).await;
    let quiet = server.group(&ada, &[&bob]).await;
    let mut slow = narrow_socket(&server, &bob).await;
    let mut cursors = BTreeMap::from([(busy, seq(1)), (quiet, seq(1))]);
    let ends = BTreeMap::from([(busy, seq(1 + 400)), (quiet, seq(1 + 200))]);
    // The quiet one falls silent long before the queue overflows for the last time.
    send_many(&server, &ada, busy, 100, 30 * 1024).await;
    send_many(&server, &ada, quiet, 200, 10).await;
    send_many(&server, &ada, busy, 300, 30 * 1024).await;
    assert!(lagged.0.load(Ordering::Relaxed) > 0, "the queue overflowed");
    let resyncs = follow_up_to(&mut slow, &mut cursors, &ends).await;
    assert!(resyncs > 0);
    send_many(&server, &ada, busy, 1, 10).await;
    expect_rows(&mut slow, busy, 402..=402).await;
}

#[tokio::test]
async fn a_queue_is_bounded_by_the_number_of_events_too() {
    let lagged = Arc::new(Lagged::default());
    let server = TestServer::options()
        .metrics(lagged.clone())
        .config(|config| config.limits.socket_events = 4)
        .edge(|edge| edge.write_timeout = Duration::from_secs(60))
        .start()
        .await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let group = server.group(&ada, &[&bob]).await;
    let mut slow = narrow_socket(&server, &bob).await;
    let mut sent = 0;
    while lagged.0.load(Ordering::Relaxed) == 0 {
        send_many(&server, &ada, group, 10, 30 * 1024).await;
        sent += 10;
    }
    let mut cursors = BTreeMap::from([(group, seq(1))]);
    let ends = BTreeMap::from([(group, seq(1 + sent))]);
    let resyncs = follow_up_to(&mut slow, &mut cursors, &ends).await;
    assert!(resyncs > 0);
}

#[tokio::test]
async fn who_takes_nothing_at_all_is_cut_off_and_loses_nothing() {
    let server = TestServer::options()
        .edge(|edge| edge.write_timeout = Duration::from_millis(200))
        .start()
        .await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let group = server.group(&ada, &[&bob]).await;
    let stuck = narrow_socket(&server, &bob).await;
    assert_eq!(server.engine().live_sockets(), 1);
    let words = "x".repeat(30 * 1024);
    let http = server.http_of(&ada).with_encoding(Encoding::MsgPack);
    patiently("the connection to be cut", async {
        while server.engine().live_sockets() > 0 {
            http.call(text_message(group, &words)).await.unwrap();
        }
    })
    .await;
    drop(stuck);
    let sent = http.read_log(group).await.unwrap();
    let again = server.http_of(&bob).read_log(group).await.unwrap();
    assert_eq!(again, sent);
}

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

#[tokio::test]
async fn an_old_copy_of_a_devices_store_writes_nothing() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let phone = server.another_device(&ada).await;
    let group = server.group(&ada, &[]).await;
    let mut socket = server.socket(&ada, Encoding::MsgPack).await;
    let restored = ErrorCode::DeviceRestored;
    socket.set_write_counter(Some(10));
    socket.call(text_message(group, "ten")).await.unwrap();
    socket.call(text_message(group, "ten again")).await.unwrap();
    socket.set_write_counter(Some(9));
    let refused = socket.call(text_message(group, "nine")).await.unwrap_err();
    assert_eq!(refused.code, restored);
    let read = Read {
        conversation: group,
        seq: seq(2),
    };
    assert_eq!(socket.call(read).await.unwrap_err().code, restored);
    let create = Create {
        kind: ConversationKind::Group,
        mode: ProtectionMode::Managed,
        members: Vec::new(),
        id: None,
    };
    assert_eq!(
        socket.call(create.clone()).await.unwrap_err().code,
        restored
    );
    let page = socket.call(page_after(group, Seq::ZERO)).await.unwrap();
    assert_eq!(
        page.head,
        seq(3),
        "reading goes on, and nothing was written"
    );

    let header = |value: &str| {
        server
            .http_of(&ada)
            .with_header("ruggine-write-counter", value)
    };
    let refused = header("9")
        .call(text_message(group, "nine"))
        .await
        .unwrap_err();
    assert_eq!(refused.code, restored);
    let refused = header("ten").call(create.clone()).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::InvalidParams);
    header("11").call(create).await.unwrap();
    socket.set_write_counter(Some(10));
    let refused = socket.call(text_message(group, "ten")).await.unwrap_err();
    assert_eq!(
        refused.code, restored,
        "every writing operation moves the counter"
    );
    socket.set_write_counter(None);
    socket
        .call(text_message(group, "a client without a store"))
        .await
        .unwrap();

    let mut other = server.socket(&phone, Encoding::MsgPack).await;
    other.set_write_counter(Some(1));
    other
        .call(text_message(group, "each device counts for itself"))
        .await
        .unwrap();
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

#[tokio::test]
async fn a_server_that_starts_again_has_kept_everything() {
    let mut server = TestServer::start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let group = server.group(&ada, &[&bob]).await;
    let mut a = server.socket(&ada, Encoding::MsgPack).await;
    let mut b = server.socket(&bob, Encoding::Json).await;
    let first = text_message(group, "before");
    let ack = a.call(first.clone()).await.unwrap();
    b.call(Delivered {
        conversation: group,
        seq: ack.seq,
    })
    .await
    .unwrap();
    let log = server.http_of(&bob).read_log(group).await.unwrap();
    let incarnation = server.engine().incarnation();

    server.restart().await;
    assert_eq!(a.ending().await.code, GOING_AWAY);
    assert_eq!(b.ending().await.code, GOING_AWAY);
    let mut b = SocketClient::connect(server.address(), Encoding::Json).await;
    let heads = b.call(hello_of(&bob, Some(incarnation))).await.unwrap();
    assert_eq!(heads.incarnation, incarnation);
    assert_eq!(heads.conversations, [], "bob has it all");
    let mut a = server.socket(&ada, Encoding::MsgPack).await;
    assert_eq!(a.call(first).await.unwrap(), ack);
    let next = a.call(text_message(group, "after")).await.unwrap();
    assert_eq!(next.seq, ack.seq.next());
    expect_rows(&mut b, group, 3..=3).await;
    let after = server.http_of(&bob).read_log(group).await.unwrap();
    assert_eq!(after[..log.len()], log);
    assert_eq!(after.len(), log.len() + 1);
}

#[tokio::test]
async fn a_server_that_ends_honours_every_ack_and_says_when_to_come_back() {
    let mut server = TestServer::start().await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    for round in 0..5 {
        let mut socket = server.socket(&ada, BOTH[round % 2]).await;
        let mut pending = Vec::new();
        for number in 0..100 {
            let message = text_message(group, &format!("{round}: {number}"));
            pending.push(socket.begin(&message).await.unwrap());
        }
        // The first is answered: the server is in the midst of the others.
        let mut pending = pending.into_iter();
        let mut acks: Vec<Ack> = Vec::new();
        acks.extend(socket.finish(pending.next().unwrap()).await.unwrap());
        let ending = server.take().shut_down(Drain::default());
        let reading = async {
            for pending in pending {
                match socket.finish(pending).await {
                    Ok(answer) => acks.push(answer.unwrap()),
                    Err(_) => break,
                }
            }
            socket.ending().await
        };
        let ((), ending) = tokio::join!(ending, reading);
        assert_eq!(ending.code, GOING_AWAY);
        assert!(
            ending.retry_in_ms().is_some_and(|time| time <= 2_000),
            "{ending:?}"
        );

        server.resume().await;
        let log = server.http_of(&ada).read_log(group).await.unwrap();
        for ack in acks {
            let Item::Row(row) = &log[usize::try_from(ack.seq.get()).unwrap() - 1] else {
                panic!()
            };
            assert_eq!((row.seq, row.client_msg_id), (ack.seq, ack.client_msg_id));
        }
    }
}

#[tokio::test]
async fn sockets_that_are_sent_away_are_spread_over_the_time_of_the_drain() {
    let mut server = TestServer::start().await;
    let ada = server.register("ada").await;
    let mut sockets = Vec::new();
    for _ in 0..8 {
        sockets.push(server.socket(&ada, Encoding::Json).await);
    }
    let drain = Drain {
        lead: Duration::ZERO,
        spread: Duration::from_millis(500),
    };
    let begun = tokio::time::Instant::now();
    let ending = tokio::spawn(server.take().shut_down(drain));
    let endings = sockets.iter_mut().map(|socket| async move {
        let Ending { code, .. } = socket.ending().await;
        (code, begun.elapsed())
    });
    let endings = futures_util::future::join_all(endings).await;
    ending.await.unwrap();
    assert!(endings.iter().all(|(code, _)| *code == GOING_AWAY));
    let (first, last) = (
        endings.iter().map(|(_, at)| *at).min().unwrap(),
        endings.iter().map(|(_, at)| *at).max().unwrap(),
    );
    assert!(
        last - first > Duration::from_millis(50),
        "{first:?} to {last:?}"
    );
}

#[tokio::test]
async fn a_frame_that_breaks_a_limit_closes_its_connection_with_the_reason() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let mut neighbour = server.socket(&ada, Encoding::Json).await;
    for encoding in BOTH {
        let mut socket = server.socket(&ada, encoding).await;
        let over = vec![b' '; limits::CLIENT_FRAME_MAX + 1];
        // The server may close before it has read it all.
        let _ = socket.send_raw(over.into()).await;
        assert_eq!(socket.ending().await.code, Some(1009));

        let mut socket = server.socket(&ada, encoding).await;
        socket.send_wrong_kind().await.unwrap();
        assert_eq!(socket.ending().await.code, Some(4000));

        let mut socket = server.socket(&ada, encoding).await;
        socket.send_raw("nonsense".into()).await.unwrap();
        assert_eq!(socket.ending().await.code, Some(4000));
    }
    assert!(neighbour.call(HeadsRequest::default()).await.is_ok());
    drop(neighbour);
    eventually("all connections to be gone", || async {
        server.engine().live_sockets() == 0
    })
    .await;
}
