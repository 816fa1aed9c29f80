//! An app and its push client on one store, in one process; and what the vault is never called under.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rcseal_client::store::{self, OpenError, OpenedStore, Role, Store, WayOut};
use rcseal_client::vault::{KeyAlias, KeyVault, ProtectionLevel, VaultError};
use rcseal_engine::store::{StoreError, StoreErrorKind};
use zeroize::Zeroizing;

use super::{get, put};
use crate::support::{open_ready, vault};

fn open_push(folder: &Path, vault: &dyn KeyVault) -> Result<Store, OpenError> {
    match store::open_as(Role::Push, folder, vault, &KeyAlias::store())? {
        OpenedStore::Ready(store) => Ok(store),
        OpenedStore::RolledBack(_) => panic!("a push client never gets a rolled-back store"),
    }
}

#[test]
fn an_app_and_its_push_client_see_what_the_other_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault(&folder.path().join("vault"), "pass");
    let at = folder.path().join("store");
    let main = open_ready(&at, &vault);
    put(&main, b"k", b"main");
    let push = open_push(&at, &vault).unwrap();
    assert!(main.is_other_open() && push.is_other_open());
    let (seen_by_main, seen_by_push) = (main.foreign_commits(), push.foreign_commits());
    assert_eq!(get(&push, b"k").as_deref(), Some(&b"main"[..]));
    put(&push, b"k", b"push");
    assert_ne!(main.foreign_commits(), seen_by_main);
    assert_eq!(push.foreign_commits(), seen_by_push, "one's own commits are nobody else's, and a look is no commit");
    assert_eq!(get(&main, b"k").as_deref(), Some(&b"push"[..]));
    drop(push);
    assert!(!main.is_other_open());
    put(&main, b"k", b"main again");
    drop(main);
    let push = open_push(&at, &vault).unwrap();
    assert_eq!(get(&push, b"k").as_deref(), Some(&b"main again"[..]));
}

#[test]
fn two_of_a_kind_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault(&folder.path().join("vault"), "pass");
    let at = folder.path().join("store");
    let _main = open_ready(&at, &vault);
    let _push = open_push(&at, &vault).unwrap();
    let error = open_push(&at, &vault).unwrap_err();
    assert!(matches!(error, OpenError::InUse));
    assert_eq!((error.code(), error.way_out()), ("store.in_use", WayOut::TryAgain));
    assert!(matches!(store::open(&at, &vault, &KeyAlias::store()), Err(OpenError::InUse)));
}

#[test]
fn a_push_client_makes_no_store_and_recovers_none() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault(&folder.path().join("vault"), "pass");
    let at = folder.path().join("store");
    let needs_main = |at: &Path| {
        let error = open_push(at, &vault).unwrap_err();
        assert!(matches!(error, OpenError::NeedsMain), "{error:?}");
        assert_eq!((error.code(), error.way_out()), ("store.needs_main", WayOut::OpenApp));
    };
    needs_main(&at);
    assert!(!at.exists());
    fs::create_dir(&at).unwrap();
    needs_main(&at);
    drop(open_ready(&at, &vault));
    let backup = folder.path().join("backup");
    super::copy_folder(&at, &backup);
    drop(open_ready(&at, &vault));
    needs_main(&backup);
    // And it has not made it look current by trying.
    assert!(matches!(store::open(&backup, &vault, &KeyAlias::store()).unwrap(), OpenedStore::RolledBack(_)));
}

/// Neither of the two makes the other look rolled back, whichever order they come, advance and go in.
#[test]
fn generations_of_two_clients_stay_in_step() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault(&folder.path().join("vault"), "pass");
    let (at, alias) = (folder.path().join("store"), KeyAlias::store());
    let main = open_ready(&at, &vault);
    let push = open_push(&at, &vault).unwrap();
    main.advance_generation(&vault, &alias).unwrap();
    push.advance_generation(&vault, &alias).unwrap();
    main.advance_generation(&vault, &alias).unwrap();
    drop(main);
    let main = open_ready(&at, &vault);
    drop(push);
    let before = vault.generation(&alias).unwrap();
    drop(open_push(&at, &vault).unwrap());
    assert_eq!(vault.generation(&alias).unwrap(), before, "beside an app, the app does it");
    drop(main);
    drop(open_push(&at, &vault).unwrap());
    assert_eq!(vault.generation(&alias).unwrap(), before + 1, "alone, a push client does");
    drop(open_ready(&at, &vault));

    // Both at once, as fast as they can.
    let main = open_ready(&at, &vault);
    let push = open_push(&at, &vault).unwrap();
    std::thread::scope(|scope| {
        for store in [&main, &push] {
            scope.spawn(|| {
                for _ in 0..10 {
                    store.advance_generation(&vault, &alias).unwrap();
                }
            });
        }
    });
    drop((main, push));
    drop(open_ready(&at, &vault));
}

#[test]
fn who_cannot_get_a_turn_is_told_that_the_store_is_busy() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault(&folder.path().join("vault"), "pass");
    let at = folder.path().join("store");
    let store = open_ready(&at, &vault);
    // Another process that was stopped in the middle of a transaction.
    let stopped = File::options().write(true).open(at.join("store.turn")).unwrap();
    stopped.lock().unwrap();
    let error = store.run(|_| Ok::<_, StoreError>(())).unwrap_err();
    assert_eq!((error.kind, error.code()), (StoreErrorKind::Busy, "store_busy"));
    drop(stopped);
    put(&store, b"k", b"v");
}

