//! Ed25519 signatures (RFC 8032), strict.
//!
//! Verification accepts one encoding per key and signature: canonical points only, no key of small order, s below the group order, R
//! compared by bytes. Both back ends then agree on every input. Messages come in parts; every signature of ours starts with a type label.

use alloc::borrow::Cow;
use core::fmt;

use curve25519_dalek::edwards::CompressedEdwardsY;
use rand_core::CryptoRng;
use thiserror::Error;

use crate::Secret;
use crate::backend::chosen;
use crate::x25519::Hex;

/// Bytes of a verifying key and of a seed.
pub const KEY_LEN: usize = 32;
/// Bytes of a signature.
pub const SIGNATURE_LEN: usize = 64;

/// Why a verifying key was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyError {
    /// The bytes are not the canonical encoding of a point on the curve.
    #[error("the verifying key is not a canonical point")]
    NotAPoint,
    /// The point is of small order: signatures under it prove nothing.
    #[error("the verifying key is a point of small order")]
    SmallOrder,
}

impl KeyError {
    /// A stable name for metrics and SDKs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAPoint => "ed25519_not_a_point",
            Self::SmallOrder => "ed25519_small_order",
        }
    }
}

/// The signature does not fit key and message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the Ed25519 signature is invalid")]
pub struct SignatureError;

impl SignatureError {
    /// A stable name for metrics and SDKs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "ed25519_signature"
    }
}

/// A signature: R, then s.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature(pub [u8; SIGNATURE_LEN]);

impl Signature {
    /// The 64 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; SIGNATURE_LEN] {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ed25519::Signature({})", Hex(&self.0))
    }
}

/// A private key: a 32-byte seed and its expansion.
pub struct SigningKey {
    seed: Secret<KEY_LEN>,
    ready: chosen::Ed25519Key,
}

impl SigningKey {
    /// Draws a new key.
    #[must_use]
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self::from_secret(Secret::generate(rng))
    }

    /// Takes a stored seed.
    #[must_use]
    pub fn from_seed(seed: [u8; KEY_LEN]) -> Self {
        Self::from_secret(Secret::from_bytes(seed))
    }

    fn from_secret(seed: Secret<KEY_LEN>) -> Self {
        let ready = chosen::Ed25519Key::new(seed.expose());
        Self { seed, ready }
    }

    /// The stored form.
    #[must_use]
    pub fn seed(&self) -> &[u8; KEY_LEN] {
        self.seed.expose()
    }

    /// A second copy, on purpose.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self::from_secret(self.seed.duplicate())
    }

    /// The public half.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        // A clamped scalar times the base point has prime order and was encoded by the library: nothing to check.
        VerifyingKey(self.ready.public())
    }

    /// Signs the concatenation of `parts`.
    #[must_use]
    pub fn sign(&self, parts: &[&[u8]]) -> Signature {
        Signature(self.ready.sign(&joined(parts)))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ed25519::SigningKey")
    }
}

/// A checked public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VerifyingKey([u8; KEY_LEN]);

impl VerifyingKey {
    /// Checks and takes a compressed point.
    pub fn from_bytes(bytes: &[u8; KEY_LEN]) -> Result<Self, KeyError> {
        let point = CompressedEdwardsY(*bytes).decompress().ok_or(KeyError::NotAPoint)?;
        if point.is_small_order() {
            return Err(KeyError::SmallOrder);
        }
        // Decompression reduces y and ignores a sign on x = 0; only the spelling that compression gives back is accepted.
        if point.compress().as_bytes() != bytes {
            return Err(KeyError::NotAPoint);
        }
        Ok(Self(*bytes))
    }

    /// The compressed point.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// Verifies a signature over the concatenation of `parts`.
    pub fn verify(&self, parts: &[&[u8]], signature: &Signature) -> Result<(), SignatureError> {
        if chosen::ed25519_verify(&self.0, &joined(parts), &signature.0) { Ok(()) } else { Err(SignatureError) }
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ed25519::VerifyingKey({})", Hex(&self.0))
    }
}

/// Ed25519 reads its message twice, so parts are joined; a single part is used where it lies.
fn joined<'a>(parts: &[&'a [u8]]) -> Cow<'a, [u8]> {
    match parts {
        [only] => Cow::Borrowed(only),
        _ => Cow::Owned(parts.concat()),
    }
}
