//! What is particular to PostgreSQL: opening, refusing, migrating, and going on
//! after connections are lost.
#![cfg(feature = "postgres")]

use std::time::Duration;

use ruggine_core::secret::SecretText;
use ruggine_server::store::postgres::{PostgresOptions, PostgresStore, UrlError};
use ruggine_server::store::{DynMaintenance, OpenStoreError, StoreError};
use ruggine_server::testing::{FaultProxy, TestDatabase, eventually};
use ruggine_services::Postgres;
use sqlx::{AssertSqlSafe, Connection, Executor, Row};

fn options(url: &str) -> Result<PostgresOptions, UrlError> {
    PostgresOptions::from_url(&SecretText::new(url))
}

async fn refused(options: PostgresOptions) -> OpenStoreError {
    let opened = PostgresStore::open(options.patience(Duration::ZERO)).await;
    opened.expect_err("it does not open")
}

async fn execute(database: &TestDatabase, statement: &str) {
    let mut connection = database.connect().await;
    connection
        .execute(AssertSqlSafe(statement))
        .await
        .expect("the statement is good");
    connection.close().await.expect("the server is there");
}

async fn count(database: &TestDatabase, statement: &str) -> i64 {
    let mut connection = database.connect().await;
    let row = sqlx::query(AssertSqlSafe(statement))
        .fetch_one(&mut connection)
        .await
        .expect("the statement is good");
    row.get(0)
}

#[test]
fn an_address_that_is_none_is_refused_without_being_repeated() {
    for url in [
        "",
        "mysql://ada:secret@host/x",
        "postgres",
        "postgres://[x/y",
    ] {
        let error = options(url).expect_err("it is no address").to_string();
        assert!(!error.contains("secret"), "{error}");
    }
    let debug = format!(
        "{:?}",
        options("postgres://ada:secret@localhost/x").unwrap()
    );
    assert!(!debug.contains("secret"), "{debug}");
}

#[test]
fn an_address_names_its_user_and_its_database() {
    for (url, missing) in [
        ("postgres://db.example/x", "user"),
        ("postgres://localhost", "user"),
        ("postgres://ada@localhost", "database"),
        ("postgres://ada@localhost/", "database"),
    ] {
        let error = options(url).expect_err("it leaves something out");
        assert!(
            matches!(error, UrlError::Incomplete(what) if what == missing),
            "{url}: {error}"
        );
    }
    for url in [
        "postgres://ada@localhost/x",
        "postgres:///x?user=ada&host=/run/postgresql",
        "postgres:///?user=ada&dbname=x",
    ] {
        assert!(options(url).is_ok(), "{url}");
    }
}

#[test]
fn a_database_on_another_machine_is_spoken_to_over_tls() {
    for mode in ["disable", "allow", "prefer"] {
        let url = format!("postgres://ada@db.example/x?sslmode={mode}");
        assert!(
            matches!(options(&url), Err(UrlError::Insecure(_))),
            "{mode}"
        );
        let here = format!("postgres://ada@127.0.0.1/x?sslmode={mode}");
        assert!(options(&here).is_ok(), "{mode}");
    }
    for mode in ["require", "verify-ca", "verify-full"] {
        let url = format!("postgres://ada@db.example/x?sslmode={mode}");
        assert!(options(&url).is_ok(), "{mode}");
    }
    assert!(options("postgres://ada@db.example/x").is_ok());
}

#[tokio::test]
async fn a_wrong_password_is_told_from_a_server_that_is_not_there() {
    let database = TestDatabase::create().await;
    let url = database.url().expose().to_owned();
    let (login, rest) = url.split_once('@').expect("it has a login");
    let (user, _) = login.rsplit_once(':').expect("it has a password");
    let wrong = options(&format!("{user}:wrong@{rest}")).unwrap();
    let error = refused(wrong).await;
    assert!(matches!(error, OpenStoreError::Credentials(_)), "{error}");
    assert!(error.to_string().contains("DATABASE_URL"), "{error}");

    let elsewhere = options("postgres://ada@127.0.0.1:1/x").unwrap();
    let error = refused(elsewhere).await;
    assert!(matches!(error, OpenStoreError::Unreachable(_)), "{error}");
    assert!(error.to_string().contains("DATABASE_URL"), "{error}");

    let (before, _) = url.rsplit_once('/').expect("it has a name");
    let missing = options(&format!("{before}/no_such_database")).unwrap();
    let error = refused(missing).await;
    assert!(matches!(error, OpenStoreError::NoDatabase(_)), "{error}");
}

#[tokio::test]
async fn a_database_that_takes_no_writes_is_refused() {
    let database = TestDatabase::create().await;
    let name = name_of(&database).await;
    execute(
        &database,
        &format!("ALTER DATABASE {name} SET default_transaction_read_only = on"),
    )
    .await;
    let error = refused(database.options()).await;
    assert!(matches!(error, OpenStoreError::ReadOnly), "{error}");
    assert_eq!(
        count(
            &database,
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        )
        .await,
        0,
        "nothing was made"
    );
}

async fn name_of(database: &TestDatabase) -> String {
    let mut connection = database.connect().await;
    let row = sqlx::query("SELECT current_database()::text")
        .fetch_one(&mut connection)
        .await
        .expect("the server answers");
    row.get(0)
}

