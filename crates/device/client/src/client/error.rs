//! Why something a client was asked for did not happen.

use rcseal_engine::account::AccountError;
use rcseal_engine::backup::BackupError;
use rcseal_engine::carrier::CarrierError;
use rcseal_engine::case::CaseError;
use rcseal_engine::contact::ContactError;
use rcseal_engine::hand_over::HandOverError;
use rcseal_engine::link::LinkFailure;
use rcseal_engine::media::MediaError;
use rcseal_engine::number::NumberError;
use rcseal_engine::plain::PlainError;
use rcseal_engine::policy::PolicyError;
use rcseal_engine::resend::ResendError;
use rcseal_engine::retained::RetainedError;
use rcseal_engine::send::SendError;
use rcseal_engine::store::{StoreError, StoreErrorKind};

use rcseal_rcs::transport::SendFailure;

use super::push::PushError;
use super::remote_config::RemoteConfigError;
use crate::backup::BackupFailure;
use crate::net::{EndpointError, NetError};
use crate::store::{GenerationError, OpenError};

/// An operation of the client failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The store did not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store failed. Nothing of the operation was kept.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The generation of store and vault could not be advanced.
    #[error(transparent)]
    Generation(#[from] GenerationError),
    /// The network or the server.
    #[error(transparent)]
    Net(#[from] NetError),
    /// This device's account.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// A contact.
    #[error(transparent)]
    Contact(#[from] ContactError),
    /// A contact's number.
    #[error(transparent)]
    Carrier(#[from] CarrierError),
    /// A policy, a consent, a downgrade.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A number, or the broker that maps it.
    #[error(transparent)]
    Number(#[from] NumberError),
    /// A case of a business.
    #[error(transparent)]
    Case(#[from] CaseError),
    /// A thread with a number, or words for it.
    #[error(transparent)]
    Plain(#[from] PlainError),
    /// The key of a server that may read messages.
    #[error(transparent)]
    Retained(#[from] RetainedError),
    /// A backup.
    #[error(transparent)]
    Backup(#[from] BackupFailure),
    /// Push tokens and wake-ups.
    #[error(transparent)]
    Push(#[from] PushError),
    /// Remote configuration.
    #[error(transparent)]
    RemoteConfig(#[from] RemoteConfigError),
    /// A message that was to be sent.
    #[error(transparent)]
    Send(#[from] SendError),
    /// A message that was to be handed to the app's own stack, and does not go by a carrier.
    #[error(transparent)]
    HandOver(HandOverError),
    /// A message that was to be sent again.
    #[error(transparent)]
    Resend(#[from] ResendError),
    /// Linking a device.
    #[error(transparent)]
    Link(#[from] LinkFailure),
    /// The other device did not come to the rendezvous in time.
    #[error("the other device did not come in time")]
    LinkExpired,
    /// The account is not this device's before the reset is in force.
    #[error("the reset of the account is not in force yet")]
    ResetPending,
    /// A blob.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// There is no such message.
    #[error("there is no such message")]
    UnknownMessage,
    /// The message has no file, or no small picture.
    #[error("the message has no such file")]
    NoMedia,
    /// The file is on a server that is neither ours nor the sender's: asking it would tell a stranger our address.
    #[error("the file is on a server that is neither ours nor the sender's")]
    ForeignServer,
    /// A file of the user's could not be read or written.
    #[error("a file cannot be read or written")]
    File(#[source] std::io::Error),
    /// A server's origin cannot be connected to.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// This device has no way to send an SMS.
    #[error("this device has no way to send an SMS")]
    NoSmsWay,
    /// An SMS was not taken, or nobody answered for it.
    #[error("the SMS was not taken")]
    Sms(#[source] SendFailure),
    /// The program is shutting down.
    #[error("the program is shutting down")]
    Stopped,
}

impl ClientError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Open(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Generation(error) => error.code(),
            Self::Net(error) => error.code(),
            Self::Account(error) => error.code(),
            Self::Contact(error) => error.code(),
            Self::Carrier(error) => error.code(),
            Self::Policy(error) => error.code(),
            Self::Number(error) => error.code(),
            Self::Case(error) => error.code(),
            Self::Plain(error) => error.code(),
            Self::Retained(error) => error.code(),
            Self::Backup(error) => error.code(),
            Self::Push(error) => error.code(),
            Self::RemoteConfig(error) => error.code(),
            Self::Send(error) => error.code(),
            Self::HandOver(error) => error.code(),
            Self::Resend(error) => error.code(),
            Self::Link(error) => error.code(),
            Self::LinkExpired => "link_expired",
            Self::ResetPending => "reset_pending",
            Self::Media(error) => error.code(),
            Self::UnknownMessage => "message_unknown",
            Self::NoMedia => "media_none",
            Self::ForeignServer => "media_foreign_server",
            Self::File(_) => "file",
            Self::Endpoint(_) => "net.endpoint",
            Self::NoSmsWay => "sms_no_way",
            Self::Sms(failure) => failure.code(),
            Self::Stopped => "stopped",
        }
    }

    /// Whether the same thing may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Net(error) => error.is_retryable(),
            Self::Open(OpenError::InUse) | Self::ResetPending => true,
            other => other.store_kind().is_some_and(is_passing),
        }
    }

    /// What the store said, wherever the error passed through.
    #[must_use]
    pub fn store_kind(&self) -> Option<StoreErrorKind> {
        let error = match self {
            Self::Store(error)
            | Self::Generation(GenerationError::Store(error))
            | Self::Account(AccountError::Store(error))
            | Self::Contact(ContactError::Store(error) | ContactError::Account(AccountError::Store(error)))
            | Self::Policy(PolicyError::Store(error) | PolicyError::Account(AccountError::Store(error)))
            | Self::Number(NumberError::Store(error) | NumberError::Account(AccountError::Store(error)))
            | Self::Case(CaseError::Store(error) | CaseError::Account(AccountError::Store(error)))
            | Self::Plain(PlainError::Store(error) | PlainError::Account(AccountError::Store(error)))
            | Self::Carrier(CarrierError::Store(error) | CarrierError::Account(AccountError::Store(error)))
            | Self::Retained(RetainedError::Store(error) | RetainedError::Account(AccountError::Store(error)))
            | Self::Send(SendError::Store(error) | SendError::Account(AccountError::Store(error)))
            | Self::Resend(ResendError::Send(
                SendError::Store(error) | SendError::Account(AccountError::Store(error)),
            ))
            | Self::Link(LinkFailure::Account(AccountError::Store(error)))
            | Self::Open(OpenError::Sqlite(error)) => error,
            Self::Backup(failure) => failure.store()?,
            _ => return None,
        };
        Some(error.kind)
    }
}

/// What cannot be sent at all is the same error whichever way it was to go.
impl From<HandOverError> for ClientError {
    fn from(error: HandOverError) -> Self {
        match error {
            HandOverError::Send(error) => Self::Send(error),
            error => Self::HandOver(error),
        }
    }
}

impl From<BackupError> for ClientError {
    fn from(error: BackupError) -> Self {
        Self::Backup(BackupFailure::Archive(error))
    }
}

/// A full disk gets emptied and a busy one quiet; a damaged store stays damaged.
const fn is_passing(kind: StoreErrorKind) -> bool {
    match kind {
        StoreErrorKind::Busy | StoreErrorKind::Full | StoreErrorKind::Io => true,
        StoreErrorKind::Corrupt | StoreErrorKind::Locked => false,
    }
}
