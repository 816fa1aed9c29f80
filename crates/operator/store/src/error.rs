//! What can go wrong below every operation: the engine, not the request.
//!
//! Refusals that belong to a request (a taken id, a full mailbox) are in the error or outcome type of that operation; those that carry
//! a [`StoreError`] hold it as their source.

/// A storage engine could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The engine is recovering or overloaded. Nothing was written: try again.
    #[error("the store is unavailable")]
    Unavailable,
    /// The disk is full, or nearly. Nothing was written.
    #[error("the store's disk is full")]
    Full,
    /// The engine failed in the middle. The operation may or may not have taken effect; every operation may be repeated as it was.
    #[error("the store failed and the outcome is not known")]
    InDoubt(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A read failed. Nothing was written.
    #[error("the store could not be read")]
    Read(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A stored row is not what this version writes.
    #[error("a stored row of {space} is corrupt")]
    Corrupt {
        /// Which kind of row.
        space: &'static str,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// The store could not be opened.
    #[error("the store could not be opened")]
    Open(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unavailable => "store_unavailable",
            Self::Full => "store_full",
            Self::InDoubt(_) => "store_in_doubt",
            Self::Read(_) => "store_read",
            Self::Corrupt { .. } => "store_corrupt",
            Self::Closed => "store_closed",
            Self::Open(_) => "store_open",
        }
    }
}
