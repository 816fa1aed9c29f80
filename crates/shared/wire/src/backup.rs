//! The archive of a backup, as bytes: its header, the rows inside its encryption, and the mark at its end.
//!
//! Parsers only. What seals the rows is `rcseal_engine::backup`, what stretches the user's secret is `rcseal_client`, and
//! `docs/protocol/backup.md` is the specification. An archive is a file that anybody may have touched: everything here answers a value or a
//! typed error, and a reader allocates no more than a row may have.

use std::fmt;

use zeroize::Zeroizing;

/// The first bytes of every archive.
pub const MAGIC: &[u8; 8] = b"RCSBCKUP";
/// The last bytes of every archive that was finished.
pub const END_MAGIC: &[u8; 8] = b"RCSBKEND";
/// The version that this software writes.
pub const VERSION: u8 = 1;
/// The oldest version that this software reads.
pub const OLDEST_VERSION: u8 = 1;
/// Bytes of the salt.
pub const SALT_LEN: usize = 32;
/// Bytes of the check value.
pub const CHECK_LEN: usize = 16;
/// Bytes of the header.
pub const HEADER_LEN: usize = 8 + 1 + 1 + 1 + 12 + 8 + SALT_LEN + CHECK_LEN;
/// Bytes of the mark at the end: the length of all before it, and [`END_MAGIC`].
pub const END_LEN: usize = 16;
/// The largest archive: a history of some hundred million short messages. More is no archive of a phone's.
pub const ARCHIVE_LEN_MAX: u64 = 64 * 1024 * 1024 * 1024;
/// The longest key of a row: ids of a conversation, a place and an account, with room.
pub const ROW_KEY_LEN_MAX: usize = 64;
/// The longest value of a row: the largest signed key set is 256 KiB, the largest content of a message shorter.
pub const ROW_VALUE_LEN_MAX: usize = 1024 * 1024;
/// Rows of an archive.
pub const ROWS_MAX: u64 = 100_000_000;

/// The only KDF there is: Argon2id, version 1.3.
const KDF_ARGON2ID: u8 = 1;
const ROW_HEADER_LEN: usize = 1 + 1 + 4;

/// Which secret opens an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretKind {
    /// A passphrase of the user's. Such an archive holds no account key.
    Passphrase,
    /// A secret that was generated, of more than 77 bits.
    Generated,
}

impl SecretKind {
    const fn code(self) -> u8 {
        match self {
            Self::Passphrase => 1,
            Self::Generated => 2,
        }
    }

    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passphrase => "passphrase",
            Self::Generated => "generated",
        }
    }
}

/// What one guess at the secret costs, by Argon2id (RFC 9106).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// A cost is out of its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CostError {
    /// Below the floor: somebody wants guessing to be cheap.
    #[error("the archive asks for less work than a guess must cost")]
    Weak,
    /// Over the ceiling: somebody wants the reader to run out of memory or time.
    #[error("the archive asks for more work than a device can be asked to do")]
    Costly,
}

impl Cost {
    /// 19 MiB and two passes: the smallest set that is commonly recommended.
    pub const FLOOR: Self = Self { memory_kib: 19 * 1024, passes: 2, lanes: 1 };
    /// The most memory: 256 MiB, which a phone of today can spare for a second.
    pub const MEMORY_KIB_MAX: u32 = 256 * 1024;
    /// The most passes.
    pub const PASSES_MAX: u32 = 24;
    /// The most lanes.
    pub const LANES_MAX: u32 = 4;

    /// Checks the cost against floor and ceiling.
    ///
    /// # Errors
    /// [`CostError`].
    pub const fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, CostError> {
        if memory_kib < Self::FLOOR.memory_kib || passes < Self::FLOOR.passes || lanes < Self::FLOOR.lanes {
            return Err(CostError::Weak);
        }
        if memory_kib > Self::MEMORY_KIB_MAX || passes > Self::PASSES_MAX || lanes > Self::LANES_MAX {
            return Err(CostError::Costly);
        }
        Ok(Self { memory_kib, passes, lanes })
    }

    /// Memory in KiB.
    #[must_use]
    pub const fn memory_kib(self) -> u32 {
        self.memory_kib
    }

    /// Passes over the memory.
    #[must_use]
    pub const fn passes(self) -> u32 {
        self.passes
    }

    /// Lanes.
    #[must_use]
    pub const fn lanes(self) -> u32 {
        self.lanes
    }
}

/// The header, which nobody needs a secret to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Which secret opens the archive.
    pub secret: SecretKind,
    /// What a guess costs.
    pub cost: Cost,
    /// When the archive was begun, in milliseconds since 1970.
    pub created_at_ms: u64,
    /// Drawn for this archive.
    pub salt: [u8; SALT_LEN],
    /// Follows from the secret: tells a wrong secret from a damaged archive.
    pub check: [u8; CHECK_LEN],
}

