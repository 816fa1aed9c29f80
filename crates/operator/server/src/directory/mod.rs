//! The directory: which keys and devices an account has, and what starts a session with them.
//!
//! Key sets come in signed and are verified here before they are stored, as the successor of the stored one; clients verify them
//! again, since a server is trusted with nothing but availability. Prekeys are checked for form only: their signatures are made by
//! identity keys under labels of the ratchet, which operators do not link. Reading needs a delivery token of the account, or a
//! login as the account, and a one-time prekey is handed out at most once. Beyond the rate limit of a target only its last-resort
//! prekey is handed out, so that nobody can drain it.
//!
//! Specs: `docs/protocol/key-set.md`, `docs/protocol/relay-api.md`, section Directory.

mod error;
mod http;
mod key_set;
mod prekey;

use rcseal_crypto::ed25519::VerifyingKey;
use rcseal_store::StoreError;
use rcseal_wire::id::{DeviceAddress, KeySetCounter};

pub(crate) use error::DirectoryError;
pub(crate) use http::{put_device, routes};
pub(crate) use key_set::{TakeoverSet, VerifiedKeySet, commits_to, is_signed_by_account};
pub(crate) use prekey::parse_upload;

use crate::state::AppState;

/// The key that `device` logs in with, according to its account's current key set, and that set's counter.
pub(crate) async fn device_auth_key(
    state: &AppState,
    device: DeviceAddress,
) -> Result<Option<(VerifyingKey, KeySetCounter)>, StoreError> {
    let Some(stored) = state.store.key_set(device.account).await? else {
        return Ok(None);
    };
    let counter = stored.counter;
    Ok(key_set::auth_key(stored, device.device).await?.map(|key| (key, counter)))
}
