//! Which problem answers which refusal of the link store.

use rcseal_store::LinkError;
use rcseal_wire::problem::ProblemCode;

use crate::refusal::Refusal;

impl From<LinkError> for Refusal {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Exists | LinkError::SlotTaken => ProblemCode::IdConflict.into(),
            LinkError::Unknown => ProblemCode::NotFound.into(),
            LinkError::NoSuchSlot => ProblemCode::NotFound.into(),
            LinkError::TooLarge => ProblemCode::TooLarge.into(),
            LinkError::TooMany => Self::retry_after(ProblemCode::RateLimited, 60),
            LinkError::Store(source) => source.into(),
        }
    }
}
