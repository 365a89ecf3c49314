//! WebSocket with MessagePack frames, plain or over TLS.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{SinkExt, StreamExt};
use ruggine_core::codec::Encoding;
use ruggine_core::limits;
use ruggine_core::version::{SUBPROTOCOL_MSGPACK, WEBSOCKET_PATH};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::header::{ACCEPT_LANGUAGE, SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::tungstenite::http::{HeaderValue, Uri};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config};

use super::{Closed, Connection, Received, Transport, TransportError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
const WRITE_TIMEOUT: Duration = Duration::from_secs(15);
const BUFFER: usize = 4 * 1024;

/// Where a server is, such as `https://chat.example.org` or
/// `http://127.0.0.1:8443`. Without a port, 8443.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl {
    host: String,
    port: u16,
    tls: bool,
}

/// A text that names no server that may be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidServer {
    /// Not the address of a server.
    #[error(
        "not a server address: write it like https://chat.example.org or http://127.0.0.1:8443"
    )]
    Malformed,
    /// Plain text to another machine.
    #[error("{0} is not this machine, so the connection must be encrypted: use https")]
    Plaintext(String),
}

const DEFAULT_PORT: u16 = 8443;

impl FromStr for ServerUrl {
    type Err = InvalidServer;

    fn from_str(text: &str) -> Result<Self, InvalidServer> {
        let uri: Uri = text.trim().parse().map_err(|_| InvalidServer::Malformed)?;
        let tls = match uri.scheme_str() {
            Some("https" | "wss") => true,
            Some("http" | "ws") => false,
            _ => return Err(InvalidServer::Malformed),
        };
        let host = uri.host().ok_or(InvalidServer::Malformed)?.to_owned();
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(InvalidServer::Malformed);
        }
        if !tls && !is_loopback(&host) {
            return Err(InvalidServer::Plaintext(host));
        }
        Ok(Self {
            host,
            port: uri.port_u16().unwrap_or(DEFAULT_PORT),
            tls,
        })
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Connects to one server over WebSocket.
#[derive(Clone)]
pub struct WebSocketTransport {
    server: ServerUrl,
    tls: Arc<ClientConfig>,
    language: Option<HeaderValue>,
}

impl fmt::Debug for WebSocketTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketTransport")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl WebSocketTransport {
    /// A transport that trusts the public certificate authorities.
    #[must_use]
    pub fn new(server: ServerUrl) -> Self {
        Self::trusting(server, &[])
    }

