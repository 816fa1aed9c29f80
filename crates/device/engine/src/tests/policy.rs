//! Delivery policy between two engines: what is decided, stored, journalled, and shown on both sides.

use std::collections::BTreeMap;

use rcseal_rcs::transport::{Carriage, SendFailure, Taken};
use rcseal_wire::content::{Body, Card};

use super::carrier::{BOB, Pair, number, wide};
use super::crash::crash_at_every_write;
use super::sessions::acquainted;
use super::world::{Phone, events, messages, text};
use crate::capability::{LatchSource, Latched, NumberKey};
use crate::context::{Engine, UnixMillis};
use crate::event::Event;
use crate::message::{EncryptionStatus, FailureReason, MessageState};
use crate::policy::{
    ATTESTATION_MS_MAX, CONSENT_MS_MAX, Choice, ConsentState, DeliveryMode, EntryKind, FallbackPolicy, PolicyError,
    PolicyScope, Reason, RoutePreference, Subject,
};
use crate::send::SendError;
use crate::store::{Order, Row, StoreError, Table, Tx};

const PLAIN: DeliveryMode = DeliveryMode::CarrierReadable;
const HOUR_MS: u64 = 3600 * 1000;

/// A pair whose route is the relay both ways, and Ada allows everything that takes no word for the one conversation.
fn permissive() -> Pair {
    let mut pair = Pair::new(&wide());
    let (now, subject) = (pair.world.now, Subject::Conversation(pair.conversation));
    pair.bob.with(now, |engine| engine.set_route_preference(Some(subject), None)).unwrap();
    pair.ada
        .with(now, |engine| {
            engine.set_route_preference(Some(subject), None)?;
            engine.set_fallback_policy(PolicyScope::Account, Some(FallbackPolicy::Downgrade))?;
            engine.give_consent(subject, PLAIN, UnixMillis(now + HOUR_MS)).map(|_| ())
        })
        .unwrap();
    pair
}

fn acknowledge(pair: &mut Pair) {
    let (now, conversation) = (pair.world.now, pair.conversation);
    pair.ada.with(now, |engine| engine.acknowledge_downgrade(conversation, PLAIN)).unwrap();
}

fn last(phone: &mut Phone, pair_conversation: rcseal_wire::id::ConversationId) -> (MessageState, EncryptionStatus) {
    let all = messages(phone, pair_conversation);
    let last = all.last().unwrap();
    (last.state, last.encryption)
}

#[test]
fn a_message_to_a_contact_goes_by_the_relay_and_its_decision_is_stored() {
    let (mut world, mut ada, _, conversation) = acquainted();
    let id = world.send(&mut ada, conversation, text("as always"));
    let stored = ada.with(world.now, |engine| engine.decision_of(id)).unwrap().unwrap();
    assert_eq!(stored.decision.choice, Choice::Send(DeliveryMode::Relayed));
    assert_eq!((stored.decision.reason, stored.decision.consent), (Reason::RelayedByDefault, ConsentState::NotNeeded));
    assert_eq!(stored.message, Some(id));
    assert_eq!(ada.with(world.now, |engine| engine.decisions(None, 1)).unwrap(), [stored]);
    assert!(ada.with(world.now, |engine| engine.journal(0, 10)).unwrap().is_empty());
    let explained = ada.with(world.now, |engine| engine.explain(Subject::Conversation(conversation))).unwrap();
    assert_eq!(explained.decision.reason, Reason::RelayedByDefault);
    assert_eq!(explained.latch.unwrap().source, LatchSource::KeySet);
    assert!(explained.lines().contains(&("policy that counts", "block".to_owned())));
}

