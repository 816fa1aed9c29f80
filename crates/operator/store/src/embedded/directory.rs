//! [`DirectoryStore`] on fjall.

use async_trait::async_trait;
use bytes::Bytes;
use fjall::{Readable, UserValue};
use rcseal_wire::id::{AccountId, DeliveryTokenHash, DeviceAddress, DeviceNumber, KeySetCounter, KeySetHash};

use super::engine::{Engine, read_error};
use super::mailbox::{has_token, remove_mailbox};
use super::push::remove_push;
use super::rows::{self, AccountRow, DeviceRow, KeySetRow, PoolRow, PrekeyKind, Space, was_used};
use super::takeover::end_pending;
use super::txn::Txn;
use super::{FjallStore, Need, key_map};
use crate::directory::{
    Claim, ClaimedBundle, DeviceRecord, DirectoryStore, KeyMapRecord, PrekeyCounts, PublishError, PublishKeySet,
    Published, SetTokensError, StoredKeySet, StoredPrekey, UploadError, UploadPrekeys, Uploaded,
};
use crate::limits::{
    DELIVERY_TOKENS_MAX, KEY_SET_LEN_MAX, KEY_SETS_READ_BYTES_MAX, KEY_SETS_READ_MAX, ONE_TIME_PREKEYS_MAX,
    PREKEY_LEN_MAX,
};
use crate::{StoreError, UnixMillis};

/// What part of the limit of an account's history is there for its devices after each takeover: two mebibytes of the default, which is a
/// few hundred key sets of an ordinary account.
const KEY_SET_HISTORY_ANEW_PART: u64 = 64;

pub(super) fn account_row(txn: &Txn<'_>, account: AccountId) -> Result<Option<AccountRow>, StoreError> {
    txn.get(Space::Records, &rows::account_key(account))?.map(|row| rows::decode(&row, "accounts")).transpose()
}

pub(super) fn key_set_row(key_set: &StoredKeySet) -> KeySetRow {
    KeySetRow { counter: key_set.counter.get(), hash: key_set.hash.as_bytes().to_vec(), bytes: key_set.bytes.clone() }
}

pub(super) fn parse_key_set(row: &[u8]) -> Result<StoredKeySet, StoreError> {
    let row: KeySetRow = rows::decode(row, "key_sets")?;
    Ok(StoredKeySet {
        counter: KeySetCounter::new(row.counter),
        hash: KeySetHash::parse(&row.hash).map_err(|_| StoreError::Corrupt { space: "key_sets" })?,
        bytes: row.bytes,
    })
}

pub(super) fn device_row(txn: &Txn<'_>, device: DeviceAddress) -> Result<Option<DeviceRow>, StoreError> {
    txn.get(Space::Records, &rows::device_key(device))?.map(|row| rows::decode(&row, "devices")).transpose()
}

fn counts(row: &DeviceRow) -> PrekeyCounts {
    let count = |pool: Option<PoolRow>| pool.map_or(0, |pool| pool.count);
    PrekeyCounts { one_time: count(row.one_time), one_time_kem: count(row.one_time_kem) }
}

pub(super) fn record(address: DeviceAddress, row: &DeviceRow) -> Result<DeviceRecord, StoreError> {
    Ok(DeviceRecord {
        address,
        mailbox: row.mailbox()?,
        reachable: row.has_signed && row.has_last_resort,
        prekeys: counts(row),
        added_at: KeySetCounter::new(row.added_at_counter),
    })
}

/// Removes a device's row, prekeys, mailbox and push registration.
pub(super) fn remove_device(txn: &mut Txn<'_>, device: DeviceAddress) -> Result<DeviceRow, StoreError> {
    let row = device_row(txn, device)?.unwrap_or_default();
    if let Some(mailbox) = row.mailbox()? {
        remove_mailbox(txn, mailbox);
    }
    let prefix = rows::prekeys_prefix(device);
    // Two pools, two single keys: the limits keep this small.
    for (key, _) in txn.scan(Space::Prekeys, &prefix, &prefix, 2 * ONE_TIME_PREKEYS_MAX + 2)? {
        txn.remove(Space::Prekeys, key);
    }
    remove_push(txn, device)?;
    txn.remove(Space::Records, rows::device_key(device));
    Ok(row)
}

