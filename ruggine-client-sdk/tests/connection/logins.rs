//! Who is logged in: before a login, after one ended, and when another user comes.

use ruggine_client_sdk::transport::scripted::ScriptedTransport;
use ruggine_client_sdk::{Client, ConnectionState, RequestError};
use ruggine_core::api::account::{LogIn, Login};
use ruggine_core::api::sync::Hello;
use ruggine_core::secret::SecretText;
use ruggine_core::{DeviceId, ErrorCode, SessionId};
use ruggine_server::testing::{TestServer, patiently};

use super::nobody;
use super::support::device::{Device, PASSWORD, open_store};
use super::support::replies::{error, refusal, result};
use super::support::script::Script;
use super::support::world::{World, tokens};
use super::support::{all_words, is_waiting, now, person, quick, slow};

#[tokio::test]
async fn logging_out_forgets_the_tokens_and_keeps_the_messages() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let talk = ada.group(&[]).await;
    ada.say(talk, "kept").await;
    ada.has(talk, 2).await;
    let before = ada
        .client()
        .identity()
        .await
        .expect("the store can be read");
    let before = before.expect("somebody has logged in");
    ada.client()
        .log_out()
        .await
        .expect("the server can be reached");
    ada.wait_for(ConnectionState::LoggedOut).await;
    let identity = ada
        .client()
        .identity()
        .await
        .expect("the store can be read");
    assert!(identity.expect("whose it is stays known").tokens.is_none());
    assert_eq!(all_words(&ada.log(talk).await), ["kept"]);
    let refused = ada.client().request(nobody()).await;
    assert!(
        matches!(refused, Err(RequestError::LoggedOut)),
        "{refused:?}"
    );

    let password = SecretText::new(PASSWORD);
    ada.client()
        .log_in("ADA", password, None)
        .await
        .expect("the password is right");
    ada.online().await;
    let after = ada
        .client()
        .identity()
        .await
        .expect("the store can be read");
    let after = after.expect("somebody has logged in");
    assert_eq!((before.user, before.device), (after.user, after.device));
    assert_ne!(before.session, after.session);
    assert_eq!(all_words(&ada.log(talk).await), ["kept"]);
}

#[tokio::test]
async fn another_users_login_finds_an_empty_store() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let _bob = Device::register(&server, "bob").await;
    let talk = ada.group(&[]).await;
    ada.say(talk, "mine").await;
    ada.has(talk, 2).await;
    let password = SecretText::new(PASSWORD);
    ada.client()
        .log_in("bob", password, None)
        .await
        .expect("the password is right");
    ada.online().await;
    assert_eq!(
        ada.client()
            .conversations()
            .await
            .expect("the store can be read"),
        []
    );
    assert_eq!(ada.log(talk).await, []);
}

#[tokio::test]
async fn a_refused_login_changes_nothing() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let wrong = SecretText::new("not the password at all");
    let refused = ada.client().log_in("ada", wrong, None).await;
    let refused = refused.expect_err("the password is wrong");
    assert_eq!(refused.code(), Some(ErrorCode::InvalidCredentials));
    let taken = SecretText::new(PASSWORD);
    let refused = ada.client().register("ada", taken, None, None).await;
    let refused = refused.expect_err("the name is taken");
    assert_eq!(refused.code(), Some(ErrorCode::UsernameTaken));
    assert_eq!(ada.client().connection(), ConnectionState::Online);
    let identity = ada
        .client()
        .identity()
        .await
        .expect("the store can be read");
    assert!(identity.expect("somebody has logged in").tokens.is_some());
}

