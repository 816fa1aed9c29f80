//! Messages that the server can read: sealed to a key of the operator's, kept for as long as their retention class says.
//!
//! A message is in one of two states: *kept* (its recipient's devices may read it any number of times) and *expired* (nothing is left).
//! Nobody can end the first state early, neither its recipient nor its sender nor the removal of an account: how long it is kept was said when
//! it was taken. The store holds ciphertext; which key opens it is in [`ServerKeyRecord`], and the key itself is nowhere here.

use async_trait::async_trait;
use bytes::Bytes;
use rcseal_wire::id::{AccountId, DeviceAddress, KeySetCounter, RetainedId, ServerKeyId};

use crate::{StoreError, UnixMillis};

/// A message on its way in.
#[derive(Debug, Clone)]
pub struct NewRetained {
    /// The recipient.
    pub to: AccountId,
    /// Who is logged in.
    pub from: DeviceAddress,
    /// Chosen by the sender.
    pub id: RetainedId,
    /// What it is sealed to.
    pub key: ServerKeyId,
    /// Its retention class.
    pub class: String,
    /// Where the key is.
    pub region: String,
    /// Encapsulation, ciphertext, tag.
    pub sealed: Bytes,
    /// When it came.
    pub now: UnixMillis,
    /// When it is removed.
    pub expires_at: UnixMillis,
}

/// What became of a [`NewRetained`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retained {
    /// Its place among the recipient's messages, from 1.
    pub sequence: u64,
    /// When it is removed.
    pub expires_at: UnixMillis,
    /// Whether it was not there before.
    pub is_new: bool,
}

/// Why a message is not kept.
#[derive(Debug, thiserror::Error)]
pub enum RetainError {
    /// The id was used for another message.
    #[error("the id was used for another message")]
    IdConflict,
    /// There is no such account.
    #[error("the recipient is not known")]
    UnknownRecipient,
    /// The recipient has as much kept for it as it may.
    #[error("the recipient's quota is used up")]
    QuotaExceeded,
    /// Over [`rcseal_wire::api::retained::RETAINED_SEALED_LEN_MAX`].
    #[error("the message is too large")]
    TooLarge,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl RetainError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::IdConflict => "id_conflict",
            Self::UnknownRecipient => "forbidden",
            Self::QuotaExceeded => "quota_exceeded",
            Self::TooLarge => "too_large",
            Self::Store(source) => source.code(),
        }
    }
}

/// A kept message without what was sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetainedEntry {
    /// The recipient.
    pub to: AccountId,
    /// Its place among the recipient's messages.
    pub sequence: u64,
    /// The sender's id of it.
    pub id: RetainedId,
    /// Who sent it.
    pub from: DeviceAddress,
    /// What it is sealed to.
    pub key: ServerKeyId,
    /// Its retention class.
    pub class: String,
    /// Where the key was when it came.
    pub region: String,
    /// When it came.
    pub sent_at: UnixMillis,
    /// When it is removed.
    pub expires_at: UnixMillis,
    /// The counter of the recipient's key set when it came.
    pub counter: KeySetCounter,
    /// Bytes of what was sealed.
    pub sealed_len: usize,
}

/// A kept message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetainedRecord {
    /// About it.
    pub entry: RetainedEntry,
    /// Encapsulation, ciphertext, tag.
    pub sealed: Bytes,
}

/// Some of a recipient's messages, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetainedRecords {
    /// They.
    pub records: Vec<RetainedRecord>,
    /// Whether there are others after the last one.
    pub more: bool,
}

/// How much to read at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetainedLimit {
    /// Messages.
    pub messages: usize,
    /// Bytes of what was sealed; the first message comes whatever its length.
    pub bytes: usize,
}

/// A key that messages are, or were, sealed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerKeyRecord {
    /// Its name in the hardware module.
    pub label: String,
    /// Names it everywhere else.
    pub id: ServerKeyId,
    /// P-256, uncompressed.
    pub public_key: Bytes,
    /// Where it is.
    pub region: String,
    /// When the server first used it.
    pub adopted_at: UnixMillis,
}

/// Kept messages and the keys that they are sealed to. Every method that changes something is one transaction, durable when it returns `Ok`.
#[async_trait]
pub trait RetainedStore: Send + Sync {
    /// Keeps a message. Repeating the same one is `Ok` and says what was said before.
    async fn retain(&self, message: NewRetained) -> Result<Retained, RetainError>;

    /// The messages of a recipient after `after` that have not expired, and that came when its key set had reached the counter `since`: a device
    /// reads what came since it was listed, so that whoever takes an account over does not take over what was said before.
    async fn retained(
        &self,
        now: UnixMillis,
        to: AccountId,
        since: KeySetCounter,
        after: u64,
        limit: RetainedLimit,
    ) -> Result<RetainedRecords, StoreError>;

    /// The sequence of the newest message that a recipient ever had, if any is kept for it.
    async fn newest_retained(&self, to: AccountId) -> Result<Option<u64>, StoreError>;

    /// The message of this id, if it has not expired.
    async fn retained_message(&self, now: UnixMillis, id: RetainedId) -> Result<Option<RetainedRecord>, StoreError>;

    /// Every message that has not expired, by recipient and sequence, after this place; at most `limit`.
    async fn list_retained(
        &self,
        now: UnixMillis,
        after: Option<(AccountId, u64)>,
        limit: usize,
    ) -> Result<Vec<RetainedEntry>, StoreError>;

    /// Removes those that have expired, at most `budget`; how many.
    async fn expire_retained(&self, now: UnixMillis, budget: usize) -> Result<usize, StoreError>;

    /// Remembers which key has this label, unless another one has had it: what is remembered is the answer.
    async fn adopt_server_key(&self, key: ServerKeyRecord) -> Result<ServerKeyRecord, StoreError>;

    /// The key that was adopted under a label.
    async fn server_key_of(&self, label: String) -> Result<Option<ServerKeyRecord>, StoreError>;

    /// A key that was adopted.
    async fn server_key(&self, id: ServerKeyId) -> Result<Option<ServerKeyRecord>, StoreError>;
}
