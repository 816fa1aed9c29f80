//! Killed between any two writes: no key is used twice, no message is lost, none comes twice.

use std::collections::BTreeSet;

use rcseal_wire::api::BundlesResponse;
use rcseal_wire::envelope::Envelope;
use rcseal_wire::id::EnvelopeId;

use super::resend::spoil;
use super::sessions::{DAY, HOUR, acquainted, handshakes, install_anew, learn_keys, sessions};
use super::world::{Phone, World, events, messages, text, texts};
use crate::Engine;
use crate::event::Event;
use crate::message::MessageState;
use crate::store::Table;

/// Runs `operation` again and again, failing its first write, then its second, and so on, until it gets through. Every failure must leave
/// the store as it was.
pub(super) fn with_every_crash(mut operation: impl FnMut(usize) -> bool) -> usize {
    for write in 0..2_000 {
        if operation(write) {
            return write;
        }
    }
    panic!("the operation never got through");
}

/// Fails an operation at its first write, then at its second, and so on, and lets it succeed in the end. Every failure must leave the store
/// as it was. Answers after how many writes it got through.
pub(super) fn crash_at_every_write<T, E: std::fmt::Debug>(
    phone: &mut Phone,
    now: u64,
    mut operation: impl FnMut(&mut Engine<'_>) -> Result<T, E>,
) -> usize {
    let rows = |phone: &Phone| phone.store.values().map(<[u8]>::to_vec).collect::<Vec<_>>();
    let before = rows(phone);
    with_every_crash(|write| {
        phone.store.fail_at_write(write);
        let is_through = phone.with(now, &mut operation).is_ok();
        assert!(is_through || rows(phone) == before, "a failure at write {write} left something behind");
        is_through
    })
}

#[test]
fn sending_fails_whole_at_every_write() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, conversation, text("one"));
    world.settle(&mut [&mut ada, &mut bob]);
    let writes = crash_at_every_write(&mut ada, world.now, |engine| engine.send(conversation, text("two"), None));
    assert!(writes > 3, "{writes} writes");
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut bob, conversation), ["one", "two"]);
}

#[test]
fn receiving_fails_whole_at_every_write_and_then_succeeds() {
    for first in [true, false] {
        let mut world = World::new();
        let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
        let conversation = world.introduce(&mut ada, &mut bob);
        if !first {
            world.send(&mut ada, conversation, text("zero"));
            world.settle(&mut [&mut ada, &mut bob]);
        } else {
            let genuine = world.key_sets[&ada.address.account].clone();
            world.introduce(&mut bob, &mut ada);
            bob.with(world.now, |engine| engine.handle_key_set(ada.address.account, &genuine)).unwrap();
        }
        world.send(&mut ada, conversation, text("one"));
        world.serve(&mut ada);
        world.serve(&mut ada);
        let (id, bytes) = world.intercept(&bob).remove(0);
        let writes = with_every_crash(|write| {
            bob.store.fail_at_write(write);
            match bob.with(world.now, |engine| engine.handle_envelope(id, &bytes)) {
                Ok(disposition) => {
                    assert_eq!(disposition, crate::Disposition::Consumed);
                    true
                }
                Err(_) => false,
            }
        });
        assert!(writes > 3, "{writes} writes");
        world.settle(&mut [&mut ada, &mut bob]);
        assert_eq!(texts(&mut bob, conversation).last().unwrap(), "one");
        assert_eq!(texts(&mut bob, conversation).len(), if first { 1 } else { 2 });
    }
}

