//! The second implementation of the store's seam: a tree in memory, for tests that move time by hand and crash at will.
//!
//! It keeps nothing. [`MemoryStore::run`] commits on `Ok` and forgets on `Err`, as the real one does, and can be told to fail at its n-th
//! write, so that a test can stop an operation between any two of them.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::{Order, Row, StoreError, StoreErrorKind, Table, Tx};

/// Rows by table and key.
type Rows = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

/// A store that lives as long as its value.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    rows: Rows,
    /// Fails the write with this number (from 0) of the next transaction.
    fail_write: Option<usize>,
}

/// One transaction on it.
#[derive(Debug)]
pub struct MemoryTx {
    rows: Rows,
    writes: usize,
    fail_write: Option<usize>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the next transaction fail at its n-th write, counted from 0.
    pub fn fail_at_write(&mut self, write: usize) {
        self.fail_write = Some(write);
    }

    /// Runs one transaction: kept when `operation` returns `Ok`, forgotten otherwise.
    ///
    /// # Errors
    /// Those of `operation`.
    pub fn run<T, E>(&mut self, operation: impl FnOnce(&mut dyn Tx) -> Result<T, E>) -> Result<T, E> {
        let mut tx = MemoryTx { rows: self.rows.clone(), writes: 0, fail_write: self.fail_write.take() };
        let value = operation(&mut tx)?;
        self.rows = tx.rows;
        Ok(value)
    }

    /// Rows in a table.
    #[must_use]
    pub fn len(&self, table: Table) -> usize {
        self.rows.keys().filter(|(row_table, _)| *row_table == table).count()
    }

    /// Every value, for tests that search them.
    pub fn values(&self) -> impl Iterator<Item = &[u8]> {
        self.rows.values().map(Vec::as_slice)
    }
}

impl MemoryTx {
    fn write(&mut self) -> Result<(), StoreError> {
        if self.fail_write == Some(self.writes) {
            return Err(StoreError::of(StoreErrorKind::Io));
        }
        self.writes += 1;
        Ok(())
    }
}

impl Tx for MemoryTx {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.rows.get(&(table, key.to_vec())).cloned())
    }

    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.write()?;
        self.rows.insert((table, key.to_vec()), value.to_vec());
        Ok(())
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        self.write()?;
        self.rows.remove(&(table, key.to_vec()));
        Ok(())
    }

    fn delete_range(&mut self, table: Table, start: &[u8], end: &[u8]) -> Result<(), StoreError> {
        self.write()?;
        self.rows.retain(|(row_table, key), _| *row_table != table || key.as_slice() < start || key.as_slice() >= end);
        Ok(())
    }

    fn scan(&self, table: Table, start: &[u8], end: &[u8], limit: usize, order: Order) -> Result<Vec<Row>, StoreError> {
        if start >= end {
            return Ok(Vec::new());
        }
        let range = self.rows.range((Bound::Included((table, start.to_vec())), Bound::Excluded((table, end.to_vec()))));
        let row = |((_, key), value): (&(Table, Vec<u8>), &Vec<u8>)| (key.clone(), value.clone());
        Ok(match order {
            Order::Ascending => range.take(limit).map(row).collect(),
            Order::Descending => range.rev().take(limit).map(row).collect(),
        })
    }
}
