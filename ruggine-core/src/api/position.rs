//! Receipts: cumulative positions, never rows of the log.

use serde::{Deserialize, Serialize};

use crate::id::ConversationId;
use crate::seq::Seq;

/// Reports that this device has stored the log up to a number.
///
/// Positions only move forward; an older or repeated one is harmless, one
/// beyond the caller's head is cut to it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Delivered {
    /// Of which conversation.
    pub conversation: ConversationId,
    /// Up to and with this number.
    pub seq: Seq,
}

/// Reports that the user has read up to a number, on any device.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Read {
    /// Of which conversation.
    pub conversation: ConversationId,
    /// Up to and with this number.
    pub seq: Seq,
}
