//! Receiving: from bytes to a plaintext and the change that goes with it.
//!
//! The order is the security argument. Parse; find the message's seed without changing anything (a stored row, a walk
//! along a known chain, or a turn of the ratchet and a walk); take the message's chunk into a copy of the post-quantum
//! ratchet and find its key the same way; check the MAC; remove the padding; and only then build the next state and the
//! rows of what was jumped over. Before the MAC a forged header costs at most one Diffie-Hellman, one restored chunk
//! payload with one decapsulation or encapsulation, [`FORWARD_JUMP_MAX`] steps of each of two chains, and no memory.

#[cfg(test)]
mod tests;

use alloc::vec::Vec;

use rcseal_crypto::{Secret, x25519};

use crate::delta::{Delta, Step};
use crate::message::{ParseError, RatchetMessage};
use crate::profile::Suite;
use crate::ratchet::pq::{KeySource, PqPart, PqRefusal, Skipped};
use crate::ratchet::{Chain, MessageKeys, OpenError, root_step};
use crate::skipped::{Evict, LookupFailed, SKIPPED_MAX, SkippedId, SkippedKeys, SkippedPlaces, SkippedRow};
use crate::state::{RECEIVING_CHAINS_MAX, ReceivingChain, Sending, State, address_field};

/// How far a message may run ahead of its chain: deployed clients' limit. Walking it costs about 5 ms before the MAC
/// can be checked; [`crate::PQ_FORWARD_JUMP_MAX`] is the same limit for the post-quantum index.
pub const FORWARD_JUMP_MAX: u32 = 25_000;

/// Why a message was not decrypted. The session is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecryptError {
    /// The bytes are not a message.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// A prekey message of another session, or one whose header was changed.
    #[error("the prekey message does not belong to this session")]
    WrongSession,
    /// We began the session, so the peer has no reason to send prekey messages in it.
    #[error("a prekey message arrived at the session's initiator")]
    UnexpectedPreKeyMessage,
    /// The message names other addresses than the session's.
    #[error("the message names other addresses than the session's")]
    AddressMismatch,
    /// The counter runs too far ahead.
    #[error("the message is {jump} ahead of its chain, more than {max}")]
    TooFarAhead {
        /// By how much.
        jump: u32,
        /// The limit.
        max: u32,
    },
    /// The key of this message is used up, or was dropped as one of the oldest. The header is not authenticated at this
    /// point, so this is no proof that the message was seen before.
    #[error("message {counter} of its chain was already received, or its key is gone")]
    DuplicateMessage {
        /// The message's counter.
        counter: u32,
    },
    /// A ratchet key that is neither known nor due: we have not answered the peer's last one. Forged, or a repetition
    /// from a chain that has long left the session.
    #[error("the message's ratchet key is neither known nor due")]
    UnexpectedRatchetKey,
    /// Field 5 does not fit the state of the post-quantum ratchet.
    #[error("the post-quantum part of the message does not fit the session")]
    PqRatchet(
        /// In what.
        #[from]
        PqRefusal,
    ),
    /// The message code is wrong: forged, damaged, meant for others, or made from other keys. Deliberately one error
    /// for all of these.
    #[error("the message does not authenticate")]
    BadMac,
    /// The message is genuine, and its sender padded it wrongly.
    #[error("the authenticated message is badly padded")]
    Padding,
    /// A Diffie-Hellman result was all zeros.
    #[error("key agreement with the message's ratchet key failed")]
    KeyAgreement {
        /// What is wrong with the key.
        #[source]
        source: x25519::KeyError,
    },
    /// The caller's store could not be asked. Try again; the message says nothing about itself yet.
    #[error(transparent)]
    Lookup(#[from] LookupFailed),
}

impl DecryptError {
    /// Stable name for SDKs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Parse(error) => error.code(),
            Self::WrongSession => "wrong_session",
            Self::UnexpectedPreKeyMessage => "unexpected_prekey_message",
            Self::AddressMismatch => "address_mismatch",
            Self::TooFarAhead { .. } => "too_far_ahead",
            Self::DuplicateMessage { .. } => "duplicate_message",
            Self::UnexpectedRatchetKey => "unexpected_ratchet_key",
            Self::PqRatchet(refusal) => refusal.code(),
            Self::BadMac => "bad_mac",
            Self::Padding => "padding",
            Self::KeyAgreement { .. } => "key_agreement",
            Self::Lookup(_) => "skipped_lookup",
        }
    }
}

