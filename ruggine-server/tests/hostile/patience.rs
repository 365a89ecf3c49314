//! How long a socket is borne with: before hello, in silence, and when its peer
//! takes nothing.

use std::sync::Arc;
use std::time::Duration;

use ruggine_core::codec::Encoding;
use ruggine_server::metrics::PrometheusMetrics;
use ruggine_server::testing::{TestServer, eventually, patiently, text_message};
use serde_json::json;
use tokio::net::TcpSocket;

use super::raw_socket::{
    CLOSE, FIN, PING, PONG, RawSocket, SILENT, SLOW_CONSUMER, TEXT, UNAUTHENTICATED, code_of,
    frame, header,
};
use super::scene::{Scene, hello};

#[tokio::test]
async fn a_peer_that_does_not_say_hello_in_time_is_closed_whatever_else_it_sends() {
    let options =
        TestServer::options().edge(|edge| edge.hello_timeout = Duration::from_millis(200));
    let mut scene = Scene::of(options).await;
    let silent = scene.raw(Encoding::Json, false).await;
    assert_eq!(silent.ended().await.code, Some(UNAUTHENTICATED));

    let mut half = scene.raw(Encoding::Json, false).await;
    half.send(&frame(FIN | TEXT, br#"{"id":1,"method":"hello"}"#)[..12])
        .await;
    assert_eq!(half.ended().await.code, Some(UNAUTHENTICATED));

    let mut endless = scene.raw(Encoding::Json, false).await;
    endless.send(&frame(TEXT, b"{")).await;
    assert_eq!(endless.ended().await.code, Some(UNAUTHENTICATED));

    for ping in [frame(FIN | PING, b"alive"), frame(FIN | PONG, b"")] {
        let mut pinging = scene.raw(Encoding::Json, false).await;
        let mut pause = tokio::time::interval(Duration::from_millis(20));
        let code = patiently("a close", async {
            loop {
                tokio::select! {
                    received = pinging.receive() => match received.unwrap() {
                        (CLOSE, payload) => break code_of(&payload),
                        (opcode, _) => assert_eq!(opcode, PONG),
                    },
                    _ = pause.tick() => pinging.try_send(&ping).await,
                }
            }
        });
        assert_eq!(code.await, Some(UNAUTHENTICATED));
    }
    scene.is_unharmed("peers without a hello").await;

    // What needs a login is refused before it, and eight answers are all.
    let mut stranger = scene.raw(Encoding::Json, false).await;
    for id in 1..=8 {
        stranger.begin(id, &json!({"method": "session.list"})).await;
        assert_eq!(stranger.refusal(id).await, "hello_required");
    }
    assert_eq!(stranger.ended().await.code, Some(UNAUTHENTICATED));
    scene.is_unharmed("a stranger").await;
}

#[tokio::test]
async fn a_second_hello_is_refused_and_changes_nothing() {
    let scene = Scene::new().await;
    let bob = scene.server.register("bob").await;
    let mut socket = scene.raw(Encoding::Json, true).await;
    for (id, token) in [(1, scene.mallory.token()), (2, bob.token())] {
        socket.begin(id, &hello(token)).await;
        assert_eq!(socket.refusal(id).await, "invalid_params");
    }
    socket.begin(3, &json!({"method": "sync.heads"})).await;
    let answer = socket.answer().await;
    assert_eq!(answer["result"]["user"], scene.mallory.user().to_string());
    let offline = patiently("presence", async {
        let users = vec![bob.user()];
        let query = ruggine_core::api::presence::Query { users };
        scene
            .server
            .http_of(&bob)
            .call(query)
            .await
            .unwrap()
            .presences
    });
    assert!(!offline.await[0].online);
}

#[tokio::test]
async fn a_peer_from_which_nothing_is_heard_is_closed_and_one_that_answers_is_not() {
    const BEATS: usize = 30;
    let options = TestServer::options().edge(|edge| {
        edge.heartbeat = Duration::from_millis(50);
        edge.silence = Duration::from_secs(1);
    });
    let metrics = Arc::new(PrometheusMetrics::new().unwrap());
    let server = options.metrics(metrics.clone()).start().await;
    let mallory = server.register("mallory").await;
    let open = async || {
        let mut socket = RawSocket::open(server.address(), Encoding::Json).await;
        socket.begin(0, &hello(mallory.token())).await;
        assert!(socket.answer().await["result"].is_object());
        socket
    };
    let mut alive = open().await;
    // Longer than the silence that is allowed, with a sign of life each beat.
    for _ in 0..BEATS {
        let (opcode, payload) = alive.receive().await.unwrap();
        assert_eq!(opcode, PING);
        alive.send(&frame(FIN | PONG, &payload)).await;
    }
    assert_eq!(alive.ended().await.code, Some(SILENT));

    // Bytes of a frame that never ends are no sign of life.
    let mut dripping = open().await;
    dripping.send(&header(FIN | TEXT, 60_000)).await;
    dripping.send(&[0; 4]).await;
    let mut pause = tokio::time::interval(Duration::from_millis(20));
    let code = patiently("a close", async {
        loop {
            tokio::select! {
                received = dripping.receive() => match received.unwrap() {
                    (CLOSE, payload) => break code_of(&payload),
                    (opcode, _) => assert_eq!(opcode, PING),
                },
                _ = pause.tick() => dripping.try_send(b"x").await,
            }
        }
    });
    assert_eq!(code.await, Some(SILENT));
    eventually("no socket to be left", async || {
        server.engine().live_sockets() == 0
    })
    .await;
    assert!(metrics.render().contains("\npanics 0\n"));
}

#[tokio::test]
async fn a_peer_that_takes_nothing_is_closed_and_told_so_if_it_listens_again() {
    let options = TestServer::options().edge(|edge| edge.write_timeout = Duration::from_secs(1));
    let mut scene = Scene::of(options).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    let stream = socket.connect(scene.address()).await.unwrap();
    let mut stuck = RawSocket::over(stream, Encoding::MsgPack).await;
    stuck.begin(0, &hello(scene.mallory.token())).await;
    stuck.answer().await;
    let words = "x".repeat(30 * 1024);
    patiently("the connection to be given up", async {
        while scene.server.engine().live_sockets() > 1 {
            let message = text_message(scene.shared, &words);
            scene.neighbour.call(message).await.unwrap();
            scene.neighbour.take_events();
        }
    })
    .await;
    assert_eq!(stuck.ended().await.code, Some(SLOW_CONSUMER));
    scene.neighbour.catch_up().await;
    scene.accept().await;
    scene.is_unharmed("a peer that takes nothing").await;
}
