//! What is too long for a carrier: kept at the sender's relay, named by a reference, fetched.

use rcseal_crypto::hash::sha256;
use rcseal_rcs::frame::{self, FrameId, Kind, split};
use rcseal_rcs::transport::{CarrierMessage, SendFailure, Sender, Taken, TransportProfile};
use rcseal_wire::content::{BlobReference, Body, EnvelopeReference};
use rcseal_wire::envelope::Envelope;
use rcseal_wire::id::{BlobId, Digest, EnvelopeId};
use rcseal_wire::origin::Origin;

use super::{ADA, Handed, Pair, number, pager, part, wide, wrapped};
use crate::Disposition;
use crate::carrier::{CarrierAnswer, CarrierDisposition, Deposit, Fetch, FetchFailure};
use crate::message::{EncryptionStatus, MessageState};
use crate::need::Need;
use crate::outbox::Via;
use crate::policy::Reason;
use crate::send::native_identity;
use crate::store::Table;
use crate::tests::crash::crash_at_every_write;
use crate::tests::world::{messages, text, texts};

const CONSUMED: CarrierDisposition = CarrierDisposition::Envelope(Disposition::Consumed);

/// Words that take more parts than pager mode allows.
fn long() -> String {
    "x".repeat(16_000)
}

fn last_of_ada(pair: &mut Pair) -> (MessageState, EncryptionStatus) {
    let last = messages(&mut pair.ada, pair.conversation).pop().unwrap();
    (last.state, last.encryption)
}

fn counts(pair: &mut Pair) -> Vec<(String, u64)> {
    let mutations = pair.bob.with(0, |engine| engine.carrier_mutations()).unwrap();
    mutations.into_iter().map(|mutation| (mutation.code, mutation.count)).collect()
}

fn bring_all(pair: &mut Pair, handed: &Handed) -> CarrierDisposition {
    handed.messages.iter().map(|message| pair.bring(message)).last().unwrap()
}

/// What Bob's phone would fetch now.
fn fetches(pair: &mut Pair) -> Vec<Fetch> {
    let now = pair.world.now;
    let needs = pair.bob.with(now, |engine| engine.poll_needs()).unwrap();
    let fetch = |need| match need {
        Need::FetchEnvelope(fetch) => Some(fetch),
        _ => None,
    };
    needs.into_iter().filter_map(fetch).collect()
}

/// What Ada's phone would keep at her relay now.
fn deposit(pair: &mut Pair) -> (u64, Deposit) {
    let now = pair.world.now;
    let mut due = pair.ada.with(now, |engine| engine.poll_outbox(16)).unwrap();
    let outgoing = due.pop().unwrap();
    let Via::Deposit(deposit) = outgoing.via else { panic!("not a deposit") };
    (outgoing.number, deposit)
}

/// A reference that is Ada's to make, as a frame: what a device of hers says that has been taken over.
fn hostile(pair: &mut Pair, reference: EnvelopeReference) -> Vec<u8> {
    let (now, bob) = (pair.world.now, pair.bob.address);
    let envelope = pair
        .ada
        .with(now, |engine| {
            let account = engine.account().unwrap();
            let key_set = engine.key_set(bob.account).unwrap().unwrap();
            let identity = native_identity(&key_set, bob.device).unwrap().unwrap();
            let mut session = engine.sendable_session(bob, identity).unwrap().unwrap();
            let conversation = crate::conversation::direct_conversation_id(account.address.account, bob.account);
            let body = Body::EnvelopeReference(Box::new(reference));
            let payload = engine.notice(&account, conversation, body).unwrap();
            engine.encrypt_on(&account, &mut session, &key_set, &payload)
        })
        .unwrap()
        .unwrap();
    let id = FrameId::from_bytes(*sha256(&[&envelope]).first_chunk().unwrap());
    split(Kind::BlobReference, id, &envelope, &wide()).unwrap().remove(0).as_bytes().to_vec()
}

fn names(n: u8, origin: &str, size: u64) -> EnvelopeReference {
    let blob = BlobReference {
        id: BlobId::from_bytes([n; 32]),
        key: rcseal_crypto::secret::Secret::from_bytes([n; 32]),
        digest: Digest::from_bytes([n; 32]),
        size,
        origin: origin.parse::<Origin>().unwrap(),
    };
    EnvelopeReference { envelope: EnvelopeId::from_bytes([n; 16]), blob }
}

