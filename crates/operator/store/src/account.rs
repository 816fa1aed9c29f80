//! Accounts and the invites that admit them.

use async_trait::async_trait;
use rcseal_wire::id::{AccountId, DeliveryTokenHash, DeviceNumber, KeySetCounter, MailboxId};

use crate::directory::StoredKeySet;
use crate::{StoreError, UnixMillis};

/// SHA-256 of an invite code, under whatever label the server hashes it with: the code itself is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InviteHash([u8; 32]);

impl InviteHash {
    /// Wraps a hash.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A new account with its first key set and its first device.
#[derive(Debug, Clone)]
pub struct Register {
    /// Its id.
    pub account: AccountId,
    /// Its verified first key set.
    pub key_set: StoredKeySet,
    /// Its first device.
    pub device: DeviceNumber,
    /// That device's mailbox.
    pub mailbox: MailboxId,
    /// Its delivery tokens, possibly none yet.
    pub delivery_tokens: Vec<DeliveryTokenHash>,
    /// The invite to use up, if admission wants one.
    pub invite: Option<InviteHash>,
    /// When.
    pub now: UnixMillis,
}

/// An account was not registered.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The id is taken by an account with another first key set.
    #[error("the account exists")]
    AccountExists,
    /// Another device has the mailbox id.
    #[error("the mailbox id is taken")]
    MailboxTaken,
    /// The invite is unknown, used or expired.
    #[error("the invite is not valid")]
    InviteRefused,
    /// More than [`crate::limits::DELIVERY_TOKENS_MAX`] tokens.
    #[error("too many delivery tokens")]
    TooManyTokens,
    /// The key set is over [`crate::limits::KEY_SET_LEN_MAX`].
    #[error("the key set is too large")]
    TooLarge,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl RegisterError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::AccountExists => "account_exists",
            Self::MailboxTaken => "mailbox_taken",
            Self::InviteRefused => "admission_refused",
            Self::TooManyTokens => "out_of_range",
            Self::TooLarge => "too_large",
            Self::Store(source) => source.code(),
        }
    }
}

/// An account as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRecord {
    /// When it was registered.
    pub created_at: UnixMillis,
    /// Its current key set's counter.
    pub counter: KeySetCounter,
    /// Hashes of its active delivery tokens.
    pub delivery_tokens: Vec<DeliveryTokenHash>,
    /// Bytes of its blobs.
    pub blob_bytes: u64,
}

/// An invite was not added.
#[derive(Debug, thiserror::Error)]
pub enum AddInviteError {
    /// There are [`crate::limits::INVITES_MAX`] of them.
    #[error("too many unused invites")]
    TooMany,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl AddInviteError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooMany => "out_of_range",
            Self::Store(source) => source.code(),
        }
    }
}

/// Accounts and invites. Every method that changes something is one transaction, durable when it returns `Ok`.
#[async_trait]
pub trait AccountStore: Send + Sync {
    /// Creates account, key set, device, mailbox and tokens, and uses up the invite, all or nothing. Repeating it with the same key set
    /// and mailbox is `Ok`, invite or not: the first attempt's answer may have been lost.
    async fn register(&self, register: Register) -> Result<(), RegisterError>;

    /// An account.
    async fn account(&self, account: AccountId) -> Result<Option<AccountRecord>, StoreError>;

    /// Removes an account: key sets, devices, mailboxes, prekeys, tokens. Whether there was one. Its blobs stay until they expire; its id
    /// can be registered anew.
    async fn remove_account(&self, account: AccountId) -> Result<bool, StoreError>;

    /// Adds an invite that admits one account until `expires_at`. Repeating it changes nothing.
    async fn add_invite(
        &self,
        invite: InviteHash,
        expires_at: UnixMillis,
        now: UnixMillis,
    ) -> Result<(), AddInviteError>;
}
