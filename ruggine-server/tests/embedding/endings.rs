//! How a server leaves, and how it says so.

use std::time::Duration;

use ruggine_core::codec::Encoding;
use ruggine_server::Drain;
use ruggine_server::testing::{SocketClient, TestServer, open_sqlite, patiently, text_message};

#[tokio::test]
async fn a_server_without_a_drain_ends_at_once() {
    let mut server = TestServer::start().await;
    let ada = server.register("ada").await;
    let mut socket = server.socket(&ada, Encoding::MsgPack).await;
    let mut stranger = SocketClient::connect(server.address(), Encoding::Json).await;
    // Connections of which nobody has heard anything are no reason to wait.
    let _idle = tokio::net::TcpStream::connect(server.address())
        .await
        .unwrap();
    let begun = tokio::time::Instant::now();
    let ending = tokio::spawn(server.take().shut_down(Drain::default()));
    assert_eq!(socket.ending().await.code, Some(4009));
    assert_eq!(stranger.ending().await.code, Some(4009));
    ending.await.unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    let refused = SocketClient::try_connect(server.address(), Encoding::Json).await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn a_server_says_that_it_leaves_before_it_does() {
    let mut server = TestServer::start().await;
    let ada = server.register("ada").await;
    let http = server.http_of(&ada);
    let group = server.group(&ada, &[]).await;
    let mut socket = server.socket(&ada, Encoding::Json).await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(http.get(path).await.status, 200);
    }
    let drain = Drain {
        lead: Duration::from_secs(2),
        ..Drain::default()
    };
    let ending = tokio::spawn(server.take().shut_down(drain));
    patiently("the server to say that it leaves", async {
        while http.get("/readyz").await.status != 503 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(http.get("/healthz").await.status, 200);
    // Until the balancer has noticed, everything still works.
    http.call(text_message(group, "still here")).await.unwrap();
    socket.next_row().await;
    assert!(
        SocketClient::try_connect(server.address(), Encoding::Json)
            .await
            .is_ok()
    );
    assert_eq!(socket.ending().await.code, Some(4009));
    ending.await.unwrap();
}

#[tokio::test]
async fn a_server_whose_store_is_gone_lives_and_is_not_ready() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_sqlite(folder.path()).await;
    let server = TestServer::options()
        .folder(folder.path())
        .store(store.clone())
        .start()
        .await;
    let http = server.http();
    assert_eq!(http.get("/readyz").await.status, 200);
    store.close().await;
    assert_eq!(http.get("/readyz").await.status, 503);
    assert_eq!(http.get("/healthz").await.status, 200);
}
