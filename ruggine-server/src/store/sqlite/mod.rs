//! SQLite behind the store's traits: the embedded default.
//!
//! One connection writes, and `BEGIN IMMEDIATE` on it is the row lock of every
//! conversation; a pool of connections reads beside it from the write-ahead
//! log. A lock file keeps a second process out.

mod accounts;
mod append;
mod conversations;
mod errors;
mod identities;
mod insert;
mod key_packages;
mod lock_file;
mod maintenance;
mod messages;
mod positions;
mod rows;
mod sessions;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, Transaction};
use tokio::sync::{Mutex, MutexGuard};

use super::{OpenStoreError, Store, StoreError, StoreResult};
use errors::store_error;
use lock_file::LockFile;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");

/// How long a statement waits for a checkpoint of another connection.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const READERS: u32 = 8;
const STATEMENTS_CACHED: usize = 128;
/// Memory for pages of each connection, in KiB as SQLite writes it.
const CACHE: &str = "-32768";
/// Pages of the write-ahead log before they are copied into the database: the
/// same pages are written to again and again, and copied once.
const CHECKPOINT: &str = "8000";

/// A store in one SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    readers: SqlitePool,
    options: SqliteConnectOptions,
    /// `None` once the store is closed.
    writer: Mutex<Option<SqliteConnection>>,
    _lock: LockFile,
}

impl SqliteStore {
    /// Opens the database at `path`, makes it and its folder where they are
    /// missing, and brings its schema up to date.
    ///
    /// # Errors
    /// When the folder cannot be used, another process has the database, its
    /// schema is newer than this program, a migration fails (none of it then
    /// remains), or the settings that make a commit durable are not in force.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, OpenStoreError> {
        let path = path.as_ref().to_path_buf();
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder {
            create_private_folder(folder)?;
        }
        let lock = LockFile::take(&path)?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .statement_cache_capacity(STATEMENTS_CACHED)
            .pragma("secure_delete", "ON")
            .pragma("cache_size", CACHE)
            .pragma("wal_autocheckpoint", CHECKPOINT)
            .pragma("trusted_schema", "OFF")
            .disable_statement_logging();
        let mut writer = options.connect().await.map_err(open_error)?;
        migrate(&mut writer).await?;
        maintenance::check_durability(&mut writer).await?;
        maintenance::ensure_incarnation(&mut writer)
            .await
            .map_err(|error| OpenStoreError::Database(Box::new(error)))?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(Duration::from_secs(2))
            .connect_with(options.clone().read_only(true).create_if_missing(false))
            .await
            .map_err(open_error)?;
        Ok(Self {
            path,
            readers,
            options,
            writer: Mutex::new(Some(writer)),
            _lock: lock,
        })
    }

    /// Where the database stands.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    async fn write(&self) -> StoreResult<Writing<'_>> {
        let guard = self.writer.lock().await;
        if guard.is_none() {
            return Err(StoreError::Unavailable("the store is closed".into()));
        }
        Ok(Writing {
            guard,
            options: &self.options,
        })
    }
}

impl Store for SqliteStore {
    fn lanes(&self) -> usize {
        1
    }
}

/// The writing connection, held.
struct Writing<'a> {
    guard: MutexGuard<'a, Option<SqliteConnection>>,
    options: &'a SqliteConnectOptions,
}

impl Writing<'_> {
    /// Begins a transaction that holds the database's only write lock. Dropped
    /// before its commit, it is rolled back.
    ///
    /// After a commit that the disk refused, the driver and the database no
    /// longer agree on where the connection stands: a new one takes its place.
    async fn begin(&mut self) -> StoreResult<Transaction<'_, sqlx::Sqlite>> {
        let closed = || StoreError::Unavailable("the store is closed".into());
        let connection = self.guard.as_mut().ok_or_else(closed)?;
        if connection.is_in_transaction() {
            // A transaction that was dropped is rolled back behind our back; a
            // statement waits for that.
            let _ = sqlx::query("SELECT 1").execute(&mut *connection).await;
        }
        if connection.is_in_transaction() {
            tracing::warn!("the writing connection is replaced after a failed commit");
            let fresh = self.options.connect().await.map_err(store_error)?;
            drop(self.guard.replace(fresh));
        }
        self.guard
            .as_mut()
            .ok_or_else(closed)?
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(store_error)
    }
}

fn open_error(error: sqlx::Error) -> OpenStoreError {
    OpenStoreError::Database(Box::new(error))
}

fn create_private_folder(folder: &Path) -> Result<(), OpenStoreError> {
    let failed = |source| OpenStoreError::Folder {
        path: folder.to_path_buf(),
        source,
    };
    if folder.is_dir() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(failed)
}

async fn migrate(connection: &mut SqliteConnection) -> Result<(), OpenStoreError> {
    let known = MIGRATIONS
        .iter()
        .map(|step| step.version)
        .max()
        .unwrap_or(0);
    let found: Option<i64> = maintenance::schema_version(connection)
        .await
        .map_err(open_error)?;
    if let Some(found) = found
        && found > known
    {
        return Err(OpenStoreError::NewerSchema { found, known });
    }
    MIGRATIONS
        .run(connection)
        .await
        .map_err(|error| OpenStoreError::Migration(Box::new(error)))
}
