//! Why something about a number or a broker was not done.

use rcseal_credential::mapping::FormError;

use crate::account::AccountError;
use crate::carrier::CarrierError;
use crate::contact::ContactError;
use crate::store::StoreError;

/// Something about a number or a broker was not done.
#[derive(Debug, thiserror::Error)]
pub enum NumberError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// This device's account is not ready, or not on its primary device.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The contact could not be added.
    #[error(transparent)]
    Contact(#[from] ContactError),
    /// No broker is pinned.
    #[error("no broker is known")]
    NoBroker,
    /// Another broker is pinned, and taking its place is the user's decision.
    #[error("another broker is pinned")]
    BrokerPinned,
    /// The broker's key is no usable Ed25519 key.
    #[error("the broker's key is invalid")]
    BrokerKey,
    /// The number cannot stand in a signed object.
    #[error("the number is not in international form")]
    Number,
    /// The account does not claim this number.
    #[error("the number is not claimed by this account")]
    UnknownNumber,
    /// Nothing was found for this number, or it does not hold any more.
    #[error("no account is known for the number")]
    NotFound,
    /// What was asked for does not fit how far the number has come.
    #[error("the number is {state}")]
    State {
        /// How far it has come.
        state: &'static str,
    },
    /// The statement could not be made: a limit of its form.
    #[error("the statement cannot be made")]
    Statement(#[source] FormError),
    /// There is no such evidence.
    #[error("there is no such evidence")]
    UnknownEvidence,
}

impl NumberError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Account(error) => error.code(),
            Self::Contact(error) => error.code(),
            Self::NoBroker => "broker_unknown",
            Self::BrokerPinned => "broker_pinned",
            Self::BrokerKey => "broker_key_invalid",
            Self::Number => "number_invalid",
            Self::UnknownNumber => "number_unknown",
            Self::NotFound => "number_not_found",
            Self::State { .. } => "number_state",
            Self::Statement(error) => error.code(),
            Self::UnknownEvidence => "evidence_unknown",
        }
    }
}

impl From<CarrierError> for NumberError {
    fn from(error: CarrierError) -> Self {
        match error {
            CarrierError::Store(error) => Self::Store(error),
            CarrierError::Account(error) => Self::Account(error),
            CarrierError::UnknownContact => Self::Contact(ContactError::Unknown),
        }
    }
}
