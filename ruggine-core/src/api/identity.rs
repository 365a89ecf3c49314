//! Device lists: what people say, signed, about which devices are theirs.
//!
//! The server keeps every version and hands it out as it came. It cannot make
//! or change one, and whoever reads a list has to check it against what they
//! remember of that person: the server may still hold versions back.

use serde::{Deserialize, Serialize};

use crate::blob::Blob;
use crate::id::UserId;

/// Publishes the next version of the caller's device list.
///
/// It has to follow the newest one that is stored: one version up, naming its
/// hash, under the same account key; else `identity_conflict`. The newest one
/// itself, published again, changes nothing and is answered as before. Every
/// device in it has to be one on which the user has logged in.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Publish {
    /// The signed list.
    pub list: Blob,
}

/// The list is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Published {
    /// Its version.
    pub version: u64,
}

/// Asks for the device lists of people that are newer than the known ones.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Get {
    /// Whose, at most 100. A user named twice is answered once.
    pub users: Vec<Known>,
}

/// How much is known of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Known {
    /// Who.
    pub user: UserId,
    /// The newest version that is known; zero for none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub after: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Newer device lists, for each user in the order of the question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Lists {
    /// One entry for each user.
    pub users: Vec<UserLists>,
}

/// Newer device lists of one person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UserLists {
    /// Whose.
    pub user: UserId,
    /// At most 20, in the order of their versions and without a gap; none for
    /// one who has published nothing newer.
    pub lists: Vec<Blob>,
    /// Whether to ask again, after the last of these: there was no room for
    /// more of them.
    pub more: bool,
}
