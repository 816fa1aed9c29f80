//! Why the directory refuses something.

use rcseal_front::refusal::Refusal;
use rcseal_store::StoreError;
use rcseal_store::directory::{PublishError, SetTokensError, UploadError};
use rcseal_store::mailbox::CreateMailboxError;
use rcseal_wire::problem::ProblemCode;

/// Why the directory refuses something.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DirectoryError {
    /// The signed bytes do not parse, or a signature or proof in them does not verify.
    #[error("the key set does not verify")]
    KeySetInvalid,
    /// A first key set that is not the first, or has more than the primary device.
    #[error("not a first key set")]
    NotFirst,
    /// The key set belongs to another account than the caller.
    #[error("the key set is another account's")]
    OtherAccount,
    /// The stored key set is already as new, or the new one skips some: fetch and sign again.
    #[error("the key set is not the next one")]
    Conflict,
    /// The key set is older than the stored one.
    #[error("the key set is older than the stored one")]
    Rollback,
    /// The key set has the right counter and continues another key set than the stored one.
    #[error("the key set continues another one")]
    Fork,
    /// A prekey has the wrong length, or is no key.
    #[error("prekey field {field} is malformed")]
    Prekey {
        /// The field of the upload.
        field: &'static str,
    },
    /// A registration without a signed or a last-resort prekey.
    #[error("{field} is missing")]
    PrekeyMissing {
        /// The field of the upload.
        field: &'static str,
    },
    /// Too many prekeys, or the pool is full.
    #[error("too many one-time prekeys")]
    TooManyPrekeys,
    /// Too many devices in one request, or none.
    #[error("the number of devices is out of range")]
    DeviceCount,
    /// The store refused the key set.
    #[error("the key set was not published")]
    Publish(#[source] PublishError),
    /// The store refused the prekeys.
    #[error("the prekeys were not stored")]
    Upload(#[source] UploadError),
    /// The store refused the mailbox.
    #[error("the mailbox was not created")]
    Mailbox(#[source] CreateMailboxError),
    /// The store refused the delivery tokens.
    #[error("the delivery tokens were not stored")]
    Tokens(#[source] SetTokensError),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl From<DirectoryError> for Refusal {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::KeySetInvalid => ProblemCode::KeySetInvalid.into(),
            DirectoryError::NotFirst => Self::with_detail(
                ProblemCode::KeySetInvalid,
                "a registration's key set has counter 1 and the primary device alone",
            ),
            DirectoryError::OtherAccount => ProblemCode::Forbidden.into(),
            DirectoryError::Conflict => ProblemCode::KeySetConflict.into(),
            DirectoryError::Rollback => ProblemCode::KeySetRollback.into(),
            DirectoryError::Fork => ProblemCode::KeySetFork.into(),
            DirectoryError::Prekey { field } => Self::with_detail(ProblemCode::Malformed, field),
            DirectoryError::PrekeyMissing { field } => Self::with_detail(ProblemCode::OutOfRange, field),
            DirectoryError::TooManyPrekeys => {
                Self::with_detail(ProblemCode::OutOfRange, "too many one-time prekeys of one kind")
            }
            DirectoryError::DeviceCount => Self::with_detail(ProblemCode::OutOfRange, "name 1 to 127 devices"),
            DirectoryError::Publish(error) => match error {
                PublishError::UnknownAccount => ProblemCode::DeviceUnknown.into(),
                PublishError::Conflict { .. } => ProblemCode::KeySetConflict.into(),
                PublishError::DeviceNumberReused { .. } => {
                    Self::with_detail(ProblemCode::KeySetInvalid, "a device number was used before")
                }
                PublishError::TooLarge => ProblemCode::TooLarge.into(),
                PublishError::HistoryFull => ProblemCode::QuotaExceeded.into(),
                PublishError::Store(source) => source.into(),
            },
            DirectoryError::Upload(error) => match error {
                UploadError::UnknownDevice => ProblemCode::DeviceUnknown.into(),
                UploadError::PoolFull { .. } => DirectoryError::TooManyPrekeys.into(),
                UploadError::TooLarge => ProblemCode::TooLarge.into(),
                UploadError::Store(source) => source.into(),
            },
            DirectoryError::Mailbox(error) => match error {
                CreateMailboxError::UnknownDevice => ProblemCode::DeviceUnknown.into(),
                CreateMailboxError::MailboxTaken => ProblemCode::MailboxTaken.into(),
                CreateMailboxError::HasMailbox => ProblemCode::MailboxFixed.into(),
                CreateMailboxError::Store(source) => source.into(),
            },
            DirectoryError::Tokens(error) => match error {
                SetTokensError::UnknownDevice => ProblemCode::DeviceUnknown.into(),
                SetTokensError::TooMany { .. } => {
                    Self::with_detail(ProblemCode::OutOfRange, "too many delivery tokens")
                }
                SetTokensError::Store(source) => source.into(),
            },
            DirectoryError::Store(source) => source.into(),
        }
    }
}
