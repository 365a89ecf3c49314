//! The database as a whole: durability, identity, keys.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ruggine_core::Incarnation;
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::errors::{open_error, store_error};
use super::rows::{Columns, all};
use super::transaction::{End, Unanswered};
use super::{PostgresStore, lineage};
use crate::store::{Maintenance, OpenStoreError, SealedText, StoreError, StoreFacts, StoreResult};

/// The oldest server that has what is used here.
const OLDEST: i64 = 140_000;

/// What keeps a commit through a crash of the server, and of its machine.
const DURABILITY: [&str; 4] = [
    "fsync",
    "full_page_writes",
    "synchronous_commit",
    "synchronous_standby_names",
];

/// Refuses a server that is too old or takes no writes.
pub(super) async fn check_server(connection: &mut PgConnection) -> Result<(), OpenStoreError> {
    let version = setting(connection, "server_version_num")
        .await
        .map_err(open_error)?;
    if version.parse::<i64>().unwrap_or(0) < OLDEST {
        let found = setting(connection, "server_version")
            .await
            .map_err(open_error)?;
        return Err(OpenStoreError::OldServer { found });
    }
    let read_only = setting(connection, "transaction_read_only")
        .await
        .map_err(open_error)?;
    if read_only == "on" {
        return Err(OpenStoreError::ReadOnly);
    }
    Ok(())
}

/// Reads back what makes a commit durable. What is returned is how commits are
/// to wait from now on.
pub(super) async fn check_durability(
    connection: &mut PgConnection,
) -> Result<SynchronousCommit, OpenStoreError> {
    let mut found = String::new();
    for name in ["fsync", SynchronousCommit::SETTING] {
        found = setting(connection, name).await.map_err(open_error)?;
        if found == "off" {
            return Err(OpenStoreError::NotDurable {
                setting: name,
                expected: "on",
                found,
            });
        }
    }
    Ok(SynchronousCommit(found))
}

/// What a commit waits for, as it was when the store was opened. Every
/// connection says it, so that a later change of the role or of the database
/// does not make an acknowledgement a smaller promise.
#[derive(Debug, Clone)]
pub(super) struct SynchronousCommit(pub(super) String);

impl SynchronousCommit {
    pub(super) const SETTING: &str = "synchronous_commit";
}

async fn setting(connection: &mut PgConnection, name: &'static str) -> Result<String, sqlx::Error> {
    sqlx::query("SELECT current_setting($1)")
        .bind(name)
        .fetch_one(connection)
        .await?
        .try_get(0)
}

impl Maintenance for PostgresStore {
    async fn facts(&self) -> StoreResult<StoreFacts> {
        self.read(&(), |connection, ()| Box::pin(facts(connection)))
            .await
    }

    async fn begin_incarnation(&self) -> StoreResult<Incarnation> {
        self.read(&(), |connection, ()| {
            Box::pin(async {
                let drawn = lineage::renew(connection).await.map_err(store_error)?;
                Ok(Incarnation::new(u64::from_be_bytes(drawn)))
            })
        })
        .await
    }

    async fn ping(&self) -> StoreResult<()> {
        if self.is_replaced.load(Ordering::Relaxed) {
            return Err(StoreError::Replaced);
        }
        self.read(&(), |connection, ()| Box::pin(ping(connection)))
            .await
    }

    async fn sealing_keys(&self) -> StoreResult<Vec<(String, SealedText)>> {
        self.read(&(), |connection, ()| Box::pin(sealing_keys(connection)))
            .await
    }

    async fn register_key(
        &self,
        kid: String,
        record: SealedText,
        beside: Vec<String>,
    ) -> StoreResult<bool> {
        let input = (kid, record, beside);
        self.write(Unanswered::Repeat, &input, |connection, input| {
            let (kid, record, beside) = input;
            Box::pin(register_key(connection, kid, record, beside))
        })
        .await
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}

async fn facts(connection: &mut PgConnection) -> StoreResult<StoreFacts> {
    let row = sqlx::query("SELECT value FROM meta WHERE name = 'incarnation'")
        .fetch_one(&mut *connection)
        .await
        .map_err(store_error)?;
    let columns = Columns::of("meta", &row);
    let bytes: [u8; 8] = columns
        .blob("value")?
        .try_into()
        .map_err(|_| columns.inconsistent("value"))?;
    let mut durability = Vec::with_capacity(DURABILITY.len());
    for name in DURABILITY {
        let value = setting(connection, name).await.map_err(store_error)?;
        durability.push((name, value));
    }
    Ok(StoreFacts {
        incarnation: Incarnation::new(u64::from_be_bytes(bytes)),
        durability,
    })
}

/// Asks the server whether it takes writes: one that has become a standby
/// answers, and yet nothing can be stored on it.
async fn ping(connection: &mut PgConnection) -> StoreResult<()> {
    let read_only = setting(connection, "transaction_read_only")
        .await
        .map_err(store_error)?;
    if read_only == "on" {
        return Err(StoreError::CannotWrite(
            "the database takes no writes".into(),
        ));
    }
    Ok(())
}

async fn sealing_keys(connection: &mut PgConnection) -> StoreResult<Vec<(String, SealedText)>> {
    let rows = sqlx::query("SELECT kid, record FROM sealing_keys ORDER BY kid")
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    all("sealing_keys", &rows, |columns| {
        Ok((
            columns.text("kid")?.to_owned(),
            Arc::from(columns.text("record")?),
        ))
    })
}

async fn register_key(
    connection: &mut PgConnection,
    kid: &str,
    record: &SealedText,
    beside: &[String],
) -> StoreResult<End<bool>> {
    // Nobody registers between the look and the insert; whoever only reads goes on.
    sqlx::query("LOCK TABLE sealing_keys IN SHARE ROW EXCLUSIVE MODE")
        .execute(&mut *connection)
        .await
        .map_err(store_error)?;
    let registered = sealing_keys(connection).await?;
    if registered
        .iter()
        .any(|(other, _)| other != kid && !beside.contains(other))
    {
        return Ok(End::RollBack(false));
    }
    sqlx::query("INSERT INTO sealing_keys (kid, record) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(kid)
        .bind(&**record)
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(End::Commit(true))
}
