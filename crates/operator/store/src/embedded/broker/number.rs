//! [`NumberStore`] on fjall.
//!
//! A number is one row (`N`) with its newest mapping; what came before is kept beside it (`m`). Accounts find theirs by `n`. Whatever is to
//! be done about a number, once, is in the order of time in `D`.

use async_trait::async_trait;
use bytes::Bytes;
use fjall::Readable as _;
use rcseal_wire::id::{AccountId, DeviceAddress, DeviceNumber, MappingHash};
use rcseal_wire::number::E164;

use super::rows::{self, MappingRow, NumberRow, WaitingRow};
use super::{FjallBrokerStore, audit, claim};
use crate::broker::{
    AuditEntry, Bind, BindError, Bound, MAPPING_HISTORY_MAX, MappingRecord, NUMBERS_PER_ACCOUNT_MAX, NumberError,
    NumberRecord, NumberStore, Wait, WaitingRecord,
};
use crate::embedded::Need;
use crate::embedded::engine::read_error;
use crate::embedded::rows::Space;
use crate::embedded::txn::Txn;
use crate::{StoreError, UnixMillis};

const NUMBERS: &str = "broker_numbers";
const CORRUPT: StoreError = StoreError::Corrupt { space: NUMBERS };

/// The time in a field where 0 says that there is none.
fn some_time(millis: u64) -> Option<UnixMillis> {
    (millis > 0).then_some(UnixMillis::new(millis))
}

fn mapping_row(record: &MappingRecord) -> MappingRow {
    MappingRow {
        sequence: record.sequence,
        hash: record.hash.as_bytes().to_vec(),
        bytes: record.bytes.clone(),
        account: record.account.as_bytes().to_vec(),
        device: record.device.get().into(),
        key_set: record.key_set.clone(),
        expires_at: record.expires_at.get(),
    }
}

fn mapping(row: &MappingRow) -> Result<MappingRecord, StoreError> {
    let device = u8::try_from(row.device).ok().and_then(|number| DeviceNumber::new(number).ok());
    Ok(MappingRecord {
        sequence: row.sequence,
        hash: MappingHash::parse(&row.hash).map_err(|_| CORRUPT)?,
        bytes: row.bytes.clone(),
        account: AccountId::parse(&row.account).map_err(|_| CORRUPT)?,
        device: device.ok_or(CORRUPT)?,
        key_set: row.key_set.clone(),
        expires_at: UnixMillis::new(row.expires_at),
    })
}

fn waiting_row(record: &WaitingRecord) -> WaitingRow {
    WaitingRow {
        device: record.device.to_bytes().to_vec(),
        statement: record.statement.clone(),
        key_set: record.key_set.clone(),
        since: record.since.get(),
        announced_at: record.announced_at.map_or(0, UnixMillis::get),
        next_at: record.next_at.get(),
        effective_at: record.effective_at.get(),
    }
}

fn waiting(row: &WaitingRow) -> Result<WaitingRecord, StoreError> {
    Ok(WaitingRecord {
        device: DeviceAddress::parse(&row.device).map_err(|_| CORRUPT)?,
        statement: row.statement.clone(),
        key_set: row.key_set.clone(),
        since: UnixMillis::new(row.since),
        announced_at: some_time(row.announced_at),
        next_at: UnixMillis::new(row.next_at),
        effective_at: UnixMillis::new(row.effective_at),
    })
}

pub(super) fn record(row: &NumberRow) -> Result<NumberRecord, StoreError> {
    Ok(NumberRecord {
        head: mapping(row.head.as_ref().ok_or(CORRUPT)?)?,
        discoverable: !row.hidden,
        released: (!row.released.is_empty()).then(|| row.released.clone()),
        ported_at: some_time(row.ported_at),
        waiting: row.waiting.as_ref().map(waiting).transpose()?,
        remind_at: some_time(row.remind_at),
    })
}

fn get(txn: &Txn<'_>, number: &E164) -> Result<Option<(NumberRow, NumberRecord)>, StoreError> {
    let Some(row) = txn.get(Space::Broker, &rows::number_key(number))? else { return Ok(None) };
    let row: NumberRow = rows::decode(&row, NUMBERS)?;
    let record = record(&row)?;
    Ok(Some((row, record)))
}

