//! HKDF with SHA-256 (RFC 5869).

use crate::Secret;
use crate::backend::chosen;

/// RFC 5869 ends at 255 blocks of 32 bytes.
const OUTPUT_LEN_MAX: usize = 255 * 32;

/// Extract and expand in one step. `info` is the concatenation of its parts.
#[must_use]
pub fn hkdf_sha256<const N: usize>(salt: &[u8], ikm: &[u8], info: &[&[u8]]) -> Secret<N> {
    expand(&extract(salt, &[ikm]), info)
}

/// HKDF-Extract over the concatenation of `ikm`. An empty salt is the RFC's absent salt.
#[must_use]
pub fn extract(salt: &[u8], ikm: &[&[u8]]) -> Secret<32> {
    chosen::hkdf_extract(salt, ikm)
}

/// HKDF-Expand of a pseudorandom key to `N` bytes, at most 8,160 (checked at compile time).
#[must_use]
pub fn expand<const N: usize>(prk: &Secret<32>, info: &[&[u8]]) -> Secret<N> {
    const { assert!(N <= OUTPUT_LEN_MAX, "HKDF-SHA-256 yields at most 8160 bytes") };
    let mut out = Secret::zeroed();
    chosen::hkdf_expand(prk.expose(), info, out.expose_mut());
    out
}
