use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use rcseal_crypto::hash::sha256;
use rcseal_store::blob::NewBlob;
use rcseal_store::conformance::Fixture;
use rcseal_store::{AccountStore as _, BlobError, BlobIndex as _, BlobState, Blobs, FjallStore};
use rcseal_wire::id::{AccountId, BlobId, Digest};

use crate::engine::{NOW, open};

struct Setup {
    _folder: tempfile::TempDir,
    objects: tempfile::TempDir,
    store: FjallStore,
    blobs: Blobs,
    owner: AccountId,
}

async fn setup() -> Setup {
    let (folder, objects) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(&folder);
    let blobs = Blobs::local(Arc::new(store.clone()), objects.path()).unwrap();
    let owner = Fixture::registered(&store).await.account;
    Setup { _folder: folder, objects, store, blobs, owner }
}

fn content(len: usize) -> Bytes {
    (0..len).map(|n| (n * 31 % 251) as u8).collect::<Vec<_>>().into()
}

impl Setup {
    fn new_blob(&self, bytes: &[u8]) -> NewBlob {
        NewBlob {
            id: BlobId::from_bytes(sha256(&[b"id", bytes])),
            owner: self.owner,
            size: bytes.len() as u64,
            digest: Digest::from_bytes(sha256(&[bytes])),
            expires_at: NOW.plus_seconds(60),
        }
    }