#[tokio::test]
async fn a_database_that_does_not_flush_is_refused() {
    let database = TestDatabase::create().await;
    let name = name_of(&database).await;
    execute(
        &database,
        &format!("ALTER DATABASE {name} SET synchronous_commit = off"),
    )
    .await;
    let error = refused(database.options()).await;
    assert!(
        matches!(&error, OpenStoreError::NotDurable { setting, .. } if *setting == "synchronous_commit"),
        "{error}"
    );
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let database = TestDatabase::create().await;
    database.open().await.close().await;
    execute(
        &database,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'of tomorrow', true, '\\x00', 0)",
    )
    .await;
    let error = refused(database.options()).await;
    assert!(
        matches!(error, OpenStoreError::NewerSchema { found: 9999, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_migration_that_fails_leaves_nothing_of_it() {
    let database = TestDatabase::create().await;
    // The last table but some that the first migration makes.
    execute(&database, "CREATE TABLE outbox (in_the_way integer)").await;
    let error = refused(database.options()).await;
    assert!(matches!(error, OpenStoreError::Migration(_)), "{error}");
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'
                  AND tablename NOT IN ('outbox', 'schema_locks')";
    assert_eq!(count(&database, tables).await, 0);
    execute(&database, "DROP TABLE outbox").await;
    database.open().await.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_instances_that_start_at_once_one_migrates() {
    let database = TestDatabase::create().await;
    let opening: Vec<_> = (0..4)
        .map(|_| tokio::spawn(PostgresStore::open(database.options())))
        .collect();
    let mut incarnations = Vec::new();
    for store in opening {
        let store = store.await.unwrap().expect("each opens");
        incarnations.push(DynMaintenance::facts(&store).await.unwrap().incarnation);
    }
    incarnations.dedup();
    assert_eq!(incarnations.len(), 1, "all have the log of one");
    // They are numbered from one.
    assert_eq!(
        count(&database, "SELECT count(*) FROM _sqlx_migrations").await,
        count(&database, "SELECT max(version) FROM _sqlx_migrations").await,
        "each was applied once"
    );
}

#[tokio::test]
async fn what_makes_commits_durable_is_read_back() {
    let database = TestDatabase::create().await;
    let store = database.open().await;
    let facts = store.facts().await.unwrap();
    for expected in [("fsync", "on"), ("synchronous_commit", "on")] {
        let expected = (expected.0, expected.1.to_owned());
        assert!(facts.durability.contains(&expected), "{facts:?}");
    }
}

#[tokio::test]
async fn what_a_commit_waits_for_stays_as_it_was_when_the_store_was_opened() {
    let database = TestDatabase::create().await;
    let store = database.open().await;
    let name = name_of(&database).await;
    let weaker = format!("ALTER DATABASE {name} SET synchronous_commit = off");
    execute(&database, &weaker).await;
    assert_eq!(
        count(
            &database,
            "SELECT count(*) FROM pg_settings WHERE name = 'synchronous_commit' AND setting = 'off'"
        )
        .await,
        1,
        "new connections would commit so"
    );
    let facts = store.facts().await.unwrap();
    let expected = ("synchronous_commit", "on".to_owned());
    assert!(facts.durability.contains(&expected), "{facts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_a_restored_database_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let server = Postgres::create(&folder.path().join("server")).unwrap();
    let address = |server: &Postgres| {
        let url = server.url();
        let (_, rest) = url.split_once('@').unwrap();
        rest.split('/').next().unwrap().parse().unwrap()
    };
    let door = FaultProxy::start(address(&server)).await;
    let behind = server.url().replace(
        &format!("{}", address(&server) as std::net::SocketAddr),
        &door.address().to_string(),
    );
    let store = PostgresStore::open(options(&behind).unwrap())
        .await
        .unwrap();
    let begun = store.facts().await.unwrap().incarnation;
    let again = PostgresStore::open(options(&behind).unwrap())
        .await
        .unwrap();
    assert_eq!(again.facts().await.unwrap().incarnation, begun);

    let restored = server.restore(&folder.path().join("restored")).unwrap();
    door.set_target(address(&restored));
    door.reset();
    // Who had opened the first must not go on as if it were the same.
    eventually("the store to find out", || async {
        matches!(store.ping().await, Err(StoreError::Replaced))
    })
    .await;
    let after = PostgresStore::open(options(&behind).unwrap())
        .await
        .unwrap();
    let anew = after.facts().await.unwrap().incarnation;
    assert_ne!(anew, begun);
    let again = PostgresStore::open(options(&behind).unwrap())
        .await
        .unwrap();
    assert_eq!(again.facts().await.unwrap().incarnation, anew);
}

#[tokio::test]
async fn connections_that_were_cut_are_replaced_without_anybody_noticing() {
    let database = TestDatabase::create().await;
    let store = database.open().await;
    for _ in 0..5 {
        store.ping().await.expect("the database answers");
        let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
        assert!(
            count(&database, cut).await > 0,
            "there was something to cut"
        );
        store.facts().await.expect("another connection is made");
    }
}

#[tokio::test]
async fn a_statement_that_waits_too_long_is_given_up() {
    let database = TestDatabase::create().await;
    let store = database.open().await;
    let mut other = database.connect().await;
    let mut holding = other.begin().await.unwrap();
    holding
        .execute("LOCK TABLE sealing_keys IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let error = store.sealing_keys().await.expect_err("somebody holds it");
    assert!(error.is_retryable(), "{error}");
    holding.rollback().await.unwrap();
    eventually("the keys to be readable again", || async {
        store.sealing_keys().await.is_ok()
    })
    .await;
}
