//! Server-side encryption: the key, what goes out sealed to it, and what comes in on the server's word.

use rcseal_crypto::hpke_p256;
use rcseal_crypto::secret::Secret;
use rcseal_wire::api::retained::{RETAINED_INFO, RetainedHeader, RetentionClass, ServerKey, Tenant, server_key_id};
use rcseal_wire::content::Body;
use rcseal_wire::id::{DeviceAddress, MessageId, RetainedId, TenantId};

use super::carrier::{Pair, wide};
use super::crash::crash_at_every_write;
use super::world::{Phone, events, messages, text};
use crate::context::{Engine, UnixMillis};
use crate::event::Event;
use crate::message::{EncryptionStatus, FailureReason, MessageState};
use crate::policy::{DeliveryMode, EntryKind, FallbackPolicy, PolicyError, PolicyScope, Reason, Subject};
use crate::retained::{
    RETAINED_UNANNOUNCED_MAX, RetainedError, RetainedFailure, RetainedMessage, RetainedOutgoing, RetainedTaken,
    ServerKeyChange, ServerKeyFault, ServerKeyState,
};
use crate::store::Table;

const MODE: DeliveryMode = DeliveryMode::ServerEncrypted;
const HOUR_MS: u64 = 3600 * 1000;
const DAY_MS: u64 = 24 * HOUR_MS;

fn private(seed: u8) -> Secret<32> {
    Secret::from_bytes([seed; 32])
}

/// A tenant's key in a region, good for a day.
fn server_key(seed: u8, tenant: u8, region: &str, now: u64) -> ServerKey {
    let public_key = hpke_p256::public_in_software(&private(seed)).unwrap().as_bytes().to_vec();
    ServerKey {
        tenant: Tenant { id: TenantId::from_bytes([tenant; 16]), name: "Example Ltd".to_owned() },
        key_id: server_key_id(&public_key),
        public_key: public_key.into(),
        region: region.to_owned(),
        classes: vec![
            RetentionClass { name: "standard".to_owned(), days: 365 },
            RetentionClass { name: "short".to_owned(), days: 30 },
        ],
        default_class: "standard".to_owned(),
        not_after_ms: now + DAY_MS,
    }
}

/// What the server would do with a submission.
fn open(from: DeviceAddress, outgoing: RetainedOutgoing, key: &ServerKey, seed: u8) -> (RetainedId, Vec<u8>) {
    assert_eq!(outgoing.submission.mode(), MODE);
    let request = outgoing.submission.release().request;
    let class = request.class.as_deref().unwrap_or(&key.default_class);
    let header =
        RetainedHeader { tenant: key.tenant.id, from, to: request.to, id: request.id, key_id: request.key_id, class };
    let sealed = hpke_p256::Sealed::parse(&request.sealed.0).unwrap();
    let dh = hpke_p256::agree_in_software(&private(seed), sealed.encapsulation()).unwrap();
    let public = hpke_p256::PublicKey::from_bytes(&key.public_key.0).unwrap();
    let opened = hpke_p256::open_with_shared(&dh, &sealed, &public, RETAINED_INFO, &header.associated_data());
    (request.id, opened.unwrap())
}

/// Ada and Bob are at one server that has a key, and Ada's user allows everything but the word for the one conversation.
fn allowed() -> Pair {
    let mut pair = Pair::new(&wide());
    let now = pair.world.now;
    pair.world.server_key = Some(server_key(1, 7, "eu-1", now));
    pair.ada.with(now, |engine| engine.want_server_key()).unwrap();
    let subject = Subject::Conversation(pair.conversation);
    for phone in [&mut pair.ada, &mut pair.bob] {
        phone.with(now, |engine| engine.set_route_preference(Some(subject), None)).unwrap();
    }
    pair.settle();
    pair.ada
        .with(now, |engine| {
            engine.set_fallback_policy(PolicyScope::Account, Some(FallbackPolicy::Downgrade))?;
            engine.give_consent(subject, MODE, UnixMillis(now + 7 * DAY_MS))
        })
        .unwrap();
    pair
}

/// And the word is given and heard.
fn acknowledged() -> Pair {
    let mut pair = allowed();
    let (now, conversation) = (pair.world.now, pair.conversation);
    pair.ada.with(now, |engine| engine.acknowledge_downgrade(conversation, MODE)).unwrap();
    pair.settle();
    pair
}

fn poll(pair: &mut Pair) -> Vec<RetainedOutgoing> {
    pair.ada.with(pair.world.now, |engine| engine.poll_retained_outbox(10)).unwrap()
}

