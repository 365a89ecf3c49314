//! Columns to typed values.

use ruggine_core::{Blob, Seq, Timestamp};
use rusqlite::Row;

use super::database;
use crate::store::{MessageRecord, StoreError, StoreResult};

pub(super) fn id<T: for<'a> TryFrom<&'a [u8]>>(
    row: &Row<'_>,
    column: &'static str,
) -> StoreResult<T> {
    optional_id(row, column)?.ok_or(StoreError::Inconsistent(column))
}

pub(super) fn optional_id<T: for<'a> TryFrom<&'a [u8]>>(
    row: &Row<'_>,
    column: &'static str,
) -> StoreResult<Option<T>> {
    let bytes: Option<Vec<u8>> = row.get(column).map_err(database)?;
    bytes
        .map(|bytes| T::try_from(&bytes).map_err(|_| StoreError::Inconsistent(column)))
        .transpose()
}

pub(super) fn number(row: &Row<'_>, column: &'static str) -> StoreResult<u64> {
    let number: i64 = row.get(column).map_err(database)?;
    u64::try_from(number).map_err(|_| StoreError::Inconsistent(column))
}

pub(super) fn seq(row: &Row<'_>, column: &'static str) -> StoreResult<Seq> {
    number(row, column).map(Seq::new)
}

pub(super) fn time(row: &Row<'_>, column: &'static str) -> StoreResult<Timestamp> {
    row.get(column)
        .map(Timestamp::from_millis)
        .map_err(database)
}

pub(super) fn text(row: &Row<'_>, column: &'static str) -> StoreResult<String> {
    row.get(column).map_err(database)
}

pub(super) fn name<T: std::str::FromStr>(row: &Row<'_>, column: &'static str) -> StoreResult<T> {
    text(row, column)?
        .parse()
        .map_err(|_| StoreError::Inconsistent(column))
}

pub(super) fn message(row: &Row<'_>) -> StoreResult<MessageRecord> {
    let payload: Option<Vec<u8>> = row.get("payload").map_err(database)?;
    Ok(MessageRecord {
        seq: seq(row, "seq")?,
        kind: ruggine_core::api::message::RowKind::from_name(&text(row, "kind")?),
        sender: id(row, "sender")?,
        device: id(row, "device_id")?,
        client_msg_id: id(row, "client_msg_id")?,
        server_ts: time(row, "server_ts")?,
        payload: payload.map(Blob::from),
    })
}

/// A number as SQLite keeps it. Numbers of ours stay far below the limit.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Collects rows, each read by a step that can fail in our own ways.
pub(super) fn collect<T>(
    mut rows: rusqlite::Rows<'_>,
    step: impl Fn(&Row<'_>) -> StoreResult<T>,
) -> StoreResult<Vec<T>> {
    let mut collected = Vec::new();
    while let Some(row) = rows.next().map_err(database)? {
        collected.push(step(row)?);
    }
    Ok(collected)
}
