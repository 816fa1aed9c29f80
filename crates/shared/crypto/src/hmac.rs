//! HMAC-SHA-256 (RFC 2104, RFC 4231) and its constant-time checks.
//!
//! A ratchet makes six to ten of these per message and tens of thousands when it is made to jump, each over a few bytes. With either back
//! end they are RustCrypto's, for handing such short inputs to AWS-LC takes twice as long; [`Key`] keeps a key's two pads compressed.

use core::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Bytes of a full HMAC-SHA-256 tag.
pub const MAC_LEN: usize = 32;

/// Bytes of the shortest truncated tag [`verify_truncated`] accepts: the Signal message layout uses 8, and a shorter one could be guessed.
pub const TRUNCATED_LEN_MIN: usize = 8;

/// HMAC-SHA-256 over the concatenation of `parts`.
#[must_use]
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; MAC_LEN] {
    Key::new(key).mac(parts)
}

/// Checks a full 32-byte tag in constant time. A tag of any other length is wrong.
#[must_use]
pub fn verify_hmac_sha256(key: &[u8], parts: &[&[u8]], expected: &[u8]) -> bool {
    crate::ct_eq(&hmac_sha256(key, parts), expected)
}

/// Checks a tag that its protocol truncates, in constant time: 8 to 32 bytes, the first bytes of the full tag.
#[must_use]
pub fn verify_truncated(key: &[u8], parts: &[&[u8]], expected: &[u8]) -> bool {
    let full = hmac_sha256(key, parts);
    match full.get(..expected.len()) {
        Some(prefix) if expected.len() >= TRUNCATED_LEN_MIN => crate::ct_eq(prefix, expected),
        _ => false,
    }
}

/// A key with both pads compressed: two compressions to make, two for each short message. Erased on drop.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

impl Key {
    /// Prepares a key of any length.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        Self(Hmac::new_from_slice(key).expect("HMAC takes a key of any length"))
    }

    /// The tag of the concatenation of `parts`.
    #[must_use]
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; MAC_LEN] {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hmac::Key")
    }
}
