//! Making the database of a new store, and converting one of the former layout.
//!
//! Both write a whole database under another name and move it into place, so that a crash leaves the one before or the one after:
//!
//! - *new*: database under `store.db.next`, then the key file, then the move. Without a key file the rest is worth nothing and is begun
//!   anew; with one, the database is complete and only the move is missing.
//! - *converted*: the key file holds key and salt already and opens either. The copy is complete before it takes the other's name, and which
//!   of the two a file is shows in its first bytes.
//!
//! Only the main role does this, and only alone: SQLite's locks end when any handle of the process on the file is closed.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::OpenError;
use super::error::{Part, store_error};
use super::key::{KEY_FILE, StoreKey};
use super::role::Role;
use super::schema::{MIGRATIONS, migrate};
use super::sqlite::{self, Header, Layout, PLAIN_LEN, connect, empty_log};
use crate::files;

pub(super) const DATABASE_FILE: &str = "store.db";
/// A database that is to become the store's.
pub(super) const NEXT_FILE: &str = "store.db.next";
/// What SQLite puts beside a database.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];
/// Backup programs that look for such a marker leave the folder out.
const NO_BACKUP_FILE: &str = ".nobackup";
const NO_BACKUP_TEXT: &[u8] =
    b"Restoring an old copy of this folder would make used message keys usable again. Please leave it out of backups.\n";

/// Makes the database of a new store, and only then keeps its key.
pub(super) fn create(folder: &Path, key: &StoreKey, wrapped: &[u8], generation: u64) -> Result<(), OpenError> {
    let next = begin_next(folder)?;
    let mut connection = connect(&next, key, Layout::Plain)?;
    connection.execute_batch("PRAGMA synchronous = FULL").map_err(OpenError::sqlite)?;
    migrate(&mut connection, MIGRATIONS)?;
    sqlite::set_fact(&connection, "generation", generation).map_err(OpenError::sqlite)?;
    close(connection)?;
    files::replace_private(&folder.join(NO_BACKUP_FILE), NO_BACKUP_TEXT)?;
    // What a store of before has left is not this one's.
    remove_companions(&folder.join(DATABASE_FILE))?;
    files::replace_private(&folder.join(KEY_FILE), wrapped)?;
    Ok(end_next(folder)?)
}

/// Looks at the database, finishes what a crash has left, and converts a former one. The caller is alone with the store and has the turn;
/// `is_marked` is whether the turn's file says that the layout is the present one.
pub(super) fn settle(folder: &Path, role: Role, key: &StoreKey, is_marked: bool) -> Result<(), OpenError> {
    let path = folder.join(DATABASE_FILE);
    let header = match read_header(&path) {
        Ok(header) => header,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if role == Role::Push {
                return Err(OpenError::NeedsMain);
            }
            // The crash was between the key file and the move.
            end_next(folder)?;
            read_header(&path)?
        }
        Err(error) => return Err(OpenError::Io(error)),
    };
    let header = header.ok_or(OpenError::Damaged { part: Part::Header })?;
    match Header::parse(&header)? {
        Header::Plain => Ok(remove_next(folder)?),
        // It has been converted once, so these bytes were others.
        Header::Unknown if is_marked => Err(OpenError::Damaged { part: Part::Header }),
        Header::Unknown if role == Role::Push => Err(OpenError::NeedsMain),
        Header::Unknown => convert(folder, key),
    }
}

/// Copies a database of the former layout into one of the present.
fn convert(folder: &Path, key: &StoreKey) -> Result<(), OpenError> {
    let path = folder.join(DATABASE_FILE);
    let former = connect(&path, key, Layout::Former)?;
    if !empty_log(&former).map_err(OpenError::sqlite)? {
        return Err(OpenError::InUse);
    }
    let next = begin_next(folder)?;
    let version: i64 = former.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(OpenError::sqlite)?;
    let application: i64 =
        former.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(OpenError::sqlite)?;
    let name = next.to_str().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename))?;
    let literal = key.literal();
    former.execute("ATTACH ?1 AS next KEY ?2", [name, literal.as_str()]).map_err(OpenError::sqlite)?;
    former
        .execute_batch(&format!(
            "PRAGMA next.cipher_plaintext_header_size = {PLAIN_LEN};
             PRAGMA next.synchronous = FULL;"
        ))
        .map_err(OpenError::sqlite)?;
    former.query_row("SELECT sqlcipher_export('next')", [], |_| Ok(())).map_err(OpenError::sqlite)?;
    former
        .execute_batch(&format!("PRAGMA next.user_version = {version}; PRAGMA next.application_id = {application};"))
        .map_err(OpenError::sqlite)?;
    former.execute_batch("DETACH next").map_err(OpenError::sqlite)?;
    close(former)?;
    // The log is empty and its name must be free: it would be read into the new database.
    remove_companions(&path)?;
    end_next(folder)?;
    tracing::info!(event = "store_converted");
    Ok(())
}

/// The first bytes; `None` when there are fewer.
fn read_header(path: &Path) -> io::Result<Option<[u8; PLAIN_LEN]>> {
    let mut header = [0; PLAIN_LEN];
    match File::open(path)?.read_exact(&mut header) {
        Ok(()) => Ok(Some(header)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes room for the next database. SQLite would create the file with the umask's mode, so it is made here, for its owner alone.
fn begin_next(folder: &Path) -> io::Result<PathBuf> {
    remove_next(folder)?;
    let next = folder.join(NEXT_FILE);
    files::private_options().write(true).create_new(true).open(&next)?;
    Ok(next)
}

/// Moves the next database into place.
fn end_next(folder: &Path) -> io::Result<()> {
    let next = folder.join(NEXT_FILE);
    File::open(&next)?.sync_all()?;
    fs::rename(&next, folder.join(DATABASE_FILE))?;
    files::sync_dir(folder)
}

fn remove_next(folder: &Path) -> io::Result<()> {
    let next = folder.join(NEXT_FILE);
    remove(&next)?;
    remove_companions(&next)
}

fn remove_companions(path: &Path) -> io::Result<()> {
    COMPANIONS.iter().try_for_each(|companion| {
        let mut name = path.as_os_str().to_owned();
        name.push(companion);
        remove(Path::new(&name))
    })
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn close(connection: Connection) -> Result<(), OpenError> {
    connection.close().map_err(|(_, error)| OpenError::Sqlite(store_error(error)))
}
