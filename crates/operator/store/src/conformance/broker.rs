//! What [`BrokerStore`] promises, as tests that take a store; and a number's life over a store that fails once at every possible place.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use rcseal_crypto::hash::sha256;
use rcseal_wire::id::{AccountId, DeviceAddress, DeviceNumber, KeySetCounter, KeySetHash, MailboxId, MappingHash};
use rcseal_wire::number::E164;
use rcseal_wire::token::DeliveryToken;

use super::{FaultKind, FaultyBrokerStore};
use crate::broker::{
    AuditEntry, BeginClaim, BeginClaimError, Bind, BindError, Bound, Charge, ClaimId, CodeMac, EnrolError, Enrolment,
    ListedDevice, MappingRecord, NUMBERS_PER_ACCOUNT_MAX, NumberError, QuotaKind, TryCode, TryCodeError, Wait,
    WaitingRecord,
};
use crate::{BrokerStore, StoreError, StoredKeySet, UnixMillis};

/// Where the suite's time begins.
pub const START: UnixMillis = UnixMillis::new(1_800_000_000_000);
/// A code that is good for a minute.
const MINUTE: u64 = 60;

static DRAWN: AtomicU32 = AtomicU32::new(1);

fn draw() -> u32 {
    DRAWN.fetch_add(1, Ordering::SeqCst)
}

fn drawn_hash() -> [u8; 32] {
    sha256(&[b"suite", &draw().to_be_bytes()])
}

fn drawn_number() -> E164 {
    format!("+4477{:08}", draw()).parse().unwrap()
}

fn drawn_device() -> DeviceAddress {
    let hash = drawn_hash();
    DeviceAddress { account: AccountId::from_bytes(*hash.first_chunk().unwrap()), device: DeviceNumber::PRIMARY }
}

fn key_set(counter: u64) -> StoredKeySet {
    let hash = drawn_hash();
    StoredKeySet {
        counter: KeySetCounter::new(counter),
        hash: KeySetHash::from_bytes(hash),
        bytes: Bytes::copy_from_slice(&hash),
    }
}

fn listed(auth_key: u8) -> Vec<ListedDevice> {
    vec![ListedDevice { number: DeviceNumber::PRIMARY, auth_key: [auth_key; 32] }]
}

fn enrolment(device: DeviceAddress, key_set: StoredKeySet, listed: Vec<ListedDevice>) -> Enrolment {
    Enrolment {
        device,
        mailbox: MailboxId::from_bytes(*device.account.as_bytes()),
        relay: "https://relay.example".parse().unwrap(),
        delivery_token: DeliveryToken::from_bytes([7; 32]),
        key_set,
        listed,
        now: START,
    }
}

fn claim(device: DeviceAddress, number: &E164, now: UnixMillis) -> BeginClaim {
    BeginClaim {
        id: ClaimId::from_bytes(*drawn_hash().first_chunk().unwrap()),
        device,
        number: number.clone(),
        tries_max: 2,
        resend_after_seconds: vec![10, 20],
        expires_at: now.plus_seconds(MINUTE),
        charges: vec![],
        now,
    }
}

fn attempt(id: ClaimId, device: DeviceAddress, code: u8, now: UnixMillis) -> TryCode {
    TryCode {
        id,
        device,
        code: CodeMac::from_bytes([code; 32]),
        verified_until: now.plus_seconds(MINUTE),
        wrong: charge(QuotaKind::WrongCodes, *device.account.as_bytes(), 100),
        now,
    }
}

const fn charge(kind: QuotaKind, key: [u8; 16], limit: u32) -> Charge {
    Charge { kind, key, amount: 1, limit, window_seconds: 3600 }
}

fn mapping(account: AccountId, sequence: u64) -> MappingRecord {
    let hash = drawn_hash();
    MappingRecord {
        sequence,
        hash: MappingHash::from_bytes(hash),
        bytes: Bytes::copy_from_slice(&hash),
        account,
        device: DeviceNumber::PRIMARY,
        key_set: Bytes::from_static(b"key set"),
        expires_at: START.plus_seconds(1000),
    }
}

