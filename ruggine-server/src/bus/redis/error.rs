//! Why a Redis server cannot be used.

use std::error::Error;
use std::io;
use std::sync::Arc;

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::bus::BusError;

/// A Redis server that cannot be used. The sentence says what to do, and the
/// source what was the matter.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectRedisError {
    /// It cannot be reached.
    #[error("the Redis server cannot be reached: is it running? check host and port of its URL")]
    Unreachable(#[source] Source),
    /// No connection could be made that nobody else can read.
    #[error(
        "no TLS connection to the Redis server can be made: check that it speaks TLS on that port, that its certificate names the host of its URL, and which authority signed that"
    )]
    Tls(#[source] Source),
    /// It wants to know who asks.
    #[error(
        "the Redis server wants a password: put it into its URL, as in redis://USER:PASSWORD@HOST:PORT"
    )]
    NoCredentials(#[source] Source),
    /// It refuses the user or the password.
    #[error("the Redis server refuses the login: check user and password in its URL")]
    Credentials(#[source] Source),
    /// The user may not do what is needed.
    #[error("the Redis user may not do what is needed: give it the rights that it lacks")]
    Forbidden(#[source] Source),
    /// It is too old.
    #[error("the Redis server has version {found}: {needed} or newer is needed")]
    OldServer {
        /// What it says of itself.
        found: String,
        /// The oldest that would do.
        needed: &'static str,
    },
    /// A node of the cluster would have to be spoken to openly.
    #[error(
        "the Redis Cluster names the node {node}, which is on another machine and is not spoken to over TLS: use rediss://"
    )]
    InsecureNode {
        /// Its address.
        node: String,
    },
    /// Some slots of the cluster are nobody's.
    #[error("the Redis Cluster has slots that no node serves: see CLUSTER INFO and CLUSTER SLOTS")]
    Incomplete,
    /// It refused something else.
    #[error("the Redis server refused what it was asked")]
    Refused(#[source] Source),
}

/// The cause below.
type Source = Box<dyn Error + Send + Sync>;

impl From<RedisError> for ConnectRedisError {
    fn from(error: RedisError) -> Self {
        let sort: fn(Source) -> Self = match (error.kind(), error.code()) {
            (_, Some("NOAUTH")) => Self::NoCredentials,
            (ErrorKind::AuthenticationFailed, _) | (_, Some("WRONGPASS")) => Self::Credentials,
            (ErrorKind::Server(ServerErrorKind::NoPerm), _) => Self::Forbidden,
            (ErrorKind::Io, _) if is_of_tls(&error) => Self::Tls,
            (ErrorKind::Io, _) => Self::Unreachable,
            _ => Self::Refused,
        };
        sort(Box::new(error))
    }
}

impl From<ConnectRedisError> for BusError {
    fn from(error: ConnectRedisError) -> Self {
        Self(Box::new(error))
    }
}

/// Whether the handshake of TLS failed: the driver says so by the kind of data
/// that it met.
fn is_of_tls(error: &RedisError) -> bool {
    let Some(source) = error.source() else {
        return false;
    };
    // The driver keeps its causes shared.
    let cause = source.downcast_ref::<io::Error>().or_else(|| {
        let shared = source.downcast_ref::<Arc<dyn Error + Send + Sync>>()?;
        shared.downcast_ref::<io::Error>()
    });
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::InvalidData)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_handshake_is_told_from_a_server_that_is_not_there() {
        let invalid = io::Error::new(io::ErrorKind::InvalidData, "UnknownIssuer");
        let error = ConnectRedisError::from(RedisError::from(invalid));
        assert!(matches!(error, ConnectRedisError::Tls(_)), "{error}");
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let error = ConnectRedisError::from(RedisError::from(refused));
        assert!(
            matches!(error, ConnectRedisError::Unreachable(_)),
            "{error}"
        );
    }
}
