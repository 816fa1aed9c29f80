//! Where an envelope goes, and when it goes by the relay after all.

use rcseal_rcs::frame::{Kind, split};
use rcseal_rcs::transport::{Carriage, CarrierMessage, SendFailure, Taken};
use rcseal_wire::content::Body;
use rcseal_wire::frame::SubmitStatus;

use super::{BOB, Pair, number, pager, part, wide};
use crate::Disposition;
use crate::carrier::CarrierDisposition;
use crate::message::{EncryptionStatus, MessageState};
use crate::policy::{DeliveryMode, EntryKind, Reason};
use crate::store::Table;
use crate::tests::linking::link;
use crate::tests::resend::spoil;
use crate::tests::world::{messages, text, texts};

fn last_of_ada(pair: &mut Pair) -> (MessageState, EncryptionStatus) {
    let all = messages(&mut pair.ada, pair.conversation);
    let last = all.last().unwrap();
    (last.state, last.encryption)
}

fn is_text(message: &CarrierMessage) -> bool {
    matches!(message.carriage, Carriage::Framed { is_text: true, .. })
}

#[test]
fn a_message_goes_by_the_carrier_and_is_delivered_when_the_device_says_so() {
    let mut pair = Pair::new(&wide());
    let handed = pair.ada_writes("by the carrier");
    assert_eq!(handed.len(), 1);
    assert_eq!(handed[0].messages.len(), 1);
    assert_eq!(handed[0].messages[0].to, number(BOB));
    assert!(pair.world.intercept(&pair.bob).is_empty(), "the relay sees nothing of it");
    assert!(pair.hand_over().is_empty(), "it is handed over once");
    pair.taken(&handed[0], Taken::Answered);
    assert_eq!(last_of_ada(&mut pair), (MessageState::Queued, EncryptionStatus::Native));
    assert_eq!(pair.bring(&handed[0].messages[0]), CarrierDisposition::Envelope(Disposition::Consumed));
    pair.settle();
    assert_eq!(last_of_ada(&mut pair), (MessageState::Delivered, EncryptionStatus::Native));
    let received = messages(&mut pair.bob, pair.conversation).pop().unwrap();
    assert_eq!(received.encryption, EncryptionStatus::Native);
    assert_eq!(texts(&mut pair.bob, pair.conversation).last().unwrap(), "by the carrier");
    assert_eq!(pair.ada.store.len(Table::Outbox), 0);
    pair.patience_ends();
    pair.settle();
    assert!(pair.world.intercept(&pair.bob).is_empty(), "nothing follows when the patience ends");
    assert_eq!(pair.journal(), []);
}

#[test]
fn what_the_carrier_loses_goes_by_the_relay_as_it_is_and_is_shown_once() {
    let mut pair = Pair::new(&wide());
    let handed = pair.ada_writes("lost");
    pair.taken(&handed[0], Taken::Answered);
    pair.settle();
    pair.world.now += 59_999;
    pair.settle();
    assert_eq!(texts(&mut pair.bob, pair.conversation).len(), 2, "the patience has not ended");
    pair.world.now += 1;
    pair.world.serve(&mut pair.ada);
    let relayed = pair.world.intercept(&pair.bob);
    assert_eq!(relayed.len(), 1);
    assert_eq!(relayed[0].1, handed[0].envelope(), "the very same envelope");
    let entry = pair.journal().pop().unwrap();
    assert_eq!((entry.kind, entry.wanted), (EntryKind::Fallback, DeliveryMode::Native));
    assert_eq!((entry.taken, entry.reason), (Some(DeliveryMode::Relayed), Reason::CarrierUnconfirmed));
    let (id, bytes) = relayed[0].clone();
    pair.bob.with(pair.world.now, |engine| engine.handle_envelope(id, &bytes)).unwrap();
    pair.settle();
    assert_eq!(texts(&mut pair.bob, pair.conversation).last().unwrap(), "lost");
    assert_eq!(last_of_ada(&mut pair), (MessageState::Delivered, EncryptionStatus::Relayed));
    // Days later the carrier has found it.
    pair.world.now += 5 * 24 * 3600 * 1000;
    assert_eq!(pair.bring(&handed[0].messages[0]), CarrierDisposition::Envelope(Disposition::Duplicate));
    assert_eq!(texts(&mut pair.bob, pair.conversation).len(), 3);
    assert!(pair.bob.with(0, |engine| engine.quarantined()).unwrap().is_empty());
}

