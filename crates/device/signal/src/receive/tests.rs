//! What a forged message costs before its code is checked, counted in steps of the chains.
#![allow(clippy::unwrap_used, clippy::panic)]

use alloc::vec::Vec;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;
use crate::message::{Outgoing, encode_message};
use crate::ratchet::pq::{Content, PQ_FORWARD_JUMP_MAX};
use crate::ratchet::work;
use crate::*;

/// Two devices; the first begins sessions.
struct Devices {
    rng: ChaCha20Rng,
    alice: IdentityKeyPair,
    bob: IdentityKeyPair,
    signed: SignedPreKey,
    kem: KemPreKey,
}

const ALICE: Address = Address::new([1; 16], 1);
const BOB: Address = Address::new([2; 16], 1);

impl Devices {
    fn new() -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let (alice, bob) = (IdentityKeyPair::generate(&mut rng), IdentityKeyPair::generate(&mut rng));
        let signed = SignedPreKey::generate(&mut rng, Profile::Native, 1, &bob).unwrap();
        let kem = KemPreKey::generate(&mut rng, Profile::Native, 2, &bob).unwrap();
        Self { rng, alice, bob, signed, kem }
    }

    /// Alice's session, Bob's after its first message.
    fn begin(&mut self) -> (Session, Accepted) {
        let bundle = PreKeyBundle {
            identity: self.bob.public(),
            signed_prekey: self.signed.public(),
            kem_prekey: self.kem.public(),
            one_time: None,
        };
        let verified = bundle.verify(Profile::Native).unwrap();
        let to_bob = Peer { address: BOB, identity: self.bob.public() };
        let mut session =
            Session::initiate(&mut self.rng, Profile::Native, &self.alice, ALICE, to_bob, verified).unwrap();
        let first = session.encrypt(&mut self.rng, b"first").unwrap();
        session.apply(&first.delta).unwrap();
        let to_alice = Peer { address: ALICE, identity: self.alice.public() };
        let keys = ResponderKeys { signed: &self.signed, kem: &self.kem, one_time: None };
        let message = PreKeyMessage::parse(&first.output).unwrap();
        let accepting = Session::accept(Profile::Native, &self.bob, BOB, to_alice, message, keys).unwrap();
        (session, accepting.decrypt_first().unwrap())
    }

    /// Bob's session after he has answered, so that a new ratchet key of Alice's is due.
    fn answered(&mut self) -> Session {
        let mut session = self.begin().1.session;
        let answer = session.encrypt(&mut self.rng, b"answer").unwrap();
        session.apply(&answer.delta).unwrap();
        session
    }
}

/// A header that nobody authenticated.
fn forge(theirs: &x25519::PublicKey, counter: u32, epoch: u64, index: u32) -> Vec<u8> {
    let suite = Profile::Native.suite().unwrap();
    let field = PqPart { epoch, index, content: Content::None }.encode();
    let mut message = encode_message(
        suite,
        &Outgoing {
            ratchet_key: theirs,
            counter,
            previous_counter: 0,
            ciphertext: &[0; 16],
            pq_ratchet: Some(field.as_bytes()),
            addresses: None,
        },
    );
    message.resize(message.len() + suite.mac_len, 0);
    message
}

fn cost(session: &Session, message: &[u8]) -> (DecryptError, u64) {
    let rows = MemorySkippedKeys::new();
    let (result, steps) = work::during(|| session.decrypt(&rows, message));
    (result.unwrap_err(), steps)
}

/// Of Bob's session after one message: the next counter is 1 and the last index used is 1.
const NEXT_COUNTER: u32 = 1;
const LAST_INDEX: u32 = 1;

#[test]
fn the_dearest_forgery_on_a_known_chain_walks_both_chains_once() {
    let session = Devices::new().answered();
    let theirs = session.state.receiving[0].theirs;
    let (counter, index) = (NEXT_COUNTER + FORWARD_JUMP_MAX, LAST_INDEX + PQ_FORWARD_JUMP_MAX);
    let (error, steps) = cost(&session, &forge(&theirs, counter, 1, index));
    assert!(matches!(error, DecryptError::BadMac));
    assert_eq!(steps, u64::from(FORWARD_JUMP_MAX) + 1 + u64::from(PQ_FORWARD_JUMP_MAX));
}

#[test]
fn the_dearest_forgery_with_a_new_ratchet_key_costs_no_more_steps() {
    let mut devices = Devices::new();
    let session = devices.answered();
    let theirs = x25519::KeyPair::generate(&mut devices.rng).public;
    let (error, steps) = cost(&session, &forge(&theirs, FORWARD_JUMP_MAX, 1, LAST_INDEX + PQ_FORWARD_JUMP_MAX));
    assert!(matches!(error, DecryptError::BadMac));
    assert_eq!(steps, u64::from(FORWARD_JUMP_MAX) + 1 + u64::from(PQ_FORWARD_JUMP_MAX));
}

