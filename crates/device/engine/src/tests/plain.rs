//! Threads with phone numbers: what goes out, what comes in, and what neither touches.

use rcseal_rcs::imdn::{Kind, Notification};
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::{Sender, Taken};

use super::carrier::{ADA, BOB, Pair, number, wide};
use super::crash::crash_at_every_write;
use super::sessions::acquainted;
use super::world::{Phone, World, events};
use crate::carrier::{CarrierDisposition, CarrierSetup};
use crate::context::{Engine, UnixMillis};
use crate::event::Event;
use crate::plain::{
    PlainError, PlainMessageView, PlainSender, PlainState, STRANGER_MESSAGES_MAX, STRANGER_THREADS_MAX,
};
use crate::policy::{ConsentState, DeliveryMode, FallbackPolicy, PolicyError, PolicyScope, Reason, Subject};
use crate::store::{Order, Row, Table, prefix_end};

const SHOP: &str = "+15552010042";
const PLAIN: DeliveryMode = DeliveryMode::CarrierReadable;
const HOUR_MS: u64 = 3600 * 1000;

/// A phone on a carrier, with a thread.
fn on_carrier() -> (World, Phone) {
    let mut world = World::new();
    let mut ada = world.phone(1, "Ada");
    ada.with(world.now, |engine| {
        engine.set_carrier(Some(CarrierSetup::new(number(ADA), wide())))?;
        engine.open_thread(&number(SHOP), "Shop").unwrap();
        Ok::<_, crate::account::AccountError>(())
    })
    .unwrap();
    (world, ada)
}

fn allow(engine: &mut Engine<'_>, to: &PhoneNumber, now: u64) -> Result<(), PolicyError> {
    let until = UnixMillis(now + HOUR_MS);
    engine.set_fallback_policy(PolicyScope::Account, Some(FallbackPolicy::Downgrade))?;
    engine.attest_absence(to, until)?;
    engine.give_consent(Subject::Number(to.into()), PLAIN, until).map(|_| ())
}

fn thread(phone: &mut Phone, of: &str) -> Vec<PlainMessageView> {
    let mut all = phone.with(0, |engine| engine.plain_messages(&number(of), None, 100_000)).unwrap();
    all.reverse();
    all
}

fn refusal(error: PlainError) -> (Reason, ConsentState) {
    let PlainError::Refused(refused) = error else { panic!("{error:?}") };
    (refused.decision.reason, refused.decision.consent)
}

#[test]
fn words_to_a_number_take_policy_evidence_and_consent_one_after_the_other() {
    let (world, mut ada) = on_carrier();
    let (now, to) = (world.now, number(SHOP));
    let until = UnixMillis(now + HOUR_MS);
    let send = |ada: &mut Phone| ada.with(now, |engine| engine.send_plain(&to, "hello"));
    assert_eq!(refusal(send(&mut ada).unwrap_err()), (Reason::PolicyBlocks, ConsentState::NotNeeded));
    let policy = |ada: &mut Phone, policy| {
        ada.with(now, |engine| engine.set_fallback_policy(PolicyScope::Account, Some(policy))).unwrap();
    };
    policy(&mut ada, FallbackPolicy::Verify);
    assert_eq!(refusal(send(&mut ada).unwrap_err()), (Reason::CapabilityUnknown, ConsentState::VerificationNeeded));
    ada.with(now, |engine| engine.attest_absence(&number(SHOP), until)).unwrap();
    assert_eq!(refusal(send(&mut ada).unwrap_err()), (Reason::PolicyVerifies, ConsentState::NotNeeded));
    policy(&mut ada, FallbackPolicy::Downgrade);
    assert_eq!(refusal(send(&mut ada).unwrap_err()), (Reason::ConsentMissing, ConsentState::Needed));
    let subject = Subject::Number((&number(SHOP)).into());
    ada.with(now, |engine| engine.set_sms_way(true)).unwrap();
    ada.with(now, |engine| engine.give_consent(subject, DeliveryMode::Sms, until)).unwrap();
    ada.with(now, |engine| engine.set_sms_way(false)).unwrap();
    assert_eq!(refusal(send(&mut ada).unwrap_err()), (Reason::ConsentMissing, ConsentState::Needed));
    ada.with(now, |engine| engine.give_consent(subject, PLAIN, until)).unwrap();
    // A consent that could serve nothing ends none that does.
    let without_way = ada.with(now, |engine| engine.give_consent(subject, DeliveryMode::Sms, until)).unwrap_err();
    assert!(matches!(without_way, PolicyError::NoWayForMode { mode: DeliveryMode::Sms }), "{without_way:?}");
    send(&mut ada).unwrap();
    let sent = &thread(&mut ada, SHOP)[0];
    assert_eq!((sent.state, sent.mode, sent.sender), (PlainState::Queued, PLAIN, PlainSender::Own));
    assert!(!format!("{sent:?}").contains("hello"), "words are in no log");
    let stored = ada.with(now, |engine| engine.decision_of(sent.id)).unwrap().unwrap();
    assert_eq!(stored.decision.reason, Reason::DowngradeAgreed);
    // The word that nobody has encryption there ends, and with it what it allowed.
    let late = ada.with(now + HOUR_MS, |engine| engine.send_plain(&number(SHOP), "later"));
    assert_eq!(refusal(late.unwrap_err()).0, Reason::CapabilityUnknown);
}

