//! Columns to typed values and back.

use sqlx::Row;
use sqlx::postgres::PgRow;
use sqlx::types::Uuid;

use ruggine_core::api::conversation::{ConversationKind, ProtectionMode, Role};
use ruggine_core::api::message::RowKind;
use ruggine_core::{Seq, Timestamp};

use super::errors::store_error;
use crate::store::{StoreError, StoreResult, StoredRow, UserRecord, Window};

/// A row together with the table's name, for errors that say where.
pub(super) struct Columns<'a> {
    pub(super) table: &'static str,
    pub(super) row: &'a PgRow,
}

impl<'a> Columns<'a> {
    pub(super) const fn of(table: &'static str, row: &'a PgRow) -> Self {
        Self { table, row }
    }

    pub(super) const fn inconsistent(&self, column: &'static str) -> StoreError {
        StoreError::Inconsistent {
            table: self.table,
            column,
        }
    }

    pub(super) fn id<T: for<'b> TryFrom<&'b [u8]>>(&self, column: &'static str) -> StoreResult<T> {
        let id: Uuid = self.row.try_get(column).map_err(store_error)?;
        T::try_from(&id.as_bytes()[..]).map_err(|_| self.inconsistent(column))
    }

    pub(super) fn bytes(&self, column: &'static str) -> StoreResult<[u8; 16]> {
        let id: Uuid = self.row.try_get(column).map_err(store_error)?;
        Ok(*id.as_bytes())
    }

    pub(super) fn optional_id<T: for<'b> TryFrom<&'b [u8]>>(
        &self,
        column: &'static str,
    ) -> StoreResult<Option<T>> {
        let id: Option<Uuid> = self.row.try_get(column).map_err(store_error)?;
        id.map(|id| T::try_from(&id.as_bytes()[..]).map_err(|_| self.inconsistent(column)))
            .transpose()
    }

    pub(super) fn integer(&self, column: &'static str) -> StoreResult<i64> {
        self.row.try_get(column).map_err(store_error)
    }

    pub(super) fn number(&self, column: &'static str) -> StoreResult<u64> {
        u64::try_from(self.integer(column)?).map_err(|_| self.inconsistent(column))
    }

    pub(super) fn optional_number(&self, column: &'static str) -> StoreResult<Option<u64>> {
        let number: Option<i64> = self.row.try_get(column).map_err(store_error)?;
        number
            .map(|number| u64::try_from(number).map_err(|_| self.inconsistent(column)))
            .transpose()
    }

    pub(super) fn count(&self, column: &'static str) -> StoreResult<u32> {
        u32::try_from(self.integer(column)?).map_err(|_| self.inconsistent(column))
    }

    pub(super) fn seq(&self, column: &'static str) -> StoreResult<Seq> {
        self.number(column).map(Seq::new)
    }

    pub(super) fn time(&self, column: &'static str) -> StoreResult<Timestamp> {
        self.integer(column).map(Timestamp::from_millis)
    }

    pub(super) fn text(&self, column: &'static str) -> StoreResult<&'a str> {
        self.row.try_get(column).map_err(store_error)
    }

    pub(super) fn optional_text(&self, column: &'static str) -> StoreResult<Option<&'a str>> {
        self.row.try_get(column).map_err(store_error)
    }

    pub(super) fn blob(&self, column: &'static str) -> StoreResult<&'a [u8]> {
        self.row.try_get(column).map_err(store_error)
    }

    /// A hash or a key.
    pub(super) fn digest(&self, column: &'static str) -> StoreResult<[u8; 32]> {
        let bytes = self.blob(column)?;
        bytes.try_into().map_err(|_| self.inconsistent(column))
    }

    pub(super) fn flag(&self, column: &'static str) -> StoreResult<bool> {
        self.row.try_get(column).map_err(store_error)
    }

    pub(super) fn suite(&self) -> StoreResult<u16> {
        u16::try_from(self.integer("suite")?).map_err(|_| self.inconsistent("suite"))
    }

    pub(super) fn kind(&self) -> StoreResult<ConversationKind> {
        Ok(ConversationKind::from_name(self.text("kind")?))
    }

    pub(super) fn mode(&self) -> StoreResult<ProtectionMode> {
        Ok(ProtectionMode::from_name(self.text("mode")?))
    }

    pub(super) fn role(&self) -> StoreResult<Option<Role>> {
        Ok(self.optional_text("role")?.map(Role::from_name))
    }

    pub(super) fn user(&self) -> StoreResult<UserRecord> {
        Ok(UserRecord {
            id: self.id("user_id")?,
            username: self
                .text("username")?
                .parse()
                .map_err(|_| self.inconsistent("username"))?,
            profile: self.text("profile")?.into(),
            password_hash: self.optional_text("password_hash")?.map(Into::into),
            created_at: self.time("created_at")?,
        })
    }

    pub(super) fn message(&self) -> StoreResult<StoredRow> {
        Ok(StoredRow {
            conversation: self.id("conv_id")?,
            seq: self.seq("seq")?,
            kind: RowKind::from_name(self.text("kind")?),
            sender: self.id("sender")?,
            device: self.id("device_id")?,
            client_msg_id: self.id("client_msg_id")?,
            epoch: self.optional_number("mls_epoch")?,
            server_ts: self.time("created_at")?,
            body: self.text("body")?.into(),
        })
    }

    pub(super) fn window(&self) -> StoreResult<Window> {
        Ok(Window {
            from: self.seq("from_seq")?,
            until: self.optional_number("until_seq")?.map(Seq::new),
        })
    }
}

/// Every row as one value.
pub(super) fn all<T>(
    table: &'static str,
    rows: &[PgRow],
    read: impl Fn(&Columns<'_>) -> StoreResult<T>,
) -> StoreResult<Vec<T>> {
    rows.iter()
        .map(|row| read(&Columns::of(table, row)))
        .collect()
}

/// The row, if there is one, as a value.
pub(super) fn optional<T>(
    table: &'static str,
    row: Option<&PgRow>,
    read: impl Fn(&Columns<'_>) -> StoreResult<T>,
) -> StoreResult<Option<T>> {
    row.map(|row| read(&Columns::of(table, row))).transpose()
}

/// A number as PostgreSQL keeps it. Numbers of ours stay far below the limit.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A count as a limit of a statement.
pub(super) fn limit(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// An id as PostgreSQL keeps it.
pub(super) const fn key(bytes: &[u8; 16]) -> Uuid {
    Uuid::from_bytes(*bytes)
}

/// Ids as one array.
pub(super) fn keys<'a>(ids: impl IntoIterator<Item = &'a [u8; 16]>) -> Vec<Uuid> {
    ids.into_iter().map(key).collect()
}
