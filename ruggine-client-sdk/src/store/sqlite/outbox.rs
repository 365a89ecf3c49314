//! Messages that wait to be sent, a line per conversation.

use ruggine_core::{Blob, ClientMsgId, ConversationId, DeviceId, ErrorCode, Seq, Timestamp};
use rusqlite::{Connection, Row, params};

use super::database;
use super::identity::{self, count_write};
use super::rows::{collect, id, integer, seq, time};
use crate::store::{LogRow, OutboxRecord, SendProgress, StoreResult};

pub(super) fn enqueue(
    db: &Connection,
    conv: ConversationId,
    client_msg_id: ClientMsgId,
    payload: &[u8],
    at: Timestamp,
) -> StoreResult<()> {
    count_write(db)?;
    db.execute(
        "INSERT INTO outbox (conv_id, client_msg_id, payload, created_at) VALUES (?1, ?2, ?3, ?4)",
        params![
            conv.as_bytes(),
            client_msg_id.as_bytes(),
            payload,
            at.as_millis()
        ],
    )
    .map_err(database)?;
    Ok(())
}

pub(super) fn lines(db: &Connection) -> StoreResult<Vec<ConversationId>> {
    let mut statement = db
        .prepare_cached(
            "SELECT DISTINCT conv_id FROM outbox WHERE acked_seq IS NULL AND failure IS NULL",
        )
        .map_err(database)?;
    let rows = statement.query([]).map_err(database)?;
    collect(rows, |row| id(row, "conv_id"))
}

pub(super) fn head_of_line(
    db: &Connection,
    conv: ConversationId,
) -> StoreResult<Option<OutboxRecord>> {
    let mut statement = db
        .prepare_cached(
            "SELECT * FROM outbox WHERE conv_id = ?1 AND acked_seq IS NULL AND failure IS NULL
             ORDER BY place LIMIT 1",
        )
        .map_err(database)?;
    let rows = statement.query([conv.as_bytes()]).map_err(database)?;
    Ok(collect(rows, record)?.pop())
}

pub(super) fn line(db: &Connection, conv: ConversationId) -> StoreResult<Vec<OutboxRecord>> {
    let mut statement = db
        .prepare_cached("SELECT * FROM outbox WHERE conv_id = ?1 ORDER BY place")
        .map_err(database)?;
    let rows = statement.query([conv.as_bytes()]).map_err(database)?;
    collect(rows, record)
}

fn record(row: &Row<'_>) -> StoreResult<OutboxRecord> {
    let payload: Vec<u8> = row.get("payload").map_err(database)?;
    let acked: Option<i64> = row.get("acked_seq").map_err(database)?;
    let failure: Option<String> = row.get("failure").map_err(database)?;
    let progress = match (acked, failure) {
        (Some(_), _) => SendProgress::Acknowledged(seq(row, "acked_seq")?, time(row, "acked_at")?),
        (None, Some(code)) => SendProgress::Failed(ErrorCode::from_name(&code)),
        (None, None) => SendProgress::Waiting,
    };
    Ok(OutboxRecord {
        client_msg_id: id(row, "client_msg_id")?,
        payload: Blob::from(payload),
        created_at: time(row, "created_at")?,
        progress,
    })
}

pub(super) fn acknowledged(
    db: &Connection,
    conv: ConversationId,
    client_msg_id: ClientMsgId,
    seq: Seq,
    at: Timestamp,
) -> StoreResult<()> {
    // Where the log was faster, the message is no longer here.
    db.execute(
        "UPDATE outbox SET acked_seq = ?3, acked_at = ?4 WHERE conv_id = ?1 AND client_msg_id = ?2",
        params![
            conv.as_bytes(),
            client_msg_id.as_bytes(),
            integer(seq.get()),
            at.as_millis()
        ],
    )
    .map_err(database)?;
    Ok(())
}

pub(super) fn failed(
    db: &Connection,
    conv: ConversationId,
    client_msg_id: ClientMsgId,
    code: ErrorCode,
) -> StoreResult<()> {
    db.execute(
        "UPDATE outbox SET failure = ?3 WHERE conv_id = ?1 AND client_msg_id = ?2 AND acked_seq IS NULL",
        params![conv.as_bytes(), client_msg_id.as_bytes(), code.as_str()],
    )
    .map_err(database)?;
    Ok(())
}

/// Marks everything that waits as failed.
pub(super) fn fail_all(db: &Connection, code: ErrorCode) -> StoreResult<()> {
    db.execute(
        "UPDATE outbox SET failure = ?1 WHERE acked_seq IS NULL AND failure IS NULL",
        [code.as_str()],
    )
    .map_err(database)?;
    Ok(())
}

pub(super) fn retry(
    db: &Connection,
    conv: ConversationId,
    client_msg_id: ClientMsgId,
) -> StoreResult<bool> {
    count_write(db)?;
    let moved = db
        .execute(
            "UPDATE outbox SET failure = NULL, place = (SELECT max(place) + 1 FROM outbox)
             WHERE conv_id = ?1 AND client_msg_id = ?2 AND failure IS NOT NULL",
            params![conv.as_bytes(), client_msg_id.as_bytes()],
        )
        .map_err(database)?;
    Ok(moved > 0)
}

pub(super) fn discard(
    db: &Connection,
    conv: ConversationId,
    client_msg_id: ClientMsgId,
) -> StoreResult<bool> {
    let gone = db
        .execute(
            "DELETE FROM outbox WHERE conv_id = ?1 AND client_msg_id = ?2 AND failure IS NOT NULL",
            params![conv.as_bytes(), client_msg_id.as_bytes()],
        )
        .map_err(database)?;
    Ok(gone > 0)
}

/// A row of the log: if this device wrote it, it has arrived.
pub(super) fn seen(db: &Connection, conv: ConversationId, row: &LogRow) -> StoreResult<()> {
    let mine: Option<DeviceId> = identity::load(db)?.map(|identity| identity.device);
    if mine == Some(row.device) {
        db.execute(
            "DELETE FROM outbox WHERE conv_id = ?1 AND client_msg_id = ?2",
            params![conv.as_bytes(), row.client_msg_id.as_bytes()],
        )
        .map_err(database)?;
    }
    Ok(())
}
