//! What operations see while they run on the commit thread: the database below, and on top of it what the operations of the same
//! group have written so far.
//!
//! Writes are collected by key, the last one wins, and go to the database in one batch. An operation that fails halfway is undone
//! without a trace.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use fjall::{UserKey, UserValue};

use super::engine::{Engine, read_error};
use super::rows::{Space, prefix_end};
use crate::{StoreError, StoreLimits, UnixMillis};

/// What a group writes: `None` removes.
pub(super) type Writes = BTreeMap<(Space, UserKey), Option<UserValue>>;

/// Records kept in memory: a few hundred bytes each, the mailboxes and accounts that are written to most.
const CACHED_RECORDS_MAX: usize = 64 * 1024;

/// What the commit thread knows besides the rows. It is forgotten whenever a commit fails.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Nothing that expires before this is stored any more, nor accepted.
    pub(super) expiry_floor: UnixMillis,
    /// Records as the database holds them: every envelope needs its mailbox's and its account's, and finding them there costs more
    /// than everything else about it. Only this thread writes, so they stay true.
    records: HashMap<UserKey, Option<UserValue>>,
}

impl Memory {
    /// Takes note of what was committed.
    pub(super) fn note_committed(&mut self, writes: &Writes) {
        for ((space, key), value) in writes {
            if *space == Space::Records
                && let Some(known) = self.records.get_mut(key)
            {
                known.clone_from(value);
            }
        }
    }

    fn remember(&mut self, key: &UserKey, value: Option<&UserValue>) {
        if self.records.len() >= CACHED_RECORDS_MAX {
            self.records.clear();
        }
        self.records.insert(key.clone(), value.cloned());
    }
}

/// What a write of this operation replaced in the group's writes, if the group had written there before.
struct Overwritten {
    space: Space,
    key: UserKey,
    before: Option<Option<UserValue>>,
}

pub(super) struct Txn<'a> {
    engine: &'a Engine,
    writes: &'a mut Writes,
    undo: Vec<Overwritten>,
    pub(super) memory: &'a mut Memory,
    pub(super) limits: &'a StoreLimits,
}

impl<'a> Txn<'a> {
    pub(super) fn new(
        engine: &'a Engine,
        writes: &'a mut Writes,
        memory: &'a mut Memory,
        limits: &'a StoreLimits,
    ) -> Self {
        Self { engine, writes, undo: Vec::new(), memory, limits }
    }

    pub(super) fn get(&self, space: Space, key: &UserKey) -> Result<Option<UserValue>, StoreError> {
        match self.writes.get(&(space, key.clone())) {
            Some(value) => Ok(value.clone()),
            None => self.engine.get(space, key),
        }
    }

    /// A record that is asked for over and over: a mailbox, an account.
    pub(super) fn get_hot(&mut self, key: &UserKey) -> Result<Option<UserValue>, StoreError> {
        if let Some(value) = self.writes.get(&(Space::Records, key.clone())) {
            return Ok(value.clone());
        }
        if let Some(value) = self.memory.records.get(key) {
            return Ok(value.clone());
        }
        let value = self.engine.get(Space::Records, key)?;
        self.memory.remember(key, value.as_ref());
        Ok(value)
    }

    pub(super) fn contains(&self, space: Space, key: &UserKey) -> Result<bool, StoreError> {
        match self.writes.get(&(space, key.clone())) {
            Some(value) => Ok(value.is_some()),
            None => self.engine.keyspace(space).contains_key(key).map_err(read_error),
        }
    }

    pub(super) fn put(&mut self, space: Space, key: UserKey, value: UserValue) {
        self.write(space, key, Some(value));
    }

    pub(super) fn remove(&mut self, space: Space, key: UserKey) {
        self.write(space, key, None);
    }

    fn write(&mut self, space: Space, key: UserKey, value: Option<UserValue>) {
        let before = self.writes.insert((space, key.clone()), value);
        self.undo.push(Overwritten { space, key, before });
    }

    /// Rows with this prefix from `from` on, in order, at most `limit`.
    pub(super) fn scan(
        &self,
        space: Space,
        prefix: &[u8],
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<(UserKey, UserValue)>, StoreError> {
        let end = prefix_end(prefix);
        let upper = || end.clone().map_or(Bound::Unbounded, Bound::Excluded);
        let mut found: BTreeMap<UserKey, UserValue> = BTreeMap::new();
        let mut taken = 0;
        for entry in self.engine.keyspace(space).range::<Vec<u8>, _>((Bound::Included(from.to_vec()), upper())) {
            if taken == limit {
                break;
            }
            let (key, value) = entry.into_inner().map_err(read_error)?;
            // A row that the group has touched is taken from the group's writes below.
            if !self.writes.contains_key(&(space, key.clone())) {
                found.insert(key, value);
                taken += 1;
            }
        }
        let lower = Bound::Included((space, UserKey::from(from)));
        for ((found_space, key), value) in self.writes.range((lower, Bound::Unbounded)) {
            if *found_space != space || !key.starts_with(prefix) {
                break;
            }
            if let Some(value) = value {
                found.insert(key.clone(), value.clone());
            }
        }
        Ok(found.into_iter().take(limit).collect())
    }

    /// Takes back what this operation has written.
    pub(super) fn roll_back(&mut self) {
        while let Some(Overwritten { space, key, before }) = self.undo.pop() {
            match before {
                Some(value) => self.writes.insert((space, key), value),
                None => self.writes.remove(&(space, key)),
            };
        }
    }
}
