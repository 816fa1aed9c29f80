//! Sessions between devices: they converge, however they began, and are begun anew for a reason only.

use std::collections::BTreeSet;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use rcseal_credential::KeySetBuilder;
use rcseal_signal::IdentityKeyPair;
use rcseal_wire::content::Body;
use rcseal_wire::envelope::Envelope;
use rcseal_wire::id::{ConversationId, Custody, DeviceAddress, Platform};

use super::linking::link;
use super::world::{Phone, World, events, messages, second_device, text, texts};
use crate::account::AccountError;
use crate::event::Event;
use crate::message::{FailureReason, MessageState};
use crate::overview::SessionView;
use crate::renewal::Handshakes;
use crate::resend::ResendError;
use crate::store::{StoreError, Table, prefix_end};
use crate::{Disposition, Undecryptable};

pub(super) const HOUR: u64 = 3600 * 1000;
pub(super) const DAY: u64 = 24 * HOUR;

/// Two phones that have written to each other.
pub(super) fn acquainted() -> (World, Phone, Phone, ConversationId) {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, conversation, text("hello"));
    world.settle(&mut [&mut ada, &mut bob]);
    (world, ada, bob, conversation)
}

/// The session that a phone sends to a device on, by its base key.
fn active(phone: &mut Phone, device: DeviceAddress) -> [u8; 32] {
    phone.with(0, |engine| Ok::<_, StoreError>(engine.active_session(device)?.unwrap().session.base_key())).unwrap()
}

pub(super) fn handshakes(phone: &mut Phone) -> Handshakes {
    phone.with(0, |engine| engine.handshakes()).unwrap()
}

pub(super) fn sessions(phone: &mut Phone, device: DeviceAddress) -> Vec<SessionView> {
    let devices = phone.with(0, |engine| engine.sessions(device.account)).unwrap();
    devices.into_iter().find(|known| known.device == device).unwrap().sessions
}

/// The app is installed anew over the old login: the device has its old number, and new keys that the account has signed.
pub(super) fn install_anew(world: &mut World, phone: &mut Phone) {
    let (key_set, upload) = phone
        .with(world.now, |engine| {
            let mut account = engine.account()?;
            account.identity = IdentityKeyPair::generate(engine.rng);
            let entry = account.entry(Platform::Android, Custody::User, engine.rng).unwrap();
            let known = engine.own_key_set(&account)?;
            let key_set = KeySetBuilder::successor(&known)
                .replace_device(entry)
                .unwrap()
                .sign(account.signer.as_ref().unwrap())
                .unwrap();
            engine.put_key_set(&key_set)?;
            for table in [
                Table::Session,
                Table::ActiveSession,
                Table::Tag,
                Table::BaseKey,
                Table::Prekey,
                Table::Message,
                Table::MessageIndex,
            ] {
                engine.tx.delete_range(table, &[], &prefix_end(&[]))?;
            }
            engine.draw_first_prekeys(&mut account)?;
            engine.put_account(&account)?;
            Ok::<_, AccountError>((key_set.as_bytes().to_vec(), engine.device_upload(&account)?))
        })
        .unwrap();
    world.key_sets.insert(phone.address.account, key_set);
    world.devices.insert(phone.address, upload);
}

/// A phone learns an account's newest key set.
pub(super) fn learn_keys(world: &World, phone: &mut Phone, of: &Phone) {
    let key_set = world.key_sets[&of.address.account].clone();
    phone.with(world.now, |engine| engine.handle_key_set(of.address.account, &key_set)).unwrap();
}

#[test]
fn both_begin_at_once_and_go_on_in_one_session() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    world.introduce(&mut bob, &mut ada);
    world.send(&mut ada, conversation, text("from ada"));
    world.send(&mut bob, conversation, text("from bob"));
    // Each has the other's bundle before the other's first message.
    for _ in 0..2 {
        world.serve(&mut ada);
        world.serve(&mut bob);
    }
    assert_ne!(active(&mut ada, bob.address), active(&mut bob, ada.address));
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut ada, conversation), ["from ada", "from bob"]);
    assert_eq!(texts(&mut bob, conversation), ["from bob", "from ada"]);
    // As soon as one of them writes without the other writing at the same moment.
    world.send(&mut ada, conversation, text("and on"));
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(active(&mut ada, bob.address), active(&mut bob, ada.address));
    assert_eq!(world.handed_out, 2);
}

