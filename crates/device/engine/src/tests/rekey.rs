//! Sessions turn, whoever writes, and nothing else comes of it.

use rcseal_wire::content::{Body, Payload, RekeyStep};
use rcseal_wire::envelope::Envelope;
use rcseal_wire::id::ConversationId;

use super::linking::link;
use super::sessions::{DAY, HOUR, acquainted, handshakes, sessions};
use super::world::{Phone, World, events, messages, text, texts};
use crate::conversation::direct_conversation_id;
use crate::rekey::RekeyInterval;
use crate::send::SendError;
use crate::store::{Table, prefix_end};
use crate::{Disposition, Undecryptable};

/// Sends words one way: they arrive, and no receipt goes back.
fn one_way(world: &mut World, from: &mut Phone, to: &mut Phone, conversation: ConversationId, words: &str) {
    world.send(from, conversation, text(words));
    world.serve(from);
    world.deliver(to);
    to.with(world.now, |engine| engine.tx.delete_range(Table::ReceiptDue, &[], &prefix_end(&[]))).unwrap();
}

fn rekey_now(world: &World, phone: &mut Phone, conversation: ConversationId) -> usize {
    phone.with(world.now, |engine| engine.rekey_now(conversation)).unwrap()
}

/// Envelopes that are made now, without the receipts and requests that would be.
fn due(world: &World, phone: &mut Phone) -> usize {
    phone.with(world.now, |engine| engine.poll_schedule()).unwrap();
    phone.store.len(Table::Outbox)
}

#[test]
fn a_rekey_is_refused_where_a_message_would_be() {
    let (world, mut ada, bob, conversation) = acquainted();
    ada.with(world.now, |engine| engine.block_contact(bob.address.account, true)).unwrap();
    let refused = ada.with(world.now, |engine| engine.rekey_now(conversation)).unwrap_err();
    assert!(matches!(refused, SendError::ContactBlocked), "{refused:?}");
    ada.with(world.now, |engine| engine.block_contact(bob.address.account, false)).unwrap();
    assert_eq!(rekey_now(&world, &mut ada, conversation), 1);
}

#[test]
fn a_ping_and_a_pong_give_both_directions_new_keys() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    one_way(&mut world, &mut ada, &mut bob, conversation, "one");
    // Somebody has seen everything that both devices hold.
    let (mut stolen_ada, mut stolen_bob) = (ada.store.clone(), bob.store.clone());
    world.now += 1;
    let before = sessions(&mut ada, bob.address)[0];
    assert_eq!(rekey_now(&world, &mut ada, conversation), 1);
    world.settle(&mut [&mut ada, &mut bob]);
    let after = sessions(&mut ada, bob.address)[0];
    assert_eq!((after.turned_at.0, before.turned_at.0), (world.now, world.now - 1));
    assert_eq!((after.sent, after.received), (before.sent + 1, before.received + 1));

    // What each says from now on is new to whoever has the stolen copies.
    world.send(&mut ada, conversation, text("to bob"));
    world.serve(&mut ada);
    let (id, to_bob) = world.mailboxes[&bob.mailbox].front().unwrap().clone();
    std::mem::swap(&mut bob.store, &mut stolen_bob);
    let stolen = bob.with(world.now, |engine| engine.handle_envelope(id, &to_bob)).unwrap();
    assert_eq!(stolen, Disposition::Undecryptable(Undecryptable::Authentication));
    std::mem::swap(&mut bob.store, &mut stolen_bob);
    world.deliver(&mut bob);
    world.send(&mut bob, conversation, text("to ada"));
    world.serve(&mut bob);
    let (id, to_ada) = world.mailboxes[&ada.mailbox].back().unwrap().clone();
    std::mem::swap(&mut ada.store, &mut stolen_ada);
    let stolen = ada.with(world.now, |engine| engine.handle_envelope(id, &to_ada)).unwrap();
    assert_eq!(stolen, Disposition::Undecryptable(Undecryptable::Authentication));
    std::mem::swap(&mut ada.store, &mut stolen_ada);
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut ada, conversation).last().unwrap(), "to ada");
    assert_eq!(texts(&mut bob, conversation), ["hello", "one", "to bob", "to ada"]);
}

