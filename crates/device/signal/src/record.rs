//! The stored form of a session: one versioned record of fixed size (`docs/protocol/ratchet.md` has the layout).
//!
//! [`Record::LEN`] bytes, and [`Record::PENDING_LEN`] while an initiator waits for the first reply and must repeat its
//! prekey header. The record holds secrets and is to be stored encrypted. Integers are big-endian. No state of a
//! dependency is in it, only keys and counters.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use rcseal_crypto::{Secret, x25519};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::address::Address;
use crate::identity::IdentityKey;
use crate::kem::{KEM_CIPHERTEXT_LEN, Kem, KemCiphertext};
use crate::message::PreKeyHeader;
use crate::profile::{Profile, ProfileUnavailable};
use crate::ratchet::Chain;
use crate::ratchet::pq::PqRatchet;
use crate::skipped::SkippedPlaces;
use crate::state::{RECEIVING_CHAINS_MAX, ReceivingChain, Role, Sending, State};

const VERSION: u8 = 2;
const INITIATOR: u8 = 0;
const RESPONDER: u8 = 1;
const RUNNING: u8 = 0;
const TURN: u8 = 1;

/// Kind, secret, public or their key, chain key, counter, previous counter.
const SENDING_LEN: usize = 1 + 32 + 32 + 32 + 4 + 4;
/// Their key, chain key, counter, end.
const RECEIVING_LEN: usize = 32 + 32 + 4 + 4;
/// Next ordinal, lowest that is kept.
const PLACES_LEN: usize = 8 + 8;
/// No chain ends here: its last message would have a counter beyond the limit.
const END_UNKNOWN: u32 = u32::MAX;
/// Bits of the prekey header's flags.
const REGISTRATION_ID: u8 = 1;
const STATES_ADDRESSES: u8 = 2;
/// One-time prekey present, its id, flags, registration id, two ids, KEM ciphertext.
const HEADER_LEN: usize = 1 + 4 + 1 + 4 + 4 + 4 + KEM_CIPHERTEXT_LEN;

/// A session's stored form. Prints no content; zeroized on drop.
pub struct Record(Vec<u8>);

/// As a slice, which is erased in bulk.
impl Drop for Record {
    fn drop(&mut self) {
        self.0.as_mut_slice().zeroize();
    }
}

impl ZeroizeOnDrop for Record {}

impl Record {
    /// Length of an established session's record.
    pub const LEN: usize = 4
        + 8
        + 2 * Address::LEN
        + 2 * 32
        + 2 * 32
        + 32
        + SENDING_LEN
        + 1
        + RECEIVING_CHAINS_MAX * RECEIVING_LEN
        + 2 * PLACES_LEN
        + 32
        + PqRatchet::LEN;
    /// Length of the record of an initiator that has not received anything yet.
    pub const PENDING_LEN: usize = Self::LEN + HEADER_LEN;

