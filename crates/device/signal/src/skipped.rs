//! Skipped keys: the seeds of messages that were jumped over and may still arrive.
//!
//! They do not live in the session. A step's [`crate::Delta`] names the rows to insert and to remove; the caller keeps
//! them in its store beside the session's record and answers look-ups through [`SkippedKeys`]. So neither a look-up nor
//! a write grows with what is stored.
//!
//! **Bound.** Rows carry consecutive ordinals and a session keeps the last [`SKIPPED_MAX`] places: when a row gets
//! ordinal `n`, every row below `n - 1999` goes, used up or not. There are never more than 2,000 rows, one range
//! deletes what leaves, and the key of a message that never comes does not stay for ever.

use std::collections::BTreeMap;

use rcseal_crypto::Secret;

use crate::Delta;

/// Stored skipped keys per session: what deployed clients keep per chain. A row is about 80 bytes, so a peer can make
/// us store 160 KB.
pub const SKIPPED_MAX: u64 = 2_000;

/// Names a skipped key: the chain (the sender's ratchet key) and the message's counter in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SkippedId {
    /// The sender's ratchet key.
    pub chain: [u8; 32],
    /// The message's counter.
    pub counter: u32,
}

/// A skipped key as it is stored. No `Clone`; the seed is zeroized on drop.
#[derive(Debug)]
pub struct SkippedRow {
    id: SkippedId,
    ordinal: u64,
    seed: Secret<32>,
}

impl SkippedRow {
    /// A row read back from the store.
    pub fn from_parts(id: SkippedId, ordinal: u64, seed: Secret<32>) -> Self {
        Self { id, ordinal, seed }
    }

    /// Primary key within the session.
    pub fn id(&self) -> SkippedId {
        self.id
    }

    /// Place in the order of eviction; needs an index within the session.
    pub fn ordinal(&self) -> u64 {
        self.ordinal
    }

    /// The message's seed: 32 secret bytes.
    pub fn seed(&self) -> &Secret<32> {
        &self.seed
    }
}

/// The store could not answer. Not the same as "no such row", which would make a stored message look like a duplicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store of skipped keys did not answer")]
pub struct LookupFailed;

/// Looks up one session's skipped keys. The store behind it answers in O(log n).
pub trait SkippedKeys {
    /// The row named by `chain` and `counter`, if it is stored.
    fn get(&self, chain: &[u8; 32], counter: u32) -> Result<Option<SkippedRow>, LookupFailed>;
}

/// Skipped keys in memory, for tests, tools and engines that load a session's rows at once.
#[derive(Debug, Default)]
pub struct MemorySkippedKeys {
    rows: BTreeMap<SkippedId, (u64, Secret<32>)>,
    by_ordinal: BTreeMap<u64, SkippedId>,
}

impl MemorySkippedKeys {
    /// No rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many rows are stored.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether none is stored.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Does what a store does with a delta, in the order a store must keep: evict, remove, insert.
    pub fn apply(&mut self, delta: &Delta) {
        if let Some(first_kept) = delta.evict_below() {
            let kept = self.by_ordinal.split_off(&first_kept);
            for id in std::mem::replace(&mut self.by_ordinal, kept).into_values() {
                self.rows.remove(&id);
            }
        }
        if let Some((ordinal, _)) = delta.remove().and_then(|id| self.rows.remove(&id)) {
            self.by_ordinal.remove(&ordinal);
        }
        for row in delta.insert() {
            self.rows.insert(row.id, (row.ordinal, row.seed.duplicate()));
            self.by_ordinal.insert(row.ordinal, row.id);
        }
    }
}

impl SkippedKeys for MemorySkippedKeys {
    fn get(&self, chain: &[u8; 32], counter: u32) -> Result<Option<SkippedRow>, LookupFailed> {
        let id = SkippedId { chain: *chain, counter };
        Ok(self.rows.get(&id).map(|(ordinal, seed)| SkippedRow { id, ordinal: *ordinal, seed: seed.duplicate() }))
    }
}

/// The session's side of the bound: the next ordinal and the lowest that is still kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct SkippedPlaces {
    pub(crate) next: u64,
    pub(crate) oldest: u64,
}

impl SkippedPlaces {
    /// Takes `count` places. The first of them, and from where on rows are now kept if that changed.
    pub(crate) fn take(&mut self, count: u64) -> (u64, Option<u64>) {
        let first = self.next;
        self.next = self.next.saturating_add(count);
        let oldest = self.next.saturating_sub(SKIPPED_MAX);
        if oldest <= self.oldest {
            return (first, None);
        }
        self.oldest = oldest;
        (first, Some(oldest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_move_on_and_keep_the_last_two_thousand() {
        let mut places = SkippedPlaces::default();
        assert_eq!(places.take(1_999), (0, None));
        assert_eq!(places.take(1), (1_999, None));
        assert_eq!(places.take(1), (2_000, Some(1)));
        assert_eq!(places.take(2_000), (2_001, Some(2_001)));
        assert_eq!(places, SkippedPlaces { next: 4_001, oldest: 2_001 });
    }
}
