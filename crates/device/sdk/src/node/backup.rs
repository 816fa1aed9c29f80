//! Backups, the end of an account, and remote configuration, for Node.

#![allow(unreachable_pub, dead_code, reason = "Node calls the functions by their names; nothing in Rust does")]

use std::sync::Arc;

use napi::bindgen_prelude::Buffer;
use napi_derive::napi;

use super::client::NativeClient;
use super::listener::{NodeListener, Tell};
use super::vault::{AskVault, NodeVault};
use super::{answer, failed, record};
use crate::backup::{self, BackupSecret};
use crate::client;
use crate::observe::ProgressListener;

/// A secret crosses as its text and whether it was generated. JavaScript cannot overwrite it; nothing here keeps it.
fn secret(text: String, is_generated: bool) -> BackupSecret {
    if is_generated { BackupSecret::Generated { text } } else { BackupSecret::Passphrase { text } }
}

fn listener(progress: Option<Tell>) -> Option<Arc<dyn ProgressListener>> {
    progress.map(|progress| -> Arc<dyn ProgressListener> { Arc::new(NodeListener(progress)) })
}

#[napi]
impl NativeClient {
    /// Writes a backup.
    #[napi]
    pub async fn create_backup(
        &self,
        path: String,
        text: String,
        is_generated: bool,
        progress: Option<Tell>,
    ) -> napi::Result<String> {
        answer(self.client().create_backup(path, secret(text, is_generated), listener(progress)).await)
    }

    /// Restores one.
    #[napi]
    pub async fn restore_backup(
        &self,
        path: String,
        text: String,
        is_generated: bool,
        platform: String,
        progress: Option<Tell>,
    ) -> napi::Result<String> {
        let (secret, platform) = (secret(text, is_generated), record("platform", &platform)?);
        answer(self.client().restore_backup(path, secret, platform, listener(progress)).await)
    }

    /// Deletes the account.
    #[napi]
    pub async fn delete_account(&self) -> napi::Result<()> {
        self.client().delete_account().await.map_err(failed)
    }

    /// Erases this device.
    #[napi]
    pub async fn erase(&self) -> napi::Result<()> {
        self.client().erase().await.map_err(failed)
    }

    /// Counts.
    #[napi]
    pub async fn telemetry_report(&self) -> napi::Result<Option<String>> {
        self.client().telemetry_report().await.map_err(failed)
    }

    /// Takes a signed document.
    #[napi]
    pub async fn apply_remote_config(&self, document: Buffer) -> napi::Result<String> {
        answer(self.client().apply_remote_config(document.to_vec()).await)
    }

    /// What counts now.
    #[napi]
    pub async fn remote_config(&self) -> napi::Result<String> {
        answer(self.client().remote_config().await)
    }
}

/// A secret to be written down.
#[napi]
pub fn generate_backup_secret() -> napi::Result<String> {
    backup::generate_backup_secret().map_err(failed)
}

/// What a backup says of itself.
#[napi]
pub async fn inspect_backup(path: String) -> napi::Result<String> {
    answer(backup::inspect_backup(path).await)
}

/// Moves a store aside.
#[napi]
pub async fn set_store_aside(folder: String, vault: AskVault) -> napi::Result<String> {
    answer(client::set_store_aside(folder, Arc::new(NodeVault(vault))).await)
}
