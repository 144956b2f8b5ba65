//! One process owns a state directory. The operating system drops the lock with the process, however it ends.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use crate::store::StoreError;

/// A file that is there while a restore moves files.
pub(crate) const UNFINISHED: &str = "unfinished-restore";

/// Held as long as the value lives.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Creates the directory (mode 0700) if need be, and takes the lock.
    pub fn take(directory: &Path) -> Result<Lock, StoreError> {
        let lock = Lock::take_unfinished(directory)?;
        finished(directory)?;
        Ok(lock)
    }

    /// The same, also of a directory in which a restore was interrupted.
    pub(crate) fn take_unfinished(directory: &Path) -> Result<Lock, StoreError> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(directory).map_err(StoreError::io(directory))?;
        let path = directory.join("lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = file.map_err(StoreError::io(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked(directory.to_owned())),
            Err(TryLockError::Error(error)) => Err(StoreError::io(path)(error)),
        }
    }
}

/// Whoever opens a state directory, also beside its owner, must not take half a restore for a state.
pub fn finished(directory: &Path) -> Result<(), StoreError> {
    if directory.join(UNFINISHED).exists() { Err(StoreError::Unfinished(directory.to_owned())) } else { Ok(()) }
}
