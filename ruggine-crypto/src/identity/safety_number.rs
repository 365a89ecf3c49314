//! The safety number: what two people compare to be sure that they know each
//! other's account key.
//!
//! A person's fingerprint is SHA-512 in 5200 rounds. The first is over
//! `version | account key | user id | account key`, with a version of two
//! bytes, and each further one over `hash | account key`. The first 30 bytes
//! make the person's 30 digits, the first 32 stand in the QR code. Devices do
//! not enter it, so linking one changes nothing.

use std::fmt;

use ruggine_core::UserId;
use sha2::{Digest, Sha512};
use subtle::ConstantTimeEq;

use super::account::AccountPublicKey;
use super::digits;

const VERSION: u16 = 1;
const QR_VERSION: u8 = 1;
const ROUNDS: usize = 5200;
const DIGITS_LEN: usize = 30;
const FINGERPRINT_LEN: usize = 32;
const QR_LEN: usize = 1 + 2 * FINGERPRINT_LEN;

/// The sixty digits that two people see alike when each knows the true account
/// key of the other, and the QR code that says the same.
#[derive(Clone)]
pub struct SafetyNumber {
    mine: [u8; FINGERPRINT_LEN],
    theirs: [u8; FINGERPRINT_LEN],
}

/// Scanned bytes that cannot be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// A code of another version: one of the two people needs an update.
    #[error("the scanned code has version {0}, only 1 is known")]
    Version(u8),
    /// Not as long as a code is.
    #[error("a code has 65 bytes, the scanned one has {0}")]
    Length(usize),
}

impl SafetyNumber {
    /// The number between two people, as the first of them sees it. It takes
    /// some milliseconds.
    #[must_use]
    pub fn between(me: &(UserId, AccountPublicKey), them: &(UserId, AccountPublicKey)) -> Self {
        Self {
            mine: fingerprint(me),
            theirs: fingerprint(them),
        }
    }

    /// The bytes of the QR code to show: `version | mine | theirs`.
    #[must_use]
    pub fn qr_bytes(&self) -> [u8; 65] {
        let mut bytes = [0; QR_LEN];
        bytes[0] = QR_VERSION;
        bytes[1..=FINGERPRINT_LEN].copy_from_slice(&self.mine);
        bytes[1 + FINGERPRINT_LEN..].copy_from_slice(&self.theirs);
        bytes
    }

    /// Whether the code that the other person shows says the same, in constant
    /// time. What is theirs here is mine there, and the other way round.
    ///
    /// # Errors
    /// When the bytes are no code of this version.
    pub fn matches_scanned(&self, bytes: &[u8]) -> Result<bool, ScanError> {
        let (&version, fingerprints) = bytes.split_first().ok_or(ScanError::Length(0))?;
        if version != QR_VERSION {
            return Err(ScanError::Version(version));
        }
        let fingerprints: &[u8; 2 * FINGERPRINT_LEN] = fingerprints
            .try_into()
            .map_err(|_| ScanError::Length(bytes.len()))?;
        let (shown_as_mine, shown_as_theirs) = fingerprints.split_at(FINGERPRINT_LEN);
        let same = self.theirs.ct_eq(shown_as_mine) & self.mine.ct_eq(shown_as_theirs);
        Ok(same.into())
    }
}

impl fmt::Display for SafetyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut halves = [self.mine, self.theirs].map(|hash| digits::groups(&hash[..DIGITS_LEN]));
        halves.sort_unstable();
        let [first, second] = halves;
        write!(f, "{first} {second}")
    }
}

impl fmt::Debug for SafetyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SafetyNumber({self})")
    }
}

fn fingerprint((user, account): &(UserId, AccountPublicKey)) -> [u8; FINGERPRINT_LEN] {
    let key = account.as_bytes();
    let mut hash = Sha512::new()
        .chain_update(VERSION.to_be_bytes())
        .chain_update(key)
        .chain_update(user.as_bytes())
        .chain_update(key)
        .finalize();
    for _ in 1..ROUNDS {
        hash = Sha512::new()
            .chain_update(hash)
            .chain_update(key)
            .finalize();
    }
    let mut fingerprint = [0; FINGERPRINT_LEN];
    fingerprint.copy_from_slice(&hash[..FINGERPRINT_LEN]);
    fingerprint
}
