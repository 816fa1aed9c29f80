//! Receipts of the carrier's kind: hints, bound to a message and a number, and none of them delivery.

use rcseal_rcs::chat;
use rcseal_rcs::imdn::{ClientReason, FailureReason, Kind, Notification};
use rcseal_rcs::transport::{Carriage, CarrierMessageId, Sender, Taken};

use super::{ADA, BOB, Pair, number, part, wide};
use crate::Disposition;
use crate::carrier::CarrierDisposition;
use crate::event::Event;
use crate::message::MessageState;
use crate::store::Table;
use crate::tests::world::{events, messages, texts};

const UNREAD: Kind = Kind::DeliveryFailed { reason: Some(FailureReason::Client(ClientReason::FailedToDecrypt)) };

/// Ada's phone gets a receipt, as Linphone sends it: bare.
fn receipt(pair: &mut Pair, from: &str, id: &CarrierMessageId, kind: Kind) -> CarrierDisposition {
    let body = Notification::new(id.clone(), kind).to_xml();
    let from = Sender::Claimed(number(from));
    let now = pair.world.now;
    pair.ada
        .with(now, |engine| engine.handle_carrier_message(&from, "message/imdn+xml", None, body.as_bytes()))
        .unwrap()
}

fn state(pair: &mut Pair) -> MessageState {
    messages(&mut pair.ada, pair.conversation).last().unwrap().state
}

#[test]
fn neither_an_answer_nor_a_receipt_of_the_carrier_is_delivery() {
    let mut pair = Pair::new(&wide());
    let handed = pair.ada_writes("one");
    let id = handed[0].messages[0].id.clone();
    for taken in [Taken::Answered, Taken::Stored] {
        pair.taken(&handed[0], taken);
        assert_eq!(state(&mut pair), MessageState::Queued);
    }
    for kind in [Kind::Delivered, Kind::Displayed, Kind::Stored, Kind::Processed] {
        assert_eq!(receipt(&mut pair, BOB, &id, kind), CarrierDisposition::Receipt { is_ours: true });
        assert_eq!(state(&mut pair), MessageState::Queued);
    }
    let view = pair.ada.with(0, |engine| engine.carrier_view()).unwrap();
    assert_eq!((view.handed_over, view.kept_by_carrier), (1, 1));
    pair.patience_ends();
    pair.settle();
    assert_eq!(texts(&mut pair.bob, pair.conversation).last().unwrap(), "one");
}

#[test]
fn a_receipt_of_failed_decryption_is_a_hint_and_brings_the_relay_forward() {
    let mut pair = Pair::new(&wide());
    events(&mut pair.ada);
    let handed = pair.ada_writes("one");
    let id = handed[0].messages[0].id.clone();
    assert_eq!(receipt(&mut pair, BOB, &id, UNREAD), CarrierDisposition::Receipt { is_ours: true });
    let hints = |pair: &mut Pair| {
        let happened = events(&mut pair.ada);
        happened.into_iter().filter(|event| matches!(event, Event::CarrierUnread { .. })).count()
    };
    assert_eq!(hints(&mut pair), 1);
    assert_eq!(state(&mut pair), MessageState::Queued);
    pair.settle();
    assert_eq!(texts(&mut pair.bob, pair.conversation).last().unwrap(), "one", "by the relay, without waiting");
    assert_eq!(state(&mut pair), MessageState::Delivered);
    receipt(&mut pair, BOB, &id, UNREAD);
    assert_eq!((hints(&mut pair), state(&mut pair)), (0, MessageState::Delivered), "what a device proved stays");
}

#[test]
fn a_receipt_counts_for_no_message_but_its_own_and_from_no_number_but_its_own() {
    let mut pair = Pair::new(&wide());
    let handed = pair.ada_writes("one");
    let id = handed[0].messages[0].id.clone();
    let foreign = CarrierDisposition::Receipt { is_ours: false };
    assert_eq!(receipt(&mut pair, "+15552010099", &id, UNREAD), foreign);
    assert_eq!(receipt(&mut pair, BOB, &CarrierMessageId::from_random([7; 16]), UNREAD), foreign);
    let view = pair.ada.with(0, |engine| engine.carrier_view()).unwrap();
    assert_eq!((view.handed_over, view.back), (1, 0), "nothing has moved");
}

