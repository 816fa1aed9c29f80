//! What a power cut may leave in the journal: a last batch with a hole.

use std::path::PathBuf;

use rcseal_store::conformance::Fixture;
use rcseal_store::{EnqueueOutcome, FjallStore, MailboxSeq, MailboxStore, Store, StoreError};
use rcseal_wire::id::EnvelopeId;

use crate::engine::{ALL, NOW, limits, open};

fn id(n: u8) -> EnvelopeId {
    EnvelopeId::from_bytes([n; 16])
}

/// The newest journal with the body made of `fill` blanked out in its middle.
fn damage(folder: &tempfile::TempDir, fill: u8) {
    let journals = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let newest: PathBuf =
        journals.filter(|path| path.extension().is_some_and(|extension| extension == "jnl")).max().unwrap();
    let mut bytes = std::fs::read(&newest).unwrap();
    let at = bytes.windows(1000).position(|window| window.iter().all(|byte| *byte == fill)).unwrap();
    bytes[at + 100..at + 600].fill(0);
    std::fs::write(&newest, bytes).unwrap();
}

async fn three_envelopes() -> (tempfile::TempDir, Fixture) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let bob = Fixture::registered(&store).await;
    for n in 1..=3 {
        let outcomes = store.enqueue(NOW, vec![bob.envelope(id(n), &[0xa0 + n; 2000])]).await.unwrap();
        assert_eq!(outcomes, [EnqueueOutcome::Stored]);
    }
    store.close().await;
    (folder, bob)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_last_batch_is_cut_off_and_everything_before_it_stays() {
    let (folder, bob) = three_envelopes().await;
    damage(&folder, 0xa3);
    let store = open(&folder);
    let present = store.fetch(NOW, bob.mailbox, MailboxSeq::START, ALL).await.unwrap();
    assert_eq!(present.envelopes.iter().map(|waiting| waiting.id).collect::<Vec<_>>(), [id(1), id(2)]);
    // Its sender was never told that it was stored, and sends it again.
    let repeated = store.enqueue(NOW, vec![bob.envelope(id(3), &[0xa3; 2000])]).await.unwrap();
    assert_eq!(repeated, [EnqueueOutcome::Stored]);
    store.close().await;
    drop(store);
    let present = open(&folder).fetch(NOW, bob.mailbox, MailboxSeq::START, ALL).await.unwrap();
    assert_eq!(present.envelopes.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_before_whole_batches_is_an_error_and_not_repaired() {
    let (folder, _) = three_envelopes().await;
    damage(&folder, 0xa1);
    let opened = FjallStore::open(folder.path(), limits());
    assert!(matches!(opened, Err(StoreError::Corrupt { space: "journal" })), "{opened:?}");
}
