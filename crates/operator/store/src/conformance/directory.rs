use std::collections::HashSet;

use bytes::Bytes;
use rcseal_wire::id::{AccountId, DeliveryTokenHash, DeviceAddress, KeySetCounter};

use super::fixture::{Fixture, START, device_number, key_set};
use crate::Store;
use crate::directory::{
    Claim, PrekeyCounts, PublishError, PublishKeySet, Published, SetTokensError, StoredPrekey, UploadError,
    UploadPrekeys, Uploaded,
};
use crate::limits::{
    DELIVERY_TOKENS_MAX, KEY_SET_LEN_MAX, KEY_SETS_READ_BYTES_MAX, ONE_TIME_PREKEYS_MAX, PREKEY_LEN_MAX,
};

pub(super) async fn run(store: &dyn Store) {
    key_sets_succeed_one_another(store).await;
    one_of_two_successors_wins(store).await;
    key_sets_are_read_in_bounded_answers(store).await;
    device_numbers_are_never_reused(store).await;
    a_one_time_prekey_is_handed_out_once(store).await;
    a_repeated_upload_brings_no_key_back(store).await;
    uploads_are_bounded(store).await;
    delivery_tokens_are_replaced(store).await;
}

fn publish(account: AccountId, counter: u64, devices: &[u8]) -> PublishKeySet {
    PublishKeySet {
        account,
        previous: key_set(account, counter - 1).hash,
        key_set: key_set(account, counter),
        devices: devices.iter().copied().map(device_number).collect(),
        now: START,
    }
}

async fn key_sets_succeed_one_another(store: &dyn Store) {
    let bob = Fixture::registered(store).await;
    assert_eq!(store.key_set(bob.account).await.unwrap(), Some(key_set(bob.account, 1)));
    let published = store.publish_key_set(publish(bob.account, 2, &[1, 2])).await.unwrap();
    assert_eq!(published, Published { added: vec![device_number(2)], ..Published::default() });
    assert_eq!(
        store.publish_key_set(publish(bob.account, 2, &[1, 2])).await.unwrap(),
        Published::default(),
        "repeated"
    );
    let skipping = store.publish_key_set(publish(bob.account, 4, &[1, 2])).await;
    assert!(matches!(skipping, Err(PublishError::Conflict { current }) if current == KeySetCounter::new(2)));
    let back = store.publish_key_set(publish(bob.account, 1, &[1])).await;
    assert!(matches!(back, Err(PublishError::Conflict { .. })));
    store.publish_key_set(publish(bob.account, 3, &[1])).await.unwrap();
    assert_eq!(store.key_set(bob.account).await.unwrap(), Some(key_set(bob.account, 3)));
    let history = store.key_sets_from(bob.account, KeySetCounter::new(2)).await.unwrap();
    assert_eq!(history, [key_set(bob.account, 2), key_set(bob.account, 3)]);
    let stranger = Fixture::new();
    assert!(matches!(
        store.publish_key_set(publish(stranger.account, 2, &[1])).await,
        Err(PublishError::UnknownAccount)
    ));
    assert_eq!(store.key_set(stranger.account).await.unwrap(), None);
}

async fn key_sets_are_read_in_bounded_answers(store: &dyn Store) {
    let bob = Fixture::registered(store).await;
    for counter in 2..=6 {
        let mut next = publish(bob.account, counter, &[1]);
        next.key_set.bytes = vec![counter as u8; KEY_SET_LEN_MAX - 1].into();
        store.publish_key_set(next).await.unwrap();
    }
    let mut read = Vec::new();
    let mut answers = 0;
    while read.len() < 6 {
        let from = KeySetCounter::new(read.len() as u64 + 1);
        let more = store.key_sets_from(bob.account, from).await.unwrap();
        assert!(more.iter().map(|key_set| key_set.bytes.len()).sum::<usize>() <= KEY_SETS_READ_BYTES_MAX);
        assert!(!more.is_empty(), "whoever asks again gets on");
        read.extend(more.iter().map(|key_set| key_set.counter.get()));
        answers += 1;
    }
    assert_eq!((read, answers), ((1..=6).collect(), 3));
}

