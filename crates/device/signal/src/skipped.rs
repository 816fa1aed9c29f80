//! Skipped keys: what messages that were jumped over will need, if they still arrive.
//!
//! A message takes its key from two chains, so there are two kinds of rows: the seed of a message in a chain of the
//! Double Ratchet, and its post-quantum key in a key epoch. They do not live in the session. A step's
//! [`crate::Delta`] names the rows to insert and to remove; the caller keeps them in its store beside the session's
//! record and answers look-ups through [`SkippedKeys`]. So neither a look-up nor a write grows with what is stored.
//!
//! **Bound.** Rows of each kind carry consecutive ordinals and a session keeps the last [`SKIPPED_MAX`] places of each:
//! when a row gets ordinal `n`, every row of its kind below `n - 1999` goes, used up or not. Post-quantum rows also go
//! with their key epoch. There are never more than 2,000 rows of a kind, a range deletes what leaves, and the key of a
//! message that never comes does not stay for ever.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use rcseal_crypto::Secret;

use crate::Delta;

/// Stored skipped keys per session and kind: what deployed clients keep per chain. A row is about 80 bytes, so a peer
/// can make us store 320 KB.
pub const SKIPPED_MAX: u64 = 2_000;

/// Which of a message's two chains a skipped key comes from. Ordinals count per kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SkippedKind {
    /// The Double Ratchet: the message's seed.
    Message,
    /// The post-quantum ratchet: the salt of its keys.
    PostQuantum,
}

impl SkippedKind {
    /// 1 or 2: the first byte of [`SkippedId::to_bytes`].
    pub const fn code(self) -> u8 {
        match self {
            Self::Message => 1,
            Self::PostQuantum => 2,
        }
    }
}

/// Names a skipped key within its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SkippedId {
    /// The seed of a message.
    Message {
        /// The sender's ratchet key.
        chain: [u8; 32],
        /// The message's counter.
        counter: u32,
    },
    /// The post-quantum key of a message.
    PostQuantum {
        /// The key epoch.
        epoch: u64,
        /// The message's index in it.
        index: u32,
    },
}

impl SkippedId {
    /// Which kind of row.
    pub const fn kind(&self) -> SkippedKind {
        match self {
            Self::Message { .. } => SkippedKind::Message,
            Self::PostQuantum { .. } => SkippedKind::PostQuantum,
        }
    }

    /// The id as a key in a store: kind, then chain and counter (37 bytes) or epoch and index (13 bytes), big-endian.
    /// The bytes sort like the ids, so what is evicted with a key epoch is one range.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(37);
        bytes.push(self.kind().code());
        match self {
            Self::Message { chain, counter } => {
                bytes.extend_from_slice(chain);
                bytes.extend_from_slice(&counter.to_be_bytes());
            }
            Self::PostQuantum { epoch, index } => {
                bytes.extend_from_slice(&epoch.to_be_bytes());
                bytes.extend_from_slice(&index.to_be_bytes());
            }
        }
        bytes
    }
}

/// A skipped key as it is stored. No `Clone`; the key is zeroized on drop.
#[derive(Debug)]
pub struct SkippedRow {
    id: SkippedId,
    ordinal: u64,
    key: Secret<32>,
}

impl SkippedRow {
    /// A row read back from the store.
    pub fn from_parts(id: SkippedId, ordinal: u64, key: Secret<32>) -> Self {
        Self { id, ordinal, key }
    }

    /// Primary key within the session.
    pub fn id(&self) -> SkippedId {
        self.id
    }

    /// Place in the order of eviction among the rows of its kind; needs an index within the session.
    pub fn ordinal(&self) -> u64 {
        self.ordinal
    }

    /// The seed, or the post-quantum key: 32 secret bytes.
    pub fn key(&self) -> &Secret<32> {
        &self.key
    }
}

/// Rows that go without having been used: they are the oldest, or their key epoch is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Evict {
    /// Message rows with an ordinal below this go.
    pub messages_below: Option<u64>,
    /// Post-quantum rows with an ordinal below this go.
    pub post_quantum_below: Option<u64>,
    /// Post-quantum rows of a key epoch below this go.
    pub epochs_below: Option<u64>,
}

impl Evict {
    /// Whether a row stays.
    pub fn keeps(&self, row: &SkippedRow) -> bool {
        let (below, epoch) = match row.id {
            SkippedId::Message { .. } => (self.messages_below, None),
            SkippedId::PostQuantum { epoch, .. } => (self.post_quantum_below, Some(epoch)),
        };
        let lasts = epoch.is_none_or(|epoch| self.epochs_below.is_none_or(|first_kept| epoch >= first_kept));
        lasts && below.is_none_or(|first_kept| row.ordinal >= first_kept)
    }
}

/// The store could not answer. Not the same as "no such row", which would make a stored message look like a duplicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store of skipped keys did not answer")]
pub struct LookupFailed;

/// Looks up one session's skipped keys. The store behind it answers in O(log n).
pub trait SkippedKeys {
    /// The row with this id, if it is stored.
    fn get(&self, id: &SkippedId) -> Result<Option<SkippedRow>, LookupFailed>;
}

/// Skipped keys in memory, for tests, tools and engines that load a session's rows at once.
#[derive(Debug, Default)]
pub struct MemorySkippedKeys {
    messages: Rows<[u8; 32]>,
    post_quantum: Rows<u64>,
}

