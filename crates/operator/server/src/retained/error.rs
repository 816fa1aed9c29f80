//! Why a message that the server can read is not taken, or not handed over.

use rcseal_front::refusal::Refusal;
use rcseal_store::StoreError;
use rcseal_store::retained::RetainError;
use rcseal_wire::problem::ProblemCode;

use crate::kms::KmsError;

/// Seconds after which a client may ask again for what the module could not do.
const KMS_RETRY_SECONDS: u64 = 5;

/// Why a message that the server can read is not taken, or not handed over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RetainedError {
    /// The server has no such messages.
    #[error("server-side encryption is off")]
    Off,
    /// The key cannot be used now.
    #[error("the server's key cannot be used now")]
    KmsUnavailable(#[source] KmsError),
    /// The key is gone, or never was.
    #[error("the server's key is destroyed")]
    KeyDestroyed,
    /// The key or the message belongs to another region.
    #[error("the key belongs to another region")]
    RegionMismatch,
    /// There is no such class.
    #[error("there is no such retention class")]
    RetentionUnknown,
    /// The sender may not write to this account, or there is no such account.
    #[error("no leave for this account")]
    Forbidden,
    /// What came cannot be a sealed message.
    #[error("not a sealed message")]
    NotSealed,
    /// The store refused the message.
    #[error("the message was not kept")]
    Retain(#[from] RetainError),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl From<KmsError> for RetainedError {
    fn from(error: KmsError) -> Self {
        match error {
            KmsError::KeyDestroyed { .. } => Self::KeyDestroyed,
            KmsError::RegionMismatch { .. } => Self::RegionMismatch,
            other => Self::KmsUnavailable(other),
        }
    }
}

impl RetainedError {
    /// Whether the fault is ours.
    pub(crate) const fn is_failure(&self) -> bool {
        matches!(
            self,
            Self::KmsUnavailable(_)
                | Self::KeyDestroyed
                | Self::RegionMismatch
                | Self::Store(_)
                | Self::Retain(RetainError::Store(_))
        )
    }
}

impl From<RetainedError> for Refusal {
    fn from(error: RetainedError) -> Self {
        match error {
            RetainedError::Off => Self::with_detail(ProblemCode::NotFound, "this server reads no messages"),
            RetainedError::KmsUnavailable(_) => Self::retry_after(ProblemCode::KmsUnavailable, KMS_RETRY_SECONDS),
            RetainedError::KeyDestroyed => ProblemCode::ServerKeyDestroyed.into(),
            RetainedError::RegionMismatch => ProblemCode::RegionMismatch.into(),
            RetainedError::RetentionUnknown => ProblemCode::RetentionUnknown.into(),
            RetainedError::Forbidden => ProblemCode::Forbidden.into(),
            RetainedError::NotSealed => Self::with_detail(ProblemCode::Malformed, "`sealed` is not a sealed message"),
            RetainedError::Retain(error) => match error {
                RetainError::IdConflict => ProblemCode::IdConflict.into(),
                // The same answer as for a wrong token, so that accounts cannot be probed for.
                RetainError::UnknownRecipient => ProblemCode::Forbidden.into(),
                RetainError::QuotaExceeded => ProblemCode::QuotaExceeded.into(),
                RetainError::TooLarge => ProblemCode::TooLarge.into(),
                RetainError::Store(source) => source.into(),
            },
            RetainedError::Store(source) => source.into(),
        }
    }
}
