//! Advisory locks on files beside the database.
//!
//! The system releases such a lock when a process dies, however it dies, so there is never a stale one to clear away. The locks are those
//! of `flock`: they belong to an open file and not to a process, so that two stores in one process exclude each other as two processes do.
//! The standard library's own call is not there on Android, which is why the call is made through `rustix`.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::files;

/// The first pause between two tries, and the longest one. A transaction takes about a millisecond.
const PAUSE_MIN: Duration = Duration::from_micros(100);
const PAUSE_MAX: Duration = Duration::from_millis(4);

/// A file that can be locked.
pub(super) struct LockFile {
    file: File,
}

/// The lock, held until it is dropped.
pub(super) struct Held<'a> {
    file: &'a File,
}

/// A lock that brings its file along.
pub(super) struct OwnedLock {
    _file: File,
}

impl LockFile {
    /// Opens the file, which is made when it is not there.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = files::private_options().read(true).write(true).create(true).truncate(false).open(path)?;
        Ok(Self { file })
    }

    /// Takes the lock if it is free.
    pub(super) fn try_take(&self) -> io::Result<Option<Held<'_>>> {
        Ok(try_lock(&self.file)?.then_some(Held { file: &self.file }))
    }

    /// Waits for the lock, `limit` at the most.
    pub(super) fn take(&self, limit: Duration) -> io::Result<Option<Held<'_>>> {
        let started = Instant::now();
        let mut pause = PAUSE_MIN;
        loop {
            if let Some(held) = self.try_take()? {
                return Ok(Some(held));
            }
            if started.elapsed() >= limit {
                return Ok(None);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Takes the lock if it is free, for as long as the answer lives.
    pub(super) fn try_take_owned(self) -> io::Result<Option<OwnedLock>> {
        Ok(try_lock(&self.file)?.then_some(OwnedLock { _file: self.file }))
    }

    pub(super) const fn file(&self) -> &File {
        &self.file
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // It cannot fail for a file that is open and locked; should it, closing the file releases the lock.
        let _ = unlock(self.file);
    }
}

#[cfg(unix)]
fn try_lock(file: &File) -> io::Result<bool> {
    use rustix::fs::{FlockOperation, flock};
    use rustix::io::Errno;
    loop {
        return match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(Errno::INTR) => continue,
            // Some network file systems have no locks. Running on without would be worse than saying so.
            Err(error) => Err(error.into()),
        };
    }
}

#[cfg(unix)]
fn unlock(file: &File) -> io::Result<()> {
    Ok(rustix::fs::flock(file, rustix::fs::FlockOperation::Unlock)?)
}

#[cfg(not(unix))]
fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(std::fs::TryLockError::WouldBlock) => Ok(false),
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(not(unix))]
fn unlock(file: &File) -> io::Result<()> {
    file.unlock()
}
