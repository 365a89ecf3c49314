//! The seam to who somebody is.

mod password;
mod password_policy;

use std::time::Duration;

use ruggine_core::api::account::{LogIn, Login, Register};
use ruggine_core::api::session::{Refresh, Tokens};
use ruggine_core::secret::SecretText;
use ruggine_core::{DeviceId, SessionId, UserId};

pub use password::PasswordAuthenticator;
pub use password_policy::WeakPassword;

use crate::seam::seam;
use crate::store::StoreError;

/// Who a caller is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Principal {
    /// The user.
    pub user: UserId,
    /// The device.
    pub device: DeviceId,
    /// The session.
    pub session: SessionId,
}

/// Why somebody is not let in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// The token is unknown, expired or revoked.
    #[error("the token is not valid")]
    Unauthenticated,
    /// Username and password, or device and secret, do not match.
    #[error("the credentials do not match")]
    InvalidCredentials,
    /// A refresh token was used after its successor; the session is over.
    #[error("a refresh token was used again")]
    TokenReused {
        /// Whose.
        user: UserId,
        /// Which.
        session: SessionId,
    },
    /// The username belongs to somebody.
    #[error("the username is taken")]
    UsernameTaken,
    /// The text cannot be a username.
    #[error(transparent)]
    InvalidUsername(#[from] ruggine_core::name::InvalidUsername),
    /// The text cannot be a display or device name.
    #[error(transparent)]
    InvalidDisplayName(#[from] ruggine_core::name::InvalidDisplayName),
    /// The password is refused.
    #[error(transparent)]
    WeakPassword(#[from] WeakPassword),
    /// Too many logins wait already.
    #[error("too many logins at once")]
    Busy {
        /// How long to wait.
        retry_after: Duration,
    },
    /// This authenticator has no such way in.
    #[error("this server does not offer that")]
    Unsupported,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A fault on the server's side.
    #[error("authentication failed inside: {0}")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

seam! {
    /// Turns credentials into sessions and tokens into principals. An embedder
    /// with accounts of their own replaces it whole and answers `Unsupported`
    /// where they have no such way in.
    pub trait Authenticator / DynAuthenticator {
        /// Creates an account and logs its first device in.
        async fn register(&self, request: Register) -> Result<Login, AuthError>;

        /// Logs a device in. A user who does not exist takes as long as one who
        /// does and is answered alike.
        async fn log_in(&self, request: LogIn) -> Result<Login, AuthError>;

        /// Exchanges a refresh token.
        async fn refresh(&self, request: Refresh) -> Result<Tokens, AuthError>;

        /// Who holds this access token.
        async fn authenticate(&self, token: SecretText) -> Result<Principal, AuthError>;
    }
}