fn bind(number: &E164, previous: Option<&MappingRecord>, mapping: &MappingRecord) -> Bind {
    Bind {
        number: number.clone(),
        previous: previous.map(|mapping| mapping.hash),
        mapping: mapping.clone(),
        claim: None,
        remind_at: START.plus_seconds(900),
    }
}

fn waiting(device: DeviceAddress, now: UnixMillis) -> WaitingRecord {
    WaitingRecord {
        device,
        statement: Bytes::from_static(b"statement"),
        key_set: Bytes::from_static(b"key set"),
        since: now,
        announced_at: None,
        next_at: now,
        effective_at: now.plus_seconds(700),
    }
}

/// Runs the whole suite.
pub async fn run(store: &dyn BrokerStore) {
    enrolments_follow_the_key_set(store).await;
    a_claim_allows_so_many_codes_and_tries(store).await;
    a_claim_ends(store).await;
    charges_are_all_or_nothing(store).await;
    a_number_has_one_chain(store).await;
    a_claim_is_good_for_one_mapping(store).await;
    a_number_changes_hands(store).await;
    a_release_and_a_port_end_waits(store).await;
    an_account_has_so_many_numbers(store).await;
    the_audit_is_a_chain(store).await;
}

async fn enrolments_follow_the_key_set(store: &dyn BrokerStore) {
    let device = drawn_device();
    let (first, second) = (key_set(1), key_set(2));
    assert!(store.account_enrolment(device.account).await.unwrap().is_none());
    let not_listed = store.enrol(enrolment(device, first.clone(), vec![])).await;
    assert!(matches!(not_listed, Err(EnrolError::NotListed)), "{not_listed:?}");
    let enrolled = store.enrol(enrolment(device, first.clone(), listed(1))).await.unwrap();
    assert_eq!(enrolled.added_at, KeySetCounter::FIRST);
    assert_eq!(store.enrol(enrolment(device, first.clone(), listed(1))).await.unwrap(), enrolled, "repeated");
    let now = START.plus_seconds(5);
    assert!(store.refresh_key_set(device.account, first.hash, second.clone(), listed(1), now).await.unwrap());
    assert!(
        store.refresh_key_set(device.account, first.hash, second.clone(), listed(1), now).await.unwrap(),
        "repeated"
    );
    let account = store.account_enrolment(device.account).await.unwrap().unwrap();
    assert_eq!((account.key_set.clone(), account.refreshed_at), (second.clone(), now));
    assert_eq!(account.delivery_token.expose(), &[7; 32]);
    let stale = store.enrol(enrolment(device, first.clone(), listed(1))).await;
    assert!(matches!(stale, Err(EnrolError::Stale)), "{stale:?}");
    assert!(
        !store.refresh_key_set(device.account, first.hash, key_set(3), listed(1), now).await.unwrap(),
        "of another"
    );
    assert_eq!(store.enrolled_device(device).await.unwrap(), Some(enrolled));
    // A device of the same number with another key is another device.
    assert!(store.refresh_key_set(device.account, second.hash, key_set(3), listed(2), now).await.unwrap());
    assert_eq!(store.enrolled_device(device).await.unwrap(), None);
}