/// Where a message's seed comes from.
enum Source {
    /// It was jumped over earlier.
    Stored(SkippedRow),
    /// The receiving chain at this index.
    Known { index: usize, walk: Walk },
    /// A ratchet key not seen before: the root key after the turn, and the new chain.
    New { root: Secret<32>, walk: Walk },
}

/// A chain walked past a message: where it stood when the jump's last [`SKIPPED_MAX`] messages began, the message's seed,
/// and where it stands after the message.
struct Walk {
    kept_from: Chain,
    skipped: u32,
    seed: Secret<32>,
    after: Chain,
}

impl Walk {
    fn along(mut chain: Chain, counter: u32) -> Result<Self, DecryptError> {
        let jump = counter.checked_sub(chain.counter()).ok_or(DecryptError::DuplicateMessage { counter })?;
        if jump > FORWARD_JUMP_MAX {
            return Err(DecryptError::TooFarAhead { jump, max: FORWARD_JUMP_MAX });
        }
        // Rows further back would be evicted by this very jump, so they are never made.
        chain.advance_to(counter.saturating_sub(SKIPPED_MAX as u32));
        let kept_from = chain.duplicate();
        chain.advance_to(counter);
        let skipped = counter - kept_from.counter();
        let seed = chain.next();
        Ok(Self { kept_from, skipped, seed, after: chain })
    }
}

pub(crate) fn receive(state: &State, skipped: &dyn SkippedKeys, bytes: &[u8]) -> Result<Step<Vec<u8>>, DecryptError> {
    let suite = state.suite;
    let message = RatchetMessage::parse(suite, bytes)?;
    let expected = address_field(suite, &state.their_address, &state.our_address);
    if let (Some(expected), Some(found)) = (expected, message.addresses)
        && found != expected
    {
        return Err(DecryptError::AddressMismatch);
    }
    let part = PqPart::parse(suite.pq, message.pq_ratchet.ok_or(PqRefusal::Missing)?)?;
    let source = locate(state, skipped, &message)?;
    let pq = state.pq.receive(suite.pq, &part).map_err(|refusal| match refusal.is_authentication() {
        true => DecryptError::BadMac,
        false => DecryptError::PqRatchet(refusal),
    })?;
    let salt = Salt::find(state, skipped, pq.source)?;
    let keys = match &source {
        Source::Stored(row) => MessageKeys::derive(suite, salt.key(), row.key()),
        Source::Known { walk, .. } | Source::New { walk, .. } => MessageKeys::derive(suite, salt.key(), &walk.seed),
    };
    let plaintext = keys
        .open(suite, state.receiving_data().as_bytes(), message.authenticated, message.mac, message.ciphertext)
        .map_err(|error| match error {
            OpenError::Mac => DecryptError::BadMac,
            OpenError::Padding => DecryptError::Padding,
        })?;

    // The message is authentic: from here on nothing fails.
    let mut next = state.with_pq(pq.next);
    next.step = next.step.saturating_add(1);
    next.pending = None;
    let mut rows = Rows::default();
    rows.evict.epochs_below = pq.epochs_below;
    match salt {
        Salt::Stored(row) => rows.remove.push(row.id()),
        Salt::Walked { skipped, .. } => rows.jump_pq(suite, &mut next.skipped_pq, skipped),
    }
    match source {
        Source::Stored(row) => rows.remove.push(row.id()),
        Source::Known { index, walk } => {
            next.receiving[index].chain = rows.jump(&mut next.skipped, &message.ratchet_key, walk);
        }
        Source::New { root, walk } => {
            if let Some(last) = next.receiving.last_mut() {
                last.end = Some(message.previous_counter);
            }
            if next.receiving.len() == RECEIVING_CHAINS_MAX {
                rows.close(&mut next.skipped, next.receiving.remove(0));
            }
            let chain = rows.jump(&mut next.skipped, &message.ratchet_key, walk);
            next.receiving.push(ReceivingChain { theirs: message.ratchet_key, chain, end: None });
            next.root = root;
            next.sending = next.sending.turned_by(message.ratchet_key);
        }
    }
    let mut delta = Delta::of(next);
    // Rows that this very step would evict are left out, so that a store may insert and evict in either order.
    rows.insert.retain(|row| rows.evict.keeps(row));
    (delta.insert, delta.remove, delta.evict) = (rows.insert, rows.remove, rows.evict);
    Ok(Step { output: plaintext, delta })
}

/// Where a message's post-quantum key comes from.
enum Salt {
    /// It was jumped over earlier.
    Stored(SkippedRow),
    Walked {
        key: Secret<32>,
        skipped: Skipped,
    },
}

