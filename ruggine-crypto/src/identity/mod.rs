//! Who a person is and which devices are theirs, in a form that no server can
//! forge. It checks signatures and remembers nothing: what is read and kept is
//! for the caller.
//!
//! 1. A person has one [`AccountKey`]. Its public half is the person's
//!    identity: contacts remember it, and a [`SafetyNumber`] compares it.
//! 2. The account key signs a [`DeviceCertificate`] for each device: this MLS
//!    signature key belongs to this device of this user, from then until then.
//! 3. The account key signs the [`DeviceList`], in which those certificates
//!    stand. Each version names the hash of the one before, and a contact's
//!    [`Pin`] follows the versions, so a device that was taken out stays out.
//!
//! A certificate alone does not make a device trusted. It has to pass
//! [`DeviceCertificate::check`] and to stand in the newest pinned list
//! ([`DeviceList::lists`]).

mod account;
mod certificate;
mod device_list;
mod digits;
mod error;
mod list_body;
mod pin;
mod safety_number;
mod wire;

pub use account::{AccountKey, AccountPublicKey, InvalidKey};
pub use certificate::{CertificateFields, DeviceCertificate};
pub use device_list::{DeviceList, MAX_DEVICES};
pub use digits::epoch_digits;
pub use error::{CertificateError, ListError};
pub use pin::{ContactState, MalformedPin, Pin, PinError};
pub use safety_number::{SafetyNumber, ScanError};