async fn one_of_two_successors_wins(store: &dyn Store) {
    let bob = Fixture::registered(store).await;
    let attempts = (0..8u8).map(|n| async move {
        let mut attempt = publish(bob.account, 2, &[1]);
        attempt.key_set.bytes = Bytes::copy_from_slice(&[n]);
        attempt.key_set.hash = rcseal_wire::id::KeySetHash::from_bytes([n; 32]);
        store.publish_key_set(attempt).await
    });
    let results = futures_util::future::join_all(attempts).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    let losers =
        results.iter().filter(|result| matches!(result, Err(PublishError::Conflict { current }) if current.get() == 2));
    assert_eq!(losers.count(), 7);
}

async fn device_numbers_are_never_reused(store: &dyn Store) {
    let bob = Fixture::registered(store).await;
    store.publish_key_set(publish(bob.account, 2, &[1, 2])).await.unwrap();
    store.publish_key_set(publish(bob.account, 3, &[1])).await.unwrap();
    let reused = store.publish_key_set(publish(bob.account, 4, &[1, 2])).await;
    assert!(matches!(reused, Err(PublishError::DeviceNumberReused { device }) if device == device_number(2)));
    assert_eq!(
        store.key_set(bob.account).await.unwrap(),
        Some(key_set(bob.account, 3)),
        "a refused key set leaves no trace"
    );
    store.publish_key_set(publish(bob.account, 4, &[1, 3])).await.unwrap();
    let numbers: Vec<_> =
        store.devices(bob.account).await.unwrap().iter().map(|record| record.address.device.get()).collect();
    assert_eq!(numbers, [1, 3]);
}

fn prekey(id: u32) -> StoredPrekey {
    StoredPrekey { id, bytes: Bytes::copy_from_slice(&[id as u8; 33]) }
}

fn upload(ids: std::ops::Range<u32>) -> UploadPrekeys {
    UploadPrekeys {
        signed: Some(prekey(900)),
        last_resort: Some(prekey(901)),
        one_time: ids.clone().map(prekey).collect(),
        one_time_kem: ids.map(prekey).collect(),
        replace: false,
    }
}

async fn a_one_time_prekey_is_handed_out_once(store: &dyn Store) {
    let bob = Fixture::registered(store).await;
    assert_eq!(store.claim_bundle(bob.device, Claim::OneTime).await.unwrap(), None, "nothing was uploaded");
    assert!(!store.device(bob.device).await.unwrap().unwrap().reachable);
    let uploaded = store.upload_prekeys(bob.device, upload(1..11), START).await.unwrap();
    assert_eq!(uploaded, Uploaded { counts: PrekeyCounts { one_time: 10, one_time_kem: 10 }, ignored: 0 });
    assert!(store.device(bob.device).await.unwrap().unwrap().reachable);

    let limited = store.claim_bundle(bob.device, Claim::LastResort).await.unwrap().unwrap();
    assert_eq!((limited.one_time, limited.one_time_kem), (None, None));
    assert_eq!((limited.signed, limited.last_resort, limited.mailbox), (prekey(900), prekey(901), Some(bob.mailbox)));

    let claims = (0..16).map(|_| async { store.claim_bundle(bob.device, Claim::OneTime).await.unwrap().unwrap() });
    let bundles = futures_util::future::join_all(claims).await;
    for kind in [0, 1] {
        let ids: Vec<_> = bundles
            .iter()
            .filter_map(|bundle| if kind == 0 { bundle.one_time.as_ref() } else { bundle.one_time_kem.as_ref() })
            .map(|key| {
                assert_eq!(*key, prekey(key.id));
                key.id
            })
            .collect();
        assert_eq!(ids.len(), 10);
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 10, "a one-time prekey was handed out twice");
    }
    assert!(bundles.iter().all(|bundle| bundle.signed == prekey(900)));
    assert_eq!(store.device(bob.device).await.unwrap().unwrap().prekeys, PrekeyCounts::default());
    let stranger = DeviceAddress { account: bob.account, device: device_number(9) };
    assert_eq!(store.claim_bundle(stranger, Claim::OneTime).await.unwrap(), None);
}

