//! The sparse post-quantum ratchet: a 32-byte key for every message that an attacker with a quantum computer does not have, even if it
//! once had the session's state.
//!
//! Two layers. The *braid* (`braid`) slowly agrees on one ML-KEM secret per epoch, in chunks that ride on ordinary messages. The *chains*
//! (`chains`) turn each of those secrets into one key per message and direction. The key is the salt of the message's keys
//! ([`super::MessageKeys`]), so a message is as strong as the stronger of the two ratchets. Double Ratchet revision 4, sections 5 and 6;
//! `docs/protocol/spqr.md`.
//!
//! [`PqRatchet`] is one side's state with three verbs: `send`, `receive`, and writing and reading its slot of a record. Both steps work
//! on a copy and hand back the next state, which counts only when the message has proven genuine. One-way traffic never heals: an epoch
//! needs both sides to write. Then the engine begins a new session.

mod authenticator;
mod braid;
mod chains;
mod codec;
mod ct_side;
mod ek_side;
mod erasure;
mod error;
mod gf;
mod labels;
#[cfg(test)]
mod prints;
mod record;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

use alloc::vec::Vec;

use rand_core::CryptoRng;
use rcseal_crypto::Secret;

use braid::Braid;
use chains::Chains;
pub use chains::PQ_FORWARD_JUMP_MAX;
pub(crate) use chains::{KeySource, Skipped};
#[cfg(test)]
pub(crate) use codec::Content;
pub(crate) use codec::{PqField, PqPart};
pub use error::PqRefusal;
#[cfg(feature = "signal-v4")]
pub(crate) use labels::SIGNAL_V4;
pub(crate) use labels::{NATIVE, PqLabels};

use crate::state::Role;

/// State of the post-quantum ratchet. The chains' key epoch is the last one the braid has put out.
#[derive(Debug)]
pub(crate) struct PqRatchet {
    braid: Braid,
    chains: Chains,
}

/// The chain of this key epoch has no further message. Begin a new session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PqExhausted;

/// What a message we send takes from the ratchet.
pub(crate) struct PqSent {
    /// Salt of the message's keys.
    pub(crate) key: Secret<32>,
    /// What the message carries in field 5.
    pub(crate) field: PqField,
    /// The state after the message.
    pub(crate) next: PqRatchet,
    /// Set when the message began a key epoch: skipped keys of key epochs below it go.
    pub(crate) epochs_below: Option<u64>,
}

/// What a message we received takes from the ratchet, if it is genuine.
pub(crate) struct PqReceived {
    /// Where the salt of the message's keys comes from.
    pub(crate) source: KeySource,
    /// The state after the message.
    pub(crate) next: PqRatchet,
    /// Set when the message began a key epoch: skipped keys of key epochs below it go.
    pub(crate) epochs_below: Option<u64>,
}

impl PqRatchet {
    /// Length of [`PqRatchet::encode`].
    pub(crate) const LEN: usize = record::LEN;

    /// The ratchet of a new session, seeded by its handshake.
    pub(crate) fn new(labels: &PqLabels, role: Role, auth_key: &Secret<32>) -> Self {
        Self { braid: Braid::new(labels, role, auth_key), chains: Chains::new(labels, role, auth_key) }
    }

    /// A second copy. What is large or rarely changes is shared.
    pub(crate) fn duplicate(&self) -> Self {
        Self { braid: self.braid.clone(), chains: self.chains.duplicate() }
    }

    /// For a message we send. A state that begins its part of an epoch draws from `rng`: 64 bytes for a key pair, 32 for a ciphertext.
    pub(crate) fn send(&self, labels: &PqLabels, rng: &mut dyn CryptoRng) -> Result<PqSent, PqExhausted> {
        let epoch = self.braid.epoch();
        let sent = self.braid.clone().send(labels, rng);
        let mut chains = self.chains.duplicate();
        let mut epochs_below = None;
        if let Some(key) = &sent.key {
            // A key out of turn would be a fault of this program; nothing is sent with it.
            chains.add(labels, key).map_err(|_| PqExhausted)?;
            epochs_below = Some(chains.oldest());
        }
        // The key of the epoch before: the peer can have that one whatever of this epoch has reached it.
        let (index, key) = chains.send(labels, epoch.saturating_sub(1)).ok_or(PqExhausted)?;
        let field = PqPart { epoch, index, content: sent.content }.encode();
        Ok(PqSent { key, field, next: Self { braid: sent.next, chains }, epochs_below })
    }

    /// For a message we received.
    pub(crate) fn receive(&self, labels: &PqLabels, part: &PqPart) -> Result<PqReceived, PqRefusal> {
        let received = self.braid.clone().receive(labels, part.epoch, part.content)?;
        let mut chains = self.chains.duplicate();
        let mut epochs_below = None;
        if let Some(key) = &received.key {
            chains.add(labels, key)?;
            epochs_below = Some(chains.oldest());
        }
        let source = chains.receive(labels, part.epoch.saturating_sub(1), part.index)?;
        Ok(PqReceived { source, next: Self { braid: received.next, chains }, epochs_below })
    }

    /// How far a message with this part would make a chain walk.
    pub(crate) fn jump(&self, part: &PqPart) -> u32 {
        self.chains.jump(part.epoch.saturating_sub(1), part.index)
    }

    /// The last key epoch whose key the peer has for certain, which is the one we send in.
    pub(crate) fn agreed_epoch(&self) -> u64 {
        self.braid.epoch().saturating_sub(1)
    }

    /// Whether the state can only be reached by receiving something.
    pub(crate) fn has_received(&self) -> bool {
        !matches!(self.braid, Braid::KeysUnsampled(_) | Braid::KeysSampled(_)) || self.braid.epoch() != 1
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        record::write(self, out);
    }

    /// The ratchet of a session's `role` from its slot.
    pub(crate) fn decode(role: Role, bytes: &[u8; Self::LEN]) -> Option<Self> {
        record::read(role, bytes)
    }
}

#[cfg(any(feature = "audit", test))]
impl PqRatchet {
    /// Names every secret of the state.
    pub(crate) fn audit_secrets(&self, add: &mut dyn FnMut(&'static str, &[u8])) {
        for secret in self.braid.at().auth.secrets() {
            add("post-quantum authenticator", secret.expose());
        }
        add("post-quantum chain root", self.chains.root().expose());
        for pair in core::iter::once(self.chains.current()).chain(self.chains.previous()) {
            add("post-quantum sending chain key", pair.send.key.expose());
            add("post-quantum receiving chain key", pair.receive.key.expose());
        }
        match &self.braid {
            Braid::KeysSampled(state) => add("post-quantum key seed", state.keys.seed().expose()),
            Braid::HeaderSent(state) => add("post-quantum key seed", state.keys.seed().expose()),
            Braid::Ct1Received(state) => add("post-quantum key seed", state.keys.seed().expose()),
            Braid::EkSentCt1Received(state) => add("post-quantum key seed", state.keys.seed().expose()),
            Braid::Ct1Sampled(state) => add("post-quantum encapsulation message", state.encaps.message().expose()),
            Braid::Ct1Acknowledged(state) => add("post-quantum encapsulation message", state.encaps.message().expose()),
            Braid::KeysUnsampled(_)
            | Braid::NoHeaderReceived(_)
            | Braid::HeaderReceived(_)
            | Braid::EkReceivedCt1Sampled(_)
            | Braid::Ct2Sampled(_) => {}
        }
    }
}
