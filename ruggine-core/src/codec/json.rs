//! JSON: bounds by one pass over the bytes, spans by serde_json's raw values.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Bounds, BoundsError, EncodeError, Encoding, FrameError, Raw};
use crate::error::ApiError;
use crate::frame::{ClientFrame, ServerFrame};
use crate::limits;

pub(super) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, EncodeError> {
    serde_json::to_vec(value)
        .map(Bytes::from)
        .map_err(|error| EncodeError(Box::new(error)))
}

/// Counts nesting and commas outside strings. Whether the text is JSON at all
/// is left to the parser, which runs afterwards on text of bounded depth.
pub(crate) fn check_bounds(bytes: &[u8], bounds: Bounds) -> Result<(), BoundsError> {
    let mut commas = [0usize; limits::SERVER_DEPTH_MAX + 1];
    let mut depth = 0usize;
    let mut in_string = false;
    let mut rest = bytes.iter();
    while let Some(&byte) = rest.next() {
        match byte {
            b'"' => in_string = !in_string,
            b'\\' if in_string => {
                rest.next();
            }
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                if depth > bounds.depth {
                    return Err(BoundsError::TooDeep(bounds.depth));
                }
                commas[depth] = 0;
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => {
                commas[depth] += 1;
                if commas[depth] >= bounds.elements {
                    return Err(BoundsError::TooManyElements(bounds.elements));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct ClientFields<'a> {
    id: u64,
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
    #[serde(default)]
    write_counter: Option<u64>,
}

#[derive(Deserialize)]
struct IdOnly {
    id: u64,
}

#[derive(Deserialize)]
struct ServerFields<'a> {
    #[serde(default)]
    id: Option<u64>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<ApiError>,
    #[serde(borrow, default)]
    event: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

fn raw(value: &RawValue) -> Raw<'_> {
    Raw {
        encoding: Encoding::Json,
        bytes: value.get().as_bytes(),
    }
}

pub(super) fn client_frame(bytes: &[u8]) -> Result<ClientFrame<'_>, FrameError> {
    if !Encoding::Json.is_map(bytes) {
        return Err(BoundsError::NotAMap.into());
    }
    match serde_json::from_slice::<ClientFields<'_>>(bytes) {
        Ok(fields) => Ok(ClientFrame {
            id: fields.id,
            method: fields.method,
            params: fields.params.map_or(Raw::empty_map(Encoding::Json), raw),
            write_counter: fields.write_counter,
        }),
        Err(error) => Err(FrameError {
            id: serde_json::from_slice::<IdOnly>(bytes).ok().map(|f| f.id),
            reason: error.into(),
        }),
    }
}

pub(super) fn server_frame(bytes: &[u8]) -> Result<ServerFrame<'_>, FrameError> {
    if !Encoding::Json.is_map(bytes) {
        return Err(BoundsError::NotAMap.into());
    }
    let fields: ServerFields<'_> = serde_json::from_slice(bytes)?;
    let data = fields.data.map_or(Raw::empty_map(Encoding::Json), raw);
    match (fields.event, fields.id, fields.result, fields.error) {
        (Some(name), None, None, None) => Ok(ServerFrame::Event { name, data }),
        (None, Some(id), Some(result), None) => Ok(ServerFrame::Response {
            id,
            outcome: Ok(raw(result)),
        }),
        (None, Some(id), None, Some(error)) => Ok(ServerFrame::Response {
            id,
            outcome: Err(error),
        }),
        _ => Err(BoundsError::UnsupportedType.into()),
    }
}
