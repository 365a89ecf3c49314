//! The seam to a database: eight narrow traits, each method one atomic step.
//!
//! A step either happened whole and is on stable storage, or nothing of it did;
//! only a database that is lost in the middle of a commit can leave open which.
//! No transaction crosses the seam. Whether a backend keeps
//! these promises is judged by the `conformance` suite of the `testing` feature;
//! no method is without a case in it.

#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod chaining;
#[cfg(feature = "testing")]
pub mod conformance;
mod error;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod judging;
mod key_records;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod paging;
#[cfg(feature = "postgres")]
pub mod postgres;
mod records;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod window;

use std::collections::HashSet;

use ruggine_core::api::key_package::SuiteStock;
use ruggine_core::name::Username;
use ruggine_core::{ConversationId, DeviceId, Incarnation, Seq, SessionId, Timestamp, UserId};
use ruggine_crypto::token::TokenHash;

pub use error::{OpenStoreError, Source, StoreError};
pub use key_records::*;
pub use records::*;
pub use window::{Segment, Window, plan_page};

use crate::seam::seam;

/// What a step of the store gives.
pub type StoreResult<T> = Result<T, StoreError>;

seam! {
    /// People.
    pub trait AccountStore / DynAccountStore {
        /// Creates a user with a username that nobody has.
        async fn create_user(&self, user: NewUser) -> StoreResult<CreateUser>;

        /// Finds a user by username.
        async fn user_by_name(&self, username: Username) -> StoreResult<Option<UserRecord>>;

        /// Finds users by id; those who do not exist are left out.
        async fn users(&self, ids: Vec<UserId>) -> StoreResult<Vec<UserRecord>>;

        /// Which of `others` share a current conversation with `user`.
        async fn acquaintances(&self, user: UserId, others: Vec<UserId>) -> StoreResult<HashSet<UserId>>;
    }
}

seam! {
    /// Devices, sessions and tokens.
    pub trait SessionStore / DynSessionStore {
        /// Opens a session, on a new device or one that proves itself.
        async fn open_session(&self, session: NewSession) -> StoreResult<OpenSession>;

        /// The session of an access token that has not expired at `at`.
        async fn session_by_access(&self, user: UserId, access: TokenHash, at: Timestamp) -> StoreResult<Option<SessionRecord>>;

        /// Exchanges a refresh token. A token stays good until one of a later
        /// generation is used; after that it revokes its session.
        async fn rotate_tokens(&self, rotation: RotateTokens) -> StoreResult<Rotated>;

        /// A user's sessions that are not revoked and hold an unexpired token.
        async fn sessions(&self, user: UserId, at: Timestamp) -> StoreResult<Vec<SessionRecord>>;

        /// Revokes a session and forgets its tokens; `false` when there is none.
        async fn revoke_session(&self, user: UserId, session: SessionId, at: Timestamp) -> StoreResult<bool>;

        /// Which of these sessions are over, or never were.
        async fn revoked_among(&self, sessions: Vec<(UserId, SessionId)>) -> StoreResult<Vec<SessionId>>;

        /// Remembers when a session was last seen.
        async fn touch_session(&self, user: UserId, session: SessionId, at: Timestamp) -> StoreResult<()>;

        /// Moves a device's write counter forward, or finds it behind.
        async fn advance_write_counter(&self, user: UserId, device: DeviceId, counter: u64) -> StoreResult<AdvanceCounter>;

        /// Deletes tokens that have expired at `at`, some at a time; how many.
        async fn purge_tokens(&self, at: Timestamp) -> StoreResult<u64>;
    }
}

seam! {
    /// Conversations and who is in them.
    pub trait ConversationStore / DynConversationStore {
        /// Creates a conversation with its members and first row, or finds it.
        async fn create_conversation(&self, conversation: NewConversation) -> StoreResult<CreateConversation>;

        /// A conversation as a user sees it; `None` for one who was never in it.
        async fn conversation(&self, id: ConversationId, user: UserId) -> StoreResult<Option<ConversationRecord>>;

        /// A user's conversations by id, after `after`, at most `limit`.
        async fn conversations(&self, user: UserId, after: Option<ConversationId>, limit: usize) -> StoreResult<Vec<ConversationRecord>>;

        /// The conversations that a user is in now.
        async fn memberships(&self, user: UserId) -> StoreResult<Vec<Membership>>;

        /// How many conversations each of these users is in; those who do not
        /// exist are left out.
        async fn conversation_counts(&self, users: Vec<UserId>) -> StoreResult<Vec<(UserId, u32)>>;

        /// Current members by id, after `after`, at most `limit`, with the roster's version.
        async fn members(&self, id: ConversationId, after: Option<UserId>, limit: usize) -> StoreResult<(u64, Vec<MemberRecord>)>;

        /// What is needed to judge a change that concerns `users`.
        async fn roster_view(&self, id: ConversationId, users: Vec<UserId>) -> StoreResult<Option<RosterView>>;

        /// All current members.
        async fn roster(&self, id: ConversationId) -> StoreResult<Option<Roster>>;

        /// Changes a roster and writes the notice, if the version is the expected one.
        async fn change_roster(&self, change: ChangeRoster) -> StoreResult<RosterOutcome>;
    }
}

