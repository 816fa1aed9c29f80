//! What may go to a content server: ciphertext, and nothing that somebody only calls so.

use bytes::Bytes;
use rcseal_crypto::hash::sha256;
use rcseal_wire::id::Digest;

/// A ciphertext.
///
/// It is made out of bytes *and* the digest that the sealer answered when it had sealed them. A plaintext handed over by mistake has
/// another digest, and is refused.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedBlob {
    bytes: Bytes,
    digest: Digest,
}

/// The bytes are not the ones that were sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are not the ones that were sealed")]
pub struct NotSealed;

impl SealedBlob {
    /// The ciphertext that a sealer made, and the SHA-256 digest that the same sealer answered for it.
    ///
    /// # Errors
    /// [`NotSealed`] if the digest is not that of the bytes.
    pub fn new(ciphertext: impl Into<Bytes>, digest: Digest) -> Result<Self, NotSealed> {
        let bytes = ciphertext.into();
        if Digest::from_bytes(sha256(&[&bytes])) != digest {
            return Err(NotSealed);
        }
        Ok(Self { bytes, digest })
    }

    /// The ciphertext.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Its digest.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }
}

impl std::fmt::Debug for SealedBlob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SealedBlob({} bytes)", self.bytes.len())
    }
}
