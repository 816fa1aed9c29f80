//! All sessions with one device of a peer: the active one, which sends, and up to [`ARCHIVED_MAX`] older ones, which
//! still read (Sesame revision 2, section 3).
//!
//! More than one session with a device comes about when both sides begin at once, when a device is set up anew, or when
//! an old prekey message arrives late. The rules that make such pairs converge:
//!
//! - A session that is begun or accepted becomes the active one; the one before goes to the archive.
//! - A message is read by whichever session can, and the session that read it becomes the active one. After both sides
//!   have answered in the same session, both send in it.
//! - The archive keeps the latest 40; the one that leaves is forgotten with its rows.
//! - An initiation that has not been answered for longer than the caller allows sends nothing more: its prekeys are
//!   probably gone, and a new bundle is needed.
//!
//! For callers that have no better way to tell which session a message belongs to. An engine that marks its envelopes
//! looks the session up and needs no archive.
//!
//! Like a session, an archive is not changed by its operations: each returns an [`ArchiveChange`] to be stored in one
//! transaction with its output, and [`Archive::apply`] moves on. There is no clock here: `now` is in seconds since
//! whatever moment the caller counts from, the same one for the life of an archive.
//!
//! **What a forged message costs.** Only one session can know its ratchet key. Every other attempt would be a turn of the
//! ratchet and a walk; the walks of all attempts together are bounded by the limits of one session
//! ([`crate::FORWARD_JUMP_MAX`] and [`crate::PQ_FORWARD_JUMP_MAX`]), so an archive adds at most 40 agreements to what a
//! single session does before the message code is checked, and in a session that waits for the last chunk of a piece what
//! follows from it: one restored piece and one ML-KEM operation.

mod change;
mod error;
mod index;
mod memory;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use rand_core::CryptoRng;

pub use self::change::{ArchiveChange, ArchiveStep};
pub use self::error::{AddError, ArchiveDecryptError, ArchiveEncryptError, RestoreError, StaleChange};
pub use self::memory::MemoryArchive;
use crate::accept::Accepted;
use crate::message::{MessageForm, PreKeyMessage, RatchetMessage};
use crate::ratchet::pq::{PQ_FORWARD_JUMP_MAX, PqPart, PqRefusal};
use crate::receive::{DecryptError, FORWARD_JUMP_MAX};
use crate::session::{NotPending, Session};
use crate::skipped::{SkippedId, SkippedKeys};
use crate::state::Role;
use change::Move;

/// Archived sessions per device of a peer, as deployed clients keep them.
pub const ARCHIVED_MAX: usize = 40;

/// The age at which deployed clients give up an unanswered initiation: 30 days.
pub const UNANSWERED_AGE_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Names a session on both sides: the initiator's base key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub [u8; 32]);

impl SessionId {
    /// The name of `session`.
    pub fn of(session: &Session) -> Self {
        Self(session.base_key())
    }
}

/// The skipped keys of every session of one archive.
pub trait ArchiveRows {
    /// Those of `session`.
    fn of<'a>(&'a self, session: SessionId) -> Box<dyn SkippedKeys + 'a>;
}

/// A session with the time at which it was begun or accepted here.
pub(crate) struct Held {
    pub(crate) session: Session,
    pub(crate) began: u64,
}

/// All sessions with one device of a peer. See the module.
#[derive(Default)]
pub struct Archive {
    /// The active session first if there is one, then the archived ones, latest first.
    held: Vec<Held>,
    has_active: bool,
    /// Counts applied changes, so that a change made from older state is noticed.
    generation: u64,
}

impl Archive {
    /// No sessions.
    pub fn new() -> Self {
        Self::default()
    }

    /// Restores an archive from its stored index and the stored record of each session the index names.
    pub fn restore(index: &[u8], load: impl FnMut(SessionId) -> Option<Vec<u8>>) -> Result<Self, RestoreError> {
        let (held, has_active) = index::read(index, load)?;
        Ok(Self { held, has_active, generation: 0 })
    }

    /// The session that sends.
    pub fn active(&self) -> Option<&Session> {
        self.held.first().filter(|_| self.has_active).map(|held| &held.session)
    }

