//! sqlx errors as errors of the store, and which of them pass by themselves.

use crate::store::{OpenStoreError, StoreError};

/// What is known of a failed step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cure {
    /// Somebody else was first: the same step goes through when it is repeated.
    Repeat,
    /// The connection is gone: another one may do.
    Reconnect,
    /// Repeating changes nothing.
    None,
}

pub(super) fn store_error(error: sqlx::Error) -> StoreError {
    let code = code(&error);
    match code.as_deref() {
        Some(code) if is_unwritable(code) => StoreError::CannotWrite(Box::new(error)),
        Some(code) if is_passing(code) => StoreError::Unavailable(Box::new(error)),
        Some(_) => StoreError::Refused(Box::new(error)),
        None if is_connection_lost(&error) || is_pool(&error) => {
            StoreError::Unavailable(Box::new(error))
        }
        None => StoreError::Refused(Box::new(error)),
    }
}

/// What may heal a failed step.
pub(super) fn cure(error: &StoreError) -> Cure {
    let StoreError::Unavailable(source) = error else {
        return Cure::None;
    };
    let Some(error) = source.downcast_ref::<sqlx::Error>() else {
        return Cure::None;
    };
    match code(error).as_deref() {
        // A serialization failure, a deadlock.
        Some("40001" | "40P01") => Cure::Repeat,
        // The server goes, went, or comes.
        Some("57P01" | "57P02" | "57P03" | "25P03") => Cure::Reconnect,
        Some(code) if code.starts_with("08") => Cure::Reconnect,
        Some(_) => Cure::None,
        None if is_connection_lost(error) => Cure::Reconnect,
        None => Cure::None,
    }
}

pub(super) fn open_error(error: sqlx::Error) -> OpenStoreError {
    match code(&error).as_deref() {
        Some("28P01" | "28000") => OpenStoreError::Credentials(Box::new(error)),
        Some("3D000") => OpenStoreError::NoDatabase(Box::new(error)),
        Some("25006") => OpenStoreError::ReadOnly,
        Some("42501") => OpenStoreError::Forbidden(Box::new(error)),
        Some(_) => OpenStoreError::Database(Box::new(error)),
        None if is_connection_lost(&error) => OpenStoreError::Unreachable(Box::new(error)),
        None => OpenStoreError::Database(Box::new(error)),
    }
}

/// Whether opening may succeed when it is tried again a little later.
pub(super) fn is_worth_waiting(error: &sqlx::Error) -> bool {
    match code(error).as_deref() {
        Some(code) => code == "57P03" || code == "53300" || code.starts_with("08"),
        None => is_connection_lost(error),
    }
}

pub(super) fn code(error: &sqlx::Error) -> Option<String> {
    error
        .as_database_error()
        .and_then(|database| database.code())
        .map(Into::into)
}

fn is_connection_lost(error: &sqlx::Error) -> bool {
    matches!(
        error,
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed
    )
}

const fn is_pool(error: &sqlx::Error) -> bool {
    matches!(
        error,
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Tls(_)
    )
}

/// The disk is full or fails, or the server takes no writes.
fn is_unwritable(code: &str) -> bool {
    matches!(code, "25006" | "53100" | "58030")
}

/// Classes of failures that say nothing of the step itself: lost connections,
/// too few resources, an operator at work, somebody else in the way.
fn is_passing(code: &str) -> bool {
    matches!(code, "40001" | "40P01" | "55P03" | "25P03")
        || ["08", "53", "57", "58"]
            .iter()
            .any(|class| code.starts_with(class))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_what_passes() {
        for code in ["53100", "25006", "58030"] {
            assert!(is_unwritable(code), "{code}");
        }
        for code in ["40001", "40P01", "57014", "57P01", "53300", "08006"] {
            assert!(is_passing(code) && !is_unwritable(code), "{code}");
        }
        for code in ["23505", "22021", "42P01"] {
            assert!(!is_passing(code) && !is_unwritable(code), "{code}");
        }
    }
}
