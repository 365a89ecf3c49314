//! Every amount that a server is given: what lies beyond it is refused with the
//! word that the protocol has for it, stores nothing, and is well again when the
//! time that was named is over.
#![cfg(all(feature = "http", feature = "sqlite"))]
#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect, in its helpers too"
)]

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, join_all};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use ruggine_core::api::account::{LogIn, LookUp};
use ruggine_core::api::conversation::{
    self, Conversation, ConversationKind, Create, ProtectionMode,
};
use ruggine_core::api::member::{self, Add};
use ruggine_core::api::message::{Item, Page, PageRequest, PageStart, Send};
use ruggine_core::api::position::Read;
use ruggine_core::api::presence::{Query, SetTyping};
use ruggine_core::api::session::{List, Refresh};
use ruggine_core::api::sync::Hello;
use ruggine_core::api::{Method, Operation};
use ruggine_core::codec::Encoding;
use ruggine_core::frame::ServerFrame;
use ruggine_core::name::Username;
use ruggine_core::secret::SecretText;
use ruggine_core::time::{ManualClock, SystemClock};
use ruggine_core::version::{ProtocolVersion, WEBSOCKET_PATH};
use ruggine_core::{
    ApiError, Clock, ConversationId, DeviceId, ErrorCode, Event, Seq, SessionId, Timestamp, UserId,
    limits,
};
use ruggine_crypto::token::TokenHash;
use ruggine_server::auth::Principal;
use ruggine_server::config::Limits;
use ruggine_server::engine::{Caller, OpenSocket, Outgoing};
use ruggine_server::hooks::{Attempt, Hooks, Outcome, Verdict};
use ruggine_server::metrics::{Measurement, Metrics};
use ruggine_server::store::*;
use ruggine_server::testing::{
    HttpClient, Person, ServerOptions, SocketClient, TestServer, eventually, fresh_message_id,
    open_sqlite, patiently, text_message,
};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn limited(change: impl FnOnce(&mut Limits)) -> ServerOptions {
    TestServer::options().config(|config| change(&mut config.limits))
}

fn look_up(username: &str) -> LookUp {
    LookUp {
        username: username.to_owned(),
    }
}

fn wrong_login(username: &str) -> LogIn {
    LogIn {
        username: username.to_owned(),
        password: SecretText::new("certainly not the password"),
        device: None,
        device_name: None,
    }
}

fn group_of(members: Vec<UserId>) -> Create {
    Create {
        kind: ConversationKind::Group,
        mode: ProtectionMode::Managed,
        members,
        id: None,
    }
}

fn strangers(count: usize) -> Vec<UserId> {
    (0..count).map(|_| UserId::new(START)).collect()
}

/// What the log's newest number is.
async fn head(http: &HttpClient, conversation: ConversationId) -> u64 {
    let request = conversation::Get { conversation };
    http.call(request).await.unwrap().head.get()
}

/// The time that a refusal names, which every refusal by a rate must.
fn wait_of(error: &ApiError, code: ErrorCode, longest: Duration) -> Duration {
    assert_eq!(error.code, code, "{error}");
    assert!(error.retryable);
    let wait = Duration::from_millis(error.retry_after_ms.expect("a limit says how long to wait"));
    // What is told is rounded up.
    let longest = longest + Duration::from_millis(1);
    assert!(wait > Duration::ZERO && wait <= longest, "{wait:?}");
    wait
}

/// Asks until a rate refuses, and returns how often it did not and the refusal.
/// A slow machine may earn more on the way, but never more than the rate allows.
async fn exhaust<T, F: Future<Output = Result<T, ApiError>>>(
    burst: u32,
    period: Duration,
    mut ask: impl FnMut() -> F,
) -> (u32, ApiError) {
    let began = Instant::now();
    let mut accepted = 0;
    loop {
        match ask().await {
            Ok(_) => accepted += 1,
            Err(error) => {
                let earned = began.elapsed().div_duration_f64(period).ceil() as u32;
                assert!(accepted >= burst, "only {accepted} of {burst}: {error}");
                assert!(
                    accepted <= burst + earned,
                    "{accepted} of {burst} and {earned}"
                );
                return (accepted, error);
            }
        }
    }
}

#[tokio::test]
async fn a_device_sends_its_burst_and_then_at_its_rate() {
    let second = Duration::from_secs(1);
    let server = limited(|limits| {
        limits.sends_per_second = 1;
        limits.send_burst = 3;
    })
    .start()
    .await;
    let ada = server.register("ada").await;
    let phone = server.another_device(&ada).await;
    let group = server.group(&ada, &[]).await;
    let http = server.http_of(&ada);
    let (sent, refused) = exhaust(3, second, || http.call(text_message(group, "again"))).await;
    let wait = wait_of(&refused, ErrorCode::RateLimited, second);
    assert_eq!(
        head(&http, group).await,
        u64::from(1 + sent),
        "a refused message is not stored"
    );

    // A rate is a device's and concerns messages alone.
    server
        .http_of(&phone)
        .call(text_message(group, "from the phone"))
        .await
        .unwrap();
    http.call(look_up("ada")).await.unwrap();
    let mut socket = server.socket(&ada, Encoding::MsgPack).await;
    let over_socket = socket.call(text_message(group, "by another way")).await;
    if let Err(error) = over_socket {
        wait_of(&error, ErrorCode::RateLimited, second);
    }

    tokio::time::sleep(wait).await;
    let (_, refused) = exhaust(1, second, || http.call(text_message(group, "later"))).await;
    let bytes = Encoding::Json
        .encode(&text_message(group, "once more"))
        .unwrap();
    tokio::time::sleep(wait_of(&refused, ErrorCode::RateLimited, second)).await;
    let (mut answer, mut limited_answer) = (http.post("/v1/message.send", &bytes).await, None);
    assert_eq!(
        answer.status, 200,
        "who waits as long as told is not refused again"
    );
    while limited_answer.is_none() {
        let bytes = Encoding::Json
            .encode(&text_message(group, "too soon"))
            .unwrap();
        answer = http.post("/v1/message.send", &bytes).await;
        limited_answer = (answer.status != 200).then_some(());
    }
    assert_eq!(answer.status, 429);
    assert_eq!(
        answer.header("retry-after"),
        Some("1"),
        "whole seconds, rounded up"
    );
}

