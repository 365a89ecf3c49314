//! From an HTTP request to a WebSocket.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use ruggine_core::ErrorCode;
use ruggine_core::codec::Encoding;
use ruggine_core::version::{SUBPROTOCOL_JSON, SUBPROTOCOL_MSGPACK};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::address::client_address;
use super::error::error_response_as;
use super::operation::locale;
use super::{Edge, EdgeConfig};
use crate::edge::error::{api_error, plain_error};
use crate::engine::{EngineError, RefusedSocket};
use crate::ws;

pub(super) async fn handle(State(edge): State<Edge>, mut request: Request) -> Response {
    let locale = locale(request.headers());
    let refuse =
        |status, code| error_response_as(status, &plain_error(code, locale), Encoding::Json);
    if edge.lifecycle.draining.is_cancelled() {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable);
    }
    if !origin_is_allowed(&edge.config, request.headers()) {
        return refuse(StatusCode::FORBIDDEN, ErrorCode::Forbidden);
    }
    let (Some(key), Some(upgrade)) = (
        websocket_key(request.headers()),
        request.extensions_mut().remove::<OnUpgrade>(),
    ) else {
        let mut response = refuse(StatusCode::UPGRADE_REQUIRED, ErrorCode::BadFrame);
        let headers = response.headers_mut();
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(
            header::SEC_WEBSOCKET_VERSION,
            HeaderValue::from_static("13"),
        );
        return response;
    };
    let Some((encoding, protocol)) = subprotocol(request.headers()) else {
        return refuse(StatusCode::BAD_REQUEST, ErrorCode::UnsupportedProtocol);
    };
    let address = client_address(&edge.config, request.extensions(), request.headers());
    let arrival = match edge.engine.arrive(address) {
        Ok(arrival) => arrival,
        Err(RefusedSocket::Busy { retry_after }) => {
            let error = EngineError::Limited {
                code: ErrorCode::Overloaded,
                retry_after,
            };
            return error_response_as(
                StatusCode::SERVICE_UNAVAILABLE,
                &api_error(&error, locale),
                Encoding::Json,
            );
        }
        Err(RefusedSocket::TooMany) => {
            return refuse(StatusCode::TOO_MANY_REQUESTS, ErrorCode::TooManyConnections);
        }
    };
    let sockets = edge.lifecycle.sockets.clone();
    sockets.spawn(async move {
        match upgrade.await {
            Ok(stream) => {
                let connection = ws::Connection::new(edge, encoding, address, locale, arrival);
                connection.run(TokioIo::new(stream)).await;
            }
            Err(error) => tracing::debug!(%error, "a WebSocket was not opened"),
        }
    });
    switching(&key, protocol)
}

fn switching(key: &str, protocol: Option<&'static str>) -> Response {
    let mut response = Response::new(axum::body::Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    if let Ok(accept) = HeaderValue::from_str(&derive_accept_key(key.as_bytes())) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    if let Some(protocol) = protocol {
        headers.insert(
            header::SEC_WEBSOCKET_PROTOCOL,
            HeaderValue::from_static(protocol),
        );
    }
    response
}

/// The key of a handshake that is one (RFC 6455 section 4.2.1).
fn websocket_key(headers: &HeaderMap) -> Option<String> {
    let lists = |name, token: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|item| item.trim().eq_ignore_ascii_case(token))
    };
    let is_handshake = lists(header::UPGRADE, "websocket")
        && lists(header::CONNECTION, "upgrade")
        && lists(header::SEC_WEBSOCKET_VERSION, "13");
    let key = headers.get(header::SEC_WEBSOCKET_KEY)?.to_str().ok()?;
    // Sixteen bytes in base64.
    let is_key = key.len() == 24
        && key.ends_with("==")
        && key[..22]
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'));
    (is_handshake && is_key).then(|| key.to_owned())
}

/// The first subprotocol offered that is ours. Who offers none speaks JSON;
/// who offers only others is refused.
fn subprotocol(headers: &HeaderMap) -> Option<(Encoding, Option<&'static str>)> {
    let mut offered = headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .peekable();
    if offered.peek().is_none() {
        return Some((Encoding::Json, None));
    }
    offered.find_map(|name| match name {
        SUBPROTOCOL_JSON => Some((Encoding::Json, Some(SUBPROTOCOL_JSON))),
        SUBPROTOCOL_MSGPACK => Some((Encoding::MsgPack, Some(SUBPROTOCOL_MSGPACK))),
        _ => None,
    })
}

/// Programs send no origin. Browsers do, and only pages of this host or of the
/// list may speak for their user (ASVS 5.0, V4.4.2).
fn origin_is_allowed(config: &EdgeConfig, headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let Ok(origin) = origin.to_str() else {
        return false;
    };
    if config.allowed_origins.iter().any(|known| known == origin) {
        return true;
    }
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    host.is_some() && authority == host
}
