//! Devices, sessions and tokens.

use std::collections::HashSet;

use ruggine_core::{DeviceId, SessionId, Timestamp, UserId};
use ruggine_crypto::token::TokenHash;
use sqlx::sqlite::SqliteConnection;

use super::rows::{Columns, id_list, integer};
use super::{SqliteStore, store_error};
use crate::store::{
    AdvanceCounter, LoginDevice, NewSession, NewTokens, OpenSession, RotateTokens, Rotated,
    SessionRecord, SessionStore, StoreResult,
};

const PURGE_BATCH: i64 = 1_000;

impl SessionStore for SqliteStore {
    async fn open_session(&self, session: NewSession) -> StoreResult<OpenSession> {
        let mut writing = self.write().await?;
        let mut tx = writing.begin().await?;
        let user = session.user;
        let device = match &session.device {
            LoginDevice::New { id, name, secret } => {
                sqlx::query(
                    "INSERT INTO devices (user_id, device_id, name, secret_hash, created_at)
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                )
                .bind(&user.as_bytes()[..])
                .bind(&id.as_bytes()[..])
                .bind(name.as_str())
                .bind(&secret.as_bytes()[..])
                .bind(session.at.as_millis())
                .execute(&mut *tx)
                .await
                .map_err(store_error)?;
                *id
            }
            LoginDevice::Known { id, secret } => {
                if !secret_matches(&mut tx, user, *id, secret).await? {
                    return Ok(OpenSession::WrongDevice);
                }
                *id
            }
        };
        sqlx::query(
            "INSERT INTO sessions (user_id, session_id, device_id, generation, created_at, last_seen_at)
             VALUES (?1, ?2, ?3, 0, ?4, ?4)",
        )
        .bind(&user.as_bytes()[..])
        .bind(&session.id.as_bytes()[..])
        .bind(&device.as_bytes()[..])
        .bind(session.at.as_millis())
        .execute(&mut *tx)
        .await
        .map_err(store_error)?;
        insert_tokens(&mut tx, user, session.id, 0, &session.tokens).await?;
        tx.commit().await.map_err(store_error)?;
        Ok(OpenSession::Opened(device))
    }

    async fn session_by_access(
        &self,
        user: UserId,
        access: TokenHash,
        at: Timestamp,
    ) -> StoreResult<Option<SessionRecord>> {
        let row = sqlx::query(
            "SELECT s.session_id, s.user_id, s.device_id, s.created_at, s.last_seen_at, d.name
             FROM tokens t
             JOIN sessions s ON s.user_id = t.user_id AND s.session_id = t.session_id
             JOIN devices d ON d.user_id = s.user_id AND d.device_id = s.device_id
             WHERE t.user_id = ?1 AND t.hash = ?2 AND t.kind = 'access' AND t.expires_at > ?3
               AND s.revoked_at IS NULL",
        )
        .bind(&user.as_bytes()[..])
        .bind(&access.as_bytes()[..])
        .bind(at.as_millis())
        .fetch_optional(&self.readers)
        .await
        .map_err(store_error)?;
        row.map(|row| {
            session(&Columns {
                table: "sessions",
                row: &row,
            })
        })
        .transpose()
    }

    async fn rotate_tokens(&self, rotation: RotateTokens) -> StoreResult<Rotated> {
        let mut writing = self.write().await?;
        let mut tx = writing.begin().await?;
        let user = rotation.user;
        let row = sqlx::query(
            "SELECT t.session_id, t.generation, s.generation AS current
             FROM tokens t JOIN sessions s ON s.user_id = t.user_id AND s.session_id = t.session_id
             WHERE t.user_id = ?1 AND t.hash = ?2 AND t.kind = 'refresh' AND t.expires_at > ?3
               AND s.revoked_at IS NULL",
        )
        .bind(&user.as_bytes()[..])
        .bind(&rotation.presented.as_bytes()[..])
        .bind(rotation.at.as_millis())
        .fetch_optional(&mut *tx)
        .await
        .map_err(store_error)?;
        let Some(row) = row else {
            return Ok(Rotated::Unknown);
        };
        let columns = Columns {
            table: "tokens",
            row: &row,
        };
        let session: SessionId = columns.id("session_id")?;
        let generation = columns.integer("generation")?;
        let current = columns.integer("current")?;
        let outcome = if generation < current {
            revoke(&mut tx, user, session, rotation.at).await?;
            Rotated::Reused(session)
        } else {
            sqlx::query(
                "UPDATE sessions SET generation = ?3, last_seen_at = max(last_seen_at, ?4)
                 WHERE user_id = ?1 AND session_id = ?2",
            )
            .bind(&user.as_bytes()[..])
            .bind(&session.as_bytes()[..])
            .bind(generation)
            .bind(rotation.at.as_millis())
            .execute(&mut *tx)
            .await
            .map_err(store_error)?;
            insert_tokens(&mut tx, user, session, generation + 1, &rotation.next).await?;
            Rotated::Stored(session)
        };
        tx.commit().await.map_err(store_error)?;
        Ok(outcome)
    }