/// Who publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PublishKind {
    /// A device of the account.
    Device,
    /// A recovery or a reset. It may skip counters, so that a thief who publishes without a pause does not win the race; no device stays
    /// and numbers begin anew; and a full history does not stop it.
    Takeover,
}

impl PublishKind {
    fn may_follow(self, current: KeySetCounter, next: KeySetCounter) -> bool {
        match self {
            Self::Device => current.next() == Some(next),
            Self::Takeover => next > current,
        }
    }

    /// Bytes of history that it may fill. After a takeover the devices may fill a little more than there is: the account may have come to
    /// its owner with a full history, and the owner links devices. Half of what lies beyond the limit is left to takeovers alone.
    fn history_bytes_max(self, limit: u64, at_takeover: u64) -> u64 {
        match self {
            Self::Device if at_takeover == 0 => limit,
            Self::Device => {
                let anew = at_takeover.saturating_add(limit / KEY_SET_HISTORY_ANEW_PART);
                limit.max(anew.min(limit.saturating_add(limit / 2)))
            }
            Self::Takeover => limit.saturating_mul(2),
        }
    }
}

/// An account's current key set.
pub(super) fn current_key_set(txn: &Txn<'_>, account: AccountId) -> Result<Option<StoredKeySet>, StoreError> {
    let Some(row) = account_row(txn, account)? else { return Ok(None) };
    match txn.get(Space::Records, &rows::key_set_key(account, row.counter))? {
        Some(stored) => parse_key_set(&stored).map(Some),
        None => Err(StoreError::Corrupt { space: "key_sets" }),
    }
}

pub(super) fn publish(
    txn: &mut Txn<'_>,
    publish: &PublishKeySet,
    kind: PublishKind,
) -> Result<Result<Published, PublishError>, StoreError> {
    let PublishKeySet { account, previous, key_set, devices, now: _ } = publish;
    let (Some(mut row), Some(stored)) = (account_row(txn, *account)?, current_key_set(txn, *account)?) else {
        return Ok(Err(PublishError::UnknownAccount));
    };
    let current = stored.counter;
    if stored == *key_set {
        return Ok(Ok(Published::default()));
    }
    if stored.hash != *previous || !kind.may_follow(current, key_set.counter) {
        return Ok(Err(PublishError::Conflict { current }));
    }
    if key_set.bytes.len() > KEY_SET_LEN_MAX {
        return Ok(Err(PublishError::TooLarge));
    }
    row.key_set_bytes = row.key_set_bytes.saturating_add(key_set.bytes.len() as u64);
    if row.key_set_bytes > kind.history_bytes_max(txn.limits.key_set_history_bytes_max, row.key_set_bytes_at_takeover) {
        return Ok(Err(PublishError::HistoryFull));
    }

    let prefix = rows::device_prefix(*account);
    let mut present = Vec::new();
    for (key, _) in txn.scan(Space::Records, &prefix, &prefix, usize::from(DeviceNumber::MAX))? {
        present.push(rows::parse_device_key(&key)?.device);
    }
    let mut published = Published::default();
    if kind == PublishKind::Takeover {
        for device in present.drain(..) {
            let removed = remove_device(txn, DeviceAddress { account: *account, device })?;
            published.removed.push((device, removed.mailbox()?));
        }
        row.used_numbers.clear();
        row.key_set_bytes_at_takeover = row.key_set_bytes;
    }
    for device in devices {
        if present.contains(device) || published.added.contains(device) {
            continue;
        }
        if was_used(&row, *device) {
            return Ok(Err(PublishError::DeviceNumberReused { device: *device }));
        }
        published.added.push(*device);
    }
    for device in &published.added {
        row.used_numbers.push(device.get());
        txn.put(
            Space::Records,
            rows::device_key(DeviceAddress { account: *account, device: *device }),
            rows::encode(&DeviceRow { added_at_counter: key_set.counter.get(), ..DeviceRow::default() }),
        );
    }
    for device in present.into_iter().filter(|device| !devices.contains(device)) {
        let removed = remove_device(txn, DeviceAddress { account: *account, device })?;
        published.removed.push((device, removed.mailbox()?));
    }
    published.reset_ended = end_pending(txn, *account)?;
    row.counter = key_set.counter.get();
    txn.put(Space::Records, rows::account_key(*account), rows::encode(&row));
    txn.put(Space::Records, rows::key_set_key(*account, row.counter), rows::encode(&key_set_row(key_set)));
    Ok(Ok(published))
}

