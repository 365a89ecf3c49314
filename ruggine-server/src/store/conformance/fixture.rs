//! Builders of what the cases store.

use std::sync::Arc;
use std::time::Duration;

use ruggine_core::api::conversation::{ConversationKind, ProtectionMode, Role};
use ruggine_core::api::message::RowKind;
use ruggine_core::name::Username;
use ruggine_core::{ClientMsgId, ConversationId, DeviceId, Seq, SessionId, Timestamp, UserId};
use ruggine_crypto::token::{self, TokenHash, TokenKind};

use crate::store::{
    Append, AppendOutcome, ChangeRoster, CreateConversation, CreateUser, LoginDevice, MemberEffect,
    MovePosition, Moved, NewConversation, NewRow, NewSession, NewToken, NewTokens, NewUser,
    OpenSession, PositionKind, RosterOutcome, SealedText, Store,
};

/// When things happen.
pub(super) const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
/// When access tokens end.
pub(super) const ACCESS_ENDS: Timestamp = Timestamp::from_millis(1_700_000_010_000);
/// When refresh tokens end.
pub(super) const REFRESH_ENDS: Timestamp = Timestamp::from_millis(1_700_000_020_000);
/// More rows than any case writes.
pub(super) const ALL_ROWS: u32 = 10_000;
/// More bytes than any case writes.
pub(super) const ALL_BYTES: usize = usize::MAX;

/// A moment after [`NOW`].
pub(super) fn later(millis: u64) -> Timestamp {
    NOW.after(Duration::from_millis(millis))
}

/// A user on one of their devices.
#[derive(Debug, Clone, Copy)]
pub(super) struct Person {
    pub(super) user: UserId,
    pub(super) device: DeviceId,
}

/// A login with everything that was stored for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Login {
    pub(super) session: SessionId,
    pub(super) device: DeviceId,
    pub(super) secret: TokenHash,
    pub(super) tokens: NewTokens,
}

