//! A store whose commits the test can hold back.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ruggine_core::api::key_package::SuiteStock;
use ruggine_core::name::Username;
use ruggine_core::{ConversationId, DeviceId, Incarnation, Seq, SessionId, Timestamp, UserId};
use ruggine_crypto::token::TokenHash;
use ruggine_server::config::Limits;
use ruggine_server::store::*;
use ruggine_server::testing::{Person, TestServer, open_sqlite, patiently};
use tokio::sync::watch;

use super::support::limited;

/// A store whose writes to the log and of positions can be held back.
#[derive(Debug, Clone)]
pub(crate) struct SlowStore {
    store: Arc<dyn Store>,
    open: watch::Sender<bool>,
    /// Commits that are being held back.
    held: watch::Sender<usize>,
}

impl SlowStore {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            open: watch::Sender::new(true),
            held: watch::Sender::new(0),
        }
    }

    async fn pass(&self) {
        self.held.send_modify(|held| *held += 1);
        let _ = self.open.subscribe().wait_for(|open| *open).await;
        self.held.send_modify(|held| *held -= 1);
    }

    pub(crate) fn hold(&self) {
        self.open.send_replace(false);
    }

    pub(crate) fn release(&self) {
        self.open.send_replace(true);
    }

    pub(crate) async fn holds(&self, count: usize) {
        let mut held = self.held.subscribe();
        let waited = patiently("a commit", held.wait_for(|held| *held >= count)).await;
        assert!(waited.is_ok());
    }
}

macro_rules! forward {
    ($( $seam:ident { $( $method:ident($( $arg:ident: $type:ty ),*) -> $output:ty; )+ } )+) => {
        $(
            impl $seam for SlowStore {
                $(
                    fn $method(&self $(, $arg: $type)*) -> BoxFuture<'_, $output> {
                        let slow = matches!(
                            stringify!($method),
                            "append" | "change_roster" | "create_conversation" | "move_positions"
                        );
                        async move {
                            if slow {
                                self.pass().await;
                            }
                            $seam::$method(&*self.store $(, $arg)*).await
                        }
                        .boxed()
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

impl DynMaintenance for SlowStore {
    fn facts(&self) -> BoxFuture<'_, StoreResult<StoreFacts>> {
        self.store.facts()
    }

    fn begin_incarnation(&self) -> BoxFuture<'_, StoreResult<Incarnation>> {
        self.store.begin_incarnation()
    }

    fn ping(&self) -> BoxFuture<'_, StoreResult<()>> {
        self.store.ping()
    }

    fn sealing_keys(&self) -> BoxFuture<'_, StoreResult<Vec<(String, SealedText)>>> {
        self.store.sealing_keys()
    }

    fn register_key(
        &self,
        kid: String,
        record: SealedText,
        beside: Vec<String>,
    ) -> BoxFuture<'_, StoreResult<bool>> {
        self.store.register_key(kid, record, beside)
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.store.close()
    }
}

impl Store for SlowStore {
    fn lanes(&self) -> usize {
        self.store.lanes()
    }
}

/// A server over a store that can be held back, somebody, and their group.
pub(crate) async fn slow_server(
    change: impl FnOnce(&mut Limits),
) -> (
    tempfile::TempDir,
    SlowStore,
    TestServer,
    Person,
    ConversationId,
) {
    let folder = tempfile::tempdir().unwrap();
    let store = SlowStore::new(open_sqlite(folder.path()).await);
    let server = limited(change)
        .folder(folder.path())
        .store(Arc::new(store.clone()))
        .start()
        .await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    (folder, store, server, ada, group)
}
