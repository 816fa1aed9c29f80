//! Why something about a case was not done.

use rcseal_wire::continuation::ContinuationError;

use crate::account::AccountError;
use crate::contact::ContactError;
use crate::policy::PolicyError;
use crate::send::SendError;
use crate::store::StoreError;

/// Something about a case was not done.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// This device's account is not ready.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The business could not be added as a contact.
    #[error(transparent)]
    Contact(#[from] ContactError),
    /// Nothing can be sent.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The link is none, or has expired.
    #[error(transparent)]
    Link(#[from] ContinuationError),
    /// The reference or the greeting is too long.
    #[error("{field} is too long")]
    TooLong {
        /// Which.
        field: &'static str,
    },
    /// The time is in the past, or more than a month away.
    #[error("a link lives for a month at most")]
    Expiry,
    /// There are too many cases.
    #[error("there are too many cases")]
    TooMany,
    /// There is no such case.
    #[error("there is no such case")]
    Unknown,
    /// The case cannot be changed like that any more.
    #[error("the case is {progress}")]
    Progress {
        /// How far it has come.
        progress: &'static str,
    },
}

impl From<PolicyError> for CaseError {
    fn from(error: PolicyError) -> Self {
        match error {
            PolicyError::Store(error) => Self::Store(error),
            PolicyError::Account(error) => Self::Account(error),
            PolicyError::Notice(error) => Self::Send(*error),
            _ => Self::Unknown,
        }
    }
}

impl CaseError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Account(error) => error.code(),
            Self::Contact(error) => error.code(),
            Self::Send(error) => error.code(),
            Self::Link(error) => error.code(),
            Self::TooLong { .. } => "case_too_long",
            Self::Expiry => "case_expiry",
            Self::TooMany => "case_too_many",
            Self::Unknown => "case_unknown",
            Self::Progress { .. } => "case_progress",
        }
    }
}
