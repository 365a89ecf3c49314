//! The Redis server that was started for the tests.

use ruggine_core::secret::SecretText;

use crate::bus::redis::RedisOptions;

/// Where the server is.
const SERVER: &str = "TEST_REDIS_URL";

/// What reaches the server. Tests share it: each takes a prefix of its own.
///
/// # Panics
/// When `TEST_REDIS_URL` names no server.
#[must_use]
pub fn redis_options() -> RedisOptions {
    RedisOptions::from_url(&url()).expect("TEST_REDIS_URL is the URL of a server")
}

pub(super) fn url() -> SecretText {
    let url = std::env::var(SERVER)
        .expect("TEST_REDIS_URL names a server: run the tests with `cargo xtask test`");
    SecretText::new(url)
}
