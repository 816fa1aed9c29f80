//! The ML-KEM Braid: eleven states in which two sides agree on one ML-KEM secret per epoch, chunk by chunk.
//!
//! Each epoch has a side that made the key pair (`ek_side`) and a side that answers with a ciphertext (`ct_side`); they change places
//! with every epoch, and the session's initiator begins. A state is a type, a transition takes it away and gives the next, so what a
//! state does not hold cannot be used in it. The braid puts out every epoch's key exactly once: the ciphertext's side when it sends the
//! first chunk of ct1 (edge 7), the key's side when ct2 is whole (edge 5).
//!
//! Everything here works on copies. A message that fails any check is refused as a whole, and so is one whose MAC is wrong afterwards:
//! then the copy is dropped. `docs/protocol/spqr.md` has the table; ML-KEM Braid revision 1, with the differences of deployed peers.

use alloc::sync::Arc;

use rand_core::CryptoRng;
use rcseal_crypto::Secret;
use rcseal_crypto::hkdf::zero_salt;
use rcseal_crypto::mlkem768::split;

use super::authenticator::{Authenticator, MAC_LEN};
use super::chains::EpochKey;
use super::codec::Content;
use super::ct_side::{Ct1Acknowledged, Ct1Sampled, Ct2Sampled, EkReceivedCt1Sampled, HeaderReceived, NoHeaderReceived};
use super::ek_side::{Ct1Received, EkSentCt1Received, HeaderSent, KeysSampled, KeysUnsampled};
use super::erasure::{CHUNK_LEN, Decoder, Payload};
use super::error::PqRefusal;
use super::labels::PqLabels;
use crate::state::Role;

/// Chunks of header and MAC.
pub(crate) const HEADER_CHUNKS: usize = 3;
/// Chunks of the vector.
pub(crate) const VECTOR_CHUNKS: usize = 36;
/// Chunks of ct1.
pub(crate) const CT1_CHUNKS: usize = 30;
/// Chunks of ct2 and MAC.
pub(crate) const CT2_CHUNKS: usize = 5;

const _: () = assert!(HEADER_CHUNKS * CHUNK_LEN == split::HEADER_LEN + MAC_LEN);
const _: () = assert!(VECTOR_CHUNKS * CHUNK_LEN == split::VECTOR_LEN);
const _: () = assert!(CT1_CHUNKS * CHUNK_LEN == split::CT1_LEN);
const _: () = assert!(CT2_CHUNKS * CHUNK_LEN == split::CT2_LEN + MAC_LEN);

pub(crate) type HeaderAndMac = Payload<HEADER_CHUNKS>;
pub(crate) type Ct1 = Payload<CT1_CHUNKS>;
pub(crate) type Ct2AndMac = Payload<CT2_CHUNKS>;

/// What every state holds: its epoch, from 1, and the authenticator.
#[derive(Clone, Debug)]
pub(crate) struct At {
    pub(crate) epoch: u64,
    pub(crate) auth: Arc<Authenticator>,
}

/// The state of one side.
#[derive(Clone, Debug)]
pub(crate) enum Braid {
    KeysUnsampled(KeysUnsampled),
    KeysSampled(KeysSampled),
    HeaderSent(HeaderSent),
    Ct1Received(Ct1Received),
    EkSentCt1Received(EkSentCt1Received),
    NoHeaderReceived(NoHeaderReceived),
    HeaderReceived(HeaderReceived),
    Ct1Sampled(Ct1Sampled),
    EkReceivedCt1Sampled(EkReceivedCt1Sampled),
    Ct1Acknowledged(Ct1Acknowledged),
    Ct2Sampled(Ct2Sampled),
}

/// What sending a message does. The message is of the epoch the state was in, which sending does not change.
pub(crate) struct Sent {
    pub(crate) next: Braid,
    pub(crate) content: Content,
    pub(crate) key: Option<EpochKey>,
}

/// What receiving a message does.
pub(crate) struct Received {
    pub(crate) next: Braid,
    pub(crate) key: Option<EpochKey>,
}

impl Received {
    /// No key came of it.
    pub(crate) fn nothing(next: Braid) -> Self {
        Self { next, key: None }
    }
}

/// HKDF(salt = zeros, ML-KEM shared secret, info = label || epoch, 32).
pub(crate) fn epoch_key(labels: &PqLabels, epoch: u64, shared: &Secret<32>) -> EpochKey {
    let key = zero_salt(shared.expose(), &[labels.epoch_key, &epoch.to_be_bytes()]);
    EpochKey { epoch, key }
}

