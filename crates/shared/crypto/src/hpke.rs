//! The key schedule of HPKE (RFC 9180) in base mode, for HKDF-SHA256 and AES-256-GCM, single message.
//!
//! Only what sealing needs: no PSK, no sender authentication, no exporter, no sequence of messages, so that the nonce is the base nonce.
//! Two suites use it: X-Wing ([`crate::seal`]) and P-256 for keys that live in a hardware module ([`crate::hpke_p256`]).

use crate::Secret;
use crate::aead::NONCE_LEN;
use crate::hkdf;

/// "HPKE", KEM X-Wing 0x647a, KDF HKDF-SHA256 0x0001, AEAD AES-256-GCM 0x0002.
pub(crate) const XWING: Suite<'static> = Suite(b"HPKE\x64\x7a\x00\x01\x00\x02");
const VERSION: &[u8] = b"HPKE-v1";
const MODE_BASE: &[u8] = &[0];

/// The AEAD key and nonce of one sealed message.
pub(crate) struct MessageKey {
    pub(crate) key: Secret<32>,
    pub(crate) nonce: Secret<NONCE_LEN>,
}

/// A suite identifier, which every derivation is bound to: of a whole suite, or of a KEM.
pub(crate) struct Suite<'a>(pub(crate) &'a [u8]);

impl Suite<'_> {
    /// KeySchedule of RFC 9180, 5.1, in base mode.
    pub(crate) fn key_schedule(&self, shared_secret: &Secret<32>, info: &[u8]) -> MessageKey {
        let psk_id_hash = self.labeled_extract(b"", b"psk_id_hash", b"");
        let info_hash = self.labeled_extract(b"", b"info_hash", info);
        let context: [&[u8]; 3] = [MODE_BASE, psk_id_hash.expose(), info_hash.expose()];
        let secret = self.labeled_extract(shared_secret.expose(), b"secret", b"");
        MessageKey {
            key: self.labeled_expand(&secret, b"key", &context),
            nonce: self.labeled_expand(&secret, b"base_nonce", &context),
        }
    }

    /// ExtractAndExpand of RFC 9180, 4.1, where `self` is a KEM and `context` is the encapsulated key and the recipient's.
    #[cfg(feature = "aws-lc")]
    pub(crate) fn extract_and_expand(&self, dh: &Secret<32>, context: [&[u8]; 2]) -> Secret<32> {
        let prk = self.labeled_extract(b"", b"eae_prk", dh.expose());
        self.labeled_expand(&prk, b"shared_secret", &[context[0], context[1], b""])
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
            assert_eq!(bytes("suite_id")[..9], XWING.0[..9]);
            let shared = Secret::from_slice(&bytes("shared")).unwrap();
            let message = Suite(&bytes("suite_id")).key_schedule(&shared, &bytes("info"));
            assert_eq!(message.key.expose().as_slice(), bytes("key"));
            assert_eq!(message.nonce.expose().as_slice(), bytes("base_nonce"));
        }
    }
}
