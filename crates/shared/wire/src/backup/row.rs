//! One row: what it is, and its bytes.

use std::fmt;

use zeroize::Zeroizing;

/// The longest key of a row: ids of a conversation, a place and an account, with room.
pub const ROW_KEY_LEN_MAX: usize = 64;
/// The longest value of a row: the largest signed key set is 256 KiB, the largest content of a message shorter.
pub const ROW_VALUE_LEN_MAX: usize = 1024 * 1024;

/// What a row is. An archive has its rows in the order of these numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum RowKind {
    /// The account: [`AccountRow`](super::AccountRow). The first row, and there is one.
    Account = 1,
    /// The account key's seed: version byte 1 and 32 bytes. Only under a generated secret.
    AccountKey = 2,
    /// A signed key set, by account.
    KeySet = 3,
    /// Who is known to have end-to-end encryption.
    Latch = 4,
    /// A contact, by account.
    Contact = 5,
    /// A conversation, by its id.
    Conversation = 6,
    /// What the user set for a conversation, by its id.
    ConversationSettings = 7,
    /// A message, by conversation and place.
    Message = 8,
    /// A reaction, by conversation, place and account.
    Reaction = 9,
    /// A thread with a number.
    Thread = 10,
    /// A message of such a thread, by number and place.
    ThreadMessage = 11,
    /// The last row: how many there are before it, as a number of 8 bytes.
    End = 255,
}

impl RowKind {
    /// Every kind that rows of a store are kept under, in order.
    pub const STORED: [Self; 9] = [
        Self::KeySet,
        Self::Latch,
        Self::Contact,
        Self::Conversation,
        Self::ConversationSettings,
        Self::Message,
        Self::Reaction,
        Self::Thread,
        Self::ThreadMessage,
    ];

    /// The number that stands for it.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    pub(super) fn from_code(code: u8) -> Option<Self> {
        [Self::Account, Self::AccountKey, Self::End].into_iter().chain(Self::STORED).find(|kind| kind.code() == code)
    }
}

/// One row. Its value begins with the version of its own encoding.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    /// What it is.
    pub kind: RowKind,
    /// Its key; empty where there is one row of the kind.
    pub key: Vec<u8>,
    /// Its value. May hold a secret.
    pub value: Zeroizing<Vec<u8>>,
}

/// Without what it says.
impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row").field("kind", &self.kind).field("len", &self.value.len()).finish_non_exhaustive()
    }
}

/// The bytes are no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// A kind that this software does not know.
    #[error("a row of unknown kind {code}")]
    UnknownKind {
        /// Which.
        code: u8,
    },
    /// A key or value over its limit.
    #[error("a row is too long")]
    TooLong,
    /// The kinds are not in order, or more than one row of a kind of which there is one, or rows behind the last.
    #[error("the rows are out of order")]
    Order,
    /// The first row is missing, or the last, or it counts others than there are.
    #[error("rows are missing")]
    Incomplete,
    /// Bytes behind the last row.
    #[error("bytes behind the last row")]
    Trailing,
}

impl Row {
    /// The last row of an archive.
    #[must_use]
    pub fn end(rows: u64) -> Self {
        Self { kind: RowKind::End, key: Vec::new(), value: Zeroizing::new(rows.to_be_bytes().to_vec()) }
    }

    /// Appends the row's bytes.
    ///
    /// # Errors
    /// [`RowError::TooLong`].
    pub fn write(&self, to: &mut Vec<u8>) -> Result<(), RowError> {
        let key_len = u8::try_from(self.key.len()).map_err(|_| RowError::TooLong)?;
        let value_len = u32::try_from(self.value.len()).map_err(|_| RowError::TooLong)?;
        if self.key.len() > ROW_KEY_LEN_MAX || self.value.len() > ROW_VALUE_LEN_MAX {
            return Err(RowError::TooLong);
        }
        to.extend_from_slice(&[self.kind.code(), key_len]);
        to.extend_from_slice(&value_len.to_be_bytes());
        to.extend_from_slice(&self.key);
        to.extend_from_slice(&self.value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_debug_form_shows_a_value() {
        let row = Row { kind: RowKind::AccountKey, key: Vec::new(), value: Zeroizing::new(b"secret".to_vec()) };
        assert_eq!(format!("{row:?}"), "Row { kind: AccountKey, len: 6, .. }");
    }
}
