//! What goes into and comes out of a store about identities and key packages.
//! The store does not read lists and packages: whoever brings them has.

use ruggine_core::{Blob, DeviceId, Timestamp, UserId};

/// A version of a user's device list.
#[derive(Debug, Clone)]
pub struct NewDeviceList {
    /// Whose.
    pub user: UserId,
    /// Which version; the first is 1.
    pub version: u64,
    /// The hash of the version before, which it names.
    pub previous: [u8; 32],
    /// Its own hash.
    pub hash: [u8; 32],
    /// The account key that signed it.
    pub account: [u8; 32],
    /// The devices in it, each once.
    pub devices: Vec<DeviceId>,
    /// The list.
    pub body: Blob,
    /// When.
    pub at: Timestamp,
}

/// What became of appending a device list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendList {
    /// It is the newest one now.
    Appended,
    /// It was the newest one before.
    Existed,
    /// It does not follow the newest one: it is not one version up, names
    /// another hash, or is of another account key.
    Conflict,
    /// The user has never logged in on one of its devices.
    ForeignDevice,
}

/// A device list that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDeviceList {
    /// Whose.
    pub user: UserId,
    /// Which version.
    pub version: u64,
    /// The list.
    pub body: Blob,
}

/// A device as it stands in a device list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertifiedDevice {
    /// Whose.
    pub user: UserId,
    /// Which.
    pub device: DeviceId,
    /// The certificate with which it stands there. Packages that were made
    /// under another one are of no use.
    pub certificate: Blob,
}

/// A key package to be stored.
#[derive(Debug, Clone)]
pub struct NewKeyPackage {
    /// The number of its suite.
    pub suite: u16,
    /// The hash that names it.
    pub reference: Vec<u8>,
    /// Whether it may be handed out several times.
    pub last_resort: bool,
    /// The first moment at which it is handed out no more.
    pub expires_at: Timestamp,
    /// The package.
    pub body: Blob,
}

/// Key packages of one device.
#[derive(Debug, Clone)]
pub struct NewKeyPackages {
    /// Of which device.
    pub owner: CertifiedDevice,
    /// The version of the device list in which it stands so; 0 without any list.
    pub list_version: u64,
    /// The packages, of last resort at most one of each suite.
    pub packages: Vec<NewKeyPackage>,
    /// How many of a suite the device may have then, besides the one of last resort.
    pub most: u32,
    /// When.
    pub at: Timestamp,
}

/// What became of storing key packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKeyPackages {
    /// All are there now.
    Stored,
    /// One has been stored for the device before, or comes twice; nothing was stored.
    Known,
    /// There would be too many; nothing was stored.
    Full,
    /// The user has another list by now, under which others may have been stored;
    /// nothing was stored.
    Outdated,
}

/// Devices of which one package each is wanted.
#[derive(Debug, Clone)]
pub struct ClaimKeyPackages {
    /// Which devices, each once.
    pub owners: Vec<CertifiedDevice>,
    /// Of which suite.
    pub suite: u16,
    /// When.
    pub at: Timestamp,
}

/// A package that is handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedKeyPackage {
    /// Of which device.
    pub device: DeviceId,
    /// The package.
    pub body: Blob,
    /// Whether it may be handed out again.
    pub last_resort: bool,
}
