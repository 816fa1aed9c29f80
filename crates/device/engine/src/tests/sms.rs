//! The short message service: words by consent, links by default, and one message shown once.

use rcseal_rcs::transport::{SendFailure, Taken};
use rcseal_wire::content::TEXT_LEN_MAX;
use rcseal_wire::invitation::Invitation;
use rcseal_wire::message_link::MessageLink;

use super::carrier::{BOB, Pair, number, wide};
use super::crash::crash_at_every_write;
use super::world::{Phone, World, events, messages, text};
use crate::carrier::CarrierDisposition;
use crate::context::{Engine, UnixMillis};
use crate::event::Event;
use crate::message::{EncryptionStatus, FailureReason, MessageState};
use crate::plain::{PlainMessageView, PlainSender, PlainState, SMS_LEN_MAX, SmsReport};
use crate::policy::{DeliveryMode, EntryKind, FallbackPolicy, PolicyError, PolicyScope, Reason, Subject};
use crate::store::Table;

const SHOP: &str = "+15552010042";
const HOUR_MS: u64 = 3600 * 1000;

/// A phone that can send an SMS and is on no carrier, and whose user has agreed to write to a shop so.
fn with_sms() -> (World, Phone) {
    let mut world = World::new();
    let mut ada = world.phone(1, "Ada");
    ada.with(world.now, |engine| {
        engine.set_sms_way(true).unwrap();
        engine.open_thread(&number(SHOP), "Shop").unwrap();
        allow(engine)
    })
    .unwrap();
    (world, ada)
}

fn allow(engine: &mut Engine<'_>) -> Result<(), PolicyError> {
    let until = engine.now.plus(HOUR_MS);
    engine.set_fallback_policy(PolicyScope::Account, Some(FallbackPolicy::Downgrade))?;
    engine.attest_absence(&number(SHOP), until)?;
    engine.give_consent(Subject::Number((&number(SHOP)).into()), DeliveryMode::Sms, until).map(|_| ())
}

fn thread(phone: &mut Phone, of: &str) -> Vec<PlainMessageView> {
    phone.with(0, |engine| engine.plain_messages(&number(of), None, 100)).unwrap()
}

#[test]
fn words_leave_as_an_sms_under_a_permit_for_that_and_their_report_moves_them() {
    let (world, mut ada) = with_sms();
    let now = world.now;
    ada.with(now, |engine| engine.send_plain(&number(SHOP), "is it ready?")).unwrap();
    assert!(ada.with(now, |engine| engine.poll_plain_outbox(10)).unwrap().is_empty(), "no carrier gets an SMS");
    let outgoing = ada.with(now, |engine| engine.poll_sms_outbox(10)).unwrap().pop().unwrap();
    assert_eq!(outgoing.words.mode(), DeliveryMode::Sms);
    assert!(ada.with(now, |engine| engine.poll_sms_outbox(10)).unwrap().is_empty(), "it comes once");
    assert!(ada.with(now, |engine| engine.may_words_leave(outgoing.number)).unwrap());
    let words = outgoing.words.release();
    assert_eq!((words.to.as_str(), words.text.as_str()), (SHOP, "is it ready?"));
    assert!(!format!("{words:?}").contains("ready"), "words are in no log");
    ada.with(now, |engine| engine.handle_plain_outcome(outgoing.number, &Ok(Taken::Stored))).unwrap();
    assert_eq!(
        (thread(&mut ada, SHOP)[0].state, thread(&mut ada, SHOP)[0].mode),
        (PlainState::Stored, DeliveryMode::Sms)
    );
    let report = |ada: &mut Phone, id, report| ada.with(now, |engine| engine.handle_sms_report(&id, report)).unwrap();
    assert!(!report(&mut ada, [1; 16], SmsReport::Failed));
    assert!(report(&mut ada, words.id, SmsReport::Delivered));
    assert_eq!(thread(&mut ada, SHOP)[0].state, PlainState::Delivered);
    // What was said is not taken back by what comes late.
    assert!(report(&mut ada, words.id, SmsReport::Failed));
    assert_eq!(thread(&mut ada, SHOP)[0].state, PlainState::Delivered);
}

