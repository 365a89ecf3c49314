//! How much may wait for its commit.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use ruggine_core::api::conversation;
use ruggine_core::api::member::Add;
use ruggine_core::api::message::Send;
use ruggine_core::api::position::Read;
use ruggine_core::codec::Encoding;
use ruggine_core::{ConversationId, ErrorCode, Seq};
use ruggine_server::Drain;
use ruggine_server::testing::{TestServer, fresh_message_id, patiently};

use super::slow_store::{SlowStore, slow_server};
use super::support::{caller_of, group_of, head, look_up, wait_of};

pub(crate) fn sized(conversation: ConversationId, bytes: usize) -> Send {
    Send {
        conversation,
        client_msg_id: fresh_message_id(),
        epoch: None,
        payload: Some(vec![b'x'; bytes].into()),
        content: None,
    }
}

#[tokio::test]
async fn a_store_that_never_answers_does_not_keep_a_server_from_its_end() {
    let (_folder, store, mut server, ada, group) = slow_server(|_| {}).await;
    let mut socket = server.socket(&ada, Encoding::MsgPack).await;
    store.hold();
    let _unanswered = socket.begin(&sized(group, 10)).await.unwrap();
    store.holds(1).await;
    let drain = Drain {
        finish: Duration::from_millis(100),
        ..Drain::default()
    };
    patiently("the end of the server", server.take().shut_down(drain)).await;
}

#[tokio::test]
async fn no_more_messages_wait_for_their_commit_than_may() {
    const WAITING: usize = 4;
    let (_folder, store, server, ada, group) =
        slow_server(|limits| limits.waiting_messages = WAITING).await;
    let http = server.http_of(&ada);
    let mut socket = server.socket(&ada, Encoding::MsgPack).await;
    store.hold();
    let mut pending = Vec::new();
    pending.push(socket.begin(&sized(group, 10)).await.unwrap());
    store.holds(1).await;
    for _ in 1..WAITING {
        pending.push(socket.begin(&sized(group, 10)).await.unwrap());
    }
    for _ in 0..3 {
        let refused = socket.call(sized(group, 10)).await.unwrap_err();
        wait_of(&refused, ErrorCode::Overloaded, Duration::from_millis(250));
        let refused = http.call(sized(group, 10)).await.unwrap_err();
        wait_of(&refused, ErrorCode::Overloaded, Duration::from_millis(250));
    }
    // What only reads is served meanwhile.
    http.call(look_up("ada")).await.unwrap();
    assert_eq!(head(&http, group).await, 1);
    store.release();
    for (number, pending) in (2..).zip(pending) {
        let ack = socket.finish(pending).await.unwrap().unwrap();
        assert_eq!(ack.seq, Seq::new(number));
    }
    let ack = http.call(sized(group, 10)).await.unwrap();
    assert_eq!(
        ack.seq.get(),
        2 + WAITING as u64,
        "nothing of what was refused is stored"
    );
}

#[tokio::test]
async fn no_more_bytes_wait_for_their_commit_than_may() {
    let (_folder, store, server, ada, group) =
        slow_server(|limits| limits.waiting_bytes = 100_000).await;
    let http = server.http_of(&ada);
    let mut socket = server.socket(&ada, Encoding::MsgPack).await;
    store.hold();
    let first = socket.begin(&sized(group, 40_000)).await.unwrap();
    store.holds(1).await;
    let second = socket.begin(&sized(group, 40_000)).await.unwrap();
    let refused = socket.call(sized(group, 20_001)).await.unwrap_err();
    wait_of(&refused, ErrorCode::Overloaded, Duration::from_millis(250));
    let third = socket.begin(&sized(group, 20_000)).await.unwrap();
    let refused = socket.call(sized(group, 1)).await.unwrap_err();
    wait_of(&refused, ErrorCode::Overloaded, Duration::from_millis(250));
    store.release();
    for (number, pending) in (2..).zip([first, second, third]) {
        let ack = socket.finish(pending).await.unwrap().unwrap();
        assert_eq!(ack.seq, Seq::new(number));
    }
    assert_eq!(
        http.call(sized(group, 40_000)).await.unwrap().seq,
        Seq::new(5)
    );
}

/// With room for two that wait: of six at once one is with the store, two
/// wait, and three are refused without waiting for anything.
async fn three_of_six_are_refused<
    F: Future<Output = Result<(), ErrorCode>> + std::marker::Send + 'static,
>(
    store: &SlowStore,
    ask: impl Fn() -> F,
) {
    store.hold();
    let first = tokio::spawn(ask());
    store.holds(1).await;
    let mut others: FuturesUnordered<_> = (0..5).map(|_| tokio::spawn(ask())).collect();
    for _ in 0..3 {
        let answer = patiently("a refusal", others.next()).await.unwrap();
        assert_eq!(answer.unwrap(), Err(ErrorCode::Overloaded));
    }
    store.release();
    assert_eq!(first.await.unwrap(), Ok(()));
    while let Some(answer) = others.next().await {
        assert_eq!(answer.unwrap(), Ok(()));
    }
}

#[tokio::test]
async fn conversations_rosters_and_positions_that_wait_are_bounded_too() {
    let (_folder, store, server, ada, group) =
        slow_server(|limits| limits.waiting_messages = 2).await;
    let (caller, http) = (caller_of(&ada), server.http_of(&ada));
    let created = async |server: &TestServer| {
        let list = conversation::List::default();
        server
            .http_of(&ada)
            .call(list)
            .await
            .unwrap()
            .conversations
            .len()
    };
    three_of_six_are_refused(&store, || {
        let engine = server.engine().clone();
        async move {
            let created = engine.call(&caller, group_of(Vec::new())).await;
            created.map(drop).map_err(|error| error.code())
        }
    })
    .await;
    assert_eq!(created(&server).await, 1 + 3);

    three_of_six_are_refused(&store, || {
        let engine = server.engine().clone();
        async move {
            let read = Read {
                conversation: group,
                seq: Seq::new(1),
            };
            let moved = engine.call(&caller, read).await;
            moved.map(drop).map_err(|error| error.code())
        }
    })
    .await;
    http.call(Read {
        conversation: group,
        seq: Seq::new(1),
    })
    .await
    .unwrap();

    // The lane is full of messages: a roster does not change beside them.
    let bob = server.register("bob").await;
    store.hold();
    let mut socket = server.socket(&ada, Encoding::Json).await;
    let mut pending = vec![socket.begin(&sized(group, 10)).await.unwrap()];
    store.holds(1).await;
    pending.push(socket.begin(&sized(group, 10)).await.unwrap());
    let refused = socket.call(sized(group, 10)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Overloaded);
    let add = || Add {
        conversation: group,
        users: vec![bob.user()],
    };
    let adding = tokio::spawn({
        let (http, add) = (http.clone(), add());
        async move { http.call(add).await }
    });
    store.release();
    for pending in pending {
        socket.finish(pending).await.unwrap().unwrap();
    }
    if let Err(error) = adding.await.unwrap() {
        assert_eq!(error.code, ErrorCode::Overloaded);
    }
    http.call(add()).await.unwrap();
}