async fn a_claim_allows_so_many_codes_and_tries(store: &dyn BrokerStore) {
    let (device, number) = (drawn_device(), drawn_number());
    let begin = claim(device, &number, START);
    let begun = store.begin_claim(begin.clone()).await.unwrap();
    assert_eq!((begun.id, begun.resend_at), (begin.id, START.plus_seconds(10)));
    assert_eq!(store.begin_claim(begin).await.unwrap(), begun, "repeated");
    let no_code = store.try_code(attempt(begun.id, device, 0, START)).await;
    assert!(matches!(no_code, Err(TryCodeError::Wrong { left: 1 })), "{no_code:?}");
    assert!(store.set_code(begun.id, CodeMac::from_bytes([1; 32])).await.unwrap());
    let early = store.begin_claim(claim(device, &number, START.plus_seconds(9))).await;
    assert!(matches!(early, Err(BeginClaimError::TooSoon { until }) if until == START.plus_seconds(10)), "{early:?}");
    let later = START.plus_seconds(10);
    let again = store.begin_claim(claim(device, &number, later)).await.unwrap();
    assert_eq!((again.id, again.resend_at), (begun.id, later.plus_seconds(20)), "the same claim goes on");
    let replaced = store.try_code(attempt(begun.id, device, 1, later)).await;
    assert!(matches!(replaced, Err(TryCodeError::Wrong { left: 0 })), "the first code is good no more: {replaced:?}");
    let gone = store.try_code(attempt(begun.id, device, 1, later)).await;
    assert!(matches!(gone, Err(TryCodeError::Unknown)), "{gone:?}");
    // Another device's claim of the same number is its own.
    let other = drawn_device();
    let theirs = store.begin_claim(claim(other, &number, later)).await.unwrap();
    store.set_code(theirs.id, CodeMac::from_bytes([2; 32])).await.unwrap();
    assert!(matches!(store.try_code(attempt(theirs.id, device, 2, later)).await, Err(TryCodeError::Unknown)));
    assert_eq!(store.claimed_number(theirs.id, device).await.unwrap(), None);
    assert_eq!(store.claimed_number(theirs.id, other).await.unwrap(), Some(number.clone()));
    let right = store.try_code(attempt(theirs.id, other, 2, later)).await.unwrap();
    assert!(right.is_verified && right.used_for.is_none() && right.number == number);
    store.try_code(attempt(theirs.id, other, 9, later)).await.expect("a verified claim takes any code");
}

async fn a_claim_ends(store: &dyn BrokerStore) {
    let (device, number) = (drawn_device(), drawn_number());
    let begun = store.begin_claim(claim(device, &number, START)).await.unwrap();
    store.set_code(begun.id, CodeMac::from_bytes([1; 32])).await.unwrap();
    let late = store.try_code(attempt(begun.id, device, 1, begun.expires_at)).await;
    assert!(matches!(late, Err(TryCodeError::Unknown)), "{late:?}");
    while store.expire_claims(begun.expires_at, 1000).await.unwrap() > 0 {}
    assert_eq!(store.claimed_number(begun.id, device).await.unwrap(), None);
    let anew = store.begin_claim(claim(device, &number, begun.expires_at)).await.unwrap();
    assert_ne!(anew.id, begun.id);
}

async fn charges_are_all_or_nothing(store: &dyn BrokerStore) {
    let key = *drawn_hash().first_chunk().unwrap();
    let both = || vec![charge(QuotaKind::CodesToNumber, key, 5), charge(QuotaKind::CodesByAccount, key, 2)];
    for _ in 0..2 {
        store.charge(both(), START).await.unwrap().unwrap();
    }
    let exhausted = store.charge(both(), START.plus_seconds(5)).await.unwrap().unwrap_err();
    assert_eq!((exhausted.kind, exhausted.until), (QuotaKind::CodesByAccount, START.plus_seconds(3600)));
    for _ in 0..3 {
        // Nothing was charged to the first of the two by the refusal.
        store.charge(vec![charge(QuotaKind::CodesToNumber, key, 5)], START).await.unwrap().unwrap();
    }
    let look = Charge { amount: 0, ..charge(QuotaKind::CodesToNumber, key, 5) };
    store.charge(vec![look], START).await.unwrap().unwrap_err();
    let end = START.plus_seconds(3600);
    store.charge(vec![look], end).await.unwrap().unwrap();
    store.charge(both(), end).await.unwrap().unwrap();
    while store.expire_quotas(end.plus_seconds(3600), 1000).await.unwrap() > 0 {}
    store.charge(both(), end.plus_seconds(3600)).await.unwrap().unwrap();
}

