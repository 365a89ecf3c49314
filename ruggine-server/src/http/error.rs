//! Errors as HTTP: the only place that knows status numbers.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use ruggine_core::codec::Encoding;
use ruggine_core::{ApiError, ErrorCode};
use serde::Serialize;

pub(super) const JSON: &str = "application/json";
pub(super) const MSGPACK: &str = "application/msgpack";

/// The body of a failed request.
#[derive(Debug, Serialize)]
struct ErrorBody<'a> {
    error: &'a ApiError,
}

pub(super) const fn media_type(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Json => JSON,
        Encoding::MsgPack => MSGPACK,
    }
}

const fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::Unauthenticated | ErrorCode::InvalidCredentials | ErrorCode::TokenReused => {
            StatusCode::UNAUTHORIZED
        }
        ErrorCode::Forbidden | ErrorCode::Refused => StatusCode::FORBIDDEN,
        ErrorCode::UnknownMethod
        | ErrorCode::UserNotFound
        | ErrorCode::ConversationNotFound
        | ErrorCode::SessionNotFound
        | ErrorCode::MessageNotFound => StatusCode::NOT_FOUND,
        ErrorCode::UsernameTaken
        | ErrorCode::WrongMode
        | ErrorCode::LastOwner
        | ErrorCode::NotAMember
        | ErrorCode::LimitReached
        | ErrorCode::ConversationExists
        | ErrorCode::IdempotencyConflict
        | ErrorCode::StaleEpoch
        | ErrorCode::IdentityConflict
        | ErrorCode::DeviceRestored => StatusCode::CONFLICT,
        ErrorCode::FrameTooLarge | ErrorCode::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::RateLimited | ErrorCode::TooManyConnections => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::Overloaded | ErrorCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::Undecryptable | ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    }
}

pub(super) fn error_response(error: &ApiError, encoding: Encoding) -> Response {
    error_response_as(status(error.code), error, encoding)
}

pub(super) fn error_response_as(
    status: StatusCode,
    error: &ApiError,
    encoding: Encoding,
) -> Response {
    let body = encoding.encode(&ErrorBody { error }).unwrap_or_default();
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(media_type(encoding)),
    );
    if let Some(millis) = error.retry_after_ms {
        headers.insert(header::RETRY_AFTER, millis.div_ceil(1_000).into());
    }
    response
}
