//! One store under several engines.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ruggine_core::name::Username;
use ruggine_core::{ConversationId, DeviceId, Seq, SessionId, Timestamp, UserId};
use ruggine_crypto::token::TokenHash;

use crate::store::*;

/// A store that engines in one process share as they would share a database
/// server: an engine that ends does not close it for the others.
#[derive(Debug, Clone)]
pub struct SharedStore(Arc<dyn Store>);

impl SharedStore {
    /// Shares this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self(store)
    }

    /// Closes the store for everybody.
    pub async fn close_for_all(&self) {
        self.0.close().await;
    }
}

macro_rules! forward {
    ($( $seam:ident { $( $method:ident($( $arg:ident: $type:ty ),*) -> $output:ty; )+ } )+) => {
        $(
            impl $seam for SharedStore {
                $(
                    fn $method(&self $(, $arg: $type)*) -> BoxFuture<'_, $output> {
                        $seam::$method(&*self.0 $(, $arg)*)
                    }
                )+
            }
        )+
    };
}

forward! {
    DynAccountStore {
        create_user(user: NewUser) -> StoreResult<CreateUser>;
        user_by_name(username: Username) -> StoreResult<Option<UserRecord>>;
        users(ids: Vec<UserId>) -> StoreResult<Vec<UserRecord>>;
        acquaintances(user: UserId, others: Vec<UserId>) -> StoreResult<HashSet<UserId>>;
    }
    DynSessionStore {
        open_session(session: NewSession) -> StoreResult<OpenSession>;
        session_by_access(user: UserId, access: TokenHash, at: Timestamp) -> StoreResult<Option<SessionRecord>>;
        rotate_tokens(rotation: RotateTokens) -> StoreResult<Rotated>;
        sessions(user: UserId, at: Timestamp) -> StoreResult<Vec<SessionRecord>>;
        revoke_session(user: UserId, session: SessionId, at: Timestamp) -> StoreResult<bool>;
        revoked_among(sessions: Vec<(UserId, SessionId)>) -> StoreResult<Vec<SessionId>>;
        touch_session(user: UserId, session: SessionId, at: Timestamp) -> StoreResult<()>;
        advance_write_counter(user: UserId, device: DeviceId, counter: u64) -> StoreResult<AdvanceCounter>;
        purge_tokens(at: Timestamp) -> StoreResult<u64>;
    }
    DynConversationStore {
        create_conversation(conversation: NewConversation) -> StoreResult<CreateConversation>;
        conversation(id: ConversationId, user: UserId) -> StoreResult<Option<ConversationRecord>>;
        conversations(user: UserId, after: Option<ConversationId>, limit: usize) -> StoreResult<Vec<ConversationRecord>>;
        memberships(user: UserId) -> StoreResult<Vec<Membership>>;
        conversation_counts(users: Vec<UserId>) -> StoreResult<Vec<(UserId, u32)>>;
        members(id: ConversationId, after: Option<UserId>, limit: usize) -> StoreResult<(u64, Vec<MemberRecord>)>;
        roster_view(id: ConversationId, users: Vec<UserId>) -> StoreResult<Option<RosterView>>;
        roster(id: ConversationId) -> StoreResult<Option<Roster>>;
        change_roster(change: ChangeRoster) -> StoreResult<RosterOutcome>;
    }
    DynMessageStore {
        append(batch: Append) -> StoreResult<Appended>;
        page(query: PageQuery) -> StoreResult<Option<StoredPage>>;
        rows(id: ConversationId, from: Seq, to: Seq, limit: u32) -> StoreResult<Vec<StoredRow>>;
        heads(ids: Vec<ConversationId>) -> StoreResult<Vec<ConversationHead>>;
        pending_batches(before: Timestamp, limit: u32) -> StoreResult<Vec<PendingBatch>>;
        settle(batches: Vec<BatchId>) -> StoreResult<()>;
    }
    DynPositionStore {
        device_heads(query: HeadsQuery) -> StoreResult<Vec<HeadRecord>>;
        move_positions(moves: Vec<MovePosition>) -> StoreResult<Vec<Moved>>;
    }
}

impl DynMaintenance for SharedStore {
    fn facts(&self) -> BoxFuture<'_, StoreResult<StoreFacts>> {
        self.0.facts()
    }

    fn ping(&self) -> BoxFuture<'_, StoreResult<()>> {
        self.0.ping()
    }

    fn sealing_keys(&self) -> BoxFuture<'_, StoreResult<Vec<(String, SealedText)>>> {
        self.0.sealing_keys()
    }

    fn register_key(&self, kid: String, record: SealedText) -> BoxFuture<'_, StoreResult<()>> {
        self.0.register_key(kid, record)
    }

    /// Nothing: others may still need it.
    fn close(&self) -> BoxFuture<'_, ()> {
        std::future::ready(()).boxed()
    }
}

impl Store for SharedStore {
    fn lanes(&self) -> usize {
        self.0.lanes()
    }
}
