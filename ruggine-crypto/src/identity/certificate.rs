//! Device certificates: the account key's word that an MLS signature key
//! belongs to a device.
//!
//! The bytes, with big-endian numbers:
//!
//! ```text
//! format           1   the number 1
//! user            16
//! device          16
//! account key     32   Ed25519
//! signature key   32   Ed25519, of the device's MLS leaf
//! suites           1   bytes that follow: 2 for each suite, 1 to 16 suites
//!                 2n   MLS cipher suites, ascending, each once
//! not before       8   signed, milliseconds since the Unix epoch
//! not after        8   the same, later than not before
//! signature       64   over "ruggine/device-cert/v1" | 0x00 | all before
//! ```
//!
//! A certificate has this one encoding, so equal bytes and equal certificates
//! are the same.

use std::fmt;

use ruggine_core::{DeviceId, Timestamp, UserId};

use super::account::{
    AccountKey, AccountPublicKey, CERTIFICATE_DOMAIN, SIGNATURE_LEN, verifying_key,
};
use super::error::CertificateError;
use super::wire::{Reader, WrongLength};

const FORMAT: u8 = 1;
const MAX_SUITES: usize = 16;

/// What a certificate certifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFields {
    /// Whose device it is.
    pub user: UserId,
    /// The device. Another signature key is another device.
    pub device: DeviceId,
    /// The Ed25519 key with which the device signs in MLS.
    pub signature_key: [u8; 32],
    /// The MLS cipher suites that the device runs: 1 to 16, ascending, each once.
    pub suites: Vec<u16>,
    /// The first moment at which the certificate holds.
    pub not_before: Timestamp,
    /// The first moment at which it does not hold any more.
    pub not_after: Timestamp,
}

impl CertificateFields {
    fn validate(&self, account: &AccountPublicKey) -> Result<(), CertificateError> {
        let ascending = self.suites.is_sorted_by(|left, right| left < right);
        if !ascending || !(1..=MAX_SUITES).contains(&self.suites.len()) {
            return Err(CertificateError::Suites);
        }
        if self.not_before >= self.not_after {
            return Err(CertificateError::Validity);
        }
        let usable = verifying_key(&self.signature_key).is_ok();
        if !usable || self.signature_key == *account.as_bytes() {
            return Err(CertificateError::SignatureKey);
        }
        Ok(())
    }
}

/// A device certificate whose signature was verified. Whose it is and whether
/// it holds now is for [`check`](Self::check) to say.
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceCertificate {
    fields: CertificateFields,
    account: AccountPublicKey,
    signature: [u8; SIGNATURE_LEN],
}

impl DeviceCertificate {
    /// Bytes of the longest certificate.
    pub const MAX_LEN: usize = 1 + 16 + 16 + 32 + 32 + 1 + 2 * MAX_SUITES + 8 + 8 + SIGNATURE_LEN;

    /// Certifies a device with the account key of its user.
    ///
    /// # Errors
    /// When a reader would not accept the suites, the times or the signature key.
    pub fn issue(key: &AccountKey, fields: CertificateFields) -> Result<Self, CertificateError> {
        let account = key.public();
        fields.validate(&account)?;
        let signature = key.sign(CERTIFICATE_DOMAIN, &signed_bytes(&fields, &account));
        Ok(Self {
            fields,
            account,
            signature,
        })
    }

