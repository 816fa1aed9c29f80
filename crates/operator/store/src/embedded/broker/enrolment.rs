//! [`EnrolmentStore`] on fjall.

use async_trait::async_trait;
use rcseal_wire::id::{AccountId, DeviceAddress, KeySetCounter, KeySetHash, MailboxId};
use rcseal_wire::token::DeliveryToken;

use super::FjallBrokerStore;
use super::rows::{self, AccountRow, DeviceRow};
use crate::broker::{AccountEnrolment, EnrolError, EnrolledDevice, Enrolment, EnrolmentStore, ListedDevice};
use crate::embedded::Need;
use crate::embedded::rows::Space;
use crate::embedded::txn::Txn;
use crate::{StoreError, StoredKeySet, UnixMillis};

const ACCOUNTS: &str = "broker_accounts";
const DEVICES: &str = "broker_devices";

/// Devices of one account that have enrolled, at most: as many as there are numbers for devices.
const DEVICES_MAX: usize = 128;

pub(super) fn account(row: &AccountRow) -> Result<AccountEnrolment, StoreError> {
    let corrupt = || StoreError::Corrupt { space: ACCOUNTS };
    Ok(AccountEnrolment {
        relay: row.relay.parse().map_err(|_| corrupt())?,
        delivery_token: DeliveryToken::parse(&row.delivery_token).map_err(|_| corrupt())?,
        key_set: StoredKeySet {
            counter: KeySetCounter::new(row.counter),
            hash: KeySetHash::parse(&row.hash).map_err(|_| corrupt())?,
            bytes: row.key_set.clone(),
        },
        refreshed_at: UnixMillis::new(row.refreshed_at),
    })
}

pub(super) fn device(row: &DeviceRow) -> Result<EnrolledDevice, StoreError> {
    let corrupt = || StoreError::Corrupt { space: DEVICES };
    Ok(EnrolledDevice {
        mailbox: MailboxId::parse(&row.mailbox).map_err(|_| corrupt())?,
        added_at: KeySetCounter::new(row.added_at),
        auth_key: row.auth_key.as_slice().try_into().map_err(|_| corrupt())?,
    })
}

fn account_row(txn: &Txn<'_>, account: AccountId) -> Result<Option<AccountRow>, StoreError> {
    txn.get(Space::Broker, &rows::account_key(account))?.map(|row| rows::decode(&row, ACCOUNTS)).transpose()
}

/// Removes what is stored of devices that are not listed, or have another key than they had.
fn drop_unlisted(txn: &mut Txn<'_>, account: AccountId, listed: &[ListedDevice]) -> Result<(), StoreError> {
    let prefix = rows::devices_prefix(account);
    for (key, row) in txn.scan(Space::Broker, &prefix, &prefix, DEVICES_MAX)? {
        let number = rows::parse_device_key(&key)?.device;
        let row: DeviceRow = rows::decode(&row, DEVICES)?;
        if !listed.iter().any(|device| device.number == number && device.auth_key[..] == row.auth_key[..]) {
            txn.remove(Space::Broker, key);
        }
    }
    Ok(())
}

fn enrol(txn: &mut Txn<'_>, enrolment: &Enrolment) -> Result<Result<EnrolledDevice, EnrolError>, StoreError> {
    let address = enrolment.device;
    let key_set = &enrolment.key_set;
    if let Some(stored) = account_row(txn, address.account)? {
        let is_same = stored.hash[..] == key_set.hash.as_bytes()[..];
        if !is_same && stored.counter >= key_set.counter.get() {
            return Ok(Err(EnrolError::Stale));
        }
    }
    let Some(listed) = enrolment.listed.iter().find(|listed| listed.number == address.device) else {
        return Ok(Err(EnrolError::NotListed));
    };
    drop_unlisted(txn, address.account, &enrolment.listed)?;
    let row = AccountRow {
        relay: enrolment.relay.as_str().to_owned(),
        delivery_token: enrolment.delivery_token.expose().to_vec(),
        counter: key_set.counter.get(),
        hash: key_set.hash.as_bytes().to_vec(),
        key_set: key_set.bytes.clone(),
        refreshed_at: enrolment.now.get(),
    };
    txn.put(Space::Broker, rows::account_key(address.account), rows::encode(&row));
    let key = rows::device_key(address);
    // A device that was here before, under the same key, keeps the counter that its login tokens name.
    let before = txn.get(Space::Broker, &key)?.map(|row| rows::decode::<DeviceRow>(&row, DEVICES)).transpose()?;
    let row = DeviceRow {
        mailbox: enrolment.mailbox.as_bytes().to_vec(),
        added_at: before.map_or(key_set.counter.get(), |row| row.added_at),
        auth_key: listed.auth_key.to_vec(),
    };
    let enrolled = device(&row)?;
    txn.put(Space::Broker, key, rows::encode(&row));
    Ok(Ok(enrolled))
}

fn refresh(
    txn: &mut Txn<'_>,
    account: AccountId,
    expected: KeySetHash,
    key_set: &StoredKeySet,
    listed: &[ListedDevice],
    now: UnixMillis,
) -> Result<bool, StoreError> {
    let Some(row) = account_row(txn, account)? else { return Ok(false) };
    if row.hash[..] == key_set.hash.as_bytes()[..] {
        let row = AccountRow { refreshed_at: row.refreshed_at.max(now.get()), ..row };
        txn.put(Space::Broker, rows::account_key(account), rows::encode(&row));
        return Ok(true);
    }
    if row.hash[..] != expected.as_bytes()[..] || row.counter >= key_set.counter.get() {
        return Ok(false);
    }
    drop_unlisted(txn, account, listed)?;
    let row = AccountRow {
        counter: key_set.counter.get(),
        hash: key_set.hash.as_bytes().to_vec(),
        key_set: key_set.bytes.clone(),
        refreshed_at: now.get(),
        ..row
    };
    txn.put(Space::Broker, rows::account_key(account), rows::encode(&row));
    Ok(true)
}

#[async_trait]
impl EnrolmentStore for FjallBrokerStore {
    async fn enrol(&self, enrolment: Enrolment) -> Result<EnrolledDevice, EnrolError> {
        let bytes = enrolment.key_set.bytes.len();
        self.0.write_or_undo(Need::Space(bytes), move |txn| enrol(txn, &enrolment)).await?
    }

    async fn refresh_key_set(
        &self,
        account: AccountId,
        expected: KeySetHash,
        key_set: StoredKeySet,
        listed: Vec<ListedDevice>,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let bytes = key_set.bytes.len();
        self.0.write(Need::Space(bytes), move |txn| refresh(txn, account, expected, &key_set, &listed, now)).await
    }

    async fn account_enrolment(&self, of: AccountId) -> Result<Option<AccountEnrolment>, StoreError> {
        self.0
            .read(move |engine| {
                let row = engine.get(Space::Broker, &rows::account_key(of))?;
                row.map(|row| account(&rows::decode(&row, ACCOUNTS)?)).transpose()
            })
            .await
    }

    async fn enrolled_device(&self, address: DeviceAddress) -> Result<Option<EnrolledDevice>, StoreError> {
        self.0
            .read(move |engine| {
                let row = engine.get(Space::Broker, &rows::device_key(address))?;
                row.map(|row| device(&rows::decode(&row, DEVICES)?)).transpose()
            })
            .await
    }
}
