//! The end of an account: deleted at its server, then everything here.
//!
//! What is erased cannot be had back, so the server comes first: with the account key gone, nobody could ask it any more. After that every
//! row is deleted (and overwritten, as every deleted row is), the wrapping key is destroyed in the vault, and the files go. A mark beside the
//! store says that this was begun; a start that finds it goes on before it opens anything.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcseal_engine::account::AccountState;
use rcseal_wire::problem::ProblemCode;
use zeroize::Zeroizing;

use super::core::{blocking, in_transaction, media_folder};
use super::{Client, ClientError};
use crate::files;
use crate::store::OpenError;
use crate::vault::{KeyAlias, KeyVault, VaultError};

/// Says that erasing was begun.
const MARK_FILE: &str = "store.erasing";
/// Files of a store by the beginnings of their names: the database with its log, its key, the count of its commits. Locks stay.
const STORE_FILES: [&str; 3] = ["store.db", "store.key", "store.turn"];
/// The server was asked to delete the account: that it does not know us any more is its answer then.
const ASKED: &str = "client/deletion_asked";

impl Client {
    /// Deletes the account at its server, and then everything on this device: keys, contacts, messages, files that were on their way, and
    /// the key in the vault. On the primary device only; another leaves by [`Client::remove_device`] there and [`Client::erase`] here. May be
    /// repeated until it succeeds. Afterwards the client is of no more use: drop it, and open another.
    ///
    /// Contacts are not told: to them the account is as unknown as one that never was, and what they send is refused. Files that were sent
    /// stay at the server until they expire.
    ///
    /// # Errors
    /// [`ClientError::Account`] on a device that is not the primary, [`ClientError::Net`] when the server refuses or is away; nothing was
    /// erased then.
    pub async fn delete_account(&self) -> Result<(), ClientError> {
        match self.account().await?.map(|account| account.state) {
            Some(AccountState::Active) => self.delete_at_server().await?,
            // The server has not heard of it, or not from this device.
            Some(AccountState::Registering | AccountState::Recovering | AccountState::Resetting) | None => {}
        }
        self.erase().await
    }

    async fn delete_at_server(&self) -> Result<(), ClientError> {
        let request = self.core.engine(|engine| engine.deletion_request()).await?;
        let was_asked = self.setting(ASKED).await?.is_some();
        self.set_setting(ASKED, Some(Zeroizing::new(vec![1]))).await?;
        match self.core.authenticated().await?.delete_account(&request).await {
            Ok(()) => Ok(()),
            Err(error) if was_asked && error.problem() == Some(ProblemCode::DeviceUnknown) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Erases everything on this device, and tells nobody: for a device that is none of the account any more, or whose server is gone.
    /// Afterwards the client is of no more use: drop it, and open another.
    ///
    /// # Errors
    /// [`ClientError::File`], [`ClientError::Open`] when the vault does not answer. What was begun is finished by the next open.
    pub async fn erase(&self) -> Result<(), ClientError> {
        let core = Arc::clone(&self.core);
        let erased = blocking(move || {
            let folder = core.store.folder().to_owned();
            files::replace_private(&folder.join(MARK_FILE), b"1\n").map_err(ClientError::File)?;
            in_transaction(&core.store, |engine| engine.erase())?;
            // Empties the log as well, which has the rows still.
            let _ = core.store.advance_generation(&*core.vault, &core.alias);
            erase_files(&folder, &*core.vault, &core.alias)
        });
        erased.await??;
        self.core.poke();
        Ok(())
    }
}

/// Goes on with what an earlier process began.
pub(super) fn resume(folder: &Path, vault: &dyn KeyVault, alias: &KeyAlias) -> Result<(), ClientError> {
    match folder.join(MARK_FILE).try_exists() {
        Ok(true) => erase_files(folder, vault, alias),
        Ok(false) => Ok(()),
        Err(error) => Err(ClientError::File(error)),
    }
}

fn erase_files(folder: &Path, vault: &dyn KeyVault, alias: &KeyAlias) -> Result<(), ClientError> {
    // With the wrapping key what it wraps is gone for good, whatever a disk remembers of the files.
    match vault.delete(alias) {
        Ok(()) | Err(VaultError::NotFound) => {}
        Err(error) => return Err(OpenError::Vault(error).into()),
    }
    for path in store_files(folder).map_err(ClientError::File)? {
        gone(fs::remove_file(path))?;
    }
    gone(fs::remove_dir_all(media_folder(folder)))?;
    gone(fs::remove_file(folder.join(MARK_FILE)))?;
    files::sync_dir(folder).map_err(ClientError::File)
}

fn store_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if STORE_FILES.iter().any(|start| name.to_string_lossy().starts_with(start)) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn gone(outcome: io::Result<()>) -> Result<(), ClientError> {
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(ClientError::File(error)),
        _ => Ok(()),
    }
}
