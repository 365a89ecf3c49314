//! The seam to other instances: hints, at most once, never the truth.
//!
//! Every notice may be lost, doubled or late. What an instance learns from one
//! is only that it should look: the store decides. Losing the whole bus costs
//! latency and nothing else.

#[cfg(feature = "testing")]
pub mod conformance;
mod local;
mod passage;
#[cfg(feature = "redis")]
pub mod redis;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ruggine_core::{ConversationId, Event, Incarnation, SessionId, UserId};
use ruggine_crypto::random;
use tokio::sync::{mpsc, watch};

pub use local::LocalBus;
pub use passage::{Departure, Passage};

use crate::seam::seam;
use crate::store::{ConversationHead, StoredRow};

/// Names a running engine among those on one bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(u64);

impl InstanceId {
    /// A fresh id.
    ///
    /// # Panics
    /// When the operating system provides no randomness.
    #[must_use]
    pub fn new() -> Self {
        Self(random::number().expect("the operating system provides randomness"))
    }
}

impl InstanceId {
    /// Its number, as it travels on a bus.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The instance with this number.
    #[must_use]
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }
}

impl Default for InstanceId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What a notice is about, and so who should hear it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Instances with a member of this conversation online.
    Conversation(ConversationId),
    /// Instances with this user online.
    User(UserId),
}

/// Who joined and who left with a row of the log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RosterDelta {
    /// Users whose stay begins with the row.
    pub added: Vec<UserId>,
    /// Users whose stay ends with the row.
    pub removed: Vec<UserId>,
    /// How many members there are then.
    pub member_count: u32,
}

/// The members of a conversation, except one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Audience {
    /// Which conversation.
    pub conversation: ConversationId,
    /// The roster's version that was known when it was told. An instance that
    /// knows an older one reads the roster first: it may name members who have
    /// been removed.
    pub roster_version: u64,
    /// Who is left out: whom it is about.
    pub except: UserId,
}

/// A hint.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Notice {
    /// Rows were committed. Bodies are the sealed records.
    Rows {
        /// The log in which the numbers count.
        incarnation: Incarnation,
        /// Of which conversation.
        conversation: ConversationId,
        /// The roster's version with the last of the rows.
        roster_version: u64,
        /// How the last row changed the roster.
        delta: Option<RosterDelta>,
        /// The rows, ascending.
        rows: Arc<[StoredRow]>,
    },
    /// A conversation's log has grown up to here.
    Head(ConversationHead),
    /// A user was added to a conversation, perhaps one that nobody follows
    /// where they are online.
    Joined {
        /// Who.
        user: UserId,
        /// To which.
        conversation: ConversationId,
    },
    /// Something that is not stored.
    Ephemeral {
        /// For whom.
        to: Audience,
        /// What happened.
        event: Event,
    },
    /// Something for the devices of one user.
    ForUser {
        /// Whose.
        user: UserId,
        /// What happened.
        event: Event,
    },
    /// A session is over: its sockets must close.
    SessionRevoked {
        /// Whose.
        user: UserId,
        /// Which.
        session: SessionId,
    },
}

/// A notice that did not go out. The store has what it was about.
#[derive(Debug, thiserror::Error)]
#[error("the bus is unavailable: {0}")]
pub struct BusError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// How long an instance's word that a user is online holds.
pub const LEASE: Duration = Duration::from_secs(60);

/// Whether an instance hears its topics and is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BusState {
    /// It does and is, as far as anybody knows.
    Connected,
    /// What is published now is missed, or what it publishes does not go out.
    /// Once it is connected again it hears every topic that it follows, and has
    /// to look for what it missed.
    Away,
}

/// The notices that reach one instance.
#[derive(Debug)]
pub struct Notices {
    queue: mpsc::Receiver<Notice>,
    state: watch::Receiver<BusState>,
}

impl Notices {
    /// Notices from a bounded queue, on a bus that cannot be away. A bus drops
    /// what the queue cannot take.
    #[must_use]
    pub fn new(queue: mpsc::Receiver<Notice>) -> Self {
        let (_, state) = watch::channel(BusState::Connected);
        Self { queue, state }
    }

    /// Notices from a bounded queue, on a bus that may be away at times.
    #[must_use]
    pub const fn with_state(
        queue: mpsc::Receiver<Notice>,
        state: watch::Receiver<BusState>,
    ) -> Self {
        Self { queue, state }
    }

    /// Whether the bus is there, to look at and to wait for.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<BusState> {
        self.state.clone()
    }

    /// The next notice; `None` once the bus is gone. Cancel safe.
    pub async fn next(&mut self) -> Option<Notice> {
        self.queue.recv().await
    }

    /// The next notice, if one is waiting.
    pub fn try_next(&mut self) -> Option<Notice> {
        self.queue.try_recv().ok()
    }
}

seam! {
    /// Carries notices between the instances of one deployment.
    pub trait Bus / DynBus {
        /// Attaches an instance. Its notices end when what is returned is dropped.
        async fn attach(&self, instance: InstanceId) -> Result<Notices, BusError>;

        /// From its return on, the instance hears these topics too. After an error it
        /// may hear some of them, and is asked again; what it hears already is no error.
        async fn follow(&self, instance: InstanceId, topics: Vec<Topic>) -> Result<(), BusError>;

        /// The instance no longer hears these topics.
        async fn unfollow(&self, instance: InstanceId, topics: Vec<Topic>) -> Result<(), BusError>;

        /// Takes a notice for every other instance that follows the topic, without
        /// waiting until it has gone out: that is told by the [`Passage`]. An error
        /// says that it was not even taken.
        async fn publish(&self, from: InstanceId, topic: Topic, notice: Notice) -> Result<Passage, BusError>;

        /// Says that these users are online on the instance, which holds for
        /// [`LEASE`] and is said again before that.
        async fn lease(&self, instance: InstanceId, users: Vec<UserId>) -> Result<(), BusError>;

        /// Takes that back.
        async fn release(&self, instance: InstanceId, users: Vec<UserId>) -> Result<(), BusError>;

        /// Which of these users are online on any instance.
        async fn leased(&self, users: Vec<UserId>) -> Result<HashSet<UserId>, BusError>;
    }
}
