//! Rendezvous for linking a device: numbered, write-once messages that two devices leave for each other under an unguessable id.
//!
//! Nobody is logged in here; what is written is encrypted between the two devices. A rendezvous lives ten minutes, and there is a cap on
//! how many live at a time.

use async_trait::async_trait;
use bytes::Bytes;
use rcseal_wire::id::LinkId;

use crate::{StoreError, UnixMillis};

/// Something about a rendezvous was refused.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The id was opened before.
    #[error("the rendezvous exists")]
    Exists,
    /// There is none with this id, or its time is over.
    #[error("the rendezvous is not known")]
    Unknown,
    /// The slot holds another message.
    #[error("the slot is taken")]
    SlotTaken,
    /// There is no slot with this number.
    #[error("there is no such slot")]
    NoSuchSlot,
    /// The message is over [`crate::limits::LINK_MESSAGE_LEN_MAX`].
    #[error("the message is too large")]
    TooLarge,
    /// Too many are open.
    #[error("too many rendezvous are open")]
    TooMany,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl LinkError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Exists | Self::SlotTaken => "id_conflict",
            Self::Unknown => "not_found",
            Self::NoSuchSlot => "out_of_range",
            Self::TooLarge => "too_large",
            Self::TooMany => "rate_limited",
            Self::Store(source) => source.code(),
        }
    }
}

/// The rendezvous. Every method that changes something is one transaction, durable when it returns `Ok`.
#[async_trait]
pub trait LinkStore: Send + Sync {
    /// Opens a rendezvous and returns when it ends.
    async fn open_link(&self, link: LinkId, now: UnixMillis) -> Result<UnixMillis, LinkError>;

    /// Leaves a message in a slot (0 to [`crate::limits::LINK_SLOTS`] - 1). Repeating the same message is `Ok`.
    async fn put_link_message(&self, link: LinkId, slot: u8, message: Bytes, now: UnixMillis) -> Result<(), LinkError>;

    /// Reads a slot; `None` while it is empty.
    async fn link_message(&self, link: LinkId, slot: u8, now: UnixMillis) -> Result<Option<Bytes>, LinkError>;

    /// Removes those whose time is over, at most `budget`; how many.
    async fn expire_links(&self, now: UnixMillis, budget: usize) -> Result<usize, StoreError>;
}
