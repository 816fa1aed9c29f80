//! Which key messages are sealed to now, and which they were sealed to before.
//!
//! The store remembers which key had which label. So a label whose key is gone, or whose key has become another one, is told from a label that
//! is new: only for a new one a key is made. What the module said is believed for a while; destroying a key shows after that at the latest,
//! and at once to whoever wants something opened.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use rcseal_crypto::hpke_p256::PublicKey;
use rcseal_store::UnixMillis;
use rcseal_store::retained::ServerKeyRecord;
use rcseal_wire::api::retained::server_key_id;
use rcseal_wire::id::ServerKeyId;

use super::RetainedError;
use crate::config::ServerEncryptionConfig;
use crate::kms::{Kms, KmsSettings};
use crate::state::AppState;

/// How long it is believed that the key is still there.
const CHECKED_SECONDS: u64 = 60;

/// The operator's key and the rules about it; there is one where the configuration has `[server_encryption]`.
pub(crate) struct ServerEncryption {
    pub(crate) config: ServerEncryptionConfig,
    pub(super) kms: Kms,
    checked: Mutex<Option<Checked>>,
}

#[derive(Clone)]
struct Checked {
    key: ServerKeyRecord,
    until: UnixMillis,
}

impl ServerEncryption {
    /// Nothing is opened yet.
    pub(crate) fn start(config: ServerEncryptionConfig) -> std::io::Result<Self> {
        let kms = Kms::start(KmsSettings {
            module: config.module.clone(),
            token: config.token.clone(),
            pin_file: config.pin_file.clone(),
            region: config.region.clone(),
        })?;
        Ok(Self { config, kms, checked: Mutex::new(None) })
    }

    fn recently(&self, now: UnixMillis) -> Option<ServerKeyRecord> {
        let checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        checked.as_ref().filter(|checked| now < checked.until).map(|checked| checked.key.clone())
    }

    fn remember(&self, found: Option<Checked>) {
        *self.checked.lock().unwrap_or_else(PoisonError::into_inner) = found;
    }

    /// A key that was adopted has turned out to be gone.
    pub(super) fn forget(&self) {
        self.remember(None);
    }
}

/// The server's encryption, where it is on.
pub(crate) fn of(state: &AppState) -> Result<&ServerEncryption, RetainedError> {
    state.server_encryption.as_ref().ok_or(RetainedError::Off)
}

/// The key to seal to now.
pub(crate) async fn current(state: &AppState) -> Result<ServerKeyRecord, RetainedError> {
    let encryption = of(state)?;
    let now = state.clock.now();
    if let Some(key) = encryption.recently(now) {
        return Ok(key);
    }
    let looked = look(state, encryption, now).await;
    let found = looked.as_ref().ok().map(|key| Checked { key: key.clone(), until: now.plus_seconds(CHECKED_SECONDS) });
    encryption.remember(found);
    state.metrics.server_key_ready.set(i64::from(looked.is_ok()));
    looked
}

async fn look(
    state: &AppState,
    encryption: &ServerEncryption,
    now: UnixMillis,
) -> Result<ServerKeyRecord, RetainedError> {
    let ServerEncryptionConfig { key_label: label, region, .. } = &encryption.config;
    let Some(known) = state.store.server_key_of(label.clone()).await? else {
        let public = encryption.kms.find_or_make(label.clone()).await?;
        let adopted = state
            .store
            .adopt_server_key(ServerKeyRecord {
                label: label.clone(),
                id: server_key_id(public.as_bytes()),
                public_key: Bytes::copy_from_slice(public.as_bytes()),
                region: region.clone(),
                adopted_at: now,
            })
            .await?;
        tracing::info!(event = "server_key_adopted", label, region);
        return Ok(adopted);
    };
    if known.region != *region {
        return Err(RetainedError::RegionMismatch);
    }
    match encryption.kms.find(label.clone()).await? {
        Some(public) if public.as_bytes()[..] == known.public_key[..] => Ok(known),
        Some(_) | None => Err(RetainedError::KeyDestroyed),
    }
}

/// A key that a submission names: the current one, or an earlier one that is still there, since a sender may have asked yesterday.
pub(super) async fn accepted(state: &AppState, id: ServerKeyId) -> Result<ServerKeyRecord, RetainedError> {
    let encryption = of(state)?;
    match current(state).await {
        Ok(key) if key.id == id => return Ok(key),
        // Sealing needs no module, so its absence is no reason to turn a message away that it will open later.
        Ok(_) | Err(RetainedError::KmsUnavailable(_)) => {}
        Err(error) => return Err(error),
    }
    let key = state.store.server_key(id).await?.ok_or(RetainedError::KeyDestroyed)?;
    if key.region != encryption.config.region {
        return Err(RetainedError::RegionMismatch);
    }
    match encryption.kms.find(key.label.clone()).await {
        Ok(Some(public)) if public.as_bytes()[..] == key.public_key[..] => Ok(key),
        Ok(_) => Err(RetainedError::KeyDestroyed),
        Err(error) if error.is_unavailable() => Ok(key),
        Err(error) => Err(error.into()),
    }
}

/// The public half of a key as it was adopted.
pub(super) fn public_half(key: &ServerKeyRecord) -> Result<PublicKey, RetainedError> {
    let corrupt = rcseal_store::StoreError::Corrupt { space: "server keys" };
    PublicKey::from_bytes(&key.public_key).map_err(|_| corrupt.into())
}