#[test]
fn who_is_written_to_first_answers_in_that_session_and_fetches_no_prekey() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    world.introduce(&mut bob, &mut ada);
    learn_keys(&world, &mut bob, &ada);
    world.send(&mut ada, conversation, text("from ada"));
    world.send(&mut bob, conversation, text("from bob"));
    world.serve(&mut ada);
    world.serve(&mut ada);
    // Bob's message waits for a bundle when Ada's arrives.
    assert_eq!(bob.store.len(Table::Pending), 1);
    assert_eq!(world.deliver(&mut bob), [Disposition::Consumed]);
    assert_eq!(bob.store.len(Table::Pending), 0);
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut ada, conversation), ["from ada", "from bob"]);
    assert_eq!(world.handed_out, 1);
    assert_eq!(handshakes(&mut bob), Handshakes { begun: 0, accepted: 1 });
}

#[test]
fn first_messages_repeat_the_handshake_until_the_peer_answers() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    for words in ["one", "two", "three"] {
        world.send(&mut ada, conversation, text(words));
        world.serve(&mut ada);
        world.serve(&mut ada);
    }
    let mut envelopes = world.intercept(&bob);
    assert!(envelopes.iter().all(|(_, bytes)| matches!(Envelope::parse(bytes), Ok(Envelope::First { .. }))));
    assert!(!sessions(&mut ada, bob.address)[0].is_answered);
    // The first two are lost on the way; the third is enough.
    let (id, bytes) = envelopes.pop().unwrap();
    learn_keys(&world, &mut bob, &ada);
    bob.with(world.now, |engine| engine.handle_envelope(id, &bytes)).unwrap();
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut bob, conversation), ["three"]);
    assert!(sessions(&mut ada, bob.address)[0].is_answered);
    world.send(&mut ada, conversation, text("four"));
    world.serve(&mut ada);
    let (_, four) = world.mailboxes[&bob.mailbox].back().unwrap();
    assert!(matches!(Envelope::parse(four), Ok(Envelope::Session { .. })));
    // And those that were thought lost are still read.
    for (id, bytes) in envelopes {
        bob.with(world.now, |engine| engine.handle_envelope(id, &bytes)).unwrap();
    }
    assert_eq!(texts(&mut bob, conversation), ["three", "one", "two"]);
}

#[test]
fn an_archived_session_still_receives() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    let old = active(&mut ada, bob.address);
    world.send(&mut ada, conversation, text("late"));
    world.serve(&mut ada);
    let late = world.intercept(&bob).remove(0);
    // Bob's store is lost and put back; he begins anew, and Ada goes over to his session.
    bob.with(world.now, |engine| engine.handle_store_rollback()).unwrap();
    world.send(&mut bob, conversation, text("again"));
    world.settle(&mut [&mut ada, &mut bob]);
    let new = active(&mut ada, bob.address);
    assert_ne!(new, old);
    assert_eq!(bob.with(world.now, |engine| engine.handle_envelope(late.0, &late.1)).unwrap(), Disposition::Consumed);
    assert_eq!(texts(&mut bob, conversation), ["hello", "again", "late"]);
    // What came in the old session does not bring it back at Bob's, where it must not speak.
    world.send(&mut bob, conversation, text("and on"));
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(active(&mut bob, ada.address), active(&mut ada, bob.address));
    assert_eq!(texts(&mut ada, conversation).last().unwrap(), "and on");
}

#[test]
fn a_rolled_back_device_begins_anew_by_itself_within_the_hour() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, conversation, text("one"));
    world.settle(&mut [&mut ada, &mut bob]);
    let backup = bob.store.clone();
    // In the life that Bob loses, Ada's own store is put back, and she begins a session that Bob's backup does not know.
    ada.with(world.now, |engine| engine.handle_store_rollback()).unwrap();
    world.send(&mut ada, conversation, text("two"));
    world.settle(&mut [&mut ada, &mut bob]);
    bob.store = backup;
    bob.with(world.now, |engine| engine.handle_store_rollback()).unwrap();
    world.send(&mut ada, conversation, text("into the void"));
    world.serve(&mut ada);
    assert_eq!(world.deliver(&mut bob), [Disposition::Undecryptable(Undecryptable::UnknownSession)]);
    // Nobody writes. Bob's device does by itself what Ada's needs to find out.
    world.now += HOUR;
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(active(&mut ada, bob.address), active(&mut bob, ada.address));
    world.send(&mut ada, conversation, text("three"));
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut bob, conversation), ["one", "three"]);
}

