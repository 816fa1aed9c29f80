//! How long the user's word holds: what it was given for is gone, or may have been taken back.

use super::carrier::{BOB, Pair, number, wide};
use super::world::{events, messages, text};
use crate::context::{Engine, UnixMillis};
use crate::event::Event;
use crate::message::{FailureReason, MessageState};
use crate::plain::PlainError;
use crate::policy::{DeliveryMode, EntryKind, FallbackPolicy, PolicyError, PolicyScope, Subject};

const PLAIN: DeliveryMode = DeliveryMode::CarrierReadable;
const HOUR_MS: u64 = 3600 * 1000;
const SHOP: &str = "+15552010042";

fn agree(engine: &mut Engine<'_>, subject: Subject, until: UnixMillis) -> Result<(), PolicyError> {
    engine.set_fallback_policy(PolicyScope::Account, Some(FallbackPolicy::Downgrade))?;
    engine.give_consent(subject, PLAIN, until).map(|_| ())
}

/// Ada's words to Bob go in the open, by her leave.
fn downgraded() -> Pair {
    let mut pair = Pair::new(&wide());
    let (now, conversation) = (pair.world.now, pair.conversation);
    let subject = Some(Subject::Conversation(conversation));
    for phone in [&mut pair.ada, &mut pair.bob] {
        phone.with(now, |engine| engine.set_route_preference(subject, None)).unwrap();
    }
    pair.ada
        .with(now, |engine| {
            agree(engine, Subject::Conversation(conversation), UnixMillis(now + HOUR_MS))?;
            engine.acknowledge_downgrade(conversation, PLAIN).map(|_| ())
        })
        .unwrap();
    pair.settle();
    events(&mut pair.ada);
    pair
}

fn mode(pair: &mut Pair) -> DeliveryMode {
    let (now, subject) = (pair.world.now, Subject::Conversation(pair.conversation));
    pair.ada.with(now, |engine| engine.explain(subject)).unwrap().decision.mode().unwrap()
}

fn is_over(pair: &mut Pair) {
    let (now, conversation) = (pair.world.now, pair.conversation);
    assert_eq!(pair.ada.with(now, |engine| engine.acknowledged_downgrade(conversation)).unwrap(), None);
    assert!(mode(pair).is_end_to_end());
    let is_told = |event: &Event| matches!(event, Event::ConversationRestored { .. });
    assert_eq!(events(&mut pair.ada).iter().filter(|event| is_told(event)).count(), 1);
    assert_eq!(pair.journal().last().unwrap().kind, EntryKind::Restoration);
}

#[test]
fn a_store_that_was_put_back_brings_no_agreement_back() {
    let mut pair = downgraded();
    assert_eq!(mode(&mut pair), PLAIN);
    let (now, conversation) = (pair.world.now, pair.conversation);
    let shop = Subject::Number((&number(SHOP)).into());
    pair.ada
        .with(now, |engine| {
            engine.open_thread(&number(SHOP), "Shop").unwrap();
            engine.attest_absence(&number(SHOP), UnixMillis(now + HOUR_MS))?;
            engine.give_consent(shop, PLAIN, UnixMillis(now + HOUR_MS))?;
            engine.send_plain(&number(SHOP), "one").unwrap();
            Ok::<_, PolicyError>(())
        })
        .unwrap();
    pair.world.send(&mut pair.ada, conversation, text("in the open"));
    pair.ada.with(now, |engine| engine.handle_store_rollback()).unwrap();
    is_over(&mut pair);
    // What the lost life may have sent, or taken back, does not leave.
    assert!(pair.ada.with(now, |engine| engine.poll_plain_outbox(10)).unwrap().is_empty());
    let all = messages(&mut pair.ada, conversation);
    let state = all.last().unwrap().state;
    assert_eq!(state, MessageState::Failed { reason: FailureReason::NotAllowed });
    let refused = pair.ada.with(now, |engine| engine.send_plain(&number(SHOP), "two")).unwrap_err();
    assert!(matches!(refused, PlainError::Refused(_)), "{refused:?}");
    let consents = pair.ada.with(now, |engine| engine.consents()).unwrap();
    assert_eq!(consents.len(), 2);
    assert!(consents.iter().all(|consent| consent.withdrawn_at.is_some()));
}

#[test]
fn a_contact_that_comes_back_is_not_written_to_in_the_open() {
    let mut pair = downgraded();
    let (now, bob) = (pair.world.now, pair.bob.address.account);
    let invitation = pair.bob.with(now, |engine| engine.invitation()).unwrap();
    pair.ada.with(now, |engine| engine.remove_contact(bob)).unwrap();
    pair.ada
        .with(now, |engine| {
            engine.add_contact(&invitation, "Bob")?;
            engine.set_contact_number(bob, Some(&number(BOB))).unwrap();
            Ok::<_, crate::contact::ContactError>(())
        })
        .unwrap();
    is_over(&mut pair);
    let consents = pair.ada.with(now, |engine| engine.consents()).unwrap();
    assert!(consents.iter().all(|consent| consent.withdrawn_at.is_some()));
}

