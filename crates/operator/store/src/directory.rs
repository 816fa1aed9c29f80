//! The directory: signed key sets by account, and each device's prekeys.
//!
//! Key sets and prekeys are bytes here; the server verifies them before it stores them. The store's part is that counters only move by
//! one under concurrency, that a device dropped from the key set disappears with its mailbox, and that a one-time prekey is handed out
//! at most once.

use async_trait::async_trait;
use bytes::Bytes;
use rcseal_wire::id::{
    AccountId, DeliveryTokenHash, DeviceAddress, DeviceNumber, KeySetCounter, KeySetHash, MailboxId,
};

use crate::{StoreError, UnixMillis};

/// A verified key set as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKeySet {
    /// Its counter.
    pub counter: KeySetCounter,
    /// Its hash.
    pub hash: KeySetHash,
    /// Its signed bytes.
    pub bytes: Bytes,
}

/// The successor of an account's key set.
#[derive(Debug, Clone)]
pub struct PublishKeySet {
    /// Whose.
    pub account: AccountId,
    /// The hash of the key set that the new one was verified against; its counter is one below the new one's.
    pub previous: KeySetHash,
    /// The new one.
    pub key_set: StoredKeySet,
    /// Every device in it. Devices that are new get a row, those that are gone lose theirs with mailbox, envelopes and prekeys.
    pub devices: Vec<DeviceNumber>,
    /// When.
    pub now: UnixMillis,
}

/// What publishing changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Published {
    /// Devices that are new.
    pub added: Vec<DeviceNumber>,
    /// Devices that are gone, with the mailbox that went with each.
    pub removed: Vec<(DeviceNumber, Option<MailboxId>)>,
    /// Whether it ended a reset that was pending.
    pub reset_ended: bool,
}

/// A key set was not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// There is no such account.
    #[error("the account is not known")]
    UnknownAccount,
    /// The stored key set is not the predecessor: somebody else was first.
    #[error("the stored key set has counter {current}")]
    Conflict {
        /// The stored one's counter.
        current: KeySetCounter,
    },
    /// A device number that was retired came back.
    #[error("device number {device} was used before")]
    DeviceNumberReused {
        /// The number.
        device: DeviceNumber,
    },
    /// The key set is over [`crate::limits::KEY_SET_LEN_MAX`].
    #[error("the key set is too large")]
    TooLarge,
    /// The account's key sets together are over [`crate::StoreLimits::key_set_history_bytes_max`].
    #[error("the account has published too many key sets")]
    HistoryFull,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl PublishError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownAccount => "not_found",
            Self::Conflict { .. } => "key_set_conflict",
            Self::DeviceNumberReused { .. } => "key_set_invalid",
            Self::TooLarge => "too_large",
            Self::HistoryFull => "quota_exceeded",
            Self::Store(source) => source.code(),
        }
    }
}

/// A device as the directory knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRecord {
    /// Which.
    pub address: DeviceAddress,
    /// Its mailbox, once it has created one.
    pub mailbox: Option<MailboxId>,
    /// Whether it has uploaded a signed prekey and a last-resort KEM prekey, so that sessions with it can be started.
    pub reachable: bool,
    /// What is left of its one-time prekeys.
    pub prekeys: PrekeyCounts,
    /// The counter of the first key set that listed it. Numbers begin anew when an account is taken over; this tells two devices of the
    /// same number apart.
    pub added_at: KeySetCounter,
}

/// How many one-time prekeys are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PrekeyCounts {
    /// X25519 ones.
    pub one_time: u32,
    /// KEM ones.
    pub one_time_kem: u32,
}

/// A prekey: its id within device and kind, and its public bytes with whatever signature belongs to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPrekey {
    /// The id.
    pub id: u32,
    /// The bytes, opaque here.
    pub bytes: Bytes,
}

/// A prekey and when it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatedPrekey {
    /// The prekey.
    pub prekey: StoredPrekey,
    /// When it came; uploading the same one again does not change it.
    pub uploaded_at: UnixMillis,
}

/// The public keys of an account that are stored here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyMapRecord {
    /// The current key set's counter.
    pub counter: KeySetCounter,
    /// The current key set's hash.
    pub hash: KeySetHash,
    /// Its devices by number.
    pub devices: Vec<KeyMapDeviceRecord>,
    /// Numbers of devices that left since the account began, or was taken over.
    pub retired: Vec<DeviceNumber>,
}

/// A device in a [`KeyMapRecord`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyMapDeviceRecord {
    /// Number, mailbox and counts.
    pub record: DeviceRecord,
    /// Its signed prekey.
    pub signed: Option<DatedPrekey>,
    /// Its last-resort KEM prekey.
    pub last_resort: Option<DatedPrekey>,
    /// When one-time prekeys were last added.
    pub one_time_uploaded_at: Option<UnixMillis>,
}

