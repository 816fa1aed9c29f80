//! A transaction that fails at its n-th write.

use rcseal_engine::store::{Order, Row, StoreError, StoreErrorKind, Table, Tx};

/// Passes everything on, until the write with number `fail_at` (from 0).
pub(crate) struct FaultyTx<'a> {
    inner: &'a mut dyn Tx,
    writes: usize,
    fail_at: usize,
}

impl<'a> FaultyTx<'a> {
    pub(crate) fn new(inner: &'a mut dyn Tx, fail_at: usize) -> Self {
        Self { inner, writes: 0, fail_at }
    }

    fn write(&mut self) -> Result<(), StoreError> {
        if self.writes == self.fail_at {
            return Err(StoreError::of(StoreErrorKind::Io));
        }
        self.writes += 1;
        Ok(())
    }
}

impl Tx for FaultyTx<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.get(table, key)
    }

    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.write()?;
        self.inner.put(table, key, value)
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        self.write()?;
        self.inner.delete(table, key)
    }

    fn delete_range(&mut self, table: Table, start: &[u8], end: &[u8]) -> Result<(), StoreError> {
        self.write()?;
        self.inner.delete_range(table, start, end)
    }

    fn scan(&self, table: Table, start: &[u8], end: &[u8], limit: usize, order: Order) -> Result<Vec<Row>, StoreError> {
        self.inner.scan(table, start, end, limit, order)
    }
}