#[tokio::test]
async fn a_repeated_message_counts_and_is_still_acknowledged_in_the_end() {
    let second = Duration::from_secs(1);
    let server = limited(|limits| {
        limits.sends_per_second = 1;
        limits.send_burst = 2;
    })
    .start()
    .await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    let http = server.http_of(&ada);
    let message = text_message(group, "once");
    let first = http.call(message.clone()).await.unwrap();
    let (_, refused) = exhaust(1, second, || http.call(message.clone())).await;
    tokio::time::sleep(wait_of(&refused, ErrorCode::RateLimited, second)).await;
    assert_eq!(http.call(message).await.unwrap(), first);
    assert_eq!(head(&http, group).await, 2);
}

#[tokio::test]
async fn typing_is_reported_twice_at_once_and_then_once_an_interval() {
    let interval = Duration::from_secs(1);
    let server = limited(|limits| limits.typing_interval = interval)
        .start()
        .await;
    let ada = server.register("ada").await;
    let phone = server.another_device(&ada).await;
    let (one, other) = (server.group(&ada, &[]).await, server.group(&ada, &[]).await);
    let http = server.http_of(&ada);
    let typing = |conversation| SetTyping {
        conversation,
        active: true,
    };
    let (_, refused) = exhaust(2, interval, || http.call(typing(one))).await;
    let wait = wait_of(&refused, ErrorCode::RateLimited, interval);
    http.call(typing(other)).await.unwrap();
    server.http_of(&phone).call(typing(one)).await.unwrap();
    http.call(text_message(one, "typed")).await.unwrap();
    tokio::time::sleep(wait).await;
    http.call(typing(one)).await.unwrap();
}

#[tokio::test]
async fn a_device_asks_its_burst_and_then_at_its_rate() {
    let second = Duration::from_secs(1);
    // The burst is four seconds' worth.
    let server = limited(|limits| limits.requests_per_second = 1)
        .start()
        .await;
    let ada = server.register("ada").await;
    let phone = server.another_device(&ada).await;
    let http = server.http_of(&ada);
    let group = http.call(group_of(Vec::new())).await.unwrap().id;
    let (_, refused) = exhaust(3, second, || http.call(look_up("ada"))).await;
    let wait = wait_of(&refused, ErrorCode::RateLimited, second);
    let create = http.call(group_of(Vec::new())).await;
    if let Err(error) = create {
        wait_of(&error, ErrorCode::RateLimited, second);
    }
    // Messages, other devices and what is public have rates of their own.
    http.call(text_message(group, "a message")).await.unwrap();
    server.http_of(&phone).call(look_up("ada")).await.unwrap();
    let tokens = Refresh {
        refresh: ada.login.tokens.refresh.clone(),
    };
    server.http().call(tokens).await.unwrap();
    let mut socket = SocketClient::connect(server.address(), Encoding::Json).await;
    socket.hello(ada.token()).await.unwrap();
    tokio::time::sleep(wait).await;
    http.call(look_up("ada")).await.unwrap();
}

#[tokio::test]
async fn the_wait_after_failed_logins_doubles_up_to_an_hour() {
    let clock = Arc::new(ManualClock::new(START));
    let server = limited(|limits| limits.login_failures_per_account = 2)
        .clock(clock.clone())
        .start()
        .await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let http = server.http();
    for username in ["ada", "nobody-here"] {
        let first = http.call(wrong_login(username)).await.unwrap_err();
        assert_eq!(first.code, ErrorCode::InvalidCredentials);
        let mut waits = Vec::new();
        for _ in 0..8 {
            let failed = http.call(wrong_login(username)).await.unwrap_err();
            assert_eq!(failed.code, ErrorCode::InvalidCredentials, "{username}");
            // In any case of the letters, and with the right password too.
            let upper = username.to_ascii_uppercase();
            for login in [
                wrong_login(&upper),
                LogIn {
                    username: username.to_owned(),
                    ..ada.new_login()
                },
            ] {
                let refused = http.call(login).await.unwrap_err();
                wait_of(
                    &refused,
                    ErrorCode::RateLimited,
                    Duration::from_secs(60 * 60),
                );
            }
            let refused = http.call(wrong_login(username)).await.unwrap_err();
            let wait = refused.retry_after_ms.unwrap() - 1;
            clock.advance(Duration::from_millis(wait - 1));
            let refused = http.call(wrong_login(username)).await.unwrap_err();
            assert_eq!(
                refused.code,
                ErrorCode::RateLimited,
                "a millisecond is left"
            );
            clock.advance(Duration::from_millis(1));
            waits.push(wait / 60_000);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60], "{username}");
    }
    http.call(bob.new_login()).await.unwrap();
    // A success ends it: the next failures count from one.
    http.call(ada.new_login()).await.unwrap();
    http.call(wrong_login("ada")).await.unwrap_err();
    http.call(ada.new_login()).await.unwrap();
    // So does a minute without any.
    http.call(wrong_login("ada")).await.unwrap_err();
    clock.advance(Duration::from_secs(61));
    http.call(wrong_login("ada")).await.unwrap_err();
    http.call(ada.new_login()).await.unwrap();
}

