//! The key schedule of HPKE (RFC 9180) in base mode, for X-Wing, HKDF-SHA256 and AES-256-GCM, single message.
//!
//! Only what sealing needs: no PSK, no sender authentication, no exporter, no sequence of messages, so that the nonce is the base nonce.

use crate::Secret;
use crate::aead::NONCE_LEN;
use crate::hkdf;

/// "HPKE", KEM X-Wing 0x647a, KDF HKDF-SHA256 0x0001, AEAD AES-256-GCM 0x0002.
const SUITE_ID: &[u8; 10] = b"HPKE\x64\x7a\x00\x01\x00\x02";
const VERSION: &[u8] = b"HPKE-v1";
const MODE_BASE: &[u8] = &[0];

/// The AEAD key and nonce of one sealed message.
pub(crate) struct MessageKey {
    pub(crate) key: Secret<32>,
    pub(crate) nonce: Secret<NONCE_LEN>,
}

/// KeySchedule of RFC 9180, 5.1, in base mode.
pub(crate) fn key_schedule(shared_secret: &Secret<32>, info: &[u8]) -> MessageKey {
    Suite(SUITE_ID).key_schedule(shared_secret, info)
}

/// A suite identifier, which every derivation is bound to. A value of its own so that vectors of a sister suite can be met.
struct Suite<'a>(&'a [u8]);

impl Suite<'_> {
    fn key_schedule(&self, shared_secret: &Secret<32>, info: &[u8]) -> MessageKey {
        let psk_id_hash = self.labeled_extract(b"", b"psk_id_hash", b"");
        let info_hash = self.labeled_extract(b"", b"info_hash", info);
        let context: [&[u8]; 3] = [MODE_BASE, psk_id_hash.expose(), info_hash.expose()];
        let secret = self.labeled_extract(shared_secret.expose(), b"secret", b"");
        MessageKey {
            key: self.labeled_expand(&secret, b"key", &context),
            nonce: self.labeled_expand(&secret, b"base_nonce", &context),
        }
    }

    fn labeled_extract(&self, salt: &[u8], label: &[u8], ikm: &[u8]) -> Secret<32> {
        hkdf::extract(salt, &[VERSION, self.0, label, ikm])
    }

    fn labeled_expand<const N: usize>(&self, prk: &Secret<32>, label: &[u8], context: &[&[u8]; 3]) -> Secret<N> {
        const { assert!(N <= u16::MAX as usize, "RFC 9180 writes the length in two bytes") };
        let length = (N as u16).to_be_bytes();
        hkdf::expand(prk, &[&length, VERSION, self.0, label, context[0], context[1], context[2]])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// The published suite differs from ours in the AEAD only, whose number is part of the suite identifier.
    #[test]
    fn the_key_schedule_meets_the_published_vectors() {
        let file: serde_json::Value =
            serde_json::from_str(include_str!("../../../../vectors/crypto/hpke_xwing.json")).unwrap();
        let cases = file["cases"].as_array().unwrap();
        assert!(!cases.is_empty());
        for case in cases {
            let bytes = |field: &str| hex::decode(case[field].as_str().unwrap()).unwrap();
            assert_eq!(bytes("suite_id")[..9], SUITE_ID[..9]);
            let shared = Secret::from_slice(&bytes("shared")).unwrap();
            let message = Suite(&bytes("suite_id")).key_schedule(&shared, &bytes("info"));
            assert_eq!(message.key.expose().as_slice(), bytes("key"));
            assert_eq!(message.nonce.expose().as_slice(), bytes("base_nonce"));
        }
    }
}
