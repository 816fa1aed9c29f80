//! An app that carries frames itself: two engines, and a test that takes parts from one to the other by hand.

use rcseal_rcs::transport::{CarrierMessage, SendFailure, Sender, Taken};
use rcseal_wire::content::Body;
use rcseal_wire::id::MessageId;

use super::carrier::{ADA, BOB, Pair, number, pager, wide, wrapped};
use super::world::{messages, text, texts};
use crate::Disposition;
use crate::carrier::{CarrierDisposition, CarrierHandover};
use crate::hand_over::{HandOverError, HandedOver};
use crate::message::{EncryptionStatus, MessageState};
use crate::policy::{DeliveryMode, Reason, RoutePreference, Subject};
use crate::send::SendError;
use crate::store::Table;

fn ada_hands_over(pair: &mut Pair, words: &str) -> Result<HandedOver, HandOverError> {
    let conversation = pair.conversation;
    pair.ada.with(pair.world.now, |engine| engine.hand_over(conversation, text(words), None))
}

fn released(handed: HandedOver) -> (MessageId, Vec<CarrierMessage>) {
    let frames = handed.envelopes.into_iter().flat_map(CarrierHandover::release).collect();
    (handed.message, frames)
}

fn last_of_ada(pair: &mut Pair) -> (MessageState, EncryptionStatus) {
    let all = messages(&mut pair.ada, pair.conversation);
    let last = all.last().unwrap();
    (last.state, last.encryption)
}

#[test]
fn an_app_carries_messages_both_ways_and_receipts_come_back() {
    let mut pair = Pair::new(&pager());
    let handed = ada_hands_over(&mut pair, "by hand").unwrap();
    assert_eq!(handed.from, number(ADA));
    let (id, frames) = released(handed);
    assert!(frames.iter().all(|frame| frame.to == number(BOB)));
    assert!(pair.hand_over().is_empty(), "the outbox hands nothing over a second time");
    assert!(pair.world.intercept(&pair.bob).is_empty(), "the relay sees nothing of it");
    let (now, conversation) = (pair.world.now, pair.conversation);
    pair.ada.with(now, |engine| engine.handle_hand_over_outcome(conversation, id, &Ok(Taken::Answered))).unwrap();
    assert_eq!(last_of_ada(&mut pair), (MessageState::Queued, EncryptionStatus::Native));
    let brought: Vec<_> = frames.iter().map(|frame| pair.bring(frame)).collect();
    assert_eq!(brought.last(), Some(&CarrierDisposition::Envelope(Disposition::Consumed)));
    assert_eq!(texts(&mut pair.bob, conversation).last().unwrap(), "by hand");
    pair.settle();
    assert_eq!(last_of_ada(&mut pair), (MessageState::Delivered, EncryptionStatus::Native));
    assert_eq!(pair.ada.store.len(Table::Outbox), 0);

    // And back.
    let answer = pair.bob.with(now, |engine| engine.hand_over(conversation, text("got it"), Some(id))).unwrap();
    assert_eq!(answer.from, number(BOB));
    for frame in released(answer).1 {
        assert_eq!(frame.to, number(ADA));
        let (from, body) = (Sender::Asserted(number(BOB)), wrapped(&frame));
        pair.ada.with(now, |engine| engine.handle_carrier_message(&from, "message/cpim", None, &body)).unwrap();
    }
    pair.settle();
    assert_eq!(texts(&mut pair.ada, conversation).last().unwrap(), "got it");
    assert_eq!(messages(&mut pair.bob, conversation).last().unwrap().state, MessageState::Delivered);
}

#[test]
fn what_is_brought_twice_is_shown_once() {
    let mut pair = Pair::new(&wide());
    let handed = ada_hands_over(&mut pair, "once").unwrap();
    let (_, frames) = released(handed);
    assert_eq!(pair.bring(&frames[0]), CarrierDisposition::Envelope(Disposition::Consumed));
    let shown = texts(&mut pair.bob, pair.conversation);
    assert_eq!(pair.bring(&frames[0]), CarrierDisposition::Envelope(Disposition::Duplicate));
    assert_eq!(texts(&mut pair.bob, pair.conversation), shown);
}