#[tokio::test]
async fn a_text_that_cannot_be_a_username_is_not_counted() {
    let server = limited(|limits| limits.login_failures_per_account = 1)
        .start()
        .await;
    let http = server.http();
    for _ in 0..3 {
        let failed = http.call(wrong_login("no such name")).await.unwrap_err();
        assert_eq!(failed.code, ErrorCode::InvalidCredentials);
    }
}

/// Who asks many times at once must not get more guesses than who asks in turn.
#[tokio::test]
async fn guesses_that_are_made_at_once_count_like_those_in_turn() {
    let server = limited(|limits| {
        limits.login_failures_per_account = 3;
        limits.hashing_permits = 1;
    })
    .start()
    .await;
    server.register("ada").await;
    let http = server.http();
    let guesses = join_all((0..12).map(|_| http.call(wrong_login("ada")))).await;
    let codes: Vec<_> = guesses
        .into_iter()
        .map(|guess| guess.unwrap_err().code)
        .collect();
    let tried = codes
        .iter()
        .filter(|code| **code == ErrorCode::InvalidCredentials)
        .count();
    assert!(
        tried <= 3,
        "{tried} passwords were tried of 3 allowed: {codes:?}"
    );
}

#[tokio::test]
async fn logins_and_registrations_of_an_address_are_limited_apart() {
    let server = limited(|limits| {
        limits.logins_per_address = 2;
        limits.registrations_per_address = 2;
    })
    .start()
    .await;
    let http = server.http();
    let ada = server.register("ada").await;
    server.register("bob").await;
    let refused = http.call(Person::registration("eve")).await.unwrap_err();
    wait_of(
        &refused,
        ErrorCode::RateLimited,
        Duration::from_secs(30 * 60),
    );
    // A name that is free by the answer is free in fact.
    let found = server.http_of(&ada).call(look_up("eve")).await.unwrap_err();
    assert_eq!(found.code, ErrorCode::UserNotFound);

    // Good and bad logins count alike; so no other account helps.
    http.call(ada.new_login()).await.unwrap();
    http.call(wrong_login("bob")).await.unwrap_err();
    for login in [ada.new_login(), wrong_login("nobody")] {
        let refused = http.call(login).await.unwrap_err();
        wait_of(&refused, ErrorCode::RateLimited, Duration::from_secs(30));
    }
    let mut socket = SocketClient::connect(server.address(), Encoding::Json).await;
    let refused = socket.call(ada.new_login()).await.unwrap_err();
    wait_of(&refused, ErrorCode::RateLimited, Duration::from_secs(30));
    let refused = socket.call(Person::registration("eve")).await.unwrap_err();
    wait_of(
        &refused,
        ErrorCode::RateLimited,
        Duration::from_secs(30 * 60),
    );
    // Who is logged in already notices nothing.
    socket.hello(ada.token()).await.unwrap();
    let sessions = server.http_of(&ada).call(List {}).await.unwrap().sessions;
    assert_eq!(sessions.len(), 2);
}

#[tokio::test]
async fn a_forwarded_address_counts_only_from_a_trusted_proxy() {
    let from = |http: &HttpClient, chain: &str| http.clone().with_header("x-forwarded-for", chain);
    let one_login = |limits: &mut Limits| limits.logins_per_address = 1;

    let server = limited(one_login).start().await;
    let ada = server.register("ada").await;
    let http = server.http();
    from(&http, "192.0.2.1")
        .call(ada.new_login())
        .await
        .unwrap();
    for pretended in ["192.0.2.2", "127.0.0.2", "::1"] {
        let refused = from(&http, pretended)
            .call(ada.new_login())
            .await
            .unwrap_err();
        assert_eq!(refused.code, ErrorCode::RateLimited, "{pretended}");
    }

    let proxies: Vec<IpAddr> = vec![Ipv4Addr::LOCALHOST.into(), "198.51.100.1".parse().unwrap()];
    let server = limited(one_login)
        .edge(|edge| edge.trusted_proxies = proxies)
        .start()
        .await;
    let ada = server.register("ada").await;
    let http = server.http();
    for real in ["192.0.2.1", "192.0.2.2", "2001:db8::1"] {
        from(&http, real).call(ada.new_login()).await.unwrap();
        let same = [
            real.to_owned(),
            format!("203.0.113.9, {real}"),
            format!("nonsense, {real}, 198.51.100.1"),
            format!("{real},127.0.0.1"),
        ];
        for chain in same {
            let refused = from(&http, &chain).call(ada.new_login()).await.unwrap_err();
            assert_eq!(refused.code, ErrorCode::RateLimited, "{chain}");
        }
    }
    // One address, however it is written.
    let mapped = from(&http, "::ffff:192.0.2.1")
        .call(ada.new_login())
        .await
        .unwrap_err();
    assert_eq!(mapped.code, ErrorCode::RateLimited);
}