    async fn sessions(&self, user: UserId, at: Timestamp) -> StoreResult<Vec<SessionRecord>> {
        let rows = sqlx::query(
            "SELECT s.session_id, s.user_id, s.device_id, s.created_at, s.last_seen_at, d.name
             FROM sessions s JOIN devices d ON d.user_id = s.user_id AND d.device_id = s.device_id
             WHERE s.user_id = ?1 AND s.revoked_at IS NULL AND EXISTS (
                 SELECT 1 FROM tokens t
                 WHERE t.user_id = s.user_id AND t.session_id = s.session_id AND t.expires_at > ?2)
             ORDER BY s.session_id",
        )
        .bind(&user.as_bytes()[..])
        .bind(at.as_millis())
        .fetch_all(&self.readers)
        .await
        .map_err(store_error)?;
        rows.iter()
            .map(|row| {
                session(&Columns {
                    table: "sessions",
                    row,
                })
            })
            .collect()
    }

    async fn revoke_session(
        &self,
        user: UserId,
        session: SessionId,
        at: Timestamp,
    ) -> StoreResult<bool> {
        let mut writing = self.write().await?;
        let mut tx = writing.begin().await?;
        let revoked = revoke(&mut tx, user, session, at).await?;
        tx.commit().await.map_err(store_error)?;
        Ok(revoked)
    }

    async fn revoked_among(
        &self,
        sessions: Vec<(UserId, SessionId)>,
    ) -> StoreResult<Vec<SessionId>> {
        let rows = sqlx::query(
            "SELECT s.session_id FROM json_each(?1) u JOIN json_each(?2) j ON j.key = u.key
             JOIN sessions s ON s.user_id = unhex(u.value) AND s.session_id = unhex(j.value)
             WHERE s.revoked_at IS NULL",
        )
        .bind(id_list(sessions.iter().map(|(user, _)| user.as_bytes())))
        .bind(id_list(sessions.iter().map(|(_, id)| id.as_bytes())))
        .fetch_all(&self.readers)
        .await
        .map_err(store_error)?;
        let live = rows
            .iter()
            .map(|row| {
                Columns {
                    table: "sessions",
                    row,
                }
                .id("session_id")
            })
            .collect::<StoreResult<HashSet<SessionId>>>()?;
        Ok(sessions
            .into_iter()
            .map(|(_, id)| id)
            .filter(|id| !live.contains(id))
            .collect())
    }

    async fn touch_session(
        &self,
        user: UserId,
        session: SessionId,
        at: Timestamp,
    ) -> StoreResult<()> {
        let mut writing = self.write().await?;
        let mut tx = writing.begin().await?;
        sqlx::query(
            "UPDATE sessions SET last_seen_at = max(last_seen_at, ?3)
             WHERE user_id = ?1 AND session_id = ?2",
        )
        .bind(&user.as_bytes()[..])
        .bind(&session.as_bytes()[..])
        .bind(at.as_millis())
        .execute(&mut *tx)
        .await
        .map_err(store_error)?;
        tx.commit().await.map_err(store_error)
    }

    async fn advance_write_counter(
        &self,
        user: UserId,
        device: DeviceId,
        counter: u64,
    ) -> StoreResult<AdvanceCounter> {
        let mut writing = self.write().await?;
        let mut tx = writing.begin().await?;
        let outcome = advance(&mut tx, user, device, counter).await?;
        tx.commit().await.map_err(store_error)?;
        Ok(outcome)
    }