const RELAY: &str = "https://relay.example";

#[test]
fn what_takes_too_many_parts_goes_by_reference_and_is_delivered_natively() {
    let mut pair = Pair::new(&pager());
    let handed = pair.ada_writes(&long()).remove(0);
    assert_eq!(handed.messages.len(), 1);
    assert!(handed.messages.iter().all(|message| part(message).kind() == Kind::BlobReference));
    assert!(pair.world.intercept(&pair.bob).is_empty(), "the relay delivers nothing");
    pair.taken(&handed, Taken::Answered);
    assert_eq!(bring_all(&mut pair, &handed), CONSUMED);
    assert_eq!(CONSUMED.answer(), CarrierAnswer::Accepted);
    assert_eq!(texts(&mut pair.bob, pair.conversation).len(), 2, "it is not here before it is fetched");
    pair.settle();
    assert_eq!(texts(&mut pair.bob, pair.conversation).last(), Some(&long()));
    assert_eq!(last_of_ada(&mut pair), (MessageState::Delivered, EncryptionStatus::Native));
    let received = messages(&mut pair.bob, pair.conversation).pop().unwrap();
    assert_eq!(received.encryption, EncryptionStatus::Native);
    assert_eq!((pair.journal(), counts(&mut pair)), (vec![], vec![]));
    assert_eq!(pair.ada.store.len(Table::Outbox), 0);
    // Once delivered, neither the blob's key nor the reference is kept.
    let routes = pair.ada.store.len(Table::CarrierRoute);
    let short = pair.ada_writes("short").remove(0);
    bring_all(&mut pair, &short);
    pair.settle();
    assert_eq!(pair.ada.store.len(Table::CarrierRoute), routes + 1, "each leaves its mark that it was tried");
}

#[test]
fn a_reference_is_taken_where_it_is_smaller_and_not_before() {
    // Words, what a body holds, and whether they go by reference: more than 8 messages, or more than 32 KiB.
    for (words, body_len_max, by_reference, of) in [
        (400, 900, false, 2),
        (6_000, 900, true, 1),
        (6_000, 1_300, false, 7),
        (12_000, 1_300, true, 1),
        (12_000, 64 * 1024, false, 1),
        (16_380, 64 * 1024, true, 1),
    ] {
        let mut pair = Pair::new(&TransportProfile { body_len_max, ..wide() });
        let handed = pair.ada_writes(&"x".repeat(words)).remove(0);
        let kind = part(&handed.messages[0]).kind();
        assert_eq!(kind == Kind::BlobReference, by_reference, "{words} in {body_len_max}");
        assert_eq!(handed.messages.len(), of, "{words} in {body_len_max}");
        bring_all(&mut pair, &handed);
        pair.settle();
        assert_eq!(texts(&mut pair.bob, pair.conversation).last().map(String::len), Some(words));
    }
}

#[test]
fn neither_the_carrier_nor_the_relay_can_tell_what_belongs_together() {
    let mut pair = Pair::new(&pager());
    pair.world.send(&mut pair.ada, pair.conversation, text(&long()));
    let (number, kept) = deposit(&mut pair);
    let (again, same) = deposit(&mut pair);
    assert_eq!((again, &same.bytes), (number, &kept.bytes), "until it is answered for, it comes again, byte for byte");
    assert!(!format!("{kept:?}").contains("bytes"), "{kept:?}");
    let id = pair.world.keep(kept.bytes.clone());
    let now = pair.world.now;
    pair.ada.with(now, |engine| engine.handle_deposited(number, id)).unwrap();
    let handed = pair.hand_over().remove(0);
    let reference = handed.envelope();
    assert_eq!(reference.len(), 512, "a bucket like any other");
    let Envelope::Session { tag, .. } = Envelope::parse(&reference).unwrap() else { panic!("not a session's") };
    let holds = |hay: &[u8], needle: &[u8]| hay.windows(needle.len()).any(|window| window == needle);
    for (what, secret) in [("id", &id.as_bytes()[..]), ("digest", kept.digest.as_bytes()), ("origin", RELAY.as_bytes())]
    {
        assert!(!holds(&reference, secret), "the carrier sees the blob's {what}");
    }
    assert!(!holds(&kept.bytes, &tag.0), "the relay sees the session's tag beside the account that logged in");
}

