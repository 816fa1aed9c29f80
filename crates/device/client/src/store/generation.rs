//! The generation: one number in the store and in the vault, by which a restored copy is told.
//!
//! Both go up by one, the store first: "store one ahead" means a crash between the two, "store behind" always means a rollback. That only
//! holds if one process at a time takes the two steps, which is what `store.generation` is locked for. It is a lock of its own, because
//! the vault is called under it and may hang, and no transaction may wait for a vault.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rcseal_engine::store::{StoreError, StoreErrorKind};

use super::error::store_error;
use super::lock::{Held, LockFile};
use super::open::GENERATION_WAIT;
use super::role::Role;
use super::{OpenError, Store, sqlite};
use crate::vault::{KeyAlias, KeyVault, VaultError};

const FILE: &str = "store.generation";

/// Serializes changes of the generation, in this process and beyond.
pub(super) struct Generation {
    file: LockFile,
    in_process: Mutex<()>,
}

/// Whose change it is.
pub(super) struct Changing<'a> {
    _held: Held<'a>,
    _in_process: MutexGuard<'a, ()>,
}

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

impl From<GenerationError> for OpenError {
    fn from(error: GenerationError) -> Self {
        match error {
            GenerationError::Store(error) => Self::store(error),
            GenerationError::Vault(error) => Self::Vault(error),
        }
    }
}

impl Generation {
    pub(super) fn open(folder: &Path) -> Result<Self, OpenError> {
        Ok(Self { file: LockFile::open(&folder.join(FILE))?, in_process: Mutex::new(()) })
    }

    /// Waits until nobody else changes it.
    pub(super) fn change(&self) -> Result<Changing<'_>, StoreError> {
        let in_process = self.in_process.lock().unwrap_or_else(PoisonError::into_inner);
        let held = self.file.take(GENERATION_WAIT).map_err(|error| StoreError::new(StoreErrorKind::Io, error))?;
        let held = held.ok_or_else(|| StoreError::of(StoreErrorKind::Busy))?;
        Ok(Changing { _held: held, _in_process: in_process })
    }
}

impl Store {
    /// Adds one to the generation of store and vault.
    ///
    /// # Errors
    /// [`GenerationError`]. A vault that failed is caught up with at the next open.
    pub fn advance_generation(&self, vault: &dyn KeyVault, alias: &KeyAlias) -> Result<(), GenerationError> {
        let _changing = self.generation.change()?;
        let next = vault.generation(alias)?.saturating_add(1);
        self.write_generation(next)?;
        vault.bump_generation(alias)?;
        Ok(())
    }

    /// Whether the store is as new as the vault remembers. If it is, the generation moves on; with an app that has the store open, the app
    /// does that.
    pub(super) fn compare_generation(&self, vault: &dyn KeyVault, alias: &KeyAlias) -> Result<bool, GenerationError> {
        let _changing = self.generation.change()?;
        let mut theirs = vault.generation(alias)?;
        let ours = sqlite::fact(&self.connection(), "generation").map_err(store_error)?;
        if ours == theirs.saturating_add(1) {
            // A process died between the two steps of an advance.
            theirs = vault.bump_generation(alias)?;
        }
        if ours != theirs {
            return Ok(false);
        }
        if self.role == Role::Main || !self.is_other_open() {
            self.write_generation(theirs.saturating_add(1))?;
            vault.bump_generation(alias)?;
        }
        Ok(true)
    }

    fn write_generation(&self, generation: u64) -> Result<(), StoreError> {
        let connection = self.connection();
        let _turn = self.turns.take()?;
        sqlite::set_fact(&connection, "generation", generation).map_err(store_error)?;
        // Emptying the log is tidiness: what keeps it from happening now is gone the next time.
        match sqlite::empty_log(&connection) {
            Ok(true) => {}
            Ok(false) => tracing::warn!(event = "log_not_emptied", code = "store_busy"),
            Err(error) => tracing::warn!(event = "log_not_emptied", code = store_error(error).code()),
        }
        Ok(())
    }
}
