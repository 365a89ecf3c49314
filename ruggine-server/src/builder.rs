//! Putting a server together: whole and listening, or as a router to nest.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use ruggine_core::time::{Clock, SystemClock};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::{Authenticator, DynAuthenticator};
use crate::bus::{DynBus, LocalBus};
use crate::config::EngineConfig;
use crate::engine::{Engine, EngineParts, StartError};
use crate::hooks::{DynHooks, Hooks};
use crate::http::{Edge, EdgeConfig, Lifecycle, Listener, TlsConfig, api_router, websocket_router};
use crate::key_source::{DynKeySource, KeySource};
use crate::metrics::{Metrics, NoMetrics};
use crate::store::{OpenStoreError, Store};

/// A server that did not start. The sentence says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No store was given.
    #[error("no store was given")]
    NoStore,
    /// Neither keys nor the word that there shall be none.
    #[error("no master keys were given: name a key source, or store texts unsealed on purpose")]
    NoKeys,
    /// The store could not be opened.
    #[error(transparent)]
    Store(#[from] OpenStoreError),
    /// The engine did not start.
    #[error(transparent)]
    Engine(#[from] StartError),
    /// A port could not be had.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
}

enum Sealing {
    Undecided,
    With(Arc<dyn DynKeySource>),
    Without,
}

/// What a server is made of, while it is being said.
pub struct ServerBuilder {
    config: EngineConfig,
    edge: EdgeConfig,
    store: Option<Arc<dyn Store>>,
    bus: Arc<dyn DynBus>,
    sealing: Sealing,
    authenticator: Option<Arc<dyn DynAuthenticator>>,
    hooks: Option<Arc<dyn DynHooks>>,
    clock: Arc<dyn Clock>,
    metrics: Arc<dyn Metrics>,
    tls: Option<TlsConfig>,
    listen: Vec<SocketAddr>,
    listen_websocket: Vec<SocketAddr>,
}

impl std::fmt::Debug for ServerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerBuilder")
            .field("config", &self.config)
            .field("edge", &self.edge)
            .field("listen", &self.listen)
            .field("listen_websocket", &self.listen_websocket)
            .finish_non_exhaustive()
    }
}

impl Default for ServerBuilder {
    fn default() -> Self {
        Self {
            config: EngineConfig::default(),
            edge: EdgeConfig::default(),
            store: None,
            bus: Arc::new(LocalBus::new()),
            sealing: Sealing::Undecided,
            authenticator: None,
            hooks: None,
            clock: Arc::new(SystemClock),
            metrics: Arc::new(NoMetrics),
            tls: None,
            listen: Vec::new(),
            listen_websocket: Vec::new(),
        }
    }
}

impl ServerBuilder {
    /// Nothing said yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps everything in this store.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// Keeps everything in a SQLite file, made where it is missing.
    ///
    /// # Errors
    /// When the file cannot be used.
    #[cfg(feature = "sqlite")]
    pub async fn sqlite(self, path: impl AsRef<Path>) -> Result<Self, BuildError> {
        let store = crate::store::sqlite::SqliteStore::open(path).await?;
        Ok(self.store(Arc::new(store)))
    }

    /// Keeps everything in a PostgreSQL database.
    ///
    /// # Errors
    /// When the database cannot be opened.
    #[cfg(feature = "postgres")]
    pub async fn postgres(
        self,
        options: crate::store::postgres::PostgresOptions,
    ) -> Result<Self, BuildError> {
        let store = crate::store::postgres::PostgresStore::open(options).await?;
        Ok(self.store(Arc::new(store)))
    }

    /// Seals every text under keys from this source.
    #[must_use]
    pub fn keys(mut self, keys: impl KeySource) -> Self {
        self.sealing = Sealing::With(Arc::new(keys));
        self
    }

    /// Stores texts unsealed: whoever reads the database reads them.
    #[must_use]
    pub fn without_sealing(mut self) -> Self {
        self.sealing = Sealing::Without;
        self
    }

    /// Hears other instances over a Redis server, or a Redis Cluster.
    ///
    /// # Errors
    /// When the server cannot be used.
    #[cfg(feature = "redis")]
    pub async fn redis(
        self,
        options: crate::bus::redis::RedisOptions,
    ) -> Result<Self, crate::bus::redis::ConnectRedisError> {
        let bus = crate::bus::redis::RedisBus::connect(options).await?;
        Ok(self.bus(Arc::new(bus)))
    }

