//! The encrypted store: SQLite under SQLCipher, one file, one transaction at a time.
//!
//! A store lives in a folder of its own:
//!
//! | file | what |
//! |---|---|
//! | `store.db` (and `-wal`, `-shm`) | the database: a plain header of 32 bytes, every page encrypted and authenticated after it |
//! | `store.key` | its data key and salt, wrapped by the [`KeyVault`] |
//! | `store.lock`, `store.push` | held for as long as an app, or what a push message woke, has the store open ([`Role`]) |
//! | `store.turn` | held round each transaction; in it the number of the last commit |
//! | `store.generation` | held while the generation is compared or advanced |
//!
//! [`Store::run`] is the only way to write: it runs an operation of the engine in one transaction, commits on `Ok` and rolls back on
//! `Err`. A commit is on the disk before it returns (`synchronous = FULL`), because a ciphertext may leave right after it and the key
//! that made it must never come back. Deleted rows are overwritten (`secure_delete`), so that a used message key does not linger in a
//! free page for whoever learns the data key later; the write-ahead log still has it until it is emptied, which every advance of the
//! generation does, and the end of every store.
//!
//! **Two processes.** An app and its push extension may have one store open, once each. A transaction waits for the other's (bounded, then
//! [`rcseal_engine::store::StoreErrorKind::Busy`]), and sees all that the other has committed: nothing of the store is kept in memory from
//! one transaction to the next but SQLite's pages, which it checks itself. [`Store::foreign_commits`] says that there is something new. On iOS
//! a transaction must not be under way when the app is suspended; the package asks the system for the time.
//!
//! **Rollback.** A store that is restored from a backup would use message keys again. The store and the key vault hold the same
//! generation number; both go up by one at every open and at [`Store::advance_generation`]. A store that does not match opens as
//! [`OpenedStore::RolledBack`], and can do nothing until the engine has archived its sessions. So does one that counts fewer commits than
//! were noted beside it: its log was lost. A copy of the whole folder that is taken and restored within one generation is not
//! noticed, which is why the client advances it while it runs.
//!
//! **Damage.** A store that does not open says why ([`OpenError`]) and what helps ([`OpenError::way_out`]). Nothing is repaired, replaced or
//! reset by itself; [`set_aside`] is the deliberate way to begin anew.
//!
//! The folder is marked for backup programs to leave out; on phones the app's manifest and file attributes say so.

mod aside;
mod error;
mod generation;
mod key;
mod layout;
mod lock;
mod open;
mod role;
mod schema;
mod sqlite;
mod turn;
mod tx;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rcseal_engine::store::{StoreError, StoreErrorKind, Tx};
use rusqlite::{Connection, TransactionBehavior};

pub use aside::{SetAside, set_aside};
pub use error::{OpenError, Part, WayOut};
pub use generation::GenerationError;
pub use open::{open, open_as};
pub use role::Role;

use self::generation::Generation;
use self::lock::OwnedLock;
use self::role::Roles;
use self::turn::Turns;
use self::tx::SqlTx;
use crate::vault::{KeyAlias, KeyVault};

/// An open store.
pub struct Store {
    connection: Mutex<Connection>,
    generation: Generation,
    folder: PathBuf,
    role: Role,
    /// How many commits were made through this handle.
    own_commits: AtomicU64,
    /// How many there were before.
    commits_at_open: u64,
    turns: Turns,
    roles: Roles,
    /// Released when the store is dropped, after the connection.
    _role: OwnedLock,
}

/// A store that has been opened.
#[derive(Debug)]
pub enum OpenedStore {
    /// As it was left.
    Ready(Store),
    /// Older than the key vault remembers, or a clone, or without its last commits.
    RolledBack(RolledBackStore),
}

/// A store whose sessions must not be used. Nothing can be done with it but to recover it.
#[derive(Debug)]
pub struct RolledBackStore(Store);

