//! HMAC-SHA-256 (RFC 2104, RFC 4231) and its constant-time checks; HMAC-SHA-512 where another's protocol asks for it.
//!
//! A ratchet makes six to ten of these per message and tens of thousands when it is made to jump, each over a few bytes. With either back
//! end they are RustCrypto's, for handing such short inputs to AWS-LC takes twice as long; [`Key`] keeps a key's two pads compressed.

use core::fmt;

use hmac::block_api::HmacCore;
use hmac::digest::Output;
use hmac::digest::block_api::{Buffer, FixedOutputCore, UpdateCore};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha512};

/// RustCrypto's HMAC without the buffer that its convenient form carries about.
type Core = HmacCore<Sha256>;

/// Bytes of a full HMAC-SHA-256 tag.
pub const MAC_LEN: usize = 32;

/// Bytes of a full HMAC-SHA-512 tag.
pub const MAC512_LEN: usize = 64;

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

/// HMAC-SHA-512 over the concatenation of `parts`.
#[must_use]
pub fn hmac_sha512(key: &[u8], parts: &[&[u8]]) -> [u8; MAC512_LEN] {
    let mut mac = <Hmac<Sha512> as KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// Checks a full 64-byte HMAC-SHA-512 tag in constant time. A tag of any other length is wrong.
#[must_use]
pub fn verify_hmac_sha512(key: &[u8], parts: &[&[u8]], expected: &[u8]) -> bool {
    crate::ct_eq(&hmac_sha512(key, parts), expected)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmac_sha512_follows_rfc_4231() {
        // RFC 4231, test case 2.
        let expected = [
            0x16, 0x4b, 0x7a, 0x7b, 0xfc, 0xf8, 0x19, 0xe2, 0xe3, 0x95, 0xfb, 0xe7, 0x3b, 0x56, 0xe0, 0xa3, 0x87, 0xbd,
            0x64, 0x22, 0x2e, 0x83, 0x1f, 0xd6, 0x10, 0x27, 0x0c, 0xd7, 0xea, 0x25, 0x05, 0x54, 0x97, 0x58, 0xbf, 0x75,
            0xc0, 0x5a, 0x99, 0x4a, 0x6d, 0x03, 0x4f, 0x65, 0xf8, 0xf0, 0xe6, 0xfd, 0xca, 0xea, 0xb1, 0xa3, 0x4d, 0x4a,
            0x6b, 0x4b, 0x63, 0x6e, 0x07, 0x0a, 0x38, 0xbc, 0xe7, 0x37,
        ];
        assert_eq!(hmac_sha512(b"Jefe", &[b"what do ya want ", b"for nothing?"]), expected);
        assert!(verify_hmac_sha512(b"Jefe", &[b"what do ya want for nothing?"], &expected));
        assert!(!verify_hmac_sha512(b"Jefe", &[b"what do ya want for nothing?"], &expected[..63]));
        assert!(!verify_hmac_sha512(b"jefe", &[b"what do ya want for nothing?"], &expected));
    }
}
