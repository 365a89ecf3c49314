//! Cursors of devices and read positions of users.

use ruggine_core::{ConversationId, Seq, UserId};
use sqlx::sqlite::SqliteConnection;

use super::messages::view;
use super::rows::{Columns, integer};
use super::{SqliteStore, store_error};
use crate::store::window::visible_head;
use crate::store::{
    HeadRecord, HeadsQuery, MovePosition, Moved, PositionKind, PositionStore, StoreResult,
};

impl PositionStore for SqliteStore {
    async fn device_heads(&self, query: HeadsQuery) -> StoreResult<Vec<HeadRecord>> {
        let after = query.after.map_or([0; 16], |id| *id.as_bytes());
        let rows = sqlx::query(
            "WITH mine AS (
                 SELECT conv_id, max(coalesce(until_seq, 9223372036854775807)) AS until
                 FROM members WHERE user_id = ?1 AND conv_id > ?3 GROUP BY conv_id)
             SELECT c.conv_id, c.kind, c.mode, c.roster_version,
                    min(c.last_seq, mine.until) AS head,
                    coalesce(d.delivered, 0) AS delivered,
                    coalesce(r.seq, 0) AS own_read
             FROM mine
             JOIN conversations c ON c.conv_id = mine.conv_id
             LEFT JOIN device_cursors d ON d.device_id = ?2 AND d.conv_id = c.conv_id
             LEFT JOIN read_positions r ON r.user_id = ?1 AND r.conv_id = c.conv_id
             WHERE ?4 OR min(c.last_seq, mine.until) > coalesce(d.delivered, 0)
                      OR coalesce(r.seq, 0) > coalesce(d.read_seen, 0)
             ORDER BY c.conv_id LIMIT ?5",
        )
        .bind(&query.user.as_bytes()[..])
        .bind(&query.device.as_bytes()[..])
        .bind(&after[..])
        .bind(query.all)
        .bind(i64::try_from(query.limit).unwrap_or(i64::MAX))
        .fetch_all(&self.readers)
        .await
        .map_err(store_error)?;
        rows.iter()
            .map(|row| {
                let columns = Columns {
                    table: "conversations",
                    row,
                };
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
            .collect()
    }

    async fn move_positions(&self, moves: Vec<MovePosition>) -> StoreResult<Vec<Moved>> {
        let mut writing = self.write().await?;
        let mut tx = writing.begin().await?;
        let mut outcomes = Vec::with_capacity(moves.len());
        for to in &moves {
            outcomes.push(match view(&mut tx, to.conversation, to.user).await? {
                None => Moved::NotAMember,
                Some(view) => {
                    let seq = to.seq.min(visible_head(&view.windows, view.last));
                    let has_moved = match to.kind {
                        PositionKind::Delivered => deliver(&mut tx, to, seq).await?,
                        PositionKind::Read => read(&mut tx, to, seq).await?,
                    };
                    match has_moved {
                        true => Moved::To {
                            seq,
                            roster_version: view.roster_version,
                        },
                        false => Moved::Unmoved,
                    }
                }
            });
        }
        tx.commit().await.map_err(store_error)?;
        Ok(outcomes)
    }
}

async fn deliver(
    connection: &mut SqliteConnection,
    to: &MovePosition,
    seq: Seq,
) -> StoreResult<bool> {
    let before = delivered(connection, to.conversation, to.user).await?;
    sqlx::query(
        "INSERT INTO device_cursors (device_id, conv_id, user_id, delivered) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET delivered = max(delivered, excluded.delivered)",
    )
    .bind(&to.device.as_bytes()[..])
    .bind(&to.conversation.as_bytes()[..])
    .bind(&to.user.as_bytes()[..])
    .bind(integer(seq.get()))
    .execute(connection)
    .await
    .map_err(store_error)?;
    Ok(seq > before)
}

async fn delivered(
    connection: &mut SqliteConnection,
    id: ConversationId,
    user: UserId,
) -> StoreResult<Seq> {
    let row = sqlx::query(
        "SELECT coalesce(max(delivered), 0) AS delivered FROM device_cursors
         WHERE conv_id = ?1 AND user_id = ?2",
    )
    .bind(&id.as_bytes()[..])
    .bind(&user.as_bytes()[..])
    .fetch_one(connection)
    .await
    .map_err(store_error)?;
    Columns {
        table: "device_cursors",
        row: &row,
    }
    .seq("delivered")
}

async fn read(connection: &mut SqliteConnection, to: &MovePosition, seq: Seq) -> StoreResult<bool> {
    let moved = sqlx::query(
        "INSERT INTO read_positions (user_id, conv_id, seq) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET seq = excluded.seq WHERE excluded.seq > seq",
    )
    .bind(&to.user.as_bytes()[..])
    .bind(&to.conversation.as_bytes()[..])
    .bind(integer(seq.get()))
    .execute(&mut *connection)
    .await
    .map_err(store_error)?;
    sqlx::query(
        "INSERT INTO device_cursors (device_id, conv_id, user_id, read_seen) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET read_seen = max(read_seen, excluded.read_seen)",
    )
    .bind(&to.device.as_bytes()[..])
    .bind(&to.conversation.as_bytes()[..])
    .bind(&to.user.as_bytes()[..])
    .bind(integer(seq.get()))
    .execute(connection)
    .await
    .map_err(store_error)?;
    // The position before the first row is where everybody begins.
    Ok(moved.rows_affected() > 0 && seq > Seq::ZERO)
}
