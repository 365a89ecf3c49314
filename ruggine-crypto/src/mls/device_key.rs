//! The key with which a device signs in every group.

use std::fmt;

use ed25519_dalek::{Signer as _, SigningKey};
use openmls::prelude::{BasicCredential, CredentialWithKey};
use openmls_traits::signatures::{Signer, SignerError};
use openmls_traits::types::SignatureScheme;
use zeroize::Zeroizing;

use crate::identity::DeviceCertificate;
use crate::random;

/// A device's signature key (Ed25519). It never changes: a device with another
/// key is another device (D8).
pub struct DeviceKey(SigningKey);

impl DeviceKey {
    /// A fresh key.
    ///
    /// # Errors
    /// When the operating system provides no randomness.
    pub fn generate() -> Result<Self, random::RandomError> {
        let seed = Zeroizing::new(random::bytes()?);
        Ok(Self::from_seed(&seed))
    }

    /// The key of a seed that was kept.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The seed, to be kept in an encrypted store.
    #[must_use]
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public half, which the device's certificate names.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceKey").finish_non_exhaustive()
    }
}

impl Signer for DeviceKey {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.0.sign(payload).to_bytes().to_vec())
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

/// A device as it takes part in groups.
#[derive(Debug)]
pub struct Device {
    pub(crate) key: DeviceKey,
    pub(crate) certificate: DeviceCertificate,
}

impl Device {
    /// A device of this certificate; `None` where the key is another one's.
    #[must_use]
    pub fn new(key: DeviceKey, certificate: DeviceCertificate) -> Option<Self> {
        (key.public() == *certificate.signature_key()).then_some(Self { key, certificate })
    }

    /// Its certificate.
    #[must_use]
    pub const fn certificate(&self) -> &DeviceCertificate {
        &self.certificate
    }

    pub(crate) fn credential(&self) -> CredentialWithKey {
        CredentialWithKey {
            credential: BasicCredential::new(self.certificate.to_bytes()).into(),
            signature_key: self.key.public().to_vec().into(),
        }
    }
}
