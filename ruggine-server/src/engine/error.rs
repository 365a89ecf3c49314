//! How a verb can fail.

use std::borrow::Cow;
use std::time::Duration;

use ruggine_core::ErrorCode;

use crate::auth::AuthError;
use crate::rate_limit::RetryAfter;
use crate::store::StoreError;

/// A verb that was not done. Nothing of it was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The request cannot be served as it is.
    #[error("{code}{}", details.as_deref().map(|text| format!(": {text}")).unwrap_or_default())]
    Rejected {
        /// Why.
        code: ErrorCode,
        /// The field or rule concerned; never secret.
        details: Option<Cow<'static, str>>,
    },
    /// A limit is reached; the same request may succeed later.
    #[error("{code}, retry in {retry_after:?}")]
    Limited {
        /// Which kind of limit.
        code: ErrorCode,
        /// How long to wait.
        retry_after: Duration,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A fault on this side, with its cause for the log.
    #[error("internal: {0}")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What a verb gives.
pub type EngineResult<T> = Result<T, EngineError>;

impl EngineError {
    /// A rejection that explains itself by its code.
    pub(crate) const fn rejected(code: ErrorCode) -> Self {
        Self::Rejected {
            code,
            details: None,
        }
    }

    /// A rejection that names the field or rule.
    pub(crate) fn detailed(code: ErrorCode, details: impl Into<Cow<'static, str>>) -> Self {
        Self::Rejected {
            code,
            details: Some(details.into()),
        }
    }

    pub(crate) fn internal(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(error.into())
    }

    /// The code under which a peer sees the failure.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Rejected { code, .. } | Self::Limited { code, .. } => *code,
            Self::Store(
                StoreError::Unavailable(_) | StoreError::CannotWrite(_) | StoreError::Replaced,
            ) => ErrorCode::Unavailable,
            Self::Store(_) | Self::Internal(_) => ErrorCode::Internal,
        }
    }
}

impl From<RetryAfter> for EngineError {
    fn from(RetryAfter(retry_after): RetryAfter) -> Self {
        Self::Limited {
            code: ErrorCode::RateLimited,
            retry_after,
        }
    }
}

impl From<AuthError> for EngineError {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Unauthenticated => Self::rejected(ErrorCode::Unauthenticated),
            AuthError::InvalidCredentials => Self::rejected(ErrorCode::InvalidCredentials),
            AuthError::TokenReused { .. } => Self::rejected(ErrorCode::TokenReused),
            AuthError::UsernameTaken => Self::rejected(ErrorCode::UsernameTaken),
            AuthError::InvalidUsername(error) => {
                Self::detailed(ErrorCode::InvalidUsername, error.to_string())
            }
            AuthError::InvalidDisplayName(error) => {
                Self::detailed(ErrorCode::InvalidDisplayName, error.to_string())
            }
            AuthError::WeakPassword(error) => {
                Self::detailed(ErrorCode::WeakPassword, error.to_string())
            }
            AuthError::Busy { retry_after } => Self::Limited {
                code: ErrorCode::Overloaded,
                retry_after,
            },
            AuthError::Unsupported => Self::rejected(ErrorCode::Forbidden),
            AuthError::Store(error) => Self::Store(error),
            AuthError::Internal(error) => Self::Internal(error),
        }
    }
}
