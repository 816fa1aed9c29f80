//! The schema and its migrations.
//!
//! `PRAGMA user_version` counts the migrations that a file has seen. Each migration is one SQL script, runs in one transaction together
//! with the counter, and is never edited once it has been released: a later shape is a later script. A file from a later program is
//! refused, because an older program cannot know what it would break.

use std::cmp::Ordering;

use rusqlite::{Connection, TransactionBehavior};

use super::OpenError;

/// Marks the file as one of ours (`PRAGMA application_id`): the letters RCSL.
const APPLICATION_ID: i32 = 0x5243_534c;

/// Every migration, in order; the first one makes version 1.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("schema/v1.sql"),
    include_str!("schema/v2.sql"),
    include_str!("schema/v3.sql"),
    include_str!("schema/v4.sql"),
    include_str!("schema/v5.sql"),
    include_str!("schema/v6.sql"),
    include_str!("schema/v7.sql"),
];

/// Brings a database to the version that `migrations` end at.
pub(super) fn migrate(connection: &mut Connection, migrations: &[&str]) -> Result<(), OpenError> {
    let known = migrations.len();
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(OpenError::sqlite)?;
    let found: i64 = tx.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(OpenError::sqlite)?;
    let done = usize::try_from(found).unwrap_or(usize::MAX);
    let Some(missing) = migrations.get(done..) else {
        return Err(OpenError::Newer { found, known });
    };
    if missing.is_empty() {
        return Ok(());
    }
    if done == 0 {
        tx.pragma_update(None, "application_id", APPLICATION_ID).map_err(OpenError::sqlite)?;
    }
    for script in missing {
        tx.execute_batch(script).map_err(OpenError::sqlite)?;
    }
    // Pragmas take no parameters. The number is a count of our own scripts.
    tx.execute_batch(&format!("PRAGMA user_version = {known}")).map_err(OpenError::sqlite)?;
    tx.commit().map_err(OpenError::sqlite)
}

/// Checks that a database is of the version that `migrations` end at.
pub(super) fn check_version(connection: &Connection, migrations: &[&str]) -> Result<(), OpenError> {
    let known = migrations.len();
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(OpenError::sqlite)?;
    match usize::try_from(found).unwrap_or(usize::MAX).cmp(&known) {
        Ordering::Less => Err(OpenError::NeedsMain),
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(OpenError::Newer { found, known }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rcseal_engine::store::Table;

    use super::*;

    fn tables(connection: &Connection) -> Vec<String> {
        let mut statement = connection
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name != 'meta' ORDER BY name")
            .unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn the_schema_has_the_engines_tables_and_no_others() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, MIGRATIONS).unwrap();
        let mut expected: Vec<String> = Table::ALL.iter().map(|table| table.name().to_owned()).collect();
        expected.sort();
        assert_eq!(tables(&connection), expected);
    }

    #[test]
    fn a_store_of_version_1_keeps_its_rows_through_a_later_migration() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, &MIGRATIONS[..1]).unwrap();
        connection.execute("INSERT INTO message (key, value) VALUES (x'01', x'02')", []).unwrap();
        let later =
            [MIGRATIONS, &["CREATE TABLE draft (key BLOB NOT NULL PRIMARY KEY, value BLOB NOT NULL) STRICT"]].concat();
        migrate(&mut connection, &later).unwrap();
        assert!(tables(&connection).contains(&"draft".to_owned()));
        let value: Vec<u8> =
            connection.query_row("SELECT value FROM message WHERE key = x'01'", [], |row| row.get(0)).unwrap();
        assert_eq!(value, [2]);
        // Once more changes nothing.
        migrate(&mut connection, &later).unwrap();
    }

    #[test]
    fn a_migration_that_fails_leaves_the_version_before_it() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, MIGRATIONS).unwrap();
        let before = tables(&connection);
        let broken =
            [MIGRATIONS, &["CREATE TABLE half (key BLOB) STRICT; CREATE TABLE message (key BLOB) STRICT"]].concat();
        assert!(matches!(migrate(&mut connection, &broken), Err(OpenError::Sqlite(_))));
        assert_eq!(tables(&connection), before);
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        assert_eq!(version, i64::try_from(MIGRATIONS.len()).unwrap());
    }

    #[test]
    fn a_store_of_a_later_program_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("PRAGMA user_version = 99").unwrap();
        assert!(matches!(
            migrate(&mut connection, MIGRATIONS),
            Err(OpenError::Newer { found: 99, known }) if known == MIGRATIONS.len()
        ));
    }
}
