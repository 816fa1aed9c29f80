//! [`BusinessStore`] on fjall. Its rows begin with `9`:
//!
//! | key | value |
//! |---|---|
//! | `9m`, tenant, id 16 | revision 8, due 8 (0 for never), expires 8, digest 16, row |
//! | `9d`, due 8, tenant, id 16 | nothing |
//! | `9e`, event 32 | expires 8 |
//! | `9l`, gateway's id | expires 8, tenant, id 16 |
//! | `9s`, tenant | last sequence 8 |
//! | `9f`, tenant, sequence 8 | expires 8, entry |
//! | `9x`, kind 1, expires 8, rest of the key of `9m`, `9e`, `9l`, `9f` | nothing |
//!
//! A tenant is its length in one byte and its name.

use async_trait::async_trait;
use bytes::Bytes;
use fjall::{Slice, UserKey, UserValue};

use crate::broker::business::{
    BusinessChange, BusinessStore, ChangeOutcome, DuePlace, FEED_ENTRY_LEN_MAX, FEED_LEN_MAX, FeedEntry,
    GATEWAY_ID_LEN_MAX, MESSAGE_ROW_LEN_MAX, MessageChange, MessageKey, MessageRecord, NewMessage, NewMessageOutcome,
    TENANT_LEN_MAX,
};
use crate::embedded::engine::{Engine, read_error};
use crate::embedded::rows::{Space, prefix_end};
use crate::embedded::txn::Txn;
use crate::embedded::{FjallBrokerStore, Need};
use crate::{StoreError, UnixMillis};

const SPACE: Space = Space::Broker;
/// Bytes of a message's row before the caller's.
const HEAD_LEN: usize = 40;

const fn corrupt() -> StoreError {
    StoreError::Corrupt { space: "business" }
}

/// A caller that passes a limit of this module's has not kept its own.
fn refused() -> StoreError {
    StoreError::Full
}

fn key(parts: &[&[u8]]) -> UserKey {
    UserKey::from(parts.concat())
}

fn value(parts: &[&[u8]]) -> UserValue {
    UserValue::from(parts.concat())
}

fn tenant_part(tenant: &str) -> Result<Vec<u8>, StoreError> {
    if tenant.len() > TENANT_LEN_MAX {
        return Err(refused());
    }
    let len = u8::try_from(tenant.len()).map_err(|_| refused())?;
    Ok([&[len], tenant.as_bytes()].concat())
}

fn message_part(message: &MessageKey) -> Result<Vec<u8>, StoreError> {
    Ok([&tenant_part(&message.tenant)?[..], &message.id].concat())
}

fn parse_message(bytes: &[u8]) -> Result<MessageKey, StoreError> {
    let (&len, rest) = bytes.split_first().ok_or(corrupt())?;
    let (tenant, id) = rest.split_at_checked(usize::from(len)).ok_or(corrupt())?;
    let tenant = std::str::from_utf8(tenant).map_err(|_| corrupt())?.to_owned();
    Ok(MessageKey { tenant, id: id.try_into().map_err(|_| corrupt())? })
}

fn expiry_key(kind: u8, expires_at: UnixMillis, rest: &[u8]) -> UserKey {
    key(&[b"9x", &[kind], &expires_at.get().to_be_bytes(), rest])
}

fn due_key(due: u64, message: &[u8]) -> UserKey {
    key(&[b"9d", &due.to_be_bytes(), message])
}

fn u64_at(row: &[u8], at: usize) -> Result<u64, StoreError> {
    let bytes = row.get(at..).and_then(|rest| rest.first_chunk::<8>()).ok_or(corrupt())?;
    Ok(u64::from_be_bytes(*bytes))
}

/// A message's row, taken apart.
struct Row {
    revision: u64,
    due: u64,
    expires_at: u64,
    digest: [u8; 16],
    row: Bytes,
}

impl Row {
    fn parse(row: &[u8]) -> Result<Self, StoreError> {
        let digest = row.get(24..HEAD_LEN).and_then(|digest| digest.try_into().ok()).ok_or(corrupt())?;
        Ok(Self {
            revision: u64_at(row, 0)?,
            due: u64_at(row, 8)?,
            expires_at: u64_at(row, 16)?,
            digest,
            row: Bytes::copy_from_slice(&row[HEAD_LEN..]),
        })
    }

    fn write(&self) -> UserValue {
        value(&[
            &self.revision.to_be_bytes(),
            &self.due.to_be_bytes(),
            &self.expires_at.to_be_bytes(),
            &self.digest,
            &self.row,
        ])
    }

    fn record(self) -> MessageRecord {
        let due_at = (self.due != 0).then(|| UnixMillis::new(self.due));
        MessageRecord { revision: self.revision, due_at, row: self.row }
    }
}

fn due_of(due_at: Option<UnixMillis>) -> u64 {
    due_at.map_or(0, |due| due.get().max(1))
}

