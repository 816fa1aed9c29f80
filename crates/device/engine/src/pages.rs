//! Reading all rows of a table, a page at a time.
//!
//! Housekeeping and the like look at every row, and change rows while they do. A page is a bounded piece of memory, and the place where
//! the next one begins is a key and no position, so it stays right whatever is written meanwhile.

use crate::store::{Order, Row, StoreError, Table, Tx, prefix_end};

/// Where the next page begins.
pub(crate) struct Pages {
    table: Table,
    from: Vec<u8>,
    end: Vec<u8>,
    rows: usize,
}

impl Pages {
    /// All rows of a table whose keys begin with `prefix`, this many at once.
    pub(crate) fn new(table: Table, prefix: &[u8], rows: usize) -> Self {
        Self { table, from: prefix.to_vec(), end: prefix_end(prefix), rows }
    }

    /// The next rows in the order of their keys; `None` behind the last.
    pub(crate) fn next(&mut self, tx: &dyn Tx) -> Result<Option<Vec<Row>>, StoreError> {
        let rows = tx.scan(self.table, &self.from, &self.end, self.rows, Order::Ascending)?;
        let Some((last, _)) = rows.last() else { return Ok(None) };
        self.from.clone_from(last);
        self.from.push(0);
        Ok(Some(rows))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::store::memory::MemoryStore;

    #[test]
    fn every_row_is_seen_once_though_rows_go_meanwhile() {
        let mut store = MemoryStore::new();
        let seen = store
            .run(|tx| {
                for key in [&[1][..], &[2, 0], &[2, 0, 0], &[2, 7], &[2, 255], &[3]] {
                    tx.put(Table::Seen, key, &[])?;
                }
                let (mut pages, mut seen) = (Pages::new(Table::Seen, &[2], 2), Vec::new());
                while let Some(rows) = pages.next(tx)? {
                    for (key, _) in rows {
                        tx.delete(Table::Seen, &key)?;
                        seen.push(key);
                    }
                }
                Ok::<_, StoreError>(seen)
            })
            .unwrap();
        assert_eq!(seen, [vec![2, 0], vec![2, 0, 0], vec![2, 7], vec![2, 255]]);
        assert_eq!(store.len(Table::Seen), 2);
    }
}
