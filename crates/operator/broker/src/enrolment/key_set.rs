//! Key sets on their way in: verified, and in succession to the stored one.

use rcseal_credential::{KeySetError, UnverifiedKeySet, VerifiedKeySet};
use rcseal_store::broker::ListedDevice;
use rcseal_store::{StoreError, StoredKeySet};
use rcseal_wire::id::{AccountId, KeySetCounter};
use rcseal_wire::origin::Origin;
use rcseal_wire::token::DeliveryToken;

use super::EnrolmentError;
use crate::state::AppState;

/// Answers of a relay that are read to fill a gap: sixteen key sets each, more than any account publishes between two logins.
const CHAIN_PAGES_MAX: usize = 16;

/// Runs what takes milliseconds where it holds nobody up.
pub(crate) async fn blocking<T: Send + 'static, E: From<StoreError> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    // It ends early only when the runtime does.
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
}

/// Parses and verifies a key set that somebody sent.
pub(crate) async fn verify(bytes: Vec<u8>) -> Result<VerifiedKeySet, EnrolmentError> {
    blocking(move || {
        let parsed = UnverifiedKeySet::parse(&bytes).map_err(|_| EnrolmentError::KeySetInvalid)?;
        parsed.verify().map_err(|_| EnrolmentError::KeySetInvalid)
    })
    .await
}

/// Reads a key set that was verified before it was stored.
pub(crate) fn read_verified(bytes: &[u8]) -> Result<VerifiedKeySet, StoreError> {
    let corrupt = |_| StoreError::Corrupt { space: "broker_key_sets" };
    let parsed = UnverifiedKeySet::parse(bytes).map_err(|_| StoreError::Corrupt { space: "broker_key_sets" })?;
    parsed.verify().map_err(corrupt)
}

/// The form in which the store takes it.
pub(super) fn stored(key_set: &VerifiedKeySet) -> StoredKeySet {
    StoredKeySet { counter: key_set.counter(), hash: key_set.hash(), bytes: key_set.as_bytes().to_vec().into() }
}

/// Its devices, with the keys they log in with.
pub(super) fn listed(key_set: &VerifiedKeySet) -> Vec<ListedDevice> {
    let device = |device: &rcseal_credential::DeviceEntry| ListedDevice {
        number: device.number(),
        auth_key: *device.auth_key().as_bytes(),
    };
    key_set.devices().iter().map(device).collect()
}

/// Checks that `newest`, which the relay has confirmed, follows the stored key set. A gap over a change of account key is filled with
/// the relay's history, every link of which is checked.
pub(super) async fn check_follows(
    state: &AppState,
    relay: &Origin,
    token: &DeliveryToken,
    known: &StoredKeySet,
    newest: VerifiedKeySet,
) -> Result<VerifiedKeySet, EnrolmentError> {
    if known.hash == newest.hash() {
        return Ok(newest);
    }
    if newest.counter() <= known.counter {
        return Err(EnrolmentError::Stale);
    }
    let known_bytes = known.bytes.clone();
    let known = blocking(move || read_verified(&known_bytes).map_err(EnrolmentError::from)).await?;
    match known.check_newer(&newest) {
        Ok(_) => Ok(newest),
        Err(KeySetError::KeyChangeAcrossGap) => fill_gap(state, relay, token, known, newest).await,
        Err(_) => Err(EnrolmentError::KeySetInvalid),
    }
}

async fn fill_gap(
    state: &AppState,
    relay: &Origin,
    token: &DeliveryToken,
    mut known: VerifiedKeySet,
    newest: VerifiedKeySet,
) -> Result<VerifiedKeySet, EnrolmentError> {
    let account: AccountId = newest.account();
    for _ in 0..CHAIN_PAGES_MAX {
        let from: KeySetCounter = known.counter().next().ok_or(EnrolmentError::KeySetInvalid)?;
        let page = state.relays.key_sets_from(relay, account, token, from).await?;
        if page.is_empty() {
            break;
        }
        for bytes in page {
            let next = verify(bytes).await?;
            known.check_successor(&next).map_err(|_| EnrolmentError::KeySetInvalid)?;
            if next.hash() == newest.hash() {
                return Ok(newest);
            }
            known = next;
        }
    }
    Err(EnrolmentError::RelayDisagrees)
}
