//! The file of a software vault: one wrapping key, sealed.
//!
//! | field | bytes |
//! |---|---|
//! | magic `RCSVAULT` | 8 |
//! | version, 1 | 1 |
//! | kind: 1 passphrase, 2 key file | 1 |
//! | Argon2id memory in KiB, passes, lanes (zero for a key file) | 3 × 4, big-endian |
//! | salt | 16 |
//! | nonce | 12 |
//! | wrapping key, sealed by AES-256-GCM with everything before the nonce as associated data | 48 |
//!
//! Everything but the sealed part is public. The cost parameters stand in the file, so that they can rise later; they are bounded on
//! reading, so that an altered file cannot make the program allocate without limit.

use argon2::{Algorithm, Argon2, Params, Version};
use rand_core::CryptoRng;
use rcseal_crypto::aead::{self, NONCE_LEN, TAG_LEN};
use rcseal_crypto::secret::Secret;
use zeroize::Zeroizing;

use super::VaultError;

const MAGIC: &[u8; 8] = b"RCSVAULT";
const VERSION: u8 = 1;
const SALT_LEN: usize = 16;
const HEADER_LEN: usize = 8 + 1 + 1 + 12 + SALT_LEN;
/// Bytes of the whole file.
pub(super) const FILE_LEN: usize = HEADER_LEN + NONCE_LEN + 32 + TAG_LEN;

/// Cost of turning a passphrase into a key, by Argon2id (RFC 9106).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argon2Params {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// A cost parameter is out of its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the Argon2 parameters are out of range")]
pub struct ParamsError;

impl Argon2Params {
    /// 19 MiB, two passes, one lane: the smallest set that is commonly recommended, chosen because a command line tool pays it at every
    /// start (33 to 70 ms on a busy machine of two cores).
    pub const INTERACTIVE: Self = Self { memory_kib: 19 * 1024, passes: 2, lanes: 1 };

    /// The most memory a vault file may ask for: 1 GiB, which a person's machine still has.
    const MEMORY_KIB_MAX: u32 = 1024 * 1024;
    /// The most passes: more only serve to hang the reader.
    const PASSES_MAX: u32 = 64;
    /// The most lanes.
    const LANES_MAX: u32 = 16;

    /// Checks the parameters.
    ///
    /// # Errors
    /// [`ParamsError`] when one is zero or beyond its limit.
    pub fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, ParamsError> {
        let valid = (1..=Self::LANES_MAX).contains(&lanes)
            && (1..=Self::PASSES_MAX).contains(&passes)
            && (8 * lanes..=Self::MEMORY_KIB_MAX).contains(&memory_kib);
        if valid { Ok(Self { memory_kib, passes, lanes }) } else { Err(ParamsError) }
    }

    fn stretch(self, passphrase: &[u8], salt: &[u8; SALT_LEN]) -> Secret<32> {
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(32))
            .expect("the constructor has checked the limits that Argon2 has");
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase, salt, key.as_mut())
            .expect("salt and output have lengths that Argon2 takes, and a passphrase is shorter than 4 GiB");
        Secret::from_bytes(*key)
    }
}

/// What a vault file is sealed with.
pub(super) enum Opener<'a> {
    Passphrase(&'a [u8]),
    KeyFile(&'a Secret<32>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Passphrase(Argon2Params),
    KeyFile,
}

/// A parsed vault file; sealed still.
pub(super) struct VaultFile {
    kind: Kind,
    salt: [u8; SALT_LEN],
    nonce: [u8; NONCE_LEN],
    sealed: [u8; 32 + TAG_LEN],
}

/// Why bytes are no vault file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// The length or the first bytes are wrong.
    #[error("not a vault file")]
    Malformed,
    /// The file is of a version this program does not know.
    #[error("a vault file of unknown version {version}")]
    UnknownVersion {
        /// The version.
        version: u8,
    },
    /// The file is sealed in a way this program does not know.
    #[error("a vault file of unknown kind {kind}")]
    UnknownKind {
        /// The kind.
        kind: u8,
    },
    /// The file asks for a cost out of all proportion.
    #[error("the cost parameters are out of range")]
    Params,
    /// The file is sealed by a passphrase and a key file was given, or the other way round.
    #[error(
        "the vault opens in the other way: by a passphrase where its key file was tried, or by its key file where a passphrase was given"
    )]
    OtherKind,
}

