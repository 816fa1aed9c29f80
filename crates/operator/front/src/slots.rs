//! How many transfers may run at once, in all and for each peer: each holds a piece in memory.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places for transfers of peers that are told apart by `K`, so that one of them cannot take all places.
pub struct Slots<K: Eq + Hash> {
    total: Arc<Semaphore>,
    per_peer: Arc<Mutex<HashMap<K, u32>>>,
    per_peer_max: u32,
}

/// A place, given back when dropped.
pub struct Slot<K: Eq + Hash> {
    _permit: OwnedSemaphorePermit,
    peer: K,
    per_peer: Arc<Mutex<HashMap<K, u32>>>,
}

impl<K: Eq + Hash + Clone> Slots<K> {
    /// So many places in all, and for each peer.
    #[must_use]
    pub fn new(total_max: usize, per_peer_max: u32) -> Self {
        Self { total: Arc::new(Semaphore::new(total_max)), per_peer: Arc::default(), per_peer_max }
    }

    /// A place for a transfer of `peer`, if there is one.
    #[must_use]
    pub fn take(&self, peer: K) -> Option<Slot<K>> {
        let permit = Arc::clone(&self.total).try_acquire_owned().ok()?;
        let mut counts = self.per_peer.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(peer.clone()).or_insert(0);
        if *count >= self.per_peer_max {
            return None;
        }
        *count += 1;
        drop(counts);
        Some(Slot { _permit: permit, peer, per_peer: Arc::clone(&self.per_peer) })
    }
}

impl<K: Eq + Hash> Drop for Slot<K> {
    fn drop(&mut self) {
        let mut counts = self.per_peer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_peer_cannot_take_every_place() {
        let slots = Slots::new(3, 2);
        let held = [slots.take("greedy"), slots.take("greedy")];
        assert!(held.iter().all(Option::is_some));
        assert!(slots.take("greedy").is_none());
        let other = slots.take("other");
        assert!(other.is_some());
        assert!(slots.take("third").is_none());
        drop(held);
        assert!(slots.take("greedy").is_some());
    }
}
