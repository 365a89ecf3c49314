//! The log: appending with gap-free numbers, reading within windows.

use ruggine_core::{ConversationId, Seq, Timestamp, UserId};
use ruggine_crypto::random;
use sqlx::sqlite::SqliteConnection;

use super::append::{LookedFor, append};
use super::rows::{Columns, MESSAGE_COLUMNS, id_list, integer};
use super::{SqliteStore, store_error};
use crate::store::paging::{Ranges, read_page};
use crate::store::window::{Window, plan_page, visible_head};
use crate::store::{
    Append, Appended, BatchId, ConversationHead, MessageStore, NewRow, PageQuery, PendingBatch,
    StoreError, StoreResult, StoredPage, StoredRow,
};

const SELECT_ASCENDING: &str =
    "SELECT conv_id, seq, kind, sender, device_id, client_msg_id, mls_epoch, created_at, body
     FROM messages WHERE conv_id = ?1 AND seq BETWEEN ?2 AND ?3 ORDER BY seq LIMIT ?4";
const SELECT_DESCENDING: &str =
    "SELECT conv_id, seq, kind, sender, device_id, client_msg_id, mls_epoch, created_at, body
     FROM messages WHERE conv_id = ?1 AND seq BETWEEN ?2 AND ?3 ORDER BY seq DESC LIMIT ?4";

impl MessageStore for SqliteStore {
    async fn append(&self, batch: Append) -> StoreResult<Appended> {
        let mut writing = self.write().await?;
        for looked_for in [LookedFor::Nothing, LookedFor::SentBefore] {
            let mut tx = writing.begin().await?;
            if let Some(appended) = append(&mut tx, &batch, looked_for).await? {
                tx.commit().await.map_err(store_error)?;
                return Ok(appended);
            }
            tx.rollback().await.map_err(store_error)?;
        }
        Err(StoreError::Inconsistent {
            table: "messages",
            column: "client_msg_id",
        })
    }

    async fn page(&self, query: PageQuery) -> StoreResult<Option<StoredPage>> {
        let mut reader = self.readers.acquire().await.map_err(store_error)?;
        let Some(view) = view(&mut reader, query.conversation, query.user).await? else {
            return Ok(None);
        };
        let plan = plan_page(&view.windows, view.last, query.start, query.rows_max);
        let mut log = Log {
            connection: &mut reader,
            id: query.conversation,
        };
        Ok(Some(StoredPage {
            head: visible_head(&view.windows, view.last),
            items: read_page(&mut log, &query, plan).await?,
        }))
    }

    async fn rows(
        &self,
        id: ConversationId,
        from: Seq,
        to: Seq,
        limit: u32,
    ) -> StoreResult<Vec<StoredRow>> {
        let mut reader = self.readers.acquire().await.map_err(store_error)?;
        select(&mut reader, SELECT_ASCENDING, id, from, to, limit).await
    }

    async fn heads(&self, ids: Vec<ConversationId>) -> StoreResult<Vec<ConversationHead>> {
        let rows = sqlx::query(
            "SELECT c.conv_id, c.last_seq, c.roster_version
             FROM json_each(?1) j JOIN conversations c ON c.conv_id = unhex(j.value)",
        )
        .bind(id_list(ids.iter().map(ConversationId::as_bytes)))
        .fetch_all(&self.readers)
        .await
        .map_err(store_error)?;
        rows.iter()
            .map(|row| {
                let columns = Columns {
                    table: "conversations",
                    row,
                };
                Ok(ConversationHead {
                    conversation: columns.id("conv_id")?,
                    head: columns.seq("last_seq")?,
                    roster_version: columns.number("roster_version")?,
                })
            })
            .collect()
    }

