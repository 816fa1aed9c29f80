//! Sealing to a key in a hardware security module (`docs/protocol/server-encryption.md`).
//!
//! HPKE base mode (RFC 9180), single shot: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. The curve is the one that modules agree keys
//! on (`CKM_ECDH1_DERIVE`); nothing that goes from device to device uses it, and it withstands no quantum computer. Whoever seals does all of it
//! here ([`seal`]). Whoever opens has the module do the one step with the private key, and does the rest here ([`open_with_shared`]). Needs the
//! AWS-LC back end.

use alloc::vec::Vec;

use aws_lc_rs::agreement::{self, ECDH_P256, ParsedPublicKey, PrivateKey, UnparsedPublicKey};
use rand_core::CryptoRng;
use thiserror::Error;

use crate::hpke::Suite;
use crate::{Secret, aead};

/// Bytes of a public key and of an encapsulation: an uncompressed point (SEC 1, 2.3.3).
pub const PUBLIC_KEY_LEN: usize = 65;
/// Bytes by which a sealed message is longer than its plaintext: encapsulation and tag.
pub const SEAL_OVERHEAD: usize = PUBLIC_KEY_LEN + aead::TAG_LEN;

/// "HPKE", KEM DHKEM(P-256) 0x0010, KDF HKDF-SHA256 0x0001, AEAD AES-256-GCM 0x0002.
const SUITE: Suite<'static> = Suite(b"HPKE\x00\x10\x00\x01\x00\x02");
/// The KEM alone.
const KEM: Suite<'static> = Suite(b"KEM\x00\x10");
/// How an uncompressed point begins.
const UNCOMPRESSED: u8 = 4;

/// Why bytes are not a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Not [`PUBLIC_KEY_LEN`] bytes, or not an uncompressed point.
    #[error("not an uncompressed P-256 point")]
    Form,
    /// Not a point of the curve, or the one at infinity.
    #[error("not a point of P-256")]
    NotOnCurve,
}

/// Why a sealed message was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OpenError {
    /// Shorter than [`SEAL_OVERHEAD`].
    #[error("a sealed message has at least {SEAL_OVERHEAD} bytes, got {actual}")]
    TooShort {
        /// The length given.
        actual: usize,
    },
    /// The encapsulation is no public key.
    #[error("the encapsulation is invalid")]
    Encapsulation(#[source] KeyError),
    /// Sealed to another key, with other info or associated data, or altered.
    #[error("the sealed message is not authentic")]
    NotAuthentic,
}

impl OpenError {
    /// A stable name for metrics and SDKs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooShort { .. } => "seal_too_short",
            Self::Encapsulation(_) => "seal_encapsulation",
            Self::NotAuthentic => "seal_not_authentic",
        }
    }
}

/// A point of P-256 that is not the one at infinity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; PUBLIC_KEY_LEN]);

impl PublicKey {
    /// Parses an uncompressed point and checks that it is on the curve.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let key: [u8; PUBLIC_KEY_LEN] = bytes.try_into().map_err(|_| KeyError::Form)?;
        if key[0] != UNCOMPRESSED {
            return Err(KeyError::Form);
        }
        let parsed = ParsedPublicKey::try_from(UnparsedPublicKey::new(&ECDH_P256, &key));
        parsed.map(|_| Self(key)).map_err(|_| KeyError::NotOnCurve)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; PUBLIC_KEY_LEN] {
        &self.0
    }
}

/// Seals `plaintext` to `recipient`: encapsulation, ciphertext, tag. `info` names the purpose, `aad` travels beside the message.
#[must_use]
pub fn seal(
    rng: &mut (impl CryptoRng + ?Sized),
    recipient: &PublicKey,
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
) -> Vec<u8> {
    let ephemeral = ephemeral(rng);
    let encapsulation = ephemeral.compute_public_key().expect("a private key of AWS-LC's has a public half");
    let dh = agree(&ephemeral, recipient).expect("both keys are on the curve, whose order is prime");
    let message = SUITE.key_schedule(&shared_secret(&dh, encapsulation.as_ref(), recipient), info);
    let ciphertext = aead::seal(&message.key, message.nonce.expose(), aad, plaintext);
    let mut sealed = Vec::with_capacity(SEAL_OVERHEAD + plaintext.len());
    sealed.extend_from_slice(encapsulation.as_ref());
    sealed.extend_from_slice(&ciphertext);
    sealed
}

/// A message that was sealed, taken apart: its encapsulation is a point of the curve, so that it may be handed to a module.
#[derive(Debug, Clone, Copy)]
pub struct Sealed<'a> {
    encapsulation: PublicKey,
    ciphertext: &'a [u8],
}

impl<'a> Sealed<'a> {
    /// Takes a sealed message apart.
    pub fn parse(sealed: &'a [u8]) -> Result<Self, OpenError> {
        if sealed.len() < SEAL_OVERHEAD {
            return Err(OpenError::TooShort { actual: sealed.len() });
        }
        let (encapsulation, ciphertext) = sealed.split_at(PUBLIC_KEY_LEN);
        let encapsulation = PublicKey::from_bytes(encapsulation).map_err(OpenError::Encapsulation)?;
        Ok(Self { encapsulation, ciphertext })
    }

    /// The sender's half of the agreement.
    #[must_use]
    pub const fn encapsulation(&self) -> &PublicKey {
        &self.encapsulation
    }
}

/// Opens a message with `dh`: the x-coordinate that the holder of `recipient`'s private key agrees on with the encapsulation.
pub fn open_with_shared(
    dh: &Secret<32>,
    sealed: &Sealed<'_>,
    recipient: &PublicKey,
    info: &[u8],
    aad: &[u8],
) -> Result<Vec<u8>, OpenError> {
    let message = SUITE.key_schedule(&shared_secret(dh, sealed.encapsulation.as_bytes(), recipient), info);
    aead::open(&message.key, message.nonce.expose(), aad, sealed.ciphertext).map_err(|_| OpenError::NotAuthentic)
}

/// The recipient's step in software, for tests and for machines without a module: `None` where `private` is no private key.
#[must_use]
pub fn agree_in_software(private: &Secret<32>, encapsulation: &PublicKey) -> Option<Secret<32>> {
    agree(&PrivateKey::from_private_key(&ECDH_P256, private.expose()).ok()?, encapsulation)
}

/// The public half of a private key in software: `None` where `private` is no private key.
#[must_use]
pub fn public_in_software(private: &Secret<32>) -> Option<PublicKey> {
    let private = PrivateKey::from_private_key(&ECDH_P256, private.expose()).ok()?;
    PublicKey::from_bytes(private.compute_public_key().ok()?.as_ref()).ok()
}

fn shared_secret(dh: &Secret<32>, encapsulation: &[u8], recipient: &PublicKey) -> Secret<32> {
    KEM.extract_and_expand(dh, [encapsulation, recipient.as_bytes()])
}

/// A private key drawn from `rng`. One draw in four thousand million is above the group's order and drawn again.
fn ephemeral(rng: &mut (impl CryptoRng + ?Sized)) -> PrivateKey {
    loop {
        let candidate = Secret::<32>::generate(rng);
        if let Ok(key) = PrivateKey::from_private_key(&ECDH_P256, candidate.expose()) {
            return key;
        }
    }
}

fn agree(private: &PrivateKey, public: &PublicKey) -> Option<Secret<32>> {
    let public = UnparsedPublicKey::new(&ECDH_P256, public.as_bytes());
    agreement::agree(private, public, (), |x| Secret::from_slice(x).ok_or(())).ok()
}
