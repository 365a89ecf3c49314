//! People and conversations in numbers, made without a password to be hashed.

use std::time::Duration;

use ruggine_core::api::account::{Login, User};
use ruggine_core::api::session::Tokens;
use ruggine_core::name::{DisplayName, Username};
use ruggine_core::time::SystemClock;
use ruggine_core::{Clock, DeviceId, SessionId, UserId};
use ruggine_crypto::token::{self, TokenKind};
use ruggine_server::store::{
    CreateUser, DynAccountStore, DynSessionStore, LoginDevice, NewSession, NewToken, NewTokens,
    NewUser, OpenSession, Store,
};
use ruggine_server::testing::{Person, TestDatabase};
use sqlx::types::Uuid;

const LIFETIME: Duration = Duration::from_secs(60 * 60);

const CROWD: &str = "INSERT INTO users (user_id, username, profile, created_at)
     SELECT gen_random_uuid(), 'crowd' || number, '{}', 0
     FROM generate_series(1, $1::int) AS number RETURNING user_id";

/// Groups of one, whose log the device has.
const CONVERSATIONS: &str = "WITH made AS (
         INSERT INTO conversations (conv_id, kind, mode, creator, created_at, last_seq,
                                    roster_version, member_count)
         SELECT gen_random_uuid(), 'group', 'managed', $1, 0, 1, 1, 1
         FROM generate_series(1, $3::int) RETURNING conv_id),
     joined AS (
         INSERT INTO members (conv_id, user_id, from_seq, role)
         SELECT conv_id, $1, 1, 'owner' FROM made)
     INSERT INTO device_cursors (device_id, conv_id, user_id, delivered)
     SELECT $2, conv_id, $1, 1 FROM made";

/// Users who never log in.
pub(crate) async fn crowd(database: &TestDatabase, count: i32) -> Vec<UserId> {
    let mut connection = database.connect().await;
    let ids: Vec<Uuid> = sqlx::query_scalar(CROWD)
        .bind(count)
        .fetch_all(&mut connection)
        .await
        .expect("the schema is as the statement has it");
    ids.iter()
        .map(|id| UserId::from_bytes(*id.as_bytes()))
        .collect()
}

/// Gives somebody so many more conversations, of which their device has
/// everything. No server may know the user's conversations yet.
pub(crate) async fn give_conversations(database: &TestDatabase, person: &Person, count: u64) {
    let mut connection = database.connect().await;
    sqlx::query(CONVERSATIONS)
        .bind(Uuid::from_bytes(*person.user().as_bytes()))
        .bind(Uuid::from_bytes(*person.device().as_bytes()))
        .bind(i32::try_from(count).expect("so many fit into a table"))
        .execute(&mut connection)
        .await
        .expect("the schema is as the statement has it");
}

/// Somebody with a session.
pub(crate) async fn logged_in(store: &dyn Store, name: &str) -> Person {
    let now = SystemClock.now();
    let id = UserId::new(now);
    let username: Username = name.parse().expect("the name can be a username");
    let user = NewUser {
        id,
        username: username.clone(),
        profile: "{}".into(),
        password_hash: None,
        created_at: now,
    };
    let created = DynAccountStore::create_user(store, user).await;
    assert_eq!(created.expect("it can be stored"), CreateUser::Created);

    let issue = |kind| token::issue(kind, id).expect("the system provides randomness");
    let (access, access_hash) = issue(TokenKind::Access);
    let (refresh, refresh_hash) = issue(TokenKind::Refresh);
    let (_, secret) = issue(TokenKind::Device);
    let expires_at = now.after(LIFETIME);
    let device = DeviceId::new(now);
    let session = SessionId::new(now);
    let stored = |hash| NewToken { hash, expires_at };
    let new = NewSession {
        id: session,
        user: id,
        device: LoginDevice::New {
            id: device,
            name: name.to_owned(),
            secret,
        },
        tokens: NewTokens {
            access: stored(access_hash),
            refresh: stored(refresh_hash),
        },
        at: now,
    };
    let opened = DynSessionStore::open_session(store, new).await;
    assert_eq!(
        opened.expect("it can be stored"),
        OpenSession::Opened(device)
    );
    Person {
        login: Login {
            user: User {
                id,
                display_name: DisplayName::from(&username),
                username,
            },
            device,
            device_secret: None,
            session,
            tokens: Tokens {
                access,
                access_expires_at: expires_at,
                refresh,
                refresh_expires_at: expires_at,
            },
        },
    }
}
