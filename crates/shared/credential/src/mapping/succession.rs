//! Whether a mapping may follow the one already known.
//!
//! A number's mappings form one chain at a broker. Neighbours are checked in full. Across a gap, for a client that was away while the
//! number was renewed or changed hands several times, only the account can be compared: whoever has it now is either the one known, or
//! somebody else on grounds that were not seen.

use super::grounds::Before;
use super::{Evidence, GroundsKind, SuccessionError, VerifiedMapping};

/// How an accepted mapping relates to the known one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// The same mapping again.
    Unchanged,
    /// The same account has the number still. Whether its account key is the same one, the two key sets tell.
    Renewed,
    /// Another account has the number.
    Rebound {
        /// On what grounds; none where the mappings between were not seen.
        grounds: Option<GroundsKind>,
    },
}

impl Change {
    /// The name in texts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Renewed => "renewed",
            Self::Rebound { .. } => "rebound",
        }
    }
}

/// Checks that `new` is `old` again or a later mapping of the same number at the same broker.
///
/// # Errors
/// [`SuccessionError`].
pub fn check_succession(old: &VerifiedMapping, new: &VerifiedMapping) -> Result<Change, SuccessionError> {
    let (known, offered) = (old.statement(), new.statement());
    if known.number != offered.number {
        return Err(SuccessionError::OtherNumber);
    }
    if known.broker != offered.broker {
        return Err(SuccessionError::OtherBroker);
    }
    if old.hash() == new.hash() {
        return Ok(Change::Unchanged);
    }
    let evidence = || Box::new(Evidence::of_pair(old.unverified(), new.unverified()));
    if offered.sequence < known.sequence {
        return Err(SuccessionError::RolledBack { known: known.sequence, offered: offered.sequence });
    }
    if offered.sequence == known.sequence {
        return Err(SuccessionError::Forked(evidence()));
    }
    let stays = known.account == offered.account;
    // Not below, not equal: the difference is at least one.
    if offered.sequence - known.sequence > 1 {
        return Ok(if stays { Change::Renewed } else { Change::Rebound { grounds: None } });
    }
    if offered.previous != Some(old.hash()) {
        return Err(SuccessionError::Forked(evidence()));
    }
    if !Before::of(old).allows(new.grounds(), offered.account, new.countersigned_at_ms()) {
        return Err(SuccessionError::NotNext(evidence()));
    }
    Ok(if stays { Change::Renewed } else { Change::Rebound { grounds: Some(new.grounds().kind()) } })
}