/// A device's upload. What is `None` or empty stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UploadPrekeys {
    /// A new signed prekey.
    pub signed: Option<StoredPrekey>,
    /// A new last-resort KEM prekey.
    pub last_resort: Option<StoredPrekey>,
    /// One-time X25519 prekeys to append. Their ids rise for the life of the device: an id at or below the highest one ever uploaded is
    /// ignored, so that an upload repeated after a lost answer never brings a key back that was handed out meanwhile.
    pub one_time: Vec<StoredPrekey>,
    /// One-time KEM prekeys to append, under the same rule.
    pub one_time_kem: Vec<StoredPrekey>,
    /// Whether the one-time prekeys that are left are dropped first (after a device lost their secret halves).
    pub replace: bool,
}

/// What an upload did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Uploaded {
    /// What is there now.
    pub counts: PrekeyCounts,
    /// One-time prekeys that were ignored because of their id.
    pub ignored: u32,
}

/// An upload was refused as a whole.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The device is not in its account's key set.
    #[error("the device is not known")]
    UnknownDevice,
    /// A pool would exceed [`crate::limits::ONE_TIME_PREKEYS_MAX`].
    #[error("more than {limit} one-time prekeys of one kind")]
    PoolFull {
        /// The limit.
        limit: usize,
    },
    /// A prekey is over [`crate::limits::PREKEY_LEN_MAX`].
    #[error("a prekey is too large")]
    TooLarge,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl UploadError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownDevice => "device_unknown",
            Self::PoolFull { .. } => "out_of_range",
            Self::TooLarge => "too_large",
            Self::Store(source) => source.code(),
        }
    }
}

/// What a claim takes from the pools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// A one-time prekey of each kind, as far as there are any.
    OneTime,
    /// None: the limiter said no. The bundle holds the signed and the last-resort prekey only.
    LastResort,
}

/// What starts a session with a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedBundle {
    /// Where to send to.
    pub mailbox: Option<MailboxId>,
    /// The signed prekey.
    pub signed: StoredPrekey,
    /// The last-resort KEM prekey.
    pub last_resort: StoredPrekey,
    /// A one-time X25519 prekey, now nobody else's.
    pub one_time: Option<StoredPrekey>,
    /// A one-time KEM prekey, now nobody else's.
    pub one_time_kem: Option<StoredPrekey>,
    /// What is left.
    pub remaining: PrekeyCounts,
}

/// Delivery tokens were not set.
#[derive(Debug, thiserror::Error)]
pub enum SetTokensError {
    /// There is no such device, or another one has its number by now.
    #[error("the device is not known")]
    UnknownDevice,
    /// More than [`crate::limits::DELIVERY_TOKENS_MAX`].
    #[error("more than {limit} delivery tokens")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl SetTokensError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownDevice => "device_unknown",
            Self::TooMany { .. } => "out_of_range",
            Self::Store(source) => source.code(),
        }
    }
}

/// Key sets, devices, prekeys, delivery tokens. Every method that changes something is one transaction, durable when it returns `Ok`.
#[async_trait]
pub trait DirectoryStore: Send + Sync {
    /// Replaces an account's key set by its successor (compare-and-swap) and ends a pending reset. Repeating it with the same key set is
    /// `Ok`.
    async fn publish_key_set(&self, publish: PublishKeySet) -> Result<Published, PublishError>;

    /// An account's current key set.
    async fn key_set(&self, account: AccountId) -> Result<Option<StoredKeySet>, StoreError>;

    /// An account's key sets from a counter on, oldest first: who is behind checks every link. At most
    /// [`crate::limits::KEY_SETS_READ_MAX`] and [`crate::limits::KEY_SETS_READ_BYTES_MAX`], but one if there is one.
    async fn key_sets_from(&self, account: AccountId, from: KeySetCounter) -> Result<Vec<StoredKeySet>, StoreError>;

    /// A device, if it is in its account's key set.
    async fn device(&self, device: DeviceAddress) -> Result<Option<DeviceRecord>, StoreError>;

    /// An account's devices by number.
    async fn devices(&self, account: AccountId) -> Result<Vec<DeviceRecord>, StoreError>;

    /// Which public keys of an account are stored.
    async fn key_map(&self, account: AccountId) -> Result<Option<KeyMapRecord>, StoreError>;

    /// Stores a device's prekeys.
    async fn upload_prekeys(
        &self,
        device: DeviceAddress,
        upload: UploadPrekeys,
        now: UnixMillis,
    ) -> Result<Uploaded, UploadError>;

    /// Hands out what starts a session with a device. A one-time prekey is gone, durably, before anybody sees it; if the answer is lost
    /// the key is lost. `None`: no such device, or it has not uploaded its prekeys.
    async fn claim_bundle(&self, device: DeviceAddress, claim: Claim) -> Result<Option<ClaimedBundle>, StoreError>;

    /// Replaces the delivery tokens that open an account's mailboxes, for a device that the key set `added_at` brought and that is still
    /// there: one that was removed while its request was on its way does not shut the account's contacts out.
    async fn set_delivery_tokens(
        &self,
        device: DeviceAddress,
        added_at: KeySetCounter,
        tokens: Vec<DeliveryTokenHash>,
    ) -> Result<(), SetTokensError>;

    /// Whether a delivery token is among an account's active ones. An unknown account has none.
    async fn is_delivery_token(&self, account: AccountId, token: DeliveryTokenHash) -> Result<bool, StoreError>;
}
