//! Counters are peer input: how far a chain is walked and how much is stored have limits, and a forged header is paid
//! with CPU only.

use rcseal_signal::*;

use crate::support::*;

#[test]
fn a_jump_of_25_000_passes_and_one_more_is_refused() {
    for profile in PROFILES {
        let mut pair = Pair::established(*profile, 1);
        let sent = pair.alice_sends(FORWARD_JUMP_MAX as usize + 2);
        // The established pair has already used counter 0 of Alice's chain; Bob expects the first of `sent`.
        let error = pair.bob.refuses(&sent[FORWARD_JUMP_MAX as usize + 1]);
        assert!(matches!(error, DecryptError::TooFarAhead { jump: 25_001, max: FORWARD_JUMP_MAX }));
        // The post-quantum index is counted from the last one used, so it reaches its limit one message earlier.
        let error = pair.bob.refuses(&sent[FORWARD_JUMP_MAX as usize]);
        let refusal = PqRefusal::TooFarAhead { jump: 25_001, max: PQ_FORWARD_JUMP_MAX };
        assert!(matches!(error, DecryptError::PqRatchet(found) if found == refusal));

        assert_eq!(pair.bob.receive(&sent[FORWARD_JUMP_MAX as usize - 1]).unwrap(), b"24999");
        for kind in [SkippedKind::Message, SkippedKind::PostQuantum] {
            assert_eq!(pair.bob.skipped.count(kind) as u64, SKIPPED_MAX);
        }
        // Exactly the newest 2,000 of what was jumped over can still be read.
        for readable in [24_998, 22_999] {
            assert_eq!(pair.bob.receive(&sent[readable]).unwrap(), readable.to_string().as_bytes());
        }
        let error = pair.bob.refuses(&sent[22_998]);
        assert!(matches!(error, DecryptError::DuplicateMessage { counter: 22_999 }));
    }
}

#[test]
fn a_forged_counter_stores_nothing_and_changes_nothing() {
    for profile in PROFILES {
        let mut pair = Pair::established(*profile, 2);
        let genuine = pair.alice.send(&mut pair.rng, b"genuine");
        for (counter, far) in [(u32::MAX - 1, true), (30_000, true), (25_001, false), (2_500, false)] {
            let forged = tamper(*profile, &genuine, |proto| proto.counter = Some(counter));
            let error = pair.bob.refuses(&forged);
            assert_eq!(matches!(error, DecryptError::TooFarAhead { .. }), far, "{counter}");
            assert_eq!(matches!(error, DecryptError::BadMac), !far, "{counter}");
        }
        let forged = tamper(*profile, &genuine, |proto| proto.counter = Some(u32::MAX));
        let error = pair.bob.refuses(&forged);
        assert!(matches!(error, DecryptError::Parse(ParseError::FieldRange { field: 2 })));
        assert!(pair.bob.skipped.is_empty());
        assert_eq!(pair.bob.receive(&genuine).unwrap(), b"genuine");
    }
}

#[test]
fn a_forged_post_quantum_index_or_epoch_stores_nothing_and_changes_nothing() {
    for profile in PROFILES {
        let mut pair = Pair::established(*profile, 8);
        let genuine = pair.alice.send(&mut pair.rng, b"genuine");
        // Alice has written twice before, so Bob has used index 2 of her first key epoch.
        let forged = |epoch: u64, index: u64| {
            tamper(*profile, &genuine, |proto| {
                let part = proto.pq_ratchet.take().unwrap();
                proto.pq_ratchet = Some(renumbered(&part, epoch, index));
            })
        };
        for (index, jump) in [(25_003, 25_001), (30_002, 30_000), (u64::from(u32::MAX), u32::MAX - 2)] {
            let error = pair.bob.refuses(&forged(1, index));
            let refusal = PqRefusal::TooFarAhead { jump, max: PQ_FORWARD_JUMP_MAX };
            assert!(matches!(error, DecryptError::PqRatchet(found) if found == refusal), "{error:?}");
        }
        for index in [25_002, 2_500, 4] {
            assert!(matches!(pair.bob.refuses(&forged(1, index)), DecryptError::BadMac));
        }
        for index in [1, 2] {
            let error = pair.bob.refuses(&forged(1, index));
            let refusal = PqRefusal::KeyGone { epoch: 0, index: index as u32 };
            assert!(matches!(error, DecryptError::PqRatchet(found) if found == refusal), "{error:?}");
        }
        for epoch in [2, 3, u64::from(u32::MAX), u64::MAX] {
            let error = pair.bob.refuses(&forged(epoch, 3));
            let refusal = PqRefusal::FutureEpoch { epoch, ours: 1 };
            assert!(matches!(error, DecryptError::PqRatchet(found) if found == refusal), "{error:?}");
        }
        for (epoch, index) in [(0, 3), (1, 0), (1, 1 << 32), (1, u64::MAX)] {
            let error = pair.bob.refuses(&forged(epoch, index));
            assert!(matches!(error, DecryptError::PqRatchet(PqRefusal::Malformed)), "{error:?}");
        }
        assert!(pair.bob.skipped.is_empty());
        assert_eq!(pair.bob.receive(&genuine).unwrap(), b"genuine");
    }
}

