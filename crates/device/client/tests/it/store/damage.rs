//! Damaged files: a named error or the right answer, never a wrong answer and never an empty store; and the way out.

use std::fs;
use std::path::{Path, PathBuf};

use rcseal_client::store::{self, OpenError, OpenedStore, Part, SetAside, Store, WayOut};
use rcseal_client::vault::{KeyAlias, KeyVault, SoftwareKeyVault, VaultError};
use rcseal_engine::store::{StoreError, StoreErrorKind, Table};

use super::{copy_folder, get, open_error, put};
use crate::support::{open_ready, vault};

const ROWS: u8 = 40;

/// A store with rows on several pages; the folder as it is after a clean end, and as a kill leaves it.
struct Sound {
    folder: tempfile::TempDir,
    vault: SoftwareKeyVault,
    clean: PathBuf,
    killed: PathBuf,
}

fn row(n: u8) -> Vec<u8> {
    vec![n; 700]
}

fn sound() -> Sound {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault(&folder.path().join("vault"), "pass");
    let (clean, killed) = (folder.path().join("clean"), folder.path().join("killed"));
    let store = open_ready(&clean, &vault);
    for n in 0..ROWS {
        put(&store, &[n], &row(n));
    }
    copy_folder(&clean, &killed);
    drop(store);
    assert!(fs::metadata(killed.join("store.db-wal")).unwrap().len() > 4096);
    assert_eq!(fs::metadata(clean.join("store.db-wal")).unwrap().len(), 0);
    Sound { folder, vault, clean, killed }
}

/// What an open of a damaged copy came to.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Whole,
    RolledBack,
    Refused(&'static str),
}

fn read_all(store: &Store) -> Result<(), StoreError> {
    store.run(|tx| {
        for n in 0..ROWS {
            let found = tx.get(Table::Message, &[n])?;
            assert_eq!(found, Some(row(n)), "a wrong answer for row {n}");
        }
        Ok(())
    })
}

