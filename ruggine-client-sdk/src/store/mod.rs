//! The seam to what a client keeps: its identity, its conversations, the part
//! of each log that it has, and the messages that wait to be sent.
//!
//! Every method is one atomic step on stable storage. Methods block; the client
//! calls them where blocking does no harm.

mod key;
mod records;
#[cfg(feature = "sqlite")]
pub mod sqlite;

use ruggine_core::api::account::User;
use ruggine_core::api::conversation::Conversation;
use ruggine_core::api::member::Member;
use ruggine_core::api::session::Tokens;
use ruggine_core::{
    Blob, ClientMsgId, ConversationId, ErrorCode, Incarnation, Seq, Timestamp, UserId,
};

pub use key::{FixedKey, KeyFile, StoreKey, StoreKeyError};
pub use records::*;

/// A step that did not happen. Nothing of it was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file does not open with this key.
    #[error("the local store does not open: the key is wrong, or the file is damaged")]
    WrongKey,
    /// The key could not be had.
    #[error(transparent)]
    Key(#[from] StoreKeyError),
    /// The file belongs to a newer client.
    #[error(
        "the local store has version {found}, newer than the {known} that this client knows: update the client"
    )]
    Newer {
        /// In the file.
        found: i64,
        /// In this client.
        known: i64,
    },
    /// Another process uses the file.
    #[error("the local store is in use by another client")]
    InUse,
    /// A row does not have the form that this client writes.
    #[error("the local store holds a row that cannot be understood: {0}")]
    Inconsistent(&'static str),
    /// The program ends: the step was not begun.
    #[error("the client is going down")]
    Stopped,
    /// The database failed.
    #[error("the local store failed: {0}")]
    Database(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    /// Logs a failure of the store. That the program ends is none.
    pub(crate) fn report(&self) {
        if !matches!(self, Self::Stopped) {
            tracing::error!(error = %self, "the local store failed");
        }
    }
}

/// What a step gives.
pub type StoreResult<T> = Result<T, StoreError>;

/// What a client keeps.
pub trait ClientStore: Send + Sync + std::fmt::Debug + 'static {
    /// Who this store belongs to; `None` before the first login.
    fn identity(&self) -> StoreResult<Option<Identity>>;

    /// Remembers a login. A login of another user or device empties the store first.
    fn set_identity(&self, identity: Identity) -> StoreResult<()>;

    /// Replaces the tokens of the login.
    fn set_tokens(&self, tokens: Tokens) -> StoreResult<()>;

    /// Forgets the tokens; everything else stays readable.
    fn forget_tokens(&self) -> StoreResult<()>;

    /// Gives the device up: its secret and tokens are forgotten, and what waits
    /// to be sent fails with `device_restored`. A later login makes a new device.
    fn forget_device(&self) -> StoreResult<()>;

    /// How often local intentions have been written. It never goes back, so a
    /// server that remembers a greater one knows that this is an old copy.
    fn write_counter(&self) -> StoreResult<u64>;

    /// The log that the cursors count in.
    fn incarnation(&self) -> StoreResult<Option<Incarnation>>;

    /// Notes which log the server serves. Where it is another one than before,
    /// all rows and cursors are dropped, and messages that were acknowledged in
    /// the old log but not seen in it wait to be sent again; `true` then.
    fn set_incarnation(&self, incarnation: Incarnation) -> StoreResult<bool>;

    /// Notes what the server says of a conversation. One that is new begins at
    /// most `recent` rows before its head.
    fn put_conversation(&self, conversation: &Conversation, recent: u64) -> StoreResult<()>;

    /// A conversation.
    fn conversation(&self, id: ConversationId) -> StoreResult<Option<ConversationRecord>>;

    /// All conversations, in no order.
    fn conversations(&self) -> StoreResult<Vec<ConversationRecord>>;

    /// Replaces the members of a conversation, and notes their names.
    fn put_members(
        &self,
        id: ConversationId,
        roster_version: u64,
        members: &[Member],
    ) -> StoreResult<()>;

    /// The members of a conversation.
    fn members(&self, id: ConversationId) -> StoreResult<Vec<MemberRecord>>;

    /// Notes a person's names.
    fn put_user(&self, user: &User) -> StoreResult<()>;

    /// A person whose names are known.
    fn user(&self, id: UserId) -> StoreResult<Option<User>>;

    /// Applies entries that continue the log at the cursor, moves the cursor,
    /// and takes this device's own messages out of the outbox, all in one.
    /// Entries at or below the cursor are passed over; if what remains does not
    /// begin at the cursor + 1, nothing is written.
    fn apply(&self, id: ConversationId, entries: &[LogEntry]) -> StoreResult<Applied>;

    /// Adds entries that end where the kept part begins.
    fn apply_older(&self, id: ConversationId, entries: &[LogEntry]) -> StoreResult<()>;

    /// Rows of a log below `before`, newest first, at most `limit`.
    fn messages(
        &self,
        id: ConversationId,
        before: Seq,
        limit: usize,
    ) -> StoreResult<Vec<MessageRecord>>;

    /// Moves the own read position forward; `true` when it moved.
    fn set_read(&self, id: ConversationId, seq: Seq) -> StoreResult<bool>;

    /// Own read positions that the server has not been told from this device.
    fn reads_to_tell(&self) -> StoreResult<Vec<(ConversationId, Seq)>>;

    /// Notes that the server was told a read position.
    fn read_told(&self, id: ConversationId, seq: Seq) -> StoreResult<()>;

    /// Moves a member's positions forward.
    fn set_position(&self, id: ConversationId, user: UserId, position: Position)
    -> StoreResult<()>;

    /// Puts a message at the end of its conversation's line, and counts the write.
    fn enqueue(
        &self,
        id: ConversationId,
        client_msg_id: ClientMsgId,
        payload: Blob,
        at: Timestamp,
    ) -> StoreResult<()>;

    /// Conversations with a message that waits to be sent.
    fn lines(&self) -> StoreResult<Vec<ConversationId>>;

    /// The first message of a line that waits.
    fn head_of_line(&self, id: ConversationId) -> StoreResult<Option<OutboxRecord>>;

    /// All messages of a line, oldest first, also those acknowledged but not
    /// yet seen in the log, and those that failed.
    fn line(&self, id: ConversationId) -> StoreResult<Vec<OutboxRecord>>;

    /// Notes that the server has a message under this number.
    fn acknowledged(
        &self,
        id: ConversationId,
        client_msg_id: ClientMsgId,
        seq: Seq,
        at: Timestamp,
    ) -> StoreResult<()>;

    /// Notes that the server refused a message for good.
    fn failed(
        &self,
        id: ConversationId,
        client_msg_id: ClientMsgId,
        code: ErrorCode,
    ) -> StoreResult<()>;

    /// Puts a message that failed at the end of the line again.
    fn retry(&self, id: ConversationId, client_msg_id: ClientMsgId) -> StoreResult<bool>;

    /// Takes a message that failed out of the line.
    fn discard(&self, id: ConversationId, client_msg_id: ClientMsgId) -> StoreResult<bool>;
}
