//! A broker that lies: each way has a name, is told to the app, and changes nothing.

use rcseal_credential::mapping::{Grounds, LIFETIME_MS_MAX, Mapping, SignedStatement, VerifiedMapping};
use rcseal_credential::{AccountSigner, KeySetBuilder, RecoveryCommitment, UnverifiedKeySet};
use rcseal_crypto::ed25519::SigningKey;

use super::broker::{Broker, Entry, Lie};
use super::{DAY_MS, enrolled, findings, found, look_up, meet, number, refused, shown_by_evidence};
use crate::carrier::CarrierSetup;
use crate::event::Event;
use crate::number::{BrokerCheck, BrokerFinding, LookupResult, NumberState};
use crate::plain::PlainError;
use crate::policy::{FallbackPolicy, PolicyScope, Reason, Subject};
use crate::tests::carrier::wide;
use crate::tests::world::{Phone, World, events};

/// Ada has the number, and Bob has her as a contact by it.
fn acquainted() -> (World, Phone, Phone) {
    let (mut world, mut ada, mut bob) = enrolled();
    world.claim(&mut ada, &number(), Grounds::First);
    found(&mut world, &mut bob);
    bob.with(world.now, |engine| engine.add_contact_by_number(&number(), "Ada")).unwrap();
    world.settle(&mut [&mut ada, &mut bob]);
    events(&mut ada);
    events(&mut bob);
    (world, ada, bob)
}

/// The same, and Ada says on her card which mapping she signed.
fn acquainted_with_cards() -> (World, Phone, Phone) {
    let (mut world, mut ada, mut bob) = enrolled();
    let setup = CarrierSetup::by_broker(number(), wide());
    ada.with(world.now, |engine| engine.set_carrier(Some(setup))).unwrap();
    world.claim(&mut ada, &number(), Grounds::First);
    meet(&mut world, &mut ada, &mut bob);
    events(&mut ada);
    events(&mut bob);
    (world, ada, bob)
}

fn mallory(world: &mut World) -> Phone {
    let mut mallory = world.phone(666, "Mallory");
    world.enrol(&mut mallory);
    mallory
}

fn newest(world: &mut World) -> (VerifiedMapping, Vec<u8>) {
    world.broker().newest(&number()).unwrap().clone()
}

/// Nothing changed: Bob's contact has the number still, and is who she was.
fn is_unharmed(world: &World, bob: &mut Phone, ada: &Phone) {
    let view = bob.with(world.now, |engine| engine.contact_number(ada.address.account)).unwrap();
    assert_eq!(view.number, Some(number()));
}

