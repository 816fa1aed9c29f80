//! The keys of one message and what they do: AES-256-CBC, then HMAC-SHA256 over associated data and the message as
//! sent.

use alloc::vec::Vec;

use rcseal_crypto::hkdf::hkdf_sha256;
use rcseal_crypto::{Secret, cbc, ct_eq, hmac};

use crate::profile::Suite;

/// `HKDF(salt = post-quantum key, ikm = seed, info = label, 80)` = cipher key(32) || MAC key(32) || IV(16).
pub(crate) struct MessageKeys(Secret<80>);

/// Why a message did not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenError {
    Mac,
    /// The MAC was right and the padding was not: the sender's own fault.
    Padding,
}

impl MessageKeys {
    pub(crate) fn derive(suite: &Suite, pq_key: &Secret<32>, seed: &Secret<32>) -> Self {
        Self(hkdf_sha256(pq_key.expose(), seed.expose(), &[suite.message_keys_label]))
    }

    fn part<const N: usize>(&self, at: usize) -> &[u8; N] {
        self.0.expose()[at..at + N].try_into().expect("the three parts lie within the 80 bytes")
    }

    pub(crate) fn encrypt(&self, plaintext: &[u8]) -> Vec<u8> {
        cbc::encrypt(self.part::<32>(0), self.part::<16>(64), plaintext)
    }

    /// The MAC in full; a suite may send a prefix.
    pub(crate) fn mac(&self, associated_data: &[u8], authenticated: &[u8]) -> [u8; 32] {
        hmac::hmac_sha256(self.part::<32>(32), &[associated_data, authenticated])
    }

    /// Checks the MAC over the received bytes, in constant time, before the padding is looked at.
    pub(crate) fn open(
        &self,
        suite: &Suite,
        associated_data: &[u8],
        authenticated: &[u8],
        mac: &[u8],
        ciphertext: &[u8],
    ) -> Result<Vec<u8>, OpenError> {
        let expected = self.mac(associated_data, authenticated);
        if !ct_eq(&expected[..suite.mac_len], mac) {
            return Err(OpenError::Mac);
        }
        cbc::decrypt(self.part::<32>(0), self.part::<16>(64), ciphertext).map_err(|_| OpenError::Padding)
    }
}
