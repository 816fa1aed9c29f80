//! SHA-256, SHA-512 (FIPS 180-4) and SHA3-256, SHAKE256 (FIPS 202).
//!
//! The one-shot functions take parts, so that a label and its data are hashed without being joined first. Parts are concatenated as
//! they are: whoever hashes two variable-length fields puts a length between them.

use zeroize::Zeroizing;

use crate::backend::chosen;

/// Bytes of a SHA-256 digest.
pub const SHA256_LEN: usize = 32;
/// Bytes of a SHA-512 digest.
pub const SHA512_LEN: usize = 64;

/// SHA-256 over the concatenation of `parts`.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; SHA256_LEN] {
    if let [only] = parts {
        return chosen::Sha256::digest(only);
    }
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finish()
}

/// SHA-512 over the concatenation of `parts`.
#[must_use]
pub fn sha512(parts: &[&[u8]]) -> [u8; SHA512_LEN] {
    if let [only] = parts {
        return chosen::Sha512::digest(only);
    }
    let mut hash = chosen::Sha512::new();
    for part in parts {
        hash.update(part);
    }
    hash.finish()
}

/// SHA3-256 over the concatenation of `parts`.
#[must_use]
pub fn sha3_256(parts: &[&[u8]]) -> [u8; 32] {
    libcrux_sha3::sha256(&Zeroizing::new(parts.concat()))
}

/// `N` bytes of SHAKE256 over `data`.
#[must_use]
pub(crate) fn shake256<const N: usize>(data: &[u8]) -> crate::Secret<N> {
    crate::Secret::from_bytes(libcrux_sha3::shake256::<N>(data))
}

/// Incremental SHA-256, for blobs that are read in pieces.
#[derive(Clone)]
pub struct Sha256(chosen::Sha256);

impl Sha256 {
    /// An empty hash.
    #[must_use]
    pub fn new() -> Self {
        Self(chosen::Sha256::new())
    }

    /// Absorbs `data`.
    pub fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// The digest of everything absorbed.
    #[must_use]
    pub fn finish(self) -> [u8; SHA256_LEN] {
        self.0.finish()
    }
}

impl Default for Sha256 {
    fn default() -> Self {
        Self::new()
    }
}

impl core::fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Sha256")
    }
}
