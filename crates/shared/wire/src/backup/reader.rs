//! Rows out of bytes that come piece by piece: their order, their number, their end.

use zeroize::Zeroizing;

use super::{ROW_KEY_LEN_MAX, ROW_VALUE_LEN_MAX, Row, RowError, RowKind};

/// Rows of an archive.
pub const ROWS_MAX: u64 = 100_000_000;
const ROW_HEADER_LEN: usize = 1 + 1 + 4;

/// Makes rows of bytes that come piece by piece, and checks their order.
#[derive(Default)]
pub struct RowReader {
    bytes: Zeroizing<Vec<u8>>,
    read: usize,
    last: Option<RowKind>,
    rows: u64,
}

impl RowReader {
    /// Takes the next piece. A piece is bounded by whoever cuts it; between two of them at most one row waits.
    pub fn push(&mut self, piece: &[u8]) {
        if self.bytes.capacity() < self.bytes.len() - self.read + piece.len() {
            // A plain `extend` would leave a copy of what it moves behind, and there are secrets in it.
            let mut grown = Zeroizing::new(Vec::with_capacity((self.bytes.len() - self.read + piece.len()) * 2));
            grown.extend_from_slice(&self.bytes[self.read..]);
            self.bytes = grown;
        } else {
            self.bytes.drain(..self.read);
        }
        self.read = 0;
        self.bytes.extend_from_slice(piece);
    }

    /// The next row that is here as a whole.
    ///
    /// # Errors
    /// [`RowError`]; nothing that follows can be read then.
    pub fn next_row(&mut self) -> Result<Option<Row>, RowError> {
        let rest = &self.bytes[self.read..];
        let Some((header, rest)) = rest.split_first_chunk::<ROW_HEADER_LEN>() else { return Ok(None) };
        let [kind, key_len, a, b, c, d] = *header;
        let kind = RowKind::from_code(kind).ok_or(RowError::UnknownKind { code: kind })?;
        let key_len = usize::from(key_len);
        let value_len = usize::try_from(u32::from_be_bytes([a, b, c, d])).map_err(|_| RowError::TooLong)?;
        if key_len > ROW_KEY_LEN_MAX || value_len > ROW_VALUE_LEN_MAX {
            return Err(RowError::TooLong);
        }
        self.check_order(kind)?;
        let Some(body) = rest.get(..key_len + value_len) else { return Ok(None) };
        let (key, value) = body.split_at(key_len);
        let row = Row { kind, key: key.to_vec(), value: Zeroizing::new(value.to_vec()) };
        if kind == RowKind::End && (!row.key.is_empty() || *row.value != self.rows.to_be_bytes()) {
            return Err(RowError::Incomplete);
        }
        self.rows += 1;
        self.last = Some(kind);
        self.read += ROW_HEADER_LEN + key_len + value_len;
        Ok(Some(row))
    }

    fn check_order(&self, kind: RowKind) -> Result<(), RowError> {
        let in_order = match self.last {
            None if kind != RowKind::Account => return Err(RowError::Incomplete),
            None => true,
            Some(RowKind::Account | RowKind::AccountKey) => self.last < Some(kind),
            Some(RowKind::End) => false,
            Some(last) => last <= kind,
        };
        if in_order && self.rows < ROWS_MAX { Ok(()) } else { Err(RowError::Order) }
    }

    /// Nothing more comes.
    ///
    /// # Errors
    /// [`RowError::Incomplete`] without the last row, [`RowError::Trailing`] with bytes behind it.
    pub fn finish(&self) -> Result<(), RowError> {
        match self.last {
            Some(RowKind::End) if self.read == self.bytes.len() => Ok(()),
            Some(RowKind::End) => Err(RowError::Trailing),
            _ => Err(RowError::Incomplete),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn row(kind: RowKind, value: &[u8]) -> Row {
        Row { kind, key: Vec::new(), value: Zeroizing::new(value.to_vec()) }
    }

    fn read(bytes: &[u8]) -> Result<Vec<Row>, RowError> {
        let (mut reader, mut rows) = (RowReader::default(), Vec::new());
        for piece in bytes.chunks(7) {
            reader.push(piece);
            while let Some(row) = reader.next_row()? {
                rows.push(row);
            }
        }
        reader.finish()?;
        Ok(rows)
    }

    fn written(rows: &[Row]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for row in rows {
            row.write(&mut bytes).unwrap();
        }
        bytes
    }

    #[test]
    fn rows_come_in_order_and_complete_or_not_at_all() {
        let (account, message) = (row(RowKind::Account, b"a"), row(RowKind::Message, b"m"));
        let whole = [account.clone(), message.clone(), message.clone(), Row::end(3)];
        assert_eq!(read(&written(&whole)).unwrap(), whole);
        let refused = |rows: &[Row]| read(&written(rows)).unwrap_err();
        assert_eq!(refused(&[message.clone(), Row::end(1)]), RowError::Incomplete);
        assert_eq!(refused(&[account.clone(), account.clone(), Row::end(2)]), RowError::Order);
        assert_eq!(
            refused(&[account.clone(), message.clone(), row(RowKind::Contact, b"c"), Row::end(3)]),
            RowError::Order
        );
        assert_eq!(refused(&[account.clone(), message, Row::end(1)]), RowError::Incomplete);
        assert_eq!(refused(std::slice::from_ref(&account)), RowError::Incomplete);
        assert_eq!(refused(&[account.clone(), Row::end(1), Row::end(2)]), RowError::Order);
        let long = Row { kind: RowKind::Message, key: vec![0; 65], value: Zeroizing::new(Vec::new()) };
        assert_eq!(long.write(&mut Vec::new()), Err(RowError::TooLong));
        let mut bytes = written(&[account]);
        bytes.extend_from_slice(&[8, 0, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(read(&bytes).unwrap_err(), RowError::TooLong);
        assert_eq!(read(&[77, 0, 0, 0, 0, 0]).unwrap_err(), RowError::UnknownKind { code: 77 });
    }

    proptest! {
        #[test]
        fn any_bytes_are_rows_or_an_error(bytes: Vec<u8>) {
            let _ = read(&bytes);
        }
    }
}
