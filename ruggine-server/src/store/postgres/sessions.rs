//! Devices, sessions and tokens.

use std::collections::HashSet;

use ruggine_core::{DeviceId, SessionId, Timestamp, UserId};
use ruggine_crypto::token::TokenHash;
use sqlx::postgres::PgConnection;

use super::PostgresStore;
use super::errors::store_error;
use super::rows::{Columns, all, integer, key, keys, optional};
use super::transaction::{End, Unanswered};
use crate::store::{
    AdvanceCounter, LoginDevice, NewSession, NewTokens, OpenSession, RotateTokens, Rotated,
    SessionRecord, SessionStore, StoreResult,
};

const TABLE: &str = "sessions";
const PURGE_BATCH: i64 = 1_000;

impl SessionStore for PostgresStore {
    async fn open_session(&self, session: NewSession) -> StoreResult<OpenSession> {
        self.write(Unanswered::Fail, &session, |connection, session| {
            Box::pin(open(connection, session))
        })
        .await
    }

    async fn session_by_access(
        &self,
        user: UserId,
        access: TokenHash,
        at: Timestamp,
    ) -> StoreResult<Option<SessionRecord>> {
        self.read(&(user, access, at), |connection, (user, access, at)| {
            Box::pin(by_access(connection, *user, access, *at))
        })
        .await
    }

    async fn rotate_tokens(&self, rotation: RotateTokens) -> StoreResult<Rotated> {
        self.write(Unanswered::Fail, &rotation, |connection, rotation| {
            Box::pin(rotate(connection, rotation))
        })
        .await
    }

    async fn sessions(&self, user: UserId, at: Timestamp) -> StoreResult<Vec<SessionRecord>> {
        self.read(&(user, at), |connection, (user, at)| {
            Box::pin(usable(connection, *user, *at))
        })
        .await
    }

    async fn revoke_session(
        &self,
        user: UserId,
        session: SessionId,
        at: Timestamp,
    ) -> StoreResult<bool> {
        let input = (user, session, at);
        self.write(Unanswered::Fail, &input, |connection, input| {
            let (user, session, at) = *input;
            Box::pin(async move { Ok(End::Commit(revoke(connection, user, session, at).await?)) })
        })
        .await
    }

    async fn revoked_among(
        &self,
        sessions: Vec<(UserId, SessionId)>,
    ) -> StoreResult<Vec<SessionId>> {
        let live = self
            .read(&sessions, |connection, sessions| {
                Box::pin(live_among(connection, sessions))
            })
            .await?;
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
        self.read(&(user, session, at), |connection, (user, session, at)| {
            Box::pin(touch(connection, *user, *session, *at))
        })
        .await
    }

    async fn advance_write_counter(
        &self,
        user: UserId,
        device: DeviceId,
        counter: u64,
    ) -> StoreResult<AdvanceCounter> {
        let input = (user, device, counter);
        self.read(&input, |connection, (user, device, counter)| {
            Box::pin(advance(connection, *user, *device, *counter))
        })
        .await
    }

    async fn purge_tokens(&self, at: Timestamp) -> StoreResult<u64> {
        self.read(&at, |connection, at| Box::pin(purge(connection, *at)))
            .await
    }
}

async fn open(
    connection: &mut PgConnection,
    session: &NewSession,
) -> StoreResult<End<OpenSession>> {
    let user = session.user;
    let device = match &session.device {
        LoginDevice::New { id, name, secret } => {
            sqlx::query(
                "INSERT INTO devices (user_id, device_id, name, secret_hash, created_at)
                 VALUES ($1, $2, $3, $4, $5)",
            )
            .bind(key(user.as_bytes()))
            .bind(key(id.as_bytes()))
            .bind(name.as_str())
            .bind(&secret.as_bytes()[..])
            .bind(session.at.as_millis())
            .execute(&mut *connection)
            .await
            .map_err(store_error)?;
            *id
        }
        LoginDevice::Known { id, secret } => {
            if !secret_matches(connection, user, *id, secret).await? {
                return Ok(End::RollBack(OpenSession::WrongDevice));
            }
            *id
        }
    };
    sqlx::query(
        "INSERT INTO sessions (user_id, session_id, device_id, generation, created_at, last_seen_at)
         VALUES ($1, $2, $3, 0, $4, $4)",
    )
    .bind(key(user.as_bytes()))
    .bind(key(session.id.as_bytes()))
    .bind(key(device.as_bytes()))
    .bind(session.at.as_millis())
    .execute(&mut *connection)
    .await
    .map_err(store_error)?;
    insert_tokens(connection, user, session.id, 0, &session.tokens).await?;
    Ok(End::Commit(OpenSession::Opened(device)))
}

