//! Appending rows with gap-free numbers, a whole batch in a few statements.
//!
//! The rows of the conversations are locked first, then those of the devices,
//! each in the order of their ids, so that no two batches wait for each other.
//! What was read after that stays true until the commit, so a batch is judged
//! in memory. Rows that were sent before are rare: the insert finds out
//! that there are some, and only then are they looked for, in a second attempt.

use std::collections::{BTreeMap, HashMap};

use ruggine_core::api::conversation::Role;
use ruggine_core::{ConversationId, Seq};
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::errors::store_error;
use super::fast_append::KnownRoster;
use super::messages::heads_text;
use super::rows::{all, integer, key, keys};
use super::transaction::End;
use crate::store::judging::{
    Counter, Judged, Known, Log, Member, RowName, Writer, conversations_of, senders_of, writers_of,
};
use crate::store::{Append, Appended, BatchId, NewRow, StoreResult, StoredRow};

const LOCK_LOGS: &str = "SELECT conv_id, last_seq, roster_version, mls_epoch
     FROM conversations WHERE conv_id = ANY($1) ORDER BY conv_id FOR NO KEY UPDATE";
const LOCK_DEVICES: &str = "SELECT d.user_id, d.device_id, d.write_counter
     FROM unnest($1::uuid[], $2::uuid[]) AS writing (user_id, device_id)
     JOIN devices d ON d.user_id = writing.user_id AND d.device_id = writing.device_id
     ORDER BY d.user_id, d.device_id FOR NO KEY UPDATE OF d";
const SELECT_ROLES: &str = "SELECT m.conv_id, m.user_id, m.role
     FROM unnest($1::uuid[], $2::uuid[]) AS writing (conv_id, user_id)
     JOIN members m ON m.conv_id = writing.conv_id AND m.user_id = writing.user_id
     WHERE m.until_seq IS NULL";
const SELECT_SENT: &str = "SELECT m.conv_id, m.seq, m.kind, m.sender, m.device_id, m.client_msg_id,
            m.mls_epoch, m.created_at, m.body
     FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS sent (conv_id, device_id, client_msg_id)
     JOIN messages m ON m.conv_id = sent.conv_id AND m.device_id = sent.device_id
                    AND m.client_msg_id = sent.client_msg_id";
const WRITE: &str = "WITH written AS (
         INSERT INTO messages (conv_id, seq, kind, sender, device_id, client_msg_id, mls_epoch,
                               key_id, created_at, body)
         SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::uuid[], $5::uuid[],
                              $6::uuid[], $7::bigint[], $8::text[], $9::bigint[], $10::text[])
         ON CONFLICT (conv_id, device_id, client_msg_id) DO NOTHING RETURNING 1),
     moved AS (
         UPDATE conversations c SET last_seq = heads.last_seq
         FROM unnest($11::uuid[], $12::bigint[]) AS heads (conv_id, last_seq)
         WHERE c.conv_id = heads.conv_id),
     noted AS (INSERT INTO outbox (batch_id, created_at, heads) VALUES ($13, $14, $15)
               ON CONFLICT DO NOTHING),
     settled AS (
         DELETE FROM outbox WHERE batch_id IN
             (SELECT batch_id FROM outbox WHERE batch_id = ANY($16) FOR UPDATE SKIP LOCKED))
     SELECT count(*) FROM written";
const WRITE_COUNTERS: &str = "UPDATE devices d SET write_counter = moved.write_counter
     FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS moved (user_id, device_id, write_counter)
     WHERE d.user_id = moved.user_id AND d.device_id = moved.device_id";

/// A batch on its way into the log.
pub(super) struct Step {
    append: Append,
    batch: BatchId,
    has_duplicates: bool,
}

impl Step {
    pub(super) const fn new(append: Append, batch: BatchId) -> Self {
        Self {
            append,
            batch,
            has_duplicates: false,
        }
    }

