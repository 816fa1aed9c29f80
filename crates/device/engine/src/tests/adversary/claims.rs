//! Who claims to be somebody, and whose word about keys and servers is taken.

use rcseal_crypto::ed25519;
use rcseal_wire::api::BundlesResponse;
use rcseal_wire::id::AccountId;

use super::{bytes_read, claim, forged_key_set, stranger};
use crate::Disposition;
use crate::account::AccountError;
use crate::contact::{ContactError, KeySetOutcome, KeySetRefusal, Verification};
use crate::event::Event;
use crate::need::Need;
use crate::outbox::Via;
use crate::store::Table;
use crate::tests::linking::link;
use crate::tests::world::{Phone, World, events, new_account, text, texts};

#[test]
fn an_introduction_does_not_send_us_to_another_server() {
    let mut world = World::new();
    let mut bob = world.phone(2, "Bob");
    let mut mallory = world.phone(3, "Mallory");
    // Mallory has Bob's invitation, and names a machine inside Bob's network as her server.
    mallory
        .with(world.now, |engine| {
            let mut account = engine.account()?;
            account.origin = "https://192.168.1.1:22".parse().unwrap();
            engine.put_account(&account)?;
            Ok::<_, AccountError>(())
        })
        .unwrap();
    let conversation = world.introduce(&mut mallory, &mut bob);
    world.send(&mut mallory, conversation, text("hello"));
    world.serve(&mut mallory);
    world.serve(&mut mallory);
    world.deliver(&mut bob);
    let key_set = world.key_sets[&mallory.address.account].clone();
    bob.with(world.now, |engine| engine.handle_key_set(mallory.address.account, &key_set)).unwrap();
    assert_eq!(texts(&mut bob, conversation), ["hello"]);
    // The receipt goes out by itself, before Bob has seen anything.
    bob.with(world.now, |engine| engine.flush_receipts()).unwrap();
    let own = bob.with(0, |engine| engine.account_view()).unwrap().unwrap().origin;
    for outgoing in bob.with(world.now, |engine| engine.poll_outbox(16)).unwrap() {
        assert!(matches!(&outgoing.via, Via::Relay { origin, .. } if *origin == own));
    }
    assert_eq!(bob.with(0, |engine| engine.contact_view(mallory.address.account)).unwrap().origin, own);
}

#[test]
fn a_claim_that_the_directory_keeps_denying_is_given_up() {
    let mut world = World::new();
    let mut bob = world.phone(2, "Bob");
    let sender = stranger(&mut bob);
    let envelope = claim(&world, &mut bob, sender, 1);
    let (disposition, _) = bytes_read(&mut bob, world.now, &envelope);
    assert_eq!(disposition, Disposition::Parked);
    let mut asked = 0;
    // Far less than the week that an honest sender's envelope would wait for a server that is merely away.
    for _ in 0..2 * 24 * 60 {
        world.now += 60 * 1000;
        asked += bob.with(world.now, |engine| engine.poll_needs()).unwrap().len();
        world.serve(&mut bob);
    }
    assert!(asked < 100, "asked {asked} times");
    assert_eq!((bob.store.len(Table::Parked), bob.store.len(Table::Contact), bob.store.len(Table::Need)), (0, 0, 0));
    assert_eq!(bob.with(0, |engine| engine.quarantined()).unwrap().len(), 1);
}

#[test]
fn a_claim_of_a_later_key_set_than_there_is_is_given_up() {
    let mut world = World::new();
    let (mut bob, carol) = (world.phone(2, "Bob"), world.phone(3, "Carol"));
    // Carol exists, and the directory answers with the set she has; the claim names one that she never made.
    let envelope = claim(&world, &mut bob, carol.address, u64::MAX);
    assert_eq!(bytes_read(&mut bob, world.now, &envelope).0, Disposition::Parked);
    let mut asked = 0;
    for _ in 0..24 * 60 {
        world.now += 60 * 1000;
        asked += bob.with(world.now, |engine| engine.poll_needs()).unwrap().len();
        world.serve(&mut bob);
    }
    assert!(asked < 100, "asked {asked} times");
    assert_eq!((bob.store.len(Table::Parked), bob.store.len(Table::Contact), bob.store.len(Table::Need)), (0, 0, 0));
}

#[test]
fn an_invitation_binds_the_keys_that_a_claim_brought_before_it() {
    let mut world = World::new();
    let (mut bob, mut carol) = (world.phone(2, "Bob"), world.phone(3, "Carol"));
    let old = world.key_sets[&carol.address.account].clone();
    link(&mut world, &mut carol, 30);
    // Somebody writes in Carol's name and claims a later set still; the directory answers with her first one, which she has replaced.
    let envelope = claim(&world, &mut bob, carol.address, 9);
    assert_eq!(bytes_read(&mut bob, world.now, &envelope).0, Disposition::Parked);
    bob.with(world.now, |engine| engine.handle_key_set(carol.address.account, &old)).unwrap();
    // Then Carol's invitation comes, which names her second.
    world.introduce(&mut bob, &mut carol);
    let view = bob.with(0, |engine| engine.contact_view(carol.address.account)).unwrap();
    assert_eq!(view.key_set_counter, None, "a set older than the invitation's is not believed");
    let outcome = bob.with(world.now, |engine| engine.handle_key_set(carol.address.account, &old)).unwrap();
    assert!(matches!(outcome, KeySetOutcome::Refused(KeySetRefusal::OlderThanPinned)), "{outcome:?}");
}

