//! Opening a connection and learning what is new.

use serde::{Deserialize, Serialize};

use super::conversation::{ConversationKind, ProtectionMode};
use crate::id::{ConversationId, DeviceId, UserId};
use crate::secret::SecretText;
use crate::seq::{Incarnation, Seq};
use crate::version::ProtocolVersion;

/// The first frame of a WebSocket, within ten seconds of its opening.
///
/// From its answer on, every event of every conversation arrives; what was
/// written before stands in the heads, so nothing lies between.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Hello {
    /// An access token.
    pub token: SecretText,
    /// The protocol version of the client.
    pub protocol: ProtocolVersion,
    /// Language of error messages: `it` or `en`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// The log that the client's cursors count in; absent for a new device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<Incarnation>,
}

/// Asks for a page of heads.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HeadsRequest {
    /// The log that the client's cursors count in; absent for a new device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<Incarnation>,
    /// Begin after this conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<ConversationId>,
}

/// What is new for a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Heads {
    /// The calling user.
    pub user: UserId,
    /// The calling device.
    pub device: DeviceId,
    /// The server's log. Where it differs from the client's, every
    /// conversation is listed and the client compares its own cursors.
    pub incarnation: Incarnation,
    /// Conversations in which something is new, at most 500.
    pub conversations: Vec<Head>,
    /// Entries waiting in the device's key queue.
    pub queue_head: u64,
    /// What to pass as `after` to `sync.heads` to go on; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<ConversationId>,
}

/// Where a conversation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Head {
    /// The conversation.
    pub id: ConversationId,
    /// What it is.
    pub kind: ConversationKind,
    /// Who can read it.
    pub mode: ProtectionMode,
    /// The newest number that the caller may see.
    pub head: Seq,
    /// Up to where this device has reported the log as stored.
    pub cursor: Seq,
    /// Up to where the user has read.
    pub own_read: Seq,
    /// Grows with every change of the roster.
    pub roster_version: u64,
}
