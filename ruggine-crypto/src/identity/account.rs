//! The account key, an Ed25519 key that signs what a person says about their
//! devices.
//!
//! What is signed is always `domain | 0x00 | bytes`, with one domain for each
//! kind of object. No domain holds a zero byte, so none is the beginning of
//! another and its bytes: a signature on one kind of object never fits another.

use std::fmt;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::random::{self, RandomError};

pub(super) const CERTIFICATE_DOMAIN: &[u8] = b"ruggine/device-cert/v1";
pub(super) const LIST_DOMAIN: &[u8] = b"ruggine/device-list/v1";

/// Bytes of an Ed25519 signature.
pub(super) const SIGNATURE_LEN: usize = 64;

/// The secret key of a person's account. Whoever holds it can add devices in
/// that person's name.
pub struct AccountKey(Zeroizing<[u8; 32]>);

// The seed wipes itself.
impl ZeroizeOnDrop for AccountKey {}

impl AccountKey {
    /// A fresh random key.
    ///
    /// # Errors
    /// When the operating system has no randomness.
    pub fn generate() -> Result<Self, RandomError> {
        Ok(Self(Zeroizing::new(random::bytes()?)))
    }

    /// The key that grows from this seed.
    #[must_use]
    pub const fn from_seed(seed: Zeroizing<[u8; 32]>) -> Self {
        Self(seed)
    }

    /// The seed, to be sealed into a backup or for another device of the same
    /// person. It is the whole secret.
    #[must_use]
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        self.0.clone()
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> AccountPublicKey {
        AccountPublicKey(self.signing_key().verifying_key().to_bytes())
    }

    /// Signs `domain | 0x00 | bytes`.
    pub(crate) fn sign(&self, domain: &[u8], bytes: &[u8]) -> [u8; SIGNATURE_LEN] {
        let message = message(domain, bytes);
        self.signing_key().sign(&message).to_bytes()
    }

    fn signing_key(&self) -> SigningKey {
        SigningKey::from_bytes(&self.0)
    }
}

impl fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AccountKey")
            .field(&self.public())
            .field(&format_args!("[redacted]"))
            .finish()
    }
}

/// Bytes that are no public key to rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a usable Ed25519 public key")]
pub struct InvalidKey;

/// The public half of an [`AccountKey`]: what a contact remembers of a person.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AccountPublicKey([u8; 32]);

impl AccountPublicKey {
    /// Reads a public key.
    ///
    /// # Errors
    /// When the bytes are no point of the curve, not its one canonical
    /// spelling, or a point of small order, under which anybody can sign.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, InvalidKey> {
        verifying_key(&bytes)?;
        Ok(Self(bytes))
    }

    /// The bytes of the key.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether the account key signed `domain | 0x00 | bytes`.
    #[must_use]
    pub(crate) fn verify(
        &self,
        domain: &[u8],
        bytes: &[u8],
        signature: &[u8; SIGNATURE_LEN],
    ) -> bool {
        let message = message(domain, bytes);
        let signature = Signature::from_bytes(signature);
        verifying_key(&self.0).is_ok_and(|key| key.verify_strict(&message, &signature).is_ok())
    }
}

impl fmt::Debug for AccountPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccountPublicKey(")?;
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}

/// Reads a public key that is fit to verify with.
pub(super) fn verifying_key(bytes: &[u8; 32]) -> Result<VerifyingKey, InvalidKey> {
    let key = VerifyingKey::from_bytes(bytes).map_err(|_| InvalidKey)?;
    // Decoding reduces the coordinate, so some points have a second spelling.
    // Two keys that differ must not verify the same.
    let canonical = VerifyingKey::from(key.to_edwards()) == key;
    if canonical && !key.is_weak() {
        Ok(key)
    } else {
        Err(InvalidKey)
    }
}

fn message(domain: &[u8], bytes: &[u8]) -> Vec<u8> {
    debug_assert!(!domain.contains(&0), "a domain ends at the first zero byte");
    [domain, &[0], bytes].concat()
}
