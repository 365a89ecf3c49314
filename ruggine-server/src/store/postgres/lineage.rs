//! Which history of the server the log stands in.
//!
//! A database that was restored, or a standby that took over, may lack the last
//! commits, and then gives numbers again that devices have seen under other
//! messages. PostgreSQL begins a new timeline whenever that can have happened,
//! and so does the log: it draws another identity, by which every device knows
//! that it has to read anew.

use std::fmt;

use ruggine_crypto::random;
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Row};

use super::errors::code;

const INCARNATION: &str = "incarnation";
const LINEAGE: &str = "lineage";

/// A cluster of databases and its timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lineage(String);

impl fmt::Display for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The lineage of the server at the other end; `None` where it does not tell,
/// as a standby or a server that only speaks the protocol.
pub(super) async fn read(connection: &mut PgConnection) -> Result<Option<Lineage>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT (SELECT system_identifier FROM pg_control_system())::text
                || ' ' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)",
    )
    .fetch_one(connection)
    .await;
    match row {
        Ok(row) => Ok(Some(Lineage(row.try_get(0)?))),
        // Not allowed, not known, not while recovering.
        Err(error) if matches!(code(&error).as_deref(), Some("42501" | "42883" | "55000")) => {
            tracing::debug!(%error, "the server does not tell its timeline");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Draws the log's identity where the database is new or its lineage is
/// another one than before. Of instances that start at once, one does.
pub(super) async fn settle(
    connection: &mut PgConnection,
    lineage: Option<&Lineage>,
) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    insert(&mut transaction, INCARNATION, &drawn()?).await?;
    if let Some(lineage) = lineage {
        let is_new = insert(&mut transaction, LINEAGE, lineage.0.as_bytes()).await?;
        if !is_new && replace(&mut transaction, LINEAGE, lineage.0.as_bytes()).await? {
            replace(&mut transaction, INCARNATION, &drawn()?).await?;
            tracing::warn!(
                %lineage,
                "the database was restored or a standby took over: the log begins anew, and every device reads it again"
            );
        }
    }
    transaction.commit().await
}

/// Draws another identity for the log.
pub(super) async fn renew(connection: &mut PgConnection) -> Result<[u8; 8], sqlx::Error> {
    let drawn = drawn()?;
    replace(connection, INCARNATION, &drawn).await?;
    Ok(drawn)
}

fn drawn() -> Result<[u8; 8], sqlx::Error> {
    let number = random::number().map_err(|error| sqlx::Error::Configuration(error.into()))?;
    Ok(number.to_be_bytes())
}

async fn insert(
    connection: &mut PgConnection,
    name: &str,
    value: &[u8],
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query("INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(name)
        .bind(value)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Writes a value; whether it was another one.
async fn replace(
    connection: &mut PgConnection,
    name: &str,
    value: &[u8],
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query("UPDATE meta SET value = $2 WHERE name = $1 AND value <> $2")
        .bind(name)
        .bind(value)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() > 0)
}
