//! Writing rows of the log, many at a time.

use std::fmt::Write;
use std::sync::{Arc, LazyLock};

use ruggine_core::Seq;
use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteConnection;

use super::rows::integer;
use super::store_error;
use crate::store::{NewRow, StoreResult};

/// Rows of one statement, most first. A few sizes are prepared once and fit any
/// batch together.
const SIZES: [usize; 4] = [64, 16, 4, 1];

/// The statement for each of [`SIZES`].
static STATEMENTS: LazyLock<[Arc<str>; SIZES.len()]> =
    LazyLock::new(|| SIZES.map(|rows| statement(rows).into()));

fn statement(rows: usize) -> String {
    let mut text = String::from(
        // A failure rolls the transaction back anyway: without `OR FAIL` every page
        // would be copied first, so that the statement alone could be undone.
        "INSERT OR FAIL INTO messages (conv_id, seq, kind, sender, device_id, client_msg_id, mls_epoch,
                               key_id, created_at, body) VALUES ",
    );
    for row in 0..rows {
        let comma = if row == 0 { "" } else { ", " };
        // Writing to a string does not fail.
        let _ = write!(text, "{comma}(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    }
    text.push_str(" ON CONFLICT (conv_id, device_id, client_msg_id) DO NOTHING");
    text
}

/// Writes rows; how many were new.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    rows: &[(&NewRow, Seq)],
) -> StoreResult<u64> {
    let mut written = 0;
    let mut rest = rows;
    for (size, statement) in SIZES.iter().zip(STATEMENTS.iter()) {
        while let Some((some, others)) = rest.split_at_checked(*size) {
            rest = others;
            written += insert_some(connection, statement, some).await?;
        }
    }
    Ok(written)
}

async fn insert_some(
    connection: &mut SqliteConnection,
    statement: &Arc<str>,
    rows: &[(&NewRow, Seq)],
) -> StoreResult<u64> {
    // It is made of nothing but constants.
    let mut query = sqlx::query(AssertSqlSafe(Arc::clone(statement)));
    for (row, seq) in rows {
        query = query
            .bind(&row.conversation.as_bytes()[..])
            .bind(integer(seq.get()))
            .bind(row.kind.as_str())
            .bind(&row.sender.as_bytes()[..])
            .bind(&row.device.as_bytes()[..])
            .bind(&row.client_msg_id.as_bytes()[..])
            .bind(row.epoch.map(integer))
            .bind(&*row.key_id)
            .bind(row.server_ts.as_millis())
            .bind(&*row.body);
    }
    let done = query.execute(connection).await.map_err(store_error)?;
    Ok(done.rows_affected())
}
