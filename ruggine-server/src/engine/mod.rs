//! The engine: every operation as a verb, without any transport.
//!
//! [`Engine::call`] is the one way in. It checks rates and the client's write
//! counter, asks the hooks, runs the verb and measures it. Messages go through
//! a [`lane`] that commits what is waiting together; after the commit the
//! [fan-out](fanout) tells the sockets of this instance and hints to others.

mod accounts;
mod admission;
mod announced;
mod background;
mod conversations;
mod error;
mod fanout;
mod following;
mod identities;
mod key_packages;
mod lane;
mod members;
mod messages;
mod position_lane;
mod positions;
mod presence;
mod sessions;
mod sockets;
mod start;
mod sync;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt;
use ruggine_core::api::{Access, Effect, Method, Operation};
use ruggine_core::{Clock, ConversationId, ErrorCode, Incarnation};
use ruggine_crypto::mls::DefaultCrypto;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use crate::hub::{Outgoing, Socket};
pub use admission::{Arrival, RefusedSocket};
pub use error::{EngineError, EngineResult};
pub use messages::PendingAck;
pub use sockets::OpenSocket;
pub use start::{EngineParts, Readiness, StartError};

use crate::auth::{DynAuthenticator, Principal};
use crate::bus::{BusState, DynBus, InstanceId};
use crate::config::EngineConfig;
use crate::hooks::{Attempt, DynHooks, Outcome, Verdict};
use crate::hub::Hub;
use crate::metrics::{Measurement, Metrics};
use crate::rate_limit::RateLimits;
use crate::sealing::Sealer;
use crate::store::{AdvanceCounter, Store};
use admission::Admission;
use following::Following;
use lane::Lanes;
use position_lane::PositionLane;
use presence::PresenceBoard;

/// Who calls, and from where.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    /// Who; absent before a login.
    pub principal: Option<Principal>,
    /// The client's address.
    pub address: IpAddr,
    /// How often the client's local store has been written.
    pub write_counter: Option<u64>,
    /// What that was when the connection said hello: its requests may overtake
    /// each other, but none can be older than this.
    pub counter_floor: Option<u64>,
}

impl Caller {
    /// A caller who has not logged in.
    #[must_use]
    pub const fn anonymous(address: IpAddr) -> Self {
        Self {
            principal: None,
            address,
            write_counter: None,
            counter_floor: None,
        }
    }

    /// The principal, or the error that one is needed.
    ///
    /// # Errors
    /// When the caller has not logged in.
    pub fn principal(&self) -> EngineResult<Principal> {
        self.principal
            .ok_or(EngineError::rejected(ErrorCode::Unauthenticated))
    }
}

/// An operation that the engine can do.
pub trait Verb: Operation {
    /// The conversation that it concerns.
    fn conversation(&self) -> Option<ConversationId> {
        None
    }

    /// Does it. Rates, hooks and measuring are the caller's part: use
    /// [`Engine::call`].
    fn run(
        self,
        engine: &Engine,
        caller: &Caller,
    ) -> impl Future<Output = EngineResult<Self::Response>> + Send;
}

