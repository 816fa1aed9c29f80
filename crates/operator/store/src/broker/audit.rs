//! What the operator did to a number, by hand, and why: rows that are added and never changed, each with the hash of the one before.

use async_trait::async_trait;
use rcseal_wire::number::E164;

use crate::{StoreError, UnixMillis};

/// What is to be noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When.
    pub at: UnixMillis,
    /// What was done: a stable code.
    pub action: &'static str,
    /// To which number.
    pub number: E164,
    /// Why, in the operator's words.
    pub reason: String,
}

/// A noted entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// Its place, from 1 on.
    pub sequence: u64,
    /// When.
    pub at: UnixMillis,
    /// What was done.
    pub action: String,
    /// To which number.
    pub number: E164,
    /// Why.
    pub reason: String,
    /// SHA-256 over the label, the hash of the entry before (32 zero bytes for the first) and everything above.
    pub hash: [u8; 32],
}

/// The entries.
#[async_trait]
pub trait AuditStore: Send + Sync {
    /// Entries behind `after`, oldest first, at most `limit`. An entry whose hash does not follow from the one before is
    /// [`StoreError::Corrupt`].
    async fn audit(&self, after: u64, limit: usize) -> Result<Vec<AuditRecord>, StoreError>;
}
