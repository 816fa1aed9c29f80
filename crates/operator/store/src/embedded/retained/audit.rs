//! [`AuditStore`] on fjall. The commit thread is the only writer, so the chain has one end.

use async_trait::async_trait;
use fjall::UserKey;

use super::super::engine::{Engine, read_error};
use super::super::rows::{Space, decode, encode, prefix_end};
use super::super::txn::Txn;
use super::super::{FjallStore, Need};
use super::SPACE;
use super::rows::{self, AuditRowBytes};
use crate::audit::{AuditEnds, AuditEntry, AuditHead, AuditRow, AuditStore};
use crate::{StoreError, UnixMillis};

fn head_of(row: Option<fjall::Slice>) -> Result<AuditHead, StoreError> {
    row.map_or(Ok(AuditHead::START), |row| rows::parse_head(&row))
}

fn append(txn: &mut Txn<'_>, entries: Vec<AuditEntry>) -> Result<AuditHead, StoreError> {
    let mut head = head_of(txn.get(Space::Retained, &rows::head_key())?)?;
    for entry in entries {
        let row = head.next(entry);
        head = AuditHead { number: row.number, hash: row.hash };
        txn.put(Space::Retained, rows::audit_key(row.number), encode(&AuditRowBytes::from(&row)));
    }
    txn.put(Space::Retained, rows::head_key(), rows::write_head(head));
    Ok(head)
}

fn expire(txn: &mut Txn<'_>, before: UnixMillis, budget: usize) -> Result<usize, StoreError> {
    let head = head_of(txn.get(Space::Retained, &rows::head_key())?)?;
    let mut removed = 0;
    for (key, row) in txn.scan(Space::Retained, rows::AUDIT_PREFIX, rows::AUDIT_PREFIX, budget)? {
        let row = decode::<AuditRowBytes>(&row, SPACE)?.row(rows::parse_audit_key(&key)?)?;
        if row.entry.at >= before || row.number == head.number {
            break;
        }
        txn.remove(Space::Retained, key);
        let tail = AuditHead { number: row.number, hash: row.hash };
        txn.put(Space::Retained, rows::tail_key(), rows::write_head(tail));
        removed += 1;
    }
    Ok(removed)
}

fn read(engine: &Engine, after: u64, limit: usize) -> Result<Vec<AuditRow>, StoreError> {
    use std::ops::Bound;
    let until = prefix_end(rows::AUDIT_PREFIX).map_or(Bound::Unbounded, |end| Bound::Excluded(UserKey::from(end)));
    engine
        .keyspace(Space::Retained)
        .range::<UserKey, _>((Bound::Excluded(rows::audit_key(after)), until))
        .take(limit)
        .map(|entry| {
            let (key, row) = entry.into_inner().map_err(read_error)?;
            decode::<AuditRowBytes>(&row, SPACE)?.row(rows::parse_audit_key(&key)?)
        })
        .collect()
}

#[async_trait]
impl AuditStore for FjallStore {
    async fn append_audit(&self, entries: Vec<AuditEntry>) -> Result<AuditHead, StoreError> {
        // A full disk must not hide what was opened: where the row cannot be written, nothing is handed over.
        self.write(Need::Little, move |txn| append(txn, entries)).await
    }

    async fn audit(&self, after: u64, limit: usize) -> Result<Vec<AuditRow>, StoreError> {
        self.read(move |engine| read(engine, after, limit)).await
    }

    async fn audit_ends(&self) -> Result<AuditEnds, StoreError> {
        self.read(|engine| {
            let at = |key: UserKey| head_of(engine.get(Space::Retained, &key)?);
            Ok(AuditEnds { tail: at(rows::tail_key())?, head: at(rows::head_key())? })
        })
        .await
    }

    async fn expire_audit(&self, before: UnixMillis, budget: usize) -> Result<usize, StoreError> {
        self.write(Need::Little, move |txn| expire(txn, before, budget)).await
    }
}
