//! Why an account is not taken over.

use rcseal_front::refusal::Refusal;
use rcseal_store::StoreError;
use rcseal_store::directory::PublishError;
use rcseal_store::takeover::{BeginResetError, TakeoverError};
use rcseal_wire::problem::ProblemCode;

use super::ResetTicketError;
use crate::directory::DirectoryError;

/// Why an account is not taken over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TakeoverRefusal {
    /// There is no such account, it has no recovery key, this is not the one, or it did not sign.
    #[error("the recovery is refused")]
    Recovery,
    /// The ticket is none, or not one for this account now.
    #[error("the reset ticket is refused")]
    Ticket,
    /// A proof that is neither a recovery key nor a ticket, or both.
    #[error("show a recovery key or a reset ticket")]
    Proof,
    /// A reset that wants to wait for longer than is reasonable.
    #[error("the reset's time is too far away")]
    NotBefore,
    /// A key set that lists no device but one, as it must, or is larger than such a set can be.
    #[error("the key set lists more than one device")]
    Devices,
    /// Too many attempts.
    #[error("too many attempts")]
    RateLimited(Refusal),
    /// Key set or prekeys are not right.
    #[error("key set or prekeys are not right")]
    Directory(#[from] DirectoryError),
    /// The store refused.
    #[error("the takeover was not stored")]
    Takeover(#[from] TakeoverError),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl TakeoverRefusal {
    /// Whether the fault is ours.
    pub(crate) fn is_failure(&self) -> bool {
        matches!(
            self,
            Self::Store(_) | Self::Directory(DirectoryError::Store(_)) | Self::Takeover(TakeoverError::Store(_))
        )
    }
}

impl From<ResetTicketError> for TakeoverRefusal {
    fn from(ResetTicketError: ResetTicketError) -> Self {
        Self::Ticket
    }
}

impl From<BeginResetError> for TakeoverRefusal {
    fn from(error: BeginResetError) -> Self {
        match error {
            BeginResetError::TicketRefused => Self::Ticket,
            BeginResetError::Takeover(error) => Self::Takeover(error),
            BeginResetError::Store(source) => Self::Store(source),
        }
    }
}

impl From<TakeoverRefusal> for Refusal {
    fn from(refusal: TakeoverRefusal) -> Self {
        match refusal {
            TakeoverRefusal::Recovery => ProblemCode::RecoveryRefused.into(),
            TakeoverRefusal::Ticket => ProblemCode::ResetTicketRefused.into(),
            TakeoverRefusal::Proof => {
                Self::with_detail(ProblemCode::Malformed, "show either a recovery key or a reset ticket")
            }
            TakeoverRefusal::NotBefore => Self::with_detail(
                ProblemCode::OutOfRange,
                "the reset's time is more than a day after the server's delay",
            ),
            TakeoverRefusal::Devices => {
                Self::with_detail(ProblemCode::KeySetInvalid, "a recovery's or reset's key set lists one device")
            }
            TakeoverRefusal::RateLimited(refusal) => refusal,
            TakeoverRefusal::Directory(error) => error.into(),
            TakeoverRefusal::Takeover(error) => match error {
                TakeoverError::KeySet(PublishError::UnknownAccount) => ProblemCode::RecoveryRefused.into(),
                TakeoverError::KeySet(error) => DirectoryError::Publish(error).into(),
                TakeoverError::MailboxTaken => ProblemCode::MailboxTaken.into(),
                TakeoverError::Prekeys => DirectoryError::TooManyPrekeys.into(),
                TakeoverError::Store(source) => source.into(),
            },
            TakeoverRefusal::Store(source) => source.into(),
        }
    }
}
