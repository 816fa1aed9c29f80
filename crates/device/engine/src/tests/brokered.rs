//! Through a broker: ciphertext on its way out and in, and what a broker took from a carrier for this device.

use rcseal_rcs::frame::{FrameId, Kind, split};
use rcseal_rcs::transport::{SendFailure, Taken};
use rcseal_wire::api::broker::NOTICE_CONTENT_TYPE;
use rcseal_wire::carrier_delivery::{CarrierChannel, CarrierDelivery, DeliverySender, forwarded_id};
use rcseal_wire::content::Capabilities;
use rcseal_wire::id::EnvelopeId;

use super::carrier::{ADA, BOB, Handed, Pair, number, wide};
use super::crash::crash_at_every_write;
use super::world::{Phone, events, messages, text, texts};
use crate::account::AccountError;
use crate::carrier::CarrierSetup;
use crate::event::Event;
use crate::inbox::{Disposition, Undecryptable};
use crate::message::{EncryptionStatus, MessageState};
use crate::plain::{PlainMessageView, PlainSender};
use crate::policy::{DeliveryMode, EntryKind, Reason, Subject};
use crate::store::Table;

const SHOP: &str = "+15552010042";

/// Bob is on the carrier through a broker, and Ada by herself.
fn brokered() -> Pair {
    let mut pair = Pair::new(&wide());
    let setup = CarrierSetup::by_broker(number(BOB), wide());
    pair.bob.with(pair.world.now, |engine| engine.set_carrier(Some(setup))).unwrap();
    pair.settle();
    pair
}

/// The broker takes what Ada's phone handed over, and puts it into Bob's mailbox. The relay brings it.
fn forward(pair: &mut Pair, handed: &Handed) -> Disposition {
    let envelope = handed.envelope();
    let id = forwarded_id(&pair.bob.mailbox, &envelope);
    pair.bob.with(pair.world.now, |engine| engine.handle_envelope(id, &envelope)).unwrap()
}

fn delivery(words: &str) -> CarrierDelivery {
    CarrierDelivery {
        id: [7; 16],
        received_at_ms: 1_700_000_000_000,
        channel: CarrierChannel::Rcs,
        to: BOB.parse().unwrap(),
        from: DeliverySender::Asserted(SHOP.parse().unwrap()),
        content_type: "text/plain;charset=UTF-8".into(),
        content_encoding: None,
        body: words.as_bytes().to_vec(),
    }
}

/// The broker seals to the phone.
fn seal(phone: &mut Phone, delivery: &CarrierDelivery) -> Vec<u8> {
    phone
        .with(0, |engine| {
            let account = engine.account()?;
            Ok::<_, AccountError>(delivery.seal(&account.sealing().public_key(), account.address, engine.rng).unwrap())
        })
        .unwrap()
}

fn bring(pair: &mut Pair, delivery: &CarrierDelivery, id: u8) -> Disposition {
    let sealed = seal(&mut pair.bob, delivery);
    let id = EnvelopeId::from_bytes([id; 16]);
    pair.bob.with(pair.world.now, |engine| engine.handle_envelope(id, &sealed)).unwrap()
}

fn thread(phone: &mut Phone, of: &str) -> Vec<PlainMessageView> {
    phone.with(0, |engine| engine.plain_messages(&number(of), None, 100)).unwrap()
}

#[test]
fn a_broker_on_the_other_side_is_named_on_both_and_only_the_devices_receipt_counts() {
    let mut pair = brokered();
    let subject = Subject::Conversation(pair.conversation);
    let explained = pair.ada.with(pair.world.now, |engine| engine.explain(subject)).unwrap();
    assert_eq!(explained.decision.mode(), Some(DeliveryMode::Brokered));
    assert_eq!(explained.decision.reason, Reason::BrokeredPreferred);
    let handed = pair.ada_writes("through the broker");
    assert_eq!(handed.len(), 1);
    pair.taken(&handed[0], Taken::Stored);
    assert_eq!(forward(&mut pair, &handed[0]), Disposition::Consumed);
    let received = messages(&mut pair.bob, pair.conversation).pop().unwrap();
    assert_eq!(received.encryption, EncryptionStatus::Brokered);
    pair.settle();
    let sent = messages(&mut pair.ada, pair.conversation).pop().unwrap();
    assert_eq!((sent.state, sent.encryption), (MessageState::Delivered, EncryptionStatus::Brokered));
    assert_eq!(pair.journal(), [], "the user's preference was followed");
    // The broker repeats it, and a carrier does too.
    assert_eq!(forward(&mut pair, &handed[0]), Disposition::Duplicate);
    assert_eq!(texts(&mut pair.bob, pair.conversation).len(), 3);
}

