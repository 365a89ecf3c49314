//! How what a client is asked to do can fail.

use ruggine_core::content::ContentError;
use ruggine_core::{ApiError, ErrorCode};

use crate::store::StoreError;
use crate::transport::TransportError;

/// A request that got no good answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The server refused it.
    #[error("{}", .0.message)]
    Refused(ApiError),
    /// There is no connection; it may have been done or not.
    #[error("there is no connection to the server")]
    Disconnected,
    /// No answer came in time; it may have been done or not.
    #[error("the server did not answer in time")]
    TimedOut,
    /// Nobody is logged in.
    #[error("nobody is logged in on this device: log in first")]
    LoggedOut,
    /// The server could not be reached.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The server's answer is not of the protocol.
    #[error("the server's answer cannot be understood: {0}")]
    Nonsense(&'static str),
    /// The local store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RequestError {
    /// The code with which the server refused, where it did.
    #[must_use]
    pub const fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused(error) => Some(error.code),
            _ => None,
        }
    }

    /// Whether the same request may succeed later without being changed.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Refused(error) => error.retryable,
            Self::Disconnected | Self::TimedOut | Self::Transport(_) => true,
            Self::LoggedOut | Self::Nonsense(_) | Self::Store(_) => false,
        }
    }
}

/// A message that was not put into the outbox.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// Its content breaks a limit.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// There is no such conversation here.
    #[error("there is no such conversation on this device")]
    UnknownConversation,
    /// Nobody is logged in.
    #[error("nobody is logged in on this device: log in first")]
    LoggedOut,
    /// The local store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