pub(super) fn sealed(text: &str) -> SealedText {
    format!(r#"{{"v":1,"alg":"none","ciphertext":"{text}"}}"#).into()
}

/// A handle that no other user has.
pub(super) fn username_of(user: UserId) -> Username {
    user.to_string()
        .replace('-', "")
        .parse()
        .expect("32 hexadecimal digits are a username")
}

pub(super) fn new_user() -> NewUser {
    let id = UserId::new(NOW);
    NewUser {
        id,
        username: username_of(id),
        profile: sealed("profile è"),
        password_hash: Some("$argon2id$v=19$…".to_owned()),
        created_at: NOW,
    }
}

/// Creates a user.
pub(super) async fn user(store: &dyn Store) -> UserId {
    let new = new_user();
    let id = new.id;
    let created = store.create_user(new).await.expect("a user can be created");
    assert_eq!(created, CreateUser::Created);
    id
}

/// A hash that no other token has.
pub(super) fn hash(kind: TokenKind, user: UserId) -> TokenHash {
    let (_, hash) = token::issue(kind, user).expect("the operating system provides randomness");
    hash
}

/// A fresh pair of tokens.
pub(super) fn tokens(user: UserId) -> NewTokens {
    NewTokens {
        access: NewToken {
            hash: hash(TokenKind::Access, user),
            expires_at: ACCESS_ENDS,
        },
        refresh: NewToken {
            hash: hash(TokenKind::Refresh, user),
            expires_at: REFRESH_ENDS,
        },
    }
}

pub(super) fn new_session(user: UserId, device: LoginDevice) -> NewSession {
    NewSession {
        id: SessionId::new(NOW),
        user,
        device,
        tokens: tokens(user),
        at: NOW,
    }
}

/// Opens a session on a new device.
pub(super) async fn log_in(store: &dyn Store, user: UserId) -> Login {
    let (device, secret) = (DeviceId::new(NOW), hash(TokenKind::Device, user));
    let new = new_session(
        user,
        LoginDevice::New {
            id: device,
            name: "a laptop".to_owned(),
            secret,
        },
    );
    let login = Login {
        session: new.id,
        device,
        secret,
        tokens: new.tokens,
    };
    let opened = store
        .open_session(new)
        .await
        .expect("a session can be opened");
    assert_eq!(opened, OpenSession::Opened(device));
    login
}

/// Creates a user and logs them in.
pub(super) async fn person(store: &dyn Store) -> Person {
    let user = user(store).await;
    another_device(store, user).await
}

/// Logs a user in on a device more.
pub(super) async fn another_device(store: &dyn Store, user: UserId) -> Person {
    let device = log_in(store, user).await.device;
    Person { user, device }
}

/// Creates several users and logs them in.
pub(super) async fn people<const N: usize>(store: &dyn Store) -> [Person; N] {
    let mut all = Vec::with_capacity(N);
    for _ in 0..N {
        all.push(person(store).await);
    }
    all.try_into().expect("as many as were made")
}

/// A message.
pub(super) fn message(conversation: ConversationId, by: Person) -> NewRow {
    let client_msg_id = ClientMsgId::new(NOW);
    NewRow {
        conversation,
        kind: RowKind::Message,
        sender: by.user,
        device: by.device,
        client_msg_id,
        epoch: None,
        server_ts: NOW,
        key_id: "none".into(),
        body: sealed(&client_msg_id.to_string()),
        write_counter: None,
        counter_floor: None,
    }
}

/// Several messages.
pub(super) fn messages(conversation: ConversationId, by: Person, count: usize) -> Vec<NewRow> {
    (0..count).map(|_| message(conversation, by)).collect()
}

/// A notice of the server.
pub(super) fn notice(conversation: ConversationId, by: Person) -> NewRow {
    NewRow {
        kind: RowKind::System,
        ..message(conversation, by)
    }
}

/// A managed group that is not stored yet; its creator owns it.
pub(super) fn new_group(creator: Person, others: &[Person]) -> NewConversation {
    let id = ConversationId::new(NOW);
    let mut members = vec![(creator.user, Role::Owner)];
    members.extend(others.iter().map(|other| (other.user, Role::Member)));
    NewConversation {
        id,
        kind: ConversationKind::Group,
        mode: ProtectionMode::Managed,
        members,
        notice: notice(id, creator),
    }
}

/// A managed direct conversation that is not stored yet.
pub(super) fn new_direct(creator: Person, other: Person) -> NewConversation {
    NewConversation {
        kind: ConversationKind::Direct,
        members: vec![(creator.user, Role::Member), (other.user, Role::Member)],
        ..new_group(creator, &[])
    }
}

/// Creates a conversation that does not exist yet; its notice is row 1.
pub(super) async fn create(store: &dyn Store, new: NewConversation) -> ConversationId {
    let id = new.id;
    let created = store
        .create_conversation(new)
        .await
        .expect("a conversation can be created");
    let CreateConversation::Created { seq, .. } = created else {
        panic!("a conversation with a fresh id is created, not {created:?}");
    };
    assert_eq!(seq, Seq::new(1), "the notice is the first row");
    id
}

/// Creates a managed group.
pub(super) async fn group(store: &dyn Store, creator: Person, others: &[Person]) -> ConversationId {
    create(store, new_group(creator, others)).await
}

/// A group of ada and bob.
pub(super) async fn group_of_two(store: &dyn Store) -> (ConversationId, Person, Person) {
    let [ada, bob] = people(store).await;
    (group(store, ada, &[bob]).await, ada, bob)
}

/// Appends rows as one batch.
pub(super) async fn append(store: &dyn Store, rows: Vec<NewRow>) -> Vec<AppendOutcome> {
    let expected = rows.len();
    let appended = store
        .append(Append {
            rows,
            settled: Vec::new(),
            at: NOW,
        })
        .await
        .expect("rows can be appended");
    assert_eq!(appended.outcomes.len(), expected, "one outcome a row");
    appended.outcomes
}

pub(super) async fn append_one(store: &dyn Store, row: NewRow) -> AppendOutcome {
    append(store, vec![row]).await.remove(0)
}

/// Appends messages as one batch; the number of the last.
pub(super) async fn say(
    store: &dyn Store,
    conversation: ConversationId,
    by: Person,
    count: usize,
) -> Seq {
    let outcomes = append(store, messages(conversation, by, count)).await;
    let last = *numbers(&outcomes).last().expect("at least one message");
    Seq::new(last)
}

/// The numbers of rows that were all written.
pub(super) fn numbers(outcomes: &[AppendOutcome]) -> Vec<u64> {
    outcomes
        .iter()
        .map(|outcome| match outcome {
            AppendOutcome::Appended { seq, .. } => seq.get(),
            other => panic!("the row is appended, not {other:?}"),
        })
        .collect()
}

/// Changes a roster at its current version: the notice's number and the new version.
pub(super) async fn change(
    store: &dyn Store,
    conversation: ConversationId,
    by: Person,
    effects: Vec<MemberEffect>,
) -> (Seq, u64) {
    let expected_version = version(store, conversation).await;
    let outcome = store
        .change_roster(ChangeRoster {
            expected_version,
            effects,
            notice: notice(conversation, by),
        })
        .await
        .expect("a roster can be changed");
    match outcome {
        RosterOutcome::Changed { seq, version, .. } => (seq, version),
        RosterOutcome::Conflict => panic!("nobody else changed the roster"),
    }
}

/// The roster's version.
pub(super) async fn version(store: &dyn Store, conversation: ConversationId) -> u64 {
    let roster = store
        .roster(conversation)
        .await
        .expect("a roster can be read");
    roster.expect("the conversation exists").version
}

/// Moves one position.
pub(super) async fn move_to(
    store: &dyn Store,
    kind: PositionKind,
    who: Person,
    conversation: ConversationId,
    seq: Seq,
) -> Moved {
    let moved = store
        .move_positions(vec![MovePosition {
            kind,
            user: who.user,
            device: who.device,
            conversation,
            seq,
        }])
        .await
        .expect("a position can be moved");
    assert_eq!(moved.len(), 1, "one outcome a move");
    moved[0]
}

/// Runs tasks at once; what they give, in their order.
pub(super) async fn at_once<T, F>(tasks: impl IntoIterator<Item = F>) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let tasks: Vec<F> = tasks.into_iter().collect();
    let start = Arc::new(tokio::sync::Barrier::new(tasks.len()));
    let running: Vec<_> = tasks
        .into_iter()
        .map(|task| {
            let start = Arc::clone(&start);
            tokio::spawn(async move {
                start.wait().await;
                task.await
            })
        })
        .collect();
    let mut results = Vec::with_capacity(running.len());
    for task in running {
        results.push(task.await.expect("no task panics"));
    }
    results
}
