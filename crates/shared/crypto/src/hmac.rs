//! HMAC-SHA-256 (RFC 2104, RFC 4231) and its constant-time checks.

use crate::backend::chosen;

/// Bytes of a full HMAC-SHA-256 tag.
pub const MAC_LEN: usize = 32;

/// Bytes of the shortest truncated tag [`verify_truncated`] accepts: the Signal message layout uses 8, and a shorter one could be guessed.
pub const TRUNCATED_LEN_MIN: usize = 8;

/// HMAC-SHA-256 over the concatenation of `parts`.
#[must_use]
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; MAC_LEN] {
    chosen::hmac_sha256(key, parts)
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
