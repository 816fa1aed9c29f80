//! [`MailboxStore`] on fjall.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use fjall::Readable;
use rcseal_crypto::hash::sha256;
use rcseal_wire::id::{DeliveryTokenHash, DeviceAddress, EnvelopeId, MailboxId};
use rcseal_wire::padding::ENVELOPE_LEN_MAX;

use super::engine::{Engine, read_error};
use super::rows::{self, AccountRow, DeviceRow, ENVELOPE_HEADER_LEN, EnvelopeHeader, IdRow, MailboxRow, Space};
use super::txn::Txn;
use super::{FjallStore, Need};
use crate::mailbox::{
    AcknowledgeOutcome, Authority, CreateMailboxError, Enqueue, EnqueueOutcome, ExpireOutcome, FetchLimit, Fetched,
    MailboxObserver, MailboxSeq, MailboxStore, MailboxUsage, Waiting,
};
use crate::{StoreError, UnixMillis};

/// What an envelope costs beside its bytes, for the memory of waiting operations.
const ENVELOPE_OVERHEAD: usize = 256;
/// Rows of one purge step that are looked at in one go.
const PURGE_STEP: usize = 256;

/// An envelope with what can be computed off the commit thread.
struct Prepared {
    enqueue: Enqueue,
    check: [u8; 16],
}

/// What an enqueue hands back to its caller and to the observers.
struct Enqueued {
    outcomes: Vec<EnqueueOutcome>,
    mailboxes: Vec<MailboxId>,
}

fn content_check(envelope: &[u8]) -> [u8; 16] {
    let digest = sha256(&[envelope]);
    let mut check = [0; 16];
    check.copy_from_slice(&digest[..16]);
    check
}

pub(super) fn mailbox_row(txn: &mut Txn<'_>, mailbox: MailboxId) -> Result<Option<MailboxRow>, StoreError> {
    txn.get_hot(&rows::mailbox_key(mailbox))?.map(|row| MailboxRow::parse(&row)).transpose()
}

/// Gives a device a mailbox that nobody has; `false` if somebody has it, or had it until a moment ago.
pub(super) fn insert_mailbox(txn: &mut Txn<'_>, device: DeviceAddress, mailbox: MailboxId) -> Result<bool, StoreError> {
    if !is_mailbox_free(txn, mailbox)? {
        return Ok(false);
    }
    txn.put(Space::Records, rows::mailbox_key(mailbox), MailboxRow::new(device).write());
    Ok(true)
}

/// Whether nobody has this mailbox id, nor had it until a moment ago.
pub(super) fn is_mailbox_free(txn: &Txn<'_>, mailbox: MailboxId) -> Result<bool, StoreError> {
    Ok(!txn.contains(Space::Records, &rows::mailbox_key(mailbox))?
        && !txn.contains(Space::Records, &rows::purge_key(mailbox))?)
}

/// Takes a mailbox away. Its envelopes can no longer be fetched; expiry removes them.
pub(super) fn remove_mailbox(txn: &mut Txn<'_>, mailbox: MailboxId) {
    txn.remove(Space::Records, rows::mailbox_key(mailbox));
    txn.put(Space::Records, rows::purge_key(mailbox), fjall::Slice::from([]));
}

fn token_opens(txn: &mut Txn<'_>, device: DeviceAddress, token: &DeliveryTokenHash) -> Result<bool, StoreError> {
    let Some(row) = txn.get_hot(&rows::account_key(device.account))? else { return Ok(false) };
    let account: AccountRow = rows::decode(&row, "accounts")?;
    Ok(has_token(&account, token))
}

/// Compared in constant time, all of them: the time says nothing of which one fits.
pub(super) fn has_token(account: &AccountRow, token: &DeliveryTokenHash) -> bool {
    account.delivery_tokens.iter().fold(false, |found, active| found | rcseal_crypto::ct_eq(active, token.as_bytes()))
}

