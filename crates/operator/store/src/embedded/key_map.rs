//! The map of an account's public keys, read from one snapshot.

use fjall::{Readable as _, UserKey};
use rcseal_wire::id::{AccountId, DeviceAddress, DeviceNumber};

use super::directory::{parse_key_set, parse_single, record};
use super::engine::{Engine, read_error};
use super::rows::{self, AccountRow, DeviceRow, PrekeyKind, Space};
use crate::directory::{DatedPrekey, KeyMapDeviceRecord, KeyMapRecord};
use crate::{StoreError, UnixMillis};

pub(super) fn read(engine: &Engine, account: AccountId) -> Result<Option<KeyMapRecord>, StoreError> {
    let snapshot = engine.snapshot();
    let records = engine.keyspace(Space::Records);
    let get = |space, key: UserKey| snapshot.get(engine.keyspace(space), key).map_err(read_error);
    let Some(row) = get(Space::Records, rows::account_key(account))? else { return Ok(None) };
    let row: AccountRow = rows::decode(&row, "accounts")?;
    let key_set = get(Space::Records, rows::key_set_key(account, row.counter))?
        .map(|row| parse_key_set(&row))
        .transpose()?
        .ok_or(StoreError::Corrupt { space: "key_sets" })?;
    let dated = |device: DeviceAddress, kind, uploaded_at: u64| {
        let stored = get(Space::Prekeys, rows::prekey_key(device, kind, 0))?;
        let prekey = stored.map(|value| parse_single(&value)).transpose()?;
        Ok::<_, StoreError>(prekey.map(|prekey| DatedPrekey { prekey, uploaded_at: UnixMillis::new(uploaded_at) }))
    };
    let mut devices = Vec::new();
    for entry in snapshot.prefix(records, rows::device_prefix(account)) {
        let (key, value) = entry.into_inner().map_err(read_error)?;
        let address = rows::parse_device_key(&key)?;
        let device: DeviceRow = rows::decode(&value, "devices")?;
        devices.push(KeyMapDeviceRecord {
            record: record(address, &device)?,
            signed: dated(address, PrekeyKind::Signed, device.signed_at)?,
            last_resort: dated(address, PrekeyKind::LastResort, device.last_resort_at)?,
            one_time_uploaded_at: (device.one_time_at > 0).then_some(UnixMillis::new(device.one_time_at)),
        });
    }
    let mut retired: Vec<DeviceNumber> = row
        .used_numbers
        .iter()
        .map(|number| DeviceNumber::new(*number).map_err(|_| StoreError::Corrupt { space: "accounts" }))
        .collect::<Result<_, _>>()?;
    retired.retain(|number| !devices.iter().any(|device| device.record.address.device == *number));
    retired.sort_unstable();
    Ok(Some(KeyMapRecord { counter: key_set.counter, hash: key_set.hash, devices, retired }))
}