#[test]
fn a_downgrade_takes_policy_consent_and_acknowledgement_and_shows_on_both_sides() {
    let mut pair = Pair::new(&wide());
    let (now, conversation) = (pair.world.now, pair.conversation);
    let subject = Subject::Conversation(conversation);
    pair.ada.with(now, |engine| engine.set_route_preference(Some(subject), None)).unwrap();
    let acknowledge_it = |engine: &mut Engine<'_>| engine.acknowledge_downgrade(conversation, PLAIN);
    let refused = pair.ada.with(now, acknowledge_it).unwrap_err();
    assert!(matches!(refused, PolicyError::NotAllowed), "{refused:?}");
    pair.ada
        .with(now, |engine| engine.set_fallback_policy(PolicyScope::Account, Some(FallbackPolicy::Downgrade)))
        .unwrap();
    let refused = pair.ada.with(now, acknowledge_it).unwrap_err();
    assert!(matches!(refused, PolicyError::NotAllowed), "without consent: {refused:?}");
    let until = UnixMillis(now + HOUR_MS);
    let consent = pair.ada.with(now, |engine| engine.give_consent(subject, PLAIN, until)).unwrap();
    // All of that changes nothing by itself.
    let id = pair.world.send(&mut pair.ada, conversation, text("still sealed"));
    let decided = pair.ada.with(now, |engine| engine.decision_of(id)).unwrap().unwrap();
    assert!(decided.decision.mode().unwrap().is_end_to_end());
    pair.settle();
    for phone in [&mut pair.ada, &mut pair.bob] {
        events(phone);
    }
    let notice = pair.ada.with(now, acknowledge_it).unwrap();
    pair.settle();
    let by = pair.ada.address.account;
    let shown = Event::ConversationDowngraded { conversation, by, mode: PLAIN };
    for phone in [&mut pair.ada, &mut pair.bob] {
        assert!(events(phone).contains(&shown));
        let (_, encryption) = last(phone, conversation);
        assert!(encryption.is_end_to_end(), "the notice itself is");
        let all = messages(phone, conversation);
        let said = all.last().unwrap();
        assert_eq!(said.id, notice);
        assert!(
            matches!(said.content.as_ref().unwrap().body(), Body::DeliveryNotice(said) if said.mode == PLAIN.code())
        );
    }
    let entry = *pair.journal().last().unwrap();
    assert_eq!((entry.kind, entry.taken, entry.consent), (EntryKind::Downgrade, Some(PLAIN), Some(consent)));

    let id = pair.world.send(&mut pair.ada, conversation, text("in the open"));
    assert_eq!(last(&mut pair.ada, conversation), (MessageState::Queued, EncryptionStatus::CarrierReadable));
    let entry = *pair.journal().last().unwrap();
    assert_eq!((entry.kind, entry.message, entry.taken), (EntryKind::Downgrade, Some(id), Some(PLAIN)));
    assert_eq!(entry.reason, Reason::DowngradeAcknowledged);
    let mut due = pair.ada.with(now, |engine| engine.poll_plain_outbox(10)).unwrap();
    let words = due.pop().unwrap();
    assert_eq!((words.words.mode(), words.to), (PLAIN, number(BOB)));
    let handed = words.words.release();
    assert!(matches!(&handed[0].carriage, Carriage::Verbatim { body, .. } if body == b"in the open"));
    pair.ada.with(now, |engine| engine.handle_plain_outcome(words.number, &Ok(Taken::Answered))).unwrap();
    assert_eq!(last(&mut pair.ada, conversation).0, MessageState::Stored);
    // Nothing of it went by the relay.
    pair.settle();
    assert_eq!(messages(&mut pair.bob, conversation).last().unwrap().id, notice);
}

/// Nothing repeats it by itself, so it must not look as if it were on its way.
#[test]
fn readable_words_that_no_carrier_confirmed_are_shown_as_failed() {
    let mut pair = permissive();
    let (now, conversation) = (pair.world.now, pair.conversation);
    acknowledge(&mut pair);
    pair.settle();
    pair.world.send(&mut pair.ada, conversation, text("in the open"));
    let words = pair.ada.with(now, |engine| engine.poll_plain_outbox(10)).unwrap().pop().unwrap();
    let silence = Err(SendFailure::NoAnswer);
    pair.ada.with(now, |engine| engine.handle_plain_outcome(words.number, &silence)).unwrap();
    let unconfirmed = MessageState::Failed { reason: FailureReason::Unconfirmed };
    assert_eq!(last(&mut pair.ada, conversation).0, unconfirmed);
    assert!(pair.ada.with(now, |engine| engine.poll_plain_outbox(10)).unwrap().is_empty());
}

