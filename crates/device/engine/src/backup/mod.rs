//! Backups: what of a device goes into an archive, how the archive is sealed, and how another device takes it in.
//!
//! An archive holds who the user is, whom they know, how those were verified, and what was said, with the keys of the files in it. It never
//! holds what makes two devices one: no session, no prekey, no device key, nothing that waits to be sent. Whoever restores it is a new
//! device, and says so.
//!
//! Three parts, and no I/O in any of them:
//! - [`Collector`] reads the store a page at a time, so that an app goes on while a backup is made;
//! - [`ArchiveSealer`] and [`ArchiveOpener`] cut rows into sealed chunks and back (STREAM, as media do);
//! - [`Restorer`] writes rows into a store that has no history, all within one transaction of the shell's: a restoration that ends early,
//!   for whatever reason, has not begun.
//!
//! The user's secret is stretched by the shell; `docs/protocol/backup.md` is the specification.

mod collect;
mod restore;
mod stream;

use rcseal_wire::backup::{CostError, HeaderError, RowError, RowKind};

pub use collect::Collector;
pub use restore::{Restored, Restorer};
pub use stream::{ArchiveOpener, ArchiveSealer, CHUNK_LEN, SEALED_CHUNK_LEN, check_value};

use crate::account::AccountError;
use crate::store::{StoreError, StoreErrorKind};

/// Why a backup was not made, or not taken in.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// This device's account.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The file does not begin as a backup does.
    #[error("the file is no backup")]
    NotABackup,
    /// It ends early.
    #[error("the backup is cut short")]
    Truncated,
    /// A version that is not read any more.
    #[error("the backup is of version {version}, which is not read any more")]
    OldVersion {
        /// Which.
        version: u8,
    },
    /// Newer software wrote it.
    #[error("the backup was written by newer software; update this one")]
    NewerVersion {
        /// Which version it says.
        version: u8,
    },
    /// It asks for less work than a guess must cost: somebody has altered it.
    #[error("the backup asks for less work than a guess must cost")]
    WeakParams,
    /// It asks for more memory or time than a device can be asked for.
    #[error("the backup asks for more memory or time than a device can give")]
    CostlyParams,
    /// The passphrase or the generated secret is another one, or the header was altered.
    #[error("the secret does not open the backup")]
    WrongSecret,
    /// It opens with a generated secret and a passphrase was given, or the other way round.
    #[error("the backup opens with another kind of secret")]
    OtherSecret,
    /// A chunk is damaged, altered, or out of its place.
    #[error("chunk {chunk} of the backup was altered or is damaged")]
    Tampered {
        /// Which, from 0.
        chunk: u32,
    },
    /// It is authentic, and what is in it makes no sense: whatever wrote it was wrong.
    #[error("a row of the backup cannot be read")]
    Malformed {
        /// Which kind of row, where that is known.
        kind: Option<RowKind>,
    },
    /// It is larger than any archive may be.
    #[error("the backup is too large")]
    TooLarge,
    /// There are messages on this device already.
    #[error("there are messages on this device already")]
    TargetNotEmpty,
    /// The archive has no account key, and this device has no account that it could go into.
    #[error("the backup holds no account key: create, link or recover an account first, and restore then")]
    NeedsAccount,
    /// The account has had another account key since the archive was made; its recovery code still opens the account.
    #[error("the account has another account key by now")]
    AccountKeyReplaced,
}

impl BackupError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Account(error) => error.code(),
            Self::NotABackup => "backup_not_a_backup",
            Self::Truncated => "backup_truncated",
            Self::OldVersion { .. } => "backup_old_version",
            Self::NewerVersion { .. } => "backup_newer_version",
            Self::WeakParams => "backup_weak_params",
            Self::CostlyParams => "backup_costly_params",
            Self::WrongSecret => "backup_wrong_secret",
            Self::OtherSecret => "backup_other_secret",
            Self::Tampered { .. } => "backup_tampered",
            Self::Malformed { .. } => "backup_malformed",
            Self::TooLarge => "backup_too_large",
            Self::TargetNotEmpty => "backup_target_not_empty",
            Self::NeedsAccount => "backup_needs_account",
            Self::AccountKeyReplaced => "backup_account_key_replaced",
        }
    }
}

impl From<HeaderError> for BackupError {
    fn from(error: HeaderError) -> Self {
        match error {
            HeaderError::NotABackup => Self::NotABackup,
            HeaderError::Truncated => Self::Truncated,
            HeaderError::OldVersion { version } => Self::OldVersion { version },
            HeaderError::NewerVersion { version } => Self::NewerVersion { version },
            HeaderError::Cost(CostError::Weak) => Self::WeakParams,
            HeaderError::Cost(CostError::Costly) => Self::CostlyParams,
        }
    }
}

impl From<RowError> for BackupError {
    fn from(error: RowError) -> Self {
        match error {
            // Within a version that is known only newer software writes a kind that is not.
            RowError::UnknownKind { .. } => Self::NewerVersion { version: rcseal_wire::backup::VERSION },
            RowError::TooLong | RowError::Order | RowError::Incomplete | RowError::Trailing => {
                Self::Malformed { kind: None }
            }
        }
    }
}

/// A row that a reader of the store's finds damaged came out of the archive.
fn of_row(kind: RowKind) -> impl Fn(StoreError) -> BackupError {
    move |error| match error.kind {
        StoreErrorKind::Corrupt => BackupError::Malformed { kind: Some(kind) },
        StoreErrorKind::Busy | StoreErrorKind::Full | StoreErrorKind::Locked | StoreErrorKind::Io => error.into(),
    }
}
