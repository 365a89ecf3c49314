//! Key packages: what a device leaves with the server so that others can add it
//! to a group while it is not there.
//!
//! A package is handed out once, to whoever claims it first. One of last resort
//! stays, for when there is no other.

use serde::{Deserialize, Serialize};

use crate::blob::Blob;
use crate::id::{DeviceId, UserId};

/// Leaves packages of the calling device with the server: all of them, or none.
///
/// Each has to be under the certificate with which the device stands in its
/// user's newest device list, and not have been left here in the last month;
/// else `invalid_key_package`. The server keeps up to 100 of each suite for a
/// device, and withdraws those under an earlier certificate.
///
/// A frame of a socket has room for about sixteen packages of the post-quantum
/// suite; a body over HTTP has room for 51 of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Publish {
    /// Packages that are used once, each of at most 16 KiB; with the one of
    /// last resort at most 51.
    pub packages: Vec<Blob>,
    /// A package of last resort. It takes the place of the earlier one of its suite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_resort: Option<Blob>,
}

/// Asks how many packages of the calling device are left.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StockRequest {}

/// How many packages of a device are left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Stock {
    /// One entry for each suite that the server takes packages of, the
    /// preferred one first.
    pub suites: Vec<SuiteStock>,
}

/// How many packages of a suite are left, of those that hold and are under the
/// certificate of the newest device list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SuiteStock {
    /// The number of the MLS cipher suite.
    pub suite: u16,
    /// Packages that are used once and have not been handed out.
    pub available: u32,
    /// Whether there is one of last resort.
    pub last_resort: bool,
}

/// Takes one package of each device of a user, in order to add them to a group.
///
/// How often one user may claim from another is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Claim {
    /// Whose devices. Of one's own, the calling device is left out.
    pub user: UserId,
    /// The number of the MLS cipher suite.
    pub suite: u16,
}

/// Packages that are handed out to nobody else, but for those of last resort.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Claimed {
    /// One for each device of the newest device list, in the order of their
    /// ids. A device that has none is left out.
    pub packages: Vec<ClaimedPackage>,
}

/// A package of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClaimedPackage {
    /// Which device.
    pub device: DeviceId,
    /// The package.
    pub package: Blob,
    /// Whether others may have been given the same.
    pub last_resort: bool,
}