/// When something is to be done about a number.
fn due_at(row: &NumberRow) -> Option<u64> {
    let waiting = row.waiting.as_ref().map(|waiting| waiting.next_at);
    waiting.into_iter().chain(some_time(row.remind_at).map(UnixMillis::get)).min()
}

/// Writes a number, and when something is to be done about it.
fn put(txn: &mut Txn<'_>, number: &E164, before: Option<&NumberRow>, row: &NumberRow) {
    let (old, new) = (before.and_then(due_at), due_at(row));
    if old != new {
        if let Some(at) = old {
            txn.remove(Space::Broker, rows::due_key(at, number));
        }
        if let Some(at) = new {
            txn.put(Space::Broker, rows::due_key(at, number), fjall::Slice::from([]));
        }
    }
    txn.put(Space::Broker, rows::number_key(number), rows::encode(row));
}

/// Notes that an account has a number or waits for it. `false` where it has too many.
fn index(txn: &mut Txn<'_>, account: AccountId, number: &E164) -> Result<bool, StoreError> {
    let key = rows::number_of_key(account, number);
    if txn.contains(Space::Broker, &key)? {
        return Ok(true);
    }
    let prefix = rows::numbers_of_prefix(account);
    if txn.scan(Space::Broker, &prefix, &prefix, NUMBERS_PER_ACCOUNT_MAX)?.len() >= NUMBERS_PER_ACCOUNT_MAX {
        return Ok(false);
    }
    txn.put(Space::Broker, key, fjall::Slice::from([]));
    Ok(true)
}

fn unindex(txn: &mut Txn<'_>, account: AccountId, number: &E164) {
    txn.remove(Space::Broker, rows::number_of_key(account, number));
}

/// Keeps a mapping that is the newest no longer, and forgets the oldest beyond what is kept.
fn keep(txn: &mut Txn<'_>, number: &E164, row: &MappingRow) -> Result<(), StoreError> {
    txn.put(Space::Broker, rows::mapping_key(number, row.sequence), rows::encode(row));
    let prefix = rows::mappings_prefix(number);
    let kept = txn.scan(Space::Broker, &prefix, &prefix, MAPPING_HISTORY_MAX + 1)?;
    if kept.len() > MAPPING_HISTORY_MAX
        && let Some((key, _)) = kept.into_iter().next()
    {
        txn.remove(Space::Broker, key);
    }
    Ok(())
}

fn use_claim(txn: &mut Txn<'_>, bind: &Bind) -> Result<bool, StoreError> {
    let Some(id) = bind.claim else { return Ok(true) };
    let Some(mut row) = claim::get(txn, id)?.filter(|row| row.is_verified) else { return Ok(false) };
    match claim::used_for(&row)? {
        Some(hash) => Ok(hash == bind.mapping.hash),
        None => {
            row.used_for = bind.mapping.hash.as_bytes().to_vec();
            claim::put(txn, id, &row);
            Ok(true)
        }
    }
}

fn bind(txn: &mut Txn<'_>, bind: &Bind) -> Result<Result<Bound, BindError>, StoreError> {
    let before = get(txn, &bind.number)?;
    let head = before.as_ref().map(|(_, record)| &record.head);
    if let Some(head) = head.filter(|head| head.hash == bind.mapping.hash) {
        return Ok(Ok(Bound::Before(head.clone())));
    }
    if head.map(|head| head.hash) != bind.previous {
        return Ok(Err(BindError::Conflict));
    }
    if !use_claim(txn, bind)? {
        return Ok(Err(BindError::ClaimGone));
    }
    let account = bind.mapping.account;
    let (mut replaced, mut waited) = (None, None);
    if let Some((row, record)) = &before {
        keep(txn, &bind.number, row.head.as_ref().ok_or(CORRUPT)?)?;
        if record.head.account != account {
            replaced = Some(DeviceAddress { account: record.head.account, device: record.head.device });
            unindex(txn, record.head.account, &bind.number);
        }
        if let Some(waiting) = &record.waiting
            && waiting.device.account != account
        {
            unindex(txn, waiting.device.account, &bind.number);
            waited = Some(waiting.device);
        }
    }
    if !index(txn, account, &bind.number)? {
        return Ok(Err(BindError::TooMany));
    }
    let row = NumberRow {
        head: Some(mapping_row(&bind.mapping)),
        // Who hid a number keeps it hidden; who gets it from somebody else begins with a number that is shown.
        hidden: before.as_ref().is_some_and(|(row, _)| row.hidden) && replaced.is_none(),
        remind_at: bind.remind_at.get(),
        ..NumberRow::default()
    };
    put(txn, &bind.number, before.as_ref().map(|(row, _)| row), &row);
    Ok(Ok(Bound::Now { replaced, waited }))
}

