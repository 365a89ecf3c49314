//! What a message says. To the server engine it is an opaque payload; clients
//! of both protection modes read and write it here.
//!
//! The payload is the UTF-8 JSON of a [`Content`]: a one-key map whose key is
//! the kind. A kind that this build does not know is kept whole, so that an old
//! client shows "not supported here" and loses nothing.

mod notice;
mod text;

use std::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use notice::Notice;
pub use text::{InvalidMention, Mention, Reply, Text};

use crate::blob::Blob;
use crate::limits;

/// What a message says.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum Content {
    /// Something a person wrote.
    Text(Text),
    /// The conversation's title from here on; empty means none.
    Title(Title),
    /// A kind that this build does not know, kept as it came.
    Unknown {
        /// The kind's name.
        kind: String,
        /// Its data, untouched.
        data: serde_json::Value,
    },
}

/// A change of a conversation's title.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Title {
    /// The new title, at most 256 bytes; empty removes it.
    pub title: String,
}

impl fmt::Debug for Title {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Title({} bytes)", self.title.len())
    }
}

/// A payload that is not content, or content that breaks a limit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// The payload is longer than [`limits::PAYLOAD_MAX`].
    #[error("the payload has {0} bytes, more than the {max} allowed", max = limits::PAYLOAD_MAX)]
    TooLarge(usize),
    /// The payload nests too deeply or lists too much.
    #[error("the payload breaks a limit: {0}")]
    Bounds(#[from] crate::codec::BoundsError),
    /// The payload is not the JSON of a content.
    #[error("the payload is not content: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A mention points outside the text or into a character.
    #[error(transparent)]
    Mention(#[from] InvalidMention),
    /// The title is longer than [`limits::TITLE_MAX`] bytes.
    #[error("the title has {0} bytes, more than the {max} allowed", max = limits::TITLE_MAX)]
    TitleTooLong(usize),
}

impl Content {
    /// The kind's name on the wire.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::Text(_) => "text",
            Self::Title(_) => "title",
            Self::Unknown { kind, .. } => kind,
        }
    }

    /// The text, where this is one.
    #[must_use]
    pub const fn as_text(&self) -> Option<&Text> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether a message with this content counts as unread and moves its
    /// conversation up the list.
    #[must_use]
    pub const fn is_countable(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Unknown { .. })
    }

    /// The bytes that travel and are sealed.
    ///
    /// # Errors
    /// When the content breaks one of its own limits.
    pub fn to_payload(&self) -> Result<Blob, ContentError> {
        self.check()?;
        let bytes = serde_json::to_vec(self)?;
        crate::codec::check_json_bounds(&bytes, crate::codec::Bounds::CLIENT)?;
        if bytes.len() > limits::PAYLOAD_MAX {
            return Err(ContentError::TooLarge(bytes.len()));
        }
        Ok(bytes.into())
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// When it is not the JSON of a content or breaks a limit. The sender chose
    /// these bytes, so a reader shows the failure and goes on.
    pub fn from_payload(payload: &[u8]) -> Result<Self, ContentError> {
        if payload.len() > limits::PAYLOAD_MAX {
            return Err(ContentError::TooLarge(payload.len()));
        }
        crate::codec::check_json_bounds(payload, crate::codec::Bounds::CLIENT)?;
        let content: Self = serde_json::from_slice(payload)?;
        content.check()?;
        Ok(content)
    }

    fn check(&self) -> Result<(), ContentError> {
        match self {
            Self::Text(text) => text.check().map_err(ContentError::from),
            Self::Title(title) if title.title.len() > limits::TITLE_MAX => {
                Err(ContentError::TitleTooLong(title.title.len()))
            }
            Self::Title(_) | Self::Unknown { .. } => Ok(()),
        }
    }
}

impl fmt::Debug for Content {
    /// Names the kind only: what people write belongs in no log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            // The sender chose the name.
            Self::Unknown { .. } => "unknown",
            known => known.kind(),
        };
        write!(f, "Content({kind}, [redacted])")
    }
}

impl From<Text> for Content {
    fn from(text: Text) -> Self {
        Self::Text(text)
    }
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            Self::Text(text) => map.serialize_entry("text", text)?,
            Self::Title(title) => map.serialize_entry("title", title)?,
            Self::Unknown { kind, data } => map.serialize_entry(kind, data)?,
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneKey;

        impl<'de> Visitor<'de> for OneKey {
            type Value = Content;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map with one key, the kind of the content")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Content, A::Error> {
                let kind: String = map
                    .next_key()?
                    .ok_or_else(|| de::Error::invalid_length(0, &self))?;
                let content = match kind.as_str() {
                    "text" => Content::Text(map.next_value()?),
                    "title" => Content::Title(map.next_value()?),
                    _ => Content::Unknown {
                        kind,
                        data: map.next_value()?,
                    },
                };
                match map.next_key::<de::IgnoredAny>()? {
                    None => Ok(content),
                    Some(_) => Err(de::Error::invalid_length(2, &self)),
                }
            }
        }

        deserializer.deserialize_map(OneKey)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Content {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Content".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let text = generator.subschema_for::<Text>();
        let title = generator.subschema_for::<Title>();
        schemars::json_schema!({
            "type": "object",
            "description": "A one-key map whose key is the kind; unknown kinds are kept.",
            "properties": { "text": text, "title": title },
            "minProperties": 1,
            "maxProperties": 1
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_kind_is_kept_whole() {
        let payload = br#"{"hologram":{"glow":true,"size":[1,2,3]}}"#;
        let content = Content::from_payload(payload).unwrap();
        assert_eq!(content.kind(), "hologram");
        assert_eq!(&content.to_payload().unwrap()[..], payload);
    }

    #[test]
    fn content_with_no_kind_or_two_is_refused() {
        for bad in [
            "{}",
            r#"{"text":{"body":"a"},"title":{"title":"b"}}"#,
            "[]",
            "\"text\"",
        ] {
            assert!(Content::from_payload(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_over_long_title_is_refused_in_both_directions() {
        let title = Content::Title(Title {
            title: "x".repeat(257),
        });
        assert!(matches!(
            title.to_payload(),
            Err(ContentError::TitleTooLong(257))
        ));
        let payload = serde_json::to_vec(&title).unwrap();
        assert!(matches!(
            Content::from_payload(&payload),
            Err(ContentError::TitleTooLong(257))
        ));
    }

    #[test]
    fn a_payload_may_be_forty_kibibytes_and_not_a_byte_more() {
        let around = Content::from(Text::new("")).to_payload().unwrap().len();
        let fits = Content::from(Text::new("x".repeat(limits::PAYLOAD_MAX - around)));
        assert_eq!(fits.to_payload().unwrap().len(), limits::PAYLOAD_MAX);
        let over = Content::from(Text::new("x".repeat(limits::PAYLOAD_MAX - around + 1)));
        assert!(matches!(over.to_payload(), Err(ContentError::TooLarge(_))));
    }
}