fn enqueue_one(txn: &mut Txn<'_>, now: UnixMillis, prepared: &Prepared) -> Result<EnqueueOutcome, StoreError> {
    let Prepared { enqueue, check } = prepared;
    let Some(mut mailbox) = mailbox_row(txn, enqueue.mailbox)? else { return Ok(EnqueueOutcome::UnknownMailbox) };
    match &enqueue.authority {
        Authority::Granted => {}
        Authority::Token(token) => {
            if !token_opens(txn, mailbox.device, token)? {
                return Ok(EnqueueOutcome::Forbidden);
            }
        }
    }
    let Ok(len) = u32::try_from(enqueue.envelope.len()) else { return Ok(EnqueueOutcome::TooLarge) };
    if enqueue.envelope.len() > ENVELOPE_LEN_MAX {
        return Ok(EnqueueOutcome::TooLarge);
    }
    let id_key = rows::id_key(enqueue.mailbox, enqueue.id);
    if let Some(row) = txn.get(Space::Ids, &id_key)? {
        let row = IdRow::parse(&row)?;
        return Ok(if row.check == *check && row.len == len {
            EnqueueOutcome::Duplicate
        } else {
            EnqueueOutcome::IdConflict
        });
    }
    if enqueue.expires_at <= now || enqueue.expires_at < txn.memory.expiry_floor {
        return Ok(EnqueueOutcome::Expired);
    }
    if mailbox.envelopes >= txn.limits.mailbox_envelopes_max
        || mailbox.bytes + u64::from(len) > txn.limits.mailbox_bytes_max
    {
        return Ok(EnqueueOutcome::QuotaExceeded);
    }

    let seq = MailboxSeq::new(mailbox.next);
    mailbox.next += 1;
    mailbox.envelopes += 1;
    mailbox.bytes += u64::from(len);
    let header = EnvelopeHeader { id: enqueue.id, received_at: now, expires_at: enqueue.expires_at };
    txn.put(Space::Envelopes, rows::envelope_key(enqueue.mailbox, seq), header.write(&enqueue.envelope));
    txn.put(Space::Ids, id_key, IdRow { seq, expires_at: enqueue.expires_at, len, check: *check }.write());
    txn.put(Space::Expiry, rows::expiry_key(enqueue.expires_at, enqueue.mailbox, enqueue.id), fjall::Slice::from([]));
    txn.put(Space::Records, rows::mailbox_key(enqueue.mailbox), mailbox.write());
    Ok(EnqueueOutcome::Stored)
}

fn acknowledge(txn: &mut Txn<'_>, mailbox: MailboxId, ids: &[EnvelopeId]) -> Result<AcknowledgeOutcome, StoreError> {
    let mut outcome = AcknowledgeOutcome::default();
    let Some(mut row) = mailbox_row(txn, mailbox)? else {
        outcome.unknown = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        return Ok(outcome);
    };
    for id in ids {
        let Some(id_row) = txn.get(Space::Ids, &rows::id_key(mailbox, *id))? else {
            outcome.unknown += 1;
            continue;
        };
        let id_row = IdRow::parse(&id_row)?;
        let envelope_key = rows::envelope_key(mailbox, id_row.seq);
        if txn.contains(Space::Envelopes, &envelope_key)? {
            txn.remove(Space::Envelopes, envelope_key);
            row.remove(id_row.len);
            outcome.removed += 1;
        } else {
            outcome.repeated += 1;
        }
    }
    if outcome.removed > 0 {
        txn.put(Space::Records, rows::mailbox_key(mailbox), row.write());
    }
    Ok(outcome)
}

