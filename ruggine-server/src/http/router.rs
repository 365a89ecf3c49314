//! The routes.

use axum::Router;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::{get, post};
use ruggine_core::ErrorCode;
use ruggine_core::codec::Encoding;
use ruggine_core::version::WEBSOCKET_PATH;
use tower_http::catch_panic::CatchPanicLayer;

use super::error::{error_response, error_response_as};
use super::{Edge, health, openapi, operation, websocket};
use crate::edge::Locale;
use crate::edge::error::plain_error;
use crate::metrics::Measurement;

/// Everything: operations, WebSocket, health and the API's description.
pub(crate) fn api_router(edge: Edge) -> Router {
    let routes = Router::new()
        .route("/v1/openapi.json", get(openapi::handle))
        .route("/v1/{operation}", post(operation::handle))
        .route(WEBSOCKET_PATH, get(websocket::handle));
    with_common(routes, edge)
}

/// The WebSocket and health alone, for a port of its own.
pub(crate) fn websocket_router(edge: Edge) -> Router {
    with_common(
        Router::new().route(WEBSOCKET_PATH, get(websocket::handle)),
        edge,
    )
}

fn with_common(routes: Router<Edge>, edge: Edge) -> Router {
    let metrics = edge.engine.metrics().clone();
    let on_panic = move |_: Box<dyn std::any::Any + Send>| {
        metrics.record(Measurement::Panicked);
        let error = plain_error(ErrorCode::Internal, Locale::default());
        error_response(&error, Encoding::Json)
    };
    routes
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CatchPanicLayer::custom(on_panic))
        .layer(map_response(hardened))
        .with_state(edge)
}

async fn not_found() -> Response {
    let error = plain_error(ErrorCode::UnknownMethod, Locale::default());
    error_response(&error, Encoding::Json)
}

async fn method_not_allowed() -> Response {
    let error = plain_error(ErrorCode::UnknownMethod, Locale::default());
    error_response_as(StatusCode::METHOD_NOT_ALLOWED, &error, Encoding::Json)
}

/// Answers are for programs: no cache keeps them and no page shows them.
async fn hardened(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
        (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
        (HeaderName::from_static("referrer-policy"), "no-referrer"),
    ] {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    response
}
