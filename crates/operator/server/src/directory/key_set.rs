//! Key sets on their way in: parsed, verified, and placed in the succession of the stored one.

use bytes::Bytes;
use rcseal_credential::{KeySetError, Succession, UnverifiedKeySet, VerifiedKeySet as Credential};
use rcseal_crypto::ed25519::VerifyingKey;
use rcseal_store::{StoreError, StoredKeySet};
use rcseal_wire::id::{AccountId, DeviceNumber};

use super::DirectoryError;

/// A key set that verified as a first one or as the successor of the stored one. Only this can be stored.
#[derive(Debug)]
pub(crate) struct VerifiedKeySet {
    account: AccountId,
    stored: StoredKeySet,
    devices: Vec<DeviceNumber>,
}

impl VerifiedKeySet {
    /// An account's first key set: counter 1, no predecessor, the primary device alone.
    pub(crate) async fn first(bytes: Vec<u8>) -> Result<Self, DirectoryError> {
        blocking(move || Self::verify_first(&bytes)).await
    }

    fn verify_first(bytes: &[u8]) -> Result<Self, DirectoryError> {
        let verified = parse(bytes)?.verify_first().map_err(|_| DirectoryError::KeySetInvalid)?;
        let primary_alone = matches!(verified.devices(), [device] if device.number() == DeviceNumber::PRIMARY);
        if primary_alone { Ok(Self::new(&verified)) } else { Err(DirectoryError::NotFirst) }
    }

    /// The key set after `current`, of the account that is logged in.
    pub(crate) async fn successor(
        bytes: Vec<u8>,
        account: AccountId,
        current: StoredKeySet,
    ) -> Result<Self, DirectoryError> {
        blocking(move || Self::verify_successor(&bytes, account, &current)).await
    }

    fn verify_successor(bytes: &[u8], account: AccountId, current: &StoredKeySet) -> Result<Self, DirectoryError> {
        let next = parse(bytes)?;
        if next.account() != account {
            return Err(DirectoryError::OtherAccount);
        }
        let next = next.verify().map_err(|_| DirectoryError::KeySetInvalid)?;
        let current = trusted(current)?;
        match current.check_successor(&next) {
            Ok(Succession::Unchanged | Succession::SameAccountKey | Succession::Migrated) => Ok(Self::new(&next)),
            // Any device of the account may upload here; these two take the account from its devices, and have doors of their own.
            Ok(Succession::Recovered | Succession::Reset) => Err(DirectoryError::KeySetInvalid),
            Err(KeySetError::Rollback { .. }) => Err(DirectoryError::Rollback),
            Err(KeySetError::Gap { .. }) => Err(DirectoryError::Conflict),
            // Two sets with one counter and one predecessor: somebody lost a race, and signs again on top of the winner's.
            Err(KeySetError::Fork { .. })
                if next.counter() == current.counter() && next.previous() == current.previous() =>
            {
                Err(DirectoryError::Conflict)
            }
            Err(KeySetError::Fork { .. }) => Err(DirectoryError::Fork),
            Err(_) => Err(DirectoryError::KeySetInvalid),
        }
    }

    fn new(verified: &Credential) -> Self {
        Self {
            account: verified.account(),
            stored: StoredKeySet {
                counter: verified.counter(),
                hash: verified.hash(),
                bytes: Bytes::copy_from_slice(verified.as_bytes()),
            },
            devices: verified.devices().iter().map(|device| device.number()).collect(),
        }
    }

    pub(crate) fn account(&self) -> AccountId {
        self.account
    }

    pub(crate) fn devices(&self) -> &[DeviceNumber] {
        &self.devices
    }

    pub(crate) fn stored(&self) -> &StoredKeySet {
        &self.stored
    }

    pub(crate) fn into_stored(self) -> StoredKeySet {
        self.stored
    }
}

fn parse(bytes: &[u8]) -> Result<UnverifiedKeySet, DirectoryError> {
    UnverifiedKeySet::parse(bytes).map_err(|_| DirectoryError::KeySetInvalid)
}

/// Reads back what was verified before it was stored; the hash beside it says that it is still the same. Verifying it again would cost
/// thirty milliseconds for an account with 127 devices, which anybody could ask for by trying to log in.
fn trusted(stored: &StoredKeySet) -> Result<Credential, StoreError> {
    UnverifiedKeySet::parse(&stored.bytes)
        .ok()
        .map(UnverifiedKeySet::assume_verified)
        .filter(|key_set| key_set.hash() == stored.hash)
        .ok_or(StoreError::Corrupt { space: "key set" })
}

/// The device-auth key of `device` in a stored key set.
pub(super) async fn auth_key(stored: StoredKeySet, device: DeviceNumber) -> Result<Option<VerifyingKey>, StoreError> {
    blocking(move || Ok(trusted(&stored)?.device(device).map(|entry| *entry.auth_key()))).await
}

/// Verifying dozens of signatures takes milliseconds, which the threads that serve sockets do not have.
async fn blocking<T: Send + 'static, E: From<StoreError> + Send + 'static>(
    verify: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    match tokio::task::spawn_blocking(verify).await {
        Ok(result) => result,
        // The task panicked, which is a bug of ours, or the runtime ends; nothing was decided.
        Err(_) => Err(StoreError::Unavailable.into()),
    }
}
