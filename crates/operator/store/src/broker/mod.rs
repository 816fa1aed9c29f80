//! Storage of a broker: who has enrolled, who claims which number, which account a number belongs to, and what may be asked how often.
//!
//! A broker's rows live in a folder of their own with a schema of their own ([`crate::FjallBrokerStore`]): it shares no mailbox, no account
//! and no credential with a relay, and a folder of one is refused by the other. What holds for every noun holds here: one method is one
//! transaction, durable when it returns `Ok`, and may be repeated after an error.
//!
//! The one promise that contacts rest on is [`NumberStore::bind`]: a number has one newest mapping, and a mapping takes its place only where
//! the one that it names as its predecessor is the newest. Two answers to one question, a fork, cannot come from a race or a crash.

mod audit;
pub mod business;
mod claim;
mod enrolment;
pub mod forward;
mod number;
mod quota;

use async_trait::async_trait;

pub use audit::{AuditEntry, AuditRecord, AuditStore};
pub use claim::{BeginClaim, BeginClaimError, Begun, ClaimId, ClaimRecord, ClaimStore, CodeMac, TryCode, TryCodeError};
pub use enrolment::{AccountEnrolment, EnrolError, EnrolledDevice, Enrolment, EnrolmentStore, ListedDevice};
pub use number::{
    Bind, BindError, Bound, MAPPING_HISTORY_MAX, MappingRecord, NUMBERS_PER_ACCOUNT_MAX, NumberError, NumberRecord,
    NumberStore, Wait, WaitingRecord,
};
pub use quota::{Charge, Exhausted, QuotaKey, QuotaKind, QuotaStore};

use crate::{SecretStore, StoreError};

/// Everything a broker stores.
#[async_trait]
pub trait BrokerStore:
    EnrolmentStore
    + ClaimStore
    + NumberStore
    + QuotaStore
    + AuditStore
    + SecretStore
    + forward::ForwardStore
    + business::BusinessStore
{
    /// Whether the store takes writes now: writes a row and waits until it is durable.
    async fn check(&self) -> Result<(), StoreError>;

    /// Finishes what was accepted, makes it durable and refuses everything after.
    async fn close(&self);
}
