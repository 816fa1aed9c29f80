//! Changes of account key that a contact missed, made up for link by link.

use rcseal_credential::{AccountSigner, KeySetBuilder, Succession};

use super::{acquainted, offer, parse, rotate, verification};
use crate::contact::{KeySetOutcome, KeySetRefusal, Verification};
use crate::event::{Event, KeySetReason};
use crate::tests::crash::with_every_crash;
use crate::tests::world::{World, events, text, texts};

#[test]
fn missed_migrations_are_made_up_for_link_by_link() {
    for page in [16, 1] {
        let (mut world, mut ada, mut bob, conversation) = acquainted();
        let account = ada.address.account;
        world.chain_len = Some(page);
        rotate(&mut world, &mut ada, 4);
        world.send(&mut ada, conversation, text("three"));
        let newest = world.key_sets[&account].clone();
        let outcome = offer(&mut bob, world.now, account, &newest);
        assert!(matches!(outcome, KeySetOutcome::Behind), "{outcome:?}");
        assert!(!events(&mut bob).iter().any(|event| matches!(event, Event::KeySetRefused { .. })));
        world.settle(&mut [&mut ada, &mut bob]);
        assert_eq!(bob.with(0, |engine| engine.contact_view(account)).unwrap().key_set_counter, Some(5));
        assert_eq!(verification(&mut bob, account), Verification::Changed);
        assert!(events(&mut bob).contains(&Event::AccountKeyChanged { account, how: Succession::Migrated }));
        assert_eq!(texts(&mut bob, conversation).last().unwrap(), "three");
    }
}

#[test]
fn an_invitation_from_before_a_migration_still_leads_to_its_account() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut bob, &mut ada);
    rotate(&mut world, &mut ada, 2);
    world.send(&mut bob, conversation, text("one"));
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut ada, conversation), ["one"]);
    assert_eq!(verification(&mut bob, ada.address.account), Verification::Unverified);
}

#[test]
fn an_invitation_leads_to_no_account_whose_chain_does_not_begin_with_it() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    world.introduce(&mut bob, &mut ada);
    let account = ada.address.account;
    rotate(&mut world, &mut ada, 2);
    let chain = world.history[&account].clone();
    let outcome = offer(&mut bob, world.now, account, &chain[2]);
    assert!(matches!(outcome, KeySetOutcome::Behind), "{outcome:?}");
    let outcome = bob.with(world.now, |engine| engine.handle_key_sets(account, &chain[1..])).unwrap();
    assert!(matches!(outcome, KeySetOutcome::Refused(KeySetRefusal::NotPinned)), "{outcome:?}");
    assert_eq!(bob.with(0, |engine| engine.contact_view(account)).unwrap().key_set_counter, None);
}

#[test]
fn a_chain_that_does_not_hold_changes_nothing() {
    let (mut world, mut ada, mut bob, _) = acquainted();
    let account = ada.address.account;
    rotate(&mut world, &mut ada, 3);
    let chain = world.history[&account].clone();
    let stranger = world.history[&bob.address.account].clone();
    // A set by somebody who has no right to the account: its own key, and a reset that is not yet due.
    let thief = AccountSigner::from_seed([9; 32]);
    let second = parse(&chain[1]);
    let forged = KeySetBuilder::successor(&second).sign_migration(&thief, &AccountSigner::from_seed([8; 32]));
    assert!(forged.is_err());
    let before = bob.with(0, |engine| engine.contact_view(account)).unwrap();
    let cases: [(Vec<Vec<u8>>, KeySetReason); 6] = [
        (Vec::new(), KeySetReason::Gap),
        (vec![chain[2].clone(), chain[3].clone()], KeySetReason::Gap),
        (vec![chain[1].clone(), chain[3].clone()], KeySetReason::Gap),
        (vec![chain[2].clone(), chain[1].clone()], KeySetReason::Gap),
        (vec![chain[1].clone(), stranger[0].clone()], KeySetReason::OtherAccount),
        (vec![chain[1].clone(), b"no key set".to_vec()], KeySetReason::Invalid),
    ];
    let mut told = Vec::new();
    events(&mut bob);
    for (case, expected) in cases {
        let outcome = bob.with(world.now, |engine| engine.handle_key_sets(account, &case)).unwrap();
        assert!(
            matches!(outcome, KeySetOutcome::Refused(refusal) if KeySetReason::of(&refusal) == expected),
            "{outcome:?}"
        );
        if !told.contains(&expected) {
            assert_eq!(events(&mut bob), [Event::KeySetRefused { account, reason: expected }]);
            told.push(expected);
        }
        assert_eq!(events(&mut bob), [], "each reason is told once");
        let now = bob.with(0, |engine| engine.contact_view(account)).unwrap();
        assert_eq!((now.key_set_counter, now.verification), (before.key_set_counter, Verification::Verified));
    }
    let outcome = bob.with(world.now, |engine| engine.handle_key_sets(account, &chain[1..])).unwrap();
    assert!(matches!(outcome, KeySetOutcome::Accepted { counter } if counter.get() == 4), "{outcome:?}");
}

