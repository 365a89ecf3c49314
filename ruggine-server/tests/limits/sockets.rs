//! How many sockets a user and an address may have, and how fast they may come.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use ruggine_core::codec::Encoding;
use ruggine_core::secret::SecretText;
use ruggine_core::version::WEBSOCKET_PATH;
use ruggine_core::{ApiError, ErrorCode};
use ruggine_server::config::Limits;
use ruggine_server::testing::{ServerOptions, SocketClient, eventually, patiently};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite};

use super::support::{limited, look_up, wait_of};

/// A handshake that says where it comes from, and what answers it.
async fn shake(
    address: SocketAddr,
    forwarded: &str,
) -> Result<WebSocketStream<TcpStream>, (u16, ApiError, Option<String>)> {
    let stream = TcpStream::connect(address).await.unwrap();
    let mut request = format!("ws://{address}{WEBSOCKET_PATH}")
        .into_client_request()
        .unwrap();
    request
        .headers_mut()
        .insert("x-forwarded-for", forwarded.parse().unwrap());
    match patiently("a handshake", client_async(request, stream)).await {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::Error::Http(response)) => {
            let retry = response.headers().get("retry-after");
            let retry = retry.map(|value| value.to_str().unwrap().to_owned());
            let body = response.body().clone().unwrap_or_default();
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            let error = serde_json::from_value(body["error"].clone()).unwrap();
            Err((response.status().as_u16(), error, retry))
        }
        Err(error) => panic!("{error}"),
    }
}

fn behind_a_proxy(change: impl FnOnce(&mut Limits)) -> ServerOptions {
    limited(change)
        .edge(|edge| edge.trusted_proxies = vec![IpAddr::from(Ipv4Addr::LOCALHOST).into()])
}

#[tokio::test]
async fn sockets_of_a_user_are_limited_over_all_devices() {
    let server = limited(|limits| limits.sockets_per_user = 2).start().await;
    let ada = server.register("ada").await;
    let phone = server.another_device(&ada).await;
    let first = server.socket(&ada, Encoding::Json).await;
    let mut second = server.socket(&phone, Encoding::MsgPack).await;
    for person in [&ada, &phone] {
        let mut third = SocketClient::connect(server.address(), Encoding::Json).await;
        let refused = third.hello(person.token()).await.unwrap_err();
        wait_of(
            &refused,
            ErrorCode::TooManyConnections,
            Duration::from_secs(30),
        );
        assert_eq!(third.ending().await.code, Some(4029));
    }
    assert_eq!(server.engine().live_sockets(), 2);
    second.catch_up().await;
    first.close().await;
    eventually("room", async || server.engine().live_sockets() == 1).await;
    server.socket(&phone, Encoding::Json).await;
}

/// `sockets_per_user` sockets, also when they all say hello at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sockets_of_a_user_are_limited_when_they_come_at_once() {
    let server = limited(|limits| limits.sockets_per_user = 2).start().await;
    let ada = server.register("ada").await;
    let sockets =
        join_all((0..12).map(|_| SocketClient::connect(server.address(), Encoding::Json)));
    let mut sockets = sockets.await;
    let greetings = join_all(sockets.iter_mut().map(|socket| socket.hello(ada.token()))).await;
    let greeted = greetings.iter().filter(|heads| heads.is_ok()).count();
    assert!(greeted <= 2, "{greeted} sockets of 2 allowed");
}

#[tokio::test]
async fn sockets_from_an_address_are_limited() {
    let server = behind_a_proxy(|limits| limits.sockets_per_address = 2)
        .start()
        .await;
    let address = server.address();
    let first = shake(address, "192.0.2.1").await.unwrap();
    let _second = shake(address, "192.0.2.1").await.unwrap();
    for _ in 0..3 {
        let (status, error, _) = shake(address, "192.0.2.1").await.unwrap_err();
        assert_eq!((status, error.code), (429, ErrorCode::TooManyConnections));
        assert!(error.retryable);
    }
    shake(address, "192.0.2.2").await.unwrap();
    drop(first);
    // The server sees the end a little later.
    let mut again = Vec::new();
    patiently("room for another", async {
        while again.is_empty() {
            again.extend(shake(address, "192.0.2.1").await);
        }
    })
    .await;
    assert!(shake(address, "192.0.2.1").await.is_err());
}

#[tokio::test]
async fn sockets_without_hello_from_an_address_are_limited_and_those_with_it_are_not() {
    let server = limited(|limits| limits.unauthenticated_per_address = 2)
        .start()
        .await;
    let ada = server.register("ada").await;
    let mut first = SocketClient::connect(server.address(), Encoding::Json).await;
    let mut second = SocketClient::connect(server.address(), Encoding::Json).await;
    let (status, error, _) = shake(server.address(), "192.0.2.1").await.unwrap_err();
    assert_eq!((status, error.code), (429, ErrorCode::TooManyConnections));
    let refused = first.hello(&SecretText::new("wrong")).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Unauthenticated);
    assert!(
        shake(server.address(), "192.0.2.1").await.is_err(),
        "a refused hello is none"
    );
    first.hello(ada.token()).await.unwrap();
    let mut greeted = vec![first];
    for _ in 0..5 {
        greeted.push(server.socket(&ada, Encoding::MsgPack).await);
    }
    second.hello(ada.token()).await.unwrap();
    let third = SocketClient::connect(server.address(), Encoding::Json).await;
    let _fourth = SocketClient::connect(server.address(), Encoding::Json).await;
    assert!(shake(server.address(), "192.0.2.1").await.is_err());
    third.close().await;
    patiently("room for another", async {
        while shake(server.address(), "192.0.2.1").await.is_err() {}
    })
    .await;
}

#[tokio::test]
async fn handshakes_beyond_the_rate_are_sent_away_with_a_time_to_come_back() {
    let second = Duration::from_secs(1);
    let server = behind_a_proxy(|limits| limits.handshakes_per_second = 1)
        .start()
        .await;
    let ada = server.register("ada").await;
    let address = server.address();
    let (mut let_in, began) = (0, Instant::now());
    let (status, error, retry) = loop {
        // From anywhere: this is the server's own rate.
        match shake(address, &format!("192.0.2.{}", let_in % 250)).await {
            Ok(_) => let_in += 1,
            Err(refusal) => break refusal,
        }
    };
    let earned = began.elapsed().as_secs() + 1;
    assert!(let_in >= 1 && let_in <= 1 + earned, "{let_in}");
    assert_eq!(status, 503);
    assert_eq!(retry.as_deref(), Some("1"));
    let wait = wait_of(&error, ErrorCode::Overloaded, second);
    server.http_of(&ada).call(look_up("ada")).await.unwrap();
    tokio::time::sleep(wait).await;
    shake(address, "192.0.2.9").await.unwrap();
}