#[test]
fn a_jump_beyond_the_limit_is_refused_before_its_chain_is_walked() {
    let session = Devices::new().answered();
    let theirs = session.state.receiving[0].theirs;
    for counter in [NEXT_COUNTER + FORWARD_JUMP_MAX + 1, 1 << 20, u32::MAX - 1] {
        let (error, steps) = cost(&session, &forge(&theirs, counter, 1, LAST_INDEX + PQ_FORWARD_JUMP_MAX));
        assert!(matches!(error, DecryptError::TooFarAhead { .. }));
        assert_eq!(steps, 0);
    }
    // The other chain has found the seed of this one message by then.
    for index in [LAST_INDEX + PQ_FORWARD_JUMP_MAX + 1, 1 << 20, u32::MAX] {
        let (error, steps) = cost(&session, &forge(&theirs, NEXT_COUNTER, 1, index));
        assert!(matches!(error, DecryptError::PqRatchet(PqRefusal::TooFarAhead { .. })));
        assert_eq!(steps, 1);
    }
    for epoch in [2, 3, u64::MAX] {
        let (error, steps) = cost(&session, &forge(&theirs, NEXT_COUNTER, epoch, 2));
        assert!(matches!(error, DecryptError::PqRatchet(PqRefusal::FutureEpoch { .. })));
        assert_eq!(steps, 1);
    }
}

#[test]
fn numbers_that_were_used_cost_nothing() {
    let session = Devices::new().answered();
    let theirs = session.state.receiving[0].theirs;
    let (error, steps) = cost(&session, &forge(&theirs, 0, 1, LAST_INDEX + PQ_FORWARD_JUMP_MAX));
    assert!(matches!(error, DecryptError::DuplicateMessage { counter: 0 }));
    assert_eq!(steps, 0);
    let (error, steps) = cost(&session, &forge(&theirs, NEXT_COUNTER, 1, LAST_INDEX));
    assert!(matches!(error, DecryptError::PqRatchet(PqRefusal::KeyGone { .. })));
    assert_eq!(steps, 1);
}

#[test]
fn an_archive_of_41_sessions_walks_no_further_than_one_session() {
    let mut devices = Devices::new();
    let mut archive = Archive::new();
    let rows = MemoryArchive::new();
    let mut sessions = 0;
    while sessions < ARCHIVED_MAX + 1 {
        let (_, accepted) = devices.begin();
        let step = archive.accept(accepted, 1).unwrap();
        archive.apply(step.change).unwrap();
        let answer = archive.encrypt(&mut devices.rng, 1, UNANSWERED_AGE_MAX, b"answer").unwrap();
        archive.apply(answer.change).unwrap();
        sessions += 1;
    }
    assert_eq!(archive.archived().count(), ARCHIVED_MAX);
    let theirs = x25519::KeyPair::generate(&mut devices.rng).public;
    // Besides the jumps every session may derive the message's own two keys.
    let budget = u64::from(FORWARD_JUMP_MAX) + u64::from(PQ_FORWARD_JUMP_MAX) + 2 * (ARCHIVED_MAX as u64 + 1);
    for jump in [0, 1, 100, 1_000, 20_000, 25_000] {
        let message = forge(&theirs, jump, 1, LAST_INDEX + jump.max(1));
        let (result, steps) = work::during(|| archive.decrypt(&rows, &message));
        assert!(matches!(result.unwrap_err(), ArchiveDecryptError::Message(DecryptError::BadMac)));
        assert!(steps <= budget, "{steps} steps for a jump of {jump}");
    }
}

#[test]
fn a_genuine_jump_derives_the_keys_of_what_is_kept_and_nothing_twice_as_far() {
    let mut devices = Devices::new();
    let (mut alice, accepted) = devices.begin();
    let bob = accepted.session;
    for _ in 0..3_000 {
        let step = alice.encrypt(&mut devices.rng, b"lost").unwrap();
        alice.apply(&step.delta).unwrap();
    }
    let arrives = alice.encrypt(&mut devices.rng, b"arrives").unwrap().output;
    let rows = MemorySkippedKeys::new();
    let (result, steps) = work::during(|| bob.decrypt(&rows, &arrives));
    assert_eq!(result.unwrap().output, b"arrives");
    // Two walks of 3,001 steps to the message, and the keys of the last 2,000 in each chain.
    assert_eq!(steps, 2 * 3_001 + 2 * SKIPPED_MAX);
}
