use std::sync::{Arc, Mutex};

use rcseal_wire::id::{DeliveryTokenHash, EnvelopeId, KeySetCounter, MailboxId};
use rcseal_wire::padding::ENVELOPE_LEN_MAX;

use super::fixture::{DAY_MILLIS, Fixture, START, device_number, envelope_id, key_set, unique};
use super::{BYTES_MAX, ENVELOPES_MAX};
use crate::directory::PublishKeySet;
use crate::mailbox::{AcknowledgeOutcome, CreateMailboxError, MailboxUsage};
use crate::{Authority, EnqueueOutcome, FetchLimit, MailboxObserver, MailboxSeq, Store, UnixMillis};

const ALL: FetchLimit = FetchLimit { envelopes: 10_000, bytes: usize::MAX };

async fn waiting(store: &dyn Store, mailbox: MailboxId, now: UnixMillis) -> Vec<EnvelopeId> {
    store
        .fetch(now, mailbox, MailboxSeq::START, ALL)
        .await
        .unwrap()
        .envelopes
        .iter()
        .map(|waiting| waiting.id)
        .collect()
}

pub(super) async fn run(store: &dyn Store) {
    envelopes_come_back_in_order_until_acknowledged(store).await;
    a_fetch_is_bounded_and_continues(store).await;
    a_repeated_id_is_recognised_even_after_acknowledgement(store).await;
    an_id_with_other_content_is_a_conflict(store).await;
    only_an_active_token_opens_a_mailbox(store).await;
    quotas_hold_and_are_given_back(store).await;
    an_acknowledgement_touches_only_its_own_mailbox(store).await;
    nothing_is_delivered_after_its_expiry(store).await;
    outcomes_of_one_call_are_independent(store).await;
    concurrent_senders_lose_nothing(store).await;
    a_device_creates_its_mailbox_once(store).await;
    observers_hear_of_stored_envelopes(store).await;
    a_mailbox_of_a_removed_device_is_gone(store).await;
}

async fn envelopes_come_back_in_order_until_acknowledged(store: &dyn Store) {
    let bob = Fixture::registered(store).await;
    let ids: Vec<_> = (0..5).map(|_| envelope_id()).collect();
    let batch = ids.iter().enumerate().map(|(n, id)| bob.envelope(*id, &[n as u8; 10])).collect();
    assert_eq!(store.enqueue(START, batch).await.unwrap(), [EnqueueOutcome::Stored; 5]);

    let fetched = store.fetch(START, bob.mailbox, MailboxSeq::START, ALL).await.unwrap();
    assert!(!fetched.more);
    for (n, waiting) in fetched.envelopes.iter().enumerate() {
        assert_eq!((waiting.id, &waiting.envelope[..], waiting.received_at), (ids[n], &[n as u8; 10][..], START));
    }
    assert!(fetched.envelopes.is_sorted_by_key(|waiting| waiting.seq));

    let outcome = store.acknowledge(bob.mailbox, vec![ids[1], ids[3]]).await.unwrap();
    assert_eq!(outcome, AcknowledgeOutcome { removed: 2, repeated: 0, unknown: 0 });
    let outcome = store.acknowledge(bob.mailbox, vec![ids[1], ids[0], envelope_id()]).await.unwrap();
    assert_eq!(outcome, AcknowledgeOutcome { removed: 1, repeated: 1, unknown: 1 });
    assert_eq!(waiting(store, bob.mailbox, START).await, [ids[2], ids[4]]);
    assert_eq!(store.mailbox_usage(bob.mailbox).await.unwrap(), Some(MailboxUsage { envelopes: 2, bytes: 20 }));
    // Emptied and filled again, the order goes on.
    store.acknowledge(bob.mailbox, ids.clone()).await.unwrap();
    let later = envelope_id();
    store.enqueue(START, vec![bob.envelope(later, b"later")]).await.unwrap();
    let last = fetched.envelopes.last().unwrap().seq;
    let tail = store.fetch(START, bob.mailbox, last, ALL).await.unwrap();
    assert_eq!(tail.envelopes.iter().map(|waiting| waiting.id).collect::<Vec<_>>(), [later]);
}

