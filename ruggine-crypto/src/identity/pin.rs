//! Pins: what a contact remembers of a person, so that a server cannot take
//! back or replace what the person said.

use ruggine_core::UserId;

use super::account::AccountPublicKey;
use super::device_list::DeviceList;
use super::wire::{Reader, WrongLength};

const FORMAT: u8 = 1;

/// The newest device list that is known of a person, and the account key that
/// signs all of them. It has to survive a restart.
///
/// The bytes are `format 1 | user 16 | account key 32 | version 8 | hash 32`,
/// with format 1 and a big-endian version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin {
    user: UserId,
    account: AccountPublicKey,
    version: u64,
    hash: [u8; 32],
}

/// Why lists do not follow what is known. The pin stays as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PinError {
    /// A list of another user.
    #[error("the device list is of another user")]
    OtherUser,
    /// The person has another account key, or somebody says so: ask, and send
    /// nothing meanwhile.
    #[error("the account key has changed")]
    AccountChanged {
        /// The key that signed the list.
        seen: AccountPublicKey,
    },
    /// A list older than the known one.
    #[error("the device list was rolled back from version {known} to {seen}")]
    RolledBack {
        /// The version that is known.
        known: u64,
        /// The version of the list.
        seen: u64,
    },
    /// There is another list of a version that is known. The account key
    /// signed both, so it is in two hands or was used by two devices at once.
    #[error("there are two device lists of version {version}")]
    Forked {
        /// The known version, of which there are two.
        version: u64,
    },
    /// Versions are missing in between: fetch them.
    #[error("versions are missing between {known} and {seen} of the device list")]
    Gap {
        /// The version that is known.
        known: u64,
        /// The version of the list.
        seen: u64,
    },
}

/// Stored bytes that are no pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are not a pin")]
pub struct MalformedPin;

impl From<WrongLength> for MalformedPin {
    fn from(WrongLength: WrongLength) -> Self {
        Self
    }
}

impl Pin {
    /// Bytes of a stored pin.
    pub const LEN: usize = 1 + 16 + 32 + 8 + 32;

    /// Trusts the first list that is seen of a person.
    #[must_use]
    pub fn first(list: &DeviceList) -> Self {
        Self {
            user: list.user(),
            account: *list.account(),
            version: list.version(),
            hash: list.hash(),
        }
    }

    /// Follows lists in their order. Each has to be the next version, or the
    /// known one once more. Either all are taken or none.
    ///
    /// # Errors
    /// When a list does not follow, with what was seen.
    pub fn advance(&self, lists: &[DeviceList]) -> Result<Self, PinError> {
        lists.iter().try_fold(*self, Self::follow)
    }

    /// The pin as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[0] = FORMAT;
        bytes[1..17].copy_from_slice(self.user.as_bytes());
        bytes[17..49].copy_from_slice(self.account.as_bytes());
        bytes[49..57].copy_from_slice(&self.version.to_be_bytes());
        bytes[57..].copy_from_slice(&self.hash);
        bytes
    }

    /// Reads a stored pin.
    ///
    /// # Errors
    /// When the bytes are anything but a pin.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MalformedPin> {
        let mut reader = Reader::new(bytes);
        if reader.byte()? != FORMAT {
            return Err(MalformedPin);
        }
        let pin = Self {
            user: UserId::from_bytes(reader.array()?),
            account: AccountPublicKey::from_bytes(reader.array()?).map_err(|_| MalformedPin)?,
            version: u64::from_be_bytes(reader.array()?),
            hash: reader.array()?,
        };
        reader.end()?;
        if pin.version == 0 {
            return Err(MalformedPin);
        }
        Ok(pin)
    }

    /// Whose lists they are.
    #[must_use]
    pub const fn user(&self) -> UserId {
        self.user
    }

    /// The account key that is trusted.
    #[must_use]
    pub const fn account(&self) -> &AccountPublicKey {
        &self.account
    }

    /// The highest version that was seen.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The hash of that version.
    #[must_use]
    pub const fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    fn follow(self, list: &DeviceList) -> Result<Self, PinError> {
        let (known, seen) = (self.version, list.version());
        if list.user() != self.user {
            return Err(PinError::OtherUser);
        }
        if *list.account() != self.account {
            return Err(PinError::AccountChanged {
                seen: *list.account(),
            });
        }
        let agrees = match seen.checked_sub(known) {
            None => return Err(PinError::RolledBack { known, seen }),
            Some(0) => list.hash() == self.hash,
            Some(1) => *list.previous() == self.hash,
            Some(_) => return Err(PinError::Gap { known, seen }),
        };
        if agrees {
            Ok(Self::first(list))
        } else {
            Err(PinError::Forked { version: known })
        }
    }
}

/// How far a contact's account key is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContactState {
    /// Pinned when it was first seen, and compared by nobody.
    Unverified,
    /// Compared by the safety number.
    Verified,
    /// Another account key was seen since.
    Changed,
}

impl ContactState {
    /// Whether anything may be sent to the contact: not while the account key
    /// has changed and the user has not decided.
    #[must_use]
    pub const fn may_send(self) -> bool {
        !matches!(self, Self::Changed)
    }
}