/// Changes a number's row, where there is one.
fn change<T>(
    txn: &mut Txn<'_>,
    number: &E164,
    change: impl FnOnce(&mut NumberRow, &NumberRecord) -> Option<T>,
) -> Result<Result<T, NumberError>, StoreError> {
    let Some((before, record)) = get(txn, number)? else { return Ok(Err(NumberError::Conflict)) };
    let mut row = before.clone();
    let Some(value) = change(&mut row, &record) else { return Ok(Err(NumberError::Conflict)) };
    put(txn, number, Some(&before), &row);
    Ok(Ok(value))
}

/// Changes what is stored of somebody who waits.
fn change_waiting(
    txn: &mut Txn<'_>,
    number: &E164,
    account: AccountId,
    update: impl FnOnce(&mut WaitingRow),
) -> Result<Result<(), NumberError>, StoreError> {
    change(txn, number, |row, record| {
        record.waiting.as_ref().filter(|waiting| waiting.device.account == account)?;
        row.waiting.as_mut().map(update)
    })
}

/// Nobody need wait any longer.
fn let_go(row: &mut NumberRow, now: UnixMillis) {
    row.remind_at = 0;
    if let Some(waiting) = &mut row.waiting {
        waiting.next_at = now.get();
        waiting.effective_at = now.get();
    }
}

fn wait(txn: &mut Txn<'_>, wait: &Wait) -> Result<Result<Option<DeviceAddress>, NumberError>, StoreError> {
    let Some((before, record)) = get(txn, &wait.number)? else { return Ok(Err(NumberError::Conflict)) };
    if record.head.hash != wait.previous {
        return Ok(Err(NumberError::Conflict));
    }
    let account = wait.waiting.device.account;
    let mut row = before.clone();
    let mut waiting = waiting_row(&wait.waiting);
    let mut in_vain = None;
    match &record.waiting {
        // Who waits already and asks again has waited since the first time.
        Some(earlier) if earlier.device.account == account => {
            waiting = WaitingRow {
                since: earlier.since.get(),
                announced_at: earlier.announced_at.map_or(0, UnixMillis::get),
                next_at: earlier.next_at.get(),
                effective_at: earlier.effective_at.get(),
                ..waiting
            };
        }
        Some(earlier) => {
            unindex(txn, earlier.device.account, &wait.number);
            in_vain = Some(earlier.device);
        }
        None => {}
    }
    if !index(txn, account, &wait.number)? {
        return Ok(Err(NumberError::TooMany));
    }
    row.waiting = Some(waiting);
    put(txn, &wait.number, Some(&before), &row);
    Ok(Ok(in_vain))
}

fn end_waiting(
    txn: &mut Txn<'_>,
    number: &E164,
    account: Option<AccountId>,
) -> Result<Option<WaitingRecord>, StoreError> {
    let Some((before, record)) = get(txn, number)? else { return Ok(None) };
    let waiting = record.waiting.filter(|waiting| account.is_none_or(|account| waiting.device.account == account));
    let Some(waiting) = waiting else { return Ok(None) };
    unindex(txn, waiting.device.account, number);
    put(txn, number, Some(&before), &NumberRow { waiting: None, ..before.clone() });
    Ok(Some(waiting))
}

#[async_trait]
impl NumberStore for FjallBrokerStore {
    async fn number(&self, number: E164) -> Result<Option<NumberRecord>, StoreError> {
        self.0
            .read(move |engine| {
                let row = engine.get(Space::Broker, &rows::number_key(&number))?;
                row.map(|row| record(&rows::decode(&row, NUMBERS)?)).transpose()
            })
            .await
    }

    async fn numbers_of(&self, account: AccountId) -> Result<Vec<E164>, StoreError> {
        self.0
            .read(move |engine| {
                let prefix = rows::numbers_of_prefix(account);
                engine
                    .snapshot()
                    .prefix(engine.keyspace(Space::Broker), prefix)
                    .take(NUMBERS_PER_ACCOUNT_MAX)
                    .map(|entry| rows::parse_number_at_end(&entry.into_inner().map_err(read_error)?.0))
                    .collect()
            })
            .await
    }