#[test]
fn a_message_goes_to_the_devices_of_both_accounts_that_are_in_scope_when_it_is_sent() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    let mut ada_tablet = link(&mut world, &mut ada, 21);
    let mut bob_tablet = link(&mut world, &mut bob, 22);
    world.settle(&mut [&mut ada, &mut bob, &mut ada_tablet, &mut bob_tablet]);
    world.send(&mut ada, conversation, text("to all four"));
    world.settle(&mut [&mut ada, &mut bob, &mut ada_tablet, &mut bob_tablet]);
    for phone in [&mut ada, &mut bob, &mut ada_tablet, &mut bob_tablet] {
        assert_eq!(texts(phone, conversation).last().unwrap(), "to all four");
    }
    bob.with(world.now, |engine| engine.remove_device(second_device())).unwrap();
    world.settle(&mut [&mut ada, &mut bob, &mut ada_tablet, &mut bob_tablet]);
    world.send(&mut ada_tablet, conversation, text("to three"));
    world.settle(&mut [&mut ada, &mut bob, &mut ada_tablet, &mut bob_tablet]);
    for phone in [&mut ada, &mut bob] {
        assert_eq!(texts(phone, conversation).last().unwrap(), "to three");
    }
    assert_eq!(texts(&mut bob_tablet, conversation).last().unwrap(), "to all four");
}

#[test]
fn a_device_that_was_installed_anew_is_written_to_under_its_new_keys() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    let old = active(&mut ada, bob.address);
    install_anew(&mut world, &mut bob);
    learn_keys(&world, &mut ada, &bob);
    world.send(&mut ada, conversation, text("to the new keys"));
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut bob, conversation), ["to the new keys"]);
    assert_ne!(active(&mut ada, bob.address), old);
    assert_eq!(active(&mut ada, bob.address), active(&mut bob, ada.address));
}

#[test]
fn a_message_that_waits_for_a_first_key_set_is_fixed_to_the_one_that_comes() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, conversation, text("for the phone"));
    learn_keys(&world, &mut ada, &bob);
    // Before the bundle is here, the account grows a device, and the phone gets other keys.
    let mut tablet = link(&mut world, &mut bob, 20);
    install_anew(&mut world, &mut bob);
    learn_keys(&world, &mut ada, &bob);
    world.settle(&mut [&mut ada, &mut bob, &mut tablet]);
    assert_eq!((texts(&mut bob, conversation).len(), texts(&mut tablet, conversation).len()), (0, 0));
    let message = messages(&mut ada, conversation).remove(0);
    assert_eq!(message.state, MessageState::Failed { reason: FailureReason::NoKeys });
    let held = Event::ResendHeld { conversation, message: message.id, device: bob.address };
    assert!(events(&mut ada).contains(&held));
    // The user decides.
    assert_eq!(ada.with(world.now, |engine| engine.approve_resend(conversation, message.id)).unwrap(), 2);
    world.settle(&mut [&mut ada, &mut bob, &mut tablet]);
    assert_eq!(texts(&mut bob, conversation), ["for the phone"]);
    assert_eq!(texts(&mut tablet, conversation), ["for the phone"]);
    assert_eq!(messages(&mut ada, conversation)[0].state, MessageState::Delivered);
    let error = ada.with(world.now, |engine| engine.approve_resend(conversation, message.id)).unwrap_err();
    assert!(matches!(error, ResendError::NotHeld), "{error:?}");
}

#[test]
fn an_initiation_that_nobody_answered_in_a_month_is_not_sent_on() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, conversation, text("one"));
    world.serve(&mut ada);
    world.serve(&mut ada);
    let first = active(&mut ada, bob.address);
    world.now += 30 * DAY;
    world.send(&mut ada, conversation, text("two"));
    world.serve(&mut ada);
    assert_eq!((active(&mut ada, bob.address), world.handed_out), (first, 1));
    world.now += 1;
    world.send(&mut ada, conversation, text("three"));
    world.serve(&mut ada);
    world.serve(&mut ada);
    assert_ne!(active(&mut ada, bob.address), first);
    assert_eq!(world.handed_out, 2);
    // Bob, who was away all the time, reads all of it, and both go on in the new session.
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut bob, conversation), ["one", "two", "three"]);
    assert_eq!(active(&mut ada, bob.address), active(&mut bob, ada.address));
}

