//! Who reads too slowly is told so, and loses nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ruggine_core::codec::Encoding;
use ruggine_core::{ConversationId, Event, Seq};
use ruggine_server::metrics::{Measurement, Metrics};
use ruggine_server::testing::{Person, SocketClient, TestServer, patiently, text_message};
use tokio::net::TcpSocket;

use super::support::{expect_rows, page_after, seq};

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