#[test]
fn what_was_not_taken_or_not_answered_for_is_not_sent_again() {
    let (world, mut ada) = with_sms();
    let now = world.now;
    let cases = [
        (SendFailure::NoAnswer, PlainState::Unconfirmed),
        (SendFailure::Busy { retry_after: Some(1) }, PlainState::Failed),
        (SendFailure::Unreachable, PlainState::Failed),
        (SendFailure::Unfit, PlainState::Failed),
    ];
    for (failure, state) in cases {
        ada.with(now, |engine| engine.send_plain(&number(SHOP), "hello")).unwrap();
        let outgoing = ada.with(now, |engine| engine.poll_sms_outbox(10)).unwrap().pop().unwrap();
        ada.with(now, |engine| engine.handle_plain_outcome(outgoing.number, &Err(failure))).unwrap();
        assert_eq!(thread(&mut ada, SHOP)[0].state, state);
        let later = now + HOUR_MS / 2;
        assert!(ada.with(later, |engine| engine.poll_sms_outbox(10)).unwrap().is_empty());
    }
    assert_eq!(ada.store.len(Table::PlainOutbox), 0);
}

#[test]
fn consent_to_an_sms_is_none_to_carriers_and_ends_before_the_words_leave() {
    let (world, mut ada) = with_sms();
    let now = world.now;
    ada.with(now, |engine| engine.send_plain(&number(SHOP), "later")).unwrap();
    let outgoing = ada.with(now, |engine| engine.poll_sms_outbox(10)).unwrap().pop().unwrap();
    let consent = ada.with(now, |engine| engine.consents()).unwrap()[0].id;
    ada.with(now, |engine| engine.withdraw_consent(consent)).unwrap();
    assert!(!ada.with(now, |engine| engine.may_words_leave(outgoing.number)).unwrap());
    assert_eq!(thread(&mut ada, SHOP)[0].state, PlainState::NotAllowed);
    let entry = *ada.with(now, |engine| engine.journal(0, 100)).unwrap().last().unwrap();
    assert_eq!(
        (entry.kind, entry.reason, entry.wanted),
        (EntryKind::Refusal, Reason::NoLongerAllowed, DeliveryMode::Sms)
    );
}

#[test]
fn an_sms_has_a_length() {
    let (world, mut ada) = with_sms();
    let longest = "x".repeat(SMS_LEN_MAX);
    ada.with(world.now, |engine| engine.send_plain(&number(SHOP), &longest)).unwrap();
    let longer = "x".repeat(SMS_LEN_MAX + 1);
    let refused = ada.with(world.now, |engine| engine.send_plain(&number(SHOP), &longer)).unwrap_err();
    assert_eq!(refused.code(), "message_too_long");
}

#[test]
fn what_comes_in_lands_in_the_thread_as_claimed_and_once() {
    let (world, mut ada) = with_sms();
    let now = world.now;
    let take = |ada: &mut Phone, from: Option<&str>, id, words: &str| {
        let from = from.map(number);
        ada.with(now, |engine| engine.handle_sms(from.as_ref(), id, words)).unwrap()
    };
    events(&mut ada);
    assert_eq!(take(&mut ada, Some(SHOP), Some("g-1"), "yes"), CarrierDisposition::Readable);
    assert_eq!(take(&mut ada, Some(SHOP), Some("g-1"), "yes"), CarrierDisposition::Repeated);
    assert_eq!(take(&mut ada, None, Some("g-2"), "from a name"), CarrierDisposition::ReadableRefused);
    let long = "x".repeat(TEXT_LEN_MAX + 1);
    assert_eq!(take(&mut ada, Some(SHOP), Some("g-3"), &long), CarrierDisposition::ReadableTooLong);
    let all = thread(&mut ada, SHOP);
    assert_eq!((all.len(), all[0].sender, all[0].mode), (1, PlainSender::Claimed, DeliveryMode::Sms));
    assert!(matches!(events(&mut ada)[..], [Event::PlainReceived { .. }]));
}