/// Which half of an epoch's work is this side's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Ek,
    Ct,
}

impl Side {
    /// The initiator makes the key pairs of odd epochs.
    pub(crate) fn of(role: Role, epoch: u64) -> Self {
        match (role, epoch % 2) {
            (Role::Initiator, 1) | (Role::Responder, 0) => Self::Ek,
            _ => Self::Ct,
        }
    }
}

impl Braid {
    pub(crate) fn new(labels: &PqLabels, role: Role, auth_key: &Secret<32>) -> Self {
        let at = At { epoch: 1, auth: Arc::new(Authenticator::new(labels, auth_key)) };
        match Side::of(role, at.epoch) {
            Side::Ek => Self::KeysUnsampled(KeysUnsampled { at }),
            Side::Ct => Self::NoHeaderReceived(NoHeaderReceived { at, header: Decoder::new() }),
        }
    }

    pub(crate) fn at(&self) -> &At {
        match self {
            Self::KeysUnsampled(state) => &state.at,
            Self::KeysSampled(state) => &state.at,
            Self::HeaderSent(state) => &state.at,
            Self::Ct1Received(state) => &state.at,
            Self::EkSentCt1Received(state) => &state.at,
            Self::NoHeaderReceived(state) => &state.at,
            Self::HeaderReceived(state) => &state.at,
            Self::Ct1Sampled(state) => &state.at,
            Self::EkReceivedCt1Sampled(state) => &state.at,
            Self::Ct1Acknowledged(state) => &state.at,
            Self::Ct2Sampled(state) => &state.at,
        }
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.at().epoch
    }

    /// The last epoch whose key has been put out.
    pub(crate) fn key_epoch(&self) -> u64 {
        match self {
            Self::KeysUnsampled(_)
            | Self::KeysSampled(_)
            | Self::HeaderSent(_)
            | Self::Ct1Received(_)
            | Self::EkSentCt1Received(_)
            | Self::NoHeaderReceived(_)
            | Self::HeaderReceived(_) => self.epoch().saturating_sub(1),
            Self::Ct1Sampled(_) | Self::EkReceivedCt1Sampled(_) | Self::Ct1Acknowledged(_) | Self::Ct2Sampled(_) => {
                self.epoch()
            }
        }
    }

    /// For a message we send.
    pub(crate) fn send(self, labels: &PqLabels, rng: &mut dyn CryptoRng) -> Sent {
        let (next, content) = match self {
            Self::HeaderReceived(state) => {
                let (next, content, key) = state.send(labels, rng);
                return Sent { next, content, key: Some(key) };
            }
            Self::KeysUnsampled(state) => state.send(labels, rng),
            Self::KeysSampled(state) => state.send(),
            Self::HeaderSent(state) => state.send(),
            Self::Ct1Received(state) => state.send(),
            Self::EkSentCt1Received(state) => state.send(),
            Self::NoHeaderReceived(state) => state.send(),
            Self::Ct1Sampled(state) => state.send(),
            Self::EkReceivedCt1Sampled(state) => state.send(),
            Self::Ct1Acknowledged(state) => state.send(),
            Self::Ct2Sampled(state) => state.send(),
        };
        Sent { next, content, key: None }
    }

    /// For a message of `epoch` we received. Content that the state does not expect is passed over.
    pub(crate) fn receive(self, labels: &PqLabels, epoch: u64, content: Content) -> Result<Received, PqRefusal> {
        let ours = self.epoch();
        if epoch < ours {
            return Ok(Received::nothing(self));
        }
        if epoch > ours {
            return match self {
                Self::Ct2Sampled(state) if epoch == ours.saturating_add(1) => Ok(Received::nothing(state.next_epoch())),
                _ => Err(PqRefusal::FutureEpoch { epoch, ours }),
            };
        }
        match self {
            Self::KeysSampled(state) => Ok(state.receive(content)),
            Self::HeaderSent(state) => Ok(state.receive(content)),
            Self::Ct1Received(state) => state.receive(labels, content),
            Self::EkSentCt1Received(state) => state.receive(labels, content),
            Self::NoHeaderReceived(state) => state.receive(labels, content),
            Self::Ct1Sampled(state) => state.receive(labels, content),
            Self::EkReceivedCt1Sampled(state) => Ok(state.receive(content)),
            Self::Ct1Acknowledged(state) => state.receive(labels, content),
            state @ (Self::KeysUnsampled(_) | Self::HeaderReceived(_) | Self::Ct2Sampled(_)) => {
                Ok(Received::nothing(state))
            }
        }
    }
}
