//! Backups, the end of an account, and remote configuration, for Node.

#![allow(unreachable_pub, dead_code, reason = "Node calls the functions by their names; nothing in Rust does")]

use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::Buffer;
use napi::bindgen_prelude::PromiseRaw;
use napi_derive::napi;

use super::client::NativeClient;
use super::listener::{NodeListener, Tell};
use super::vault::{AskVault, NodeVault};
use super::{answer, failed, promise, record};
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
    pub fn create_backup<'env>(
        &self,
        env: &'env Env,
        path: String,
        text: String,
        is_generated: bool,
        progress: Option<Tell>,
    ) -> napi::Result<PromiseRaw<'env, String>> {
        let this = self.clone();
        promise(env, async move {
            answer(this.client().create_backup(path, secret(text, is_generated), listener(progress)).await)
        })
    }

    /// Restores one.
    #[napi]
    pub fn restore_backup<'env>(
        &self,
        env: &'env Env,
        path: String,
        text: String,
        is_generated: bool,
        platform: String,
        progress: Option<Tell>,
    ) -> napi::Result<PromiseRaw<'env, String>> {
        let this = self.clone();
        promise(env, async move {
            let (secret, platform) = (secret(text, is_generated), record("platform", &platform)?);
            answer(this.client().restore_backup(path, secret, platform, listener(progress)).await)
        })
    }

    /// Deletes the account.
    #[napi]
    pub fn delete_account<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, ()>> {
        let this = self.clone();
        promise(env, async move { this.client().delete_account().await.map_err(failed) })
    }

    /// Erases this device.
    #[napi]
    pub fn erase<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, ()>> {
        let this = self.clone();
        promise(env, async move { this.client().erase().await.map_err(failed) })
    }

    /// Counts.
    #[napi]
    pub fn telemetry_report<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, Option<String>>> {
        let this = self.clone();
        promise(env, async move { this.client().telemetry_report().await.map_err(failed) })
    }

    /// Takes a signed document.
    #[napi]
    pub fn apply_remote_config<'env>(
        &self,
        env: &'env Env,
        document: Buffer,
    ) -> napi::Result<PromiseRaw<'env, String>> {
        let this = self.clone();
        promise(env, async move { answer(this.client().apply_remote_config(document.to_vec()).await) })
    }

    /// What counts now.
    #[napi]
    pub fn remote_config<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, String>> {
        let this = self.clone();
        promise(env, async move { answer(this.client().remote_config().await) })
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
