//! A vault in files, for machines without secure hardware and for tests. It says of itself that it is [`ProtectionLevel::Software`].
//!
//! Per alias there are two files in one folder: `ALIAS.vault`, the sealed wrapping key ([`super::file`]), written once, and
//! `ALIAS.generation`, a number as text, replaced as a whole. With [`Unlock::KeyFile`] a third one, `vault.key`, holds 32 random bytes that
//! open the others; it protects against nothing but a copy of the store alone, and exists so that a machine can start without a person.
//!
//! Its limit, plainly: whoever restores an old copy of the store *and* of this folder is not noticed. Hardware vaults keep the generation
//! where no copy of files reaches it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rcseal_crypto::aead::{self, NONCE_LEN};
use rcseal_crypto::secret::Secret;
use zeroize::Zeroizing;

use super::file::{Argon2Params, FILE_LEN, FileError, Opener, VaultFile};
use super::{KeyAlias, KeyVault, ProtectionLevel, VaultError};
use crate::files;

const KEY_FILE: &str = "vault.key";
/// Label under which data keys are wrapped; the alias follows it.
const WRAP_LABEL: &[u8] = b"rcseal/vault/wrap/v1";
/// Version byte of a wrapped data key.
const WRAP_VERSION: u8 = 1;
/// A generation is at most twenty digits and a line feed.
const GENERATION_LEN_MAX: u64 = 32;

/// How a software vault opens.
pub enum Unlock {
    /// By a passphrase that a person types, stretched at this cost when a key is created.
    Passphrase(Zeroizing<String>, Argon2Params),
    /// By a random key in a file with mode 0600 beside the vault; made when it is not there.
    KeyFile,
}

impl std::fmt::Debug for Unlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Passphrase(..) => "Passphrase",
            Self::KeyFile => "KeyFile",
        })
    }
}

/// A [`KeyVault`] in a folder.
#[derive(Debug)]
pub struct SoftwareKeyVault {
    folder: PathBuf,
    unlock: Unlock,
    /// One caller at a time: a generation is read and then replaced.
    busy: Mutex<()>,
}

impl SoftwareKeyVault {
    /// A vault in this folder, which is created with mode 0700 when it is not there. Nothing is opened yet: a wrong passphrase shows at
    /// the first unwrap.
    ///
    /// # Errors
    /// [`VaultError::Io`].
    pub fn new(folder: &Path, unlock: Unlock) -> Result<Self, VaultError> {
        files::create_private_dir(folder).map_err(VaultError::Io)?;
        Ok(Self { folder: folder.to_owned(), unlock, busy: Mutex::new(()) })
    }

    fn key_path(&self, alias: &KeyAlias) -> PathBuf {
        self.folder.join(format!("{alias}.vault"))
    }

    fn generation_path(&self, alias: &KeyAlias) -> PathBuf {
        self.folder.join(format!("{alias}.generation"))
    }

    fn with_opener<T>(
        &self,
        f: impl FnOnce(&Opener<'_>, Argon2Params) -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        match &self.unlock {
            Unlock::Passphrase(passphrase, params) => f(&Opener::Passphrase(passphrase.as_bytes()), *params),
            Unlock::KeyFile => f(&Opener::KeyFile(&self.key_file()?), Argon2Params::INTERACTIVE),
        }
    }

    /// Reads the key file, or makes it. It is never replaced: a file of the wrong length is an error.
    fn key_file(&self) -> Result<Secret<32>, VaultError> {
        let path = self.folder.join(KEY_FILE);
        match read_at_most(&path, 33) {
            Ok(bytes) => Secret::from_slice(&bytes).ok_or(VaultError::File(FileError::Malformed)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = Secret::<32>::generate(&mut rand::rng());
                files::create_private(&path, key.expose()).map_err(VaultError::Io)?;
                Ok(key)
            }
            Err(error) => Err(VaultError::Io(error)),
        }
    }

    fn wrapping_key(&self, alias: &KeyAlias) -> Result<Secret<32>, VaultError> {
        let bytes = read_at_most(&self.key_path(alias), FILE_LEN as u64 + 1).map_err(not_found)?;
        let file = VaultFile::parse(&bytes).map_err(VaultError::File)?;
        self.with_opener(|opener, _| file.open(opener))
    }

