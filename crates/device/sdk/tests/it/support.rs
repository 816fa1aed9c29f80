//! A vault in memory that fails as it is told, and a client over it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use rcseal_sdk::vault::{KeyProtection, KeyVault, VaultError};
use rcseal_sdk::{ClientConfig, RcsealClient, RcsealError};

/// What the vault does instead of answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    Locked,
    Invalidated,
    Throwing,
    /// Answers after this time.
    Slow(Duration),
    /// Does not answer until it is let go.
    Hanging,
}

pub(crate) struct TestVault {
    fault: Mutex<Fault>,
    changed: Condvar,
    generations: Mutex<HashMap<String, u64>>,
}

impl TestVault {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { fault: Mutex::new(Fault::None), changed: Condvar::new(), generations: Mutex::default() })
    }

    pub(crate) fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
        self.changed.notify_all();
    }

    fn pass(&self) -> Result<(), VaultError> {
        let fault = self.fault.lock().unwrap();
        match *fault {
            Fault::None => Ok(()),
            Fault::Locked => Err(VaultError::UserNotAuthenticated),
            Fault::Invalidated => Err(VaultError::KeyInvalidated),
            Fault::Throwing => Err(VaultError::Unexpected { reason: "the secret of the app".to_owned() }),
            Fault::Slow(time) => {
                drop(fault);
                std::thread::sleep(time);
                Ok(())
            }
            Fault::Hanging => {
                drop(self.changed.wait_while(fault, |fault| *fault == Fault::Hanging).unwrap());
                Ok(())
            }
        }
    }
}

impl KeyVault for TestVault {
    fn create_wrapping_key(&self, alias: String) -> Result<(), VaultError> {
        self.pass()?;
        self.generations.lock().unwrap().insert(alias, 0);
        Ok(())
    }

    fn has_wrapping_key(&self, alias: String) -> Result<bool, VaultError> {
        self.pass()?;
        Ok(self.generations.lock().unwrap().contains_key(&alias))
    }

    fn wrap(&self, _alias: String, data_key: Vec<u8>) -> Result<Vec<u8>, VaultError> {
        self.pass()?;
        Ok(data_key.iter().map(|byte| byte ^ 0x5a).collect())
    }

    fn unwrap(&self, _alias: String, wrapped: Vec<u8>) -> Result<Vec<u8>, VaultError> {
        self.pass()?;
        Ok(wrapped.iter().map(|byte| byte ^ 0x5a).collect())
    }

    fn delete(&self, alias: String) -> Result<(), VaultError> {
        self.pass()?;
        self.generations.lock().unwrap().remove(&alias);
        Ok(())
    }

    fn protection(&self) -> Result<KeyProtection, VaultError> {
        self.pass()?;
        Ok(KeyProtection::Tee)
    }

    fn generation(&self, alias: String) -> Result<u64, VaultError> {
        self.pass()?;
        self.generations.lock().unwrap().get(&alias).copied().ok_or(VaultError::NotFound)
    }

    fn bump_generation(&self, alias: String) -> Result<u64, VaultError> {
        self.pass()?;
        let mut generations = self.generations.lock().unwrap();
        let generation = generations.get_mut(&alias).ok_or(VaultError::NotFound)?;
        *generation += 1;
        Ok(*generation)
    }
}

/// An authority that vouches for nobody these tests talk to.
pub(crate) fn config(folder: &Path) -> ClientConfig {
    ClientConfig {
        folder: folder.join("client").to_str().unwrap().to_owned(),
        authorities_pem: rcgen::generate_simple_self_signed(vec!["nobody.invalid".to_owned()]).unwrap().cert.pem(),
        vault_timeout_ms: Some(2_000),
        network_timeout_ms: Some(500),
        pins: Vec::new(),
        proxy: None,
        telemetry: false,
        remote_config_key: None,
    }
}

pub(crate) async fn open(folder: &Path, vault: &Arc<TestVault>) -> Result<Arc<RcsealClient>, RcsealError> {
    RcsealClient::open(config(folder), Arc::clone(vault) as Arc<dyn KeyVault>).await
}

/// An account that its server, which is nowhere, does not know.
pub(crate) fn nowhere() -> rcseal_sdk::client::NewAccount {
    rcseal_sdk::client::NewAccount {
        origin: "https://127.0.0.1:1".to_owned(),
        platform: rcseal_sdk::Platform::Android,
        display_name: "Anna".to_owned(),
        invite: None,
    }
}
