//! Accounts: registering, logging in, and finding somebody.

use serde::{Deserialize, Serialize};

use super::session::Tokens;
use crate::id::{DeviceId, SessionId, UserId};
use crate::name::{DisplayName, Username};
use crate::secret::SecretText;

/// Creates an account.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Register {
    /// The handle that is wanted: 3 to 32 of `a-z 0-9 . _ -`, case folded.
    pub username: String,
    /// 12 to 128 characters, of any kind.
    pub password: SecretText,
    /// A free name of up to 64 characters; the username where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// What the user calls this device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_name: Option<String>,
}

/// Logs a device in.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LogIn {
    /// The handle.
    pub username: String,
    /// The password.
    pub password: SecretText,
    /// The device that logs in again; a new one is made where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<KnownDevice>,
    /// What the user calls a new device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_name: Option<String>,
}

/// A device that proves to be the one it was.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KnownDevice {
    /// The device.
    pub id: DeviceId,
    /// The secret that its first login returned.
    pub secret: SecretText,
}

/// A successful login.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Login {
    /// Who logged in.
    pub user: User,
    /// The device.
    pub device: DeviceId,
    /// Proves later that this is the same device; given once, when it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_secret: Option<SecretText>,
    /// The session.
    pub session: SessionId,
    /// The session's tokens.
    pub tokens: Tokens,
}

/// Finds a user by exact username.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LookUp {
    /// The handle, in any case.
    pub username: String,
}

/// A person, as others see them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct User {
    /// The account.
    pub id: UserId,
    /// The unique handle.
    pub username: Username,
    /// The free name.
    pub display_name: DisplayName,
}
