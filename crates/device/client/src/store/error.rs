//! What SQLite's result codes mean to a caller.

use rcseal_engine::store::{StoreError, StoreErrorKind};
use rusqlite::ErrorCode;

use crate::vault::VaultError;

/// Why a store did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("another process has the store open")]
    InUse,
    /// The data key is not the one the file was written with, or the file is no database at all: the two look alike.
    #[error("the key does not open the store")]
    WrongKey,
    /// The key vault did not unwrap the data key.
    #[error("the key vault did not give the store's key")]
    Vault(#[from] VaultError),
    /// The database is there and its wrapped key is not.
    #[error("the store's wrapped key is missing")]
    KeyMissing,
    /// The key vault remembers a store and the database is not there.
    #[error("the store's database is missing")]
    DatabaseMissing,
    /// The wrapped key's file, or what the vault made of it, has the wrong length.
    #[error("the store's wrapped key is damaged")]
    KeyDamaged,
    /// A later version of the program wrote the file.
    #[error("the store is of version {found}, this program knows {known}")]
    Newer {
        /// The version found.
        found: i64,
        /// The last version known.
        known: usize,
    },
    /// The file system refused.
    #[error("the store's files cannot be reached")]
    Io(#[from] std::io::Error),
    /// The database failed.
    #[error("the store's database failed")]
    Sqlite(#[source] StoreError),
}

impl OpenError {
    pub(super) fn sqlite(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::WrongKey,
            _ => Self::Sqlite(store_error(error)),
        }
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InUse => "store.in_use",
            Self::WrongKey => "store.wrong_key",
            Self::Vault(error) => error.code(),
            Self::KeyMissing => "store.key_missing",
            Self::DatabaseMissing => "store.database_missing",
            Self::KeyDamaged => "store.key_damaged",
            Self::Newer { .. } => "store.newer",
            Self::Io(_) => "store.io",
            Self::Sqlite(error) => error.code(),
        }
    }
}

/// Sorts a failure of SQLite by what the caller can do about it.
pub(super) fn store_error(error: rusqlite::Error) -> StoreError {
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreErrorKind::Busy,
        Some(ErrorCode::DiskFull) => StoreErrorKind::Full,
        Some(ErrorCode::NotADatabase) => StoreErrorKind::Locked,
        Some(ErrorCode::DatabaseCorrupt) => StoreErrorKind::Corrupt,
        _ => StoreErrorKind::Io,
    };
    StoreError::new(kind, error)
}
