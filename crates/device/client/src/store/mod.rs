//! The encrypted store: SQLite under SQLCipher, one file, one process, one transaction at a time.
//!
//! A store lives in a folder of its own:
//!
//! | file | what |
//! |---|---|
//! | `store.db` (and `-wal`, `-shm`) | the database, every page encrypted and authenticated |
//! | `store.key` | its 32-byte data key, wrapped by the [`KeyVault`] |
//! | `store.lock` | held for as long as a process has the store open |
//!
//! [`Store::run`] is the only way to write: it runs an operation of the engine in one transaction, commits on `Ok` and rolls back on
//! `Err`. A commit is on the disk before it returns (`synchronous = FULL`), because a ciphertext may leave right after it and the key
//! that made it must never come back. Deleted rows are overwritten (`secure_delete`), so that a used message key does not linger in a
//! free page for whoever learns the data key later; the write-ahead log still has it until it is emptied, which every advance of the
//! generation does.
//!
//! **Rollback.** A store that is restored from a backup would use message keys again. The store and the key vault hold the same
//! generation number; both go up by one at every open and at [`Store::advance_generation`]. A store that does not match opens as
//! [`OpenedStore::RolledBack`], and can do nothing until the engine has archived its sessions. A copy taken and restored within one
//! generation is not noticed, which is why the client advances it while it runs.
//!
//! The folder is marked for backup programs to leave out; on phones the app's manifest and file attributes say so. An iOS app that shares
//! the store with an extension needs a plain header and a salt kept outside (`cipher_plaintext_header_size`); that comes with the iOS
//! package, and with it a lock around each transaction in the place of the lock around the process.

mod error;
mod lock;
mod open;
mod schema;
mod tx;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rcseal_engine::store::{StoreError, Tx};
use rusqlite::{Connection, TransactionBehavior};

pub use error::OpenError;
pub use open::open;

use self::lock::ProcessLock;
use self::tx::SqlTx;
use crate::vault::{KeyAlias, KeyVault, VaultError};

/// An open store.
pub struct Store {
    connection: Mutex<Connection>,
    /// Serializes changes of the generation, so that store and vault stay in step without holding `connection` while the vault works.
    generation: Mutex<()>,
    folder: PathBuf,
    /// Released when the store is dropped, after the connection.
    _lock: ProcessLock,
}

/// A store that has been opened.
#[derive(Debug)]
pub enum OpenedStore {
    /// As it was left.
    Ready(Store),
    /// Older than the key vault remembers, or a clone.
    RolledBack(RolledBackStore),
}

/// A store whose sessions must not be used. Nothing can be done with it but to recover it.
#[derive(Debug)]
pub struct RolledBackStore(Store);

/// Why the generation was not advanced.
#[derive(Debug, thiserror::Error)]
pub enum GenerationError {
    /// The store did not take it.
    #[error("the store did not take the new generation")]
    Store(#[from] StoreError),
    /// The vault did not take it. The next open catches up.
    #[error("the key vault did not take the new generation")]
    Vault(#[from] VaultError),
}

impl GenerationError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Vault(error) => error.code(),
        }
    }
}

impl Store {
    /// Runs one transaction: kept when `operation` answers `Ok`, forgotten when it answers `Err` or panics. Blocks; call it off the
    /// runtime's workers.
    ///
    /// # Errors
    /// Those of `operation`, and the store's own at the beginning and at the commit. After an error nothing of the transaction is kept.
    pub fn run<T, E: From<StoreError>>(&self, operation: impl FnOnce(&mut dyn Tx) -> Result<T, E>) -> Result<T, E> {
        let mut connection = self.connection();
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(error::store_error)?;
        // Dropped without a commit, the transaction rolls back.
        let value = operation(&mut SqlTx::new(&tx))?;
        tx.commit().map_err(error::store_error)?;
        Ok(value)
    }

