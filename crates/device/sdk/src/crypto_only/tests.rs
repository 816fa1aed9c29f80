//! The border: what an app's store and vault say comes out as codes, and two clients exchange bytes.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicBool, Ordering};

use rcseal_pairwise::{CryptoStore as _, DataKeyVault as _, MemoryStore, MemoryVault, StoreWrite};

use super::*;
use crate::vault::{KeyProtection, VaultError};

#[derive(Default)]
struct Phone {
    store: MemoryStore,
    vault: MemoryVault,
    is_full: AtomicBool,
    is_locked: AtomicBool,
}

impl CryptoStore for Phone {
    fn get(&self, key: Vec<u8>) -> Result<Option<Vec<u8>>, CryptoStoreError> {
        Ok(self.store.get(&key).unwrap())
    }

    fn commit(&self, expected_head: Option<Vec<u8>>, writes: Vec<CryptoStoreWrite>) -> Result<(), CryptoStoreError> {
        if self.is_full.load(Ordering::SeqCst) {
            return Err(CryptoStoreError::Full);
        }
        let writes: Vec<_> =
            writes.into_iter().map(|CryptoStoreWrite { key, value }| StoreWrite { key, value }).collect();
        self.store.commit(expected_head.as_deref(), &writes).map_err(|_| CryptoStoreError::Conflict)
    }
}

impl KeyVault for Phone {
    fn create_wrapping_key(&self, alias: String) -> Result<(), VaultError> {
        self.vault.create_wrapping_key(&alias).map_err(|_| VaultError::AlreadyExists)
    }
    fn has_wrapping_key(&self, alias: String) -> Result<bool, VaultError> {
        Ok(self.vault.has_wrapping_key(&alias).unwrap())
    }
    fn wrap(&self, alias: String, data_key: Vec<u8>) -> Result<Vec<u8>, VaultError> {
        Ok(self.vault.wrap(&alias, data_key.into()).unwrap())
    }
    fn unwrap(&self, alias: String, wrapped: Vec<u8>) -> Result<Vec<u8>, VaultError> {
        if self.is_locked.load(Ordering::SeqCst) {
            return Err(VaultError::UserNotAuthenticated);
        }
        Ok(self.vault.unwrap(&alias, wrapped).unwrap().to_vec())
    }
    fn delete(&self, alias: String) -> Result<(), VaultError> {
        self.vault.delete(&alias).map_err(|_| VaultError::NotFound)
    }
    fn protection(&self) -> Result<KeyProtection, VaultError> {
        Ok(KeyProtection::Software)
    }
    fn generation(&self, alias: String) -> Result<u64, VaultError> {
        Ok(self.vault.generation(&alias).unwrap())
    }
    fn bump_generation(&self, alias: String) -> Result<u64, VaultError> {
        Ok(self.vault.bump_generation(&alias).unwrap())
    }
}

fn open(phone: &Arc<Phone>) -> Result<Arc<PairwiseClient>, RcsealError> {
    PairwiseClient::open(phone.clone(), phone.clone())
}

#[test]
fn two_apps_exchange_bytes_and_compare_numbers() {
    let (alice, bob) = (open(&Arc::default()).unwrap(), open(&Arc::default()).unwrap());
    let published = bob.replenish_prekeys(99).unwrap();
    assert_eq!((published.one_time.len(), bob.prekey_state().unwrap().one_time), (1, 1));
    let to_bob = alice.get_or_create_session("bob".into(), published.one_time.first().cloned()).unwrap();
    let message = to_bob.encrypt(b"hello".to_vec()).unwrap();
    assert_eq!(bob.decrypt("alice".into(), message.clone()).unwrap(), b"hello");
    let to_alice = bob.get_or_create_session("alice".into(), None).unwrap();
    assert_eq!(to_bob.decrypt(to_alice.encrypt(b"hi".to_vec()).unwrap()).unwrap(), b"hi");
    assert!(matches!(to_alice.decrypt(message), Err(RcsealError::Send { .. })));

    let (ours, theirs) = (to_bob.safety_number().unwrap(), to_alice.safety_number().unwrap());
    assert_eq!(ours.numeric().unwrap(), theirs.numeric().unwrap());
    ours.verify(theirs.qr_payload().unwrap()).unwrap();
    assert!(to_bob.is_verified().unwrap() && !to_alice.is_verified().unwrap());
    assert_eq!(theirs.verify("rcseal://verify/x".into()).unwrap_err().code(), "verify_malformed");
}

#[test]
fn failures_of_the_app_come_back_as_codes() {
    let phone = Arc::<Phone>::default();
    let client = open(&phone).unwrap();
    phone.is_full.store(true, Ordering::SeqCst);
    let full = client.replenish_prekeys(99).unwrap_err();
    assert_eq!((full.kind(), full.code(), full.retryable()), ("store", "store.full", false));
    phone.is_full.store(false, Ordering::SeqCst);
    client.shutdown().unwrap();
    assert_eq!(client.local_bundle().unwrap_err().code(), "closed");

    phone.is_locked.store(true, Ordering::SeqCst);
    let locked = open(&phone).err().unwrap();
    assert_eq!((locked.kind(), locked.code(), locked.retryable()), ("vault", "vault.user_not_authenticated", true));
    phone.is_locked.store(false, Ordering::SeqCst);
    let again = open(&phone).unwrap();
    assert!(!again.was_rolled_back().unwrap());
    let needed = again.get_or_create_session("bob".into(), None).err().unwrap();
    assert_eq!(needed.code(), "pairwise.bundle_needed");
}