#[test]
fn a_relay_that_keeps_no_blob_leaves_the_carrier_what_fits_and_the_relay_the_rest() {
    // Sixteen parts are allowed and twelve are needed: a reference would be smaller, and is not necessary.
    let mut pair = Pair::new(&pager());
    pair.world.takes_no_blobs = true;
    let handed = pair.ada_writes(&"x".repeat(6_000)).remove(0);
    assert_eq!(part(&handed.messages[0]).kind(), Kind::Envelope);
    assert!(handed.messages.len() > 8);
    assert_eq!(bring_all(&mut pair, &handed), CONSUMED);
    pair.settle();
    assert_eq!(last_of_ada(&mut pair), (MessageState::Delivered, EncryptionStatus::Native));
    // A clock that goes back does not prolong the time that a relay has.
    pair.world.takes_no_blobs = false;
    pair.world.send(&mut pair.ada, pair.conversation, text(&"x".repeat(6_000)));
    let _ = deposit(&mut pair);
    pair.world.now -= 3_600_000;
    let handed = pair.hand_over().remove(0);
    assert_eq!(part(&handed.messages[0]).kind(), Kind::Envelope);
    assert_eq!(bring_all(&mut pair, &handed), CONSUMED);
    pair.settle();
    pair.world.now += 3_600_000;
    // A shell that never answers costs some seconds and no message.
    pair.world.send(&mut pair.ada, pair.conversation, text(&long()));
    let (number, _) = deposit(&mut pair);
    pair.world.now += 20_000;
    pair.world.serve(&mut pair.ada);
    assert_eq!(pair.world.intercept(&pair.bob).len(), 1);
    assert_eq!(pair.journal().pop().unwrap().reason, Reason::CarrierUnfit);
    // Its answer comes to nothing then.
    let now = pair.world.now;
    pair.ada.with(now, |engine| engine.handle_deposited(number, BlobId::from_bytes([1; 32]))).unwrap();
    assert!(pair.hand_over().is_empty());
}

#[test]
fn a_blob_that_is_lost_or_altered_is_given_up_by_name_and_the_relay_brings_the_message() {
    for (code, spoil) in [("reference_gone", 0), ("reference_damaged", 1), ("reference_damaged", 2)] {
        let mut pair = Pair::new(&pager());
        let handed = pair.ada_writes(&long()).remove(0);
        bring_all(&mut pair, &handed);
        match spoil {
            0 => pair.world.blobs.clear(),
            1 => pair.world.blobs.values_mut().for_each(|blob| blob[100] ^= 1),
            _ => pair.world.blobs.values_mut().for_each(|blob| blob.truncate(5_000)),
        }
        pair.world.serve(&mut pair.bob);
        assert_eq!(counts(&mut pair), [(code.to_owned(), 1)]);
        assert!(fetches(&mut pair).is_empty());
        pair.patience_ends();
        pair.settle();
        assert_eq!(texts(&mut pair.bob, pair.conversation).last(), Some(&long()));
        assert_eq!(last_of_ada(&mut pair), (MessageState::Delivered, EncryptionStatus::Relayed));
        assert_eq!(pair.journal().pop().unwrap().reason, Reason::CarrierUnconfirmed);
    }
}

#[test]
fn a_relay_that_is_away_is_asked_again_and_in_the_end_no_more() {
    let mut pair = Pair::new(&pager());
    let handed = pair.ada_writes(&long()).remove(0);
    bring_all(&mut pair, &handed);
    pair.world.serves_no_blobs = true;
    pair.world.serve(&mut pair.bob);
    let now = pair.world.now;
    assert!(fetches(&mut pair).is_empty(), "not at once");
    let due = pair.bob.with(now, |engine| engine.poll_needs_timeout()).unwrap().unwrap();
    assert!(due.0 > now && due.0 < now + 10_000);
    assert!(pair.bob.with(now, |engine| engine.has_unmet_needs()).unwrap());
    pair.world.now = due.0;
    assert_eq!(fetches(&mut pair).len(), 1);
    pair.world.now += 24 * 3600 * 1000;
    assert!(fetches(&mut pair).is_empty());
    assert_eq!(counts(&mut pair), [("reference_expired".to_owned(), 1)]);
    pair.settle();
    assert_eq!(texts(&mut pair.bob, pair.conversation).last(), Some(&long()), "the relay brought it");
}