    /// Adds one to the generation of store and vault.
    ///
    /// # Errors
    /// [`GenerationError`]. A vault that failed is caught up with at the next open.
    pub fn advance_generation(&self, vault: &dyn KeyVault, alias: &KeyAlias) -> Result<(), GenerationError> {
        let _generation = self.generation.lock().unwrap_or_else(PoisonError::into_inner);
        // The store goes first: "store one ahead" means a crash between the two, "store behind" always means a rollback.
        let next = vault.generation(alias)?.saturating_add(1);
        {
            let connection = self.connection();
            open::write_generation(&connection, next).map_err(error::store_error)?;
            // Emptying the log is tidiness: what keeps it from happening now is gone the next time.
            if let Err(error) = connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
                tracing::warn!(event = "log_not_emptied", code = error::store_error(error).code());
            }
        }
        vault.bump_generation(alias)?;
        Ok(())
    }

    /// The folder the store lives in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic inside a transaction has rolled it back on its way out; the connection itself is sound.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RolledBackStore {
    /// Archives the sessions with `archive` (the engine's part) and, in the same transaction, makes the store current. Only then does the
    /// vault follow: whatever fails before leaves the store as rolled back as it was.
    ///
    /// # Errors
    /// Those of `archive`, of the store and of the vault.
    pub fn recover<T, E: From<GenerationError>>(
        self,
        vault: &dyn KeyVault,
        alias: &KeyAlias,
        archive: impl FnOnce(&mut dyn Tx) -> Result<T, E>,
    ) -> Result<(Store, T), E> {
        let next = vault.generation(alias).map_err(GenerationError::from)?.saturating_add(1);
        let failed = |failure| E::from(GenerationError::Store(error::store_error(failure)));
        let value = {
            let mut connection = self.0.connection();
            let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
            let value = archive(&mut SqlTx::new(&tx))?;
            open::write_generation(&tx, next).map_err(failed)?;
            tx.commit().map_err(failed)?;
            value
        };
        vault.bump_generation(alias).map_err(GenerationError::from)?;
        Ok((self.0, value))
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rcseal_engine::store::{StoreErrorKind, Table};

    use super::*;
    use crate::vault::{Argon2Params, SoftwareKeyVault, Unlock};

    #[test]
    fn a_full_disk_is_named_and_what_was_committed_stays() {
        let folder = tempfile::tempdir().unwrap();
        let params = Argon2Params::new(8, 1, 1).unwrap();
        let unlock = Unlock::Passphrase(zeroize::Zeroizing::new("p".to_owned()), params);
        let vault = SoftwareKeyVault::new(&folder.path().join("vault"), unlock).unwrap();
        let OpenedStore::Ready(store) = open(&folder.path().join("store"), &vault, &KeyAlias::store()).unwrap() else {
            unreachable!("a new store is not rolled back");
        };
        store.run(|tx| tx.put(Table::Message, b"before", b"kept")).unwrap();
        // SQLite answers as it does on a full disk when a file may not grow.
        let pages: i64 = store.connection().query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        store.connection().query_row(&format!("PRAGMA max_page_count = {}", pages + 2), [], |_| Ok(())).unwrap();
        let error = store
            .run(|tx| {
                for n in 0..64_u8 {
                    tx.put(Table::Message, &[n], &[n; 4000])?;
                }
                Ok::<_, StoreError>(())
            })
            .unwrap_err();
        assert_eq!((error.kind, error.code()), (StoreErrorKind::Full, "store_full"));
        assert_eq!(store.run(|tx| tx.get(Table::Message, b"before")).unwrap().as_deref(), Some(&b"kept"[..]));
        assert_eq!(store.run(|tx| tx.get(Table::Message, &[0])).unwrap(), None);
        store.connection().query_row("PRAGMA max_page_count = 100000", [], |_| Ok(())).unwrap();
        store.run(|tx| tx.put(Table::Message, b"after", b"works")).unwrap();
    }
}
