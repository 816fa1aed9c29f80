//! The store on disk: its key, its lock, what a crash leaves, and how a rollback shows.

mod clock;
mod damage;
mod former;
mod kills;
mod processes;
mod roles;

use std::fs;
use std::path::Path;

use rcseal_client::store::{self, GenerationError, OpenError, OpenedStore, Store};
use rcseal_client::vault::{KeyAlias, KeyVault, VaultError};
use rcseal_engine::store::{StoreError, StoreErrorKind, Table};

use crate::support::faulty::FaultyTx;
use crate::support::{open_ready, vault};

fn put(store: &Store, key: &[u8], value: &[u8]) {
    store.run(|tx| tx.put(Table::Message, key, value)).unwrap();
}

fn get(store: &Store, key: &[u8]) -> Option<Vec<u8>> {
    store.run(|tx| tx.get(Table::Message, key)).unwrap()
}

fn open_error(folder: &Path, vault: &dyn KeyVault) -> OpenError {
    match store::open(folder, vault, &KeyAlias::store()) {
        Err(error) => error,
        Ok(_) => panic!("the store opened"),
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn what_was_committed_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault(&folder.path().join("vault"), "pass");
    let at = folder.path().join("store");
    put(&open_ready(&at, &vault), b"k", b"v");
    assert_eq!(get(&open_ready(&at, &vault), b"k").as_deref(), Some(&b"v"[..]));
}

#[test]
fn nothing_readable_lies_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault(&folder.path().join("vault"), "pass");
    let at = folder.path().join("store");
    let store = open_ready(&at, &vault);
    put(&store, b"key", b"a sentence that nobody else may read");
    for entry in fs::read_dir(&at).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        for needle in [&b"a sentence that nobody"[..], b"CREATE TABLE"] {
            assert!(!bytes.windows(needle.len()).any(|window| window == needle));
        }
    }
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let vault = vault(&folder.path().join("vault"), "pass");
    let at = folder.path().join("store");
    let _store = open_ready(&at, &vault);
    for folder in [at, folder.path().join("vault")] {
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        for entry in fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", entry.file_name());
        }
    }
}

#[test]
fn another_data_key_does_not_open_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let ours = vault(&folder.path().join("vault"), "pass");
    let other_vault = vault(&folder.path().join("other vault"), "pass");
    let at = folder.path().join("store");
    let other = folder.path().join("other");
    drop((open_ready(&at, &ours), open_ready(&other, &other_vault)));
    fs::copy(other.join("store.key"), at.join("store.key")).unwrap();
    assert!(matches!(open_error(&at, &other_vault), OpenError::WrongKey));
    // And the vault that did not wrap it says so before the database is touched.
    assert!(matches!(open_error(&at, &ours), OpenError::Vault(VaultError::KeyInvalidated)));
}

#[test]
fn a_wrong_passphrase_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("store");
    drop(open_ready(&at, &vault(&folder.path().join("vault"), "right")));
    let error = open_error(&at, &vault(&folder.path().join("vault"), "wrong"));
    assert!(matches!(error, OpenError::Vault(VaultError::WrongPassphrase)));
    assert_eq!(error.code(), "vault.wrong_passphrase");
}

#[test]
fn a_second_opener_is_refused_until_the_first_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault(&folder.path().join("vault"), "pass");
    let at = folder.path().join("store");
    let first = open_ready(&at, &vault);
    assert!(matches!(open_error(&at, &vault), OpenError::InUse));
    drop(first);
    let _second = open_ready(&at, &vault);
}

#[test]
fn lost_files_are_named_and_never_replaced_by_new_ones() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault(&folder.path().join("vault"), "pass");
    let at = folder.path().join("store");
    drop(open_ready(&at, &vault));
    let key = fs::read(at.join("store.key")).unwrap();
    fs::remove_file(at.join("store.key")).unwrap();
    assert!(matches!(open_error(&at, &vault), OpenError::KeyMissing));
    fs::write(at.join("store.key"), &key).unwrap();
    fs::remove_file(at.join("store.db")).unwrap();
    assert!(matches!(open_error(&at, &vault), OpenError::DatabaseMissing));
}

