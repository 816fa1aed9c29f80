//! A relay, a directory and a stranger who do what they should not.

use rcseal_wire::api::BundlesResponse;
use rcseal_wire::id::EnvelopeId;

use super::world::{World, events, messages, text, texts};
use crate::contact::{KeySetOutcome, KeySetRefusal};
use crate::event::{Event, KeySetReason};
use crate::message::MessageState;
use crate::send::BundleRefusal;
use crate::store::Table;
use crate::{Disposition, Undecryptable};

#[test]
fn a_tampered_envelope_changes_nothing_and_has_a_name() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, conversation, text("one"));
    world.settle(&mut [&mut ada, &mut bob]);
    world.send(&mut ada, conversation, text("two"));
    world.serve(&mut ada);
    let (id, genuine) = world.intercept(&bob).remove(0);
    for at in [0, 1, 17, 29, 100, genuine.len() - 1] {
        let mut damaged = genuine.clone();
        damaged[at] ^= 0x40;
        let fresh = EnvelopeId::generate(&mut bob.rng);
        let disposition = bob.with(world.now, |engine| engine.handle_envelope(fresh, &damaged)).unwrap();
        let expected = match at {
            0 => Undecryptable::UnknownVersion,
            1 => Undecryptable::UnknownSession,
            _ => Undecryptable::SealBroken,
        };
        assert_eq!(disposition, Disposition::Undecryptable(expected), "byte {at}");
    }
    assert_eq!(bob.with(0, |engine| engine.quarantined()).unwrap().len(), 6);
    assert_eq!(bob.with(world.now, |engine| engine.handle_envelope(id, &genuine)).unwrap(), Disposition::Consumed);
    assert_eq!(texts(&mut bob, conversation), ["one", "two"]);
    assert_eq!(
        bob.with(world.now, |engine| engine.handle_envelope(EnvelopeId::from_bytes([9; 16]), &genuine)).unwrap(),
        Disposition::Duplicate
    );
    assert_eq!(texts(&mut bob, conversation), ["one", "two"]);
}

#[test]
fn a_first_message_is_accepted_once() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, conversation, text("one"));
    world.serve(&mut ada);
    world.serve(&mut ada);
    let (id, first) = world.mailboxes[&bob.mailbox].front().unwrap().clone();
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(bob.with(world.now, |engine| engine.handle_envelope(id, &first)).unwrap(), Disposition::Duplicate);
    // Even after the session it made is gone.
    let number = bob.store.len(Table::Session);
    assert_eq!(number, 1);
    bob.with(world.now, |engine| {
        let session = engine.active_session(ada.address)?.unwrap();
        engine.drop_session(session.key)
    })
    .unwrap();
    let replay = bob.with(world.now, |engine| engine.handle_envelope(id, &first)).unwrap();
    assert_eq!(replay, Disposition::Undecryptable(Undecryptable::Replayed));
    assert_eq!(texts(&mut bob, conversation), ["one"]);
}

