//! What one operation of an archive changes: one session's record and rows, and sometimes the order of the sessions.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use super::{ARCHIVED_MAX, Archive, Held, SessionId, index};
use crate::delta::Delta;
use crate::record::Record;

/// An operation's output together with what it changes.
#[must_use = "a step has no effect until its change is stored and applied"]
pub struct ArchiveStep<T> {
    /// The ciphertext or the plaintext.
    pub output: T,
    /// To be stored in the same transaction as the output.
    pub change: ArchiveChange,
}

/// Leaves the output out: it may be a plaintext.
impl<T> fmt::Debug for ArchiveStep<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArchiveStep").field("change", &self.change).finish_non_exhaustive()
    }
}

/// How the sessions move.
pub(super) enum Move {
    /// A new session becomes the active one.
    Add(Box<Held>),
    /// The session at this place becomes the active one, or stays it.
    Promote(usize),
    /// The active session goes to the archive.
    Close,
}

/// What is to be stored. The index goes to the archive's row; record and delta to the rows of [`ArchiveChange::session`];
/// everything stored under [`ArchiveChange::forgotten`] is deleted.
#[must_use = "a change has no effect until it is stored and applied"]
pub struct ArchiveChange {
    pub(super) generation: u64,
    pub(super) moved: Move,
    pub(super) delta: Option<Delta>,
    session: SessionId,
    /// Only where the delta does not bring one: a session that has sent nothing yet.
    record: Option<Record>,
    index: Option<Vec<u8>>,
    forgotten: Option<SessionId>,
}

impl ArchiveChange {
    /// Whose record and rows change.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// The session's new record; absent if it stays as it is.
    pub fn record(&self) -> Option<&Record> {
        self.record.as_ref().or(self.delta.as_ref().map(Delta::record))
    }

    /// The change of the session's rows; absent if none change.
    pub fn delta(&self) -> Option<&Delta> {
        self.delta.as_ref()
    }

    /// The archive's new index; absent if it stays as it is.
    pub fn index(&self) -> Option<&[u8]> {
        self.index.as_deref()
    }

    /// The session that leaves the archive.
    pub fn forgotten(&self) -> Option<SessionId> {
        self.forgotten
    }
}

impl Archive {
    pub(super) fn change(&self, moved: Move, delta: Option<Delta>) -> ArchiveChange {
        let entry = |held: &Held| (SessionId::of(&held.session), held.began);
        let mut entries: Vec<_> = self.held.iter().map(entry).collect();
        let mut record = None;
        let (has_active, reordered) = match &moved {
            Move::Add(held) => {
                entries.insert(0, entry(held));
                record = delta.is_none().then(|| held.session.record());
                (true, true)
            }
            Move::Promote(at) => {
                entries[..=*at].rotate_right(1);
                (true, *at > 0 || !self.has_active)
            }
            Move::Close => (false, true),
        };
        let kept = ARCHIVED_MAX + usize::from(has_active);
        // At most one can be too many, because every change adds or frees one place.
        let forgotten = entries.get(kept).map(|(session, _)| *session);
        entries.truncate(kept);
        ArchiveChange {
            generation: self.generation,
            session: entries[0].0,
            index: reordered.then(|| index::write(&entries, has_active)),
            moved,
            delta,
            record,
            forgotten,
        }
    }
}

/// Counts only: deltas and records hold secrets.
impl fmt::Debug for ArchiveChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArchiveChange")
            .field("reordered", &self.index.is_some())
            .field("forgets", &self.forgotten.is_some())
            .field("delta", &self.delta)
            .finish_non_exhaustive()
    }
}
