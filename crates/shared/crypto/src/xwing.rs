//! X-Wing (draft-connolly-cfrg-xwing-kem): X25519 and ML-KEM-768 combined into one KEM.
//!
//! Sealing uses it (`docs/protocol/sealing.md`); it is public so that vectors can reach the KEM itself. Breaking a shared secret needs
//! both halves broken. One difference from the draft, on the strict side: an X25519 half that is not canonical or is of low order is
//! refused when it is parsed, where the draft computes on.

use alloc::boxed::Box;
use core::fmt;

use rand_core::CryptoRng;
use thiserror::Error;

use crate::Secret;
use crate::{hash, mlkem768, x25519};

/// Bytes of a public key: ML-KEM-768, then X25519.
pub const PUBLIC_KEY_LEN: usize = mlkem768::PUBLIC_KEY_LEN + x25519::KEY_LEN;
/// Bytes of an encapsulation: ML-KEM-768 ciphertext, then the ephemeral X25519 key.
pub const ENCAPSULATION_LEN: usize = mlkem768::CIPHERTEXT_LEN + x25519::KEY_LEN;
/// Bytes of a secret key, which is a seed.
pub const SEED_LEN: usize = 32;

/// The draft's label, a drawing of an X-wing.
const LABEL: &[u8] = br"\.//^\";

/// Why the bytes of a public key or of an encapsulation were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Not the fixed length.
    #[error("expected {expected} bytes, got {actual}")]
    Length {
        /// The fixed length.
        expected: usize,
        /// The length given.
        actual: usize,
    },
    /// The ML-KEM-768 half was refused.
    #[error("the ML-KEM-768 half is invalid")]
    MlKem(#[source] mlkem768::KeyError),
    /// The X25519 half was refused.
    #[error("the X25519 half is invalid")]
    X25519(#[source] x25519::KeyError),
}

impl KeyError {
    /// A stable name for metrics and SDKs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Length { .. } => "xwing_length",
            Self::MlKem(cause) => cause.code(),
            Self::X25519(cause) => cause.code(),
        }
    }
}

/// Splits `bytes` into its ML-KEM part of `first` bytes and a checked X25519 key.
fn split(bytes: &[u8], first: usize) -> Result<(&[u8], x25519::PublicKey), KeyError> {
    let length = KeyError::Length { expected: first + x25519::KEY_LEN, actual: bytes.len() };
    let (mlkem, x25519) = bytes.split_at_checked(first).ok_or(length)?;
    let x25519 = x25519.try_into().map_err(|_| length)?;
    Ok((mlkem, x25519::PublicKey::from_bytes(x25519).map_err(KeyError::X25519)?))
}

fn join<const N: usize>(mlkem: &[u8], x25519: &x25519::PublicKey) -> [u8; N] {
    let mut out = [0; N];
    out[..N - x25519::KEY_LEN].copy_from_slice(mlkem);
    out[N - x25519::KEY_LEN..].copy_from_slice(x25519.as_bytes());
    out
}

/// A device's public sealing key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SealingPublicKey {
    mlkem: mlkem768::PublicKey,
    x25519: x25519::PublicKey,
    bytes: Box<[u8; PUBLIC_KEY_LEN]>,
}

impl SealingPublicKey {
    /// Checks the length and both halves.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let (mlkem, x25519) = split(bytes, mlkem768::PUBLIC_KEY_LEN)?;
        let mlkem = mlkem768::PublicKey::from_bytes(mlkem).map_err(KeyError::MlKem)?;
        Ok(Self::from_halves(mlkem, x25519))
    }

    fn from_halves(mlkem: mlkem768::PublicKey, x25519: x25519::PublicKey) -> Self {
        let bytes = Box::new(join(mlkem.as_bytes(), &x25519));
        Self { mlkem, x25519, bytes }
    }

    /// The encoded key, 1,216 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; PUBLIC_KEY_LEN] {
        &self.bytes
    }

    /// Draws 64 bytes (32 for ML-KEM, then 32 for the ephemeral key) and encapsulates a fresh shared secret.
    #[must_use]
    pub fn encapsulate(&self, rng: &mut (impl CryptoRng + ?Sized)) -> (Encapsulation, Secret<32>) {
        let (ciphertext, shared_mlkem) = self.mlkem.encapsulate(rng);
        // A checked key and a clamped scalar cannot agree on zero, so the loop runs once; drawing again keeps that from being a panic.
        let (ephemeral, shared_x25519) = loop {
            let ephemeral = x25519::SecretKey::generate(rng);
            if let Ok(shared) = ephemeral.diffie_hellman(&self.x25519) {
                break (ephemeral.public_key(), shared);
            }
        };
        let shared = combine(&shared_mlkem, &shared_x25519, &ephemeral, &self.x25519);
        let encapsulation = Encapsulation { mlkem: ciphertext, x25519: ephemeral };
        (encapsulation, shared)
    }
}