async fn a_number_has_one_chain(store: &dyn BrokerStore) {
    let (alice, number) = (drawn_device(), drawn_number());
    let (first, rival, second) =
        (mapping(alice.account, 1), mapping(drawn_device().account, 1), mapping(alice.account, 2));
    let bound = store.bind(bind(&number, None, &first)).await.unwrap();
    assert_eq!(bound, Bound::Now { replaced: None, waited: None });
    let again =
        store.bind(bind(&number, None, &MappingRecord { bytes: Bytes::from_static(b"later"), ..first.clone() }));
    assert_eq!(again.await.unwrap(), Bound::Before(first.clone()), "the stored countersignature is the answer");
    let forked = store.bind(bind(&number, None, &rival)).await;
    assert!(matches!(forked, Err(BindError::Conflict)), "{forked:?}");
    store.bind(bind(&number, Some(&first), &second)).await.unwrap();
    let forked = store.bind(bind(&number, Some(&first), &rival)).await;
    assert!(matches!(forked, Err(BindError::Conflict)), "{forked:?}");
    assert_eq!(store.number(number.clone()).await.unwrap().unwrap().head, second);
    assert_eq!(store.mappings_before(number.clone()).await.unwrap(), [first]);
    assert_eq!(store.numbers_of(alice.account).await.unwrap(), [number]);
}

async fn a_claim_is_good_for_one_mapping(store: &dyn BrokerStore) {
    let (alice, number) = (drawn_device(), drawn_number());
    let begun = store.begin_claim(claim(alice, &number, START)).await.unwrap();
    store.set_code(begun.id, CodeMac::from_bytes([1; 32])).await.unwrap();
    let (first, second) = (mapping(alice.account, 1), mapping(alice.account, 2));
    let with_claim = |previous, mapping| Bind { claim: Some(begun.id), ..bind(&number, previous, mapping) };
    let unverified = store.bind(with_claim(None, &first)).await;
    assert!(matches!(unverified, Err(BindError::ClaimGone)), "{unverified:?}");
    store.try_code(attempt(begun.id, alice, 1, START)).await.unwrap();
    store.bind(with_claim(None, &first)).await.unwrap();
    let used = store.bind(with_claim(Some(&first), &second)).await;
    assert!(matches!(used, Err(BindError::ClaimGone)), "{used:?}");
    let record = store.try_code(attempt(begun.id, alice, 1, START)).await.unwrap();
    assert_eq!(record.used_for, Some(first.hash));
}

