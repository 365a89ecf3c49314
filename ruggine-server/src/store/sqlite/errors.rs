//! sqlx errors as errors of the store.

use crate::store::StoreError;

const BUSY: &str = "5";
const LOCKED: &str = "6";
const READ_ONLY: &str = "8";
const IO: &str = "10";
const FULL: &str = "13";

pub(super) fn store_error(error: sqlx::Error) -> StoreError {
    let primary_code = |code: &str| {
        let code: u32 = code.parse().unwrap_or(0);
        (code & 0xff).to_string()
    };
    let code = error
        .as_database_error()
        .and_then(|database| database.code())
        .map(|code| primary_code(&code));
    match (&error, code.as_deref()) {
        (_, Some(BUSY | LOCKED)) => StoreError::Unavailable(Box::new(error)),
        (_, Some(FULL | READ_ONLY | IO)) => StoreError::CannotWrite(Box::new(error)),
        (
            sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::Io(_)
            | sqlx::Error::WorkerCrashed,
            _,
        ) => StoreError::Unavailable(Box::new(error)),
        _ => StoreError::Refused(Box::new(error)),
    }
}