    async fn pending_batches(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> StoreResult<Vec<PendingBatch>> {
        let rows = sqlx::query(
            "SELECT batch_id, created_at, heads FROM outbox
             WHERE created_at < ?1 ORDER BY created_at LIMIT ?2",
        )
        .bind(before.as_millis())
        .bind(i64::from(limit))
        .fetch_all(&self.readers)
        .await
        .map_err(store_error)?;
        rows.iter()
            .map(|row| {
                let columns = Columns {
                    table: "outbox",
                    row,
                };
                let id: [u8; 16] = columns
                    .blob("batch_id")?
                    .try_into()
                    .map_err(|_| columns.inconsistent("batch_id"))?;
                let heads = serde_json::from_str(columns.text("heads")?)
                    .map_err(|_| columns.inconsistent("heads"))?;
                Ok(PendingBatch {
                    id: BatchId(id),
                    created_at: columns.time("created_at")?,
                    heads,
                })
            })
            .collect()
    }

    async fn settle(&self, batches: Vec<BatchId>) -> StoreResult<()> {
        let mut writing = self.write().await?;
        let mut tx = writing.begin().await?;
        delete_batches(&mut tx, &batches).await?;
        tx.commit().await.map_err(store_error)
    }
}

/// Writes a notice under a number that the caller has taken.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    row: &NewRow,
    seq: Seq,
) -> StoreResult<()> {
    sqlx::query(
        "INSERT INTO messages (conv_id, seq, kind, sender, device_id, client_msg_id, mls_epoch, key_id, created_at, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )
    .bind(&row.conversation.as_bytes()[..])
    .bind(integer(seq.get()))
    .bind(row.kind.as_str())
    .bind(&row.sender.as_bytes()[..])
    .bind(&row.device.as_bytes()[..])
    .bind(&row.client_msg_id.as_bytes()[..])
    .bind(row.epoch.map(integer))
    .bind(&*row.key_id)
    .bind(row.server_ts.as_millis())
    .bind(&*row.body)
    .execute(connection)
    .await
    .map_err(store_error)?;
    Ok(())
}

/// Notes what was committed until it has been announced.
pub(super) async fn record_batch(
    connection: &mut SqliteConnection,
    heads: &[(ConversationId, Seq)],
    at: Timestamp,
) -> StoreResult<Option<BatchId>> {
    if heads.is_empty() {
        return Ok(None);
    }
    let id: [u8; 16] = random::bytes().map_err(|error| StoreError::Unavailable(Box::new(error)))?;
    let heads = serde_json::to_string(heads).map_err(|error| StoreError::Refused(error.into()))?;
    sqlx::query("INSERT INTO outbox (batch_id, created_at, heads) VALUES (?1, ?2, ?3)")
        .bind(&id[..])
        .bind(at.as_millis())
        .bind(heads)
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(Some(BatchId(id)))
}

pub(super) async fn delete_batches(
    connection: &mut SqliteConnection,
    batches: &[BatchId],
) -> StoreResult<()> {
    if batches.is_empty() {
        return Ok(());
    }
    sqlx::query("DELETE FROM outbox WHERE batch_id IN (SELECT unhex(value) FROM json_each(?1))")
        .bind(id_list(batches.iter().map(|batch| &batch.0)))
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(())
}

/// What a user may see of a log.
pub(super) struct View {
    pub(super) windows: Vec<Window>,
    /// The log's newest number.
    pub(super) last: Seq,
    pub(super) roster_version: u64,
}

/// What a user may see; `None` without any window.
pub(super) async fn view(
    connection: &mut SqliteConnection,
    id: ConversationId,
    user: UserId,
) -> StoreResult<Option<View>> {
    let rows = sqlx::query(
        "SELECT m.from_seq, m.until_seq, c.last_seq, c.roster_version
         FROM members m JOIN conversations c ON c.conv_id = m.conv_id
         WHERE m.conv_id = ?1 AND m.user_id = ?2 ORDER BY m.from_seq",
    )
    .bind(&id.as_bytes()[..])
    .bind(&user.as_bytes()[..])
    .fetch_all(connection)
    .await
    .map_err(store_error)?;
    let (mut last, mut roster_version) = (Seq::ZERO, 0);
    let mut windows = Vec::with_capacity(rows.len());
    for row in &rows {
        let columns = Columns {
            table: "members",
            row,
        };
        windows.push(columns.window()?);
        last = columns.seq("last_seq")?;
        roster_version = columns.number("roster_version")?;
    }
    Ok((!windows.is_empty()).then_some(View {
        windows,
        last,
        roster_version,
    }))
}

struct Log<'a> {
    connection: &'a mut SqliteConnection,
    id: ConversationId,
}

impl Ranges for Log<'_> {
    async fn ascending(&mut self, from: Seq, to: Seq, limit: u32) -> StoreResult<Vec<StoredRow>> {
        select(self.connection, SELECT_ASCENDING, self.id, from, to, limit).await
    }

    async fn descending(&mut self, from: Seq, to: Seq, limit: u32) -> StoreResult<Vec<StoredRow>> {
        select(self.connection, SELECT_DESCENDING, self.id, from, to, limit).await
    }
}

async fn select(
    connection: &mut SqliteConnection,
    statement: &'static str,
    id: ConversationId,
    from: Seq,
    to: Seq,
    limit: u32,
) -> StoreResult<Vec<StoredRow>> {
    debug_assert!(statement.contains(MESSAGE_COLUMNS));
    let rows = sqlx::query(statement)
        .bind(&id.as_bytes()[..])
        .bind(integer(from.get()))
        .bind(integer(to.get()))
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    rows.iter()
        .map(|row| {
            Columns {
                table: "messages",
                row,
            }
            .message()
        })
        .collect()
}