#[test]
fn a_downgraded_conversation_ends_with_the_users_word_and_with_an_answer_from_a_session() {
    let mut pair = permissive();
    let (now, conversation) = (pair.world.now, pair.conversation);
    acknowledge(&mut pair);
    pair.settle();
    pair.ada.with(now, |engine| engine.restore_conversation(conversation)).unwrap();
    pair.settle();
    let by = pair.ada.address.account;
    for phone in [&mut pair.ada, &mut pair.bob] {
        assert!(events(phone).contains(&Event::ConversationRestored { conversation, by }));
    }
    assert_eq!(pair.journal().last().unwrap().kind, EntryKind::Restoration);
    let again = pair.ada.with(now, |engine| engine.restore_conversation(conversation)).unwrap_err();
    assert!(matches!(again, PolicyError::NotDowngraded), "{again:?}");

    acknowledge(&mut pair);
    // Receipts for the notice came in from Bob's device; they end nothing.
    pair.settle();
    assert_eq!(pair.ada.with(now, |engine| engine.acknowledged_downgrade(conversation)).unwrap(), Some(PLAIN));
    pair.world.send(&mut pair.bob, conversation, text("I can read this"));
    pair.settle();
    assert_eq!(pair.ada.with(now, |engine| engine.acknowledged_downgrade(conversation)).unwrap(), None);
    pair.world.send(&mut pair.ada, conversation, text("sealed again"));
    assert!(last(&mut pair.ada, conversation).1.is_end_to_end());
}

#[test]
fn what_is_more_than_words_is_refused_and_the_refusal_is_on_record() {
    let mut pair = permissive();
    let (now, conversation) = (pair.world.now, pair.conversation);
    acknowledge(&mut pair);
    let card = Card { title: "t".to_owned(), text: String::new(), media: None, suggestions: Vec::new() };
    let before = messages(&mut pair.ada, conversation).len();
    let refused = pair.ada.with(now, |engine| engine.send(conversation, Body::Card(Box::new(card)), None)).unwrap_err();
    let SendError::Refused(refusal) = refused else { panic!("{refused:?}") };
    assert_eq!((refusal.decision.choice, refusal.decision.reason), (Choice::Refuse, Reason::ContentUnfit));
    assert_eq!(messages(&mut pair.ada, conversation).len(), before);
    let noted = pair.ada.with(now, |engine| engine.note_refusal(&refusal)).unwrap();
    assert_eq!(pair.ada.with(now, |engine| engine.decisions(None, 1)).unwrap()[0].decision, noted);
    let entry = *pair.journal().last().unwrap();
    assert_eq!((entry.kind, entry.taken, entry.message), (EntryKind::Refusal, None, None));
    assert_eq!(entry.decision, Some(noted.number));
}