    /// Hears other instances over this bus instead of none.
    #[must_use]
    pub fn bus(mut self, bus: Arc<dyn DynBus>) -> Self {
        self.bus = bus;
        self
    }

    /// Lets somebody else say who people are.
    #[must_use]
    pub fn authenticator(mut self, authenticator: impl Authenticator) -> Self {
        self.authenticator = Some(Arc::new(authenticator));
        self
    }

    /// Asks before and tells after every operation.
    #[must_use]
    pub fn hooks(mut self, hooks: impl Hooks) -> Self {
        self.hooks = Some(Arc::new(hooks));
        self
    }

    /// Tells the time.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Takes measurements.
    #[must_use]
    pub fn metrics(mut self, metrics: Arc<dyn Metrics>) -> Self {
        self.metrics = metrics;
        self
    }

    /// Limits and times of the engine.
    #[must_use]
    pub fn config(mut self, config: EngineConfig) -> Self {
        self.config = config;
        self
    }

    /// Behaviour of the edges.
    #[must_use]
    pub fn edge(mut self, edge: EdgeConfig) -> Self {
        self.edge = edge;
        self
    }

    /// Speaks TLS on every port.
    #[must_use]
    pub fn tls(mut self, tls: TlsConfig) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Serves everything on this address; port 0 takes a free one.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen.push(address);
        self
    }

    /// Serves the WebSocket alone on this address too.
    #[must_use]
    pub fn listen_websocket(mut self, address: SocketAddr) -> Self {
        self.listen_websocket.push(address);
        self
    }

    /// Starts the engine and returns it with a router to nest in another
    /// application. The application listens, and calls [`Mounted::shut_down`]
    /// when it ends. It should serve with `ConnectInfo<SocketAddr>`, or every
    /// client counts as one address.
    ///
    /// # Errors
    /// When the engine does not start.
    pub async fn mount(self) -> Result<Mounted, BuildError> {
        let edge = self.start_engine().await?.0;
        Ok(Mounted {
            router: api_router(edge.clone()),
            edge,
        })
    }

    /// Starts the engine and serves on the addresses that were named.
    ///
    /// # Errors
    /// When the engine does not start, or a port cannot be had; nothing is
    /// left running then.
    pub async fn start(self) -> Result<Server, BuildError> {
        // Ports first: they are what most often fails, and cost nothing to give back.
        let mut api = Vec::new();
        for address in &self.listen {
            api.push(bind(*address).await?);
        }
        let mut websocket = Vec::new();
        for address in &self.listen_websocket {
            websocket.push(bind(*address).await?);
        }
        let (edge, tls) = self.start_engine().await?;
        let stop = CancellationToken::new();
        let listeners = TaskTracker::new();
        let mut addresses = Vec::new();
        let mut websocket_addresses = Vec::new();
        let groups = [
            (api, api_router(edge.clone()), &mut addresses),
            (
                websocket,
                websocket_router(edge.clone()),
                &mut websocket_addresses,
            ),
        ];
        for (sockets, router, bound) in groups {
            for socket in sockets {
                if let Ok(address) = socket.local_addr() {
                    bound.push(address);
                }
                let listener = Listener {
                    socket,
                    router: router.clone(),
                    tls: tls.clone(),
                    read_timeout: edge.config.read_timeout,
                };
                listeners.spawn(listener.run(stop.clone()));
            }
        }
        listeners.close();
        Ok(Server {
            edge,
            stop,
            listeners,
            addresses,
            websocket_addresses,
        })
    }

    async fn start_engine(self) -> Result<(Edge, Option<TlsConfig>), BuildError> {
        let keys = match self.sealing {
            Sealing::Undecided => return Err(BuildError::NoKeys),
            Sealing::With(keys) => Some(keys),
            Sealing::Without => None,
        };
        let engine = Engine::start(EngineParts {
            config: self.config,
            store: self.store.ok_or(BuildError::NoStore)?,
            bus: self.bus,
            keys,
            authenticator: self.authenticator,
            hooks: self.hooks,
            clock: self.clock,
            metrics: self.metrics,
        })
        .await?;
        let edge = Edge {
            engine,
            config: Arc::new(self.edge),
            lifecycle: Lifecycle::default(),
        };
        Ok((edge, self.tls))
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, BuildError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| BuildError::Listen { address, source })
}

