//! Why an operation on a contact failed.

use rcseal_credential::ScanError;

use crate::account::AccountError;
use crate::store::StoreError;

/// An operation on a contact failed.
#[derive(Debug, thiserror::Error)]
pub enum ContactError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// This device's account is not ready.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// There is no such contact.
    #[error("there is no such contact")]
    Unknown,
    /// The invitation is one's own.
    #[error("the invitation is your own")]
    Own,
    /// The name exceeds its limit.
    #[error("the name is too long")]
    NameTooLong,
    /// The contact's keys have not been fetched yet.
    #[error("the contact's keys are not known yet")]
    NoKeySet,
    /// The contact's account key has not changed since it was compared or accepted.
    #[error("there is no change to accept")]
    NotChanged,
    /// The invitation names another account key than the one known.
    #[error("the invitation names another account key than the one known for this contact")]
    OtherAccountKey,
    /// The scanned code, or the digits, are not the contact's.
    #[error("the contact is not verified by it")]
    Scan(#[from] ScanError),
}

impl ContactError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Account(error) => error.code(),
            Self::Unknown => "contact_unknown",
            Self::Own => "contact_own",
            Self::NameTooLong => "name_too_long",
            Self::NoKeySet => "contact_no_key_set",
            Self::NotChanged => "contact_not_changed",
            Self::OtherAccountKey => "contact_other_account_key",
            Self::Scan(error) => error.code(),
        }
    }
}
