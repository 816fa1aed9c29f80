//! Opening a store: lock, data key, database, generation, in this order.

use std::io::Read;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use rcseal_crypto::secret::Secret;
use rusqlite::{Connection, OpenFlags};
use zeroize::Zeroizing;

use super::lock::ProcessLock;
use super::schema::{MIGRATIONS, migrate};
use super::tx::STATEMENTS_MAX;
use super::{OpenError, OpenedStore, RolledBackStore, Store};
use crate::files;
use crate::vault::{KeyAlias, KeyVault};

const DATABASE_FILE: &str = "store.db";
const KEY_FILE: &str = "store.key";
const LOCK_FILE: &str = "store.lock";
/// Backup programs that look for such a marker leave the folder out.
const NO_BACKUP_FILE: &str = ".nobackup";
const NO_BACKUP_TEXT: &[u8] =
    b"Restoring an old copy of this folder would make used message keys usable again. Please leave it out of backups.\n";
/// A wrapped data key is some dozens of bytes; hardware vaults add a header of their own.
const WRAPPED_LEN_MAX: u64 = 4096;
/// Only our own process has the file open; a longer wait would mean a bug.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens the store in `folder`, or creates it when neither folder nor vault know of one.
///
/// # Errors
/// [`OpenError`].
pub fn open(folder: &Path, vault: &dyn KeyVault, alias: &KeyAlias) -> Result<OpenedStore, OpenError> {
    files::create_private_dir(folder)?;
    let lock = ProcessLock::take(&folder.join(LOCK_FILE))?;
    let data_key = data_key(folder, vault, alias)?;
    let connection = open_database(&folder.join(DATABASE_FILE), &data_key)?;
    let store = Store {
        connection: Mutex::new(connection),
        generation: Mutex::new(()),
        folder: folder.to_owned(),
        _lock: lock,
    };
    check_generation(store, vault, alias)
}

/// Unwraps the data key; for a new store, draws and wraps one first.
fn data_key(folder: &Path, vault: &dyn KeyVault, alias: &KeyAlias) -> Result<Secret<32>, OpenError> {
    let key_path = folder.join(KEY_FILE);
    let has_database = folder.join(DATABASE_FILE).try_exists()?;
    if key_path.try_exists()? {
        if !has_database && vault.generation(alias)? > 0 {
            return Err(OpenError::DatabaseMissing);
        }
        let mut wrapped = Vec::new();
        std::fs::File::open(&key_path)?.take(WRAPPED_LEN_MAX).read_to_end(&mut wrapped)?;
        let data_key = vault.unwrap(alias, wrapped)?;
        return Secret::from_slice(&data_key).ok_or(OpenError::KeyDamaged);
    }
    if has_database {
        return Err(OpenError::KeyMissing);
    }
    // A start that was cut short may have left the wrapping key; it has wrapped nothing yet.
    if !vault.has_wrapping_key(alias)? {
        vault.create_wrapping_key(alias)?;
    }
    let data_key = Secret::<32>::generate(&mut rand::rng());
    let wrapped = vault.wrap(alias, Zeroizing::new(data_key.expose().to_vec()))?;
    files::replace_private(&folder.join(NO_BACKUP_FILE), NO_BACKUP_TEXT)?;
    files::create_private(&key_path, &wrapped)?;
    Ok(data_key)
}

/// Opens the database, sets its properties and brings it up to date.
fn open_database(path: &Path, data_key: &Secret<32>) -> Result<Connection, OpenError> {
    // SQLite creates the file with the umask's mode, so it is made here first, for its owner alone.
    files::private_options().write(true).create(true).truncate(false).open(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(OpenError::sqlite)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(OpenError::sqlite)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // SQLCipher writes to standard error on a wrong key unless told not to.
    connection.execute_batch("PRAGMA cipher_log_level = NONE").map_err(OpenError::sqlite)?;
    let mut hex = Zeroizing::new(String::with_capacity(64));
    for byte in data_key.expose() {
        hex.push(char::from(b"0123456789abcdef"[usize::from(byte >> 4)]));
        hex.push(char::from(b"0123456789abcdef"[usize::from(byte & 15)]));
    }
    // A raw key: no passphrase is stretched, the vault has done that where it was needed.
    let statement = Zeroizing::new(format!("PRAGMA key = \"x'{}'\"", hex.as_str()));
    connection.execute_batch(&statement).map_err(OpenError::sqlite)?;
    // The first read shows whether the key fits.
    connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))
        .map_err(OpenError::sqlite)?;
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = ON;
             PRAGMA secure_delete = ON;
             PRAGMA temp_store = MEMORY;
             PRAGMA trusted_schema = OFF;",
        )
        .map_err(OpenError::sqlite)?;
    migrate(&mut connection, MIGRATIONS)?;
    Ok(connection)
}

/// Compares the store's generation with the vault's, and moves both on when they agree.
fn check_generation(store: Store, vault: &dyn KeyVault, alias: &KeyAlias) -> Result<OpenedStore, OpenError> {
    let ours: i64 = store
        .connection()
        .query_row("SELECT value FROM meta WHERE name = 'generation'", [], |row| row.get(0))
        .map_err(OpenError::sqlite)?;
    let ours = u64::try_from(ours).unwrap_or(0);
    let mut theirs = vault.generation(alias)?;
    if ours == theirs.saturating_add(1) {
        // The process died between the two steps of an advance.
        theirs = vault.bump_generation(alias)?;
    }
    if ours != theirs {
        return Ok(OpenedStore::RolledBack(RolledBackStore(store)));
    }
    match store.advance_generation(vault, alias) {
        Ok(()) => Ok(OpenedStore::Ready(store)),
        Err(super::GenerationError::Store(error)) => Err(OpenError::Sqlite(error)),
        Err(super::GenerationError::Vault(error)) => Err(OpenError::Vault(error)),
    }
}

/// Writes the generation into the store.
pub(super) fn write_generation(connection: &Connection, generation: u64) -> rusqlite::Result<()> {
    // A count of starts and hours never comes near 2^63.
    let generation = i64::try_from(generation).unwrap_or(i64::MAX);
    connection.execute("UPDATE meta SET value = ?1 WHERE name = 'generation'", [generation])?;
    Ok(())
}
