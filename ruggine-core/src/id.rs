//! Identifiers: UUIDv7 newtypes, so that no id can stand where another belongs.
//!
//! In JSON an id is its hyphenated text, in MessagePack its sixteen bytes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::Timestamp;

/// A text that is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an identifier: expected a UUID")]
pub struct InvalidId;

macro_rules! id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Makes a fresh id whose time part is `now` (RFC 9562 section 5.7).
            ///
            /// # Panics
            /// When the operating system cannot provide randomness.
            #[must_use]
            pub fn new(now: Timestamp) -> Self {
                Self(uuid_v7(now))
            }

            /// The id that these sixteen bytes spell.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The sixteen bytes of the id.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Uuid::parse_str(text).map(Self).map_err(|_| InvalidId)
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = InvalidId;

            fn try_from(bytes: &[u8]) -> Result<Self, InvalidId> {
                Uuid::from_slice(bytes).map(Self).map_err(|_| InvalidId)
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "format": "uuid" })
            }
        }
    };
}

id! {
    /// A person's account.
    UserId
}
id! {
    /// One installation of a client. Cursors, idempotency and keys belong to it.
    DeviceId
}
id! {
    /// One login of a device; revoking it closes its sockets.
    SessionId
}
id! {
    /// A direct or group conversation.
    ConversationId
}
id! {
    /// Chosen by the sending device once per message and kept across retries.
    ClientMsgId
}

fn uuid_v7(now: Timestamp) -> Uuid {
    let mut random = [0u8; 10];
    getrandom::fill(&mut random).expect("the operating system provides randomness");
    let millis = u64::try_from(now.as_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_a_later_millisecond_sort_after_earlier_ones() {
        let early = UserId::new(Timestamp::from_millis(1_000));
        let late = UserId::new(Timestamp::from_millis(1_001));
        assert!(early < late);
    }

    #[test]
    fn text_and_bytes_lead_back_to_the_same_id() {
        let id = DeviceId::new(Timestamp::from_millis(1_700_000_000_000));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(DeviceId::try_from(&id.as_bytes()[..]), Ok(id));
        assert_eq!("nonsense".parse::<DeviceId>(), Err(InvalidId));
    }
}
