//! Databases on a PostgreSQL server that was started for the tests.

use std::sync::Arc;

use ruggine_core::secret::SecretText;
use ruggine_crypto::random;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};

use super::StatementCounter;
use crate::store::Store;
use crate::store::postgres::{PostgresOptions, PostgresStore};

/// Where the server is, as a user who may create databases.
const SERVER: &str = "TEST_POSTGRES_URL";

/// A database of one test; it goes when this is dropped.
#[derive(Debug)]
pub struct TestDatabase {
    server: PgConnectOptions,
    url: String,
    name: String,
}

impl TestDatabase {
    /// Creates an empty database.
    ///
    /// # Panics
    /// When `TEST_POSTGRES_URL` names no server that allows it.
    pub async fn create() -> Self {
        let url = std::env::var(SERVER)
            .expect("TEST_POSTGRES_URL names a server: run the tests with `cargo xtask test`");
        let server: PgConnectOptions = url
            .parse()
            .expect("TEST_POSTGRES_URL is the URL of a server");
        let number = random::number().expect("the operating system provides randomness");
        let name = format!("test_{number:016x}");
        let mut connection = server.connect().await.expect("the server can be reached");
        let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
        connection
            .execute(create)
            .await
            .expect("the user of TEST_POSTGRES_URL may create databases");
        let _ = connection.close().await;
        let (before, _) = url.rsplit_once('/').expect("a URL ends in a name");
        Self {
            url: format!("{before}/{name}"),
            server,
            name,
        }
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> SecretText {
        SecretText::new(self.url.clone())
    }

    /// What opens it.
    ///
    /// # Panics
    /// Never: the address was made here.
    #[must_use]
    pub fn options(&self) -> PostgresOptions {
        PostgresOptions::from_url(&self.url()).expect("the address is one of a database")
    }

    /// Opens it as a store.
    ///
    /// # Panics
    /// When it does not open.
    pub async fn open(&self) -> Arc<dyn Store> {
        let store = PostgresStore::open(self.options()).await;
        Arc::new(store.expect("a new database opens"))
    }

    /// A connection to it, for looking at what is stored.
    ///
    /// # Panics
    /// When the server cannot be reached.
    pub async fn connect(&self) -> PgConnection {
        let options = self.server.clone().database(&self.name);
        options.connect().await.expect("the server can be reached")
    }

    /// What counts the statements that are carried out in it.
    ///
    /// # Panics
    /// When the server does not have the extension `pg_stat_statements`.
    pub async fn statements(&self) -> StatementCounter {
        StatementCounter::start(self.connect().await).await
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        // The test's own runtime may be at its end.
        let removing = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let mut connection = server.connect().await?;
                let drop = AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
                connection.execute(drop).await?;
                connection.close().await
            })?;
            Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
        });
        // A database that stays is removed with the server.
        let _ = removing.join();
    }
}