fn last(phone: &mut Phone, pair: rcseal_wire::id::ConversationId) -> (MessageState, EncryptionStatus) {
    let all = messages(phone, pair);
    let last = all.last().unwrap();
    (last.state, last.encryption)
}

fn kept(pair: &Pair, sequence: u64, id: u8, words: &str) -> RetainedMessage {
    RetainedMessage {
        sequence,
        id: MessageId::from_bytes([id; 16]),
        from: pair.ada.address,
        sent_at: UnixMillis(pair.world.now),
        plaintext: words.as_bytes().to_vec(),
    }
}

fn take(pair: &mut Pair, messages: &[RetainedMessage]) -> RetainedTaken {
    pair.bob.with(pair.world.now, |engine| engine.handle_retained(messages)).unwrap()
}

#[test]
fn words_that_a_server_may_read_are_labelled_so_on_both_sides_and_confirmed_end_to_end() {
    let mut pair = acknowledged();
    let (now, conversation) = (pair.world.now, pair.conversation);
    let id = pair.world.send(&mut pair.ada, conversation, text("for the record"));
    assert_eq!(last(&mut pair.ada, conversation), (MessageState::Queued, EncryptionStatus::ServerEncrypted));
    let entry = *pair.journal().last().unwrap();
    assert_eq!((entry.kind, entry.taken, entry.message), (EntryKind::Downgrade, Some(MODE), Some(id)));
    assert!(pair.ada.with(now, |engine| engine.poll_plain_outbox(10)).unwrap().is_empty(), "no carrier gets it");
    let mut polled = poll(&mut pair);
    assert!(poll(&mut pair).is_empty(), "whoever polls has it for a while");
    let outgoing = polled.pop().unwrap();
    let number = outgoing.number;
    assert!(pair.ada.with(now, |engine| engine.may_retained_leave(number)).unwrap());
    let key = pair.world.server_key.clone().unwrap();
    let (at_server, words) = open(pair.ada.address, outgoing, &key, 1);
    assert_eq!((at_server.as_bytes(), words.as_slice()), (id.as_bytes(), &b"for the record"[..]));
    pair.ada.with(now, |engine| engine.handle_retained_outcome(number, Ok(()))).unwrap();
    assert_eq!(last(&mut pair.ada, conversation).0, MessageState::Stored);
    assert_eq!(pair.ada.store.len(Table::RetainedOutbox), 0);

    let message = RetainedMessage { id, ..kept(&pair, 5, 0, "for the record") };
    assert_eq!(take(&mut pair, std::slice::from_ref(&message)), RetainedTaken { shown: 1, ..RetainedTaken::default() });
    assert_eq!(last(&mut pair.bob, conversation), (MessageState::Received, EncryptionStatus::ServerEncrypted));
    assert_eq!(pair.bob.with(now, |engine| engine.retained_cursor()).unwrap(), 5);
    // Once more, from the same place and from a later one: it is shown once.
    let again = RetainedMessage { sequence: 6, ..message.clone() };
    assert_eq!(take(&mut pair, &[message, again]), RetainedTaken { repeated: 2, ..RetainedTaken::default() });
    pair.settle();
    assert_eq!(last(&mut pair.ada, conversation).0, MessageState::Delivered);
}

#[test]
fn it_takes_policy_consent_and_the_users_word_and_a_key_that_can_be_used() {
    let mut pair = Pair::new(&wide());
    let (now, subject) = (pair.world.now, Subject::Conversation(pair.conversation));
    let until = UnixMillis(now + HOUR_MS);
    let refused = pair.ada.with(now, |engine| engine.give_consent(subject, MODE, until)).unwrap_err();
    assert!(matches!(refused, PolicyError::NoWayForMode { mode: MODE }), "{refused:?}");
    let mut pair = allowed();
    let explained = pair.ada.with(now, |engine| engine.explain(subject)).unwrap();
    assert!(explained.inputs.ways.has(MODE));
    assert!(explained.decision.mode().unwrap().is_end_to_end(), "without the word for the conversation");
    // A contact at another server cannot be reached so.
    let bob = pair.bob.address.account;
    pair.ada
        .with(now, |engine| {
            let mut contact = engine.contact(bob)?.unwrap();
            contact.origin = "https://elsewhere.example".parse().unwrap();
            engine.put_contact(&contact)
        })
        .unwrap();
    let explained = pair.ada.with(now, |engine| engine.explain(subject)).unwrap();
    assert!(!explained.inputs.ways.has(MODE));
}