    async fn purge_tokens(&self, at: Timestamp) -> StoreResult<u64> {
        let mut writing = self.write().await?;
        let mut tx = writing.begin().await?;
        let purged = sqlx::query(
            "DELETE FROM tokens WHERE (user_id, hash) IN
                 (SELECT user_id, hash FROM tokens WHERE expires_at <= ?1 LIMIT ?2)",
        )
        .bind(at.as_millis())
        .bind(PURGE_BATCH)
        .execute(&mut *tx)
        .await
        .map_err(store_error)?;
        tx.commit().await.map_err(store_error)?;
        Ok(purged.rows_affected())
    }
}

/// Moves a device's write counter inside a transaction.
async fn advance(
    connection: &mut SqliteConnection,
    user: UserId,
    device: DeviceId,
    counter: u64,
) -> StoreResult<AdvanceCounter> {
    let moved = sqlx::query(
        "UPDATE devices SET write_counter = ?3
         WHERE user_id = ?1 AND device_id = ?2 AND write_counter <= ?3",
    )
    .bind(&user.as_bytes()[..])
    .bind(&device.as_bytes()[..])
    .bind(integer(counter))
    .execute(connection)
    .await
    .map_err(store_error)?;
    Ok(match moved.rows_affected() {
        0 => AdvanceCounter::Behind,
        _ => AdvanceCounter::Advanced,
    })
}

async fn secret_matches(
    connection: &mut SqliteConnection,
    user: UserId,
    device: DeviceId,
    secret: &TokenHash,
) -> StoreResult<bool> {
    let row = sqlx::query("SELECT secret_hash FROM devices WHERE user_id = ?1 AND device_id = ?2")
        .bind(&user.as_bytes()[..])
        .bind(&device.as_bytes()[..])
        .fetch_optional(connection)
        .await
        .map_err(store_error)?;
    let Some(row) = row else {
        return Ok(false);
    };
    let columns = Columns {
        table: "devices",
        row: &row,
    };
    let stored: [u8; 32] = columns
        .blob("secret_hash")?
        .try_into()
        .map_err(|_| columns.inconsistent("secret_hash"))?;
    Ok(TokenHash::from_bytes(stored).matches(secret))
}

async fn insert_tokens(
    connection: &mut SqliteConnection,
    user: UserId,
    session: SessionId,
    generation: i64,
    tokens: &NewTokens,
) -> StoreResult<()> {
    for (kind, token) in [("access", tokens.access), ("refresh", tokens.refresh)] {
        sqlx::query(
            "INSERT INTO tokens (user_id, hash, session_id, kind, generation, expires_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .bind(&user.as_bytes()[..])
        .bind(&token.hash.as_bytes()[..])
        .bind(&session.as_bytes()[..])
        .bind(kind)
        .bind(generation)
        .bind(token.expires_at.as_millis())
        .execute(&mut *connection)
        .await
        .map_err(store_error)?;
    }
    Ok(())
}

async fn revoke(
    connection: &mut SqliteConnection,
    user: UserId,
    session: SessionId,
    at: Timestamp,
) -> StoreResult<bool> {
    let revoked = sqlx::query(
        "UPDATE sessions SET revoked_at = ?3
         WHERE user_id = ?1 AND session_id = ?2 AND revoked_at IS NULL",
    )
    .bind(&user.as_bytes()[..])
    .bind(&session.as_bytes()[..])
    .bind(at.as_millis())
    .execute(&mut *connection)
    .await
    .map_err(store_error)?;
    sqlx::query("DELETE FROM tokens WHERE user_id = ?1 AND session_id = ?2")
        .bind(&user.as_bytes()[..])
        .bind(&session.as_bytes()[..])
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(revoked.rows_affected() > 0)
}

fn session(columns: &Columns<'_>) -> StoreResult<SessionRecord> {
    Ok(SessionRecord {
        id: columns.id("session_id")?,
        user: columns.id("user_id")?,
        device: columns.id("device_id")?,
        device_name: columns.text("name")?.to_owned(),
        created_at: columns.time("created_at")?,
        last_seen_at: columns.time("last_seen_at")?,
    })
}