#[test]
fn a_damaged_page_is_an_error_and_never_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault(&folder.path().join("vault"), "pass");
    let at = folder.path().join("store");
    let store = open_ready(&at, &vault);
    store
        .run(|tx| {
            for n in 0..64_u8 {
                tx.put(Table::Message, &[n], &[n; 1000])?;
            }
            Ok::<_, StoreError>(())
        })
        .unwrap();
    drop(store);
    let mut bytes = fs::read(at.join("store.db")).unwrap();
    // Every page but the first, which opening itself needs.
    for page in bytes.chunks_mut(4096).skip(1) {
        page[100] ^= 1;
    }
    fs::write(at.join("store.db"), bytes).unwrap();
    // Each page carries its own authentication; depending on which one is read first, opening or reading fails.
    match store::open(&at, &vault, &KeyAlias::store()) {
        Err(_) => {}
        Ok(OpenedStore::Ready(store)) => {
            let error = store.run(|tx| tx.get(Table::Message, &[3])).unwrap_err();
            assert!(matches!(error.kind, StoreErrorKind::Corrupt | StoreErrorKind::Locked | StoreErrorKind::Io));
        }
        Ok(OpenedStore::RolledBack(_)) => panic!("a damaged store is not a rolled-back one"),
    }
}

#[test]
fn a_panic_inside_a_transaction_rolls_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault(&folder.path().join("vault"), "pass");
    let store = open_ready(&folder.path().join("store"), &vault);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        store.run(|tx| -> Result<(), StoreError> {
            tx.put(Table::Message, b"k", b"v")?;
            panic!("on purpose")
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(get(&store, b"k"), None);
}

/// A killed process leaves the files as they are at that moment: copying them while the store is open is the same picture.
#[test]
fn a_kill_between_two_transactions_keeps_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let ours = vault(&folder.path().join("vault"), "pass");
    let at = folder.path().join("store");
    let store = open_ready(&at, &ours);
    put(&store, b"first", b"durable");
    let after_kill = folder.path().join("after kill");
    copy_folder(&at, &after_kill);
    let store = open_ready(&after_kill, &ours);
    assert_eq!(get(&store, b"first").as_deref(), Some(&b"durable"[..]));
}

#[test]
fn whichever_write_fails_nothing_or_everything_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault(&folder.path().join("vault"), "pass");
    let at = folder.path().join("store");
    let steps = 5_usize;
    for fail_at in 0.. {
        let store = open_ready(&at, &vault);
        let outcome = store.run(|tx| {
            let mut tx = FaultyTx::new(tx, fail_at);
            for step in 0..steps {
                rcseal_engine::store::Tx::put(&mut tx, Table::Skipped, &[u8::try_from(step).unwrap()], b"row")?;
            }
            Ok::<_, StoreError>(())
        });
        drop(store);
        let store = open_ready(&at, &vault);
        let rows = (0..steps)
            .filter(|step| {
                let key = [u8::try_from(*step).unwrap()];
                store.run(|tx| tx.get(Table::Skipped, &key)).unwrap().is_some()
            })
            .count();
        match outcome {
            Err(error) => {
                assert_eq!((error.kind, rows), (StoreErrorKind::Io, 0), "write {fail_at}");
            }
            Ok(()) => {
                assert_eq!((fail_at, rows), (steps, steps));
                break;
            }
        }
    }
}

#[test]
fn a_restored_copy_opens_as_rolled_back_and_recovers_once() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault(&folder.path().join("vault"), "pass");
    let at = folder.path().join("store");
    let backup = folder.path().join("backup");
    let store = open_ready(&at, &vault);
    put(&store, b"session", b"old");
    drop(store);
    copy_folder(&at, &backup);
    let store = open_ready(&at, &vault);
    put(&store, b"session", b"new");
    drop(store);
    fs::remove_dir_all(&at).unwrap();
    copy_folder(&backup, &at);

    for _ in 0..2 {
        let OpenedStore::RolledBack(store) = store::open(&at, &vault, &KeyAlias::store()).unwrap() else {
            panic!("the rollback was not noticed");
        };
        // A recovery that fails leaves it as it was.
        let failed = store.recover(&vault, &KeyAlias::store(), |_| {
            Err::<(), _>(GenerationError::Store(StoreError::of(StoreErrorKind::Io)))
        });
        assert!(failed.is_err());
    }
    let OpenedStore::RolledBack(store) = store::open(&at, &vault, &KeyAlias::store()).unwrap() else {
        panic!("a failed recovery made the store current");
    };
    let (store, ()) = store
        .recover(&vault, &KeyAlias::store(), |tx| tx.delete(Table::Message, b"session").map_err(GenerationError::from))
        .unwrap();
    assert_eq!(get(&store, b"session"), None);
    drop(store);
    drop(open_ready(&at, &vault));
}

