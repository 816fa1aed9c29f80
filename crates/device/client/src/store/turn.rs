//! Whose turn it is: a lock round each transaction, and the number of the last commit.
//!
//! `store.turn` is locked for the time of one transaction, so that an app and its push extension never interleave a step of a ratchet.
//! Inside it stands how many commits the store has seen, written after each of them. That number says three things:
//!
//! - that the file is of the present layout, without anybody opening the database to look;
//! - that another process has written, without a transaction (8 bytes are read);
//! - that commits are missing. The store counts them too, inside its encryption, and its count is durable before this one is written. A store
//!   that counts *less* has lost its write-ahead log, or a part of it: the keys of what was lost would be used again, so the store opens as
//!   rolled back.
//!
//! The number is not a secret and not authenticated: whoever can write here can make a store look rolled back, and could delete it as well.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rcseal_engine::store::{StoreError, StoreErrorKind};

use super::OpenError;
use super::lock::{Held, LockFile};

const FILE: &str = "store.turn";
/// Says that the file is one, and that the database beside it is of the layout with a plain header.
const MAGIC: &[u8; 8] = b"RCSTURN1";
/// Magic, number, and the number's complement, by which a torn or damaged one is told.
const LEN: usize = 24;
/// A transaction takes milliseconds, an upkeep of thousands of rows some hundreds. Who holds the lock longer has been stopped.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// The turns of a store.
pub(super) struct Turns {
    file: LockFile,
    /// A second handle, with a place of its own in the file: whoever only looks must not move the writer's.
    reader: Mutex<File>,
}

/// One turn, until it is dropped.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    _held: Held<'a>,
}

impl Turns {
    pub(super) fn open(folder: &Path) -> Result<Self, OpenError> {
        let path = folder.join(FILE);
        Ok(Self { file: LockFile::open(&path)?, reader: Mutex::new(File::open(path)?) })
    }

    /// Waits for the turn.
    pub(super) fn take(&self) -> Result<Turn<'_>, StoreError> {
        let held = self.file.take(WAIT_MAX).map_err(|error| StoreError::new(StoreErrorKind::Io, error))?;
        let held = held.ok_or_else(|| StoreError::of(StoreErrorKind::Busy))?;
        Ok(Turn { turns: self, _held: held })
    }

    /// The turn, if it is free.
    pub(super) fn try_take(&self) -> Option<Turn<'_>> {
        let held = self.file.try_take().ok().flatten()?;
        Some(Turn { turns: self, _held: held })
    }

    /// The number of the last commit; `None` when the file says none. Read outside a turn it may be one behind.
    pub(super) fn commits(&self) -> Option<u64> {
        let mut file = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = [0; LEN];
        file.seek(SeekFrom::Start(0)).and_then(|_| file.read_exact(&mut bytes)).ok()?;
        parse(&bytes)
    }
}

impl Turn<'_> {
    /// The number of the last commit.
    pub(super) fn commits(&self) -> Option<u64> {
        self.turns.commits()
    }

    /// Notes a commit that is durable. That this fails takes nothing back: the number is behind then, which is allowed.
    pub(super) fn note(&self, commits: u64) {
        let mut bytes = [0; LEN];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..16].copy_from_slice(&commits.to_be_bytes());
        bytes[16..].copy_from_slice(&(!commits).to_be_bytes());
        let mut file = self.turns.file.file();
        if let Err(error) = file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(&bytes)) {
            tracing::warn!(event = "commit_not_noted", kind = ?error.kind());
        }
    }
}

fn parse(bytes: &[u8; LEN]) -> Option<u64> {
    let number = |at: usize| {
        let mut number = [0; 8];
        number.copy_from_slice(&bytes[at..at + 8]);
        u64::from_be_bytes(number)
    };
    (bytes[..8] == *MAGIC && number(8) == !number(16)).then(|| number(8))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_number_is_read_back_and_a_damaged_one_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let turns = Turns::open(folder.path()).unwrap();
        assert_eq!(turns.commits(), None);
        turns.take().unwrap().note(7);
        assert_eq!(turns.commits(), Some(7));
        let mut bytes = std::fs::read(folder.path().join(FILE)).unwrap();
        for at in 0..bytes.len() {
            bytes[at] ^= 1;
            std::fs::write(folder.path().join(FILE), &bytes).unwrap();
            assert_eq!(turns.commits(), None, "byte {at}");
            bytes[at] ^= 1;
        }
    }

    #[test]
    fn one_turn_at_a_time_in_one_process_too() {
        let folder = tempfile::tempdir().unwrap();
        let (ours, theirs) = (Turns::open(folder.path()).unwrap(), Turns::open(folder.path()).unwrap());
        let turn = ours.take().unwrap();
        assert!(theirs.try_take().is_none());
        drop(turn);
        assert!(theirs.try_take().is_some());
    }
}
