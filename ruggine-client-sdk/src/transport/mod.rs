//! The seam to the network: whole frames, both ways.

#[cfg(feature = "testing")]
pub mod scripted;
mod websocket;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use ruggine_core::codec::Encoding;

pub use websocket::{InvalidServer, ServerUrl, WebSocketTransport};

/// A connection that could not be made or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The server cannot be reached.
    #[error("the server cannot be reached: {0}")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The server's certificate is not trusted.
    #[error("the server's certificate is not trusted: {0}")]
    Certificate(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What answers is no server of this protocol.
    #[error("no Ruggine server answers there: {0}")]
    NotAServer(String),
    /// The connection was lost.
    #[error("the connection was lost: {0}")]
    Lost(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Closed {
    /// The close code, where the server gave one.
    pub code: Option<u16>,
    /// How long the server asks to stay away.
    pub retry_in: Option<std::time::Duration>,
}

/// What a connection brings.
#[derive(Debug)]
pub enum Received {
    /// A frame in the connection's encoding.
    Frame(Bytes),
    /// A sign of life.
    Alive,
    /// The end.
    Closed(Closed),
}

/// An open connection.
pub trait Connection: Send {
    /// How its frames are encoded.
    fn encoding(&self) -> Encoding;

    /// Sends a frame.
    ///
    /// # Errors
    /// When the connection is lost.
    fn send(&mut self, frame: Bytes) -> BoxFuture<'_, Result<(), TransportError>>;

    /// Asks for a sign of life.
    ///
    /// # Errors
    /// When the connection is lost.
    fn ping(&mut self) -> BoxFuture<'_, Result<(), TransportError>>;

    /// What comes next. Cancel safe.
    fn next(&mut self) -> BoxFuture<'_, Received>;
}

/// Makes connections to one server.
pub trait Transport: Send + Sync + std::fmt::Debug + 'static {
    /// Connects once. Trying again is the client's part.
    ///
    /// # Errors
    /// When no connection can be made.
    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Connection>, TransportError>>;
}
