//! The crate's part: a delta made from older state is not applied. (A store that was rolled back as a whole is noticed
//! by the client's generation counter in the key vault.)

use rcseal_signal::*;

use crate::support::*;

#[test]
fn two_encryptions_from_one_state_cannot_both_be_committed() {
    let mut pair = Pair::established(Profile::Native, 1);
    let one = pair.alice.session.encrypt(&mut pair.rng, b"one").unwrap();
    let two = pair.alice.session.encrypt(&mut pair.rng, b"two").unwrap();
    assert_eq!(one.delta.step(), two.delta.step());
    pair.alice.commit(&one.delta);
    let step = one.delta.step();
    assert_eq!(pair.alice.session.apply(&two.delta).unwrap_err(), StaleDelta { expected: step + 1, found: step });
    assert_eq!(pair.bob.receive(&one.output).unwrap(), b"one");
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
    let stale = pair.alice.session.encrypt(&mut pair.rng, b"stale").unwrap();
    pair.alice.send(&mut pair.rng, b"sent");
    pair.alice.restart();
    assert!(pair.alice.session.apply(&stale.delta).is_err());
}