    /// The bytes to store.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn of(state: &State) -> Self {
        let len = if state.pending.is_some() { Self::PENDING_LEN } else { Self::LEN };
        let mut record = Self(Vec::with_capacity(len));
        let out = &mut record.0;
        out.push(VERSION);
        out.push(state.suite.profile.code());
        out.push(match state.role {
            Role::Initiator => INITIATOR,
            Role::Responder => RESPONDER,
        });
        out.push(u8::from(state.pending.is_some()));
        out.extend_from_slice(&state.step.to_be_bytes());
        out.extend_from_slice(&state.our_address.to_bytes());
        out.extend_from_slice(&state.their_address.to_bytes());
        out.extend_from_slice(state.our_identity.as_bytes());
        out.extend_from_slice(state.their_identity.as_bytes());
        out.extend_from_slice(state.base_key.as_bytes());
        out.extend_from_slice(&state.header_hash);
        out.extend_from_slice(state.root.expose());
        write_sending(out, &state.sending);
        write_receiving(out, &state.receiving);
        for places in [&state.skipped, &state.skipped_pq] {
            out.extend_from_slice(&places.next.to_be_bytes());
            out.extend_from_slice(&places.oldest.to_be_bytes());
        }
        out.extend_from_slice(state.exporter.expose());
        state.pq.encode(out);
        if let Some(header) = &state.pending {
            write_header(out, header);
        }
        debug_assert_eq!(out.len(), len, "the record's layout and its length constants disagree");
        record
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<State, RecordError> {
        let version = *bytes.first().ok_or(RecordError::Length { actual: 0 })?;
        if version != VERSION {
            return Err(RecordError::Version { found: version });
        }
        let pending = match bytes.len() {
            Self::LEN => false,
            Self::PENDING_LEN => true,
            actual => return Err(RecordError::Length { actual }),
        };
        let mut input = Input { rest: &bytes[1..] };
        let profile = Profile::from_code(input.u8()?).ok_or(RecordError::Field { field: "profile" })?;
        let suite = profile.suite()?;
        let role = match input.u8()? {
            INITIATOR => Role::Initiator,
            RESPONDER => Role::Responder,
            _ => return Err(RecordError::Field { field: "role" }),
        };
        if input.u8()? != u8::from(pending) {
            return Err(RecordError::Field { field: "pending" });
        }
        let step = input.u64()?;
        let our_address = Address::from_bytes(&input.take()?);
        let their_address = Address::from_bytes(&input.take()?);
        let our_identity = IdentityKey::from(input.ec_key("our identity key")?);
        let their_identity = IdentityKey::from(input.ec_key("their identity key")?);
        let base_key = input.ec_key("base key")?;
        let header_hash = input.take()?;
        let root = input.secret()?;
        let sending = read_sending(&mut input)?;
        let receiving = read_receiving(&mut input)?;
        let skipped = input.places()?;
        let skipped_pq = input.places()?;
        let exporter = input.secret()?;
        let pq = PqRatchet::decode(role, &input.take()?).ok_or(RecordError::Field { field: "post-quantum ratchet" })?;
        if pending && (role == Role::Responder || pq.has_received()) {
            return Err(RecordError::Field { field: "pending" });
        }
        let pending = match pending {
            true => Some(Arc::new(read_header(&mut input, suite.kem, base_key, our_identity)?)),
            false => None,
        };
        Ok(State {
            suite,
            role,
            step,
            our_address,
            their_address,
            our_identity,
            their_identity,
            base_key,
            header_hash,
            root,
            sending,
            receiving,
            skipped,
            skipped_pq,
            exporter,
            pq,
            pending,
        })
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Record({} bytes)", self.0.len())
    }
}

/// Why stored bytes are not a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// A record has one of two lengths.
    #[error("a session record cannot have {actual} bytes")]
    Length {
        /// What was given.
        actual: usize,
    },
    /// Written by a version of this crate that this one does not know.
    #[error("unknown version {found} of a session record")]
    Version {
        /// The version byte.
        found: u8,
    },
    /// The session's profile is not in this build.
    #[error(transparent)]
    ProfileUnavailable(#[from] ProfileUnavailable),
    /// A field holds what no session has.
    #[error("the session record's {field} is invalid")]
    Field {
        /// Which field.
        field: &'static str,
    },
}

impl RecordError {
    /// Stable name for SDKs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Length { .. } => "record_length",
            Self::Version { .. } => "record_version",
            Self::ProfileUnavailable(error) => error.code(),
            Self::Field { .. } => "record_field",
        }
    }
}

fn write_sending(out: &mut Vec<u8>, sending: &Sending) {
    match sending {
        Sending::Running { pair, chain, previous_counter } => {
            out.push(RUNNING);
            out.extend_from_slice(pair.secret.expose());
            out.extend_from_slice(pair.public.as_bytes());
            out.extend_from_slice(chain.key().expose());
            out.extend_from_slice(&chain.counter().to_be_bytes());
            out.extend_from_slice(&previous_counter.to_be_bytes());
        }
        Sending::Turn { theirs, previous_counter } => {
            out.push(TURN);
            out.extend_from_slice(&[0; 32]);
            out.extend_from_slice(theirs.as_bytes());
            out.extend_from_slice(&[0; 36]);
            out.extend_from_slice(&previous_counter.to_be_bytes());
        }
    }
}

fn read_sending(input: &mut Input<'_>) -> Result<Sending, RecordError> {
    let kind = input.u8()?;
    let secret = input.secret()?;
    let public = input.ec_key("ratchet key")?;
    let chain = input.secret()?;
    let chain = Chain::restore(chain, input.u32()?);
    let previous_counter = input.u32()?;
    match kind {
        RUNNING => {
            let pair = x25519::KeyPair { secret: x25519::SecretKey::from_secret(secret), public };
            Ok(Sending::Running { pair: Arc::new(pair), chain, previous_counter })
        }
        TURN => Ok(Sending::Turn { theirs: public, previous_counter }),
        _ => Err(RecordError::Field { field: "sending state" }),
    }
}

