//! Appending in one statement, by what is known of a conversation from before.
//!
//! Most batches are for conversations whose roster has not changed since they
//! were last written to. Such a batch is judged in memory, and one statement
//! locks, checks that the roster's version and the epoch are still the known
//! ones, takes the numbers and writes, with its own commit. Whatever it finds
//! otherwise — another version, a row that was sent before, a write counter that
//! is behind — makes it fail as a whole, and the batch goes the careful way.

use std::collections::{BTreeMap, HashMap, HashSet};

use parking_lot::Mutex;
use ruggine_core::api::conversation::Role;
use ruggine_core::policy::{self, Action};
use ruggine_core::{ClientMsgId, ConversationId, DeviceId, Seq, UserId};
use sqlx::postgres::PgConnection;

use super::errors::{code, store_error};
use super::rows::{all, integer, key, keys};
use crate::store::{Append, AppendOutcome, Appended, BatchId, NewRow, StoreError, StoreResult};

/// Conversations that are remembered. Beyond, all are forgotten: what is
/// written to now is known again at once.
const REMEMBERED: usize = 50_000;
/// Senders that are remembered of one conversation.
const SENDERS: usize = 1_000;

/// The division by zero with which the statement gives itself up, and what a row
/// meets that was sent before.
const GIVEN_UP: [&str; 2] = ["22012", "23505"];

const WRITE: &str = "WITH locked AS MATERIALIZED (
         SELECT c.conv_id
         FROM conversations c
         JOIN unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS known (conv_id, roster_version, mls_epoch)
           ON known.conv_id = c.conv_id
         WHERE c.roster_version = known.roster_version
           AND c.mls_epoch IS NOT DISTINCT FROM known.mls_epoch
         ORDER BY c.conv_id FOR NO KEY UPDATE OF c),
     held AS MATERIALIZED (
         SELECT d.user_id, d.device_id, d.write_counter, writing.lowest, writing.highest
         FROM unnest($5::uuid[], $6::uuid[], $7::bigint[], $8::bigint[])
              AS writing (user_id, device_id, lowest, highest)
         JOIN devices d ON d.user_id = writing.user_id AND d.device_id = writing.device_id
         WHERE (SELECT count(*) FROM locked) >= 0
         ORDER BY d.user_id, d.device_id FOR NO KEY UPDATE OF d),
     moved AS (
         UPDATE conversations c SET last_seq = c.last_seq + more.count
         FROM locked, unnest($1::uuid[], $4::bigint[]) AS more (conv_id, count)
         WHERE c.conv_id = locked.conv_id AND more.conv_id = locked.conv_id
         RETURNING c.conv_id, c.last_seq, c.last_seq - more.count AS base),
     written AS (
         INSERT INTO messages (conv_id, seq, kind, sender, device_id, client_msg_id, mls_epoch,
                               key_id, created_at, body)
         SELECT r.conv_id, moved.base + r.place, r.kind, r.sender, r.device_id, r.client_msg_id,
                r.mls_epoch, r.key_id, r.created_at, r.body
         FROM unnest($9::uuid[], $10::bigint[], $11::text[], $12::uuid[], $13::uuid[], $14::uuid[],
                     $15::bigint[], $16::text[], $17::bigint[], $18::text[])
              AS r (conv_id, place, kind, sender, device_id, client_msg_id, mls_epoch, key_id,
                    created_at, body)
         JOIN moved ON moved.conv_id = r.conv_id
         RETURNING 1),
     counted AS (
         UPDATE devices d SET write_counter = held.highest
         FROM held
         WHERE d.user_id = held.user_id AND d.device_id = held.device_id
           AND d.write_counter < held.highest),
     noted AS (
         INSERT INTO outbox (batch_id, created_at, heads)
         SELECT $19, $20, json_agg(json_build_array(conv_id::text, last_seq))::text
         FROM moved HAVING count(*) > 0
         ON CONFLICT DO NOTHING),
     settled AS (
         DELETE FROM outbox WHERE ctid = ANY (ARRAY(
             SELECT ctid FROM outbox WHERE batch_id = ANY($21) FOR UPDATE SKIP LOCKED)))
     SELECT moved.conv_id, moved.base
     FROM (SELECT 1 / CASE
               WHEN (SELECT count(*) FROM written) = $22
                AND (SELECT count(*) FROM held WHERE write_counter <= lowest) = $23
               THEN 1 ELSE 0 END AS as_known) AS checked
     JOIN moved ON checked.as_known = 1";

