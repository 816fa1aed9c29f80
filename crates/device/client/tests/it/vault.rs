//! The software vault: what opens it, what it keeps, and what its files look like.

use std::fs;

use rcseal_client::vault::{FileError, KeyAlias, KeyVault, ProtectionLevel, SoftwareKeyVault, Unlock, VaultError};
use zeroize::Zeroizing;

use crate::support::vault;

fn data_key() -> Zeroizing<Vec<u8>> {
    Zeroizing::new(vec![9; 32])
}

#[test]
fn a_wrapped_key_comes_back_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let alias = KeyAlias::store();
    let first = vault(folder.path(), "pass");
    first.create_wrapping_key(&alias).unwrap();
    let wrapped = first.wrap(&alias, data_key()).unwrap();
    assert!(!wrapped.windows(32).any(|window| window == [9; 32]));
    assert_eq!(*vault(folder.path(), "pass").unwrap(&alias, wrapped).unwrap(), [9; 32]);
    assert_eq!(first.level(), ProtectionLevel::Software);
    assert_eq!(first.level().as_str(), "software");
}

#[test]
fn a_wrong_passphrase_opens_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let alias = KeyAlias::store();
    vault(folder.path(), "right").create_wrapping_key(&alias).unwrap();
    let wrapped = vault(folder.path(), "right").wrap(&alias, data_key()).unwrap();
    let wrong = vault(folder.path(), "wrong");
    assert!(matches!(wrong.unwrap(&alias, wrapped), Err(VaultError::WrongPassphrase)));
    assert!(matches!(wrong.wrap(&alias, data_key()), Err(VaultError::WrongPassphrase)));
}

#[test]
fn a_key_file_opens_a_vault_without_a_person_and_only_that_vault() {
    let folder = tempfile::tempdir().unwrap();
    let alias = KeyAlias::store();
    let open = || SoftwareKeyVault::new(folder.path(), Unlock::KeyFile).unwrap();
    open().create_wrapping_key(&alias).unwrap();
    let wrapped = open().wrap(&alias, data_key()).unwrap();
    assert_eq!(*open().unwrap(&alias, wrapped.clone()).unwrap(), [9; 32]);
    let with_passphrase = vault(folder.path(), "pass");
    assert!(matches!(with_passphrase.unwrap(&alias, wrapped.clone()), Err(VaultError::File(FileError::OtherKind))));
    fs::write(folder.path().join("vault.key"), [1; 32]).unwrap();
    assert!(matches!(open().unwrap(&alias, wrapped.clone()), Err(VaultError::KeyInvalidated)));
    fs::write(folder.path().join("vault.key"), [1; 31]).unwrap();
    assert!(matches!(open().unwrap(&alias, wrapped), Err(VaultError::File(FileError::Malformed))));
}

#[test]
fn aliases_do_not_open_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault(folder.path(), "pass");
    let (one, two) = (KeyAlias::parse("one").unwrap(), KeyAlias::parse("two").unwrap());
    vault.create_wrapping_key(&one).unwrap();
    vault.create_wrapping_key(&two).unwrap();
    let wrapped = vault.wrap(&one, data_key()).unwrap();
    assert!(matches!(vault.unwrap(&two, wrapped), Err(VaultError::KeyInvalidated)));
}

#[test]
fn a_key_is_created_once_and_gone_when_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault(folder.path(), "pass");
    let alias = KeyAlias::store();
    assert!(matches!(vault.wrap(&alias, data_key()), Err(VaultError::NotFound)));
    assert!(!vault.has_wrapping_key(&alias).unwrap());
    vault.create_wrapping_key(&alias).unwrap();
    assert!(vault.has_wrapping_key(&alias).unwrap());
    assert!(matches!(vault.create_wrapping_key(&alias), Err(VaultError::AlreadyExists)));
    vault.delete(&alias).unwrap();
    assert!(matches!(vault.delete(&alias), Err(VaultError::NotFound)));
    assert!(matches!(vault.generation(&alias), Err(VaultError::NotFound)));
}

#[test]
fn generations_count_up_and_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let alias = KeyAlias::store();
    let first = vault(folder.path(), "pass");
    first.create_wrapping_key(&alias).unwrap();
    assert_eq!(first.generation(&alias).unwrap(), 0);
    assert_eq!(first.bump_generation(&alias).unwrap(), 1);
    assert_eq!(first.bump_generation(&alias).unwrap(), 2);
    assert_eq!(vault(folder.path(), "pass").generation(&alias).unwrap(), 2);
    fs::write(folder.path().join("store.generation"), "two\n").unwrap();
    assert!(matches!(first.generation(&alias), Err(VaultError::File(FileError::Malformed))));
}

#[test]
fn wrapped_bytes_of_any_kind_are_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault(folder.path(), "pass");
    let alias = KeyAlias::store();
    vault.create_wrapping_key(&alias).unwrap();
    assert!(matches!(vault.unwrap(&alias, Vec::new()), Err(VaultError::File(FileError::Malformed))));
    assert!(matches!(vault.unwrap(&alias, vec![1; 5]), Err(VaultError::File(FileError::Malformed))));
    assert!(matches!(
        vault.unwrap(&alias, vec![2; 80]),
        Err(VaultError::File(FileError::UnknownVersion { version: 2 }))
    ));
    assert!(matches!(vault.unwrap(&alias, vec![1; 80]), Err(VaultError::KeyInvalidated)));
}

#[test]
fn an_alias_is_a_safe_file_name() {
    for good in ["a", "store", "mls-2", &"x".repeat(64)] {
        assert_eq!(KeyAlias::parse(good).unwrap().as_str(), good);
    }
    for bad in ["", "../up", "A", "a b", "a/b", "ä", &"x".repeat(65)] {
        assert!(KeyAlias::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn nothing_of_a_passphrase_prints() {
    let folder = tempfile::tempdir().unwrap();
    assert!(!format!("{:?}", vault(folder.path(), "hunter2")).contains("hunter2"));
}
