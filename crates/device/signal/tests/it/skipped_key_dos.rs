//! Counters are peer input: how far a chain is walked and how much is stored have limits, and a forged header is paid
//! with CPU only.

use rcseal_signal::*;

use crate::support::*;

#[test]
fn a_jump_of_25_000_passes_and_one_more_is_refused() {
    let mut pair = Pair::established(Profile::Native, 1);
    let sent = pair.alice_sends(FORWARD_JUMP_MAX as usize + 2);
    // The established pair has already used counter 0 of Alice's chain; Bob expects the first of `sent`.
    let before = pair.bob.record();
    let error = pair.bob.receive(&sent[FORWARD_JUMP_MAX as usize + 1]).unwrap_err();
    assert!(matches!(error, DecryptError::TooFarAhead { jump: 25_001, max: FORWARD_JUMP_MAX }));
    // The post-quantum index is counted from the last one used, so it reaches its limit one message earlier.
    let error = pair.bob.receive(&sent[FORWARD_JUMP_MAX as usize]).unwrap_err();
    let refusal = PqRefusal::TooFarAhead { jump: 25_001, max: PQ_FORWARD_JUMP_MAX };
    assert!(matches!(error, DecryptError::PqRatchet(found) if found == refusal));
    assert_eq!(pair.bob.record(), before);

    assert_eq!(pair.bob.receive(&sent[FORWARD_JUMP_MAX as usize - 1]).unwrap(), b"24999");
    for kind in [SkippedKind::Message, SkippedKind::PostQuantum] {
        assert_eq!(pair.bob.skipped.count(kind) as u64, SKIPPED_MAX);
    }
    // Exactly the newest 2,000 of what was jumped over can still be read.
    for readable in [24_998, 22_999] {
        assert_eq!(pair.bob.receive(&sent[readable]).unwrap(), readable.to_string().as_bytes());
    }
    let error = pair.bob.receive(&sent[22_998]).unwrap_err();
    assert!(matches!(error, DecryptError::DuplicateMessage { counter: 22_999 }));
}

#[test]
fn a_forged_counter_stores_nothing_and_changes_nothing() {
    for profile in PROFILES {
        let mut pair = Pair::established(*profile, 2);
        let genuine = pair.alice.send(&mut pair.rng, b"genuine");
        let before = pair.bob.record();
        for (counter, far) in [(u32::MAX - 1, true), (30_000, true), (25_001, false), (2_500, false)] {
            let forged = tamper(*profile, &genuine, |proto| proto.counter = Some(counter));
            let error = pair.bob.receive(&forged).unwrap_err();
            assert_eq!(matches!(error, DecryptError::TooFarAhead { .. }), far, "{counter}");
            assert_eq!(matches!(error, DecryptError::BadMac), !far, "{counter}");
        }
        let forged = tamper(*profile, &genuine, |proto| proto.counter = Some(u32::MAX));
        let error = pair.bob.receive(&forged).unwrap_err();
        assert!(matches!(error, DecryptError::Parse(ParseError::FieldRange { field: 2 })));
        assert_eq!(pair.bob.record(), before);
        assert!(pair.bob.skipped.is_empty());
        assert_eq!(pair.bob.receive(&genuine).unwrap(), b"genuine");
    }
}

#[test]
fn repeated_jumps_across_chains_stay_within_the_bound_of_the_session() {
    let mut pair = Pair::established(Profile::Native, 3);
    for _ in 0..8 {
        let sent = pair.alice_sends(701);
        assert_eq!(pair.bob.receive(&sent[700]).unwrap(), b"700");
        let answer = pair.bob.send(&mut pair.rng, b"turn");
        pair.alice.receive(&answer).unwrap();
    }
    for kind in [SkippedKind::Message, SkippedKind::PostQuantum] {
        assert!(pair.bob.skipped.count(kind) as u64 <= SKIPPED_MAX);
    }
    assert_eq!(pair.bob.skipped.count(SkippedKind::Message) as u64, SKIPPED_MAX);
}

#[test]
fn a_step_writes_the_jump_and_never_the_whole_store() {
    let mut pair = Pair::established(Profile::Native, 4);
    let sent = pair.alice_sends(2_002);
    let step = pair.bob.session.decrypt(&pair.bob.skipped, &sent[1_999]).unwrap();
    assert_eq!(step.delta.insert().len(), 2 * 1_999);
    pair.bob.commit(&step.delta);
    let step = pair.bob.session.decrypt(&pair.bob.skipped, &sent[2_001]).unwrap();
    assert_eq!((step.delta.insert().len(), step.delta.evict()), (2, Evict::default()));
    pair.bob.commit(&step.delta);
    let step = pair.bob.session.decrypt(&pair.bob.skipped, &sent[5]).unwrap();
    assert_eq!((step.delta.insert().len(), step.delta.evict()), (0, Evict::default()));
    let kinds: Vec<_> = step.delta.remove().iter().map(SkippedId::kind).collect();
    assert_eq!(kinds, [SkippedKind::PostQuantum, SkippedKind::Message]);
    assert_eq!(step.delta.record().as_bytes().len(), Record::LEN);
}

#[test]
fn a_row_the_store_forgot_to_evict_is_not_used() {
    let mut pair = Pair::established(Profile::Native, 5);
    let sent = pair.alice_sends(2_102);
    assert_eq!(pair.bob.receive(&sent[1]).unwrap(), b"1");
    let hoarded = std::mem::take(&mut pair.bob.skipped);
    assert_eq!(hoarded.len(), 2);
    assert_eq!(pair.bob.receive(&sent[2_101]).unwrap(), b"2101");
    let error = pair.bob.session.decrypt(&hoarded, &sent[0]).unwrap_err();
    assert!(matches!(error, DecryptError::DuplicateMessage { counter: 1 }));
}

#[test]
fn late_messages_of_a_chain_that_has_left_are_still_read() {
    for profile in PROFILES {
        let mut pair = Pair::established(*profile, 6);
        let late = pair.alice_sends(3);
        assert_eq!(pair.bob.receive(&late[0]).unwrap(), b"0");
        for _ in 0..9 {
            pair.ping_pong();
            pair.bob.restart();
        }
        assert_eq!(pair.bob.receive(&late[2]).unwrap(), b"2", "{profile}");
        assert_eq!(pair.bob.receive(&late[1]).unwrap(), b"1", "{profile}");
        assert!(pair.bob.receive(&late[1]).is_err());
    }
}

#[test]
fn an_unanswered_turn_cannot_be_turned_again() {
    let mut pair = Pair::established(Profile::Native, 7);
    // Bob has not answered Alice's present ratchet key, so no honest message can show a newer one.
    let message = pair.alice.send(&mut pair.rng, b"genuine");
    let other = rcseal_crypto::x25519::KeyPair::generate(&mut pair.rng).public;
    let forged = tamper(Profile::Native, &message, |proto| {
        proto.ratchet_key = Some([&[0x41][..], other.as_bytes()].concat());
    });
    assert!(matches!(pair.bob.receive(&forged).unwrap_err(), DecryptError::UnexpectedRatchetKey));
    assert_eq!(pair.bob.receive(&message).unwrap(), b"genuine");
}
