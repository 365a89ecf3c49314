//! The two encodings of the wire, JSON for people and other languages,
//! MessagePack for speed, and the bounds that hold before anything is parsed.
//!
//! Incoming bytes are scanned once for nesting, element counts and declared
//! lengths before serde sees them, so that no length that a peer declares sizes
//! an allocation and no depth reaches the stack.

mod json;
mod msgpack;

use std::fmt;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::frame::{ClientFrame, ServerFrame};
use crate::limits;

/// How a connection or an HTTP body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Text frames; byte strings as base64url, ids as text.
    Json,
    /// Binary frames of named maps; byte strings and ids raw.
    MsgPack,
}

/// Bytes that break a bound of the codec, or are not of the encoding at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BoundsError {
    /// Arrays and objects nest deeper than this.
    #[error("nested deeper than {0} levels")]
    TooDeep(usize),
    /// One array or object has too many elements.
    #[error("an array or object has more than {0} elements")]
    TooManyElements(usize),
    /// The bytes end inside a value.
    #[error("the data ends inside a value")]
    Truncated,
    /// Bytes follow the value.
    #[error("bytes follow the value")]
    Trailing,
    /// A request, a response, an event's data or a frame is not a map.
    #[error("not a map")]
    NotAMap,
    /// A marker that the protocol does not use.
    #[error("a value of a type that the protocol does not use")]
    UnsupportedType,
}

/// How much one side may nest and list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) depth: usize,
    pub(crate) elements: usize,
}

impl Bounds {
    pub(crate) const CLIENT: Self = Self {
        depth: limits::DEPTH_MAX,
        elements: limits::ELEMENTS_MAX,
    };
    pub(crate) const SERVER: Self = Self {
        depth: limits::SERVER_DEPTH_MAX,
        elements: limits::SERVER_ELEMENTS_MAX,
    };
}

/// Bytes that could not be read as the expected value.
///
/// The texts may quote what was sent, secrets included: they belong neither
/// into a log nor to a peer. [`DecodeError::outline`] does.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// A bound of the codec is broken.
    #[error(transparent)]
    Bounds(#[from] BoundsError),
    /// Not the expected value in JSON.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// Not the expected value in MessagePack.
    #[error("{0}")]
    MsgPack(#[from] rmp_serde::decode::Error),
}

impl DecodeError {
    /// What is wrong, without any value that was sent.
    #[must_use]
    pub fn outline(&self) -> String {
        let text = match self {
            Self::Bounds(error) => return error.to_string(),
            Self::Json(error) => error.to_string(),
            Self::MsgPack(error) => error.to_string(),
        };
        // serde's sentences name fields, or else quote a value before "expected".
        if text.starts_with("missing field") {
            return text;
        }
        match text.rsplit_once(", expected ") {
            Some((_, expected)) => format!("expected {expected}"),
            None => "not of the expected form".to_owned(),
        }
    }
}

/// A frame that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct FrameError {
    /// The frame's id, where it could still be read, so that the error can be
    /// given to the request that caused it.
    pub id: Option<u64>,
    /// What is wrong with the frame.
    #[source]
    pub reason: DecodeError,
}

impl<E: Into<DecodeError>> From<E> for FrameError {
    fn from(reason: E) -> Self {
        Self {
            id: None,
            reason: reason.into(),
        }
    }
}

/// A value that cannot be encoded, which only a hand-written serialiser can cause.
#[derive(Debug, thiserror::Error)]
#[error("the value cannot be encoded: {0}")]
pub struct EncodeError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// The bytes of one value inside a frame, not yet read.
#[derive(Clone, Copy)]
pub struct Raw<'a> {
    encoding: Encoding,
    bytes: &'a [u8],
}

impl<'a> Raw<'a> {
    /// Reads the value.
    ///
    /// # Errors
    /// When the bytes are not a `T`.
    pub fn decode<T: DeserializeOwned>(self) -> Result<T, DecodeError> {
        self.encoding.parse(self.bytes)
    }

    /// The bytes themselves.
    #[must_use]
    pub const fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    const fn empty_map(encoding: Encoding) -> Self {
        let bytes: &[u8] = match encoding {
            Encoding::Json => b"{}",
            Encoding::MsgPack => &[0x80],
        };
        Self { encoding, bytes }
    }
}

impl fmt::Debug for Raw<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The bytes may hold passwords, tokens and messages.
        write!(f, "Raw({:?}, {} bytes)", self.encoding, self.bytes.len())
    }
}

impl Encoding {
    /// Encodes a value.
    ///
    /// # Errors
    /// Never for what this crate sends; [`Item::Unknown`](crate::api::message::Item::Unknown)
    /// is only ever received.
    pub fn encode<T: Serialize + ?Sized>(self, value: &T) -> Result<Bytes, EncodeError> {
        match self {
            Self::Json => json::encode(value),
            Self::MsgPack => msgpack::encode(value),
        }
    }

    /// Bytes from a client as a value that is not yet read, once they are
    /// within a client's bounds and of the encoding.
    ///
    /// # Errors
    /// When the bytes break a bound, or are not of the encoding at all.
    pub fn raw(self, bytes: &[u8]) -> Result<Raw<'_>, DecodeError> {
        self.check_bounds(bytes, Bounds::CLIENT)?;
        if self == Self::Json {
            // MessagePack was measured whole with its bounds.
            serde_json::from_slice::<serde::de::IgnoredAny>(bytes)?;
        }
        Ok(Raw {
            encoding: self,
            bytes,
        })
    }

    /// Reads a whole value within a client's bounds.
    ///
    /// # Errors
    /// When the bytes break a bound or are not a `T`.
    pub fn decode<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, DecodeError> {
        self.check_bounds(bytes, Bounds::CLIENT)?;
        self.parse(bytes)
    }

    /// Reads a whole value within a server's wider bounds.
    ///
    /// # Errors
    /// When the bytes break a bound or are not a `T`.
    pub fn decode_from_server<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, DecodeError> {
        self.check_bounds(bytes, Bounds::SERVER)?;
        self.parse(bytes)
    }

    fn check_bounds(self, bytes: &[u8], bounds: Bounds) -> Result<(), BoundsError> {
        match self {
            Self::Json => json::check_bounds(bytes, bounds),
            Self::MsgPack => msgpack::check_bounds(bytes, bounds),
        }
    }

    fn parse<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, DecodeError> {
        // serde would also take a structure's fields as an array, by position.
        if !self.is_map(bytes) {
            return Err(BoundsError::NotAMap.into());
        }
        match self {
            Self::Json => Ok(serde_json::from_slice(bytes)?),
            Self::MsgPack => Ok(rmp_serde::from_slice(bytes)?),
        }
    }

    fn is_map(self, bytes: &[u8]) -> bool {
        match self {
            Self::Json => bytes.trim_ascii_start().first() == Some(&b'{'),
            Self::MsgPack => msgpack::is_map(bytes),
        }
    }

    pub(crate) fn decode_client_frame(self, bytes: &[u8]) -> Result<ClientFrame<'_>, FrameError> {
        self.check_bounds(bytes, Bounds::CLIENT)?;
        match self {
            Self::Json => json::client_frame(bytes),
            Self::MsgPack => msgpack::client_frame(bytes),
        }
    }

    pub(crate) fn decode_server_frame(self, bytes: &[u8]) -> Result<ServerFrame<'_>, FrameError> {
        self.check_bounds(bytes, Bounds::SERVER)?;
        match self {
            Self::Json => json::server_frame(bytes),
            Self::MsgPack => msgpack::server_frame(bytes),
        }
    }
}

pub(crate) use json::check_bounds as check_json_bounds;