#[test]
fn a_session_is_renewed_at_half_a_year_by_the_side_that_began_it() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    let first = active(&mut ada, bob.address);
    world.now += 180 * DAY;
    world.send(&mut ada, conversation, text("not yet"));
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(world.handed_out, 1);
    world.now += DAY;
    world.send(&mut bob, conversation, text("nor by the other side"));
    world.serve(&mut bob);
    world.serve(&mut bob);
    assert_eq!(world.handed_out, 1);
    world.send(&mut ada, conversation, text("now"));
    // The message does not wait for the new session.
    assert_eq!((ada.store.len(Table::Outbox), ada.store.len(Table::Pending)), (1, 1));
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(world.handed_out, 2);
    assert_eq!(texts(&mut bob, conversation), ["hello", "not yet", "nor by the other side", "now"]);
    assert_ne!(active(&mut ada, bob.address), first);
    assert_eq!(active(&mut ada, bob.address), active(&mut bob, ada.address));
    for words in ["and", "so", "on"] {
        world.send(&mut ada, conversation, text(words));
        world.settle(&mut [&mut ada, &mut bob]);
    }
    assert_eq!(world.handed_out, 2);
}

/// Bob's store is put back to an older one, and his key vault with it: nothing tells him.
fn put_back_unnoticed(world: &mut World, ada: &mut Phone, bob: &mut Phone, conversation: ConversationId) {
    let old = bob.store.clone();
    for round in 0..3 {
        world.send(ada, conversation, text(&format!("lost {round}")));
        world.settle(&mut [ada, bob]);
    }
    bob.store = old;
}

#[test]
fn a_broken_session_is_replaced_after_three_failures_and_everything_arrives() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    world.now += 2 * DAY;
    put_back_unnoticed(&mut world, &mut ada, &mut bob, conversation);
    for words in ["one", "two", "three", "four"] {
        world.send(&mut ada, conversation, text(words));
        world.settle(&mut [&mut ada, &mut bob]);
    }
    let mut read = texts(&mut bob, conversation);
    read.sort();
    assert_eq!(read, ["four", "hello", "one", "three", "two"]);
    assert_eq!(active(&mut ada, bob.address), active(&mut bob, ada.address));
    assert!(messages(&mut ada, conversation).iter().all(|message| message.state == MessageState::Delivered));
    assert!(world.handed_out <= 3, "{} handshakes", world.handed_out);
}

#[test]
fn a_broken_session_is_replaced_once_a_day() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    world.now += 2 * DAY;
    put_back_unnoticed(&mut world, &mut ada, &mut bob, conversation);
    for words in ["one", "two", "three"] {
        world.send(&mut ada, conversation, text(words));
        world.settle(&mut [&mut ada, &mut bob]);
    }
    let after_first = world.handed_out;
    // It breaks again within the day.
    world.now += HOUR;
    put_back_unnoticed(&mut world, &mut ada, &mut bob, conversation);
    for number in 0..20 {
        world.send(&mut ada, conversation, text(&format!("broken {number}")));
        world.settle(&mut [&mut ada, &mut bob]);
    }
    assert_eq!(world.handed_out, after_first);
    // Nor do the devices talk about it without end.
    let spoken = sessions(&mut bob, ada.address)[0].sent;
    assert!(spoken < 64, "{spoken} messages about a broken session");
    // A day later it is replaced, although nobody writes any more.
    world.now += DAY + HOUR;
    world.settle(&mut [&mut ada, &mut bob]);
    world.settle(&mut [&mut ada, &mut bob]);
    assert!(world.handed_out > after_first && world.handed_out <= after_first + 2);
    let read = texts(&mut bob, conversation);
    for number in 0..20 {
        let words = format!("broken {number}");
        assert_eq!(read.iter().filter(|read| **read == words).count(), 1, "{words} in {read:?}");
    }
}

