//! A device list without its signature: its bytes and its rules.
//!
//! The bytes, with big-endian numbers:
//!
//! ```text
//! format           1   the number 1
//! user            16
//! account key     32   Ed25519
//! version          8   unsigned, from 1
//! previous        32   SHA-256 of the list before; zeros in version 1 only
//! devices          2   bytes that follow, of 1 to 10 certificates
//!      each:       2   bytes of the certificate
//!                  n   the certificate, see there
//! signed at        8   signed, milliseconds since the Unix epoch
//! ```
//!
//! The devices stand in ascending order of their ids. No two have one id or one
//! signature key, and all are of the user and the account key of the list.

use std::collections::HashSet;

use ruggine_core::{Timestamp, UserId};

use super::account::{AccountPublicKey, LIST_DOMAIN, SIGNATURE_LEN};
use super::certificate::DeviceCertificate;
use super::device_list::MAX_DEVICES;
use super::error::ListError;
use super::wire::Reader;

/// What stands in the place of a hash where no list comes before.
pub(super) const NO_PREVIOUS: [u8; 32] = [0; 32];

/// Bytes of the longest body.
pub(super) const MAX_LEN: usize =
    1 + 16 + 32 + 8 + 32 + 2 + MAX_DEVICES * (2 + DeviceCertificate::MAX_LEN) + 8;

const FORMAT: u8 = 1;

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Body {
    pub(super) user: UserId,
    pub(super) account: AccountPublicKey,
    pub(super) version: u64,
    pub(super) previous: [u8; 32],
    pub(super) devices: Vec<DeviceCertificate>,
    pub(super) signed_at: Timestamp,
}

impl Body {
    /// Reads a body, and verifies that the account key in it signed it.
    pub(super) fn read(bytes: &[u8], signature: &[u8; SIGNATURE_LEN]) -> Result<Self, ListError> {
        let mut reader = Reader::new(bytes);
        let format = reader.byte()?;
        if format != FORMAT {
            return Err(ListError::Format(format));
        }
        let user = UserId::from_bytes(reader.array()?);
        let account =
            AccountPublicKey::from_bytes(reader.array()?).map_err(|_| ListError::AccountKey)?;
        let version = u64::from_be_bytes(reader.array()?);
        let previous = reader.array()?;
        let certificates = reader.prefixed_u16()?;
        let signed_at = reader.time()?;
        reader.end()?;
        // Before the certificates, so that a forged list costs one verification.
        if !account.verify(LIST_DOMAIN, bytes, signature) {
            return Err(ListError::Signature);
        }
        let body = Self {
            user,
            account,
            version,
            previous,
            devices: read_certificates(certificates)?,
            signed_at,
        };
        body.validate()?;
        Ok(body)
    }

    pub(super) fn validate(&self) -> Result<(), ListError> {
        let count = self.devices.len();
        if !(1..=MAX_DEVICES).contains(&count) {
            return Err(ListError::DeviceCount(count));
        }
        let is_first = self.version == 1;
        if self.version == 0 || is_first != (self.previous == NO_PREVIOUS) {
            return Err(ListError::Chain);
        }
        for listed in &self.devices {
            if listed.user() != self.user || *listed.account() != self.account {
                return Err(ListError::ForeignDevice(listed.device()));
            }
        }
        let ascending =
            |left: &DeviceCertificate, right: &DeviceCertificate| left.device() < right.device();
        if !self.devices.is_sorted_by(ascending) {
            return Err(ListError::DeviceIds);
        }
        let keys = self.devices.iter().map(DeviceCertificate::signature_key);
        if keys.collect::<HashSet<_>>().len() != count {
            return Err(ListError::SharedKey);
        }
        Ok(())
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut certificates = Vec::new();
        for listed in &self.devices {
            let bytes = listed.to_bytes();
            certificates.extend_from_slice(&length(&bytes));
            certificates.extend_from_slice(&bytes);
        }
        let mut bytes = Vec::with_capacity(MAX_LEN + SIGNATURE_LEN);
        bytes.push(FORMAT);
        bytes.extend_from_slice(self.user.as_bytes());
        bytes.extend_from_slice(self.account.as_bytes());
        bytes.extend_from_slice(&self.version.to_be_bytes());
        bytes.extend_from_slice(&self.previous);
        bytes.extend_from_slice(&length(&certificates));
        bytes.extend_from_slice(&certificates);
        bytes.extend_from_slice(&self.signed_at.as_millis().to_be_bytes());
        bytes
    }
}

fn length(bytes: &[u8]) -> [u8; 2] {
    u16::try_from(bytes.len())
        .expect("ten certificates are shorter than 64 KiB")
        .to_be_bytes()
}

fn read_certificates(bytes: &[u8]) -> Result<Vec<DeviceCertificate>, ListError> {
    let mut reader = Reader::new(bytes);
    let mut devices = Vec::new();
    while !reader.is_empty() {
        devices.push(DeviceCertificate::from_bytes(reader.prefixed_u16()?)?);
    }
    Ok(devices)
}
