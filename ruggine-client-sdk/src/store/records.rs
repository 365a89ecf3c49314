//! What goes into and comes out of a client's store.

use ruggine_core::api::account::User;
use ruggine_core::api::conversation::{ConversationKind, ProtectionMode, Role};
use ruggine_core::api::message::RowKind;
use ruggine_core::api::session::Tokens;
use ruggine_core::secret::SecretText;
use ruggine_core::{
    Blob, ClientMsgId, ConversationId, DeviceId, ErrorCode, Seq, SessionId, Timestamp, UserId,
};

/// A login.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Who.
    pub user: User,
    /// On which device.
    pub device: DeviceId,
    /// Proves the device at a later login; absent once the server has found this
    /// store to be an old copy of it.
    pub device_secret: Option<SecretText>,
    /// The session.
    pub session: SessionId,
    /// Its tokens; absent after a logout or when they ended.
    pub tokens: Option<Tokens>,
}

/// A conversation and the part of its log that is kept here: the numbers
/// after `floor`, up to `cursor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationRecord {
    /// The conversation.
    pub id: ConversationId,
    /// What it is.
    pub kind: ConversationKind,
    /// Who can read it.
    pub mode: ProtectionMode,
    /// When it was created.
    pub created_at: Timestamp,
    /// The newest number that the server has told of.
    pub head: Seq,
    /// Everything up to here is applied.
    pub cursor: Seq,
    /// Nothing up to here is kept.
    pub floor: Seq,
    /// Up to where the user has read.
    pub own_read: Seq,
    /// The user's role; absent after they left.
    pub role: Option<Role>,
    /// The other user of a direct conversation.
    pub peer: Option<UserId>,
    /// The roster's version, as the server told it.
    pub roster_version: u64,
    /// The roster's version that the kept members are of.
    pub members_version: u64,
    /// The title in force; empty without one.
    pub title: String,
    /// Countable rows above the read position, others' only.
    pub unread: u32,
    /// Those of them that name the user.
    pub mentions: u32,
    /// The newest countable row.
    pub newest: Option<MessageRecord>,
}

/// A member with names and positions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRecord {
    /// Who.
    pub user: User,
    /// What they may do.
    pub role: Role,
    /// Up to where at least one of their devices has the log.
    pub delivered: Seq,
    /// Up to where they have read.
    pub read: Seq,
}

/// A position of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// Up to where their devices have the log.
    Delivered(Seq),
    /// Up to where they have read.
    Read(Seq),
}

/// An entry of a log, ready to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Its first number.
    pub from: Seq,
    /// Its last number; the same, except for numbers that may not be seen.
    pub to: Seq,
    /// The row; absent where there is nothing to be seen.
    pub row: Option<LogRow>,
}

/// A row to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    /// What it is.
    pub kind: RowKind,
    /// Who wrote it.
    pub sender: UserId,
    /// On which device.
    pub device: DeviceId,
    /// The sender's id for it.
    pub client_msg_id: ClientMsgId,
    /// When the server took it.
    pub server_ts: Timestamp,
    /// What it says; absent where the server could not open it.
    pub payload: Option<Blob>,
    /// Whether it counts as unread.
    pub countable: bool,
    /// Whether it names the user of this store.
    pub mentions_me: bool,
    /// The title that it sets.
    pub title: Option<String>,
}

/// A row that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRecord {
    /// Its number.
    pub seq: Seq,
    /// What it is.
    pub kind: RowKind,
    /// Who wrote it.
    pub sender: UserId,
    /// On which device.
    pub device: DeviceId,
    /// The sender's id for it.
    pub client_msg_id: ClientMsgId,
    /// When the server took it.
    pub server_ts: Timestamp,
    /// What it says; absent where the server could not open it.
    pub payload: Option<Blob>,
}

/// What became of entries that were to be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// The cursor moved, or stayed where everything was applied before.
    Advanced {
        /// Where it was.
        from: Seq,
        /// Where it is.
        to: Seq,
    },
    /// They do not continue the log, whose cursor is here.
    Gap(Seq),
    /// The conversation is not known here.
    Unknown,
}

/// How far a message in the outbox is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendProgress {
    /// It waits to be sent or for its answer.
    Waiting,
    /// The server has it under this number; it has not come back in the log yet.
    Acknowledged(Seq, Timestamp),
    /// The server refused it for good.
    Failed(ErrorCode),
}

/// A message in the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRecord {
    /// The sender's id for it.
    pub client_msg_id: ClientMsgId,
    /// The very bytes that are sent, however often.
    pub payload: Blob,
    /// When it was written here.
    pub created_at: Timestamp,
    /// How far it is.
    pub progress: SendProgress,
}
