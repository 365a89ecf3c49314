//! Messages: sending them and reading the log.

use std::fmt;

use serde::de::{self, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::blob::Blob;
use crate::content::Content;
use crate::id::{ClientMsgId, ConversationId, DeviceId, UserId};
use crate::seq::{Incarnation, Seq};
use crate::time::Timestamp;
use crate::wire_enum::wire_enum;

/// Sends a message.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Send {
    /// To which conversation.
    pub conversation: ConversationId,
    /// The sender's own id for it. Sent again with the same payload, it gets
    /// the first acknowledgement; with another, `idempotency_conflict`.
    pub client_msg_id: ClientMsgId,
    /// The MLS epoch in which the payload was sealed; absent in managed conversations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// What it says, as bytes: the JSON of a content, sealed by MLS or not. At most 40 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Blob>,
    /// Instead of `payload`, in managed conversations: the content itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
}

/// The promise that a message is committed and on stable storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Ack {
    /// The conversation.
    pub conversation: ConversationId,
    /// The sender's id for the message.
    pub client_msg_id: ClientMsgId,
    /// The log in which the number counts.
    pub incarnation: Incarnation,
    /// The message's number.
    pub seq: Seq,
    /// When the server took it; display data.
    pub server_ts: Timestamp,
}

wire_enum! {
    /// What a row of the log is.
    pub enum RowKind {
        /// A message of a member.
        Message = "message",
        /// A notice of the server about the roster of a managed conversation.
        System = "system",
    }
}

/// Reads a range of the log.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PageRequest {
    /// Of which conversation.
    pub conversation: ConversationId,
    /// Where to begin and which way to go.
    pub from: PageStart,
    /// How many rows at the most; 100 is the most and what is taken when absent.
    /// Holes are crossed whole and count for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// In managed conversations, give `content` instead of `payload`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub as_content: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// Where a page begins and which way it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PageStart {
    /// Towards newer rows, from the one after this number.
    After(Seq),
    /// Towards older rows, from the one before this number.
    Before(Seq),
    /// Towards older rows, from the newest.
    Newest,
}

/// A range of the log in ascending order. It covers `from..=to` completely:
/// what the caller may not see stands in it as a hole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Page {
    /// The log in which the numbers count.
    pub incarnation: Incarnation,
    /// First number covered; greater than `to` when the page is empty.
    pub from: Seq,
    /// Last number covered.
    pub to: Seq,
    /// The newest number that the caller may see.
    pub head: Seq,
    /// The rows and holes.
    pub items: Vec<Item>,
}

/// One entry of a page, or of a live `message` event.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Item {
    /// A row.
    Row(Row),
    /// Numbers that lie outside the caller's windows. A cursor crosses them.
    Hole(Hole),
    /// A row too large for a page; `message.fetch` reads it.
    Large(Large),
    /// A row whose stored record the server could not open.
    Undecryptable(Undecryptable),
    /// An entry of a newer server. A cursor crosses it.
    #[serde(skip)]
    Unknown,
}

impl Item {
    /// The first and the last number that the entry covers, where known.
    #[must_use]
    pub const fn span(&self) -> Option<(Seq, Seq)> {
        match self {
            Self::Row(row) => Some((row.seq, row.seq)),
            Self::Hole(hole) => Some((hole.from, hole.to)),
            Self::Large(large) => Some((large.seq, large.seq)),
            Self::Undecryptable(lost) => Some((lost.seq, lost.seq)),
            Self::Unknown => None,
        }
    }
}

/// A row of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Row {
    /// Its number.
    pub seq: Seq,
    /// What it is.
    pub kind: RowKind,
    /// Who wrote it.
    pub sender: UserId,
    /// On which device.
    pub device: DeviceId,
    /// The sender's id for it.
    pub client_msg_id: ClientMsgId,
    /// When the server took it; display data.
    pub server_ts: Timestamp,
    /// The MLS epoch, in end-to-end encrypted conversations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// What it says, as bytes.
    #[serde(default, skip_serializing_if = "no_bytes")]
    pub payload: Blob,
    /// Instead of `payload`, where the caller asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
}

fn no_bytes(blob: &Blob) -> bool {
    blob.is_empty()
}

/// Numbers that the caller may not see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Hole {
    /// The first.
    pub from: Seq,
    /// The last.
    pub to: Seq,
}

/// A row that does not fit into a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Large {
    /// Its number.
    pub seq: Seq,
    /// What it is.
    pub kind: RowKind,
    /// Bytes of its payload.
    pub len: u64,
    /// SHA-256 of its payload.
    pub hash: Blob,
}

/// A row that the server could not open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Undecryptable {
    /// Its number.
    pub seq: Seq,
    /// What it is.
    pub kind: RowKind,
    /// Who wrote it.
    pub sender: UserId,
    /// On which device.
    pub device: DeviceId,
    /// The sender's id for it.
    pub client_msg_id: ClientMsgId,
    /// When the server took it; display data.
    pub server_ts: Timestamp,
}

/// Reads one row.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Fetch {
    /// Of which conversation.
    pub conversation: ConversationId,
    /// Which number.
    pub seq: Seq,
}

/// One row, whatever its size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Fetched {
    /// The row.
    pub item: Item,
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneKey;

        impl<'de> Visitor<'de> for OneKey {
            type Value = Item;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map with one key, the kind of the entry")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Item, A::Error> {
                let kind: std::borrow::Cow<'de, str> = map
                    .next_key()?
                    .ok_or_else(|| de::Error::invalid_length(0, &self))?;
                let item = match kind.as_ref() {
                    "row" => Item::Row(map.next_value()?),
                    "hole" => Item::Hole(map.next_value()?),
                    "large" => Item::Large(map.next_value()?),
                    "undecryptable" => Item::Undecryptable(map.next_value()?),
                    _ => {
                        map.next_value::<IgnoredAny>()?;
                        Item::Unknown
                    }
                };
                match map.next_key::<IgnoredAny>()? {
                    None => Ok(item),
                    Some(_) => Err(de::Error::invalid_length(2, &self)),
                }
            }
        }

        deserializer.deserialize_map(OneKey)
    }
}