#[test]
fn a_clock_that_was_a_year_ahead_does_not_stop_renewals() {
    // Both began their session with a clock that was wrong, and was put right.
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    world.now -= 365 * DAY;
    put_back_unnoticed(&mut world, &mut ada, &mut bob, conversation);
    for words in ["one", "two", "three"] {
        world.send(&mut ada, conversation, text(words));
        world.settle(&mut [&mut ada, &mut bob]);
    }
    world.settle(&mut [&mut ada, &mut bob]);
    for words in ["one", "two", "three"] {
        assert!(texts(&mut bob, conversation).iter().any(|read| read == words), "{words}");
    }
}

#[test]
fn one_damaged_message_replaces_no_session() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    world.now += 2 * DAY;
    for number in 0..5 {
        world.send(&mut ada, conversation, text(&format!("damaged {number}")));
        world.serve(&mut ada);
        for (id, bytes) in world.intercept(&bob) {
            let spoilt = super::resend::spoil(&mut bob, &bytes);
            bob.with(world.now, |engine| engine.handle_envelope(id, &spoilt)).unwrap();
        }
        world.settle(&mut [&mut ada, &mut bob]);
    }
    assert_eq!(world.handed_out, 1);
    assert_eq!(texts(&mut bob, conversation).len(), 6);
}

#[test]
fn messages_do_not_wait_for_ever_for_a_directory_that_is_away() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    world.now += 2 * DAY;
    // Bob could not read three envelopes.
    for number in 0..3 {
        world.send(&mut ada, conversation, text(&format!("refused {number}")));
        world.serve(&mut ada);
        for (id, bytes) in world.intercept(&bob) {
            let spoilt = super::resend::spoil(&mut bob, &bytes);
            let refused = bob.with(world.now, |engine| engine.handle_envelope(id, &spoilt)).unwrap();
            assert_eq!(refused, Disposition::Undecryptable(Undecryptable::Authentication));
        }
    }
    // His device asks for a new session, and the directory does not answer.
    assert!(bob.with(0, |engine| engine.is_waiting(ada.address)).unwrap());
    let queued = bob.store.len(Table::Outbox);
    world.send(&mut bob, conversation, text("waits"));
    assert_eq!(bob.store.len(Table::Outbox), queued);
    world.now += 11 * 60 * 1000;
    world.send(&mut bob, conversation, text("does not wait"));
    assert_eq!(bob.store.len(Table::Outbox), queued + 1);
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut ada, conversation).iter().filter(|words| words.ends_with("wait")).count(), 1);
    assert_eq!(texts(&mut ada, conversation).iter().filter(|words| words.ends_with("waits")).count(), 1);
}

#[test]
fn a_week_of_hourly_rekeys_uses_up_no_prekey() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    let before = (world.handed_out, handshakes(&mut ada), handshakes(&mut bob));
    let turned = sessions(&mut ada, bob.address)[0].turned_at;
    for hour in 0..7 * 24 {
        world.now += HOUR;
        world.send(&mut ada, conversation, text(&format!("hour {hour}")));
        // Bob's receipts are off: nothing but the rekey makes him answer.
        world.serve(&mut ada);
        world.deliver(&mut bob);
        bob.with(world.now, |engine| engine.tx.delete_range(Table::ReceiptDue, &[], &prefix_end(&[]))).unwrap();
        world.serve(&mut bob);
        world.deliver(&mut ada);
    }
    assert!(sessions(&mut ada, bob.address)[0].turned_at.since(turned) >= 6 * DAY);
    assert_eq!((world.handed_out, handshakes(&mut ada), handshakes(&mut bob)), before);
    assert_eq!(before, (1, Handshakes { begun: 1, accepted: 0 }, Handshakes { begun: 0, accepted: 1 }));
}

#[test]
fn sessions_in_which_nothing_can_arrive_any_more_are_dropped() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    bob.with(world.now, |engine| engine.handle_store_rollback()).unwrap();
    world.send(&mut bob, conversation, text("again"));
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(sessions(&mut ada, bob.address).len(), 2);
    world.now += 59 * DAY;
    ada.with(world.now, |engine| engine.keep_house()).unwrap();
    assert_eq!(ada.store.len(Table::Session), 2);
    world.now += 2 * DAY;
    ada.with(world.now, |engine| engine.keep_house()).unwrap();
    let left = sessions(&mut ada, bob.address);
    assert!(matches!(left[..], [SessionView { is_active: true, .. }]), "{left:?}");
    world.send(&mut ada, conversation, text("and on"));
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut bob, conversation).last().unwrap(), "and on");
}

