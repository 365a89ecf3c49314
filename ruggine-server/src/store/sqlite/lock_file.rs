//! One process a database: an advisory lock on a file beside it, which the
//! operating system drops when the process ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use crate::store::OpenStoreError;

/// The lock, held until dropped.
#[derive(Debug)]
pub(super) struct LockFile(#[expect(dead_code, reason = "held for its lock")] File);

impl LockFile {
    pub(super) fn take(database: &Path) -> Result<Self, OpenStoreError> {
        let mut name = database.as_os_str().to_owned();
        name.push(".lock");
        let path = PathBuf::from(name);
        let failed = |source| OpenStoreError::Folder {
            path: path.clone(),
            source,
        };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(OpenStoreError::Locked(database.to_path_buf())),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}