/// A prekey that exists once per device: its id goes in front of its bytes.
fn single_value(prekey: &StoredPrekey) -> UserValue {
    let mut value = Vec::with_capacity(4 + prekey.bytes.len());
    value.extend_from_slice(&prekey.id.to_be_bytes());
    value.extend_from_slice(&prekey.bytes);
    UserValue::from(value)
}

pub(super) fn parse_single(value: &[u8]) -> Result<StoredPrekey, StoreError> {
    let (id, bytes) = value.split_first_chunk::<4>().ok_or(StoreError::Corrupt { space: "prekeys" })?;
    Ok(StoredPrekey { id: u32::from_be_bytes(*id), bytes: Bytes::copy_from_slice(bytes) })
}

/// Adds keys to a pool, in the order of their ids. Returns how many were ignored, or `None` if the pool would overflow.
fn append(
    txn: &mut Txn<'_>,
    device: DeviceAddress,
    kind: PrekeyKind,
    pool: &mut PoolRow,
    keys: &[StoredPrekey],
) -> Option<u32> {
    let mut keys: Vec<&StoredPrekey> = keys.iter().collect();
    keys.sort_by_key(|key| key.id);
    let mut ignored = 0;
    for key in keys {
        if u64::from(key.id) < pool.next_id {
            ignored += 1;
            continue;
        }
        if pool.count as usize >= ONE_TIME_PREKEYS_MAX {
            return None;
        }
        if pool.count == 0 {
            pool.first_id = key.id;
        }
        pool.count += 1;
        pool.next_id = u64::from(key.id) + 1;
        txn.put(Space::Prekeys, rows::prekey_key(device, kind, key.id), UserValue::from(&key.bytes[..]));
    }
    Some(ignored)
}

fn clear_pool(
    txn: &mut Txn<'_>,
    device: DeviceAddress,
    kind: PrekeyKind,
    pool: &mut PoolRow,
) -> Result<(), StoreError> {
    let prefix = rows::prekey_prefix(device, kind);
    let from = rows::prekey_key(device, kind, pool.first_id);
    for (key, _) in txn.scan(Space::Prekeys, &prefix, &from, ONE_TIME_PREKEYS_MAX)? {
        txn.remove(Space::Prekeys, key);
    }
    pool.count = 0;
    Ok(())
}

pub(super) fn upload(
    txn: &mut Txn<'_>,
    device: DeviceAddress,
    upload: &UploadPrekeys,
    now: UnixMillis,
) -> Result<Result<Uploaded, UploadError>, StoreError> {
    let Some(mut row) = device_row(txn, device)? else { return Ok(Err(UploadError::UnknownDevice)) };
    let singles = [(&upload.signed, PrekeyKind::Signed), (&upload.last_resort, PrekeyKind::LastResort)];
    let everything =
        upload.one_time.iter().chain(&upload.one_time_kem).chain(singles.iter().filter_map(|(key, _)| key.as_ref()));
    if everything.into_iter().any(|key| key.bytes.len() > PREKEY_LEN_MAX) {
        return Ok(Err(UploadError::TooLarge));
    }
    let since = [&mut row.signed_at, &mut row.last_resort_at];
    for ((key, kind), since) in singles.into_iter().zip(since) {
        let Some(key) = key else { continue };
        let (place, value) = (rows::prekey_key(device, kind, 0), single_value(key));
        if txn.get(Space::Prekeys, &place)?.is_none_or(|stored| stored != value) {
            *since = now.get();
            txn.put(Space::Prekeys, place, value);
        }
    }
    row.has_signed |= upload.signed.is_some();
    row.has_last_resort |= upload.last_resort.is_some();

    let mut ignored = 0;
    let mut one_time = row.one_time.unwrap_or_default();
    let mut one_time_kem = row.one_time_kem.unwrap_or_default();
    for (pool, kind, keys) in [
        (&mut one_time, PrekeyKind::OneTime, &upload.one_time),
        (&mut one_time_kem, PrekeyKind::OneTimeKem, &upload.one_time_kem),
    ] {
        if upload.replace {
            clear_pool(txn, device, kind, pool)?;
        }
        match append(txn, device, kind, pool, keys) {
            Some(count) => ignored += count,
            None => return Ok(Err(UploadError::PoolFull { limit: ONE_TIME_PREKEYS_MAX })),
        }
    }
    row.one_time = Some(one_time);
    row.one_time_kem = Some(one_time_kem);
    if upload.one_time.len() + upload.one_time_kem.len() > ignored as usize {
        row.one_time_at = now.get();
    }
    txn.put(Space::Records, rows::device_key(device), rows::encode(&row));
    Ok(Ok(Uploaded { counts: counts(&row), ignored }))
}

