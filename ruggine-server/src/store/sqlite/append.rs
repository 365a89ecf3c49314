//! Appending rows with gap-free numbers, a whole batch in a few statements.
//!
//! The transaction holds the database's only write lock, so what was read in it
//! stays true and a batch is judged in memory. Each statement crosses to the
//! driver's thread and back, which costs more than what it does: what is looked
//! for travels as one list in JSON, and rows are written many at a time. Rows
//! that were sent before are rare: the insert finds out that there are some, and
//! only then are they looked for.

use std::collections::{BTreeMap, HashMap};

use ruggine_core::api::conversation::Role;
use ruggine_core::{ConversationId, Seq};
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::insert::insert;
use super::messages::{delete_batches, record_batch};
use super::rows::{Columns, hex, id_list, integer};
use super::store_error;
use crate::store::judging::{
    Counter, Judged, Known, Log, Member, RowName, Writer, conversations_of, senders_of, writers_of,
};
use crate::store::{Append, Appended, NewRow, StoreError, StoreResult, StoredRow};

const SELECT_LOGS: &str = "SELECT c.conv_id, c.last_seq, c.roster_version, c.mls_epoch
     FROM json_each(?1) j JOIN conversations c ON c.conv_id = unhex(j.value)";
const SELECT_COUNTERS: &str = "SELECT d.user_id, d.device_id, d.write_counter
     FROM json_each(?1) u JOIN json_each(?2) j ON j.key = u.key
     JOIN devices d ON d.user_id = unhex(u.value) AND d.device_id = unhex(j.value)";
const SELECT_ROLES: &str = "SELECT m.conv_id, m.user_id, m.role
     FROM json_each(?1) c JOIN json_each(?2) u ON u.key = c.key
     JOIN members m ON m.conv_id = unhex(c.value) AND m.user_id = unhex(u.value)
     WHERE m.until_seq IS NULL";
const SELECT_SENT: &str = "SELECT m.conv_id, m.seq, m.kind, m.sender, m.device_id, m.client_msg_id,
            m.mls_epoch, m.created_at, m.body
     FROM json_each(?1) c JOIN json_each(?2) d ON d.key = c.key JOIN json_each(?3) i ON i.key = c.key
     JOIN messages m ON m.conv_id = unhex(c.value) AND m.device_id = unhex(d.value)
                    AND m.client_msg_id = unhex(i.value)";
const MOVE_HEADS: &str = "UPDATE conversations SET last_seq = moved.value ->> 1
     FROM json_each(?1) AS moved WHERE conv_id = unhex(moved.value ->> 0)";
const MOVE_COUNTERS: &str = "UPDATE devices SET write_counter = moved.value ->> 2
     FROM json_each(?1) AS moved
     WHERE user_id = unhex(moved.value ->> 0) AND device_id = unhex(moved.value ->> 1)";

/// What was looked for before a batch was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LookedFor {
    Nothing,
    SentBefore,
}

/// Appends a batch; `None` when some of its rows had been sent before and
/// nobody had looked for them: the transaction must be rolled back then.
pub(super) async fn append(
    connection: &mut SqliteConnection,
    append: &Append,
    looked_for: LookedFor,
) -> StoreResult<Option<Appended>> {
    let rows = &append.rows;
    let mut known = Known {
        logs: logs(connection, rows).await?,
        roles: roles(connection, rows).await?,
        counters: counters(connection, rows).await?,
        ..Known::default()
    };
    if looked_for == LookedFor::SentBefore {
        known.sent = sent_before(connection, rows.iter()).await?;
    }
    let mut judged = known.judge_all(rows);
    if looked_for == LookedFor::Nothing {
        let doubtful = known.doubtful(rows, &judged);
        if !doubtful.is_empty() {
            let sent = sent_before(connection, doubtful.into_iter()).await?;
            known.resolve(rows, &mut judged, &sent);
        }
    }
    let Judged { outcomes, accepted } = judged;
    let written = insert(connection, &accepted).await?;
    if written < accepted.len() as u64 {
        return Ok(None);
    }
    let heads = known.heads();
    move_heads(connection, &heads).await?;
    move_counters(connection, &known.moved_counters()).await?;
    let batch = record_batch(connection, &heads, append.at).await?;
    delete_batches(connection, &append.settled).await?;
    Ok(Some(Appended { outcomes, batch }))
}

