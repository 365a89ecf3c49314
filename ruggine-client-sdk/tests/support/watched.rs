//! A store that the test shares with the client, and may fail or hold back.

use std::fmt;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use ruggine_client_sdk::store::*;
use ruggine_core::api::account::User;
use ruggine_core::api::conversation::Conversation;
use ruggine_core::api::member::Member;
use ruggine_core::api::session::Tokens;
use ruggine_core::{
    Blob, ClientMsgId, ConversationId, ErrorCode, Incarnation, Seq, Timestamp, UserId,
};

type Before = Box<dyn FnMut(&'static str) -> StoreResult<()> + Send>;

#[derive(Clone)]
pub(crate) struct WatchedStore {
    inner: Arc<dyn ClientStore>,
    before: Arc<Mutex<Option<Before>>>,
    gate: Arc<Gate>,
}

/// Holds back the steps of one name.
#[derive(Default)]
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    closed_for: Option<&'static str>,
    waiting: usize,
}

impl fmt::Debug for WatchedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WatchedStore")
    }
}

impl WatchedStore {
    pub(crate) fn new(inner: impl ClientStore) -> Self {
        Self {
            inner: Arc::new(inner),
            before: Arc::default(),
            gate: Arc::default(),
        }
    }

    /// Past every hindrance, for the test itself.
    pub(crate) fn direct(&self) -> &dyn ClientStore {
        &*self.inner
    }

    /// Asks this before every step of the client.
    pub(crate) fn before(
        &self,
        step: impl FnMut(&'static str) -> StoreResult<()> + Send + 'static,
    ) {
        *self.before.lock() = Some(Box::new(step));
    }

    /// Every step of this name waits from now on.
    pub(crate) fn hold(&self, name: &'static str) {
        self.gate.state.lock().closed_for = Some(name);
    }

    /// Whether a step is waiting.
    pub(crate) fn is_holding(&self) -> bool {
        self.gate.state.lock().waiting > 0
    }

    pub(crate) fn release(&self) {
        self.gate.state.lock().closed_for = None;
        self.gate.changed.notify_all();
    }

    fn pass(&self, name: &'static str) -> StoreResult<()> {
        {
            let mut state = self.gate.state.lock();
            state.waiting += 1;
            while state.closed_for == Some(name) {
                self.gate.changed.wait(&mut state);
            }
            state.waiting -= 1;
        }
        match self.before.lock().as_mut() {
            Some(before) => before(name),
            None => Ok(()),
        }
    }
}

/// A failure as a full disk would give it.
pub(crate) fn disk_is_full() -> StoreError {
    StoreError::Database("the disk is full".into())
}

macro_rules! forward {
    ($( fn $name:ident($( $arg:ident: $type:ty ),*) -> $output:ty; )+) => {
        impl ClientStore for WatchedStore {
            $(
                fn $name(&self $(, $arg: $type)*) -> StoreResult<$output> {
                    self.pass(stringify!($name))?;
                    self.inner.$name($( $arg ),*)
                }
            )+
        }
    };
}

forward! {
    fn identity() -> Option<Identity>;
    fn set_identity(identity: Identity) -> ();
    fn set_tokens(tokens: Tokens) -> ();
    fn forget_tokens() -> ();
    fn forget_device() -> ();
    fn write_counter() -> u64;
    fn incarnation() -> Option<Incarnation>;
    fn set_incarnation(incarnation: Incarnation) -> bool;
    fn put_conversation(conversation: &Conversation, recent: u64) -> ();
    fn conversation(id: ConversationId) -> Option<ConversationRecord>;
    fn conversations() -> Vec<ConversationRecord>;
    fn put_members(id: ConversationId, roster_version: u64, members: &[Member]) -> ();
    fn members(id: ConversationId) -> Vec<MemberRecord>;
    fn put_user(user: &User) -> ();
    fn user(id: UserId) -> Option<User>;
    fn apply(id: ConversationId, entries: &[LogEntry]) -> Applied;
    fn apply_older(id: ConversationId, entries: &[LogEntry]) -> ();
    fn messages(id: ConversationId, before: Seq, limit: usize) -> Vec<MessageRecord>;
    fn set_read(id: ConversationId, seq: Seq) -> bool;
    fn reads_to_tell() -> Vec<(ConversationId, Seq)>;
    fn read_told(id: ConversationId, seq: Seq) -> ();
    fn set_position(id: ConversationId, user: UserId, position: Position) -> ();
    fn enqueue(id: ConversationId, client_msg_id: ClientMsgId, payload: Blob, at: Timestamp) -> ();
    fn lines() -> Vec<ConversationId>;
    fn head_of_line(id: ConversationId) -> Option<OutboxRecord>;
    fn line(id: ConversationId) -> Vec<OutboxRecord>;
    fn acknowledged(id: ConversationId, client_msg_id: ClientMsgId, seq: Seq, at: Timestamp) -> ();
    fn failed(id: ConversationId, client_msg_id: ClientMsgId, code: ErrorCode) -> ();
    fn retry(id: ConversationId, client_msg_id: ClientMsgId) -> bool;
    fn discard(id: ConversationId, client_msg_id: ClientMsgId) -> bool;
}