#[test]
fn an_id_at_the_carrier_says_nothing_about_the_message_and_is_used_once() {
    let mut pair = Pair::new(&wide());
    let (one, two) = (pair.ada_writes("one"), pair.ada_writes("two"));
    let ids = [&one, &two].map(|handed| handed[0].messages[0].id.clone());
    assert_ne!(ids[0], ids[1]);
    let frames = [&one, &two].map(|handed| part(&handed[0].messages[0]).id());
    assert_ne!(frames[0], frames[1]);
    let shown = messages(&mut pair.ada, pair.conversation).pop().unwrap().id;
    assert!(!ids.iter().any(|id| id.as_str().replace('-', "") == shown.to_string().replace('-', "")));
    assert!(frames.iter().all(|frame| frame.as_bytes() != shown.as_bytes()));
}

fn owed(pair: &mut Pair) -> Vec<Notification> {
    let now = pair.world.now;
    let notices = pair.bob.with(now, |engine| engine.poll_carrier_notices(10)).unwrap();
    let mut owed = Vec::new();
    for notice in notices {
        let number = notice.number;
        let message = notice.release();
        assert_eq!(message.to, super::number(ADA));
        let Carriage::Verbatim { body, .. } = message.carriage else { panic!("a receipt is no frame") };
        owed.push(Notification::parse(&body).unwrap());
        pair.bob.with(now, |engine| engine.handle_carrier_notice_sent(number, true)).unwrap();
    }
    owed
}

#[test]
fn what_the_far_end_asked_for_is_said_and_nothing_else() {
    let mut pair = Pair::new(&wide());
    let mut handed = pair.ada_writes("one");
    let message = &mut handed[0].messages[0];
    assert!(message.receipts.delivered && message.receipts.failed);
    pair.bring(&message.clone());
    let said = owed(&mut pair);
    assert_eq!(said.len(), 1);
    assert_eq!((&said[0].message_id, &said[0].kind), (&message.id, &Kind::Delivered));
    assert_eq!(owed(&mut pair), [], "once");
    // Without a request there is no receipt, and a second copy gets none.
    pair.bring(&message.clone());
    let mut silent = pair.ada_writes("two");
    silent[0].messages[0].receipts = rcseal_rcs::transport::ReceiptRequest::default();
    pair.bring(&silent[0].messages[0].clone());
    assert_eq!(owed(&mut pair), []);
    assert_eq!(pair.bob.store.len(Table::CarrierReply), 0);
}

#[test]
fn what_cannot_be_decrypted_is_reported_where_failures_are_asked_for() {
    let mut pair = Pair::new(&wide());
    let mut handed = pair.ada_writes("one");
    // Somebody who knows the number sends something of their own making.
    let forged = |asks: bool| {
        let id = rcseal_rcs::frame::FrameId::from_bytes([if asks { 1 } else { 2 }; 16]);
        rcseal_rcs::frame::split(rcseal_rcs::frame::Kind::Envelope, id, &[7; 300], &wide()).unwrap().remove(0)
    };
    for asks in [true, false] {
        let message = &mut handed[0].messages[0];
        message.carriage = forged(asks).carriage(&wide());
        message.receipts.failed = asks;
        let disposition = pair.bring(&message.clone());
        assert!(matches!(disposition, CarrierDisposition::Envelope(Disposition::Undecryptable(_))), "{disposition:?}");
        let said = owed(&mut pair);
        assert_eq!(said.iter().map(|said| &said.kind).collect::<Vec<_>>(), if asks { vec![&UNREAD] } else { vec![] });
        let message = &mut handed[0].messages[0];
        message.id = CarrierMessageId::from_random([9; 16]);
    }
}

#[test]
fn a_blocked_contact_gets_no_receipt() {
    let mut pair = Pair::new(&wide());
    let ada = pair.ada.address.account;
    let handed = pair.ada_writes("one");
    pair.bob.with(pair.world.now, |engine| engine.block_contact(ada, true)).unwrap();
    assert_eq!(pair.bring(&handed[0].messages[0]), CarrierDisposition::Envelope(Disposition::Consumed));
    assert_eq!(owed(&mut pair), []);
    assert_eq!(texts(&mut pair.bob, pair.conversation).len(), 2);
}

#[test]
fn a_receipt_asks_for_no_receipt() {
    let notification = Notification::new(CarrierMessageId::from_random([1; 16]), Kind::Delivered);
    let message = chat::receipt(&notification, number(ADA), CarrierMessageId::from_random([2; 16]));
    assert_eq!(message.receipts, rcseal_rcs::transport::ReceiptRequest::default());
}