/// What conversations were like when they were last written to. Nothing relies
/// on it that is not checked again where it is used.
#[derive(Debug, Default)]
pub(super) struct KnownRosters(Mutex<HashMap<ConversationId, KnownRoster>>);

#[derive(Debug, Clone)]
pub(super) struct KnownRoster {
    pub(super) version: u64,
    pub(super) epoch: Option<u64>,
    /// Of those who wrote lately.
    pub(super) roles: HashMap<UserId, Role>,
}

/// A batch that can be written in one statement.
pub(super) struct Plan {
    rows: Vec<NewRow>,
    settled: Vec<BatchId>,
    at: i64,
    batch: BatchId,
    /// Of each row, its place among the new ones of its conversation, from 1.
    places: Vec<i64>,
    logs: BTreeMap<ConversationId, PlannedLog>,
    counters: BTreeMap<(UserId, DeviceId), PlannedCounter>,
}

#[derive(Clone, Copy)]
struct PlannedLog {
    version: u64,
    epoch: Option<u64>,
    count: i64,
}

#[derive(Clone, Copy)]
struct PlannedCounter {
    /// The stored counter must not be above this.
    lowest: i64,
    highest: i64,
}

impl KnownRosters {
    /// Remembers what a batch was judged by.
    pub(super) fn learn(&self, learned: impl Iterator<Item = (ConversationId, KnownRoster)>) {
        let mut known = self.0.lock();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        for (id, roster) in learned {
            match known.get_mut(&id) {
                Some(before)
                    if (before.version, before.epoch) == (roster.version, roster.epoch)
                        && before.roles.len() < SENDERS =>
                {
                    before.roles.extend(roster.roles);
                }
                _ => {
                    known.insert(id, roster);
                }
            }
        }
    }

    /// Forgets what has turned out to be otherwise.
    pub(super) fn forget(&self, plan: &Plan) {
        let mut known = self.0.lock();
        for id in plan.logs.keys() {
            known.remove(id);
        }
    }

    /// A plan for the batch, if all of its rows are known to be good.
    pub(super) fn plan(&self, append: &Append, batch: BatchId) -> Option<Plan> {
        let known = self.0.lock();
        let mut names: HashSet<(ConversationId, DeviceId, ClientMsgId)> = HashSet::new();
        let mut logs: BTreeMap<ConversationId, PlannedLog> = BTreeMap::new();
        let mut counters: BTreeMap<(UserId, DeviceId), PlannedCounter> = BTreeMap::new();
        let mut places = Vec::with_capacity(append.rows.len());
        for row in &append.rows {
            let roster = known.get(&row.conversation)?;
            let role = roster.roles.get(&row.sender)?;
            let is_new = names.insert((row.conversation, row.device, row.client_msg_id));
            if !is_new || roster.epoch != row.epoch || !policy::allows(*role, Action::Send) {
                return None;
            }
            let log = logs.entry(row.conversation).or_insert(PlannedLog {
                version: roster.version,
                epoch: roster.epoch,
                count: 0,
            });
            log.count += 1;
            places.push(log.count);
            if let Some(counter) = row.write_counter {
                let writer = (row.sender, row.device);
                count(&mut counters, writer, counter, row.counter_floor)?;
            }
        }
        drop(known);
        Some(Plan {
            rows: append.rows.clone(),
            settled: append.settled.clone(),
            at: append.at.as_millis(),
            batch,
            places,
            logs,
            counters,
        })
    }
}