#[test]
fn a_receipt_moves_the_message_it_names_and_only_from_the_number_it_went_to() {
    let (world, mut ada) = on_carrier();
    let (now, to) = (world.now, number(SHOP));
    ada.with(now, |engine| allow(engine, &to, now)).unwrap();
    for words in ["one", "two"] {
        ada.with(now, |engine| engine.send_plain(&to, words)).unwrap();
    }
    let mut ids = Vec::new();
    for handed in ada.with(now, |engine| engine.poll_plain_outbox(10)).unwrap() {
        ada.with(now, |engine| engine.handle_plain_outcome(handed.number, &Ok(Taken::Answered))).unwrap();
        ids.push(handed.words.release().remove(0).id);
    }
    let receipt = |ada: &mut Phone, from: Sender, kind: Kind| {
        let xml = Notification::new(ids[1].clone(), kind).to_xml();
        ada.with(now, |engine| engine.handle_carrier_message(&from, "message/imdn+xml", None, xml.as_bytes())).unwrap()
    };
    let states = |ada: &mut Phone| thread(ada, SHOP).iter().map(|message| message.state).collect::<Vec<_>>();
    for stranger in [Sender::Asserted(number(BOB)), Sender::Anonymous] {
        let outcome = receipt(&mut ada, stranger, Kind::Displayed);
        assert!(matches!(outcome, CarrierDisposition::Receipt { is_ours: false }), "{outcome:?}");
    }
    assert_eq!(states(&mut ada), [PlainState::Sent, PlainState::Sent]);
    let from = || Sender::Asserted(number(SHOP));
    receipt(&mut ada, from(), Kind::Delivered);
    assert_eq!(states(&mut ada), [PlainState::Sent, PlainState::Delivered]);
    // What was said is not taken back by what comes late.
    receipt(&mut ada, from(), Kind::DeliveryFailed { reason: None });
    assert_eq!(states(&mut ada), [PlainState::Sent, PlainState::Delivered]);
    receipt(&mut ada, from(), Kind::Displayed);
    assert_eq!(states(&mut ada), [PlainState::Sent, PlainState::Displayed]);
}

/// Every row of every table but those of threads, events and counters.
fn everything_else(phone: &mut Phone) -> Vec<(Table, Vec<Row>)> {
    let own = [
        Table::PlainThread,
        Table::PlainMessage,
        Table::PlainIndex,
        Table::PlainOutbox,
        Table::Event,
        Table::Counter,
        Table::CarrierReply,
    ];
    phone
        .store
        .run(|tx| {
            Table::ALL
                .into_iter()
                .filter(|table| !own.contains(table))
                .map(|table| Ok((table, tx.scan(table, &[], &prefix_end(&[]), 100_000, Order::Ascending)?)))
                .collect::<Result<_, crate::store::StoreError>>()
        })
        .unwrap()
}

