//! How many uploads may run at once: each holds up to one piece in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rcseal_wire::id::AccountId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Uploads that run at once: at one mebibyte each, a quarter of a gibibyte.
const TOTAL_MAX: usize = 256;
/// Uploads of one account that run at once, so that one account cannot take all places.
const ACCOUNT_MAX: u32 = 8;

/// Places for uploads.
pub(crate) struct UploadSlots {
    total: Arc<Semaphore>,
    per_account: Arc<Mutex<HashMap<AccountId, u32>>>,
}

/// A place, given back when dropped.
pub(super) struct UploadSlot {
    _permit: OwnedSemaphorePermit,
    account: AccountId,
    per_account: Arc<Mutex<HashMap<AccountId, u32>>>,
}

impl UploadSlots {
    pub(crate) fn new() -> Self {
        Self { total: Arc::new(Semaphore::new(TOTAL_MAX)), per_account: Arc::default() }
    }

    /// A place for an upload of `account`, if there is one.
    pub(super) fn take(&self, account: AccountId) -> Option<UploadSlot> {
        let permit = Arc::clone(&self.total).try_acquire_owned().ok()?;
        let mut counts = self.per_account.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(account).or_insert(0);
        if *count >= ACCOUNT_MAX {
            return None;
        }
        *count += 1;
        drop(counts);
        Some(UploadSlot { _permit: permit, account, per_account: Arc::clone(&self.per_account) })
    }
}

impl Drop for UploadSlot {
    fn drop(&mut self) {
        let mut counts = self.per_account.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.account) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_account_cannot_take_every_place() {
        let slots = UploadSlots::new();
        let (greedy, other) = (AccountId::from_bytes([1; 16]), AccountId::from_bytes([2; 16]));
        let held: Vec<_> = (0..ACCOUNT_MAX).filter_map(|_| slots.take(greedy)).collect();
        assert_eq!(held.len(), ACCOUNT_MAX as usize);
        assert!(slots.take(greedy).is_none());
        assert!(slots.take(other).is_some());
        drop(held);
        assert!(slots.take(greedy).is_some());
    }
}
