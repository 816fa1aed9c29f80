//! Counters that outlive a restart: codes sent, codes guessed, numbers looked up. Whoever can make a broker restart gains no further try.
//!
//! A counter belongs to a kind and a key and runs for a window of time; keys are hashes, so that the rows name no address and no number.

use async_trait::async_trait;

use crate::{StoreError, UnixMillis};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QuotaKind {
    /// Codes sent to a number.
    CodesToNumber,
    /// Codes asked for by an account.
    CodesByAccount,
    /// Codes asked for from an address.
    CodesByAddress,
    /// Codes sent to a block of numbers.
    CodesToBlock,
    /// Codes sent at all.
    CodesAtAll,
    /// Wrong codes for a number.
    WrongCodes,
    /// Look-ups by an account.
    LookupsByAccount,
    /// Look-ups from an address.
    LookupsByAddress,
    /// Look-ups by an account that found nothing.
    LookupsInVain,
    /// Segments of SMS that a tenant's messages may become.
    SmsByTenant,
}

impl QuotaKind {
    /// Its byte in the store.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::CodesToNumber => 1,
            Self::CodesByAccount => 2,
            Self::CodesByAddress => 3,
            Self::CodesToBlock => 4,
            Self::CodesAtAll => 5,
            Self::WrongCodes => 6,
            Self::LookupsByAccount => 7,
            Self::LookupsByAddress => 8,
            Self::LookupsInVain => 9,
            Self::SmsByTenant => 10,
        }
    }
}

/// Who or what is counted, hashed.
pub type QuotaKey = [u8; 16];

/// So much of a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge {
    /// Of which.
    pub kind: QuotaKind,
    /// Whose.
    pub key: QuotaKey,
    /// How much; 0 asks whether anything is left.
    pub amount: u32,
    /// How much there is in one window.
    pub limit: u32,
    /// How long a window is, in seconds.
    pub window_seconds: u64,
}

/// A quota is used up; nothing was charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a quota is used up")]
pub struct Exhausted {
    /// Which.
    pub kind: QuotaKind,
    /// When its window ends.
    pub until: UnixMillis,
}

/// The counters. Every method that changes something is one transaction, durable when it returns `Ok`.
#[async_trait]
pub trait QuotaStore: Send + Sync {
    /// Charges all of them, or none.
    async fn charge(&self, charges: Vec<Charge>, now: UnixMillis) -> Result<Result<(), Exhausted>, StoreError>;

    /// Removes counters whose window is over, at most `budget`; how many.
    async fn expire_quotas(&self, now: UnixMillis, budget: usize) -> Result<usize, StoreError>;
}
