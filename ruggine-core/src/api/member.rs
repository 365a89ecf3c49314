//! Members of managed groups.

use serde::{Deserialize, Serialize};

use super::account::User;
use super::conversation::Role;
use crate::id::{ConversationId, UserId};
use crate::seq::Seq;

/// Lists members in the order of their ids.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct List {
    /// Of which conversation.
    pub conversation: ConversationId,
    /// Begin after this user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<UserId>,
}

/// A page of members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Members {
    /// The roster's version when it was read.
    pub roster_version: u64,
    /// At most 500.
    pub members: Vec<Member>,
    /// What to pass as `after` to go on; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<UserId>,
}

/// A member of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Member {
    /// The person.
    pub user: User,
    /// What they may do.
    pub role: Role,
    /// The first row that they may see.
    pub from_seq: Seq,
    /// Up to where at least one of their devices has the log.
    pub delivered: Seq,
    /// Up to where they have read.
    pub read: Seq,
}

/// Adds users to a group. Those who are members already stay as they are.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Add {
    /// The group.
    pub conversation: ConversationId,
    /// Whom to add, at most 100.
    pub users: Vec<UserId>,
}

/// Removes a user from a group.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Remove {
    /// The group.
    pub conversation: ConversationId,
    /// Whom to remove.
    pub user: UserId,
}

/// Leaves a group.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Leave {
    /// The group.
    pub conversation: ConversationId,
}

/// Gives a member another role.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ChangeRole {
    /// The group.
    pub conversation: ConversationId,
    /// Whose role.
    pub user: UserId,
    /// The new role.
    pub role: Role,
}

/// The roster after a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RosterChanged {
    /// The roster's version.
    pub roster_version: u64,
    /// The conversation's newest position, that of the notice where one was needed.
    pub head: Seq,
}
