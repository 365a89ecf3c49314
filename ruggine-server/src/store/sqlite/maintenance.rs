//! The database as a whole: schema, durability, identity, keys.

use std::sync::Arc;

use ruggine_core::Incarnation;
use ruggine_crypto::random;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Row};

use super::rows::{Columns, integer};
use super::{SqliteStore, open_error, store_error};
use crate::store::{Maintenance, OpenStoreError, SealedText, StoreError, StoreFacts, StoreResult};

/// The newest migration in the database; `None` in an empty one.
pub(super) async fn schema_version(
    connection: &mut SqliteConnection,
) -> Result<Option<i64>, sqlx::Error> {
    let migrated = sqlx::query(
        "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = '_sqlx_migrations'",
    )
    .fetch_optional(&mut *connection)
    .await?;
    if migrated.is_none() {
        return Ok(None);
    }
    sqlx::query("SELECT max(version) FROM _sqlx_migrations")
        .fetch_one(connection)
        .await?
        .try_get(0)
}

/// Reads back what makes a commit durable: a setting that was asked for may
/// have been refused silently.
pub(super) async fn check_durability(
    connection: &mut SqliteConnection,
) -> Result<(), OpenStoreError> {
    for (setting, expected) in [("journal_mode", "wal"), ("synchronous", "2")] {
        let found = pragma(connection, setting).await.map_err(open_error)?;
        if found != expected {
            return Err(OpenStoreError::NotDurable {
                setting,
                expected,
                found,
            });
        }
    }
    Ok(())
}

async fn pragma(
    connection: &mut SqliteConnection,
    setting: &'static str,
) -> Result<String, sqlx::Error> {
    let question = match setting {
        "journal_mode" => "PRAGMA journal_mode",
        _ => "PRAGMA synchronous",
    };
    let row = sqlx::query(question).fetch_one(connection).await?;
    match row.try_get::<String, _>(0) {
        Ok(text) => Ok(text),
        Err(_) => row.try_get::<i64, _>(0).map(|number| number.to_string()),
    }
}

/// Draws the log's identity when the database is new.
pub(super) async fn ensure_incarnation(connection: &mut SqliteConnection) -> StoreResult<()> {
    sqlx::query("INSERT INTO meta (name, value) VALUES ('incarnation', ?1) ON CONFLICT DO NOTHING")
        .bind(integer(drawn()?.get()).to_be_bytes().to_vec())
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(())
}

fn drawn() -> StoreResult<Incarnation> {
    let number = random::number().map_err(|error| StoreError::Unavailable(Box::new(error)))?;
    Ok(Incarnation::new(number))
}

impl Maintenance for SqliteStore {
    async fn facts(&self) -> StoreResult<StoreFacts> {
        let row = sqlx::query("SELECT value FROM meta WHERE name = 'incarnation'")
            .fetch_one(&self.readers)
            .await
            .map_err(store_error)?;
        let columns = Columns {
            table: "meta",
            row: &row,
        };
        let bytes: [u8; 8] = columns
            .blob("value")?
            .try_into()
            .map_err(|_| columns.inconsistent("value"))?;
        let mut writing = self.write().await?;
        let mut durability = Vec::new();
        if let Some(connection) = writing.guard.as_mut() {
            for setting in ["journal_mode", "synchronous"] {
                let value = pragma(connection, setting).await.map_err(store_error)?;
                durability.push((setting, value));
            }
        }
        Ok(StoreFacts {
            incarnation: Incarnation::new(u64::from_be_bytes(bytes)),
            durability,
        })
    }

    async fn begin_incarnation(&self) -> StoreResult<Incarnation> {
        let drawn = drawn()?;
        let mut writing = self.write().await?;
        if let Some(connection) = writing.guard.as_mut() {
            sqlx::query("UPDATE meta SET value = ?1 WHERE name = 'incarnation'")
                .bind(integer(drawn.get()).to_be_bytes().to_vec())
                .execute(connection)
                .await
                .map_err(store_error)?;
        }
        Ok(drawn)
    }

    async fn ping(&self) -> StoreResult<()> {
        sqlx::query("SELECT 1")
            .execute(&self.readers)
            .await
            .map_err(store_error)?;
        Ok(())
    }

    async fn sealing_keys(&self) -> StoreResult<Vec<(String, SealedText)>> {
        let rows = sqlx::query("SELECT kid, record FROM sealing_keys ORDER BY kid")
            .fetch_all(&self.readers)
            .await
            .map_err(store_error)?;
        rows.iter()
            .map(|row| {
                let columns = Columns {
                    table: "sealing_keys",
                    row,
                };
                Ok((
                    columns.text("kid")?.to_owned(),
                    Arc::from(columns.text("record")?),
                ))
            })
            .collect()
    }

    async fn register_key(
        &self,
        kid: String,
        record: SealedText,
        beside: Vec<String>,
    ) -> StoreResult<bool> {
        let mut writing = self.write().await?;
        let mut tx = writing.begin().await?;
        let registered: Vec<String> = sqlx::query_scalar("SELECT kid FROM sealing_keys")
            .fetch_all(&mut *tx)
            .await
            .map_err(store_error)?;
        if registered
            .iter()
            .any(|other| *other != kid && !beside.contains(other))
        {
            tx.rollback().await.map_err(store_error)?;
            return Ok(false);
        }
        sqlx::query(
            "INSERT INTO sealing_keys (kid, record) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        )
        .bind(kid)
        .bind(&*record)
        .execute(&mut *tx)
        .await
        .map_err(store_error)?;
        tx.commit().await.map_err(store_error)?;
        Ok(true)
    }

    async fn close(&self) {
        self.readers.close().await;
        if let Some(connection) = self.writer.lock().await.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "the database did not close cleanly");
        }
    }
}