/// Takes a row's counter into the plan; `None` where it has to be looked at closely.
fn count(
    counters: &mut BTreeMap<(UserId, DeviceId), PlannedCounter>,
    writer: (UserId, DeviceId),
    counter: u64,
    floor: Option<u64>,
) -> Option<()> {
    if floor.is_some_and(|floor| counter < floor) {
        return None;
    }
    let counter = integer(counter);
    let planned = counters.entry(writer).or_insert(PlannedCounter {
        lowest: i64::MAX,
        highest: counter,
    });
    if floor.is_none() {
        if counter < planned.highest {
            return None;
        }
        planned.lowest = planned.lowest.min(counter);
    }
    planned.highest = planned.highest.max(counter);
    Some(())
}

/// Whether the statement found something otherwise than it was known.
pub(super) fn is_given_up(error: &StoreError) -> bool {
    let StoreError::Refused(source) = error else {
        return false;
    };
    source
        .downcast_ref::<sqlx::Error>()
        .and_then(code)
        .is_some_and(|code| GIVEN_UP.contains(&&*code))
}

pub(super) async fn write(connection: &mut PgConnection, plan: &Plan) -> StoreResult<Appended> {
    let rows = &plan.rows;
    let versions: Vec<i64> = plan.logs.values().map(|log| integer(log.version)).collect();
    let epochs: Vec<Option<i64>> = plan
        .logs
        .values()
        .map(|log| log.epoch.map(integer))
        .collect();
    let counts: Vec<i64> = plan.logs.values().map(|log| log.count).collect();
    let lowest: Vec<i64> = plan
        .counters
        .values()
        .map(|counter| counter.lowest)
        .collect();
    let highest: Vec<i64> = plan
        .counters
        .values()
        .map(|counter| counter.highest)
        .collect();
    let found = sqlx::query(WRITE)
        .bind(keys(plan.logs.keys().map(ConversationId::as_bytes)))
        .bind(versions)
        .bind(epochs)
        .bind(counts)
        .bind(keys(plan.counters.keys().map(|(user, _)| user.as_bytes())))
        .bind(keys(
            plan.counters.keys().map(|(_, device)| device.as_bytes()),
        ))
        .bind(lowest)
        .bind(highest)
        .bind(keys(rows.iter().map(|row| row.conversation.as_bytes())))
        .bind(plan.places.as_slice())
        .bind(rows.iter().map(|row| row.kind.as_str()).collect::<Vec<_>>())
        .bind(keys(rows.iter().map(|row| row.sender.as_bytes())))
        .bind(keys(rows.iter().map(|row| row.device.as_bytes())))
        .bind(keys(rows.iter().map(|row| row.client_msg_id.as_bytes())))
        .bind(
            rows.iter()
                .map(|row| row.epoch.map(integer))
                .collect::<Vec<_>>(),
        )
        .bind(rows.iter().map(|row| &*row.key_id).collect::<Vec<_>>())
        .bind(
            rows.iter()
                .map(|row| row.server_ts.as_millis())
                .collect::<Vec<_>>(),
        )
        .bind(rows.iter().map(|row| &*row.body).collect::<Vec<_>>())
        .bind(key(&plan.batch.0))
        .bind(plan.at)
        .bind(keys(plan.settled.iter().map(|batch| &batch.0)))
        .bind(i64::try_from(rows.len()).unwrap_or(i64::MAX))
        .bind(i64::try_from(plan.counters.len()).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    let bases: HashMap<ConversationId, i64> = all("conversations", &found, |columns| {
        Ok((columns.id("conv_id")?, columns.integer("base")?))
    })?
    .into_iter()
    .collect();
    let outcomes = rows.iter().zip(&plan.places).map(|(row, place)| {
        let missing = || StoreError::Inconsistent {
            table: "conversations",
            column: "last_seq",
        };
        let base = bases.get(&row.conversation).ok_or_else(missing)?;
        let log = plan.logs.get(&row.conversation).ok_or_else(missing)?;
        let seq = u64::try_from(base + place).map_err(|_| missing())?;
        Ok(AppendOutcome::Appended {
            seq: Seq::new(seq),
            roster_version: log.version,
        })
    });
    Ok(Appended {
        outcomes: outcomes.collect::<StoreResult<_>>()?,
        batch: Some(plan.batch),
    })
}