    /// The certificate as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = signed_bytes(&self.fields, &self.account);
        bytes.extend_from_slice(&self.signature);
        bytes
    }

    /// Reads a certificate and verifies that the account key in it signed it.
    ///
    /// # Errors
    /// When the bytes are anything but a certificate, or the signature is not
    /// of the account key.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CertificateError> {
        let certificate = Self::from_known_bytes(bytes)?;
        let (signed, signature) = bytes
            .split_last_chunk::<SIGNATURE_LEN>()
            .ok_or(WrongLength)?;
        if certificate
            .account
            .verify(CERTIFICATE_DOMAIN, signed, signature)
        {
            Ok(certificate)
        } else {
            Err(CertificateError::Signature)
        }
    }

    /// Reads a certificate whose signature was verified before, out of a group
    /// that was judged as a whole.
    pub(crate) fn from_known_bytes(bytes: &[u8]) -> Result<Self, CertificateError> {
        let (signed, signature) = bytes
            .split_last_chunk::<SIGNATURE_LEN>()
            .ok_or(WrongLength)?;
        let mut reader = Reader::new(signed);
        let format = reader.byte()?;
        if format != FORMAT {
            return Err(CertificateError::Format(format));
        }
        let user = UserId::from_bytes(reader.array()?);
        let device = DeviceId::from_bytes(reader.array()?);
        let account = AccountPublicKey::from_bytes(reader.array()?)
            .map_err(|_| CertificateError::AccountKey)?;
        let fields = CertificateFields {
            user,
            device,
            signature_key: reader.array()?,
            suites: read_suites(reader.prefixed_u8()?)?,
            not_before: reader.time()?,
            not_after: reader.time()?,
        };
        reader.end()?;
        fields.validate(&account)?;
        Ok(Self {
            fields,
            account,
            signature: *signature,
        })
    }

    /// Whether this is a certificate of the user who is expected, under the
    /// account key that is known for that user, and holds at this moment.
    ///
    /// # Errors
    /// When it is of another user or account key, or does not hold yet or any more.
    pub fn check(
        &self,
        expected_user: UserId,
        account: &AccountPublicKey,
        at: Timestamp,
    ) -> Result<(), CertificateError> {
        if self.fields.user != expected_user {
            Err(CertificateError::OtherUser)
        } else if self.account != *account {
            Err(CertificateError::OtherAccount)
        } else if at < self.fields.not_before {
            Err(CertificateError::NotYetValid)
        } else if at >= self.fields.not_after {
            Err(CertificateError::Expired)
        } else {
            Ok(())
        }
    }

    /// Whose device it is.
    #[must_use]
    pub const fn user(&self) -> UserId {
        self.fields.user
    }

    /// The device.
    #[must_use]
    pub const fn device(&self) -> DeviceId {
        self.fields.device
    }

    /// The account key that signed.
    #[must_use]
    pub const fn account(&self) -> &AccountPublicKey {
        &self.account
    }

    /// The key with which the device signs in MLS.
    #[must_use]
    pub const fn signature_key(&self) -> &[u8; 32] {
        &self.fields.signature_key
    }

    /// The MLS cipher suites that the device runs, ascending.
    #[must_use]
    pub fn suites(&self) -> &[u16] {
        &self.fields.suites
    }

    /// The first moment at which the certificate holds.
    #[must_use]
    pub const fn not_before(&self) -> Timestamp {
        self.fields.not_before
    }

    /// The first moment at which it does not hold any more.
    #[must_use]
    pub const fn not_after(&self) -> Timestamp {
        self.fields.not_after
    }
}

impl fmt::Debug for DeviceCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceCertificate")
            .field("user", &self.fields.user)
            .field("device", &self.fields.device)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

fn signed_bytes(fields: &CertificateFields, account: &AccountPublicKey) -> Vec<u8> {
    let suites: Vec<u8> = fields
        .suites
        .iter()
        .copied()
        .flat_map(u16::to_be_bytes)
        .collect();
    let suites_len = u8::try_from(suites.len()).expect("there are at most sixteen suites");
    let mut bytes = Vec::with_capacity(DeviceCertificate::MAX_LEN);
    bytes.push(FORMAT);
    bytes.extend_from_slice(fields.user.as_bytes());
    bytes.extend_from_slice(fields.device.as_bytes());
    bytes.extend_from_slice(account.as_bytes());
    bytes.extend_from_slice(&fields.signature_key);
    bytes.push(suites_len);
    bytes.extend_from_slice(&suites);
    bytes.extend_from_slice(&fields.not_before.as_millis().to_be_bytes());
    bytes.extend_from_slice(&fields.not_after.as_millis().to_be_bytes());
    bytes
}

fn read_suites(bytes: &[u8]) -> Result<Vec<u16>, WrongLength> {
    let (suites, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(WrongLength);
    }
    Ok(suites.iter().copied().map(u16::from_be_bytes).collect())
}
