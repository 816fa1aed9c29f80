//! Why an enrolment, or a look at the relay, ends in a refusal.

use rcseal_front::Refusal;
use rcseal_store::StoreError;
use rcseal_store::broker::EnrolError;
use rcseal_wire::problem::ProblemCode;

use crate::relay::RelayError;

/// Seconds after which a relay that could not be asked may be asked again.
const RELAY_RETRY_SECONDS: u64 = 5;

/// Why an enrolment, or a look at the relay, ends in a refusal.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnrolmentError {
    /// The key set does not verify, or does not follow the stored one.
    #[error("the key set does not verify")]
    KeySetInvalid,
    /// The stored key set is newer.
    #[error("the key set is older than the stored one")]
    Stale,
    /// No challenge is open, or the signature is another key's.
    #[error("the login does not verify")]
    LoginRefused,
    /// The account has not enrolled, or the device is not in its key set any more.
    #[error("the device is not enrolled")]
    NotEnrolled,
    /// The relay is not listed.
    #[error("the relay is not listed")]
    RelayUnknown,
    /// The relay answers another key set, or refuses the token.
    #[error("the relay disagrees")]
    RelayDisagrees,
    /// The relay cannot be asked.
    #[error("the relay cannot be asked")]
    RelayUnreachable,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl EnrolmentError {
    /// The code that answers it.
    pub(crate) fn problem_code(&self) -> ProblemCode {
        match self {
            Self::KeySetInvalid => ProblemCode::KeySetInvalid,
            Self::Stale => ProblemCode::KeySetRollback,
            Self::LoginRefused => ProblemCode::LoginRefused,
            Self::NotEnrolled => ProblemCode::DeviceUnknown,
            Self::RelayUnknown => ProblemCode::RelayUnknown,
            Self::RelayDisagrees => ProblemCode::RelayDisagrees,
            Self::RelayUnreachable => ProblemCode::RelayUnreachable,
            Self::Store(source) => rcseal_front::refusal::store_problem(source),
        }
    }

    pub(crate) fn is_failure(&self) -> bool {
        matches!(self, Self::RelayUnreachable | Self::Store(_))
    }
}

impl From<RelayError> for EnrolmentError {
    fn from(error: RelayError) -> Self {
        match error {
            RelayError::Unknown => Self::RelayUnknown,
            RelayError::Unreachable => Self::RelayUnreachable,
            RelayError::Refused | RelayError::Malformed => Self::RelayDisagrees,
        }
    }
}

impl From<EnrolError> for EnrolmentError {
    fn from(error: EnrolError) -> Self {
        match error {
            EnrolError::Stale => Self::Stale,
            EnrolError::NotListed => Self::NotEnrolled,
            EnrolError::Store(source) => Self::Store(source),
        }
    }
}

impl From<EnrolmentError> for Refusal {
    fn from(error: EnrolmentError) -> Self {
        match error {
            EnrolmentError::Store(source) => source.into(),
            EnrolmentError::RelayUnreachable => Self::retry_after(ProblemCode::RelayUnreachable, RELAY_RETRY_SECONDS),
            other => other.problem_code().into(),
        }
    }
}
