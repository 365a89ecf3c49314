//! When a client comes back after its connection has ended, and when no more.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use ruggine_client_sdk::{BackoffBounds, ClientEvent, ConnectionState};
use ruggine_core::error::CloseCode;
use ruggine_core::{ApiError, ErrorCode};
use ruggine_server::Drain;
use ruggine_server::testing::{TestServer, patiently};

use super::support::device::Device;
use super::support::replies::{error, refusal};
use super::support::script::Script;
use super::support::world::World;
use super::support::{is_waiting, next_event, quick, slow};

#[tokio::test]
async fn a_hello_that_is_refused_for_another_reason_is_said_again_later() {
    let mut script = Script::start(World::new(), slow());
    let mut events = script.client.events();
    let mut wire = script.arrival().await;
    let hello = wire.asked().await;
    let busy = ApiError {
        retry_after_ms: Some(30),
        ..refusal(ErrorCode::Overloaded)
    };
    wire.reply(error(&hello, &busy));
    let wait = next_event(&mut events, "the wait", |event| match event {
        ClientEvent::Connection(ConnectionState::Waiting(wait)) => Some(wait),
        _ => None,
    })
    .await;
    assert_eq!(wait, Duration::from_millis(30));
    script.greeted().await;
}

#[tokio::test]
async fn a_server_that_goes_away_says_when_to_come_back() {
    let mut script = Script::start(World::new(), slow());
    let wire = script.greeted().await;
    script
        .wait_for(|state| *state == ConnectionState::Online)
        .await;
    let asked_for = Duration::from_millis(120);
    let began = Instant::now();
    wire.close(CloseCode::GoingAway.number(), Some(asked_for));
    let state = script.wait_for(is_waiting).await;
    assert_eq!(state, ConnectionState::Waiting(asked_for));
    script.greeted().await;
    assert!(began.elapsed() >= asked_for);
}

#[tokio::test]
async fn a_real_server_that_goes_away_says_when_to_come_back() {
    let mut server = TestServer::start().await;
    let ada = Device::register_with(&server, "ada", slow()).await;
    let mut events = ada.events();
    server.drain(Drain::default()).await;
    let wait = next_event(&mut events, "the wait", |event| match event {
        ClientEvent::Connection(ConnectionState::Waiting(wait)) => Some(wait),
        _ => None,
    })
    .await;
    assert!(wait <= Duration::from_secs(2), "{wait:?}");
    server.resume().await;
    ada.online().await;
}

#[tokio::test]
async fn waits_are_random_and_below_a_bound_that_doubles() {
    let bounds = BackoffBounds {
        base: Duration::from_millis(2),
        cap: Duration::from_millis(16),
        ..BackoffBounds::default()
    };
    let mut options = quick();
    options.backoff = bounds;
    let mut script = Script::start(World::new(), options);
    let mut events = script.client.events();
    let wire = script.greeted().await;
    script.transport.refuse(true);
    drop(wire);
    let mut waits = Vec::new();
    while waits.len() < 40 {
        let wait = next_event(&mut events, "a wait", |event| match event {
            ClientEvent::Connection(ConnectionState::Waiting(wait)) => Some(wait),
            _ => None,
        })
        .await;
        let bound = bounds.base * (1 << waits.len().min(16));
        assert!(
            wait <= bound.min(bounds.cap),
            "wait {} was {wait:?}",
            waits.len()
        );
        waits.push(wait);
    }
    let different: HashSet<Duration> = waits.iter().copied().collect();
    assert!(different.len() > 30, "{waits:?}");
    assert!(
        waits.iter().skip(4).any(|wait| *wait < bounds.cap / 2),
        "{waits:?}"
    );
    assert!(
        waits.iter().skip(4).any(|wait| *wait > bounds.cap / 2),
        "{waits:?}"
    );
    script.transport.refuse(false);
    script.greeted().await;
}

#[tokio::test]
async fn who_asks_to_hurry_does_not_wait() {
    let mut script = Script::start(World::new(), slow());
    let wire = script.greeted().await;
    script.transport.refuse(true);
    drop(wire);
    script.wait_for(is_waiting).await;
    script.transport.refuse(false);
    script.client.connect_now();
    script.greeted().await;
}

#[tokio::test]
async fn silence_counts_as_a_lost_connection() {
    let mut options = quick();
    options.silence = Duration::from_millis(90);
    let mut script = Script::start(World::new(), options);
    let mut first = script.greeted().await;
    // Held open, and nothing is said.
    script.greeted().await;
    assert!(
        first.try_asked().await.is_none(),
        "the silent one is let go"
    );
}

#[tokio::test]
async fn dropping_every_handle_ends_the_work() {
    let mut script = Script::start(World::new(), quick());
    let mut wire = script.greeted().await;
    script
        .wait_for(|state| *state == ConnectionState::Online)
        .await;
    let mut events = script.client.events();
    let Script { client, .. } = script;
    let other = client.clone();
    drop(client);
    assert_eq!(other.connection(), ConnectionState::Online);
    drop(other);
    while wire.try_asked().await.is_some() {}
    patiently("the events to end", async {
        while events.next().await.is_some() {}
    })
    .await;
}
