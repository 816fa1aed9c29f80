//! Accounts, devices and envelopes for tests.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use rcseal_crypto::hash::sha256;
use rcseal_wire::id::{
    AccountId, DeliveryTokenHash, DeviceAddress, DeviceNumber, EnvelopeId, KeySetCounter, KeySetHash, LinkId, MailboxId,
};

use crate::directory::StoredKeySet;
use crate::{Authority, Enqueue, Register, Store, UnixMillis};

/// The time at which scenarios begin.
pub(super) const START: UnixMillis = UnixMillis::new(1_800_000_000_000);
/// A time to live that no scenario outlasts by accident.
pub(super) const DAY_MILLIS: u64 = 24 * 3600 * 1000;

static NEXT: AtomicU64 = AtomicU64::new(1);

/// Bytes that no other call returns.
pub(super) fn unique() -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&sha256(&[b"fixture", &NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes()])[..16]);
    bytes
}

/// A registered account with one device.
#[derive(Debug, Clone, Copy)]
pub struct Fixture {
    pub account: AccountId,
    pub device: DeviceAddress,
    pub mailbox: MailboxId,
    pub token: DeliveryTokenHash,
}

impl Fixture {
    /// One that is not registered yet.
    #[must_use]
    pub fn new() -> Self {
        let account = AccountId::from_bytes(unique());
        Self {
            account,
            device: DeviceAddress { account, device: DeviceNumber::PRIMARY },
            mailbox: MailboxId::from_bytes(unique()),
            token: DeliveryTokenHash::from_bytes(sha256(&[&unique()])),
        }
    }

    /// Its registration.
    #[must_use]
    pub fn registration(&self) -> Register {
        Register {
            account: self.account,
            key_set: key_set(self.account, 1),
            device: self.device.device,
            mailbox: self.mailbox,
            delivery_tokens: vec![self.token],
            invite: None,
            now: START,
        }
    }

    pub async fn registered(store: &dyn Store) -> Self {
        let fixture = Self::new();
        store.register(fixture.registration()).await.expect("a fresh account registers");
        fixture
    }

    /// An envelope for it.
    #[must_use]
    pub fn envelope(&self, id: EnvelopeId, body: &[u8]) -> Enqueue {
        Enqueue {
            mailbox: self.mailbox,
            authority: Authority::Token(self.token),
            id,
            expires_at: START.plus_millis(DAY_MILLIS),
            envelope: Bytes::copy_from_slice(body),
        }
    }
}

impl Default for Fixture {
    fn default() -> Self {
        Self::new()
    }
}

/// A key set of an account: opaque bytes that depend on both.
pub(super) fn key_set(account: AccountId, counter: u64) -> StoredKeySet {
    let bytes = [&account.as_bytes()[..], &counter.to_be_bytes()].concat();
    StoredKeySet {
        counter: KeySetCounter::new(counter),
        hash: KeySetHash::from_bytes(sha256(&[&bytes])),
        bytes: bytes.into(),
    }
}

pub(super) fn envelope_id() -> EnvelopeId {
    EnvelopeId::from_bytes(unique())
}

pub(super) fn link_id() -> LinkId {
    LinkId::from_bytes(unique())
}

pub(super) fn device_number(number: u8) -> DeviceNumber {
    DeviceNumber::new(number).expect("1 to 127")
}
