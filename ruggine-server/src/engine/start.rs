//! Putting an engine together, and taking it down.

use std::sync::Arc;

use ruggine_core::Clock;
use ruggine_crypto::at_rest::{DuplicateKey, KeyRing};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::admission::Admission;
use super::following::Following;
use super::lane::Lanes;
use super::position_lane::PositionLane;
use super::presence::PresenceBoard;
use super::{Engine, Inner, background};
use crate::auth::{DynAuthenticator, PasswordAuthenticator};
use crate::bus::{BusError, BusState, DynBus, InstanceId};
use crate::config::EngineConfig;
use crate::hooks::DynHooks;
use crate::hub::Hub;
use crate::key_source::{DynKeySource, KeySourceError};
use crate::metrics::Metrics;
use crate::rate_limit::RateLimits;
use crate::sealing::{KeyCheckError, Sealer};
use crate::store::{Store, StoreError};

/// What an engine is made of.
pub struct EngineParts {
    /// Limits and times.
    pub config: EngineConfig,
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// How instances hear of each other.
    pub bus: Arc<dyn DynBus>,
    /// Where the master keys come from; absent to store texts unsealed.
    pub keys: Option<Arc<dyn DynKeySource>>,
    /// Who people are; passwords and tokens in the store where absent.
    pub authenticator: Option<Arc<dyn DynAuthenticator>>,
    /// Who watches and refuses.
    pub hooks: Option<Arc<dyn DynHooks>>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where measurements go.
    pub metrics: Arc<dyn Metrics>,
}

impl std::fmt::Debug for EngineParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineParts")
            .field("config", &self.config)
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

/// An engine that did not start. The sentence says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The master keys could not be had.
    #[error(transparent)]
    Keys(#[from] KeySourceError),
    /// A key is named twice.
    #[error(transparent)]
    DuplicateKey(#[from] DuplicateKey),
    /// The keys do not fit the database.
    #[error(transparent)]
    KeyCheck(#[from] KeyCheckError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bus failed.
    #[error(transparent)]
    Bus(#[from] BusError),
}

/// Whether an engine can serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// It can.
    Ready,
    /// It can, and what passes between it and other instances arrives a little
    /// later: the bus is away.
    Degraded,
    /// It is going down.
    Stopping,
}

impl Engine {
    /// Starts an engine: proves that the keys fit the store, attaches to the
    /// bus, and begins the background work. Needs a Tokio runtime.
    ///
    /// # Errors
    /// When a part cannot be used; nothing is left running then.
    pub async fn start(parts: EngineParts) -> Result<Self, StartError> {
        let ring = match &parts.keys {
            None => None,
            Some(source) => {
                let keys = source.master_keys().await?;
                Some(KeyRing::new(keys.primary, keys.legacy)?)
            }
        };
        let sealer = Arc::new(Sealer::new(ring, Arc::clone(&parts.metrics)));
        sealer.check(&*parts.store).await?;
        let facts = parts.store.facts().await?;
        parts.metrics.durability(&facts.durability);
        let instance = InstanceId::new();
        let notices = parts.bus.attach(instance).await?;
        let authenticator = parts.authenticator.unwrap_or_else(|| {
            Arc::new(PasswordAuthenticator::new(
                Arc::clone(&parts.store),
                Arc::clone(&sealer),
                Arc::clone(&parts.clock),
                &parts.config,
            ))
        });
        let (lanes, lane_jobs) = Lanes::new(parts.store.lanes(), &parts.config.limits);
        let (positions, position_jobs) = PositionLane::new(&parts.config.limits);
        let engine = Self(Arc::new(Inner {
            rates: RateLimits::new(&parts.config.limits),
            admission: Admission::new(&parts.config.limits),
            incarnation: facts.incarnation,
            instance,
            store: parts.store,
            bus: parts.bus,
            bus_state: notices.state(),
            authenticator,
            hooks: parts.hooks,
            sealer,
            crypto: Arc::default(),
            clock: parts.clock,
            metrics: parts.metrics,
            hub: Hub::new(parts.config.large_group),
            lanes,
            positions,
            presence: PresenceBoard::default(),
            following: Following::default(),
            look: Notify::new(),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            config: parts.config,
        }));
        for jobs in lane_jobs {
            engine.0.tasks.spawn(engine.clone().run_lane(jobs));
        }
        engine
            .0
            .tasks
            .spawn(engine.clone().run_position_lane(position_jobs));
        background::spawn(&engine, notices);
        Ok(engine)
    }

    /// Whether the engine can serve.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn ready(&self) -> Result<Readiness, StoreError> {
        if self.0.stopping.is_cancelled() {
            return Ok(Readiness::Stopping);
        }
        self.0.store.ping().await?;
        Ok(match *self.0.bus_state.borrow() {
            BusState::Connected => Readiness::Ready,
            BusState::Away => Readiness::Degraded,
        })
    }

    /// Ends the engine: what is in the lanes is committed and answered, the
    /// background work stops, the store is closed. Sockets must be gone by then.
    pub async fn shut_down(&self) {
        self.0.lanes.close();
        self.0.positions.close();
        self.0.stopping.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
        self.release_presence().await;
        self.0.store.close().await;
    }
}