async fn a_fetch_is_bounded_and_continues(store: &dyn Store) {
    let bob = Fixture::registered(store).await;
    let ids: Vec<_> = (0..7).map(|_| envelope_id()).collect();
    store.enqueue(START, ids.iter().map(|id| bob.envelope(*id, &[0; 100])).collect()).await.unwrap();
    let mut seen = Vec::new();
    let mut cursor = MailboxSeq::START;
    loop {
        let fetched =
            store.fetch(START, bob.mailbox, cursor, FetchLimit { envelopes: 3, bytes: usize::MAX }).await.unwrap();
        assert!(fetched.envelopes.len() <= 3);
        seen.extend(fetched.envelopes.iter().map(|waiting| waiting.id));
        cursor = fetched.envelopes.last().unwrap().seq;
        if !fetched.more {
            break;
        }
    }
    assert_eq!(seen, ids);
    let by_bytes =
        store.fetch(START, bob.mailbox, MailboxSeq::START, FetchLimit { envelopes: 100, bytes: 150 }).await.unwrap();
    assert_eq!((by_bytes.envelopes.len(), by_bytes.more), (2, true));
}

async fn a_repeated_id_is_recognised_even_after_acknowledgement(store: &dyn Store) {
    let bob = Fixture::registered(store).await;
    let id = envelope_id();
    let submit = || vec![bob.envelope(id, b"once")];
    assert_eq!(store.enqueue(START, submit()).await.unwrap(), [EnqueueOutcome::Stored]);
    assert_eq!(store.enqueue(START, submit()).await.unwrap(), [EnqueueOutcome::Duplicate]);
    assert_eq!(waiting(store, bob.mailbox, START).await, [id]);
    store.acknowledge(bob.mailbox, vec![id]).await.unwrap();
    assert_eq!(store.enqueue(START, submit()).await.unwrap(), [EnqueueOutcome::Duplicate]);
    assert!(waiting(store, bob.mailbox, START).await.is_empty(), "an acknowledged envelope came back");
    // The same id twice in one call.
    let twice = envelope_id();
    let outcomes = store.enqueue(START, vec![bob.envelope(twice, b"x"), bob.envelope(twice, b"x")]).await.unwrap();
    assert_eq!(outcomes, [EnqueueOutcome::Stored, EnqueueOutcome::Duplicate]);
}

async fn an_id_with_other_content_is_a_conflict(store: &dyn Store) {
    let (bob, carol) = (Fixture::registered(store).await, Fixture::registered(store).await);
    let id = envelope_id();
    store.enqueue(START, vec![bob.envelope(id, b"one")]).await.unwrap();
    assert_eq!(store.enqueue(START, vec![bob.envelope(id, b"two")]).await.unwrap(), [EnqueueOutcome::IdConflict]);
    let fetched = store.fetch(START, bob.mailbox, MailboxSeq::START, ALL).await.unwrap();
    assert_eq!(&fetched.envelopes[0].envelope[..], b"one");
    assert_eq!(
        store.enqueue(START, vec![carol.envelope(id, b"two")]).await.unwrap(),
        [EnqueueOutcome::Stored],
        "ids are per mailbox"
    );
}

async fn only_an_active_token_opens_a_mailbox(store: &dyn Store) {
    let bob = Fixture::registered(store).await;
    let other = DeliveryTokenHash::from_bytes([7; 32]);
    let with = |authority| {
        let mut enqueue = bob.envelope(envelope_id(), b"hi");
        enqueue.authority = authority;
        vec![enqueue]
    };
    assert_eq!(store.enqueue(START, with(Authority::Token(other))).await.unwrap(), [EnqueueOutcome::Forbidden]);
    assert_eq!(store.enqueue(START, with(Authority::Granted)).await.unwrap(), [EnqueueOutcome::Stored]);
    store.set_delivery_tokens(bob.device, KeySetCounter::FIRST, vec![other]).await.unwrap();
    assert_eq!(store.enqueue(START, with(Authority::Token(other))).await.unwrap(), [EnqueueOutcome::Stored]);
    assert_eq!(store.enqueue(START, with(Authority::Token(bob.token))).await.unwrap(), [EnqueueOutcome::Forbidden]);
    let stranger = Fixture::new();
    assert_eq!(
        store.enqueue(START, vec![stranger.envelope(envelope_id(), b"hi")]).await.unwrap(),
        [EnqueueOutcome::UnknownMailbox]
    );
}

