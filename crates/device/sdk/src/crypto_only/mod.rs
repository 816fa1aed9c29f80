//! The crypto-only level: for apps that have a transport and a directory of their own. Bytes in, bytes out.
//!
//! Over `rcseal_pairwise`, which decides everything; here are the clock, the system's randomness, and the border. The calls are
//! synchronous and touch the disk through the app's store: make them off the main thread. `docs/manual/crypto-only.md` is the example.

mod error;
mod store;
mod vault;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rcseal_pairwise::{Bundle, Moment, Pairwise, PairwiseError};

use self::store::AppStore;
pub use self::store::{CryptoStore, CryptoStoreError, CryptoStoreWrite};
use self::vault::AppVault;
use crate::error::RcsealError;
use crate::vault::KeyVault;

/// What to publish in the app's directory.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct PairwiseBundles {
    /// Bundles that serve one session each: the directory gives each out once and deletes it.
    pub one_time: Vec<Vec<u8>>,
    /// A bundle that is given out where no other is left. It takes the place of the one before.
    pub last_resort: Vec<u8>,
}

/// How many prekeys there are.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct PairwisePrekeyState {
    /// One-time prekeys that were given out in bundles and not used yet, as far as is known here.
    pub one_time: u32,
    /// The age of the signed prekey.
    pub signed_age_ms: u64,
    /// Call `replenish_prekeys`, whatever the directory says.
    pub is_rotation_due: bool,
}

/// One identity with its sessions, over an app's store and key vault.
#[derive(uniffi::Object)]
pub struct PairwiseClient {
    pairwise: Pairwise,
}