    pub(super) const fn look_for_duplicates(&mut self) {
        self.has_duplicates = true;
    }
}

/// How far an attempt came.
pub(super) enum Attempt {
    /// With what it was judged by.
    Done(Appended, Vec<(ConversationId, KnownRoster)>),
    /// Nothing was written: some rows had been sent before.
    SentBefore,
}

pub(super) async fn append(
    connection: &mut PgConnection,
    step: &Step,
) -> StoreResult<End<Attempt>> {
    let rows = &step.append.rows;
    let mut known = Known {
        logs: lock_logs(connection, rows).await?,
        ..Known::default()
    };
    known.counters = lock_counters(connection, rows).await?;
    known.roles = roles(connection, rows).await?;
    if step.has_duplicates {
        known.sent = sent_before(connection, rows.iter()).await?;
    }
    let mut judged = known.judge_all(rows);
    if !step.has_duplicates {
        let doubtful = known.doubtful(rows, &judged);
        if !doubtful.is_empty() {
            let sent = sent_before(connection, doubtful.into_iter()).await?;
            known.resolve(rows, &mut judged, &sent);
        }
    }
    let Judged { outcomes, accepted } = judged;
    write_counters(connection, &known.moved_counters()).await?;
    if accepted.is_empty() {
        super::messages::settle(connection, &step.append.settled).await?;
        let appended = Appended {
            outcomes,
            batch: None,
        };
        return Ok(End::Commit(Attempt::Done(appended, learned(&known))));
    }
    let written = write(connection, step, &accepted, &known.heads()).await?;
    if written < accepted.len() {
        return Ok(End::RollBack(Attempt::SentBefore));
    }
    let appended = Appended {
        outcomes,
        batch: Some(step.batch),
    };
    Ok(End::Commit(Attempt::Done(appended, learned(&known))))
}

/// What may be known of the conversations the next time.
fn learned(known: &Known) -> Vec<(ConversationId, KnownRoster)> {
    let mut learned: BTreeMap<ConversationId, KnownRoster> = known
        .logs
        .iter()
        .map(|(id, log)| {
            let roster = KnownRoster {
                version: log.roster_version,
                epoch: log.epoch,
                roles: HashMap::new(),
            };
            (*id, roster)
        })
        .collect();
    for ((id, user), role) in &known.roles {
        if let Some(roster) = learned.get_mut(id) {
            roster.roles.insert(*user, *role);
        }
    }
    learned.into_iter().collect()
}

async fn lock_logs(
    connection: &mut PgConnection,
    rows: &[NewRow],
) -> StoreResult<BTreeMap<ConversationId, Log>> {
    let ids = conversations_of(rows);
    let found = sqlx::query(LOCK_LOGS)
        .bind(keys(ids.iter().map(ConversationId::as_bytes)))
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    let logs = all("conversations", &found, |columns| {
        let log = Log {
            last: columns.seq("last_seq")?,
            roster_version: columns.number("roster_version")?,
            epoch: columns.optional_number("mls_epoch")?,
            moved: false,
        };
        Ok((columns.id("conv_id")?, log))
    })?;
    Ok(logs.into_iter().collect())
}

async fn lock_counters(
    connection: &mut PgConnection,
    rows: &[NewRow],
) -> StoreResult<BTreeMap<Writer, Counter>> {
    let writers = writers_of(rows);
    if writers.is_empty() {
        return Ok(BTreeMap::new());
    }
    let found = sqlx::query(LOCK_DEVICES)
        .bind(keys(writers.iter().map(|(user, _)| user.as_bytes())))
        .bind(keys(writers.iter().map(|(_, device)| device.as_bytes())))
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    let counters = all("devices", &found, |columns| {
        let counter = Counter {
            value: columns.number("write_counter")?,
            moved: false,
        };
        Ok(((columns.id("user_id")?, columns.id("device_id")?), counter))
    })?;
    Ok(counters.into_iter().collect())
}

