//! [`QuotaStore`] on fjall.

use async_trait::async_trait;

use super::FjallBrokerStore;
use super::rows::{self, QuotaRow};
use crate::broker::{Charge, Exhausted, QuotaStore};
use crate::embedded::Need;
use crate::embedded::rows::Space;
use crate::embedded::txn::Txn;
use crate::{StoreError, UnixMillis};

const QUOTAS: &str = "broker_quotas";

/// Charges all or none. Windows begin with the first charge, so that nobody gets two windows' worth at the turn of a day.
pub(super) fn charge(
    txn: &mut Txn<'_>,
    charges: &[Charge],
    now: UnixMillis,
) -> Result<Result<(), Exhausted>, StoreError> {
    let mut updated = Vec::with_capacity(charges.len());
    for charge in charges {
        let key = rows::quota_key(charge.kind.code(), &charge.key);
        let row = txn.get(Space::Broker, &key)?.map(|row| rows::decode::<QuotaRow>(&row, QUOTAS)).transpose()?;
        let old_end = row.map(|row| row.ends_at);
        let row = row
            .filter(|row| row.ends_at > now.get())
            .unwrap_or(QuotaRow { ends_at: now.plus_seconds(charge.window_seconds).get(), used: 0 });
        let used = row.used.saturating_add(charge.amount);
        if used > charge.limit || (charge.amount == 0 && used >= charge.limit) {
            return Ok(Err(Exhausted { kind: charge.kind, until: UnixMillis::new(row.ends_at) }));
        }
        if charge.amount > 0 {
            updated.push((charge, key, QuotaRow { used, ..row }, old_end));
        }
    }
    for (charge, key, row, old_end) in updated {
        let end_key = |end| rows::quota_end_key(end, charge.kind.code(), &charge.key);
        if old_end != Some(row.ends_at) {
            if let Some(end) = old_end {
                txn.remove(Space::Broker, end_key(end));
            }
            txn.put(Space::Broker, end_key(row.ends_at), fjall::Slice::from([]));
        }
        txn.put(Space::Broker, key, rows::encode(&row));
    }
    Ok(Ok(()))
}

fn expire(txn: &mut Txn<'_>, now: UnixMillis, budget: usize) -> Result<usize, StoreError> {
    let mut removed = 0;
    for (key, _) in txn.scan(Space::Broker, rows::QUOTA_END_PREFIX, rows::QUOTA_END_PREFIX, budget)? {
        if rows::time_of(&key, QUOTAS)? > now {
            break;
        }
        let (kind, of) = rows::parse_quota_end_key(&key)?;
        txn.remove(Space::Broker, key);
        txn.remove(Space::Broker, rows::quota_key(kind, &of));
        removed += 1;
    }
    Ok(removed)
}

#[async_trait]
impl QuotaStore for FjallBrokerStore {
    async fn charge(&self, charges: Vec<Charge>, now: UnixMillis) -> Result<Result<(), Exhausted>, StoreError> {
        self.0.write(Need::Space(0), move |txn| charge(txn, &charges, now)).await
    }

    async fn expire_quotas(&self, now: UnixMillis, budget: usize) -> Result<usize, StoreError> {
        self.0.write(Need::Little, move |txn| expire(txn, now, budget)).await
    }
}
