//! The stored form: one versioned slot of fixed length in the session's record (`docs/protocol/spqr.md` has the layout).
//!
//! What is stored is what cannot be derived: a seed, a message, a header, collected chunks, positions. Key pair, vector, ciphertext and
//! the state between the two halves of an encapsulation are derived again when a step needs them. Nothing is stored twice, so the slot
//! cannot contradict itself: which side of the epoch this is follows from role and epoch, the key epoch from state and epoch. What is
//! left of the slot is zero, and has to be.

use alloc::sync::Arc;
use alloc::vec::Vec;

use rcseal_crypto::Secret;

use super::PqRatchet;
use super::authenticator::Authenticator;
use super::braid::{At, Braid, Side};
use super::chains::{Chains, Pair, PqChain};
use super::ct_side::{
    Ct1Acknowledged, Ct1Sampled, Ct2Sampled, EkReceivedCt1Sampled, Encaps, HeaderReceived, NoHeaderReceived,
};
use super::ek_side::{Ct1Received, EkSentCt1Received, HeaderSent, Keys, KeysSampled, KeysUnsampled};
use super::erasure::{CHUNK_LEN, Chunk, Decoder, Payload, Position};
use crate::state::Role;

const VERSION: u8 = 1;

/// Version, state, epoch, authenticator, chain root, the chains of two key epochs.
const COMMON_LEN: usize = 1 + 1 + 8 + 2 * 32 + 32 + 2 * PAIR_LEN;
/// Key and index of two chains.
const PAIR_LEN: usize = 2 * (32 + 4);
/// The largest state, Ct1Sampled: header, message, position, up to 35 chunks of the vector.
const STATE_LEN: usize = 64 + 32 + 4 + 1 + 35 * (2 + CHUNK_LEN);

/// Length of the slot.
pub(crate) const LEN: usize = COMMON_LEN + STATE_LEN;

pub(crate) fn write(ratchet: &PqRatchet, out: &mut Vec<u8>) {
    let end = out.len() + LEN;
    let PqRatchet { braid, chains } = ratchet;
    let at = braid.at();
    out.push(VERSION);
    out.push(code(braid));
    out.extend_from_slice(&at.epoch.to_be_bytes());
    for secret in at.auth.secrets() {
        out.extend_from_slice(secret.expose());
    }
    out.extend_from_slice(chains.root().expose());
    write_pair(out, chains.current());
    match chains.previous() {
        Some(pair) => write_pair(out, pair),
        None => out.extend_from_slice(&[0; PAIR_LEN]),
    }
    write_state(out, braid);
    debug_assert!(out.len() <= end, "a state is longer than its slot");
    out.resize(end, 0);
}

/// The ratchet of a session's `role`; `None` if no ratchet is stored like this.
pub(crate) fn read(role: Role, bytes: &[u8; LEN]) -> Option<PqRatchet> {
    let mut input = Input { rest: bytes };
    if input.u8()? != VERSION {
        return None;
    }
    let code = input.u8()?;
    let epoch = input.u64().filter(|epoch| *epoch >= 1)?;
    let auth = Arc::new(Authenticator::restore(input.secret()?, input.secret()?));
    let root = input.secret()?;
    let current = input.pair()?;
    let previous: [u8; PAIR_LEN] = input.take()?;
    let braid = input.state(code, Side::of(role, epoch), At { epoch, auth })?;
    if input.rest.iter().any(|byte| *byte != 0) {
        return None;
    }
    let key_epoch = braid.key_epoch();
    let previous = match key_epoch {
        0 if previous != [0; PAIR_LEN] => return None,
        0 => None,
        _ => Some(Input { rest: &previous }.pair()?),
    };
    Some(PqRatchet { braid, chains: Chains::restore(role, key_epoch, root, current, previous) })
}

const fn code(braid: &Braid) -> u8 {
    match braid {
        Braid::KeysUnsampled(_) => 1,
        Braid::KeysSampled(_) => 2,
        Braid::HeaderSent(_) => 3,
        Braid::Ct1Received(_) => 4,
        Braid::EkSentCt1Received(_) => 5,
        Braid::NoHeaderReceived(_) => 6,
        Braid::HeaderReceived(_) => 7,
        Braid::Ct1Sampled(_) => 8,
        Braid::EkReceivedCt1Sampled(_) => 9,
        Braid::Ct1Acknowledged(_) => 10,
        Braid::Ct2Sampled(_) => 11,
    }
}

fn write_pair(out: &mut Vec<u8>, pair: &Pair) {
    for chain in [&pair.send, &pair.receive] {
        out.extend_from_slice(chain.key.expose());
        out.extend_from_slice(&chain.index.to_be_bytes());
    }
}

