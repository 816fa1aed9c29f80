//! [`TakeoverStore`] on fjall.
//!
//! A reset is one row per account (`r`), and one in the order in which resets fall due (`R`): a ticket when it expires, a pending reset
//! when it takes effect.

use std::ops::Bound;

use async_trait::async_trait;
use fjall::{Readable as _, UserKey};
use rcseal_crypto::ct_eq;
use rcseal_wire::id::{AccountId, DeviceAddress, DeviceNumber, KeySetCounter, KeySetHash, MailboxId};

use super::account::{counter, set_counter};
use super::directory::{PublishKind, account_row, current_key_set, device_row, publish, upload};
use super::engine::{Engine, read_error};
use super::mailbox::{insert_mailbox, is_mailbox_free};
use super::rows::{self, Counter, PendingResetRow, PrekeyRow, ResetRow, Space};
use super::txn::Txn;
use super::{FjallStore, Need};
use crate::directory::{
    PublishError, PublishKeySet, Published, StoredKeySet, StoredPrekey, UploadError, UploadPrekeys,
};
use crate::limits::{KEY_SET_LEN_MAX, ONE_TIME_PREKEYS_MAX, PREKEY_LEN_MAX, RESETS_MAX};
use crate::takeover::{
    AddTicketError, BeginReset, BeginResetError, CancelReset, ResetRecord, ResetState, ResetTicketHash, Settled,
    Takeover, TakeoverError, TakeoverStore,
};
use crate::{StoreError, UnixMillis};

const SPACE: &str = "resets";
const CORRUPT: StoreError = StoreError::Corrupt { space: SPACE };

fn take_over(
    txn: &mut Txn<'_>,
    takeover: &Takeover,
    now: UnixMillis,
) -> Result<Result<Published, TakeoverError>, StoreError> {
    let account = takeover.account;
    if current_key_set(txn, account)?.is_some_and(|current| current == takeover.key_set) {
        return Ok(Ok(Published::default()));
    }
    let set = PublishKeySet {
        account,
        previous: takeover.previous,
        key_set: takeover.key_set.clone(),
        devices: vec![takeover.device],
        now,
    };
    let published = match publish(txn, &set, PublishKind::Takeover)? {
        Ok(published) => published,
        Err(error) => return Ok(Err(TakeoverError::KeySet(error))),
    };
    let device = DeviceAddress { account, device: takeover.device };
    if !insert_mailbox(txn, device, takeover.mailbox)? {
        return Ok(Err(TakeoverError::MailboxTaken));
    }
    // Publishing has just made its row.
    let mut row = device_row(txn, device)?.ok_or(StoreError::Corrupt { space: "devices" })?;
    row.mailbox = takeover.mailbox.as_bytes().to_vec();
    txn.put(Space::Records, rows::device_key(device), rows::encode(&row));
    match upload(txn, device, &takeover.prekeys, now)? {
        Ok(_) => Ok(Ok(published)),
        Err(UploadError::Store(source)) => Err(source),
        Err(UploadError::UnknownDevice | UploadError::PoolFull { .. } | UploadError::TooLarge) => {
            Ok(Err(TakeoverError::Prekeys))
        }
    }
}

fn reset_row(txn: &Txn<'_>, account: AccountId) -> Result<Option<ResetRow>, StoreError> {
    txn.get(Space::Records, &rows::reset_key(account))?.map(|row| rows::decode(&row, SPACE)).transpose()
}

fn read_row(engine: &Engine, account: AccountId) -> Result<Option<ResetRow>, StoreError> {
    engine.get(Space::Records, &rows::reset_key(account))?.map(|row| rows::decode(&row, SPACE)).transpose()
}

/// When a row falls due.
fn due_at(row: &ResetRow) -> UnixMillis {
    UnixMillis::new(row.pending.as_ref().map_or(row.ticket_expires_at, |pending| pending.effective_at))
}

fn put_row(txn: &mut Txn<'_>, account: AccountId, row: &ResetRow) {
    txn.put(Space::Records, rows::reset_due_key(due_at(row), account), fjall::Slice::from([]));
    txn.put(Space::Records, rows::reset_key(account), rows::encode(row));
}

