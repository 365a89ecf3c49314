//! The local store in one SQLCipher file.

mod identity;
mod log;
mod outbox;
mod people;
mod rows;

use std::path::Path;
use std::time::Duration;

use parking_lot::Mutex;
use ruggine_core::api::account::User;
use ruggine_core::api::conversation::Conversation;
use ruggine_core::api::member::Member;
use ruggine_core::api::session::Tokens;
use ruggine_core::{
    Blob, ClientMsgId, ConversationId, ErrorCode, Incarnation, Seq, Timestamp, UserId,
};
use rusqlite::{Connection, ErrorCode as SqliteCode, Transaction, TransactionBehavior};
use zeroize::Zeroizing;

use super::key::hex;
use super::{
    Applied, ClientStore, ConversationRecord, Identity, LogEntry, MemberRecord, MessageRecord,
    OutboxRecord, Position, StoreError, StoreKey, StoreResult,
};

const VERSION: i64 = 1;
const SCHEMA: &str = include_str!("schema.sql");
const BUSY: Duration = Duration::from_secs(2);

/// A store in an encrypted file. One process at a time may have it open.
#[derive(Debug)]
pub struct SqliteStore(Mutex<Connection>);

impl SqliteStore {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// When the key is wrong, another process has the file, or it belongs to a
    /// newer client.
    pub fn open(path: impl AsRef<Path>, key: &impl StoreKey) -> StoreResult<Self> {
        let connection = Connection::open(path).map_err(database)?;
        Self::prepare(connection, key)
    }

    fn prepare(mut connection: Connection, key: &impl StoreKey) -> StoreResult<Self> {
        connection.busy_timeout(BUSY).map_err(database)?;
        let key = key.key()?;
        // A raw key: SQLCipher then derives nothing from it.
        let pragma = Zeroizing::new(format!(
            "PRAGMA key = \"x'{}'\"",
            &*Zeroizing::new(hex(key.as_slice()))
        ));
        connection.execute_batch(&pragma).map_err(database)?;
        connection
            .execute_batch(
                "PRAGMA cipher_memory_security = ON;
                 PRAGMA locking_mode = EXCLUSIVE;
                 PRAGMA secure_delete = ON;
                 PRAGMA journal_mode = WAL;
                 PRAGMA synchronous = FULL;
                 PRAGMA foreign_keys = ON;",
            )
            .map_err(opening)?;
        let found: i64 = connection
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .map_err(opening)?;
        match found {
            0 => {
                let tx = connection
                    .transaction_with_behavior(TransactionBehavior::Immediate)
                    .map_err(opening)?;
                tx.execute_batch(SCHEMA).map_err(opening)?;
                tx.pragma_update(None, "user_version", VERSION)
                    .map_err(opening)?;
                tx.commit().map_err(opening)?;
            }
            VERSION => {}
            found => {
                return Err(StoreError::Newer {
                    found,
                    known: VERSION,
                });
            }
        }
        Ok(Self(Mutex::new(connection)))
    }

    fn read<T>(&self, step: impl FnOnce(&Connection) -> StoreResult<T>) -> StoreResult<T> {
        step(&self.0.lock())
    }

    fn write<T>(&self, step: impl FnOnce(&Transaction<'_>) -> StoreResult<T>) -> StoreResult<T> {
        let mut connection = self.0.lock();
        let tx = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(database)?;
        let result = step(&tx)?;
        tx.commit().map_err(database)?;
        Ok(result)
    }
}

fn database(error: rusqlite::Error) -> StoreError {
    StoreError::Database(Box::new(error))
}

fn opening(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(SqliteCode::NotADatabase) => StoreError::WrongKey,
        Some(SqliteCode::DatabaseBusy | SqliteCode::DatabaseLocked) => StoreError::InUse,
        _ => database(error),
    }
}

impl ClientStore for SqliteStore {
    fn identity(&self) -> StoreResult<Option<Identity>> {
        self.read(identity::load)
    }

    fn set_identity(&self, identity: Identity) -> StoreResult<()> {
        self.write(|tx| identity::save(tx, &identity))
    }

    fn set_tokens(&self, tokens: Tokens) -> StoreResult<()> {
        self.write(|tx| identity::set_tokens(tx, Some(&tokens)))
    }

    fn forget_tokens(&self) -> StoreResult<()> {
        self.write(|tx| identity::set_tokens(tx, None))
    }

    fn forget_device(&self) -> StoreResult<()> {
        self.write(|tx| identity::forget_device(tx))
    }