#[test]
fn consent_that_ends_before_the_words_leave_keeps_them_here() {
    let mut pair = permissive();
    let conversation = pair.conversation;
    acknowledge(&mut pair);
    for end in ["withdrawn", "expired", "number changed", "policy stricter"] {
        let now = pair.world.now;
        let subject = Subject::Conversation(conversation);
        let bob = pair.bob.address.account;
        pair.ada
            .with(now, |engine| {
                engine.set_contact_number(bob, Some(&number(BOB)))?;
                engine.set_fallback_policy(PolicyScope::Tenant, None).unwrap();
                engine.give_consent(subject, PLAIN, UnixMillis(now + HOUR_MS)).unwrap();
                engine.acknowledge_downgrade(conversation, PLAIN).unwrap();
                Ok::<_, crate::carrier::CarrierError>(())
            })
            .unwrap();
        pair.world.send(&mut pair.ada, conversation, text("not for long"));
        assert_eq!(last(&mut pair.ada, conversation).1, EncryptionStatus::CarrierReadable);
        pair.ada
            .with(now, |engine| {
                match end {
                    "withdrawn" => {
                        let newest = engine.consents()?[0].id;
                        engine.withdraw_consent(newest)?;
                    }
                    "number changed" => {
                        engine.set_contact_number(bob, Some(&number("+15552010009"))).unwrap();
                    }
                    "policy stricter" => {
                        engine.set_fallback_policy(PolicyScope::Tenant, Some(FallbackPolicy::Verify))?;
                    }
                    _ => {}
                }
                Ok::<_, PolicyError>(())
            })
            .unwrap();
        if end == "expired" {
            pair.world.now += HOUR_MS;
        }
        assert!(pair.ada.with(pair.world.now, |engine| engine.poll_plain_outbox(10)).unwrap().is_empty(), "{end}");
        let (state, _) = last(&mut pair.ada, conversation);
        assert_eq!(state, MessageState::Failed { reason: FailureReason::NotAllowed }, "{end}");
        assert_eq!(pair.journal().last().unwrap().reason, Reason::NoLongerAllowed, "{end}");
    }
}

#[test]
fn readable_words_are_handed_over_once() {
    let mut pair = permissive();
    let conversation = pair.conversation;
    acknowledge(&mut pair);
    pair.world.send(&mut pair.ada, conversation, text("once"));
    let poll = |pair: &mut Pair| pair.ada.with(pair.world.now, |engine| engine.poll_plain_outbox(10)).unwrap();
    let first = poll(&mut pair);
    assert_eq!(first.len(), 1);
    assert!(poll(&mut pair).is_empty());
    // A carrier that has no time did not take it; one that says nothing may have.
    let now = pair.world.now;
    let busy = Err(SendFailure::Busy { retry_after: Some(60) });
    pair.ada.with(now, |engine| engine.handle_plain_outcome(first[0].number, &busy)).unwrap();
    pair.world.now += 120_000;
    let second = poll(&mut pair);
    assert_eq!(second.len(), 1);
    // The shell is killed before it can say what became of it.
    pair.world.now += HOUR_MS;
    assert!(poll(&mut pair).is_empty());
    let unconfirmed = MessageState::Failed { reason: FailureReason::Unconfirmed };
    assert_eq!(last(&mut pair.ada, conversation).0, unconfirmed);
    assert_eq!(pair.ada.with(pair.world.now, |engine| engine.poll_plain_outbox_timeout()).unwrap(), None);
}

#[test]
fn settings_and_consents_are_checked_and_kept() {
    let mut pair = Pair::new(&wide());
    let (now, subject) = (pair.world.now, Subject::Conversation(pair.conversation));
    let until = UnixMillis(now + HOUR_MS);
    pair.ada
        .with(now, |engine| {
            assert_eq!(engine.fallback_policy(PolicyScope::Account)?, None);
            for policy in FallbackPolicy::ALL {
                for scope in [PolicyScope::Tenant, PolicyScope::Account, PolicyScope::Subject(subject)] {
                    engine.set_fallback_policy(scope, Some(policy))?;
                    assert_eq!(engine.fallback_policy(scope)?, Some(policy));
                }
            }
            engine.set_route_preference(None, Some(RoutePreference::Native))?;
            engine.set_route_preference(Some(subject), Some(RoutePreference::Relayed))?;
            assert_eq!(engine.route_preference(subject)?, RoutePreference::Relayed);
            let error = engine.give_consent(subject, DeliveryMode::Native, until).unwrap_err();
            assert!(matches!(error, PolicyError::NotReadable), "{error:?}");
            for expiry in [now, now + CONSENT_MS_MAX + 1] {
                let error = engine.give_consent(subject, PLAIN, UnixMillis(expiry)).unwrap_err();
                assert!(matches!(error, PolicyError::Expiry), "{error:?}");
            }
            let consent = engine.give_consent(subject, PLAIN, until)?;
            engine.withdraw_consent(consent)?;
            let error = engine.withdraw_consent(consent).unwrap_err();
            assert!(matches!(error, PolicyError::UnknownConsent), "{error:?}");
            let listed = engine.consents()?;
            assert_eq!((listed.len(), listed[0].withdrawn_at), (1, Some(UnixMillis(now))));
            let error = engine.attest_absence(&number(BOB), until).unwrap_err();
            assert!(matches!(error, PolicyError::KnownCapable), "{error:?}");
            let error = engine.attest_absence(&number("+15552010007"), UnixMillis(now + ATTESTATION_MS_MAX + 1));
            assert!(matches!(error, Err(PolicyError::Expiry)), "{error:?}");
            let nobody = Subject::Conversation(rcseal_wire::id::ConversationId::from_bytes([9; 16]));
            let error = engine.give_consent(nobody, PLAIN, until).unwrap_err();
            assert!(matches!(error, PolicyError::UnknownConversation), "{error:?}");
            Ok::<_, PolicyError>(())
        })
        .unwrap();
}

