//! XEdDSA (Signal, "The XEdDSA and VXEdDSA Signature Schemes", revision 1): signatures with X25519 keys.
//!
//! **Two conventions for the sign bit.** The specification converts the Montgomery key to the Edwards point with sign bit 0 and negates
//! the private scalar to match. Deployed Signal clients do not negate: they carry the point's sign in the top bit of the signature's
//! last byte. [`sign`] and [`verify`] follow the specification and are what we use natively; [`verify_with_sign_bit`] takes the bit as
//! the sign, accepts both kinds, and is for the Signal-compatible profile only.
//!
//! Verification is strict in both: s is below the group order, R is compared by bytes, the key is a checked [`PublicKey`].

use core::fmt;

use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::montgomery::MontgomeryPoint;
use curve25519_dalek::scalar::{Scalar, clamp_integer};
use rand_core::CryptoRng;
use subtle::{Choice, ConditionallySelectable};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::Secret;
use crate::backend::chosen::Sha512;
use crate::x25519::{Hex, PublicKey, SecretKey};

/// Bytes of a signature.
pub const SIGNATURE_LEN: usize = 64;

/// hash_1 of the specification: 2^256 - 1 - 1, little-endian, which no encoded point equals.
const HASH_1: [u8; 32] = {
    let mut prefix = [0xff; 32];
    prefix[0] = 0xfe;
    prefix
};

/// The signature does not fit key and message, or is not in its one canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the XEdDSA signature is invalid")]
pub struct SignatureError;

impl SignatureError {
    /// A stable name for metrics and SDKs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "xeddsa_signature"
    }
}

/// A signature: R, then s; in the Signal convention the top bit of the last byte is the sign of the public point.
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
        write!(f, "xeddsa::Signature({})", Hex(&self.0))
    }
}

/// Signs the concatenation of `parts` the specification's way: 64 fresh random bytes, sign bit 0.
#[must_use]
pub fn sign(secret: &SecretKey, parts: &[&[u8]], rng: &mut (impl CryptoRng + ?Sized)) -> Signature {
    let random = Secret::<64>::generate(rng);
    let mut scalar = Zeroizing::new(Scalar::from_bytes_mod_order(clamp_integer(*secret.expose())));
    let mut point = EdwardsPoint::mul_base(&scalar).compress().0;
    // The verifier assumes sign bit 0; where our point has 1, use its negative, without branching on the secret.
    let negative = Choice::from(point[31] >> 7);
    let negated = Zeroizing::new(-*scalar);
    scalar.conditional_assign(&negated, negative);
    point[31] &= 0x7f;

    let mut nonce = Sha512::new();
    nonce.update(&HASH_1);
    nonce.update(scalar.as_bytes());
    parts.iter().for_each(|part| nonce.update(part));
    nonce.update(random.expose());
    let nonce = Zeroizing::new(Scalar::from_bytes_mod_order_wide(&Zeroizing::new(nonce.finish())));

    let commitment = EdwardsPoint::mul_base(&nonce).compress().0;
    let s = *nonce + challenge(&commitment, &point, parts) * *scalar;
    Signature(join(&commitment, s.as_bytes()))
}

/// Verifies a signature made the specification's way. The top bit of the last byte must be clear.
///
/// For several signatures by one key, prepare a [`VerifyingKey`].
pub fn verify(public: &PublicKey, parts: &[&[u8]], signature: &Signature) -> Result<(), SignatureError> {
    VerifyingKey::new(public)?.verify(parts, signature)
}

/// Verifies a signature whose last byte carries the sign of the public point in its top bit, as deployed Signal clients write it.
///
/// For several signatures by one key, prepare a [`VerifyingKey`].
pub fn verify_with_sign_bit(public: &PublicKey, parts: &[&[u8]], signature: &Signature) -> Result<(), SignatureError> {
    VerifyingKey::new(public)?.verify_with_sign_bit(parts, signature)
}

/// A public key converted to its Edwards point, which is a quarter of the work of a verification.
///
/// Both back ends verify with `curve25519-dalek`: an Ed25519 verification by AWS-LC would convert the point once more for each signature.
pub struct VerifyingKey {
    /// The point with sign bit 0, negated: verification subtracts.
    minus_point: EdwardsPoint,
    /// The point with sign bit 0, compressed.
    bytes: [u8; 32],
}

impl VerifyingKey {
    /// Converts `public`. A key on the twist has no Edwards point, and no signature under it is valid.
    pub fn new(public: &PublicKey) -> Result<Self, SignatureError> {
        let point = MontgomeryPoint(*public.as_bytes()).to_edwards(0).ok_or(SignatureError)?;
        Ok(Self { minus_point: -point, bytes: point.compress().0 })
    }

    /// Verifies a signature made the specification's way. The top bit of the last byte must be clear.
    pub fn verify(&self, parts: &[&[u8]], signature: &Signature) -> Result<(), SignatureError> {
        if signature.0[63] >> 7 != 0 {
            return Err(SignatureError);
        }
        self.verify_with_sign_bit(parts, signature)
    }

    /// Verifies a signature whose last byte carries the sign of the public point in its top bit.
    pub fn verify_with_sign_bit(&self, parts: &[&[u8]], signature: &Signature) -> Result<(), SignatureError> {
        let (commitment, mut s) = split(&signature.0);
        let sign = s[31] & 0x80;
        s[31] &= 0x7f;
        let s = Option::<Scalar>::from(Scalar::from_canonical_bytes(s)).ok_or(SignatureError)?;
        let mut point = self.bytes;
        point[31] |= sign;
        let minus_point = if sign == 0 { self.minus_point } else { -self.minus_point };
        let h = challenge(&commitment, &point, parts);
        let expected = EdwardsPoint::vartime_double_scalar_mul_basepoint(&h, &minus_point, &s);
        // Comparing bytes refuses every second spelling of R.
        if expected.compress().as_bytes() == &commitment { Ok(()) } else { Err(SignatureError) }
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "xeddsa::VerifyingKey({})", Hex(&self.bytes))
    }
}

fn challenge(commitment: &[u8; 32], point: &[u8; 32], parts: &[&[u8]]) -> Scalar {
    let mut hash = Sha512::new();
    hash.update(commitment);
    hash.update(point);
    parts.iter().for_each(|part| hash.update(part));
    Scalar::from_bytes_mod_order_wide(&hash.finish())
}

fn join(first: &[u8; 32], second: &[u8; 32]) -> [u8; SIGNATURE_LEN] {
    let mut out = [0; SIGNATURE_LEN];
    out[..32].copy_from_slice(first);
    out[32..].copy_from_slice(second);
    out
}

fn split(signature: &[u8; SIGNATURE_LEN]) -> ([u8; 32], [u8; 32]) {
    let (mut first, mut second) = ([0; 32], [0; 32]);
    first.copy_from_slice(&signature[..32]);
    second.copy_from_slice(&signature[32..]);
    (first, second)
}
