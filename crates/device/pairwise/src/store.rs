//! What an app keeps for us: values under keys, and one atomic commit for each step.
//!
//! Everything that is stored is sealed before it gets here, and names are keyed hashes: whoever reads the app's database learns how many
//! rows there are and how long they are. Two rows have readable names, [`HEAD`] and `key`; neither is readable itself.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The row that every commit is conditional on.
pub const HEAD: &[u8] = b"head";

/// One change of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreWrite {
    /// The row's name, at most 64 bytes.
    pub key: Vec<u8>,
    /// Its new value; the row is deleted where there is none.
    pub value: Option<Vec<u8>>,
}

/// Why a store did nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreFault {
    /// [`HEAD`] is not what the commit expected: another process has written since.
    #[error("another process has written to the store")]
    Conflict,
    /// There is no room.
    #[error("the store has no room")]
    Full,
    /// It cannot be used now, and may be later.
    #[error("the store is busy")]
    Busy,
    /// Something else.
    #[error("the store failed")]
    Failed,
}

/// A transactional store of bytes.
///
/// An app with SQLite needs one table of two columns; `docs/manual/crypto-only.md` has it in full.
pub trait CryptoStore: Send + Sync {
    /// The value of a row.
    ///
    /// # Errors
    /// [`StoreFault`]. Where it is not known whether a row is there, an error is the answer, never `None`.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFault>;

    /// In one transaction: compares the value of [`HEAD`] with `expected_head`, and where they are equal does every write. Answers only
    /// when all of it would survive a power cut.
    ///
    /// # Errors
    /// [`StoreFault::Conflict`] where they are not equal. After an error nothing, or everything, may have been written.
    fn commit(&self, expected_head: Option<&[u8]>, writes: &[StoreWrite]) -> Result<(), StoreFault>;
}

/// A store in memory, for tests and examples.
#[derive(Debug, Default)]
pub struct MemoryStore {
    rows: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Another store with the same rows: what a backup of the app's files would be.
    #[must_use]
    pub fn copied(&self) -> Self {
        Self { rows: Mutex::new(self.rows().clone()) }
    }

    /// Every row.
    pub fn rows(&self) -> std::sync::MutexGuard<'_, BTreeMap<Vec<u8>, Vec<u8>>> {
        // Nothing panics while the lock is held.
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CryptoStore for MemoryStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFault> {
        Ok(self.rows().get(key).cloned())
    }

    fn commit(&self, expected_head: Option<&[u8]>, writes: &[StoreWrite]) -> Result<(), StoreFault> {
        let mut rows = self.rows();
        if rows.get(HEAD).map(Vec::as_slice) != expected_head {
            return Err(StoreFault::Conflict);
        }
        for StoreWrite { key, value } in writes {
            match value {
                Some(value) => rows.insert(key.clone(), value.clone()),
                None => rows.remove(key),
            };
        }
        Ok(())
    }
}
