//! What one step changes: the session's new record and a few rows, to be written in one transaction.
//!
//! A step (encrypt or decrypt) leaves the session as it was and returns its output with a [`Delta`]. The caller writes
//! the delta and whatever belongs to the output, commits, and only then calls [`crate::Session::apply`] and lets the
//! output go. If anything fails before that, nothing has happened; a ciphertext is then given up with
//! [`crate::Session::abandon`], or with the session, which is restored from its record.

use alloc::vec::Vec;
use core::fmt;

use crate::record::Record;
use crate::skipped::{Evict, SkippedId, SkippedRow};
use crate::state::State;

/// A step's output together with what it changes.
///
/// Store the delta, apply it, and only then let the output go. A session whose last ciphertext's delta was not applied refuses to encrypt
/// ([`crate::EncryptError::StepNotApplied`]): the next message would have the same keys. What no type prevents is a session that is
/// restored from its record after a ciphertext left whose delta was never stored.
#[must_use = "a step has no effect until its delta is stored and applied"]
pub struct Step<T> {
    /// The ciphertext or the plaintext.
    pub output: T,
    /// To be stored in the same transaction as the output.
    pub delta: Delta,
}

/// Leaves the output out: it may be a plaintext.
impl<T> fmt::Debug for Step<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Step").field("delta", &self.delta).finish_non_exhaustive()
    }
}

/// The change of one step. Stored in this order: `evict`, `remove`, `insert`, `record`.
pub struct Delta {
    pub(crate) record: Record,
    pub(crate) next: State,
    pub(crate) insert: Vec<SkippedRow>,
    pub(crate) remove: Vec<SkippedId>,
    pub(crate) evict: Evict,
    /// Its step made a ciphertext: the sending chain moves on.
    pub(crate) encrypts: bool,
}

impl Delta {
    /// Of a step that changes the record only.
    pub(crate) fn of(next: State) -> Self {
        Self {
            record: Record::of(&next),
            next,
            insert: Vec::new(),
            remove: Vec::new(),
            evict: Evict::default(),
            encrypts: false,
        }
    }

    /// Whether it is of the same end of the same session, at whatever step.
    pub(crate) fn is_of(&self, state: &State) -> bool {
        self.next.base_key == state.base_key && self.next.role == state.role
    }

    /// Replaces the session's record.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Rows to insert, at most [`crate::SKIPPED_MAX`] of each kind.
    pub fn insert(&self) -> &[SkippedRow] {
        &self.insert
    }

    /// Rows that were used up: at most one of each kind.
    pub fn remove(&self) -> &[SkippedId] {
        &self.remove
    }

    /// Rows that go without having been used.
    pub fn evict(&self) -> Evict {
        self.evict
    }

    /// The number of this step. A store that writes it beside the record can refuse a write that does not follow the
    /// last one.
    pub fn step(&self) -> u64 {
        self.next.step
    }
}

/// Says how much changes, never what.
impl fmt::Debug for Delta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delta")
            .field("step", &self.next.step)
            .field("insert", &self.insert.len())
            .field("remove", &self.remove.len())
            .field("evict", &self.evict)
            .finish_non_exhaustive()
    }
}

/// The delta was not made from the session's present state: applying it would bring used keys back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the delta is step {found} of its session, expected step {expected} of this one")]
pub struct StaleDelta {
    /// The step that must come next.
    pub expected: u64,
    /// The delta's step.
    pub found: u64,
}

impl StaleDelta {
    /// Stable name for SDKs and metrics.
    pub const fn code(&self) -> &'static str {
        "stale_delta"
    }
}