    /// A transport that trusts these authorities besides the public ones, for
    /// a server with a certificate of its own.
    ///
    /// # Panics
    /// Never: the cryptographic provider offers the default versions of TLS.
    #[must_use]
    pub fn trusting(server: ServerUrl, authorities: &[CertificateDer<'static>]) -> Self {
        let mut roots = RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        for authority in authorities {
            if let Err(error) = roots.add(authority.clone()) {
                tracing::warn!(%error, "a certificate authority cannot be used");
            }
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider offers the default versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            server,
            tls: Arc::new(tls),
            language: None,
        }
    }

    /// Asks for error messages in this language also before a login: a tag such
    /// as `it`, or a locale such as `it_IT.UTF-8`.
    #[must_use]
    pub fn speaking(mut self, locale: &str) -> Self {
        let tag = locale.split(['.', '@']).next().unwrap_or_default();
        self.language = HeaderValue::from_str(&tag.replace('_', "-")).ok();
        self
    }

    async fn open(&self) -> Result<WebSocket, TransportError> {
        let scheme = if self.server.tls { "wss" } else { "ws" };
        let address = format!("{}:{}", self.server.host, self.server.port);
        let stream = TcpStream::connect(&address).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        let mut request = format!("{scheme}://{address}{WEBSOCKET_PATH}")
            .into_client_request()
            .map_err(|error| TransportError::NotAServer(error.to_string()))?;
        request.headers_mut().insert(
            SEC_WEBSOCKET_PROTOCOL,
            HeaderValue::from_static(SUBPROTOCOL_MSGPACK),
        );
        if let Some(language) = &self.language {
            request
                .headers_mut()
                .insert(ACCEPT_LANGUAGE, language.clone());
        }
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(BUFFER)
            .max_message_size(Some(limits::SERVER_FRAME_MAX))
            .max_frame_size(Some(limits::SERVER_FRAME_MAX));
        let connector = if self.server.tls {
            Connector::Rustls(Arc::clone(&self.tls))
        } else {
            Connector::Plain
        };
        let (stream, response) =
            client_async_tls_with_config(request, stream, Some(config), Some(connector))
                .await
                .map_err(handshake)?;
        let agreed = response.headers().get(SEC_WEBSOCKET_PROTOCOL);
        if agreed.is_none_or(|protocol| protocol != SUBPROTOCOL_MSGPACK) {
            return Err(TransportError::NotAServer(
                "it does not speak this protocol".to_owned(),
            ));
        }
        Ok(WebSocket(stream))
    }
}

impl Transport for WebSocketTransport {
    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Connection>, TransportError>> {
        Box::pin(async {
            let opened = tokio::time::timeout(CONNECT_TIMEOUT, self.open())
                .await
                .map_err(unreachable)??;
            Ok(Box::new(opened) as Box<dyn Connection>)
        })
    }
}

fn unreachable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> TransportError {
    TransportError::Unreachable(error.into())
}

fn handshake(error: Error) -> TransportError {
    match error {
        Error::Http(response) => {
            TransportError::NotAServer(format!("it answered {}", response.status()))
        }
        Error::Io(error) => {
            let certificate = error
                .get_ref()
                .and_then(|inner| inner.downcast_ref::<rustls::Error>())
                .is_some_and(|tls| matches!(tls, rustls::Error::InvalidCertificate(_)));
            if certificate {
                TransportError::Certificate(Box::new(error))
            } else {
                unreachable(error)
            }
        }
        Error::Tls(error) => TransportError::Certificate(Box::new(error)),
        error => TransportError::NotAServer(error.to_string()),
    }
}

struct WebSocket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl WebSocket {
    async fn write(&mut self, message: Message) -> Result<(), TransportError> {
        match tokio::time::timeout(WRITE_TIMEOUT, self.0.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(TransportError::Lost(Box::new(error))),
            Err(error) => Err(TransportError::Lost(Box::new(error))),
        }
    }
}

impl Connection for WebSocket {
    fn encoding(&self) -> Encoding {
        Encoding::MsgPack
    }

    fn send(&mut self, frame: Bytes) -> BoxFuture<'_, Result<(), TransportError>> {
        Box::pin(self.write(Message::Binary(frame)))
    }

    fn ping(&mut self) -> BoxFuture<'_, Result<(), TransportError>> {
        Box::pin(self.write(Message::Ping(Bytes::new())))
    }

    fn next(&mut self) -> BoxFuture<'_, Received> {
        Box::pin(async {
            match self.0.next().await {
                Some(Ok(Message::Binary(frame))) => Received::Frame(frame),
                Some(Ok(Message::Close(frame))) => Received::Closed(Closed {
                    code: frame.as_ref().map(|frame| frame.code.into()),
                    retry_in: frame.and_then(|frame| retry_in(&frame.reason)),
                }),
                Some(Ok(_)) => Received::Alive,
                Some(Err(error)) => {
                    tracing::debug!(%error, "the connection was lost");
                    Received::Closed(Closed::default())
                }
                None => Received::Closed(Closed::default()),
            }
        })
    }
}

fn retry_in(reason: &str) -> Option<Duration> {
    let millis = reason.strip_prefix("retry_in_ms=")?.parse().ok()?;
    Some(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_for_this_machine_only() {
        for local in ["http://127.0.0.1:1", "ws://localhost", "http://[::1]:8443/"] {
            assert!(local.parse::<ServerUrl>().is_ok(), "{local}");
        }
        assert_eq!(
            "http://chat.example.org".parse::<ServerUrl>(),
            Err(InvalidServer::Plaintext("chat.example.org".to_owned()))
        );
        assert!("https://chat.example.org".parse::<ServerUrl>().is_ok());
    }

    #[test]
    fn what_is_no_server_address_is_refused() {
        for bad in [
            "",
            "chat",
            "ftp://x",
            "https://",
            "https://x/path",
            "https://x/?q=1",
        ] {
            assert_eq!(
                bad.parse::<ServerUrl>(),
                Err(InvalidServer::Malformed),
                "{bad}"
            );
        }
    }
}
