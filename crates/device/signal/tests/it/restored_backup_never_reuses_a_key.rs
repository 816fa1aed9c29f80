//! The crate's part: a delta made from older state is not applied. (A store that was rolled back as a whole is noticed
//! by the client's generation counter in the key vault.)

use rcseal_signal::*;

use crate::support::*;

#[test]
fn two_encryptions_from_one_state_cannot_both_be_committed() {
    for profile in PROFILES {
        let mut pair = Pair::established(*profile, 1);
        let copy = Session::from_record(&pair.alice.record()).unwrap();
        let one = pair.alice.session.encrypt(&mut pair.rng, b"one").unwrap();
        let two = copy.encrypt(&mut pair.rng, b"two").unwrap();
        assert_eq!(one.delta.step(), two.delta.step());
        pair.alice.commit(&one.delta);
        let step = one.delta.step();
        assert_eq!(pair.alice.session.apply(&two.delta).unwrap_err(), StaleDelta { expected: step + 1, found: step });
        assert_eq!(pair.bob.receive(&one.output).unwrap(), b"one");
    }
}

#[test]
fn a_session_whose_last_ciphertext_was_not_committed_encrypts_nothing_else() {
    for profile in PROFILES {
        let mut pair = Pair::established(*profile, 1);
        let one = pair.alice.session.encrypt(&mut pair.rng, b"one").unwrap();
        let refused = pair.alice.session.encrypt(&mut pair.rng, b"two").unwrap_err();
        assert!(matches!(refused, EncryptError::StepNotApplied), "{refused}");
        // Reading goes on meanwhile, and a step that is given up makes room for another.
        let text = pair.bob.send(&mut pair.rng, b"text");
        assert!(pair.alice.session.decrypt(&pair.alice.skipped, &text).is_ok());
        pair.alice.session.abandon(one).unwrap();
        let two = pair.alice.send(&mut pair.rng, b"two");
        assert_eq!(pair.bob.receive(&two).unwrap(), b"two");
        // A ciphertext that was never made takes nothing.
        let long = vec![0; PLAINTEXT_LEN_MAX + 1];
        assert!(pair.alice.session.encrypt(&mut pair.rng, &long).is_err());
        let three = pair.alice.send(&mut pair.rng, b"three");
        assert_eq!(pair.bob.receive(&three).unwrap(), b"three");
    }
}

#[test]
fn a_message_that_is_read_does_not_make_room_for_a_second_ciphertext_with_the_same_keys() {
    for profile in PROFILES {
        let mut pair = Pair::established(*profile, 7);
        // Bob hears nothing of Alice's new chain, so that what he writes next leaves it where it is.
        let answer = pair.bob.send(&mut pair.rng, b"answer");
        assert_eq!(pair.alice.receive(&answer).unwrap(), b"answer");
        pair.alice.send(&mut pair.rng, b"lost");
        let one = pair.alice.session.encrypt(&mut pair.rng, b"one").unwrap();
        let text = pair.bob.send(&mut pair.rng, b"text");
        assert_eq!(pair.alice.receive(&text).unwrap(), b"text");
        let refused = pair.alice.session.encrypt(&mut pair.rng, b"two").unwrap_err();
        assert!(matches!(refused, EncryptError::StepNotApplied), "{refused}");
        // The first one can no longer be committed, only given up.
        let (expected, found) = (one.delta.step() + 1, one.delta.step());
        assert_eq!(pair.alice.session.apply(&one.delta).unwrap_err(), StaleDelta { expected, found });
        pair.alice.session.abandon(one).unwrap();
        let two = pair.alice.send(&mut pair.rng, b"two");
        assert_eq!(pair.bob.receive(&two).unwrap(), b"two");
    }
}