/// Takes the first key of a pool.
fn take(
    txn: &mut Txn<'_>,
    device: DeviceAddress,
    kind: PrekeyKind,
    pool: &mut Option<PoolRow>,
) -> Result<Option<StoredPrekey>, StoreError> {
    let Some(pool) = pool else { return Ok(None) };
    if pool.count == 0 {
        return Ok(None);
    }
    let prefix = rows::prekey_prefix(device, kind);
    let from = rows::prekey_key(device, kind, pool.first_id);
    let Some((key, value)) = txn.scan(Space::Prekeys, &prefix, &from, 1)?.into_iter().next() else {
        return Err(StoreError::Corrupt { space: "prekeys" });
    };
    let id: [u8; 4] =
        key.get(18..).and_then(|id| id.try_into().ok()).ok_or(StoreError::Corrupt { space: "prekeys" })?;
    let id = u32::from_be_bytes(id);
    txn.remove(Space::Prekeys, key);
    pool.count -= 1;
    pool.first_id = id.saturating_add(1);
    Ok(Some(StoredPrekey { id, bytes: Bytes::copy_from_slice(&value) }))
}

fn claim(txn: &mut Txn<'_>, device: DeviceAddress, claim: Claim) -> Result<Option<ClaimedBundle>, StoreError> {
    let Some(mut row) = device_row(txn, device)? else { return Ok(None) };
    let single = |txn: &Txn<'_>, kind| {
        txn.get(Space::Prekeys, &rows::prekey_key(device, kind, 0))?.map(|value| parse_single(&value)).transpose()
    };
    let (Some(signed), Some(last_resort)) = (single(txn, PrekeyKind::Signed)?, single(txn, PrekeyKind::LastResort)?)
    else {
        return Ok(None);
    };
    let (one_time, one_time_kem) = match claim {
        Claim::OneTime => (
            take(txn, device, PrekeyKind::OneTime, &mut row.one_time)?,
            take(txn, device, PrekeyKind::OneTimeKem, &mut row.one_time_kem)?,
        ),
        Claim::LastResort => (None, None),
    };
    if one_time.is_some() || one_time_kem.is_some() {
        txn.put(Space::Records, rows::device_key(device), rows::encode(&row));
    }
    Ok(Some(ClaimedBundle {
        mailbox: row.mailbox()?,
        signed,
        last_resort,
        one_time,
        one_time_kem,
        remaining: counts(&row),
    }))
}

fn read_key_set(engine: &Engine, account: AccountId) -> Result<Option<StoredKeySet>, StoreError> {
    let snapshot = engine.snapshot();
    let records = engine.keyspace(Space::Records);
    let Some(row) = snapshot.get(records, rows::account_key(account)).map_err(read_error)? else { return Ok(None) };
    let row: AccountRow = rows::decode(&row, "accounts")?;
    let key_set = snapshot.get(records, rows::key_set_key(account, row.counter)).map_err(read_error)?;
    key_set.map(|row| parse_key_set(&row)).transpose()
}

