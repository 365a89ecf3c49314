//! What an operation costs, and how it is measured.

use std::net::SocketAddr;
use std::ops::Sub;
use std::sync::Arc;

use ruggine_core::codec::Encoding;
use ruggine_server::testing::{
    Direction, FaultProxy, Person, SocketClient, StatementCounter, StatementCounts, TestDatabase,
    patiently,
};
use sqlx::Executor;
use sqlx::postgres::PgConnection;

use super::counting_bus::CountingBus;
use super::flat::assert_flat;

/// How often an operation is done before it is measured. A statement is planned
/// anew for each of its first five executions; what is known of a roster, and
/// what the database keeps of its own tables, is read in the first.
pub(crate) const WARM_UP: u64 = 8;

/// Asks beside the server, and is not counted.
const WAITING: &str = "SELECT /* pg_stat_statements */ count(*) FROM outbox";

/// What was counted in some rounds of an operation.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    pub(crate) statements: StatementCounts,
    /// Bytes from the clients of the meter.
    pub(crate) sent: u64,
    /// Bytes to them.
    pub(crate) received: u64,
    /// Notices of the first instance to the bus.
    pub(crate) published: u64,
}

type Figure = fn(&Cost) -> u64;

const FIGURES: [(&str, Figure); 6] = [
    ("statements", |cost| cost.statements.calls),
    ("rows", |cost| cost.statements.rows),
    ("pages", |cost| cost.statements.blocks),
    ("bytes sent", |cost| cost.sent),
    ("bytes received", |cost| cost.received),
    ("notices", |cost| cost.published),
];

impl Cost {
    /// Nothing of it follows the size.
    pub(crate) fn assert_all_flat(what: &str, costs: [Self; 3]) {
        for (unit, figure) in FIGURES {
            assert_flat(
                &format!("{unit} of {what}"),
                costs.map(|cost| figure(&cost)),
            );
        }
    }
}

impl Sub for Cost {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            statements: self.statements - before.statements,
            sent: self.sent - before.sent,
            received: self.received - before.received,
            published: self.published - before.published,
        }
    }
}

/// Measures what the clients that connect through it cause.
pub(crate) struct Meter {
    statements: StatementCounter,
    beside: PgConnection,
    proxy: FaultProxy,
    bus: Arc<CountingBus>,
}

impl Meter {
    /// A meter before the server at an address.
    pub(crate) async fn new(
        database: &TestDatabase,
        server: SocketAddr,
        bus: Arc<CountingBus>,
    ) -> Self {
        Self {
            statements: database.statements().await,
            beside: database.connect().await,
            proxy: FaultProxy::start(server).await,
            bus,
        }
    }

    /// Where clients connect whose bytes shall count.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.proxy.address()
    }

    /// A client of this person whose bytes count, and who has said hello.
    pub(crate) async fn socket(&self, person: &Person) -> SocketClient {
        let mut socket = SocketClient::connect(self.address(), Encoding::MsgPack).await;
        let hello = socket.hello(person.token()).await;
        hello.expect("the token is valid");
        socket
    }

    /// Lets the database look at what was filled in, as it does by itself from
    /// time to time, so that it plans for what is there.
    pub(crate) async fn refresh(&mut self) {
        self.rest().await;
        self.beside
            .execute("VACUUM (ANALYZE)")
            .await
            .expect("the database can be looked through");
    }

    /// Does an operation so many times, and says what all of them cost.
    pub(crate) async fn measure(&mut self, rounds: u64, mut operation: impl AsyncFnMut()) -> Cost {
        for _ in 0..WARM_UP {
            operation().await;
        }
        let before = self.read().await;
        for _ in 0..rounds {
            operation().await;
        }
        self.read().await - before
    }

    async fn read(&mut self) -> Cost {
        self.rest().await;
        Cost {
            statements: self.statements.read().await,
            sent: self.proxy.bytes(Direction::ToServer),
            received: self.proxy.bytes(Direction::ToClient),
            published: self.bus.published(),
        }
    }

    /// Waits until the lanes have forgotten what they announced, half a second
    /// after the last commit, so that it belongs to what caused it.
    async fn rest(&mut self) {
        patiently("announced batches to be forgotten", async {
            while self.waiting().await > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    async fn waiting(&mut self) -> i64 {
        sqlx::query_scalar(WAITING)
            .fetch_one(&mut self.beside)
            .await
            .expect("the database answers")
    }
}
