//! Devices of one account, what they take from each other, and copies of their stores.

use rcseal_wire::content::{Body, ContactEntry, Content, Participant, Payload, Role};
use rcseal_wire::envelope::Envelope;
use rcseal_wire::id::{ConversationId, Custody, KeySetCounter, KeySetHash, LinkId, MessageId, Platform};

use super::forged_key_set;
use crate::Disposition;
use crate::contact::{KeySetOutcome, KeySetRefusal, Verification};
use crate::link::{LinkFailure, LinkingDevice};
use crate::need::Need;
use crate::store::Table;
use crate::tests::linking::link;
use crate::tests::world::{Phone, World, second_device, text, texts};

#[test]
fn a_linked_device_takes_a_contacts_later_keys_from_the_same_account_key_only() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, conversation, text("one"));
    world.settle(&mut [&mut ada, &mut bob]);
    let bob_account = bob.address.account;
    ada.with(world.now, |engine| engine.mark_verified(bob_account)).unwrap();
    let mut tablet = link(&mut world, &mut ada, 20);
    // The directory shows the tablet, which has seen nothing of Bob yet, a later set that Bob never signed.
    let forged = forged_key_set(&mut tablet, bob_account, 2);
    let outcome = tablet.with(world.now, |engine| engine.handle_key_set(bob_account, &forged)).unwrap();
    assert!(matches!(outcome, KeySetOutcome::Behind), "{outcome:?}");
    let genuine = world.key_sets[&bob_account].clone();
    // Nor can it show how the one became the other.
    for chain in [vec![forged.clone()], vec![genuine.clone(), forged]] {
        let outcome = tablet.with(world.now, |engine| engine.handle_key_sets(bob_account, &chain)).unwrap();
        assert!(
            matches!(outcome, KeySetOutcome::Refused(KeySetRefusal::NotPinned | KeySetRefusal::Invalid(_))),
            "{outcome:?}"
        );
    }
    let outcome = tablet.with(world.now, |engine| engine.handle_key_set(bob_account, &genuine)).unwrap();
    assert!(matches!(outcome, KeySetOutcome::Accepted { .. }), "{outcome:?}");
    let view = tablet.with(0, |engine| engine.contact_view(bob_account)).unwrap();
    assert_eq!(view.verification, Verification::Verified);
}

#[test]
fn a_session_of_a_rolled_back_store_hears_and_never_speaks_again() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, conversation, text("one"));
    world.settle(&mut [&mut ada, &mut bob]);
    let backup = ada.store.clone();
    world.send(&mut ada, conversation, text("two"));
    world.serve(&mut ada);
    // Bob has not read that yet, and writes on: to Ada's restored ratchet his message belongs to a chain that it knows.
    world.send(&mut bob, conversation, text("from bob"));
    world.serve(&mut bob);
    ada.store = backup;
    ada.with(world.now, |engine| engine.handle_store_rollback()).unwrap();
    let own = ada.address.account;
    let needs = ada.with(world.now, |engine| engine.poll_needs()).unwrap();
    assert!(matches!(needs[..], [Need::FetchKeySet { account, .. }] if account == own), "{needs:?}");
    assert!(world.deliver(&mut ada).iter().all(|disposition| *disposition == Disposition::Consumed));
    world.send(&mut ada, conversation, text("three"));
    world.serve(&mut ada);
    world.serve(&mut ada);
    let (_, three) = world.mailboxes[&bob.mailbox].back().unwrap();
    assert!(
        matches!(Envelope::parse(three), Ok(Envelope::First { .. })),
        "the old session's sending chain has made a key for this place before"
    );
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut bob, conversation), ["one", "from bob", "two", "three"]);
    // What the directory has of Ada may be of the life that was lost.
    let counts = rcseal_wire::api::PrekeyCounts { one_time: 50, one_time_kem: 50, low: false };
    let upload = ada.with(world.now, |engine| engine.prekey_upload(counts)).unwrap().unwrap();
    assert!(upload.signed.is_some() && upload.last_resort.is_some());
}

#[test]
fn an_offer_is_answered_once_and_an_approval_used_once() {
    let mut world = World::new();
    let mut bob = world.phone(2, "Bob");
    let mut tablet = world.phone(9, "unused");
    let origin: rcseal_wire::origin::Origin = "https://relay.example".parse().unwrap();
    let id = LinkId::generate(&mut tablet.rng);
    let mut linking = LinkingDevice::begin(origin, id, Platform::Ios, Custody::User, &mut tablet.rng);
    let (approval, offer) = bob.with(world.now, |engine| engine.link_offer(&linking.request())).unwrap();
    let reply = linking.handle_offer(&offer, &mut tablet.rng).unwrap();
    // A second answer would be another entry under the same key and nonce.
    assert!(matches!(linking.handle_offer(&offer, &mut tablet.rng), Err(LinkFailure::Order)));
    bob.with(world.now, |engine| engine.link_approve(&approval, &reply)).unwrap();
    bob.with(world.now, |engine| engine.handle_publish_refused()).unwrap();
    assert!(matches!(bob.with(world.now, |engine| engine.link_approve(&approval, &reply)), Err(LinkFailure::Order)));
}

