//! [`SecretStore`] on fjall.

use async_trait::async_trait;
use rcseal_crypto::secret::Secret;

use super::rows::{self, Space};
use super::{FjallStore, Need};
use crate::StoreError;
use crate::secret::{SecretName, SecretStore};

#[async_trait]
impl SecretStore for FjallStore {
    async fn server_secret(&self, name: SecretName, candidate: Secret<32>) -> Result<Secret<32>, StoreError> {
        self.write(Need::Little, move |txn| {
            let key = rows::secret_key(name.as_str());
            if let Some(row) = txn.get(Space::Records, &key)? {
                return Secret::from_slice(&row).ok_or(StoreError::Corrupt { space: "secrets" });
            }
            txn.put(Space::Records, key, fjall::Slice::from(candidate.expose()));
            Ok(candidate)
        })
        .await
    }
}
