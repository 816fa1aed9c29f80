//! What somebody else can make a device keep, read again or wait for, and where that ends.

use rcseal_signal::IdentityKeyPair;
use rcseal_wire::api::BundlesResponse;
use rcseal_wire::content::{Body, Receipt};
use rcseal_wire::frame::SubmitStatus;
use rcseal_wire::id::{AccountId, MessageId};

use super::{bytes_read, claim, stranger};
use crate::contact::ContactError;
use crate::message::{FailureReason, MessageState};
use crate::need::{Need, NeedKind};
use crate::store::Table;
use crate::tests::world::{Phone, World, messages, text, texts};
use crate::{Disposition, Undecryptable};

#[test]
fn fetches_that_are_always_refused_do_not_hold_up_the_others() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    // Contacts whose key sets the directory does not give away: their tokens were withdrawn.
    let mut invitation = bob.with(world.now, |engine| engine.invitation()).unwrap();
    let bob_account = invitation.account;
    ada.with(world.now, |engine| {
        for _ in 0..2_000 {
            invitation.account = AccountId::generate(engine.rng);
            let account = engine.add_contact(&invitation, "")?;
            engine.handle_need_failed(NeedKind::KeySet, account)?;
        }
        Ok::<_, ContactError>(())
    })
    .unwrap();
    let conversation = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, conversation, text("one"));
    let key_set = world.key_sets[&bob_account].clone();
    ada.with(world.now, |engine| engine.handle_key_set(bob_account, &key_set)).unwrap();
    let needs = ada.with(world.now, |engine| engine.poll_needs()).unwrap();
    assert!(matches!(needs[..], [Need::FetchBundles { .. }]), "{needs:?}");
}

#[test]
fn a_message_without_keys_fails_after_a_week_whatever_the_directory_answers() {
    let mut world = World::new();
    let (mut ada, mut bob, mut carol) = (world.phone(1, "Ada"), world.phone(2, "Bob"), world.phone(3, "Carol"));
    let (to_bob, to_carol) = (world.introduce(&mut ada, &mut bob), world.introduce(&mut ada, &mut carol));
    world.send(&mut ada, to_bob, text("no key set"));
    world.send(&mut ada, to_carol, text("no bundle"));
    let key_set = world.key_sets[&carol.address.account].clone();
    ada.with(world.now, |engine| engine.handle_key_set(carol.address.account, &key_set)).unwrap();
    world.now += 8 * 24 * 3600 * 1000;
    ada.with(world.now, |engine| engine.keep_house()).unwrap();
    assert_eq!(ada.store.len(Table::Pending), 0);
    for conversation in [to_bob, to_carol] {
        let state = messages(&mut ada, conversation)[0].state;
        assert_eq!(state, MessageState::Failed { reason: FailureReason::NoKeys });
    }
}

#[test]
fn what_is_kept_aside_is_not_read_again_for_every_envelope() {
    let mut world = World::new();
    let mut bob = world.phone(2, "Bob");
    let junk = vec![0x12; 96 * 1024];
    for _ in 0..205 {
        bytes_read(&mut bob, world.now, &junk);
    }
    assert_eq!(bob.with(0, |engine| engine.quarantined()).unwrap().len(), 200);
    let (disposition, read) = bytes_read(&mut bob, world.now, &junk);
    assert_eq!(disposition, Disposition::Undecryptable(Undecryptable::UnknownSession));
    assert!(read < 3 * junk.len(), "{read} bytes read to keep one envelope aside");
}