#[test]
fn own_devices_hear_of_a_new_key_set() {
    let mut world = World::new();
    let mut bob = world.phone(2, "Bob");
    let mut tablet = link(&mut world, &mut bob, 5);
    let mut laptop = link(&mut world, &mut bob, 6);
    world.settle(&mut [&mut bob, &mut tablet, &mut laptop]);
    let counter = |phone: &mut Phone| phone.with(0, |engine| engine.account_view()).unwrap().unwrap().key_set_counter;
    assert_eq!((counter(&mut tablet), counter(&mut laptop)), (3, 3));
    // The tablet is stolen.
    bob.with(world.now, |engine| engine.remove_device(second_device())).unwrap();
    world.settle(&mut [&mut bob, &mut laptop]);
    assert_eq!(counter(&mut laptop), 4, "the laptop goes on writing to the thief otherwise");
}

#[test]
fn contacts_are_taken_from_the_primary_device_only() {
    let mut world = World::new();
    let (mut bob, mut mallory) = (world.phone(2, "Bob"), world.phone(3, "Mallory"));
    let mut tablet = link(&mut world, &mut bob, 5);
    world.settle(&mut [&mut bob, &mut tablet]);
    let entry = ContactEntry {
        account: mallory.address.account,
        delivery_token: mallory.with(0, |engine| engine.delivery_token()).unwrap(),
        origin: "https://relay.example".parse().unwrap(),
        name: "Mum".to_owned(),
        key_set_counter: KeySetCounter::FIRST,
        key_set_hash: KeySetHash::from_bytes([1; 32]),
        account_key: Some([1; 32]),
        verified: true,
        changed: None,
        blocked: false,
    };
    tablet
        .with(world.now, |engine| {
            let account = engine.account()?;
            let payload = Payload {
                message_id: MessageId::from_bytes([1; 16]),
                conversation_id: ConversationId::from_bytes([1; 16]),
                sent_at_ms: 0,
                key_set_counter: KeySetCounter::FIRST,
                conversation: None,
                content: Content::new(Body::ContactSync(vec![entry]), None),
                introduction: None,
            };
            let ours = Participant { account: account.address.account, role: Role::Member, devices: None };
            engine.dispatch(&account, &ours, &payload.to_bytes(), None)
        })
        .unwrap();
    world.settle(&mut [&mut bob, &mut tablet]);
    assert!(bob.with(0, |engine| engine.contacts()).unwrap().is_empty());
}

#[test]
fn base_keys_are_forgotten_once_no_prekey_could_accept_them_again() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, conversation, text("one"));
    world.settle(&mut [&mut ada, &mut bob]);
    bob.with(world.now, |engine| {
        let session = engine.active_session(ada.address)?.unwrap();
        engine.drop_session(session.key)
    })
    .unwrap();
    let counts = rcseal_wire::api::PrekeyCounts { one_time: 50, one_time_kem: 50, low: false };
    let keep_house = |bob: &mut Phone, now: u64| {
        bob.with(now, |engine| engine.prekey_upload(counts)).unwrap();
        bob.with(now, |engine| engine.keep_house()).unwrap();
        bob.store.len(Table::BaseKey)
    };
    world.now += 3 * 24 * 3600 * 1000;
    assert_eq!(keep_house(&mut bob, world.now), 1, "the prekey of then still opens messages");
    world.now += 33 * 24 * 3600 * 1000;
    assert_eq!(keep_house(&mut bob, world.now), 0);
}

#[test]
fn what_waits_for_a_removed_device_is_dropped() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, conversation, text("one"));
    world.settle(&mut [&mut ada, &mut bob]);
    let mut tablet = link(&mut world, &mut bob, 5);
    world.settle(&mut [&mut ada, &mut bob, &mut tablet]);
    world.send(&mut ada, conversation, text("two"));
    world.settle(&mut [&mut ada, &mut bob, &mut tablet]);
    // Ada is offline while she writes, and Bob loses the tablet.
    world.send(&mut ada, conversation, text("three"));
    bob.with(world.now, |engine| engine.remove_device(second_device())).unwrap();
    world.serve(&mut bob);
    let newer = world.key_sets[&bob.address.account].clone();
    ada.with(world.now, |engine| engine.handle_key_set(bob.address.account, &newer)).unwrap();
    let due = ada.with(world.now, |engine| engine.poll_outbox(16)).unwrap();
    assert_eq!(due.iter().map(|outgoing| outgoing.submit().unwrap().mailbox).collect::<Vec<_>>(), [bob.mailbox]);
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut bob, conversation), ["one", "two", "three"]);
}