#[tokio::test]
async fn passwords_beyond_those_that_may_wait_are_not_hashed() {
    let server = limited(|limits| {
        limits.hashing_permits = 1;
        limits.hashing_queue = 2;
    })
    .start()
    .await;
    let ada = server.register("ada").await;
    let http = server.http();
    let (mut logged_in, mut overloaded, mut round) = (1, 0, 0);
    patiently("the queue to be full", async {
        while overloaded == 0 {
            round += 1;
            let registrations = (0..4)
                .map(|number| http.call(Person::registration(&format!("user{round}.{number}"))));
            let logins = (0..12).map(|_| http.call(ada.new_login()));
            let (logins, registrations) = tokio::join!(join_all(logins), join_all(registrations));
            for login in logins {
                match login {
                    Ok(_) => logged_in += 1,
                    Err(error) => {
                        wait_of(&error, ErrorCode::Overloaded, Duration::from_secs(1));
                        overloaded += 1;
                    }
                }
            }
            for (number, registered) in registrations.into_iter().enumerate() {
                let found = server
                    .http_of(&ada)
                    .call(look_up(&format!("user{round}.{number}")))
                    .await;
                assert_eq!(found.is_ok(), registered.is_ok(), "{registered:?}");
            }
        }
    })
    .await;
    assert!(logged_in > 1, "those who found a place were served");
    let sessions = server.http_of(&ada).call(List {}).await.unwrap().sessions;
    assert_eq!(sessions.len(), logged_in);
    http.call(ada.new_login()).await.unwrap();
}

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
    limited(change).edge(|edge| edge.trusted_proxies = vec![Ipv4Addr::LOCALHOST.into()])
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

/// A store whose writes to the log and of positions can be held back.
#[derive(Debug, Clone)]
struct SlowStore {
    store: Arc<dyn Store>,
    open: watch::Sender<bool>,
    /// Commits that are being held back.
    held: watch::Sender<usize>,
}

impl SlowStore {
    fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            open: watch::Sender::new(true),
            held: watch::Sender::new(0),
        }
    }

    async fn pass(&self) {
        self.held.send_modify(|held| *held += 1);
        let _ = self.open.subscribe().wait_for(|open| *open).await;
        self.held.send_modify(|held| *held -= 1);
    }

    fn hold(&self) {
        self.open.send_replace(false);
    }

    fn release(&self) {
        self.open.send_replace(true);
    }

    async fn holds(&self, count: usize) {
        let mut held = self.held.subscribe();
        let waited = patiently("a commit", held.wait_for(|held| *held >= count)).await;
        assert!(waited.is_ok());
    }
}

macro_rules! forward {
    ($( $seam:ident { $( $method:ident($( $arg:ident: $type:ty ),*) -> $output:ty; )+ } )+) => {
        $(
            impl $seam for SlowStore {
                $(
                    fn $method(&self $(, $arg: $type)*) -> BoxFuture<'_, $output> {
                        let slow = matches!(
                            stringify!($method),
                            "append" | "change_roster" | "create_conversation" | "move_positions"
                        );
                        async move {
                            if slow {
                                self.pass().await;
                            }
                            $seam::$method(&*self.store $(, $arg)*).await
                        }
                        .boxed()
                    }
                )+
            }
        )+
    };
}

forward! {
    DynAccountStore {
        create_user(user: NewUser) -> StoreResult<CreateUser>;
        user_by_name(username: Username) -> StoreResult<Option<UserRecord>>;
        users(ids: Vec<UserId>) -> StoreResult<Vec<UserRecord>>;
        acquaintances(user: UserId, others: Vec<UserId>) -> StoreResult<HashSet<UserId>>;
    }
    DynSessionStore {
        open_session(session: NewSession) -> StoreResult<OpenSession>;
        session_by_access(user: UserId, access: TokenHash, at: Timestamp) -> StoreResult<Option<SessionRecord>>;
        rotate_tokens(rotation: RotateTokens) -> StoreResult<Rotated>;
        sessions(user: UserId, at: Timestamp) -> StoreResult<Vec<SessionRecord>>;
        revoke_session(user: UserId, session: SessionId, at: Timestamp) -> StoreResult<bool>;
        revoked_among(sessions: Vec<(UserId, SessionId)>) -> StoreResult<Vec<SessionId>>;
        touch_session(user: UserId, session: SessionId, at: Timestamp) -> StoreResult<()>;
        advance_write_counter(user: UserId, device: DeviceId, counter: u64) -> StoreResult<AdvanceCounter>;
        purge_tokens(at: Timestamp) -> StoreResult<u64>;
    }
    DynConversationStore {
        create_conversation(conversation: NewConversation) -> StoreResult<CreateConversation>;
        conversation(id: ConversationId, user: UserId) -> StoreResult<Option<ConversationRecord>>;
        conversations(user: UserId, after: Option<ConversationId>, limit: usize) -> StoreResult<Vec<ConversationRecord>>;
        memberships(user: UserId) -> StoreResult<Vec<Membership>>;
        conversation_counts(users: Vec<UserId>) -> StoreResult<Vec<(UserId, u32)>>;
        members(id: ConversationId, after: Option<UserId>, limit: usize) -> StoreResult<(u64, Vec<MemberRecord>)>;
        roster_view(id: ConversationId, users: Vec<UserId>) -> StoreResult<Option<RosterView>>;
        roster(id: ConversationId) -> StoreResult<Option<Roster>>;
        change_roster(change: ChangeRoster) -> StoreResult<RosterOutcome>;
    }
    DynMessageStore {
        append(batch: Append) -> StoreResult<Appended>;
        page(query: PageQuery) -> StoreResult<Option<StoredPage>>;
        rows(id: ConversationId, from: Seq, to: Seq, limit: u32) -> StoreResult<Vec<StoredRow>>;
        heads(ids: Vec<ConversationId>) -> StoreResult<Vec<ConversationHead>>;
        pending_batches(before: Timestamp, limit: u32) -> StoreResult<Vec<PendingBatch>>;
        settle(batches: Vec<BatchId>) -> StoreResult<()>;
    }
    DynPositionStore {
        device_heads(query: HeadsQuery) -> StoreResult<Vec<HeadRecord>>;
        move_positions(moves: Vec<MovePosition>) -> StoreResult<Vec<Moved>>;
    }
}

