//! Why something was not sent, and why a bundle was not used.

use rcseal_wire::content::ContentError;

use crate::account::AccountError;
use crate::policy::{PolicyError, StoredDecision};
use crate::store::StoreError;

/// Why a message was not sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// This device's account is not ready.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// There is no such conversation.
    #[error("there is no such conversation")]
    UnknownConversation,
    /// A field of the content exceeds its limit.
    #[error("the content is not valid")]
    Content(#[from] ContentError),
    /// The content exceeds what an envelope carries.
    #[error("the message is too long: {len} bytes")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// The account key of a verified contact has changed. Compare safety numbers again first.
    #[error("the contact's account key has changed since it was verified")]
    VerificationChanged,
    /// The user has blocked the contact.
    #[error("the contact is blocked")]
    ContactBlocked,
    /// It was decided not to send it. Hand the decision to [`crate::Engine::note_refusal`], so that it is stored and journalled.
    #[error("not sent: {}", .0.decision.reason.code())]
    Refused(Box<StoredDecision>),
    /// A session could not go on; a new one is needed.
    #[error("the session cannot encrypt")]
    Session(#[from] rcseal_signal::EncryptError),
}

impl SendError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Account(error) => error.code(),
            Self::UnknownConversation => "conversation_unknown",
            Self::Content(error) => error.code(),
            Self::TooLong { .. } => "message_too_long",
            Self::VerificationChanged => "verification_changed",
            Self::ContactBlocked => "contact_blocked",
            Self::Refused(refused) => refused.decision.reason.code(),
            Self::Session(error) => error.code(),
        }
    }
}

/// A decision that cannot be made is one about something that is not there.
impl From<PolicyError> for SendError {
    fn from(error: PolicyError) -> Self {
        match error {
            PolicyError::Store(error) => Self::Store(error),
            PolicyError::Account(error) => Self::Account(error),
            _ => Self::UnknownConversation,
        }
    }
}

/// Why a prekey bundle was not used.
#[derive(Debug, thiserror::Error)]
pub enum BundleRefusal {
    /// The device is not in the account's key set.
    #[error("the device is not in the key set")]
    UnknownDevice,
    /// The bundle is malformed or its signatures do not hold.
    #[error("the bundle does not verify")]
    Bundle(#[from] rcseal_signal::BundleError),
    /// The handshake failed.
    #[error("the handshake failed")]
    Initiate(#[from] rcseal_signal::InitiateError),
}

impl BundleRefusal {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownDevice => "bundle_unknown_device",
            Self::Bundle(error) => error.code(),
            Self::Initiate(error) => error.code(),
        }
    }
}
