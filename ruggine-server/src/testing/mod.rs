//! What tests of this crate and of embedders need: ready servers, a client of
//! the bare protocol, a bus that loses notices, the judge of histories, and
//! counters of what an operation costs.
//!
//! Everything here stops a test with a sentence that says what did not happen,
//! rather than returning errors that every test would have to unwrap. Nothing
//! here sleeps to let something happen: whoever waits, waits for a state, and
//! for no longer than [`PATIENCE`].
//!
//! ```
//! # #[cfg(all(feature = "http", feature = "sqlite"))]
//! # async fn example() {
//! use ruggine_core::codec::Encoding;
//! use ruggine_server::testing::{TestServer, text_message};
//!
//! let server = TestServer::start().await;
//! let ada = server.register("ada").await;
//! let bob = server.register("bob").await;
//! let group = server.group(&ada, &[&bob]).await;
//!
//! let mut phone = server.socket(&bob, Encoding::MsgPack).await;
//! let ack = server.http_of(&ada).call(text_message(group, "ciao")).await.expect("a member may write");
//! let (_, row) = phone.next_row().await;
//! assert_eq!(row.seq, ack.seq);
//! # }
//! ```

#[cfg(all(feature = "http", feature = "postgres", feature = "redis"))]
mod cluster;
mod fault_proxy;
mod faulty_bus;
mod history;
#[cfg(feature = "http")]
mod http_client;
#[cfg(feature = "sqlite")]
pub mod inspect;
mod message;
#[cfg(feature = "http")]
mod person;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "http")]
mod roaming_device;
#[cfg(all(feature = "http", feature = "sqlite"))]
mod server;
mod shared_hooks;
mod shared_store;
#[cfg(feature = "http")]
mod socket_client;
#[cfg(feature = "postgres")]
mod statements;

use std::time::Duration;

#[cfg(all(feature = "http", feature = "postgres", feature = "redis"))]
pub use cluster::{Cluster, Node};
pub use fault_proxy::{Direction, FaultProxy};
pub use faulty_bus::{FaultCounts, Faults, FaultyBus};
pub use history::{History, Summary, Violation};
#[cfg(feature = "http")]
pub use http_client::{HttpAnswer, HttpClient};
pub use message::{fresh_message_id, text_message, words_of};
#[cfg(feature = "http")]
pub use person::Person;
#[cfg(feature = "postgres")]
pub use postgres::TestDatabase;
#[cfg(feature = "redis")]
pub use redis::{redis_cluster_options, redis_options, redis_prefix};
#[cfg(feature = "http")]
pub use roaming_device::{RoamingDevice, SharedHistory};
#[cfg(all(feature = "http", feature = "sqlite"))]
pub use server::{ServerOptions, TestServer, open_sqlite};
pub use shared_hooks::SharedHooks;
pub use shared_store::{HeldKeys, HeldRows, SharedStore};
#[cfg(feature = "http")]
pub use socket_client::{Ending, Pending, SocketClient};
#[cfg(feature = "postgres")]
pub use statements::{StatementCounter, StatementCounts};

/// How long anything here waits for what should happen at once. Only a fault
/// reaches it, so it is generous to slow machines.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for `what`, and stops the test when it does not come.
///
/// # Panics
/// When [`PATIENCE`] is over.
pub async fn patiently<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain for {what}"))
}

/// Asks again and again until a condition holds, for states that nothing announces.
///
/// # Panics
/// When [`PATIENCE`] is over.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    patiently(what, async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