#[test]
fn the_latch_outlives_the_cache_the_contact_and_the_years() {
    let mut pair = Pair::new(&wide());
    let bob = pair.bob.address.account;
    let later = pair.world.now + 10 * 365 * 24 * HOUR_MS;
    pair.ada
        .with(later, |engine| {
            engine.handle_carrier_capabilities(&number(BOB), &[vec!["+g.oma.sip-im".to_owned()]])?;
            engine.keep_house()?;
            engine.remove_contact(bob).unwrap();
            engine.keep_house()?;
            assert!(engine.latched(Latched::Account(bob))?.is_some());
            let of_number = engine.latched(Latched::Number(NumberKey::of(&number(BOB))))?.unwrap();
            assert_eq!(of_number.source, LatchSource::User);
            Ok::<_, crate::account::AccountError>(())
        })
        .unwrap();
}

#[test]
fn whatever_the_network_does_no_decision_becomes_more_readable() {
    let mut pair = permissive();
    let subject = Subject::Conversation(pair.conversation);
    let tags = |tag: &str| vec![vec![tag.to_owned()]];
    for step in 0..60_u64 {
        pair.world.now += step * 60_000;
        let now = pair.world.now;
        pair.ada
            .with(now, |engine| {
                match step % 5 {
                    0 => engine.handle_carrier_capabilities(&number(BOB), &tags("+g.oma.sip-im"))?,
                    1 => engine.handle_carrier_capabilities_failed(&number(BOB))?,
                    2 => engine.handle_carrier_capabilities(&number(BOB), &tags("+g.rcseal.frame=\"1\""))?,
                    3 => engine.handle_carrier_capabilities(&number(BOB), &[])?,
                    _ => engine.note_native(NumberKey::of(&number(BOB)), crate::capability::NativeOutcome::Failed)?,
                }
                let decided = engine.explain(subject).unwrap().decision;
                assert!(decided.mode().unwrap().is_end_to_end(), "step {step}");
                Ok::<_, StoreError>(())
            })
            .unwrap();
    }
}

#[test]
fn a_carrier_is_asked_within_a_ration() {
    let mut pair = Pair::new(&wide());
    let now = pair.world.now;
    let asked = |engine: &mut Engine<'_>| {
        let needs = engine.poll_needs().unwrap();
        needs.iter().filter(|need| matches!(need, crate::need::Need::QueryCapabilities { .. })).count()
    };
    pair.ada
        .with(now, |engine| {
            for last in 0..200_u32 {
                let other = number(&format!("+1555201{last:04}"));
                engine.want_capabilities(NumberKey::of(&other))?;
                engine.want_capabilities(NumberKey::of(&other))?;
            }
            assert_eq!(asked(engine), usize::try_from(crate::capability::QUERIES_PER_HOUR).unwrap());
            for last in 0..200_u32 {
                engine.handle_carrier_capabilities_failed(&number(&format!("+1555201{last:04}")))?;
            }
            assert_eq!(asked(engine), 0);
            Ok::<_, StoreError>(())
        })
        .unwrap();
}

