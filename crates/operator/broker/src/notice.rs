//! Telling an account's device what happens to one of its numbers, by its mailbox.

use std::fmt;

use async_trait::async_trait;
use rcseal_crypto::seal::SealingPublicKey;
use rcseal_wire::api::broker::BrokerNotice;
use rcseal_wire::id::{DeviceAddress, MailboxId};
use rcseal_wire::origin::Origin;
use rcseal_wire::token::DeliveryToken;

/// Where a notice goes.
pub struct NoticeTarget {
    /// The device.
    pub device: DeviceAddress,
    /// Its mailbox.
    pub mailbox: MailboxId,
    /// At which relay.
    pub relay: Origin,
    /// Opens it.
    pub delivery_token: DeliveryToken,
    /// The notice is sealed to this.
    pub sealing_key: SealingPublicKey,
}

impl fmt::Debug for NoticeTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NoticeTarget")
    }
}

/// What the relay made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeTaken {
    /// It is in the mailbox.
    Taken,
    /// The mailbox is gone, or the token opens it no more: no later attempt will do better. Somebody who takes the broker's leave away
    /// cannot keep a number by that.
    Refused,
}

/// Nobody knows; try again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the notice could not be sent now: {code}")]
pub struct NoticeFailure {
    /// A stable code.
    pub code: &'static str,
}

/// The way into mailboxes. A test has one of its own.
#[async_trait]
pub trait NoticeSender: Send + Sync + 'static {
    /// Seals a notice and puts it into a mailbox.
    async fn send(&self, to: &NoticeTarget, notice: &BrokerNotice) -> Result<NoticeTaken, NoticeFailure>;
}