#[test]
fn a_reference_that_comes_again_or_late_shows_nothing_twice() {
    let mut pair = Pair::new(&pager());
    let handed = pair.ada_writes(&long()).remove(0);
    bring_all(&mut pair, &handed);
    // The same envelope in another frame, before it is fetched and after.
    let replay = |pair: &mut Pair, id| {
        let frame = split(Kind::BlobReference, FrameId::from_bytes([id; 16]), &handed.envelope(), &wide()).unwrap();
        pair.bring_body("message/cpim", frame[0].as_bytes())
    };
    assert_eq!(replay(&mut pair, 1), CarrierDisposition::Envelope(Disposition::Duplicate));
    assert_eq!(fetches(&mut pair).len(), 1);
    pair.settle();
    assert_eq!(replay(&mut pair, 2), CarrierDisposition::Envelope(Disposition::Duplicate));
    assert!(fetches(&mut pair).is_empty());
    // One that is later than the relay.
    let handed = pair.ada_writes(&"y".repeat(16_000)).remove(0);
    pair.patience_ends();
    pair.settle();
    assert_eq!(bring_all(&mut pair, &handed), CONSUMED);
    let fetch = fetches(&mut pair).remove(0);
    let blob = pair.world.blobs[fetch.blob.as_bytes()].clone();
    let now = pair.world.now;
    let fetched = pair.bob.with(now, |engine| engine.handle_fetched(fetch.id, &blob)).unwrap();
    assert_eq!(fetched, Some(Disposition::Duplicate));
    assert_eq!(pair.bob.with(now, |engine| engine.handle_fetched(fetch.id, &blob)).unwrap(), None);
    assert_eq!(texts(&mut pair.bob, pair.conversation).len(), 4);
}

#[test]
fn only_the_relay_of_the_contact_is_asked_and_only_for_as_much_as_an_envelope() {
    let mut pair = Pair::new(&wide());
    for origin in ["https://10.0.0.1", "https://relay.example:8443", "https://relay.example.attacker.example"] {
        let frame = hostile(&mut pair, names(1, origin, 4096));
        assert_eq!(pair.bring_body("message/cpim", &frame), CONSUMED);
    }
    assert!(fetches(&mut pair).is_empty());
    assert_eq!(counts(&mut pair).pop().unwrap(), ("wrapper_broken".to_owned(), 3));
    assert_eq!(counts(&mut pair)[0], ("reference_foreign_origin".to_owned(), 3));
    for size in [0, 98_305, u64::MAX] {
        let frame = hostile(&mut pair, names(1, RELAY, size));
        let disposition = pair.bring_body("message/cpim", &frame);
        let content = crate::Undecryptable::Content;
        assert_eq!(disposition, CarrierDisposition::Envelope(Disposition::Undecryptable(content)), "{size}");
    }
    assert!(fetches(&mut pair).is_empty());
    let frame = hostile(&mut pair, names(1, RELAY, 98_304));
    pair.bring_body("message/cpim", &frame);
    let fetch = fetches(&mut pair).remove(0);
    assert_eq!((fetch.origin.to_string().as_str(), fetch.len), (RELAY, 98_304 + 2 * 16));
    assert!(!format!("{fetch:?}").contains("0101"), "{fetch:?}");
}

#[test]
fn a_refused_reference_is_reported_where_failures_are_asked_for() {
    let mut pair = Pair::new(&wide());
    let handed = pair.ada_writes("asks for receipts").remove(0);
    let frame = hostile(&mut pair, names(1, "https://elsewhere.example", 4096));
    let asking = CarrierMessage {
        carriage: rcseal_rcs::transport::Carriage::Framed { is_text: false, bytes: frame },
        ..handed.messages[0].clone()
    };
    assert_eq!(pair.bring(&asking), CONSUMED);
    let now = pair.world.now;
    let notices = pair.bob.with(now, |engine| engine.poll_carrier_notices(10)).unwrap();
    assert_eq!(notices.len(), 1, "the sender need not wait for its patience");
}