#[test]
fn the_server_is_given_nothing_before_the_other_side_has_been_told() {
    let mut pair = allowed();
    let (now, conversation) = (pair.world.now, pair.conversation);
    pair.ada.with(now, |engine| engine.acknowledge_downgrade(conversation, MODE)).unwrap();
    pair.world.send(&mut pair.ada, conversation, text("too soon"));
    assert!(poll(&mut pair).is_empty());
    pair.settle();
    pair.world.now += 1000;
    assert_eq!(poll(&mut pair).len(), 1);
}

#[test]
fn a_submission_that_nobody_answered_goes_again_as_the_very_same_bytes() {
    let mut pair = acknowledged();
    let conversation = pair.conversation;
    pair.world.send(&mut pair.ada, conversation, text("once"));
    let first = poll(&mut pair).pop().unwrap();
    let number = first.number;
    let first = first.submission.release().request;
    let unavailable = Err(RetainedFailure::Unavailable);
    pair.ada.with(pair.world.now, |engine| engine.handle_retained_outcome(number, unavailable)).unwrap();
    pair.world.now += 10 * 60 * 1000;
    // The server has another key by now; what is sealed stays sealed.
    let renewed = server_key(2, 7, "eu-1", pair.world.now);
    let change = pair.ada.with(pair.world.now, |engine| engine.handle_server_key(renewed)).unwrap();
    assert_eq!(change, ServerKeyChange::Changed);
    assert_eq!(poll(&mut pair).pop().unwrap().submission.release().request, first);
    // A day later it says something else than it did.
    pair.world.now += 2 * DAY_MS;
    assert!(poll(&mut pair).is_empty());
    let failed = MessageState::Failed { reason: FailureReason::Expired };
    assert_eq!(last(&mut pair.ada, conversation).0, failed);
}

#[test]
fn what_a_server_refuses_fails_by_its_name_and_goes_no_other_way() {
    let cases = [
        (RetainedFailure::KeyGone, FailureReason::ServerKeyGone, Some(Reason::ServerKeyGone)),
        (RetainedFailure::RegionMismatch, FailureReason::RegionMismatch, Some(Reason::RegionMismatch)),
        (RetainedFailure::RetentionUnknown, FailureReason::RetentionUnknown, Some(Reason::RetentionUnknown)),
        (RetainedFailure::Refused, FailureReason::Refused, None),
        (RetainedFailure::Rejected, FailureReason::Rejected, None),
    ];
    for (failure, expected, journalled) in cases {
        let mut pair = acknowledged();
        let conversation = pair.conversation;
        let id = pair.world.send(&mut pair.ada, conversation, text("refused"));
        let number = poll(&mut pair).pop().unwrap().number;
        pair.ada.with(pair.world.now, |engine| engine.handle_retained_outcome(number, Err(failure))).unwrap();
        assert_eq!(last(&mut pair.ada, conversation).0, MessageState::Failed { reason: expected }, "{failure:?}");
        assert_eq!(expected.code(), failure.code());
        let entries = pair.journal();
        if let Some(reason) = journalled {
            let entry = entries.last().unwrap();
            assert_eq!((entry.kind, entry.message, entry.reason), (EntryKind::Refusal, Some(id), reason));
        }
        pair.world.now += HOUR_MS;
        pair.settle();
        assert!(poll(&mut pair).is_empty());
        assert!(pair.world.carried.is_empty() && pair.world.intercept(&pair.bob).is_empty());
        // Without a key there is no such way, and what is written next goes end to end.
        if matches!(failure, RetainedFailure::KeyGone | RetainedFailure::RegionMismatch) {
            pair.world.send(&mut pair.ada, conversation, text("next"));
            assert!(last(&mut pair.ada, conversation).1.is_end_to_end(), "{failure:?}");
        }
    }
}

#[test]
fn what_was_agreed_to_and_ended_keeps_the_words_here() {
    let mut pair = acknowledged();
    let (now, conversation) = (pair.world.now, pair.conversation);
    pair.world.send(&mut pair.ada, conversation, text("not any more"));
    let number = poll(&mut pair).pop().unwrap().number;
    let consent = pair.ada.with(now, |engine| engine.consents()).unwrap()[0].id;
    pair.ada.with(now, |engine| engine.withdraw_consent(consent)).unwrap();
    assert!(!pair.ada.with(now, |engine| engine.may_retained_leave(number)).unwrap());
    let failed = MessageState::Failed { reason: FailureReason::NotAllowed };
    assert_eq!(last(&mut pair.ada, conversation).0, failed);
}

