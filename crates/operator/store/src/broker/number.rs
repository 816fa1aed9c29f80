//! Numbers: the newest countersigned mapping of each, those before it, and who waits for it.
//!
//! The broker has verified what comes in here. The store's part is the order: [`NumberStore::bind`] compares and swaps.

use async_trait::async_trait;
use bytes::Bytes;
use rcseal_wire::id::{AccountId, DeviceAddress, DeviceNumber, MappingHash};
use rcseal_wire::number::E164;

use super::audit::AuditEntry;
use super::claim::ClaimId;
use crate::{StoreError, UnixMillis};

/// Numbers of one account, those it waits for included: a person has a handful, a business a range of them.
pub const NUMBERS_PER_ACCOUNT_MAX: usize = 256;
/// Mappings kept of a number beside the newest: a renewal every month for five years.
pub const MAPPING_HISTORY_MAX: usize = 64;

/// A countersigned mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappingRecord {
    /// Its place in the number's chain.
    pub sequence: u64,
    /// Its hash.
    pub hash: MappingHash,
    /// The signed bytes.
    pub bytes: Bytes,
    /// The account.
    pub account: AccountId,
    /// The device to which what comes in goes.
    pub device: DeviceNumber,
    /// The key set that the statement names, without which the mapping cannot be verified.
    pub key_set: Bytes,
    /// When it must be renewed.
    pub expires_at: UnixMillis,
}

/// Somebody has shown that they receive at a number that another account has, and waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingRecord {
    /// Who.
    pub device: DeviceAddress,
    /// The signed statement that binds the number.
    pub statement: Bytes,
    /// The key set that it names.
    pub key_set: Bytes,
    /// When they asked.
    pub since: UnixMillis,
    /// When the account that has the number was told; the wait is counted from then.
    pub announced_at: Option<UnixMillis>,
    /// When there is something to do next: another notice, or the end of the wait.
    pub next_at: UnixMillis,
    /// When the wait ends at the soonest.
    pub effective_at: UnixMillis,
}

/// What is stored of a number that was ever bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberRecord {
    /// The newest mapping, also one that has expired or was given up.
    pub head: MappingRecord,
    /// Whether look-ups show it.
    pub discoverable: bool,
    /// The signed release by which the account gave it up.
    pub released: Option<Bytes>,
    /// When the operator was told that it moved to another carrier.
    pub ported_at: Option<UnixMillis>,
    /// Who waits for it.
    pub waiting: Option<WaitingRecord>,
    /// When the account is to be told that it must renew; `None` once it was.
    pub remind_at: Option<UnixMillis>,
}

/// A mapping is to take its place.
#[derive(Debug, Clone)]
pub struct Bind {
    /// Of which number.
    pub number: E164,
    /// The newest mapping's hash; `None` where there is none.
    pub previous: Option<MappingHash>,
    /// The new one.
    pub mapping: MappingRecord,
    /// The claim that is used up with it.
    pub claim: Option<ClaimId>,
    /// When the account is to be told that it must renew.
    pub remind_at: UnixMillis,
}

/// What binding did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    /// The mapping is the newest now.
    Now {
        /// The account that had the number before, where it is another one.
        replaced: Option<DeviceAddress>,
        /// Who has waited for it in vain.
        waited: Option<DeviceAddress>,
    },
    /// It was already, with these bytes: a repeated request, whose countersignature is of another moment. The stored one is the answer.
    Before(MappingRecord),
}

/// A mapping was refused; nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The newest mapping is another one.
    #[error("the newest mapping is another one")]
    Conflict,
    /// The claim is gone, or was used for another mapping.
    #[error("the claim is gone")]
    ClaimGone,
    /// The account has [`NUMBERS_PER_ACCOUNT_MAX`] numbers.
    #[error("the account has too many numbers")]
    TooMany,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl BindError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Conflict => "number_conflict",
            Self::ClaimGone => "claim_gone",
            Self::TooMany => "quota_exceeded",
            Self::Store(source) => source.code(),
        }
    }
}

/// Somebody begins to wait.
#[derive(Debug, Clone)]
pub struct Wait {
    /// For which number.
    pub number: E164,
    /// The newest mapping's hash.
    pub previous: MappingHash,
    /// Who, and with what.
    pub waiting: WaitingRecord,
}

/// Something about a number was refused; nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum NumberError {
    /// The number has no mapping, or it is not the one that was named, or nobody of that name waits.
    #[error("the number's state is another one")]
    Conflict,
    /// The account has [`NUMBERS_PER_ACCOUNT_MAX`] numbers.
    #[error("the account has too many numbers")]
    TooMany,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl NumberError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Conflict => "number_conflict",
            Self::TooMany => "quota_exceeded",
            Self::Store(source) => source.code(),
        }
    }
}

/// The numbers. Every method that changes something is one transaction, durable when it returns `Ok`.
#[async_trait]
pub trait NumberStore: Send + Sync {
    /// What is stored of a number; `None` where it was never bound.
    async fn number(&self, number: E164) -> Result<Option<NumberRecord>, StoreError>;

    /// The numbers of an account, and those it waits for.
    async fn numbers_of(&self, account: AccountId) -> Result<Vec<E164>, StoreError>;

    /// The mappings before the newest, oldest first.
    async fn mappings_before(&self, number: E164) -> Result<Vec<MappingRecord>, StoreError>;

    /// Puts a mapping in the place of the newest one, if that is the one it names. Whatever was said of the one before (given up, ported,
    /// waited for) ends.
    async fn bind(&self, bind: Bind) -> Result<Bound, BindError>;

    /// The account gives the number up. Whoever waits for it has waited long enough.
    async fn release(
        &self,
        number: E164,
        previous: MappingHash,
        release: Bytes,
        now: UnixMillis,
    ) -> Result<(), NumberError>;

    /// Shows the number to others, or hides it.
    async fn set_discoverable(&self, number: E164, account: AccountId, discoverable: bool) -> Result<(), NumberError>;

    /// Makes somebody wait. Of two who show that they receive at the number, the later one waits. Who has waited in vain.
    async fn wait(&self, wait: Wait) -> Result<Option<DeviceAddress>, NumberError>;

    /// The account that has the number was told: sets when, when to tell it again, and when the wait ends.
    async fn announced(
        &self,
        number: E164,
        waiting: AccountId,
        at: UnixMillis,
        next_at: UnixMillis,
        effective_at: UnixMillis,
    ) -> Result<(), NumberError>;

    /// Puts off what is to be done about somebody who waits.
    async fn put_off(&self, number: E164, waiting: AccountId, next_at: UnixMillis) -> Result<(), NumberError>;

    /// Ends a wait; `None` whoever's it is. Who waited.
    async fn end_waiting(&self, number: E164, waiting: Option<AccountId>) -> Result<Option<WaitingRecord>, StoreError>;

    /// The operator was told that the number moved to another carrier. Whoever waits for it has waited long enough.
    async fn port(&self, number: E164, entry: AuditEntry) -> Result<NumberRecord, NumberError>;

    /// The account was told that it must renew.
    async fn reminded(&self, number: E164, mapping: MappingHash) -> Result<(), StoreError>;

    /// Numbers about which something is to be done by now, the longest due first, at most `limit`.
    async fn due(&self, now: UnixMillis, limit: usize) -> Result<Vec<E164>, StoreError>;
}