async fn quotas_hold_and_are_given_back(store: &dyn Store) {
    let bob = Fixture::registered(store).await;
    let ids: Vec<_> = (0..=ENVELOPES_MAX).map(|_| envelope_id()).collect();
    let outcomes = store.enqueue(START, ids.iter().map(|id| bob.envelope(*id, b"x")).collect()).await.unwrap();
    let (last, others) = outcomes.split_last().unwrap();
    assert!(others.iter().all(|outcome| *outcome == EnqueueOutcome::Stored));
    assert_eq!(*last, EnqueueOutcome::QuotaExceeded);
    store.acknowledge(bob.mailbox, vec![ids[0]]).await.unwrap();
    let last = bob.envelope(*ids.last().unwrap(), b"x");
    assert_eq!(
        store.enqueue(START, vec![last]).await.unwrap(),
        [EnqueueOutcome::Stored],
        "a refused id may be used again"
    );

    let carol = Fixture::registered(store).await;
    let large = vec![1; ENVELOPE_LEN_MAX];
    let fit = BYTES_MAX as usize / ENVELOPE_LEN_MAX;
    let batch: Vec<_> = (0..=fit).map(|_| carol.envelope(envelope_id(), &large)).collect();
    let outcomes = store.enqueue(START, batch).await.unwrap();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == EnqueueOutcome::Stored).count(), fit);
    assert_eq!(outcomes.last(), Some(&EnqueueOutcome::QuotaExceeded));
    let too_large = carol.envelope(envelope_id(), &vec![1; ENVELOPE_LEN_MAX + 1]);
    assert_eq!(store.enqueue(START, vec![too_large]).await.unwrap(), [EnqueueOutcome::TooLarge]);
}

async fn an_acknowledgement_touches_only_its_own_mailbox(store: &dyn Store) {
    let (bob, carol) = (Fixture::registered(store).await, Fixture::registered(store).await);
    let id = envelope_id();
    store.enqueue(START, vec![bob.envelope(id, b"for bob")]).await.unwrap();
    let outcome = store.acknowledge(carol.mailbox, vec![id]).await.unwrap();
    assert_eq!(outcome, AcknowledgeOutcome { removed: 0, repeated: 0, unknown: 1 });
    assert_eq!(waiting(store, bob.mailbox, START).await, [id]);
}

async fn nothing_is_delivered_after_its_expiry(store: &dyn Store) {
    let bob = Fixture::registered(store).await;
    let at = |millis| START.plus_millis(millis);
    let mut short = bob.envelope(envelope_id(), b"short");
    short.expires_at = at(1000);
    let long = bob.envelope(envelope_id(), b"long");
    let mut over = bob.envelope(envelope_id(), b"over");
    over.expires_at = START;
    let outcomes = store.enqueue(START, vec![short.clone(), long.clone(), over]).await.unwrap();
    assert_eq!(outcomes, [EnqueueOutcome::Stored, EnqueueOutcome::Stored, EnqueueOutcome::Expired]);
    assert_eq!(waiting(store, bob.mailbox, at(999)).await, [short.id, long.id]);
    assert_eq!(waiting(store, bob.mailbox, at(1000)).await, [long.id], "not swept yet, and still not delivered");
    sweep(store, at(1000)).await;
    assert_eq!(store.mailbox_usage(bob.mailbox).await.unwrap(), Some(MailboxUsage { envelopes: 1, bytes: 4 }));
    // Acknowledged first, expired later: the quota is given back once.
    store.acknowledge(bob.mailbox, vec![long.id]).await.unwrap();
    sweep(store, at(DAY_MILLIS)).await;
    assert_eq!(store.mailbox_usage(bob.mailbox).await.unwrap(), Some(MailboxUsage { envelopes: 0, bytes: 0 }));
}

async fn sweep(store: &dyn Store, now: UnixMillis) {
    while store.expire(now, 3).await.unwrap().more {}
}

async fn outcomes_of_one_call_are_independent(store: &dyn Store) {
    let (bob, carol) = (Fixture::registered(store).await, Fixture::registered(store).await);
    let stranger = Fixture::new();
    let mut forged = carol.envelope(envelope_id(), b"forged");
    forged.authority = Authority::Token(bob.token);
    // After the sweep above the store's time has moved on by a day.
    let now = START.plus_millis(DAY_MILLIS + 1);
    let late = |mut enqueue: crate::Enqueue| {
        enqueue.expires_at = now.plus_millis(DAY_MILLIS);
        enqueue
    };
    let batch = vec![
        late(bob.envelope(envelope_id(), b"1")),
        late(forged),
        late(stranger.envelope(envelope_id(), b"2")),
        late(carol.envelope(envelope_id(), b"3")),
    ];
    let outcomes = store.enqueue(now, batch).await.unwrap();
    assert_eq!(
        outcomes,
        [EnqueueOutcome::Stored, EnqueueOutcome::Forbidden, EnqueueOutcome::UnknownMailbox, EnqueueOutcome::Stored]
    );
}

/// An envelope that outlives the sweep of [`nothing_is_delivered_after_its_expiry`].
fn later(fixture: &Fixture, id: EnvelopeId, body: &[u8]) -> crate::Enqueue {
    let mut enqueue = fixture.envelope(id, body);
    enqueue.expires_at = START.plus_millis(3 * DAY_MILLIS);
    enqueue
}

