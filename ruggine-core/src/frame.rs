//! Frames: what wraps a request, a response or an event on a WebSocket.
//!
//! ```text
//! client  {"id":7,"method":"message.send","params":{…},"write_counter":12}
//! server  {"id":7,"result":{…}}   or   {"id":7,"error":{…}}
//! server  {"event":"message","data":{…}}
//! ```
//!
//! Incoming frames keep `params`, `result` and `data` as [`Raw`] spans of the
//! received bytes until the method or event is known.

use std::borrow::Cow;

use serde::Serialize;

use crate::codec::{Encoding, FrameError, Raw};
use crate::error::ApiError;

/// A request frame that is being sent.
#[derive(Debug, Serialize)]
pub struct RequestFrame<'a, T> {
    /// Chosen by the client and repeated in the response.
    pub id: u64,
    /// The operation's name.
    pub method: &'a str,
    /// The operation's request.
    pub params: &'a T,
    /// How often the client's local store has been written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_counter: Option<u64>,
}

/// A successful response that is being sent.
#[derive(Debug, Serialize)]
pub struct ResultFrame<'a, T> {
    /// The request's id.
    pub id: u64,
    /// The operation's response.
    pub result: &'a T,
}

/// A failed response that is being sent.
#[derive(Debug, Serialize)]
pub struct ErrorFrame<'a> {
    /// The request's id.
    pub id: u64,
    /// What went wrong.
    pub error: &'a ApiError,
}

/// An event that is being sent.
#[derive(Debug, Serialize)]
pub struct EventFrame<'a, T> {
    /// The event's name.
    pub event: &'a str,
    /// The event's data.
    pub data: &'a T,
}

/// A request frame as received.
#[derive(Debug, Clone)]
pub struct ClientFrame<'a> {
    /// To be repeated in the response.
    pub id: u64,
    /// The operation's name, not yet known to exist.
    pub method: Cow<'a, str>,
    /// The request, not yet read.
    pub params: Raw<'a>,
    /// The client's write counter, where it has a local store.
    pub write_counter: Option<u64>,
}

/// A frame from a server as received.
#[derive(Debug)]
pub enum ServerFrame<'a> {
    /// The answer to a request.
    Response {
        /// The request's id.
        id: u64,
        /// The response, not yet read, or what went wrong.
        outcome: Result<Raw<'a>, ApiError>,
    },
    /// Something happened.
    Event {
        /// The event's name, which may be one of a newer server.
        name: Cow<'a, str>,
        /// Its data, not yet read.
        data: Raw<'a>,
    },
}

impl<'a> ClientFrame<'a> {
    /// Reads a frame from a client.
    ///
    /// # Errors
    /// When the bytes are not a frame in `encoding` or break a limit; the error
    /// carries the request's id where that could still be read.
    pub fn decode(encoding: Encoding, bytes: &'a [u8]) -> Result<Self, FrameError> {
        encoding.decode_client_frame(bytes)
    }
}

impl<'a> ServerFrame<'a> {
    /// Reads a frame from a server.
    ///
    /// # Errors
    /// When the bytes are not a frame in `encoding` or break a limit.
    pub fn decode(encoding: Encoding, bytes: &'a [u8]) -> Result<Self, FrameError> {
        encoding.decode_server_frame(bytes)
    }
}
