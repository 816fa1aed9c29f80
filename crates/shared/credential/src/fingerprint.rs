//! What the safety numbers of both profiles have in common: a fingerprint for each side, and how two of them are shown and compared.
//!
//! **Why 5,200 iterations of SHA-512.** Thirty digits per side carry 99.7 bits. Somebody who wants to pass for an account without its
//! key searches for a key whose digits match; iterating makes each try 5,200 times as dear (12.3 bits), for about 112 bits in all, and
//! costs a phone a few milliseconds once. The count is the one the field has used for years.

use rcseal_crypto::ct_eq;
use rcseal_crypto::hash::sha512;

const ITERATIONS: usize = 5_200;
/// Bytes of a fingerprint in a scanned code: all a hash of 256-bit strength needs, of the 64 there are.
pub(crate) const FINGERPRINT_LEN: usize = 32;
/// Digits of one side: six groups of five, each from five bytes of the fingerprint.
const GROUPS_PER_SIDE: usize = 6;

/// What stands for one side.
pub(crate) type Fingerprint = [u8; FINGERPRINT_LEN];

/// Hashes the parts, and then the hash with the key until it was iterated often enough.
pub(crate) fn fingerprint(first: &[&[u8]], key: &[u8]) -> Fingerprint {
    let mut hash = sha512(first);
    for _ in 1..ITERATIONS {
        hash = sha512(&[&hash, key]);
    }
    let mut fingerprint = [0; FINGERPRINT_LEN];
    fingerprint.copy_from_slice(&hash[..FINGERPRINT_LEN]);
    fingerprint
}

/// Both sides, as one of them sees them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprints {
    pub(crate) ours: Fingerprint,
    pub(crate) theirs: Fingerprint,
}

impl Fingerprints {
    /// Sixty digits in twelve groups of five. Both sides see the same.
    pub(crate) fn numeric(&self, between: &str) -> String {
        let mut sides = [digits(&self.ours, between), digits(&self.theirs, between)];
        sides.sort();
        sides.join(between)
    }

    /// Whether the contact's code shows the same two sides from over there: its local one is our contact, its remote one are we. Constant
    /// time: both halves are compared before either result is looked at.
    pub(crate) fn match_scanned(&self, local: &[u8], remote: &[u8]) -> bool {
        ct_eq(local, &self.theirs) & ct_eq(remote, &self.ours)
    }
}

/// Thirty digits: each group of five is five bytes, big-endian, modulo 100,000.
fn digits(fingerprint: &Fingerprint, between: &str) -> String {
    let groups: Vec<String> = fingerprint
        .chunks_exact(5)
        .take(GROUPS_PER_SIDE)
        .map(|chunk| {
            let number = chunk.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
            format!("{:05}", number % 100_000)
        })
        .collect();
    groups.join(between)
}