async fn a_number_changes_hands(store: &dyn BrokerStore) {
    let (alice, bob, carol, number) = (drawn_device(), drawn_device(), drawn_device(), drawn_number());
    let nobody_has_it = store
        .wait(Wait { number: number.clone(), previous: MappingHash::from_bytes([1; 32]), waiting: waiting(bob, START) })
        .await;
    assert!(matches!(nobody_has_it, Err(NumberError::Conflict)), "{nobody_has_it:?}");
    let first = mapping(alice.account, 1);
    store.bind(bind(&number, None, &first)).await.unwrap();
    store.set_discoverable(number.clone(), alice.account, false).await.unwrap();
    let not_theirs = store.set_discoverable(number.clone(), bob.account, true).await;
    assert!(matches!(not_theirs, Err(NumberError::Conflict)));
    let wait = |who, now| Wait { number: number.clone(), previous: first.hash, waiting: waiting(who, now) };
    store.wait(wait(bob, START)).await.unwrap();
    assert_eq!(store.numbers_of(bob.account).await.unwrap(), std::slice::from_ref(&number));
    assert!(store.due(START, 1000).await.unwrap().contains(&number));
    let (at, next, effective) = (START.plus_seconds(1), START.plus_seconds(100), START.plus_seconds(701));
    store.announced(number.clone(), bob.account, at, next, effective).await.unwrap();
    let stranger = store.announced(number.clone(), carol.account, at, next, effective).await;
    assert!(matches!(stranger, Err(NumberError::Conflict)));
    assert!(!store.due(START.plus_seconds(99), 1000).await.unwrap().contains(&number));
    // Whoever asks again has waited since the first time.
    store.wait(wait(bob, START.plus_seconds(50))).await.unwrap();
    let record = store.number(number.clone()).await.unwrap().unwrap().waiting.unwrap();
    assert_eq!((record.since, record.announced_at, record.effective_at), (START, Some(at), effective));
    store.put_off(number.clone(), bob.account, effective).await.unwrap();
    assert!(!store.due(next, 1000).await.unwrap().contains(&number));
    // Of two who show that they receive at the number, the later one waits.
    assert_eq!(store.wait(wait(carol, START.plus_seconds(60))).await.unwrap(), Some(bob));
    assert_eq!(store.numbers_of(bob.account).await.unwrap(), []);
    assert_eq!(store.end_waiting(number.clone(), Some(bob.account)).await.unwrap(), None);
    let ended = store.end_waiting(number.clone(), None).await.unwrap().unwrap();
    assert_eq!(ended.device, carol);
    assert_eq!(store.end_waiting(number.clone(), None).await.unwrap(), None, "repeated");
    assert_eq!(store.numbers_of(carol.account).await.unwrap(), []);

    store.wait(wait(bob, START)).await.unwrap();
    let second = mapping(bob.account, 2);
    let bound = store.bind(bind(&number, Some(&first), &second)).await.unwrap();
    assert_eq!(bound, Bound::Now { replaced: Some(alice), waited: None }, "who waited has not waited in vain");
    let record = store.number(number.clone()).await.unwrap().unwrap();
    assert!(record.waiting.is_none() && record.discoverable, "nothing is left of the holder before");
    assert_eq!(store.numbers_of(alice.account).await.unwrap(), []);
    assert_eq!(store.numbers_of(bob.account).await.unwrap(), std::slice::from_ref(&number));
    assert!(store.due(START.plus_seconds(900), 1000).await.unwrap().contains(&number), "the reminder");
    let again = Wait { number: number.clone(), previous: second.hash, waiting: waiting(carol, START) };
    assert_eq!(store.wait(again).await.unwrap(), None);
    let third = mapping(bob.account, 3);
    let bound = store.bind(bind(&number, Some(&second), &third)).await.unwrap();
    assert_eq!(bound, Bound::Now { replaced: None, waited: Some(carol) }, "a renewal ends a wait");
    store.reminded(number.clone(), third.hash).await.unwrap();
    store.reminded(number.clone(), third.hash).await.unwrap();
    assert!(!store.due(START.plus_seconds(900), 1000).await.unwrap().contains(&number));
}

async fn a_release_and_a_port_end_waits(store: &dyn BrokerStore) {
    let (alice, bob, number) = (drawn_device(), drawn_device(), drawn_number());
    let first = mapping(alice.account, 1);
    store.bind(bind(&number, None, &first)).await.unwrap();
    let wait = Wait { number: number.clone(), previous: first.hash, waiting: waiting(bob, START) };
    store.wait(wait).await.unwrap();
    let later = START.plus_seconds(5);
    let wrong = store.release(number.clone(), MappingHash::from_bytes([1; 32]), Bytes::from_static(b"r"), later).await;
    assert!(matches!(wrong, Err(NumberError::Conflict)));
    store.release(number.clone(), first.hash, Bytes::from_static(b"release"), later).await.unwrap();
    let record = store.number(number.clone()).await.unwrap().unwrap();
    assert_eq!(record.released.as_deref(), Some(&b"release"[..]));
    assert_eq!(record.waiting.unwrap().effective_at, later);
    let entry = AuditEntry { at: later, action: "number_ported", number: number.clone(), reason: "told".to_owned() };
    let before = store.port(number.clone(), entry.clone()).await.unwrap();
    assert_eq!(before.head, first);
    assert_eq!(store.number(number.clone()).await.unwrap().unwrap().ported_at, Some(later));
    let unknown = store.port(drawn_number(), entry).await;
    assert!(matches!(unknown, Err(NumberError::Conflict)), "{unknown:?}");
    store.bind(bind(&number, Some(&first), &mapping(bob.account, 2))).await.unwrap();
    let record = store.number(number.clone()).await.unwrap().unwrap();
    assert!(record.released.is_none() && record.ported_at.is_none());
}

