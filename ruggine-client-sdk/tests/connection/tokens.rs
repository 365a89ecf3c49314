//! The tokens with which a client greets: refreshed in time, and forgotten when the
//! login is over.

use std::sync::Arc;
use std::time::Duration;

use ruggine_client_sdk::{ConnectionState, RequestError};
use ruggine_core::api::session::Refresh;
use ruggine_core::api::sync::Hello;
use ruggine_core::error::CloseCode;
use ruggine_core::secret::SecretText;
use ruggine_core::time::ManualClock;
use ruggine_core::version::ProtocolVersion;
use ruggine_core::{ApiError, ErrorCode};
use ruggine_server::testing::{TestServer, eventually};

use super::support::device::{Device, PASSWORD};
use super::support::replies::{error, refusal, result};
use super::support::script::Script;
use super::support::watched::disk_is_full;
use super::support::world::{World, tokens};
use super::support::{all_words, is_waiting, now, quick, slow};
use super::{nobody, stored_tokens};

#[tokio::test]
async fn hello_comes_first_and_shows_the_token() {
    let mut options = quick();
    options.locale = Some("it".into());
    let mut script = Script::start(World::new(), options);
    let mut wire = script.arrival().await;
    let asked = wire.asked().await;
    let hello = asked.read::<Hello>();
    assert_eq!(hello.token, tokens("one").access);
    assert_eq!(hello.protocol, ProtocolVersion::CURRENT);
    assert_eq!(hello.locale.as_deref(), Some("it"));
    assert_eq!(hello.incarnation, None, "a new device counts in no log");
    wire.reply(script.world.answer(&asked));
    script
        .wait_for(|state| *state == ConnectionState::Online)
        .await;
    eventually("the log to be noted", async || {
        let incarnation = script.store.direct().incarnation();
        incarnation.expect("the store can be read").is_some()
    })
    .await;
    drop(wire);
    let hello = script.arrival().await.asked().await.read::<Hello>();
    assert_eq!(hello.incarnation, Some(script.world.incarnation));
}

#[tokio::test]
async fn an_access_token_that_ended_is_refreshed_and_stored_before_its_use() {
    let mut script = Script::start(World::new(), slow());
    let mut wire = script.arrival().await;
    let hello = wire.asked().await;
    wire.reply(error(&hello, &refusal(ErrorCode::Unauthenticated)));
    let refresh = wire.asked().await;
    assert_eq!(refresh.read::<Refresh>().refresh, tokens("one").refresh);
    wire.reply(result::<Refresh>(&refresh, &tokens("two")));
    let again = wire.asked().await;
    assert_eq!(again.read::<Hello>().token, tokens("two").access);
    assert_eq!(stored_tokens(script.store.direct()), Some(tokens("two")));
    wire.reply(script.world.answer(&again));
    script
        .wait_for(|state| *state == ConnectionState::Online)
        .await;
}

#[tokio::test]
async fn tokens_that_cannot_be_stored_are_not_used() {
    let mut script = Script::prepared(World::new(), slow(), |store| {
        store.before(|step| match step {
            "set_tokens" => Err(disk_is_full()),
            _ => Ok(()),
        });
    });
    let mut wire = script.arrival().await;
    let hello = wire.asked().await;
    wire.reply(error(&hello, &refusal(ErrorCode::Unauthenticated)));
    let refresh = wire.asked().await;
    wire.reply(result::<Refresh>(&refresh, &tokens("two")));
    assert!(
        wire.try_asked().await.is_none(),
        "the connection is given up"
    );
    script.wait_for(is_waiting).await;
    assert_eq!(stored_tokens(script.store.direct()), Some(tokens("one")));
}

#[tokio::test]
async fn a_refused_refresh_ends_the_login_and_forgets_the_tokens() {
    for code in [ErrorCode::Unauthenticated, ErrorCode::TokenReused] {
        let mut script = Script::start(World::new(), quick());
        let mut wire = script.arrival().await;
        let hello = wire.asked().await;
        wire.reply(error(&hello, &refusal(ErrorCode::Unauthenticated)));
        let refresh = wire.asked().await;
        wire.reply(error(&refresh, &refusal(code)));
        script
            .wait_for(|state| *state == ConnectionState::LoggedOut)
            .await;
        assert_eq!(stored_tokens(script.store.direct()), None);
        assert!(
            wire.try_asked().await.is_none(),
            "the connection is given up"
        );
        let refused = script.client.request(nobody()).await;
        assert!(
            matches!(refused, Err(RequestError::LoggedOut)),
            "{refused:?}"
        );
        assert!(
            script.arrivals.try_recv().is_err(),
            "no other connection is tried"
        );
    }
}

