//! Accounts that have shown themselves to the broker, and the devices that a number can be bound to.

use async_trait::async_trait;
use rcseal_wire::id::{AccountId, DeviceAddress, DeviceNumber, KeySetCounter, KeySetHash, MailboxId};
use rcseal_wire::origin::Origin;
use rcseal_wire::token::DeliveryToken;

use crate::{StoreError, StoredKeySet, UnixMillis};

/// A device of a key set, with the key it logs in with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedDevice {
    /// Its number.
    pub number: DeviceNumber,
    /// Its device-auth key.
    pub auth_key: [u8; 32],
}

/// An account's device enrols, or tells what has changed.
#[derive(Debug)]
pub struct Enrolment {
    /// Which device.
    pub device: DeviceAddress,
    /// Its mailbox at the relay.
    pub mailbox: MailboxId,
    /// The account's relay.
    pub relay: Origin,
    /// Opens the account's mailboxes.
    pub delivery_token: DeliveryToken,
    /// The key set that the relay has confirmed; in succession to the stored one, where there is one.
    pub key_set: StoredKeySet,
    /// Every device in it. Enrolled devices that are not in it, or have another key there, lose their enrolment.
    pub listed: Vec<ListedDevice>,
    /// When.
    pub now: UnixMillis,
}

/// An enrolment was refused; nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The stored key set is newer, or another one of the same counter.
    #[error("the stored key set is newer")]
    Stale,
    /// The key set does not list the device.
    #[error("the key set does not list the device")]
    NotListed,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl EnrolError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Stale => "key_set_rollback",
            Self::NotListed => "device_unknown",
            Self::Store(source) => source.code(),
        }
    }
}

/// An enrolled account.
#[derive(Debug)]
pub struct AccountEnrolment {
    /// Its relay.
    pub relay: Origin,
    /// Opens its mailboxes.
    pub delivery_token: DeliveryToken,
    /// The newest key set that the broker has seen.
    pub key_set: StoredKeySet,
    /// When the relay last confirmed it.
    pub refreshed_at: UnixMillis,
}

/// An enrolled device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnrolledDevice {
    /// Its mailbox at its account's relay.
    pub mailbox: MailboxId,
    /// The counter of the key set in which the broker first saw its device-auth key.
    pub added_at: KeySetCounter,
    /// The key it logs in with.
    pub auth_key: [u8; 32],
}

/// The enrolments. Every method that changes something is one transaction, durable when it returns `Ok`.
#[async_trait]
pub trait EnrolmentStore: Send + Sync {
    /// Enrols a device. Repeating it is `Ok`.
    async fn enrol(&self, enrolment: Enrolment) -> Result<EnrolledDevice, EnrolError>;

    /// The relay has answered: puts `key_set` in the place of the stored one whose hash is `expected`, and notes when. The same key set
    /// notes the time alone. Devices that are not listed any more lose their enrolment. `false` where the stored one is another by now.
    async fn refresh_key_set(
        &self,
        account: AccountId,
        expected: KeySetHash,
        key_set: StoredKeySet,
        listed: Vec<ListedDevice>,
        now: UnixMillis,
    ) -> Result<bool, StoreError>;

    /// What is stored of an account.
    async fn account_enrolment(&self, account: AccountId) -> Result<Option<AccountEnrolment>, StoreError>;

    /// What is stored of a device.
    async fn enrolled_device(&self, device: DeviceAddress) -> Result<Option<EnrolledDevice>, StoreError>;
}