async fn by_access(
    connection: &mut PgConnection,
    user: UserId,
    access: &TokenHash,
    at: Timestamp,
) -> StoreResult<Option<SessionRecord>> {
    let row = sqlx::query(
        "SELECT s.session_id, s.user_id, s.device_id, s.created_at, s.last_seen_at, d.name
         FROM tokens t
         JOIN sessions s ON s.user_id = t.user_id AND s.session_id = t.session_id
         JOIN devices d ON d.user_id = s.user_id AND d.device_id = s.device_id
         WHERE t.user_id = $1 AND t.hash = $2 AND t.kind = 'access' AND t.expires_at > $3
           AND s.revoked_at IS NULL",
    )
    .bind(key(user.as_bytes()))
    .bind(&access.as_bytes()[..])
    .bind(at.as_millis())
    .fetch_optional(connection)
    .await
    .map_err(store_error)?;
    optional(TABLE, row.as_ref(), session)
}

async fn rotate(
    connection: &mut PgConnection,
    rotation: &RotateTokens,
) -> StoreResult<End<Rotated>> {
    let user = rotation.user;
    // The session's row is held, so that of two uses one is the first.
    let row = sqlx::query(
        "SELECT t.session_id, t.generation, s.generation AS current
         FROM tokens t JOIN sessions s ON s.user_id = t.user_id AND s.session_id = t.session_id
         WHERE t.user_id = $1 AND t.hash = $2 AND t.kind = 'refresh' AND t.expires_at > $3
           AND s.revoked_at IS NULL
         FOR NO KEY UPDATE OF s",
    )
    .bind(key(user.as_bytes()))
    .bind(&rotation.presented.as_bytes()[..])
    .bind(rotation.at.as_millis())
    .fetch_optional(&mut *connection)
    .await
    .map_err(store_error)?;
    let Some(row) = row else {
        return Ok(End::RollBack(Rotated::Unknown));
    };
    let columns = Columns::of("tokens", &row);
    let session: SessionId = columns.id("session_id")?;
    let generation = columns.integer("generation")?;
    if generation < columns.integer("current")? {
        revoke(connection, user, session, rotation.at).await?;
        return Ok(End::Commit(Rotated::Reused(session)));
    }
    sqlx::query(
        "UPDATE sessions SET generation = $3, last_seen_at = greatest(last_seen_at, $4)
         WHERE user_id = $1 AND session_id = $2",
    )
    .bind(key(user.as_bytes()))
    .bind(key(session.as_bytes()))
    .bind(generation)
    .bind(rotation.at.as_millis())
    .execute(&mut *connection)
    .await
    .map_err(store_error)?;
    insert_tokens(connection, user, session, generation + 1, &rotation.next).await?;
    Ok(End::Commit(Rotated::Stored(session)))
}

async fn usable(
    connection: &mut PgConnection,
    user: UserId,
    at: Timestamp,
) -> StoreResult<Vec<SessionRecord>> {
    let rows = sqlx::query(
        "SELECT s.session_id, s.user_id, s.device_id, s.created_at, s.last_seen_at, d.name
         FROM sessions s JOIN devices d ON d.user_id = s.user_id AND d.device_id = s.device_id
         WHERE s.user_id = $1 AND s.revoked_at IS NULL AND EXISTS (
             SELECT 1 FROM tokens t
             WHERE t.user_id = s.user_id AND t.session_id = s.session_id AND t.expires_at > $2)
         ORDER BY s.session_id",
    )
    .bind(key(user.as_bytes()))
    .bind(at.as_millis())
    .fetch_all(connection)
    .await
    .map_err(store_error)?;
    all(TABLE, &rows, session)
}

async fn live_among(
    connection: &mut PgConnection,
    sessions: &[(UserId, SessionId)],
) -> StoreResult<HashSet<SessionId>> {
    let rows = sqlx::query(
        "SELECT s.session_id FROM unnest($1::uuid[], $2::uuid[]) AS asked (user_id, session_id)
         JOIN sessions s ON s.user_id = asked.user_id AND s.session_id = asked.session_id
         WHERE s.revoked_at IS NULL",
    )
    .bind(keys(sessions.iter().map(|(user, _)| user.as_bytes())))
    .bind(keys(sessions.iter().map(|(_, id)| id.as_bytes())))
    .fetch_all(connection)
    .await
    .map_err(store_error)?;
    let live = all(TABLE, &rows, |columns| columns.id("session_id"))?;
    Ok(live.into_iter().collect())
}