#[test]
fn a_second_invitation_does_not_move_a_contact_whose_keys_are_not_here_yet() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let genuine = bob.with(world.now, |engine| engine.invitation()).unwrap();
    ada.with(world.now, |engine| engine.add_contact(&genuine, "Bob")).unwrap();
    let mut forged = bob.with(world.now, |engine| engine.invitation()).unwrap();
    forged.account_key = *ed25519::SigningKey::generate(&mut bob.rng).verifying_key().as_bytes();
    forged.origin = "https://elsewhere.example".parse().unwrap();
    let error = ada.with(world.now, |engine| engine.add_contact(&forged, "Bob")).unwrap_err();
    assert!(matches!(error, ContactError::OtherAccountKey), "{error:?}");
    assert_eq!(ada.with(0, |engine| engine.contact_view(bob.address.account)).unwrap().origin, genuine.origin);
}

#[test]
fn bundles_that_nobody_asked_for_begin_no_session() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, conversation, text("one"));
    world.settle(&mut [&mut ada, &mut bob]);
    let before = (ada.store.len(Table::Session), ada.store.len(Table::BaseKey));
    let bundles = (0..3).map(|_| world.bundle(bob.address).unwrap()).collect();
    ada.with(world.now, |engine| engine.handle_bundles(bob.address.account, &BundlesResponse { bundles })).unwrap();
    assert_eq!((ada.store.len(Table::Session), ada.store.len(Table::BaseKey)), before);
    // Asked for once, answered three times.
    let mut carol = world.phone(3, "Carol");
    let conversation = world.introduce(&mut ada, &mut carol);
    world.send(&mut ada, conversation, text("hello"));
    let key_set = world.key_sets[&carol.address.account].clone();
    ada.with(world.now, |engine| engine.handle_key_set(carol.address.account, &key_set)).unwrap();
    let bundles = (0..3).map(|_| world.bundle(carol.address).unwrap()).collect();
    ada.with(world.now, |engine| engine.handle_bundles(carol.address.account, &BundlesResponse { bundles })).unwrap();
    assert_eq!(ada.store.len(Table::Session), before.0 + 1);
}

/// Bob, to whom somebody has written as Carol without anything to show for it.
struct Claimed {
    world: World,
    bob: Phone,
    carol: Phone,
    /// Carol's.
    account: AccountId,
    /// Keys that a directory made up: nothing has shown that they are Carol's.
    forged: Vec<u8>,
}

fn claimed() -> Claimed {
    let mut world = World::new();
    let (mut bob, mut carol) = (world.phone(2, "Bob"), world.phone(3, "Carol"));
    let envelope = claim(&world, &mut bob, carol.address, 9);
    assert_eq!(bytes_read(&mut bob, world.now, &envelope).0, Disposition::Parked);
    let account = carol.address.account;
    let forged = forged_key_set(&mut carol, account, 1);
    Claimed { world, bob, carol, account, forged }
}

#[test]
fn who_only_claims_to_be_somebody_cannot_be_written_to() {
    let Claimed { world, mut bob, account, forged, .. } = claimed();
    bob.with(world.now, |engine| engine.handle_key_set(account, &forged)).unwrap();
    assert!(matches!(bob.with(0, |engine| engine.direct_conversation(account)), Err(ContactError::Unknown)));
    assert!(matches!(bob.with(0, |engine| engine.safety_number(account)), Err(ContactError::Unknown)));
    assert!(matches!(bob.with(0, |engine| engine.mark_verified(account)), Err(ContactError::Unknown)));
    assert!(!events(&mut bob).iter().any(|event| matches!(event, Event::DevicesChanged { .. })));
    // Nor does what waits for somebody of that name go to those keys.
    let own = bob.address.account;
    let conversation = crate::conversation::direct_conversation_id(own, account);
    bob.with(world.now, |engine| {
        engine.put_conversation(conversation, &crate::conversation::direct(own, account))?;
        engine.send(conversation, text("for Carol only"), None)
    })
    .unwrap();
    bob.with(world.now, |engine| engine.handle_key_set(account, &forged)).unwrap();
    let wanted = bob.with(world.now, |engine| engine.poll_needs()).unwrap();
    assert!(!wanted.iter().any(|need| matches!(need, Need::FetchBundles { .. })), "{wanted:?}");
}

#[test]
fn the_keys_of_who_only_claims_to_be_somebody_change_unheard() {
    let Claimed { world, mut bob, mut carol, account, forged } = claimed();
    // The directory goes on to show a reset of what it made up.
    carol.store = crate::store::memory::MemoryStore::new();
    carol.with(world.now, |engine| engine.begin_reset(account, &new_account("Carol"), "t", &forged, 0)).unwrap();
    let reset = carol.with(world.now, |engine| engine.reset_request()).unwrap().key_set.0;
    for key_set in [forged, reset] {
        let outcome = bob.with(world.now, |engine| engine.handle_key_set(account, &key_set)).unwrap();
        assert!(matches!(outcome, KeySetOutcome::Accepted { .. }), "{outcome:?}");
    }
    assert_eq!(events(&mut bob), []);
    let candidate = bob.with(0, |engine| engine.contact(account)).unwrap().unwrap();
    assert!(candidate.is_candidate);
    assert_eq!((candidate.verification, candidate.changed_how), (Verification::Unverified, None));
}
