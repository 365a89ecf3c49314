//! The listener for operators: `/metrics`, never on the public ports.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::http::header;
use axum::routing::get;
use ruggine_server::http::Listener;
use ruggine_server::metrics::PrometheusMetrics;
use tokio::net::TcpListener;

const READ_TIMEOUT: Duration = Duration::from_secs(10);
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(crate) async fn listen(
    address: SocketAddr,
    metrics: Arc<PrometheusMetrics>,
) -> anyhow::Result<(Listener, SocketAddr)> {
    let socket = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on ADMIN_ADDR {address}"))?;
    let bound = socket.local_addr()?;
    let router = Router::new()
        .route(
            "/metrics",
            get(move || async move { ([(header::CONTENT_TYPE, TEXT_FORMAT)], metrics.render()) }),
        )
        .route("/healthz", get(|| async { "ok\n" }));
    let listener = Listener {
        socket,
        router,
        tls: None,
        read_timeout: READ_TIMEOUT,
    };
    Ok((listener, bound))
}
