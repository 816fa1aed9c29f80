//! AES-256-CBC with PKCS#7 padding (NIST SP 800-38A, RFC 5652 6.3).
//!
//! The Signal message layout uses it under an HMAC. CBC alone authenticates nothing: check the MAC first, and never let a peer tell a
//! padding error from any other failure.

use alloc::vec::Vec;

use thiserror::Error;

use crate::backend::chosen;

/// Bytes of a block and of an IV.
pub const BLOCK_LEN: usize = 16;

/// The ciphertext is not whole blocks, or its padding is wrong. Which of the two is deliberately not said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the ciphertext does not decrypt to padded blocks")]
pub struct PaddingError;

impl PaddingError {
    /// A stable name for metrics and SDKs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "cbc_padding"
    }
}

/// Encrypts `plaintext`; the result is the next multiple of 16 bytes above its length.
#[must_use]
pub fn encrypt(key: &[u8; 32], iv: &[u8; BLOCK_LEN], plaintext: &[u8]) -> Vec<u8> {
    chosen::aes256_cbc_encrypt(key, iv, plaintext)
}

/// Decrypts `ciphertext` and removes the padding.
pub fn decrypt(key: &[u8; 32], iv: &[u8; BLOCK_LEN], ciphertext: &[u8]) -> Result<Vec<u8>, PaddingError> {
    chosen::aes256_cbc_decrypt(key, iv, ciphertext).ok_or(PaddingError)
}
