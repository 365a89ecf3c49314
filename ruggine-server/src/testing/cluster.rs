//! Several servers on one PostgreSQL database and one Redis server, each behind
//! proxies that do harm on demand.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ruggine_core::secret::SecretText;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::postgres::TestDatabase;
use super::{FaultProxy, HttpClient, patiently, redis};
use crate::bus::redis::{RedisBus, RedisOptions};
use crate::config::{EngineConfig, Limits};
use crate::key_source::KeyFile;
use crate::store::postgres::{PostgresOptions, PostgresStore};
use crate::{Drain, Server};

/// How soon a node takes harm for harm, so that tests need not wait for what
/// waits in production.
const ACQUIRE: Duration = Duration::from_millis(500);
const SWEEP: Duration = Duration::from_secs(2);

/// Servers that share a database.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Node>,
    // The nodes go before what they stand on.
    _database: TestDatabase,
    _folder: TempDir,
}

/// One of them.
#[derive(Debug)]
pub struct Node {
    /// Between clients and the server. Its address stays, whatever the server does.
    pub clients: FaultProxy,
    /// Between the server and its database.
    pub database: FaultProxy,
    /// Between the server and Redis.
    pub redis: FaultProxy,
    parts: Parts,
    running: Option<Running>,
}

/// What a server is made of each time that it starts.
#[derive(Debug, Clone)]
struct Parts {
    database: PostgresOptions,
    redis: RedisOptions,
    key: KeyFile,
    config: EngineConfig,
}

#[derive(Debug)]
struct Running {
    /// Its own, so that it can be killed without anything of it going on.
    runtime: Runtime,
    server: Server,
}

impl Cluster {
    /// Starts `count` servers on a new database.
    ///
    /// # Panics
    /// When they do not start, or `TEST_POSTGRES_URL` and `TEST_REDIS_URL` name
    /// no servers.
    pub async fn start(count: usize) -> Self {
        Self::start_with(count, |_| {}).await
    }

    /// The same, with some of the configuration changed.
    ///
    /// # Panics
    /// When they do not start, or `TEST_POSTGRES_URL` and `TEST_REDIS_URL` name
    /// no servers.
    pub async fn start_with(count: usize, change: impl FnOnce(&mut EngineConfig)) -> Self {
        let mut config = EngineConfig {
            limits: Limits::without_rates(),
            presence_interval: Duration::from_millis(1),
            sweep_interval: SWEEP,
            ..EngineConfig::default()
        };
        change(&mut config);
        let database = TestDatabase::create().await;
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let prefix = redis::redis_prefix();
        let mut nodes = Vec::with_capacity(count);
        for _ in 0..count {
            let to_database = FaultProxy::start(address_in(&database.url())).await;
            let to_redis = FaultProxy::start(address_in(&redis::url())).await;
            let parts = Parts {
                database: through(&database.url(), to_database.address(), |url| {
                    PostgresOptions::from_url(url).expect("the address is one of a database")
                })
                .acquire_timeout(ACQUIRE),
                redis: through(&redis::url(), to_redis.address(), |url| {
                    RedisOptions::from_url(url).expect("the address is one of a server")
                })
                .prefix(prefix.clone()),
                key: KeyFile::new(folder.path().join("master.key")),
                config: config.clone(),
            };
            // Where clients go is set when there is a server.
            let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
            let mut node = Node {
                clients: FaultProxy::start(nowhere).await,
                database: to_database,
                redis: to_redis,
                parts,
                running: None,
            };
            node.start().await;
            nodes.push(node);
        }
        Self {
            nodes,
            _database: database,
            _folder: folder,
        }
    }

    /// The servers.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// One of the servers, to be started or ended.
    ///
    /// # Panics
    /// When there are not so many.
    pub fn node(&mut self, index: usize) -> &mut Node {
        &mut self.nodes[index]
    }

    /// Where clients reach the servers.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(Node::address).collect()
    }

    /// Ends every server in order.
    pub async fn stop(&mut self) {
        for node in &mut self.nodes {
            node.drain(Drain::default()).await;
        }
    }
}

impl Node {
    /// Where clients reach it.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.clients.address()
    }

    /// A client that has not logged in.
    #[must_use]
    pub const fn http(&self) -> HttpClient {
        HttpClient::new(self.address())
    }

    /// Starts the server, if it does not run.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(&mut self) {
        if self.running.is_some() {
            return;
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime can be made");
        let starting = runtime.spawn(serve(self.parts.clone()));
        let server = patiently("a server to start", starting).await;
        let server = server.expect("starting does not panic");
        let address = *server.addresses().first().expect("the server listens");
        self.clients.set_target(address);
        self.running = Some(Running { runtime, server });
    }

    /// Ends the server at once, in the middle of whatever it does.
    pub fn kill(&mut self) {
        if let Some(Running { runtime, server }) = self.running.take() {
            runtime.shutdown_background();
            drop(server);
        }
    }

    /// Ends the server in order.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn drain(&mut self, drain: Drain) {
        if let Some(Running { runtime, server }) = self.running.take() {
            let ending = runtime.spawn(server.shut_down(drain));
            let ended = patiently("a server to end", ending).await;
            ended.expect("ending does not panic");
            runtime.shutdown_background();
        }
    }
}

async fn serve(parts: Parts) -> Server {
    let store = PostgresStore::open(parts.database)
        .await
        .expect("the database opens");
    let bus = RedisBus::connect(parts.redis)
        .await
        .expect("the bus can be reached");
    let server = Server::builder()
        .store(Arc::new(store))
        .bus(Arc::new(bus))
        .keys(parts.key)
        .config(parts.config)
        .listen((Ipv4Addr::LOCALHOST, 0).into())
        .start();
    server.await.expect("the server starts")
}

/// The address in a URL.
fn address_in(url: &SecretText) -> SocketAddr {
    let (_, rest) = url.expose().split_once("://").expect("it is a URL");
    let host = rest.split('/').next().unwrap_or(rest);
    let host = host.rsplit('@').next().unwrap_or(host);
    host.parse().expect("it names an address and a port")
}

/// The same URL with another address in it.
fn through<T>(url: &SecretText, address: SocketAddr, read: impl FnOnce(&SecretText) -> T) -> T {
    let before = address_in(url).to_string();
    read(&SecretText::new(
        url.expose().replace(&before, &address.to_string()),
    ))
}
