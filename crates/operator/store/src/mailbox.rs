//! Mailboxes: one queue of envelopes per device, and the four verbs enqueue, fetch, acknowledge, expire.
//!
//! An envelope is in one of three states: *waiting* (stored, may be fetched any number of times), *acknowledged* (its body is gone; its
//! id is remembered so that a repeated submission is recognised), *expired* (nothing is left). It is delivered at least once, in the
//! order in which the store accepted the envelopes of that mailbox, and never after it was acknowledged or expired.

use async_trait::async_trait;
use bytes::Bytes;
use rcseal_wire::id::{DeliveryTokenHash, DeviceAddress, EnvelopeId, MailboxId};

use crate::{StoreError, UnixMillis};

/// One envelope for one mailbox.
#[derive(Debug, Clone)]
pub struct Enqueue {
    /// Where to.
    pub mailbox: MailboxId,
    /// By whose leave.
    pub authority: Authority,
    /// Drawn fresh by the sender for this message and this mailbox.
    pub id: EnvelopeId,
    /// When it is dropped undelivered.
    pub expires_at: UnixMillis,
    /// What the server cannot read.
    pub envelope: Bytes,
}

/// Why an envelope may enter a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authority {
    /// The sender showed a delivery token with this hash: it must be among the active ones of the mailbox's account.
    Token(DeliveryTokenHash),
    /// The caller has decided already.
    Granted,
}

/// What became of one [`Enqueue`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnqueueOutcome {
    /// Durable.
    Stored,
    /// The same id with the same content was stored before, and may have been delivered since.
    Duplicate,
    /// The id was used in this mailbox for other content.
    IdConflict,
    /// There is no such mailbox.
    UnknownMailbox,
    /// The token is not one of the account's active ones.
    Forbidden,
    /// The mailbox holds as much as it may.
    QuotaExceeded,
    /// The envelope is over [`rcseal_wire::padding::ENVELOPE_LEN_MAX`].
    TooLarge,
    /// `expires_at` has passed.
    Expired,
}

/// A place in a mailbox's order. Meaningful only within that mailbox; never leaves the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MailboxSeq(u64);

impl MailboxSeq {
    /// Before the first envelope.
    pub const START: Self = Self(0);

    pub(crate) const fn new(seq: u64) -> Self {
        Self(seq)
    }

    pub(crate) const fn get(self) -> u64 {
        self.0
    }
}

/// An envelope that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its place.
    pub seq: MailboxSeq,
    /// Its id.
    pub id: EnvelopeId,
    /// When the store took it.
    pub received_at: UnixMillis,
    /// When it is dropped.
    pub expires_at: UnixMillis,
    /// Its body.
    pub envelope: Bytes,
}

/// How much one fetch may return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchLimit {
    /// Envelopes at most.
    pub envelopes: usize,
    /// Stop once this many bytes of bodies are collected (the last one may exceed it, so that something always comes).
    pub bytes: usize,
}

/// What one fetch returned.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fetched {
    /// In order.
    pub envelopes: Vec<Waiting>,
    /// Whether more wait behind the last one.
    pub more: bool,
}

/// What an acknowledgement did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AcknowledgeOutcome {
    /// Envelopes removed now.
    pub removed: u32,
    /// Ids that had been acknowledged before.
    pub repeated: u32,
    /// Ids that this mailbox never held, or that have expired.
    pub unknown: u32,
}

/// What one sweep of an expiry did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExpireOutcome {
    /// Envelopes that waited and were dropped.
    pub dropped: u64,
    /// Remembered ids that were forgotten.
    pub forgotten: u64,
    /// Whether the budget ran out before the work did.
    pub more: bool,
}

/// How full a mailbox is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MailboxUsage {
    /// Envelopes that wait.
    pub envelopes: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
}

/// A mailbox could not be created.
#[derive(Debug, thiserror::Error)]
pub enum CreateMailboxError {
    /// The device is not in its account's key set.
    #[error("the device is not known")]
    UnknownDevice,
    /// Another device has this id.
    #[error("the mailbox id is taken")]
    MailboxTaken,
    /// The device has another mailbox.
    #[error("the device has a mailbox")]
    HasMailbox,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl CreateMailboxError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownDevice => "device_unknown",
            Self::MailboxTaken => "mailbox_taken",
            Self::HasMailbox => "mailbox_exists",
            Self::Store(source) => source.code(),
        }
    }
}

/// The queues. Every method that changes something is one transaction, durable when it returns `Ok`, and may be repeated unchanged
/// after [`StoreError::InDoubt`].
#[async_trait]
pub trait MailboxStore: Send + Sync {
    /// Gives a known device its mailbox. Repeating it with the same id is `Ok`.
    async fn create_mailbox(&self, device: DeviceAddress, mailbox: MailboxId) -> Result<(), CreateMailboxError>;

    /// Stores envelopes, in order, each on its own: outcome *i* answers envelope *i*. Envelopes of one call and of concurrent calls
    /// share one disk flush. Observers hear of every mailbox that got something before this returns.
    async fn enqueue(&self, now: UnixMillis, envelopes: Vec<Enqueue>) -> Result<Vec<EnqueueOutcome>, StoreError>;

    /// Reads what waits behind `after`, in order. Never returns what is acknowledged, or expired at `now`. An unknown mailbox is empty.
    async fn fetch(
        &self,
        now: UnixMillis,
        mailbox: MailboxId,
        after: MailboxSeq,
        limit: FetchLimit,
    ) -> Result<Fetched, StoreError>;

    /// Removes envelopes by id, all in one transaction. Ids of other mailboxes are unknown here and stay untouched there.
    async fn acknowledge(&self, mailbox: MailboxId, ids: Vec<EnvelopeId>) -> Result<AcknowledgeOutcome, StoreError>;

    /// Drops what expired at or before `now`, at most `budget` entries.
    async fn expire(&self, now: UnixMillis, budget: usize) -> Result<ExpireOutcome, StoreError>;

    /// How full a mailbox is; `None` if there is none.
    async fn mailbox_usage(&self, mailbox: MailboxId) -> Result<Option<MailboxUsage>, StoreError>;

    /// Registers who is told that mailboxes got envelopes. Being told is a hint that may come late or twice: a fetch is the truth.
    fn observe(&self, observer: std::sync::Arc<dyn MailboxObserver>);
}

/// Hears of new envelopes after they are durable. Called on the engine's thread: it must return at once.
pub trait MailboxObserver: Send + Sync {
    /// These mailboxes got something (an id may repeat).
    fn stored(&self, mailboxes: &[MailboxId]);
}
