//! Device lists: all devices of a person, signed as a whole and chained. The
//! bytes are those of [`list_body`](super::list_body) and, behind them, 64 of
//! signature over `"ruggine/device-list/v1" | 0x00 | body`.

use std::fmt;

use ruggine_core::{DeviceId, Timestamp, UserId};
use sha2::{Digest, Sha256};

use super::account::{AccountKey, AccountPublicKey, LIST_DOMAIN, SIGNATURE_LEN};
use super::certificate::DeviceCertificate;
use super::error::ListError;
use super::list_body::{self, Body, NO_PREVIOUS};
use super::wire::WrongLength;

/// Devices that a person has at most.
pub const MAX_DEVICES: usize = 10;

/// One version of the list of a person's devices, whose signatures were all
/// verified.
///
/// Whether it follows what is known is for a [`Pin`](super::Pin) to say, and
/// whether a certificate in it holds now for [`DeviceCertificate::check`].
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceList {
    body: Body,
    signature: [u8; SIGNATURE_LEN],
}

impl DeviceList {
    /// Bytes of the longest list.
    pub const MAX_LEN: usize = list_body::MAX_LEN + SIGNATURE_LEN;

    /// Makes and signs version 1. The devices may come in any order.
    ///
    /// # Errors
    /// When the devices are not such as a list may hold.
    pub fn first(
        key: &AccountKey,
        user: UserId,
        devices: Vec<DeviceCertificate>,
        at: Timestamp,
    ) -> Result<Self, ListError> {
        let body = Body {
            user,
            account: key.public(),
            version: 1,
            previous: NO_PREVIOUS,
            devices,
            signed_at: at,
        };
        Self::sign(key, body)
    }

    /// Makes and signs the version that follows this one. `devices` are all
    /// devices from now on, in any order.
    ///
    /// # Errors
    /// When the devices are not such as a list may hold, or the key is not the
    /// one that signed this list.
    pub fn next(
        &self,
        key: &AccountKey,
        devices: Vec<DeviceCertificate>,
        at: Timestamp,
    ) -> Result<Self, ListError> {
        if key.public() != self.body.account {
            return Err(ListError::OtherAccount);
        }
        let body = Body {
            user: self.body.user,
            account: self.body.account,
            version: self.body.version.checked_add(1).ok_or(ListError::Chain)?,
            previous: self.hash(),
            devices,
            signed_at: at,
        };
        Self::sign(key, body)
    }

    /// The list as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.body.to_bytes();
        bytes.extend_from_slice(&self.signature);
        bytes
    }

    /// Reads a list and verifies its signature and those of all certificates.
    ///
    /// # Errors
    /// When the bytes are anything but a list, or a signature does not fit.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ListError> {
        if bytes.len() > Self::MAX_LEN {
            return Err(ListError::Malformed);
        }
        let (signed, signature) = bytes
            .split_last_chunk::<SIGNATURE_LEN>()
            .ok_or(WrongLength)?;
        Ok(Self {
            body: Body::read(signed, signature)?,
            signature: *signature,
        })
    }

    /// SHA-256 over the whole list with its signature. The next version names it.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.to_bytes()).into()
    }

    /// The certificate of this device, if the list has the device.
    #[must_use]
    pub fn device(&self, device: DeviceId) -> Option<&DeviceCertificate> {
        let mut devices = self.devices().iter();
        devices.find(|listed| listed.device() == device)
    }

    /// Whether exactly this certificate stands in the list.
    #[must_use]
    pub fn lists(&self, certificate: &DeviceCertificate) -> bool {
        self.device(certificate.device()) == Some(certificate)
    }

    /// Whose devices they are.
    #[must_use]
    pub const fn user(&self) -> UserId {
        self.body.user
    }

    /// The account key that signed the list and the certificates.
    #[must_use]
    pub const fn account(&self) -> &AccountPublicKey {
        &self.body.account
    }

    /// Which version this is; the first is 1.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.body.version
    }

    /// The hash of the version before, zeros in version 1.
    #[must_use]
    pub const fn previous(&self) -> &[u8; 32] {
        &self.body.previous
    }

    /// The devices in ascending order of their ids.
    #[must_use]
    pub fn devices(&self) -> &[DeviceCertificate] {
        &self.body.devices
    }

    /// When it was signed, by the clock of the device that did.
    #[must_use]
    pub const fn signed_at(&self) -> Timestamp {
        self.body.signed_at
    }

    fn sign(key: &AccountKey, mut body: Body) -> Result<Self, ListError> {
        body.devices.sort_by_key(DeviceCertificate::device);
        body.validate()?;
        let signature = key.sign(LIST_DOMAIN, &body.to_bytes());
        Ok(Self { body, signature })
    }
}

impl fmt::Debug for DeviceList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceList")
            .field("user", &self.body.user)
            .field("account", &self.body.account)
            .field("version", &self.body.version)
            .field("devices", &self.body.devices)
            .finish_non_exhaustive()
    }
}