#[test]
fn a_downgraded_conversation_can_go_as_sms_and_stays_one_conversation() {
    let mut pair = Pair::new(&wide());
    let (now, conversation) = (pair.world.now, pair.conversation);
    let subject = Subject::Conversation(conversation);
    pair.ada
        .with(now, |engine| {
            engine.set_sms_way(true).unwrap();
            engine.set_fallback_policy(PolicyScope::Account, Some(FallbackPolicy::Downgrade))?;
            engine.give_consent(subject, DeliveryMode::Sms, UnixMillis(now + HOUR_MS))?;
            engine.acknowledge_downgrade(conversation, DeliveryMode::Sms)
        })
        .unwrap();
    pair.settle();
    pair.world.send(&mut pair.ada, conversation, text("in the open"));
    let outgoing = pair.ada.with(now, |engine| engine.poll_sms_outbox(10)).unwrap().pop().unwrap();
    assert_eq!(outgoing.to, number(BOB));
    let id = outgoing.words.release().id;
    pair.ada.with(now, |engine| engine.handle_plain_outcome(outgoing.number, &Ok(Taken::Stored))).unwrap();
    let last = |pair: &mut Pair| messages(&mut pair.ada, conversation).pop().unwrap();
    assert_eq!((last(&mut pair).state, last(&mut pair).encryption), (MessageState::Stored, EncryptionStatus::Sms));
    pair.ada.with(now, |engine| engine.handle_sms_report(&id, SmsReport::Failed)).unwrap();
    assert_eq!(last(&mut pair).state, MessageState::Failed { reason: FailureReason::Refused });
}

/// A message of Ada's that got through by SMS, in words and with a link, and in a session.
fn linked(pair: &mut Pair) -> (rcseal_wire::id::MessageId, String) {
    let id = pair.world.send(&mut pair.ada, pair.conversation, text("your table is free"));
    (id, format!("your table is free {}", MessageLink { message: id }))
}

#[test]
fn a_message_that_comes_by_sms_and_then_in_a_session_is_shown_once() {
    let mut pair = Pair::new(&wide());
    let (now, from) = (pair.world.now, number(SHOP));
    let (id, sms) = linked(&mut pair);
    for (gateway_id, expected) in [("g-1", CarrierDisposition::Readable), ("g-2", CarrierDisposition::Repeated)] {
        let taken = pair.bob.with(now, |engine| engine.handle_sms(Some(&from), Some(gateway_id), &sms)).unwrap();
        assert_eq!(taken, expected, "a second SMS of it is not shown either");
    }
    assert_eq!(thread(&mut pair.bob, SHOP).len(), 1);
    let handed = pair.hand_over();
    pair.bring(&handed[0].messages[0]);
    assert_eq!(messages(&mut pair.bob, pair.conversation).pop().unwrap().id, id);
    assert!(thread(&mut pair.bob, SHOP).is_empty(), "the copy that anybody could read gives way");
    assert_eq!(pair.bob.with(0, |engine| engine.threads()).unwrap()[0].unread, 0);
}

#[test]
fn a_link_that_only_says_that_a_message_waits_is_not_the_message() {
    let mut pair = Pair::new(&wide());
    let (now, from, other) = (pair.world.now, number(SHOP), number(BOB));
    let (id, sms) = linked(&mut pair);
    let link = MessageLink { message: id }.to_string();
    let steps = [
        (&from, &link, CarrierDisposition::Readable),
        (&from, &sms, CarrierDisposition::Readable),
        (&from, &sms, CarrierDisposition::Repeated),
        // What another number says to be it hides nothing, and is hidden by nothing.
        (&other, &sms, CarrierDisposition::Readable),
    ];
    for (n, (from, words, expected)) in steps.into_iter().enumerate() {
        let taken = pair.bob.with(now, |engine| engine.handle_sms(Some(from), Some(&format!("g-{n}")), words)).unwrap();
        assert_eq!(taken, expected, "{n}");
    }
    assert_eq!(thread(&mut pair.bob, SHOP).len(), 2);
    let handed = pair.hand_over();
    pair.bring(&handed[0].messages[0]);
    assert!(thread(&mut pair.bob, SHOP).is_empty(), "both give way to the message");
    assert_eq!(thread(&mut pair.bob, BOB).len(), 1, "what somebody else wrote stays");
}

