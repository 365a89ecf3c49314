//! `POST /v1/<operation>`.

use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use ruggine_core::api::{Access, Method};
use ruggine_core::codec::{DecodeError, Encoding};
use ruggine_core::secret::SecretText;
use ruggine_core::{ApiError, ErrorCode};

use super::Edge;
use super::address::client_address;
use super::error::{JSON, MSGPACK, error_response, error_response_as, media_type};
use crate::edge::error::{api_error, plain_error};
use crate::edge::{self, Locale, Shape};
use crate::engine::{Caller, EngineError};

/// Bytes of a body: operations before a login are small.
const PUBLIC_BODY: usize = 4 * 1024;
const SESSION_BODY: usize = 256 * 1024;

pub(super) const WRITE_COUNTER: &str = "ruggine-write-counter";

pub(super) async fn handle(
    State(edge): State<Edge>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    // A name that is not UTF-8 is none of ours.
    let name = name.map_or_else(|_| String::new(), |Path(name)| name);
    let (parts, body) = request.into_parts();
    let locale = locale(&parts.headers);
    let encoding = match encoding(&parts.headers) {
        Ok(encoding) => encoding,
        Err(status) => {
            let error = plain_error(ErrorCode::BadFrame, locale);
            return error_response_as(status, &error, Encoding::Json);
        }
    };
    let address = client_address(&edge.config, &parts.extensions, &parts.headers);
    let mut caller = Caller::anonymous(address);
    match serve(&edge, &mut caller, &name, &parts.headers, body, encoding).await {
        Ok(body) => {
            let mut response = Response::new(Body::from(body));
            response.headers_mut().insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static(media_type(encoding)),
            );
            response
        }
        Err(Failure::Engine(error)) => error_response(&api_error(&error, locale), encoding),
        Err(Failure::Status(status, code)) => {
            let error: ApiError = plain_error(code, locale);
            error_response_as(status, &error, encoding)
        }
    }
}

enum Failure {
    Engine(EngineError),
    Status(StatusCode, ErrorCode),
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

async fn serve(
    edge: &Edge,
    caller: &mut Caller,
    name: &str,
    headers: &HeaderMap,
    body: Body,
    encoding: Encoding,
) -> Result<Bytes, Failure> {
    let method = Method::from_name(name).ok_or(EngineError::rejected(ErrorCode::UnknownMethod))?;
    if method.access() == Access::Session {
        // Nobody's body is read before it is known whose it is.
        let token = bearer(headers).ok_or(EngineError::rejected(ErrorCode::Unauthenticated))?;
        caller.principal = Some(edge.engine.authenticate(token).await?);
        caller.write_counter = write_counter(headers)?;
    }
    let most = match method.access() {
        Access::Public => PUBLIC_BODY,
        Access::Session => SESSION_BODY,
    };
    let body = read(body, most, edge.config.read_timeout).await?;
    let bytes = if body.is_empty() {
        empty_map(encoding)
    } else {
        body
    };
    let params = encoding.raw(&bytes).map_err(|error: DecodeError| {
        EngineError::detailed(ErrorCode::BadFrame, error.outline())
    })?;
    let answer = edge::call(&edge.engine, *caller, method, params, encoding, Shape::Body)?;
    Ok(answer.await?)
}

async fn read(body: Body, most: usize, timeout: Duration) -> Result<Bytes, Failure> {
    let collected = tokio::time::timeout(timeout, Limited::new(body, most).collect())
        .await
        .map_err(|_| Failure::Status(StatusCode::REQUEST_TIMEOUT, ErrorCode::BadFrame))?;
    match collected {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(EngineError::rejected(ErrorCode::FrameTooLarge).into())
        }
        Err(_) => Err(EngineError::rejected(ErrorCode::BadFrame).into()),
    }
}

const fn empty_map(encoding: Encoding) -> Bytes {
    match encoding {
        Encoding::Json => Bytes::from_static(b"{}"),
        Encoding::MsgPack => Bytes::from_static(&[0x80]),
    }
}

/// The encoding of a body. Compressed ones are refused: they are how a small
/// request becomes a large one.
fn encoding(headers: &HeaderMap) -> Result<Encoding, StatusCode> {
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Ok(Encoding::Json);
    };
    let essence = value
        .to_str()
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    if essence.eq_ignore_ascii_case(JSON) {
        Ok(Encoding::Json)
    } else if essence.eq_ignore_ascii_case(MSGPACK) {
        Ok(Encoding::MsgPack)
    } else {
        Err(StatusCode::UNSUPPORTED_MEDIA_TYPE)
    }
}

pub(super) fn locale(headers: &HeaderMap) -> Locale {
    headers
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok())
        .map_or_else(Locale::default, Locale::from_tags)
}

fn bearer(headers: &HeaderMap) -> Option<SecretText> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| SecretText::new(token.trim()))
}

fn write_counter(headers: &HeaderMap) -> Result<Option<u64>, EngineError> {
    let Some(value) = headers.get(WRITE_COUNTER) else {
        return Ok(None);
    };
    let number = value.to_str().ok().and_then(|text| text.parse().ok());
    number
        .map(Some)
        .ok_or_else(|| EngineError::detailed(ErrorCode::InvalidParams, WRITE_COUNTER))
}