/// The bytes are no header of an archive that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// They do not begin as an archive does.
    #[error("the file is no backup")]
    NotABackup,
    /// They end within the header.
    #[error("the backup is cut short")]
    Truncated,
    /// A version that is not read any more.
    #[error("the backup is of version {version}, which is not read any more")]
    OldVersion {
        /// Which.
        version: u8,
    },
    /// A version that later software writes; or a kind of secret or a KDF that only it knows.
    #[error("the backup was written by newer software")]
    NewerVersion {
        /// Which version.
        version: u8,
    },
    /// The cost is below the floor or over the ceiling.
    #[error(transparent)]
    Cost(#[from] CostError),
}

impl Header {
    /// The bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut bytes = Vec::with_capacity(HEADER_LEN);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&[VERSION, self.secret.code(), KDF_ARGON2ID]);
        for number in [self.cost.memory_kib, self.cost.passes, self.cost.lanes] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(&self.created_at_ms.to_be_bytes());
        bytes.extend_from_slice(&self.salt);
        bytes.extend_from_slice(&self.check);
        bytes.try_into().expect("the fields have the header's length together")
    }

    /// Reads a header; what follows it is not looked at.
    ///
    /// # Errors
    /// [`HeaderError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, HeaderError> {
        let (magic, rest) = bytes.split_at(bytes.len().min(MAGIC.len()));
        if !MAGIC.starts_with(magic) || magic.is_empty() {
            return Err(HeaderError::NotABackup);
        }
        let mut reader = Reader(rest);
        // The version decides about everything behind it.
        let version = reader.byte()?;
        if version < OLDEST_VERSION {
            return Err(HeaderError::OldVersion { version });
        }
        let newer = HeaderError::NewerVersion { version };
        if version > VERSION {
            return Err(newer);
        }
        let secret = match reader.byte()? {
            1 => SecretKind::Passphrase,
            2 => SecretKind::Generated,
            _ => return Err(newer),
        };
        if reader.byte()? != KDF_ARGON2ID {
            return Err(newer);
        }
        let (memory_kib, passes, lanes) = (reader.number()?, reader.number()?, reader.number()?);
        let created_at_ms = u64::from_be_bytes(reader.array()?);
        let (salt, check) = (reader.array()?, reader.array()?);
        Ok(Self { secret, cost: Cost::new(memory_kib, passes, lanes)?, created_at_ms, salt, check })
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], HeaderError> {
        let (array, rest) = self.0.split_first_chunk::<N>().ok_or(HeaderError::Truncated)?;
        self.0 = rest;
        Ok(*array)
    }

    fn byte(&mut self) -> Result<u8, HeaderError> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn number(&mut self) -> Result<u32, HeaderError> {
        self.array().map(u32::from_be_bytes)
    }
}

/// The mark at the end of an archive with this many bytes before it.
#[must_use]
pub fn end_mark(len: u64) -> [u8; END_LEN] {
    let mut mark = [0; END_LEN];
    mark[..8].copy_from_slice(&len.to_be_bytes());
    mark[8..].copy_from_slice(END_MAGIC);
    mark
}

/// What a row is. An archive has its rows in the order of these numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum RowKind {
    /// The account: [`AccountRow`]. The first row, and there is one.
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

    fn from_code(code: u8) -> Option<Self> {
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

/// The account an archive was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRow {
    /// Its id.
    pub account: crate::id::AccountId,
    /// Its server.
    pub origin: crate::origin::Origin,
    /// What the user is called.
    pub display_name: String,
    /// 1 allow, 2 warn, 3 block: what becomes of messages to a contact whose account key changed.
    pub change_policy: u8,
    /// The signed key set as it was then.
    pub key_set: Vec<u8>,
}

/// The value is no account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the row is no account")]
pub struct AccountRowError;

const ACCOUNT_ROW_VERSION: u8 = 1;

impl AccountRow {
    /// The row's value. Strings are within the limits of what they come from.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![ACCOUNT_ROW_VERSION];
        bytes.extend_from_slice(self.account.as_bytes());
        bytes.push(self.change_policy);
        for part in [self.origin.as_str().as_bytes(), self.display_name.as_bytes()] {
            let part = &part[..part.len().min(usize::from(u16::MAX))];
            bytes.extend_from_slice(&u16::try_from(part.len()).unwrap_or(u16::MAX).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        bytes.extend_from_slice(&self.key_set);
        bytes
    }

    /// Reads it back.
    ///
    /// # Errors
    /// [`AccountRowError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, AccountRowError> {
        let (&[version], rest) = bytes.split_first_chunk::<1>().ok_or(AccountRowError)?;
        let (account, rest) = rest.split_first_chunk::<16>().ok_or(AccountRowError)?;
        let (&[change_policy], rest) = rest.split_first_chunk::<1>().ok_or(AccountRowError)?;
        if version != ACCOUNT_ROW_VERSION || !(1..=3).contains(&change_policy) {
            return Err(AccountRowError);
        }
        let (origin, rest) = text(rest)?;
        let (display_name, key_set) = text(rest)?;
        if display_name.len() > crate::content::NAME_LEN_MAX {
            return Err(AccountRowError);
        }
        Ok(Self {
            account: crate::id::AccountId::from_bytes(*account),
            origin: origin.parse().map_err(|_| AccountRowError)?,
            display_name: display_name.to_owned(),
            change_policy,
            key_set: key_set.to_vec(),
        })
    }
}