impl fmt::Debug for SealingPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingPublicKey({}..)", x25519::Hex(&self.bytes[..8]))
    }
}

/// A device's secret sealing key, stored as a 32-byte seed.
pub struct SealingSecretKey {
    seed: Secret<SEED_LEN>,
    mlkem: mlkem768::SecretKey,
    x25519: x25519::SecretKey,
}

impl SealingSecretKey {
    /// Draws a new seed.
    #[must_use]
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self::from_secret(Secret::generate(rng))
    }

    /// Rebuilds a key from its stored seed.
    #[must_use]
    pub fn from_seed(seed: [u8; SEED_LEN]) -> Self {
        Self::from_secret(Secret::from_bytes(seed))
    }

    fn from_secret(seed: Secret<SEED_LEN>) -> Self {
        let expanded = hash::shake256::<96>(seed.expose());
        let (mut mlkem, mut x25519) = (Secret::<64>::zeroed(), Secret::<32>::zeroed());
        mlkem.expose_mut().copy_from_slice(&expanded.expose()[..64]);
        x25519.expose_mut().copy_from_slice(&expanded.expose()[64..]);
        Self { seed, mlkem: mlkem768::SecretKey::from_secret(mlkem), x25519: x25519::SecretKey::from_secret(x25519) }
    }

    /// The stored form.
    #[must_use]
    pub fn seed(&self) -> &[u8; SEED_LEN] {
        self.seed.expose()
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> SealingPublicKey {
        SealingPublicKey::from_halves(self.mlkem.public_key().clone(), self.x25519.public_key())
    }

    /// The shared secret of an encapsulation. A wrong ML-KEM half gives an unrelated secret, not an error.
    pub fn decapsulate(&self, encapsulation: &Encapsulation) -> Result<Secret<32>, KeyError> {
        let shared_mlkem = self.mlkem.decapsulate(&encapsulation.mlkem);
        let shared_x25519 = self.x25519.diffie_hellman(&encapsulation.x25519).map_err(KeyError::X25519)?;
        let public = self.x25519.public_key();
        Ok(combine(&shared_mlkem, &shared_x25519, &encapsulation.x25519, &public))
    }
}

impl fmt::Debug for SealingSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingSecretKey")
    }
}

/// What the sender transmits so that the receiver can derive the same secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encapsulation {
    mlkem: mlkem768::Ciphertext,
    x25519: x25519::PublicKey,
}

impl Encapsulation {
    /// Checks the length and the X25519 half.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let (mlkem, x25519) = split(bytes, mlkem768::CIPHERTEXT_LEN)?;
        let mlkem = mlkem768::Ciphertext::from_bytes(mlkem).map_err(KeyError::MlKem)?;
        Ok(Self { mlkem, x25519 })
    }

    /// The encoded encapsulation, 1,120 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; ENCAPSULATION_LEN] {
        join(self.mlkem.as_bytes(), &self.x25519)
    }
}

/// The draft's combiner: SHA3-256 over both secrets, the X25519 transcript and the label. ML-KEM binds its own ciphertext.
fn combine(
    mlkem: &Secret<32>,
    x25519: &Secret<32>,
    ephemeral: &x25519::PublicKey,
    recipient: &x25519::PublicKey,
) -> Secret<32> {
    Secret::from_bytes(hash::sha3_256(&[
        mlkem.expose(),
        x25519.expose(),
        ephemeral.as_bytes(),
        recipient.as_bytes(),
        LABEL,
    ]))
}
