//! A real server for one test.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ruggine_core::api::account::Login;
use ruggine_core::api::conversation::{ConversationKind, Create, ProtectionMode};
use ruggine_core::codec::Encoding;
use ruggine_core::time::SystemClock;
use ruggine_core::{Clock, ConversationId};
use tempfile::TempDir;

use super::{HttpClient, Person, SharedHooks, SocketClient, patiently};
use crate::bus::{DynBus, LocalBus};
use crate::config::{EngineConfig, Limits};
use crate::engine::Engine;
use crate::hooks::DynHooks;
use crate::http::EdgeConfig;
use crate::key_source::KeyFile;
use crate::metrics::{Metrics, NoMetrics};
use crate::store::Store;
use crate::store::sqlite::SqliteStore;
use crate::{BuildError, Drain, Server};

/// What a test's server is made of.
#[derive(Clone)]
pub struct ServerOptions {
    config: EngineConfig,
    edge: EdgeConfig,
    hooks: Option<SharedHooks>,
    clock: Arc<dyn Clock>,
    metrics: Arc<dyn Metrics>,
    bus: Arc<dyn DynBus>,
    store: Option<Arc<dyn Store>>,
    folder: Option<PathBuf>,
}

impl Default for ServerOptions {
    /// No rates, and presence told at once; everything else as in production.
    fn default() -> Self {
        Self {
            config: EngineConfig {
                limits: Limits::without_rates(),
                presence_interval: Duration::from_millis(1),
                ..EngineConfig::default()
            },
            edge: EdgeConfig::default(),
            hooks: None,
            clock: Arc::new(SystemClock),
            metrics: Arc::new(NoMetrics),
            bus: Arc::new(LocalBus::new()),
            store: None,
            folder: None,
        }
    }
}

impl ServerOptions {
    /// Changes the engine's limits and times.
    #[must_use]
    pub fn config(mut self, change: impl FnOnce(&mut EngineConfig)) -> Self {
        change(&mut self.config);
        self
    }

    /// Changes how the edges behave.
    #[must_use]
    pub fn edge(mut self, change: impl FnOnce(&mut EdgeConfig)) -> Self {
        change(&mut self.edge);
        self
    }

    /// Compares heads with the store this often.
    #[must_use]
    pub fn sweep_interval(self, interval: Duration) -> Self {
        self.config(|config| config.sweep_interval = interval)
    }

    /// Announces again what was not announced for this long.
    #[must_use]
    pub fn relay_after(self, age: Duration) -> Self {
        self.config(|config| config.relay_after = age)
    }

    /// Asks these hooks.
    #[must_use]
    pub fn hooks(mut self, hooks: Arc<dyn DynHooks>) -> Self {
        self.hooks = Some(SharedHooks::new(hooks));
        self
    }

    /// Lives by this clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Counts with these metrics.
    #[must_use]
    pub fn metrics(mut self, metrics: Arc<dyn Metrics>) -> Self {
        self.metrics = metrics;
        self
    }

    /// Hears others over this bus.
    #[must_use]
    pub fn bus(mut self, bus: Arc<dyn DynBus>) -> Self {
        self.bus = bus;
        self
    }

    /// Keeps everything in this store instead of a new database. Use a
    /// [`SharedStore`](super::SharedStore) if the server is to start again.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// Keeps database and key in this folder instead of a temporary one.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Starts the server on a free port of this machine.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(self) -> TestServer {
        let temporary = match &self.folder {
            Some(_) => None,
            None => Some(tempfile::tempdir().expect("a temporary folder can be made")),
        };
        let folder = match (&self.folder, &temporary) {
            (Some(folder), _) => folder.clone(),
            (None, Some(temporary)) => temporary.path().to_path_buf(),
            (None, None) => PathBuf::new(),
        };
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = self
            .serve(&folder, any_port)
            .await
            .expect("the server starts");
        let address = *server.addresses().first().expect("the server listens");
        TestServer {
            options: self,
            folder,
            address,
            server: Some(server),
            _temporary: temporary,
        }
    }

    async fn serve(&self, folder: &Path, address: SocketAddr) -> Result<Server, BuildError> {
        let store = match &self.store {
            Some(store) => Arc::clone(store),
            None => open_sqlite(folder).await,
        };
        let mut builder = Server::builder()
            .store(store)
            .keys(KeyFile::new(folder.join("master.key")))
            .config(self.config.clone())
            .edge(self.edge.clone())
            .clock(Arc::clone(&self.clock))
            .metrics(Arc::clone(&self.metrics))
            .bus(Arc::clone(&self.bus))
            .listen(address);
        if let Some(hooks) = &self.hooks {
            builder = builder.hooks(hooks.clone());
        }
        builder.start().await
    }
}