/// Looks, at every call, whether a transaction could begin.
struct WatchingVault<'a> {
    inner: &'a dyn KeyVault,
    turn: PathBuf,
}

impl WatchingVault<'_> {
    fn look(&self) -> &dyn KeyVault {
        if let Ok(file) = File::options().write(true).open(&self.turn) {
            file.try_lock().expect("a transaction would have to wait for the vault");
        }
        self.inner
    }
}

impl KeyVault for WatchingVault<'_> {
    fn create_wrapping_key(&self, alias: &KeyAlias) -> Result<(), VaultError> {
        self.look().create_wrapping_key(alias)
    }
    fn has_wrapping_key(&self, alias: &KeyAlias) -> Result<bool, VaultError> {
        self.look().has_wrapping_key(alias)
    }
    fn wrap(&self, alias: &KeyAlias, data_key: Zeroizing<Vec<u8>>) -> Result<Vec<u8>, VaultError> {
        assert!(data_key.len() <= 64, "what platforms are told to expect");
        self.look().wrap(alias, data_key)
    }
    fn unwrap(&self, alias: &KeyAlias, wrapped: Vec<u8>) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        self.look().unwrap(alias, wrapped)
    }
    fn delete(&self, alias: &KeyAlias) -> Result<(), VaultError> {
        self.look().delete(alias)
    }
    fn level(&self) -> ProtectionLevel {
        self.inner.level()
    }
    fn generation(&self, alias: &KeyAlias) -> Result<u64, VaultError> {
        self.look().generation(alias)
    }
    fn bump_generation(&self, alias: &KeyAlias) -> Result<u64, VaultError> {
        self.look().bump_generation(alias)
    }
}

#[test]
fn no_transaction_waits_for_the_vault() {
    let folder = tempfile::tempdir().unwrap();
    let inner = vault(&folder.path().join("vault"), "pass");
    let at = folder.path().join("store");
    let watching = WatchingVault { inner: &inner, turn: at.join("store.turn") };
    let backup = folder.path().join("backup");
    let main = open_ready(&at, &watching);
    drop(open_push(&at, &watching).unwrap());
    super::copy_folder(&at, &backup);
    main.advance_generation(&watching, &KeyAlias::store()).unwrap();
    drop(main);
    drop(open_push(&at, &watching).unwrap());
    let watching = WatchingVault { inner: &inner, turn: backup.join("store.turn") };
    let OpenedStore::RolledBack(store) = store::open(&backup, &watching, &KeyAlias::store()).unwrap() else {
        panic!("the rollback was not noticed");
    };
    store.recover(&watching, &KeyAlias::store(), |_| Ok::<_, store::GenerationError>(())).unwrap();
}

/// What a vault answers at an open is what the caller gets, and the store is none the worse.
#[test]
fn a_vault_that_refuses_is_named_with_what_helps() {
    struct Refusing<'a>(&'a dyn KeyVault, fn() -> VaultError);
    impl KeyVault for Refusing<'_> {
        fn create_wrapping_key(&self, _: &KeyAlias) -> Result<(), VaultError> {
            Err(self.1())
        }
        fn has_wrapping_key(&self, alias: &KeyAlias) -> Result<bool, VaultError> {
            self.0.has_wrapping_key(alias)
        }
        fn wrap(&self, _: &KeyAlias, _: Zeroizing<Vec<u8>>) -> Result<Vec<u8>, VaultError> {
            Err(self.1())
        }
        fn unwrap(&self, _: &KeyAlias, _: Vec<u8>) -> Result<Zeroizing<Vec<u8>>, VaultError> {
            Err(self.1())
        }
        fn delete(&self, _: &KeyAlias) -> Result<(), VaultError> {
            Err(self.1())
        }
        fn level(&self) -> ProtectionLevel {
            self.0.level()
        }
        fn generation(&self, alias: &KeyAlias) -> Result<u64, VaultError> {
            self.0.generation(alias)
        }
        fn bump_generation(&self, _: &KeyAlias) -> Result<u64, VaultError> {
            Err(self.1())
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let vault = vault(&folder.path().join("vault"), "pass");
    let (at, alias) = (folder.path().join("store"), KeyAlias::store());
    let main = open_ready(&at, &vault);
    put(&main, b"k", b"v");
    type Case = (fn() -> VaultError, &'static str, WayOut);
    let cases: [Case; 5] = [
        (|| VaultError::UserNotAuthenticated, "vault.user_not_authenticated", WayOut::Unlock),
        (|| VaultError::HardwareUnavailable, "vault.hardware_unavailable", WayOut::TryAgain),
        (|| VaultError::Timeout, "vault.timeout", WayOut::TryAgain),
        (|| VaultError::KeyInvalidated, "vault.key_invalidated", WayOut::SetAside),
        (|| VaultError::Unexpected("thrown".into()), "vault.unexpected", WayOut::TryAgain),
    ];
    for (refusal, code, way_out) in cases {
        // While it runs: the store is one ahead, which the next advance or open makes good.
        assert_eq!(main.advance_generation(&Refusing(&vault, refusal), &alias).unwrap_err().code(), code);
        let error = open_push(&at, &Refusing(&vault, refusal)).unwrap_err();
        assert_eq!((error.code(), error.way_out()), (code, way_out));
    }
    drop(main);
    for (refusal, code, way_out) in cases {
        let error = store::open(&at, &Refusing(&vault, refusal), &alias).unwrap_err();
        assert_eq!((error.code(), error.way_out()), (code, way_out));
    }
    assert_eq!(get(&open_ready(&at, &vault), b"k").as_deref(), Some(&b"v"[..]));
}
