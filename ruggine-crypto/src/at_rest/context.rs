//! What a record is bound to.

use ruggine_core::{ConversationId, DeviceId, Timestamp, UserId};

use super::master_key::KeyId;
use super::{ALGORITHM, Meta};

/// What a record is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Purpose {
    /// A row of a conversation's log.
    Message,
    /// What a user says about themselves.
    Profile,
    /// A record that proves at start that a key is the right one.
    KeyCheck,
}

impl Purpose {
    /// The name in the associated data and in the stored record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Profile => "profile",
            Self::KeyCheck => "key-check",
        }
    }
}

/// Whose derived key seals a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// A conversation's.
    Conversation(ConversationId),
    /// A user's.
    User(UserId),
    /// The whole database's.
    Database,
}

impl Scope {
    /// The byte that keeps ids of different kinds apart.
    pub(super) const fn kind(&self) -> u8 {
        match self {
            Self::Conversation(_) => 1,
            Self::User(_) => 2,
            Self::Database => 3,
        }
    }

    /// The id's bytes.
    pub(super) const fn id(&self) -> &[u8; 16] {
        match self {
            Self::Conversation(id) => id.as_bytes(),
            Self::User(id) => id.as_bytes(),
            Self::Database => &[0; 16],
        }
    }
}

/// The columns of the row that holds a record. Sealing binds the record to
/// them and opening rebuilds them from the row, never from the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordContext {
    /// What the record is for.
    pub purpose: Purpose,
    /// Whose derived key seals it.
    pub scope: Scope,
    /// The record's own id; the `client_msg_id` of a message.
    pub record: [u8; 16],
    /// Who wrote it.
    pub sender: UserId,
    /// On which device.
    pub device: DeviceId,
    /// When the server took it.
    pub ts: Timestamp,
    /// What the plaintext is, such as the row's kind.
    pub content_type: &'static str,
}

const LABEL: &[u8] = b"ruggine/at-rest/v1";

impl RecordContext {
    /// The associated data: every field with its length before it, so that no
    /// two contexts spell the same bytes.
    pub(super) fn associated_data(&self, kid: KeyId) -> Vec<u8> {
        let fields: [&[u8]; 10] = [
            LABEL,
            ALGORITHM.as_bytes(),
            kid.as_bytes(),
            self.purpose.as_str().as_bytes(),
            self.scope.id(),
            &self.record,
            self.sender.as_bytes(),
            self.device.as_bytes(),
            &self.ts.as_millis().to_be_bytes(),
            self.content_type.as_bytes(),
        ];
        let mut data = Vec::with_capacity(192);
        for field in fields {
            let length = u16::try_from(field.len()).expect("ids and names are short");
            data.extend_from_slice(&length.to_be_bytes());
            data.extend_from_slice(field);
        }
        data
    }

    /// The same columns as they are written beside the ciphertext, for people
    /// and tools that read a record.
    #[must_use]
    pub fn meta(&self) -> Meta {
        Meta {
            purpose: self.purpose.as_str().into(),
            conv: self.scope.id().into(),
            msg: self.record.into(),
            sender: self.sender.as_bytes().into(),
            device: self.device.as_bytes().into(),
            ts: self.ts.as_millis(),
        }
    }
}
