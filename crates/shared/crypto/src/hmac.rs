//! HMAC-SHA-256 (RFC 2104, RFC 4231) and its constant-time checks.
//!
//! A ratchet makes six to ten of these per message and tens of thousands when it is made to jump, each over a few bytes. So the pads are
//! compressed once per key ([`Key`]), nothing is put on the heap, and RustCrypto's compression function is called directly, with either
//! back end: handing such short inputs to AWS-LC takes up to twice as long. RFC 4231's cases and a comparison with both libraries' own
//! HMAC hold it to the standard.

use core::fmt;

use sha2::block_api::compress256;
use zeroize::Zeroize;

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

/// A key with both pads compressed: two compressions to make, two for each short message.
pub struct Key {
    inner: State,
    outer: State,
}

impl Key {
    /// Prepares a key. One longer than 64 bytes is hashed first, as the RFC says.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        if key.len() > BLOCK_LEN {
            let mut hashed = Hash::start(INITIAL, 0, [key].into_iter());
            let prepared = Self::short(&hashed);
            hashed.as_mut_slice().zeroize();
            return prepared;
        }
        Self::short(key)
    }

    fn short(key: &[u8]) -> Self {
        let mut pad = [INNER_PAD; BLOCK_LEN];
        pad.iter_mut().zip(key).for_each(|(pad, key)| *pad ^= key);
        let inner = compress(INITIAL, &pad);
        pad.iter_mut().for_each(|pad| *pad ^= INNER_PAD ^ OUTER_PAD);
        let outer = compress(INITIAL, &pad);
        pad[..key.len()].zeroize();
        Self { inner, outer }
    }

    /// The key of 32 zero bytes, which HKDF takes where there is no salt.
    pub(crate) const fn zero() -> Self {
        Self { inner: ZERO_INNER, outer: ZERO_OUTER }
    }

    /// The tag of the concatenation of `parts`.
    #[must_use]
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; MAC_LEN] {
        self.mac_of(parts.iter().copied())
    }

    pub(crate) fn mac_of<'a>(&self, parts: impl Iterator<Item = &'a [u8]>) -> [u8; MAC_LEN] {
        let mut digest = Hash::start(self.inner, BLOCK_LEN, parts);
        let tag = Hash::start(self.outer, BLOCK_LEN, [digest.as_slice()].into_iter());
        digest.as_mut_slice().zeroize();
        tag
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.inner.as_mut_slice().zeroize();
        self.outer.as_mut_slice().zeroize();
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hmac::Key")
    }
}

type State = [u32; 8];

const BLOCK_LEN: usize = 64;
/// Where the eight bytes of the length begin in a last block.
const LENGTH_AT: usize = BLOCK_LEN - 8;
const INNER_PAD: u8 = 0x36;
const OUTER_PAD: u8 = 0x5c;

/// H(0) of FIPS 180-4, 5.3.3.
const INITIAL: State = [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];

/// The pads of a key of zeros, compressed. A test computes them again.
const ZERO_INNER: State =
    [0xf454dead, 0x9725214f, 0x90daf2a0, 0xdf1228ea, 0x64e5750f, 0xa3924181, 0x824a932b, 0xf8e04e32];
const ZERO_OUTER: State =
    [0xd385480f, 0x7abb6477, 0x37c9c538, 0x5dd82467, 0x8e043a72, 0x753434b0, 0xdeb82818, 0x361d45a6];

fn compress(mut state: State, block: &[u8; BLOCK_LEN]) -> State {
    compress256(&mut state, core::slice::from_ref(block));
    state
}

/// SHA-256 from a given state on.
struct Hash {
    state: State,
    block: [u8; BLOCK_LEN],
    filled: usize,
}

impl Hash {
    /// The digest of `parts` after `before` bytes (whole blocks) that made `state`.
    fn start<'a>(state: State, before: usize, parts: impl Iterator<Item = &'a [u8]>) -> [u8; 32] {
        let mut hash = Self { state, block: [0; BLOCK_LEN], filled: 0 };
        let length = parts.fold(before, |length, part| {
            hash.absorb(part);
            length + part.len()
        });
        hash.finish(length)
    }

    fn absorb(&mut self, mut data: &[u8]) {
        if self.filled > 0 {
            let (head, rest) = data.split_at(data.len().min(BLOCK_LEN - self.filled));
            self.block[self.filled..self.filled + head.len()].copy_from_slice(head);
            self.filled += head.len();
            data = rest;
            if self.filled < BLOCK_LEN {
                return;
            }
            compress256(&mut self.state, core::slice::from_ref(&self.block));
            self.filled = 0;
        }
        let (blocks, rest) = data.as_chunks::<BLOCK_LEN>();
        if !blocks.is_empty() {
            compress256(&mut self.state, blocks);
        }
        self.block[..rest.len()].copy_from_slice(rest);
        self.filled = rest.len();
    }

    fn finish(mut self, length: usize) -> [u8; 32] {
        self.block[self.filled..].fill(0);
        self.block[self.filled] = 0x80;
        if self.filled >= LENGTH_AT {
            compress256(&mut self.state, core::slice::from_ref(&self.block));
            self.block.fill(0);
        }
        self.block[LENGTH_AT..].copy_from_slice(&(length as u64 * 8).to_be_bytes());
        compress256(&mut self.state, core::slice::from_ref(&self.block));
        let mut digest = [0; 32];
        for (bytes, word) in digest.chunks_exact_mut(4).zip(self.state) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        digest
    }
}

impl Drop for Hash {
    fn drop(&mut self) {
        self.state.as_mut_slice().zeroize();
        self.block.as_mut_slice().zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pads_of_the_zero_key_are_what_they_say() {
        let key = Key::new(&[0; 32]);
        assert_eq!((key.inner, key.outer), (ZERO_INNER, ZERO_OUTER));
        let empty = Key::new(&[]);
        assert_eq!((empty.inner, empty.outer), (ZERO_INNER, ZERO_OUTER));
    }
}
