//! A row that the database does not take, among others that it would: it fails
//! alone, whatever it was committed together with.

#[cfg(feature = "postgres")]
use std::sync::Arc;

use ruggine_core::api::message::{Item, Send};
use ruggine_core::codec::Encoding;
use ruggine_core::{ConversationId, ErrorCode, Seq};
#[cfg(feature = "postgres")]
use ruggine_server::testing::TestDatabase;
use ruggine_server::testing::{Person, TestServer};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Executor};

use super::commits::sized;
use super::slow_store::{SlowStore, slow_server};
use super::support::look_up;

/// What the databases of these tests do not take, sealed and encoded.
const LONG: usize = 20_000;

#[tokio::test]
async fn a_row_that_sqlite_refuses_fails_alone() {
    let (_folder, store, server, ada, group) = slow_server(|_| {}).await;
    let options = SqliteConnectOptions::new().filename(server.database());
    let mut database = options.connect().await.unwrap();
    database
        .execute(
            "CREATE TRIGGER poison BEFORE INSERT ON messages WHEN length(NEW.body) > 10000
             BEGIN SELECT RAISE(ABORT, 'too long'); END",
        )
        .await
        .unwrap();
    let refused = fail_alone(&store, &server, &ada, group).await;
    database.execute("DROP TRIGGER poison").await.unwrap();
    are_taken(refused, &server, &ada, group).await;
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn a_row_that_postgresql_refuses_fails_alone() {
    let database = TestDatabase::create().await;
    let store = SlowStore::new(database.open().await);
    let options = TestServer::options().store(Arc::new(store.clone()));
    let server = options.start().await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    let mut database = database.connect().await;
    database
        .execute("ALTER TABLE messages ADD CONSTRAINT poison CHECK (length(body) < 10000)")
        .await
        .unwrap();
    let refused = fail_alone(&store, &server, &ada, group).await;
    database
        .execute("ALTER TABLE messages DROP CONSTRAINT poison")
        .await
        .unwrap();
    are_taken(refused, &server, &ada, group).await;
}

/// Messages of one batch, two of them poisoned; returns these two.
async fn fail_alone(
    store: &SlowStore,
    server: &TestServer,
    ada: &Person,
    group: ConversationId,
) -> Vec<Send> {
    let messages: Vec<Send> = (0..9)
        .map(|number| sized(group, if [2, 6].contains(&number) { LONG } else { 10 }))
        .collect();
    let mut socket = server.socket(ada, Encoding::MsgPack).await;
    // While the first is being committed, the others gather behind it.
    store.hold();
    let first = sized(group, 10);
    let first = socket.begin(&first).await.unwrap();
    store.holds(1).await;
    let mut pending = Vec::new();
    for message in &messages {
        pending.push(socket.begin(message).await.unwrap());
    }
    // What one socket asks for comes to the lane in its order, so all are there.
    socket.call(look_up("ada")).await.unwrap();
    store.release();
    let mut next = socket.finish(first).await.unwrap().unwrap().seq.next();
    let mut refused = Vec::new();
    let mut kept = Vec::new();
    for (message, pending) in messages.into_iter().zip(pending) {
        let answer = socket.finish(pending).await.unwrap();
        if message.payload.as_ref().unwrap().len() < LONG {
            let ack = answer.expect("the row itself is good");
            assert_eq!(ack.seq, next, "no number is lost to one that failed");
            next = next.next();
            kept.push((ack.seq, message.client_msg_id));
        } else {
            let error = answer.expect_err("the database does not take it");
            assert_eq!(error.code, ErrorCode::Internal, "{error:?}");
            refused.push(message);
        }
    }
    assert_eq!(refused.len(), 2);
    let log = server.http_of(ada).read_log(group).await.unwrap();
    let stored = log.iter().skip(2).map(|item| match item {
        Item::Row(row) => (row.seq, row.client_msg_id),
        other => panic!("everything can be read, and here is {other:?}"),
    });
    assert_eq!(stored.collect::<Vec<_>>(), kept);
    refused
}

/// Sent again, they take the next numbers.
async fn are_taken(refused: Vec<Send>, server: &TestServer, ada: &Person, group: ConversationId) {
    let http = server.http_of(ada);
    let log = http.read_log(group).await.unwrap();
    let mut head = Seq::new(log.len() as u64);
    for message in refused {
        head = head.next();
        let ack = http.call(message).await.unwrap();
        assert_eq!(ack.seq, head);
    }
}
