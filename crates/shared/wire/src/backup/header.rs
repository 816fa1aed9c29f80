//! The header, which is read before anybody is asked for a secret, and the mark at the end.

use super::{Cost, CostError, SecretKind};

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

/// The only KDF there is: Argon2id, version 1.3.
const KDF_ARGON2ID: u8 = 1;

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
        for number in [self.cost.memory_kib(), self.cost.passes(), self.cost.lanes()] {
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

#[cfg(test)]
mod tests {
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

    proptest! {
        #[test]
        fn any_bytes_are_a_header_or_an_error(bytes: Vec<u8>) {
            let _ = Header::parse(&bytes);
            let begun = [MAGIC.as_slice(), &bytes].concat();
            if let Ok(header) = Header::parse(&begun) {
                let bytes = header.to_bytes();
                prop_assert_eq!(bytes.as_slice(), &begun[..HEADER_LEN]);
            }
        }
    }
}
