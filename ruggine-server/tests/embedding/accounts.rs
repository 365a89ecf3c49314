//! An embedder's own accounts and tokens.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use parking_lot::Mutex;
use ruggine_core::api::account::{LogIn, Login, Register};
use ruggine_core::api::session::{List, Refresh, Tokens};
use ruggine_core::codec::Encoding;
use ruggine_core::name::Username;
use ruggine_core::secret::SecretText;
use ruggine_core::time::SystemClock;
use ruggine_core::{Clock, DeviceId, ErrorCode, SessionId, Timestamp, UserId};
use ruggine_crypto::token::{self, TokenKind};
use ruggine_server::auth::{AuthError, Authenticator, Principal};
use ruggine_server::key_source::KeyFile;
use ruggine_server::store::{
    CreateUser, LoginDevice, NewSession, NewToken, NewTokens, NewUser, OpenSession, Store,
};
use ruggine_server::testing::{HttpClient, Person, SocketClient, open_sqlite, text_message};
use ruggine_server::{Drain, Server};

use super::support::group_of;

/// An embedder's accounts: a token is a name, and a name is a principal.
#[derive(Debug, Clone, Default)]
struct OwnAccounts(Arc<Mutex<HashMap<String, Principal>>>);

impl OwnAccounts {
    /// Makes somebody known, also to the store, where profiles and devices are.
    async fn add(&self, store: &dyn Store, name: &str) -> Principal {
        let now = SystemClock.now();
        let principal = Principal {
            user: UserId::new(now),
            device: DeviceId::new(now),
            session: SessionId::new(now),
        };
        let user = NewUser {
            id: principal.user,
            username: name.parse::<Username>().expect("it is a username"),
            profile: "{}".into(),
            password_hash: None,
            created_at: now,
        };
        let created = store.create_user(user).await.expect("the store is there");
        assert_eq!(created, CreateUser::Created);
        let hash = |kind| {
            token::issue(kind, principal.user)
                .expect("there is randomness")
                .1
        };
        let stored = |kind| NewToken {
            hash: hash(kind),
            expires_at: Timestamp::from_millis(i64::MAX),
        };
        let session = NewSession {
            id: principal.session,
            user: principal.user,
            device: LoginDevice::New {
                id: principal.device,
                name: "theirs".to_owned(),
                secret: hash(TokenKind::Device),
            },
            tokens: NewTokens {
                access: stored(TokenKind::Access),
                refresh: stored(TokenKind::Refresh),
            },
            at: now,
        };
        let opened = store
            .open_session(session)
            .await
            .expect("the store is there");
        assert_eq!(opened, OpenSession::Opened(principal.device));
        self.0.lock().insert(format!("token of {name}"), principal);
        principal
    }
}

impl Authenticator for OwnAccounts {
    async fn register(&self, _: Register) -> Result<Login, AuthError> {
        Err(AuthError::Unsupported)
    }

    async fn log_in(&self, _: LogIn) -> Result<Login, AuthError> {
        Err(AuthError::Unsupported)
    }

    async fn refresh(&self, _: Refresh) -> Result<Tokens, AuthError> {
        Err(AuthError::Unsupported)
    }

    async fn authenticate(&self, token: SecretText) -> Result<Principal, AuthError> {
        let known = self.0.lock();
        known
            .get(token.expose())
            .copied()
            .ok_or(AuthError::Unauthenticated)
    }
}

#[tokio::test]
async fn an_embedders_own_tokens_open_every_door() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_sqlite(folder.path()).await;
    let accounts = OwnAccounts::default();
    let ada = accounts.add(&*store, "ada").await;
    let bob = accounts.add(&*store, "bob").await;
    let server = Server::builder()
        .store(store)
        .keys(KeyFile::new(folder.path().join("master.key")))
        .authenticator(accounts)
        .listen((Ipv4Addr::LOCALHOST, 0).into())
        .start()
        .await
        .unwrap();
    let address = server.addresses()[0];
    let of = |name: &str| SecretText::new(format!("token of {name}"));
    let http = HttpClient::new(address).with_token(&of("ada"));
    let group = http.call(group_of(&[bob.user])).await.unwrap().id;
    let mut socket = SocketClient::connect(address, Encoding::MsgPack).await;
    let heads = socket.hello(&of("bob")).await.unwrap();
    assert_eq!((heads.user, heads.device), (bob.user, bob.device));
    http.call(text_message(group, "with a token of ours"))
        .await
        .unwrap();
    let (_, row) = socket.next_row().await;
    assert_eq!((row.sender, row.device), (ada.user, ada.device));

    let stranger = HttpClient::new(address).with_token(&of("eve"));
    let refused = stranger.call(List {}).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Unauthenticated);
    let person = Person::registration("eve");
    let refused = HttpClient::new(address).call(person).await.unwrap_err();
    assert_eq!(
        refused.code,
        ErrorCode::Forbidden,
        "there is no such way in"
    );
    server.shut_down(Drain::default()).await;
}