impl VaultFile {
    /// Seals a wrapping key. `params` matter only with a passphrase.
    pub(super) fn seal(
        opener: &Opener<'_>,
        params: Argon2Params,
        wrapping_key: &Secret<32>,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Self {
        let mut salt = [0; SALT_LEN];
        rng.fill_bytes(&mut salt);
        let mut nonce = [0; NONCE_LEN];
        rng.fill_bytes(&mut nonce);
        let kind = match opener {
            Opener::Passphrase(_) => Kind::Passphrase(params),
            Opener::KeyFile(_) => Kind::KeyFile,
        };
        let mut file = Self { kind, salt, nonce, sealed: [0; 32 + TAG_LEN] };
        let key = match opener {
            Opener::Passphrase(passphrase) => params.stretch(passphrase, &salt),
            Opener::KeyFile(key) => key.duplicate(),
        };
        let sealed = aead::seal(&key, &nonce, &file.header(), wrapping_key.expose());
        file.sealed.copy_from_slice(&sealed);
        file
    }

    /// Opens the wrapping key.
    pub(super) fn open(&self, opener: &Opener<'_>) -> Result<Secret<32>, VaultError> {
        let (key, refused) = match (self.kind, opener) {
            (Kind::Passphrase(params), Opener::Passphrase(passphrase)) => {
                (params.stretch(passphrase, &self.salt), VaultError::WrongPassphrase)
            }
            (Kind::KeyFile, Opener::KeyFile(key)) => (key.duplicate(), VaultError::KeyInvalidated),
            (Kind::Passphrase(_), Opener::KeyFile(_)) | (Kind::KeyFile, Opener::Passphrase(_)) => {
                return Err(VaultError::File(FileError::OtherKind));
            }
        };
        let Ok(opened) = aead::open(&key, &self.nonce, &self.header(), &self.sealed) else { return Err(refused) };
        let opened = Zeroizing::new(opened);
        Secret::from_slice(&opened).ok_or(VaultError::File(FileError::Malformed))
    }

    fn header(&self) -> [u8; HEADER_LEN] {
        let (kind, memory, passes, lanes) = match self.kind {
            Kind::Passphrase(params) => (1, params.memory_kib, params.passes, params.lanes),
            Kind::KeyFile => (2, 0, 0, 0),
        };
        let mut header = [0; HEADER_LEN];
        header[..8].copy_from_slice(MAGIC);
        header[8] = VERSION;
        header[9] = kind;
        header[10..14].copy_from_slice(&u32::to_be_bytes(memory));
        header[14..18].copy_from_slice(&u32::to_be_bytes(passes));
        header[18..22].copy_from_slice(&u32::to_be_bytes(lanes));
        header[22..].copy_from_slice(&self.salt);
        header
    }

    /// The bytes of the file.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        [&self.header()[..], &self.nonce, &self.sealed].concat()
    }

    /// Parses the bytes of a file.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, FileError> {
        // The version is looked at before the length, because another version may well have another length.
        let start = bytes.strip_prefix(MAGIC).ok_or(FileError::Malformed)?;
        let version = *start.first().ok_or(FileError::Malformed)?;
        if version != VERSION {
            return Err(FileError::UnknownVersion { version });
        }
        let bytes: &[u8; FILE_LEN] = bytes.try_into().map_err(|_| FileError::Malformed)?;
        let number = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let kind = match bytes[9] {
            1 => {
                Kind::Passphrase(Argon2Params::new(number(10), number(14), number(18)).map_err(|_| FileError::Params)?)
            }
            2 if bytes[10..22] == [0; 12] => Kind::KeyFile,
            2 => return Err(FileError::Params),
            kind => return Err(FileError::UnknownKind { kind }),
        };
        let mut file = Self { kind, salt: [0; SALT_LEN], nonce: [0; NONCE_LEN], sealed: [0; 32 + TAG_LEN] };
        file.salt.copy_from_slice(&bytes[22..HEADER_LEN]);
        file.nonce.copy_from_slice(&bytes[HEADER_LEN..HEADER_LEN + NONCE_LEN]);
        file.sealed.copy_from_slice(&bytes[HEADER_LEN + NONCE_LEN..]);
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rand_core::SeedableRng;

    use super::*;

    fn sealed() -> Vec<u8> {
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
        let params = Argon2Params::new(8, 1, 1).unwrap();
        VaultFile::seal(&Opener::Passphrase(b"swordfish"), params, &Secret::from_bytes([7; 32]), &mut rng).to_bytes()
    }

    #[test]
    fn every_byte_of_the_file_is_authenticated() {
        let good = sealed();
        assert_eq!(good.len(), FILE_LEN);
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            let opened = VaultFile::parse(&bad).map(|file| file.open(&Opener::Passphrase(b"swordfish")).is_ok());
            assert!(!matches!(opened, Ok(true)), "byte {at} may be altered");
        }
    }

    #[test]
    fn a_later_version_is_named_and_not_guessed_at() {
        let mut file = sealed();
        file[8] = 2;
        file.push(0);
        assert_eq!(VaultFile::parse(&file).err(), Some(FileError::UnknownVersion { version: 2 }));
    }

    #[test]
    fn an_altered_file_cannot_ask_for_all_memory() {
        let mut file = sealed();
        file[10..14].copy_from_slice(&u32::MAX.to_be_bytes());
        assert_eq!(VaultFile::parse(&file).err(), Some(FileError::Params));
    }

    proptest::proptest! {
        #[test]
        fn parsing_never_panics(bytes: Vec<u8>) {
            let _ = VaultFile::parse(&bytes);
            let _ = VaultFile::parse(&[MAGIC, &bytes[..]].concat());
        }
    }
}