fn write_state(out: &mut Vec<u8>, braid: &Braid) {
    match braid {
        Braid::KeysUnsampled(_) => {}
        Braid::KeysSampled(state) => {
            out.extend_from_slice(state.keys.seed().expose());
            out.extend_from_slice(state.header.as_flattened());
            write_position(out, state.next);
        }
        Braid::HeaderSent(state) => {
            out.extend_from_slice(state.keys.seed().expose());
            write_position(out, state.next);
            write_chunks(out, &state.ct1);
        }
        Braid::Ct1Received(state) => {
            out.extend_from_slice(state.keys.seed().expose());
            write_position(out, state.next);
            out.extend_from_slice(state.ct1.as_flattened());
        }
        Braid::EkSentCt1Received(state) => {
            out.extend_from_slice(state.keys.seed().expose());
            out.extend_from_slice(state.ct1.as_flattened());
            write_chunks(out, &state.ct2);
        }
        Braid::NoHeaderReceived(state) => write_chunks(out, &state.header),
        Braid::HeaderReceived(state) => out.extend_from_slice(&state.header[..]),
        Braid::Ct1Sampled(state) => {
            write_encaps(out, &state.encaps);
            write_position(out, state.next);
            write_chunks(out, &state.vector);
        }
        Braid::EkReceivedCt1Sampled(state) => {
            out.extend_from_slice(state.ct1.as_flattened());
            write_position(out, state.next);
            out.extend_from_slice(state.ct2.as_flattened());
        }
        Braid::Ct1Acknowledged(state) => {
            write_encaps(out, &state.encaps);
            write_chunks(out, &state.vector);
        }
        Braid::Ct2Sampled(state) => {
            out.extend_from_slice(state.ct2.as_flattened());
            write_position(out, state.next);
        }
    }
}

fn write_encaps(out: &mut Vec<u8>, encaps: &Encaps) {
    out.extend_from_slice(encaps.header());
    out.extend_from_slice(encaps.message().expose());
}

fn write_position(out: &mut Vec<u8>, position: Position) {
    out.extend_from_slice(&position.get().to_be_bytes());
}

fn write_chunks<const K: usize>(out: &mut Vec<u8>, decoder: &Decoder<K>) {
    // A decoder holds fewer chunks than the 36 of the longest payload.
    out.push(decoder.chunks().len() as u8);
    for chunk in decoder.chunks() {
        out.extend_from_slice(&chunk.index.to_be_bytes());
        out.extend_from_slice(&chunk.bytes);
    }
}

struct Input<'a> {
    rest: &'a [u8],
}

impl Input<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*head)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    fn secret<const N: usize>(&mut self) -> Option<Secret<N>> {
        self.take().map(Secret::from_bytes)
    }

    fn pair(&mut self) -> Option<Pair> {
        let send = PqChain { key: self.secret()?, index: self.u32()? };
        let receive = PqChain { key: self.secret()?, index: self.u32()? };
        Some(Pair { send, receive })
    }

    fn keys(&mut self) -> Option<Keys> {
        self.secret().map(Keys::restore)
    }

    fn encaps(&mut self) -> Option<Encaps> {
        let header = Arc::new(self.take()?);
        self.secret().map(|message| Encaps::restore(header, message))
    }

    /// The position of an encoder that has sent at least `sent` chunks.
    fn position(&mut self, sent: u32) -> Option<Position> {
        self.u32().filter(|position| *position >= sent).and_then(Position::restore)
    }

    fn payload<const K: usize>(&mut self) -> Option<Arc<Payload<K>>> {
        let mut payload = [[0; CHUNK_LEN]; K];
        for chunk in &mut payload {
            *chunk = self.take()?;
        }
        Some(Arc::new(payload))
    }

    /// A decoder that has collected at least `collected` chunks.
    fn chunks<const K: usize>(&mut self, collected: usize) -> Option<Decoder<K>> {
        let count = usize::from(self.u8()?);
        let mut chunks = Vec::with_capacity(count.min(K));
        for _ in 0..count {
            chunks.push(Chunk { index: self.take().map(u16::from_be_bytes)?, bytes: self.take()? });
        }
        Decoder::restore(chunks).filter(|decoder| decoder.chunks().len() >= collected)
    }

    /// The state with this code, if it is one of `side`. Counts begin where the transition into the state left them.
    fn state(&mut self, code: u8, side: Side, at: At) -> Option<Braid> {
        Some(match (side, code) {
            (Side::Ek, 1) => Braid::KeysUnsampled(KeysUnsampled { at }),
            (Side::Ek, 2) => Braid::KeysSampled(KeysSampled {
                at,
                keys: self.keys()?,
                header: self.payload()?,
                next: self.position(1)?,
            }),
            (Side::Ek, 3) => {
                Braid::HeaderSent(HeaderSent { at, keys: self.keys()?, next: self.position(0)?, ct1: self.chunks(1)? })
            }
            (Side::Ek, 4) => Braid::Ct1Received(Ct1Received {
                at,
                keys: self.keys()?,
                next: self.position(0)?,
                ct1: self.payload()?,
            }),
            (Side::Ek, 5) => Braid::EkSentCt1Received(EkSentCt1Received {
                at,
                keys: self.keys()?,
                ct1: self.payload()?,
                ct2: self.chunks(1)?,
            }),
            (Side::Ct, 6) => Braid::NoHeaderReceived(NoHeaderReceived { at, header: self.chunks(0)? }),
            (Side::Ct, 7) => Braid::HeaderReceived(HeaderReceived { at, header: Arc::new(self.take()?) }),
            (Side::Ct, 8) => Braid::Ct1Sampled(Ct1Sampled {
                at,
                encaps: self.encaps()?,
                next: self.position(1)?,
                vector: self.chunks(0)?,
            }),
            (Side::Ct, 9) => Braid::EkReceivedCt1Sampled(EkReceivedCt1Sampled {
                at,
                ct1: self.payload()?,
                next: self.position(1)?,
                ct2: self.payload()?,
            }),
            (Side::Ct, 10) => {
                Braid::Ct1Acknowledged(Ct1Acknowledged { at, encaps: self.encaps()?, vector: self.chunks(1)? })
            }
            (Side::Ct, 11) => Braid::Ct2Sampled(Ct2Sampled { at, ct2: self.payload()?, next: self.position(0)? }),
            _ => return None,
        })
    }
}
