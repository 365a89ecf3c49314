//! What every part of a client has.

use std::sync::Arc;

use futures_util::FutureExt;
use parking_lot::{Mutex, MutexGuard};
use ruggine_core::{Clock, ConversationId, Timestamp};
use tokio::sync::{Notify, broadcast, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::ClientOptions;
use crate::event::{ClientEvent, ConnectionState};
use crate::link::Link;
use crate::outbox::Lines;
use crate::store::{ClientStore, StoreError, StoreResult};
use crate::transport::Transport;

/// Events that a reader may be behind.
const EVENTS: usize = 1_024;

#[derive(Debug, Clone)]
pub(crate) struct Shared(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: ClientOptions,
    store: Arc<dyn ClientStore>,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    link: Link,
    lines: Lines,
    events: broadcast::Sender<ClientEvent>,
    state: watch::Sender<ConnectionState>,
    login_changed: Notify,
    hurry: Notify,
    reconnect: Notify,
    fault: Notify,
    applying: Mutex<()>,
    receipts: Notify,
    focus: Mutex<Option<ConversationId>>,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

impl Shared {
    pub(super) fn new(
        options: ClientOptions,
        store: Arc<dyn ClientStore>,
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
        link: Link,
    ) -> Self {
        Self(Arc::new(Inner {
            options,
            store,
            transport,
            clock,
            link,
            lines: Lines::default(),
            events: broadcast::Sender::new(EVENTS),
            state: watch::Sender::new(ConnectionState::LoggedOut),
            login_changed: Notify::new(),
            hurry: Notify::new(),
            reconnect: Notify::new(),
            fault: Notify::new(),
            applying: Mutex::default(),
            receipts: Notify::new(),
            focus: Mutex::default(),
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }))
    }

    pub(crate) fn options(&self) -> &ClientOptions {
        &self.0.options
    }

    pub(crate) fn transport(&self) -> Arc<dyn Transport> {
        Arc::clone(&self.0.transport)
    }

    pub(crate) fn link(&self) -> &Link {
        &self.0.link
    }

    pub(crate) fn lines(&self) -> &Lines {
        &self.0.lines
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Runs a step of the store where blocking does no harm. The step happens
    /// even if the caller goes away.
    pub(crate) async fn store_step<T: Send + 'static>(
        &self,
        step: impl FnOnce(&dyn ClientStore) -> StoreResult<T> + Send + 'static,
    ) -> StoreResult<T> {
        let store = Arc::clone(&self.0.store);
        tokio::task::spawn_blocking(move || step(&*store))
            .await
            .map_err(|error| {
                if error.is_cancelled() {
                    StoreError::Stopped
                } else {
                    StoreError::Database(Box::new(error))
                }
            })?
    }

    pub(crate) fn emit(&self, event: ClientEvent) {
        // Nobody listening is no failure.
        let _ = self.0.events.send(event);
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<ClientEvent> {
        self.0.events.subscribe()
    }

    pub(crate) fn state(&self) -> ConnectionState {
        *self.0.state.borrow()
    }

    pub(crate) fn set_state(&self, state: ConnectionState) {
        let changed = self.0.state.send_if_modified(|current| {
            let changed = *current != state;
            *current = state;
            changed
        });
        if changed {
            self.emit(ClientEvent::Connection(state));
        }
    }

    pub(crate) async fn wait_for_state(
        &self,
        wanted: impl FnMut(&ConnectionState) -> bool,
    ) -> ConnectionState {
        let mut state = self.0.state.subscribe();
        match state.wait_for(wanted).await {
            Ok(state) => *state,
            Err(_) => ConnectionState::Stopped,
        }
    }

    pub(crate) fn note_login(&self) {
        self.0.login_changed.notify_one();
    }

    pub(crate) async fn login_changed(&self) {
        self.0.login_changed.notified().await;
    }

    pub(crate) fn hurry(&self) {
        self.0.hurry.notify_waiters();
    }

    pub(crate) async fn hurried(&self) {
        self.0.hurry.notified().await;
    }

    /// Ends the connection, where there is one, and makes a new one if
    /// somebody is logged in.
    pub(crate) fn end_connection(&self) {
        if matches!(
            self.state(),
            ConnectionState::Online | ConnectionState::Connecting
        ) {
            self.0.reconnect.notify_one();
        }
    }

    /// Something is wrong with this connection: another is made, after a wait
    /// that grows while it goes on.
    pub(crate) fn note_fault(&self) {
        self.0.fault.notify_one();
    }

    /// What was noted of the connection before says nothing of the next one.
    pub(crate) fn begin_watching_for_faults(&self) {
        let _ = self.0.fault.notified().now_or_never();
    }

    pub(crate) async fn fault_noted(&self) {
        self.0.fault.notified().await;
    }

    /// Rows are applied and told by one at a time, so that they are told in order.
    pub(crate) fn apply_turn(&self) -> MutexGuard<'_, ()> {
        self.0.applying.lock()
    }

    pub(crate) async fn reconnect_wanted(&self) {
        self.0.reconnect.notified().await;
    }

    pub(crate) fn set_focus(&self, conversation: Option<ConversationId>) {
        *self.0.focus.lock() = conversation;
    }

    pub(crate) fn focus(&self) -> Option<ConversationId> {
        *self.0.focus.lock()
    }

    /// There is a receipt to be sent.
    pub(crate) fn note_receipt(&self) {
        self.0.receipts.notify_one();
    }

    pub(crate) async fn receipt_noted(&self) {
        self.0.receipts.notified().await;
    }

    pub(crate) fn stopping(&self) -> CancellationToken {
        self.0.stopping.clone()
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.tasks.spawn(task);
    }

    pub(super) async fn stop(&self) {
        self.0.stopping.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

/// Stops a client's work when dropped.
#[derive(Debug)]
pub(super) struct StopGuard(pub(super) CancellationToken);

impl Drop for StopGuard {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