#[test]
fn the_relays_copy_of_what_the_carrier_brought_late_is_a_duplicate() {
    let mut pair = Pair::new(&wide());
    let handed = pair.ada_writes("slow");
    pair.patience_ends();
    pair.world.serve(&mut pair.ada);
    assert_eq!(pair.bring(&handed[0].messages[0]), CarrierDisposition::Envelope(Disposition::Consumed));
    let dispositions = pair.world.deliver(&mut pair.bob);
    assert_eq!(dispositions, [Disposition::Duplicate]);
    assert_eq!(texts(&mut pair.bob, pair.conversation).len(), 3);
}

#[test]
fn a_receipt_that_comes_while_the_envelope_waits_for_the_relay_ends_that_too() {
    let mut pair = Pair::new(&wide());
    let handed = pair.ada_writes("slow");
    pair.bring(&handed[0].messages[0]);
    pair.world.serve(&mut pair.bob);
    pair.patience_ends();
    let due = pair.ada.with(pair.world.now, |engine| engine.poll_outbox(16)).unwrap();
    assert_eq!(due.len(), 1);
    pair.world.deliver(&mut pair.ada);
    assert_eq!(pair.ada.store.len(Table::Outbox), 0);
    pair.ada.with(pair.world.now, |engine| engine.handle_submitted(due[0].number, SubmitStatus::Stored)).unwrap();
    assert_eq!(last_of_ada(&mut pair).0, MessageState::Delivered);
}

#[test]
fn what_a_carrier_does_not_know_or_not_take_is_tried_in_another_form_and_then_goes_by_the_relay() {
    let mut pair = Pair::new(&wide());
    pair.world.takes_no_blobs = true;
    let first = pair.ada_writes(&"x".repeat(3000));
    assert_eq!(first[0].messages.len(), 1);
    assert!(!is_text(&first[0].messages[0]));
    let refuse = |pair: &mut Pair, number, failure| {
        let now = pair.world.now;
        pair.ada.with(now, |engine| engine.handle_carrier_outcome(number, Err(failure))).unwrap();
        pair.hand_over()
    };
    let second = refuse(&mut pair, first[0].number, SendFailure::UnsupportedMedia);
    assert!(second[0].messages.iter().all(is_text), "as text it is a message like any other");
    assert_ne!(part(&first[0].messages[0]).id(), part(&second[0].messages[0]).id(), "cut anew it is another frame");
    let third = refuse(&mut pair, second[0].number, SendFailure::TooLarge);
    assert!(third[0].messages.len() > 5);
    assert_eq!(third[0].envelope(), first[0].envelope());
    assert!(refuse(&mut pair, third[0].number, SendFailure::UnsupportedMedia).is_empty());
    assert_eq!(pair.world.intercept(&pair.bob).len(), 1);
    assert_eq!(pair.journal().pop().unwrap().reason, Reason::CarrierRefused);
}

