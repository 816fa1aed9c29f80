//! The store, as apps implement it.

use std::sync::Arc;

use rcseal_pairwise::{StoreFault, StoreWrite};

/// Why the app's store did nothing.
#[derive(Debug, thiserror::Error, uniffi::Error)]
pub enum CryptoStoreError {
    /// The value of `head` is not the expected one: another process has written since.
    #[error("another process has written to the store")]
    Conflict,
    /// There is no room.
    #[error("the store has no room")]
    Full,
    /// It cannot be used now, and may be later.
    #[error("the store is busy")]
    Busy,
    /// Something else.
    #[error("the store failed")]
    Unexpected {
        /// What, for developers.
        reason: String,
    },
}

impl From<uniffi::UnexpectedUniFFICallbackError> for CryptoStoreError {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Unexpected { reason: error.reason }
    }
}

impl From<CryptoStoreError> for StoreFault {
    /// What an app's exception said goes no further: it may hold anything.
    fn from(error: CryptoStoreError) -> Self {
        match error {
            CryptoStoreError::Conflict => Self::Conflict,
            CryptoStoreError::Full => Self::Full,
            CryptoStoreError::Busy => Self::Busy,
            CryptoStoreError::Unexpected { .. } => Self::Failed,
        }
    }
}

/// One change of one row.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct CryptoStoreWrite {
    /// The row's name, at most 64 bytes.
    pub key: Vec<u8>,
    /// Its new value; the row is deleted where there is none.
    pub value: Option<Vec<u8>>,
}

/// A transactional store of bytes: one table of two columns will do. Everything in it is sealed before it gets there.
#[uniffi::export(foreign)]
pub trait CryptoStore: Send + Sync {
    /// The value of a row. Where it is not known whether the row is there, an error is the answer.
    fn get(&self, key: Vec<u8>) -> Result<Option<Vec<u8>>, CryptoStoreError>;
    /// In one transaction: compares the value of the row named `head` with `expected_head`, and where they are equal does every write.
    /// Answers only when all of it would survive a power cut; answers `Conflict` and writes nothing where they are not equal.
    fn commit(&self, expected_head: Option<Vec<u8>>, writes: Vec<CryptoStoreWrite>) -> Result<(), CryptoStoreError>;
}

/// An app's store behind the trait of the engine.
pub(super) struct AppStore(pub(super) Arc<dyn CryptoStore>);

impl rcseal_pairwise::CryptoStore for AppStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFault> {
        Ok(self.0.get(key.to_vec())?)
    }

    fn commit(&self, expected_head: Option<&[u8]>, writes: &[StoreWrite]) -> Result<(), StoreFault> {
        let writes = writes
            .iter()
            .map(|write| CryptoStoreWrite { key: write.key.clone(), value: write.value.clone() })
            .collect();
        Ok(self.0.commit(expected_head.map(<[u8]>::to_vec), writes)?)
    }
}