    fn read_generation(&self, alias: &KeyAlias) -> Result<u64, VaultError> {
        let bytes = read_at_most(&self.generation_path(alias), GENERATION_LEN_MAX).map_err(not_found)?;
        std::str::from_utf8(&bytes)
            .ok()
            .and_then(|text| text.strip_suffix('\n'))
            .and_then(|text| text.parse().ok())
            .ok_or(VaultError::File(FileError::Malformed))
    }
}

impl KeyVault for SoftwareKeyVault {
    fn create_wrapping_key(&self, alias: &KeyAlias) -> Result<(), VaultError> {
        let _busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rng = rand::rng();
        let wrapping_key = Secret::generate(&mut rng);
        let file = self.with_opener(|opener, params| Ok(VaultFile::seal(opener, params, &wrapping_key, &mut rng)))?;
        if self.key_path(alias).try_exists().map_err(VaultError::Io)? {
            return Err(VaultError::AlreadyExists);
        }
        // The generation first: a key without one would look like a vault that lost its memory.
        files::replace_private(&self.generation_path(alias), b"0\n").map_err(VaultError::Io)?;
        files::create_private(&self.key_path(alias), &file.to_bytes()).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => VaultError::AlreadyExists,
            _ => VaultError::Io(error),
        })
    }

    fn has_wrapping_key(&self, alias: &KeyAlias) -> Result<bool, VaultError> {
        self.key_path(alias).try_exists().map_err(VaultError::Io)
    }

    fn wrap(&self, alias: &KeyAlias, data_key: Zeroizing<Vec<u8>>) -> Result<Vec<u8>, VaultError> {
        let key = self.wrapping_key(alias)?;
        let mut nonce = [0; NONCE_LEN];
        rand::Rng::fill_bytes(&mut rand::rng(), &mut nonce);
        let sealed = aead::seal(&key, &nonce, &associated_data(alias), &data_key);
        Ok([&[WRAP_VERSION][..], &nonce, &sealed].concat())
    }

    fn unwrap(&self, alias: &KeyAlias, wrapped: Vec<u8>) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let Some((&version, rest)) = wrapped.split_first() else { return Err(VaultError::File(FileError::Malformed)) };
        if version != WRAP_VERSION {
            return Err(VaultError::File(FileError::UnknownVersion { version }));
        }
        let Some((nonce, sealed)) = rest.split_first_chunk::<NONCE_LEN>() else {
            return Err(VaultError::File(FileError::Malformed));
        };
        let key = self.wrapping_key(alias)?;
        aead::open(&key, nonce, &associated_data(alias), sealed)
            .map(Zeroizing::new)
            .map_err(|_| VaultError::KeyInvalidated)
    }

    fn delete(&self, alias: &KeyAlias) -> Result<(), VaultError> {
        let _busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        fs::remove_file(self.key_path(alias)).map_err(not_found)?;
        match fs::remove_file(self.generation_path(alias)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(VaultError::Io(error)),
            _ => files::sync_dir(&self.folder).map_err(VaultError::Io),
        }
    }

    fn level(&self) -> ProtectionLevel {
        ProtectionLevel::Software
    }

    fn generation(&self, alias: &KeyAlias) -> Result<u64, VaultError> {
        self.read_generation(alias)
    }

    fn bump_generation(&self, alias: &KeyAlias) -> Result<u64, VaultError> {
        let _busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let next = self.read_generation(alias)?.saturating_add(1);
        files::replace_private(&self.generation_path(alias), format!("{next}\n").as_bytes()).map_err(VaultError::Io)?;
        Ok(next)
    }
}

fn associated_data(alias: &KeyAlias) -> Vec<u8> {
    [WRAP_LABEL, alias.as_str().as_bytes()].concat()
}

fn not_found(error: io::Error) -> VaultError {
    match error.kind() {
        io::ErrorKind::NotFound => VaultError::NotFound,
        _ => VaultError::Io(error),
    }
}

/// Reads a small file, and of a large one only as much as shows that it is too large.
fn read_at_most(path: &Path, limit: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}
