//! What a server tells without being asked.

use serde::{Deserialize, Serialize};

use crate::api::message::Item;
use crate::api::presence::Presence;
use crate::codec::{DecodeError, EncodeError, Encoding, Raw};
use crate::frame::EventFrame;
use crate::id::{ConversationId, UserId};
use crate::seq::{Incarnation, Seq};

/// A new entry of a conversation's log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MessageEvent {
    /// Which conversation.
    pub conversation: ConversationId,
    /// The log in which the number counts.
    pub incarnation: Incarnation,
    /// The roster's version when the entry was delivered.
    pub roster_version: u64,
    /// The entry. A client applies it only at its cursor + 1.
    pub item: Item,
}

/// A member's position moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PositionEvent {
    /// Which conversation.
    pub conversation: ConversationId,
    /// Whose position.
    pub user: UserId,
    /// The new position.
    pub seq: Seq,
}

/// A member is typing, or has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TypingEvent {
    /// Which conversation.
    pub conversation: ConversationId,
    /// Who.
    pub user: UserId,
    /// Whether they are typing.
    pub active: bool,
}

/// The connection was too slow and events were left out: where the affected
/// conversations stand now, so that the client can read the ranges it lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ResyncEvent {
    /// The conversations, and the newest number left out of each.
    pub heads: Vec<HeadMark>,
}

/// A conversation's newest number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HeadMark {
    /// The conversation.
    pub conversation: ConversationId,
    /// Its newest number.
    pub head: Seq,
}

macro_rules! events {
    ($( $(#[$meta:meta])* $variant:ident($data:ty) = $name:literal, )+) => {
        /// Something that happened.
        #[derive(Debug, Clone, PartialEq)]
        #[non_exhaustive]
        pub enum Event {
            $( $(#[$meta])* $variant($data), )+
        }

        impl Event {
            /// The names of all events that this build knows.
            pub const NAMES: &'static [&'static str] = &[$( $name ),+];

            /// The event's name on the wire.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self {
                    $( Self::$variant(_) => $name, )+
                }
            }

            /// The whole frame.
            ///
            /// # Errors
            /// Never for the events of this crate.
            pub fn encode(&self, encoding: Encoding) -> Result<bytes::Bytes, EncodeError> {
                match self {
                    $( Self::$variant(data) => encoding.encode(&EventFrame { event: $name, data }), )+
                }
            }

            /// Reads an event's data; `None` for an event of a newer server, which is skipped.
            ///
            /// # Errors
            /// When the data does not have the event's form.
            pub fn decode(name: &str, data: Raw<'_>) -> Result<Option<Self>, DecodeError> {
                match name {
                    $( $name => data.decode().map(Self::$variant).map(Some), )+
                    _ => Ok(None),
                }
            }
        }

        /// Calls a function with each event's name and data type, for documents made from them.
        #[cfg(feature = "schema")]
        pub fn describe_events(generator: &mut schemars::SchemaGenerator) -> Vec<(&'static str, schemars::Schema)> {
            vec![$( ($name, generator.subschema_for::<$data>()) ),+]
        }
    };
}

events! {
    /// The log grew.
    Message(MessageEvent) = "message",
    /// A member's devices have the log up to a number.
    Delivered(PositionEvent) = "delivered",
    /// A member has read up to a number.
    Read(PositionEvent) = "read",
    /// A member is typing, or has stopped. May be dropped.
    Typing(TypingEvent) = "typing",
    /// Somebody came online or went. May be dropped.
    Presence(Presence) = "presence",
    /// Events were left out.
    Resync(ResyncEvent) = "resync",
}
