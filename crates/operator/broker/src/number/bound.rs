//! To which device a number is bound now.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use rcseal_crypto::seal::SealingPublicKey;
use rcseal_front::clock::Clock;
use rcseal_store::broker::forward::BoundNumber;
use rcseal_store::broker::{AccountEnrolment, NumberRecord};
use rcseal_store::{BrokerStore, StoreError, UnixMillis};
use rcseal_wire::id::{DeviceAddress, DeviceNumber, KeySetHash};
use rcseal_wire::number::E164;

use crate::enrolment::read_verified;
use crate::forward::route::{Mailbox, Route, Routes};
use crate::notice::NoticeTarget;

/// Keys kept in memory: 1,216 bytes each.
const KEYS_MAX: usize = 16 * 1024;

/// Whether a number's mapping counts: it has not expired, nobody has given it up, and the number has not moved.
pub(crate) fn is_in_force(record: &NumberRecord, now: UnixMillis) -> bool {
    record.head.expires_at > now && record.released.is_none() && record.ported_at.is_none()
}

/// Sealing keys that were read out of key sets before: every message that is forwarded needs one, and parsing a key set takes longer than
/// everything else about it.
#[derive(Default)]
pub(crate) struct SealingKeys(Mutex<HashMap<(KeySetHash, DeviceNumber), Arc<SealingPublicKey>>>);

impl SealingKeys {
    /// The device's key in the account's newest key set; `None` where it is not listed any more.
    pub(crate) fn of(
        &self,
        account: &AccountEnrolment,
        device: DeviceNumber,
    ) -> Result<Option<SealingPublicKey>, StoreError> {
        let place = (account.key_set.hash, device);
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = lock().get(&place) {
            return Ok(Some(SealingPublicKey::clone(key)));
        }
        let key_set = read_verified(&account.key_set.bytes)?;
        let Some(key) = key_set.device(device).map(|entry| entry.sealing_key().clone()) else { return Ok(None) };
        let mut keys = lock();
        if keys.len() >= KEYS_MAX {
            keys.clear();
        }
        keys.insert(place, Arc::new(key.clone()));
        Ok(Some(key))
    }
}

/// Where a device's notices go; `None` where it is enrolled no more.
pub(super) async fn notice_target(
    store: &dyn BrokerStore,
    keys: &SealingKeys,
    device: DeviceAddress,
) -> Result<Option<NoticeTarget>, StoreError> {
    let Some(account) = store.account_enrolment(device.account).await? else { return Ok(None) };
    let Some(enrolled) = store.enrolled_device(device).await? else { return Ok(None) };
    let Some(sealing_key) = keys.of(&account, device.device)? else { return Ok(None) };
    let (relay, delivery_token) = (account.relay, account.delivery_token);
    Ok(Some(NoticeTarget { device, mailbox: enrolled.mailbox, relay, delivery_token, sealing_key }))
}

/// The answers that forwarding asks for, out of mappings.
pub(crate) struct NumberRoutes {
    pub(crate) store: Arc<dyn BrokerStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) keys: Arc<SealingKeys>,
}

#[async_trait]
impl Routes for NumberRoutes {
    async fn route(&self, number: &E164) -> Result<Option<Route>, StoreError> {
        let Some(BoundNumber { number, enrolled }) = self.store.bound_number(number.clone()).await? else {
            return Ok(None);
        };
        let Some((account, enrolled)) = enrolled.filter(|_| is_in_force(&number, self.clock.now())) else {
            return Ok(None);
        };
        let device = DeviceAddress { account: number.head.account, device: number.head.device };
        let Some(sealing_key) = self.keys.of(&account, device.device)? else { return Ok(None) };
        let (mailbox, relay, token) = (enrolled.mailbox, account.relay, account.delivery_token);
        Ok(Some(Route { to: Mailbox { device, mailbox, relay, token }, sealing_key }))
    }

    async fn mailbox(&self, device: DeviceAddress) -> Result<Option<Mailbox>, StoreError> {
        let Some(account) = self.store.account_enrolment(device.account).await? else { return Ok(None) };
        let Some(enrolled) = self.store.enrolled_device(device).await? else { return Ok(None) };
        let (relay, token) = (account.relay, account.delivery_token);
        Ok(Some(Mailbox { device, mailbox: enrolled.mailbox, relay, token }))
    }

    async fn writes_as(&self, device: DeviceAddress, number: &E164) -> Result<bool, StoreError> {
        let record = self.store.number(number.clone()).await?;
        Ok(record.is_some_and(|record| {
            is_in_force(&record, self.clock.now())
                && record.head.account == device.account
                && record.head.device == device.device
        }))
    }
}