/// How long an ending server gives its clients. Zero for tests and embedded
/// use, where nobody has to be sent elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    /// Time between `/readyz` saying no and the ports closing.
    pub lead: Duration,
    /// Time over which WebSockets are closed, each at a random moment of it.
    /// Until its moment comes, each is served as ever.
    pub spread: Duration,
    /// The longest that all the rest may take after that: answering what was
    /// taken, telling other instances, closing the store. What is not done by
    /// then is given up, none of it acknowledged.
    pub finish: Duration,
}

impl Drain {
    /// What a load balancer needs to notice and clients to spread out. With it
    /// a server ends within 40 seconds.
    pub const GRACEFUL: Self = Self {
        lead: Duration::from_secs(5),
        spread: Duration::from_secs(20),
        finish: Duration::from_secs(15),
    };
    const AT_ONCE: Self = Self {
        lead: Duration::ZERO,
        spread: Duration::ZERO,
        finish: Self::GRACEFUL.finish,
    };
}

impl Default for Drain {
    fn default() -> Self {
        Self::AT_ONCE
    }
}

/// An engine with its routes, inside another application.
#[derive(Debug)]
pub struct Mounted {
    router: Router,
    edge: Edge,
}

impl Mounted {
    /// The routes: `/v1/…`, `/healthz`, `/readyz`.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// The engine.
    #[must_use]
    pub const fn engine(&self) -> &Engine {
        &self.edge.engine
    }

    /// Closes the WebSockets, finishes what was taken, and closes the store.
    pub async fn shut_down(self, drain: Drain) {
        self.edge.lifecycle.leaving.cancel();
        end(&self.edge, drain, std::future::ready(())).await;
    }
}

/// A running server. Dropping it leaves it running: call [`Server::shut_down`].
#[derive(Debug)]
pub struct Server {
    edge: Edge,
    stop: CancellationToken,
    listeners: TaskTracker,
    addresses: Vec<SocketAddr>,
    websocket_addresses: Vec<SocketAddr>,
}

impl Server {
    /// Begins to say what a server is made of.
    #[must_use]
    pub fn builder() -> ServerBuilder {
        ServerBuilder::new()
    }

    /// Where everything is served, with the ports that were really taken.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where the WebSocket alone is served.
    #[must_use]
    pub fn websocket_addresses(&self) -> &[SocketAddr] {
        &self.websocket_addresses
    }

    /// The engine.
    #[must_use]
    pub const fn engine(&self) -> &Engine {
        &self.edge.engine
    }

    /// Ends the server: says so on `/readyz`, stops accepting, closes the
    /// WebSockets with a time to come back, commits and answers what was
    /// taken, and closes the store. Returns when all of that is done, or when
    /// the drain allows no more time for it.
    pub async fn shut_down(self, drain: Drain) {
        self.edge.lifecycle.leaving.cancel();
        tokio::time::sleep(drain.lead).await;
        self.stop.cancel();
        end(&self.edge, drain, self.listeners.wait()).await;
    }
}

/// Ends everything behind the edge, within what the drain allows: connections
/// get the first half of it, and the engine the rest.
async fn end(edge: &Edge, drain: Drain, listeners: impl Future<Output = ()>) {
    let share = drain.finish / 2;
    let sockets = async { tokio::join!(close_sockets(edge, drain), listeners) };
    let most = drain.spread.saturating_add(share);
    if tokio::time::timeout(most, sockets).await.is_err() {
        tracing::warn!("connections that were still being answered are given up");
    }
    let engine = edge.engine.shut_down();
    if tokio::time::timeout(share, engine).await.is_err() {
        tracing::error!("the end took too long: what was not committed by now is given up");
    }
}

async fn close_sockets(edge: &Edge, drain: Drain) {
    *edge.lifecycle.spread.lock() = drain.spread;
    edge.lifecycle.draining.cancel();
    edge.lifecycle.sockets.close();
    edge.lifecycle.sockets.wait().await;
}
