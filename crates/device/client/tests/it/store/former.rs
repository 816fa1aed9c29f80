//! Stores of the layout before version 7 of the schema: the salt in the database, 32 bytes wrapped.

use std::fs;
use std::path::Path;

use rcseal_client::store::{self, OpenError, OpenedStore, Role};
use rcseal_client::vault::{KeyAlias, KeyVault};
use rusqlite::Connection;
use zeroize::Zeroizing;

use super::{DyingVault, get, open_error, put};
use crate::support::{open_ready, vault};

const SCHEMA: [&str; 6] = [
    include_str!("../../../src/store/schema/v1.sql"),
    include_str!("../../../src/store/schema/v2.sql"),
    include_str!("../../../src/store/schema/v3.sql"),
    include_str!("../../../src/store/schema/v4.sql"),
    include_str!("../../../src/store/schema/v5.sql"),
    include_str!("../../../src/store/schema/v6.sql"),
];
const KEY: [u8; 32] = [0x5a; 32];

/// Makes a store as programs before made it, of the vault's generation, with a row, and leaves it as a killed process does: with a log.
fn make(at: &Path, vault: &dyn KeyVault) {
    make_with(at, vault, &[(vec![1], vec![2])]);
}

/// The same with these rows.
pub(super) fn make_with(at: &Path, vault: &dyn KeyVault, rows: &[(Vec<u8>, Vec<u8>)]) {
    let alias = KeyAlias::store();
    fs::create_dir_all(at).unwrap();
    vault.create_wrapping_key(&alias).unwrap();
    fs::write(at.join("store.key"), vault.wrap(&alias, Zeroizing::new(KEY.to_vec())).unwrap()).unwrap();
    let generation = vault.bump_generation(&alias).unwrap();
    let made = at.with_extension("made");
    fs::create_dir_all(&made).unwrap();
    // The library is started by an open of its own, as the store does it.
    drop(open_ready(&at.with_extension("first"), &crate::support::vault(&at.with_extension("first vault"), "p")));
    let connection = Connection::open(made.join("store.db")).unwrap();
    connection.execute_batch(&format!("PRAGMA key = \"x'{}'\"; PRAGMA journal_mode = WAL;", "5a".repeat(32))).unwrap();
    for script in SCHEMA {
        connection.execute_batch(script).unwrap();
    }
    connection.execute_batch("PRAGMA user_version = 6; PRAGMA application_id = 1380144972;").unwrap();
    connection.execute("UPDATE meta SET value = ?1", [i64::try_from(generation).unwrap()]).unwrap();
    connection.execute_batch("BEGIN").unwrap();
    for (key, value) in rows {
        connection.execute("INSERT INTO message (key, value) VALUES (?1, ?2)", (key, value)).unwrap();
    }
    connection.execute_batch("COMMIT").unwrap();
    for name in ["store.db", "store.db-wal"] {
        fs::copy(made.join(name), at.join(name)).unwrap();
    }
}

fn assert_converted(at: &Path, vault: &dyn KeyVault) {
    assert_eq!(get(&open_ready(at, vault), &[1]).as_deref(), Some(&[2][..]));
    assert!(fs::read(at.join("store.db")).unwrap().starts_with(b"SQLite format 3\0"));
    assert!(!at.join("store.db.next").exists());
    let wrapped = fs::read(at.join("store.key")).unwrap();
    assert_eq!(vault.unwrap(&KeyAlias::store(), wrapped).unwrap().len(), 48);
}

#[test]
fn a_store_of_the_former_layout_is_converted_with_its_rows() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault(&folder.path().join("vault"), "pass");
    let at = folder.path().join("store");
    make(&at, &vault);
    assert!(!fs::read(at.join("store.db")).unwrap().starts_with(b"SQLite format 3\0"));
    let push = store::open_as(Role::Push, &at, &vault, &KeyAlias::store());
    assert!(matches!(push, Err(OpenError::NeedsMain)));
    assert_converted(&at, &vault);
    put(&open_ready(&at, &vault), b"k", b"v");
    assert!(store::open_as(Role::Push, &at, &vault, &KeyAlias::store()).is_ok());
}

#[test]
fn a_conversion_that_was_cut_short_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    for calls in 0.. {
        let vault = vault(&folder.path().join(format!("vault {calls}")), "pass");
        let at = folder.path().join(format!("store {calls}"));
        make(&at, &vault);
        let dying = DyingVault { inner: &vault, left: calls.into() };
        let died = store::open(&at, &dying, &KeyAlias::store()).is_err();
        assert_converted(&at, &vault);
        if !died {
            break;
        }
    }
    // The key file was written anew, and half of a copy.
    let vault = vault(&folder.path().join("vault"), "pass");
    let at = folder.path().join("store");
    make(&at, &vault);
    let salt = fs::read(at.join("store.db")).unwrap()[..16].to_vec();
    let key = Zeroizing::new([&KEY[..], &salt].concat());
    fs::write(at.join("store.key"), vault.wrap(&KeyAlias::store(), key).unwrap()).unwrap();
    fs::write(at.join("store.db.next"), b"SQLite format 3\0 and no more").unwrap();
    fs::write(at.join("store.db.next-journal"), b"half a journal").unwrap();
    assert_converted(&at, &vault);
}

#[test]
fn a_former_store_that_was_restored_is_rolled_back_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault(&folder.path().join("vault"), "pass");
    let at = folder.path().join("store");
    make(&at, &vault);
    vault.bump_generation(&KeyAlias::store()).unwrap();
    assert!(matches!(store::open(&at, &vault, &KeyAlias::store()).unwrap(), OpenedStore::RolledBack(_)));
}

#[test]
fn a_former_store_with_a_damaged_salt_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault(&folder.path().join("vault"), "pass");
    let at = folder.path().join("store");
    make(&at, &vault);
    let mut bytes = fs::read(at.join("store.db")).unwrap();
    bytes[3] ^= 1;
    fs::write(at.join("store.db"), &bytes).unwrap();
    // Its log has an undamaged first page, which SQLite reads first; without it there is only the damaged one.
    fs::remove_file(at.join("store.db-wal")).unwrap();
    assert!(matches!(open_error(&at, &vault), OpenError::WrongKey | OpenError::Damaged { .. }));
    assert_eq!(fs::read(at.join("store.db")).unwrap(), bytes);
}