#[test]
fn a_key_is_pinned_and_its_change_is_journalled_and_told() {
    let mut pair = Pair::new(&wide());
    let now = pair.world.now;
    let handle = |pair: &mut Pair, key| pair.ada.with(now, |engine| engine.handle_server_key(key));
    let state = |pair: &mut Pair| pair.ada.with(now, |engine| engine.server_key()).unwrap().unwrap().state;
    assert_eq!(handle(&mut pair, server_key(1, 7, "eu-1", now)).unwrap(), ServerKeyChange::Pinned);
    assert_eq!(handle(&mut pair, server_key(1, 7, "eu-1", now)).unwrap(), ServerKeyChange::Same);
    assert_eq!(pair.journal(), []);
    events(&mut pair.ada);
    assert_eq!(handle(&mut pair, server_key(2, 7, "eu-1", now)).unwrap(), ServerKeyChange::Changed);
    let entry = pair.journal().pop().unwrap();
    assert_eq!(
        (entry.kind, entry.subject, entry.reason),
        (EntryKind::KeyChange, Subject::Server, Reason::ServerKeyChanged)
    );
    assert_eq!(events(&mut pair.ada), [Event::ServerKeyChanged { is_usable: true }]);
    // Another region, another tenant: nothing is sealed until the user decides, and it is said once.
    for _ in 0..2 {
        assert_eq!(handle(&mut pair, server_key(3, 7, "us-1", now)).unwrap(), ServerKeyChange::Held);
    }
    assert_eq!(events(&mut pair.ada), [Event::ServerKeyChanged { is_usable: false }]);
    assert_eq!(pair.journal().pop().unwrap().reason, Reason::ServerKeyHeld);
    assert_eq!(state(&mut pair), ServerKeyState::Held);
    let wrong = server_key(4, 8, "us-1", now).key_id;
    let refused = pair.ada.with(now, |engine| engine.accept_server_key(wrong)).unwrap_err();
    assert!(matches!(refused, RetainedError::NoOffer), "{refused:?}");
    // The server has the old one back: what waited is over.
    assert_eq!(handle(&mut pair, server_key(2, 7, "eu-1", now)).unwrap(), ServerKeyChange::Same);
    assert_eq!(state(&mut pair), ServerKeyState::Usable);
    pair.ada.with(now, |engine| engine.handle_server_key_fault(ServerKeyFault::Gone)).unwrap();
    assert_eq!(state(&mut pair), ServerKeyState::Gone);
    assert_eq!(pair.journal().pop().unwrap().reason, Reason::ServerKeyGone);
}

#[test]
fn whoever_accepts_a_key_of_another_region_agrees_anew() {
    let mut pair = acknowledged();
    let (now, conversation) = (pair.world.now, pair.conversation);
    let elsewhere = server_key(3, 7, "us-1", now);
    pair.ada.with(now, |engine| engine.handle_server_key(elsewhere.clone())).unwrap();
    pair.world.send(&mut pair.ada, conversation, text("meanwhile"));
    assert!(last(&mut pair.ada, conversation).1.is_end_to_end());
    pair.ada.with(now, |engine| engine.accept_server_key(elsewhere.key_id)).unwrap();
    pair.world.send(&mut pair.ada, conversation, text("still not"));
    assert!(last(&mut pair.ada, conversation).1.is_end_to_end(), "the consent was to another place");
}

#[test]
fn what_is_no_key_is_refused_by_name_and_changes_nothing() {
    let mut pair = Pair::new(&wide());
    let now = pair.world.now;
    let sound = server_key(1, 7, "eu-1", now);
    let other = server_key(2, 7, "eu-1", now);
    let bad = [
        ServerKey { public_key: other.public_key, ..sound.clone() },
        ServerKey { public_key: vec![4; 65].into(), key_id: server_key_id(&[4; 65]), ..sound.clone() },
        ServerKey { region: String::new(), ..sound.clone() },
        ServerKey { default_class: "long".to_owned(), ..sound.clone() },
        ServerKey { classes: Vec::new(), ..sound.clone() },
    ];
    for key in bad {
        let refused = pair.ada.with(now, |engine| engine.handle_server_key(key)).unwrap_err();
        assert!(matches!(refused, RetainedError::KeyMalformed), "{refused:?}");
    }
    let expired = ServerKey { not_after_ms: now, ..sound };
    let refused = pair.ada.with(now, |engine| engine.handle_server_key(expired)).unwrap_err();
    assert!(matches!(refused, RetainedError::KeyExpired), "{refused:?}");
    assert_eq!(pair.ada.with(now, |engine| engine.server_key()).unwrap(), None);
}

