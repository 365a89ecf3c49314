//! Master keys and the ids that are derived from them.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::kdf::Prk;
use crate::random;

const SALT: &[u8] = b"ruggine/at-rest/v1";
const KID_INFO: &[u8] = b"ruggine/at-rest/v1/kid";

/// The key printed in the README as an example of the form. It is public, so
/// it is refused.
const SAMPLE: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// A 256-bit master key.
#[derive(ZeroizeOnDrop)]
pub struct MasterKey([u8; 32]);

/// Why a text is not accepted as a master key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MasterKeyError {
    /// Not 64 characters long.
    #[error("a master key has 64 hexadecimal characters, this one has {0}")]
    Length(usize),
    /// Not hexadecimal.
    #[error("a master key has 64 hexadecimal characters, this one has others")]
    NotHex,
    /// Every byte is the same.
    #[error(
        "all bytes of the master key are equal: make a random one, for example with `openssl rand -hex 32`"
    )]
    AllEqual,
    /// The example of the documentation.
    #[error(
        "this is the sample master key of the documentation: make a random one, for example with `openssl rand -hex 32`"
    )]
    Sample,
}

impl MasterKey {
    /// A fresh random key.
    ///
    /// # Panics
    /// When the operating system provides no randomness.
    #[must_use]
    pub fn generate() -> Self {
        Self(random::bytes().expect("the operating system provides randomness"))
    }

    /// Reads 64 hexadecimal characters.
    ///
    /// # Errors
    /// When the text is not that, or is a key that everybody can guess.
    pub fn from_hex(text: &str) -> Result<Self, MasterKeyError> {
        let digits = text.as_bytes();
        if !text.is_ascii() {
            return Err(MasterKeyError::NotHex);
        }
        if digits.len() != 64 {
            return Err(MasterKeyError::Length(digits.len()));
        }
        let mut key = Self([0; 32]);
        for (byte, pair) in key.0.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
        }
        if key.0.iter().all(|byte| *byte == key.0[0]) {
            return Err(MasterKeyError::AllEqual);
        }
        let lower = Zeroizing::new(text.to_ascii_lowercase());
        if bool::from(lower.as_bytes().ct_eq(SAMPLE.as_bytes())) {
            return Err(MasterKeyError::Sample);
        }
        Ok(key)
    }

    /// The key as 64 hexadecimal characters, for the file it is kept in.
    #[must_use]
    pub fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(hex(&self.0))
    }

    pub(super) fn prk(&self) -> Prk {
        Prk::extract(SALT, &self.0)
    }

    /// The key's id.
    #[must_use]
    pub fn id(&self) -> KeyId {
        KeyId(*self.prk().expand::<8>(&[KID_INFO]))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({}, [redacted])", self.id())
    }
}

/// Names a master key without telling anything about it: derived, never
/// chosen, so two keys cannot be mistaken for each other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 8]);

impl KeyId {
    /// The id's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }

    pub(super) const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// Reads 16 lower-case hexadecimal characters.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits: &[u8; 16] = text.as_bytes().try_into().ok()?;
        if digits.iter().any(u8::is_ascii_uppercase) {
            return None;
        }
        let mut id = [0; 8];
        for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = hex_digit(pair[0]).ok()? << 4 | hex_digit(pair[1]).ok()?;
        }
        Some(Self(id))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

const fn hex_digit(digit: u8) -> Result<u8, MasterKeyError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(MasterKeyError::NotHex),
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 0x0f])
        .map(|nibble| char::from(DIGITS[usize::from(nibble)]))
        .collect()
}