#[async_trait]
impl DirectoryStore for FjallStore {
    async fn publish_key_set(&self, key_set: PublishKeySet) -> Result<Published, PublishError> {
        self.write(Need::Space(key_set.key_set.bytes.len()), move |txn| publish(txn, &key_set, PublishKind::Device))
            .await?
    }

    async fn key_set(&self, account: AccountId) -> Result<Option<StoredKeySet>, StoreError> {
        self.read(move |engine| read_key_set(engine, account)).await
    }

    async fn key_sets_from(&self, account: AccountId, from: KeySetCounter) -> Result<Vec<StoredKeySet>, StoreError> {
        self.read(move |engine| {
            let range = rows::key_set_key(account, from.get())..=rows::key_set_key(account, u64::MAX);
            let mut key_sets = Vec::new();
            let mut bytes = 0;
            for entry in engine.snapshot().range(engine.keyspace(Space::Records), range).take(KEY_SETS_READ_MAX) {
                let key_set = parse_key_set(&entry.value().map_err(read_error)?)?;
                bytes += key_set.bytes.len();
                if bytes > KEY_SETS_READ_BYTES_MAX && !key_sets.is_empty() {
                    break;
                }
                key_sets.push(key_set);
            }
            Ok(key_sets)
        })
        .await
    }

    async fn device(&self, device: DeviceAddress) -> Result<Option<DeviceRecord>, StoreError> {
        self.read(move |engine| {
            let Some(row) = engine.get(Space::Records, &rows::device_key(device))? else { return Ok(None) };
            record(device, &rows::decode(&row, "devices")?).map(Some)
        })
        .await
    }

    async fn devices(&self, account: AccountId) -> Result<Vec<DeviceRecord>, StoreError> {
        self.read(move |engine| {
            let entries = engine.snapshot().prefix(engine.keyspace(Space::Records), rows::device_prefix(account));
            entries
                .map(|entry| {
                    let (key, row) = entry.into_inner().map_err(read_error)?;
                    record(rows::parse_device_key(&key)?, &rows::decode(&row, "devices")?)
                })
                .collect()
        })
        .await
    }

    async fn key_map(&self, account: AccountId) -> Result<Option<KeyMapRecord>, StoreError> {
        self.read(move |engine| key_map::read(engine, account)).await
    }

    async fn upload_prekeys(
        &self,
        device: DeviceAddress,
        prekeys: UploadPrekeys,
        now: UnixMillis,
    ) -> Result<Uploaded, UploadError> {
        let bytes = prekeys.one_time.iter().chain(&prekeys.one_time_kem).map(|key| key.bytes.len()).sum();
        self.write_or_undo(Need::Space(bytes), move |txn| upload(txn, device, &prekeys, now)).await?
    }

    async fn claim_bundle(&self, device: DeviceAddress, what: Claim) -> Result<Option<ClaimedBundle>, StoreError> {
        self.write(Need::Little, move |txn| claim(txn, device, what)).await
    }

    async fn set_delivery_tokens(
        &self,
        device: DeviceAddress,
        added_at: KeySetCounter,
        tokens: Vec<DeliveryTokenHash>,
    ) -> Result<(), SetTokensError> {
        if tokens.len() > DELIVERY_TOKENS_MAX {
            return Err(SetTokensError::TooMany { limit: DELIVERY_TOKENS_MAX });
        }
        self.write(Need::Little, move |txn| {
            let is_there = device_row(txn, device)?.is_some_and(|row| row.added_at_counter == added_at.get());
            let Some(mut row) = account_row(txn, device.account)?.filter(|_| is_there) else {
                return Ok(Err(SetTokensError::UnknownDevice));
            };
            row.delivery_tokens = tokens.iter().map(|token| token.as_bytes().to_vec()).collect();
            txn.put(Space::Records, rows::account_key(device.account), rows::encode(&row));
            Ok(Ok(()))
        })
        .await?
    }

    async fn is_delivery_token(&self, account: AccountId, token: DeliveryTokenHash) -> Result<bool, StoreError> {
        self.read(move |engine| {
            let Some(row) = engine.get(Space::Records, &rows::account_key(account))? else { return Ok(false) };
            Ok(has_token(&rows::decode(&row, "accounts")?, &token))
        })
        .await
    }
}
