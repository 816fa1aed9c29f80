//! Sealing: anonymous public-key encryption of one message to one device (`docs/protocol/sealing.md`).
//!
//! HPKE base mode (RFC 9180), single shot, over X-Wing, HKDF-SHA256 and AES-256-GCM. It hides the content from everybody without the
//! secret key and says nothing about the sender: who wrote the message is proven inside. It is used for the first message to a device,
//! never for a ratchet's messages.

use alloc::vec::Vec;

use rand_core::CryptoRng;
use thiserror::Error;

use crate::{aead, hpke};

pub use crate::xwing::{
    ENCAPSULATION_LEN, Encapsulation, KeyError, PUBLIC_KEY_LEN, SEED_LEN, SealingPublicKey, SealingSecretKey,
};

/// Bytes by which a sealed message is longer than its plaintext: encapsulation and tag.
pub const SEAL_OVERHEAD: usize = ENCAPSULATION_LEN + aead::TAG_LEN;

/// Why a sealed message was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OpenError {
    /// Shorter than [`SEAL_OVERHEAD`].
    #[error("a sealed message has at least {SEAL_OVERHEAD} bytes, got {actual}")]
    TooShort {
        /// The length given.
        actual: usize,
    },
    /// The encapsulation is not well formed.
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

/// Seals `plaintext` to `recipient`: encapsulation, ciphertext, tag. `info` names the purpose, `aad` travels beside the message.
#[must_use]
pub fn seal(
    rng: &mut (impl CryptoRng + ?Sized),
    recipient: &SealingPublicKey,
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
) -> Vec<u8> {
    let (encapsulation, shared) = recipient.encapsulate(rng);
    let message = hpke::XWING.key_schedule(&shared, info);
    let ciphertext = aead::seal(&message.key, message.nonce.expose(), aad, plaintext);
    let mut sealed = Vec::with_capacity(ENCAPSULATION_LEN + ciphertext.len());
    sealed.extend_from_slice(&encapsulation.to_bytes());
    sealed.extend_from_slice(&ciphertext);
    sealed
}

impl SealingSecretKey {
    /// Opens a message sealed to this key with the same `info` and `aad`.
    pub fn open(&self, info: &[u8], aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
        if sealed.len() < SEAL_OVERHEAD {
            return Err(OpenError::TooShort { actual: sealed.len() });
        }
        let (encapsulation, ciphertext) = sealed.split_at(ENCAPSULATION_LEN);
        let encapsulation = Encapsulation::from_bytes(encapsulation).map_err(OpenError::Encapsulation)?;
        let shared = self.decapsulate(&encapsulation).map_err(OpenError::Encapsulation)?;
        let message = hpke::XWING.key_schedule(&shared, info);
        aead::open(&message.key, message.nonce.expose(), aad, ciphertext).map_err(|_| OpenError::NotAuthentic)
    }
}
