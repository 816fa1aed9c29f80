use rcseal_wire::id::{BlobId, Digest};

use super::fixture::{Fixture, START, unique};
use crate::blob::{BeginBlobError, BlobState, NewBlob};
use crate::limits::BLOB_CHARGE_MIN;
use crate::{Store, StoreLimits};

pub(super) async fn run(store: &dyn Store) {
    an_upload_advances_in_step(store).await;
    quotas_are_charged_and_given_back(store).await;
    a_short_blob_counts_for_what_it_costs(store).await;
    blobs_expire_in_order(store).await;
}

fn new_blob(owner: &Fixture, size: u64) -> NewBlob {
    let mut id = [0; 32];
    id[..16].copy_from_slice(&unique());
    NewBlob {
        id: BlobId::from_bytes(id),
        owner: owner.account,
        size,
        digest: Digest::from_bytes([1; 32]),
        expires_at: START.plus_millis(1000),
    }
}

async fn an_upload_advances_in_step(store: &dyn Store) {
    let bob = Fixture::registered(store).await;
    let blob = new_blob(&bob, 100);
    let record = store.begin_blob(blob).await.unwrap();
    assert_eq!((record.received, record.state, record.size), (0, BlobState::Uploading, 100));
    assert!(store.advance_blob(blob.id, 0, 60).await.unwrap());
    assert!(!store.advance_blob(blob.id, 0, 60).await.unwrap());
    assert!(!store.advance_blob(blob.id, 60, 101).await.unwrap());
    assert_eq!(store.begin_blob(blob).await.unwrap().received, 60, "beginning again shows where to continue");
    assert!(matches!(store.begin_blob(NewBlob { size: 99, ..blob }).await, Err(BeginBlobError::IdTaken)));
    assert!(store.advance_blob(blob.id, 60, 100).await.unwrap());
    assert!(store.complete_blob(blob.id).await.unwrap());
    assert_eq!(store.blob(blob.id).await.unwrap().unwrap().state, BlobState::Complete);
    assert!(!store.advance_blob(blob.id, 100, 100).await.unwrap(), "a complete blob does not change");
    assert!(store.remove_blob(blob.id).await.unwrap().is_some());
    assert!(store.remove_blob(blob.id).await.unwrap().is_none());
    assert!(!store.complete_blob(blob.id).await.unwrap());
}

async fn quotas_are_charged_and_given_back(store: &dyn Store) {
    let bob = Fixture::registered(store).await;
    let max = StoreLimits::default().account_blob_bytes_max;
    let blob = new_blob(&bob, max);
    store.begin_blob(blob).await.unwrap();
    assert_eq!(store.account(bob.account).await.unwrap().unwrap().blob_bytes, max);
    assert!(matches!(store.begin_blob(new_blob(&bob, 1)).await, Err(BeginBlobError::QuotaExceeded)));
    assert!(matches!(store.begin_blob(new_blob(&bob, 0)).await, Err(BeginBlobError::Empty)));
    store.remove_blob(blob.id).await.unwrap();
    store.begin_blob(new_blob(&bob, 1)).await.unwrap();
    let stranger = Fixture::new();
    assert!(matches!(store.begin_blob(new_blob(&stranger, 1)).await, Err(BeginBlobError::UnknownAccount)));
}

async fn a_short_blob_counts_for_what_it_costs(store: &dyn Store) {
    let bob = Fixture::registered(store).await;
    let charged = || async { store.account(bob.account).await.unwrap().unwrap().blob_bytes };
    let (one, other) = (new_blob(&bob, 1), new_blob(&bob, BLOB_CHARGE_MIN + 1));
    store.begin_blob(one).await.unwrap();
    assert_eq!(charged().await, BLOB_CHARGE_MIN);
    store.begin_blob(other).await.unwrap();
    assert_eq!(charged().await, 2 * BLOB_CHARGE_MIN + 1);
    store.remove_blob(one.id).await.unwrap();
    store.remove_blob(other.id).await.unwrap();
    assert_eq!(charged().await, 0);
}

async fn blobs_expire_in_order(store: &dyn Store) {
    let bob = Fixture::registered(store).await;
    let mut soon = new_blob(&bob, 1);
    soon.expires_at = START.plus_millis(1);
    let later = new_blob(&bob, 1);
    store.begin_blob(later).await.unwrap();
    store.begin_blob(soon).await.unwrap();
    let places = |now| async move {
        let ids: Vec<_> = store.expired_blobs(now, 1000).await.unwrap().iter().map(|record| record.id).collect();
        let place = |id| ids.iter().position(|other| *other == id);
        (place(soon.id), place(later.id))
    };
    assert_eq!(places(START).await, (None, None));
    assert!(matches!(places(START.plus_millis(1)).await, (Some(_), None)));
    assert!(matches!(places(START.plus_millis(1000)).await, (Some(first), Some(second)) if first < second));
}