#[test]
fn a_message_that_comes_in_a_session_and_then_by_sms_is_shown_once() {
    let mut pair = Pair::new(&wide());
    let (now, from) = (pair.world.now, number(SHOP));
    let (_, sms) = linked(&mut pair);
    let handed = pair.hand_over();
    pair.bring(&handed[0].messages[0]);
    let taken = pair.bob.with(now, |engine| engine.handle_sms(Some(&from), Some("g-1"), &sms)).unwrap();
    assert_eq!(taken, CarrierDisposition::Repeated);
    assert!(thread(&mut pair.bob, SHOP).is_empty());
}

#[test]
fn a_link_hides_no_message_and_no_other_sms() {
    let mut pair = Pair::new(&wide());
    let (now, from) = (pair.world.now, number(SHOP));
    let unknown = MessageLink { message: rcseal_wire::id::MessageId::from_bytes([9; 16]) };
    let words = format!("from nobody {unknown}");
    let taken = pair.bob.with(now, |engine| engine.handle_sms(Some(&from), None, &words)).unwrap();
    assert_eq!(taken, CarrierDisposition::Readable);
    let before = messages(&mut pair.bob, pair.conversation).len();
    let handed = pair.ada_writes("another");
    pair.bring(&handed[0].messages[0]);
    assert_eq!(messages(&mut pair.bob, pair.conversation).len(), before + 1);
    assert_eq!(thread(&mut pair.bob, SHOP).len(), 1);
    // One of Bob's own messages is no message that came to him.
    let own = pair.world.send(&mut pair.bob, pair.conversation, text("mine"));
    let words = format!("yours {}", MessageLink { message: own });
    let taken = pair.bob.with(now, |engine| engine.handle_sms(Some(&from), None, &words)).unwrap();
    assert_eq!(taken, CarrierDisposition::Readable);
}

#[test]
fn by_default_an_sms_is_a_link_and_holds_nobodys_words() {
    let mut pair = Pair::new(&wide());
    let (now, conversation) = (pair.world.now, pair.conversation);
    let notice = pair.ada.with(now, |engine| engine.sms_invitation(&number(SHOP))).unwrap();
    let invitation: Invitation = notice.text().parse().unwrap();
    assert_eq!(invitation.account, pair.ada.address.account);
    assert!(!format!("{notice:?}").contains("rcseal"), "an invitation is in no log");
    let id = pair.world.send(&mut pair.ada, conversation, text("a secret"));
    let notice = pair.ada.with(now, |engine| engine.sms_wake_up(&number(BOB), conversation, id)).unwrap();
    assert!(MessageLink::find_in(notice.text()).unwrap().is_alone_in(notice.text()));
    assert!(!notice.text().contains("secret"));
    let unknown = rcseal_wire::id::MessageId::from_bytes([9; 16]);
    let refused = pair.ada.with(now, |engine| engine.sms_wake_up(&number(BOB), conversation, unknown)).unwrap_err();
    assert_eq!(refused.code(), "message_unknown");
}

#[test]
fn every_step_of_an_sms_fails_whole_at_every_write() {
    let (world, mut ada) = with_sms();
    let (now, to) = (world.now, number(SHOP));
    crash_at_every_write(&mut ada, now, |engine| engine.send_plain(&to, "hello"));
    crash_at_every_write(&mut ada, now, |engine| engine.poll_sms_outbox(10).map(|_| ()));
    let words = format!("hello {}", MessageLink { message: rcseal_wire::id::MessageId::from_bytes([9; 16]) });
    crash_at_every_write(&mut ada, now, |engine| engine.handle_sms(Some(&to), Some("g-1"), &words));
    let kept = now + 31 * 24 * HOUR_MS;
    ada.with(kept, |engine| engine.keep_house()).unwrap();
    assert_eq!(ada.store.len(Table::Sms), 1, "only that there is a way is kept for good");
}
