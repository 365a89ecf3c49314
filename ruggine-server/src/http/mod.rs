//! The HTTP edge: one route per operation, made from the table of operations.

mod address;
mod error;
mod health;
mod network;
mod openapi;
mod operation;
mod router;
mod serve;
mod tls;
mod websocket;

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use network::{Network, NotANetwork};
pub use openapi::openapi_document;
pub(crate) use router::{api_router, websocket_router};
pub use serve::Listener;
pub use tls::{TlsConfig, TlsError};

use crate::engine::Engine;

/// How the edges behave.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EdgeConfig {
    /// Web pages, besides those of the server's own host, whose scripts may
    /// open a WebSocket, such as `https://chat.example.org`.
    pub allowed_origins: Vec<String>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
    /// How long a WebSocket may take to say hello.
    pub hello_timeout: Duration,
    /// Pause between two pings of a WebSocket.
    pub heartbeat: Duration,
    /// Silence after which a WebSocket is closed.
    pub silence: Duration,
    /// How long one write to a WebSocket may take.
    pub write_timeout: Duration,
    /// How long headers, a body or a TLS handshake may take.
    pub read_timeout: Duration,
}

impl Default for EdgeConfig {
    fn default() -> Self {
        Self {
            allowed_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            hello_timeout: Duration::from_secs(10),
            heartbeat: Duration::from_secs(25),
            silence: Duration::from_secs(60),
            write_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(10),
        }
    }
}

/// What every handler has.
#[derive(Debug, Clone)]
pub(crate) struct Edge {
    pub(crate) engine: Engine,
    pub(crate) config: std::sync::Arc<EdgeConfig>,
    pub(crate) lifecycle: Lifecycle,
}

/// How far the edges are on their way down.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lifecycle {
    /// `/readyz` says no.
    pub(crate) leaving: CancellationToken,
    /// WebSockets finish what they have taken and close.
    pub(crate) draining: CancellationToken,
    /// The time over which they do.
    pub(crate) spread: std::sync::Arc<parking_lot::Mutex<Duration>>,
    /// Every live WebSocket.
    pub(crate) sockets: TaskTracker,
}
