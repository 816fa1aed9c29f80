//! [`RetainedStore`] on fjall.

mod audit;
mod rows;

use async_trait::async_trait;
use fjall::UserKey;
use rcseal_wire::api::retained::RETAINED_SEALED_LEN_MAX;
use rcseal_wire::id::{AccountId, KeySetCounter, RetainedId, ServerKeyId};

use self::rows::{MessageRow, SenderUsage, ServerKeyRow, Usage};
use super::directory::account_row;
use super::engine::{Engine, read_error};
use super::rows::{Space, decode, encode, prefix_end};
use super::txn::Txn;
use super::{FjallStore, Need};
use crate::retained::{
    NewRetained, RetainError, Retained, RetainedEntry, RetainedLimit, RetainedRecord, RetainedRecords, RetainedStore,
    ServerKeyRecord,
};
use crate::{StoreError, UnixMillis};

const SPACE: &str = "retained";
/// What a message counts for beside its bytes: its rows' other fields and keys.
const MESSAGE_CHARGE: u64 = 256;

fn usage(txn: &Txn<'_>, to: AccountId) -> Result<Usage, StoreError> {
    txn.get(Space::Retained, &rows::usage_key(to))?.map_or(Ok(Usage::NONE), |row| Usage::parse(&row))
}

fn sender_usage(txn: &Txn<'_>, to: AccountId, from: AccountId) -> Result<SenderUsage, StoreError> {
    txn.get(Space::Retained, &rows::sender_key(to, from))?
        .map_or(Ok(SenderUsage::default()), |row| SenderUsage::parse(&row))
}

const fn charge(sealed_len: usize) -> u64 {
    sealed_len as u64 + MESSAGE_CHARGE
}

fn retain(txn: &mut Txn<'_>, message: NewRetained) -> Result<Result<Retained, RetainError>, StoreError> {
    if let Some(place) = txn.get(Space::Retained, &rows::id_key(message.id))? {
        let (to, sequence) = rows::parse_place(&place)?;
        let row = txn.get(Space::Retained, &rows::message_key(to, sequence))?.ok_or_else(rows::corrupt)?;
        let row: MessageRow = decode(&row, SPACE)?;
        if to != message.to || !row.is_of(&message) {
            return Ok(Err(RetainError::IdConflict));
        }
        let expires_at = UnixMillis::new(row.expires_at);
        return Ok(Ok(Retained { sequence, expires_at, is_new: false }));
    }
    let Some(account) = account_row(txn, message.to)? else { return Ok(Err(RetainError::UnknownRecipient)) };
    let mut usage = usage(txn, message.to)?;
    let bytes = charge(message.sealed.len());
    let limits = txn.limits;
    if usage.messages >= limits.account_retained_messages_max
        || usage.bytes.saturating_add(bytes) > limits.account_retained_bytes_max
    {
        return Ok(Err(RetainError::QuotaExceeded));
    }
    let from = message.from.account;
    let mut of_sender = sender_usage(txn, message.to, from)?;
    let senders = limits.account_retained_senders_min.max(1);
    // A sender may always have one message, however small the operator made the allowance.
    if of_sender.messages > 0
        && (of_sender.messages >= (limits.account_retained_messages_max / senders).max(1)
            || of_sender.bytes.saturating_add(bytes) > limits.account_retained_bytes_max / senders)
    {
        return Ok(Err(RetainError::QuotaExceeded));
    }
    of_sender = SenderUsage { messages: of_sender.messages + 1, bytes: of_sender.bytes + bytes };
    txn.put(Space::Retained, rows::sender_key(message.to, from), of_sender.write());
    let (to, id, sequence, expires_at) = (message.to, message.id, usage.next, message.expires_at);
    usage = Usage { next: usage.next + 1, messages: usage.messages + 1, bytes: usage.bytes + bytes };
    txn.put(Space::Retained, rows::usage_key(to), usage.write());
    txn.put(Space::Retained, rows::id_key(id), rows::write_place(to, sequence));
    txn.put(Space::Retained, rows::expiry_key(expires_at, to, sequence), fjall::Slice::from([]));
    txn.put(Space::Retained, rows::message_key(to, sequence), encode(&MessageRow::new(message, account.counter)));
    Ok(Ok(Retained { sequence, expires_at, is_new: true }))
}

