//! Who the store belongs to.

use ruggine_core::api::account::User;
use ruggine_core::api::session::Tokens;
use ruggine_core::secret::SecretText;
use ruggine_core::{DeviceId, ErrorCode};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::database;
use super::rows::integer;
use crate::store::{Identity, StoreError, StoreResult};

const IDENTITY: &str = "identity";
const TOKENS: &str = "tokens";
const WRITE_COUNTER: &str = "write_counter";

/// The lasting part of a login.
#[derive(Serialize, Deserialize)]
struct Account {
    user: User,
    device: DeviceId,
    device_secret: Option<SecretText>,
    session: ruggine_core::SessionId,
}

pub(super) fn load(db: &Connection) -> StoreResult<Option<Identity>> {
    let Some(account) = load_account(db)? else {
        return Ok(None);
    };
    let tokens = value(db, TOKENS)?
        .map(|text| serde_json::from_str(&text).map_err(|_| StoreError::Inconsistent(TOKENS)))
        .transpose()?;
    Ok(Some(Identity {
        user: account.user,
        device: account.device,
        device_secret: account.device_secret,
        session: account.session,
        tokens,
    }))
}

fn load_account(db: &Connection) -> StoreResult<Option<Account>> {
    value(db, IDENTITY)?
        .map(|text| serde_json::from_str(&text).map_err(|_| StoreError::Inconsistent(IDENTITY)))
        .transpose()
}

pub(super) fn save(db: &Connection, identity: &Identity) -> StoreResult<()> {
    let same = load_account(db)?.is_some_and(|before| {
        before.user.id == identity.user.id && before.device == identity.device
    });
    if !same {
        db.execute_batch(
            "DELETE FROM meta; DELETE FROM conversations; DELETE FROM messages;
             DELETE FROM outbox; DELETE FROM users; DELETE FROM members;",
        )
        .map_err(database)?;
    }
    let account = Account {
        user: identity.user.clone(),
        device: identity.device,
        device_secret: identity.device_secret.clone(),
        session: identity.session,
    };
    set(db, IDENTITY, &to_json(&account)?)?;
    set_tokens(db, identity.tokens.as_ref())?;
    super::people::put_user(db, &identity.user)
}

/// Forgets what proves the device, and the tokens. What waits to be sent may
/// have been sent by the store of which this is a copy.
pub(super) fn forget_device(db: &Connection) -> StoreResult<()> {
    if let Some(mut account) = load_account(db)? {
        account.device_secret = None;
        set(db, IDENTITY, &to_json(&account)?)?;
    }
    set_tokens(db, None)?;
    super::outbox::fail_all(db, ErrorCode::DeviceRestored)
}

pub(super) fn set_tokens(db: &Connection, tokens: Option<&Tokens>) -> StoreResult<()> {
    match tokens {
        Some(tokens) => set(db, TOKENS, &to_json(tokens)?),
        None => db
            .execute("DELETE FROM meta WHERE name = ?1", [TOKENS])
            .map(|_| ())
            .map_err(database),
    }
}

pub(super) fn write_counter(db: &Connection) -> StoreResult<u64> {
    let counter: Option<i64> = db
        .query_row(
            "SELECT value FROM meta WHERE name = ?1",
            [WRITE_COUNTER],
            |row| row.get(0),
        )
        .optional()
        .map_err(database)?;
    u64::try_from(counter.unwrap_or(0)).map_err(|_| StoreError::Inconsistent(WRITE_COUNTER))
}

/// Counts a write of a local intention.
pub(super) fn count_write(db: &Connection) -> StoreResult<()> {
    let next = integer(write_counter(db)?.saturating_add(1));
    db.execute(
        "INSERT INTO meta (name, value) VALUES (?1, ?2)
         ON CONFLICT DO UPDATE SET value = excluded.value",
        params![WRITE_COUNTER, next],
    )
    .map_err(database)?;
    Ok(())
}

pub(super) fn value(db: &Connection, name: &str) -> StoreResult<Option<String>> {
    db.query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| {
        row.get(0)
    })
    .optional()
    .map_err(database)
}

pub(super) fn set(db: &Connection, name: &str, value: &str) -> StoreResult<()> {
    db.execute(
        "INSERT INTO meta (name, value) VALUES (?1, ?2)
         ON CONFLICT DO UPDATE SET value = excluded.value",
        [name, value],
    )
    .map_err(database)?;
    Ok(())
}

fn to_json<T: Serialize>(value: &T) -> StoreResult<String> {
    serde_json::to_string(value).map_err(|error| StoreError::Database(Box::new(error)))
}