/// A transaction that lets nothing change what is in the journal.
struct AppendOnly<'a> {
    inner: &'a mut dyn Tx,
}

impl Tx for AppendOnly<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.get(table, key)
    }

    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        assert!(table != Table::Journal || self.inner.get(table, key)?.is_none(), "an entry is written over");
        self.inner.put(table, key, value)
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        assert_ne!(table, Table::Journal, "an entry is deleted");
        self.inner.delete(table, key)
    }

    fn delete_range(&mut self, table: Table, start: &[u8], end: &[u8]) -> Result<(), StoreError> {
        assert_ne!(table, Table::Journal, "entries are deleted");
        self.inner.delete_range(table, start, end)
    }

    fn scan(&self, table: Table, start: &[u8], end: &[u8], limit: usize, order: Order) -> Result<Vec<Row>, StoreError> {
        self.inner.scan(table, start, end, limit, order)
    }
}

#[test]
fn the_journal_is_only_added_to_and_shows_what_was_done_to_it() {
    let mut pair = permissive();
    let (now, conversation) = (pair.world.now, pair.conversation);
    acknowledge(&mut pair);
    for words in ["one", "two", "three"] {
        pair.world.send(&mut pair.ada, conversation, text(words));
    }
    let before = pair.journal();
    let bob = pair.bob.address.account;
    let Phone { store, rng, .. } = &mut pair.ada;
    store
        .run(|tx| {
            let mut tx = AppendOnly { inner: tx };
            let mut engine = Engine::new(&mut tx, UnixMillis(now + HOUR_MS), rng);
            engine.restore_conversation(conversation).unwrap();
            engine.send(conversation, text("four"), None).unwrap();
            engine.poll_plain_outbox(10)?;
            engine.keep_house()?;
            engine.delete_thread(&number(BOB)).unwrap_err();
            engine.remove_contact(bob).unwrap();
            engine.clear()?;
            Ok::<_, crate::account::AccountError>(())
        })
        .unwrap();
    let after = pair.journal();
    assert!(after.len() > before.len());
    assert_eq!(after[..before.len()], before);
    assert!(after.iter().zip(1..).all(|(entry, number)| entry.number == number));
    let summary = pair.ada.with(now, |engine| engine.journal_summary(UnixMillis(0))).unwrap();
    assert!(summary.is_unbroken);
    assert_eq!(summary.entries, u64::try_from(after.len()).unwrap());
    let counts: BTreeMap<_, _> = summary.rows.iter().map(|row| ((row.kind, row.reason), row.count)).collect();
    assert_eq!(counts[&("downgrade", "downgrade_acknowledged")], 4);
    // Somebody with the file edits an entry.
    pair.ada
        .store
        .run(|tx| {
            let key = 2_u64.to_be_bytes();
            let mut row = tx.get(Table::Journal, &key)?.unwrap();
            row[8] ^= 1;
            tx.put(Table::Journal, &key, &row)
        })
        .unwrap();
    assert!(!pair.ada.with(now, |engine| engine.check_journal()).unwrap().0);
}

#[test]
fn every_step_of_a_downgrade_fails_whole_at_every_write() {
    let mut pair = permissive();
    let (now, conversation) = (pair.world.now, pair.conversation);
    crash_at_every_write(&mut pair.ada, now, |engine| engine.acknowledge_downgrade(conversation, PLAIN));
    crash_at_every_write(&mut pair.ada, now, |engine| engine.send(conversation, text("in the open"), None));
    let mut due = Vec::new();
    crash_at_every_write(&mut pair.ada, now, |engine| {
        due = engine.poll_plain_outbox(10)?;
        Ok::<_, crate::account::AccountError>(())
    });
    let handed = due.pop().unwrap().number;
    crash_at_every_write(&mut pair.ada, now, |engine| engine.handle_plain_outcome(handed, &Ok(Taken::Stored)));
    crash_at_every_write(&mut pair.ada, now, |engine| engine.restore_conversation(conversation));
    pair.settle();
    assert!(last(&mut pair.ada, conversation).1.is_end_to_end());
}
