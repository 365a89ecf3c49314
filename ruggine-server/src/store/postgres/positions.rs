//! Cursors of devices and read positions of users.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ruggine_core::{ConversationId, DeviceId, Seq, UserId};
use sqlx::postgres::PgConnection;
use sqlx::types::Uuid;

use super::PostgresStore;
use super::errors::store_error;
use super::rows::{all, integer, key, keys, limit};
use super::transaction::{End, Unanswered};
use crate::store::{
    HeadRecord, HeadsQuery, MovePosition, Moved, PositionKind, PositionStore, StoreResult,
};

impl PositionStore for PostgresStore {
    async fn device_heads(&self, query: HeadsQuery) -> StoreResult<Vec<HeadRecord>> {
        self.read(&query, |connection, query| {
            Box::pin(heads(connection, query))
        })
        .await
    }

    async fn move_positions(&self, moves: Vec<MovePosition>) -> StoreResult<Vec<Moved>> {
        self.write(Unanswered::Repeat, &moves, |connection, moves| {
            Box::pin(move_all(connection, moves))
        })
        .await
    }
}

async fn heads(connection: &mut PgConnection, query: &HeadsQuery) -> StoreResult<Vec<HeadRecord>> {
    let rows = sqlx::query(
        "WITH mine AS (
             SELECT conv_id, max(coalesce(until_seq, 9223372036854775807)) AS until
             FROM members WHERE user_id = $1 AND conv_id > $3 GROUP BY conv_id)
         SELECT c.conv_id, c.kind, c.mode, c.roster_version,
                least(c.last_seq, mine.until) AS head,
                coalesce(d.delivered, 0) AS delivered,
                coalesce(r.seq, 0) AS own_read
         FROM mine
         JOIN conversations c ON c.conv_id = mine.conv_id
         LEFT JOIN device_cursors d ON d.device_id = $2 AND d.conv_id = c.conv_id
         LEFT JOIN read_positions r ON r.user_id = $1 AND r.conv_id = c.conv_id
         WHERE $4 OR least(c.last_seq, mine.until) > coalesce(d.delivered, 0)
                  OR coalesce(r.seq, 0) > coalesce(d.read_seen, 0)
         ORDER BY c.conv_id LIMIT $5",
    )
    .bind(key(query.user.as_bytes()))
    .bind(key(query.device.as_bytes()))
    .bind(query.after.map_or(Uuid::nil(), |id| key(id.as_bytes())))
    .bind(query.all)
    .bind(limit(query.limit))
    .fetch_all(connection)
    .await
    .map_err(store_error)?;
    all("conversations", &rows, |columns| {
        Ok(HeadRecord {
            conversation: columns.id("conv_id")?,
            kind: columns.kind()?,
            mode: columns.mode()?,
            head: columns.seq("head")?,
            cursor: columns.seq("delivered")?,
            own_read: columns.seq("own_read")?,
            roster_version: columns.number("roster_version")?,
        })
    })
}

type Member = (ConversationId, UserId);

/// Where a member stands.
#[derive(Clone, Copy)]
struct Standing {
    /// The newest number that they may see.
    head: Seq,
    /// The furthest of their devices.
    delivered: Seq,
    read: Seq,
    roster_version: u64,
}

/// Cursors and positions to be written, the furthest of each.
#[derive(Default)]
struct Written {
    cursors: BTreeMap<(DeviceId, ConversationId), Cursor>,
    reads: BTreeMap<(UserId, ConversationId), Seq>,
}

#[derive(Clone, Copy)]
struct Cursor {
    user: UserId,
    delivered: Seq,
    read_seen: Seq,
}

async fn move_all(
    connection: &mut PgConnection,
    moves: &[MovePosition],
) -> StoreResult<End<Vec<Moved>>> {
    let mut standings = standings(connection, moves).await?;
    let mut written = Written::default();
    let outcomes = moves
        .iter()
        .map(|to| match standings.get_mut(&(to.conversation, to.user)) {
            None => Moved::NotAMember,
            Some(standing) => written.take(to, standing),
        })
        .collect();
    write_cursors(connection, &written.cursors).await?;
    write_reads(connection, &written.reads).await?;
    Ok(End::Commit(outcomes))
}

