//! The pure-Rust back end: `curve25519-dalek`, `ed25519-dalek` and RustCrypto. No C compiler, any target, wasm included.

use alloc::vec::Vec;

use aes::Aes256;
use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{AeadInOut, KeyInit};
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use curve25519_dalek::montgomery::MontgomeryPoint;
use ed25519_dalek::{Signer, Verifier};
use sha2::Digest;
use zeroize::Zeroizing;

use crate::Secret;

/// Incremental SHA-256.
#[derive(Clone)]
pub struct Sha256(sha2::Sha256);

/// Incremental SHA-512.
#[derive(Clone)]
pub struct Sha512(sha2::Sha512);

macro_rules! hash_impl {
    ($name:ident, $inner:ty, $length:literal) => {
        impl $name {
            /// An empty hash.
            #[must_use]
            #[allow(clippy::new_without_default)]
            pub fn new() -> Self {
                Self(<$inner>::new())
            }

            /// Absorbs `data`.
            pub fn update(&mut self, data: &[u8]) {
                self.0.update(data);
            }

            /// The digest of everything absorbed.
            #[must_use]
            pub fn finish(self) -> [u8; $length] {
                self.0.finalize().into()
            }

            /// The digest of one contiguous input.
            #[must_use]
            pub fn digest(data: &[u8]) -> [u8; $length] {
                <$inner>::digest(data).into()
            }
        }
    };
}
hash_impl!(Sha256, sha2::Sha256, 32);
hash_impl!(Sha512, sha2::Sha512, 64);

/// An X25519 private key.
pub struct X25519Key(Secret<32>);

impl X25519Key {
    /// Takes a private key (clamped on use, RFC 7748).
    #[must_use]
    pub fn new(secret: Secret<32>) -> Self {
        Self(secret)
    }

    /// The bytes it was made from.
    #[must_use]
    pub fn secret(&self) -> &Secret<32> {
        &self.0
    }

    /// A second copy.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(self.0.duplicate())
    }

    /// The u-coordinate of the public key.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        MontgomeryPoint::mul_base_clamped(*self.0.expose()).0
    }

    /// X25519 with the u-coordinate `their`; `None` when the result is all zeros.
    #[must_use]
    pub fn agree(&self, their: &[u8; 32]) -> Option<Secret<32>> {
        let shared = Secret::from_bytes(MontgomeryPoint(*their).mul_clamped(*self.0.expose()).0);
        (!crate::ct_eq(shared.expose(), &[0; 32])).then_some(shared)
    }
}

/// An Ed25519 private key made ready for use.
pub struct Ed25519Key(ed25519_dalek::SigningKey);

impl Ed25519Key {
    /// Expands `seed` (RFC 8032, 5.1.5).
    #[must_use]
    pub fn new(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// Signs `message`.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

/// Verifies an Ed25519 signature: s below the group order, R compared by bytes, no cofactor.
#[must_use]
pub fn ed25519_verify(public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    ed25519_dalek::VerifyingKey::from_bytes(public)
        .is_ok_and(|key| key.verify(message, &ed25519_dalek::Signature::from_bytes(signature)).is_ok())
}

/// Encrypts `buffer` in place with AES-256-GCM and appends the 16-byte tag.
pub fn aes256_gcm_seal(key: &[u8; 32], nonce: &[u8; 12], aad: &[u8], buffer: &mut Vec<u8>) {
    Aes256Gcm::new(key.into())
        .encrypt_in_place(nonce.into(), aad, buffer)
        .expect("a plaintext in memory is far below the 64 GiB limit of GCM");
}

/// Decrypts `buffer` (ciphertext and tag) in place and drops the tag; false, with `buffer` emptied, when it is not authentic.
#[must_use]
pub fn aes256_gcm_open(key: &[u8; 32], nonce: &[u8; 12], aad: &[u8], buffer: &mut Vec<u8>) -> bool {
    let opened = Aes256Gcm::new(key.into()).decrypt_in_place(nonce.into(), aad, buffer).is_ok();
    if !opened {
        buffer.clear();
    }
    opened
}

/// Encrypts with AES-256-CBC and PKCS#7 padding.
#[must_use]
pub fn aes256_cbc_encrypt(key: &[u8; 32], iv: &[u8; 16], plaintext: &[u8]) -> Vec<u8> {
    cbc::Encryptor::<Aes256>::new(key.into(), iv.into()).encrypt_padded_vec::<Pkcs7>(plaintext)
}

/// Decrypts AES-256-CBC and removes PKCS#7 padding; `None` when the length or the padding is wrong.
#[must_use]
pub fn aes256_cbc_decrypt(key: &[u8; 32], iv: &[u8; 16], ciphertext: &[u8]) -> Option<Vec<u8>> {
    // On a padding error the library drops a buffer of plaintext; decrypting into our own lets it be erased.
    let mut buffer = Zeroizing::new(ciphertext.to_vec());
    let length = cbc::Decryptor::<Aes256>::new(key.into(), iv.into()).decrypt_padded::<Pkcs7>(&mut buffer).ok()?.len();
    Some(buffer[..length].to_vec())
}
