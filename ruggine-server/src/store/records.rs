//! What goes into and comes out of a store: plain rows, texts of people sealed.

use std::fmt;
use std::sync::Arc;

use ruggine_core::api::conversation::{ConversationKind, ProtectionMode, Role};
use ruggine_core::api::message::{PageStart, RowKind};
use ruggine_core::name::Username;
use ruggine_core::{
    ClientMsgId, ConversationId, DeviceId, Incarnation, Seq, SessionId, Timestamp, UserId,
};
use ruggine_crypto::token::TokenHash;

/// A sealed text as it is stored: the JSON of an envelope.
pub type SealedText = Arc<str>;

/// A user to be created.
#[derive(Clone)]
pub struct NewUser {
    /// The account.
    pub id: UserId,
    /// The handle, unique.
    pub username: Username,
    /// The sealed profile.
    pub profile: SealedText,
    /// The PHC text of the password; absent where the embedder authenticates.
    pub password_hash: Option<String>,
    /// When.
    pub created_at: Timestamp,
}

impl fmt::Debug for NewUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewUser")
            .field("id", &self.id)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for UserRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserRecord")
            .field("id", &self.id)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// What became of creating a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreateUser {
    /// It exists now.
    Created,
    /// The username belongs to somebody.
    UsernameTaken,
}

/// A user.
#[derive(Clone, PartialEq, Eq)]
pub struct UserRecord {
    /// The account.
    pub id: UserId,
    /// The handle.
    pub username: Username,
    /// The sealed profile.
    pub profile: SealedText,
    /// The PHC text of the password.
    pub password_hash: Option<String>,
    /// When the account was made; part of what the profile is sealed with.
    pub created_at: Timestamp,
}

/// The device of a login.
#[derive(Debug, Clone)]
pub enum LoginDevice {
    /// A device that did not exist.
    New {
        /// Its id.
        id: DeviceId,
        /// What the user calls it.
        name: String,
        /// The hash of the secret that it was given.
        secret: TokenHash,
    },
    /// A device that proves itself.
    Known {
        /// Its id.
        id: DeviceId,
        /// The hash of the secret that it showed.
        secret: TokenHash,
    },
}

/// A token to be stored.
#[derive(Debug, Clone, Copy)]
pub struct NewToken {
    /// Its hash.
    pub hash: TokenHash,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// A pair of tokens to be stored.
#[derive(Debug, Clone, Copy)]
pub struct NewTokens {
    /// The access token.
    pub access: NewToken,
    /// The refresh token.
    pub refresh: NewToken,
}

/// A session to be opened.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Its id.
    pub id: SessionId,
    /// Whose.
    pub user: UserId,
    /// On which device.
    pub device: LoginDevice,
    /// Its first tokens.
    pub tokens: NewTokens,
    /// When.
    pub at: Timestamp,
}

/// What became of opening a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenSession {
    /// It exists, on this device.
    Opened(DeviceId),
    /// No such device, or another secret.
    WrongDevice,
}

/// A session that is neither revoked nor, by the token asked with, expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// Its id.
    pub id: SessionId,
    /// Whose.
    pub user: UserId,
    /// On which device.
    pub device: DeviceId,
    /// What the user calls the device.
    pub device_name: String,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it was last seen.
    pub last_seen_at: Timestamp,
}

/// A refresh token that was presented, and its successors.
#[derive(Debug, Clone, Copy)]
pub struct RotateTokens {
    /// Whom the token names.
    pub user: UserId,
    /// The presented token.
    pub presented: TokenHash,
    /// The next pair.
    pub next: NewTokens,
    /// When.
    pub at: Timestamp,
}

/// What became of exchanging a refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotated {
    /// The next pair is stored.
    Stored(SessionId),
    /// The token is unknown, expired, or its session is over.
    Unknown,
    /// Its successor had been used: the session is revoked now.
    Reused(SessionId),
}

/// What became of moving a device's write counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdvanceCounter {
    /// It stands at what was given.
    Advanced,
    /// It was behind: the device's store is an old copy.
    Behind,
}

/// A conversation to be created.
#[derive(Debug, Clone)]
pub struct NewConversation {
    /// Its id.
    pub id: ConversationId,
    /// What it is.
    pub kind: ConversationKind,
    /// Who can read it.
    pub mode: ProtectionMode,
    /// Everybody in it with their roles, the creator first.
    pub members: Vec<(UserId, Role)>,
    /// The notice that becomes its first row; its sender is the creator.
    pub notice: NewRow,
}

