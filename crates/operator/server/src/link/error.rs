//! Which problem answers which refusal of the link store.

use rcseal_front::refusal::Refusal;
use rcseal_store::LinkError;
use rcseal_wire::problem::ProblemCode;

/// The answer to a refusal of the link store.
pub(super) fn refusal(error: LinkError) -> Refusal {
    match error {
        LinkError::Exists | LinkError::SlotTaken => ProblemCode::IdConflict.into(),
        LinkError::Unknown => ProblemCode::NotFound.into(),
        LinkError::NoSuchSlot => ProblemCode::NotFound.into(),
        LinkError::TooLarge => ProblemCode::TooLarge.into(),
        LinkError::TooMany => Refusal::retry_after(ProblemCode::RateLimited, 60),
        LinkError::Store(source) => source.into(),
    }
}
