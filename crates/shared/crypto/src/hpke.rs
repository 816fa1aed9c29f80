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
    let psk_id_hash = labeled_extract(b"", b"psk_id_hash", b"");
    let info_hash = labeled_extract(b"", b"info_hash", info);
    let context: [&[u8]; 3] = [MODE_BASE, psk_id_hash.expose(), info_hash.expose()];
    let secret = labeled_extract(shared_secret.expose(), b"secret", b"");
    MessageKey {
        key: labeled_expand(&secret, b"key", &context),
        nonce: labeled_expand(&secret, b"base_nonce", &context),
    }
}

fn labeled_extract(salt: &[u8], label: &[u8], ikm: &[u8]) -> Secret<32> {
    hkdf::extract(salt, &[VERSION, SUITE_ID, label, ikm])
}

fn labeled_expand<const N: usize>(prk: &Secret<32>, label: &[u8], context: &[&[u8]; 3]) -> Secret<N> {
    const { assert!(N <= u16::MAX as usize, "RFC 9180 writes the length in two bytes") };
    let length = (N as u16).to_be_bytes();
    hkdf::expand(
        prk,
        &[&length, VERSION, SUITE_ID, label, context[0], context[1], context[2]],
    )
}
