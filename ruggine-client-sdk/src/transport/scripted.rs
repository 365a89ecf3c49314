//! A transport whose other end is the test.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use ruggine_core::codec::Encoding;
use tokio::sync::mpsc;

use super::{Closed, Connection, Received, Transport, TransportError};

/// Connections are handed to the test, which plays the server on them.
#[derive(Debug, Clone)]
pub struct ScriptedTransport {
    arrivals: mpsc::UnboundedSender<ServerEnd>,
    refusing: Arc<Mutex<bool>>,
}

/// The server's end of a scripted connection.
#[derive(Debug)]
pub struct ServerEnd {
    /// Frames that the client sent.
    pub from_client: mpsc::UnboundedReceiver<Bytes>,
    /// What the client receives. Dropping it loses the connection.
    pub to_client: mpsc::UnboundedSender<Received>,
}

/// The server's ends, in the order of the connections.
pub type Arrivals = mpsc::UnboundedReceiver<ServerEnd>;

impl ScriptedTransport {
    /// A transport, and where its connections arrive.
    #[must_use]
    pub fn new() -> (Self, Arrivals) {
        let (arrivals, receiver) = mpsc::unbounded_channel();
        let transport = Self {
            arrivals,
            refusing: Arc::default(),
        };
        (transport, receiver)
    }

    /// Refuses every connection from now on, or takes them again.
    pub fn refuse(&self, refusing: bool) {
        *self.refusing.lock() = refusing;
    }
}

impl Transport for ScriptedTransport {
    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Connection>, TransportError>> {
        Box::pin(async {
            if *self.refusing.lock() {
                return Err(TransportError::Unreachable("refused by the script".into()));
            }
            let (to_server, from_client) = mpsc::unbounded_channel();
            let (to_client, from_server) = mpsc::unbounded_channel();
            let end = ServerEnd {
                from_client,
                to_client,
            };
            self.arrivals
                .send(end)
                .map_err(|_| TransportError::Unreachable("the script is over".into()))?;
            let connection = ScriptedConnection {
                to_server,
                from_server,
            };
            Ok(Box::new(connection) as Box<dyn Connection>)
        })
    }
}

struct ScriptedConnection {
    to_server: mpsc::UnboundedSender<Bytes>,
    from_server: mpsc::UnboundedReceiver<Received>,
}

impl Connection for ScriptedConnection {
    fn encoding(&self) -> Encoding {
        Encoding::MsgPack
    }

    fn send(&mut self, frame: Bytes) -> BoxFuture<'_, Result<(), TransportError>> {
        let sent = self.to_server.send(frame);
        Box::pin(async move {
            sent.map_err(|_| TransportError::Lost("the script ended the connection".into()))
        })
    }

    fn ping(&mut self) -> BoxFuture<'_, Result<(), TransportError>> {
        Box::pin(async { Ok(()) })
    }

    fn next(&mut self) -> BoxFuture<'_, Received> {
        Box::pin(async {
            let received = self.from_server.recv().await;
            received.unwrap_or_else(|| Received::Closed(Closed::default()))
        })
    }
}
