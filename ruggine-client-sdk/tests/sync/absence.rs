//! What was missed while away, left out or cut off is read afterwards.

use ruggine_server::testing::TestServer;

use super::support::device::Device;
use super::support::{all_words, assert_whole, rows_told, seq};
use super::{group_with, write_many};

#[tokio::test]
async fn five_hundred_messages_missed_while_away_are_told_once_and_in_order() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let mut bob = Device::register(&server, "bob").await;
    let group = group_with(&bob, &[ada.user()]).await;
    bob.has(group, 1).await;
    bob.close().await;
    let said = write_many(&server, &ada, group, 500).await;
    let mut events = bob.open().await;
    let rows = rows_told(&mut events, group, seq(501)).await;
    assert_whole(&rows, 2, 501);
    assert_eq!(all_words(&rows), said);
    assert_whole(&bob.log(group).await, 1, 501);
    assert_eq!(bob.record(group).await.unread, 500);
}

#[tokio::test]
async fn many_conversations_are_all_read_after_an_absence() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let mut bob = Device::register(&server, "bob").await;
    let mut groups = Vec::new();
    for _ in 0..20 {
        groups.push(ada.group(&[&bob]).await);
    }
    for group in &groups {
        bob.has(*group, 1).await;
    }
    bob.close().await;
    for group in &groups {
        ada.say(*group, "one").await;
        ada.say(*group, "two").await;
    }
    for group in &groups {
        ada.has(*group, 3).await;
    }
    bob.open().await;
    for group in &groups {
        bob.has(*group, 3).await;
        assert_whole(&bob.log(*group).await, 1, 3);
    }
}

#[tokio::test]
async fn a_client_whose_events_are_left_out_reads_what_it_lacks() {
    let server = TestServer::options()
        .config(|config| config.limits.socket_events = 2)
        .start()
        .await;
    let ada = server.register("ada").await;
    let bob = Device::register(&server, "bob").await;
    let group = group_with(&bob, &[ada.user()]).await;
    let mut events = bob.events();
    bob.has(group, 1).await;
    let said = write_many(&server, &ada, group, 400).await;
    let rows = rows_told(&mut events, group, seq(401)).await;
    let first = rows.first().expect("there are rows").seq.get();
    assert_whole(&rows, first, 401);
    assert_eq!(all_words(&bob.log(group).await), said);
}

#[tokio::test]
async fn a_restart_of_the_server_loses_and_doubles_nothing() {
    let mut server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let bob = Device::register(&server, "bob").await;
    let mut events = bob.events();
    let talk = ada.direct(&bob).await;
    bob.has(talk, 1).await;
    let said: Vec<String> = (1..=60).map(|number| format!("word {number}")).collect();
    for words in &said[..20] {
        ada.say(talk, words).await;
    }
    server.stop().await;
    for words in &said[20..40] {
        ada.say(talk, words).await;
    }
    server.resume().await;
    for words in &said[40..] {
        ada.say(talk, words).await;
    }
    let rows = rows_told(&mut events, talk, seq(61)).await;
    assert_whole(&rows, 1, 61);
    assert_eq!(all_words(&rows), said);
    ada.has(talk, 61).await;
    assert_eq!(ada.log(talk).await, rows);
    let waiting = ada.at(talk).outbox().await.expect("the store can be read");
    assert_eq!(waiting, []);
}