    /// The archived sessions, latest first.
    pub fn archived(&self) -> impl Iterator<Item = &Session> {
        self.held.iter().skip(usize::from(self.has_active)).map(|held| &held.session)
    }

    /// Whether there is a session of that name: a prekey message that names it is for [`Archive::decrypt`].
    pub fn contains(&self, session: SessionId) -> bool {
        self.position(session).is_some()
    }

    /// Takes in a session that we have begun at `now`. It becomes the active one.
    pub fn begin(&self, session: Session, now: u64) -> Result<ArchiveChange, AddError> {
        self.check(&session)?;
        Ok(self.change(Move::Add(Box::new(Held { session, began: now })), None))
    }

    /// Takes in a session that the peer has begun and whose first message was read at `now`. It becomes the active one.
    pub fn accept(&self, accepted: Accepted, now: u64) -> Result<ArchiveStep<Vec<u8>>, AddError> {
        let Accepted { session, plaintext, delta } = accepted;
        self.check(&session)?;
        let change = self.change(Move::Add(Box::new(Held { session, began: now })), Some(delta));
        Ok(ArchiveStep { output: plaintext, change })
    }

    /// Encrypts in the active session at `now`, unless that is an initiation which has waited for an answer longer than
    /// `unanswered_max` (see [`UNANSWERED_AGE_MAX`]).
    pub fn encrypt(
        &self,
        rng: &mut dyn CryptoRng,
        now: u64,
        unanswered_max: Duration,
        plaintext: &[u8],
    ) -> Result<ArchiveStep<Vec<u8>>, ArchiveEncryptError> {
        let active = self.held.first().filter(|_| self.has_active).ok_or(ArchiveEncryptError::NoSession)?;
        // A clock that went back makes a session young, not old.
        let age = Duration::from_secs(now.saturating_sub(active.began));
        if active.session.role() == Role::Initiator && !active.session.has_received() && age > unanswered_max {
            return Err(ArchiveEncryptError::Unanswered { age, max: unanswered_max });
        }
        let step = active.session.encrypt(rng, plaintext)?;
        Ok(ArchiveStep { output: step.output, change: self.change(Move::Promote(0), Some(step.delta)) })
    }

    /// Gives a ciphertext up whose change was not stored, as [`Session::abandon`] does.
    pub fn abandon(&mut self, step: ArchiveStep<Vec<u8>>) -> Result<(), NotPending> {
        let at = self.position(step.change.session()).ok_or(NotPending)?;
        let delta = step.change.delta().ok_or(NotPending)?;
        self.held.get_mut(at).ok_or(NotPending)?.session.abandon_delta(delta)
    }

    /// Decrypts with whichever session can, which thereby becomes the active one.
    pub fn decrypt(&self, rows: &dyn ArchiveRows, message: &[u8]) -> Result<ArchiveStep<Vec<u8>>, ArchiveDecryptError> {
        let Some(first) = self.held.first() else {
            return Err(match PreKeyMessage::parse(message) {
                Ok(message) => ArchiveDecryptError::NewSession { message: Box::new(message) },
                Err(_) => ArchiveDecryptError::NoSession,
            });
        };
        let suite = first.session.state.suite;
        match MessageForm::sniff(suite, message).map_err(DecryptError::from)? {
            MessageForm::PreKey => {
                let parsed = PreKeyMessage::parse_for(suite, message).map_err(DecryptError::from)?;
                match self.position(SessionId(parsed.base_key())) {
                    Some(at) => Ok(self.try_at(at, rows, message)?),
                    None => Err(ArchiveDecryptError::NewSession { message: Box::new(parsed) }),
                }
            }
            MessageForm::Regular => {
                let parsed = RatchetMessage::parse(suite, message).map_err(DecryptError::from)?;
                match self.held.iter().position(|held| knows_chain(&held.session, &parsed)) {
                    Some(at) => Ok(self.try_at(at, rows, message)?),
                    None => Ok(self.try_all(rows, &parsed, message)?),
                }
            }
        }
    }

    /// Puts the active session into the archive, so that the next message needs a new one. Nothing if there is none.
    #[must_use = "a change has no effect until it is stored and applied"]
    pub fn close(&self) -> Option<ArchiveChange> {
        self.has_active.then(|| self.change(Move::Close, None))
    }