/// What became of creating a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreateConversation {
    /// It exists now.
    Created {
        /// The row of the notice.
        seq: Seq,
        /// The batch to settle once it has been announced.
        batch: BatchId,
    },
    /// The pair's conversation existed, or the same user made this group before.
    Existed(ConversationId),
    /// The id belongs to another conversation.
    IdTaken,
}

/// A conversation as one user sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationRecord {
    /// Its id.
    pub id: ConversationId,
    /// What it is.
    pub kind: ConversationKind,
    /// Who can read it.
    pub mode: ProtectionMode,
    /// Who created it.
    pub creator: UserId,
    /// When it was created.
    pub created_at: Timestamp,
    /// The newest number that the user may see.
    pub head: Seq,
    /// The roster's version.
    pub roster_version: u64,
    /// How many members it has.
    pub member_count: u32,
    /// The user's role; absent after they left.
    pub role: Option<Role>,
    /// Up to where the user has read.
    pub own_read: Seq,
    /// The other user of a direct conversation.
    pub peer: Option<UserId>,
}

/// A member with their positions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRecord {
    /// Who.
    pub user: UserRecord,
    /// What they may do.
    pub role: Role,
    /// The first row that they may see.
    pub from_seq: Seq,
    /// The furthest of their devices.
    pub delivered: Seq,
    /// Up to where they have read.
    pub read: Seq,
}

/// What is needed to judge a change of a roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterView {
    /// What the conversation is.
    pub kind: ConversationKind,
    /// Who can read it.
    pub mode: ProtectionMode,
    /// The roster's version.
    pub version: u64,
    /// How many members it has.
    pub member_count: u32,
    /// How many of them are owners.
    pub owner_count: u32,
    /// The users asked about, those who exist.
    pub users: Vec<RosterUser>,
}

/// A user asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RosterUser {
    /// Who.
    pub id: UserId,
    /// Their role; absent for one who is no member.
    pub role: Option<Role>,
    /// How many conversations they are in.
    pub conversations: u32,
}

/// A change of one member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberEffect {
    /// Begins a stay.
    Add(UserId, Role),
    /// Ends a stay.
    Remove(UserId),
    /// Changes a role.
    SetRole(UserId, Role),
}

impl MemberEffect {
    /// Whom it concerns.
    #[must_use]
    pub const fn user(&self) -> UserId {
        match self {
            Self::Add(user, _) | Self::Remove(user) | Self::SetRole(user, _) => *user,
        }
    }
}

/// A change of a roster, judged at a version of it.
#[derive(Debug, Clone)]
pub struct ChangeRoster {
    /// The version that it was judged at.
    pub expected_version: u64,
    /// What changes.
    pub effects: Vec<MemberEffect>,
    /// The notice of it.
    pub notice: NewRow,
}

/// What became of changing a roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RosterOutcome {
    /// It is changed.
    Changed {
        /// The row of the notice.
        seq: Seq,
        /// The new version.
        version: u64,
        /// The batch to settle once it has been announced.
        batch: BatchId,
    },
    /// The roster had changed before: judge again.
    Conflict,
}

/// Current members and the first row that each may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roster {
    /// The roster's version.
    pub version: u64,
    /// The newest number.
    pub head: Seq,
    /// Everybody in it.
    pub members: Vec<(UserId, Seq)>,
}

/// A conversation that a user is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Membership {
    /// Which.
    pub conversation: ConversationId,
    /// The roster's version.
    pub roster_version: u64,
    /// How many members it has.
    pub member_count: u32,
    /// The newest number.
    pub head: Seq,
    /// The first row that the user may see.
    pub from_seq: Seq,
}

/// A row to be appended.
#[derive(Debug, Clone)]
pub struct NewRow {
    /// To which conversation.
    pub conversation: ConversationId,
    /// What it is.
    pub kind: RowKind,
    /// Who wrote it.
    pub sender: UserId,
    /// On which device.
    pub device: DeviceId,
    /// The sender's id for it.
    pub client_msg_id: ClientMsgId,
    /// The MLS epoch in which it was sealed.
    pub epoch: Option<u64>,
    /// When the server took it.
    pub server_ts: Timestamp,
    /// The id of the key that sealed the body, or `none`.
    pub key_id: Arc<str>,
    /// The sealed payload.
    pub body: SealedText,
    /// The write counter of the sender's local store.
    pub write_counter: Option<u64>,
    /// The counter counts as behind only below this, where the requests of one
    /// connection may overtake each other; below the stored one where absent.
    pub counter_floor: Option<u64>,
}

/// A row as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRow {
    /// Of which conversation.
    pub conversation: ConversationId,
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
    /// The MLS epoch in which it was sealed.
    pub epoch: Option<u64>,
    /// When the server took it.
    pub server_ts: Timestamp,
    /// The sealed payload.
    pub body: SealedText,
}