async fn roles(
    connection: &mut PgConnection,
    rows: &[NewRow],
) -> StoreResult<HashMap<Member, Role>> {
    let senders = senders_of(rows);
    let found = sqlx::query(SELECT_ROLES)
        .bind(keys(senders.iter().map(|(id, _)| id.as_bytes())))
        .bind(keys(senders.iter().map(|(_, user)| user.as_bytes())))
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    let roles = all("members", &found, |columns| {
        let member = (columns.id("conv_id")?, columns.id("user_id")?);
        Ok((member, Role::from_name(columns.text("role")?)))
    })?;
    Ok(roles.into_iter().collect())
}

async fn sent_before<'a>(
    connection: &mut PgConnection,
    rows: impl Iterator<Item = &'a NewRow> + Clone + Send,
) -> StoreResult<HashMap<RowName, StoredRow>> {
    let found = sqlx::query(SELECT_SENT)
        .bind(keys(rows.clone().map(|row| row.conversation.as_bytes())))
        .bind(keys(rows.clone().map(|row| row.device.as_bytes())))
        .bind(keys(rows.map(|row| row.client_msg_id.as_bytes())))
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    let rows = all("messages", &found, |columns| columns.message())?;
    Ok(rows
        .into_iter()
        .map(|row| ((row.conversation, row.device, row.client_msg_id), row))
        .collect())
}

async fn write_counters(connection: &mut PgConnection, moved: &[(Writer, u64)]) -> StoreResult<()> {
    if moved.is_empty() {
        return Ok(());
    }
    sqlx::query(WRITE_COUNTERS)
        .bind(keys(moved.iter().map(|((user, _), _)| user.as_bytes())))
        .bind(keys(moved.iter().map(|((_, device), _)| device.as_bytes())))
        .bind(
            moved
                .iter()
                .map(|(_, value)| integer(*value))
                .collect::<Vec<i64>>(),
        )
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(())
}

/// Writes rows, numbers and the batch's note; how many rows were new.
async fn write(
    connection: &mut PgConnection,
    step: &Step,
    accepted: &[(&NewRow, Seq)],
    heads: &[(ConversationId, Seq)],
) -> StoreResult<usize> {
    let rows = || accepted.iter().map(|(row, _)| *row);
    let seqs: Vec<i64> = accepted.iter().map(|(_, seq)| integer(seq.get())).collect();
    let lasts: Vec<i64> = heads.iter().map(|(_, last)| integer(last.get())).collect();
    let written = sqlx::query(WRITE)
        .bind(keys(rows().map(|row| row.conversation.as_bytes())))
        .bind(seqs)
        .bind(rows().map(|row| row.kind.as_str()).collect::<Vec<_>>())
        .bind(keys(rows().map(|row| row.sender.as_bytes())))
        .bind(keys(rows().map(|row| row.device.as_bytes())))
        .bind(keys(rows().map(|row| row.client_msg_id.as_bytes())))
        .bind(rows().map(|row| row.epoch.map(integer)).collect::<Vec<_>>())
        .bind(rows().map(|row| &*row.key_id).collect::<Vec<_>>())
        .bind(
            rows()
                .map(|row| row.server_ts.as_millis())
                .collect::<Vec<_>>(),
        )
        .bind(rows().map(|row| &*row.body).collect::<Vec<_>>())
        .bind(keys(heads.iter().map(|(id, _)| id.as_bytes())))
        .bind(lasts)
        .bind(key(&step.batch.0))
        .bind(step.append.at.as_millis())
        .bind(heads_text(heads)?)
        .bind(keys(step.append.settled.iter().map(|batch| &batch.0)))
        .fetch_one(connection)
        .await
        .map_err(store_error)?;
    let count: i64 = written.try_get(0).map_err(store_error)?;
    Ok(usize::try_from(count).unwrap_or(0))
}
