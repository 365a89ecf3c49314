//! Errors as peers see them.

use std::time::Duration;

use ruggine_core::{ApiError, ErrorCode};

use super::text::{Locale, sentence};
use crate::engine::EngineError;

/// The error that a peer gets. What only we should know goes to the log.
pub(crate) fn api_error(error: &EngineError, locale: Locale) -> ApiError {
    let (details, retry_after) = match error {
        EngineError::Rejected { details, .. } => (details.as_deref().map(str::to_owned), None),
        EngineError::Limited { retry_after, .. } => (None, Some(*retry_after)),
        EngineError::Store(error) => {
            tracing::error!(%error, "the store failed");
            (None, error.is_retryable().then_some(Duration::from_secs(1)))
        }
        EngineError::Internal(error) => {
            tracing::error!(%error, "an operation failed");
            (None, None)
        }
    };
    let code = error.code();
    ApiError {
        code,
        message: sentence(code, locale).to_owned(),
        retryable: code.is_retryable(),
        retry_after_ms: retry_after.map(millis),
        details,
    }
}

/// An error that no engine made.
pub(crate) fn plain_error(code: ErrorCode, locale: Locale) -> ApiError {
    api_error(&EngineError::rejected(code), locale)
}

/// Rounded up, so that who waits as long is not refused again.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis())
        .unwrap_or(u64::MAX)
        .saturating_add(1)
}