/// Names a committed batch until it has been announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId(pub [u8; 16]);

/// Rows to be committed together.
#[derive(Debug, Clone)]
pub struct Append {
    /// The rows, in the order of their arrival.
    pub rows: Vec<NewRow>,
    /// Earlier batches that have been announced since.
    pub settled: Vec<BatchId>,
    /// When.
    pub at: Timestamp,
}

/// What became of a batch.
#[derive(Debug, Clone)]
pub struct Appended {
    /// What became of each row, in their order.
    pub outcomes: Vec<AppendOutcome>,
    /// The batch to settle; absent when nothing new was written.
    pub batch: Option<BatchId>,
}

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppendOutcome {
    /// Committed.
    Appended {
        /// Its number.
        seq: Seq,
        /// The roster's version at that number.
        roster_version: u64,
    },
    /// The device sent this id before.
    Duplicate {
        /// What it sent then.
        row: Box<StoredRow>,
        /// The roster's version now.
        roster_version: u64,
    },
    /// Not written.
    Refused(AppendRefusal),
}

/// Why a row was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendRefusal {
    /// No such conversation, or the sender is not in it.
    NotAMember,
    /// The sender's role does not allow it.
    Forbidden,
    /// The MLS epoch is not the current one.
    StaleEpoch,
    /// The sender's local store is an old copy.
    DeviceRestored,
}

/// A range of a log, as one user may see it.
#[derive(Debug, Clone, Copy)]
pub struct PageQuery {
    /// Of which conversation.
    pub conversation: ConversationId,
    /// Who asks.
    pub user: UserId,
    /// Where to begin and which way to go.
    pub start: PageStart,
    /// Rows at the most.
    pub rows_max: u32,
    /// Bytes of bodies at the most; at least one row is given.
    pub bytes_max: usize,
}

/// A range of a log. What lies in it and is neither a row nor a hole cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPage {
    /// The newest number that the user may see.
    pub head: Seq,
    /// Rows and holes, ascending and without gaps.
    pub items: Vec<PageItem>,
}

/// An entry of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PageItem {
    /// A row.
    Row(StoredRow),
    /// Numbers outside the user's windows.
    Hole(Seq, Seq),
}

/// Which heads a device asks for.
#[derive(Debug, Clone, Copy)]
pub struct HeadsQuery {
    /// Whose.
    pub user: UserId,
    /// On which device.
    pub device: DeviceId,
    /// Begin after this conversation.
    pub after: Option<ConversationId>,
    /// All conversations, or only those with something new for the device.
    pub all: bool,
    /// At the most.
    pub limit: usize,
}

/// Where a conversation stands for a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadRecord {
    /// Which conversation.
    pub conversation: ConversationId,
    /// What it is.
    pub kind: ConversationKind,
    /// Who can read it.
    pub mode: ProtectionMode,
    /// The newest number that the user may see.
    pub head: Seq,
    /// Up to where the device has the log.
    pub cursor: Seq,
    /// Up to where the user has read.
    pub own_read: Seq,
    /// The roster's version.
    pub roster_version: u64,
}

/// Which of the two positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PositionKind {
    /// Up to where a device has the log.
    Delivered,
    /// Up to where a user has read.
    Read,
}

/// A position to move.
#[derive(Debug, Clone, Copy)]
pub struct MovePosition {
    /// Which.
    pub kind: PositionKind,
    /// Whose.
    pub user: UserId,
    /// On which device.
    pub device: DeviceId,
    /// In which conversation.
    pub conversation: ConversationId,
    /// Where to.
    pub seq: Seq,
}

/// What became of moving a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// The user's position is now here.
    To {
        /// Where.
        seq: Seq,
        /// The roster's version then.
        roster_version: u64,
    },
    /// It stood there or further.
    Unmoved,
    /// No such conversation, or the user was never in it.
    NotAMember,
}

/// A batch that was committed and perhaps not announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingBatch {
    /// Its name.
    pub id: BatchId,
    /// When it was committed, by the clock of whoever did.
    pub created_at: Timestamp,
    /// The newest number of each conversation in it.
    pub heads: Vec<(ConversationId, Seq)>,
}

/// A conversation's newest number and roster version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConversationHead {
    /// Which.
    pub conversation: ConversationId,
    /// Its newest number.
    pub head: Seq,
    /// The roster's version.
    pub roster_version: u64,
}

/// What a database says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreFacts {
    /// The identity of its log.
    pub incarnation: Incarnation,
    /// The settings that make a commit durable, as read back.
    pub durability: Vec<(&'static str, String)>,
}
