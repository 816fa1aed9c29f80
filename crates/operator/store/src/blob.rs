//! The index of blobs: who owns which encrypted blob, how much of it has arrived, when it goes.
//!
//! The bytes are elsewhere ([`crate::Blobs`] keeps both together and is what a server uses). A blob is *uploading* until its bytes are
//! all there and have the declared digest; from then on it is *complete*, can be read, and never changes.

use async_trait::async_trait;
use rcseal_wire::id::{AccountId, BlobId, Digest};

use crate::{StoreError, UnixMillis};

/// Where a blob stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobState {
    /// Bytes are missing, or the digest is not yet checked.
    Uploading,
    /// All there, digest checked.
    Complete,
}

/// A blob's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobRecord {
    /// Its id.
    pub id: BlobId,
    /// Whose quota it counts against.
    pub owner: AccountId,
    /// Its length in bytes.
    pub size: u64,
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// The length of its stored pieces; fixed when it was begun.
    pub chunk_len: u32,
    /// How many bytes are durable, from the start.
    pub received: u64,
    /// Where it stands.
    pub state: BlobState,
    /// When it is removed.
    pub expires_at: UnixMillis,
}

/// A blob to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewBlob {
    /// Its id, drawn at random.
    pub id: BlobId,
    /// Whose it is.
    pub owner: AccountId,
    /// Its length in bytes.
    pub size: u64,
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// When it is removed.
    pub expires_at: UnixMillis,
}

/// A blob was not begun.
#[derive(Debug, thiserror::Error)]
pub enum BeginBlobError {
    /// The id belongs to another blob.
    #[error("the blob id is taken")]
    IdTaken,
    /// There is no such account.
    #[error("the account is not known")]
    UnknownAccount,
    /// The account keeps as much as it may.
    #[error("the account's blob quota is exceeded")]
    QuotaExceeded,
    /// An empty blob.
    #[error("the blob is empty")]
    Empty,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl BeginBlobError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::IdTaken => "id_conflict",
            Self::UnknownAccount => "not_found",
            Self::QuotaExceeded => "quota_exceeded",
            Self::Empty => "out_of_range",
            Self::Store(source) => source.code(),
        }
    }
}

/// The rows. Every method that changes something is one transaction, durable when it returns `Ok`.
#[async_trait]
pub trait BlobIndex: Send + Sync {
    /// Adds a row and charges the owner's quota. Repeating it unchanged returns the row as it stands.
    async fn begin_blob(&self, blob: NewBlob) -> Result<BlobRecord, BeginBlobError>;

    /// A row.
    async fn blob(&self, id: BlobId) -> Result<Option<BlobRecord>, StoreError>;

    /// Moves `received` from one value to another; `false` if it stood elsewhere or the blob is gone or complete.
    async fn advance_blob(&self, id: BlobId, from: u64, to: u64) -> Result<bool, StoreError>;

    /// Marks a blob complete; `false` if it is gone.
    async fn complete_blob(&self, id: BlobId) -> Result<bool, StoreError>;

    /// Removes a row and gives the quota back; the row, if there was one. Remove the bytes first.
    async fn remove_blob(&self, id: BlobId) -> Result<Option<BlobRecord>, StoreError>;

    /// Rows that expired at or before `now`, oldest first, at most `limit`.
    async fn expired_blobs(&self, now: UnixMillis, limit: usize) -> Result<Vec<BlobRecord>, StoreError>;
}