#[test]
fn a_copy_made_while_the_client_ran_is_noticed_after_an_advance() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault(&folder.path().join("vault"), "pass");
    let at = folder.path().join("store");
    let backup = folder.path().join("backup");
    let store = open_ready(&at, &vault);
    copy_folder(&at, &backup);
    store.advance_generation(&vault, &KeyAlias::store()).unwrap();
    drop(store);
    assert!(matches!(store::open(&backup, &vault, &KeyAlias::store()).unwrap(), OpenedStore::RolledBack(_)));
    drop(open_ready(&at, &vault));
}

/// A vault that dies at its n-th call, as a process does.
struct DyingVault<'a> {
    inner: &'a dyn KeyVault,
    left: std::sync::atomic::AtomicIsize,
}

impl DyingVault<'_> {
    fn call(&self) -> Result<(), VaultError> {
        if self.left.fetch_sub(1, std::sync::atomic::Ordering::SeqCst) <= 0 {
            return Err(VaultError::HardwareUnavailable);
        }
        Ok(())
    }
}

impl KeyVault for DyingVault<'_> {
    fn create_wrapping_key(&self, alias: &KeyAlias) -> Result<(), VaultError> {
        self.call()?;
        self.inner.create_wrapping_key(alias)
    }
    fn has_wrapping_key(&self, alias: &KeyAlias) -> Result<bool, VaultError> {
        self.call()?;
        self.inner.has_wrapping_key(alias)
    }
    fn wrap(&self, alias: &KeyAlias, data_key: zeroize::Zeroizing<Vec<u8>>) -> Result<Vec<u8>, VaultError> {
        self.call()?;
        self.inner.wrap(alias, data_key)
    }
    fn unwrap(&self, alias: &KeyAlias, wrapped: Vec<u8>) -> Result<zeroize::Zeroizing<Vec<u8>>, VaultError> {
        self.call()?;
        self.inner.unwrap(alias, wrapped)
    }
    fn delete(&self, alias: &KeyAlias) -> Result<(), VaultError> {
        self.call()?;
        self.inner.delete(alias)
    }
    fn level(&self) -> rcseal_client::vault::ProtectionLevel {
        self.inner.level()
    }
    fn generation(&self, alias: &KeyAlias) -> Result<u64, VaultError> {
        self.call()?;
        self.inner.generation(alias)
    }
    fn bump_generation(&self, alias: &KeyAlias) -> Result<u64, VaultError> {
        self.call()?;
        self.inner.bump_generation(alias)
    }
}

#[test]
fn a_start_that_dies_at_any_call_of_the_vault_can_be_repeated() {
    let folder = tempfile::tempdir().unwrap();
    for calls in 0.. {
        let vault = vault(&folder.path().join(format!("vault {calls}")), "pass");
        let at = folder.path().join(format!("store {calls}"));
        let dying = DyingVault { inner: &vault, left: calls.into() };
        let died = store::open(&at, &dying, &KeyAlias::store()).is_err();
        // The second start finds whatever the first one left, and neither loses the store nor cries rollback.
        let store = open_ready(&at, &vault);
        put(&store, b"k", b"v");
        drop(store);
        // And the same for a start of a store that has rows.
        let dying = DyingVault { inner: &vault, left: calls.into() };
        drop(store::open(&at, &dying, &KeyAlias::store()));
        assert_eq!(get(&open_ready(&at, &vault), b"k").as_deref(), Some(&b"v"[..]), "after {calls} calls");
        if !died {
            break;
        }
    }
}

#[test]
fn an_advance_empties_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault(&folder.path().join("vault"), "pass");
    let at = folder.path().join("store");
    let store = open_ready(&at, &vault);
    put(&store, b"k", &[7; 10_000]);
    assert!(fs::metadata(at.join("store.db-wal")).unwrap().len() > 0);
    store.advance_generation(&vault, &KeyAlias::store()).unwrap();
    assert_eq!(fs::metadata(at.join("store.db-wal")).unwrap().len(), 0);
    assert_eq!(get(&store, b"k").as_deref(), Some(&[7; 10_000][..]));
}