impl Salt {
    fn find(state: &State, rows: &dyn SkippedKeys, source: KeySource) -> Result<Self, DecryptError> {
        match source {
            KeySource::Walk { key, skipped } => Ok(Self::Walked { key, skipped }),
            KeySource::Stored { epoch, index } => match rows.get(&SkippedId::PostQuantum { epoch, index })? {
                Some(row) if row.ordinal() >= state.skipped_pq.oldest => Ok(Self::Stored(row)),
                Some(_) | None => Err(PqRefusal::KeyGone { epoch, index }.into()),
            },
        }
    }

    fn key(&self) -> &Secret<32> {
        match self {
            Self::Stored(row) => row.key(),
            Self::Walked { key, .. } => key,
        }
    }
}

/// What a step does to the stored skipped keys. Only built for authentic messages.
#[derive(Default)]
struct Rows {
    insert: Vec<SkippedRow>,
    remove: Vec<SkippedId>,
    evict: Evict,
}

impl Rows {
    /// Keeps the seeds a walk jumped over. The chain after the message.
    fn jump(&mut self, places: &mut SkippedPlaces, theirs: &x25519::PublicKey, walk: Walk) -> Chain {
        let Walk { mut kept_from, skipped, after, .. } = walk;
        let (first, evict_below) = places.take(u64::from(skipped));
        self.evict.messages_below = evict_below.or(self.evict.messages_below);
        self.insert.reserve(skipped as usize);
        for ordinal in (first..).take(skipped as usize) {
            let id = SkippedId::Message { chain: *theirs.as_bytes(), counter: kept_from.counter() };
            self.insert.push(SkippedRow::from_parts(id, ordinal, kept_from.next()));
        }
        after
    }

    /// Keeps the post-quantum keys a walk jumped over.
    fn jump_pq(&mut self, suite: &Suite, places: &mut SkippedPlaces, skipped: Skipped) {
        let (first, evict_below) = places.take(u64::from(skipped.count()));
        self.evict.post_quantum_below = evict_below;
        for (ordinal, (epoch, index, key)) in (first..).zip(skipped.keys(suite.pq)) {
            self.insert.push(SkippedRow::from_parts(SkippedId::PostQuantum { epoch, index }, ordinal, key));
        }
    }

    /// Keeps the seeds of a leaving chain's messages that have not arrived. Its end was said by an authentic message;
    /// an end that lies beyond the limit for jumps is not believed.
    fn close(&mut self, places: &mut SkippedPlaces, leaving: ReceivingChain) {
        if let Some(walk) = leaving.end.and_then(|end| Walk::along(leaving.chain, end).ok()) {
            self.jump(places, &leaving.theirs, walk);
        }
    }
}

fn locate(state: &State, skipped: &dyn SkippedKeys, message: &RatchetMessage<'_>) -> Result<Source, DecryptError> {
    let known = state.receiving.iter().position(|receiving| receiving.theirs == message.ratchet_key);
    if let Some(index) = known {
        let chain = &state.receiving[index].chain;
        if message.counter >= chain.counter() {
            return Ok(Source::Known { index, walk: Walk::along(chain.duplicate(), message.counter)? });
        }
    }
    // A chain may be gone and rows of it still stored, so an unknown ratchet key is looked up too.
    let id = SkippedId::Message { chain: *message.ratchet_key.as_bytes(), counter: message.counter };
    match (skipped.get(&id)?, known) {
        (Some(row), _) if row.ordinal() >= state.skipped.oldest => Ok(Source::Stored(row)),
        (_, Some(_)) => Err(DecryptError::DuplicateMessage { counter: message.counter }),
        (_, None) => match &state.sending {
            Sending::Running { pair, .. } => {
                let (root, chain) = root_step(state.suite, &state.root, &pair.secret, &message.ratchet_key)
                    .map_err(|source| DecryptError::KeyAgreement { source })?;
                Ok(Source::New { root, walk: Walk::along(chain, message.counter)? })
            }
            Sending::Turn { .. } => Err(DecryptError::UnexpectedRatchetKey),
        },
    }
}

impl Sending {
    /// Our chain ends; our ratchet secret is dropped here, before the next one exists.
    fn turned_by(&self, theirs: x25519::PublicKey) -> Self {
        match self {
            Self::Running { chain, .. } => Self::Turn { theirs, previous_counter: chain.counter() },
            Self::Turn { previous_counter, .. } => Self::Turn { theirs, previous_counter: *previous_counter },
        }
    }
}
