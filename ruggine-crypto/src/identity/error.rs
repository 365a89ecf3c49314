//! Why certificates and device lists are refused.

use ruggine_core::DeviceId;

use super::wire::WrongLength;

/// Why a certificate was not accepted or not issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Bytes that are not laid out as a certificate is.
    #[error("the bytes are not a device certificate")]
    Malformed,
    /// A format that this program does not know, perhaps a later one.
    #[error("the certificate has format {0}, only 1 is known")]
    Format(u8),
    /// No suites, too many, or not in ascending order.
    #[error("a certificate names 1 to 16 suites in ascending order")]
    Suites,
    /// It ends before it begins.
    #[error("the certificate ends before it begins")]
    Validity,
    /// The account key in it is none to rely on.
    #[error("the account key of the certificate is not usable")]
    AccountKey,
    /// The signature key in it is none to rely on, or is the account key.
    #[error("the signature key of the certificate is not usable")]
    SignatureKey,
    /// The account key in it did not sign it.
    #[error("the certificate is not signed by its account key")]
    Signature,
    /// It names another user than the expected one.
    #[error("the certificate is of another user")]
    OtherUser,
    /// It names another account key than the one known for the user.
    #[error("the certificate is of another account key")]
    OtherAccount,
    /// Its time has not come.
    #[error("the certificate is not valid yet")]
    NotYetValid,
    /// Its time is over.
    #[error("the certificate has expired")]
    Expired,
}

impl From<WrongLength> for CertificateError {
    fn from(WrongLength: WrongLength) -> Self {
        Self::Malformed
    }
}

/// Why a device list was not accepted or not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// Bytes that are not laid out as a list is.
    #[error("the bytes are not a device list")]
    Malformed,
    /// A format that this program does not know, perhaps a later one.
    #[error("the device list has format {0}, only 1 is known")]
    Format(u8),
    /// The account key in it is none to rely on.
    #[error("the account key of the device list is not usable")]
    AccountKey,
    /// The account key in it did not sign it.
    #[error("the device list is not signed by its account key")]
    Signature,
    /// One of its certificates is not accepted.
    #[error("the device list holds a certificate that is refused")]
    Certificate(#[from] CertificateError),
    /// No devices, or too many.
    #[error("a device list has 1 to 10 devices, this one has {0}")]
    DeviceCount(usize),
    /// This device is of another user or account key than the list.
    #[error("the device {0} is not of the user and account key of the list")]
    ForeignDevice(DeviceId),
    /// Two devices have one id, or the ids are not in ascending order.
    #[error("the device ids of the list are not ascending and unique")]
    DeviceIds,
    /// Two devices have one signature key.
    #[error("two devices of the list have one signature key")]
    SharedKey,
    /// The version is zero or the last one there can be, or does not go with
    /// the hash of the previous list.
    #[error("the version of the device list does not fit a chain")]
    Chain,
    /// The next version was to be signed with another account key.
    #[error("the account key is not the one of the device list")]
    OtherAccount,
}

impl From<WrongLength> for ListError {
    fn from(WrongLength: WrongLength) -> Self {
        Self::Malformed
    }
}
