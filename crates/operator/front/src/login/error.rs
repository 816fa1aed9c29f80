//! Why a login, or a request that needs one, is refused.

use rcseal_store::StoreError;
use rcseal_wire::problem::ProblemCode;

use crate::refusal::Refusal;

/// Why a login, or a request that needs one, is refused.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// No token, or none of ours.
    #[error("no valid token")]
    Unauthenticated,
    /// The token was ours once.
    #[error("the token has expired")]
    Expired,
    /// No challenge is open on this connection, or it is too old.
    #[error("no open challenge on this connection")]
    NoChallenge,
    /// The account or the device does not exist, or the signature does not verify. One answer for all, so that nobody learns which
    /// accounts exist.
    #[error("the login does not verify")]
    LoginRefused,
    /// The device has left its account's key set.
    #[error("the device is not in its account's key set")]
    DeviceUnknown,
    /// The account is not the caller's, and no delivery token fits. Also the answer for accounts that do not exist.
    #[error("no leave for this account")]
    Forbidden,
    /// The device asks too often.
    #[error("too many requests")]
    RateLimited(Refusal),
    /// The store cannot answer.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl AuthError {
    /// The code that answers it.
    #[must_use]
    pub fn problem_code(&self) -> ProblemCode {
        match self {
            Self::Unauthenticated => ProblemCode::Unauthenticated,
            Self::Expired => ProblemCode::TokenExpired,
            Self::NoChallenge | Self::LoginRefused => ProblemCode::LoginRefused,
            Self::DeviceUnknown => ProblemCode::DeviceUnknown,
            Self::Forbidden => ProblemCode::Forbidden,
            Self::RateLimited(_) => ProblemCode::RateLimited,
            Self::Store(source) => crate::refusal::store_problem(source),
        }
    }
}

impl From<AuthError> for Refusal {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::NoChallenge => {
                Self::with_detail(ProblemCode::LoginRefused, "ask for a challenge on this connection first")
            }
            AuthError::RateLimited(refusal) => refusal,
            AuthError::Store(source) => source.into(),
            other => other.problem_code().into(),
        }
    }
}
