//! An ack is a promise: one number for one message, whatever happens afterwards.

use ruggine_core::ErrorCode;
use ruggine_core::api::message::Send;
use ruggine_core::codec::Encoding;
use ruggine_server::testing::{TestServer, text_message, words_of};

use super::support::{BOTH, seq};

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
