//! Protocol versions and the names under which a WebSocket negotiates them.

use serde::{Deserialize, Serialize};

/// A protocol version, as sent in `hello`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct ProtocolVersion(u16);

impl ProtocolVersion {
    /// The version that this crate speaks.
    pub const CURRENT: Self = Self(1);

    /// The version with this number.
    #[must_use]
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// The number itself.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// WebSocket subprotocol of text frames that hold JSON.
pub const SUBPROTOCOL_JSON: &str = "ruggine.v1.json";
/// WebSocket subprotocol of binary frames that hold MessagePack.
pub const SUBPROTOCOL_MSGPACK: &str = "ruggine.v1.msgpack";
/// Path of the WebSocket endpoint.
pub const WEBSOCKET_PATH: &str = "/v1/ws";
