//! Rows into sealed chunks and back: the STREAM construction (Hoang, Reyhanitabar, Rogaway and Vizár, 2015) over AES-256-GCM.
//!
//! A chunk's nonce is its number and whether it is the last, so none can be left out, put elsewhere, or taken for the end; the header is
//! associated data of each, so none fits another archive. The key is the archive's own: it follows from a salt that is drawn once.

use rcseal_crypto::aead::{self, NONCE_LEN, TAG_LEN};
use rcseal_crypto::ct_eq;
use rcseal_crypto::hkdf::hkdf_sha256;
use rcseal_crypto::secret::Secret;
use rcseal_wire::backup::{CHECK_LEN, Header, Row, RowReader};
use zeroize::Zeroizing;

use super::BackupError;

/// Plaintext bytes of a chunk; the last one has as many as are left.
pub const CHUNK_LEN: usize = 64 * 1024;
/// Sealed bytes of a chunk.
pub const SEALED_CHUNK_LEN: usize = CHUNK_LEN + TAG_LEN;

const LABEL: &[u8] = b"rcseal/backup/v1/chunk";
const KEY_LABEL: &[u8] = b"rcseal/backup/v1/key";
const CHECK_LABEL: &[u8] = b"rcseal/backup/v1/check";

/// The check value of a header: what follows from the stretched secret, and tells nothing else of it.
#[must_use]
pub fn check_value(stretched: &Secret<32>, salt: &[u8]) -> [u8; CHECK_LEN] {
    *hkdf_sha256::<CHECK_LEN>(salt, stretched.expose(), &[CHECK_LABEL]).expose()
}

struct Stream {
    key: Secret<32>,
    associated: Vec<u8>,
    chunk: u32,
}

impl Stream {
    fn new(stretched: &Secret<32>, header: &Header) -> Self {
        Self {
            key: hkdf_sha256(&header.salt, stretched.expose(), &[KEY_LABEL]),
            associated: [LABEL, &header.to_bytes()].concat(),
            chunk: 0,
        }
    }

    fn nonce(&self, is_last: bool) -> [u8; NONCE_LEN] {
        let mut nonce = [0; NONCE_LEN];
        nonce[7..11].copy_from_slice(&self.chunk.to_be_bytes());
        nonce[11] = u8::from(is_last);
        nonce
    }

    fn advance(&mut self) -> Result<(), BackupError> {
        self.chunk = self.chunk.checked_add(1).ok_or(BackupError::TooLarge)?;
        Ok(())
    }
}

/// Seals rows in their order. What it answers is appended to the archive's file.
pub struct ArchiveSealer {
    stream: Stream,
    plaintext: Zeroizing<Vec<u8>>,
    rows: u64,
}

impl ArchiveSealer {
    /// Begins an archive; its header is written first.
    #[must_use]
    pub fn new(stretched: &Secret<32>, header: &Header) -> Self {
        // With room for the longest row, so that no copy of what is in it is left behind by growing.
        let capacity = CHUNK_LEN + rcseal_wire::backup::ROW_VALUE_LEN_MAX + 128;
        Self {
            stream: Stream::new(stretched, header),
            plaintext: Zeroizing::new(Vec::with_capacity(capacity)),
            rows: 0,
        }
    }

    /// Takes a row in and appends the chunks that are full.
    ///
    /// # Errors
    /// [`BackupError::Malformed`] for a row over its limits, [`BackupError::TooLarge`].
    pub fn add(&mut self, row: &Row, to: &mut Vec<u8>) -> Result<(), BackupError> {
        row.write(&mut self.plaintext).map_err(|_| BackupError::Malformed { kind: Some(row.kind) })?;
        self.rows += 1;
        // One byte more than a chunk: the last chunk is never empty.
        while self.plaintext.len() > CHUNK_LEN {
            self.seal(CHUNK_LEN, false, to)?;
        }
        Ok(())
    }

    /// Appends the last row and the last chunk. Answers how many rows there are before the last.
    ///
    /// # Errors
    /// [`BackupError::TooLarge`].
    pub fn finish(mut self, to: &mut Vec<u8>) -> Result<u64, BackupError> {
        let rows = self.rows;
        self.add(&Row::end(rows), to)?;
        self.seal(self.plaintext.len(), true, to)?;
        Ok(rows)
    }

    fn seal(&mut self, len: usize, is_last: bool, to: &mut Vec<u8>) -> Result<(), BackupError> {
        let nonce = self.stream.nonce(is_last);
        to.extend_from_slice(&aead::seal(&self.stream.key, &nonce, &self.stream.associated, &self.plaintext[..len]));
        self.plaintext.drain(..len);
        self.stream.advance()
    }
}

/// Opens an archive's chunks in their order.
pub struct ArchiveOpener {
    stream: Stream,
    rows: RowReader,
}

impl std::fmt::Debug for ArchiveOpener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ArchiveOpener")
    }
}

impl ArchiveOpener {
    /// Begins with the stretched secret.
    ///
    /// # Errors
    /// [`BackupError::WrongSecret`].
    pub fn new(stretched: &Secret<32>, header: &Header) -> Result<Self, BackupError> {
        if !ct_eq(&check_value(stretched, &header.salt), &header.check) {
            return Err(BackupError::WrongSecret);
        }
        Ok(Self { stream: Stream::new(stretched, header), rows: RowReader::default() })
    }

    /// Takes the next chunk: [`SEALED_CHUNK_LEN`] bytes, or the last with what is left.
    ///
    /// # Errors
    /// [`BackupError::Tampered`]; [`BackupError::Truncated`] where a chunk is called the last that is not.
    pub fn open(&mut self, sealed: &[u8], is_last: bool) -> Result<(), BackupError> {
        let Stream { key, associated, chunk } = &self.stream;
        let tampered = BackupError::Tampered { chunk: *chunk };
        let plaintext = match aead::open(key, &self.stream.nonce(is_last), associated, sealed) {
            Ok(plaintext) => Zeroizing::new(plaintext),
            Err(_) if is_last && aead::open(key, &self.stream.nonce(false), associated, sealed).is_ok() => {
                return Err(BackupError::Truncated);
            }
            Err(_) => return Err(tampered),
        };
        self.rows.push(&plaintext);
        self.stream.advance()
    }

    /// The next row that is here as a whole.
    ///
    /// # Errors
    /// [`BackupError::Malformed`], [`BackupError::NewerVersion`].
    pub fn next_row(&mut self) -> Result<Option<Row>, BackupError> {
        Ok(self.rows.next_row()?)
    }

    /// The last chunk was opened and its rows were read.
    ///
    /// # Errors
    /// [`BackupError::Malformed`].
    pub fn finish(&self) -> Result<(), BackupError> {
        Ok(self.rows.finish()?)
    }
}