/// The rows of one kind. The first half of an id is the same for many rows, so it is compared once and not with every
/// row; ordinals are consecutive, so a row's place is found by counting.
#[derive(Debug)]
struct Rows<K> {
    keys: BTreeMap<K, BTreeMap<u32, (u64, Secret<32>)>>,
    /// Ids by ordinal, from `first` on; none where a row was removed.
    places: VecDeque<Option<(K, u32)>>,
    first: u64,
    len: usize,
}

impl<K> Default for Rows<K> {
    fn default() -> Self {
        Self { keys: BTreeMap::new(), places: VecDeque::new(), first: 0, len: 0 }
    }
}

impl<K: Ord + Copy> Rows<K> {
    fn get(&self, (key, number): (K, u32)) -> Option<(u64, Secret<32>)> {
        self.keys.get(&key)?.get(&number).map(|(ordinal, secret)| (*ordinal, secret.duplicate()))
    }

    fn insert(&mut self, id: (K, u32), ordinal: u64, secret: Secret<32>) {
        self.remove(id);
        if self.places.is_empty() {
            self.first = ordinal;
        }
        // A session hands out ordinals in ascending order and inserts its rows in that order.
        let Some(place) = ordinal.checked_sub(self.first).and_then(|place| usize::try_from(place).ok()) else { return };
        while self.places.len() <= place {
            self.places.push_back(None);
        }
        self.places[place] = Some(id);
        self.keys.entry(id.0).or_default().insert(id.1, (ordinal, secret));
        self.len += 1;
    }

    fn remove(&mut self, (key, number): (K, u32)) {
        let Some(numbers) = self.keys.get_mut(&key) else { return };
        let Some((ordinal, _)) = numbers.remove(&number) else { return };
        if numbers.is_empty() {
            self.keys.remove(&key);
        }
        self.len -= 1;
        if let Some(place) = usize::try_from(ordinal - self.first).ok().and_then(|place| self.places.get_mut(place)) {
            *place = None;
        }
    }

    fn evict_below(&mut self, ordinal: u64) {
        while self.first < ordinal {
            let Some(id) = self.places.pop_front() else { return };
            self.first += 1;
            if let Some((key, number)) = id
                && let Some(numbers) = self.keys.get_mut(&key)
            {
                self.len -= usize::from(numbers.remove(&number).is_some());
                if numbers.is_empty() {
                    self.keys.remove(&key);
                }
            }
        }
    }
}

impl Rows<u64> {
    fn evict_epochs_below(&mut self, epoch: u64) {
        let leaving: Vec<_> =
            self.keys.range(..epoch).flat_map(|(key, rows)| rows.keys().map(|at| (*key, *at))).collect();
        leaving.into_iter().for_each(|id| self.remove(id));
    }
}

impl MemorySkippedKeys {
    /// No rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many rows are stored.
    pub fn len(&self) -> usize {
        self.messages.len + self.post_quantum.len
    }

    /// How many rows of a kind are stored.
    pub fn count(&self, kind: SkippedKind) -> usize {
        match kind {
            SkippedKind::Message => self.messages.len,
            SkippedKind::PostQuantum => self.post_quantum.len,
        }
    }

    /// Whether none is stored.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Does what a store does with a delta, in the order a store must keep: evict, remove, insert.
    pub fn apply(&mut self, delta: &Delta) {
        let evict = delta.evict();
        if let Some(ordinal) = evict.messages_below {
            self.messages.evict_below(ordinal);
        }
        if let Some(ordinal) = evict.post_quantum_below {
            self.post_quantum.evict_below(ordinal);
        }
        if let Some(epoch) = evict.epochs_below {
            self.post_quantum.evict_epochs_below(epoch);
        }
        for id in delta.remove() {
            match *id {
                SkippedId::Message { chain, counter } => self.messages.remove((chain, counter)),
                SkippedId::PostQuantum { epoch, index } => self.post_quantum.remove((epoch, index)),
            }
        }
        for row in delta.insert() {
            let secret = row.key.duplicate();
            match row.id {
                SkippedId::Message { chain, counter } => self.messages.insert((chain, counter), row.ordinal, secret),
                SkippedId::PostQuantum { epoch, index } => {
                    self.post_quantum.insert((epoch, index), row.ordinal, secret);
                }
            }
        }
    }
}

impl SkippedKeys for MemorySkippedKeys {
    fn get(&self, id: &SkippedId) -> Result<Option<SkippedRow>, LookupFailed> {
        let found = match *id {
            SkippedId::Message { chain, counter } => self.messages.get((chain, counter)),
            SkippedId::PostQuantum { epoch, index } => self.post_quantum.get((epoch, index)),
        };
        Ok(found.map(|(ordinal, key)| SkippedRow { id: *id, ordinal, key }))
    }
}

/// The session's side of the bound: the next ordinal and the lowest that is still kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct SkippedPlaces {
    pub(crate) next: u64,
    pub(crate) oldest: u64,
}

impl SkippedPlaces {
    /// Stored places; `None` if no session has such.
    pub(crate) fn restore(next: u64, oldest: u64) -> Option<Self> {
        (oldest == next.saturating_sub(SKIPPED_MAX)).then_some(Self { next, oldest })
    }

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