async fn touch(
    connection: &mut PgConnection,
    user: UserId,
    session: SessionId,
    at: Timestamp,
) -> StoreResult<()> {
    sqlx::query(
        "UPDATE sessions SET last_seen_at = $3
         WHERE user_id = $1 AND session_id = $2 AND last_seen_at < $3",
    )
    .bind(key(user.as_bytes()))
    .bind(key(session.as_bytes()))
    .bind(at.as_millis())
    .execute(connection)
    .await
    .map_err(store_error)?;
    Ok(())
}

async fn advance(
    connection: &mut PgConnection,
    user: UserId,
    device: DeviceId,
    counter: u64,
) -> StoreResult<AdvanceCounter> {
    let moved = sqlx::query(
        "UPDATE devices SET write_counter = $3
         WHERE user_id = $1 AND device_id = $2 AND write_counter <= $3",
    )
    .bind(key(user.as_bytes()))
    .bind(key(device.as_bytes()))
    .bind(integer(counter))
    .execute(connection)
    .await
    .map_err(store_error)?;
    Ok(match moved.rows_affected() {
        0 => AdvanceCounter::Behind,
        _ => AdvanceCounter::Advanced,
    })
}

async fn purge(connection: &mut PgConnection, at: Timestamp) -> StoreResult<u64> {
    let purged = sqlx::query(
        "DELETE FROM tokens WHERE (user_id, hash) IN
             (SELECT user_id, hash FROM tokens WHERE expires_at <= $1 LIMIT $2
              FOR UPDATE SKIP LOCKED)",
    )
    .bind(at.as_millis())
    .bind(PURGE_BATCH)
    .execute(connection)
    .await
    .map_err(store_error)?;
    Ok(purged.rows_affected())
}

async fn secret_matches(
    connection: &mut PgConnection,
    user: UserId,
    device: DeviceId,
    secret: &TokenHash,
) -> StoreResult<bool> {
    let row = sqlx::query("SELECT secret_hash FROM devices WHERE user_id = $1 AND device_id = $2")
        .bind(key(user.as_bytes()))
        .bind(key(device.as_bytes()))
        .fetch_optional(connection)
        .await
        .map_err(store_error)?;
    let stored = optional("devices", row.as_ref(), |columns| {
        let bytes: [u8; 32] = columns
            .blob("secret_hash")?
            .try_into()
            .map_err(|_| columns.inconsistent("secret_hash"))?;
        Ok(TokenHash::from_bytes(bytes))
    })?;
    Ok(stored.is_some_and(|stored| stored.matches(secret)))
}

async fn insert_tokens(
    connection: &mut PgConnection,
    user: UserId,
    session: SessionId,
    generation: i64,
    tokens: &NewTokens,
) -> StoreResult<()> {
    sqlx::query(
        "INSERT INTO tokens (user_id, session_id, generation, hash, kind, expires_at)
         VALUES ($1, $2, $3, $4, 'access', $5), ($1, $2, $3, $6, 'refresh', $7)",
    )
    .bind(key(user.as_bytes()))
    .bind(key(session.as_bytes()))
    .bind(generation)
    .bind(&tokens.access.hash.as_bytes()[..])
    .bind(tokens.access.expires_at.as_millis())
    .bind(&tokens.refresh.hash.as_bytes()[..])
    .bind(tokens.refresh.expires_at.as_millis())
    .execute(connection)
    .await
    .map_err(store_error)?;
    Ok(())
}

async fn revoke(
    connection: &mut PgConnection,
    user: UserId,
    session: SessionId,
    at: Timestamp,
) -> StoreResult<bool> {
    let revoked = sqlx::query(
        "UPDATE sessions SET revoked_at = $3
         WHERE user_id = $1 AND session_id = $2 AND revoked_at IS NULL",
    )
    .bind(key(user.as_bytes()))
    .bind(key(session.as_bytes()))
    .bind(at.as_millis())
    .execute(&mut *connection)
    .await
    .map_err(store_error)?;
    sqlx::query("DELETE FROM tokens WHERE user_id = $1 AND session_id = $2")
        .bind(key(user.as_bytes()))
        .bind(key(session.as_bytes()))
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