fn write_receiving(out: &mut Vec<u8>, chains: &[ReceivingChain]) {
    // State never holds more than five, so the count fits and the padding is not negative.
    out.push(chains.len() as u8);
    for receiving in chains {
        out.extend_from_slice(receiving.theirs.as_bytes());
        out.extend_from_slice(receiving.chain.key().expose());
        out.extend_from_slice(&receiving.chain.counter().to_be_bytes());
        out.extend_from_slice(&receiving.end.unwrap_or(END_UNKNOWN).to_be_bytes());
    }
    let unused = RECEIVING_CHAINS_MAX.saturating_sub(chains.len()) * RECEIVING_LEN;
    out.resize(out.len() + unused, 0);
}

fn read_receiving(input: &mut Input<'_>) -> Result<Vec<ReceivingChain>, RecordError> {
    let count = usize::from(input.u8()?);
    if count > RECEIVING_CHAINS_MAX {
        return Err(RecordError::Field { field: "number of receiving chains" });
    }
    let mut chains = Vec::with_capacity(RECEIVING_CHAINS_MAX + 1);
    for slot in 0..RECEIVING_CHAINS_MAX {
        if slot < count {
            let theirs = input.ec_key("their ratchet key")?;
            let key = input.secret()?;
            let chain = Chain::restore(key, input.u32()?);
            let end = Some(input.u32()?).filter(|end| *end != END_UNKNOWN);
            chains.push(ReceivingChain { theirs, chain, end });
        } else {
            input.take::<RECEIVING_LEN>()?;
        }
    }
    Ok(chains)
}

fn write_header(out: &mut Vec<u8>, header: &PreKeyHeader) {
    out.push(u8::from(header.one_time_id.is_some()));
    out.extend_from_slice(&header.one_time_id.unwrap_or(0).to_be_bytes());
    let registration = if header.registration_id.is_some() { REGISTRATION_ID } else { 0 };
    out.push(registration | if header.states_addresses { STATES_ADDRESSES } else { 0 });
    out.extend_from_slice(&header.registration_id.unwrap_or(0).to_be_bytes());
    out.extend_from_slice(&header.signed_prekey_id.to_be_bytes());
    out.extend_from_slice(&header.kem_prekey_id.to_be_bytes());
    out.extend_from_slice(header.kem_ciphertext.as_bytes());
}

fn read_header(
    input: &mut Input<'_>,
    kem: Kem,
    base_key: x25519::PublicKey,
    identity: IdentityKey,
) -> Result<PreKeyHeader, RecordError> {
    let has_one_time = match input.u8()? {
        0 => false,
        1 => true,
        _ => return Err(RecordError::Field { field: "one-time prekey id" }),
    };
    let one_time_id = Some(input.u32()?).filter(|_| has_one_time);
    let flags = input.u8()?;
    if flags & !(REGISTRATION_ID | STATES_ADDRESSES) != 0 {
        return Err(RecordError::Field { field: "prekey header flags" });
    }
    let registration_id = Some(input.u32()?).filter(|_| flags & REGISTRATION_ID != 0);
    let signed_prekey_id = input.u32()?;
    let kem_prekey_id = input.u32()?;
    let ciphertext = input.take::<{ KEM_CIPHERTEXT_LEN }>()?;
    let kem_ciphertext =
        KemCiphertext::from_bytes(kem, &ciphertext).map_err(|_| RecordError::Field { field: "KEM ciphertext" })?;
    Ok(PreKeyHeader {
        one_time_id,
        base_key,
        identity,
        registration_id,
        signed_prekey_id,
        kem_prekey_id,
        kem_ciphertext,
        states_addresses: flags & STATES_ADDRESSES != 0,
    })
}

/// The length was checked first, so a short read means that the constants above are wrong; it is an error all the same.
struct Input<'a> {
    rest: &'a [u8],
}

impl Input<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(RecordError::Field { field: "length" })?;
        self.rest = rest;
        Ok(*head)
    }

    fn u8(&mut self) -> Result<u8, RecordError> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Result<u32, RecordError> {
        self.take().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, RecordError> {
        self.take().map(u64::from_be_bytes)
    }

    fn secret(&mut self) -> Result<Secret<32>, RecordError> {
        self.take().map(Secret::from_bytes)
    }

    fn ec_key(&mut self, field: &'static str) -> Result<x25519::PublicKey, RecordError> {
        x25519::PublicKey::from_bytes(&self.take()?).map_err(|_| RecordError::Field { field })
    }

    fn places(&mut self) -> Result<SkippedPlaces, RecordError> {
        let (next, oldest) = (self.u64()?, self.u64()?);
        SkippedPlaces::restore(next, oldest).ok_or(RecordError::Field { field: "places of skipped keys" })
    }
}