#[test]
fn plain_words_from_a_contacts_number_land_in_a_thread_and_change_nothing_else() {
    let mut pair = Pair::new(&wide());
    let now = pair.world.now;
    let subject = Subject::Conversation(pair.conversation);
    events(&mut pair.bob);
    let (before, decided) = (everything_else(&mut pair.bob), pair.bob.with(now, |engine| engine.explain(subject)));
    for (from, sender) in
        [(Sender::Asserted(number(ADA)), PlainSender::Asserted), (Sender::Claimed(number(ADA)), PlainSender::Claimed)]
    {
        let taken = pair.bring_from(&from, "text/plain;charset=UTF-8", b"it is me, Ada");
        assert!(matches!(taken, CarrierDisposition::Readable), "{taken:?}");
        let all = thread(&mut pair.bob, ADA);
        let message = all.last().unwrap();
        assert_eq!((message.sender, message.mode, message.state), (sender, PLAIN, PlainState::Received));
        assert!(!message.mode.is_end_to_end());
    }
    assert_eq!(everything_else(&mut pair.bob), before);
    assert_eq!(pair.bob.with(now, |engine| engine.explain(subject)).unwrap(), decided.unwrap());
    let told = events(&mut pair.bob);
    assert_eq!(told.len(), 2);
    assert!(told.iter().all(|event| matches!(event, Event::PlainReceived { .. })), "{told:?}");
}

#[test]
fn nobody_is_answered_in_the_open_at_a_number_that_was_an_accounts() {
    let mut pair = Pair::new(&wide());
    let (now, to) = (pair.world.now, number(BOB));
    pair.ada.with(now, |engine| engine.open_thread(&to, "Bob?")).unwrap();
    let consent = |engine: &mut Engine<'_>| {
        engine.set_fallback_policy(PolicyScope::Account, Some(FallbackPolicy::Downgrade))?;
        engine.give_consent(Subject::Number((&number(BOB)).into()), PLAIN, UnixMillis(now + HOUR_MS))
    };
    pair.ada.with(now, consent).unwrap();
    let refused = pair.ada.with(now, |engine| engine.send_plain(&to, "psst")).unwrap_err();
    assert_eq!(refusal(refused), (Reason::KnownCapable, ConsentState::AcknowledgementNeeded));
    // The word for it is given in the conversation, where the other side sees it.
    let error = pair.ada.with(now, |engine| engine.acknowledge_plain(&to, PLAIN)).unwrap_err();
    assert!(matches!(error, PolicyError::NumberOfContact), "{error:?}");
    // Of somebody who is no contact any more the latch stays, and the user's word is enough.
    let bob = pair.bob.address.account;
    pair.ada.with(now, |engine| engine.remove_contact(bob)).unwrap();
    let refused = pair.ada.with(now, |engine| engine.send_plain(&to, "psst")).unwrap_err();
    assert_eq!(refusal(refused).0, Reason::KnownCapable);
    pair.ada.with(now, |engine| engine.acknowledge_plain(&to, PLAIN)).unwrap();
    pair.ada.with(now, |engine| engine.send_plain(&to, "psst")).unwrap();
}

