//! HKDF with SHA-256 (RFC 5869).

use core::iter;

use zeroize::Zeroize;

use crate::Secret;
use crate::hmac::Key;

/// RFC 5869 ends at 255 blocks of 32 bytes.
const OUTPUT_LEN_MAX: usize = 255 * 32;

/// Extract and expand in one step. `info` is the concatenation of its parts.
#[must_use]
pub fn hkdf_sha256<const N: usize>(salt: &[u8], ikm: &[u8], info: &[&[u8]]) -> Secret<N> {
    expand(&extract(salt, &[ikm]), info)
}

/// [`hkdf_sha256`] with a salt of 32 zero bytes, whose pads are compressed beforehand.
///
/// For 32 bytes of input and an `info` of up to 54 bytes it takes six compressions for 32 bytes of output and nine for 64. The output
/// begins with the same bytes whatever its length: a chain that is only walked past a message asks for its next key alone.
#[must_use]
pub fn zero_salt<const N: usize>(ikm: &[u8], info: &[&[u8]]) -> Secret<N> {
    expand(&Secret::from_bytes(Key::zero().mac(&[ikm])), info)
}

/// HKDF-Extract over the concatenation of `ikm`. An empty salt is the RFC's absent salt.
#[must_use]
pub fn extract(salt: &[u8], ikm: &[&[u8]]) -> Secret<32> {
    // An absent salt is a block of zeros; HMAC pads a short key with zeros, so the empty salt already is that block.
    Secret::from_bytes(Key::new(salt).mac(ikm))
}

/// HKDF-Expand of a pseudorandom key to `N` bytes, at most 8,160 (checked at compile time).
#[must_use]
pub fn expand<const N: usize>(prk: &Secret<32>, info: &[&[u8]]) -> Secret<N> {
    const { assert!(N <= OUTPUT_LEN_MAX, "HKDF-SHA-256 yields at most 8160 bytes") };
    let mut out = Secret::zeroed();
    let key = Key::new(prk.expose());
    let mut previous = [0; 32];
    for (block, counter) in out.expose_mut().chunks_mut(32).zip(1..=255u8) {
        let earlier: &[u8] = if counter > 1 { &previous } else { &[] };
        let counter = [counter];
        let parts = iter::once(earlier).chain(info.iter().copied()).chain(iter::once(counter.as_slice()));
        previous = key.mac_of(parts);
        block.copy_from_slice(&previous[..block.len()]);
    }
    previous.as_mut_slice().zeroize();
    out
}