seam! {
    /// The log.
    pub trait MessageStore / DynMessageStore {
        /// Appends rows in their order, each checked under its conversation's
        /// row lock: write counter, then idempotency, then membership and role,
        /// then epoch; only then is a number taken, so none is ever lost.
        async fn append(&self, batch: Append) -> StoreResult<Appended>;

        /// A range of a log, clipped to the user's windows; `None` for one who
        /// was never in the conversation.
        async fn page(&self, query: PageQuery) -> StoreResult<Option<StoredPage>>;

        /// Rows `from..=to` of a log, unclipped, at most `limit`: for fan-out.
        async fn rows(&self, id: ConversationId, from: Seq, to: Seq, limit: u32) -> StoreResult<Vec<StoredRow>>;

        /// Where these conversations stand.
        async fn heads(&self, ids: Vec<ConversationId>) -> StoreResult<Vec<ConversationHead>>;

        /// Batches committed before `before` and not settled, at most `limit`.
        async fn pending_batches(&self, before: Timestamp, limit: u32) -> StoreResult<Vec<PendingBatch>>;

        /// Forgets batches that have been announced.
        async fn settle(&self, batches: Vec<BatchId>) -> StoreResult<()>;
    }
}

seam! {
    /// How far devices and users are.
    pub trait PositionStore / DynPositionStore {
        /// Where a user's conversations stand for a device, by id.
        async fn device_heads(&self, query: HeadsQuery) -> StoreResult<Vec<HeadRecord>>;

        /// Moves positions forward, each at most to the user's head; what became
        /// of each, in their order. A device's cursor counts for the user where
        /// it is the furthest; a read position is the user's, and the device
        /// that reports it is noted to know it.
        async fn move_positions(&self, moves: Vec<MovePosition>) -> StoreResult<Vec<Moved>>;
    }
}

seam! {
    /// What people say about their devices. A list that is stored is never
    /// changed and never deleted.
    pub trait IdentityStore / DynIdentityStore {
        /// Appends a device list that follows the user's newest one. Of two that
        /// follow the same one, one is appended.
        async fn append_device_list(&self, list: NewDeviceList) -> StoreResult<AppendList>;

        /// Of each of these users the lists after a version, ascending and at
        /// most `per_user`, in the order of the question.
        async fn device_lists(&self, known: Vec<(UserId, u64)>, per_user: usize) -> StoreResult<Vec<StoredDeviceList>>;

        /// A user's newest list.
        async fn newest_device_list(&self, user: UserId) -> StoreResult<Option<StoredDeviceList>>;
    }
}

seam! {
    /// What devices leave so that others can add them to a group.
    pub trait KeyPackageStore / DynKeyPackageStore {
        /// Stores packages of a device, all or none. A package of last resort
        /// replaces the one of its suite, and what the device left under another
        /// certificate is withdrawn.
        async fn store_key_packages(&self, new: NewKeyPackages) -> StoreResult<StoreKeyPackages>;

        /// What a device has of each suite at `at`, of suites of which it has any.
        async fn key_package_stock(&self, owner: CertifiedDevice, at: Timestamp) -> StoreResult<Vec<SuiteStock>>;

        /// Takes one unexpired package of each device, in the order of the
        /// question; a device without any is left out. A package is given to
        /// nobody else, but for those of last resort, which are given only where
        /// there is no other.
        async fn claim_key_packages(&self, claim: ClaimKeyPackages) -> StoreResult<Vec<ClaimedKeyPackage>>;

        /// Forgets packages that have expired at `at`, also spent ones, some at
        /// a time; how many.
        async fn purge_key_packages(&self, at: Timestamp) -> StoreResult<u64>;
    }
}

seam! {
    /// The database as a whole.
    pub trait Maintenance / DynMaintenance {
        /// The log's identity and the durability in force.
        async fn facts(&self) -> StoreResult<StoreFacts>;

        /// Draws another identity for the log, and leaves all else as it is: every
        /// device then reads it anew. For a database that was restored. Nobody may
        /// serve it meanwhile.
        async fn begin_incarnation(&self) -> StoreResult<Incarnation>;

        /// Whether a statement still goes through.
        async fn ping(&self) -> StoreResult<()>;

        /// Every key that ever sealed here, with its check record.
        async fn sealing_keys(&self) -> StoreResult<Vec<(String, SealedText)>>;

        /// Registers a key before its first use, unless a key is registered that
        /// is neither this one nor among `beside`; says whether it was accepted.
        /// Of two that come at once, each without knowing of the other, one is
        /// told no and leaves nothing. Registering a key again changes nothing.
        async fn register_key(
            &self,
            kid: String,
            record: SealedText,
            beside: Vec<String>,
        ) -> StoreResult<bool>;

        /// Closes the database; every later step fails.
        async fn close(&self) -> ();
    }
}

/// A whole store.
pub trait Store:
    DynAccountStore
    + DynSessionStore
    + DynConversationStore
    + DynMessageStore
    + DynPositionStore
    + DynIdentityStore
    + DynKeyPackageStore
    + DynMaintenance
    + std::fmt::Debug
{
    /// How many writers gain by working at once: the number of lanes.
    fn lanes(&self) -> usize;
}
