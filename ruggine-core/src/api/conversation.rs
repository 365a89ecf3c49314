//! Conversations: what they are and how they begin.

use serde::{Deserialize, Serialize};

use crate::id::{ConversationId, UserId};
use crate::seq::Seq;
use crate::time::Timestamp;
use crate::wire_enum::wire_enum;

wire_enum! {
    /// What a conversation is.
    pub enum ConversationKind {
        /// Between two users, unique per pair and mode.
        Direct = "direct",
        /// Among any number of users.
        Group = "group",
    }
}

wire_enum! {
    /// Who can read a conversation. Fixed when it is created.
    pub enum ProtectionMode {
        /// Encrypted between devices; the server reads nothing.
        E2ee = "e2ee",
        /// Sealed at rest by the server, which can read it.
        Managed = "managed",
    }
}

wire_enum! {
    /// What a member may do, see [`crate::policy`].
    pub enum Role {
        /// Everything, also to other owners.
        Owner = "owner",
        /// Adds anybody, removes plain members, changes the title.
        Admin = "admin",
        /// Reads and writes.
        Member = "member",
    }
}

/// Creates a conversation.
///
/// A direct conversation that exists for the pair and mode is returned as it
/// is. For a group, the same `id` sent again by the same user returns the
/// group it made, so a lost response makes no second one.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Create {
    /// What it shall be.
    pub kind: ConversationKind,
    /// Who shall be able to read it.
    pub mode: ProtectionMode,
    /// The others: exactly one for a direct conversation, up to 100 for a group.
    pub members: Vec<UserId>,
    /// The group's id, chosen by the client; the server chooses where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<ConversationId>,
}

/// Lists the caller's conversations in the order of their ids.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct List {
    /// Begin after this conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<ConversationId>,
}

/// A page of conversations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Conversations {
    /// At most 500.
    pub conversations: Vec<Conversation>,
    /// What to pass as `after` to go on; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<ConversationId>,
}

/// Returns one conversation.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Get {
    /// Which.
    pub conversation: ConversationId,
}

/// Says which conversation the user has before them, on every live socket of
/// the calling session.
///
/// In a group of more than a thousand members, a socket that does not have it
/// in focus is told where its log stands, at most once in two seconds, instead
/// of each message. Forgotten when the socket closes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Focus {
    /// Which; absent for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationId>,
}

/// A conversation, as the calling user sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Conversation {
    /// The conversation.
    pub id: ConversationId,
    /// What it is.
    pub kind: ConversationKind,
    /// Who can read it.
    pub mode: ProtectionMode,
    /// When it was created.
    pub created_at: Timestamp,
    /// The newest position that the caller may see.
    pub head: Seq,
    /// Grows with every change of the roster.
    pub roster_version: u64,
    /// How many members it has.
    pub member_count: u32,
    /// The caller's role; absent for one who is no longer a member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Up to where the caller has read.
    pub own_read: Seq,
    /// The other user of a direct conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<UserId>,
}
