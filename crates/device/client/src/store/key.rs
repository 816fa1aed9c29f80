//! The key of a store: 32 bytes that encrypt and authenticate, and the 16-byte salt that SQLCipher derives the second key with.
//!
//! Both are random, wrapped together by the vault, and kept in `store.key`. The salt is no secret; it is wrapped along because the database
//! has no place for it ([`super::sqlite`]), and because what the vault authenticates cannot be exchanged. Before version 7 of the schema only
//! the 32 bytes were wrapped; such a file is written anew, with the salt that its database begins with, before the database is converted.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rcseal_crypto::secret::Secret;
use zeroize::Zeroizing;

use super::OpenError;
use super::error::Part;
use super::layout::{DATABASE_FILE, NEXT_FILE};
use super::role::Role;
use crate::files;
use crate::vault::{KeyAlias, KeyVault};

pub(super) const KEY_FILE: &str = "store.key";
const KEY_LEN: usize = 32;
pub(super) const SALT_LEN: usize = 16;
/// A wrapped key is some dozens of bytes; hardware vaults add a header of their own.
const WRAPPED_LEN_MAX: u64 = 4096;

/// The key.
pub(super) struct StoreKey(Secret<{ KEY_LEN + SALT_LEN }>);

/// Where a store stands, by its files.
pub(super) enum Found {
    /// There is a database, and this is its key.
    Whole(StoreKey),
    /// There is none yet: one is to be made, of this generation, and then `wrapped` is to be kept.
    Fresh {
        /// Its key.
        key: StoreKey,
        /// The key as the vault wrapped it.
        wrapped: Vec<u8>,
        /// The generation it begins with: the vault's, which has one when an earlier store was set aside.
        generation: u64,
    },
}

impl StoreKey {
    fn generate() -> Self {
        Self(Secret::generate(&mut rand::rng()))
    }

    fn of_former(key: &Secret<KEY_LEN>, salt: &[u8; SALT_LEN]) -> Self {
        let mut bytes = Zeroizing::new([0; KEY_LEN + SALT_LEN]);
        bytes[..KEY_LEN].copy_from_slice(key.expose());
        bytes[KEY_LEN..].copy_from_slice(salt);
        Self(Secret::from_bytes(*bytes))
    }

    /// As SQLCipher's pragmas take it: `x'...'`, key and salt in hexadecimal.
    pub(super) fn literal(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(2 * (KEY_LEN + SALT_LEN) + 3));
        text.push_str("x'");
        for byte in self.0.expose() {
            text.push(char::from(b"0123456789abcdef"[usize::from(byte >> 4)]));
            text.push(char::from(b"0123456789abcdef"[usize::from(byte & 15)]));
        }
        text.push('\'');
        text
    }

    fn wrap(&self, vault: &dyn KeyVault, alias: &KeyAlias) -> Result<Vec<u8>, OpenError> {
        Ok(vault.wrap(alias, Zeroizing::new(self.0.expose().to_vec()))?)
    }
}

/// Finds the key of the store in `folder`, or draws one when neither folder nor vault know of a store. The caller has the role, and no turn:
/// a vault may take its time.
pub(super) fn find(folder: &Path, role: Role, vault: &dyn KeyVault, alias: &KeyAlias) -> Result<Found, OpenError> {
    let key_path = folder.join(KEY_FILE);
    let has_database = has_bytes(&folder.join(DATABASE_FILE))?;
    if !key_path.try_exists()? {
        if has_database {
            return Err(OpenError::KeyMissing);
        }
        if role == Role::Push {
            return Err(OpenError::NeedsMain);
        }
        return fresh(vault, alias);
    }
    if !has_database && !has_bytes(&folder.join(NEXT_FILE))? {
        // A first start that was cut short has left the key of nothing; otherwise the database has been there.
        return match (vault.generation(alias)?, role) {
            (0, Role::Main) => fresh(vault, alias),
            (0, Role::Push) => Err(OpenError::NeedsMain),
            _ => Err(OpenError::DatabaseMissing),
        };
    }
    let mut wrapped = Vec::new();
    File::open(&key_path)?.take(WRAPPED_LEN_MAX).read_to_end(&mut wrapped)?;
    let key = vault.unwrap(alias, wrapped)?;
    if let Some(key) = Secret::from_slice(&key) {
        return Ok(Found::Whole(StoreKey(key)));
    }
    let former = Secret::<KEY_LEN>::from_slice(&key).ok_or(OpenError::KeyDamaged)?;
    if role == Role::Push {
        return Err(OpenError::NeedsMain);
    }
    // Nobody has such a database open: of the programs that know this layout only one at a time could, and it had the role we have.
    let mut salt = [0; SALT_LEN];
    match File::open(folder.join(DATABASE_FILE)).and_then(|mut file| file.read_exact(&mut salt)) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(OpenError::Damaged { part: Part::Header });
        }
        Err(error) => return Err(OpenError::Io(error)),
    }
    let key = StoreKey::of_former(&former, &salt);
    files::replace_private(&key_path, &key.wrap(vault, alias)?)?;
    Ok(Found::Whole(key))
}

fn fresh(vault: &dyn KeyVault, alias: &KeyAlias) -> Result<Found, OpenError> {
    // A start that was cut short may have left the wrapping key, and a store that was set aside has.
    if !vault.has_wrapping_key(alias)? {
        vault.create_wrapping_key(alias)?;
    }
    let generation = vault.generation(alias)?;
    let key = StoreKey::generate();
    let wrapped = key.wrap(vault, alias)?;
    Ok(Found::Fresh { key, wrapped, generation })
}

/// Whether there is a file with anything in it. The file is not opened: closing it would release SQLite's own locks in this process.
fn has_bytes(path: &Path) -> io::Result<bool> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len() > 0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
