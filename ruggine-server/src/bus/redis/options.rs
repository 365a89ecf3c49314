//! Where the Redis server is and how it is reached.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use redis::aio::{MultiplexedConnection, PubSub};
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
    ProtocolVersion, PushInfo, TlsCertificates,
};
use ruggine_core::secret::SecretText;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::error::ConnectRedisError;
use super::names::RedisPrefix;

const CONNECT: Duration = Duration::from_secs(2);
/// How long an answer may take.
pub(super) const ANSWER: Duration = Duration::from_secs(2);

/// How a [`RedisBus`](super::RedisBus) finds and uses its server.
#[derive(Clone)]
pub struct RedisOptions {
    client: Client,
    prefix: RedisPrefix,
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
    /// It asks for a connection to whoever answers.
    #[error("certificates are always verified: leave #insecure out of the URL")]
    Unverified,
}

/// An authority that cannot be trusted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedisCaError {
    /// Nothing in the text is a certificate.
    #[error("it holds no certificate in the PEM form")]
    NoCertificate,
    /// A certificate is none of an authority.
    #[error("it holds something that is no certificate of an authority")]
    Unusable,
    /// The server is not spoken to over TLS.
    #[error("the Redis server is not spoken to over TLS: use rediss://")]
    NotOverTls,
}

