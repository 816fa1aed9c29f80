//! The app's key vault behind the trait of `rcseal_pairwise`. It is asked when the store is opened and closed, by the caller's own thread.

use std::sync::Arc;

use rcseal_pairwise::{DataKeyVault, VaultFault};
use zeroize::Zeroizing;

use crate::vault::{KeyVault, VaultError};

/// An app's vault.
pub(super) struct AppVault(pub(super) Arc<dyn KeyVault>);

/// What an app's exception said goes no further: it may hold anything.
fn fault(error: VaultError) -> VaultFault {
    match error {
        VaultError::UserNotAuthenticated => VaultFault::UserNotAuthenticated,
        VaultError::KeyInvalidated => VaultFault::KeyInvalidated,
        VaultError::NotFound => VaultFault::NotFound,
        VaultError::AlreadyExists => VaultFault::AlreadyExists,
        VaultError::HardwareUnavailable => VaultFault::HardwareUnavailable,
        VaultError::Unexpected { .. } => VaultFault::Failed,
    }
}

impl DataKeyVault for AppVault {
    fn create_wrapping_key(&self, alias: &str) -> Result<(), VaultFault> {
        self.0.create_wrapping_key(alias.to_owned()).map_err(fault)
    }

    fn has_wrapping_key(&self, alias: &str) -> Result<bool, VaultFault> {
        self.0.has_wrapping_key(alias.to_owned()).map_err(fault)
    }

    fn wrap(&self, alias: &str, data_key: Zeroizing<Vec<u8>>) -> Result<Vec<u8>, VaultFault> {
        self.0.wrap(alias.to_owned(), data_key.to_vec()).map_err(fault)
    }

    fn unwrap(&self, alias: &str, wrapped: Vec<u8>) -> Result<Zeroizing<Vec<u8>>, VaultFault> {
        self.0.unwrap(alias.to_owned(), wrapped).map(Zeroizing::new).map_err(fault)
    }

    fn delete(&self, alias: &str) -> Result<(), VaultFault> {
        self.0.delete(alias.to_owned()).map_err(fault)
    }

    fn generation(&self, alias: &str) -> Result<u64, VaultFault> {
        self.0.generation(alias.to_owned()).map_err(fault)
    }

    fn bump_generation(&self, alias: &str) -> Result<u64, VaultFault> {
        self.0.bump_generation(alias.to_owned()).map_err(fault)
    }
}
