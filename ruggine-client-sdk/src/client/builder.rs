//! Putting a client together.

use std::sync::Arc;
use std::time::Duration;

use ruggine_core::time::{Clock, SystemClock};
use tokio::sync::mpsc;

use super::Client;
use super::shared::{Shared, StopGuard};
use crate::backoff::BackoffBounds;
use crate::link::{Driver, Link};
use crate::store::ClientStore;
use crate::sync::LogSync;
use crate::transport::Transport;

/// Events from the connection that the sync may be behind.
const LINK_EVENTS: usize = 1_024;

/// How a client behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientOptions {
    /// How long it stays away after a connection failed.
    pub backoff: BackoffBounds,
    /// Silence after which a connection counts as lost.
    pub silence: Duration,
    /// Shortest time between two reports of what was delivered.
    pub receipt_interval: Duration,
    /// Rows of a conversation's log that a new device reads at first; older
    /// ones are read when they are asked for.
    pub recent: u64,
    /// Language of the server's error messages: `it` or `en`.
    pub locale: Option<Arc<str>>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            backoff: BackoffBounds::default(),
            silence: Duration::from_secs(60),
            receipt_interval: Duration::from_secs(1),
            recent: 100,
            locale: None,
        }
    }
}

/// What a client is made of, while it is being said.
#[derive(Debug, Default)]
pub struct ClientBuilder {
    options: ClientOptions,
    clock: Option<Arc<dyn Clock>>,
}

impl ClientBuilder {
    /// Nothing said yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How it behaves.
    #[must_use]
    pub fn options(mut self, options: ClientOptions) -> Self {
        self.options = options;
        self
    }

    /// Tells the time.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Starts the client on this store, which decides who it is. Where nobody
    /// is logged in, it waits for [`Client::log_in`] or [`Client::register`].
    /// Needs a Tokio runtime.
    #[must_use]
    pub fn start(self, transport: impl Transport, store: impl ClientStore) -> Client {
        let (link, requests) = Link::new();
        let shared = Shared::new(
            self.options,
            Arc::new(store),
            Arc::new(transport),
            self.clock.unwrap_or_else(|| Arc::new(SystemClock)),
            link,
        );
        let (events, link_events) = mpsc::channel(LINK_EVENTS);
        let driver = Driver {
            shared: shared.clone(),
            requests,
            events,
            served: None,
        };
        shared.spawn(driver.run());
        shared.spawn(LogSync::new(shared.clone()).run(link_events));
        let guard = StopGuard(shared.stopping());
        Client {
            shared,
            _guard: Arc::new(guard),
        }
    }
}