    fn write_counter(&self) -> StoreResult<u64> {
        self.read(identity::write_counter)
    }

    fn incarnation(&self) -> StoreResult<Option<Incarnation>> {
        self.read(log::incarnation)
    }

    fn set_incarnation(&self, incarnation: Incarnation) -> StoreResult<bool> {
        self.write(|tx| log::set_incarnation(tx, incarnation))
    }

    fn put_conversation(&self, conversation: &Conversation, recent: u64) -> StoreResult<()> {
        self.write(|tx| log::put_conversation(tx, conversation, recent))
    }

    fn conversation(&self, id: ConversationId) -> StoreResult<Option<ConversationRecord>> {
        self.read(|db| Ok(log::conversations(db, Some(id))?.pop()))
    }

    fn conversations(&self) -> StoreResult<Vec<ConversationRecord>> {
        self.read(|db| log::conversations(db, None))
    }

    fn put_members(
        &self,
        id: ConversationId,
        roster_version: u64,
        members: &[Member],
    ) -> StoreResult<()> {
        self.write(|tx| people::put_members(tx, id, roster_version, members))
    }

    fn members(&self, id: ConversationId) -> StoreResult<Vec<MemberRecord>> {
        self.read(|db| people::members(db, id))
    }

    fn put_user(&self, user: &User) -> StoreResult<()> {
        self.write(|tx| people::put_user(tx, user))
    }

    fn user(&self, id: UserId) -> StoreResult<Option<User>> {
        self.read(|db| people::user(db, id))
    }

    fn apply(&self, id: ConversationId, entries: &[LogEntry]) -> StoreResult<Applied> {
        self.write(|tx| log::apply(tx, id, entries))
    }

    fn apply_older(&self, id: ConversationId, entries: &[LogEntry]) -> StoreResult<()> {
        self.write(|tx| log::apply_older(tx, id, entries))
    }

    fn messages(
        &self,
        id: ConversationId,
        before: Seq,
        limit: usize,
    ) -> StoreResult<Vec<MessageRecord>> {
        self.read(|db| log::messages(db, id, before, limit))
    }

    fn set_read(&self, id: ConversationId, seq: Seq) -> StoreResult<bool> {
        self.write(|tx| log::set_read(tx, id, seq))
    }

    fn reads_to_tell(&self) -> StoreResult<Vec<(ConversationId, Seq)>> {
        self.read(log::reads_to_tell)
    }

    fn read_told(&self, id: ConversationId, seq: Seq) -> StoreResult<()> {
        self.write(|tx| log::read_told(tx, id, seq))
    }

    fn set_position(
        &self,
        id: ConversationId,
        user: UserId,
        position: Position,
    ) -> StoreResult<()> {
        self.write(|tx| people::set_position(tx, id, user, position))
    }

    fn enqueue(
        &self,
        id: ConversationId,
        client_msg_id: ClientMsgId,
        payload: Blob,
        at: Timestamp,
    ) -> StoreResult<()> {
        self.write(|tx| outbox::enqueue(tx, id, client_msg_id, &payload, at))
    }

    fn lines(&self) -> StoreResult<Vec<ConversationId>> {
        self.read(outbox::lines)
    }

    fn head_of_line(&self, id: ConversationId) -> StoreResult<Option<OutboxRecord>> {
        self.read(|db| outbox::head_of_line(db, id))
    }

    fn line(&self, id: ConversationId) -> StoreResult<Vec<OutboxRecord>> {
        self.read(|db| outbox::line(db, id))
    }

    fn acknowledged(
        &self,
        id: ConversationId,
        client_msg_id: ClientMsgId,
        seq: Seq,
        at: Timestamp,
    ) -> StoreResult<()> {
        self.write(|tx| outbox::acknowledged(tx, id, client_msg_id, seq, at))
    }

    fn failed(
        &self,
        id: ConversationId,
        client_msg_id: ClientMsgId,
        code: ErrorCode,
    ) -> StoreResult<()> {
        self.write(|tx| outbox::failed(tx, id, client_msg_id, code))
    }

    fn retry(&self, id: ConversationId, client_msg_id: ClientMsgId) -> StoreResult<bool> {
        self.write(|tx| outbox::retry(tx, id, client_msg_id))
    }

    fn discard(&self, id: ConversationId, client_msg_id: ClientMsgId) -> StoreResult<bool> {
        self.write(|tx| outbox::discard(tx, id, client_msg_id))
    }
}