impl Written {
    fn take(&mut self, to: &MovePosition, standing: &mut Standing) -> Moved {
        let seq = to.seq.min(standing.head);
        let cursor = self
            .cursors
            .entry((to.device, to.conversation))
            .or_insert(Cursor {
                user: to.user,
                delivered: Seq::ZERO,
                read_seen: Seq::ZERO,
            });
        let before = match to.kind {
            PositionKind::Delivered => {
                cursor.delivered = cursor.delivered.max(seq);
                &mut standing.delivered
            }
            PositionKind::Read => {
                cursor.read_seen = cursor.read_seen.max(seq);
                let read = self
                    .reads
                    .entry((to.user, to.conversation))
                    .or_insert(Seq::ZERO);
                *read = (*read).max(seq);
                &mut standing.read
            }
        };
        if seq > *before {
            *before = seq;
            Moved::To {
                seq,
                roster_version: standing.roster_version,
            }
        } else {
            Moved::Unmoved
        }
    }
}

async fn standings(
    connection: &mut PgConnection,
    moves: &[MovePosition],
) -> StoreResult<HashMap<Member, Standing>> {
    let members: BTreeSet<Member> = moves.iter().map(|to| (to.conversation, to.user)).collect();
    let rows = sqlx::query(
        "SELECT c.conv_id, asked.user_id, c.roster_version,
                least(c.last_seq, stays.until) AS head,
                coalesce((SELECT max(delivered) FROM device_cursors d
                          WHERE d.conv_id = c.conv_id AND d.user_id = asked.user_id), 0) AS delivered,
                coalesce((SELECT seq FROM read_positions r
                          WHERE r.user_id = asked.user_id AND r.conv_id = c.conv_id), 0) AS read_seq
         FROM unnest($1::uuid[], $2::uuid[]) AS asked (conv_id, user_id)
         JOIN conversations c ON c.conv_id = asked.conv_id
         JOIN LATERAL (SELECT max(coalesce(until_seq, 9223372036854775807)) AS until
                       FROM members m WHERE m.conv_id = asked.conv_id
                        AND m.user_id = asked.user_id) stays ON stays.until IS NOT NULL",
    )
    .bind(keys(members.iter().map(|(id, _)| id.as_bytes())))
    .bind(keys(members.iter().map(|(_, user)| user.as_bytes())))
    .fetch_all(connection)
    .await
    .map_err(store_error)?;
    let standings = all("members", &rows, |columns| {
        let standing = Standing {
            head: columns.seq("head")?,
            delivered: columns.seq("delivered")?,
            read: columns.seq("read_seq")?,
            roster_version: columns.number("roster_version")?,
        };
        Ok(((columns.id("conv_id")?, columns.id("user_id")?), standing))
    })?;
    Ok(standings.into_iter().collect())
}

/// Rows are written in the order of their keys, so that two of these never
/// wait for each other.
async fn write_cursors(
    connection: &mut PgConnection,
    cursors: &BTreeMap<(DeviceId, ConversationId), Cursor>,
) -> StoreResult<()> {
    if cursors.is_empty() {
        return Ok(());
    }
    let numbers = |pick: fn(&Cursor) -> Seq| -> Vec<i64> {
        cursors
            .values()
            .map(|cursor| integer(pick(cursor).get()))
            .collect()
    };
    sqlx::query(
        "INSERT INTO device_cursors (device_id, conv_id, user_id, delivered, read_seen)
         SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::bigint[])
         ON CONFLICT (device_id, conv_id) DO UPDATE
         SET delivered = greatest(device_cursors.delivered, excluded.delivered),
             read_seen = greatest(device_cursors.read_seen, excluded.read_seen)",
    )
    .bind(keys(cursors.keys().map(|(device, _)| device.as_bytes())))
    .bind(keys(cursors.keys().map(|(_, id)| id.as_bytes())))
    .bind(keys(cursors.values().map(|cursor| cursor.user.as_bytes())))
    .bind(numbers(|cursor| cursor.delivered))
    .bind(numbers(|cursor| cursor.read_seen))
    .execute(connection)
    .await
    .map_err(store_error)?;
    Ok(())
}

async fn write_reads(
    connection: &mut PgConnection,
    reads: &BTreeMap<(UserId, ConversationId), Seq>,
) -> StoreResult<()> {
    if reads.is_empty() {
        return Ok(());
    }
    let seqs: Vec<i64> = reads.values().map(|seq| integer(seq.get())).collect();
    sqlx::query(
        "INSERT INTO read_positions (user_id, conv_id, seq)
         SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[])
         ON CONFLICT (user_id, conv_id) DO UPDATE
         SET seq = greatest(read_positions.seq, excluded.seq)",
    )
    .bind(keys(reads.keys().map(|(user, _)| user.as_bytes())))
    .bind(keys(reads.keys().map(|(_, id)| id.as_bytes())))
    .bind(seqs)
    .execute(connection)
    .await
    .map_err(store_error)?;
    Ok(())
}
