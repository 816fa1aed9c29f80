//! The post-quantum ratchet inside a session: a channel that loses, re-orders, repeats and changes, and a peer that
//! stops answering. The state is read off the record, at the place that `docs/protocol/spqr.md` names.

use std::collections::BTreeSet;

use proptest::prelude::*;
use rcseal_signal::*;

use crate::support::*;

const STATES: [&str; 12] = [
    "none",
    "KeysUnsampled",
    "KeysSampled",
    "HeaderSent",
    "Ct1Received",
    "EkSentCt1Received",
    "NoHeaderReceived",
    "HeaderReceived",
    "Ct1Sampled",
    "EkReceivedCt1Sampled",
    "Ct1Acknowledged",
    "Ct2Sampled",
];

fn state(side: &Side) -> (&'static str, u64) {
    let record = side.record();
    let epoch = u64::from_be_bytes(record[PQ_SLOT + 2..PQ_SLOT + 10].try_into().unwrap());
    (STATES[usize::from(record[PQ_SLOT + 1])], epoch)
}

/// The states in which two sides can be at once, the one that made the epoch's key pair first.
fn is_pair(one: (&str, u64), other: (&str, u64)) -> bool {
    let (lagging, leading) = if one.1 <= other.1 { (one, other) } else { (other, one) };
    if leading.1 > lagging.1 {
        return leading.1 == lagging.1 + 1 && (lagging.0, leading.0) == ("Ct2Sampled", "NoHeaderReceived");
    }
    let fits = |ek, ct| match ek {
        "KeysUnsampled" => ct == "NoHeaderReceived",
        "KeysSampled" => matches!(ct, "NoHeaderReceived" | "HeaderReceived" | "Ct1Sampled"),
        "HeaderSent" => matches!(ct, "Ct1Sampled" | "EkReceivedCt1Sampled"),
        "Ct1Received" => {
            matches!(ct, "Ct1Sampled" | "EkReceivedCt1Sampled" | "Ct1Acknowledged" | "Ct2Sampled")
        }
        "EkSentCt1Received" => ct == "Ct2Sampled",
        _ => false,
    };
    fits(one.0, other.0) || fits(other.0, one.0)
}

fn assert_pair(pair: &Pair) {
    let (alice, bob) = (state(&pair.alice), state(&pair.bob));
    assert!(is_pair(alice, bob), "{alice:?} with {bob:?}");
}

/// Field 5 of a message.
fn field(profile: Profile, message: &[u8]) -> Vec<u8> {
    let mut found = Vec::new();
    let _ = tamper(profile, message, |proto| found = proto.pq_ratchet.clone().unwrap());
    found
}

fn with_field(profile: Profile, message: &[u8], field: &[u8]) -> Vec<u8> {
    tamper(profile, message, |proto| proto.pq_ratchet = Some(field.to_vec()))
}

/// Round trips until both sides are in `epoch`.
fn run_to_epoch(pair: &mut Pair, epoch: u64) -> u32 {
    let mut rounds = 0;
    while state(&pair.alice).1 < epoch || state(&pair.bob).1 < epoch {
        pair.ping_pong();
        rounds += 1;
        assert!(rounds < 100, "an epoch without loss takes fewer rounds");
    }
    rounds
}

#[test]
fn an_epoch_takes_41_to_44_round_trips_without_loss() {
    for profile in PROFILES {
        let mut pair = Pair::established(*profile, 1);
        run_to_epoch(&mut pair, 2);
        let rounds: u32 = (3..=6).map(|epoch| run_to_epoch(&mut pair, epoch)).sum();
        assert!((41 * 4..=44 * 4).contains(&rounds), "four epochs took {rounds} rounds");
    }
}

#[test]
fn every_state_is_saved_and_restored_on_a_lossy_channel() {
    use rand_chacha::rand_core::Rng;
    for profile in PROFILES {
        let mut pair = Pair::established(*profile, 2);
        let mut seen = BTreeSet::new();
        for _ in 0..400 {
            for alice in [true, false] {
                let (from, to, rng) = pair.ends(alice);
                from.restart();
                let message = from.send(rng, b"text");
                if rng.next_u32() % 10 >= 3 {
                    to.restart();
                    assert_eq!(to.receive(&message).unwrap(), b"text");
                }
                assert_pair(&pair);
                seen.extend([state(&pair.alice).0, state(&pair.bob).0]);
            }
        }
        assert_eq!(seen.len(), 11, "{seen:?}");
        assert!(state(&pair.alice).1 > 4, "the channel loses much, and both sides still heal");
    }
}