fn expire(txn: &mut Txn<'_>, now: UnixMillis, budget: usize) -> Result<ExpireOutcome, StoreError> {
    let mut outcome = ExpireOutcome::default();
    let from = txn.memory.expiry_floor.get().to_be_bytes();
    let due = txn.scan(Space::Expiry, &[], &from, budget)?;
    let mut left = budget;
    let mut finished = due.len() < budget;
    for (key, _) in due {
        let (expires_at, mailbox, id) = rows::parse_expiry_key(&key)?;
        if expires_at > now {
            finished = true;
            break;
        }
        left -= 1;
        txn.remove(Space::Expiry, key);
        let id_key = rows::id_key(mailbox, id);
        let Some(row) = txn.get(Space::Ids, &id_key)? else { continue };
        let id_row = IdRow::parse(&row)?;
        if id_row.expires_at != expires_at {
            continue;
        }
        txn.remove(Space::Ids, id_key);
        outcome.forgotten += 1;
        let envelope_key = rows::envelope_key(mailbox, id_row.seq);
        if txn.contains(Space::Envelopes, &envelope_key)? {
            txn.remove(Space::Envelopes, envelope_key);
            outcome.dropped += 1;
            if let Some(mut row) = mailbox_row(txn, mailbox)? {
                row.remove(id_row.len);
                txn.put(Space::Records, rows::mailbox_key(mailbox), row.write());
            }
        }
    }
    if finished {
        // Everything up to now is gone, so the next sweep need not walk over its remains. Where the clock was put back, the floor follows
        // it: a clock that was wrong for a minute must not have new envelopes refused until the time it showed.
        txn.memory.expiry_floor = now.plus_millis(1);
    }
    let purged = purge(txn, left)?;
    outcome.dropped += purged.dropped;
    outcome.forgotten += purged.forgotten;
    outcome.more = !finished || purged.more;
    Ok(outcome)
}

/// Removes what is left of mailboxes whose devices are gone.
fn purge(txn: &mut Txn<'_>, mut budget: usize) -> Result<ExpireOutcome, StoreError> {
    let mut outcome = ExpireOutcome::default();
    while budget > 0 {
        let Some((purge_key, _)) =
            txn.scan(Space::Records, rows::PURGE_PREFIX, rows::PURGE_PREFIX, 1)?.into_iter().next()
        else {
            return Ok(outcome);
        };
        let mailbox = rows::parse_purge_key(&purge_key)?;
        let prefix = mailbox.as_bytes();
        let step = budget.min(PURGE_STEP);
        let envelopes = txn.scan(Space::Envelopes, prefix, prefix, step)?;
        let ids = txn.scan(Space::Ids, prefix, prefix, step)?;
        if envelopes.is_empty() && ids.is_empty() {
            txn.remove(Space::Records, purge_key);
            budget -= 1;
            continue;
        }
        budget = budget.saturating_sub(envelopes.len().max(ids.len()));
        outcome.dropped += envelopes.len() as u64;
        outcome.forgotten += ids.len() as u64;
        for (key, _) in envelopes {
            txn.remove(Space::Envelopes, key);
        }
        for (key, _) in ids {
            txn.remove(Space::Ids, key);
        }
    }
    outcome.more = true;
    Ok(outcome)
}

fn fetch(
    engine: &Engine,
    now: UnixMillis,
    mailbox: MailboxId,
    after: MailboxSeq,
    limit: FetchLimit,
) -> Result<Fetched, StoreError> {
    let mut fetched = Fetched::default();
    let Some(row) = engine.get(Space::Records, &rows::mailbox_key(mailbox))? else { return Ok(fetched) };
    let row = MailboxRow::parse(&row)?;
    if row.envelopes == 0 {
        return Ok(fetched);
    }
    let from = row.head.max(after.get().saturating_add(1));
    let range =
        rows::envelope_key(mailbox, MailboxSeq::new(from))..=rows::envelope_key(mailbox, MailboxSeq::new(u64::MAX));
    let mut bytes = 0;
    for entry in engine.snapshot().range(engine.keyspace(Space::Envelopes), range) {
        if fetched.envelopes.len() >= limit.envelopes || bytes >= limit.bytes {
            fetched.more = true;
            break;
        }
        let (key, value) = entry.into_inner().map_err(read_error)?;
        let header = EnvelopeHeader::parse(&value)?;
        if header.expires_at <= now {
            continue;
        }
        // The row's memory goes out with it; nothing is copied.
        let envelope = Bytes::from_owner(value).slice(ENVELOPE_HEADER_LEN..);
        bytes += envelope.len();
        fetched.envelopes.push(Waiting {
            seq: rows::parse_envelope_key(&key)?,
            id: header.id,
            received_at: header.received_at,
            expires_at: header.expires_at,
            envelope,
        });
    }
    Ok(fetched)
}

