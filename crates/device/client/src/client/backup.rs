//! Making a backup of this device, and making a device of a backup.
//!
//! A restoration is one transaction. Where the backup holds the account key, that transaction also draws this device's keys and signs the
//! key set that names it and no other; then the server is told, as in a recovery, and again by [`Client::run`] until it has answered. Killed
//! before the commit there is nothing, killed after it the account is `Recovering` and goes on.

use std::path::Path;
use std::sync::Arc;

use rcseal_credential::{AccountSigner, KeySetError};
use rcseal_engine::account::{AccountError, AccountState, NewAccount, restoration_proof};
use rcseal_engine::backup::{BackupError, Restored};
use rcseal_wire::problem::ProblemCode;

use super::core::{Core, blocking, in_transaction, now};
use super::{Client, ClientError};
use crate::backup::archive::{self, OpenedArchive};
use crate::backup::{
    BackupInfo, BackupProgress, BackupSecret, BackupSummary, RestoreDevice, RestoreKind, RestoreOutcome,
};

impl Client {
    /// Writes a backup: contacts with what was verified, conversations, messages, the keys of their files; under a generated secret and on
    /// the primary device the account key. A file of that name is replaced, and only by a whole one. The app goes on meanwhile: what comes
    /// in after its place was read is not in the backup.
    ///
    /// # Errors
    /// [`ClientError::Backup`] with a weak passphrase, [`ClientError::File`], or [`ClientError::Account`] without an account.
    pub async fn create_backup(
        &self,
        to: &Path,
        secret: BackupSecret,
        mut progress: impl FnMut(BackupProgress) + Send + 'static,
    ) -> Result<BackupSummary, ClientError> {
        let (store, to) = (Arc::clone(&self.core.store), to.to_owned());
        blocking(move || {
            let page = |collector: &mut _| in_transaction(&store, |engine| archive::page(engine, collector));
            archive::create(&to, &secret, now().0, page, &mut progress)
        })
        .await?
    }

    /// What a backup says of itself, without a secret: nothing of it is authentic.
    ///
    /// # Errors
    /// [`ClientError::Backup`], [`ClientError::File`].
    pub async fn inspect_backup(path: &Path) -> Result<BackupInfo, ClientError> {
        let path = path.to_owned();
        blocking(move || archive::inspect(&path)).await?
    }

    /// Restores a backup.
    ///
    /// On a client without an account the backup has to hold the account key: this becomes the account's new primary device, and its only
    /// one. On a client with an account and without messages the contacts and the history go into that account, whosever they were.
    ///
    /// # Errors
    /// [`ClientError::Backup`]; [`ClientError::Net`] when the account's server cannot be asked, before anything was restored, or told,
    /// after it: then [`Client::run`] tells it, and so does another call of this.
    pub async fn restore_backup(
        &self,
        path: &Path,
        secret: BackupSecret,
        device: RestoreDevice,
        progress: impl FnMut(BackupProgress) + Send + 'static,
    ) -> Result<RestoreOutcome, ClientError> {
        if self.core.engine(|engine| engine.is_restoring()).await? {
            return self.core.finish_restoration(Restored::default()).await;
        }
        self.core.engine(|engine| engine.refuse_history()).await?;
        let account = self.account().await?;
        let path = path.to_owned();
        let opened = blocking(move || OpenedArchive::open(&path, &secret)).await??;
        match (account, &opened.account_key) {
            (Some(account), _) => match account.state {
                AccountState::Registering | AccountState::Active => {
                    let account = account.address.account;
                    let restored = self.core.take_archive(opened, None, progress).await?;
                    Ok(RestoreOutcome { kind: RestoreKind::Imported, account, restored })
                }
                AccountState::Recovering | AccountState::Resetting => Err(AccountError::TakeoverUnderWay.into()),
            },
            (None, None) => Err(BackupError::NeedsAccount.into()),
            (None, Some(key)) => {
                let signer = AccountSigner::from_seed(*key.expose());
                let proof = restoration_proof(&signer, opened.account.account);
                let server = self.core.anonymous(&opened.account.origin)?;
                let basis = server.key_set_by_proof(&opened.account.account, &proof).await.map_err(|error| {
                    // The server knows the account under another key, or not at all.
                    match error.problem() {
                        Some(ProblemCode::RecoveryRefused) => BackupError::AccountKeyReplaced.into(),
                        _ => ClientError::from(error),
                    }
                })?;
                let restored = self.core.take_archive(opened, Some((device, basis.key_set.0)), progress).await?;
                self.core.finish_restoration(restored).await
            }
        }
    }
}

impl Core {
    /// Everything of the archive in one transaction.
    async fn take_archive(
        &self,
        opened: OpenedArchive,
        new_device: Option<(RestoreDevice, Vec<u8>)>,
        mut progress: impl FnMut(BackupProgress) + Send + 'static,
    ) -> Result<Restored, ClientError> {
        self.change(move |engine| {
            let row = &opened.account;
            if let (Some((device, basis)), Some(key)) = (&new_device, &opened.account_key) {
                let new = NewAccount {
                    origin: row.origin.clone(),
                    platform: device.platform,
                    custody: device.custody,
                    display_name: row.display_name.clone(),
                };
                engine.begin_restoration(&new, key, row, basis).map_err(replaced)?;
            }
            let mut restorer = engine.begin_restore(row)?;
            opened.rows(&mut progress, |row| Ok(engine.restore_row(&mut restorer, row)?))?;
            Ok::<_, ClientError>(engine.end_restore(&restorer)?)
        })
        .await
    }

    async fn finish_restoration(&self, restored: Restored) -> Result<RestoreOutcome, ClientError> {
        self.finish_recovery().await?;
        let account = self.account().await?.address.account;
        Ok(RestoreOutcome { kind: RestoreKind::NewDevice, account, restored })
    }
}

/// An account key that changed since says so by its name.
fn replaced(error: AccountError) -> ClientError {
    match error {
        AccountError::KeySet(KeySetError::KeyChangeAcrossGap) => BackupError::AccountKeyReplaced.into(),
        other => other.into(),
    }
}
