//! Storage of the server: the traits it sees its data through, and the engines behind them.
//!
//! One trait per noun ([`MailboxStore`], [`DirectoryStore`], [`AccountStore`], [`BlobIndex`], [`LinkStore`], [`SecretStore`],
//! [`TakeoverStore`], [`RetainedStore`], [`AuditStore`], [`PushStore`]), all of them together [`Store`]. A method is a whole operation with its atomicity stated, so that engines with
//! different transactions can keep the same promises; there is no raw get or put. [`FjallStore`] is the embedded engine. A broker's data is
//! [`BrokerStore`], on [`FjallBrokerStore`], in a folder of its own. [`Blobs`] keeps
//! the bytes of encrypted blobs in an object store beside their index.
//!
//! What every engine promises: what was answered `Ok` survives a crash and a power cut; an error says whether something may have been
//! written ([`StoreError::InDoubt`]); every operation may be repeated after an error.
//!
//! This crate reads no clock and draws no randomness: both are arguments.

pub mod account;
pub mod audit;
pub mod blob;
mod blobs;
pub mod broker;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod directory;
mod embedded;
mod error;
pub mod limits;
pub mod link;
pub mod mailbox;
pub mod push;
pub mod retained;
pub mod secret;
pub mod takeover;
mod time;

use async_trait::async_trait;

pub use account::{AccountRecord, AccountStore, InviteHash, Register, RegisterError};
pub use audit::AuditStore;
pub use blob::{BlobIndex, BlobRecord, BlobState, NewBlob};
pub use blobs::{BlobError, Blobs, ObjectsError};
pub use broker::BrokerStore;
pub use directory::{DeviceRecord, DirectoryStore, StoredKeySet, StoredPrekey};
pub use embedded::{FjallBrokerStore, FjallStore};
pub use error::StoreError;
pub use limits::StoreLimits;
pub use link::{LinkError, LinkStore};
pub use mailbox::{
    Authority, Enqueue, EnqueueOutcome, FetchLimit, Fetched, MailboxObserver, MailboxSeq, MailboxStore, Waiting,
};
pub use push::{NewPush, NextWakeUp, PushStore, PushTarget, RegisterPushError};
pub use retained::RetainedStore;
pub use secret::{SecretName, SecretStore};
pub use takeover::{ResetTicketHash, Takeover, TakeoverStore};
pub use time::UnixMillis;

/// Everything a server stores.
#[async_trait]
pub trait Store:
    MailboxStore
    + DirectoryStore
    + AccountStore
    + BlobIndex
    + LinkStore
    + SecretStore
    + TakeoverStore
    + RetainedStore
    + AuditStore
    + PushStore
{
    /// Whether the store takes writes now: writes a row and waits until it is durable.
    async fn check(&self) -> Result<(), StoreError>;

    /// Finishes what was accepted, makes it durable and refuses everything after.
    async fn close(&self);
}
