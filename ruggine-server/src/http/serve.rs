//! Accepting connections, with a time-out on everything that a peer can delay.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::TlsConfig;

/// Headers of one request.
const HEADERS_MAX: usize = 64;
const HEADER_BYTES_MAX: usize = 16 * 1024;
/// Unacknowledged data after this long ends a connection.
const USER_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause after the system refuses a connection, for example for want of files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long idle connections may take to end when the server does.
const GRACE: Duration = Duration::from_secs(5);

/// A bound port and what it serves, with a time-out on headers and handshakes.
#[derive(Debug)]
pub struct Listener {
    /// The port.
    pub socket: TcpListener,
    /// What is served on it.
    pub router: Router,
    /// Speaks TLS where given.
    pub tls: Option<TlsConfig>,
    /// How long headers or a TLS handshake may take.
    pub read_timeout: Duration,
}

impl Listener {
    /// Serves until told to stop, then lets the requests under way finish.
    /// WebSockets are not waited for: they have an owner of their own.
    pub async fn run(self, stop: CancellationToken) {
        let connections = TaskTracker::new();
        let acceptor = self
            .tls
            .as_ref()
            .map(|tls| TlsAcceptor::from(tls.0.clone()));
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                () = stop.cancelled() => break,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let connection = Connection {
                peer,
                router: self.router.clone(),
                read_timeout: self.read_timeout,
                stop: stop.clone(),
            };
            connections.spawn(connection.run(stream, acceptor.clone()));
        }
        drop(self.socket);
        connections.close();
        if tokio::time::timeout(GRACE, connections.wait())
            .await
            .is_err()
        {
            tracing::warn!("some HTTP requests did not end in time");
        }
    }
}

struct Connection {
    peer: SocketAddr,
    router: Router,
    read_timeout: Duration,
    stop: CancellationToken,
}

impl Connection {
    async fn run(self, stream: TcpStream, acceptor: Option<TlsAcceptor>) {
        if let Err(error) = prepare(&stream) {
            tracing::debug!(%error, "a socket option was not set");
        }
        match acceptor {
            None => self.serve(stream).await,
            Some(acceptor) => {
                let handshake = tokio::time::timeout(self.read_timeout, acceptor.accept(stream));
                match handshake.await {
                    Ok(Ok(stream)) => self.serve(stream).await,
                    Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                    Err(_) => tracing::debug!("a TLS handshake took too long"),
                }
            }
        }
    }

    async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, stream: S) {
        let (peer, router) = (self.peer, self.router);
        let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            router.clone().oneshot(request.map(axum::body::Body::new))
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.read_timeout)
            .max_headers(HEADERS_MAX)
            .max_buf_size(HEADER_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = &mut connection => ended,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended with an error");
        }
    }
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(stream).set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(())
}