#[test]
fn nothing_is_shown_of_it_and_nothing_answers_but_the_pong() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    events(&mut ada);
    events(&mut bob);
    let rows = (ada.store.len(Table::Message), bob.store.len(Table::Message));
    rekey_now(&world, &mut ada, conversation);
    world.serve(&mut ada);
    assert_eq!(world.deliver(&mut bob), [Disposition::Consumed]);
    assert_eq!(bob.store.len(Table::ReceiptDue), 0);
    world.serve(&mut bob);
    assert_eq!(world.deliver(&mut ada), [Disposition::Consumed]);
    ada.with(world.now, |engine| engine.flush_receipts()).unwrap();
    assert_eq!(ada.store.len(Table::Outbox), 0);
    assert_eq!((events(&mut ada), events(&mut bob)), (vec![], vec![]));
    assert_eq!((ada.store.len(Table::Message), bob.store.len(Table::Message)), rows);
    assert_eq!(messages(&mut bob, conversation).len(), 1);
}

#[test]
fn one_way_traffic_turns_within_the_hour() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    let began = world.now;
    for minute in 0..61 {
        world.now = began + minute * 60 * 1000;
        one_way(&mut world, &mut ada, &mut bob, conversation, "again");
        world.serve(&mut bob);
        world.deliver(&mut ada);
    }
    assert!(sessions(&mut ada, bob.address)[0].turned_at.0 >= began + HOUR * 7 / 8);
    // Bob's side is active as well, and turns for a reason of its own.
    assert!(sessions(&mut bob, ada.address)[0].turned_at.0 >= began + HOUR * 7 / 8);
}

#[test]
fn a_conversation_that_rests_is_left_alone() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    let sent = |phone: &mut Phone, to: &Phone| sessions(phone, to.address)[0].sent;
    // What was said so far is worth one rekey.
    world.now += HOUR;
    world.settle(&mut [&mut ada, &mut bob]);
    let before = (sent(&mut ada, &bob), sent(&mut bob, &ada));
    for _ in 0..48 {
        world.now += HOUR;
        world.settle(&mut [&mut ada, &mut bob]);
    }
    assert_eq!((sent(&mut ada, &bob), sent(&mut bob, &ada)), before);
    assert_eq!(ada.with(0, |engine| engine.poll_schedule_timeout()).unwrap(), None);
    world.send(&mut ada, conversation, text("up again"));
    let due = ada.with(world.now, |engine| engine.poll_schedule_timeout()).unwrap().unwrap();
    assert!(due.0 > world.now + HOUR * 7 / 8 - 1 && due.0 <= world.now + HOUR, "within the jitter");
}

#[test]
fn a_lively_conversation_turns_by_itself_and_is_not_pinged() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    let began = world.now;
    for minute in 1..60 {
        world.now = began + minute * 60 * 1000;
        world.send(&mut ada, conversation, text("a"));
        world.send(&mut bob, conversation, text("b"));
        world.settle(&mut [&mut ada, &mut bob]);
    }
    world.now = began + HOUR;
    let before = ada.store.len(Table::Outbox);
    assert_eq!(due(&world, &mut ada), before);
}

#[test]
fn both_may_ping_at_once() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    world.now += 1;
    assert_eq!((rekey_now(&world, &mut ada, conversation), rekey_now(&world, &mut bob, conversation)), (1, 1));
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(sessions(&mut ada, bob.address)[0].turned_at.0, world.now);
    assert_eq!(sessions(&mut bob, ada.address)[0].turned_at.0, world.now);
    world.send(&mut ada, conversation, text("and on"));
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut bob, conversation), ["hello", "and on"]);
    assert_eq!(world.handed_out, 1);
}