#[test]
fn references_of_one_device_are_few_and_a_blocked_or_unknown_contacts_are_none() {
    let mut pair = Pair::new(&wide());
    for n in 1..=20 {
        let frame = hostile(&mut pair, names(n, RELAY, 4096));
        pair.bring_body("message/cpim", &frame);
    }
    assert_eq!(fetches(&mut pair).len(), 16);
    assert_eq!(counts(&mut pair)[0], ("reference_crowded".to_owned(), 4));
    let (now, ada) = (pair.world.now, pair.ada.address.account);
    pair.bob.with(now, |engine| engine.block_contact(ada, true)).unwrap();
    assert!(fetches(&mut pair).is_empty());
    let frame = hostile(&mut pair, names(21, RELAY, 4096));
    pair.bring_body("message/cpim", &frame);
    pair.bob.with(now, |engine| engine.block_contact(ada, false)).unwrap();
    assert!(fetches(&mut pair).is_empty(), "what came meanwhile was not taken");
    // A stranger has no session, and its envelope waits for a key set that nobody vouches for.
    let from = Sender::Claimed(number("+15552010099"));
    let parts = split(Kind::BlobReference, FrameId::from_bytes([3; 16]), &[1; 64], &wide()).unwrap();
    let disposition = pair.bring_from(&from, "message/cpim", parts[0].as_bytes());
    assert!(matches!(disposition, CarrierDisposition::Envelope(Disposition::Undecryptable(_))), "{disposition:?}");
    assert!(fetches(&mut pair).is_empty());
}

#[test]
fn a_reference_in_what_was_fetched_or_relayed_is_not_followed() {
    let mut pair = Pair::new(&wide());
    // Ada's device keeps an envelope that is a reference itself.
    let frame = hostile(&mut pair, names(7, RELAY, 4096));
    let inner = frame::find(&frame).parts.remove(0).payload().to_vec();
    let key = || rcseal_crypto::secret::Secret::from_bytes([5; 32]);
    let (sealed, digest) = crate::media::seal_whole(key(), &inner).unwrap();
    let id = pair.world.keep(sealed);
    let blob = BlobReference { id, key: key(), digest, size: inner.len() as u64, origin: RELAY.parse().unwrap() };
    let outer = hostile(&mut pair, EnvelopeReference { envelope: EnvelopeId::from_bytes([8; 16]), blob });
    assert_eq!(pair.bring_body("message/cpim", &outer), CONSUMED);
    pair.world.serve(&mut pair.bob);
    assert!(fetches(&mut pair).is_empty(), "one step and no chain");
    assert_eq!(counts(&mut pair)[0], ("reference_misplaced".to_owned(), 1));
    // By the relay.
    let frame = hostile(&mut pair, names(9, RELAY, 4096));
    let envelope = frame::find(&frame).parts.remove(0).payload().to_vec();
    let now = pair.world.now;
    let taken = pair.bob.with(now, |engine| engine.handle_envelope(EnvelopeId::from_bytes([9; 16]), &envelope));
    assert_eq!(taken.unwrap(), Disposition::Consumed);
    assert!(fetches(&mut pair).is_empty());
}

#[test]
fn a_blob_with_something_else_than_an_envelope_harms_nobody() {
    let mut pair = Pair::new(&wide());
    let key = || rcseal_crypto::secret::Secret::from_bytes([5; 32]);
    let (sealed, digest) = crate::media::seal_whole(key(), &[0xff; 3000]).unwrap();
    let id = pair.world.keep(sealed);
    let blob = BlobReference { id, key: key(), digest, size: 3000, origin: RELAY.parse().unwrap() };
    let frame = hostile(&mut pair, EnvelopeReference { envelope: EnvelopeId::from_bytes([8; 16]), blob });
    pair.bring_body("message/cpim", &frame);
    let fetch = fetches(&mut pair).remove(0);
    let blob = pair.world.blobs[fetch.blob.as_bytes()].clone();
    let now = pair.world.now;
    let fetched = pair.bob.with(now, |engine| engine.handle_fetched(fetch.id, &blob)).unwrap();
    assert!(matches!(fetched, Some(Disposition::Undecryptable(_))), "{fetched:?}");
}