fn text(bytes: &[u8]) -> Result<(&str, &[u8]), AccountRowError> {
    let (len, rest) = bytes.split_first_chunk::<2>().ok_or(AccountRowError)?;
    let (text, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len))).ok_or(AccountRowError)?;
    Ok((std::str::from_utf8(text).map_err(|_| AccountRowError)?, rest))
}

/// What signs the request of a restored device for its account's key set: the account key, over a label and the account.
#[must_use]
pub fn restoration_proof(account: &crate::id::AccountId) -> Vec<u8> {
    [b"rcseal/restoration-proof/v1".as_slice(), account.as_bytes()].concat()
}

/// What the account key signs to delete an account: a label, the account, and the hash of its current key set.
#[must_use]
pub fn account_deletion(account: &crate::id::AccountId, key_set: &crate::id::KeySetHash) -> Vec<u8> {
    [b"rcseal/account-deletion/v1".as_slice(), account.as_bytes(), key_set.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn header() -> Header {
        Header {
            secret: SecretKind::Generated,
            cost: Cost::FLOOR,
            created_at_ms: 1_764_000_000_000,
            salt: [7; SALT_LEN],
            check: [9; CHECK_LEN],
        }
    }

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
    fn a_header_comes_back_and_each_fault_has_its_name() {
        let bytes = header().to_bytes();
        assert_eq!(Header::parse(&bytes), Ok(header()));
        for len in 1..HEADER_LEN {
            assert_eq!(Header::parse(&bytes[..len]), Err(HeaderError::Truncated), "{len}");
        }
        let with = |at: usize, new: &[u8]| {
            let mut bytes = bytes;
            bytes[at..at + new.len()].copy_from_slice(new);
            Header::parse(&bytes)
        };
        assert_eq!(with(0, b"X"), Err(HeaderError::NotABackup));
        assert_eq!(Header::parse(&[]), Err(HeaderError::NotABackup));
        assert_eq!(with(8, &[0]), Err(HeaderError::OldVersion { version: 0 }));
        assert_eq!(with(8, &[2]), Err(HeaderError::NewerVersion { version: 2 }));
        assert_eq!(with(9, &[3]), Err(HeaderError::NewerVersion { version: 1 }));
        assert_eq!(with(10, &[2]), Err(HeaderError::NewerVersion { version: 1 }));
        assert_eq!(with(11, &8_u32.to_be_bytes()), Err(HeaderError::Cost(CostError::Weak)));
        assert_eq!(with(11, &u32::MAX.to_be_bytes()), Err(HeaderError::Cost(CostError::Costly)));
        assert_eq!(with(15, &1_u32.to_be_bytes()), Err(HeaderError::Cost(CostError::Weak)));
        assert_eq!(with(15, &25_u32.to_be_bytes()), Err(HeaderError::Cost(CostError::Costly)));
        assert_eq!(with(19, &5_u32.to_be_bytes()), Err(HeaderError::Cost(CostError::Costly)));
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

    #[test]
    fn no_debug_form_shows_a_value() {
        assert_eq!(format!("{:?}", row(RowKind::AccountKey, b"secret")), "Row { kind: AccountKey, len: 6, .. }");
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_header_or_an_error(bytes: Vec<u8>) {
            let _ = Header::parse(&bytes);
            let _ = AccountRow::parse(&bytes);
            let _ = read(&bytes);
            let begun = [MAGIC.as_slice(), &bytes].concat();
            if let Ok(header) = Header::parse(&begun) {
                let bytes = header.to_bytes();
                prop_assert_eq!(bytes.as_slice(), &begun[..HEADER_LEN]);
            }
        }

        #[test]
        fn every_account_comes_back(id: [u8; 16], name in "[a-zä]{0,40}", key_set: Vec<u8>, change_policy in 1_u8..=3) {
            let row = AccountRow {
                account: crate::id::AccountId::from_bytes(id),
                origin: "https://relay.example".parse().unwrap(),
                display_name: name,
                change_policy,
                key_set,
            };
            prop_assert_eq!(AccountRow::parse(&row.to_bytes()).unwrap(), row);
        }
    }
}
