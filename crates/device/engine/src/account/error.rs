//! Why an operation on this device's own account failed.

use rcseal_credential::{BuildError, KeySetError, ParseError};
use rcseal_signal::ProfileUnavailable;

use crate::store::StoreError;

/// An operation on this device's own account failed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no account on this device yet.
    #[error("there is no account on this device")]
    NoAccount,
    /// There is one already.
    #[error("there is an account on this device already")]
    Exists,
    /// Only the primary device can do this.
    #[error("only the primary device can do this")]
    NotPrimary,
    /// The primary device would take itself out of the account, and nobody could sign a key set any more.
    #[error("the primary device cannot take itself out of the account")]
    PrimaryStays,
    /// The display name exceeds its limit.
    #[error("the display name is too long")]
    NameTooLong,
    /// A key set is waiting for the server's confirmation; one change at a time.
    #[error("a change of the key set is under way")]
    ChangeUnderWay,
    /// The account has used all 127 device numbers.
    #[error("the account has no device numbers left")]
    NoNumbersLeft,
    /// A key set could not be built.
    #[error("the key set cannot be built")]
    Build(#[from] BuildError),
    /// A key set of our own account does not follow the one we have.
    #[error("the account's key set does not follow the known one")]
    KeySet(#[from] KeySetError),
    /// What should be a key set is none.
    #[error("the bytes are not a key set")]
    Format(#[from] ParseError),
    /// The key set that the server showed is another account's.
    #[error("the key set is another account's")]
    OtherAccount,
    /// No recovery or reset is under way on this device.
    #[error("no recovery or reset is under way")]
    NoTakeover,
    /// A recovery or a reset is under way: this device is none of the account's yet.
    #[error("a recovery or reset is under way")]
    TakeoverUnderWay,
    /// The delivery token is being replaced already.
    #[error("the delivery token is being replaced already")]
    TokenUnderWay,
    /// The profile is not in this build.
    #[error("the profile is not available")]
    Profile(#[from] ProfileUnavailable),
}

impl AccountError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::NoAccount => "no_account",
            Self::Exists => "account_exists",
            Self::NotPrimary => "not_primary",
            Self::PrimaryStays => "primary_stays",
            Self::NameTooLong => "name_too_long",
            Self::ChangeUnderWay => "key_set_change_under_way",
            Self::NoNumbersLeft => "no_device_numbers_left",
            Self::Build(error) => error.code(),
            Self::KeySet(error) => error.code(),
            Self::Format(error) => error.code(),
            Self::OtherAccount => "key_set_other_account",
            Self::NoTakeover => "no_takeover",
            Self::TakeoverUnderWay => "takeover_under_way",
            Self::TokenUnderWay => "delivery_token_under_way",
            Self::Profile(error) => error.code(),
        }
    }
}