#[test]
fn what_waits_for_key_sets_is_bounded_per_sender_and_not_read_again_for_every_envelope() {
    let mut world = World::new();
    let mut bob = world.phone(2, "Bob");
    let sender = stranger(&mut bob);
    let envelope = claim(&world, &mut bob, sender, 1);
    let mut parked = 0;
    for _ in 0..100 {
        match bytes_read(&mut bob, world.now, &envelope).0 {
            Disposition::Parked => parked += 1,
            other => assert_eq!(other, Disposition::Undecryptable(Undecryptable::TooManyParked)),
        }
    }
    assert_eq!(parked, 32);
    // Another sender is not shut out by it.
    let other = stranger(&mut bob);
    let envelope = claim(&world, &mut bob, other, 1);
    let (disposition, read) = bytes_read(&mut bob, world.now, &envelope);
    assert_eq!(disposition, Disposition::Parked);
    assert!(read < envelope.len(), "{read} bytes read to park one envelope");
}

#[test]
fn a_mailbox_that_takes_nothing_does_not_hold_up_the_others() {
    let mut world = World::new();
    let (mut ada, mut bob, mut mallory) = (world.phone(1, "Ada"), world.phone(2, "Bob"), world.phone(3, "Mallory"));
    let with_mallory = world.introduce(&mut ada, &mut mallory);
    world.send(&mut ada, with_mallory, text("hello"));
    world.settle(&mut [&mut ada, &mut mallory]);
    // Mallory's mailbox is full, and each of her messages makes Ada send a receipt.
    let identity = IdentityKeyPair::generate(&mut ada.rng).public();
    ada.with(world.now, |engine| (0..5_000).try_for_each(|_| engine.queue(mallory.address, identity, &[0; 64], None)))
        .unwrap();
    let stuck = ada.with(world.now, |engine| engine.poll_outbox(1)).unwrap();
    ada.with(world.now, |engine| engine.handle_submitted(stuck[0].number, SubmitStatus::QuotaExceeded)).unwrap();
    let with_bob = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, with_bob, text("to bob"));
    for _ in 0..2 {
        for need in ada.with(world.now, |engine| engine.poll_needs()).unwrap() {
            match need {
                Need::FetchKeySet { account, .. } => {
                    let key_set = world.key_sets[&account].clone();
                    ada.with(world.now, |engine| engine.handle_key_set(account, &key_set)).unwrap();
                }
                Need::FetchBundles { account, .. } => {
                    let bundles = vec![world.bundle(bob.address).unwrap()];
                    ada.with(world.now, |engine| engine.handle_bundles(account, &BundlesResponse { bundles })).unwrap();
                }
                _ => unreachable!("nothing else is wanted"),
            }
        }
    }
    let due = ada.with(world.now, |engine| engine.poll_outbox(16)).unwrap();
    assert_eq!(due.iter().map(|outgoing| outgoing.submit().unwrap().mailbox).collect::<Vec<_>>(), [bob.mailbox]);
}

#[test]
fn notices_to_a_mailbox_that_takes_nothing_are_bounded() {
    let mut world = World::new();
    let (mut ada, mut mallory) = (world.phone(1, "Ada"), world.phone(3, "Mallory"));
    let mallory_account = mallory.address.account;
    let conversation = world.introduce(&mut ada, &mut mallory);
    world.send(&mut ada, conversation, text("hello"));
    world.settle(&mut [&mut ada, &mut mallory]);
    let receipt = |ada: &mut Phone, now: u64| {
        ada.with(now, |engine| {
            let account = engine.account()?;
            let body = Body::Receipt(Receipt::Read(vec![MessageId::from_bytes([1; 16])]));
            engine.send_notice(&account, mallory_account, conversation, body)
        })
        .unwrap();
    };
    for _ in 0..1_000 {
        receipt(&mut ada, world.now);
    }
    assert_eq!(ada.store.len(Table::Outbox), 256);
    // What a person wrote is not a notice.
    world.send(&mut ada, conversation, text("words"));
    assert_eq!(ada.store.len(Table::Outbox), 257);
    world.settle(&mut [&mut ada, &mut mallory]);
    assert_eq!(texts(&mut mallory, conversation), ["hello", "words"]);
    receipt(&mut ada, world.now);
    assert_eq!(ada.store.len(Table::Outbox), 1);
}