#[test]
fn an_envelope_is_submitted_under_one_id_until_it_is_stored() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, conversation, text("one"));
    world.settle(&mut [&mut ada, &mut bob]);
    world.send(&mut ada, conversation, text("two"));
    let mut ids = BTreeSet::new();
    let mut bodies = BTreeSet::new();
    for _ in 0..5 {
        for outgoing in ada.with(world.now, |engine| engine.poll_outbox(10)).unwrap() {
            let submit = outgoing.submit().unwrap();
            ids.insert(submit.id);
            bodies.insert(submit.envelope.to_vec());
            assert!(Envelope::parse(&submit.envelope).is_ok());
            ada.with(world.now, |engine| engine.handle_submit_lost(outgoing.number)).unwrap();
        }
        world.now += 10 * 60 * 1000;
    }
    assert_eq!((ids.len(), bodies.len()), (1, 1));
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut bob, conversation), ["one", "two"]);
    assert_eq!(messages(&mut ada, conversation)[1].state, MessageState::Delivered);
}

#[test]
fn a_rolled_back_store_never_encrypts_under_a_used_key() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, conversation, text("one"));
    world.settle(&mut [&mut ada, &mut bob]);
    let backup = ada.store.clone();
    world.send(&mut ada, conversation, text("two"));
    world.settle(&mut [&mut ada, &mut bob]);
    // The store is put back, and the key vault's generation says so.
    ada.store = backup;
    ada.with(world.now, |engine| engine.handle_store_rollback()).unwrap();
    world.send(&mut ada, conversation, text("three"));
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut bob, conversation), ["one", "two", "three"]);
}

#[test]
fn prekeys_of_lost_uploads_are_bounded() {
    let mut world = World::new();
    let mut ada = world.phone(1, "Ada");
    let counts = rcseal_wire::api::PrekeyCounts { one_time: 0, one_time_kem: 49, low: true };
    for _ in 0..20 {
        let upload = ada.with(world.now, |engine| engine.prekey_upload(counts)).unwrap().unwrap();
        assert_eq!(upload.one_time.len(), 50);
    }
    assert!(ada.store.len(Table::Prekey) <= 400 + 50 + 20 + 2);
}

#[test]
fn a_rolled_back_store_draws_no_prekey_id_again() {
    let mut world = World::new();
    let mut ada = world.phone(1, "Ada");
    let counts = rcseal_wire::api::PrekeyCounts { one_time: 0, one_time_kem: 0, low: true };
    let backup = ada.store.clone();
    let lost = ada.with(world.now, |engine| engine.prekey_upload(counts)).unwrap().unwrap();
    ada.store = backup;
    ada.with(world.now, |engine| engine.handle_store_rollback()).unwrap();
    let drawn = ada.with(world.now, |engine| engine.prekey_upload(counts)).unwrap().unwrap();
    let highest = lost.one_time_kem.iter().map(|prekey| prekey.id).max().unwrap();
    assert!(drawn.one_time.iter().all(|prekey| prekey.id > highest));
    assert!(drawn.signed.unwrap().id > highest);
}

/// Takes in everything in a mailbox, crashing at every write of it.
fn deliver_with_crashes(world: &mut World, phone: &mut Phone) {
    for (id, bytes) in world.intercept(phone) {
        let writes = crash_at_every_write(phone, world.now, |engine| engine.handle_envelope(id, &bytes));
        assert!(writes > 0);
    }
}

#[test]
fn a_rekey_fails_whole_at_every_write_of_both_sides() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    world.now += HOUR;
    assert!(crash_at_every_write(&mut ada, world.now, |engine| engine.poll_schedule()) > 5);
    bob.with(world.now, |engine| engine.set_rekey_interval(conversation, None)).unwrap();
    world.serve(&mut ada);
    deliver_with_crashes(&mut world, &mut bob);
    world.serve(&mut bob);
    deliver_with_crashes(&mut world, &mut ada);
    let session = sessions(&mut ada, bob.address)[0];
    assert_eq!(session.turned_at.0, world.now);
    world.now += HOUR;
    let before = sessions(&mut ada, bob.address)[0].sent;
    assert!(crash_at_every_write(&mut ada, world.now, |engine| engine.rekey_now(conversation)) > 4);
    assert_eq!(sessions(&mut ada, bob.address)[0].sent, before + 1);
    world.send(&mut ada, conversation, text("and on"));
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut bob, conversation), ["hello", "and on"]);
}

