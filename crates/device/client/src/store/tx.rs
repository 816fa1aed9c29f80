//! One transaction, as the engine sees it: ordered tables of bytes over SQL.

use std::sync::LazyLock;

use rcseal_engine::store::{Order, Row, StoreError, Table, Tx};
use rusqlite::{OptionalExtension, Transaction, params};

use super::error::store_error;

/// Kinds of statement for each table.
const STATEMENTS_PER_TABLE: usize = 6;
/// Prepared statements that are kept: all there are.
pub(super) const STATEMENTS_MAX: usize = Table::ALL.len() * STATEMENTS_PER_TABLE;

/// The statements on one table. Table names come from the engine's closed list, never from outside.
struct Sql {
    get: String,
    put: String,
    delete: String,
    delete_range: String,
    scan_up: String,
    scan_down: String,
}

static SQL: LazyLock<Vec<Sql>> = LazyLock::new(|| {
    let longest = Table::ALL.iter().map(|table| usize::from(table.code())).max().unwrap_or(0);
    let mut by_code: Vec<Option<Table>> = vec![None; longest + 1];
    for table in Table::ALL {
        by_code[usize::from(table.code())] = Some(table);
    }
    by_code.into_iter().map(|table| Sql::of(table.map_or("meta", Table::name))).collect()
});

impl Sql {
    fn of(name: &str) -> Self {
        Self {
            get: format!("SELECT value FROM {name} WHERE key = ?1"),
            put: format!(
                "INSERT INTO {name} (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
            ),
            delete: format!("DELETE FROM {name} WHERE key = ?1"),
            delete_range: format!("DELETE FROM {name} WHERE key >= ?1 AND key < ?2"),
            scan_up: format!("SELECT key, value FROM {name} WHERE key >= ?1 AND key < ?2 ORDER BY key LIMIT ?3"),
            scan_down: format!("SELECT key, value FROM {name} WHERE key >= ?1 AND key < ?2 ORDER BY key DESC LIMIT ?3"),
        }
    }
}

/// An open transaction.
pub(super) struct SqlTx<'a> {
    tx: &'a Transaction<'a>,
    has_written: bool,
}

impl<'a> SqlTx<'a> {
    pub(super) fn new(tx: &'a Transaction<'a>) -> Self {
        Self { tx, has_written: false }
    }

    /// Whether there is anything to commit.
    pub(super) const fn has_written(&self) -> bool {
        self.has_written
    }

    fn sql(table: Table) -> &'static Sql {
        // The list has a place for every code there is.
        &SQL[usize::from(table.code())]
    }
}

impl Tx for SqlTx<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let mut statement = self.tx.prepare_cached(&Self::sql(table).get).map_err(store_error)?;
        statement.query_row([key], |row| row.get(0)).optional().map_err(store_error)
    }

    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.has_written = true;
        let mut statement = self.tx.prepare_cached(&Self::sql(table).put).map_err(store_error)?;
        statement.execute([key, value]).map_err(store_error)?;
        Ok(())
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        self.has_written = true;
        let mut statement = self.tx.prepare_cached(&Self::sql(table).delete).map_err(store_error)?;
        statement.execute([key]).map_err(store_error)?;
        Ok(())
    }

    fn delete_range(&mut self, table: Table, start: &[u8], end: &[u8]) -> Result<(), StoreError> {
        self.has_written = true;
        let mut statement = self.tx.prepare_cached(&Self::sql(table).delete_range).map_err(store_error)?;
        statement.execute([start, end]).map_err(store_error)?;
        Ok(())
    }

    fn scan(&self, table: Table, start: &[u8], end: &[u8], limit: usize, order: Order) -> Result<Vec<Row>, StoreError> {
        let sql = match order {
            Order::Ascending => &Self::sql(table).scan_up,
            Order::Descending => &Self::sql(table).scan_down,
        };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut statement = self.tx.prepare_cached(sql).map_err(store_error)?;
        let rows = statement
            .query_map(params![start, end, limit], |row| Ok((row.get(0)?, row.get(1)?)))
            .map_err(store_error)?;
        rows.collect::<Result<_, _>>().map_err(store_error)
    }
}
