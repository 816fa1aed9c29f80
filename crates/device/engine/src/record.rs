//! How rows are written: one version byte, then fixed fields in TLS presentation language.
//!
//! A row that cannot be read is damage, not input: it is reported as [`StoreErrorKind::Corrupt`](crate::store::StoreErrorKind) and nothing
//! is guessed. A later version of a record gets a new version byte and a reader for the old one.

use tls_codec::{DeserializeBytes, Serialize, Size, TlsDeserializeBytes, TlsSerialize, TlsSize};
use zeroize::Zeroizing;

use crate::store::{BadRow, StoreError, Table};

/// A record in a table.
pub(crate) trait Record: Size + Serialize + DeserializeBytes + Sized {
    /// The version this software writes, and the only one it reads.
    const VERSION: u8;

    /// Writes the row. Zeroized when dropped: some records hold secrets.
    fn to_row(&self) -> Zeroizing<Vec<u8>> {
        let mut row = Zeroizing::new(Vec::with_capacity(1 + self.tls_serialized_len()));
        row.push(Self::VERSION);
        self.tls_serialize(&mut *row).expect("records are far below the codec's limits, and a Vec takes all bytes");
        row
    }

    /// Reads the row.
    fn from_row(table: Table, row: &[u8]) -> Result<Self, StoreError> {
        match row.split_first() {
            Some((version, fields)) if *version == Self::VERSION => {
                Self::tls_deserialize_exact_bytes(fields).map_err(|_| BadRow::error(table))
            }
            _ => Err(BadRow::error(table)),
        }
    }
}

/// A row that is one number.
#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
pub(crate) struct Number(pub(crate) u64);

impl Record for Number {
    const VERSION: u8 = 1;
}

/// Joins parts to a key.
pub(crate) fn key(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// Text from a row.
pub(crate) fn text(table: Table, bytes: &[u8]) -> Result<String, StoreError> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| BadRow::error(table))
}

/// The big-endian number that ends a key.
pub(crate) fn trailing_u64(table: Table, key: &[u8]) -> Result<u64, StoreError> {
    key.last_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes)).ok_or_else(|| BadRow::error(table))
}
