//! Beginning, writing both ways, losing and overtaking, replays.

use rcseal_pairwise::{ONE_TIME_MAX, PairwiseError, SIGNED_AGE_S};
use rcseal_signal::DecryptError;

use crate::support::{Device, acquainted};

#[test]
fn two_people_write_to_each_other_and_a_session_is_begun_once() {
    let (mut alice, mut bob) = acquainted();
    for round in 0..20 {
        alice.send("alice", &mut bob, "bob", &format!("there {round}"));
        bob.send("bob", &mut alice, "alice", &format!("and back {round}"));
    }
    let bundle = bob.bundle();
    assert!(!alice.begin("bob", &bundle).unwrap());
    let view = alice.call(|pairwise, at| pairwise.get_or_create_session("bob", None, at)).unwrap();
    assert!(view.has_answered && !view.is_new);
}

#[test]
fn without_a_session_a_bundle_is_needed() {
    let mut alice = Device::new(1);
    assert!(matches!(alice.encrypt("bob", "hello"), Err(PairwiseError::BundleNeeded)));
    let without = alice.call(|pairwise, at| pairwise.get_or_create_session("bob", None, at));
    assert!(matches!(without, Err(PairwiseError::BundleNeeded)));
}

#[test]
fn messages_that_overtake_each_other_all_arrive_and_none_arrives_twice() {
    let (mut alice, mut bob) = acquainted();
    let mut sent: Vec<_> = (0..12).map(|n| (n, alice.encrypt("bob", &format!("{n}")).unwrap())).collect();
    sent.reverse();
    sent.swap(3, 9);
    for (n, message) in &sent {
        assert_eq!(bob.decrypt("alice", message).unwrap(), format!("{n}"));
    }
    for (_, message) in &sent {
        let again = bob.decrypt("alice", message);
        assert!(matches!(again, Err(PairwiseError::Decrypt(DecryptError::DuplicateMessage { .. }))), "{again:?}");
    }
    // The keys of what overtook the others were deleted as they were used.
    let rows = bob.store.rows().len();
    bob.send("bob", &mut alice, "alice", "still here");
    assert_eq!(bob.store.rows().len(), rows);
}

#[test]
fn a_first_message_opens_a_session_once_even_after_the_peer_was_forgotten() {
    for last_resort in [false, true] {
        let (mut alice, mut bob) = (Device::new(1), Device::new(2));
        let bundle = if last_resort { bob.last_resort() } else { bob.bundle() };
        alice.begin("bob", &bundle).unwrap();
        let first = alice.encrypt("bob", "hello").unwrap();
        assert_eq!(bob.decrypt("alice", &first).unwrap(), "hello");
        assert!(matches!(bob.decrypt("alice", &first), Err(PairwiseError::Decrypt(_))));
        bob.call(|pairwise, at| pairwise.forget_peer("alice", at)).unwrap();
        let again = bob.decrypt("alice", &first);
        if last_resort {
            assert!(matches!(again, Err(PairwiseError::Replayed)), "{again:?}");
        } else {
            assert!(matches!(again, Err(PairwiseError::PrekeyGone)), "{again:?}");
        }
    }
}

#[test]
fn both_begin_at_once_and_converge_on_one_session() {
    let (mut alice, mut bob) = (Device::new(1), Device::new(2));
    let (of_alice, of_bob) = (alice.bundle(), bob.bundle());
    alice.begin("bob", &of_bob).unwrap();
    bob.begin("alice", &of_alice).unwrap();
    let (from_alice, from_bob) = (alice.encrypt("bob", "a").unwrap(), bob.encrypt("alice", "b").unwrap());
    assert_eq!(bob.decrypt("alice", &from_alice).unwrap(), "a");
    assert_eq!(alice.decrypt("bob", &from_bob).unwrap(), "b");
    for round in 0..4 {
        alice.send("alice", &mut bob, "bob", &format!("there {round}"));
        bob.send("bob", &mut alice, "alice", &format!("back {round}"));
    }
}

#[test]
fn a_changed_message_changes_nothing() {
    let (mut alice, mut bob) = acquainted();
    let message = alice.encrypt("bob", "hello").unwrap();
    let before = bob.store.rows().clone();
    for at in 2..message.len() {
        let mut changed = message.clone();
        changed[at] ^= 1;
        assert!(bob.decrypt("alice", &changed).is_err(), "byte {at}");
    }
    assert_eq!(*bob.store.rows(), before);
    assert_eq!(bob.decrypt("alice", &message).unwrap(), "hello");
}

#[test]
fn an_initiation_that_nobody_answered_for_a_month_needs_another_bundle() {
    let (mut alice, mut bob) = (Device::new(1), Device::new(2));
    let (first, second) = (bob.bundle(), bob.bundle());
    alice.begin("bob", &first).unwrap();
    alice.encrypt("bob", "anybody there?").unwrap();
    alice.now_s += SIGNED_AGE_S + 1;
    assert!(matches!(alice.encrypt("bob", "hello?"), Err(PairwiseError::BundleNeeded)));
    assert!(alice.begin("bob", &second).unwrap());
    alice.send("alice", &mut bob, "bob", "now");
}

#[test]
fn prekeys_are_replenished_replaced_and_bounded() {
    let mut bob = Device::new(2);
    let state = |bob: &mut Device| bob.call(|pairwise, at| pairwise.prekey_state(at)).unwrap();
    let made = bob.call(|pairwise, at| pairwise.replenish(98, at)).unwrap();
    assert_eq!(made.iter().map(rcseal_pairwise::Bundle::is_one_time).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(state(&mut bob).one_time, 2);

    // Two replacements later a bundle of before opens nothing.
    let (mut alice, old) = (Device::new(1), made[0].to_bytes());
    alice.begin("bob", &old).unwrap();
    let late = alice.encrypt("bob", "late").unwrap();
    for _ in 0..2 {
        bob.now_s += SIGNED_AGE_S;
        assert!(state(&mut bob).is_rotation_due);
        bob.call(|pairwise, at| pairwise.replenish(100, at)).unwrap();
        assert!(!state(&mut bob).is_rotation_due);
    }
    assert!(matches!(bob.decrypt("alice", &late), Err(PairwiseError::PrekeyGone)));

    for _ in 0..10 {
        bob.call(|pairwise, at| pairwise.bundles(1_000, at)).unwrap();
    }
    assert_eq!(state(&mut bob).one_time, ONE_TIME_MAX);
}
