//! Backups, and the end of an account.

use std::path::PathBuf;
use std::sync::Arc;

use rcseal_client::Client;
use rcseal_client::backup::{self, BackupProgress, RestoreDevice, SecretKind};
use rcseal_client::client::ClientError;
use rcseal_wire::id::Custody;
use zeroize::Zeroizing;

use crate::client::RcsealClient;
use crate::error::RcsealError;
use crate::model::Platform;
use crate::observe::{ProgressListener, Reporter};
use crate::runtime::detached;

/// What opens a backup.
#[derive(Clone, uniffi::Enum)]
pub enum BackupSecret {
    /// A passphrase of the user's own, at least twelve characters. Such a backup holds no account key.
    Passphrase {
        /// The passphrase.
        text: String,
    },
    /// One that [`generate_backup_secret`] drew, to be written down. On the primary device the backup then holds the account key.
    Generated {
        /// The secret, as it was written down.
        text: String,
    },
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct BackupSummary {
    /// Rows.
    pub rows: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Whether the account key is in it.
    pub has_account_key: bool,
}

/// What a backup says of itself to whoever has no secret. Nothing of it is authentic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct BackupInfo {
    /// Whether a generated secret opens it, and not a passphrase.
    pub is_generated: bool,
    /// When it was made.
    pub created_at_ms: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

/// What a restoration made of this device.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct RestoreOutcome {
    /// Whether this device is now the account's new and only one. Otherwise contacts and history came into the account that was here.
    pub is_new_device: bool,
    /// The account.
    pub account_id: String,
    /// Contacts that came.
    pub contacts: u64,
    /// Of these, those whose safety numbers had been compared.
    pub verified: u64,
    /// Conversations that came.
    pub conversations: u64,
    /// Messages that came.
    pub messages: u64,
}

impl BackupSecret {
    fn parse(self) -> Result<backup::BackupSecret, RcsealError> {
        let parsed = match self {
            Self::Passphrase { text } => backup::BackupSecret::passphrase(&Zeroizing::new(text)),
            Self::Generated { text } => backup::BackupSecret::parse_generated(&Zeroizing::new(text)),
        };
        parsed.map_err(|failure| ClientError::from(failure).into())
    }
}

impl std::fmt::Debug for BackupSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BackupSecret")
    }
}

/// A secret for a backup, to be written down: 24 symbols in groups of four.
#[uniffi::export]
pub fn generate_backup_secret() -> Result<String, RcsealError> {
    Ok(backup::BackupSecret::generate().expose_text().as_str().to_owned())
}

/// What a backup says of itself, without a secret.
#[uniffi::export]
pub async fn inspect_backup(path: String) -> Result<BackupInfo, RcsealError> {
    let path = file(path)?;
    detached(async move {
        let info = Client::inspect_backup(&path).await?;
        Ok(BackupInfo {
            is_generated: info.secret == SecretKind::Generated,
            created_at_ms: info.created_at_ms,
            bytes: info.bytes,
        })
    })
    .await
}

#[uniffi::export]
impl RcsealClient {
    /// Writes a backup. A file of that name is replaced, and only by a whole one.
    pub async fn create_backup(
        &self,
        path: String,
        secret: BackupSecret,
        progress: Option<Arc<dyn ProgressListener>>,
    ) -> Result<BackupSummary, RcsealError> {
        let (path, secret) = (file(path)?, secret.parse()?);
        self.call(move |client| async move {
            let summary = client.create_backup(&path, secret, reporting(progress)?).await?;
            Ok(BackupSummary { rows: summary.rows, bytes: summary.bytes, has_account_key: summary.has_account_key })
        })
        .await
    }

    /// Restores a backup. On a client without an account a backup with the account key makes this device the account's new and only one;
    /// on a client with an account and without messages contacts and history come into it.
    pub async fn restore_backup(
        &self,
        path: String,
        secret: BackupSecret,
        platform: Platform,
        progress: Option<Arc<dyn ProgressListener>>,
    ) -> Result<RestoreOutcome, RcsealError> {
        let (path, secret) = (file(path)?, secret.parse()?);
        let device = RestoreDevice { platform: platform.into(), custody: Custody::User };
        self.call(move |client| async move {
            let outcome = client.restore_backup(&path, secret, device, reporting(progress)?).await?;
            Ok(RestoreOutcome {
                is_new_device: outcome.kind == backup::RestoreKind::NewDevice,
                account_id: outcome.account.to_string(),
                contacts: outcome.restored.contacts,
                verified: outcome.restored.verified,
                conversations: outcome.restored.conversations,
                messages: outcome.restored.messages,
            })
        })
        .await
    }

    /// Deletes the account at its server and then everything on this device; on the primary device only. Closes the client when it has
    /// succeeded, and may be repeated until then.
    pub async fn delete_account(&self) -> Result<(), RcsealError> {
        let inner = self.inner();
        self.call(move |client| async move {
            inner.stop().await;
            client.delete_account().await?;
            inner.close_now();
            Ok(())
        })
        .await
    }

    /// Erases everything on this device and tells nobody: for a device that is none of its account any more. Closes the client.
    pub async fn erase(&self) -> Result<(), RcsealError> {
        let inner = self.inner();
        self.call(move |client| async move {
            inner.stop().await;
            client.erase().await?;
            inner.close_now();
            Ok(())
        })
        .await
    }
}

fn file(path: String) -> Result<PathBuf, RcsealError> {
    if path.is_empty() { Err(RcsealError::argument("path")) } else { Ok(PathBuf::from(path)) }
}

/// What tells a listener how far it has come.
fn reporting(
    listener: Option<Arc<dyn ProgressListener>>,
) -> Result<impl FnMut(BackupProgress) + Send + 'static, RcsealError> {
    let reporter = listener.map(Reporter::start).transpose()?;
    Ok(move |moved: BackupProgress| {
        if let Some(reporter) = &reporter {
            reporter.report(moved.done, moved.total);
        }
    })
}
