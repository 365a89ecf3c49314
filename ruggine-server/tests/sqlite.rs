//! What the SQLite store promises beyond the conformance suite.
#![cfg(feature = "sqlite")]

use std::path::{Path, PathBuf};

use ruggine_core::api::conversation::{ConversationKind, ProtectionMode, Role};
use ruggine_core::api::message::RowKind;
use ruggine_core::{ClientMsgId, ConversationId, DeviceId, Seq, SessionId, Timestamp, UserId};
use ruggine_server::store::sqlite::SqliteStore;
use ruggine_server::store::{
    AccountStore, Append, ConversationStore, CreateConversation, Maintenance, MessageStore,
    NewConversation, NewRow, NewUser, OpenStoreError, PositionStore, SessionStore, StoreError,
};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, Executor, Row};
use tempfile::TempDir;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// A folder, and the path of a database that is not there yet.
fn nowhere() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("data").join("ruggine.db");
    (folder, path)
}

async fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path).await.expect("the database opens")
}

async fn close(store: SqliteStore) {
    Maintenance::close(&store).await;
}

/// The database as another program sees it.
async fn beside(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new()
        .filename(path)
        .connect()
        .await
        .expect("the database opens")
}

fn user() -> NewUser {
    NewUser {
        id: UserId::new(NOW),
        username: "ada".parse().expect("a username"),
        profile: "{}".into(),
        password_hash: None,
        created_at: NOW,
    }
}

fn row(conversation: ConversationId, kind: RowKind, sender: UserId) -> NewRow {
    NewRow {
        conversation,
        kind,
        sender,
        device: DeviceId::new(NOW),
        client_msg_id: ClientMsgId::new(NOW),
        epoch: None,
        server_ts: NOW,
        key_id: "none".into(),
        body: r#"{"v":1}"#.into(),
        write_counter: None,
        counter_floor: None,
    }
}

fn group(owner: UserId) -> NewConversation {
    let id = ConversationId::new(NOW);
    NewConversation {
        id,
        kind: ConversationKind::Group,
        mode: ProtectionMode::Managed,
        members: vec![(owner, Role::Owner)],
        notice: row(id, RowKind::System, owner),
    }
}

fn batch(rows: Vec<NewRow>) -> Append {
    Append {
        rows,
        settled: Vec::new(),
        at: NOW,
    }
}

#[tokio::test]
async fn a_database_in_use_is_refused_to_a_second_store() {
    let (_folder, path) = nowhere();
    let first = open(&path).await;
    let refused = SqliteStore::open(&path).await.unwrap_err();
    assert!(matches!(&refused, OpenStoreError::Locked(at) if *at == path));
    assert!(refused.to_string().contains("stop that one"), "{refused}");
    first.ping().await.unwrap();

    close(first).await;
    open(&path).await.ping().await.unwrap();
}

#[tokio::test]
async fn a_store_that_was_dropped_without_closing_leaves_the_database_free() {
    let (_folder, path) = nowhere();
    let first = open(&path).await;
    first.create_user(user()).await.unwrap();
    drop(first);
    let second = open(&path).await;
    let found = second.user_by_name(user().username).await.unwrap();
    assert!(found.is_some());
}

