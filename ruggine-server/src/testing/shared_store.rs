//! One store under several engines.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ruggine_core::api::key_package::SuiteStock;
use ruggine_core::name::Username;
use ruggine_core::{ConversationId, DeviceId, Incarnation, Seq, SessionId, Timestamp, UserId};
use ruggine_crypto::token::TokenHash;
use tokio::sync::{OwnedRwLockWriteGuard, RwLock};

use crate::store::*;

/// A store that engines in one process share as they would share a database
/// server: an engine that ends does not close it for the others.
#[derive(Debug, Clone)]
pub struct SharedStore {
    inner: Arc<dyn Store>,
    rows: Arc<RwLock<()>>,
    waiting: Arc<AtomicUsize>,
    keys: Arc<RwLock<()>>,
    registering: Arc<AtomicUsize>,
}

/// While this lives, nobody is given the rows of a log for fan-out.
#[derive(Debug)]
pub struct HeldRows(#[expect(dead_code, reason = "held for its lock")] OwnedRwLockWriteGuard<()>);

/// While this lives, nobody registers a key.
#[derive(Debug)]
pub struct HeldKeys(#[expect(dead_code, reason = "held for its lock")] OwnedRwLockWriteGuard<()>);

impl SharedStore {
    /// Shares this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            inner: store,
            rows: Arc::default(),
            waiting: Arc::default(),
            keys: Arc::default(),
            registering: Arc::default(),
        }
    }

    /// Lets engines that close a gap wait for its rows until what is returned
    /// is dropped, so that a test can do something meanwhile.
    pub async fn hold_rows(&self) -> HeldRows {
        HeldRows(Arc::clone(&self.rows).write_owned().await)
    }

    /// How many engines wait for the rows of a gap.
    #[must_use]
    pub fn waiting_for_rows(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// Lets engines that start wait before they register their key until what
    /// is returned is dropped, so that another can be quicker.
    pub async fn hold_keys(&self) -> HeldKeys {
        HeldKeys(Arc::clone(&self.keys).write_owned().await)
    }

    /// How many engines wait to register their key.
    #[must_use]
    pub fn waiting_for_keys(&self) -> usize {
        self.registering.load(Ordering::SeqCst)
    }

    /// Closes the store for everybody.
    pub async fn close_for_all(&self) {
        self.inner.close().await;
    }
}

macro_rules! forward {
    ($( $seam:ident { $( $method:ident($( $arg:ident: $type:ty ),*) -> $output:ty; )+ } )+) => {
        $(
            impl $seam for SharedStore {
                $(
                    fn $method(&self $(, $arg: $type)*) -> BoxFuture<'_, $output> {
                        $seam::$method(&*self.inner $(, $arg)*)
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
    DynPositionStore {
        device_heads(query: HeadsQuery) -> StoreResult<Vec<HeadRecord>>;
        move_positions(moves: Vec<MovePosition>) -> StoreResult<Vec<Moved>>;
    }
    DynIdentityStore {
        append_device_list(list: NewDeviceList) -> StoreResult<AppendList>;
        device_lists(known: Vec<(UserId, u64)>, per_user: usize) -> StoreResult<Vec<StoredDeviceList>>;
        newest_device_list(user: UserId) -> StoreResult<Option<StoredDeviceList>>;
    }
    DynKeyPackageStore {
        store_key_packages(new: NewKeyPackages) -> StoreResult<StoreKeyPackages>;
        key_package_stock(owner: CertifiedDevice, at: Timestamp) -> StoreResult<Vec<SuiteStock>>;
        claim_key_packages(claim: ClaimKeyPackages) -> StoreResult<Vec<ClaimedKeyPackage>>;
        purge_key_packages(at: Timestamp) -> StoreResult<u64>;
    }
}

impl DynMessageStore for SharedStore {
    fn append(&self, batch: Append) -> BoxFuture<'_, StoreResult<Appended>> {
        self.inner.append(batch)
    }

    fn page(&self, query: PageQuery) -> BoxFuture<'_, StoreResult<Option<StoredPage>>> {
        self.inner.page(query)
    }

    fn rows(
        &self,
        id: ConversationId,
        from: Seq,
        to: Seq,
        limit: u32,
    ) -> BoxFuture<'_, StoreResult<Vec<StoredRow>>> {
        Box::pin(async move {
            self.waiting.fetch_add(1, Ordering::SeqCst);
            let may_read = self.rows.read().await;
            self.waiting.fetch_sub(1, Ordering::SeqCst);
            drop(may_read);
            self.inner.rows(id, from, to, limit).await
        })
    }

    fn heads(&self, ids: Vec<ConversationId>) -> BoxFuture<'_, StoreResult<Vec<ConversationHead>>> {
        self.inner.heads(ids)
    }

    fn pending_batches(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> BoxFuture<'_, StoreResult<Vec<PendingBatch>>> {
        self.inner.pending_batches(before, limit)
    }

    fn settle(&self, batches: Vec<BatchId>) -> BoxFuture<'_, StoreResult<()>> {
        self.inner.settle(batches)
    }
}

impl DynMaintenance for SharedStore {
    fn facts(&self) -> BoxFuture<'_, StoreResult<StoreFacts>> {
        self.inner.facts()
    }

    fn begin_incarnation(&self) -> BoxFuture<'_, StoreResult<Incarnation>> {
        self.inner.begin_incarnation()
    }

    fn ping(&self) -> BoxFuture<'_, StoreResult<()>> {
        self.inner.ping()
    }

    fn sealing_keys(&self) -> BoxFuture<'_, StoreResult<Vec<(String, SealedText)>>> {
        self.inner.sealing_keys()
    }

    fn register_key(
        &self,
        kid: String,
        record: SealedText,
        beside: Vec<String>,
    ) -> BoxFuture<'_, StoreResult<bool>> {
        Box::pin(async move {
            self.registering.fetch_add(1, Ordering::SeqCst);
            let may_register = self.keys.read().await;
            self.registering.fetch_sub(1, Ordering::SeqCst);
            drop(may_register);
            self.inner.register_key(kid, record, beside).await
        })
    }

    /// Nothing: others may still need it.
    fn close(&self) -> BoxFuture<'_, ()> {
        std::future::ready(()).boxed()
    }
}

impl Store for SharedStore {
    fn lanes(&self) -> usize {
        self.inner.lanes()
    }
}