async fn an_account_has_so_many_numbers(store: &dyn BrokerStore) {
    let account = drawn_device().account;
    for _ in 0..NUMBERS_PER_ACCOUNT_MAX {
        store.bind(bind(&drawn_number(), None, &mapping(account, 1))).await.unwrap();
    }
    let number = drawn_number();
    let more = store.bind(bind(&number, None, &mapping(account, 1))).await;
    assert!(matches!(more, Err(BindError::TooMany)), "{more:?}");
    assert_eq!(store.number(number).await.unwrap(), None, "a refusal leaves no trace");
}

async fn the_audit_is_a_chain(store: &dyn BrokerStore) {
    let (alice, number) = (drawn_device(), drawn_number());
    store.bind(bind(&number, None, &mapping(alice.account, 1))).await.unwrap();
    let entries = store.audit(0, 1000).await.unwrap().len() as u64;
    for reason in ["one", "two"] {
        let entry = AuditEntry { at: START, action: "test", number: number.clone(), reason: reason.to_owned() };
        store.port(number.clone(), entry).await.unwrap();
    }
    let added = store.audit(entries, 1000).await.unwrap();
    let sequences: Vec<u64> = added.iter().map(|entry| entry.sequence).collect();
    assert_eq!(sequences, [entries + 1, entries + 2]);
    assert_ne!(added[0].hash, added[1].hash);
    assert_eq!(store.audit(entries, 1).await.unwrap(), added[..1]);
    assert_eq!(store.audit(entries + 2, 10).await.unwrap(), []);
}

/// Fails the first call, then the second, and so on, until a number's life goes by without a fault. How many calls were failed.
pub async fn run_faults(store: &Arc<dyn BrokerStore>) -> u64 {
    let mut failed = 0;
    for kind in [FaultKind::Before, FaultKind::After] {
        for nth in 1.. {
            let faulty = FaultyBrokerStore::new(Arc::clone(store));
            faulty.arm(nth, kind);
            one_life(&faulty).await;
            if !faulty.has_failed() {
                break;
            }
            failed += 1;
        }
    }
    failed
}

async fn one_life(store: &dyn BrokerStore) {
    let (alice, bob, number) = (drawn_device(), drawn_device(), drawn_number());
    let set = key_set(1);
    persist!(store.enrol(enrolment(alice, set.clone(), listed(1))));
    let next = key_set(2);
    assert!(persist!(store.refresh_key_set(alice.account, set.hash, next.clone(), listed(1), START)));
    let key = *drawn_hash().first_chunk().unwrap();
    let begin = BeginClaim { charges: vec![charge(QuotaKind::CodesToNumber, key, 1)], ..claim(alice, &number, START) };
    let begun = persist!(store.begin_claim(begin.clone()));
    assert!(persist!(store.set_code(begun.id, CodeMac::from_bytes([1; 32]))));
    assert!(persist!(store.try_code(attempt(begun.id, alice, 1, START))).is_verified);
    let first = mapping(alice.account, 1);
    persist!(store.bind(Bind { claim: Some(begun.id), ..bind(&number, None, &first) }));
    assert_eq!(persist!(store.try_code(attempt(begun.id, alice, 1, START))).used_for, Some(first.hash));
    persist!(store.wait(Wait { number: number.clone(), previous: first.hash, waiting: waiting(bob, START) }));
    let (at, next_at, effective_at) = (START.plus_seconds(1), START.plus_seconds(2), START.plus_seconds(9));
    persist!(store.announced(number.clone(), bob.account, at, next_at, effective_at));
    persist!(store.release(number.clone(), first.hash, Bytes::from_static(b"release"), at));
    let second = mapping(bob.account, 2);
    persist!(store.bind(bind(&number, Some(&first), &second)));
    let record = persist!(store.number(number.clone())).unwrap();
    assert_eq!((record.head, record.waiting, record.released), (second.clone(), None, None));
    assert_eq!(persist!(store.mappings_before(number.clone())), [first]);
    let rival = store.bind(bind(&number, None, &mapping(alice.account, 1))).await;
    assert!(matches!(rival, Err(BindError::Conflict | BindError::Store(StoreError::Unavailable))), "{rival:?}");
}
