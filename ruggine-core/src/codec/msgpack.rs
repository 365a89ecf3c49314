//! MessagePack with named maps. A scanner measures every value before serde
//! reads it: depth, element counts, and declared lengths against the bytes
//! that are really there.

use bytes::Bytes;
use serde::Serialize;

use super::{Bounds, BoundsError, EncodeError, Encoding, FrameError, Raw};
use crate::error::ApiError;
use crate::frame::{ClientFrame, ServerFrame};
use crate::limits;

pub(super) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, EncodeError> {
    let mut bytes = Vec::with_capacity(256);
    value
        .serialize(&mut rmp_serde::Serializer::new(&mut bytes).with_struct_map())
        .map_err(|error| EncodeError(Box::new(error)))?;
    Ok(bytes.into())
}

pub(super) fn check_bounds(bytes: &[u8], bounds: Bounds) -> Result<(), BoundsError> {
    match value_end(bytes, bounds)? {
        end if end == bytes.len() => Ok(()),
        _ => Err(BoundsError::Trailing),
    }
}

/// Where the value that begins at the first byte ends.
fn value_end(bytes: &[u8], bounds: Bounds) -> Result<usize, BoundsError> {
    // How many values are still to come on each open level; level 0 is the value itself.
    let mut pending = [0usize; limits::SERVER_DEPTH_MAX + 1];
    pending[0] = 1;
    let mut depth = 0usize;
    let mut at = 0usize;
    loop {
        while pending[depth] == 0 {
            if depth == 0 {
                return Ok(at);
            }
            depth -= 1;
        }
        pending[depth] -= 1;
        let token = token(&bytes[at..])?;
        at = at.saturating_add(token.length);
        if at > bytes.len() {
            return Err(BoundsError::Truncated);
        }
        if let Some(count) = token.elements {
            if count > bounds.elements {
                return Err(BoundsError::TooManyElements(bounds.elements));
            }
            if depth == bounds.depth {
                return Err(BoundsError::TooDeep(bounds.depth));
            }
            depth += 1;
            pending[depth] = count * token.values_per_element;
        }
    }
}

const NIL: u8 = 0xc0;

pub(super) fn is_map(bytes: &[u8]) -> bool {
    token(bytes).is_ok_and(|token| token.values_per_element == 2)
}

struct Token {
    /// Bytes of the token: the whole of a scalar, the header of a container.
    length: usize,
    /// Elements of a container.
    elements: Option<usize>,
    values_per_element: usize,
}

const fn scalar(length: usize) -> Token {
    Token {
        length,
        elements: None,
        values_per_element: 0,
    }
}

const fn array(header: usize, elements: usize) -> Token {
    Token {
        length: header,
        elements: Some(elements),
        values_per_element: 1,
    }
}

const fn map(header: usize, elements: usize) -> Token {
    Token {
        length: header,
        elements: Some(elements),
        values_per_element: 2,
    }
}

/// The next token (MessagePack specification, "Formats").
fn token(bytes: &[u8]) -> Result<Token, BoundsError> {
    let (&marker, rest) = bytes.split_first().ok_or(BoundsError::Truncated)?;
    Ok(match marker {
        0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => scalar(1),
        0x80..=0x8f => map(1, usize::from(marker & 0x0f)),
        0x90..=0x9f => array(1, usize::from(marker & 0x0f)),
        0xa0..=0xbf => scalar(1 + usize::from(marker & 0x1f)),
        0xc4 | 0xd9 => scalar(2 + big_endian::<1>(rest)?),
        0xc5 | 0xda => scalar(3 + big_endian::<2>(rest)?),
        0xc6 | 0xdb => scalar(big_endian::<4>(rest)?.saturating_add(5)),
        0xcc | 0xd0 => scalar(2),
        0xcd | 0xd1 => scalar(3),
        0xca | 0xce | 0xd2 => scalar(5),
        0xcb | 0xcf | 0xd3 => scalar(9),
        0xdc => array(3, big_endian::<2>(rest)?),
        0xdd => array(5, big_endian::<4>(rest)?),
        0xde => map(3, big_endian::<2>(rest)?),
        0xdf => map(5, big_endian::<4>(rest)?),
        _ => return Err(BoundsError::UnsupportedType),
    })
}