#[test]
fn a_changed_chunk_is_refused_in_every_state_and_changes_nothing() {
    for profile in PROFILES {
        let mut pair = Pair::established(*profile, 3);
        let mut seen = BTreeSet::new();
        for _ in 0..90 {
            for alice in [true, false] {
                let (from, to, rng) = pair.ends(alice);
                let message = from.send(rng, b"text");
                seen.insert(state(to).0);
                let before = (to.record(), to.skipped.len());
                let field = field(*profile, &message);
                if field.len() > 32 {
                    let mut changed = field.clone();
                    *changed.last_mut().unwrap() ^= 1;
                    let error = to.receive(&with_field(*profile, &message, &changed)).unwrap_err();
                    assert!(matches!(error, DecryptError::BadMac), "{error:?}");
                }
                // Without its chunk, as the other kind of chunk, as an acknowledgement.
                for (kind, len) in [(0, 3), (4, 3), (1, field.len()), (3, field.len()), (6, field.len())] {
                    let mut changed = field[..len].to_vec();
                    let at = changed.len().min(3);
                    changed.splice(at..changed.len().min(at + 1), [kind]);
                    if changed != field {
                        assert!(to.receive(&with_field(*profile, &message, &changed)).is_err());
                    }
                }
                assert_eq!((to.record(), to.skipped.len()), before);
                assert_eq!(to.receive(&message).unwrap(), b"text");
            }
        }
        assert_eq!(seen.len(), 8, "in step, these are the states in which a message arrives: {seen:?}");
    }
}

#[test]
fn epochs_and_indices_out_of_reach_are_refused_by_name() {
    for profile in PROFILES {
        let mut pair = Pair::established(*profile, 4);
        let message = pair.alice.send(&mut pair.rng, b"text");
        let genuine = field(*profile, &message);
        let before = pair.bob.record();
        // Version, epoch and index are one byte each while they are small.
        let changed = |from: usize, to: usize, bytes: &[u8]| {
            let mut field = genuine.clone();
            field.splice(from..to, bytes.iter().copied());
            with_field(*profile, &message, &field)
        };
        let mut refusal = |message: &[u8]| match pair.bob.receive(message).unwrap_err() {
            DecryptError::PqRatchet(refusal) => refusal,
            error => panic!("{error:?}"),
        };
        assert_eq!(refusal(&changed(1, 2, &[2])), PqRefusal::FutureEpoch { epoch: 2, ours: 1 });
        assert_eq!(refusal(&changed(1, 2, &[0xAC, 0x02])), PqRefusal::FutureEpoch { epoch: 300, ours: 1 });
        assert_eq!(refusal(&changed(1, 2, &[0])), PqRefusal::Malformed);
        assert_eq!(refusal(&changed(2, 3, &[0])), PqRefusal::Malformed);
        assert_eq!(refusal(&changed(2, 3, &[1])), PqRefusal::KeyGone { epoch: 0, index: 1 });
        // Two messages of Alice are read: 25,000 beyond the last is 25,002.
        let jump = PqRefusal::TooFarAhead { jump: 25_001, max: PQ_FORWARD_JUMP_MAX };
        assert_eq!(refusal(&changed(2, 3, &[0xAB, 0xC3, 0x01])), jump);
        assert_eq!(refusal(&changed(4, 5, &[0x80, 0x80, 0x04])), PqRefusal::Malformed, "chunk index 65,536");
        let error = pair.bob.receive(&changed(2, 3, &[0xAA, 0xC3, 0x01])).unwrap_err();
        assert!(matches!(error, DecryptError::BadMac), "the last index in reach: {error:?}");
        assert_eq!(pair.bob.record(), before);
        assert_eq!(pair.bob.receive(&message).unwrap(), b"text");
    }
}

#[test]
fn messages_of_the_last_key_epoch_may_be_late_and_older_ones_are_refused() {
    for profile in PROFILES {
        let mut pair = Pair::established(*profile, 5);
        let late = pair.alice_sends(3);
        pair.ping_pong();
        assert_eq!(pair.bob.skipped.count(SkippedKind::PostQuantum), 3);
        while !matches!(state(&pair.bob), ("Ct1Sampled", 1)) {
            pair.ping_pong();
        }
        assert_eq!(pair.bob.receive(&late[0]).unwrap(), b"0");
        run_to_epoch(&mut pair, 3);
        assert_eq!(pair.bob.skipped.count(SkippedKind::PostQuantum), 0, "skipped keys go with their key epoch");
        let before = pair.bob.record();
        let error = pair.bob.receive(&late[1]).unwrap_err();
        let refusal = PqRefusal::EpochGone { epoch: 0, oldest: 1 };
        assert!(matches!(error, DecryptError::PqRatchet(found) if found == refusal), "{error:?}");
        assert_eq!(pair.bob.record(), before);
    }
}