async fn concurrent_senders_lose_nothing(store: &dyn Store) {
    let bob = Fixture::registered(store).await;
    let senders = (0..8u8).map(|sender| async move {
        let mut ids = Vec::new();
        for n in 0..6u8 {
            let id = envelope_id();
            let outcomes = store.enqueue(START, vec![later(&bob, id, &[sender, n])]).await.unwrap();
            assert_eq!(outcomes, [EnqueueOutcome::Stored]);
            ids.push(id);
        }
        ids
    });
    let sent = futures_util::future::join_all(senders).await;
    let fetched = waiting(store, bob.mailbox, START).await;
    assert_eq!(fetched.len(), 48);
    for ids in sent {
        let places: Vec<_> = ids.iter().map(|id| fetched.iter().position(|other| other == id).unwrap()).collect();
        assert!(places.is_sorted(), "one sender's envelopes changed places");
    }
}

async fn a_device_creates_its_mailbox_once(store: &dyn Store) {
    let bob = Fixture::registered(store).await;
    let two = rcseal_wire::id::DeviceAddress { account: bob.account, device: device_number(2) };
    let mailbox = MailboxId::from_bytes(unique());
    assert!(matches!(store.create_mailbox(two, mailbox).await, Err(CreateMailboxError::UnknownDevice)));
    store
        .publish_key_set(PublishKeySet {
            account: bob.account,
            previous: key_set(bob.account, 1).hash,
            key_set: key_set(bob.account, 2),
            devices: vec![device_number(1), device_number(2)],
            now: START,
        })
        .await
        .unwrap();
    assert!(matches!(store.create_mailbox(two, bob.mailbox).await, Err(CreateMailboxError::MailboxTaken)));
    store.create_mailbox(two, mailbox).await.unwrap();
    store.create_mailbox(two, mailbox).await.unwrap();
    assert!(matches!(
        store.create_mailbox(two, MailboxId::from_bytes(unique())).await,
        Err(CreateMailboxError::HasMailbox)
    ));
    assert_eq!(store.device(two).await.unwrap().unwrap().mailbox, Some(mailbox));
}

struct Heard(Mutex<Vec<MailboxId>>);

impl MailboxObserver for Heard {
    fn stored(&self, mailboxes: &[MailboxId]) {
        self.0.lock().unwrap().extend_from_slice(mailboxes);
    }
}

async fn observers_hear_of_stored_envelopes(store: &dyn Store) {
    let heard = Arc::new(Heard(Mutex::default()));
    store.observe(heard.clone());
    let bob = Fixture::registered(store).await;
    let id = envelope_id();
    store.enqueue(START, vec![later(&bob, id, b"x")]).await.unwrap();
    assert!(heard.0.lock().unwrap().contains(&bob.mailbox), "told before the sender is answered");
    let before = heard.0.lock().unwrap().len();
    store.enqueue(START, vec![later(&bob, id, b"x")]).await.unwrap();
    assert_eq!(heard.0.lock().unwrap().len(), before, "a duplicate wakes nobody");
}

async fn a_mailbox_of_a_removed_device_is_gone(store: &dyn Store) {
    let bob = Fixture::registered(store).await;
    let two = rcseal_wire::id::DeviceAddress { account: bob.account, device: device_number(2) };
    let mailbox = MailboxId::from_bytes(unique());
    let publish = |counter: u64, devices: Vec<u8>| PublishKeySet {
        account: bob.account,
        previous: key_set(bob.account, counter - 1).hash,
        key_set: key_set(bob.account, counter),
        devices: devices.into_iter().map(device_number).collect(),
        now: START,
    };
    store.publish_key_set(publish(2, vec![1, 2])).await.unwrap();
    store.create_mailbox(two, mailbox).await.unwrap();
    let mut enqueue = later(&bob, envelope_id(), b"for the second device");
    enqueue.mailbox = mailbox;
    assert_eq!(store.enqueue(START, vec![enqueue.clone()]).await.unwrap(), [EnqueueOutcome::Stored]);

    let published = store.publish_key_set(publish(3, vec![1])).await.unwrap();
    assert_eq!(published.removed, [(device_number(2), Some(mailbox))]);
    assert!(waiting(store, mailbox, START).await.is_empty());
    assert_eq!(store.enqueue(START, vec![enqueue]).await.unwrap(), [EnqueueOutcome::UnknownMailbox]);
    assert_eq!(store.mailbox_usage(mailbox).await.unwrap(), None);
    sweep(store, START).await;
    assert!(waiting(store, mailbox, START).await.is_empty());
}
