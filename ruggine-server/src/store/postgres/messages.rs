//! The log: reading within windows, notices, and batches that wait to be announced.

use ruggine_core::{ConversationId, Seq, Timestamp, UserId};
use ruggine_crypto::random;
use sqlx::postgres::PgConnection;

use super::PostgresStore;
use super::append::{Attempt, Step, append};
use super::errors::store_error;
use super::fast_append;
use super::rows::{Columns, all, integer, key, keys};
use super::transaction::Unanswered;
use crate::store::paging::{Ranges, read_page};
use crate::store::window::{Window, plan_page, visible_head};
use crate::store::{
    Append, Appended, BatchId, ConversationHead, MessageStore, NewRow, PageQuery, PendingBatch,
    StoreError, StoreResult, StoredPage, StoredRow,
};

const TABLE: &str = "messages";
const SELECT_ASCENDING: &str =
    "SELECT conv_id, seq, kind, sender, device_id, client_msg_id, mls_epoch, created_at, body
     FROM messages WHERE conv_id = $1 AND seq BETWEEN $2 AND $3 ORDER BY seq LIMIT $4";
const SELECT_DESCENDING: &str =
    "SELECT conv_id, seq, kind, sender, device_id, client_msg_id, mls_epoch, created_at, body
     FROM messages WHERE conv_id = $1 AND seq BETWEEN $2 AND $3 ORDER BY seq DESC LIMIT $4";

impl MessageStore for PostgresStore {
    async fn append(&self, batch: Append) -> StoreResult<Appended> {
        if batch.rows.is_empty() {
            self.settle(batch.settled).await?;
            return Ok(Appended {
                outcomes: Vec::new(),
                batch: None,
            });
        }
        let id = new_batch()?;
        if let Some(plan) = self.known.plan(&batch, id) {
            let written = self.read(&plan, |connection, plan| {
                Box::pin(fast_append::write(connection, plan))
            });
            match written.await {
                Err(error) if fast_append::is_given_up(&error) => self.known.forget(&plan),
                result => return result,
            }
        }
        let mut step = Step::new(batch, id);
        loop {
            // Repeated after an unknown end, rows are found as sent before.
            let attempt = self
                .write(Unanswered::Repeat, &step, |connection, step| {
                    Box::pin(append(connection, step))
                })
                .await?;
            match attempt {
                Attempt::Done(appended, learned) => {
                    self.known.learn(learned.into_iter());
                    return Ok(appended);
                }
                Attempt::SentBefore => step.look_for_duplicates(),
            }
        }
    }

    async fn page(&self, query: PageQuery) -> StoreResult<Option<StoredPage>> {
        self.read(&query, |connection, query| {
            Box::pin(page(connection, query))
        })
        .await
    }

    async fn rows(
        &self,
        id: ConversationId,
        from: Seq,
        to: Seq,
        limit: u32,
    ) -> StoreResult<Vec<StoredRow>> {
        let input = (id, from, to, limit);
        self.read(&input, |connection, (id, from, to, limit)| {
            Box::pin(select(
                connection,
                SELECT_ASCENDING,
                *id,
                *from,
                *to,
                *limit,
            ))
        })
        .await
    }

    async fn heads(&self, ids: Vec<ConversationId>) -> StoreResult<Vec<ConversationHead>> {
        self.read(&ids, |connection, ids| Box::pin(heads(connection, ids)))
            .await
    }

    async fn pending_batches(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> StoreResult<Vec<PendingBatch>> {
        self.read(&(before, limit), |connection, (before, limit)| {
            Box::pin(pending(connection, *before, *limit))
        })
        .await
    }

    async fn settle(&self, batches: Vec<BatchId>) -> StoreResult<()> {
        self.read(&batches, |connection, batches| {
            Box::pin(settle(connection, batches))
        })
        .await
    }
}

pub(super) fn new_batch() -> StoreResult<BatchId> {
    random::bytes()
        .map(BatchId)
        .map_err(|error| StoreError::Unavailable(Box::new(error)))
}

async fn page(connection: &mut PgConnection, query: &PageQuery) -> StoreResult<Option<StoredPage>> {
    let Some((windows, last)) = windows(connection, query.conversation, query.user).await? else {
        return Ok(None);
    };
    let plan = plan_page(&windows, last, query.start, query.rows_max);
    let mut log = Log {
        connection,
        id: query.conversation,
    };
    Ok(Some(StoredPage {
        head: visible_head(&windows, last),
        items: read_page(&mut log, query, plan).await?,
    }))
}

struct Log<'a> {
    connection: &'a mut PgConnection,
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
    connection: &mut PgConnection,
    statement: &'static str,
    id: ConversationId,
    from: Seq,
    to: Seq,
    limit: u32,
) -> StoreResult<Vec<StoredRow>> {
    let rows = sqlx::query(statement)
        .bind(key(id.as_bytes()))
        .bind(integer(from.get()))
        .bind(integer(to.get()))
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    all(TABLE, &rows, |columns| columns.message())
}

