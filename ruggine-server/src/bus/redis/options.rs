//! Where the Redis server is and how it is used.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use redis::aio::{MultiplexedConnection, PubSub};
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo};
use ruggine_core::secret::SecretText;

use super::failed;
use crate::bus::{BusError, Topic};

const PREFIX: &str = "ruggine";
const CONNECT: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(2);
/// The oldest server that has what is used here.
const OLDEST: (u32, u32) = (6, 0);

/// How a [`RedisBus`](super::RedisBus) finds and uses its server.
#[derive(Clone)]
pub struct RedisOptions {
    client: Client,
    prefix: String,
}

/// A Redis URL that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedisUrlError {
    /// It does not have the form of one.
    #[error(
        "this is no address of a Redis server, as redis://user:password@host:6379 or rediss://… would be"
    )]
    Malformed,
    /// It asks for a connection that anybody on the way can read.
    #[error("the Redis server is on another machine and is not spoken to over TLS: use rediss://")]
    Insecure,
}

impl RedisOptions {
    /// Reads a Redis URL. A server on another machine is spoken to over TLS.
    ///
    /// # Errors
    /// When the URL is malformed, or forgoes TLS to another machine.
    pub fn from_url(url: &SecretText) -> Result<Self, RedisUrlError> {
        let info = url
            .expose()
            .into_connection_info()
            .map_err(|_| RedisUrlError::Malformed)?;
        if let ConnectionAddr::Tcp(host, _) = info.addr()
            && !is_here(host)
        {
            return Err(RedisUrlError::Insecure);
        }
        Ok(Self {
            client: Client::open(info).map_err(|_| RedisUrlError::Malformed)?,
            prefix: PREFIX.to_owned(),
        })
    }

    /// What the names of channels and keys begin with; `ruggine` unless told.
    /// Deployments that share a server need different ones.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    pub(super) fn channel(&self, topic: Topic) -> String {
        match topic {
            Topic::Conversation(id) => format!("{}:c:{id}", self.prefix),
            Topic::User(id) => format!("{}:u:{id}", self.prefix),
        }
    }

    pub(super) fn lease_key(&self, user: ruggine_core::UserId) -> String {
        format!("{}:online:{user}", self.prefix)
    }

    pub(super) async fn connect(&self) -> Result<MultiplexedConnection, BusError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(ANSWER));
        self.client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .map_err(failed)
    }

    pub(super) async fn listen(&self) -> Result<PubSub, BusError> {
        tokio::time::timeout(CONNECT, self.client.get_async_pubsub())
            .await
            .map_err(|error| BusError(Box::new(error)))?
            .map_err(failed)
    }
}

impl fmt::Debug for RedisOptions {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions")
            .field(
                "address",
                &self.client.get_connection_info().addr().to_string(),
            )
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// Refuses a server that is too old.
pub(super) async fn check_server(connection: &mut MultiplexedConnection) -> Result<(), BusError> {
    let info: String = redis::cmd("INFO")
        .arg("server")
        .query_async(connection)
        .await
        .map_err(failed)?;
    let Some(version) = info
        .lines()
        .find_map(|line| line.strip_prefix("redis_version:"))
    else {
        // Another program that speaks the protocol and does not say its version.
        return Ok(());
    };
    let mut numbers = version
        .trim()
        .split('.')
        .map(|part| part.parse().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found < OLDEST {
        let text = format!(
            "the server has version {}: Redis 6 or newer is needed",
            version.trim()
        );
        return Err(BusError(text.into()));
    }
    Ok(())
}

fn is_here(host: &str) -> bool {
    host.trim_matches(['[', ']'])
        .parse::<IpAddr>()
        .map_or(host == "localhost", |ip| ip.is_loopback())
}
