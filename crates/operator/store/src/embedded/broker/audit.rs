//! [`AuditStore`] on fjall.

use std::ops::Bound;

use async_trait::async_trait;
use fjall::{Readable as _, UserKey};
use rcseal_crypto::hash::sha256;

use super::FjallBrokerStore;
use super::rows::{self, AuditRow};
use crate::broker::{AuditEntry, AuditRecord, AuditStore};
use crate::embedded::engine::{Engine, read_error};
use crate::embedded::rows::{Space, prefix_end};
use crate::embedded::txn::Txn;
use crate::{StoreError, UnixMillis};

const AUDIT: &str = "broker_audit";
const HASH_LABEL: &[u8] = b"rcseal/broker-audit/v1";

/// Each variable part behind its length, so that no two entries share bytes.
fn hash(before: &[u8; 32], sequence: u64, row: &AuditRow) -> [u8; 32] {
    let len = |text: &str| (text.len() as u64).to_be_bytes();
    let (action, number, reason) = (len(&row.action), len(&row.number), len(&row.reason));
    sha256(&[
        HASH_LABEL,
        before,
        &sequence.to_be_bytes(),
        &row.at.to_be_bytes(),
        &action,
        row.action.as_bytes(),
        &number,
        row.number.as_bytes(),
        &reason,
        row.reason.as_bytes(),
    ])
}

fn hash_of(row: &AuditRow) -> Result<[u8; 32], StoreError> {
    row.hash.as_slice().try_into().map_err(|_| StoreError::Corrupt { space: AUDIT })
}

/// The sequence in a key.
fn sequence(key: &[u8]) -> Result<u64, StoreError> {
    rows::time_of(key, AUDIT).map(UnixMillis::get)
}

/// Adds an entry. The newest is found from behind, on the commit thread, which is the only one that adds any.
pub(super) fn note(txn: &mut Txn<'_>, entry: AuditEntry) -> Result<(), StoreError> {
    // Entries are written by hand, a few in a year: reading them all is nothing.
    let entries = txn.scan(Space::Broker, rows::AUDIT_PREFIX, rows::AUDIT_PREFIX, usize::MAX)?;
    let (last, before) = match entries.last() {
        Some((key, row)) => (sequence(key)?, hash_of(&rows::decode(row, AUDIT)?)?),
        None => (0, [0; 32]),
    };
    let mut row = AuditRow {
        at: entry.at.get(),
        action: entry.action.to_owned(),
        number: entry.number.as_str().to_owned(),
        reason: entry.reason,
        hash: Vec::new(),
    };
    row.hash = hash(&before, last + 1, &row).to_vec();
    txn.put(Space::Broker, rows::audit_key(last + 1), rows::encode(&row));
    Ok(())
}

fn read(engine: &Engine, after: u64, limit: usize) -> Result<Vec<AuditRecord>, StoreError> {
    let snapshot = engine.snapshot();
    let space = engine.keyspace(Space::Broker);
    let mut before = match after {
        0 => [0; 32],
        after => {
            let row = snapshot.get(space, rows::audit_key(after)).map_err(read_error)?;
            let Some(row) = row else { return Ok(Vec::new()) };
            hash_of(&rows::decode(&row, AUDIT)?)?
        }
    };
    let until = prefix_end(rows::AUDIT_PREFIX).map_or(Bound::Unbounded, |end| Bound::Excluded(UserKey::from(end)));
    let mut records = Vec::new();
    let entries = snapshot.range::<UserKey, _>(space, (Bound::Excluded(rows::audit_key(after)), until));
    for (expected, entry) in (after + 1..).zip(entries.take(limit)) {
        let (key, row) = entry.into_inner().map_err(read_error)?;
        let (sequence, row) = (sequence(&key)?, rows::decode::<AuditRow>(&row, AUDIT)?);
        if sequence != expected || hash(&before, sequence, &row) != hash_of(&row)? {
            return Err(StoreError::Corrupt { space: AUDIT });
        }
        before = hash_of(&row)?;
        records.push(AuditRecord {
            sequence,
            at: UnixMillis::new(row.at),
            number: row.number.parse().map_err(|_| StoreError::Corrupt { space: AUDIT })?,
            action: row.action,
            reason: row.reason,
            hash: before,
        });
    }
    Ok(records)
}

#[async_trait]
impl AuditStore for FjallBrokerStore {
    async fn audit(&self, after: u64, limit: usize) -> Result<Vec<AuditRecord>, StoreError> {
        self.0.read(move |engine| read(engine, after, limit)).await
    }
}
