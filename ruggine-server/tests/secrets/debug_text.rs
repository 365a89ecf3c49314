//! What can be printed for debugging shows no secret.

use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use ruggine_core::Clock;
use ruggine_core::api::account::KnownDevice;
use ruggine_core::api::conversation::Conversation;
use ruggine_core::api::message::Send;
use ruggine_core::api::session::Refresh;
use ruggine_core::content::{Content, Title};
use ruggine_core::secret::SecretText;
use ruggine_core::time::SystemClock;
use ruggine_crypto::at_rest::MasterKey;
use ruggine_crypto::token::{self, TokenKind};
use ruggine_server::Server;
use ruggine_server::auth::Principal;
use ruggine_server::engine::Caller;
use ruggine_server::key_source::{FixedKeys, KeyFile, KeySource, read_private};
use ruggine_server::sealing::Sealer;
use ruggine_server::store::{LoginDevice, NewSession, NewToken, NewTokens};
use ruggine_server::testing::{TestServer, open_sqlite, text_message, words_of};

use super::canaries::{Canaries, shows_nothing};
use super::faults::Faults;
use super::requests::{BOTH, MESSAGE, PASSWORD, TITLE, group_of, hello, log_in, page_of, register};

#[tokio::test]
async fn no_debug_text_shows_a_secret() {
    let server = TestServer::start().await;
    let ada = server.http().call(register("ada")).await.unwrap();
    let key = MasterKey::generate();
    let hex = key.to_hex().to_string();
    let (token, hash) = token::issue(TokenKind::Access, ada.user.id).unwrap();
    let canaries = Canaries::of([
        ("a password", PASSWORD),
        ("a message", MESSAGE),
        ("a title", TITLE),
    ])
    .and_token(&ada.tokens.access)
    .and_token(&ada.tokens.refresh)
    .and_token(ada.device_secret.as_ref().unwrap())
    .and_token(&token)
    .and_key(&hex);
    let hash_hex = crate::canaries::hex(hash.as_bytes());
    let text_hex = [hash_hex.as_str(), &format!("{:?}", hash.as_bytes())];
    let now = SystemClock.now();
    let principal = Principal {
        user: ada.user.id,
        device: ada.device,
        session: ada.session,
    };
    let caller = Caller {
        principal: Some(principal),
        ..Caller::anonymous(Ipv4Addr::LOCALHOST.into())
    };
    let engine = server.engine();
    let greeting = hello(&ada.tokens.access);
    let group: Conversation = engine.call(&caller, group_of(Vec::new())).await.unwrap();
    let message = text_message(group.id, MESSAGE);
    let pending = engine.submit(&caller, message.clone()).unwrap();
    shows_nothing(&canaries, &pending);
    engine.acknowledge(pending).await.unwrap();
    let page = engine.call(&caller, page_of(group.id)).await.unwrap();
    assert_eq!(
        page.items.last().and_then(words_of).as_deref(),
        Some(MESSAGE)
    );
    shows_nothing(&canaries, &page);
    let known = KnownDevice {
        id: ada.device,
        secret: ada.device_secret.clone().unwrap(),
    };
    let content = Content::Title(Title {
        title: TITLE.to_owned(),
    });
    let with_content = Send {
        payload: None,
        content: Some(content.clone()),
        ..message.clone()
    };
    shows_nothing(
        &canaries,
        &(register("ada"), log_in("ada", PASSWORD, Some(known))),
    );
    shows_nothing(&canaries, &(ada.clone(), ada.tokens.clone(), greeting));
    shows_nothing(
        &canaries,
        &Refresh {
            refresh: ada.tokens.refresh.clone(),
        },
    );
    shows_nothing(&canaries, &(message, with_content, content));
    shows_nothing(&canaries, &(engine, engine.config(), caller, principal));
    shows_nothing(&canaries, &server);

    let fixed = FixedKeys::new(
        SecretText::new(hex.clone()),
        vec![SecretText::new(hex.clone())],
    );
    shows_nothing(&canaries, &fixed);
    let path = server.folder().join("other.key");
    std::fs::write(&path, &hex).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let file = KeyFile::new(&path);
    let keys = KeySource::master_keys(&file).await.unwrap();
    shows_nothing(
        &canaries,
        &(&file, &keys, key.id(), read_private(&path).unwrap()),
    );
    let ring = ruggine_crypto::at_rest::KeyRing::new(keys.primary, Vec::new()).unwrap();
    let sealer = Sealer::new(Some(ring), Arc::new(Faults::default()));
    shows_nothing(&canaries, &sealer);
    shows_nothing(&canaries, &Server::builder().keys(fixed));

    // A hash is as good as a secret to who can look it up.
    let new = NewToken {
        hash,
        expires_at: now,
    };
    let session = NewSession {
        id: ada.session,
        user: ada.user.id,
        device: LoginDevice::Known {
            id: ada.device,
            secret: hash,
        },
        tokens: NewTokens {
            access: new,
            refresh: new,
        },
        at: now,
    };
    let debug = format!("{hash:?} {session:?}");
    assert!(text_hex.iter().all(|text| !debug.contains(text)), "{debug}");
}

#[tokio::test]
async fn no_debug_text_of_a_socket_shows_what_waits_in_it() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    let canaries = Canaries::of([("a message", MESSAGE)]);
    for encoding in BOTH {
        let anonymous = Caller::anonymous(Ipv4Addr::LOCALHOST.into());
        let opened = server
            .engine()
            .open_socket(&anonymous, hello(ada.token()), encoding);
        let (open, _) = opened.await.unwrap();
        let http = server.http_of(&ada);
        http.call(text_message(group, MESSAGE)).await.unwrap();
        let page = http.call(page_of(group)).await.unwrap();
        let answer = encoding.encode(&page).unwrap();
        open.socket().reply(answer, None);
        shows_nothing(&canaries, &open);
        shows_nothing(&canaries, open.socket());
        while let Some(outgoing) = open.socket().try_next() {
            shows_nothing(&canaries, &outgoing);
        }
    }
}

/// A password's hash can be guessed at by who reads it.
#[tokio::test]
async fn no_debug_text_of_a_record_shows_a_password_hash() {
    let mut server = TestServer::start().await;
    server.http().call(register("ada")).await.unwrap();
    server.stop().await;
    let store = open_sqlite(server.folder()).await;
    let record = store
        .user_by_name("ada".parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    let hash = record.password_hash.clone().unwrap();
    assert!(hash.starts_with("$argon2id$"));
    let debug = format!("{record:?}");
    assert!(!debug.contains(&hash), "{debug}");
    store.close().await;
}