/// Opens a copy of `from` after `harm`, and looks at every row. The vault's generation is put back, so that each copy meets the same one.
fn attempt(sound: &Sound, from: &Path, harm: impl FnOnce(&Path)) -> Outcome {
    let at = sound.folder.path().join("copy");
    let _ = fs::remove_dir_all(&at);
    copy_folder(from, &at);
    harm(&at);
    let generation = sound.folder.path().join("vault").join("store.generation");
    let before = fs::read(&generation).unwrap();
    let outcome = match store::open(&at, &sound.vault, &KeyAlias::store()) {
        Ok(OpenedStore::Ready(store)) => match read_all(&store).and_then(|()| store.check()) {
            Ok(()) => Outcome::Whole,
            Err(error) => {
                assert_eq!(error.kind, StoreErrorKind::Corrupt, "{error:?}");
                Outcome::Refused(error.code())
            }
        },
        Ok(OpenedStore::RolledBack(_)) => Outcome::RolledBack,
        Err(error) => {
            assert_eq!(error.way_out(), WayOut::SetAside, "{error:?}");
            Outcome::Refused(error.code())
        }
    };
    fs::write(&generation, before).unwrap();
    outcome
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_flipped_bit_in_the_database_is_found() {
    let sound = sound();
    let len = fs::metadata(sound.clean.join("store.db")).unwrap().len();
    assert_eq!(attempt(&sound, &sound.clean, |_| {}), Outcome::Whole);
    for at in (0..32).chain((32..usize::try_from(len).unwrap()).step_by(1021)) {
        let outcome = attempt(&sound, &sound.clean, |copy| flip(&copy.join("store.db"), at));
        match (at, outcome) {
            // The format's name and its constants.
            (0..24, outcome) => assert_eq!(outcome, Outcome::Refused("store.damaged"), "byte {at}"),
            // The count of changes says nothing; the count of pages is SQLite's to check.
            (24..28, outcome) => assert_eq!(outcome, Outcome::Whole, "byte {at}"),
            (28..32, Outcome::Whole) => {}
            (_, Outcome::Refused("store.damaged" | "store.wrong_key" | "store_corrupt")) => {}
            (at, outcome) => panic!("byte {at}: {outcome:?}"),
        }
    }
}

#[test]
fn a_database_that_was_cut_is_found() {
    let sound = sound();
    let len = fs::metadata(sound.clean.join("store.db")).unwrap().len();
    for keep in [0, 1, 16, 31, 32, 100, 4095, 4096, len / 2, len - 4096, len - 1] {
        let outcome = attempt(&sound, &sound.clean, |copy| {
            fs::File::options().write(true).open(copy.join("store.db")).unwrap().set_len(keep).unwrap();
        });
        assert!(matches!(outcome, Outcome::Refused(_)), "{keep} bytes: {outcome:?}");
    }
}

/// A log that was lost has taken commits along, and the keys of those commits would be used again.
#[test]
fn a_store_without_its_last_commits_counts_as_rolled_back() {
    let sound = sound();
    let len = usize::try_from(fs::metadata(sound.killed.join("store.db-wal")).unwrap().len()).unwrap();
    assert_eq!(attempt(&sound, &sound.killed, |_| {}), Outcome::Whole);
    assert_eq!(
        attempt(&sound, &sound.killed, |copy| fs::remove_file(copy.join("store.db-wal")).unwrap()),
        Outcome::RolledBack
    );
    for at in [0, 9, 17, 40, 24 + 24 + 100, len / 2, len - 100] {
        let outcome = attempt(&sound, &sound.killed, |copy| flip(&copy.join("store.db-wal"), at));
        assert_eq!(outcome, Outcome::RolledBack, "byte {at} of the log");
        let cut = attempt(&sound, &sound.killed, |copy| {
            fs::File::options().write(true).open(copy.join("store.db-wal")).unwrap().set_len(at as u64).unwrap();
        });
        assert_eq!(cut, Outcome::RolledBack, "a log of {at} bytes");
    }
    // Without the index of the log nothing is lost: it is made anew.
    assert_eq!(
        attempt(&sound, &sound.killed, |copy| fs::remove_file(copy.join("store.db-shm")).unwrap()),
        Outcome::Whole
    );
}

#[test]
fn a_damaged_key_file_is_found() {
    let sound = sound();
    let len = fs::metadata(sound.clean.join("store.key")).unwrap().len();
    for at in 0..usize::try_from(len).unwrap() {
        let outcome = attempt(&sound, &sound.clean, |copy| flip(&copy.join("store.key"), at));
        assert!(matches!(outcome, Outcome::Refused("vault.key_invalidated" | "vault.file")), "byte {at}: {outcome:?}");
    }
    let cut = attempt(&sound, &sound.clean, |copy| fs::write(copy.join("store.key"), b"").unwrap());
    assert_eq!(cut, Outcome::Refused("vault.file"));
    let gone = attempt(&sound, &sound.clean, |copy| fs::remove_file(copy.join("store.key")).unwrap());
    assert_eq!(gone, Outcome::Refused("store.key_missing"));
    let gone = attempt(&sound, &sound.clean, |copy| fs::remove_file(copy.join("store.db")).unwrap());
    assert_eq!(gone, Outcome::Refused("store.database_missing"));
    let turn = attempt(&sound, &sound.clean, |copy| flip(&copy.join("store.turn"), 12));
    assert_eq!(turn, Outcome::Whole, "a damaged count says nothing");
}

#[test]
fn a_damaged_store_is_set_aside_only_when_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault(&folder.path().join("vault"), "pass");
    let (at, alias) = (folder.path().join("store"), KeyAlias::store());
    put(&open_ready(&at, &vault), b"k", b"v");
    flip(&at.join("store.db"), 20);
    for _ in 0..3 {
        let error = open_error(&at, &vault);
        assert!(matches!(error, OpenError::Damaged { part: Part::Header }));
        assert_eq!((error.code(), error.way_out()), ("store.damaged", WayOut::SetAside));
    }
    let aside = store::set_aside(&at, &vault, &alias).unwrap();
    assert_eq!(aside, SetAside { folder: folder.path().join("store.damaged-1"), is_key_discarded: false });
    let store = open_ready(&at, &vault);
    assert_eq!(get(&store, b"k"), None);
    put(&store, b"k", b"new");
    assert!(matches!(store::set_aside(&at, &vault, &alias), Err(OpenError::InUse)));
    drop(store);
    assert_eq!(get(&open_ready(&at, &vault), b"k").as_deref(), Some(&b"new"[..]));
    // What was set aside is whole, and can be repaired; it is older than the vault remembers.
    flip(&aside.folder.join("store.db"), 20);
    let OpenedStore::RolledBack(repaired) = store::open(&aside.folder, &vault, &alias).unwrap() else {
        panic!("a store that was set aside is not the newest any more");
    };
    let (repaired, ()) = repaired.recover(&vault, &alias, |_| Ok::<_, store::GenerationError>(())).unwrap();
    assert_eq!(get(&repaired, b"k").as_deref(), Some(&b"v"[..]));
}

#[test]
fn a_wrapping_key_that_opens_nothing_goes_with_the_store_that_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let ours = vault(&folder.path().join("vault"), "pass");
    let (at, alias) = (folder.path().join("store"), KeyAlias::store());
    drop(open_ready(&at, &ours));
    fs::write(folder.path().join("vault").join("store.vault"), b"not a vault file").unwrap();
    assert!(matches!(open_error(&at, &ours), OpenError::Vault(VaultError::File(_))));
    assert!(store::set_aside(&at, &ours, &alias).unwrap().is_key_discarded);
    put(&open_ready(&at, &ours), b"k", b"new");
    // A vault that is only locked is asked again later.
    let locked = vault(&folder.path().join("vault"), "wrong");
    let refused = store::set_aside(&at, &locked, &alias);
    assert!(matches!(refused, Err(OpenError::Vault(VaultError::WrongPassphrase))));
    assert!(ours.has_wrapping_key(&alias).unwrap());
    assert_eq!(get(&open_ready(&at, &ours), b"k").as_deref(), Some(&b"new"[..]));
}
