use std::sync::Arc;

use rcseal_store::conformance::{
    self, BYTES_MAX, ENVELOPES_MAX, Fixture, RETAINED_BYTES_MAX, RETAINED_MAX, RETAINED_SENDERS_MIN,
};
use rcseal_store::directory::{PublishError, PublishKeySet, UploadPrekeys};
use rcseal_store::takeover::{BeginReset, Settled, TakeoverError};
use rcseal_store::{
    DirectoryStore as _, EnqueueOutcome, FetchLimit, FjallStore, MailboxSeq, MailboxStore, ResetTicketHash, Store,
    StoreError, StoreLimits, StoredKeySet, Takeover, TakeoverStore as _, UnixMillis,
};
use rcseal_wire::id::{DeviceNumber, KeySetCounter, KeySetHash};

pub(crate) const NOW: UnixMillis = UnixMillis::new(1_800_000_000_000);
pub(crate) const ALL: FetchLimit = FetchLimit { envelopes: 1_000_000, bytes: usize::MAX };

pub(crate) fn limits() -> StoreLimits {
    StoreLimits {
        mailbox_envelopes_max: ENVELOPES_MAX,
        mailbox_bytes_max: BYTES_MAX,
        account_retained_messages_max: RETAINED_MAX,
        account_retained_bytes_max: RETAINED_BYTES_MAX,
        account_retained_senders_min: RETAINED_SENDERS_MIN,
        free_bytes_min: 0,
        ..StoreLimits::default()
    }
}