#[test]
fn a_reference_that_the_carrier_does_not_take_is_cut_anew_and_then_the_envelope_is_the_relays() {
    let mut pair = Pair::new(&wide());
    let first = pair.ada_writes(&"x".repeat(16_380)).remove(0);
    let refuse = |pair: &mut Pair, number, failure| {
        let now = pair.world.now;
        pair.ada.with(now, |engine| engine.handle_carrier_outcome(number, Err(failure))).unwrap();
        pair.hand_over()
    };
    let second = refuse(&mut pair, first.number, SendFailure::UnsupportedMedia).remove(0);
    let third = refuse(&mut pair, second.number, SendFailure::TooLarge).remove(0);
    assert_eq!((second.envelope(), third.envelope()), (first.envelope(), first.envelope()), "encrypted once");
    assert_eq!(pair.world.blobs.len(), 1);
    assert!(refuse(&mut pair, third.number, SendFailure::UnsupportedMedia).is_empty());
    pair.settle();
    assert_eq!(last_of_ada(&mut pair), (MessageState::Delivered, EncryptionStatus::Relayed));
}

#[test]
fn every_step_of_a_reference_fails_whole_at_every_write() {
    let mut pair = Pair::new(&pager());
    let (now, conversation) = (pair.world.now, pair.conversation);
    pair.world.send(&mut pair.ada, conversation, text(&long()));
    let mut kept = None;
    crash_at_every_write(&mut pair.ada, now, |engine| {
        kept = engine.poll_outbox(16)?.pop();
        Ok::<_, crate::account::AccountError>(())
    });
    let outgoing = kept.unwrap();
    let Via::Deposit(deposit) = outgoing.via else { panic!("not a deposit") };
    let number = outgoing.number;
    let id = pair.world.keep(deposit.bytes);
    assert!(crash_at_every_write(&mut pair.ada, now, |engine| engine.handle_deposited(number, id)) > 3);
    pair.ada.with(now, |engine| engine.handle_deposited(number, id)).unwrap();
    let mut handed = None;
    crash_at_every_write(&mut pair.ada, now, |engine| {
        handed = engine.poll_outbox(16)?.pop();
        Ok::<_, crate::account::AccountError>(())
    });
    let Some(Via::Carrier(handover)) = handed.map(|outgoing| outgoing.via) else { panic!("not the carrier's") };
    let from = Sender::Asserted(super::number(ADA));
    for frame in handover.release() {
        let body = wrapped(&frame);
        crash_at_every_write(&mut pair.bob, now, |engine| {
            engine.handle_carrier_message(&from, "message/cpim", None, &body)
        });
    }
    let fetch = fetches(&mut pair).remove(0);
    crash_at_every_write(&mut pair.bob, now, |engine| engine.handle_fetch_failed(fetch.id, FetchFailure::Unavailable));
    let blob = pair.world.blobs[fetch.blob.as_bytes()].clone();
    assert!(crash_at_every_write(&mut pair.bob, now, |engine| engine.handle_fetched(fetch.id, &blob)) > 5);
    pair.settle();
    assert_eq!(texts(&mut pair.bob, conversation).last(), Some(&long()));
    assert_eq!(last_of_ada(&mut pair), (MessageState::Delivered, EncryptionStatus::Native));
}

#[test]
fn a_device_that_fetches_nothing_is_sent_no_reference() {
    let mut pair = Pair::new(&pager());
    let (now, bob) = (pair.world.now, pair.bob.address);
    let card = rcseal_wire::content::Capabilities {
        frame_version: 1,
        number: Some(super::BOB.to_owned()),
        forms: vec![rcseal_wire::content::FrameForm::Binary, rcseal_wire::content::FrameForm::Text],
        ..rcseal_wire::content::Capabilities::default()
    };
    pair.ada.with(now, |engine| engine.take_card(bob, &card)).unwrap();
    assert!(pair.ada_writes(&long()).is_empty());
    assert!(pair.world.blobs.is_empty());
    assert_eq!(pair.world.intercept(&pair.bob).len(), 1);
}