/// Where a node of a cluster is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl RedisOptions {
    /// Reads a Redis URL. A server on another machine is spoken to over TLS. In
    /// a cluster any node will do.
    ///
    /// # Errors
    /// When the URL is malformed, forgoes TLS to another machine, or asks for
    /// TLS without a look at the certificate.
    pub fn from_url(url: &SecretText) -> Result<Self, RedisUrlError> {
        let info = url
            .expose()
            .into_connection_info()
            .map_err(|_| RedisUrlError::Malformed)?;
        match info.addr() {
            ConnectionAddr::Tcp(host, _) if !is_here(host) => return Err(RedisUrlError::Insecure),
            ConnectionAddr::TcpTls { insecure: true, .. } => return Err(RedisUrlError::Unverified),
            _ => {}
        }
        Ok(Self {
            client: Client::open(info).map_err(|_| RedisUrlError::Malformed)?,
            prefix: RedisPrefix::default(),
        })
    }

    /// What the names of channels and keys begin with; `ruggine` unless told.
    /// Deployments that share a server need different ones.
    #[must_use]
    pub fn prefix(mut self, prefix: RedisPrefix) -> Self {
        self.prefix = prefix;
        self
    }

    /// Trusts these authorities, certificates in the PEM form, and no others.
    /// Unless told, those are trusted that browsers trust.
    ///
    /// # Errors
    /// When there is no authority in the text, or the URL does not ask for TLS.
    pub fn ca(mut self, pem: &[u8]) -> Result<Self, RedisCaError> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        // The driver takes a text without any and then trusts nobody.
        if found.map_err(|_| RedisCaError::Unusable)?.is_empty() {
            return Err(RedisCaError::NoCertificate);
        }
        let info = self.client.get_connection_info().clone();
        if !matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
            return Err(RedisCaError::NotOverTls);
        }
        let trusted = TlsCertificates {
            client_tls: None,
            root_cert: Some(pem.to_vec()),
        };
        self.client = Client::build_with_tls(info, trusted).map_err(|_| RedisCaError::Unusable)?;
        Ok(self)
    }

    pub(super) const fn prefix_in_use(&self) -> &RedisPrefix {
        &self.prefix
    }

    /// The host of the URL.
    pub(super) fn host(&self) -> &str {
        match self.client.get_connection_info().addr() {
            ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host.as_str(),
            // Only nodes on this machine can be reached by a socket's path.
            _ => "localhost",
        }
    }

    /// A connection for commands to the server of the URL.
    pub(super) async fn connect(&self) -> Result<MultiplexedConnection, ConnectRedisError> {
        let config = config();
        let connecting = self
            .client
            .get_multiplexed_async_connection_with_config(&config);
        Ok(connecting.await?)
    }

    /// A connection to the server of the URL, for hearing.
    pub(super) async fn listen(&self) -> Result<PubSub, ConnectRedisError> {
        let connecting = tokio::time::timeout(CONNECT, self.client.get_async_pubsub());
        let connected = connecting
            .await
            .map_err(|late| ConnectRedisError::Unreachable(Box::new(late)))?;
        Ok(connected?)
    }

    /// A connection for commands to a node of the cluster.
    pub(super) async fn connect_to(
        &self,
        node: &Address,
    ) -> Result<MultiplexedConnection, ConnectRedisError> {
        let client = Client::open(self.node(node)?)?;
        let config = config();
        let connecting = client.get_multiplexed_async_connection_with_config(&config);
        Ok(connecting.await?)
    }

    /// A connection to a node of the cluster that also hears. What comes
    /// unasked, the end of the connection among it, is given to `take`.
    pub(super) async fn listen_to(
        &self,
        node: &Address,
        take: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> Result<MultiplexedConnection, ConnectRedisError> {
        let info = self.node(node)?;
        let settings = info.redis_settings().clone();
        let info = info.set_redis_settings(settings.set_protocol(ProtocolVersion::RESP3));
        let config = config().set_push_sender(move |push: PushInfo| {
            take(push);
            Ok::<(), redis::aio::SendError>(())
        });
        let client = Client::open(info)?;
        let connecting = client.get_multiplexed_async_connection_with_config(&config);
        Ok(connecting.await?)
    }

    /// What is said of the server of the URL, for a node of its cluster.
    fn node(&self, node: &Address) -> Result<ConnectionInfo, ConnectRedisError> {
        let info = self.client.get_connection_info().clone();
        let address = match info.addr() {
            ConnectionAddr::TcpTls { tls_params, .. } => ConnectionAddr::TcpTls {
                host: node.host.clone(),
                port: node.port,
                insecure: false,
                tls_params: tls_params.clone(),
            },
            _ if is_here(&node.host) => ConnectionAddr::Tcp(node.host.clone(), node.port),
            _ => {
                return Err(ConnectRedisError::InsecureNode {
                    node: node.to_string(),
                });
            }
        };
        Ok(info.set_addr(address))
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

fn config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(Some(ANSWER))
}

fn is_here(host: &str) -> bool {
    host.trim_matches(['[', ']'])
        .parse::<IpAddr>()
        .map_or(host == "localhost", |ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(url: &str) -> Result<RedisOptions, RedisUrlError> {
        RedisOptions::from_url(&SecretText::new(url))
    }

    #[test]
    fn a_server_on_another_machine_is_spoken_to_over_tls_and_verified() {
        for url in ["redis://cache.example", "redis://10.0.0.1:6379"] {
            assert!(
                matches!(options(url), Err(RedisUrlError::Insecure)),
                "{url}"
            );
        }
        for url in [
            "rediss://cache.example/#insecure",
            "rediss://localhost/#insecure",
        ] {
            assert!(
                matches!(options(url), Err(RedisUrlError::Unverified)),
                "{url}"
            );
        }
        for url in ["redis://localhost", "redis://[::1]", "rediss://10.0.0.1"] {
            assert!(options(url).is_ok(), "{url}");
        }
    }

    #[test]
    fn the_nodes_of_a_cluster_are_held_to_the_same() {
        let elsewhere = Address {
            host: "10.0.0.1".to_owned(),
            port: 7_000,
        };
        let open = options("redis://localhost").unwrap();
        let error = open.node(&elsewhere).unwrap_err();
        assert!(error.to_string().contains("10.0.0.1:7000"), "{error}");
        let over_tls = options("rediss://localhost").unwrap();
        let info = over_tls.node(&elsewhere).unwrap();
        assert!(
            matches!(info.addr(), ConnectionAddr::TcpTls { host, insecure: false, .. } if host == "10.0.0.1")
        );
    }

    #[test]
    fn an_authority_that_is_none_is_refused() {
        let over_tls = || options("rediss://cache.example").unwrap();
        for pem in ["", "no certificate", "-----BEGIN CERTIFICATE-----\n"] {
            assert!(over_tls().ca(pem.as_bytes()).is_err(), "{pem:?}");
        }
        let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
        assert!(matches!(
            over_tls().ca(key.as_bytes()),
            Err(RedisCaError::NoCertificate)
        ));
        let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let pem = certificate.cert.pem();
        assert!(over_tls().ca(pem.as_bytes()).is_ok());
        assert!(matches!(
            options("redis://localhost").unwrap().ca(pem.as_bytes()),
            Err(RedisCaError::NotOverTls)
        ));
    }
}
