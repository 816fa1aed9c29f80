//! What SQLite's result codes mean to a caller.

use rcseal_engine::store::{StoreError, StoreErrorKind};
use rusqlite::ErrorCode;

use crate::vault::VaultError;

/// What of a store is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The first bytes of the database, or there are too few of them.
    Header,
    /// Its pages.
    Pages,
}

/// What helps against an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WayOut {
    /// To try again: somebody else is busy.
    TryAgain,
    /// To unlock the vault: the right passphrase, or the user at the phone.
    Unlock,
    /// To open the app, which puts the store in order.
    OpenApp,
    /// To update the program.
    Update,
    /// To make room, or to put the file system in order.
    MakeRoom,
    /// [`set_aside`](super::set_aside), after the user has been told: the store as it is cannot be opened.
    SetAside,
}

/// Why a store did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another client of the same role has it open, in this process or another.
    #[error("another process has the store open")]
    InUse,
    /// The app has to open the store first: there is none yet, or its layout, its schema or its generation are for the app to put in order.
    #[error("the app has to open the store first")]
    NeedsMain,
    /// The database is damaged.
    #[error("the store is damaged: {part:?}")]
    Damaged {
        /// What of it.
        part: Part,
    },
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
            _ => Self::store(store_error(error)),
        }
    }

    pub(super) fn store(error: StoreError) -> Self {
        match error.kind {
            StoreErrorKind::Corrupt => Self::Damaged { part: Part::Pages },
            StoreErrorKind::Locked => Self::WrongKey,
            StoreErrorKind::Busy | StoreErrorKind::Full | StoreErrorKind::Io => Self::Sqlite(error),
        }
    }

    /// What helps.
    #[must_use]
    pub const fn way_out(&self) -> WayOut {
        match self {
            Self::InUse => WayOut::TryAgain,
            Self::NeedsMain => WayOut::OpenApp,
            Self::Newer { .. } => WayOut::Update,
            Self::Damaged { .. } | Self::WrongKey | Self::KeyMissing | Self::DatabaseMissing | Self::KeyDamaged => {
                WayOut::SetAside
            }
            Self::Vault(error) => match error {
                VaultError::WrongPassphrase | VaultError::UserNotAuthenticated => WayOut::Unlock,
                VaultError::KeyInvalidated | VaultError::NotFound | VaultError::AlreadyExists | VaultError::File(_) => {
                    WayOut::SetAside
                }
                VaultError::HardwareUnavailable | VaultError::Timeout | VaultError::Unexpected(_) => WayOut::TryAgain,
                VaultError::Io(_) => WayOut::MakeRoom,
            },
            Self::Io(_) => WayOut::MakeRoom,
            Self::Sqlite(error) => match error.kind {
                StoreErrorKind::Busy => WayOut::TryAgain,
                StoreErrorKind::Full | StoreErrorKind::Io => WayOut::MakeRoom,
                StoreErrorKind::Corrupt | StoreErrorKind::Locked => WayOut::SetAside,
            },
        }
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InUse => "store.in_use",
            Self::NeedsMain => "store.needs_main",
            Self::Damaged { .. } => "store.damaged",
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