pub(crate) fn open(folder: &tempfile::TempDir) -> FjallStore {
    FjallStore::open(folder.path(), limits()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn fjall_keeps_every_promise() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    conformance::run(&store).await;
    store.crash_and_reopen().await;
    conformance::run(&store).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_single_fault_breaks_a_promise() {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(open(&folder));
    let failed = conformance::faults::run(&store).await;
    assert!(failed > 30, "only {failed} faults were injected");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stored_is_there_after_closing_and_opening() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let bob = Fixture::registered(&store).await;
    let id = rcseal_wire::id::EnvelopeId::from_bytes([1; 16]);
    assert_eq!(store.enqueue(NOW, vec![bob.envelope(id, b"x")]).await.unwrap(), [EnqueueOutcome::Stored]);
    store.close().await;
    assert!(matches!(store.enqueue(NOW, vec![bob.envelope(id, b"x")]).await, Err(StoreError::Closed)));
    assert!(matches!(store.fetch(NOW, bob.mailbox, MailboxSeq::START, ALL).await, Err(StoreError::Closed)));
    drop(store);
    let store = open(&folder);
    let fetched = store.fetch(NOW, bob.mailbox, MailboxSeq::START, ALL).await.unwrap();
    assert_eq!(fetched.envelopes[0].id, id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_cannot_open_the_same_folder() {
    let folder = tempfile::tempdir().unwrap();
    let _store = open(&folder);
    let second = FjallStore::open(folder.path(), limits());
    assert!(matches!(second, Err(StoreError::Open(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nearly_full_disk_takes_acknowledgements_but_no_envelopes() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let bob = Fixture::registered(&store).await;
    let id = rcseal_wire::id::EnvelopeId::from_bytes([1; 16]);
    store.enqueue(NOW, vec![bob.envelope(id, b"x")]).await.unwrap();
    store.close().await;
    drop(store);

    let store = FjallStore::open(folder.path(), StoreLimits { free_bytes_min: u64::MAX, ..limits() }).unwrap();
    let other = rcseal_wire::id::EnvelopeId::from_bytes([2; 16]);
    assert!(matches!(store.enqueue(NOW, vec![bob.envelope(other, b"x")]).await, Err(StoreError::Full)));
    assert!(matches!(store.check().await, Err(StoreError::Full)));
    assert_eq!(store.acknowledge(bob.mailbox, vec![id]).await.unwrap().removed, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_cannot_fill_the_disk_with_key_sets() {
    let folder = tempfile::tempdir().unwrap();
    let store = FjallStore::open(folder.path(), StoreLimits { key_set_history_bytes_max: 100, ..limits() }).unwrap();
    let bob = Fixture::registered(&store).await;
    let first = store.key_set(bob.account).await.unwrap().unwrap();
    let next = |counter: u64, len: usize| PublishKeySet {
        account: bob.account,
        previous: KeySetHash::from_bytes(if counter == 2 { *first.hash.as_bytes() } else { [counter as u8 - 1; 32] }),
        key_set: StoredKeySet {
            counter: KeySetCounter::new(counter),
            hash: KeySetHash::from_bytes([counter as u8; 32]),
            bytes: vec![1; len].into(),
        },
        devices: vec![bob.device.device],
        now: NOW,
    };
    let room = 100 - first.bytes.len();
    store.publish_key_set(next(2, room - 10)).await.unwrap();
    assert!(matches!(store.publish_key_set(next(3, 11)).await, Err(PublishError::HistoryFull)));
    store.publish_key_set(next(3, 10)).await.expect("a refused one does not count");
    assert!(matches!(store.publish_key_set(next(4, 1)).await, Err(PublishError::HistoryFull)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_ahead_and_is_put_right_stops_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let bob = Fixture::registered(&store).await;
    let id = |n| rcseal_wire::id::EnvelopeId::from_bytes([n; 16]);
    store.expire(NOW.plus_seconds(365 * 24 * 3600), 10).await.unwrap();
    assert_eq!(store.enqueue(NOW, vec![bob.envelope(id(1), b"x")]).await.unwrap(), [EnqueueOutcome::Expired]);
    store.expire(NOW, 10).await.unwrap();
    assert_eq!(store.enqueue(NOW, vec![bob.envelope(id(1), b"x")]).await.unwrap(), [EnqueueOutcome::Stored]);
    assert_eq!(store.expire(NOW.plus_seconds(2 * 24 * 3600), 10).await.unwrap().dropped, 1, "and it still expires");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pending_reset_survives_crashes_and_takes_effect_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let bob = Fixture::registered(&store).await;
    let first = store.key_set(bob.account).await.unwrap().unwrap();
    let ticket = ResetTicketHash::from_bytes([9; 32]);
    let effective_at = NOW.plus_seconds(3600);
    store.add_reset_ticket(bob.account, ticket, NOW.plus_seconds(60)).await.unwrap();
    store.crash_and_reopen().await;
    assert!(store.is_reset_ticket(bob.account, ticket, NOW).await.unwrap());
    let new = DeviceNumber::new(2).unwrap();
    let key_set = StoredKeySet {
        counter: KeySetCounter::new(2),
        hash: KeySetHash::from_bytes([2; 32]),
        bytes: vec![2; 2000].into(),
    };
    let takeover = Takeover {
        account: bob.account,
        previous: first.hash,
        key_set: key_set.clone(),
        device: new,
        mailbox: rcseal_wire::id::MailboxId::from_bytes([2; 16]),
        prekeys: UploadPrekeys::default(),
    };
    store.begin_reset(BeginReset { ticket, takeover, effective_at, now: NOW }).await.unwrap();
    store.crash_and_reopen().await;
    assert_eq!(store.key_set(bob.account).await.unwrap(), Some(first));
    assert_eq!(store.settle_reset(NOW).await.unwrap(), Settled::Nothing { next: Some(effective_at) });
    let settled = store.settle_reset(effective_at).await.unwrap();
    assert!(matches!(settled, Settled::InForce { account, .. } if account == bob.account), "{settled:?}");
    store.crash_and_reopen().await;
    assert_eq!(store.settle_reset(effective_at).await.unwrap(), Settled::Nothing { next: None });
    assert_eq!(store.key_set(bob.account).await.unwrap(), Some(key_set));
    assert_eq!(store.device(bob.device).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_a_thief_has_filled_does_not_stop_a_takeover() {
    let folder = tempfile::tempdir().unwrap();
    let store = FjallStore::open(folder.path(), StoreLimits { key_set_history_bytes_max: 100, ..limits() }).unwrap();
    let bob = Fixture::registered(&store).await;
    let first = store.key_set(bob.account).await.unwrap().unwrap();
    let key_set = |counter: u64, len: usize| StoredKeySet {
        counter: KeySetCounter::new(counter),
        hash: KeySetHash::from_bytes([counter as u8; 32]),
        bytes: vec![counter as u8; len].into(),
    };
    let full = PublishKeySet {
        account: bob.account,
        previous: first.hash,
        key_set: key_set(2, 100 - first.bytes.len()),
        devices: vec![bob.device.device],
        now: NOW,
    };
    store.publish_key_set(full).await.unwrap();
    let takeover = |counter: u64, len| Takeover {
        account: bob.account,
        previous: KeySetHash::from_bytes([counter as u8 - 1; 32]),
        key_set: key_set(counter, len),
        device: DeviceNumber::PRIMARY,
        mailbox: rcseal_wire::id::MailboxId::from_bytes([counter as u8; 16]),
        prekeys: UploadPrekeys::default(),
    };
    store.take_over(takeover(3, 60), NOW).await.unwrap();
    let beyond = store.take_over(takeover(4, 41), NOW).await;
    assert!(matches!(beyond, Err(TakeoverError::KeySet(PublishError::HistoryFull))), "{beyond:?}");
    store.take_over(takeover(4, 40), NOW).await.expect("up to twice the limit");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_who_took_a_full_account_back_can_publish_again_within_bounds() {
    const LIMIT: u64 = 12_800;
    let folder = tempfile::tempdir().unwrap();
    let store = FjallStore::open(folder.path(), StoreLimits { key_set_history_bytes_max: LIMIT, ..limits() }).unwrap();
    let bob = Fixture::registered(&store).await;
    let first = store.key_set(bob.account).await.unwrap().unwrap();
    let mut published = first.bytes.len() as u64;
    let mut current = first;
    let mut counter = 1u64;
    let next = |counter: u64, len: usize| StoredKeySet {
        counter: KeySetCounter::new(counter),
        hash: KeySetHash::parse(&[&counter.to_be_bytes()[..], &[7; 24]].concat()).unwrap(),
        bytes: vec![7; len].into(),
    };
    let mut own_share = Vec::new();
    for _ in 0..60 {
        // Whoever has the devices publishes until the history is full.
        let before = published;
        loop {
            let key_set = next(counter + 1, 50);
            let publish = PublishKeySet {
                account: bob.account,
                previous: current.hash,
                key_set: key_set.clone(),
                devices: vec![DeviceNumber::PRIMARY],
                now: NOW,
            };
            match store.publish_key_set(publish).await {
                Ok(_) => (counter, published, current) = (counter + 1, published + 50, key_set),
                Err(PublishError::HistoryFull) => break,
                Err(error) => panic!("{error}"),
            }
        }
        own_share.push(published - before);
        let takeover = Takeover {
            account: bob.account,
            previous: current.hash,
            key_set: next(counter + 1, 20),
            device: DeviceNumber::PRIMARY,
            mailbox: rcseal_wire::id::MailboxId::generate(&mut rand::rng()),
            prekeys: UploadPrekeys::default(),
        };
        current = takeover.key_set.clone();
        store.take_over(takeover, NOW).await.expect("and is thrown out every time");
        (counter, published) = (counter + 1, published + 20);
    }
    // Each time there is room for a few more, until half of what lies beyond the limit is used up: the rest is for takeovers.
    assert!(own_share[1..20].iter().all(|share| (150..=200).contains(share)), "{own_share:?}");
    assert_eq!(own_share[59], 0);
    assert!(published <= LIMIT * 3 / 2 + 60 * 20, "{published}");
}
