//! Every counter of a session at its last value: the ratchet's counter and what it says of the chain before, the post-quantum
//! index, and the chunks of a piece. No conversation gets there, so the tests write the counters into a stored record, at the
//! places that `docs/protocol/ratchet.md` and `docs/protocol/spqr.md` name.

use prost::Message;
use rcseal_signal::*;

use crate::support::*;

/// Counter of the sending chain, and behind it the length of the chain before.
const SENDING_COUNTER: usize = 303;
const PREVIOUS_COUNTER: usize = 307;
/// The last index used of the post-quantum sending chain.
const SENDING_INDEX: usize = PQ_SLOT + 106 + 32;
/// Of state KeysSampled, behind seed and header: the next chunk to send.
const NEXT_CHUNK: usize = PQ_SLOT + 250 + 64 + 96;

fn with(side: &mut Side, at: usize, value: u32) {
    let mut record = side.record();
    record[at..at + 4].copy_from_slice(&value.to_be_bytes());
    side.session = Session::from_record(&record).unwrap();
    assert_eq!(side.record(), record);
}

fn fields(profile: Profile, message: &[u8]) -> RatchetProto {
    RatchetProto::decode(&message[1..message.len() - mac_len(profile)]).unwrap()
}

#[test]
fn a_chain_ends_with_its_last_counter_and_the_next_answer_begins_another() {
    for profile in PROFILES {
        let mut pair = Pair::established(*profile, 1);
        with(&mut pair.alice, SENDING_COUNTER, u32::MAX - 1);
        let last = pair.alice.send(&mut pair.rng, b"last");
        assert_eq!(fields(*profile, &last).counter, Some(u32::MAX - 1));
        assert!(matches!(pair.bob.refuses(&last), DecryptError::TooFarAhead { .. }));
        let before = pair.alice.record();
        let error = pair.alice.session.encrypt(&mut pair.rng, b"one more").unwrap_err();
        assert!(matches!(error, EncryptError::ChainExhausted));
        assert_eq!(pair.alice.record(), before);
        // What it says of the chain that ended is beyond any jump, and Bob stores nothing for it when the chain leaves.
        for _ in 0..8 {
            pair.ping_pong();
        }
        assert_eq!(pair.bob.skipped.count(SkippedKind::Message), 0);
    }
}

#[test]
fn a_chain_that_is_said_to_be_endless_stores_nothing_when_it_leaves() {
    for profile in PROFILES {
        let mut pair = Pair::established(*profile, 2);
        let late = pair.alice.send(&mut pair.rng, b"late");
        // Bob's answer turns Alice's ratchet; her next message says how long her chain was.
        let answer = pair.bob.send(&mut pair.rng, b"answer");
        pair.alice.receive(&answer).unwrap();
        with(&mut pair.alice, PREVIOUS_COUNTER, u32::MAX);
        let liar = pair.alice.send(&mut pair.rng, b"liar");
        assert!(fields(*profile, &liar).previous_counter.unwrap() >= u32::MAX - 1);
        assert_eq!(pair.bob.receive(&liar).unwrap(), b"liar");
        let stored = pair.bob.skipped.count(SkippedKind::Message);
        for _ in 0..8 {
            pair.ping_pong();
        }
        assert_eq!(pair.bob.skipped.count(SkippedKind::Message), stored, "{profile}");
        // The chain has left, and with it the key of a message that its sender disowned.
        pair.bob.refuses(&late);
        pair.ping_pong();
    }
}

#[test]
fn a_chain_that_is_said_to_be_long_stores_no_more_than_the_bound() {
    for profile in PROFILES {
        let mut pair = Pair::established(*profile, 3);
        let answer = pair.bob.send(&mut pair.rng, b"answer");
        pair.alice.receive(&answer).unwrap();
        with(&mut pair.alice, PREVIOUS_COUNTER, 20_000);
        for _ in 0..8 {
            let message = pair.alice.send(&mut pair.rng, b"message");
            pair.bob.receive(&message).unwrap();
            let answer = pair.bob.send(&mut pair.rng, b"answer");
            pair.alice.receive(&answer).unwrap();
        }
        assert_eq!(pair.bob.skipped.count(SkippedKind::Message) as u64, SKIPPED_MAX);
        pair.ping_pong();
    }
}

#[test]
fn a_post_quantum_chain_ends_with_its_last_index() {
    for profile in PROFILES {
        let mut pair = Pair::established(*profile, 4);
        with(&mut pair.alice, SENDING_INDEX, u32::MAX - 1);
        let last = pair.alice.send(&mut pair.rng, b"last");
        let error = pair.bob.refuses(&last);
        let refusal = PqRefusal::TooFarAhead { jump: u32::MAX - 2, max: PQ_FORWARD_JUMP_MAX };
        assert!(matches!(error, DecryptError::PqRatchet(found) if found == refusal), "{error:?}");
        let before = pair.alice.record();
        let error = pair.alice.session.encrypt(&mut pair.rng, b"one more").unwrap_err();
        assert!(matches!(error, EncryptError::ChainExhausted));
        assert_eq!(pair.alice.record(), before);
        // Reading goes on.
        let ping = pair.bob.send(&mut pair.rng, b"ping");
        assert_eq!(pair.alice.receive(&ping).unwrap(), b"ping");
    }
}

#[test]
fn after_the_last_chunk_of_a_piece_messages_go_on_without_one() {
    for profile in PROFILES {
        let mut pair = Pair::established(*profile, 5);
        with(&mut pair.alice, NEXT_CHUNK, u32::from(u16::MAX));
        let last = pair.alice.send(&mut pair.rng, b"last chunk");
        let part = fields(*profile, &last).pq_ratchet.unwrap();
        // Version, epoch, index, type, then the chunk's index in three bytes.
        assert_eq!(part[3..7], [1, 0xFF, 0xFF, 0x03]);
        let silent = pair.alice.send(&mut pair.rng, b"no chunk");
        assert_eq!(fields(*profile, &silent).pq_ratchet.unwrap().len(), 4);
        assert_eq!(pair.bob.receive(&last).unwrap(), b"last chunk");
        assert_eq!(pair.bob.receive(&silent).unwrap(), b"no chunk");
        pair.alice.restart();
        pair.ping_pong();
        let mut beyond = pair.alice.record();
        beyond[NEXT_CHUNK..NEXT_CHUNK + 4].copy_from_slice(&(u32::from(u16::MAX) + 2).to_be_bytes());
        let error = Session::from_record(&beyond).map(|_| ()).unwrap_err();
        assert_eq!(error, RecordError::Field { field: "post-quantum ratchet" });
    }
}
