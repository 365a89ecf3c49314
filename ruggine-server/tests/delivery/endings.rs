//! Servers and connections that end, and what is kept of them.

use std::time::Duration;

use ruggine_core::api::message::{Ack, Item};
use ruggine_core::api::position::Delivered;
use ruggine_core::api::sync::HeadsRequest;
use ruggine_core::codec::Encoding;
use ruggine_core::limits;
use ruggine_server::Drain;
use ruggine_server::testing::{Ending, SocketClient, TestServer, eventually, text_message};

use super::support::{BOTH, expect_rows, hello_of};

const GOING_AWAY: Option<u16> = Some(4009);

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
        spread: Duration::from_millis(500),
        ..Drain::default()
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
async fn a_connection_is_served_until_its_turn_to_be_sent_away_has_come() {
    let mut server = TestServer::start().await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    let mut sockets = Vec::new();
    for _ in 0..16 {
        sockets.push(server.socket(&ada, Encoding::Json).await);
    }
    let drain = Drain {
        spread: Duration::from_secs(2),
        ..Drain::default()
    };
    let ending = tokio::spawn(server.take().shut_down(drain));
    let endings = sockets.iter_mut().map(|socket| Box::pin(socket.ending()));
    let (_, gone, _) = futures_util::future::select_all(endings).await;
    let mut acks = 0;
    for (index, socket) in sockets.iter_mut().enumerate() {
        if index != gone && socket.try_call(text_message(group, "ciao")).await.is_ok() {
            acks += 1;
        }
    }
    assert!(acks > 0, "the others still had time");
    ending.await.unwrap();
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
