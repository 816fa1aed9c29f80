//! Why something about policy was not done.

use super::mode::DeliveryMode;
use crate::account::AccountError;
use crate::send::SendError;
use crate::store::StoreError;

/// Why a setting, a consent or an acknowledgement was not taken.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// This device's account is not ready.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// There is no such conversation, or it is not with another account.
    #[error("there is no such conversation")]
    UnknownConversation,
    /// Nobody has a number for the contact, so nothing can be sent to one.
    #[error("the contact has no phone number here")]
    NoNumber,
    /// There is no way from this device to the recipient in that mode, so an agreement to it would serve nothing.
    #[error("there is no way to send in the mode {}", .mode.as_str())]
    NoWayForMode {
        /// The mode.
        mode: DeliveryMode,
    },
    /// The mode is end to end: it needs no consent.
    #[error("this mode needs no consent")]
    NotReadable,
    /// The time is past, or later than such a thing may last.
    #[error("the time is past, or too far away")]
    Expiry,
    /// There is no such consent, or it was withdrawn.
    #[error("there is no such consent")]
    UnknownConsent,
    /// The recipient is known to have end-to-end encryption.
    #[error("the recipient is known to have end-to-end encryption")]
    KnownCapable,
    /// Nothing is known of the recipient: there is nothing to acknowledge, and policy asks for evidence instead.
    #[error("the recipient is not known to have end-to-end encryption")]
    NotKnownCapable,
    /// The number is a contact's: the downgrade is to be acknowledged in the conversation with it, so that both sides see it.
    #[error("the number is a contact's; acknowledge it in the conversation")]
    NumberOfContact,
    /// Policy or a missing consent stands against it.
    #[error("policy or a missing consent stands against it")]
    NotAllowed,
    /// The conversation was not downgraded.
    #[error("the conversation is end-to-end encrypted already")]
    NotDowngraded,
    /// The notice to the other side could not be made.
    #[error("the notice could not be sent")]
    Notice(#[source] Box<SendError>),
}

impl PolicyError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Account(error) => error.code(),
            Self::UnknownConversation => "conversation_unknown",
            Self::NoNumber => "contact_without_number",
            Self::NoWayForMode { .. } => "mode_without_way",
            Self::NotReadable => "consent_not_needed",
            Self::Expiry => "expiry_out_of_range",
            Self::UnknownConsent => "consent_unknown",
            Self::KnownCapable => "recipient_known_capable",
            Self::NotKnownCapable => "recipient_not_known_capable",
            Self::NumberOfContact => "number_of_contact",
            Self::NotAllowed => "downgrade_not_allowed",
            Self::NotDowngraded => "not_downgraded",
            Self::Notice(error) => error.code(),
        }
    }
}

impl From<SendError> for PolicyError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Store(error) => Self::Store(error),
            SendError::Account(error) => Self::Account(error),
            other => Self::Notice(Box::new(other)),
        }
    }
}
