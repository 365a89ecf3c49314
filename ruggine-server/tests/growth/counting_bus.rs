//! One instance's end of a bus, with counters.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ruggine_core::UserId;
use ruggine_server::bus::{
    Bus, BusError, BusState, DynBus, InstanceId, Notice, Notices, Passage, Topic,
};
use tokio::sync::{mpsc, watch};

/// Notices that may wait between the bus and the engine; no test has so many.
const QUEUE: usize = 4_096;

/// Counts what one engine says and hears. Each engine has one of its own.
pub(crate) struct CountingBus {
    inner: Arc<dyn DynBus>,
    state: watch::Sender<BusState>,
    published: AtomicU64,
    heard: Arc<AtomicU64>,
}

impl CountingBus {
    /// Counts at this end of a bus, which is never away by itself.
    pub(crate) fn new(inner: Arc<dyn DynBus>) -> Self {
        Self {
            inner,
            state: watch::Sender::new(BusState::Connected),
            published: AtomicU64::new(0),
            heard: Arc::default(),
        }
    }

    /// Notices that the engine has published so far, however many hear them.
    pub(crate) fn published(&self) -> u64 {
        self.published.load(Ordering::SeqCst)
    }

    /// Notices that have come to the engine so far. One counts before the
    /// engine has it, so whoever was told by it finds it counted.
    pub(crate) fn heard(&self) -> u64 {
        self.heard.load(Ordering::SeqCst)
    }

    /// Says that the bus is away, or that it is back. Either makes the engine
    /// compare with its store, once. Notices pass all the while.
    pub(crate) fn change_state(&self) {
        self.state.send_modify(|state| {
            *state = match *state {
                BusState::Connected => BusState::Away,
                BusState::Away => BusState::Connected,
            };
        });
    }
}

impl Bus for CountingBus {
    async fn attach(&self, instance: InstanceId) -> Result<Notices, BusError> {
        let mut notices = DynBus::attach(&*self.inner, instance).await?;
        let (sender, queue) = mpsc::channel(QUEUE);
        let heard = Arc::clone(&self.heard);
        tokio::spawn(async move {
            while let Some(notice) = notices.next().await {
                heard.fetch_add(1, Ordering::SeqCst);
                if sender.send(notice).await.is_err() {
                    return;
                }
            }
        });
        Ok(Notices::with_state(queue, self.state.subscribe()))
    }

    async fn follow(&self, instance: InstanceId, topics: Vec<Topic>) -> Result<(), BusError> {
        DynBus::follow(&*self.inner, instance, topics).await
    }

    async fn unfollow(&self, instance: InstanceId, topics: Vec<Topic>) -> Result<(), BusError> {
        DynBus::unfollow(&*self.inner, instance, topics).await
    }

    async fn publish(
        &self,
        from: InstanceId,
        topic: Topic,
        notice: Notice,
    ) -> Result<Passage, BusError> {
        self.published.fetch_add(1, Ordering::SeqCst);
        DynBus::publish(&*self.inner, from, topic, notice).await
    }

    async fn lease(&self, instance: InstanceId, users: Vec<UserId>) -> Result<(), BusError> {
        DynBus::lease(&*self.inner, instance, users).await
    }

    async fn release(&self, instance: InstanceId, users: Vec<UserId>) -> Result<(), BusError> {
        DynBus::release(&*self.inner, instance, users).await
    }

    async fn leased(&self, users: Vec<UserId>) -> Result<HashSet<UserId>, BusError> {
        DynBus::leased(&*self.inner, users).await
    }
}
