//! X25519 key agreement (RFC 7748) with checked public keys.
//!
//! A [`PublicKey`] exists only for a canonical u-coordinate (below p, top bit clear) that is not of low order, on the curve or on its
//! twist. With such keys a clamped agreement cannot come out all zero; [`SecretKey::diffie_hellman`] refuses that result all the same.

use core::fmt;

use curve25519_dalek::montgomery::MontgomeryPoint;
use rand_core::CryptoRng;
use thiserror::Error;

use crate::Secret;
use crate::backend::chosen::X25519Key;

/// Bytes of a public key and of a secret key.
pub const KEY_LEN: usize = 32;

/// Why a public key or an agreement was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyError {
    /// The encoded u-coordinate is not below 2^255 - 19: a second spelling of another key.
    #[error("the public key is not in canonical form")]
    NonCanonical,
    /// The point has order 1, 2, 4 or 8 on the curve or on its twist, so that agreements with it say nothing.
    #[error("the public key is a point of low order")]
    LowOrder,
    /// The agreement came out as all zeros.
    #[error("the key agreement is all zeros")]
    AllZero,
}

impl KeyError {
    /// A stable name for metrics and SDKs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NonCanonical => "x25519_non_canonical",
            Self::LowOrder => "x25519_low_order",
            Self::AllZero => "x25519_all_zero",
        }
    }
}

/// 2^255 - 19, little-endian.
const P: [u8; 32] = {
    let mut p = [0xff; 32];
    p[0] = 0xed;
    p[31] = 0x7f;
    p
};

/// The canonical u-coordinates of low order: 0, 1, p - 1 and the two of order 8. The other known encodings are these plus p or with
/// the top bit set, and already fail the canonical check.
const LOW_ORDER: [[u8; 32]; 5] = [
    [0; 32],
    {
        let mut one = [0; 32];
        one[0] = 1;
        one
    },
    {
        let mut minus_one = P;
        minus_one[0] = 0xec;
        minus_one
    },
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09,
        0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44,
        0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
    ],
];

/// A checked public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; KEY_LEN]);

impl PublicKey {
    /// Checks and takes a 32-byte u-coordinate.
    pub fn from_bytes(bytes: &[u8; KEY_LEN]) -> Result<Self, KeyError> {
        // Little-endian, so the comparison runs from the last byte down.
        if !bytes.iter().rev().lt(P.iter().rev()) {
            return Err(KeyError::NonCanonical);
        }
        if LOW_ORDER.contains(bytes) {
            return Err(KeyError::LowOrder);
        }
        Ok(Self(*bytes))
    }

    /// The u-coordinate.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// Whether the point is a multiple of the base point. False for a point with a component of small order and for one on the twist.
    ///
    /// An honest key is one. Adding a point of small order to it changes its bytes and no agreement made with it, so a protocol that
    /// binds keys by their bytes asks this before it trusts that two keys are two. One scalar multiplication, on public data.
    #[must_use]
    pub fn is_torsion_free(&self) -> bool {
        // The two points with this u are each other's negatives and share their order, so the sign does not matter.
        MontgomeryPoint(self.0).to_edwards(0).is_some_and(|point| point.is_torsion_free())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "x25519::PublicKey({})", Hex(&self.0))
    }
}

/// Prints public bytes in hexadecimal.
pub(crate) struct Hex<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A secret key. The scalar is kept as it was given and clamped on use.
///
/// Building one costs nothing. With AWS-LC the first agreement or [`SecretKey::public_key`] prepares it (one base-point multiplication)
/// and the result is kept for later calls and for duplicates; the portable back end computes the public key on every call, so whoever
/// needs it twice keeps a [`KeyPair`].
pub struct SecretKey(X25519Key);

impl SecretKey {
    /// Draws a new key.
    #[must_use]
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self::from_secret(Secret::generate(rng))
    }

    /// Takes 32 stored bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; KEY_LEN]) -> Self {
        Self::from_secret(Secret::from_bytes(bytes))
    }

    /// Takes 32 bytes that already are a secret.
    #[must_use]
    pub fn from_secret(bytes: Secret<KEY_LEN>) -> Self {
        Self(X25519Key::new(bytes))
    }

    /// The stored form.
    #[must_use]
    pub fn expose(&self) -> &[u8; KEY_LEN] {
        self.0.secret().expose()
    }

    /// A second handle, on purpose. What was prepared for one is prepared for both.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(self.0.duplicate())
    }

    /// The public key.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        // A clamped scalar is a multiple of 8 and below 8q, so this point is neither of low order nor, being reduced, non-canonical.
        PublicKey(self.0.public())
    }

    /// The agreement with `their` key. All zeros is an error.
    pub fn diffie_hellman(&self, their: &PublicKey) -> Result<Secret<32>, KeyError> {
        self.0.agree(&their.0).ok_or(KeyError::AllZero)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("x25519::SecretKey")
    }
}

/// A secret key with its public key at hand.
#[derive(Debug)]
pub struct KeyPair {
    /// The secret half.
    pub secret: SecretKey,
    /// The public half.
    pub public: PublicKey,
}

impl KeyPair {
    /// Draws a new pair.
    #[must_use]
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self::from_secret(SecretKey::generate(rng))
    }

    /// A second handle, on purpose.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self { secret: self.secret.duplicate(), public: self.public }
    }

    /// Completes a secret key with its public key.
    #[must_use]
    pub fn from_secret(secret: SecretKey) -> Self {
        let public = secret.public_key();
        Self { secret, public }
    }
}
