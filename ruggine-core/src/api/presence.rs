//! What is never stored: who is typing and who is online.

use serde::{Deserialize, Serialize};

use crate::id::{ConversationId, UserId};

/// Tells the other members that the user is typing, or has stopped.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SetTyping {
    /// Where.
    pub conversation: ConversationId,
    /// Whether the user is typing.
    pub active: bool,
}

/// Asks which users are online. Users who share no conversation with the
/// caller are left out of the answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Query {
    /// At most 100.
    pub users: Vec<UserId>,
}

/// Who is online.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Presences {
    /// One entry for each user whom the caller may see.
    pub presences: Vec<Presence>,
}

/// Whether a user has a live connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Presence {
    /// Who.
    pub user: UserId,
    /// Whether at least one of their devices is connected.
    pub online: bool,
}
