//! Encrypted blobs: their bytes in an object store, their rows in a [`BlobIndex`].
//!
//! A blob is stored as one object per fixed-length chunk, so that an interrupted upload continues at the last whole chunk and a ranged
//! read touches only what it needs, on every kind of object store alike. A chunk is durable before the index says so: the local folder
//! is opened with `fsync` on files and folders, and remote stores promise as much. The digest of the whole is checked once, when the
//! upload completes; a blob that does not match is removed.
//!
//! A server calls this; it never looks into the bytes, and never hands out a blob that is not complete or whose time is over.

use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use rcseal_crypto::hash::Sha256;
use rcseal_wire::id::{AccountId, BlobId, Digest};

use crate::blob::{BeginBlobError, BlobIndex, BlobRecord, BlobState, NewBlob};
use crate::{StoreError, UnixMillis};

/// The object store failed.
#[derive(Debug, thiserror::Error)]
#[error("the object store failed")]
pub struct ObjectsError(#[from] object_store::Error);

impl ObjectsError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "objects_unavailable"
    }
}

/// A blob operation was refused.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// There is no such blob, it is not the caller's, or its time is over.
    #[error("the blob is not known")]
    Unknown,
    /// The chunk does not start where the upload stands.
    #[error("the upload stands at {received}")]
    Offset {
        /// Bytes that are durable.
        received: u64,
    },
    /// The chunk is neither of the chunk length nor the rest of the blob.
    #[error("a chunk has {expected} bytes here")]
    ChunkLength {
        /// The length it must have.
        expected: u64,
    },
    /// Another request is working on this blob.
    #[error("another request is working on the blob")]
    Busy,
    /// The upload is not finished, so it cannot be completed or read.
    #[error("the upload stands at {received}")]
    Incomplete {
        /// Bytes that are durable.
        received: u64,
    },
    /// The bytes do not have the declared digest. The blob is gone.
    #[error("the bytes do not have the declared digest")]
    DigestMismatch,
    /// The range is empty or not within the blob.
    #[error("the range is not within the blob's {size} bytes")]
    Range {
        /// The blob's length.
        size: u64,
    },
    /// The index failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// The object store failed.
    #[error("the object store failed")]
    Objects(#[from] ObjectsError),
}

impl BlobError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "not_found",
            Self::Offset { .. } | Self::Incomplete { .. } | Self::Busy => "offset_conflict",
            Self::ChunkLength { .. } => "out_of_range",
            Self::DigestMismatch => "digest_mismatch",
            Self::Range { .. } => "range_not_satisfiable",
            Self::Store(source) => source.code(),
            Self::Objects(source) => source.code(),
        }
    }
}

/// Blobs with their bytes.
#[derive(Clone)]
pub struct Blobs {
    index: Arc<dyn BlobIndex>,
    objects: Arc<dyn ObjectStore>,
    /// Blobs that a request is writing to or completing.
    busy: Arc<Mutex<HashSet<BlobId>>>,
}

impl std::fmt::Debug for Blobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blobs").finish_non_exhaustive()
    }
}

/// Holds a blob against other writers.
struct Hold {
    id: BlobId,
    busy: Arc<Mutex<HashSet<BlobId>>>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

impl Blobs {
    /// Over any object store that is durable when a put returns.
    #[must_use]
    pub fn new(index: Arc<dyn BlobIndex>, objects: Arc<dyn ObjectStore>) -> Self {
        Self { index, objects, busy: Arc::default() }
    }

    /// In a local folder, which is created.
    ///
    /// # Errors
    /// [`StoreError::Open`] if the folder cannot be created or found.
    pub fn local(index: Arc<dyn BlobIndex>, folder: impl AsRef<Path>) -> Result<Self, StoreError> {
        let folder = folder.as_ref();
        std::fs::create_dir_all(folder).map_err(|error| StoreError::Open(Box::new(error)))?;
        let objects = LocalFileSystem::new_with_prefix(folder).map_err(|error| StoreError::Open(Box::new(error)))?;
        Ok(Self::new(index, Arc::new(objects.with_fsync(true).with_automatic_cleanup(true))))
    }

    /// Begins an upload; repeating it returns where it stands.
    ///
    /// # Errors
    /// [`BeginBlobError`].
    pub async fn begin(&self, blob: NewBlob) -> Result<BlobRecord, BeginBlobError> {
        self.index.begin_blob(blob).await
    }

    /// A blob's row, if its time is not over.
    ///
    /// # Errors
    /// [`BlobError::Unknown`], [`BlobError::Store`].
    pub async fn record(&self, id: BlobId, now: UnixMillis) -> Result<BlobRecord, BlobError> {
        let record = self.index.blob(id).await?.ok_or(BlobError::Unknown)?;
        if record.expires_at <= now { Err(BlobError::Unknown) } else { Ok(record) }
    }

    /// Appends the next chunk: exactly `chunk_len` bytes, or what is left. Returns how much is durable now. Repeating a chunk that is
    /// already there answers [`BlobError::Offset`] with the place to continue.
    ///
    /// # Errors
    /// [`BlobError`].
    pub async fn append(
        &self,
        id: BlobId,
        owner: AccountId,
        offset: u64,
        chunk: Bytes,
        now: UnixMillis,
    ) -> Result<u64, BlobError> {
        let _hold = self.hold(id)?;
        let record = self.owned(id, owner, now).await?;
        if offset != record.received || record.state == BlobState::Complete {
            return Err(BlobError::Offset { received: record.received });
        }
        let expected = u64::from(record.chunk_len).min(record.size - record.received);
        let len = chunk.len() as u64;
        if len != expected || len == 0 {
            return Err(BlobError::ChunkLength { expected });
        }
        let path = chunk_path(id, offset / u64::from(record.chunk_len));
        self.objects.put(&path, PutPayload::from_bytes(chunk)).await.map_err(ObjectsError)?;
        if !self.index.advance_blob(id, offset, offset + len).await? {
            return Err(BlobError::Unknown);
        }
        Ok(offset + len)
    }