#[test]
fn only_the_ciphertext_that_is_not_committed_can_be_given_up() {
    for profile in PROFILES {
        let mut pair = Pair::established(*profile, 8);
        let sent = pair.alice.session.encrypt(&mut pair.rng, b"sent").unwrap();
        pair.alice.commit(&sent.delta);
        let text = pair.bob.send(&mut pair.rng, b"text");
        let read = pair.alice.session.decrypt(&pair.alice.skipped, &text).unwrap();
        let of_the_other_end = pair.bob.session.encrypt(&mut pair.rng, b"other end").unwrap();
        let one = pair.alice.session.encrypt(&mut pair.rng, b"one").unwrap();
        assert_eq!(read.delta.step(), one.delta.step());
        for step in [sent, read, of_the_other_end] {
            assert_eq!(pair.alice.session.abandon(step).unwrap_err(), NotPending);
            let refused = pair.alice.session.encrypt(&mut pair.rng, b"two").unwrap_err();
            assert!(matches!(refused, EncryptError::StepNotApplied), "{refused}");
        }
        pair.alice.commit(&one.delta);
        assert_eq!(pair.alice.session.abandon(one).unwrap_err(), NotPending);
    }
}

#[test]
fn a_delta_of_another_session_is_not_applied() {
    let mut one = Pair::established(Profile::Native, 2);
    let mut two = Pair::established(Profile::Native, 3);
    let step = two.alice.session.encrypt(&mut two.rng, b"text").unwrap();
    let before = one.alice.record();
    assert!(one.alice.session.apply(&step.delta).is_err());
    // Nor one of the other end of the same session.
    let step = one.bob.session.encrypt(&mut one.rng, b"text").unwrap();
    assert!(one.alice.session.apply(&step.delta).is_err());
    assert_eq!(one.alice.record(), before);
}

#[test]
fn the_step_survives_a_restart() {
    let mut pair = Pair::established(Profile::Native, 4);
    let copy = Session::from_record(&pair.alice.record()).unwrap();
    let stale = copy.encrypt(&mut pair.rng, b"stale").unwrap();
    pair.alice.send(&mut pair.rng, b"sent");
    pair.alice.restart();
    assert!(pair.alice.session.apply(&stale.delta).is_err());
}

#[test]
fn no_state_of_the_post_quantum_ratchet_is_left_twice() {
    // A copy of every state goes on beside the original: what the copy encrypts names the same keys, and its delta is stale.
    for profile in PROFILES {
        let mut pair = Pair::established(*profile, 5);
        for round in 0..60 {
            for from_alice in [true, false] {
                let (from, to, rng) = pair.ends(from_alice);
                let copy = Session::from_record(&from.record()).unwrap();
                let message = from.send(rng, b"first life");
                let second = copy.encrypt(rng, b"second life").unwrap();
                assert!(from.session.apply(&second.delta).is_err(), "round {round}");
                assert_eq!(to.receive(&message).unwrap(), b"first life");
                // The peer, too, takes one of the two only.
                to.refuses(&second.output);
            }
        }
    }
}

#[test]
fn a_receiver_restored_from_a_backup_moves_on_alone_from_where_the_backup_was() {
    // What the crate shows of a rollback: the record says its step, and a delta made after it does not fit.
    for profile in PROFILES {
        let mut pair = Pair::established(*profile, 6);
        let backup = pair.bob.record();
        let message = pair.alice.send(&mut pair.rng, b"read once");
        let step = pair.bob.session.decrypt(&pair.bob.skipped, &message).unwrap();
        pair.bob.commit(&step.delta);
        let later = pair.bob.session.encrypt(&mut pair.rng, b"after it").unwrap();
        let mut restored = Session::from_record(&backup).unwrap();
        assert_eq!(restored.step() + 1, pair.bob.session.step());
        let expected = restored.step() + 1;
        assert_eq!(restored.apply(&later.delta).unwrap_err(), StaleDelta { expected, found: expected + 1 });
        assert_eq!(restored.record().as_bytes(), backup);
    }
}
