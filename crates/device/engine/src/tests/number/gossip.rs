//! Contacts that compare: a broker that shows two people different things is found out inside their session.

use rcseal_credential::mapping::Grounds;
use rcseal_wire::content::{Body, NumberSeen};
use rcseal_wire::id::MappingHash;

use super::broker::{Entry, Lie};
use super::{DAY_MS, enrolled, findings, meet, number, shown_by_evidence};
use crate::carrier::CarrierSetup;
use crate::conversation::direct_conversation_id;
use crate::number::BrokerFinding;
use crate::tests::carrier::wide;
use crate::tests::world::{Phone, World, events, text};

/// The broker loses an answer on purpose, so that Ada signs twice for one place, and countersigns both.
fn forked() -> (World, Phone, Phone) {
    let (mut world, mut ada, bob) = enrolled();
    let first = world.sign_claim(&mut ada, &number());
    world.now += 8 * DAY_MS;
    let second = world.sign_claim(&mut ada, &number());
    assert_ne!(first, second);
    let (now, broker) = (world.now, world.broker());
    let shown_to_bob = broker.countersign(None, &first, Grounds::First, now);
    let shown_to_ada = broker.countersign(None, &second, Grounds::First, now);
    let bytes = shown_to_ada.0.as_bytes().to_vec();
    broker.chains.insert(number().as_str().to_owned(), vec![shown_to_ada]);
    broker.lie(&number(), Some(bob.address.account), Lie::Show(Entry::of(&shown_to_bob.0, &shown_to_bob.1)));
    world.mapped(&mut ada, &number(), bytes).unwrap();
    (world, ada, bob)
}

#[test]
fn a_fork_is_found_when_the_two_meet_and_both_can_prove_it() {
    let (mut world, mut ada, mut bob) = forked();
    meet(&mut world, &mut ada, &mut bob);
    for phone in [&mut ada, &mut bob] {
        let found = findings(phone);
        assert!(!found.is_empty() && found.iter().all(|(finding, _)| *finding == BrokerFinding::Forked), "{found:?}");
        assert_eq!(shown_by_evidence(phone), ["forked"]);
    }
}

#[test]
fn a_card_tells_what_its_account_signed() {
    let (mut world, mut ada, mut bob) = forked();
    ada.with(world.now, |engine| engine.set_carrier(Some(CarrierSetup::new(number(), wide())))).unwrap();
    let account = meet(&mut world, &mut ada, &mut bob);
    let claim = bob.with(world.now, |engine| engine.heard_of(account, super::key())).unwrap();
    let head = world.broker().head(&number()).unwrap();
    assert_eq!(claim.map(|claim| (claim.sequence, claim.hash)), Some((head.sequence, head.hash)));
    assert_eq!(shown_by_evidence(&mut bob), ["forked"]);
}

#[test]
fn nothing_is_found_where_both_were_shown_the_same() {
    let (mut world, mut ada, mut bob) = enrolled();
    world.claim(&mut ada, &number(), Grounds::First);
    meet(&mut world, &mut ada, &mut bob);
    // Ada renews; what Bob was shown before is old, and nobody has done anything wrong.
    world.now += DAY_MS;
    world.claim(&mut ada, &number(), Grounds::Same);
    let conversation = direct_conversation_id(ada.address.account, bob.address.account);
    world.send(&mut bob, conversation, text("again"));
    world.settle(&mut [&mut ada, &mut bob]);
    assert!(findings(&mut ada).is_empty() && findings(&mut bob).is_empty());
}

#[test]
fn an_old_mapping_shown_after_a_new_one_is_found_by_the_holder() {
    let (mut world, mut ada, mut bob) = enrolled();
    world.claim(&mut ada, &number(), Grounds::First);
    let old = world.broker().newest(&number()).unwrap().clone();
    world.now += DAY_MS;
    world.claim(&mut ada, &number(), Grounds::Same);
    world.now += 2 * 3600 * 1000;
    world.broker().lie(&number(), Some(bob.address.account), Lie::Show(Entry::of(&old.0, &old.1)));
    meet(&mut world, &mut ada, &mut bob);
    assert!(findings(&mut ada).contains(&(BrokerFinding::RolledBack, Some(ada.address.account))));
    assert!(findings(&mut bob).iter().any(|(finding, _)| *finding == BrokerFinding::RolledBack));
}

