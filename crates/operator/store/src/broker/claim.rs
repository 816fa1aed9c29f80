//! Claims: somebody says that they receive at a number, and has ten minutes and a few tries to show it with the code that was sent there.
//!
//! The code itself is not stored; the broker hands over a keyed hash of it and compares that. A try is counted before it is answered.

use async_trait::async_trait;
use rcseal_crypto::ct_eq;
use rcseal_wire::id::{DeviceAddress, MappingHash};
use rcseal_wire::number::E164;

use super::quota::{Charge, Exhausted};
use crate::{StoreError, UnixMillis};

/// Names a claim. Random.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClaimId([u8; 16]);

impl ClaimId {
    /// Wraps the bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// A keyed hash of a code, of the claim and of the number that it was sent to.
#[derive(Clone, Copy)]
pub struct CodeMac([u8; 32]);

impl CodeMac {
    /// Wraps a keyed hash.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for the engine.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for CodeMac {
    fn eq(&self, other: &Self) -> bool {
        ct_eq(&self.0, &other.0)
    }
}

impl Eq for CodeMac {}

impl std::fmt::Debug for CodeMac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CodeMac")
    }
}

/// Somebody asks for a code.
#[derive(Debug, Clone)]
pub struct BeginClaim {
    /// The id, in case this begins a claim; a live one of the same device for the same number goes on under its own.
    pub id: ClaimId,
    /// Who asks.
    pub device: DeviceAddress,
    /// For which number.
    pub number: E164,
    /// Wrong codes that a claim allows, over all codes sent for it.
    pub tries_max: u8,
    /// Seconds to wait after the first code, the second, and so on; after as many codes there is no further one for this claim.
    pub resend_after_seconds: Vec<u64>,
    /// Until when the code is good.
    pub expires_at: UnixMillis,
    /// What sending a code uses up.
    pub charges: Vec<Charge>,
    /// When.
    pub now: UnixMillis,
}

/// A code is to be sent now. Its hash is stored by [`ClaimStore::set_code`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begun {
    /// The claim.
    pub id: ClaimId,
    /// Until when the code is good.
    pub expires_at: UnixMillis,
    /// When another one may be asked for.
    pub resend_at: UnixMillis,
}

/// No code is to be sent; nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum BeginClaimError {
    /// The last code is too young.
    #[error("a code was sent a moment ago")]
    TooSoon {
        /// When to ask again.
        until: UnixMillis,
    },
    /// A limit is used up.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl BeginClaimError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooSoon { .. } | Self::Exhausted(_) => "rate_limited",
            Self::Store(source) => source.code(),
        }
    }
}

/// A claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRecord {
    /// Its id.
    pub id: ClaimId,
    /// Whose.
    pub device: DeviceAddress,
    /// For which number.
    pub number: E164,
    /// Until when the code, or what it has shown, is good.
    pub expires_at: UnixMillis,
    /// Whether the code was right.
    pub is_verified: bool,
    /// What the claim was used for: it is good for that again and for nothing else.
    pub used_for: Option<MappingHash>,
}

/// Somebody shows a code.
#[derive(Debug, Clone)]
pub struct TryCode {
    /// For which claim.
    pub id: ClaimId,
    /// Who. Another device's claim is unknown.
    pub device: DeviceAddress,
    /// What they typed, hashed.
    pub code: CodeMac,
    /// How long a right code is remembered.
    pub verified_until: UnixMillis,
    /// What a wrong code uses up beside the claim's tries. When that is used up the claim ends.
    pub wrong: Charge,
    /// When.
    pub now: UnixMillis,
}

/// A code was refused. The try is counted.
#[derive(Debug, thiserror::Error)]
pub enum TryCodeError {
    /// There is no such claim, it is another device's, it has expired, or its tries are used up.
    #[error("there is no such claim any more")]
    Unknown,
    /// The code is wrong.
    #[error("the code is wrong")]
    Wrong {
        /// Tries left; at 0 the claim is gone.
        left: u8,
    },
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl TryCodeError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "claim_gone",
            Self::Wrong { .. } => "code_refused",
            Self::Store(source) => source.code(),
        }
    }
}

/// The claims. Every method that changes something is one transaction, durable when it returns `Ok`.
#[async_trait]
pub trait ClaimStore: Send + Sync {
    /// Begins a claim, or goes on with the live one of the same device for the same number. No code of before is good any more.
    async fn begin_claim(&self, begin: BeginClaim) -> Result<Begun, BeginClaimError>;

    /// Stores the hash of the code that is about to be sent. `false` where the claim is gone.
    async fn set_code(&self, id: ClaimId, code: CodeMac) -> Result<bool, StoreError>;

    /// The number that a device's claim is about; `None` where there is no such claim.
    async fn claimed_number(&self, id: ClaimId, device: DeviceAddress) -> Result<Option<E164>, StoreError>;

    /// Counts a try and says whether it was right. A claim that is verified takes any code.
    async fn try_code(&self, attempt: TryCode) -> Result<ClaimRecord, TryCodeError>;

    /// Removes claims that are over, at most `budget`; how many.
    async fn expire_claims(&self, now: UnixMillis, budget: usize) -> Result<usize, StoreError>;
}
