//! The archive of a backup, as bytes: its header, the rows inside its encryption, and the mark at its end.
//!
//! Parsers only. What seals the rows is `rcseal_engine::backup`, what stretches the user's secret is `rcseal_client`, and
//! `docs/protocol/backup.md` is the specification. An archive is a file that anybody may have touched: everything here answers a value or a
//! typed error, and a reader allocates no more than a row may have.

mod account;
mod cost;
mod header;
mod reader;
mod row;

pub use account::{AccountRow, AccountRowError, account_deletion, restoration_proof};
pub use cost::{Cost, CostError, SecretKind};
pub use header::{
    CHECK_LEN, END_LEN, END_MAGIC, HEADER_LEN, Header, HeaderError, MAGIC, OLDEST_VERSION, SALT_LEN, VERSION, end_mark,
};
pub use reader::{ROWS_MAX, RowReader};
pub use row::{ROW_KEY_LEN_MAX, ROW_VALUE_LEN_MAX, Row, RowError, RowKind};

/// The largest archive: a history of some hundred million short messages. More is no archive of a phone's.
pub const ARCHIVE_LEN_MAX: u64 = 64 * 1024 * 1024 * 1024;
