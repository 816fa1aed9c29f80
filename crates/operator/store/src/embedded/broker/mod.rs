//! The broker's schema on fjall: one keyspace, one commit thread, the same promises as the relay's.
//!
//! See `rows` for the layout. Each noun has a file; functions over [`Txn`](super::txn::Txn) run on the commit thread, one after another, so
//! that comparing and swapping needs no lock.

mod audit;
mod business;
mod claim;
mod enrolment;
mod forward;
mod number;
mod quota;
mod routing;
mod rows;

use std::path::Path;

use async_trait::async_trait;
use rcseal_crypto::secret::Secret;

use super::rows::{Schema, Space, check_key, secret_key};
use super::{FjallStore, Need};
use crate::broker::BrokerStore;
use crate::secret::{SecretName, SecretStore};
use crate::{StoreError, StoreLimits};

/// A broker's store in one folder, for one process.
#[derive(Debug, Clone)]
pub struct FjallBrokerStore(FjallStore, routing::Routing);

impl FjallBrokerStore {
    /// Opens or creates the store in a folder. Blocks while the journal is replayed. Below `free_bytes_min` of free disk space what adds
    /// rows is refused.
    ///
    /// # Errors
    /// [`StoreError::Open`], also when another process has it open; [`StoreError::Corrupt`] for a relay's folder.
    pub fn open(path: impl AsRef<Path>, free_bytes_min: u64) -> Result<Self, StoreError> {
        let limits = StoreLimits { free_bytes_min, ..StoreLimits::default() };
        FjallStore::open_as(Schema::Broker, path.as_ref(), limits).map(|store| Self(store, routing::Routing::default()))
    }

    /// Drops the database without finishing anything and opens it again, as after a crash of the process (tests).
    #[cfg(any(test, feature = "conformance"))]
    pub async fn crash_and_reopen(&self) {
        self.0.crash_and_reopen().await;
    }
}

#[async_trait]
impl SecretStore for FjallBrokerStore {
    async fn server_secret(&self, name: SecretName, candidate: Secret<32>) -> Result<Secret<32>, StoreError> {
        self.0
            .write(Need::Little, move |txn| {
                let key = secret_key(name.as_str());
                if let Some(row) = txn.get(Space::Broker, &key)? {
                    return Secret::from_slice(&row).ok_or(StoreError::Corrupt { space: "secrets" });
                }
                txn.put(Space::Broker, key, fjall::Slice::from(candidate.expose()));
                Ok(candidate)
            })
            .await
    }
}

#[async_trait]
impl BrokerStore for FjallBrokerStore {
    async fn check(&self) -> Result<(), StoreError> {
        self.0
            .write(Need::Space(0), |txn| {
                txn.put(Space::Broker, check_key(), fjall::Slice::from([1u8]));
                Ok(())
            })
            .await
    }

    async fn close(&self) {
        crate::Store::close(&self.0).await;
    }
}