#[test]
fn a_refusal_is_told_once_however_often_the_server_is_asked_until_a_set_is_believed_again() {
    let (mut world, mut ada, mut bob, _) = acquainted();
    let account = ada.address.account;
    let (old, refused) =
        (world.key_sets[&account].clone(), Event::KeySetRefused { account, reason: KeySetReason::Rollback });
    rotate(&mut world, &mut ada, 1);
    world.settle(&mut [&mut ada, &mut bob]);
    let genuine = world.key_sets[&account].clone();
    events(&mut bob);
    let mut expected = vec![refused];
    for _ in 0..5 {
        let outcome = bob.with(world.now, |engine| engine.handle_key_set(account, &old)).unwrap();
        assert!(matches!(outcome, KeySetOutcome::Refused(_)), "{outcome:?}");
        assert_eq!(events(&mut bob), std::mem::take(&mut expected));
    }
    let invalid = Event::KeySetRefused { account, reason: KeySetReason::Invalid };
    bob.with(world.now, |engine| engine.handle_key_set(account, b"no key set")).unwrap();
    assert_eq!(events(&mut bob), [invalid], "another reason is news");
    bob.with(world.now, |engine| engine.handle_key_set(account, &genuine)).unwrap();
    for offered in [old.as_slice(), b"no key set"] {
        bob.with(world.now, |engine| engine.handle_key_set(account, offered)).unwrap();
    }
    assert_eq!(events(&mut bob), [refused, invalid], "it has begun again");
}

#[test]
fn a_chain_longer_than_any_answer_is_taken_in_parts() {
    let (mut world, mut ada, mut bob, _) = acquainted();
    let account = ada.address.account;
    rotate(&mut world, &mut ada, 70);
    let chain = world.history[&account][1..].to_vec();
    let outcome = bob.with(world.now, |engine| engine.handle_key_sets(account, &chain)).unwrap();
    assert!(matches!(outcome, KeySetOutcome::Accepted { counter } if counter.get() == 65), "{outcome:?}");
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(bob.with(0, |engine| engine.contact_view(account)).unwrap().key_set_counter, Some(71));
}

#[test]
fn a_chain_is_taken_in_whole_or_not_at_all() {
    let (mut world, mut ada, mut bob, _) = acquainted();
    let account = ada.address.account;
    rotate(&mut world, &mut ada, 3);
    let chain = world.history[&account][1..].to_vec();
    let now = world.now;
    let writes = with_every_crash(|write| {
        bob.store.fail_at_write(write);
        let taken = bob.with(now, |engine| engine.handle_key_sets(account, &chain)).is_ok();
        let counter = bob.with(0, |engine| engine.contact_view(account)).unwrap().key_set_counter;
        assert_eq!(counter, Some(if taken { 4 } else { 1 }));
        taken
    });
    assert!(writes > 3, "{writes} writes");
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(12))]

    #[test]
    fn a_chain_of_any_bytes_changes_nothing(
        chain in proptest::collection::vec(proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200), 0..4),
        damage: usize,
        with: u8,
    ) {
        let mut world = World::new();
        let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
        world.introduce(&mut bob, &mut ada);
        world.settle(&mut [&mut bob]);
        let account = ada.address.account;
        rotate(&mut world, &mut ada, 1);
        let before = bob.with(0, |engine| engine.contact_view(account)).unwrap().key_set_counter;
        let outcome = bob.with(world.now, |engine| engine.handle_key_sets(account, &chain)).unwrap();
        proptest::prop_assert!(matches!(outcome, KeySetOutcome::Refused(_)), "{outcome:?}");
        let mut genuine = world.history[&account].last().unwrap().clone();
        let at = damage % genuine.len();
        genuine[at] ^= with.max(1);
        let outcome = bob.with(world.now, |engine| engine.handle_key_sets(account, &[genuine])).unwrap();
        proptest::prop_assert!(matches!(outcome, KeySetOutcome::Refused(_)), "{outcome:?}");
        proptest::prop_assert_eq!(bob.with(0, |engine| engine.contact_view(account)).unwrap().key_set_counter, before);
    }
}
