//! Somebody who takes part in a test.

use ruggine_core::api::account::{KnownDevice, LogIn, Login, Register};
use ruggine_core::secret::SecretText;
use ruggine_core::{DeviceId, SessionId, UserId};

/// What everybody in a test uses; long enough and not among the first guesses.
const PASSWORD: &str = "tavolo nebbia remo sasso";

/// A user, logged in on one device.
#[derive(Debug, Clone)]
pub struct Person {
    /// What the server answered when they logged in.
    pub login: Login,
}

impl Person {
    /// The request that makes this person.
    #[must_use]
    pub fn registration(username: &str) -> Register {
        Register {
            username: username.to_owned(),
            password: SecretText::new(PASSWORD),
            display_name: None,
            device_name: None,
        }
    }

    /// The request with which they log in on a new device.
    #[must_use]
    pub fn new_login(&self) -> LogIn {
        LogIn {
            username: self.login.user.username.to_string(),
            password: SecretText::new(PASSWORD),
            device: None,
            device_name: None,
        }
    }

    /// The request with which they log in again on this device; only for the
    /// login that made the device.
    #[must_use]
    pub fn same_device_login(&self) -> LogIn {
        LogIn {
            device: self.login.device_secret.clone().map(|secret| KnownDevice {
                id: self.login.device,
                secret,
            }),
            ..self.new_login()
        }
    }

    /// Who.
    #[must_use]
    pub const fn user(&self) -> UserId {
        self.login.user.id
    }

    /// On which device.
    #[must_use]
    pub const fn device(&self) -> DeviceId {
        self.login.device
    }

    /// In which session.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        self.login.session
    }

    /// What proves it.
    #[must_use]
    pub const fn token(&self) -> &SecretText {
        &self.login.tokens.access
    }
}