impl fmt::Debug for ServerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerOptions")
            .field("config", &self.config)
            .field("edge", &self.edge)
            .finish_non_exhaustive()
    }
}

/// A real server on a port of this machine, with a database and a key in a
/// folder of its own that goes when it does.
#[derive(Debug)]
pub struct TestServer {
    options: ServerOptions,
    folder: PathBuf,
    address: SocketAddr,
    server: Option<Server>,
    _temporary: Option<TempDir>,
}

impl TestServer {
    /// A server as [`ServerOptions::default`] describes it.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start() -> Self {
        Self::options().start().await
    }

    /// Begins to say what the server shall be like.
    #[must_use]
    pub fn options() -> ServerOptions {
        ServerOptions::default()
    }

    /// Where it serves, also after it has started again.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where database and key are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The database's file.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        database_in(&self.folder)
    }

    /// The engine.
    ///
    /// # Panics
    /// While the server is stopped.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        self.server.as_ref().expect("the server runs").engine()
    }

    /// Ends the server without giving its clients time.
    pub async fn stop(&mut self) {
        self.drain(Drain::default()).await;
    }

    /// Ends the server, giving its clients this time.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn drain(&mut self, drain: Drain) {
        if let Some(server) = self.server.take() {
            patiently("the server to end", server.shut_down(drain)).await;
        }
    }

    /// Takes the running server out, to end it beside other work.
    ///
    /// # Panics
    /// While the server is stopped.
    #[must_use]
    pub fn take(&mut self) -> Server {
        self.server.take().expect("the server runs")
    }

    /// Ends the server and starts another on the same folder, key and port.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.resume().await;
    }

    /// Starts a stopped server on the same folder, key and port.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn resume(&mut self) {
        let server = patiently("the server's port", async {
            loop {
                match self.options.serve(&self.folder, self.address).await {
                    // Another test's connection may have been given the port meanwhile.
                    Err(BuildError::Listen { .. }) => tokio::task::yield_now().await,
                    started => break started,
                }
            }
        });
        self.server = Some(server.await.expect("the server starts again"));
    }

    /// A client that has not logged in.
    #[must_use]
    pub const fn http(&self) -> HttpClient {
        HttpClient::new(self.address)
    }

    /// A client of this person.
    #[must_use]
    pub fn http_of(&self, person: &Person) -> HttpClient {
        self.http().with_token(person.token())
    }

    /// Makes an account.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn register(&self, username: &str) -> Person {
        let login: Login = self
            .http()
            .call(Person::registration(username))
            .await
            .expect("the username is free");
        Person { login }
    }

    /// Logs somebody in on a further device.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn another_device(&self, person: &Person) -> Person {
        let login: Login = self
            .http()
            .call(person.new_login())
            .await
            .expect("the password is right");
        Person { login }
    }

    /// A live connection of this person that has said hello.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn socket(&self, person: &Person, encoding: Encoding) -> SocketClient {
        let mut socket = SocketClient::connect(self.address, encoding).await;
        socket
            .hello(person.token())
            .await
            .expect("the token is valid");
        socket
    }

    /// Makes a managed group and returns it.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn group(&self, owner: &Person, others: &[&Person]) -> ConversationId {
        self.create(ConversationKind::Group, owner, others).await
    }

    /// The managed conversation of two people.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn direct(&self, one: &Person, other: &Person) -> ConversationId {
        self.create(ConversationKind::Direct, one, &[other]).await
    }

    async fn create(
        &self,
        kind: ConversationKind,
        creator: &Person,
        others: &[&Person],
    ) -> ConversationId {
        let create = Create {
            kind,
            mode: ProtectionMode::Managed,
            members: others.iter().map(|person| person.user()).collect(),
            id: None,
        };
        let conversation = self.http_of(creator).call(create).await;
        conversation.expect("the conversation can be made").id
    }
}

/// Opens the database that a [`TestServer`] keeps in this folder, or makes it.
///
/// # Panics
/// When it does not open.
pub async fn open_sqlite(folder: impl AsRef<Path>) -> Arc<dyn Store> {
    let store = SqliteStore::open(database_in(folder.as_ref())).await;
    Arc::new(store.expect("the database opens"))
}

fn database_in(folder: &Path) -> PathBuf {
    folder.join("ruggine.db")
}