#[tokio::test]
async fn a_database_opened_again_has_its_incarnation_and_its_rows() {
    let (_folder, path) = nowhere();
    let store = open(&path).await;
    let facts = store.facts().await.unwrap();
    let ada = user();
    store.create_user(ada.clone()).await.unwrap();
    let new = group(ada.id);
    let id = new.id;
    let created = store.create_conversation(new).await.unwrap();
    assert!(matches!(created, CreateConversation::Created { .. }));
    let message = row(id, RowKind::Message, ada.id);
    store.append(batch(vec![message])).await.unwrap();
    let key = ("k1".to_owned(), r#"{"v":1}"#.into());
    let registered = store.register_key(key.0.clone(), key.1, Vec::new()).await;
    assert!(registered.unwrap());
    let log = store.rows(id, Seq::new(1), Seq::MAX, 10).await.unwrap();
    assert_eq!(log.len(), 2);
    let waiting = store.pending_batches(Timestamp::from_millis(i64::MAX), 10);
    let waiting = waiting.await.unwrap();
    assert_eq!(waiting.len(), 2);
    close(store).await;

    let store = open(&path).await;
    assert_eq!(store.facts().await.unwrap(), facts);
    let found = store.user_by_name(ada.username).await.unwrap().unwrap();
    assert_eq!(found.id, ada.id);
    let again = store.rows(id, Seq::new(1), Seq::MAX, 10).await.unwrap();
    assert_eq!(again, log);
    let still = store.pending_batches(Timestamp::from_millis(i64::MAX), 10);
    assert_eq!(still.await.unwrap(), waiting);
    assert_eq!(store.sealing_keys().await.unwrap().len(), 1);
    let next = row(id, RowKind::Message, ada.id);
    let appended = store.append(batch(vec![next])).await.unwrap();
    assert!(appended.batch.is_some());
    assert_eq!(store.heads(vec![id]).await.unwrap()[0].head, Seq::new(3));
}

#[tokio::test]
async fn two_databases_have_two_incarnations() {
    let (_one, one) = nowhere();
    let (_two, two) = nowhere();
    let (one, two) = (open(&one).await, open(&two).await);
    let (one, two) = (one.facts().await.unwrap(), two.facts().await.unwrap());
    assert_ne!(one.incarnation, two.incarnation);
}

#[tokio::test]
async fn a_commit_rests_on_the_settings_that_make_it_durable() {
    let (_folder, path) = nowhere();
    let store = open(&path).await;
    let durability = store.facts().await.unwrap().durability;
    let expected = [
        ("journal_mode", "wal".to_owned()),
        ("synchronous", "2".to_owned()),
    ];
    assert_eq!(durability, expected);
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_as_it_is() {
    let (_folder, path) = nowhere();
    close(open(&path).await).await;
    let mut other = beside(&path).await;
    let known: i64 = other
        .fetch_one("SELECT max(version) FROM _sqlx_migrations")
        .await
        .unwrap()
        .get(0);
    other
        .execute(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (9999, 'the future', TRUE, x'00', 0);
             CREATE TABLE of_the_future (id BLOB);
             DELETE FROM meta;",
        )
        .await
        .unwrap();
    other.close().await.unwrap();
    let before = std::fs::read(&path).unwrap();

    let refused = SqliteStore::open(&path).await.unwrap_err();
    let OpenStoreError::NewerSchema { found, known: here } = refused else {
        panic!("{refused:?}");
    };
    assert_eq!((found, here), (9999, known));
    assert!(
        refused.to_string().contains("restore the backup"),
        "{refused}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let mut other = beside(&path).await;
    let entries: i64 = other
        .fetch_one("SELECT count(*) FROM meta")
        .await
        .unwrap()
        .get(0);
    assert_eq!(entries, 0, "not even an incarnation was drawn");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_as_it_is() {
    let (folder, _) = nowhere();
    let path = folder.path().join("ruggine.db");
    let content = "a shopping list, by mistake. ".repeat(100);
    std::fs::write(&path, &content).unwrap();
    let refused = SqliteStore::open(&path).await.unwrap_err();
    assert!(
        matches!(refused, OpenStoreError::Database(_)),
        "{refused:?}"
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
}

#[cfg(unix)]
#[tokio::test]
async fn a_folder_that_was_missing_is_made_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;

    let (folder, _) = nowhere();
    let path = folder.path().join("one").join("two").join("ruggine.db");
    let _store = open(&path).await;
    for made in [folder.path().join("one"), folder.path().join("one/two")] {
        let mode = std::fs::metadata(&made).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{}", made.display());
    }
}

#[tokio::test]
async fn a_file_where_the_folder_should_be_is_named_in_the_error() {
    let (folder, _) = nowhere();
    let file = folder.path().join("data");
    std::fs::write(&file, "in the way").unwrap();
    for path in [
        file.join("ruggine.db"),
        file.join("deeper").join("ruggine.db"),
    ] {
        let refused = SqliteStore::open(&path).await.unwrap_err();
        assert_names_the_folder(&refused, &file);
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "in the way");
}

#[cfg(unix)]
#[tokio::test]
async fn a_folder_that_cannot_be_written_is_named_in_the_error() {
    use std::os::unix::fs::PermissionsExt;

    let (parent, _) = nowhere();
    let mut folder = parent.path().join("sealed");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o500)).unwrap();
    if std::fs::write(folder.join("probe"), "").is_ok() {
        // A superuser writes everywhere but where the kernel itself refuses.
        folder = PathBuf::from("/proc/self");
    }
    for path in [
        folder.join("ruggine.db"),
        folder.join("new").join("ruggine.db"),
    ] {
        let refused = SqliteStore::open(&path).await.unwrap_err();
        assert_names_the_folder(&refused, &folder);
    }
}

fn assert_names_the_folder(refused: &OpenStoreError, folder: &Path) {
    let OpenStoreError::Folder { path, source } = refused else {
        panic!("{refused:?}");
    };
    assert!(path.starts_with(folder), "{}", path.display());
    let sentence = refused.to_string();
    assert!(sentence.contains(&path.display().to_string()), "{sentence}");
    assert!(sentence.contains(&source.to_string()), "{sentence}");
}

#[tokio::test]
async fn writes_after_closing_say_that_the_store_is_unavailable() {
    let (_folder, path) = nowhere();
    let store = open(&path).await;
    let ada = user();
    store.create_user(ada.clone()).await.unwrap();
    Maintenance::close(&store).await;

    let session = SessionId::new(NOW);
    let id = ConversationId::new(NOW);
    let message = row(id, RowKind::Message, ada.id);
    let errors: [StoreError; 8] = [
        store.create_user(user()).await.unwrap_err(),
        store.touch_session(ada.id, session, NOW).await.unwrap_err(),
        store.create_conversation(group(ada.id)).await.unwrap_err(),
        store.append(batch(vec![message])).await.unwrap_err(),
        store.move_positions(Vec::new()).await.unwrap_err(),
        store
            .register_key("k".to_owned(), "{}".into(), Vec::new())
            .await
            .unwrap_err(),
        store.users(vec![ada.id]).await.unwrap_err(),
        store.ping().await.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        assert!(error.is_retryable());
    }
}