#[test]
fn the_overview_counts_and_names_no_key() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    let own = ada.address.account;
    assert_eq!(ada.with(0, |engine| engine.sessions(own)).unwrap(), []);
    let before = sessions(&mut ada, bob.address)[0];
    assert!(before.is_active && before.is_initiator && before.is_answered && !before.is_archived);
    world.send(&mut ada, conversation, Body::Typing(true));
    world.settle(&mut [&mut ada, &mut bob]);
    let after = sessions(&mut ada, bob.address)[0];
    assert_eq!((after.sent, after.received), (before.sent + 1, before.received));
    let stranger = rcseal_wire::id::AccountId::from_bytes([9; 16]);
    assert_eq!(ada.with(0, |engine| engine.sessions(stranger)).unwrap(), []);
}

/// Damage, loss, crossing, stores that are put back with and without notice, days that pass: at the end both read each other again, nothing
/// was shown twice, and no more handshakes were made than days and rollbacks allow.
#[test]
fn whatever_happens_sessions_converge() {
    for seed in 0..6 {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let (mut world, mut ada, mut bob, conversation) = acquainted();
        let (mut backup, mut rollbacks, began) = (bob.store.clone(), 0, world.now);
        for step in 0..80 {
            world.now += u64::from(rng.next_u32() % 7_200_000);
            match rng.next_u32() % 12 {
                0..=3 => drop(world.send(&mut ada, conversation, text(&format!("ada {step}")))),
                4..=6 => drop(world.send(&mut bob, conversation, text(&format!("bob {step}")))),
                7 => {
                    world.serve(&mut ada);
                    world.intercept(&bob);
                }
                8 => {
                    world.serve(&mut ada);
                    for (id, bytes) in world.intercept(&bob) {
                        // What is in a session is damaged inside its seal, what is not yet, on the way.
                        let is_known = matches!(Envelope::parse(&bytes), Ok(Envelope::Session { tag, .. })
                            if bob.with(0, |engine| engine.session_by_tag(tag)).unwrap().is_some());
                        let spoilt = if is_known { super::resend::spoil(&mut bob, &bytes) } else { vec![1; 600] };
                        bob.with(world.now, |engine| engine.handle_envelope(id, &spoilt)).unwrap();
                    }
                }
                9 => {
                    bob.store = std::mem::replace(&mut backup, bob.store.clone());
                    rollbacks += 1;
                    if rng.next_u32() % 2 == 0 {
                        bob.with(world.now, |engine| engine.handle_store_rollback()).unwrap();
                    }
                }
                10 => backup = bob.store.clone(),
                _ => drop(world.serve(&mut bob)),
            }
            if rng.next_u32() % 3 == 0 {
                world.settle(&mut [&mut ada, &mut bob]);
            }
        }
        for words in ["are you there?", "I am", "good"] {
            for _ in 0..8 {
                world.now += 4 * HOUR;
                world.settle(&mut [&mut ada, &mut bob]);
            }
            world.send(&mut ada, conversation, text(&format!("{words} says ada")));
            world.send(&mut bob, conversation, text(&format!("{words} says bob")));
            world.settle(&mut [&mut ada, &mut bob]);
        }
        world.now += 2 * DAY;
        world.settle(&mut [&mut ada, &mut bob]);
        assert_eq!(
            texts(&mut bob, conversation).iter().filter(|read| *read == "good says ada").count(),
            1,
            "seed {seed}"
        );
        assert_eq!(
            texts(&mut ada, conversation).iter().filter(|read| *read == "good says bob").count(),
            1,
            "seed {seed}"
        );
        for phone in [&mut ada, &mut bob] {
            let shown = texts(phone, conversation);
            let different: BTreeSet<_> = shown.iter().collect();
            assert_eq!(different.len(), shown.len(), "seed {seed}: shown twice");
        }
        let days = usize::try_from((world.now - began) / DAY).unwrap() + 1;
        assert!(world.handed_out <= 2 * (days + rollbacks) + 1, "seed {seed}: {} in {days} days", world.handed_out);
    }
}
