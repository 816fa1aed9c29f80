//! Backups: an encrypted archive of who the user is, whom they know and what was said, in a file of theirs.
//!
//! What is in it, and what becomes of it on another device, is the engine's ([`rcseal_engine::backup`]); here are the user's secret
//! ([`BackupSecret`]), what a guess at it costs ([`kdf`]), and the file ([`archive`]). `docs/protocol/backup.md` is the specification.

pub(crate) mod archive;
mod kdf;
mod secret;
#[cfg(test)]
mod tests;

use rcseal_engine::account::AccountError;
use rcseal_engine::backup::{BackupError, Restored};
use rcseal_engine::store::StoreError;
use rcseal_wire::id::{AccountId, Custody, Platform};

pub use rcseal_wire::backup::SecretKind;
pub use secret::{BackupSecret, GENERATED_SYMBOLS, GeneratedSecret, PASSPHRASE_LEN_MIN, PassphraseWeakness};

/// Why a backup was not made, or not restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupFailure {
    /// The archive, or what it was to go into.
    #[error(transparent)]
    Archive(#[from] BackupError),
    /// The passphrase would be guessed.
    #[error("the passphrase is too easy to guess")]
    WeakPassphrase(#[from] PassphraseWeakness),
    /// The text is no generated secret: a symbol is wrong, missing or too many.
    #[error("the text is no backup secret: a symbol is wrong, missing, or too many")]
    SecretMalformed,
}

impl BackupFailure {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Archive(error) => error.code(),
            Self::WeakPassphrase(_) => "backup_weak_passphrase",
            Self::SecretMalformed => "backup_secret_malformed",
        }
    }

    /// The store's own word, where it was the store.
    pub(crate) fn store(&self) -> Option<&StoreError> {
        match self {
            Self::Archive(BackupError::Store(error) | BackupError::Account(AccountError::Store(error))) => Some(error),
            _ => None,
        }
    }
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupProgress {
    /// While a backup is made, rows that were written; while it is restored, bytes that were read.
    pub done: u64,
    /// Of how many; 0 where nobody knows.
    pub total: u64,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupSummary {
    /// Rows.
    pub rows: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Which secret opens it.
    pub secret: SecretKind,
    /// Whether the account key is in it: a generated secret, and this is the account's primary device.
    pub has_account_key: bool,
}

/// What a backup says of itself to whoever has no secret. Nothing of it is authentic before the backup was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupInfo {
    /// Which secret opens it.
    pub secret: SecretKind,
    /// When it was made, in milliseconds since 1970.
    pub created_at_ms: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Memory that one guess costs.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

/// What the device is to say of itself where it becomes one of the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestoreDevice {
    /// What it runs on.
    pub platform: Platform,
    /// Who keeps its keys.
    pub custody: Custody,
}

/// What a restoration made of this device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestoreKind {
    /// The account's new primary device, and for now its only one: those that were are taken out.
    NewDevice,
    /// The account that was here already has the contacts and the history.
    Imported,
}

impl RestoreKind {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NewDevice => "new_device",
            Self::Imported => "imported",
        }
    }
}

/// What a restoration brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestoreOutcome {
    /// What this device is now.
    pub kind: RestoreKind,
    /// The account it belongs to.
    pub account: AccountId,
    /// How much came. Nothing where an earlier restoration was only brought to its end.
    pub restored: Restored,
}
