//! What a broker keeps of business traffic: messages and how they stand, events of providers that were seen, and what each tenant is to
//! be told.
//!
//! What a message's row says is the broker's business; the store keeps its revision, so that two things that happen to a message at once
//! happen one after the other, and it keeps the row, the provider's event and the tenant's entry together or not at all.

use async_trait::async_trait;
use bytes::Bytes;

use crate::{StoreError, UnixMillis};

/// Bytes of a tenant's name.
pub const TENANT_LEN_MAX: usize = 32;
/// Bytes of a message's row: the longest text and card, with room.
pub const MESSAGE_ROW_LEN_MAX: usize = 64 * 1024;
/// Bytes of an entry for a tenant.
pub const FEED_ENTRY_LEN_MAX: usize = 32 * 1024;
/// Entries kept for one tenant. Beyond them the oldest go.
pub const FEED_LEN_MAX: u64 = 100_000;
/// Bytes of a gateway's id.
pub const GATEWAY_ID_LEN_MAX: usize = 64;

/// Names a message: ids are the tenant's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageKey {
    /// Whose it is: at most [`TENANT_LEN_MAX`] bytes.
    pub tenant: String,
    /// Its id.
    pub id: [u8; 16],
}

/// A message as it stands.
#[derive(Clone, PartialEq, Eq)]
pub struct MessageRecord {
    /// Goes up with every change.
    pub revision: u64,
    /// When there is something to do.
    pub due_at: Option<UnixMillis>,
    /// What the broker wrote.
    pub row: Bytes,
}

impl std::fmt::Debug for MessageRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MessageRecord(revision {}, {} bytes)", self.revision, self.row.len())
    }
}

/// A message that is to be sent.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// Which.
    pub key: MessageKey,
    /// Over everything that the tenant asked for.
    pub digest: [u8; 16],
    /// Its row.
    pub row: Bytes,
    /// When there is something to do.
    pub due_at: Option<UnixMillis>,
    /// When it is forgotten.
    pub expires_at: UnixMillis,
}

/// What became of a [`NewMessage`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewMessageOutcome {
    /// It is there now.
    Stored,
    /// It was there before.
    Present(MessageRecord),
    /// The id was used for something else.
    Conflict,
}

/// A change of a message.
#[derive(Debug, Clone)]
pub struct MessageChange {
    /// Of which.
    pub key: MessageKey,
    /// The revision that was read.
    pub revision: u64,
    /// The new row.
    pub row: Bytes,
    /// When there is something to do.
    pub due_at: Option<UnixMillis>,
}

/// Something for a tenant to read.
#[derive(Debug, Clone)]
pub struct FeedEntry {
    /// For whom.
    pub tenant: String,
    /// What.
    pub entry: Bytes,
    /// When it is forgotten.
    pub expires_at: UnixMillis,
}

/// Things that become true together.
#[derive(Debug, Clone, Default)]
pub struct BusinessChange {
    /// A provider's event that must not have been seen, and until when it is remembered.
    pub event: Option<([u8; 32], UnixMillis)>,
    /// A message that changes.
    pub message: Option<MessageChange>,
    /// What the tenant is told.
    pub feed: Option<FeedEntry>,
    /// Ids under which an SMS gateway will report on a message.
    pub links: Vec<(Bytes, MessageKey, UnixMillis)>,
}

/// What became of a [`BusinessChange`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeOutcome {
    /// All of it.
    Done,
    /// None of it: the event was seen before.
    KnownEvent,
    /// None of it: the message has another revision by now.
    Stale,
}

/// Where a walk through what is due stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuePlace(pub(crate) Vec<u8>);

/// Business traffic. Every method that changes something is one transaction, durable when it returns `Ok`, and may be repeated unchanged
/// after an error.
#[async_trait]
pub trait BusinessStore: Send + Sync {
    /// Keeps a message that is to be sent.
    async fn new_message(&self, message: NewMessage) -> Result<NewMessageOutcome, StoreError>;

    /// A message as it stands.
    async fn message(&self, key: MessageKey) -> Result<Option<MessageRecord>, StoreError>;

    /// Makes it all true, or none of it.
    async fn change(&self, change: BusinessChange) -> Result<ChangeOutcome, StoreError>;

    /// Messages with something to do at or before `before`, in order of time, behind `after`.
    async fn due_messages(
        &self,
        before: UnixMillis,
        after: Option<DuePlace>,
        budget: usize,
    ) -> Result<Vec<(DuePlace, MessageKey, MessageRecord)>, StoreError>;

    /// Which message an SMS gateway's id stands for.
    async fn linked(&self, gateway_id: Bytes) -> Result<Option<MessageKey>, StoreError>;

    /// What a tenant is to be told, behind `after`: the sequence and the entry.
    async fn feed(&self, tenant: String, after: u64, budget: usize) -> Result<Vec<(u64, Bytes)>, StoreError>;

    /// Forgets what is over at `now`, at most `budget` of each kind. Answers how many were forgotten.
    async fn expire_business(&self, now: UnixMillis, budget: usize) -> Result<usize, StoreError>;
}
