//! Killed between any two writes: no key is used twice, no message is lost, none comes twice.

use std::collections::BTreeSet;

use rcseal_wire::envelope::Envelope;

use super::world::{World, messages, text, texts};
use crate::message::MessageState;

/// Runs `operation` again and again, failing its first write, then its second, and so on, until it gets through. Every failure must leave
/// the store as it was.
pub(super) fn with_every_crash(mut operation: impl FnMut(Option<usize>) -> bool) -> usize {
    for write in 0..2_000 {
        if operation(Some(write)) {
            return write;
        }
    }
    panic!("the operation never got through");
}

#[test]
fn sending_fails_whole_at_every_write() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, conversation, text("one"));
    world.settle(&mut [&mut ada, &mut bob]);
    let writes = with_every_crash(|write| {
        if let Some(write) = write {
            ada.store.fail_at_write(write);
        }
        let before = ada.store.clone();
        let sent = ada.with(world.now, |engine| engine.send(conversation, text("two"), None)).is_ok();
        if !sent {
            assert_eq!(texts(&mut ada, conversation), ["one"]);
            assert_eq!(before.values().count(), ada.store.values().count());
        }
        sent
    });
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
            if let Some(write) = write {
                bob.store.fail_at_write(write);
            }
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
            ids.insert(outgoing.submit.id);
            bodies.insert(outgoing.submit.envelope.to_vec());
            assert!(Envelope::parse(&outgoing.submit.envelope).is_ok());
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
    assert!(ada.store.len(crate::store::Table::Prekey) <= 400 + 50 + 20 + 2);
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