impl Store {
    /// Runs one transaction: kept when `operation` answers `Ok`, forgotten when it answers `Err` or panics. Blocks; call it off the
    /// runtime's workers.
    ///
    /// # Errors
    /// Those of `operation`, and the store's own at the beginning and at the commit. After an error nothing of the transaction is kept.
    pub fn run<T, E: From<StoreError>>(&self, operation: impl FnOnce(&mut dyn Tx) -> Result<T, E>) -> Result<T, E> {
        let mut connection = self.connection();
        let turn = self.turns.take()?;
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(error::store_error)?;
        // Dropped without a commit, the transaction rolls back, and only then the turn ends.
        let mut view = SqlTx::new(&tx);
        let value = operation(&mut view)?;
        let number =
            if view.has_written() { Some(sqlite::count_commit(&tx).map_err(error::store_error)?) } else { None };
        tx.commit().map_err(error::store_error)?;
        if let Some(number) = number {
            // In this order a look in between finds one too few and the next one finds it; in the other, one could be missed for good.
            self.own_commits.fetch_add(1, Ordering::SeqCst);
            turn.note(number);
        }
        Ok(value)
    }

    /// A number that changes when others have written since this store was opened; `None` when that cannot be told. It counts their
    /// commits, and is off by one for the moment in which one of ours is made. It is cheap enough to be asked several times a second.
    #[must_use]
    pub fn foreign_commits(&self) -> Option<u64> {
        let all = self.turns.commits()?;
        let ours = self.own_commits.load(Ordering::SeqCst).wrapping_add(self.commits_at_open);
        Some(all.wrapping_sub(ours))
    }

    /// What the store was opened for.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Whether a client of the other role has the store open now. On iOS only one in the same process is seen.
    #[must_use]
    pub fn is_other_open(&self) -> bool {
        matches!(self.roles.try_other(self.role), Ok(None))
    }

    /// Reads every page and every row, and says whether they are sound. Takes a while, with the turn held: for a deliberate look, not for
    /// every start.
    ///
    /// # Errors
    /// [`StoreErrorKind::Corrupt`] when something is not as it should be.
    pub fn check(&self) -> Result<(), StoreError> {
        let connection = self.connection();
        let _turn = self.turns.take()?;
        sqlite::empty_log(&connection).map_err(error::store_error)?;
        for pragma in ["PRAGMA cipher_integrity_check", "PRAGMA integrity_check(1)"] {
            let mut statement = connection.prepare(pragma).map_err(error::store_error)?;
            let mut rows = statement.query([]).map_err(error::store_error)?;
            while let Some(row) = rows.next().map_err(error::store_error)? {
                if row.get_ref(0).map_err(error::store_error)?.as_str().ok() != Some("ok") {
                    return Err(StoreError::of(StoreErrorKind::Corrupt));
                }
            }
        }
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
        let store = self.0;
        let failed = |failure| E::from(GenerationError::Store(error::store_error(failure)));
        let value = {
            let _changing = store.generation.change().map_err(GenerationError::from)?;
            let next = vault.generation(alias).map_err(GenerationError::from)?.saturating_add(1);
            let value = {
                let mut connection = store.connection();
                let turn = store.turns.take().map_err(GenerationError::from)?;
                let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
                let value = archive(&mut SqlTx::new(&tx))?;
                sqlite::set_fact(&tx, "generation", next).map_err(failed)?;
                // It goes on from what was noted, so that it does not count as short of commits again.
                let counted = sqlite::fact(&tx, "commits").map_err(failed)?;
                let commits = counted.max(turn.commits().unwrap_or(0)).saturating_add(1);
                sqlite::set_fact(&tx, "commits", commits).map_err(failed)?;
                tx.commit().map_err(failed)?;
                turn.note(commits);
                store.own_commits.store(commits.wrapping_sub(store.commits_at_open), Ordering::SeqCst);
                value
            };
            vault.bump_generation(alias).map_err(GenerationError::from)?;
            value
        };
        Ok((store, value))
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // The log is emptied when nobody minds. It is kept otherwise, and nothing is lost by that.
        let connection = self.connection.get_mut().unwrap_or_else(PoisonError::into_inner);
        let Some(_turn) = self.turns.try_take() else { return };
        if let Err(error) = sqlite::empty_log(connection) {
            tracing::debug!(event = "log_not_emptied", code = error::store_error(error).code());
        }
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