async fn logs(
    connection: &mut SqliteConnection,
    rows: &[NewRow],
) -> StoreResult<BTreeMap<ConversationId, Log>> {
    let ids = conversations_of(rows);
    let found = sqlx::query(SELECT_LOGS)
        .bind(id_list(ids.iter().map(ConversationId::as_bytes)))
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    collect("conversations", &found, |columns| {
        let epoch = match columns.optional_integer("mls_epoch")? {
            None => None,
            Some(_) => Some(columns.number("mls_epoch")?),
        };
        let log = Log {
            last: columns.seq("last_seq")?,
            roster_version: columns.number("roster_version")?,
            epoch,
            moved: false,
        };
        Ok((columns.id("conv_id")?, log))
    })
}

async fn counters(
    connection: &mut SqliteConnection,
    rows: &[NewRow],
) -> StoreResult<BTreeMap<Writer, Counter>> {
    let writers = writers_of(rows);
    if writers.is_empty() {
        return Ok(BTreeMap::new());
    }
    let found = sqlx::query(SELECT_COUNTERS)
        .bind(id_list(writers.iter().map(|(user, _)| user.as_bytes())))
        .bind(id_list(writers.iter().map(|(_, device)| device.as_bytes())))
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    collect("devices", &found, |columns| {
        let counter = Counter {
            value: columns.number("write_counter")?,
            moved: false,
        };
        Ok(((columns.id("user_id")?, columns.id("device_id")?), counter))
    })
}

async fn roles(
    connection: &mut SqliteConnection,
    rows: &[NewRow],
) -> StoreResult<HashMap<Member, Role>> {
    let senders = senders_of(rows);
    let found = sqlx::query(SELECT_ROLES)
        .bind(id_list(senders.iter().map(|(id, _)| id.as_bytes())))
        .bind(id_list(senders.iter().map(|(_, user)| user.as_bytes())))
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    collect("members", &found, |columns| {
        let member = (columns.id("conv_id")?, columns.id("user_id")?);
        Ok((member, columns.role()?.unwrap_or(Role::Unknown)))
    })
}

async fn sent_before<'a>(
    connection: &mut SqliteConnection,
    rows: impl Iterator<Item = &'a NewRow> + Clone + Send,
) -> StoreResult<HashMap<RowName, StoredRow>> {
    let found = sqlx::query(SELECT_SENT)
        .bind(id_list(rows.clone().map(|row| row.conversation.as_bytes())))
        .bind(id_list(rows.clone().map(|row| row.device.as_bytes())))
        .bind(id_list(rows.map(|row| row.client_msg_id.as_bytes())))
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    collect("messages", &found, |columns| {
        let row = columns.message()?;
        Ok(((row.conversation, row.device, row.client_msg_id), row))
    })
}

async fn move_heads(
    connection: &mut SqliteConnection,
    heads: &[(ConversationId, Seq)],
) -> StoreResult<()> {
    if heads.is_empty() {
        return Ok(());
    }
    let heads: Vec<_> = heads
        .iter()
        .map(|(id, last)| (hex(id.as_bytes()), integer(last.get())))
        .collect();
    sqlx::query(MOVE_HEADS)
        .bind(json(&heads)?)
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(())
}

async fn move_counters(
    connection: &mut SqliteConnection,
    moved: &[(Writer, u64)],
) -> StoreResult<()> {
    if moved.is_empty() {
        return Ok(());
    }
    let moved: Vec<_> = moved
        .iter()
        .map(|((user, device), value)| {
            (
                hex(user.as_bytes()),
                hex(device.as_bytes()),
                integer(*value),
            )
        })
        .collect();
    sqlx::query(MOVE_COUNTERS)
        .bind(json(&moved)?)
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(())
}

fn collect<T, C: FromIterator<T>>(
    table: &'static str,
    rows: &[SqliteRow],
    read: impl Fn(&Columns<'_>) -> StoreResult<T>,
) -> StoreResult<C> {
    rows.iter()
        .map(|row| read(&Columns { table, row }))
        .collect()
}

fn json(value: &impl serde::Serialize) -> StoreResult<String> {
    serde_json::to_string(value).map_err(|error| StoreError::Refused(error.into()))
}