#[test]
fn a_broker_on_this_side_is_named_as_well() {
    let mut pair = Pair::new(&wide());
    let setup = CarrierSetup::by_broker(number(ADA), wide());
    pair.ada.with(pair.world.now, |engine| engine.set_carrier(Some(setup))).unwrap();
    pair.settle();
    let handed = pair.ada_writes("by my broker");
    let sent = messages(&mut pair.ada, pair.conversation).pop().unwrap();
    assert_eq!(sent.encryption, EncryptionStatus::Brokered);
    // Bob's own stack gets it from the carrier, and knows of the broker by Ada's card.
    pair.bring(&handed[0].messages[0]);
    let received = messages(&mut pair.bob, pair.conversation).pop().unwrap();
    assert_eq!(received.encryption, EncryptionStatus::Brokered);
}

#[test]
fn what_a_broker_does_not_bring_goes_by_the_relay_with_the_mode_that_was_wanted() {
    let mut pair = brokered();
    let handed = pair.ada_writes("lost at the broker");
    let now = pair.world.now;
    let refused = Err(SendFailure::Busy { retry_after: None });
    pair.ada.with(now, |engine| engine.handle_carrier_outcome(handed[0].number, refused)).unwrap();
    pair.settle();
    let entry = pair.journal().pop().unwrap();
    assert_eq!((entry.kind, entry.wanted), (EntryKind::Fallback, DeliveryMode::Brokered));
    assert_eq!((entry.taken, entry.reason), (Some(DeliveryMode::Relayed), Reason::CarrierRefused));
    for phone in [&mut pair.ada, &mut pair.bob] {
        assert_eq!(messages(phone, pair.conversation).pop().unwrap().encryption, EncryptionStatus::Relayed);
    }
}

#[test]
fn what_was_to_pass_no_broker_passes_none() {
    let mut pair = Pair::new(&wide());
    let (now, bob) = (pair.world.now, pair.bob.address);
    pair.world.send(&mut pair.ada, pair.conversation, text("from phone to phone"));
    // Bob goes over to a broker before it leaves.
    let card =
        Capabilities { frame_version: 1, number: Some(BOB.to_owned()), via_broker: true, ..Capabilities::default() };
    pair.ada.with(now, |engine| engine.take_card(bob, &card)).unwrap();
    assert!(pair.hand_over().is_empty());
    let entry = pair.journal().pop().unwrap();
    assert_eq!((entry.wanted, entry.reason), (DeliveryMode::Native, Reason::DeviceNotOnCarrier));
    // The next is decided anew.
    pair.world.send(&mut pair.ada, pair.conversation, text("by the broker then"));
    assert_eq!(messages(&mut pair.ada, pair.conversation).pop().unwrap().encryption, EncryptionStatus::Brokered);
    assert_eq!(pair.hand_over().len(), 1);
}

#[test]
fn an_envelope_that_came_another_way_is_not_said_to_have_passed_a_broker() {
    let mut pair = brokered();
    let handed = pair.ada_writes("twice");
    let envelope = handed[0].envelope();
    let other = EnvelopeId::from_bytes([3; 16]);
    let now = pair.world.now;
    let taken = pair.bob.with(now, |engine| engine.handle_envelope(other, &envelope)).unwrap();
    assert_eq!(taken, Disposition::Consumed);
    let received = messages(&mut pair.bob, pair.conversation).pop().unwrap();
    assert_eq!(received.encryption, EncryptionStatus::Relayed);
}