    async fn mappings_before(&self, number: E164) -> Result<Vec<MappingRecord>, StoreError> {
        self.0
            .read(move |engine| {
                engine
                    .snapshot()
                    .prefix(engine.keyspace(Space::Broker), rows::mappings_prefix(&number))
                    .take(MAPPING_HISTORY_MAX)
                    .map(|entry| mapping(&rows::decode(&entry.into_inner().map_err(read_error)?.1, NUMBERS)?))
                    .collect()
            })
            .await
    }

    async fn bind(&self, request: Bind) -> Result<Bound, BindError> {
        let bytes = request.mapping.bytes.len() + request.mapping.key_set.len();
        self.0.write_or_undo(Need::Space(bytes), move |txn| bind(txn, &request)).await?
    }

    async fn release(
        &self,
        number: E164,
        previous: MappingHash,
        release: Bytes,
        now: UnixMillis,
    ) -> Result<(), NumberError> {
        let give_up = move |row: &mut NumberRow, record: &NumberRecord| {
            (record.head.hash == previous).then(|| {
                row.released = release;
                let_go(row, now);
            })
        };
        self.0.write_or_undo(Need::Little, move |txn| change(txn, &number, give_up)).await?
    }

    async fn set_discoverable(&self, number: E164, account: AccountId, discoverable: bool) -> Result<(), NumberError> {
        let set = move |row: &mut NumberRow, record: &NumberRecord| {
            (record.head.account == account).then(|| row.hidden = !discoverable)
        };
        self.0.write_or_undo(Need::Little, move |txn| change(txn, &number, set)).await?
    }

    async fn wait(&self, request: Wait) -> Result<Option<DeviceAddress>, NumberError> {
        let bytes = request.waiting.key_set.len();
        self.0.write_or_undo(Need::Space(bytes), move |txn| wait(txn, &request)).await?
    }

    async fn announced(
        &self,
        number: E164,
        account: AccountId,
        at: UnixMillis,
        next_at: UnixMillis,
        effective_at: UnixMillis,
    ) -> Result<(), NumberError> {
        let note = move |row: &mut WaitingRow| {
            row.announced_at = at.get();
            row.next_at = next_at.get();
            row.effective_at = effective_at.get();
        };
        self.0.write_or_undo(Need::Little, move |txn| change_waiting(txn, &number, account, note)).await?
    }

    async fn put_off(&self, number: E164, account: AccountId, next_at: UnixMillis) -> Result<(), NumberError> {
        let note = move |row: &mut WaitingRow| row.next_at = next_at.get();
        self.0.write_or_undo(Need::Little, move |txn| change_waiting(txn, &number, account, note)).await?
    }

    async fn end_waiting(&self, number: E164, account: Option<AccountId>) -> Result<Option<WaitingRecord>, StoreError> {
        self.0.write(Need::Little, move |txn| end_waiting(txn, &number, account)).await
    }

    async fn port(&self, number: E164, entry: AuditEntry) -> Result<NumberRecord, NumberError> {
        let at = entry.at;
        let mark = move |row: &mut NumberRow, record: &NumberRecord| {
            row.ported_at = at.get();
            let_go(row, at);
            Some(record.clone())
        };
        self.0
            .write_or_undo(Need::Little, move |txn| {
                let before = change(txn, &number, mark)?;
                if before.is_ok() {
                    audit::note(txn, entry)?;
                }
                Ok(before)
            })
            .await?
    }

    async fn reminded(&self, number: E164, mapping: MappingHash) -> Result<(), StoreError> {
        let mark =
            move |row: &mut NumberRow, record: &NumberRecord| (record.head.hash == mapping).then(|| row.remind_at = 0);
        // A number that has another mapping by now needs no reminder for the one before.
        self.0.write(Need::Little, move |txn| change(txn, &number, mark).map(drop)).await
    }

    async fn due(&self, now: UnixMillis, limit: usize) -> Result<Vec<E164>, StoreError> {
        self.0
            .read(move |engine| {
                let mut due = Vec::new();
                for entry in engine.snapshot().prefix(engine.keyspace(Space::Broker), rows::DUE_PREFIX).take(limit) {
                    let (key, _) = entry.into_inner().map_err(read_error)?;
                    if rows::time_of(&key, NUMBERS)? > now {
                        break;
                    }
                    due.push(rows::parse_number_at_end(&key)?);
                }
                Ok(due)
            })
            .await
    }
}