async fn a_repeated_upload_brings_no_key_back(store: &dyn Store) {
    let bob = Fixture::registered(store).await;
    store.upload_prekeys(bob.device, upload(1..4), START).await.unwrap();
    let first = store.claim_bundle(bob.device, Claim::OneTime).await.unwrap().unwrap().one_time.unwrap();
    let repeated = store.upload_prekeys(bob.device, upload(1..4), START).await.unwrap();
    assert_eq!(repeated, Uploaded { counts: PrekeyCounts { one_time: 2, one_time_kem: 2 }, ignored: 6 });
    let more = store.upload_prekeys(bob.device, upload(3..6), START).await.unwrap();
    assert_eq!(more.counts.one_time, 4);
    let mut seen = vec![first.id];
    while let Some(key) = store.claim_bundle(bob.device, Claim::OneTime).await.unwrap().unwrap().one_time {
        seen.push(key.id);
    }
    assert_eq!(seen, [1, 2, 3, 4, 5]);
    store.upload_prekeys(bob.device, upload(10..20), START).await.unwrap();
    let replaced =
        store.upload_prekeys(bob.device, UploadPrekeys { replace: true, ..upload(20..22) }, START).await.unwrap();
    assert_eq!(replaced.counts, PrekeyCounts { one_time: 2, one_time_kem: 2 });
    assert_eq!(store.claim_bundle(bob.device, Claim::OneTime).await.unwrap().unwrap().one_time, Some(prekey(20)));
}

async fn uploads_are_bounded(store: &dyn Store) {
    let bob = Fixture::registered(store).await;
    let max = u32::try_from(ONE_TIME_PREKEYS_MAX).unwrap();
    let over = store.upload_prekeys(bob.device, upload(1..max + 2), START).await;
    assert!(matches!(over, Err(UploadError::PoolFull { limit: ONE_TIME_PREKEYS_MAX })));
    assert!(!store.device(bob.device).await.unwrap().unwrap().reachable, "a refused upload leaves no trace");
    assert_eq!(store.upload_prekeys(bob.device, upload(1..max + 1), START).await.unwrap().counts.one_time, max);
    let large = StoredPrekey { id: 999, bytes: vec![0; PREKEY_LEN_MAX + 1].into() };
    let over = store
        .upload_prekeys(bob.device, UploadPrekeys { signed: Some(large), ..UploadPrekeys::default() }, START)
        .await;
    assert!(matches!(over, Err(UploadError::TooLarge)));
    let stranger = DeviceAddress { account: bob.account, device: device_number(9) };
    assert!(matches!(store.upload_prekeys(stranger, upload(1..2), START).await, Err(UploadError::UnknownDevice)));
}

async fn delivery_tokens_are_replaced(store: &dyn Store) {
    let bob = Fixture::registered(store).await;
    let token = DeliveryTokenHash::from_bytes([5; 32]);
    assert!(store.is_delivery_token(bob.account, bob.token).await.unwrap());
    assert!(!store.is_delivery_token(bob.account, token).await.unwrap());
    store.set_delivery_tokens(bob.device, KeySetCounter::FIRST, vec![token]).await.unwrap();
    assert!(!store.is_delivery_token(bob.account, bob.token).await.unwrap());
    assert!(store.is_delivery_token(bob.account, token).await.unwrap());
    let many = vec![token; DELIVERY_TOKENS_MAX + 1];
    assert!(matches!(
        store.set_delivery_tokens(bob.device, KeySetCounter::FIRST, many).await,
        Err(SetTokensError::TooMany { .. })
    ));
    let stranger = Fixture::new();
    let elsewhere = DeviceAddress { account: bob.account, device: device_number(9) };
    // Nobody, a device that is not there, and one of that number that another key set brought.
    for (device, added_at) in [(stranger.device, 1), (elsewhere, 1), (bob.device, 2)] {
        let refused = store.set_delivery_tokens(device, KeySetCounter::new(added_at), vec![]).await;
        assert!(matches!(refused, Err(SetTokensError::UnknownDevice)), "{refused:?}");
    }
    assert!(store.is_delivery_token(bob.account, token).await.unwrap());
    assert!(!store.is_delivery_token(stranger.account, token).await.unwrap());
}
