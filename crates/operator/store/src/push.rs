//! Push registrations: which push service wakes a device, and as what it knows the app there.
//!
//! A device has one registration or none. A registration ends with a new one, when the device ends it, and with the device. A token of a push
//! service names one app on one phone, so it belongs to the device that registered it last: whoever registers it elsewhere takes it along
//! ([`PushStore::register_push`]), and the device that had it has no registration any more. Each registration has a handle of its own,
//! which is what wake-ups carry, and counts its wake-ups.

use async_trait::async_trait;
use bytes::Bytes;
use rcseal_wire::api::push::{PushHandle, PushProvider, WakeUp};
use rcseal_wire::id::{DeviceAddress, MailboxId};

use crate::{StoreError, UnixMillis};

/// A device registers.
#[derive(Clone)]
pub struct NewPush {
    /// Which device.
    pub device: DeviceAddress,
    /// Whose push service.
    pub provider: PushProvider,
    /// What that service knows the app by.
    pub token: Bytes,
    /// The app at that service.
    pub app: String,
    /// Drawn for this registration.
    pub handle: PushHandle,
}

impl std::fmt::Debug for NewPush {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewPush").field("provider", &self.provider).finish_non_exhaustive()
    }
}

/// Where a wake-up goes, and what it says.
#[derive(Clone, PartialEq, Eq)]
pub struct PushTarget {
    /// Whose push service.
    pub provider: PushProvider,
    /// What that service knows the app by.
    pub token: Bytes,
    /// The app at that service.
    pub app: String,
    /// The wake-up itself.
    pub wake_up: WakeUp,
}

impl std::fmt::Debug for PushTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PushTarget").field("provider", &self.provider).finish_non_exhaustive()
    }
}

/// What to do about a mailbox in which something waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextWakeUp {
    /// Nothing: it is empty, its device has no registration, or there is no such mailbox.
    None,
    /// The device was woken a moment ago: not before this.
    NotBefore(UnixMillis),
    /// Wake it. It is counted as done.
    Now(PushTarget),
}

/// A device could not register.
#[derive(Debug, thiserror::Error)]
pub enum RegisterPushError {
    /// The device is not in its account's key set.
    #[error("the device is not known")]
    UnknownDevice,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl RegisterPushError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownDevice => "device_unknown",
            Self::Store(source) => source.code(),
        }
    }
}

/// Registrations. Every method that changes something is one transaction, durable when it returns `Ok`.
#[async_trait]
pub trait PushStore: Send + Sync {
    /// Makes this the device's registration, and takes the token from whatever device had it.
    async fn register_push(&self, push: NewPush) -> Result<(), RegisterPushError>;

    /// Ends a device's registration; with a handle only that one. `false` when there was none.
    async fn remove_push(&self, device: DeviceAddress, handle: Option<PushHandle>) -> Result<bool, StoreError>;

    /// Decides about a mailbox, and when the device is to be woken counts that: two wake-ups of one registration are `interval_millis` apart,
    /// also over a restart.
    async fn next_wake_up(
        &self,
        mailbox: MailboxId,
        now: UnixMillis,
        interval_millis: u64,
    ) -> Result<NextWakeUp, StoreError>;

    /// The device that a handle stands for now; `None` when it is nobody's, or one of an earlier registration. For a push service that says
    /// a token is dead.
    async fn registered_device(&self, mailbox: MailboxId) -> Result<Option<DeviceAddress>, StoreError>;

    /// Mailboxes of registered devices in which something waits, after a device and in the devices' order, looking at no more than `limit`
    /// registrations; and where to go on, if there is more.
    async fn waiting_pushes(
        &self,
        after: Option<DeviceAddress>,
        limit: usize,
    ) -> Result<(Vec<MailboxId>, Option<DeviceAddress>), StoreError>;
}
