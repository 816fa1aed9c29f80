//! Safety numbers, and what a change of the account key does to them.

use rcseal_credential::{AccountSigner, KeySetBuilder, ScanError, Succession, UnverifiedKeySet};

use super::world::{Phone, World, events, text, texts};
use crate::contact::{ContactError, KeySetOutcome, Verification};
use crate::event::Event;
use crate::send::SendError;

/// A key set of `phone`'s account under a new account key, signed over by the old one: what removing a holder of the account key makes.
fn migrated(world: &World, phone: &mut Phone) -> Vec<u8> {
    let known = UnverifiedKeySet::parse(&world.key_sets[&phone.address.account]).unwrap().verify().unwrap();
    let old = phone.with(0, |engine| engine.account()).unwrap().signer.unwrap();
    let new = AccountSigner::generate(&mut phone.rng);
    KeySetBuilder::successor(&known).sign_migration(&old, &new).unwrap().as_bytes().to_vec()
}

#[test]
fn nothing_is_sent_to_a_verified_contact_whose_account_key_changed_until_numbers_are_compared_again() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    let bob_account = bob.address.account;
    world.send(&mut ada, conversation, text("one"));
    world.settle(&mut [&mut ada, &mut bob]);
    ada.with(world.now, |engine| engine.mark_verified(bob_account)).unwrap();
    let before = ada.with(world.now, |engine| engine.safety_number(bob_account)).unwrap();
    events(&mut ada);

    let changed = migrated(&world, &mut bob);
    let outcome = ada.with(world.now, |engine| engine.handle_key_set(bob_account, &changed)).unwrap();
    assert!(matches!(outcome, KeySetOutcome::Accepted { .. }), "{outcome:?}");
    assert!(events(&mut ada).contains(&Event::AccountKeyChanged { account: bob_account, how: Succession::Migrated }));
    let contact = ada.with(world.now, |engine| engine.contact_view(bob_account)).unwrap();
    assert_eq!(contact.verification, Verification::Changed);
    let after = ada.with(world.now, |engine| engine.safety_number(bob_account)).unwrap();
    assert_ne!(before.numeric(), after.numeric());
    let refused = ada.with(world.now, |engine| engine.send(conversation, text("two"), None)).unwrap_err();
    assert!(matches!(refused, SendError::VerificationChanged), "{refused:?}");

    ada.with(world.now, |engine| engine.mark_verified(bob_account)).unwrap();
    world.send(&mut ada, conversation, text("three"));
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut bob, conversation), ["one", "three"]);
}

#[test]
fn digits_verify_the_keys_that_they_were_compared_for_and_no_later_ones() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, conversation, text("one"));
    world.settle(&mut [&mut ada, &mut bob]);
    let bob_account = bob.address.account;
    // Ada and Bob compare on the phone. Meanwhile somebody has Bob's account key replaced.
    let compared = ada.with(world.now, |engine| engine.safety_number(bob_account)).unwrap().numeric();
    let changed = migrated(&world, &mut bob);
    ada.with(world.now, |engine| engine.handle_key_set(bob_account, &changed)).unwrap();
    let refused = ada.with(world.now, |engine| engine.verify_digits(bob_account, &compared)).unwrap_err();
    assert!(matches!(refused, ContactError::Scan(ScanError::Mismatch)), "{refused:?}");
    assert_eq!(refused.code(), "verify_mismatch");
    let view = |ada: &mut Phone| ada.with(world.now, |engine| engine.contact_view(bob_account)).unwrap().verification;
    assert_eq!(view(&mut ada), Verification::Unverified);
    let compared = ada.with(world.now, |engine| engine.safety_number(bob_account)).unwrap().numeric();
    ada.with(world.now, |engine| engine.verify_digits(bob_account, &compared.replace(' ', "-"))).unwrap();
    assert_eq!(view(&mut ada), Verification::Verified);
}

#[test]
fn an_unverified_contact_whose_account_key_changed_is_told_of_and_still_written_to() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    let bob_account = bob.address.account;
    world.send(&mut ada, conversation, text("one"));
    world.settle(&mut [&mut ada, &mut bob]);
    events(&mut ada);
    let changed = migrated(&world, &mut bob);
    ada.with(world.now, |engine| engine.handle_key_set(bob_account, &changed)).unwrap();
    assert!(events(&mut ada).contains(&Event::AccountKeyChanged { account: bob_account, how: Succession::Migrated }));
    let contact = ada.with(world.now, |engine| engine.contact_view(bob_account)).unwrap();
    assert_eq!(contact.verification, Verification::Unverified);
    world.send(&mut ada, conversation, text("two"));
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut bob, conversation), ["one", "two"]);
}