fn expire(txn: &mut Txn<'_>, now: UnixMillis, budget: usize) -> Result<usize, StoreError> {
    let mut removed = 0;
    for (key, _) in txn.scan(Space::Retained, rows::EXPIRY_PREFIX, rows::EXPIRY_PREFIX, budget)? {
        let (expires_at, to, sequence) = rows::parse_expiry_key(&key)?;
        if expires_at > now {
            break;
        }
        txn.remove(Space::Retained, key);
        let message_key = rows::message_key(to, sequence);
        if let Some(row) = txn.get(Space::Retained, &message_key)? {
            let row: MessageRow = decode(&row, SPACE)?;
            let id = RetainedId::parse(&row.id).map_err(|_| rows::corrupt())?;
            txn.remove(Space::Retained, rows::id_key(id));
            txn.remove(Space::Retained, message_key);
            let before = usage(txn, to)?;
            // The row of the account stays: its sequences go on where they were, so that a reader's place means the same for ever.
            let after = Usage {
                messages: before.messages.saturating_sub(1),
                bytes: before.bytes.saturating_sub(charge(row.sealed.len())),
                ..before
            };
            txn.put(Space::Retained, rows::usage_key(to), after.write());
            let from = row.sender()?;
            let before = sender_usage(txn, to, from)?;
            let left = SenderUsage {
                messages: before.messages.saturating_sub(1),
                bytes: before.bytes.saturating_sub(charge(row.sealed.len())),
            };
            if left.messages == 0 {
                txn.remove(Space::Retained, rows::sender_key(to, from));
            } else {
                txn.put(Space::Retained, rows::sender_key(to, from), left.write());
            }
        }
        removed += 1;
    }
    Ok(removed)
}

fn adopt(txn: &mut Txn<'_>, key: ServerKeyRecord) -> Result<ServerKeyRecord, StoreError> {
    let label_key = rows::label_key(&key.label);
    if let Some(id) = txn.get(Space::Retained, &label_key)? {
        let id = ServerKeyId::parse(&id).map_err(|_| rows::corrupt())?;
        let row = txn.get(Space::Retained, &rows::server_key_key(id))?.ok_or_else(rows::corrupt)?;
        return Ok(decode::<ServerKeyRow>(&row, SPACE)?.record(id));
    }
    txn.put(Space::Retained, label_key, fjall::Slice::from(key.id.as_bytes()));
    txn.put(Space::Retained, rows::server_key_key(key.id), encode(&ServerKeyRow::from(key.clone())));
    Ok(key)
}

fn find_server_key(engine: &Engine, id: ServerKeyId) -> Result<Option<ServerKeyRecord>, StoreError> {
    let row = engine.get(Space::Retained, &rows::server_key_key(id))?;
    row.map(|row| Ok(decode::<ServerKeyRow>(&row, SPACE)?.record(id))).transpose()
}

/// Kept messages from one key to before another, in order, with what has expired left out.
fn messages(
    engine: &Engine,
    now: UnixMillis,
    from: UserKey,
    until: Option<Vec<u8>>,
) -> impl Iterator<Item = Result<RetainedRecord, StoreError>> {
    use std::ops::Bound;
    let until = until.map_or(Bound::Unbounded, Bound::Excluded);
    let from = Bound::Excluded(from.to_vec());
    engine.keyspace(Space::Retained).range::<Vec<u8>, _>((from, until)).filter_map(move |entry| {
        let read = || {
            let (key, row) = entry.into_inner().map_err(read_error)?;
            let (to, sequence) = rows::parse_message_key(&key)?;
            decode::<MessageRow>(&row, SPACE)?.record(to, sequence)
        };
        match read() {
            Ok(record) if record.entry.expires_at <= now => None,
            other => Some(other),
        }
    })
}

/// The place after which every message of a recipient came when its key set had reached `since`, not before `after`. Counters rise with sequences,
/// so it is found by halving: whoever asks from the beginning does not have everything read that is not theirs.
fn skip_before(engine: &Engine, to: AccountId, since: KeySetCounter, after: u64) -> Result<u64, StoreError> {
    let Some(row) = engine.get(Space::Retained, &rows::usage_key(to))? else { return Ok(after) };
    let (mut low, mut high) = (after, Usage::parse(&row)?.next);
    while low < high {
        let middle = low + (high - low) / 2;
        let until = Some(rows::message_key(to, high + 1).to_vec());
        // Expired or not: a row says when it came as long as it is there.
        match messages(engine, UnixMillis::new(0), rows::message_key(to, middle), until).next().transpose()? {
            Some(record) if record.entry.counter < since => low = record.entry.sequence,
            Some(_) | None => high = middle,
        }
    }
    Ok(low)
}

