//! Why a registration is refused.

use rcseal_front::refusal::Refusal;
use rcseal_store::RegisterError;
use rcseal_wire::problem::ProblemCode;

use crate::admission::AdmissionError;
use crate::directory::DirectoryError;

/// Why a registration is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegistrationError {
    /// Not let in.
    #[error("not admitted")]
    Admission(#[from] AdmissionError),
    /// Key set or prekeys are not right.
    #[error("key set or prekeys are not right")]
    Directory(#[from] DirectoryError),
    /// The store refused.
    #[error("the account was not stored")]
    Store(#[from] RegisterError),
}

impl RegistrationError {
    /// Whether the fault is ours.
    pub(crate) fn is_failure(&self) -> bool {
        matches!(self, Self::Store(RegisterError::Store(_)) | Self::Directory(DirectoryError::Store(_)))
    }
}

impl From<RegistrationError> for Refusal {
    fn from(error: RegistrationError) -> Self {
        match error {
            RegistrationError::Admission(error) => error.into(),
            RegistrationError::Directory(error) => error.into(),
            RegistrationError::Store(error) => match error {
                RegisterError::AccountExists => ProblemCode::AccountExists.into(),
                RegisterError::MailboxTaken => ProblemCode::MailboxTaken.into(),
                RegisterError::InviteRefused => {
                    Self::with_detail(ProblemCode::AdmissionRefused, "the invite is unknown, used or expired")
                }
                RegisterError::TooManyTokens => ProblemCode::OutOfRange.into(),
                RegisterError::TooLarge => ProblemCode::TooLarge.into(),
                RegisterError::Store(source) => source.into(),
            },
        }
    }
}
