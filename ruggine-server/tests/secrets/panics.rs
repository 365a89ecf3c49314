//! Panics: each ends its own operation, is counted, and leaves nothing held.

use std::sync::Arc;

use ruggine_core::ErrorCode;
use ruggine_core::api::Method;
use ruggine_core::api::account::LookUp;
use ruggine_core::codec::Encoding;
use ruggine_server::testing::{SocketClient, TestServer, eventually, text_message};

use super::faults::{Faults, Nervous};
use super::requests::{BOTH, hello};

#[tokio::test]
async fn a_panic_during_an_operation_ends_that_operation_alone() {
    let faults = Arc::new(Faults::default());
    let hooks = Arc::new(Nervous::default());
    let server = TestServer::options()
        .metrics(faults.clone())
        .hooks(hooks.clone())
        .start()
        .await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    for encoding in BOTH {
        let mut socket = server.socket(&ada, encoding).await;
        *hooks.before.lock() = Some(Method::MessageSend);
        let refused = socket.call(text_message(group, "now")).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::Internal);
        assert!(refused.retryable);
        *hooks.before.lock() = Some(Method::AccountLogin);
        let mut stranger = SocketClient::connect(server.address(), encoding).await;
        let refused = stranger.call(ada.new_login()).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::Internal);
        *hooks.before.lock() = None;
        stranger.call(ada.new_login()).await.unwrap();
        socket.call(text_message(group, "again")).await.unwrap();
    }
    assert_eq!(faults.panics(), 4);
    assert_eq!(server.http_of(&ada).read_log(group).await.unwrap().len(), 3);
}

/// Hello over a socket is an operation like the others.
#[tokio::test]
async fn a_panic_during_hello_is_answered_and_counted() {
    let faults = Arc::new(Faults::default());
    let hooks = Arc::new(Nervous::default());
    let server = TestServer::options()
        .metrics(faults.clone())
        .hooks(hooks.clone())
        .start()
        .await;
    let ada = server.register("ada").await;
    *hooks.before.lock() = Some(Method::Hello);
    let mut socket = SocketClient::connect(server.address(), Encoding::Json).await;
    let answer = socket.try_call(hello(ada.token())).await;
    assert_eq!(faults.panics(), 1, "{answer:?}");
    assert_eq!(answer.unwrap().unwrap_err().code, ErrorCode::Internal);
    *hooks.before.lock() = None;
    server.socket(&ada, Encoding::Json).await;
    assert_eq!(server.engine().live_sockets(), 1);
}

/// What runs beside an operation is watched too.
#[tokio::test]
async fn a_panic_after_an_operation_is_counted() {
    let faults = Arc::new(Faults::default());
    let hooks = Arc::new(Nervous::default());
    let server = TestServer::options()
        .metrics(faults.clone())
        .hooks(hooks.clone())
        .start()
        .await;
    let ada = server.register("ada").await;
    let http = server.http_of(&ada);
    *hooks.after.lock() = Some(Method::UserLookup);
    for _ in 0..3 {
        http.call(LookUp {
            username: "ada".to_owned(),
        })
        .await
        .unwrap();
    }
    // A task that is made later is run later, on a runtime of one thread.
    *hooks.after.lock() = None;
    http.call(LookUp {
        username: "ada".to_owned(),
    })
    .await
    .unwrap();
    assert_eq!(faults.panics(), 3);
}

#[tokio::test]
async fn a_panic_leaves_nothing_held() {
    let hooks = Arc::new(Nervous::default());
    let server = TestServer::options().hooks(hooks.clone()).start().await;
    let ada = server.register("ada").await;
    *hooks.before.lock() = Some(Method::Hello);
    for _ in 0..5 {
        let mut socket = SocketClient::connect(server.address(), Encoding::Json).await;
        let _ = socket.try_call(hello(ada.token())).await;
    }
    *hooks.before.lock() = None;
    eventually("no socket to be left", async || {
        server.engine().live_sockets() == 0
    })
    .await;
    server.socket(&ada, Encoding::MsgPack).await;
}