fn message_row(txn: &Txn<'_>, name: &[u8]) -> Result<Option<Row>, StoreError> {
    txn.get(SPACE, &key(&[b"9m", name]))?.map(|row| Row::parse(&row)).transpose()
}

fn new_message(txn: &mut Txn<'_>, message: &NewMessage) -> Result<NewMessageOutcome, StoreError> {
    let name = message_part(&message.key)?;
    if let Some(known) = message_row(txn, &name)? {
        return Ok(if known.digest == message.digest {
            NewMessageOutcome::Present(known.record())
        } else {
            NewMessageOutcome::Conflict
        });
    }
    let due = due_of(message.due_at);
    let row = Row {
        revision: 1,
        due,
        expires_at: message.expires_at.get(),
        digest: message.digest,
        row: message.row.clone(),
    };
    txn.put(SPACE, key(&[b"9m", &name]), row.write());
    txn.put(SPACE, expiry_key(b'm', message.expires_at, &name), Slice::from([]));
    if due != 0 {
        txn.put(SPACE, due_key(due, &name), Slice::from([]));
    }
    Ok(NewMessageOutcome::Stored)
}

/// Whether the message still had the revision that was read.
fn change_message(txn: &mut Txn<'_>, change: &MessageChange) -> Result<bool, StoreError> {
    let name = message_part(&change.key)?;
    let Some(mut row) = message_row(txn, &name)? else { return Ok(false) };
    if row.revision != change.revision {
        return Ok(false);
    }
    let due = due_of(change.due_at);
    if due != row.due {
        if row.due != 0 {
            txn.remove(SPACE, due_key(row.due, &name));
        }
        if due != 0 {
            txn.put(SPACE, due_key(due, &name), Slice::from([]));
        }
    }
    row.revision += 1;
    row.due = due;
    row.row = change.row.clone();
    txn.put(SPACE, key(&[b"9m", &name]), row.write());
    Ok(true)
}

fn tell(txn: &mut Txn<'_>, entry: &FeedEntry) -> Result<(), StoreError> {
    let tenant = tenant_part(&entry.tenant)?;
    let last_key = key(&[b"9s", &tenant]);
    let sequence = txn.get(SPACE, &last_key)?.map_or(Ok(0), |row| u64_at(&row, 0))? + 1;
    txn.put(SPACE, last_key, value(&[&sequence.to_be_bytes()]));
    let entry_key = |sequence: u64| key(&[b"9f", &tenant, &sequence.to_be_bytes()]);
    txn.put(SPACE, entry_key(sequence), value(&[&entry.expires_at.get().to_be_bytes(), &entry.entry]));
    let rest = [&tenant[..], &sequence.to_be_bytes()].concat();
    txn.put(SPACE, expiry_key(b'f', entry.expires_at, &rest), Slice::from([]));
    if let Some(oldest) = sequence.checked_sub(FEED_LEN_MAX)
        && let Some(row) = txn.get(SPACE, &entry_key(oldest))?
    {
        let rest = [&tenant[..], &oldest.to_be_bytes()].concat();
        txn.remove(SPACE, expiry_key(b'f', UnixMillis::new(u64_at(&row, 0)?), &rest));
        txn.remove(SPACE, entry_key(oldest));
    }
    Ok(())
}

fn change(txn: &mut Txn<'_>, change: &BusinessChange) -> Result<ChangeOutcome, StoreError> {
    if let Some((event, expires_at)) = &change.event {
        let event_key = key(&[b"9e", event]);
        if txn.contains(SPACE, &event_key)? {
            return Ok(ChangeOutcome::KnownEvent);
        }
        txn.put(SPACE, event_key, value(&[&expires_at.get().to_be_bytes()]));
        txn.put(SPACE, expiry_key(b'e', *expires_at, event), Slice::from([]));
    }
    if let Some(message) = &change.message
        && !change_message(txn, message)?
    {
        return Ok(ChangeOutcome::Stale);
    }
    if let Some(entry) = &change.feed {
        tell(txn, entry)?;
    }
    for (gateway_id, message, expires_at) in &change.links {
        let link_key = key(&[b"9l", gateway_id]);
        let link = value(&[&expires_at.get().to_be_bytes(), &message_part(message)?]);
        if let Some(before) = txn.get(SPACE, &link_key)? {
            // Gateways count, and begin again: the newest message is meant.
            txn.remove(SPACE, expiry_key(b'l', UnixMillis::new(u64_at(&before, 0)?), gateway_id));
        }
        txn.put(SPACE, link_key, link);
        txn.put(SPACE, expiry_key(b'l', *expires_at, gateway_id), Slice::from([]));
    }
    Ok(ChangeOutcome::Done)
}