#[test]
fn a_side_that_only_listens_answers_when_it_writes_at_last() {
    let mut pair = Pair::established(Profile::Native, 6);
    for _ in 0..200 {
        let message = pair.alice.send(&mut pair.rng, b"monologue");
        assert_eq!(pair.bob.receive(&message).unwrap(), b"monologue");
    }
    // One-sided traffic never heals: all of it is one epoch.
    assert_eq!((state(&pair.alice), state(&pair.bob)), (("KeysSampled", 1), ("HeaderReceived", 1)));
    run_to_epoch(&mut pair, 2);
}

#[test]
fn both_may_begin_at_once() {
    let mut rng = rng(7);
    let (one, other) = (Device::new(&mut rng, Profile::Native, 1), Device::new(&mut rng, Profile::Native, 2));
    // Two sessions, one begun by each; their ratchets have nothing to do with each other.
    let mut from_one = Side::new(one.initiate(&mut rng, &other, true));
    let mut from_other = Side::new(other.initiate(&mut rng, &one, true));
    let (first, second) = (from_one.send(&mut rng, b"one"), from_other.send(&mut rng, b"other"));
    let mut at_other = Side::new(other.accept(&one, &first, true).unwrap().session);
    let mut at_one = Side::new(one.accept(&other, &second, true).unwrap().session);
    let mut pass = |writer: &mut Side, reader: &mut Side| {
        let message = writer.send(&mut rng, b"text");
        assert_eq!(reader.receive(&message).unwrap(), b"text");
    };
    for _ in 0..50 {
        pass(&mut from_one, &mut at_other);
        pass(&mut at_one, &mut from_other);
        pass(&mut at_other, &mut from_one);
        pass(&mut from_other, &mut at_one);
    }
    assert!(state(&from_one).1 >= 2 && state(&from_other).1 >= 2);
}

#[test]
fn records_with_a_ratchet_that_cannot_be_are_refused() {
    let mut pair = Pair::established(Profile::Native, 8);
    run_to_epoch(&mut pair, 2);
    let record = pair.bob.record();
    let refused = |at: usize, value: u8| {
        let mut record = record.clone();
        record[at] = value;
        let error = Session::from_record(&record).map(|_| ()).unwrap_err();
        assert_eq!(error, RecordError::Field { field: "post-quantum ratchet" });
    };
    refused(PQ_SLOT, 0);
    refused(PQ_SLOT, 2);
    refused(PQ_SLOT + 1, 0);
    refused(PQ_SLOT + 1, 12);
    // The same state an epoch later would be the other side's.
    refused(PQ_SLOT + 9, record[PQ_SLOT + 9] + 1);
    refused(record.len() - 1, 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn loss_and_disorder_never_part_the_two_sides(
        seed: u64,
        steps in proptest::collection::vec((any::<bool>(), 0..10u8, any::<prop::sample::Index>()), 1..300),
    ) {
        let mut pair = Pair::established(Profile::Native, seed);
        let mut waiting: Vec<(bool, Vec<u8>)> = Vec::new();
        for (alice, dice, pick) in steps {
            let side = if alice { &mut pair.alice } else { &mut pair.bob };
            waiting.push((alice, side.send(&mut pair.rng, b"text")));
            if dice >= 3 {
                let (alice, message) = waiting.swap_remove(pick.index(waiting.len()));
                let side = if alice { &mut pair.bob } else { &mut pair.alice };
                side.restart();
                match side.receive(&message) {
                    Ok(text) => prop_assert_eq!(text, b"text"),
                    Err(DecryptError::PqRatchet(PqRefusal::EpochGone { epoch, oldest })) => prop_assert!(epoch < oldest),
                    Err(error) => return Err(TestCaseError::fail(format!("{error:?}"))),
                }
            }
            if dice == 9 {
                waiting.clear();
            }
            prop_assert!(is_pair(state(&pair.alice), state(&pair.bob)));
        }
    }
}