/// A user's windows and the log's newest number; `None` without any window.
async fn windows(
    connection: &mut PgConnection,
    id: ConversationId,
    user: UserId,
) -> StoreResult<Option<(Vec<Window>, Seq)>> {
    let rows = sqlx::query(
        "SELECT m.from_seq, m.until_seq, c.last_seq
         FROM members m JOIN conversations c ON c.conv_id = m.conv_id
         WHERE m.conv_id = $1 AND m.user_id = $2 ORDER BY m.from_seq",
    )
    .bind(key(id.as_bytes()))
    .bind(key(user.as_bytes()))
    .fetch_all(connection)
    .await
    .map_err(store_error)?;
    let Some(last) = rows.last() else {
        return Ok(None);
    };
    let last = Columns::of("members", last).seq("last_seq")?;
    let windows = all("members", &rows, |columns| columns.window())?;
    Ok(Some((windows, last)))
}

async fn heads(
    connection: &mut PgConnection,
    ids: &[ConversationId],
) -> StoreResult<Vec<ConversationHead>> {
    let rows = sqlx::query(
        "SELECT conv_id, last_seq, roster_version FROM conversations WHERE conv_id = ANY($1)",
    )
    .bind(keys(ids.iter().map(ConversationId::as_bytes)))
    .fetch_all(connection)
    .await
    .map_err(store_error)?;
    all("conversations", &rows, |columns| {
        Ok(ConversationHead {
            conversation: columns.id("conv_id")?,
            head: columns.seq("last_seq")?,
            roster_version: columns.number("roster_version")?,
        })
    })
}

/// Writes a notice under a number that the caller has taken.
pub(super) async fn insert_notice(
    connection: &mut PgConnection,
    row: &NewRow,
    seq: Seq,
) -> StoreResult<()> {
    sqlx::query(
        "INSERT INTO messages (conv_id, seq, kind, sender, device_id, client_msg_id, mls_epoch,
                               key_id, created_at, body)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(key(row.conversation.as_bytes()))
    .bind(integer(seq.get()))
    .bind(row.kind.as_str())
    .bind(key(row.sender.as_bytes()))
    .bind(key(row.device.as_bytes()))
    .bind(key(row.client_msg_id.as_bytes()))
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
    connection: &mut PgConnection,
    batch: BatchId,
    heads: &[(ConversationId, Seq)],
    at: Timestamp,
) -> StoreResult<()> {
    sqlx::query("INSERT INTO outbox (batch_id, created_at, heads) VALUES ($1, $2, $3)")
        .bind(key(&batch.0))
        .bind(at.as_millis())
        .bind(heads_text(heads)?)
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(())
}

/// Whether a batch was committed and waits to be announced.
pub(super) async fn is_recorded(
    connection: &mut PgConnection,
    batch: BatchId,
) -> StoreResult<bool> {
    let row = sqlx::query("SELECT 1 FROM outbox WHERE batch_id = $1")
        .bind(key(&batch.0))
        .fetch_optional(connection)
        .await
        .map_err(store_error)?;
    Ok(row.is_some())
}

pub(super) fn heads_text(heads: &[(ConversationId, Seq)]) -> StoreResult<String> {
    serde_json::to_string(heads).map_err(|error| StoreError::Refused(error.into()))
}

async fn pending(
    connection: &mut PgConnection,
    before: Timestamp,
    limit: u32,
) -> StoreResult<Vec<PendingBatch>> {
    let rows = sqlx::query(
        "SELECT batch_id, created_at, heads FROM outbox
         WHERE created_at < $1 ORDER BY created_at LIMIT $2",
    )
    .bind(before.as_millis())
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await
    .map_err(store_error)?;
    all("outbox", &rows, |columns| {
        let heads = serde_json::from_str(columns.text("heads")?)
            .map_err(|_| columns.inconsistent("heads"))?;
        Ok(PendingBatch {
            id: BatchId(columns.bytes("batch_id")?),
            created_at: columns.time("created_at")?,
            heads,
        })
    })
}

/// A batch that somebody else is deleting is passed over.
pub(super) async fn settle(connection: &mut PgConnection, batches: &[BatchId]) -> StoreResult<()> {
    if batches.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "DELETE FROM outbox WHERE batch_id IN
             (SELECT batch_id FROM outbox WHERE batch_id = ANY($1) FOR UPDATE SKIP LOCKED)",
    )
    .bind(keys(batches.iter().map(|batch| &batch.0)))
    .execute(connection)
    .await
    .map_err(store_error)?;
    Ok(())
}