    /// Moves to the archive after `change`, which must be stored by now.
    pub fn apply(&mut self, change: ArchiveChange) -> Result<(), StaleChange> {
        if change.generation != self.generation {
            return Err(StaleChange);
        }
        let ArchiveChange { moved, delta, .. } = change;
        match moved {
            Move::Add(held) => {
                self.held.insert(0, *held);
                self.has_active = true;
            }
            Move::Promote(at) => {
                let held = self.held.get_mut(at).ok_or(StaleChange)?;
                if let Some(delta) = &delta {
                    held.session.apply(delta).map_err(|_| StaleChange)?;
                }
                self.held[..=at].rotate_right(1);
                self.has_active = true;
            }
            Move::Close => self.has_active = false,
        }
        self.held.truncate(ARCHIVED_MAX + usize::from(self.has_active));
        self.generation = self.generation.saturating_add(1);
        Ok(())
    }

    fn position(&self, session: SessionId) -> Option<usize> {
        self.held.iter().position(|held| SessionId::of(&held.session) == session)
    }

    fn check(&self, session: &Session) -> Result<(), AddError> {
        if self.contains(SessionId::of(session)) {
            return Err(AddError::Known);
        }
        let same = |held: &Held| {
            held.session.profile() == session.profile()
                && held.session.our_address() == session.our_address()
                && held.session.their_address() == session.their_address()
        };
        if self.held.iter().all(same) { Ok(()) } else { Err(AddError::OtherPeer) }
    }

    fn try_at(&self, at: usize, rows: &dyn ArchiveRows, message: &[u8]) -> Result<ArchiveStep<Vec<u8>>, DecryptError> {
        let session = &self.held[at].session;
        let rows = rows.of(SessionId::of(session));
        let step = session.decrypt(rows.as_ref(), message)?;
        Ok(ArchiveStep { output: step.output, change: self.change(Move::Promote(at), Some(step.delta)) })
    }

    /// No session knows the ratchet key: it is new to one of them, or its keys are stored rows.
    fn try_all(
        &self,
        rows: &dyn ArchiveRows,
        parsed: &RatchetMessage<'_>,
        message: &[u8],
    ) -> Result<ArchiveStep<Vec<u8>>, DecryptError> {
        let mut refusal = None;
        let mut walks_left = FORWARD_JUMP_MAX + PQ_FORWARD_JUMP_MAX;
        let suite = self.held[0].session.state.suite;
        let part = PqPart::parse(suite.pq, parsed.pq_ratchet.ok_or(PqRefusal::Missing)?).map_err(DecryptError::from)?;
        for at in 0..self.held.len() {
            let session = &self.held[at].session;
            let id = SkippedId::Message { chain: *parsed.ratchet_key.as_bytes(), counter: parsed.counter };
            let stored = rows.of(SessionId::of(session)).get(&id)?.is_some();
            // What a session refuses before it walks costs the others nothing.
            let walk = if stored || parsed.counter > FORWARD_JUMP_MAX { 0 } else { parsed.counter };
            let walk = walk + session.state.pq.jump(&part);
            // The first session may walk as far as it would without an archive.
            if at > 0 && walk > walks_left {
                continue;
            }
            walks_left = walks_left.saturating_sub(walk);
            match self.try_at(at, rows, message) {
                Ok(step) => return Ok(step),
                // Of a genuine message nobody else can make more; a store that did not answer is to be asked again.
                Err(error @ (DecryptError::Padding | DecryptError::Lookup(_))) => return Err(error),
                // The active session's answer is the one that says most.
                Err(error) => {
                    refusal.get_or_insert(error);
                }
            }
        }
        Err(refusal.unwrap_or(DecryptError::BadMac))
    }
}

fn knows_chain(session: &Session, message: &RatchetMessage<'_>) -> bool {
    session.state.receiving.iter().any(|receiving| receiving.theirs == message.ratchet_key)
}

/// Says how many, never which or what.
impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive")
            .field("has_active", &self.has_active)
            .field("archived", &self.archived().count())
            .finish_non_exhaustive()
    }
}
