//! All of a session's state, as types. Private: callers see [`crate::Session`], [`crate::Record`] and [`crate::Delta`].

use alloc::sync::Arc;
use alloc::vec::Vec;

use rcseal_crypto::{Secret, x25519};

use crate::address::Address;
use crate::identity::IdentityKey;
use crate::message::PreKeyHeader;
use crate::profile::{Binding, Suite};
use crate::ratchet::Chain;
use crate::ratchet::pq::PqRatchet;
use crate::skipped::SkippedPlaces;

/// Receiving chains a session keeps, as deployed clients do. When one leaves, the seeds of its messages that are still
/// on their way become skipped rows, because the chain after it said where it ended.
pub(crate) const RECEIVING_CHAINS_MAX: usize = 5;

/// Who began the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Took the peer's prekey bundle.
    Initiator,
    /// Received the first message.
    Responder,
}

/// How the next message goes out.
#[derive(Debug)]
pub(crate) enum Sending {
    /// On a running chain, under this ratchet key pair. The pair is shared between copies of the state: AWS-LC prepares
    /// it once.
    Running { pair: Arc<x25519::KeyPair>, chain: Chain, previous_counter: u32 },
    /// The peer turned its ratchet. The next message draws a new pair against `theirs`; our old secret is already gone.
    Turn { theirs: x25519::PublicKey, previous_counter: u32 },
}

#[derive(Debug)]
pub(crate) struct ReceivingChain {
    pub(crate) theirs: x25519::PublicKey,
    pub(crate) chain: Chain,
    /// How many messages the chain has in all, once the next chain's first message has said so.
    pub(crate) end: Option<u32>,
}

pub(crate) struct State {
    pub(crate) suite: &'static Suite,
    pub(crate) role: Role,
    /// Counts committed steps, so that a delta made from older state is noticed.
    pub(crate) step: u64,
    pub(crate) our_address: Address,
    pub(crate) their_address: Address,
    pub(crate) our_identity: IdentityKey,
    pub(crate) their_identity: IdentityKey,
    /// The initiator's base key: the session's name on both sides.
    pub(crate) base_key: x25519::PublicKey,
    /// Every prekey message of the session carries the header with this hash.
    pub(crate) header_hash: [u8; 32],
    pub(crate) root: Secret<32>,
    pub(crate) sending: Sending,
    /// Oldest first, at most [`RECEIVING_CHAINS_MAX`].
    pub(crate) receiving: Vec<ReceivingChain>,
    pub(crate) skipped: SkippedPlaces,
    pub(crate) skipped_pq: SkippedPlaces,
    pub(crate) exporter: Secret<32>,
    pub(crate) pq: PqRatchet,
    /// The header an initiator repeats until it has received something.
    pub(crate) pending: Option<Arc<PreKeyHeader>>,
}

impl State {
    /// A second copy, to be changed and committed, or dropped.
    pub(crate) fn duplicate(&self) -> Self {
        self.with_pq(self.pq.duplicate())
    }

    /// A second copy with another state of the post-quantum ratchet.
    pub(crate) fn with_pq(&self, pq: PqRatchet) -> Self {
        Self {
            suite: self.suite,
            role: self.role,
            step: self.step,
            our_address: self.our_address,
            their_address: self.their_address,
            our_identity: self.our_identity,
            their_identity: self.their_identity,
            base_key: self.base_key,
            header_hash: self.header_hash,
            root: self.root.duplicate(),
            sending: self.sending.duplicate(),
            receiving: self.receiving.iter().map(ReceivingChain::duplicate).collect(),
            skipped: self.skipped,
            skipped_pq: self.skipped_pq,
            exporter: self.exporter.duplicate(),
            pq,
            pending: self.pending.clone(),
        }
    }

    /// Associated data of a message we send.
    pub(crate) fn sending_data(&self) -> AssociatedData {
        AssociatedData::new(
            self.suite,
            (&self.our_address, &self.our_identity),
            (&self.their_address, &self.their_identity),
        )
    }

    /// Associated data of a message we receive.
    pub(crate) fn receiving_data(&self) -> AssociatedData {
        AssociatedData::new(
            self.suite,
            (&self.their_address, &self.their_identity),
            (&self.our_address, &self.our_identity),
        )
    }
}

impl Sending {
    pub(crate) fn duplicate(&self) -> Self {
        match self {
            Self::Running { pair, chain, previous_counter } => {
                Self::Running { pair: Arc::clone(pair), chain: chain.duplicate(), previous_counter: *previous_counter }
            }
            Self::Turn { theirs, previous_counter } => {
                Self::Turn { theirs: *theirs, previous_counter: *previous_counter }
            }
        }
    }
}

impl ReceivingChain {
    fn duplicate(&self) -> Self {
        Self { theirs: self.theirs, chain: self.chain.duplicate(), end: self.end }
    }
}

/// What a message's MAC covers besides the message. Every part has a fixed length, so the whole is unambiguous.
pub(crate) struct AssociatedData {
    bytes: [u8; Self::LEN_MAX],
    len: usize,
}

impl AssociatedData {
    const LEN_MAX: usize = 1 + 2 * Address::LEN + 2 * 33;

    fn new(suite: &Suite, sender: (&Address, &IdentityKey), receiver: (&Address, &IdentityKey)) -> Self {
        let mut data = Self { bytes: [0; Self::LEN_MAX], len: 0 };
        match suite.binding {
            Binding::Transcript => {
                data.push(&[suite.profile.code()]);
                data.push(&sender.0.to_bytes());
                data.push(&receiver.0.to_bytes());
            }
            #[cfg(feature = "signal-v4")]
            Binding::IdentitiesAndAddressField => {}
        }
        data.push(&suite.encode_ec(sender.1.as_bytes()));
        data.push(&suite.encode_ec(receiver.1.as_bytes()));
        data
    }

    fn push(&mut self, part: &[u8]) {
        self.bytes[self.len..self.len + part.len()].copy_from_slice(part);
        self.len += part.len();
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Field 6 of a `signal-v4` message: sender, receiver.
pub(crate) fn address_field(suite: &Suite, sender: &Address, receiver: &Address) -> Option<[u8; 36]> {
    match suite.binding {
        Binding::Transcript => {
            let _ = (sender, receiver);
            None
        }
        #[cfg(feature = "signal-v4")]
        Binding::IdentitiesAndAddressField => {
            let mut field = [0; 36];
            field[..18].copy_from_slice(&sender.to_service_bytes());
            field[18..].copy_from_slice(&receiver.to_service_bytes());
            Some(field)
        }
    }
}