/// Removes an account's reset, whatever its state; the row that was there.
pub(super) fn remove_reset(txn: &mut Txn<'_>, account: AccountId) -> Result<Option<ResetRow>, StoreError> {
    let Some(row) = reset_row(txn, account)? else { return Ok(None) };
    txn.remove(Space::Records, rows::reset_due_key(due_at(&row), account));
    txn.remove(Space::Records, rows::reset_key(account));
    let left = counter(txn, Counter::Resets)?.saturating_sub(1);
    set_counter(txn, Counter::Resets, left);
    Ok(Some(row))
}

/// Ends a pending reset because a key set was published; a ticket that nobody has used stays. Whether one was pending.
pub(super) fn end_pending(txn: &mut Txn<'_>, account: AccountId) -> Result<bool, StoreError> {
    let is_pending = reset_row(txn, account)?.is_some_and(|row| row.pending.is_some());
    if is_pending {
        remove_reset(txn, account)?;
    }
    Ok(is_pending)
}

fn add_ticket(
    txn: &mut Txn<'_>,
    account: AccountId,
    ticket: ResetTicketHash,
    expires_at: UnixMillis,
) -> Result<Result<(), AddTicketError>, StoreError> {
    if account_row(txn, account)?.is_none() {
        return Ok(Err(AddTicketError::UnknownAccount));
    }
    if let Some(row) = reset_row(txn, account)? {
        if row.pending.is_some() {
            return Ok(Err(AddTicketError::Pending));
        }
        remove_reset(txn, account)?;
    }
    let count = counter(txn, Counter::Resets)?;
    if count >= RESETS_MAX {
        return Ok(Err(AddTicketError::TooMany));
    }
    set_counter(txn, Counter::Resets, count + 1);
    let row = ResetRow { ticket: ticket.as_bytes().to_vec(), ticket_expires_at: expires_at.get(), pending: None };
    put_row(txn, account, &row);
    Ok(Ok(()))
}

fn begin(txn: &mut Txn<'_>, begin: &BeginReset) -> Result<Result<UnixMillis, BeginResetError>, StoreError> {
    let BeginReset { ticket, takeover, effective_at, now } = begin;
    let account = takeover.account;
    let refused = || Ok(Err(BeginResetError::TicketRefused));
    let Some(mut row) = reset_row(txn, account)? else { return refused() };
    if !ct_eq(&row.ticket, ticket.as_bytes()) {
        return refused();
    }
    if let Some(pending) = &row.pending {
        let is_repeated = pending.key_set == takeover.key_set.bytes;
        return if is_repeated { Ok(Ok(UnixMillis::new(pending.effective_at))) } else { refused() };
    }
    if row.ticket_expires_at <= now.get() {
        return refused();
    }
    if let Some(error) = foreseeable_refusal(txn, takeover)? {
        return Ok(Err(BeginResetError::Takeover(error)));
    }
    txn.remove(Space::Records, rows::reset_due_key(due_at(&row), account));
    row.pending = Some(pending_row(takeover, *now, *effective_at));
    put_row(txn, account, &row);
    Ok(Ok(*effective_at))
}

/// Why this takeover would fail if it happened now.
fn foreseeable_refusal(txn: &mut Txn<'_>, takeover: &Takeover) -> Result<Option<TakeoverError>, StoreError> {
    let Some(current) = current_key_set(txn, takeover.account)? else {
        return Ok(Some(TakeoverError::KeySet(PublishError::UnknownAccount)));
    };
    if current.hash != takeover.previous || takeover.key_set.counter <= current.counter {
        return Ok(Some(TakeoverError::KeySet(PublishError::Conflict { current: current.counter })));
    }
    if takeover.key_set.bytes.len() > KEY_SET_LEN_MAX {
        return Ok(Some(TakeoverError::KeySet(PublishError::TooLarge)));
    }
    if !is_mailbox_free(txn, takeover.mailbox)? {
        return Ok(Some(TakeoverError::MailboxTaken));
    }
    let prekeys = &takeover.prekeys;
    let too_many = [&prekeys.one_time, &prekeys.one_time_kem].iter().any(|keys| keys.len() > ONE_TIME_PREKEYS_MAX);
    let all = prekeys.one_time.iter().chain(&prekeys.one_time_kem).chain(&prekeys.signed).chain(&prekeys.last_resort);
    if too_many || all.into_iter().any(|key| key.bytes.len() > PREKEY_LEN_MAX) {
        return Ok(Some(TakeoverError::Prekeys));
    }
    Ok(None)
}

