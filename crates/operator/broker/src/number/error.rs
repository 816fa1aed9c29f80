//! Why something about a number is refused.

use rcseal_credential::mapping::{CountersignError, FormError, MappingError, SuccessionError};
use rcseal_front::Refusal;
use rcseal_store::broker::{BeginClaimError, BindError, NumberError, TryCodeError};
use rcseal_store::{StoreError, UnixMillis};
use rcseal_wire::problem::ProblemCode;

use crate::code::CodeNotSent;
use crate::enrolment::EnrolmentError;

/// Seconds after which a code that could not be sent may be asked for again.
const CODE_RETRY_SECONDS: u64 = 60;

/// Why something about a number is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NumberRefusal {
    /// Numbers of this range or kind cannot be claimed here.
    #[error("the number is not served")]
    NotServed,
    /// A limit is used up.
    #[error("too many requests")]
    TooOften {
        /// When to come back.
        until: UnixMillis,
        /// The broker's clock.
        now: UnixMillis,
    },
    /// The code could not be sent.
    #[error("the code could not be sent")]
    CodeNotSent(#[from] CodeNotSent),
    /// The code is wrong.
    #[error("the code is wrong")]
    CodeRefused,
    /// The claim is gone.
    #[error("the claim is gone")]
    ClaimGone,
    /// What was signed does not parse.
    #[error("what was signed does not parse")]
    Form(#[source] FormError),
    /// The statement says something else than what is asked for.
    #[error("the statement is about something else: {about}")]
    Statement {
        /// What is not as it must be.
        about: &'static str,
    },
    /// The statement does not verify.
    #[error("the statement does not verify")]
    Unverified(#[source] MappingError),
    /// The release does not hold.
    #[error("the release does not hold")]
    Release,
    /// Readers would refuse the mapping.
    #[error("the mapping would not hold")]
    Countersign(#[source] CountersignError),
    /// Somebody else was faster.
    #[error("the number's newest mapping is another one")]
    Conflict,
    /// The account has as many numbers as it may have.
    #[error("the account has too many numbers")]
    TooMany,
    /// The number is not the caller's.
    #[error("the number is not the caller's")]
    NotYours,
    /// The account's key set cannot be had.
    #[error("the account's key set cannot be had")]
    Enrolment(#[from] EnrolmentError),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl NumberRefusal {
    /// The code that answers it.
    pub(crate) fn problem_code(&self) -> ProblemCode {
        match self {
            Self::NotServed => ProblemCode::NumberNotServed,
            Self::TooOften { .. } => ProblemCode::RateLimited,
            Self::CodeNotSent(_) => ProblemCode::CodeNotSent,
            Self::CodeRefused => ProblemCode::CodeRefused,
            Self::ClaimGone => ProblemCode::ClaimGone,
            Self::Form(_) | Self::Statement { .. } | Self::Unverified(_) | Self::Countersign(_) => {
                ProblemCode::StatementInvalid
            }
            Self::Release => ProblemCode::ReleaseInvalid,
            Self::Conflict => ProblemCode::NumberConflict,
            Self::TooMany => ProblemCode::QuotaExceeded,
            Self::NotYours => ProblemCode::NotFound,
            Self::Enrolment(source) => source.problem_code(),
            Self::Store(source) => rcseal_front::refusal::store_problem(source),
        }
    }
}

impl From<BeginClaimError> for NumberRefusal {
    fn from(error: BeginClaimError) -> Self {
        let until = match error {
            BeginClaimError::TooSoon { until } => until,
            BeginClaimError::Exhausted(exhausted) => exhausted.until,
            BeginClaimError::Store(source) => return Self::Store(source),
        };
        Self::TooOften { until, now: UnixMillis::new(0) }
    }
}

impl From<TryCodeError> for NumberRefusal {
    fn from(error: TryCodeError) -> Self {
        match error {
            TryCodeError::Unknown => Self::ClaimGone,
            TryCodeError::Wrong { .. } => Self::CodeRefused,
            TryCodeError::Store(source) => Self::Store(source),
        }
    }
}

impl From<BindError> for NumberRefusal {
    fn from(error: BindError) -> Self {
        match error {
            BindError::Conflict => Self::Conflict,
            BindError::ClaimGone => Self::ClaimGone,
            BindError::TooMany => Self::TooMany,
            BindError::Store(source) => Self::Store(source),
        }
    }
}

impl From<NumberError> for NumberRefusal {
    fn from(error: NumberError) -> Self {
        match error {
            NumberError::Conflict => Self::Conflict,
            NumberError::TooMany => Self::TooMany,
            NumberError::Store(source) => Self::Store(source),
        }
    }
}

impl From<CountersignError> for NumberRefusal {
    fn from(error: CountersignError) -> Self {
        match error {
            CountersignError::Refused(MappingError::NotARelease) => Self::Release,
            // The place in the chain was compared before, so it is the grounds that do not hold, and of those only a release is the
            // caller's own.
            CountersignError::Succession(SuccessionError::NotNext(_)) => Self::Release,
            other => Self::Countersign(other),
        }
    }
}

impl From<NumberRefusal> for Refusal {
    fn from(error: NumberRefusal) -> Self {
        let code = error.problem_code();
        match error {
            NumberRefusal::TooOften { until, now } => {
                let seconds = until.get().saturating_sub(now.get()).div_ceil(1000);
                Self::retry_after(code, seconds.max(1))
            }
            NumberRefusal::CodeNotSent(_) => Self::retry_after(code, CODE_RETRY_SECONDS),
            NumberRefusal::Statement { about } => Self::with_detail(code, about),
            NumberRefusal::Form(_) => Self::with_detail(code, "it does not parse"),
            NumberRefusal::Unverified(_) => Self::with_detail(code, "its signature or its key set does not fit"),
            NumberRefusal::Countersign(_) => Self::with_detail(code, "its time, its place or its grounds do not fit"),
            NumberRefusal::Enrolment(source) => source.into(),
            NumberRefusal::Store(source) => source.into(),
            _ => code.into(),
        }
    }
}
