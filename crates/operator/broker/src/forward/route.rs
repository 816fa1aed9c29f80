//! Where what comes in for a number goes, and as which number a device writes.
//!
//! The answers come from mappings that the account has signed and the broker countersigned; this module asks and decides nothing. They are
//! asked for every message, because a number that was given up a moment ago is somebody else's from then on.

use async_trait::async_trait;
use rcseal_crypto::seal::SealingPublicKey;
use rcseal_store::StoreError;
use rcseal_wire::id::{DeviceAddress, MailboxId};
use rcseal_wire::number::E164;
use rcseal_wire::origin::Origin;
use rcseal_wire::token::DeliveryToken;

/// A device's mailbox, and the leave to put something into it.
pub(crate) struct Mailbox {
    /// The device.
    pub(crate) device: DeviceAddress,
    /// Its mailbox.
    pub(crate) mailbox: MailboxId,
    /// At which relay.
    pub(crate) relay: Origin,
    /// Opens it.
    pub(crate) token: DeliveryToken,
}

/// Where what comes in for a number goes.
pub(crate) struct Route {
    /// Where to.
    pub(crate) to: Mailbox,
    /// What is not an envelope is sealed to this.
    pub(crate) sealing_key: SealingPublicKey,
}

/// Who answers.
#[async_trait]
pub(crate) trait Routes: Send + Sync {
    /// The device to which a number is bound now; `None` where nobody has it here.
    async fn route(&self, number: &E164) -> Result<Option<Route>, StoreError>;

    /// A device's mailbox as it was told last; `None` where it is enrolled no more.
    async fn mailbox(&self, device: DeviceAddress) -> Result<Option<Mailbox>, StoreError>;

    /// Whether what a device sends may leave in the name of a number.
    async fn writes_as(&self, device: DeviceAddress, number: &E164) -> Result<bool, StoreError>;
}