fn big_endian<const N: usize>(bytes: &[u8]) -> Result<usize, BoundsError> {
    let bytes = bytes.first_chunk::<N>().ok_or(BoundsError::Truncated)?;
    Ok(bytes
        .iter()
        .fold(0, |number, byte| number << 8 | usize::from(*byte)))
}

/// The spans of a key and of its value.
type Field<'a> = (&'a [u8], &'a [u8]);

/// The fields of a map whose keys are strings, as spans. The map was measured.
fn fields(bytes: &[u8]) -> Result<Vec<Field<'_>>, BoundsError> {
    let header = token(bytes)?;
    let (Some(count), 2) = (header.elements, header.values_per_element) else {
        return Err(BoundsError::NotAMap);
    };
    let mut rest = &bytes[header.length..];
    let mut next = || {
        let end = value_end(rest, Bounds::SERVER)?;
        let (value, after) = rest.split_at(end);
        rest = after;
        Ok::<&[u8], BoundsError>(value)
    };
    // The count was checked against the element limit before.
    let mut fields = Vec::with_capacity(count.min(8));
    for _ in 0..count {
        fields.push((next()?, next()?));
    }
    Ok(fields)
}

fn field<'a>(fields: &[Field<'a>], name: &str) -> Result<Option<&'a [u8]>, BoundsError> {
    let mut found = None;
    for (key, value) in fields {
        if text(key) == Some(name) && found.replace(*value).is_some() {
            return Err(BoundsError::UnsupportedType);
        }
    }
    // Nil is as good as absent, as null is in JSON.
    Ok(found.filter(|value| *value != [NIL]))
}

fn text(value: &[u8]) -> Option<&str> {
    rmp::decode::read_str_from_slice(value)
        .ok()
        .map(|(text, _)| text)
}

fn number(value: Option<&[u8]>) -> Result<Option<u64>, rmp_serde::decode::Error> {
    value.map_or(Ok(None), rmp_serde::from_slice)
}

const fn raw(bytes: &[u8]) -> Raw<'_> {
    Raw {
        encoding: Encoding::MsgPack,
        bytes,
    }
}

pub(super) fn client_frame(bytes: &[u8]) -> Result<ClientFrame<'_>, FrameError> {
    let fields = fields(bytes)?;
    let id = number(field(&fields, "id")?)?.ok_or(BoundsError::UnsupportedType)?;
    let with_id = |error: FrameError| FrameError {
        id: Some(id),
        ..error
    };
    let rest = || -> Result<ClientFrame<'_>, FrameError> {
        let method = field(&fields, "method")?
            .and_then(text)
            .ok_or(BoundsError::UnsupportedType)?;
        Ok(ClientFrame {
            id,
            method: method.into(),
            params: field(&fields, "params")?.map_or(Raw::empty_map(Encoding::MsgPack), raw),
            write_counter: number(field(&fields, "write_counter")?)?,
        })
    };
    rest().map_err(with_id)
}

pub(super) fn server_frame(bytes: &[u8]) -> Result<ServerFrame<'_>, FrameError> {
    let fields = fields(bytes)?;
    let id = number(field(&fields, "id")?)?;
    let result = field(&fields, "result")?;
    let error = field(&fields, "error")?
        .map(rmp_serde::from_slice::<ApiError>)
        .transpose()?;
    let event = field(&fields, "event")?
        .map(|name| text(name).ok_or(BoundsError::UnsupportedType))
        .transpose()?;
    match (event, id, result, error) {
        (Some(name), None, None, None) => Ok(ServerFrame::Event {
            name: name.into(),
            data: field(&fields, "data")?.map_or(Raw::empty_map(Encoding::MsgPack), raw),
        }),
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
