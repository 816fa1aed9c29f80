//! The client, as apps hold it.

use std::sync::Arc;

use crate::config::ClientConfig;
use crate::error::RcsealError;
use crate::runtime::detached;
use crate::vault::KeyVault;

/// A client over a folder and a key vault.
#[derive(uniffi::Object)]
pub struct RcsealClient {}

#[uniffi::export]
impl RcsealClient {
    /// Opens the client in a folder, or makes a new one there.
    ///
    /// # Errors
    /// [`RcsealError`].
    #[uniffi::constructor]
    pub async fn open(config: ClientConfig, key_vault: Arc<dyn KeyVault>) -> Result<Arc<Self>, RcsealError> {
        let _ = (config, key_vault);
        detached(async { Ok(Arc::new(Self {})) }).await
    }
}