impl PairwiseClient {
    fn call<T>(
        &self,
        call: impl FnOnce(&Pairwise, &mut Moment<'_>) -> Result<T, PairwiseError>,
    ) -> Result<T, RcsealError> {
        with_moment(|at| call(&self.pairwise, at))
    }
}

fn with_moment<T>(call: impl FnOnce(&mut Moment<'_>) -> Result<T, PairwiseError>) -> Result<T, RcsealError> {
    // A clock before 1970 counts as 1970: sessions are young then, which is the harmless side.
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    call(&mut Moment { now_s, rng: &mut rand::rng() }).map_err(RcsealError::from)
}

#[uniffi::export]
impl PairwiseClient {
    /// Opens what is in the store, or makes a new identity in an empty one.
    ///
    /// # Errors
    /// [`RcsealError`].
    #[uniffi::constructor]
    pub fn open(store: Arc<dyn CryptoStore>, key_vault: Arc<dyn KeyVault>) -> Result<Arc<Self>, RcsealError> {
        let (store, vault) = (Arc::new(AppStore(store)), Arc::new(AppVault(key_vault)));
        let pairwise = with_moment(|at| Pairwise::open(store, vault, at))?;
        Ok(Arc::new(Self { pairwise }))
    }

    /// Whether the store was older than the vault remembered. The sessions are gone then, and published bundles are worth nothing:
    /// publish new ones.
    ///
    /// # Errors
    /// None so far.
    pub fn was_rolled_back(&self) -> Result<bool, RcsealError> {
        Ok(self.pairwise.was_rolled_back())
    }

    /// Our identity: 32 bytes, public.
    ///
    /// # Errors
    /// None so far.
    pub fn identity(&self) -> Result<Vec<u8>, RcsealError> {
        Ok(self.pairwise.identity().to_vec())
    }

    /// A bundle that any number of peers may be given, for a first test or for a directory of one entry.
    ///
    /// # Errors
    /// [`RcsealError`].
    pub fn local_bundle(&self) -> Result<Vec<u8>, RcsealError> {
        self.call(|pairwise, at| Ok(pairwise.last_resort_bundle(at)?.to_bytes()))
    }

    /// What to publish next, where the directory has `left` of our one-time bundles.
    ///
    /// # Errors
    /// [`RcsealError`].
    pub fn replenish_prekeys(&self, left: u32) -> Result<PairwiseBundles, RcsealError> {
        let mut bundles = self.call(|pairwise, at| pairwise.replenish(left, at))?;
        let last_resort = bundles.pop().map(|bundle| bundle.to_bytes()).unwrap_or_default();
        Ok(PairwiseBundles { one_time: bundles.iter().map(Bundle::to_bytes).collect(), last_resort })
    }

    /// How many prekeys there are.
    ///
    /// # Errors
    /// [`RcsealError`].
    pub fn prekey_state(&self) -> Result<PairwisePrekeyState, RcsealError> {
        let state = self.call(Pairwise::prekey_state)?;
        Ok(PairwisePrekeyState {
            one_time: state.one_time,
            signed_age_ms: state.signed_age_s.saturating_mul(1_000),
            is_rotation_due: state.is_rotation_due,
        })
    }

    /// The session with a peer, or a new one from a bundle of the app's directory.
    ///
    /// # Errors
    /// `pairwise.bundle_needed` where there is no session yet and no bundle, `pairwise.identity_changed` where the bundle is of another
    /// identity than the known one.
    pub fn get_or_create_session(
        self: Arc<Self>,
        peer_id: String,
        bundle: Option<Vec<u8>>,
    ) -> Result<Arc<PairwiseSession>, RcsealError> {
        self.call(|pairwise, at| pairwise.get_or_create_session(&peer_id, bundle.as_deref(), at))?;
        Ok(Arc::new(PairwiseSession { client: self, peer_id }))
    }

    /// Decrypts what a peer sent, known or not: the first message of an unknown peer fixes its identity and opens the session.
    ///
    /// # Errors
    /// [`RcsealError`]; nothing has changed after one.
    pub fn decrypt(&self, peer_id: String, message: Vec<u8>) -> Result<Vec<u8>, RcsealError> {
        self.call(|pairwise, at| pairwise.decrypt(&peer_id, &message, at))
    }

    /// Forgets a peer's identity and its sessions, after the user said that the new one is right.
    ///
    /// # Errors
    /// [`RcsealError`].
    pub fn forget_peer(&self, peer_id: String) -> Result<(), RcsealError> {
        self.call(|pairwise, at| pairwise.forget_peer(&peer_id, at))
    }

    /// Closes it. Every later call answers `closed`.
    ///
    /// # Errors
    /// [`RcsealError`]; it is closed all the same.
    pub fn shutdown(&self) -> Result<(), RcsealError> {
        self.call(Pairwise::close)
    }
}

/// The session with one peer.
#[derive(uniffi::Object)]
pub struct PairwiseSession {
    client: Arc<PairwiseClient>,
    peer_id: String,
}

#[uniffi::export]
impl PairwiseSession {
    /// Encrypts. The bytes may leave the device: what they were made from is stored.
    ///
    /// # Errors
    /// `pairwise.bundle_needed` where nobody has answered for 30 days.
    pub fn encrypt(&self, plaintext: Vec<u8>) -> Result<Vec<u8>, RcsealError> {
        self.client.call(|pairwise, at| pairwise.encrypt(&self.peer_id, &plaintext, at))
    }

    /// Decrypts. A message is decrypted once: a second time is an error.
    ///
    /// # Errors
    /// [`RcsealError`]; nothing has changed after one.
    pub fn decrypt(&self, message: Vec<u8>) -> Result<Vec<u8>, RcsealError> {
        self.client.call(|pairwise, at| pairwise.decrypt(&self.peer_id, &message, at))
    }

    /// The safety number with the peer.
    ///
    /// # Errors
    /// [`RcsealError`].
    pub fn safety_number(&self) -> Result<Arc<PairwiseSafetyNumber>, RcsealError> {
        let number = self.client.call(|pairwise, at| pairwise.safety_number(&self.peer_id, at))?;
        let (client, peer_id) = (Arc::clone(&self.client), self.peer_id.clone());
        Ok(Arc::new(PairwiseSafetyNumber {
            client,
            peer_id,
            numeric: number.numeric(),
            qr_payload: number.qr_payload(),
        }))
    }

    /// Whether the peer's safety number was compared.
    ///
    /// # Errors
    /// [`RcsealError`].
    pub fn is_verified(&self) -> Result<bool, RcsealError> {
        self.client.call(|pairwise, at| pairwise.is_verified(&self.peer_id, at))
    }
}

/// What two people compare.
#[derive(uniffi::Object)]
pub struct PairwiseSafetyNumber {
    client: Arc<PairwiseClient>,
    peer_id: String,
    numeric: String,
    qr_payload: String,
}

#[uniffi::export]
impl PairwiseSafetyNumber {
    /// Sixty digits in groups of five, the same on both sides.
    ///
    /// # Errors
    /// None so far.
    pub fn numeric(&self) -> Result<String, RcsealError> {
        Ok(self.numeric.clone())
    }

    /// What the QR code on this side holds, for the other side to scan.
    ///
    /// # Errors
    /// None so far.
    pub fn qr_payload(&self) -> Result<String, RcsealError> {
        Ok(self.qr_payload.clone())
    }

    /// Compares what was scanned, or digits that were typed. The peer is verified when this succeeds.
    ///
    /// # Errors
    /// `verify_mismatch` where they are others.
    pub fn verify(&self, scan: String) -> Result<(), RcsealError> {
        self.client.call(|pairwise, at| pairwise.verify(&self.peer_id, &scan, at))
    }
}
