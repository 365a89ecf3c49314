//! Servers with small limits, what is asked of them, and what a refusal must say.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use ruggine_core::api::Operation;
use ruggine_core::api::account::LookUp;
use ruggine_core::api::conversation::{self, ConversationKind, Create, ProtectionMode};
use ruggine_core::{ApiError, ConversationId, ErrorCode, Timestamp, UserId};
use ruggine_server::auth::Principal;
use ruggine_server::config::Limits;
use ruggine_server::engine::Caller;
use ruggine_server::testing::{HttpClient, Person, ServerOptions, TestServer};

pub(crate) const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

pub(crate) fn limited(change: impl FnOnce(&mut Limits)) -> ServerOptions {
    TestServer::options().config(|config| change(&mut config.limits))
}

pub(crate) fn look_up(username: &str) -> LookUp {
    LookUp {
        username: username.to_owned(),
    }
}

pub(crate) fn group_of(members: Vec<UserId>) -> Create {
    Create {
        kind: ConversationKind::Group,
        mode: ProtectionMode::Managed,
        members,
        id: None,
    }
}

/// What the log's newest number is.
pub(crate) async fn head(http: &HttpClient, conversation: ConversationId) -> u64 {
    let request = conversation::Get { conversation };
    http.call(request).await.unwrap().head.get()
}

/// The time that a refusal names, which every refusal by a rate must.
pub(crate) fn wait_of(error: &ApiError, code: ErrorCode, longest: Duration) -> Duration {
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
pub(crate) async fn exhaust<T, F: Future<Output = Result<T, ApiError>>>(
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

pub(crate) fn caller_of(person: &Person) -> Caller {
    Caller {
        principal: Some(Principal {
            user: person.user(),
            device: person.device(),
            session: person.session(),
        }),
        ..Caller::anonymous(Ipv4Addr::LOCALHOST.into())
    }
}

pub(crate) async fn refused<O: Operation>(http: &HttpClient, request: O) -> ApiError
where
    O::Response: std::fmt::Debug,
{
    http.call(request).await.unwrap_err()
}
