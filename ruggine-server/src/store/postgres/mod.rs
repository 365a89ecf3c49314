//! PostgreSQL behind the store's traits: for several instances and large deployments.
//!
//! A conversation's row is its lock. Rows of one batch are checked together and
//! written by one statement; whoever writes to several conversations locks
//! them in the order of their ids. Steps that meet another, or lose their
//! connection, are repeated where that is the same as doing them once.

mod accounts;
mod append;
mod conversations;
mod errors;
mod fast_append;
mod identities;
mod key_packages;
mod lineage;
mod maintenance;
mod messages;
mod migrate;
mod options;
mod positions;
mod rosters;
mod rows;
mod sessions;
mod transaction;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::pool::PoolConnectionMetadata;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Executor};

use super::{OpenStoreError, Store, StoreError};
use errors::{is_worth_waiting, open_error};
use lineage::Lineage;
pub use options::{PostgresOptions, UrlError};

/// How long a connection that was unused is trusted to be still there.
const TRUSTED: Duration = Duration::from_secs(1);
/// How long one attempt to connect may take.
const CONNECT: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// A store in a PostgreSQL database.
#[derive(Debug)]
pub struct PostgresStore {
    pool: PgPool,
    /// A connection led to a server of another lineage.
    is_replaced: Arc<AtomicBool>,
    lanes: usize,
    known: fast_append::KnownRosters,
}

impl PostgresStore {
    /// Opens the database and brings its schema up to date. While the server
    /// cannot be reached or is starting it is tried again, up to the patience
    /// of the options.
    ///
    /// # Errors
    /// When the server cannot be reached, refuses the credentials, is too old,
    /// takes no writes or does not keep what it commits; when the schema is
    /// newer than this program; when a migration fails (nothing of it remains).
    pub async fn open(options: PostgresOptions) -> Result<Self, OpenStoreError> {
        let mut connection = connect(&options).await?;
        maintenance::check_server(&mut connection).await?;
        let commit = maintenance::check_durability(&mut connection).await?;
        migrate::migrate(&mut connection).await?;
        let lineage = lineage::read(&mut connection).await.map_err(open_error)?;
        lineage::settle(&mut connection, lineage.as_ref())
            .await
            .map_err(open_error)?;
        // What goes wrong here has gone wrong before, or is noticed later.
        let _ = connection.close().await;
        let is_replaced = Arc::<AtomicBool>::default();
        let pool = PgPoolOptions::new()
            .max_connections(options.connections)
            .acquire_timeout(options.acquire_timeout)
            .test_before_acquire(false)
            .after_connect(same_lineage(lineage, Arc::clone(&is_replaced)))
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    if meta.idle_for > TRUSTED {
                        connection.execute("").await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(options.for_steps(&commit));
        Ok(Self {
            pool,
            is_replaced,
            lanes: options.lanes,
            known: fast_append::KnownRosters::default(),
        })
    }
}

impl Store for PostgresStore {
    fn lanes(&self) -> usize {
        self.lanes
    }
}

/// Lets no step run on a server whose log may have lost what was acknowledged
/// here: that has to begin anew.
fn same_lineage(
    opened: Option<Lineage>,
    is_replaced: Arc<AtomicBool>,
) -> impl for<'a> Fn(
    &'a mut PgConnection,
    PoolConnectionMetadata,
) -> BoxFuture<'a, Result<(), sqlx::Error>>
+ Send
+ Sync
+ 'static {
    move |connection, _| {
        let (opened, is_replaced) = (opened.clone(), Arc::clone(&is_replaced));
        Box::pin(async move {
            let Some(opened) = opened else { return Ok(()) };
            match lineage::read(connection).await? {
                Some(found) if found != opened => {
                    is_replaced.store(true, Ordering::Relaxed);
                    tracing::error!(%opened, %found, "{}", StoreError::Replaced);
                    Err(sqlx::Error::Configuration(StoreError::Replaced.into()))
                }
                Some(_) => Ok(()),
                // A standby would keep the connection when it is promoted, and
                // nobody would ask again.
                None => Err(sqlx::Error::Configuration(
                    "the server does not tell its timeline".into(),
                )),
            }
        })
    }
}

/// Connects, and goes on trying while waiting may help.
async fn connect(options: &PostgresOptions) -> Result<PgConnection, OpenStoreError> {
    let connect: PgConnectOptions = options.for_migrations();
    let deadline = tokio::time::Instant::now() + options.patience;
    let mut pause = FIRST_PAUSE;
    loop {
        let attempt = tokio::time::timeout(CONNECT, connect.connect()).await;
        let attempt = attempt.unwrap_or_else(|elapsed| {
            Err(sqlx::Error::Io(std::io::Error::new(
                std::io::ErrorKind::TimedOut,
                elapsed,
            )))
        });
        match attempt {
            Ok(connection) => return Ok(connection),
            Err(error)
                if is_worth_waiting(&error) && tokio::time::Instant::now() + pause < deadline =>
            {
                tracing::warn!(%error, "the database cannot be reached yet");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LAST_PAUSE);
            }
            Err(error) => return Err(open_error(error)),
        }
    }
}
