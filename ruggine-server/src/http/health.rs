//! `/healthz`: the process runs. `/readyz`: it can serve.

use axum::extract::State;
use axum::http::StatusCode;

use super::Edge;
use crate::engine::Readiness;

pub(super) async fn healthz() -> (StatusCode, &'static str) {
    (StatusCode::OK, "ok\n")
}

pub(super) async fn readyz(State(edge): State<Edge>) -> (StatusCode, &'static str) {
    const NOT_READY: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
    if edge.lifecycle.leaving.is_cancelled() {
        return (NOT_READY, "leaving\n");
    }
    match edge.engine.ready().await {
        Ok(Readiness::Ready) => (StatusCode::OK, "ready\n"),
        Ok(Readiness::Degraded) => (StatusCode::OK, "degraded: the bus is away\n"),
        Ok(Readiness::Stopping) => (NOT_READY, "stopping\n"),
        Err(error) => {
            tracing::warn!(%error, "not ready: the store does not answer");
            (NOT_READY, "the store does not answer\n")
        }
    }
}
