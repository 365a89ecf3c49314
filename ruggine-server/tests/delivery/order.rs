//! Every device hears one log, in one order.

use std::collections::BTreeMap;

use ruggine_core::api::message::Item;
use ruggine_core::codec::Encoding;
use ruggine_server::testing::{TestServer, text_message};

use super::support::{BOTH, seq};

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