#[async_trait]
impl RetainedStore for FjallStore {
    async fn retain(&self, message: NewRetained) -> Result<Retained, RetainError> {
        if message.sealed.len() > RETAINED_SEALED_LEN_MAX {
            return Err(RetainError::TooLarge);
        }
        self.write(Need::Space(message.sealed.len()), move |txn| retain(txn, message)).await?
    }

    async fn retained(
        &self,
        now: UnixMillis,
        to: AccountId,
        since: KeySetCounter,
        after: u64,
        limit: RetainedLimit,
    ) -> Result<RetainedRecords, StoreError> {
        self.read(move |engine| {
            let until = prefix_end(&[rows::MESSAGE_PREFIX, to.as_bytes()].concat());
            let after = skip_before(engine, to, since, after)?;
            let mut page = RetainedRecords::default();
            let mut bytes = 0usize;
            for record in messages(engine, now, rows::message_key(to, after), until) {
                let record = record?;
                bytes = bytes.saturating_add(record.sealed.len());
                let is_first = page.records.is_empty();
                if page.records.len() >= limit.messages || (bytes > limit.bytes && !is_first) {
                    page.more = true;
                    break;
                }
                page.records.push(record);
            }
            Ok(page)
        })
        .await
    }

    async fn newest_retained(&self, to: AccountId) -> Result<Option<u64>, StoreError> {
        self.read(move |engine| {
            let Some(row) = engine.get(Space::Retained, &rows::usage_key(to))? else { return Ok(None) };
            let usage = Usage::parse(&row)?;
            Ok((usage.messages > 0).then(|| usage.next.saturating_sub(1)))
        })
        .await
    }

    async fn retained_message(&self, now: UnixMillis, id: RetainedId) -> Result<Option<RetainedRecord>, StoreError> {
        self.read(move |engine| {
            let Some(place) = engine.get(Space::Retained, &rows::id_key(id))? else { return Ok(None) };
            let (to, sequence) = rows::parse_place(&place)?;
            let Some(row) = engine.get(Space::Retained, &rows::message_key(to, sequence))? else { return Ok(None) };
            let record = decode::<MessageRow>(&row, SPACE)?.record(to, sequence)?;
            Ok(Some(record).filter(|record| record.entry.expires_at > now))
        })
        .await
    }

    async fn list_retained(
        &self,
        now: UnixMillis,
        after: Option<(AccountId, u64)>,
        limit: usize,
    ) -> Result<Vec<RetainedEntry>, StoreError> {
        self.read(move |engine| {
            let from = match after {
                Some((to, sequence)) => rows::message_key(to, sequence),
                None => UserKey::from(rows::MESSAGE_PREFIX),
            };
            let found = messages(engine, now, from, prefix_end(rows::MESSAGE_PREFIX));
            found.take(limit).map(|record| record.map(|record| record.entry)).collect()
        })
        .await
    }

    async fn expire_retained(&self, now: UnixMillis, budget: usize) -> Result<usize, StoreError> {
        self.write(Need::Little, move |txn| expire(txn, now, budget)).await
    }

    async fn adopt_server_key(&self, key: ServerKeyRecord) -> Result<ServerKeyRecord, StoreError> {
        self.write(Need::Little, move |txn| adopt(txn, key)).await
    }

    async fn server_key_of(&self, label: String) -> Result<Option<ServerKeyRecord>, StoreError> {
        self.read(move |engine| {
            let Some(id) = engine.get(Space::Retained, &rows::label_key(&label))? else { return Ok(None) };
            find_server_key(engine, ServerKeyId::parse(&id).map_err(|_| rows::corrupt())?)
        })
        .await
    }

    async fn server_key(&self, id: ServerKeyId) -> Result<Option<ServerKeyRecord>, StoreError> {
        self.read(move |engine| find_server_key(engine, id)).await
    }
}