#[test]
fn a_rolled_back_forked_or_foreign_key_set_is_refused() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let mut mallory = world.phone(3, "Mallory");
    let conversation = world.introduce(&mut ada, &mut bob);
    let bob_account = bob.address.account;
    let genuine = world.key_sets[&bob_account].clone();

    // Before the first fetch the invitation is the only witness: somebody else's set under Bob's name does not get in.
    let foreign = world.key_sets[&mallory.address.account].clone();
    let outcome = ada.with(world.now, |engine| engine.handle_key_set(bob_account, &foreign)).unwrap();
    assert!(matches!(outcome, KeySetOutcome::Refused(KeySetRefusal::OtherAccount)));
    let mut damaged = genuine.clone();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    let outcome = ada.with(world.now, |engine| engine.handle_key_set(bob_account, &damaged)).unwrap();
    assert!(matches!(outcome, KeySetOutcome::Refused(_)));

    world.send(&mut ada, conversation, text("one"));
    world.now += 3600 * 1000;
    world.settle(&mut [&mut ada, &mut bob, &mut mallory]);
    assert_eq!(texts(&mut bob, conversation), ["one"]);
    // Bob takes a device in: counter 2. Then the server serves the old set again.
    super::linking::link(&mut world, &mut bob, 20);
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(ada.with(0, |engine| engine.contact_view(bob_account)).unwrap().key_set_counter, Some(2));
    events(&mut ada);
    let outcome = ada.with(world.now, |engine| engine.handle_key_set(bob_account, &genuine)).unwrap();
    let KeySetOutcome::Refused(refusal) = outcome else { panic!("a rollback was accepted") };
    assert_eq!(refusal.code(), "key_set_rollback");
    assert_eq!(events(&mut ada), [Event::KeySetRefused { account: bob_account, reason: KeySetReason::Rollback }]);
    assert_eq!(ada.with(0, |engine| engine.contact_view(bob_account)).unwrap().key_set_counter, Some(2));
}

#[test]
fn a_directory_that_swaps_a_bundle_is_caught() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let mallory = world.phone(3, "Mallory");
    let conversation = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, conversation, text("one"));
    // The key set arrives; then the directory answers with Mallory's prekeys.
    let genuine = world.key_sets[&bob.address.account].clone();
    ada.with(world.now, |engine| engine.handle_key_set(bob.address.account, &genuine)).unwrap();
    let bundle = world.bundle(mallory.address).unwrap();
    let refused = ada
        .with(world.now, |engine| {
            engine.handle_bundles(bob.address.account, &BundlesResponse { bundles: vec![bundle] })
        })
        .unwrap();
    assert!(matches!(refused[..], [(_, BundleRefusal::Bundle(_))]));
    assert_eq!(ada.store.len(Table::Session), 0);
    world.now += 3600 * 1000;
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut bob, conversation), ["one"]);
}

#[test]
fn a_claimed_sender_is_no_contact_until_a_message_authenticates() {
    let mut world = World::new();
    let (mut ada, mut bob, mut carol) = (world.phone(1, "Ada"), world.phone(2, "Bob"), world.phone(3, "Carol"));
    // Mallory has Bob's invitation and writes in Carol's name.
    let mut mallory = world.phone(4, "Mallory");
    let conversation = world.introduce(&mut mallory, &mut bob);
    world.send(&mut mallory, conversation, text("I am Carol"));
    world.serve(&mut mallory);
    world.serve(&mut mallory);
    let (id, genuine) = world.intercept(&bob).remove(0);
    let forged = {
        let key_set = rcseal_credential::UnverifiedKeySet::parse(&world.key_sets[&bob.address.account])
            .unwrap()
            .verify()
            .unwrap();
        let sealing = key_set.device(bob.address.device).unwrap().sealing_key().clone();
        let rcseal_wire::envelope::Envelope::First { sealed } =
            rcseal_wire::envelope::Envelope::parse(&genuine).unwrap()
        else {
            panic!()
        };
        let own = bob.with(0, |engine| engine.account()).unwrap();
        let mut hello = crate::seal::open_first(&own.sealing(), bob.address, sealed).unwrap();
        hello.sender = carol.address;
        hello.key_set_counter = rcseal_wire::id::KeySetCounter::FIRST;
        crate::seal::seal_first(&sealing, bob.address, &hello, &mut mallory.rng).unwrap()
    };
    assert_eq!(bob.with(world.now, |engine| engine.handle_envelope(id, &forged)).unwrap(), Disposition::Parked);
    assert!(bob.with(0, |engine| engine.contacts()).unwrap().is_empty());
    world.settle(&mut [&mut bob, &mut carol, &mut ada]);
    assert!(
        bob.with(0, |engine| engine.contacts()).unwrap().is_empty(),
        "nothing authenticated, so nobody is a contact"
    );
    assert_eq!(bob.store.len(Table::Contact), 0);
    let named = |event: &Event| matches!(event, Event::Undecryptable { reason: Undecryptable::KeySetFork, .. });
    assert!(events(&mut bob).iter().any(named));
    // The real Carol is not shut out by it.
    let conversation = world.introduce(&mut carol, &mut bob);
    world.send(&mut carol, conversation, text("I am Carol"));
    world.settle(&mut [&mut bob, &mut carol]);
    assert_eq!(texts(&mut bob, conversation), ["I am Carol"]);
}

