//! HMAC-SHA-256 (RFC 2104, RFC 4231) and its constant-time checks.
//!
//! A ratchet makes six to ten of these per message and tens of thousands when it is made to jump, each over a few bytes. With either back
//! end they are RustCrypto's, for handing such short inputs to AWS-LC takes twice as long; [`Key`] keeps a key's two pads compressed.

use core::fmt;

use hmac::KeyInit;
use hmac::block_api::HmacCore;
use hmac::digest::Output;
use hmac::digest::block_api::{Buffer, FixedOutputCore, UpdateCore};
use sha2::Sha256;

/// RustCrypto's HMAC without the buffer that its convenient form carries about.
type Core = HmacCore<Sha256>;

/// Bytes of a full HMAC-SHA-256 tag.
pub const MAC_LEN: usize = 32;

/// Bytes of the shortest truncated tag [`verify_truncated`] accepts: the Signal message layout uses 8, and a shorter one could be guessed.
pub const TRUNCATED_LEN_MIN: usize = 8;

/// HMAC-SHA-256 over the concatenation of `parts`.
#[must_use]
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; MAC_LEN] {
    tag(prepared(key), parts.iter().copied())
}

/// The tag of parts under a key that is used once.
#[inline]
pub(crate) fn tag<'a>(mut core: Core, parts: impl Iterator<Item = &'a [u8]>) -> [u8; MAC_LEN] {
    let mut buffer = Buffer::<Core>::default();
    parts.for_each(|part| buffer.digest_blocks(part, |blocks| core.update_blocks(blocks)));
    let mut tag = Output::<Core>::default();
    core.finalize_fixed_core(&mut buffer, &mut tag);
    tag.into()
}

#[inline]
pub(crate) fn prepared(key: &[u8]) -> Core {
    Core::new_from_slice(key).expect("HMAC takes a key of any length")
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
pub struct Key(Core);

impl Key {
    /// Prepares a key of any length.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        Self(prepared(key))
    }

    /// The tag of the concatenation of `parts`.
    #[must_use]
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; MAC_LEN] {
        tag(self.0.clone(), parts.iter().copied())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hmac::Key")
    }
}