#[test]
fn a_key_whose_time_is_over_is_asked_for_before_it_is_used() {
    let mut pair = acknowledged();
    let conversation = pair.conversation;
    pair.world.now += DAY_MS;
    pair.world.send(&mut pair.ada, conversation, text("a day later"));
    assert!(poll(&mut pair).is_empty());
    let renewed = server_key(1, 7, "eu-1", pair.world.now);
    pair.world.server_key = Some(renewed);
    pair.settle();
    pair.world.now += 5000;
    assert_eq!(poll(&mut pair).len(), 1);
}

#[test]
fn a_class_is_one_that_the_server_has_and_the_sealing_covers_it() {
    let mut pair = acknowledged();
    let (now, conversation) = (pair.world.now, pair.conversation);
    let refused = pair.ada.with(now, |engine| engine.set_retention_class(Some("ever"))).unwrap_err();
    assert!(matches!(refused, RetainedError::UnknownClass), "{refused:?}");
    pair.ada.with(now, |engine| engine.set_retention_class(Some("short"))).unwrap();
    pair.world.send(&mut pair.ada, conversation, text("for a month"));
    let outgoing = poll(&mut pair).pop().unwrap();
    let key = pair.world.server_key.clone().unwrap();
    let (_, words) = open(pair.ada.address, outgoing, &key, 1);
    assert_eq!(words, b"for a month");
}

#[test]
fn what_nobody_announced_is_listed_apart_and_is_no_message() {
    let mut pair = allowed();
    events(&mut pair.bob);
    let before = messages(&mut pair.bob, pair.conversation).len();
    let message = kept(&pair, 1, 9, "the server says so");
    assert_eq!(take(&mut pair, &[message]), RetainedTaken { unannounced: 1, ..RetainedTaken::default() });
    assert_eq!(messages(&mut pair.bob, pair.conversation).len(), before);
    let listed = pair.bob.with(0, |engine| engine.retained_unannounced()).unwrap();
    assert_eq!(
        (listed.len(), listed[0].words.as_str(), listed[0].code()),
        (1, "the server says so", "retained_unannounced")
    );
    let (account, message) = (pair.ada.address.account, MessageId::from_bytes([9; 16]));
    assert_eq!(events(&mut pair.bob), [Event::RetainedUnannounced { account, message }]);
    pair.bob.with(0, |engine| engine.dismiss_retained(1)).unwrap();
    assert!(pair.bob.with(0, |engine| engine.retained_unannounced()).unwrap().is_empty());
    // It is bounded, and the oldest go first.
    let many: Vec<_> =
        (2..RETAINED_UNANNOUNCED_MAX as u64 + 12).map(|sequence| kept(&pair, sequence, 8, "again")).collect();
    take(&mut pair, &many);
    let listed = pair.bob.with(0, |engine| engine.retained_unannounced()).unwrap();
    assert_eq!((listed.len(), listed[0].sequence), (RETAINED_UNANNOUNCED_MAX, 12));
}

#[test]
fn an_announcement_ends_with_the_word_that_ends_it_and_with_the_contact() {
    let mut pair = acknowledged();
    let (now, conversation) = (pair.world.now, pair.conversation);
    let message = |pair: &Pair, sequence: u8| kept(pair, sequence.into(), sequence, "words");
    let first = message(&pair, 1);
    assert_eq!(take(&mut pair, &[first]).shown, 1);
    pair.world.now += 1;
    pair.ada.with(pair.world.now, |engine| engine.restore_conversation(conversation)).unwrap();
    pair.settle();
    let second = message(&pair, 2);
    assert_eq!(take(&mut pair, &[second]).unannounced, 1);
    pair.world.now += 1;
    pair.ada.with(pair.world.now, |engine| engine.acknowledge_downgrade(conversation, MODE)).unwrap();
    pair.settle();
    let third = message(&pair, 3);
    assert_eq!(take(&mut pair, &[third]).shown, 1);
    // Of another mode it is no announcement of this one.
    let ada = pair.ada.address.account;
    pair.bob.with(now, |engine| engine.remove_contact(ada)).unwrap();
    let fourth = message(&pair, 4);
    assert_eq!(take(&mut pair, &[fourth]).unannounced, 1);
}