#[test]
fn a_resend_fails_whole_at_every_write_of_both_sides() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    world.send(&mut ada, conversation, text("one"));
    world.serve(&mut ada);
    let (id, bytes) = world.intercept(&bob).remove(0);
    let spoilt = spoil(&mut bob, &bytes);
    assert!(crash_at_every_write(&mut bob, world.now, |engine| engine.handle_envelope(id, &spoilt)) > 5);
    assert!(crash_at_every_write(&mut bob, world.now, |engine| engine.flush_receipts()) > 5);
    world.serve(&mut bob);
    deliver_with_crashes(&mut world, &mut ada);
    world.serve(&mut ada);
    deliver_with_crashes(&mut world, &mut bob);
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut bob, conversation), ["hello", "one"]);
    assert!(messages(&mut ada, conversation).iter().all(|message| message.state == MessageState::Delivered));
}

#[test]
fn the_replacement_of_a_broken_session_fails_whole_at_every_write() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    world.now += 2 * DAY;
    for number in 0..3 {
        world.send(&mut ada, conversation, text(&number.to_string()));
    }
    world.serve(&mut ada);
    for (id, bytes) in world.intercept(&bob) {
        let spoilt = spoil(&mut bob, &bytes);
        crash_at_every_write(&mut bob, world.now, |engine| engine.handle_envelope(id, &spoilt));
    }
    crash_at_every_write(&mut bob, world.now, |engine| engine.flush_receipts());
    assert_eq!(bob.store.len(Table::Need), 1);
    let bundle = world.bundle(ada.address).unwrap();
    let response = BundlesResponse { bundles: vec![bundle] };
    let ada_account = ada.address.account;
    assert!(crash_at_every_write(&mut bob, world.now, |engine| engine.handle_bundles(ada_account, &response)) > 100);
    assert_eq!(handshakes(&mut bob).begun, 1);
    world.serve(&mut bob);
    deliver_with_crashes(&mut world, &mut ada);
    world.settle(&mut [&mut ada, &mut bob]);
    let mut read = texts(&mut bob, conversation);
    read.sort();
    assert_eq!(read, ["0", "1", "2", "hello"]);
    assert_eq!((handshakes(&mut bob).begun, handshakes(&mut ada).accepted), (1, 1));
}

#[test]
fn holding_a_message_and_the_users_decision_fail_whole_at_every_write() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    let message = world.send(&mut ada, conversation, text("for the old keys"));
    world.serve(&mut ada);
    world.intercept(&bob);
    install_anew(&mut world, &mut bob);
    events(&mut ada);
    let key_set = world.key_sets[&bob.address.account].clone();
    let bob_account = bob.address.account;
    crash_at_every_write(&mut ada, world.now, |engine| engine.handle_key_set(bob_account, &key_set));
    let held = Event::ResendHeld { conversation, message, device: bob.address };
    assert_eq!(events(&mut ada).into_iter().filter(|event| *event == held).count(), 1);
    assert!(crash_at_every_write(&mut ada, world.now, |engine| engine.approve_resend(conversation, message)) > 3);
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut bob, conversation), ["for the old keys"]);
}

#[test]
fn housekeeping_fails_whole_at_every_write() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    world.send(&mut ada, conversation, text("one"));
    world.serve(&mut ada);
    let (_, bytes) = world.intercept(&bob).remove(0);
    let spoilt = spoil(&mut bob, &bytes);
    bob.with(world.now, |engine| engine.handle_envelope(EnvelopeId::from_bytes([1; 16]), &spoilt)).unwrap();
    world.settle(&mut [&mut ada, &mut bob]);
    learn_keys(&world, &mut bob, &ada);
    world.now += 100 * DAY;
    for phone in [&mut ada, &mut bob] {
        assert!(crash_at_every_write(phone, world.now, |engine| engine.keep_house()) > 2);
        assert_eq!(phone.store.len(Table::Resend), 0);
    }
}