fn pending_row(takeover: &Takeover, now: UnixMillis, effective_at: UnixMillis) -> PendingResetRow {
    let prekey = |key: &StoredPrekey| PrekeyRow { id: key.id, bytes: key.bytes.clone() };
    PendingResetRow {
        requested_at: now.get(),
        effective_at: effective_at.get(),
        previous: takeover.previous.as_bytes().to_vec(),
        counter: takeover.key_set.counter.get(),
        hash: takeover.key_set.hash.as_bytes().to_vec(),
        key_set: takeover.key_set.bytes.clone(),
        device: u32::from(takeover.device.get()),
        mailbox: takeover.mailbox.as_bytes().to_vec(),
        signed: takeover.prekeys.signed.as_ref().map(prekey),
        last_resort: takeover.prekeys.last_resort.as_ref().map(prekey),
        one_time: takeover.prekeys.one_time.iter().map(prekey).collect(),
        one_time_kem: takeover.prekeys.one_time_kem.iter().map(prekey).collect(),
    }
}

fn pending_key_set(row: &PendingResetRow) -> Result<StoredKeySet, StoreError> {
    Ok(StoredKeySet {
        counter: KeySetCounter::new(row.counter),
        hash: KeySetHash::parse(&row.hash).map_err(|_| CORRUPT)?,
        bytes: row.key_set.clone(),
    })
}

fn takeover_of(account: AccountId, row: PendingResetRow) -> Result<Takeover, StoreError> {
    let prekey = |key: PrekeyRow| StoredPrekey { id: key.id, bytes: key.bytes };
    Ok(Takeover {
        account,
        previous: KeySetHash::parse(&row.previous).map_err(|_| CORRUPT)?,
        key_set: pending_key_set(&row)?,
        device: u8::try_from(row.device).ok().and_then(|number| DeviceNumber::new(number).ok()).ok_or(CORRUPT)?,
        mailbox: MailboxId::parse(&row.mailbox).map_err(|_| CORRUPT)?,
        prekeys: UploadPrekeys {
            signed: row.signed.map(prekey),
            last_resort: row.last_resort.map(prekey),
            one_time: row.one_time.into_iter().map(prekey).collect(),
            one_time_kem: row.one_time_kem.into_iter().map(prekey).collect(),
            replace: false,
        },
    })
}

fn record(account: AccountId, row: &ResetRow) -> Result<ResetRecord, StoreError> {
    let state = match &row.pending {
        None => ResetState::Allowed { until: UnixMillis::new(row.ticket_expires_at) },
        Some(pending) => ResetState::Pending {
            requested_at: UnixMillis::new(pending.requested_at),
            effective_at: UnixMillis::new(pending.effective_at),
            key_set: pending_key_set(pending)?,
        },
    };
    Ok(ResetRecord { account, state })
}

fn settle(txn: &mut Txn<'_>, now: UnixMillis) -> Result<Settled, StoreError> {
    let first = txn.scan(Space::Records, rows::RESET_DUE_PREFIX, rows::RESET_DUE_PREFIX, 1)?;
    let Some((key, _)) = first.into_iter().next() else { return Ok(Settled::Nothing { next: None }) };
    let (due, account) = rows::parse_tagged_expiry::<16>(&key, SPACE)?;
    if due > now {
        return Ok(Settled::Nothing { next: Some(due) });
    }
    let account = AccountId::from_bytes(account);
    let Some(row) = remove_reset(txn, account)? else { return Err(CORRUPT) };
    let Some(pending) = row.pending else { return Ok(Settled::Expired) };
    let takeover = takeover_of(account, pending)?;
    match take_over(txn, &takeover, now)? {
        Ok(published) => Ok(Settled::InForce { account, published }),
        Err(error) => {
            // Whatever the takeover has written goes, and the reset as well: it could not succeed the next time either.
            txn.roll_back();
            remove_reset(txn, account)?;
            Ok(Settled::Dropped { account, code: error.code() })
        }
    }
}

