//! AES-256-GCM (NIST SP 800-38D) with 12-byte nonces and 16-byte tags.
//!
//! Nothing here chooses a nonce. Every caller derives key and nonce together for one use, or counts.

use alloc::vec::Vec;

use thiserror::Error;

use crate::Secret;
use crate::backend::chosen;

/// Bytes of a nonce.
pub const NONCE_LEN: usize = 12;
/// Bytes by which a ciphertext is longer than its plaintext.
pub const TAG_LEN: usize = 16;

/// Why a ciphertext was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OpenError {
    /// The tag does not fit key, nonce, associated data and ciphertext, or there is no room for a tag.
    #[error("the ciphertext is not authentic")]
    NotAuthentic,
}

impl OpenError {
    /// A stable name for metrics and SDKs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAuthentic => "aead_not_authentic",
        }
    }
}

/// Encrypts `plaintext` and appends the tag.
#[must_use]
pub fn seal(key: &Secret<32>, nonce: &[u8; NONCE_LEN], aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(plaintext.len() + TAG_LEN);
    buffer.extend_from_slice(plaintext);
    seal_in_place(key, nonce, aad, &mut buffer);
    buffer
}

/// Encrypts `buffer` in place and appends the tag. With 16 spare bytes of capacity nothing is allocated.
pub fn seal_in_place(key: &Secret<32>, nonce: &[u8; NONCE_LEN], aad: &[u8], buffer: &mut Vec<u8>) {
    chosen::aes256_gcm_seal(key.expose(), nonce, aad, buffer);
}

/// Decrypts and authenticates `sealed` (ciphertext and tag).
pub fn open(key: &Secret<32>, nonce: &[u8; NONCE_LEN], aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
    let mut buffer = sealed.to_vec();
    open_in_place(key, nonce, aad, &mut buffer)?;
    Ok(buffer)
}

/// Decrypts and authenticates `buffer` in place and drops the tag. On error `buffer` is left empty.
pub fn open_in_place(
    key: &Secret<32>,
    nonce: &[u8; NONCE_LEN],
    aad: &[u8],
    buffer: &mut Vec<u8>,
) -> Result<(), OpenError> {
    if chosen::aes256_gcm_open(key.expose(), nonce, aad, buffer) { Ok(()) } else { Err(OpenError::NotAuthentic) }
}