#[async_trait]
impl MailboxStore for FjallStore {
    async fn create_mailbox(&self, device: DeviceAddress, mailbox: MailboxId) -> Result<(), CreateMailboxError> {
        self.write(Need::Space(0), move |txn| {
            let key = rows::device_key(device);
            let Some(row) = txn.get(Space::Records, &key)? else { return Ok(Err(CreateMailboxError::UnknownDevice)) };
            let mut row: DeviceRow = rows::decode(&row, "devices")?;
            match row.mailbox()? {
                Some(present) if present == mailbox => return Ok(Ok(())),
                Some(_) => return Ok(Err(CreateMailboxError::HasMailbox)),
                None => {}
            }
            if !insert_mailbox(txn, device, mailbox)? {
                return Ok(Err(CreateMailboxError::MailboxTaken));
            }
            row.mailbox = mailbox.as_bytes().to_vec();
            txn.put(Space::Records, key, rows::encode(&row));
            Ok(Ok(()))
        })
        .await?
    }

    async fn enqueue(&self, now: UnixMillis, envelopes: Vec<Enqueue>) -> Result<Vec<EnqueueOutcome>, StoreError> {
        let bytes = envelopes.iter().map(|enqueue| enqueue.envelope.len() + ENVELOPE_OVERHEAD).sum();
        let prepared: Vec<Prepared> = envelopes
            .into_iter()
            .map(|enqueue| Prepared { check: content_check(&enqueue.envelope), enqueue })
            .collect();
        let touched =
            |enqueued: &Enqueued, mailboxes: &mut Vec<MailboxId>| mailboxes.extend_from_slice(&enqueued.mailboxes);
        let enqueued = self
            .write_touching(Need::Space(bytes), touched, move |txn| {
                let mut enqueued = Enqueued { outcomes: Vec::with_capacity(prepared.len()), mailboxes: Vec::new() };
                for prepared in &prepared {
                    let outcome = enqueue_one(txn, now, prepared)?;
                    if outcome == EnqueueOutcome::Stored && enqueued.mailboxes.last() != Some(&prepared.enqueue.mailbox)
                    {
                        enqueued.mailboxes.push(prepared.enqueue.mailbox);
                    }
                    enqueued.outcomes.push(outcome);
                }
                Ok(enqueued)
            })
            .await?;
        Ok(enqueued.outcomes)
    }

    async fn fetch(
        &self,
        now: UnixMillis,
        mailbox: MailboxId,
        after: MailboxSeq,
        limit: FetchLimit,
    ) -> Result<Fetched, StoreError> {
        self.read(move |engine| fetch(engine, now, mailbox, after, limit)).await
    }

    async fn acknowledge(&self, mailbox: MailboxId, ids: Vec<EnvelopeId>) -> Result<AcknowledgeOutcome, StoreError> {
        self.write(Need::Little, move |txn| acknowledge(txn, mailbox, &ids)).await
    }

    async fn expire(&self, now: UnixMillis, budget: usize) -> Result<ExpireOutcome, StoreError> {
        self.write(Need::Little, move |txn| expire(txn, now, budget)).await
    }

    async fn mailbox_usage(&self, mailbox: MailboxId) -> Result<Option<MailboxUsage>, StoreError> {
        self.read(move |engine| {
            let Some(row) = engine.get(Space::Records, &rows::mailbox_key(mailbox))? else { return Ok(None) };
            let row = MailboxRow::parse(&row)?;
            Ok(Some(MailboxUsage { envelopes: row.envelopes, bytes: row.bytes }))
        })
        .await
    }

    fn observe(&self, observer: Arc<dyn MailboxObserver>) {
        self.shared.observe(observer);
    }
}
