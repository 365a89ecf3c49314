//! Columns to typed values and back.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use ruggine_core::api::conversation::{ConversationKind, ProtectionMode, Role};
use ruggine_core::api::message::RowKind;
use ruggine_core::{Seq, Timestamp};

use super::store_error;
use crate::store::{StoreError, StoreResult, StoredRow, UserRecord, Window};

pub(super) const MESSAGE_COLUMNS: &str =
    "conv_id, seq, kind, sender, device_id, client_msg_id, mls_epoch, created_at, body";

/// A row together with the table's name, for errors that say where.
pub(super) struct Columns<'a> {
    pub(super) table: &'static str,
    pub(super) row: &'a SqliteRow,
}

impl Columns<'_> {
    pub(super) const fn inconsistent(&self, column: &'static str) -> StoreError {
        StoreError::Inconsistent {
            table: self.table,
            column,
        }
    }

    pub(super) fn id<T: for<'b> TryFrom<&'b [u8]>>(&self, column: &'static str) -> StoreResult<T> {
        let bytes: &[u8] = self.row.try_get(column).map_err(store_error)?;
        T::try_from(bytes).map_err(|_| self.inconsistent(column))
    }

    pub(super) fn optional_id<T: for<'b> TryFrom<&'b [u8]>>(
        &self,
        column: &'static str,
    ) -> StoreResult<Option<T>> {
        let bytes: Option<&[u8]> = self.row.try_get(column).map_err(store_error)?;
        bytes
            .map(|bytes| T::try_from(bytes).map_err(|_| self.inconsistent(column)))
            .transpose()
    }

    pub(super) fn integer(&self, column: &'static str) -> StoreResult<i64> {
        self.row.try_get(column).map_err(store_error)
    }

    pub(super) fn optional_integer(&self, column: &'static str) -> StoreResult<Option<i64>> {
        self.row.try_get(column).map_err(store_error)
    }

    pub(super) fn number(&self, column: &'static str) -> StoreResult<u64> {
        u64::try_from(self.integer(column)?).map_err(|_| self.inconsistent(column))
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

    pub(super) fn text(&self, column: &'static str) -> StoreResult<&str> {
        self.row.try_get(column).map_err(store_error)
    }

    pub(super) fn optional_text(&self, column: &'static str) -> StoreResult<Option<&str>> {
        self.row.try_get(column).map_err(store_error)
    }

    pub(super) fn blob(&self, column: &'static str) -> StoreResult<&[u8]> {
        self.row.try_get(column).map_err(store_error)
    }

    /// A hash or a key.
    pub(super) fn digest(&self, column: &'static str) -> StoreResult<[u8; 32]> {
        let bytes = self.blob(column)?;
        bytes.try_into().map_err(|_| self.inconsistent(column))
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
            epoch: self
                .optional_integer("mls_epoch")?
                .map(|epoch| u64::try_from(epoch).map_err(|_| self.inconsistent("mls_epoch")))
                .transpose()?,
            server_ts: self.time("created_at")?,
            body: self.text("body")?.into(),
        })
    }

    pub(super) fn window(&self) -> StoreResult<Window> {
        Ok(Window {
            from: self.seq("from_seq")?,
            until: match self.optional_integer("until_seq")? {
                None => None,
                Some(_) => Some(self.seq("until_seq")?),
            },
        })
    }
}

/// A number as SQLite keeps it. Numbers of ours stay far below the limit.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Ids as a JSON array of hexadecimal texts, for `json_each` and `unhex`.
pub(super) fn id_list<'a>(ids: impl Iterator<Item = &'a [u8; 16]>) -> String {
    let mut list = String::from("[");
    for (index, id) in ids.enumerate() {
        if index > 0 {
            list.push(',');
        }
        list.push('"');
        push_hex(&mut list, id);
        list.push('"');
    }
    list.push(']');
    list
}

/// An id as text that `unhex` reads.
pub(super) fn hex(bytes: &[u8; 16]) -> String {
    let mut text = String::with_capacity(32);
    push_hex(&mut text, bytes);
    text
}

fn push_hex(text: &mut String, bytes: &[u8; 16]) {
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(u32::from(digit), 16));
        }
    }
}