#[test]
fn strangers_fill_no_more_than_their_share() {
    let (world, mut ada) = on_carrier();
    let now = world.now;
    let bring = |ada: &mut Phone, from: &str, words: &str| {
        let from = Sender::Claimed(number(from));
        ada.with(now, |engine| engine.handle_carrier_message(&from, "text/plain", None, words.as_bytes())).unwrap()
    };
    for count in 0..STRANGER_MESSAGES_MAX + 5 {
        let taken = bring(&mut ada, BOB, "again");
        let is_kept = matches!(taken, CarrierDisposition::Readable);
        assert_eq!(is_kept, count < STRANGER_MESSAGES_MAX, "{taken:?}");
    }
    for count in 1..STRANGER_THREADS_MAX + 5 {
        let taken = bring(&mut ada, &format!("+1555202{count:04}"), "hello");
        let is_kept = matches!(taken, CarrierDisposition::Readable);
        assert_eq!(is_kept, count < STRANGER_THREADS_MAX, "{count}: {taken:?}");
    }
    // A thread of the user's own still takes them, and one that is opened or deleted makes room.
    assert!(matches!(bring(&mut ada, SHOP, "your order"), CarrierDisposition::Readable));
    ada.with(now, |engine| engine.open_thread(&number(BOB), "")).unwrap();
    assert!(matches!(bring(&mut ada, BOB, "at last"), CarrierDisposition::Readable));
    assert!(matches!(bring(&mut ada, "+15552029998", "hello"), CarrierDisposition::Readable));
    ada.with(now, |engine| engine.delete_thread(&number("+15552020001"))).unwrap();
    assert!(matches!(bring(&mut ada, "+15552029999", "hello"), CarrierDisposition::Readable));
    let from = Sender::Anonymous;
    let nobody = ada.with(now, |engine| engine.handle_carrier_message(&from, "text/plain", None, b"boo")).unwrap();
    assert!(matches!(nobody, CarrierDisposition::ReadableRefused), "{nobody:?}");
}

#[test]
fn threads_are_named_read_and_deleted() {
    let (world, mut ada) = on_carrier();
    let (now, to) = (world.now, number(SHOP));
    ada.with(now, |engine| allow(engine, &to, now)).unwrap();
    ada.with(now, |engine| engine.send_plain(&to, "do you have it?")).unwrap();
    let from = Sender::Asserted(to.clone());
    ada.with(now, |engine| engine.handle_carrier_message(&from, "text/plain", None, b"yes")).unwrap();
    let listed = ada.with(now, |engine| engine.threads()).unwrap();
    assert_eq!((listed[0].name.as_str(), listed[0].unread, listed[0].is_opened), ("Shop", 1, true));
    ada.with(now, |engine| engine.mark_thread_read(&to)).unwrap();
    assert_eq!(ada.with(now, |engine| engine.threads()).unwrap()[0].unread, 0);
    for (words, code) in [("", "message_empty"), (&"x".repeat(20_000), "message_too_long")] {
        assert_eq!(ada.with(now, |engine| engine.send_plain(&to, words)).unwrap_err().code(), code);
    }
    let unknown = ada.with(now, |engine| engine.send_plain(&number(BOB), "hello")).unwrap_err();
    assert!(matches!(unknown, PlainError::UnknownThread), "{unknown:?}");
    ada.with(now, |engine| engine.delete_thread(&to)).unwrap();
    for table in [Table::PlainThread, Table::PlainMessage, Table::PlainIndex, Table::PlainOutbox] {
        assert_eq!(ada.store.len(table), 0, "{table:?}");
    }
}

#[test]
fn every_step_of_a_thread_fails_whole_at_every_write() {
    let (world, mut ada) = on_carrier();
    let (now, to) = (world.now, number(SHOP));
    crash_at_every_write(&mut ada, now, |engine| allow(engine, &to, now));
    crash_at_every_write(&mut ada, now, |engine| engine.send_plain(&to, "hello"));
    let from = Sender::Asserted(to.clone());
    crash_at_every_write(&mut ada, now, |engine| engine.handle_carrier_message(&from, "text/plain", None, b"yes"));
    crash_at_every_write(&mut ada, now, |engine| engine.delete_thread(&to));
}

#[test]
fn an_account_without_a_carrier_has_no_way_but_the_relay() {
    let (world, mut ada, _, conversation) = acquainted();
    let explained = ada.with(world.now, |engine| engine.explain(Subject::Conversation(conversation))).unwrap();
    assert_eq!(explained.inputs.ways.modes().collect::<Vec<_>>(), [DeliveryMode::Relayed]);
}
