//! One process at a time: an advisory lock on a file beside the database.
//!
//! SQLite would let a second process in between two transactions. That process would read a ratchet, the first one would move it on, and
//! what the second one holds in memory (connections, waits) would be of another world. The system releases the lock when a process dies,
//! however it dies, so there is never a stale one to clear away.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::OpenError;
use crate::files;

/// The lock, held until it is dropped.
pub(super) struct ProcessLock {
    _file: File,
}

impl ProcessLock {
    pub(super) fn take(path: &Path) -> Result<Self, OpenError> {
        let file = files::private_options().write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse),
            // Some network file systems have no locks. Running on without would be worse than saying so.
            Err(TryLockError::Error(error)) => Err(OpenError::Io(error)),
        }
    }
}
