//! What an app keeps beside the messages: a few named values, in the encrypted store and nowhere else.
//!
//! Passwords of carriers belong here. The engine knows nothing of them but that they are deleted with the account.

use rcseal_engine::store::Table;
use zeroize::Zeroizing;

use super::core::blocking;
use super::{Client, ClientError};

impl Client {
    /// A value of the app's, by its name.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn setting(&self, name: &'static str) -> Result<Option<Zeroizing<Vec<u8>>>, ClientError> {
        let store = std::sync::Arc::clone(&self.core.store);
        let read = blocking(move || store.run(|tx| tx.get(Table::Shell, name.as_bytes()).map_err(ClientError::from)));
        Ok(read.await??.map(Zeroizing::new))
    }

    /// Keeps a value under a name, or with `None` deletes it.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn set_setting(&self, name: &'static str, value: Option<Zeroizing<Vec<u8>>>) -> Result<(), ClientError> {
        let store = std::sync::Arc::clone(&self.core.store);
        let written = blocking(move || {
            store.run(|tx| match &value {
                Some(value) => tx.put(Table::Shell, name.as_bytes(), value).map_err(ClientError::from),
                None => tx.delete(Table::Shell, name.as_bytes()).map_err(ClientError::from),
            })
        });
        written.await?
    }
}