fn bytes_of(takeover: &Takeover) -> usize {
    let prekeys = takeover.prekeys.one_time.iter().chain(&takeover.prekeys.one_time_kem);
    takeover.key_set.bytes.len() + prekeys.map(|key| key.bytes.len()).sum::<usize>()
}

#[async_trait]
impl TakeoverStore for FjallStore {
    async fn take_over(&self, takeover: Takeover, now: UnixMillis) -> Result<Published, TakeoverError> {
        self.write_or_undo(Need::Space(bytes_of(&takeover)), move |txn| take_over(txn, &takeover, now)).await?
    }

    async fn add_reset_ticket(
        &self,
        account: AccountId,
        ticket: ResetTicketHash,
        expires_at: UnixMillis,
    ) -> Result<(), AddTicketError> {
        self.write_or_undo(Need::Space(0), move |txn| add_ticket(txn, account, ticket, expires_at)).await?
    }

    async fn is_reset_ticket(
        &self,
        account: AccountId,
        ticket: ResetTicketHash,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        self.read(move |engine| {
            let Some(row) = read_row(engine, account)? else { return Ok(false) };
            let is_alive = row.pending.is_some() || row.ticket_expires_at > now.get();
            Ok(is_alive && ct_eq(&row.ticket, ticket.as_bytes()))
        })
        .await
    }

    async fn begin_reset(&self, begin_reset: BeginReset) -> Result<UnixMillis, BeginResetError> {
        let bytes = bytes_of(&begin_reset.takeover);
        self.write_or_undo(Need::Space(bytes), move |txn| begin(txn, &begin_reset)).await?
    }

    async fn reset(&self, account: AccountId) -> Result<Option<ResetRecord>, StoreError> {
        self.read(move |engine| read_row(engine, account)?.map(|row| record(account, &row)).transpose()).await
    }

    async fn resets(&self, after: Option<AccountId>, limit: usize) -> Result<Vec<ResetRecord>, StoreError> {
        self.read(move |engine| {
            let from = after.map_or(Bound::Included(UserKey::from(rows::RESET_PREFIX)), |account| {
                Bound::Excluded(rows::reset_key(account))
            });
            let until =
                rows::prefix_end(rows::RESET_PREFIX).map_or(Bound::Unbounded, |end| Bound::Excluded(end.into()));
            engine
                .snapshot()
                .range::<UserKey, _>(engine.keyspace(Space::Records), (from, until))
                .take(limit)
                .map(|entry| {
                    let (key, row) = entry.into_inner().map_err(read_error)?;
                    record(rows::parse_reset_key(&key)?, &rows::decode(&row, SPACE)?)
                })
                .collect()
        })
        .await
    }

    async fn cancel_reset(&self, account: AccountId, what: CancelReset) -> Result<bool, StoreError> {
        self.write(Need::Little, move |txn| match what {
            CancelReset::Pending => end_pending(txn, account),
            CancelReset::Everything => Ok(remove_reset(txn, account)?.is_some()),
        })
        .await
    }

    async fn settle_reset(&self, now: UnixMillis) -> Result<Settled, StoreError> {
        // It adds a key set, but whoever waits for it has waited for days, and the devices it removes free more.
        self.write(Need::Little, move |txn| settle(txn, now)).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_row_is_a_reset_or_corrupt(bytes: Vec<u8>, number: u32, id: Vec<u8>) {
            let account = AccountId::from_bytes([1; 16]);
            if let Ok(row) = rows::decode::<ResetRow>(&bytes, SPACE) {
                let _ = record(account, &row);
            }
            let row = PendingResetRow { device: number, mailbox: id.clone(), hash: id.clone(), previous: id, ..PendingResetRow::default() };
            // No id has the length of both a mailbox's and a hash.
            let is_corrupt = matches!(takeover_of(account, row), Err(StoreError::Corrupt { space: SPACE }));
            prop_assert!(is_corrupt);
            let _ = rows::parse_reset_key(&bytes);
        }
    }
}