    fn files(&self) -> usize {
        fn count(folder: &std::path::Path) -> usize {
            std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap())
                .map(|entry| if entry.file_type().unwrap().is_dir() { count(&entry.path()) } else { 1 })
                .sum()
        }
        count(self.objects.path())
    }

    async fn upload(&self, bytes: &Bytes, blob: NewBlob) {
        let record = self.blobs.begin(blob).await.unwrap();
        let mut at = 0;
        while at < bytes.len() {
            let end = bytes.len().min(at + record.chunk_len as usize);
            at = self.blobs.append(blob.id, self.owner, at as u64, bytes.slice(at..end), NOW).await.unwrap() as usize;
        }
    }

    async fn read(&self, id: BlobId, range: std::ops::Range<u64>) -> Result<Vec<u8>, BlobError> {
        let (_, chunks) = self.blobs.read(id, range, NOW).await?;
        Ok(chunks.try_collect::<Vec<_>>().await?.concat())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_is_read_in_any_range_once_it_is_complete() {
    let setup = setup().await;
    let bytes = content(2_500_000);
    let blob = setup.new_blob(&bytes);
    setup.upload(&bytes, blob).await;
    assert!(matches!(setup.read(blob.id, 0..1).await, Err(BlobError::Incomplete { received: 2_500_000 })));
    assert_eq!(setup.blobs.complete(blob.id, setup.owner, NOW).await.unwrap().state, BlobState::Complete);
    setup.blobs.complete(blob.id, setup.owner, NOW).await.expect("completing again");
    for range in [0..2_500_000, 0..1, 1_048_575..1_048_577, 1_048_576..2_097_152, 2_499_999..2_500_000] {
        let expected = &bytes[range.start as usize..range.end as usize];
        assert_eq!(setup.read(blob.id, range).await.unwrap(), expected);
    }
    for range in [0..0, 0..2_500_001, 2_500_000..2_500_001] {
        assert!(matches!(setup.read(blob.id, range).await, Err(BlobError::Range { size: 2_500_000 })));
    }
    let late = setup.blobs.append(blob.id, setup.owner, 2_500_000, Bytes::from_static(b"x"), NOW).await;
    assert!(matches!(late, Err(BlobError::Offset { .. })), "a complete blob does not grow");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_upload_continues_at_the_last_whole_chunk() {
    let setup = setup().await;
    let bytes = content(1_500_000);
    let blob = setup.new_blob(&bytes);
    setup.blobs.begin(blob).await.unwrap();
    let half = setup.blobs.append(blob.id, setup.owner, 0, bytes.slice(..1000), NOW).await;
    assert!(matches!(half, Err(BlobError::ChunkLength { expected: 1_048_576 })));
    setup.blobs.append(blob.id, setup.owner, 0, bytes.slice(..1_048_576), NOW).await.unwrap();
    setup.store.crash_and_reopen().await;
    assert_eq!(setup.blobs.begin(blob).await.unwrap().received, 1_048_576);
    let repeated = setup.blobs.append(blob.id, setup.owner, 0, bytes.slice(..1_048_576), NOW).await;
    assert!(matches!(repeated, Err(BlobError::Offset { received: 1_048_576 })));
    setup.blobs.append(blob.id, setup.owner, 1_048_576, bytes.slice(1_048_576..), NOW).await.unwrap();
    setup.blobs.complete(blob.id, setup.owner, NOW).await.unwrap();
    assert_eq!(setup.read(blob.id, 0..1_500_000).await.unwrap(), bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_with_another_digest_are_refused_and_removed() {
    let setup = setup().await;
    let bytes = content(100);
    let blob = NewBlob { digest: Digest::from_bytes([9; 32]), ..setup.new_blob(&bytes) };
    setup.upload(&bytes, blob).await;
    assert!(matches!(setup.blobs.complete(blob.id, setup.owner, NOW).await, Err(BlobError::DigestMismatch)));
    assert!(matches!(setup.blobs.record(blob.id, NOW).await, Err(BlobError::Unknown)));
    assert_eq!(setup.files(), 0);
    assert_eq!(setup.store.account(setup.owner).await.unwrap().unwrap().blob_bytes, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_owner_writes_and_removes() {
    let setup = setup().await;
    let bytes = content(100);
    let blob = setup.new_blob(&bytes);
    setup.blobs.begin(blob).await.unwrap();
    let stranger = AccountId::from_bytes([1; 16]);
    assert!(matches!(setup.blobs.append(blob.id, stranger, 0, bytes.clone(), NOW).await, Err(BlobError::Unknown)));
    assert!(matches!(setup.blobs.complete(blob.id, stranger, NOW).await, Err(BlobError::Unknown)));
    assert!(matches!(setup.blobs.remove(blob.id, stranger, NOW).await, Err(BlobError::Unknown)));
    setup.blobs.remove(blob.id, setup.owner, NOW).await.unwrap();
    assert!(matches!(setup.blobs.record(blob.id, NOW).await, Err(BlobError::Unknown)));
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_blobs_leave_no_bytes_behind() {
    let setup = setup().await;
    let bytes = content(1_200_000);
    let blob = setup.new_blob(&bytes);
    setup.upload(&bytes, blob).await;
    setup.blobs.complete(blob.id, setup.owner, NOW).await.unwrap();
    assert_eq!(setup.files(), 2);
    assert!(
        matches!(setup.blobs.read(blob.id, 0..1, NOW.plus_seconds(60)).await.err(), Some(BlobError::Unknown)),
        "over, if not yet swept"
    );
    assert_eq!(setup.blobs.expire(NOW.plus_seconds(60), 10).await.unwrap(), 1);
    assert_eq!(setup.files(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_cannot_be_removed_does_not_keep_the_others() {
    let setup = setup().await;
    let (stuck, other) = (content(10), content(20));
    for bytes in [&stuck, &other] {
        setup.upload(bytes, setup.new_blob(bytes)).await;
    }
    let stuck = setup.new_blob(&stuck);
    let name: String = stuck.id.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let piece = setup.objects.path().join(&name[..2]).join(&name).join("00000000");
    std::fs::remove_file(&piece).unwrap();
    std::fs::create_dir_all(piece.join("in the way")).unwrap();
    let late = NOW.plus_seconds(60);
    assert!(matches!(setup.blobs.expire(late, 100).await, Err(BlobError::Objects(_))));
    let left = setup.store.expired_blobs(late, 100).await.unwrap();
    assert_eq!(left.iter().map(|record| record.id).collect::<Vec<_>>(), [stuck.id]);
    std::fs::remove_dir_all(&piece).unwrap();
    assert_eq!(setup.blobs.expire(late, 100).await.unwrap(), 1);
}