/// Whoever knows a number can give a broker an envelope; a relay asks for a token.
#[test]
fn a_stranger_whose_envelope_a_broker_passes_on_is_not_heard() {
    let mut pair = brokered();
    let mut eve = pair.world.phone(9, "Eve");
    let conversation = pair.world.introduce(&mut eve, &mut pair.bob);
    pair.world.send(&mut eve, conversation, text("hello"));
    while pair.world.serve(&mut eve) {}
    let (_, envelope) = pair.world.intercept(&pair.bob).pop().unwrap();
    let id = forwarded_id(&pair.bob.mailbox, &envelope);
    let taken = pair.bob.with(pair.world.now, |engine| engine.handle_envelope(id, &envelope)).unwrap();
    assert_eq!(taken, Disposition::Undecryptable(Undecryptable::UnknownDevice));
    assert!(pair.bob.with(0, |engine| engine.quarantined()).unwrap().is_empty());
}

#[test]
fn words_from_a_broker_are_claimed_whatever_it_says_and_come_once() {
    let mut pair = brokered();
    events(&mut pair.bob);
    assert_eq!(bring(&mut pair, &delivery("your order"), 1), Disposition::Consumed);
    let all = thread(&mut pair.bob, SHOP);
    assert_eq!((all.len(), all[0].sender, all[0].mode), (1, PlainSender::Claimed, DeliveryMode::CarrierReadable));
    assert!(matches!(events(&mut pair.bob)[..], [Event::PlainReceived { .. }]));
    // Sealed anew, under another id at the relay, with other words: it is the same delivery.
    assert_eq!(bring(&mut pair, &delivery("your other order"), 2), Disposition::Duplicate);
    pair.world.now += 40 * 24 * 3600 * 1000;
    pair.bob.with(pair.world.now, |engine| engine.keep_house()).unwrap();
    assert_eq!(bring(&mut pair, &delivery("your order"), 3), Disposition::Duplicate);
    // When nobody remembers the id any more, nobody takes what is that old.
    pair.world.now += 30 * 24 * 3600 * 1000;
    pair.bob.with(pair.world.now, |engine| engine.keep_house()).unwrap();
    assert_eq!(bring(&mut pair, &delivery("your order"), 4), Disposition::Undecryptable(Undecryptable::Replayed));
    assert!(pair.bob.with(0, |engine| engine.quarantined()).unwrap().is_empty());
    assert_eq!(thread(&mut pair.bob, SHOP).len(), 1);
}

#[test]
fn words_from_a_broker_touch_no_conversation_even_from_a_contacts_number() {
    let mut pair = brokered();
    let before = texts(&mut pair.bob, pair.conversation);
    let from = DeliverySender::Asserted(ADA.parse().unwrap());
    assert_eq!(bring(&mut pair, &CarrierDelivery { from, ..delivery("it is me") }, 1), Disposition::Consumed);
    assert_eq!(texts(&mut pair.bob, pair.conversation), before);
    assert_eq!(thread(&mut pair.bob, ADA)[0].sender, PlainSender::Claimed);
    let nobody = CarrierDelivery { id: [8; 16], from: DeliverySender::Anonymous, ..delivery("boo") };
    assert_eq!(bring(&mut pair, &nobody, 2), Disposition::Undecryptable(Undecryptable::Content));
}

#[test]
fn an_sms_that_a_broker_took_is_shown_as_one() {
    let mut pair = brokered();
    let sms = CarrierDelivery { channel: CarrierChannel::Sms, ..delivery("your code is secret") };
    assert_eq!(bring(&mut pair, &sms, 1), Disposition::Consumed);
    assert_eq!(thread(&mut pair.bob, SHOP)[0].mode, DeliveryMode::Sms);
}