/// The layout of a mapping by hand, for what an honest broker cannot be made to sign.
fn forged(key: &SigningKey, statement: &[u8], kind: u8, made: u64, expires: u64) -> Vec<u8> {
    let mut bytes = vec![1];
    bytes.extend_from_slice(&u16::try_from(statement.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(statement);
    bytes.extend_from_slice(&[kind, 0, 0]);
    bytes.extend_from_slice(&made.to_be_bytes());
    bytes.extend_from_slice(&expires.to_be_bytes());
    let signature = key.sign(&[b"rcseal/number-mapping/v1", &bytes]);
    bytes.extend_from_slice(signature.as_bytes());
    bytes
}

#[test]
fn an_old_mapping_shown_again_is_a_rollback() {
    let (mut world, mut ada, mut bob) = acquainted();
    let (old, key_set) = newest(&mut world);
    world.now += DAY_MS;
    world.claim(&mut ada, &number(), Grounds::Same);
    found(&mut world, &mut bob);
    events(&mut bob);
    world.broker().lie(&number(), None, Lie::Show(Entry::of(&old, &key_set)));
    assert_eq!(refused(&mut world, &mut bob).finding, BrokerFinding::RolledBack);
    assert_eq!(findings(&mut bob), [(BrokerFinding::RolledBack, Some(ada.address.account))]);
    is_unharmed(&world, &mut bob, &ada);
    // The holder's own watch sees the same.
    assert_eq!(refused(&mut world, &mut ada).finding, BrokerFinding::RolledBack);
}

#[test]
fn a_binding_that_the_account_did_not_sign_is_a_swap_and_convicts_the_broker() {
    let (mut world, ada, mut bob) = acquainted();
    let mut mallory = mallory(&mut world);
    let (_, key_set) = newest(&mut world);
    // The broker puts Mallory's signature under what it says of Ada.
    let statement = world.sign_claim(&mut mallory, &number());
    let mut stolen = SignedStatement::parse(&statement).unwrap().statement().clone();
    let set = UnverifiedKeySet::parse(&key_set).unwrap().assume_verified();
    stolen.account = set.account();
    (stolen.key_set_counter, stolen.key_set_hash) = (set.counter(), set.hash());
    let stolen = stolen.sign(&AccountSigner::from_seed([9; 32])).unwrap();
    let now = world.now;
    let mapping = forged(&world.broker().key, stolen.as_bytes(), 6, now, now + DAY_MS);
    let entry = Entry { mapping, key_set, account: ada.address.account };
    world.broker().lie(&number(), None, Lie::Show(entry));
    let refusal = refused(&mut world, &mut bob);
    assert_eq!((refusal.finding, refusal.code), (BrokerFinding::Swapped, "mapping_account_signature"));
    assert_eq!(shown_by_evidence(&mut bob), ["unsigned"]);
    is_unharmed(&world, &mut bob, &ada);
}

#[test]
fn a_number_given_to_a_colluding_account_without_grounds_is_a_swap_and_convicts_the_broker() {
    let (mut world, mut ada, mut bob) = acquainted();
    let mut mallory = mallory(&mut world);
    let statement = world.sign_claim(&mut mallory, &number());
    let key_set = world.broker().enrolled[&mallory.address.account].key_set.0.clone();
    let now = world.now;
    // "Same", though it is another account; then "recycled", though nothing has expired.
    for kind in [2, 5] {
        let mapping = forged(&world.broker().key, &statement, kind, now, now + DAY_MS);
        let entry = Entry { mapping, key_set: key_set.clone(), account: mallory.address.account };
        world.broker().lie(&number(), None, Lie::Show(entry));
        assert_eq!(refused(&mut world, &mut bob).finding, BrokerFinding::Swapped);
        is_unharmed(&world, &mut bob, &ada);
    }
    assert_eq!(shown_by_evidence(&mut bob), ["groundless", "groundless"]);
    // The holder finds it as well, with the same proof.
    assert_eq!(refused(&mut world, &mut ada).finding, BrokerFinding::Swapped);
    assert_eq!(shown_by_evidence(&mut ada), ["groundless"]);
}

#[test]
fn a_number_ported_away_by_the_brokers_word_is_seen_by_its_holder() {
    let (mut world, mut ada, mut bob) = acquainted();
    let mut mallory = mallory(&mut world);
    world.claim(&mut mallory, &number(), Grounds::Ported);
    world.now += DAY_MS;
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(findings(&mut ada), [(BrokerFinding::Swapped, Some(ada.address.account))]);
    // Nothing contradicts itself: what is disputed is the broker's word, and both of its signatures are kept.
    assert_eq!(shown_by_evidence(&mut ada), ["asserted"]);
    assert_eq!(ada.with(0, |engine| engine.own_numbers()).unwrap()[0].state, NumberState::Lost);
}

#[test]
fn silence_about_a_mapped_number_is_withholding() {
    for lie in [Lie::Absent, Lie::Undiscoverable] {
        let (mut world, mut ada, mut bob) = acquainted_with_cards();
        world.broker().lie(&number(), None, lie.clone());
        assert_eq!(refused(&mut world, &mut ada).finding, BrokerFinding::Withheld);
        assert_eq!(findings(&mut ada), [(BrokerFinding::Withheld, Some(ada.address.account))]);
        let is_named = matches!(lie, Lie::Absent);
        look_up(&mut world, &mut bob);
        let expected: &[_] = if is_named { &[(BrokerFinding::Withheld, Some(ada.address.account))] } else { &[] };
        assert_eq!(findings(&mut bob), expected, "undiscoverable is the holder's right");
        is_unharmed(&world, &mut bob, &ada);
        // It is told again when it happens again, and not for as long as it goes on.
        look_up(&mut world, &mut ada);
        assert!(findings(&mut ada).is_empty());
        world.broker().lies.clear();
        look_up(&mut world, &mut ada);
        world.broker().lie(&number(), None, lie);
        look_up(&mut world, &mut ada);
        assert_eq!(findings(&mut ada).len(), 1);
    }
}

#[test]
fn a_number_that_was_honestly_given_up_is_not_withheld() {
    // Whether its former holder's word has come already or not yet: somebody who has none, and somebody who had it.
    for has_cards in [false, true] {
        let (mut world, mut ada, mut bob) = if has_cards { acquainted_with_cards() } else { acquainted() };
        ada.with(world.now, |engine| {
            engine.release_request(&number())?;
            engine.handle_released(&number())
        })
        .unwrap();
        world.settle(&mut [&mut ada, &mut bob]);
        world.broker().lie(&number(), None, Lie::Absent);
        assert!(matches!(look_up(&mut world, &mut bob), LookupResult::Absent));
        assert!(findings(&mut bob).is_empty(), "{has_cards}");
    }
}

#[test]
fn a_number_that_its_holder_hid_is_not_withheld() {
    let (mut world, mut ada, _) = acquainted();
    world.broker().hidden.insert(number().as_str().to_owned());
    let view = world.broker().view(&number(), ada.address.account);
    ada.with(world.now, |engine| engine.handle_number_view(&number(), &view)).unwrap();
    assert!(matches!(look_up(&mut world, &mut ada), LookupResult::Undiscoverable));
    assert!(findings(&mut ada).is_empty());
}

#[test]
fn two_chains_are_a_fork_and_convict_the_broker() {
    let (mut world, mut ada, mut bob) = acquainted();
    let mut mallory = mallory(&mut world);
    // Mallory is told that nobody had the number.
    let started = rcseal_wire::api::broker::ClaimStarted {
        claim: "claim".to_owned(),
        expires_in_seconds: 300,
        resend_after_seconds: 60,
        current: None,
    };
    let signed = mallory.with(world.now, |engine| {
        engine.claim_number(&number())?;
        engine.handle_claim_started(&number(), &started)?;
        engine.confirm_request(&number(), "123456", None)
    });
    let statement = signed.unwrap().1.statement.unwrap().0;
    let now = world.now;
    let (fork, key_set) = world.broker().countersign(None, &statement, Grounds::First, now);
    world.broker().lie(&number(), None, Lie::Show(Entry::of(&fork, &key_set)));
    assert_eq!(refused(&mut world, &mut bob).finding, BrokerFinding::Forked);
    assert_eq!(shown_by_evidence(&mut bob), ["forked"]);
    is_unharmed(&world, &mut bob, &ada);
    assert_eq!(refused(&mut world, &mut ada).finding, BrokerFinding::Forked);
    assert_eq!(shown_by_evidence(&mut ada), ["forked"]);
}

#[test]
fn a_fork_whose_beginning_was_hidden_shows_in_the_hash_that_follows() {
    let (mut world, ada, mut bob) = acquainted();
    let mut mallory = mallory(&mut world);
    let real = world.broker().chains.remove(number().as_str()).unwrap();
    world.claim(&mut mallory, &number(), Grounds::First);
    world.claim(&mut mallory, &number(), Grounds::Same);
    assert_eq!(refused(&mut world, &mut bob).finding, BrokerFinding::Forked);
    assert_eq!(shown_by_evidence(&mut bob), ["skipped"]);
    is_unharmed(&world, &mut bob, &ada);
    drop(real);
}

#[test]
fn another_key_is_another_broker() {
    let (mut world, mut ada, mut bob) = acquainted();
    let other = SigningKey::from_seed([78; 32]);
    let (mapping, key_set) = newest(&mut world);
    let now = world.now;
    let statement = mapping.unverified().signed_statement().as_bytes().to_vec();
    // The statement names the pinned broker, and another key countersigned it.
    let entry = Entry {
        mapping: forged(&other, &statement, 1, now, now + DAY_MS),
        key_set: key_set.clone(),
        account: mapping.account(),
    };
    world.broker().lie(&number(), None, Lie::Show(entry));
    let refusal = refused(&mut world, &mut bob);
    assert_eq!((refusal.finding, refusal.code), (BrokerFinding::MappingInvalid, "mapping_broker_signature"));
    // And one that names the other broker, which Ada enrolled at.
    let mut elsewhere = mapping.statement().clone();
    elsewhere.broker = rcseal_wire::id::BrokerKeyId::from_bytes(*other.verifying_key().as_bytes());
    let signer = ada.with(now, |engine| engine.account()).unwrap().signer.unwrap();
    let elsewhere = elsewhere.sign(&signer).unwrap();
    let entry = Entry {
        mapping: forged(&other, elsewhere.as_bytes(), 1, now, now + DAY_MS),
        key_set,
        account: mapping.account(),
    };
    world.broker().lie(&number(), None, Lie::Show(entry));
    assert_eq!(refused(&mut world, &mut bob).finding, BrokerFinding::OtherKey);
    events(&mut bob);
    let key = *other.verifying_key().as_bytes();
    let checked = bob.with(now, |engine| engine.handle_broker_info(&Broker::origin(), &key)).unwrap();
    assert_eq!(checked, BrokerCheck::OtherKey);
    assert_eq!(findings(&mut bob).len(), 1);
    let pinned = bob.with(now, |engine| engine.broker_view()).unwrap().unwrap();
    assert_ne!(pinned.key.as_bytes(), other.verifying_key().as_bytes());
}

#[test]
fn a_mapping_of_another_number_or_one_that_has_ended_is_refused() {
    let (mut world, ada, mut bob) = acquainted();
    let other = "+15552010002".parse().unwrap();
    let mut mallory = mallory(&mut world);
    world.claim(&mut mallory, &other, Grounds::First);
    let (mapping, key_set) = world.broker().newest(&other).unwrap().clone();
    world.broker().lie(&number(), None, Lie::Show(Entry::of(&mapping, &key_set)));
    let refusal = refused(&mut world, &mut bob);
    assert_eq!((refusal.finding, refusal.code), (BrokerFinding::Swapped, "mapping_other_number"));
    world.broker().lies.clear();
    world.now += LIFETIME_MS_MAX;
    let refusal = refused(&mut world, &mut bob);
    assert_eq!((refusal.finding, refusal.code), (BrokerFinding::MappingInvalid, "mapping_expired"));
    is_unharmed(&world, &mut bob, &ada);
}

#[test]
fn a_made_up_key_set_of_a_known_account_is_a_swap() {
    let (mut world, ada, mut bob) = acquainted();
    // A key set signs itself: anybody can make one that calls itself Ada.
    let real = UnverifiedKeySet::parse(&world.key_sets[&ada.address.account]).unwrap().assume_verified();
    let mut mallory = mallory(&mut world);
    let signer = mallory.with(world.now, |engine| engine.account()).unwrap().signer.unwrap();
    let made_up = KeySetBuilder::first(ada.address.account, RecoveryCommitment::NONE)
        .add_device(real.devices()[0].clone())
        .unwrap()
        .sign(&signer)
        .unwrap();
    let (before, _) = newest(&mut world);
    let mut statement = before.statement().clone();
    (statement.sequence, statement.previous) = (2, Some(before.hash()));
    (statement.key_set_counter, statement.key_set_hash) = (made_up.counter(), made_up.hash());
    let statement = statement.sign(&signer).unwrap().verify(&made_up).unwrap();
    let (now, key) = (world.now, SigningKey::from_seed([77; 32]));
    let made = Mapping::countersign(&key, Some(&before), statement, Grounds::Same, now, now + DAY_MS).unwrap();
    world.broker().lie(&number(), None, Lie::Show(Entry::of(&made, made_up.as_bytes())));
    let refusal = refused(&mut world, &mut bob);
    assert_eq!((refusal.finding, refusal.code), (BrokerFinding::Swapped, "key_set_fork"));
    is_unharmed(&world, &mut bob, &ada);
}

#[test]
fn neither_silence_nor_a_forged_absence_makes_anything_readable() {
    let (mut world, _, mut bob) = enrolled();
    let now = world.now;
    bob.with(now, |engine| engine.set_fallback_policy(PolicyScope::Account, Some(FallbackPolicy::Downgrade))).unwrap();
    bob.with(now, |engine| engine.open_thread(&number(), "")).unwrap();
    let reason = |bob: &mut Phone| {
        let explained = bob.with(now, |engine| engine.explain(Subject::Number((&number()).into()))).unwrap();
        explained.decision.reason
    };
    let before = reason(&mut bob);
    assert_eq!(before, Reason::CapabilityUnknown);
    assert!(matches!(look_up(&mut world, &mut bob), LookupResult::Absent));
    assert_eq!(reason(&mut bob), before);
    world.broker().lie(&number(), None, Lie::Undiscoverable);
    assert!(matches!(look_up(&mut world, &mut bob), LookupResult::Undiscoverable));
    assert_eq!(reason(&mut bob), before);
    world.broker().lie(&number(), None, Lie::ForgedAbsence);
    assert_eq!(refused(&mut world, &mut bob).finding, BrokerFinding::AbsenceUnproven);
    assert_eq!(reason(&mut bob), before);
    let refused = bob.with(now, |engine| engine.send_plain(&number(), "hello")).unwrap_err();
    assert!(matches!(refused, PlainError::Refused(_)), "{refused:?}");
}

#[test]
fn found_makes_a_number_known_capable_for_good() {
    let (mut world, mut ada, mut bob) = enrolled();
    world.claim(&mut ada, &number(), Grounds::First);
    let now = world.now;
    bob.with(now, |engine| engine.set_fallback_policy(PolicyScope::Account, Some(FallbackPolicy::Downgrade))).unwrap();
    bob.with(now, |engine| engine.open_thread(&number(), "")).unwrap();
    found(&mut world, &mut bob);
    world.broker().lie(&number(), None, Lie::Absent);
    look_up(&mut world, &mut bob);
    let explained = bob.with(now, |engine| engine.explain(Subject::Number((&number()).into()))).unwrap();
    assert_eq!(explained.decision.reason, Reason::KnownCapable);
}

#[test]
fn evidence_outlives_the_broker_and_repeats_nothing() {
    let (mut world, mut ada, mut bob) = acquainted();
    let mut mallory = mallory(&mut world);
    world.claim(&mut mallory, &number(), Grounds::Ported);
    for _ in 0..3 {
        look_up(&mut world, &mut ada);
    }
    assert_eq!(ada.with(0, |engine| engine.broker_evidence()).unwrap().len(), 1);
    assert_eq!(events(&mut ada).iter().filter(|event| matches!(event, Event::BrokerFound { .. })).count(), 1);
    ada.with(world.now, |engine| engine.forget_broker()).unwrap();
    assert_eq!(shown_by_evidence(&mut ada), ["asserted"]);
    let _ = &mut bob;
}
