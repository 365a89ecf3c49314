//! Servers on one PostgreSQL database that do nothing by themselves, among the
//! conversations of others.

use std::sync::Arc;
use std::time::Duration;

use ruggine_core::codec::Encoding;
use ruggine_server::bus::redis::{RedisBus, RedisPrefix};
use ruggine_server::bus::{DynBus, LocalBus};
use ruggine_server::config::EngineConfig;
use ruggine_server::store::postgres::PostgresStore;
use ruggine_server::testing::{TestDatabase, TestServer, patiently, redis_options, redis_prefix};
use sqlx::Executor;
use tempfile::TempDir;

use super::cost::Meter;
use super::counting_bus::CountingBus;

/// Later than the end of any test. The first ping of a connection comes after a
/// random part of its interval, a thousandth of this at the least.
const NEVER: Duration = Duration::from_secs(24 * 60 * 60);

/// Part of the statement that reads in which conversations a user is.
const MEMBERSHIPS: &str = "c.member_count, c.last_seq, m.from_seq";

/// People with conversations of their own, so that what is measured is a small
/// part of each table, as on a server in use: where it were all of it, reading
/// everything would be the best plan.
const OTHERS: &str = "WITH people AS (
         INSERT INTO users (user_id, username, profile, created_at)
         SELECT gen_random_uuid(), 'other' || number, '{}', 0
         FROM generate_series(1, 200) AS number RETURNING user_id),
     made AS (
         INSERT INTO conversations (conv_id, kind, mode, creator, created_at, last_seq,
                                    roster_version, member_count)
         SELECT gen_random_uuid(), 'group', 'managed', user_id, 0, 1, 1, 1
         FROM people, generate_series(1, 40) RETURNING conv_id, creator),
     read AS (
         INSERT INTO device_cursors (device_id, conv_id, user_id, delivered)
         SELECT creator, conv_id, creator, 1 FROM made)
     INSERT INTO members (conv_id, user_id, from_seq, role)
     SELECT conv_id, creator, 1, 'owner' FROM made";

/// How instances reach each other.
pub(crate) enum Wires {
    /// Inside this process.
    Local(Arc<dyn DynBus>),
    /// Over the tests' Redis server, under names that begin so.
    Redis(RedisPrefix),
}

impl Wires {
    pub(crate) fn local() -> Self {
        Self::Local(Arc::new(LocalBus::new()))
    }

    pub(crate) fn redis() -> Self {
        Self::Redis(redis_prefix())
    }

    /// An end for one more instance.
    async fn end(&self) -> Arc<dyn DynBus> {
        match self {
            Self::Local(bus) => Arc::clone(bus),
            Self::Redis(prefix) => {
                let options = redis_options().prefix(prefix.clone());
                let bus = RedisBus::connect(options).await;
                Arc::new(bus.expect("the server runs"))
            }
        }
    }
}

/// Instances, each with its end of the bus.
pub(crate) struct Scene {
    pub(crate) servers: Vec<TestServer>,
    pub(crate) buses: Vec<Arc<CountingBus>>,
    wires: Wires,
    folder: TempDir,
    // It goes after the servers that stand on it.
    pub(crate) database: TestDatabase,
}

impl Scene {
    /// One instance among the conversations of others.
    pub(crate) async fn start(wires: Wires) -> Self {
        let mut scene = Self {
            servers: Vec::new(),
            buses: Vec::new(),
            wires,
            folder: tempfile::tempdir().expect("a temporary folder can be made"),
            database: TestDatabase::create().await,
        };
        scene.add_instance().await;
        let mut connection = scene.database.connect().await;
        connection
            .execute(OTHERS)
            .await
            .expect("the schema is as the statement has it");
        scene
    }

    /// One instance that hears of no other.
    pub(crate) async fn alone() -> Self {
        Self::start(Wires::local()).await
    }

    /// The first instance, before which the meter is.
    pub(crate) fn server(&self) -> &TestServer {
        &self.servers[0]
    }

    pub(crate) async fn meter(&self) -> Meter {
        let bus = Arc::clone(&self.buses[0]);
        Meter::new(&self.database, self.server().address(), bus).await
    }

    /// Starts one more instance.
    pub(crate) async fn add_instance(&mut self) {
        // With one connection, no operation is the first that a connection sees.
        let options = self.database.options().connections(1);
        let store = PostgresStore::open(options).await;
        let bus = Arc::new(CountingBus::new(self.wires.end().await));
        let server = TestServer::options()
            .config(put_off)
            .edge(|edge| edge.heartbeat = NEVER)
            .folder(self.folder.path())
            .store(Arc::new(store.expect("the database opens")))
            .bus(bus.clone())
            .start()
            .await;
        self.use_up_presence(&server).await;
        self.servers.push(server);
        self.buses.push(bus);
    }

    /// Lets an instance tell of the one user of whom it tells at once; of
    /// others it will when the interval is over. What it does when it starts is
    /// done by then as well, for it was asked for before.
    async fn use_up_presence(&self, server: &TestServer) {
        let herald = format!("herald{}", self.servers.len());
        let herald = server.register(&herald).await;
        let mut statements = self.database.statements().await;
        // Once for hello and once to tell.
        let told = statements.read_of(MEMBERSHIPS).await.calls + 2;
        let socket = server.socket(&herald, Encoding::MsgPack).await;
        patiently("a presence to be told", async {
            while statements.read_of(MEMBERSHIPS).await.calls < told {
                tokio::task::yield_now().await;
            }
        })
        .await;
        socket.close().await;
    }

    pub(crate) async fn end(mut self) {
        for server in &mut self.servers {
            server.stop().await;
        }
    }
}

/// Puts off everything that an engine does without being asked.
const fn put_off(config: &mut EngineConfig) {
    config.sweep_interval = NEVER;
    config.poll_interval = NEVER;
    config.relay_after = NEVER;
    config.presence_interval = NEVER;
}