#[test]
fn a_forged_header_asks_the_store_twice_at_most() {
    use std::cell::Cell;
    struct Counting<'a>(&'a MemorySkippedKeys, Cell<u32>);
    impl SkippedKeys for Counting<'_> {
        fn get(&self, id: &SkippedId) -> Result<Option<SkippedRow>, LookupFailed> {
            self.1.set(self.1.get() + 1);
            self.0.get(id)
        }
    }
    for profile in PROFILES {
        let mut pair = Pair::established(*profile, 9);
        let sent = pair.alice_sends(40);
        assert_eq!(pair.bob.receive(&sent[39]).unwrap(), b"39");
        let fresh = pair.alice.send(&mut pair.rng, b"fresh");
        let other = rcseal_crypto::x25519::KeyPair::generate(&mut pair.rng).public;
        let unknown_key = tamper(*profile, &fresh, |proto| {
            proto.ratchet_key = Some([&[ec_type(*profile)][..], other.as_bytes()].concat());
        });
        let old_numbers = tamper(*profile, &sent[3], |proto| proto.ciphertext = Some(vec![0; 16]));
        let far = tamper(*profile, &fresh, |proto| proto.counter = Some(20_000));
        for (forged, lookups) in [(unknown_key, 1), (old_numbers, 2), (far, 0)] {
            let rows = Counting(&pair.bob.skipped, Cell::new(0));
            assert!(pair.bob.session.decrypt(&rows, &forged).is_err());
            assert_eq!(rows.1.get(), lookups);
        }
        assert_eq!(pair.bob.receive(&sent[3]).unwrap(), b"3");
        assert_eq!(pair.bob.receive(&fresh).unwrap(), b"fresh");
    }
}

#[test]
fn repeated_jumps_across_chains_stay_within_the_bound_of_the_session() {
    for profile in PROFILES {
        let mut pair = Pair::established(*profile, 3);
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
fn a_post_quantum_row_the_store_forgot_to_evict_is_not_used() {
    for profile in PROFILES {
        let mut pair = Pair::established(*profile, 10);
        let sent = pair.alice_sends(2_102);
        assert_eq!(pair.bob.receive(&sent[1]).unwrap(), b"1");
        let step = pair.bob.session.decrypt(&pair.bob.skipped, &sent[2_101]).unwrap();
        // The store drops the old message rows and keeps the post-quantum ones, and it did not write the jump's.
        let hoarded = std::mem::take(&mut pair.bob.skipped);
        pair.bob.session.apply(&step.delta).unwrap();
        let message = SkippedId::Message { chain: pair.bob.session.their_ratchet_key().unwrap(), counter: 1 };
        let post_quantum = SkippedId::PostQuantum { epoch: 0, index: 3 };
        struct Rows([SkippedRow; 2]);
        impl SkippedKeys for Rows {
            fn get(&self, id: &SkippedId) -> Result<Option<SkippedRow>, LookupFailed> {
                let row = self.0.iter().find(|row| row.id() == *id);
                Ok(row.map(|row| SkippedRow::from_parts(row.id(), row.ordinal(), row.key().duplicate())))
            }
        }
        let row = |id: &SkippedId| hoarded.get(id).unwrap().unwrap();
        // Even beside a message row that claims to be young enough.
        let young = SkippedRow::from_parts(message, 2_050, row(&message).key().duplicate());
        let rows = Rows([young, row(&post_quantum)]);
        let error = pair.bob.session.decrypt(&rows, &sent[0]).unwrap_err();
        let refusal = PqRefusal::KeyGone { epoch: 0, index: 3 };
        assert!(matches!(error, DecryptError::PqRatchet(found) if found == refusal), "{error:?}");
    }
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