    /// Checks the digest of what was uploaded and makes the blob readable. Repeating it is `Ok`.
    ///
    /// # Errors
    /// [`BlobError`]; after [`BlobError::DigestMismatch`] the blob is gone.
    pub async fn complete(&self, id: BlobId, owner: AccountId, now: UnixMillis) -> Result<BlobRecord, BlobError> {
        let _hold = self.hold(id)?;
        let mut record = self.owned(id, owner, now).await?;
        if record.state == BlobState::Complete {
            return Ok(record);
        }
        if record.received != record.size {
            return Err(BlobError::Incomplete { received: record.received });
        }
        let mut hash = Sha256::new();
        let mut chunks = self.chunks(&record, 0..record.size);
        while let Some(chunk) = chunks.next().await {
            hash.update(&chunk?);
        }
        if Digest::from_bytes(hash.finish()) != record.digest {
            self.delete(&record).await?;
            return Err(BlobError::DigestMismatch);
        }
        if !self.index.complete_blob(id).await? {
            return Err(BlobError::Unknown);
        }
        record.state = BlobState::Complete;
        Ok(record)
    }

    /// Reads a range of a complete blob, piece by piece.
    ///
    /// # Errors
    /// [`BlobError`]; a piece that cannot be read ends the stream with an error.
    pub async fn read(
        &self,
        id: BlobId,
        range: Range<u64>,
        now: UnixMillis,
    ) -> Result<(BlobRecord, BoxStream<'static, Result<Bytes, ObjectsError>>), BlobError> {
        let record = self.record(id, now).await?;
        if record.state != BlobState::Complete {
            return Err(BlobError::Incomplete { received: record.received });
        }
        if range.is_empty() || range.end > record.size {
            return Err(BlobError::Range { size: record.size });
        }
        let chunks = self.chunks(&record, range);
        Ok((record, chunks))
    }

    /// Removes a blob before its time.
    ///
    /// # Errors
    /// [`BlobError`].
    pub async fn remove(&self, id: BlobId, owner: AccountId, now: UnixMillis) -> Result<(), BlobError> {
        let _hold = self.hold(id)?;
        let record = self.owned(id, owner, now).await?;
        self.delete(&record).await
    }

    /// Removes blobs whose time is over, at most `budget`; how many. One that cannot be removed does not keep the others.
    ///
    /// # Errors
    /// [`BlobError`], the first one met; the others of the budget are removed nevertheless.
    pub async fn expire(&self, now: UnixMillis, budget: usize) -> Result<usize, BlobError> {
        let mut removed = 0;
        let mut failed = None;
        for record in self.index.expired_blobs(now, budget).await? {
            let Ok(_hold) = self.hold(record.id) else { continue };
            match self.delete(&record).await {
                Ok(()) => removed += 1,
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(removed), Err)
    }

    /// The bytes first: a row without bytes is swept again, bytes without a row would stay for ever.
    async fn delete(&self, record: &BlobRecord) -> Result<(), BlobError> {
        // One chunk beyond what the index knows may have been put before a crash.
        let chunks = (record.received.div_ceil(u64::from(record.chunk_len)) + 1)
            .min(record.size.div_ceil(u64::from(record.chunk_len)));
        for index in 0..chunks {
            match self.objects.delete(&chunk_path(record.id, index)).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(ObjectsError(error).into()),
            }
        }
        self.index.remove_blob(record.id).await?;
        Ok(())
    }

    async fn owned(&self, id: BlobId, owner: AccountId, now: UnixMillis) -> Result<BlobRecord, BlobError> {
        let record = self.record(id, now).await?;
        if record.owner == owner { Ok(record) } else { Err(BlobError::Unknown) }
    }

    fn hold(&self, id: BlobId) -> Result<Hold, BlobError> {
        if self.busy.lock().unwrap_or_else(PoisonError::into_inner).insert(id) {
            Ok(Hold { id, busy: Arc::clone(&self.busy) })
        } else {
            Err(BlobError::Busy)
        }
    }

    fn chunks(&self, record: &BlobRecord, range: Range<u64>) -> BoxStream<'static, Result<Bytes, ObjectsError>> {
        let objects = Arc::clone(&self.objects);
        let id = record.id;
        let chunk_len = u64::from(record.chunk_len);
        let first = range.start / chunk_len;
        let last = range.end.div_ceil(chunk_len);
        stream::iter(first..last)
            .then(move |index| {
                let objects = Arc::clone(&objects);
                let start = index * chunk_len;
                let within = range.start.max(start) - start..range.end.min(start + chunk_len) - start;
                async move { objects.get_range(&chunk_path(id, index), within).await.map_err(ObjectsError) }
            })
            .boxed()
    }
}

/// `ab/abcdef.../00000000`: the first folder keeps any one folder small, the second keeps a blob together.
fn chunk_path(id: BlobId, index: u64) -> ObjectPath {
    use std::fmt::Write as _;
    let mut hex = String::with_capacity(2 * BlobId::LEN);
    for byte in id.as_bytes() {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    ObjectPath::from_iter([&hex[..2], hex.as_str(), &format!("{index:08}")])
}