/// A chat engine. Cloning it gives another handle to the same one.
#[derive(Debug, Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    config: EngineConfig,
    incarnation: Incarnation,
    instance: InstanceId,
    store: Arc<dyn Store>,
    bus: Arc<dyn DynBus>,
    bus_state: watch::Receiver<BusState>,
    authenticator: Arc<dyn DynAuthenticator>,
    hooks: Option<Arc<dyn DynHooks>>,
    sealer: Arc<Sealer>,
    /// With which what devices publish is checked.
    crypto: Arc<DefaultCrypto>,
    clock: Arc<dyn Clock>,
    metrics: Arc<dyn Metrics>,
    hub: Hub,
    rates: RateLimits,
    admission: Admission,
    lanes: Lanes,
    positions: PositionLane,
    presence: PresenceBoard,
    following: Following,
    /// That the store has to be compared with now, and not only at the next sweep.
    look: Notify,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("instance", &self.instance)
            .field("incarnation", &self.incarnation)
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Does an operation for a caller.
    ///
    /// A message or a roster change that reached its lane is committed and told
    /// even if the returned future is dropped.
    ///
    /// # Errors
    /// What the operation's documentation names, and the errors of limits,
    /// hooks, authentication and the store that any operation can meet.
    pub async fn call<V: Verb>(&self, caller: &Caller, verb: V) -> EngineResult<V::Response> {
        let started = Instant::now();
        let attempt = self.attempt(V::METHOD, caller, verb.conversation());
        let result = match self.admit(V::METHOD, caller, attempt).await {
            Ok(note) => {
                let result = verb.run(self, caller).await;
                self.report(attempt, note, result.as_ref().err().map(EngineError::code));
                result
            }
            Err(error) => {
                self.report(attempt, None, Some(error.code()));
                Err(error)
            }
        };
        self.0
            .metrics
            .record(Measurement::Answered(V::METHOD, started.elapsed()));
        if let Err(EngineError::Limited { .. }) = &result {
            self.0.metrics.record(Measurement::Limited);
        }
        result
    }

    /// The identity of the log that this engine serves.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.0.incarnation
    }

    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> &EngineConfig {
        &self.0.config
    }

    /// Where measurements go.
    #[must_use]
    pub fn metrics(&self) -> &Arc<dyn Metrics> {
        &self.0.metrics
    }

    fn attempt(
        &self,
        method: Method,
        caller: &Caller,
        conversation: Option<ConversationId>,
    ) -> Attempt {
        Attempt {
            method,
            principal: caller.principal,
            address: caller.address,
            conversation,
        }
    }

    /// Everything that is asked before a verb runs; the hook's note.
    async fn admit(
        &self,
        method: Method,
        caller: &Caller,
        attempt: Attempt,
    ) -> EngineResult<Option<String>> {
        if method.access() == Access::Session {
            let principal = caller.principal()?;
            if method != Method::MessageSend {
                self.0.rates.requests.check(&principal.device)?;
            }
            // A send's counter is checked in the transaction that appends it.
            if let (Effect::Writes, Some(counter)) = (method.effect(), caller.write_counter)
                && method != Method::MessageSend
            {
                self.check_write_counter(principal, counter, caller.counter_floor)
                    .await?;
            }
        }
        self.ask_hooks(attempt).await
    }

    pub(super) async fn check_write_counter(
        &self,
        principal: Principal,
        counter: u64,
        floor: Option<u64>,
    ) -> EngineResult<()> {
        if floor.is_some_and(|floor| counter < floor) {
            return Err(EngineError::rejected(ErrorCode::DeviceRestored));
        }
        let outcome = self
            .0
            .store
            .advance_write_counter(principal.user, principal.device, counter)
            .await?;
        match outcome {
            AdvanceCounter::Advanced => Ok(()),
            AdvanceCounter::Behind if floor.is_some() => Ok(()),
            AdvanceCounter::Behind => Err(EngineError::rejected(ErrorCode::DeviceRestored)),
        }
    }

    async fn ask_hooks(&self, attempt: Attempt) -> EngineResult<Option<String>> {
        let Some(hooks) = &self.0.hooks else {
            return Ok(None);
        };
        let verdict = tokio::time::timeout(self.0.config.hook_deadline, hooks.before(attempt));
        match verdict.await {
            Ok(Verdict::Allow) => Ok(None),
            Ok(Verdict::Annotate(note)) => Ok(Some(note)),
            Ok(Verdict::Deny { reason }) => Err(EngineError::detailed(ErrorCode::Refused, reason)),
            Err(_) => {
                tracing::warn!(method = %attempt.method, "a hook missed its deadline: refused");
                Err(EngineError::rejected(ErrorCode::Refused))
            }
        }
    }

    fn report(&self, attempt: Attempt, note: Option<String>, error: Option<ErrorCode>) {
        let Some(hooks) = self.0.hooks.clone() else {
            return;
        };
        let outcome = Outcome {
            attempt,
            note,
            error,
        };
        let deadline = self.0.config.hook_deadline;
        let metrics = Arc::clone(&self.0.metrics);
        self.0.tasks.spawn(async move {
            let after = std::panic::AssertUnwindSafe(hooks.after(outcome)).catch_unwind();
            match tokio::time::timeout(deadline, after).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => metrics.record(Measurement::Panicked),
                Err(_) => {
                    tracing::warn!(method = %attempt.method, "a hook missed its deadline afterwards");
                }
            }
        });
    }
}