#[test]
fn a_failure_of_the_carrier_sends_the_envelope_to_the_relay_at_once_and_is_journalled_by_its_reason() {
    for (failure, reason) in [
        (SendFailure::NotFound, Reason::CarrierRefused),
        (SendFailure::Refused { status: 403 }, Reason::CarrierRefused),
        (SendFailure::Busy { retry_after: Some(30) }, Reason::CarrierRefused),
        (SendFailure::NoAnswer, Reason::CarrierUnconfirmed),
        (SendFailure::Unreachable, Reason::CarrierGone),
        (SendFailure::Unauthorized, Reason::CarrierGone),
        (SendFailure::Unfit, Reason::CarrierUnfit),
    ] {
        let mut pair = Pair::new(&wide());
        let handed = pair.ada_writes("refused");
        let now = pair.world.now;
        pair.ada.with(now, |engine| engine.handle_carrier_outcome(handed[0].number, Err(failure.clone()))).unwrap();
        pair.settle();
        assert_eq!(texts(&mut pair.bob, pair.conversation).last().unwrap(), "refused", "{failure}");
        assert_eq!(last_of_ada(&mut pair), (MessageState::Delivered, EncryptionStatus::Relayed));
        assert_eq!(pair.journal().iter().map(|entry| entry.reason).collect::<Vec<_>>(), [reason]);
    }
}

#[test]
fn what_takes_too_many_parts_goes_by_the_relay_where_there_is_no_reference() {
    let mut pair = Pair::new(&pager());
    pair.world.takes_no_blobs = true;
    let handed = pair.ada_writes(&"x".repeat(16_000));
    assert!(handed.is_empty());
    pair.settle();
    assert_eq!(last_of_ada(&mut pair), (MessageState::Delivered, EncryptionStatus::Relayed));
    assert_eq!(pair.journal().pop().unwrap().reason, Reason::CarrierUnfit);
}

#[test]
fn parts_may_come_in_any_order_and_twice() {
    let mut pair = Pair::new(&pager());
    let handed = pair.ada_writes(&"long ".repeat(600));
    let mut messages = handed[0].messages.clone();
    assert!(messages.len() > 3);
    messages.reverse();
    let (last, others) = messages.split_last().unwrap();
    let of = u16::try_from(messages.len()).unwrap();
    let before = pair.bob.store.len(Table::CarrierPart);
    for (at, message) in others.iter().enumerate() {
        let have = u16::try_from(at + 1).unwrap();
        assert_eq!(pair.bring(message), CarrierDisposition::PartKept { have, of });
        assert_eq!(pair.bring(message), CarrierDisposition::Repeated);
    }
    assert_eq!(pair.bring(last), CarrierDisposition::Envelope(Disposition::Consumed));
    assert_eq!(pair.bob.store.len(Table::CarrierPart), before + 1, "no part stays, but that the envelope was taken in");
    pair.settle();
    assert_eq!(last_of_ada(&mut pair).0, MessageState::Delivered);
}

#[test]
fn what_is_no_message_of_its_own_goes_by_the_relay() {
    let mut pair = Pair::new(&wide());
    let message = pair.world.send(&mut pair.ada, pair.conversation, text("one"));
    let handed = pair.hand_over();
    pair.bring(&handed[0].messages[0]);
    pair.settle();
    let reaction = Body::Reaction { target: message, emoji: "+".to_owned(), removed: false };
    pair.world.send(&mut pair.ada, pair.conversation, reaction);
    assert!(pair.hand_over().is_empty());
    assert_eq!(pair.world.intercept(&pair.bob).len(), 1);
}

#[test]
fn nothing_goes_to_a_number_that_the_user_has_not_given_or_that_the_device_does_not_claim() {
    let mut pair = Pair::new(&wide());
    let bob = pair.bob.address.account;
    for given in [None, Some(number("+15552010099"))] {
        pair.ada.with(pair.world.now, |engine| engine.set_contact_number(bob, given.as_ref())).unwrap();
        assert!(pair.ada_writes("where to?").is_empty());
        pair.settle();
        assert_eq!(last_of_ada(&mut pair), (MessageState::Delivered, EncryptionStatus::Relayed));
    }
    let view = pair.ada.with(0, |engine| engine.contact_number(bob)).unwrap();
    assert_eq!(view.claimed, [(pair.bob.address, number(BOB))], "the claim is known as one");
}

#[test]
fn a_device_that_leaves_the_carrier_says_so_and_gets_what_follows_by_the_relay() {
    let mut pair = Pair::new(&wide());
    pair.bob.with(pair.world.now, |engine| engine.set_carrier(None)).unwrap();
    pair.settle();
    assert!(pair.ada_writes("still there?").is_empty());
    pair.settle();
    assert_eq!(texts(&mut pair.bob, pair.conversation).last().unwrap(), "still there?");
}