#[tokio::test]
async fn an_old_copy_of_a_store_begins_as_a_new_device_at_the_next_login() {
    let mut script = Script::start(World::new(), quick());
    let mut wire = script.arrival().await;
    let hello = wire.asked().await;
    wire.reply(error(&hello, &refusal(ErrorCode::DeviceRestored)));
    script
        .wait_for(|state| *state == ConnectionState::LoggedOut)
        .await;
    let me = script.world.me.clone();
    let client = script.client.clone();
    let username = me.username.to_string();
    let logging_in = async {
        let password = SecretText::new("four unrelated quiet words");
        let login = client.log_in(&username, password, None);
        login.await.expect("the script agrees")
    };
    let fresh = DeviceId::new(now());
    let agreeing = async {
        let mut wire = script.arrival().await;
        let asked = wire.asked().await;
        assert!(asked.read::<LogIn>().device.is_none(), "a new device");
        let login = Login {
            user: me.clone(),
            device: fresh,
            device_secret: Some(SecretText::new("another secret")),
            session: SessionId::new(now()),
            tokens: tokens("of the new device"),
        };
        wire.reply(result::<LogIn>(&asked, &login));
        while wire.try_asked().await.is_some() {}
    };
    tokio::join!(logging_in, agreeing);
    let mut wire = script.arrival().await;
    let hello = wire.asked().await;
    let token = hello.read::<Hello>().token;
    assert_eq!(token, tokens("of the new device").access);
    let identity = script.store.direct().identity().expect("readable");
    assert_eq!(identity.expect("somebody").device, fresh);
}

/// A connection that was being greeted for one user must not bring its
/// answers into the store of the next.
#[tokio::test]
async fn a_greeting_for_somebody_else_reaches_no_store() {
    let mut world = World::new();
    let id = world.room(3);
    let mut script = Script::start(world, quick());
    let mut first = script.arrival().await;
    let hello = first.asked().await;
    let next = person("eva");
    let client = script.client.clone();
    let logging_in = async {
        let login = client.log_in("eva", SecretText::new("four unrelated quiet words"), None);
        login.await.expect("the script agrees")
    };
    let agreeing = async {
        let mut wire = script.arrival().await;
        let asked = wire.asked().await;
        let login = Login {
            user: next.clone(),
            device: DeviceId::new(now()),
            device_secret: Some(SecretText::new("another secret")),
            session: SessionId::new(now()),
            tokens: tokens("of the next"),
        };
        wire.reply(result::<LogIn>(&asked, &login));
        while wire.try_asked().await.is_some() {}
    };
    tokio::join!(logging_in, agreeing);
    // The answer for the user before comes late.
    first.reply(script.world.answer(&hello));
    let mut old_world = script.world.clone();
    let old = async {
        while let Some(asked) = first.try_asked().await {
            first.reply(old_world.answer(&asked));
        }
    };
    let new = async {
        let mut wire = script.arrival().await;
        wire.asked().await.read::<Hello>().token
    };
    let (token, ()) = patiently("the next user to be greeted", async {
        tokio::join!(new, old)
    })
    .await;
    assert_eq!(token, tokens("of the next").access);
    let foreign = script
        .store
        .direct()
        .conversation(id)
        .expect("the store can be read");
    assert_eq!(foreign, None, "a conversation of the user before");
}

#[tokio::test]
async fn a_client_without_a_login_tries_no_connection() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open_store(folder.path()).await;
    let (transport, mut arrivals) = ScriptedTransport::new();
    let client = Client::builder().options(quick()).start(transport, store);
    let refused = client.request(nobody()).await;
    assert!(
        matches!(refused, Err(RequestError::LoggedOut)),
        "{refused:?}"
    );
    assert_eq!(client.connection(), ConnectionState::LoggedOut);
    assert!(arrivals.try_recv().is_err());
    patiently("the client to stop", client.stop()).await;
    assert_eq!(client.connection(), ConnectionState::Stopped);
}

/// A login that comes while the client waits is not left waiting.
#[tokio::test]
async fn a_login_does_not_wait_for_the_next_attempt() {
    let mut script = Script::start(World::new(), slow());
    let wire = script.greeted().await;
    drop(wire);
    script.wait_for(is_waiting).await;
    let client = script.client.clone();
    let logging_in = async {
        let login = client.log_in("ada", SecretText::new("four unrelated quiet words"), None);
        login.await.expect("the script agrees")
    };
    let world = script.world.clone();
    let agreeing = async {
        let mut wire = script.arrival().await;
        let asked = wire.asked().await;
        let known = asked.read::<LogIn>().device.expect("it names its device");
        assert_eq!(known.id, world.device);
        let login = Login {
            user: world.me.clone(),
            device: world.device,
            device_secret: None,
            session: SessionId::new(now()),
            tokens: tokens("two"),
        };
        wire.reply(result::<LogIn>(&asked, &login));
        while wire.try_asked().await.is_some() {}
    };
    tokio::join!(logging_in, agreeing);
    let hello = script.arrival().await.asked().await.read::<Hello>();
    assert_eq!(hello.token, tokens("two").access);
}