#[test]
fn a_message_that_would_go_another_way_is_not_handed_over_and_leaves_no_trace() {
    let mut pair = Pair::new(&wide());
    let (now, subject) = (pair.world.now, Subject::Conversation(pair.conversation));
    pair.ada.with(now, |engine| engine.set_route_preference(Some(subject), Some(RoutePreference::Relayed))).unwrap();
    let before = texts(&mut pair.ada, pair.conversation);
    let refused = ada_hands_over(&mut pair, "by the relay").unwrap_err();
    assert!(matches!(refused, HandOverError::OtherWay { mode: DeliveryMode::Relayed, .. }), "{refused:?}");
    assert_eq!(refused.code(), "hand_over_other_way");
    assert_eq!(texts(&mut pair.ada, pair.conversation), before);
    assert_eq!(pair.ada.store.len(Table::Outbox), 0);
}

#[test]
fn without_a_carrier_or_for_what_is_no_message_there_is_no_hand_over() {
    let mut pair = Pair::new(&wide());
    let (now, conversation) = (pair.world.now, pair.conversation);
    let target = messages(&mut pair.bob, conversation).last().unwrap().id;
    let reaction = Body::Reaction { target, emoji: "\u{1f44d}".to_owned(), removed: false };
    let refused = pair.ada.with(now, |engine| engine.hand_over(conversation, reaction, None)).unwrap_err();
    assert!(matches!(refused, HandOverError::NotShown), "{refused:?}");
    assert_eq!(pair.ada.store.len(Table::Outbox), 0);
    pair.ada.with(now, |engine| engine.set_carrier(None)).unwrap();
    let refused = ada_hands_over(&mut pair, "nowhere").unwrap_err();
    assert!(matches!(refused, HandOverError::NoCarrier), "{refused:?}");
}

#[test]
fn a_blocked_contact_gets_nothing() {
    let mut pair = Pair::new(&wide());
    let bob = pair.bob.address.account;
    pair.ada.with(pair.world.now, |engine| engine.block_contact(bob, true)).unwrap();
    let refused = ada_hands_over(&mut pair, "no").unwrap_err();
    assert!(matches!(refused, HandOverError::Send(SendError::ContactBlocked)), "{refused:?}");
}

#[test]
fn what_the_stack_refuses_goes_by_the_relay() {
    let mut pair = Pair::new(&wide());
    let conversation = pair.conversation;
    let (id, _) = released(ada_hands_over(&mut pair, "refused").unwrap());
    pair.ada
        .with(pair.world.now, |engine| {
            engine.handle_hand_over_outcome(conversation, id, &Err(SendFailure::Refused { status: 403 }))
        })
        .unwrap();
    pair.settle();
    assert_eq!(texts(&mut pair.bob, conversation).last().unwrap(), "refused");
    assert_eq!(last_of_ada(&mut pair), (MessageState::Delivered, EncryptionStatus::Relayed));
    assert_eq!(pair.journal().pop().unwrap().reason, Reason::CarrierRefused);
}

#[test]
fn what_the_app_never_carries_goes_by_the_relay_when_the_patience_ends() {
    let mut pair = Pair::new(&wide());
    let _ = released(ada_hands_over(&mut pair, "forgotten").unwrap());
    pair.settle();
    assert_ne!(texts(&mut pair.bob, pair.conversation).last().unwrap(), "forgotten");
    pair.patience_ends();
    pair.settle();
    assert_eq!(texts(&mut pair.bob, pair.conversation).last().unwrap(), "forgotten");
    assert_eq!(pair.journal().pop().unwrap().reason, Reason::CarrierUnconfirmed);
}

#[test]
fn what_is_too_long_for_the_stack_is_not_handed_over() {
    let mut pair = Pair::new(&rcseal_rcs::transport::TransportProfile { parts_max: 2, ..pager() });
    let refused = ada_hands_over(&mut pair, &"long ".repeat(2000)).unwrap_err();
    assert!(matches!(refused, HandOverError::NotReached), "{refused:?}");
    assert_eq!(pair.ada.store.len(Table::Outbox), 0);
}