fn say_seen(world: &World, from: &mut Phone, to: &Phone, seen: NumberSeen) {
    let (own, peer) = (to.address.account, from.address.account);
    from.with(world.now, |engine| {
        let account = engine.account().unwrap();
        engine.send_notice(&account, own, direct_conversation_id(own, peer), Body::NumberSeen(Box::new(seen)))
    })
    .unwrap();
}

#[test]
fn nobody_learns_by_asking_whose_number_it_is() {
    let (mut world, mut ada, mut eve) = enrolled();
    world.claim(&mut ada, &number(), Grounds::First);
    // Eve has an invitation and guesses; Ada has said nothing to her.
    let conversation = world.introduce(&mut eve, &mut ada);
    world.send(&mut eve, conversation, text("who are you?"));
    world.settle(&mut [&mut ada, &mut eve]);
    let guess = NumberSeen {
        number: number().as_str().parse().unwrap(),
        is_senders: false,
        sequence: 9,
        hash: MappingHash::from_bytes([9; 32]),
        seen_at_ms: 0,
        mapping: Vec::new(),
    };
    let account = ada.address.account;
    let heard = |eve: &mut Phone| eve.with(0, |engine| engine.heard_of(account, super::key())).unwrap().is_some();
    for mapping in [Vec::new(), vec![7; 200]] {
        say_seen(&world, &mut eve, &ada, NumberSeen { mapping, ..guess.clone() });
        world.settle(&mut [&mut ada, &mut eve]);
        assert!(!heard(&mut eve));
    }
    // To whom she writes she may say it, and the two compare what each was shown.
    world.send(&mut ada, conversation, text("hello back"));
    world.settle(&mut [&mut ada, &mut eve]);
    assert!(heard(&mut eve));
}

#[test]
fn a_look_up_that_fails_by_a_contacts_word_names_the_contact() {
    let (mut world, mut ada, mut bob) = enrolled();
    world.claim(&mut ada, &number(), Grounds::First);
    meet(&mut world, &mut ada, &mut bob);
    let slander = NumberSeen {
        number: number().as_str().parse().unwrap(),
        is_senders: true,
        sequence: u64::MAX,
        hash: MappingHash::from_bytes([9; 32]),
        seen_at_ms: 0,
        mapping: Vec::new(),
    };
    say_seen(&world, &mut ada, &bob, slander);
    world.settle(&mut [&mut ada, &mut bob]);
    super::refused(&mut world, &mut bob);
    let views = bob.with(0, |engine| engine.broker_evidence()).unwrap();
    assert!(!views.is_empty());
    assert!(views.iter().all(|view| view.told_by == Some(ada.address.account)), "{views:?}");
}

#[test]
fn what_a_contact_only_says_is_its_word_and_changes_nothing() {
    let (mut world, mut ada, mut bob) = enrolled();
    world.claim(&mut ada, &number(), Grounds::First);
    meet(&mut world, &mut ada, &mut bob);
    events(&mut ada);
    let slander = |mapping| NumberSeen {
        number: number().as_str().parse().unwrap(),
        is_senders: false,
        sequence: 9,
        hash: MappingHash::from_bytes([9; 32]),
        seen_at_ms: 0,
        mapping,
    };
    let (own, peer) = (ada.address.account, bob.address.account);
    for mapping in [Vec::new(), vec![7; 200]] {
        bob.with(world.now, |engine| {
            let account = engine.account().unwrap();
            let conversation = direct_conversation_id(own, peer);
            engine.send_notice(&account, own, conversation, Body::NumberSeen(Box::new(slander(mapping))))
        })
        .unwrap();
        world.settle(&mut [&mut ada, &mut bob]);
    }
    assert_eq!(findings(&mut ada), [(BrokerFinding::Swapped, Some(own))]);
    let views = ada.with(0, |engine| engine.broker_evidence()).unwrap();
    assert_eq!(views.iter().map(|view| (view.told_by, view.shows)).collect::<Vec<_>>(), [(Some(peer), None)]);
    assert_eq!(ada.with(0, |engine| engine.own_numbers()).unwrap()[0].sequence, Some(1));
    assert_eq!(ada.with(0, |engine| engine.own_numbers()).unwrap()[0].state, crate::number::NumberState::Mapped);
}
