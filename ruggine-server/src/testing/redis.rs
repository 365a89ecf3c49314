//! The Redis servers that were started for the tests.

use ruggine_core::secret::SecretText;

use crate::bus::InstanceId;
use crate::bus::redis::{RedisOptions, RedisPrefix};

/// Where the server is.
const SERVER: &str = "TEST_REDIS_URL";
/// Where a node of the cluster is.
const CLUSTER: &str = "TEST_REDIS_CLUSTER_URL";

/// What reaches the server. Tests share it: each takes a prefix of its own.
///
/// # Panics
/// When `TEST_REDIS_URL` names no server.
#[must_use]
pub fn redis_options() -> RedisOptions {
    RedisOptions::from_url(&url()).expect("TEST_REDIS_URL is the URL of a server")
}

/// What reaches the cluster. Tests share it as they share the server.
///
/// # Panics
/// When `TEST_REDIS_CLUSTER_URL` names no node of a cluster.
#[must_use]
pub fn redis_cluster_options() -> RedisOptions {
    RedisOptions::from_url(&named_by(CLUSTER)).expect("TEST_REDIS_CLUSTER_URL is the URL of a node")
}

/// A prefix that no other test has.
///
/// # Panics
/// Never: what is made here is a prefix.
#[must_use]
pub fn redis_prefix() -> RedisPrefix {
    let prefix = format!("test:{}", InstanceId::new());
    prefix.parse().expect("it is short and plain")
}

pub(super) fn url() -> SecretText {
    named_by(SERVER)
}

fn named_by(variable: &str) -> SecretText {
    let url = std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: run the tests with `cargo xtask test`"));
    SecretText::new(url)
}