#[test]
fn a_downgrade_is_for_the_number_that_it_was_acknowledged_for() {
    let mut pair = downgraded();
    let (now, bob, subject) = (pair.world.now, pair.bob.address.account, Subject::Conversation(pair.conversation));
    pair.ada.with(now, |engine| engine.set_contact_number(bob, Some(&number(BOB)))).unwrap();
    assert_eq!(mode(&mut pair), PLAIN, "it is the same");
    pair.ada.with(now, |engine| engine.set_contact_number(bob, Some(&number(SHOP)))).unwrap();
    pair.ada.with(now, |engine| engine.give_consent(subject, PLAIN, UnixMillis(now + HOUR_MS))).unwrap();
    is_over(&mut pair);
}

#[test]
fn a_number_that_becomes_a_contacts_is_acknowledged_anew() {
    let mut pair = Pair::new(&wide());
    let (now, bob) = (pair.world.now, pair.bob.address.account);
    let thread = Subject::Number((&number(BOB)).into());
    let invitation = pair.bob.with(now, |engine| engine.invitation()).unwrap();
    pair.ada
        .with(now, |engine| {
            engine.open_thread(&number(BOB), "").unwrap();
            engine.remove_contact(bob).unwrap();
            agree(engine, thread, UnixMillis(now + HOUR_MS))?;
            engine.acknowledge_plain(&number(BOB), PLAIN)?;
            engine.send_plain(&number(BOB), "nobody's").unwrap();
            engine.add_contact(&invitation, "Bob").unwrap();
            engine.set_contact_number(bob, Some(&number(BOB))).unwrap();
            Ok::<_, PolicyError>(())
        })
        .unwrap();
    let refused = pair.ada.with(now, |engine| engine.send_plain(&number(BOB), "psst")).unwrap_err();
    assert!(matches!(refused, PlainError::Refused(_)), "{refused:?}");
    assert!(pair.ada.with(now, |engine| engine.poll_plain_outbox(10)).unwrap().is_empty());
}

#[test]
fn whoever_says_that_a_conversation_is_sealed_again_is_not_answered_in_the_open() {
    let mut pair = downgraded();
    let (now, conversation) = (pair.world.now, pair.conversation);
    let subject = Subject::Conversation(conversation);
    pair.bob
        .with(now, |engine| {
            agree(engine, subject, UnixMillis(now + HOUR_MS))?;
            engine.acknowledge_downgrade(conversation, PLAIN).map(|_| ())
        })
        .unwrap();
    pair.settle();
    assert_eq!(mode(&mut pair), PLAIN, "the other side goes without as well, and that ends nothing");
    pair.bob.with(now, |engine| engine.restore_conversation(conversation)).unwrap();
    pair.settle();
    is_over(&mut pair);
}

#[test]
fn what_has_expired_stays_so_whatever_the_clock_says_later() {
    let mut pair = downgraded();
    let now = pair.world.now;
    pair.ada.with(now, |engine| engine.attest_absence(&number(SHOP), UnixMillis(now + HOUR_MS))).unwrap();
    pair.ada.with(now + HOUR_MS, |engine| engine.keep_house()).unwrap();
    assert!(mode(&mut pair).is_end_to_end());
    let shop = pair.ada.with(now, |engine| engine.explain(Subject::Number((&number(SHOP)).into()))).unwrap();
    assert_eq!(shop.inputs.absence, None);
}

#[test]
fn words_that_were_polled_ask_again_right_before_they_leave() {
    let mut pair = downgraded();
    let (now, conversation) = (pair.world.now, pair.conversation);
    pair.world.send(&mut pair.ada, conversation, text("in the open"));
    pair.world.send(&mut pair.ada, conversation, text("too late"));
    let due = pair.ada.with(now, |engine| engine.poll_plain_outbox(10)).unwrap();
    let may = |pair: &mut Pair, number| pair.ada.with(now, |engine| engine.may_words_leave(number)).unwrap();
    assert!(may(&mut pair, due[0].number));
    let newest = pair.ada.with(now, |engine| engine.consents()).unwrap()[0].id;
    pair.ada.with(now, |engine| engine.withdraw_consent(newest)).unwrap();
    assert!(!may(&mut pair, due[1].number));
    let all = messages(&mut pair.ada, conversation);
    assert_eq!(all.last().unwrap().state, MessageState::Failed { reason: FailureReason::NotAllowed });
    assert_eq!(pair.journal().last().unwrap().kind, EntryKind::Refusal);
    // Nobody asks for what is not on its way.
    assert!(!may(&mut pair, due[1].number) && !may(&mut pair, 99));
}