#[test]
fn arbitrary_bytes_are_kept_aside_and_bounded() {
    let mut world = World::new();
    let mut bob = world.phone(2, "Bob");
    for number in 0..300u32 {
        let id = EnvelopeId::generate(&mut bob.rng);
        let disposition =
            bob.with(world.now, |engine| engine.handle_envelope(id, &number.to_be_bytes().repeat(200))).unwrap();
        assert!(matches!(disposition, Disposition::Undecryptable(_)));
    }
    assert_eq!(bob.with(0, |engine| engine.quarantined()).unwrap().len(), 200);
    assert_eq!(bob.store.len(Table::Quarantine), 400, "each with a mark that it is there");
}

#[test]
fn the_sender_hears_that_a_message_could_not_be_read() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.acquaint(&mut ada, &mut bob);
    // Ada's ratchet goes wrong under a seal that still holds: a store that was put back in part.
    let id = world.send(&mut ada, conversation, text("three"));
    world.serve(&mut ada);
    let (envelope, bytes) = world.intercept(&bob).remove(0);
    assert!(matches!(
        rcseal_wire::envelope::Envelope::parse(&bytes),
        Ok(rcseal_wire::envelope::Envelope::Session { .. })
    ));
    let damaged = ada
        .with(world.now, |engine| {
            let mut session = engine.active_session(bob.address)?.unwrap();
            let inner = vec![0x11; 120];
            Ok::<_, crate::store::StoreError>(session.seal(inner, engine).unwrap())
        })
        .unwrap();
    let disposition = bob.with(world.now, |engine| engine.handle_envelope(envelope, &damaged)).unwrap();
    assert!(
        matches!(disposition, Disposition::Undecryptable(Undecryptable::Malformed | Undecryptable::Authentication)),
        "{disposition:?}"
    );
    world.settle(&mut [&mut ada, &mut bob]);
    let state = messages(&mut ada, conversation).into_iter().find(|message| message.id == id).unwrap().state;
    assert!(matches!(state, MessageState::Undecryptable { .. }), "{state:?}");
}

#[test]
fn an_own_message_reflected_is_refused() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, conversation, text("one"));
    world.settle(&mut [&mut ada, &mut bob]);
    world.send(&mut ada, conversation, text("two"));
    world.serve(&mut ada);
    let (id, bytes) = world.intercept(&bob).remove(0);
    assert_eq!(
        ada.with(world.now, |engine| engine.handle_envelope(id, &bytes)).unwrap(),
        Disposition::Undecryptable(Undecryptable::UnknownSession)
    );
}

#[test]
fn secrets_and_words_do_not_print() {
    let mut world = World::new();
    let mut ada = world.phone(1, "Ada");
    let created = ada.with(0, |engine| engine.account_view()).unwrap();
    let printed = format!("{created:?}");
    assert!(!printed.contains("token"));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn an_engine_survives_any_envelope(bytes: Vec<u8>, kind in 0u8..3) {
        let mut world = World::new();
        let mut bob = world.phone(2, "Bob");
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = [0x11, 0x12, *first][usize::from(kind)];
        }
        bytes.resize(bytes.len().max(1200), 7);
        let id = EnvelopeId::from_bytes([1; 16]);
        let disposition = bob.with(world.now, |engine| engine.handle_envelope(id, &bytes)).unwrap();
        proptest::prop_assert!(matches!(disposition, Disposition::Undecryptable(_)));
    }
}