impl DynMaintenance for SlowStore {
    fn facts(&self) -> BoxFuture<'_, StoreResult<StoreFacts>> {
        self.store.facts()
    }

    fn ping(&self) -> BoxFuture<'_, StoreResult<()>> {
        self.store.ping()
    }

    fn sealing_keys(&self) -> BoxFuture<'_, StoreResult<Vec<(String, SealedText)>>> {
        self.store.sealing_keys()
    }

    fn register_key(&self, kid: String, record: SealedText) -> BoxFuture<'_, StoreResult<()>> {
        self.store.register_key(kid, record)
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.store.close()
    }
}

impl Store for SlowStore {
    fn lanes(&self) -> usize {
        self.store.lanes()
    }
}

/// A server over a store that can be held back, somebody, and their group.
async fn slow_server(
    change: impl FnOnce(&mut Limits),
) -> (
    tempfile::TempDir,
    SlowStore,
    TestServer,
    Person,
    ConversationId,
) {
    let folder = tempfile::tempdir().unwrap();
    let store = SlowStore::new(open_sqlite(folder.path()).await);
    let server = limited(change)
        .folder(folder.path())
        .store(Arc::new(store.clone()))
        .start()
        .await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    (folder, store, server, ada, group)
}

fn sized(conversation: ConversationId, bytes: usize) -> Send {
    Send {
        conversation,
        client_msg_id: fresh_message_id(),
        epoch: None,
        payload: Some(vec![b'x'; bytes].into()),
        content: None,
    }
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

fn caller_of(person: &Person) -> Caller {
    Caller {
        principal: Some(Principal {
            user: person.user(),
            device: person.device(),
            session: person.session(),
        }),
        ..Caller::anonymous(Ipv4Addr::LOCALHOST.into())
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

/// Counts the measurements that say that something was too much.
#[derive(Debug, Default)]
struct Counts {
    limited: AtomicU64,
    lagged: AtomicU64,
}

impl Metrics for Counts {
    fn record(&self, measurement: Measurement) {
        match measurement {
            Measurement::Limited => self.limited.fetch_add(1, Ordering::Relaxed),
            Measurement::Lagged => self.lagged.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
    }
}

fn hello(person: &Person) -> Hello {
    Hello {
        token: person.token().clone(),
        protocol: ProtocolVersion::CURRENT,
        locale: None,
        incarnation: None,
    }
}

/// Everything that waits in a socket's queue.
fn waiting(open: &OpenSocket) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some(outgoing) = open.socket().try_next() {
        let Outgoing::Frame(frame, _) = outgoing else {
            panic!("{outgoing:?} is no frame");
        };
        match ServerFrame::decode(Encoding::Json, &frame).unwrap() {
            ServerFrame::Event { name, data } => events.extend(Event::decode(&name, data).unwrap()),
            answer @ ServerFrame::Response { .. } => panic!("{answer:?} is no event"),
        }
    }
    events
}

fn row_of(event: &Event) -> Option<u64> {
    match event {
        Event::Message(message) => message.item.span().map(|(seq, _)| seq.get()),
        _ => None,
    }
}

#[tokio::test]
async fn a_full_queue_gives_way_to_the_word_where_the_log_stands() {
    let counts = Arc::new(Counts::default());
    let server = limited(|limits| limits.socket_events = 4)
        .metrics(counts.clone())
        .start()
        .await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let group = server.group(&ada, &[&bob]).await;
    let (engine, caller) = (server.engine(), caller_of(&ada));
    let anonymous = Caller::anonymous(Ipv4Addr::LOCALHOST.into());
    let (open, _) = engine
        .open_socket(&anonymous, hello(&bob), Encoding::Json)
        .await
        .unwrap();
    let send = async |count: usize| {
        for _ in 0..count {
            engine
                .call(&caller, text_message(group, "news"))
                .await
                .unwrap();
        }
        // What the lane does next is done when everything before was told.
        engine.call(&caller, group_of(Vec::new())).await.unwrap();
    };
    let typing = SetTyping {
        conversation: group,
        active: true,
    };
    let read = |seq| Read {
        conversation: group,
        seq: Seq::new(seq),
    };

    send(1).await;
    engine.call(&caller, typing).await.unwrap();
    let events = waiting(&open);
    assert_eq!(events.iter().filter_map(row_of).collect::<Vec<_>>(), [2]);
    assert!(matches!(events[1..], [Event::Typing(_)]), "{events:?}");

    // From the middle on what is forgotten first is left out, when full what
    // can be asked for; both without a word.
    send(2).await;
    engine.call(&caller, typing).await.unwrap();
    engine.call(&caller, read(1)).await.unwrap();
    send(1).await;
    engine.call(&caller, read(2)).await.unwrap();
    assert_eq!(open.socket().times_lagged(), 0);
    let events = waiting(&open);
    assert_eq!(
        events.iter().filter_map(row_of).collect::<Vec<_>>(),
        [3, 4, 5]
    );
    assert!(
        matches!(events[2], Event::Read(position) if position.seq.get() == 1),
        "{events:?}"
    );
    assert_eq!(events.len(), 4);

    // A row is never left out without a word.
    send(7).await;
    assert_eq!(open.socket().times_lagged(), 1);
    assert_eq!(counts.lagged.load(Ordering::Relaxed), 1);
    let events = waiting(&open);
    let [Event::Resync(resync)] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(resync.heads.len(), 1);
    assert_eq!(
        (resync.heads[0].conversation, resync.heads[0].head.get()),
        (group, 12)
    );
    send(1).await;
    assert_eq!(
        waiting(&open).iter().filter_map(row_of).collect::<Vec<_>>(),
        [13]
    );
}

#[tokio::test]
async fn a_queue_is_bounded_in_bytes_and_keeps_its_answers() {
    let server = limited(|limits| limits.socket_bytes = 10_000).start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let group = server.group(&ada, &[&bob]).await;
    let (engine, caller) = (server.engine(), caller_of(&ada));
    let anonymous = Caller::anonymous(Ipv4Addr::LOCALHOST.into());
    let (open, _) = engine
        .open_socket(&anonymous, hello(&bob), Encoding::Json)
        .await
        .unwrap();
    for _ in 0..3 {
        // Three thousand bytes are four thousand in base64.
        engine.call(&caller, sized(group, 3_000)).await.unwrap();
        open.socket()
            .reply(bytes::Bytes::from_static(b"answer"), None);
    }
    engine.call(&caller, group_of(Vec::new())).await.unwrap();
    assert_eq!(open.socket().times_lagged(), 1);
    for _ in 0..3 {
        let Some(Outgoing::Frame(frame, _)) = open.socket().try_next() else {
            panic!("an answer was left out");
        };
        assert_eq!(&frame[..], b"answer");
    }
    let events = waiting(&open);
    assert!(matches!(&events[..], [Event::Resync(resync)] if resync.heads[0].head.get() == 4));
}

async fn refused<O: Operation>(http: &HttpClient, request: O) -> ApiError
where
    O::Response: std::fmt::Debug,
{
    http.call(request).await.unwrap_err()
}

#[tokio::test]
async fn a_group_grows_to_its_limit_and_no_further() {
    let server = limited(|limits| limits.group_members = 3).start().await;
    let ada = server.register("ada").await;
    let people = [
        server.register("bob").await,
        server.register("eve").await,
        server.register("dan").await,
    ];
    let [bob, eve, dan] = &people;
    let group = server.group(&ada, &[bob]).await;
    let http = server.http_of(&ada);
    let add = |people: &[&Person]| Add {
        conversation: group,
        users: people.iter().map(|person| person.user()).collect(),
    };
    let error = refused(&http, add(&[eve, dan])).await;
    assert_eq!(error.code, ErrorCode::LimitReached);
    assert!(error.details.unwrap().contains("members"));
    assert!(!error.retryable);
    assert_eq!(head(&http, group).await, 1, "none of them was added");
    http.call(add(&[eve])).await.unwrap();
    assert_eq!(
        refused(&http, add(&[dan])).await.code,
        ErrorCode::LimitReached
    );
    // Who is in it already needs no room.
    http.call(add(&[eve, bob, &ada])).await.unwrap();
    server
        .http_of(bob)
        .call(member::Leave {
            conversation: group,
        })
        .await
        .unwrap();
    http.call(add(&[dan])).await.unwrap();
    assert_eq!(
        refused(&http, add(&[bob])).await.code,
        ErrorCode::LimitReached
    );
}

#[tokio::test]
async fn a_group_does_not_begin_beyond_its_limit() {
    let server = limited(|limits| limits.group_members = 2).start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let eve = server.register("eve").await;
    let http = server.http_of(&ada);
    http.call(group_of(vec![bob.user()])).await.unwrap();
    let create = group_of(vec![bob.user(), eve.user()]);
    assert_eq!(refused(&http, create).await.code, ErrorCode::LimitReached);
}

#[tokio::test]
async fn a_user_is_in_so_many_conversations_and_no_more() {
    let server = limited(|limits| limits.conversations_per_user = 2)
        .start()
        .await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let http = server.http_of(&ada);
    let first = server.group(&ada, &[]).await;
    server.direct(&ada, &bob).await;
    let direct = |to: &Person| Create {
        kind: ConversationKind::Direct,
        ..group_of(vec![to.user()])
    };
    let eve = server.register("eve").await;
    for create in [
        group_of(Vec::new()),
        group_of(vec![bob.user()]),
        direct(&eve),
    ] {
        let error = refused(&http, create).await;
        assert_eq!(error.code, ErrorCode::LimitReached);
        assert!(error.details.unwrap().contains("conversations"));
    }
    // Nobody else can put them over it either.
    let theirs = server.http_of(&bob);
    let group = theirs.call(group_of(Vec::new())).await.unwrap().id;
    let add = Add {
        conversation: group,
        users: vec![ada.user()],
    };
    assert_eq!(
        refused(&theirs, add.clone()).await.code,
        ErrorCode::LimitReached
    );
    for create in [group_of(vec![ada.user()]), direct(&ada)] {
        let error = refused(&server.http_of(&eve), create).await;
        assert_eq!(error.code, ErrorCode::LimitReached);
    }
    let list = conversation::List::default();
    assert_eq!(http.call(list).await.unwrap().conversations.len(), 2);
    assert_eq!(
        server.http_of(&eve).call(list).await.unwrap().conversations,
        []
    );
    // A conversation that was left counts no more.
    http.call(member::Leave {
        conversation: first,
    })
    .await
    .unwrap();
    theirs.call(add).await.unwrap();
}

/// What exists is returned as it is, however many there are.
#[tokio::test]
async fn a_conversation_that_exists_is_returned_to_one_who_may_have_no_more() {
    let server = limited(|limits| limits.conversations_per_user = 2)
        .start()
        .await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let http = server.http_of(&ada);
    let group = Create {
        id: Some(ConversationId::new(SystemClock.now())),
        ..group_of(Vec::new())
    };
    let direct = Create {
        kind: ConversationKind::Direct,
        ..group_of(vec![bob.user()])
    };
    let made = [
        http.call(direct.clone()).await.unwrap(),
        http.call(group.clone()).await.unwrap(),
    ];
    let again: [Result<Conversation, ApiError>; 2] =
        [http.call(direct).await, http.call(group).await];
    assert_eq!(again, made.map(Ok));
}

#[tokio::test]
async fn no_more_users_are_named_at_once_than_may() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    let http = server.http_of(&ada);
    let add = |users| Add {
        conversation: group,
        users,
    };
    let most = limits::MEMBERS_PER_REQUEST;
    assert_eq!(
        refused(&http, group_of(strangers(most))).await.code,
        ErrorCode::UserNotFound
    );
    assert_eq!(
        refused(&http, group_of(strangers(most + 1))).await.code,
        ErrorCode::LimitReached
    );
    assert_eq!(
        refused(&http, add(strangers(most))).await.code,
        ErrorCode::UserNotFound
    );
    assert_eq!(
        refused(&http, add(strangers(most + 1))).await.code,
        ErrorCode::LimitReached
    );
    // The same one many times is many names.
    let same = vec![ada.user(); most + 1];
    assert_eq!(
        refused(&http, group_of(same.clone())).await.code,
        ErrorCode::LimitReached
    );
    assert_eq!(
        refused(&http, add(same)).await.code,
        ErrorCode::LimitReached
    );
    http.call(group_of(vec![ada.user(); most])).await.unwrap();

    let query = |users| Query { users };
    let most = limits::PRESENCE_QUERY_MAX;
    assert_eq!(
        http.call(query(strangers(most))).await.unwrap().presences,
        []
    );
    assert_eq!(
        refused(&http, query(strangers(most + 1))).await.code,
        ErrorCode::LimitReached
    );
    assert_eq!(http.call(query(Vec::new())).await.unwrap().presences, []);
    assert_eq!(head(&http, group).await, 1);
}

fn page(conversation: ConversationId, from: PageStart, limit: Option<u32>) -> PageRequest {
    PageRequest {
        conversation,
        from,
        limit,
        as_content: false,
    }
}

#[tokio::test]
async fn a_page_has_at_most_a_hundred_rows_and_at_least_one() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    let mut socket = server.socket(&ada, Encoding::MsgPack).await;
    let mut pending = Vec::new();
    for number in 0..149 {
        pending.push(
            socket
                .begin(&text_message(group, &number.to_string()))
                .await
                .unwrap(),
        );
    }
    for pending in pending {
        socket.finish(pending).await.unwrap().unwrap();
    }
    let starts = [
        (PageStart::After(Seq::ZERO), 1..=100u64),
        (PageStart::Newest, 51..=150),
        (PageStart::Before(Seq::new(121)), 21..=120),
    ];
    for (from, range) in starts {
        for limit in [None, Some(100), Some(101), Some(u32::MAX)] {
            let page = socket.call(page(group, from, limit)).await.unwrap();
            assert_eq!(page.items.len(), 100, "{from:?} {limit:?}");
            assert_eq!(
                (page.from.get(), page.to.get()),
                (*range.start(), *range.end())
            );
        }
        for limit in [0, 1] {
            let page = socket.call(page(group, from, Some(limit))).await.unwrap();
            assert_eq!(page.items.len(), 1, "{from:?} {limit}");
        }
    }
}

/// A payload that is content, and three times as long when it is written anew.
fn swelling() -> Vec<u8> {
    let numbers = vec!["1e15"; 999].join(",");
    let lists = vec![format!("[{numbers}]"); 8].join(",");
    let payload = format!("{{\"numbers\":[{lists}]}}").into_bytes();
    assert!(payload.len() <= limits::PAYLOAD_MAX);
    payload
}

#[tokio::test]
async fn a_page_ends_before_it_would_burst_a_frame() {
    const ROWS: usize = 15;
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let http = server.http_of(&ada).with_encoding(Encoding::MsgPack);
    let payloads = [vec![b'x'; limits::PAYLOAD_MAX], swelling()];
    for payload in payloads {
        let group = server.group(&ada, &[]).await;
        for _ in 0..ROWS {
            let send = Send {
                payload: Some(payload.clone().into()),
                ..sized(group, 1)
            };
            http.call(send).await.unwrap();
        }
        for encoding in [Encoding::Json, Encoding::MsgPack] {
            for as_content in [false, true] {
                // A frame that is longer than a server's may be would end this connection.
                let mut socket = server.socket(&ada, encoding).await;
                let mut ask = async |from| -> Page {
                    let request = PageRequest {
                        as_content,
                        ..page(group, from, None)
                    };
                    socket.call(request).await.unwrap()
                };
                let (mut after, mut pages) = (Seq::ZERO, 0);
                while after.get() < 1 + ROWS as u64 {
                    let page = ask(PageStart::After(after)).await;
                    assert_eq!(page.from, after.next());
                    after = page.to;
                    pages += 1;
                }
                let mut before = Seq::new(2 + ROWS as u64);
                while before.get() > 1 {
                    let page = ask(PageStart::Before(before)).await;
                    assert_eq!(page.to, before.previous());
                    assert!(page.items.iter().all(|item| matches!(item, Item::Row(_))));
                    before = page.from;
                    pages += 1;
                }
                assert!(
                    (4..=8).contains(&pages),
                    "{pages} pages, {encoding:?} {as_content}"
                );
                socket.close().await;
            }
        }
    }
}

#[tokio::test]
async fn what_limits_refuse_is_counted() {
    let counts = Arc::new(Counts::default());
    let server = limited(|limits| {
        limits.sends_per_second = 1;
        limits.send_burst = 1;
        limits.sockets_per_user = 1;
    })
    .metrics(counts.clone())
    .start()
    .await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    let http = server.http_of(&ada);
    assert_eq!(counts.limited.load(Ordering::Relaxed), 0);
    exhaust(1, Duration::from_secs(1), || {
        http.call(text_message(group, "more"))
    })
    .await;
    assert_eq!(counts.limited.load(Ordering::Relaxed), 1);
    let _socket = server.socket(&ada, Encoding::Json).await;
    let mut second = SocketClient::connect(server.address(), Encoding::Json).await;
    second.hello(ada.token()).await.unwrap_err();
    assert_eq!(counts.limited.load(Ordering::Relaxed), 2);
}

/// Never says anything of one operation.
#[derive(Debug)]
struct Undecided(Method);

impl Hooks for Undecided {
    async fn before(&self, attempt: Attempt) -> Verdict {
        if attempt.method == self.0 {
            std::future::pending::<()>().await;
        }
        Verdict::Allow
    }

    async fn after(&self, outcome: Outcome) {
        if outcome.attempt.method == self.0 {
            std::future::pending::<()>().await;
        }
    }
}

#[tokio::test]
async fn a_hook_that_does_not_decide_in_time_has_refused() {
    let server = TestServer::options()
        .hooks(Arc::new(Undecided(Method::MessageSend)))
        .config(|config| config.hook_deadline = Duration::from_millis(50))
        .start()
        .await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    let http = server.http_of(&ada);
    let error = refused(&http, text_message(group, "may I?")).await;
    assert_eq!(error.code, ErrorCode::Refused);
    assert_eq!(head(&http, group).await, 1);
    let mut socket = server.socket(&ada, Encoding::Json).await;
    let waiting = socket
        .begin(&text_message(group, "and now?"))
        .await
        .unwrap();
    socket.call(look_up("ada")).await.unwrap();
    let error = socket.finish(waiting).await.unwrap().unwrap_err();
    assert_eq!(error.code, ErrorCode::Refused);
    assert_eq!(head(&http, group).await, 1);
}

#[tokio::test]
async fn more_mentions_than_a_text_may_have_are_refused() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    let http = server.http_of(&ada);
    let send = |count: usize| {
        let mention = serde_json::json!({"user": ada.user(), "start": 0, "end": 1});
        let text = serde_json::json!({"body": "a", "mentions": vec![mention; count]});
        let send = serde_json::json!({
            "conversation": group,
            "client_msg_id": fresh_message_id(),
            "content": {"text": text},
        });
        serde_json::to_vec(&send).unwrap()
    };
    let answer = http
        .post("/v1/message.send", &send(limits::MENTIONS_MAX))
        .await;
    assert_eq!(answer.status, 200);
    let answer = http
        .post("/v1/message.send", &send(limits::MENTIONS_MAX + 1))
        .await;
    assert_eq!(answer.error(Encoding::Json).code, ErrorCode::InvalidContent);
    assert_eq!(head(&http, group).await, 2);
}