#[tokio::test]
async fn fresh_tokens_that_are_refused_too_end_the_login() {
    let mut script = Script::start(World::new(), quick());
    let mut wire = script.arrival().await;
    let hello = wire.asked().await;
    wire.reply(error(&hello, &refusal(ErrorCode::Unauthenticated)));
    let refresh = wire.asked().await;
    wire.reply(result::<Refresh>(&refresh, &tokens("two")));
    let again = wire.asked().await;
    wire.reply(error(&again, &refusal(ErrorCode::Unauthenticated)));
    script
        .wait_for(|state| *state == ConnectionState::LoggedOut)
        .await;
    assert_eq!(stored_tokens(script.store.direct()), None);
}

#[tokio::test]
async fn a_refresh_that_cannot_be_done_now_keeps_the_tokens_and_waits() {
    let mut script = Script::start(World::new(), slow());
    let mut wire = script.arrival().await;
    let hello = wire.asked().await;
    wire.reply(error(&hello, &refusal(ErrorCode::Unauthenticated)));
    let refresh = wire.asked().await;
    let busy = ApiError {
        retry_after_ms: Some(40),
        ..refusal(ErrorCode::Unavailable)
    };
    wire.reply(error(&refresh, &busy));
    let mut next = script.arrival().await;
    let hello = next.asked().await;
    assert_eq!(hello.read::<Hello>().token, tokens("one").access);
    assert_eq!(stored_tokens(script.store.direct()), Some(tokens("one")));
}

#[tokio::test]
async fn a_lost_answer_to_a_refresh_makes_it_be_asked_for_again() {
    let mut script = Script::start(World::new(), quick());
    for _ in 0..3 {
        let mut wire = script.arrival().await;
        let hello = wire.asked().await;
        wire.reply(error(&hello, &refusal(ErrorCode::Unauthenticated)));
        let refresh = wire.asked().await;
        assert_eq!(refresh.read::<Refresh>().refresh, tokens("one").refresh);
    }
    assert_eq!(stored_tokens(script.store.direct()), Some(tokens("one")));
}

#[tokio::test]
async fn an_expired_token_is_refreshed_at_a_real_server() {
    let clock = Arc::new(ManualClock::new(now()));
    let server = TestServer::options().clock(clock.clone()).start().await;
    let mut ada = Device::register(&server, "ada").await;
    let talk = ada.group(&[]).await;
    for _ in 0..3 {
        ada.close().await;
        clock.advance(Duration::from_secs(24 * 60 * 60));
        ada.open().await;
        ada.online().await;
    }
    ada.say(talk, "still here").await;
    ada.has(talk, 2).await;
}

#[tokio::test]
async fn a_login_that_lasted_too_long_ends_at_a_real_server() {
    let clock = Arc::new(ManualClock::new(now()));
    let server = TestServer::options().clock(clock.clone()).start().await;
    let mut ada = Device::register(&server, "ada").await;
    let talk = ada.group(&[]).await;
    ada.say(talk, "kept").await;
    ada.has(talk, 2).await;
    ada.close().await;
    clock.advance(Duration::from_secs(60 * 24 * 60 * 60));
    ada.open().await;
    ada.wait_for(ConnectionState::LoggedOut).await;
    eventually("the tokens to be forgotten", async || {
        let identity = ada
            .client()
            .identity()
            .await
            .expect("the store can be read");
        identity.expect("whose it is stays known").tokens.is_none()
    })
    .await;
    assert_eq!(all_words(&ada.log(talk).await), ["kept"]);
    let password = SecretText::new(PASSWORD);
    ada.client()
        .log_in("ada", password, None)
        .await
        .expect("the password is right");
    ada.online().await;
    assert_eq!(
        all_words(&ada.log(talk).await),
        ["kept"],
        "the same device, the same store"
    );
}

#[tokio::test]
async fn a_session_that_is_revoked_ends_the_login() {
    let server = TestServer::start().await;
    let phone = Device::register(&server, "ada").await;
    let (laptop, _events) = Device::log_in(&server, "ada", quick()).await;
    let identity = laptop
        .client()
        .identity()
        .await
        .expect("the store can be read");
    let session = identity.expect("somebody has logged in").session;
    let revoke = ruggine_core::api::session::Revoke { session };
    phone
        .client()
        .request(revoke)
        .await
        .expect("one's own session");
    laptop.wait_for(ConnectionState::LoggedOut).await;
    let identity = laptop
        .client()
        .identity()
        .await
        .expect("the store can be read");
    assert!(identity.expect("whose it is stays known").tokens.is_none());
    assert_eq!(phone.client().connection(), ConnectionState::Online);
}

#[tokio::test]
async fn a_close_that_revokes_the_session_ends_the_login() {
    let mut script = Script::start(World::new(), quick());
    let wire = script.greeted().await;
    script
        .wait_for(|state| *state == ConnectionState::Online)
        .await;
    wire.close(CloseCode::SessionRevoked.number(), None);
    script
        .wait_for(|state| *state == ConnectionState::LoggedOut)
        .await;
    assert_eq!(stored_tokens(script.store.direct()), None);
    assert!(
        script.arrivals.try_recv().is_err(),
        "no other connection is tried"
    );
}
