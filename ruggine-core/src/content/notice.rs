//! What a managed conversation's log says about its own roster.

use serde::{Deserialize, Serialize};

use crate::api::conversation::{ConversationKind, Role};
use crate::id::UserId;

/// A change of the roster, written by the server as a row of kind `system`.
///
/// On the wire it is a one-key map, like content. The row's sender is the
/// member who acted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Notice {
    /// The conversation began.
    Created {
        /// What it is.
        kind: ConversationKind,
        /// Everybody in it, its creator among them.
        members: Vec<UserId>,
    },
    /// Somebody was added.
    Added {
        /// Who.
        users: Vec<UserId>,
    },
    /// Somebody was removed by the sender.
    Removed {
        /// Who.
        user: UserId,
    },
    /// The sender left.
    Left {},
    /// Somebody has another role now.
    RoleChanged {
        /// Who.
        user: UserId,
        /// The new role.
        role: Role,
    },
}

impl Notice {
    /// The bytes of the row's payload.
    #[must_use]
    pub fn to_payload(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a notice is plain data")
    }

    /// Reads a system row's payload; `None` for one of a newer server.
    #[must_use]
    pub fn from_payload(payload: &[u8]) -> Option<Self> {
        serde_json::from_slice(payload).ok()
    }
}