fn expire(txn: &mut Txn<'_>, now: UnixMillis, budget: usize) -> Result<usize, StoreError> {
    let mut forgotten = 0;
    for kind in *b"mefl" {
        let prefix = [b'9', b'x', kind];
        for (expiry, _) in txn.scan(SPACE, &prefix, &prefix, budget)? {
            let (expires_at, rest) = expiry.get(3..).and_then(|rest| rest.split_first_chunk::<8>()).ok_or(corrupt())?;
            if u64::from_be_bytes(*expires_at) > now.get() {
                break;
            }
            if kind == b'm'
                && let Some(row) = message_row(txn, rest)?
                && row.due != 0
            {
                txn.remove(SPACE, due_key(row.due, rest));
            }
            let target = key(&[b"9", &[kind], rest]);
            txn.remove(SPACE, target);
            txn.remove(SPACE, expiry);
            forgotten += 1;
        }
    }
    Ok(forgotten)
}

fn due_messages(
    engine: &Engine,
    before: UnixMillis,
    after: Option<DuePlace>,
    budget: usize,
) -> Result<Vec<(DuePlace, MessageKey, MessageRecord)>, StoreError> {
    let from = after.map_or(b"9d".to_vec(), |place| [&place.0[..], &[0]].concat());
    let end = prefix_end(b"9d").unwrap_or_default();
    let mut found = Vec::new();
    for entry in engine.keyspace(SPACE).range::<Vec<u8>, _>(from..end).take(budget) {
        let (due_key, _) = entry.into_inner().map_err(read_error)?;
        if u64_at(&due_key, 2)? > before.get() {
            break;
        }
        let name = due_key.get(10..).ok_or(corrupt())?;
        // It may have been dealt with since.
        if let Some(row) = engine.get(SPACE, &[b"9m", name].concat())? {
            found.push((DuePlace(due_key.to_vec()), parse_message(name)?, Row::parse(&row)?.record()));
        }
    }
    Ok(found)
}

#[async_trait]
impl BusinessStore for FjallBrokerStore {
    async fn new_message(&self, message: NewMessage) -> Result<NewMessageOutcome, StoreError> {
        if message.row.len() > MESSAGE_ROW_LEN_MAX {
            return Err(refused());
        }
        self.0.write(Need::Space(message.row.len()), move |txn| new_message(txn, &message)).await
    }

    async fn message(&self, message: MessageKey) -> Result<Option<MessageRecord>, StoreError> {
        let name = message_part(&message)?;
        self.0
            .read(move |engine| {
                let row = engine.get(SPACE, &[b"9m", &name[..]].concat())?;
                row.map(|row| Row::parse(&row).map(Row::record)).transpose()
            })
            .await
    }

    async fn change(&self, changes: BusinessChange) -> Result<ChangeOutcome, StoreError> {
        let row_len = changes.message.as_ref().map_or(0, |message| message.row.len());
        let feed_len = changes.feed.as_ref().map_or(0, |feed| feed.entry.len());
        let is_link = |link: &(Bytes, MessageKey, UnixMillis)| (1..=GATEWAY_ID_LEN_MAX).contains(&link.0.len());
        if row_len > MESSAGE_ROW_LEN_MAX || feed_len > FEED_ENTRY_LEN_MAX || !changes.links.iter().all(is_link) {
            return Err(refused());
        }
        let run = move |txn: &mut Txn<'_>| {
            let outcome = change(txn, &changes)?;
            if outcome != ChangeOutcome::Done {
                txn.roll_back();
            }
            Ok(outcome)
        };
        self.0.write(Need::Space(row_len + feed_len), run).await
    }

    async fn due_messages(
        &self,
        before: UnixMillis,
        after: Option<DuePlace>,
        budget: usize,
    ) -> Result<Vec<(DuePlace, MessageKey, MessageRecord)>, StoreError> {
        self.0.read(move |engine| due_messages(engine, before, after, budget)).await
    }

    async fn linked(&self, gateway_id: Bytes) -> Result<Option<MessageKey>, StoreError> {
        self.0
            .read(move |engine| {
                let link = engine.get(SPACE, &[b"9l", &gateway_id[..]].concat())?;
                link.map(|link| parse_message(link.get(8..).ok_or(corrupt())?)).transpose()
            })
            .await
    }

    async fn feed(&self, tenant: String, after: u64, budget: usize) -> Result<Vec<(u64, Bytes)>, StoreError> {
        let prefix = [b"9f", &tenant_part(&tenant)?[..]].concat();
        self.0
            .read(move |engine| {
                let from = [&prefix[..], &after.saturating_add(1).to_be_bytes()].concat();
                let end = prefix_end(&prefix).unwrap_or_default();
                let mut found = Vec::new();
                for entry in engine.keyspace(SPACE).range::<Vec<u8>, _>(from..end).take(budget) {
                    let (entry_key, row) = entry.into_inner().map_err(read_error)?;
                    let entry = row.get(8..).ok_or(corrupt())?;
                    found.push((u64_at(&entry_key, prefix.len())?, Bytes::copy_from_slice(entry)));
                }
                Ok(found)
            })
            .await
    }

    async fn expire_business(&self, now: UnixMillis, budget: usize) -> Result<usize, StoreError> {
        self.0.write(Need::Little, move |txn| expire(txn, now, budget)).await
    }
}

#[cfg(test)]
mod tests;