#[test]
fn a_peer_that_never_answers_gets_one_ping_a_day_and_nothing_grows() {
    let (mut world, mut ada, bob, conversation) = acquainted();
    let mut pings = 0;
    let (mut rows, mut at_first) = (0, 0);
    for hour in 0..10 * 24 {
        world.now += HOUR;
        world.send(&mut ada, conversation, text(&hour.to_string()));
        world.serve(&mut ada);
        // Bob reads nothing. Of two envelopes in an hour one is a ping.
        pings += world.intercept(&bob).len() - 1;
        rows = ada.store.len(Table::Rekey);
        at_first = if hour == 24 { rows } else { at_first };
    }
    assert!((9..=11).contains(&pings), "{pings} pings in ten days");
    // Its settings, its place in the schedule while there is one, and where the device stands.
    assert!(rows <= 3 && at_first <= 3, "{rows} rows, {at_first} at first");
}

#[test]
fn pings_are_answered_within_bounds() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    for number in 0..200_u8 {
        world.send(&mut ada, conversation, Body::Rekey(RekeyStep::Ping { id: [number; 16] }));
    }
    world.serve(&mut ada);
    world.deliver(&mut bob);
    assert_eq!(bob.store.len(Table::Outbox), 60);
    // Pongs that nobody asked for do nothing.
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut bob, conversation), ["hello"]);
}

#[test]
fn a_ping_learns_nothing_of_the_conversations_of_the_device_that_answers() {
    let (mut world, mut mallory, mut bob, with_bob) = acquainted();
    let mut carol = world.phone(3, "Carol");
    world.introduce(&mut bob, &mut carol);
    // In a new session the pong comes with an introduction. Mallory has guessed whom Bob writes to.
    mallory.with(world.now, |engine| engine.handle_store_rollback()).unwrap();
    let guessed = direct_conversation_id(bob.address.account, carol.address.account);
    mallory
        .with(world.now, |engine| {
            let account = engine.account()?;
            let key_set = engine.key_set(bob.address.account)?.unwrap();
            let payload = engine.notice(&account, guessed, Body::Rekey(RekeyStep::Ping { id: [7; 16] }))?;
            engine.dispatch_to_device(&account, bob.address, &key_set, &payload, None)
        })
        .unwrap();
    world.serve(&mut mallory);
    world.deliver(&mut bob);
    world.serve(&mut bob);
    let (_, pong) = world.intercept(&mallory).remove(0);
    let Ok(Envelope::Session { tag, nonce, ciphertext }) = Envelope::parse(&pong) else { panic!("no session's") };
    let answer = mallory
        .with(world.now, |engine| {
            let (session, epoch) = engine.session_by_tag(tag)?.unwrap();
            let message = session.seal_receive().open(epoch, &nonce, tag, ciphertext).unwrap();
            let step = session.session.decrypt(&engine.skipped(&session), &message).unwrap();
            Ok::<_, crate::store::StoreError>(Payload::parse(&step.output).unwrap())
        })
        .unwrap();
    assert!(matches!(answer.content.body(), Body::Rekey(RekeyStep::Pong { id: [7, ..] })));
    assert!(answer.introduction.is_some());
    assert_eq!(answer.conversation_id, with_bob);
    let named = answer.conversation.unwrap().participants;
    assert!(named.iter().all(|participant| participant.account != carol.address.account), "{named:?}");
}

#[test]
fn on_demand_a_device_is_pinged_once_a_minute() {
    let (mut world, mut ada, bob, conversation) = acquainted();
    assert_eq!(rekey_now(&world, &mut ada, conversation), 1);
    for _ in 0..10 {
        assert_eq!(rekey_now(&world, &mut ada, conversation), 0);
    }
    world.now += 60 * 1000;
    assert_eq!(rekey_now(&world, &mut ada, conversation), 1);
    drop(bob);
    let error = ada.with(world.now, |engine| engine.rekey_now(ConversationId::from_bytes([1; 16]))).unwrap_err();
    assert!(matches!(error, SendError::UnknownConversation), "{error:?}");
}

