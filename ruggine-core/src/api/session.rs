//! Sessions: one per login, with a pair of tokens each.

use serde::{Deserialize, Serialize};

use crate::id::{DeviceId, SessionId};
use crate::secret::SecretText;
use crate::time::Timestamp;

/// A session's tokens. Both are opaque; the server keeps only their hashes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Tokens {
    /// Proves the session to every operation.
    pub access: SecretText,
    /// When the access token ends.
    pub access_expires_at: Timestamp,
    /// Exchanged for the next pair. It stays valid until its successor is used.
    pub refresh: SecretText,
    /// When the refresh token ends.
    pub refresh_expires_at: Timestamp,
}

/// Exchanges a refresh token for the next pair.
///
/// A response that was lost costs nothing: the same token may be exchanged
/// again until a successor, a refresh token too, has been used. After that, using it revokes the
/// session (`token_reused`), for two parties hold it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Refresh {
    /// The refresh token.
    pub refresh: SecretText,
}

/// Ends the calling session.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LogOut {}

/// Lists the caller's sessions.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct List {}

/// The caller's sessions.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Sessions {
    /// All that are neither revoked nor expired.
    pub sessions: Vec<Session>,
}

/// One login of one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Session {
    /// The session.
    pub id: SessionId,
    /// Its device.
    pub device: DeviceId,
    /// What the user calls the device.
    pub device_name: String,
    /// When it logged in.
    pub created_at: Timestamp,
    /// When it last said hello or refreshed its tokens.
    pub last_seen_at: Timestamp,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// Ends one of the caller's sessions; its sockets close within five seconds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Revoke {
    /// The session.
    pub session: SessionId,
}