#[test]
fn deliveries_for_somebody_else_and_damaged_ones_are_named_and_leave_nothing() {
    let mut pair = brokered();
    let rows =
        |pair: &mut Pair| [Table::PlainThread, Table::Quarantine, Table::Seen].map(|table| pair.bob.store.len(table));
    let before = rows(&mut pair);
    let other = CarrierDelivery { to: ADA.parse().unwrap(), ..delivery("for Ada") };
    assert_eq!(bring(&mut pair, &other, 1), Disposition::Undecryptable(Undecryptable::NotEnrolled));
    let mut damaged = seal(&mut pair.bob, &delivery("hello"));
    damaged[1200] ^= 1;
    let id = EnvelopeId::from_bytes([2; 16]);
    let now = pair.world.now;
    let taken = pair.bob.with(now, |engine| engine.handle_envelope(id, &damaged)).unwrap();
    assert_eq!(taken, Disposition::Undecryptable(Undecryptable::SealBroken));
    assert_eq!(rows(&mut pair), before);
    // A device that is at no broker takes nothing of one.
    pair.bob.with(now, |engine| engine.set_carrier(Some(CarrierSetup::new(number(BOB), wide())))).unwrap();
    assert_eq!(bring(&mut pair, &delivery("hello"), 3), Disposition::Undecryptable(Undecryptable::NotEnrolled));
}

/// Anybody can seal one: it makes this device ask the broker at most, and of a number that is not its own not even that.
#[test]
fn a_brokers_notice_needs_no_carrier_and_changes_nothing_by_itself() {
    let mut pair = brokered();
    pair.bob.with(pair.world.now, |engine| engine.set_carrier(None)).unwrap();
    pair.settle();
    let notice = |body: &str| CarrierDelivery {
        from: DeliverySender::Anonymous,
        content_type: NOTICE_CONTENT_TYPE.into(),
        ..delivery(body)
    };
    let needs = pair.bob.store.len(Table::Need);
    let sound = format!(r#"{{"kind":"rebound","number":"{BOB}","at_ms":1}}"#);
    assert_eq!(bring(&mut pair, &notice(&sound), 1), Disposition::Consumed);
    assert_eq!(pair.bob.store.len(Table::Need), needs, "no number of Bob's is bound");
    let malformed = Disposition::Undecryptable(Undecryptable::Content);
    for body in ["", "{}", r#"{"kind":"sold","number":"+15552010002","at_ms":1}"#] {
        assert_eq!(bring(&mut pair, &notice(body), 2), malformed, "{body}");
    }
    assert!(pair.bob.with(0, |engine| engine.quarantined()).unwrap().is_empty());
}

/// Otherwise one seal would open the next, as deep as an envelope is long.
#[test]
fn a_delivery_inside_a_frame_is_no_delivery() {
    let mut pair = brokered();
    let inner = seal(&mut pair.bob, &delivery("within"));
    let parts = split(Kind::Envelope, FrameId::from_bytes([5; 16]), &inner, &wide()).unwrap();
    let outer = CarrierDelivery {
        content_type: rcseal_rcs::frame::MEDIA_TYPE.into(),
        body: parts[0].as_bytes().to_vec(),
        ..delivery("")
    };
    assert_eq!(bring(&mut pair, &outer, 1), Disposition::Undecryptable(Undecryptable::Malformed));
    assert!(thread(&mut pair.bob, SHOP).is_empty());
    // An envelope in such a frame is one like any other.
    let handed = pair.ada_writes("in a frame, in a seal");
    let parts = split(Kind::Envelope, FrameId::from_bytes([6; 16]), &handed[0].envelope(), &wide()).unwrap();
    let outer = CarrierDelivery { id: [9; 16], body: parts[0].as_bytes().to_vec(), ..outer };
    assert_eq!(bring(&mut pair, &outer, 2), Disposition::Consumed);
    assert_eq!(messages(&mut pair.bob, pair.conversation).pop().unwrap().encryption, EncryptionStatus::Brokered);
}

#[test]
fn a_delivery_is_taken_in_whole_or_not_at_all() {
    let mut pair = brokered();
    let sealed = seal(&mut pair.bob, &delivery("whole"));
    let id = EnvelopeId::from_bytes([1; 16]);
    crash_at_every_write(&mut pair.bob, pair.world.now, |engine| engine.handle_envelope(id, &sealed));
    assert_eq!(thread(&mut pair.bob, SHOP).len(), 1);
}