#[test]
fn what_waits_to_be_handed_over_goes_by_the_relay_once_there_is_no_way_any_more() {
    let mut pair = Pair::new(&wide());
    pair.world.send(&mut pair.ada, pair.conversation, text("one"));
    pair.ada.with(pair.world.now, |engine| engine.set_carrier(None)).unwrap();
    assert!(pair.hand_over().is_empty());
    pair.settle();
    assert_eq!(texts(&mut pair.bob, pair.conversation).last().unwrap(), "one");
    assert_eq!(pair.journal().pop().unwrap().reason, Reason::CarrierGone);
}

#[test]
fn a_blocked_contact_is_told_of_no_number() {
    let mut pair = Pair::new(&wide());
    let bob = pair.bob.address.account;
    pair.ada.with(pair.world.now, |engine| engine.block_contact(bob, true)).unwrap();
    let setup = crate::carrier::CarrierSetup::new(number("+15552010077"), wide());
    pair.ada.with(pair.world.now, |engine| engine.set_carrier(Some(setup))).unwrap();
    pair.settle();
    let ada = pair.ada.address;
    let claimed = pair.bob.with(0, |engine| engine.contact_number(ada.account)).unwrap().claimed;
    assert_eq!(claimed, [(ada, number(super::ADA))], "the old one");
    // After the block it is, as soon as it is heard.
    pair.ada.with(pair.world.now, |engine| engine.block_contact(bob, false)).unwrap();
    pair.world.send(&mut pair.bob, pair.conversation, text("are you there?"));
    for (_, _, messages) in pair.world.carried.drain(..) {
        drop(messages);
    }
    pair.patience_ends();
    pair.settle();
    pair.patience_ends();
    pair.settle();
    let claimed = pair.bob.with(0, |engine| engine.contact_number(ada.account)).unwrap().claimed;
    assert_eq!(claimed, [(ada, number("+15552010077"))]);
}

#[test]
fn a_device_that_is_not_on_the_carrier_gets_its_envelope_by_the_relay() {
    let mut pair = Pair::new(&wide());
    let mut tablet = link(&mut pair.world, &mut pair.bob, 9);
    pair.world.settle(&mut [&mut pair.ada, &mut pair.bob, &mut tablet]);
    let handed = pair.ada_writes("for both");
    assert_eq!(handed.len(), 1);
    pair.bring(&handed[0].messages[0]);
    pair.world.settle(&mut [&mut pair.ada, &mut pair.bob, &mut tablet]);
    for phone in [&mut pair.bob, &mut tablet] {
        assert_eq!(texts(phone, pair.conversation).last().unwrap(), "for both");
    }
    assert_eq!(pair.journal().iter().map(|entry| entry.reason).collect::<Vec<_>>(), [Reason::DeviceNotOnCarrier]);
}

#[test]
fn what_a_device_could_not_decrypt_is_sent_again_by_the_relay() {
    let mut pair = Pair::new(&wide());
    let handed = pair.ada_writes("one");
    let spoilt = spoil(&mut pair.bob, &handed[0].envelope());
    let frame = split(Kind::Envelope, part(&handed[0].messages[0]).id(), &spoilt, &wide()).unwrap().remove(0);
    let disposition = pair.bring_body("message/cpim", frame.as_bytes());
    assert!(matches!(disposition, CarrierDisposition::Envelope(Disposition::Undecryptable(_))), "{disposition:?}");
    pair.settle();
    assert!(pair.world.carried.is_empty(), "the carrier has had its turn");
    assert_eq!(texts(&mut pair.bob, pair.conversation).last().unwrap(), "one");
    assert_eq!(last_of_ada(&mut pair).0, MessageState::Delivered);
    pair.patience_ends();
    pair.settle();
    assert_eq!(texts(&mut pair.bob, pair.conversation).len(), 3);
}
