//! Written messages.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::id::{ClientMsgId, UserId};
use crate::limits;

/// Something a person wrote, with whom it names and what it answers.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Text {
    /// The words, as plain text.
    pub body: String,
    /// The people that the words name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<Mention>,
    /// The message that this one answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Reply>,
}

/// A person named in a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Mention {
    /// Who is named.
    pub user: UserId,
    /// First byte of the naming words in the UTF-8 body.
    pub start: u32,
    /// First byte after them.
    pub end: u32,
}

/// The message that a text answers.
///
/// It is named by its sender and that sender's own id for it, both of which
/// the sender chose, so no server can turn an answer towards other words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Reply {
    /// Who wrote the message.
    pub sender: UserId,
    /// The sender's id for it.
    pub message: ClientMsgId,
}

/// A mention that does not fit its text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidMention {
    /// The range is empty, reversed, outside the body or cuts a character.
    #[error("mention {index} does not mark whole characters of the text")]
    Range {
        /// Which mention, from zero.
        index: usize,
    },
    /// More than [`limits::MENTIONS_MAX`].
    #[error("{0} mentions, more than the {max} allowed", max = limits::MENTIONS_MAX)]
    TooMany(usize),
}

impl fmt::Debug for Text {
    /// Sizes only: what people write belongs in no log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Text")
            .field("bytes", &self.body.len())
            .field("mentions", &self.mentions.len())
            .field("reply", &self.reply)
            .finish()
    }
}

impl Text {
    /// Plain words.
    #[must_use]
    pub fn new(body: impl Into<String>) -> Self {
        Self {
            body: body.into(),
            ..Self::default()
        }
    }

    /// The same words as an answer.
    #[must_use]
    pub const fn in_reply_to(mut self, reply: Reply) -> Self {
        self.reply = Some(reply);
        self
    }

    /// Marks bytes of the body as naming `user`.
    #[must_use]
    pub fn mentioning(mut self, user: UserId, at: Range<u32>) -> Self {
        self.mentions.push(Mention {
            user,
            start: at.start,
            end: at.end,
        });
        self
    }

    /// Whether the text names this user.
    #[must_use]
    pub fn mentions_user(&self, user: UserId) -> bool {
        self.mentions.iter().any(|mention| mention.user == user)
    }

    pub(super) fn check(&self) -> Result<(), InvalidMention> {
        if self.mentions.len() > limits::MENTIONS_MAX {
            return Err(InvalidMention::TooMany(self.mentions.len()));
        }
        let marks_characters = |mention: &Mention| {
            mention.start < mention.end
                && self
                    .body
                    .get(mention.start as usize..mention.end as usize)
                    .is_some()
        };
        match self.mentions.iter().position(|m| !marks_characters(m)) {
            Some(index) => Err(InvalidMention::Range { index }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Content;
    use crate::time::Timestamp;

    #[test]
    fn a_mention_marks_whole_characters_inside_the_text() {
        let user = UserId::new(Timestamp::from_millis(0));
        let text = Text::new("hé @zoë!");
        assert!(text.clone().mentioning(user, 4..9).check().is_ok());
        for bad in [2..4, 4..4, 0..99] {
            let text = text.clone().mentioning(user, bad.clone());
            assert_eq!(
                text.check(),
                Err(InvalidMention::Range { index: 0 }),
                "{bad:?}"
            );
            assert!(Content::from(text).to_payload().is_err());
        }
    }
}