#[test]
fn the_other_devices_of_both_accounts_turn_as_well() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    let mut tablet = link(&mut world, &mut ada, 20);
    world.settle(&mut [&mut ada, &mut bob, &mut tablet]);
    world.send(&mut ada, conversation, text("to both"));
    world.settle(&mut [&mut ada, &mut bob, &mut tablet]);
    world.now += 1;
    assert_eq!(rekey_now(&world, &mut ada, conversation), 2);
    world.settle(&mut [&mut ada, &mut bob, &mut tablet]);
    for other in [bob.address, tablet.address] {
        assert_eq!(sessions(&mut ada, other)[0].turned_at.0, world.now);
    }
}

#[test]
fn where_there_is_no_session_none_is_begun_for_a_ping() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    assert_eq!(rekey_now(&world, &mut ada, conversation), 0);
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(rekey_now(&world, &mut ada, conversation), 0);
    assert_eq!((handshakes(&mut ada).begun, world.handed_out), (0, 0));
}

#[test]
fn a_session_that_was_never_answered_is_answered_by_the_pong() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    let mut tablet = link(&mut world, &mut ada, 20);
    world.settle(&mut [&mut ada, &mut bob, &mut tablet]);
    world.send(&mut ada, conversation, text("a copy for the tablet"));
    world.settle(&mut [&mut ada, &mut bob, &mut tablet]);
    assert!(!sessions(&mut ada, tablet.address)[0].is_answered, "between own devices there are no receipts");
    world.now += HOUR;
    world.settle(&mut [&mut ada, &mut bob, &mut tablet]);
    assert!(sessions(&mut ada, tablet.address)[0].is_answered);
}

#[test]
fn the_interval_is_chosen_per_conversation_and_may_be_never() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    let interval = |phone: &mut Phone| phone.with(0, |engine| engine.rekey_interval(conversation)).unwrap();
    let choose = |world: &World, phone: &mut Phone, interval| {
        phone.with(world.now, |engine| engine.set_rekey_interval(conversation, interval)).unwrap();
    };
    let timeout = |phone: &mut Phone| phone.with(0, |engine| engine.poll_schedule_timeout()).unwrap();
    assert_eq!(interval(&mut ada), Some(RekeyInterval::DEFAULT));
    assert_eq!(RekeyInterval::DEFAULT.minutes(), 60);

    // What is due moves with the choice.
    choose(&world, &mut ada, RekeyInterval::from_minutes(8));
    assert_eq!(interval(&mut ada).map(RekeyInterval::minutes), Some(8));
    let due = timeout(&mut ada).unwrap().0;
    assert!(due > world.now + 7 * 60 * 1000 - 1 && due <= world.now + 8 * 60 * 1000);

    choose(&world, &mut ada, None);
    assert_eq!((interval(&mut ada), timeout(&mut ada)), (None, None));
    world.send(&mut ada, conversation, text("never"));
    assert_eq!(timeout(&mut ada), None);
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(timeout(&mut ada), None);

    assert_eq!(RekeyInterval::from_minutes(0), None);
    assert_eq!(RekeyInterval::from_minutes(RekeyInterval::MINUTES_MAX + 1), None);
    let error =
        ada.with(world.now, |engine| engine.set_rekey_interval(ConversationId::from_bytes([1; 16]), None)).unwrap_err();
    assert!(matches!(error, SendError::UnknownConversation), "{error:?}");
}

#[test]
fn a_clock_that_was_a_year_ahead_does_not_stop_rekeys() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    let noon = world.now;
    world.now += 2 * HOUR;
    world.settle(&mut [&mut ada, &mut bob]);
    world.now = noon + 365 * DAY;
    ada.with(world.now, |engine| engine.send(conversation, text("from the future"), None)).unwrap();
    world.now = noon + 3 * HOUR;
    world.send(&mut ada, conversation, text("from now"));
    let due = ada.with(world.now, |engine| engine.poll_schedule_timeout()).unwrap().unwrap();
    assert!(due.0 <= world.now + HOUR);
}
