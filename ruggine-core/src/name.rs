//! Names of people: the unique handle and the free display name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::limits;

/// A user's unique handle: 3 to 32 of `a-z 0-9 . _ -`, case folded.
///
/// ```
/// use ruggine_core::name::Username;
/// assert_eq!("Ada.L".parse::<Username>().unwrap().as_str(), "ada.l");
/// assert!("no spaces".parse::<Username>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Username(Box<str>);

/// A text that cannot be a handle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a username has 3 to 32 characters out of a-z, 0-9, dot, underscore and hyphen")]
pub struct InvalidUsername;

impl Username {
    /// The folded handle.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Username {
    type Err = InvalidUsername;

    fn from_str(text: &str) -> Result<Self, InvalidUsername> {
        let fits = (limits::USERNAME_MIN..=limits::USERNAME_MAX).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if fits {
            Ok(Self(text.to_ascii_lowercase().into()))
        } else {
            Err(InvalidUsername)
        }
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Username {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A text that cannot be a display name or a device name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a display name has 1 to 64 characters, none of them a control or bidi-override character")]
pub struct InvalidDisplayName;

/// A free name shown to people: 1 to 64 characters, trimmed, without control
/// characters and without the bidi overrides that could disguise it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct DisplayName(Box<str>);

impl DisplayName {
    /// The name as it is shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DisplayName {
    type Err = InvalidDisplayName;

    fn from_str(text: &str) -> Result<Self, InvalidDisplayName> {
        let trimmed = text.trim();
        let length = trimmed.chars().take(limits::DISPLAY_NAME_MAX + 1).count();
        let clean = trimmed.chars().all(|c| {
            !c.is_control() && !is_bidi_control(c) && !matches!(c, '\u{2028}' | '\u{2029}')
        }) && trimmed
            .chars()
            .any(|c| !is_invisible(c) && !c.is_whitespace());
        if (1..=limits::DISPLAY_NAME_MAX).contains(&length) && clean {
            Ok(Self(trimmed.into()))
        } else {
            Err(InvalidDisplayName)
        }
    }
}

impl From<&Username> for DisplayName {
    fn from(name: &Username) -> Self {
        Self(name.0.clone())
    }
}

impl fmt::Display for DisplayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for DisplayName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Characters that leave no mark, so that a name of them alone is none.
const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{00AD}'
            | '\u{034F}'
            | '\u{115F}'
            | '\u{1160}'
            | '\u{180E}'
            | '\u{200B}'..='\u{200D}'
            | '\u{2060}'..='\u{2064}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{FE00}'..='\u{FE0F}'
            | '\u{FEFF}'
            | '\u{FFA0}'
            | '\u{FFF9}'..='\u{FFFB}'
            | '\u{E0000}'..='\u{E0FFF}'
    )
}

const fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{200E}' | '\u{200F}' | '\u{061C}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usernames_fold_case_and_refuse_everything_else() {
        assert_eq!("ADA".parse::<Username>().unwrap().as_str(), "ada");
        for bad in ["ab", &"a".repeat(33), "à-la", "a b c", "a/b", ""] {
            assert!(bad.parse::<Username>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn display_names_refuse_control_and_bidi_characters() {
        assert_eq!(
            " Zoë 🦀 ".parse::<DisplayName>().unwrap().as_str(),
            "Zoë 🦀"
        );
        for bad in [
            "",
            "   ",
            "a\u{1b}[31m",
            "evil\u{202e}txt",
            "\u{200b}\u{feff}",
            "two\u{2028}lines",
            &"é".repeat(65),
        ] {
            assert!(bad.parse::<DisplayName>().is_err(), "{bad:?}");
        }
        assert!("é".repeat(64).parse::<DisplayName>().is_ok());
    }
}