/// A downgrade ends on the other side without a word when it hears this one. What it writes then says so.
#[test]
fn whoever_writes_end_to_end_again_has_ended_the_announcement() {
    let mut pair = acknowledged();
    let (now, conversation) = (pair.world.now, pair.conversation);
    pair.world.now += 10;
    pair.world.send(&mut pair.bob, conversation, text("I can read here"));
    pair.settle();
    pair.world.send(&mut pair.ada, conversation, text("so can I"));
    pair.settle();
    assert!(last(&mut pair.bob, conversation).1.is_end_to_end());
    let message = kept(&pair, 1, 1, "the server says so");
    assert_eq!(take(&mut pair, &[message]).unannounced, 1);
    // What was written before the announcement and came late ends nothing.
    pair.world.now += 10;
    pair.ada.with(pair.world.now, |engine| engine.acknowledge_downgrade(conversation, MODE)).unwrap();
    pair.settle();
    let (by, body) = (pair.ada.address, text("late"));
    pair.bob.with(now, |engine| engine.note_announced(conversation, by, &body, UnixMillis(now))).unwrap();
    let message = kept(&pair, 2, 2, "announced");
    assert_eq!(take(&mut pair, &[message]).shown, 1);
    // Another device of hers has announced nothing.
    let other = DeviceAddress { device: super::world::second_device(), ..pair.ada.address };
    let message = RetainedMessage { from: other, ..kept(&pair, 3, 3, "from the tablet") };
    assert_eq!(take(&mut pair, &[message]).unannounced, 1);
}

#[test]
fn of_somebody_blocked_and_of_no_words_nothing_is_kept() {
    let mut pair = acknowledged();
    let (now, ada) = (pair.world.now, pair.ada.address.account);
    let empty = RetainedMessage { plaintext: Vec::new(), ..kept(&pair, 1, 1, "") };
    let binary = RetainedMessage { plaintext: vec![0xff, 0xfe], ..kept(&pair, 2, 2, "") };
    let own = RetainedMessage { from: pair.bob.address, ..kept(&pair, 3, 3, "me") };
    assert_eq!(take(&mut pair, &[empty, binary, own]), RetainedTaken { passed_over: 3, ..RetainedTaken::default() });
    pair.bob.with(now, |engine| engine.block_contact(ada, true)).unwrap();
    let words = kept(&pair, 4, 4, "psst");
    assert_eq!(take(&mut pair, &[words]).passed_over, 1);
    assert_eq!(pair.bob.with(now, |engine| engine.retained_cursor()).unwrap(), 4);
    assert!(pair.bob.with(now, |engine| engine.retained_unannounced()).unwrap().is_empty());
}

#[test]
fn a_rolled_back_store_believes_no_announcement() {
    let mut pair = acknowledged();
    pair.bob.with(pair.world.now, |engine| engine.handle_store_rollback()).unwrap();
    let words = kept(&pair, 1, 1, "words");
    assert_eq!(take(&mut pair, &[words]).unannounced, 1);
}

#[test]
fn more_than_words_is_not_sealed_to_a_server() {
    let mut pair = acknowledged();
    let (now, conversation) = (pair.world.now, pair.conversation);
    let card = Body::Card(Box::new(rcseal_wire::content::Card {
        title: "t".to_owned(),
        text: "t".to_owned(),
        media: None,
        suggestions: Vec::new(),
    }));
    let refused = pair.ada.with(now, |engine| engine.send(conversation, card, None)).unwrap_err();
    assert_eq!(refused.code(), Reason::ContentUnfit.code());
}

#[test]
fn every_step_fails_whole_at_every_write() {
    let mut pair = acknowledged();
    let (now, conversation) = (pair.world.now, pair.conversation);
    crash_at_every_write(&mut pair.ada, now, |engine| engine.send(conversation, text("hello"), None));
    crash_at_every_write(&mut pair.ada, now, |engine: &mut Engine<'_>| engine.poll_retained_outbox(10).map(|_| ()));
    let number = 1;
    crash_at_every_write(&mut pair.ada, now, |engine| engine.handle_retained_outcome(number, Ok(())));
    let message = kept(&pair, 1, 1, "words");
    crash_at_every_write(&mut pair.bob, now, |engine| engine.handle_retained(std::slice::from_ref(&message)));
    let changed = server_key(2, 7, "eu-1", now);
    crash_at_every_write(&mut pair.ada, now, |engine| engine.handle_server_key(changed.clone()));
}
