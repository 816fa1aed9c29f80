//! The authenticator: proves that a header and a ciphertext come from the peer of the handshake.
//!
//! It starts from the handshake's `pq_auth_key` and takes in every epoch's key, so that an attacker who once had a session's state and
//! then misses one epoch can no longer put a key of its own in the place of the peer's (ML-KEM Braid 2.4). The header of epoch e is
//! authenticated by what epoch e-1 left, the ciphertext of epoch e by epoch e's own key.

use rcseal_crypto::hkdf::zero_salt;
use rcseal_crypto::hmac::{hmac_sha256, verify_hmac_sha256};
use rcseal_crypto::{Secret, mlkem768::split};
use zeroize::Zeroizing;

use super::chains::EpochKey;
use super::labels::PqLabels;
use crate::kdf;

pub(crate) const MAC_LEN: usize = 32;

#[derive(Debug)]
pub(crate) struct Authenticator {
    root: Secret<32>,
    mac_key: Secret<32>,
}

impl Authenticator {
    pub(crate) fn new(labels: &PqLabels, auth_key: &Secret<32>) -> Self {
        Self::derive(labels, &Secret::from_bytes([0; 32]), 1, auth_key)
    }

    /// After an epoch's key became known.
    pub(crate) fn updated(&self, labels: &PqLabels, key: &EpochKey) -> Self {
        Self::derive(labels, &self.root, key.epoch, &key.key)
    }

    /// HKDF(salt = zeros, ikm = root || key, info = label || epoch, 64) = root, MAC key.
    fn derive(labels: &PqLabels, root: &Secret<32>, epoch: u64, key: &Secret<32>) -> Self {
        let mut ikm = Zeroizing::new([0; 64]);
        ikm[..32].copy_from_slice(root.expose());
        ikm[32..].copy_from_slice(key.expose());
        let output: Secret<64> = zero_salt(&ikm[..], &[labels.authenticator_update, &epoch.to_be_bytes()]);
        let [root, mac_key] = kdf::keys(&output);
        Self { root, mac_key }
    }

    pub(crate) fn restore(root: Secret<32>, mac_key: Secret<32>) -> Self {
        Self { root, mac_key }
    }

    /// Root and MAC key, to be stored.
    pub(crate) fn secrets(&self) -> [&Secret<32>; 2] {
        [&self.root, &self.mac_key]
    }

    pub(crate) fn header_mac(&self, labels: &PqLabels, epoch: u64, header: &[u8; split::HEADER_LEN]) -> [u8; MAC_LEN] {
        hmac_sha256(self.mac_key.expose(), &[labels.header_mac, &epoch.to_be_bytes(), header])
    }

    pub(crate) fn is_header_mac(
        &self,
        labels: &PqLabels,
        epoch: u64,
        header: &[u8; split::HEADER_LEN],
        mac: &[u8],
    ) -> bool {
        verify_hmac_sha256(self.mac_key.expose(), &[labels.header_mac, &epoch.to_be_bytes(), header], mac)
    }

    pub(crate) fn ciphertext_mac(
        &self,
        labels: &PqLabels,
        epoch: u64,
        ct1: &[u8; split::CT1_LEN],
        ct2: &[u8; split::CT2_LEN],
    ) -> [u8; MAC_LEN] {
        hmac_sha256(self.mac_key.expose(), &[labels.ciphertext_mac, &epoch.to_be_bytes(), ct1, ct2])
    }

    pub(crate) fn is_ciphertext_mac(
        &self,
        labels: &PqLabels,
        epoch: u64,
        ct1: &[u8; split::CT1_LEN],
        ct2: &[u8; split::CT2_LEN],
        mac: &[u8],
    ) -> bool {
        verify_hmac_sha256(self.mac_key.expose(), &[labels.ciphertext_mac, &epoch.to_be_bytes(), ct1, ct2], mac)
    }
}
