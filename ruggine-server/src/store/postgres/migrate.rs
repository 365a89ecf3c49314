//! Bringing the schema up to date.
//!
//! Everything happens in one transaction that holds the row of a table of
//! locks, so that of several instances that start at once one migrates and the
//! others wait for it, and so that a migration that fails leaves nothing. No
//! advisory lock is taken: not every server that speaks this protocol has them.

use std::collections::HashMap;

use sqlx::migrate::{AppliedMigration, Migrate, MigrateError, Migrator};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Row};

use super::errors::{code, open_error};
use crate::store::OpenStoreError;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// Where it is noted what has been applied.
const TABLE: &str = "_sqlx_migrations";

pub(super) async fn migrate(connection: &mut PgConnection) -> Result<(), OpenStoreError> {
    make_lock(connection).await.map_err(open_error)?;
    let mut tx = connection.begin().await.map_err(open_error)?;
    sqlx::query("SELECT name FROM schema_locks WHERE name = 'migrations' FOR UPDATE")
        .fetch_one(&mut *tx)
        .await
        .map_err(open_error)?;
    let known = MIGRATIONS.iter().map(|step| step.version).max();
    let known = known.unwrap_or(0);
    let found = version(&mut tx).await.map_err(open_error)?;
    if let Some(found) = found
        && found > known
    {
        return Err(OpenStoreError::NewerSchema { found, known });
    }
    apply(&MIGRATIONS, &mut tx)
        .await
        .map_err(|error| OpenStoreError::Migration(Box::new(error)))?;
    tx.commit().await.map_err(open_error)
}

/// Applies what has not been applied. The migrator's own loop is generic over
/// how it comes by its connection, so much so that the compiler cannot tell
/// whether its future may move between threads.
async fn apply(migrations: &Migrator, connection: &mut PgConnection) -> Result<(), MigrateError> {
    connection.ensure_migrations_table(TABLE).await?;
    let applied: HashMap<i64, AppliedMigration> = connection
        .list_applied_migrations(TABLE)
        .await?
        .into_iter()
        .map(|step| (step.version, step))
        .collect();
    for step in migrations.iter() {
        match applied.get(&step.version) {
            Some(known) if known.checksum != step.checksum => {
                return Err(MigrateError::VersionMismatch(step.version));
            }
            Some(_) => {}
            None => {
                connection.apply(TABLE, step).await?;
            }
        }
    }
    Ok(())
}

/// Two that make the table at once may both find it missing: the second fails,
/// and finds it when it looks again.
async fn make_lock(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let mut tries_left = 3;
    loop {
        match try_make_lock(connection).await {
            Err(error) if tries_left > 0 && is_race(&error) => tries_left -= 1,
            result => return result,
        }
    }
}

async fn try_make_lock(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("CREATE TABLE IF NOT EXISTS schema_locks (name text PRIMARY KEY)")
        .execute(&mut *connection)
        .await?;
    sqlx::query("INSERT INTO schema_locks (name) VALUES ('migrations') ON CONFLICT DO NOTHING")
        .execute(connection)
        .await?;
    Ok(())
}

/// A unique key or a table that somebody else has just made.
fn is_race(error: &sqlx::Error) -> bool {
    matches!(code(error).as_deref(), Some("23505" | "42P07" | "42710"))
}

/// The newest migration in the database; `None` in an empty one.
async fn version(connection: &mut PgConnection) -> Result<Option<i64>, sqlx::Error> {
    let exists: bool = sqlx::query("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await?
        .try_get(0)?;
    if !exists {
        return Ok(None);
    }
    sqlx::query("SELECT max(version) FROM _sqlx_migrations")
        .fetch_one(connection)
        .await?
        .try_get(0)
}
