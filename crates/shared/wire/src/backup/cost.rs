//! What a guess at an archive's secret costs, and which secret it is.

/// Which secret opens an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretKind {
    /// A passphrase of the user's. Such an archive holds no account key.
    Passphrase,
    /// A secret that was generated, of more than 77 bits.
    Generated,
}

impl SecretKind {
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Passphrase => 1,
            Self::Generated => 2,
        }
    }

    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passphrase => "passphrase",
            Self::Generated => "generated",
        }
    }
}

/// What one guess at the secret costs, by Argon2id (RFC 9106).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// A cost is out of its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CostError {
    /// Below the floor: somebody wants guessing to be cheap.
    #[error("the archive asks for less work than a guess must cost")]
    Weak,
    /// Over the ceiling: somebody wants the reader to run out of memory or time.
    #[error("the archive asks for more work than a device can be asked to do")]
    Costly,
}

impl Cost {
    /// 19 MiB and two passes: the smallest set that is commonly recommended.
    pub const FLOOR: Self = Self { memory_kib: 19 * 1024, passes: 2, lanes: 1 };
    /// The most memory: 256 MiB, which a phone of today can spare for a second.
    pub const MEMORY_KIB_MAX: u32 = 256 * 1024;
    /// The most passes.
    pub const PASSES_MAX: u32 = 24;
    /// The most lanes.
    pub const LANES_MAX: u32 = 4;

    /// Checks the cost against floor and ceiling.
    ///
    /// # Errors
    /// [`CostError`].
    pub const fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, CostError> {
        if memory_kib < Self::FLOOR.memory_kib || passes < Self::FLOOR.passes || lanes < Self::FLOOR.lanes {
            return Err(CostError::Weak);
        }
        if memory_kib > Self::MEMORY_KIB_MAX || passes > Self::PASSES_MAX || lanes > Self::LANES_MAX {
            return Err(CostError::Costly);
        }
        Ok(Self { memory_kib, passes, lanes })
    }

    /// Memory in KiB.
    #[must_use]
    pub const fn memory_kib(self) -> u32 {
        self.memory_kib
    }

    /// Passes over the memory.
    #[must_use]
    pub const fn passes(self) -> u32 {
        self.passes
    }

    /// Lanes.
    #[must_use]
    pub const fn lanes(self) -> u32 {
        self.lanes
    }
}
