//! One connection to the database: its key, its layout, its settings.
//!
//! **Layout.** The first 32 bytes of the file are plain (`cipher_plaintext_header_size`), so that iOS takes it for the SQLite file it is
//! and leaves a suspended app alone that has it open in a shared container. SQLCipher would keep its salt there; it comes from the
//! wrapped key instead ([`super::key`]). The plain bytes are not authenticated by SQLCipher, and say nothing but what is the same for every
//! store, the number of changes and the number of pages; [`Header`] takes nothing else. Everything after them is encrypted and
//! authenticated page by page.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use zeroize::Zeroizing;

use super::OpenError;
use super::error::Part;
use super::key::StoreKey;
use super::role::Role;
use super::tx::STATEMENTS_MAX;

/// Bytes that stay plain: what iOS looks at.
pub(super) const PLAIN_LEN: usize = 32;
/// Whoever writes has the turn, so nobody waits here but for a reader's checkpoint; a longer wait would mean a bug.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Prepared statements that a push client keeps: it has some dozens of transactions before it, and 24 MB for everything.
const PUSH_STATEMENTS: usize = 32;

/// Which layout a database has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// The salt in the first 16 bytes: what programs before version 7 of the schema wrote.
    Former,
    /// 32 plain bytes, and the salt elsewhere.
    Plain,
}

/// What the first bytes of a file say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    /// Those of a database of the present layout.
    Plain,
    /// Not the name of the format: the former layout, or damage.
    Unknown,
}

impl Header {
    /// Reads them. Of the fields that SQLite takes its bearings from, each has one value that our own program writes.
    pub(super) fn parse(bytes: &[u8; PLAIN_LEN]) -> Result<Self, OpenError> {
        if bytes[..16] != *b"SQLite format 3\0" {
            return Ok(Self::Unknown);
        }
        // Page size 4096; reserved bytes of a page: an initialisation vector of 16 and a MAC of 64; three constants of the format.
        let is_ours = bytes[16..18] == [0x10, 0x00]
            && bytes[18] == bytes[19]
            && (1..=2).contains(&bytes[18])
            && bytes[20..24] == [80, 64, 32, 32];
        if is_ours { Ok(Self::Plain) } else { Err(OpenError::Damaged { part: Part::Header }) }
    }
}

/// Starts the library, once for the process.
///
/// SQLite declares itself ready *before* it starts SQLCipher. A second thread that opens a database in between finds SQLCipher without its
/// tables, and its `PRAGMA key` fails. So the first open of the process is made alone, and everybody waits for its end.
fn start() -> Result<(), OpenError> {
    static STARTED: OnceLock<Result<(), rusqlite::Error>> = OnceLock::new();
    match STARTED.get_or_init(|| Connection::open_in_memory().map(drop)) {
        Ok(()) => Ok(()),
        Err(error) => Err(OpenError::Io(std::io::Error::other(error.to_string()))),
    }
}

/// Opens the file with its key, and reads its first page, which shows whether the key fits.
pub(super) fn connect(path: &Path, key: &StoreKey, layout: Layout) -> Result<Connection, OpenError> {
    start()?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(OpenError::sqlite)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(OpenError::sqlite)?;
    // SQLCipher writes to standard error on a wrong key unless told not to.
    connection.execute_batch("PRAGMA cipher_log_level = NONE").map_err(OpenError::sqlite)?;
    // A raw key: no passphrase is stretched, the vault has done that where it was needed.
    let statement = Zeroizing::new(format!("PRAGMA key = \"{}\"", key.literal().as_str()));
    connection.execute_batch(&statement).map_err(OpenError::sqlite)?;
    if layout == Layout::Plain {
        connection
            .execute_batch(&format!("PRAGMA cipher_plaintext_header_size = {PLAIN_LEN}"))
            .map_err(OpenError::sqlite)?;
    }
    connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))
        .map_err(OpenError::sqlite)?;
    Ok(connection)
}

/// Opens the database of a store for use.
pub(super) fn open(path: &Path, key: &StoreKey, role: Role) -> Result<Connection, OpenError> {
    let connection = connect(path, key, Layout::Plain)?;
    // The log stays when a connection is closed: a log that is removed under another connection takes its commits along.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(OpenError::sqlite)?;
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = ON;
             PRAGMA secure_delete = ON;
             PRAGMA temp_store = MEMORY;
             PRAGMA mmap_size = 0;
             PRAGMA trusted_schema = OFF;",
        )
        .map_err(OpenError::sqlite)?;
    match role {
        Role::Main => connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX),
        Role::Push => {
            // Half a MiB of pages.
            connection.execute_batch("PRAGMA cache_size = -512").map_err(OpenError::sqlite)?;
            connection.set_prepared_statement_cache_capacity(PUSH_STATEMENTS);
        }
    }
    Ok(connection)
}

/// Writes the log into the database and empties it. The caller has the turn.
pub(super) fn empty_log(connection: &Connection) -> rusqlite::Result<bool> {
    let was_busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    Ok(was_busy == 0)
}

/// The number of a kind that the store keeps about itself.
pub(super) fn fact(connection: &Connection, name: &str) -> rusqlite::Result<u64> {
    let value: i64 = connection.query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get(0))?;
    Ok(u64::try_from(value).unwrap_or(0))
}

/// Writes such a number.
pub(super) fn set_fact(connection: &Connection, name: &str, value: u64) -> rusqlite::Result<()> {
    // Counts of starts, hours and commits never come near 2^63.
    let value = i64::try_from(value).unwrap_or(i64::MAX);
    connection.execute("UPDATE meta SET value = ?2 WHERE name = ?1", rusqlite::params![name, value])?;
    Ok(())
}

/// Counts a commit, inside its transaction, and answers its number.
pub(super) fn count_commit(connection: &Connection) -> rusqlite::Result<u64> {
    let mut statement =
        connection.prepare_cached("UPDATE meta SET value = value + 1 WHERE name = 'commits' RETURNING value")?;
    let value: i64 = statement.query_row([], |row| row.get(0))?;
    Ok(u64::try_from(value).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn good() -> [u8; PLAIN_LEN] {
        let mut bytes = [0; PLAIN_LEN];
        bytes[..16].copy_from_slice(b"SQLite format 3\0");
        bytes[16..24].copy_from_slice(&[0x10, 0, 2, 2, 80, 64, 32, 32]);
        bytes
    }

    #[test]
    fn a_header_that_says_anything_else_is_not_taken() {
        assert_eq!(Header::parse(&good()).unwrap(), Header::Plain);
        for at in 0..24 {
            for bit in 0..8 {
                let mut bytes = good();
                bytes[at] ^= 1 << bit;
                match Header::parse(&bytes) {
                    Ok(Header::Unknown) => assert!(at < 16),
                    Err(OpenError::Damaged { part: Part::Header }) => assert!(at >= 16),
                    other => unreachable!("byte {at}, bit {bit}: {other:?}"),
                }
            }
        }
    }
}
