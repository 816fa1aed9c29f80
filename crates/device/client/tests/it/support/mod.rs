//! What several tests need.

use std::path::Path;

use rcseal_client::store::{self, OpenedStore, Store};
use rcseal_client::vault::{Argon2Params, KeyAlias, KeyVault, SoftwareKeyVault, Unlock};
use zeroize::Zeroizing;

pub(crate) mod acquainted;
pub(crate) mod device;
pub(crate) mod faulty;
pub(crate) mod relay;
pub(crate) mod server;

/// A vault with the cheapest passphrase there is.
pub(crate) fn vault(folder: &Path, passphrase: &str) -> SoftwareKeyVault {
    let params = Argon2Params::new(8, 1, 1).unwrap();
    SoftwareKeyVault::new(folder, Unlock::Passphrase(Zeroizing::new(passphrase.to_owned()), params)).unwrap()
}

/// Opens a store that must be as it was left.
pub(crate) fn open_ready(folder: &Path, vault: &dyn KeyVault) -> Store {
    match store::open(folder, vault, &KeyAlias::store()).unwrap() {
        OpenedStore::Ready(store) => store,
        OpenedStore::RolledBack(_) => panic!("the store counts as rolled back"),
    }
}
