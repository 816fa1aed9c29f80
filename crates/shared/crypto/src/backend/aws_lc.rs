//! AWS-LC through `aws-lc-rs`: the default back end, about twice as fast as the portable one at X25519.
//!
//! AWS-LC reports failure for running out of memory or for wrong lengths. Lengths are fixed by the signatures here, so each `expect`
//! below can only speak of memory, where the rest of Rust aborts too.

use alloc::sync::Arc;
use alloc::vec::Vec;
use std::sync::OnceLock;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{self, UnparsedPublicKey, X25519};
use aws_lc_rs::cipher::{
    AES_256, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey, PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::digest;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::signature::{self, ED25519, Ed25519KeyPair, KeyPair};
use zeroize::Zeroize;

use crate::Secret;

const FIXED_LENGTH: &str = "AWS-LC accepts every input of the fixed length given here";

/// Incremental SHA-256.
#[derive(Clone)]
pub struct Sha256(digest::Context);

/// Incremental SHA-512.
#[derive(Clone)]
pub struct Sha512(digest::Context);

macro_rules! hash_impl {
    ($name:ident, $algorithm:ident, $length:literal) => {
        impl $name {
            /// An empty hash.
            #[must_use]
            #[allow(clippy::new_without_default)]
            pub fn new() -> Self {
                Self(digest::Context::new(&digest::$algorithm))
            }

            /// Absorbs `data`.
            pub fn update(&mut self, data: &[u8]) {
                self.0.update(data);
            }

            /// The digest of everything absorbed.
            #[must_use]
            pub fn finish(self) -> [u8; $length] {
                let mut out = [0; $length];
                out.copy_from_slice(self.0.finish().as_ref());
                out
            }

            /// The digest of one contiguous input, without a context on the heap.
            #[must_use]
            pub fn digest(data: &[u8]) -> [u8; $length] {
                let mut out = [0; $length];
                out.copy_from_slice(digest::digest(&digest::$algorithm, data).as_ref());
                out
            }
        }
    };
}
hash_impl!(Sha256, SHA256, 32);
hash_impl!(Sha512, SHA512, 64);

/// An X25519 private key.
///
/// AWS-LC computes the public key whenever it takes a private one, so the key is handed over on first use and once: duplicates share
/// what was made.
pub struct X25519Key(Arc<X25519Inner>);

struct X25519Inner {
    secret: Secret<32>,
    ready: OnceLock<agreement::PrivateKey>,
}

impl X25519Key {
    /// Takes a private key (clamped on use, RFC 7748).
    #[must_use]
    pub fn new(secret: Secret<32>) -> Self {
        Self(Arc::new(X25519Inner { secret, ready: OnceLock::new() }))
    }

    /// The bytes it was made from.
    #[must_use]
    pub fn secret(&self) -> &Secret<32> {
        &self.0.secret
    }

    /// A second handle.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    /// The u-coordinate of the public key.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        let mut public = [0; 32];
        public.copy_from_slice(self.ready().compute_public_key().expect(FIXED_LENGTH).as_ref());
        public
    }

    /// X25519 with the u-coordinate `their`; `None` when the result is all zeros.
    #[must_use]
    pub fn agree(&self, their: &[u8; 32]) -> Option<Secret<32>> {
        agreement::agree(self.ready(), UnparsedPublicKey::new(&X25519, their), (), |bytes| {
            Secret::from_slice(bytes).ok_or(())
        })
        .ok()
        .filter(|shared| !crate::ct_eq(shared.expose(), &[0; 32]))
    }

    fn ready(&self) -> &agreement::PrivateKey {
        self.0.ready.get_or_init(|| {
            agreement::PrivateKey::from_private_key(&X25519, self.0.secret.expose()).expect(FIXED_LENGTH)
        })
    }
}

/// An Ed25519 private key made ready for use.
pub struct Ed25519Key(Ed25519KeyPair);

impl Ed25519Key {
    /// Expands `seed` (RFC 8032, 5.1.5).
    #[must_use]
    pub fn new(seed: &[u8; 32]) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(seed).expect(FIXED_LENGTH))
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(self.0.public_key().as_ref());
        out
    }

    /// Signs `message`.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut out = [0; 64];
        out.copy_from_slice(self.0.sign(message).as_ref());
        out
    }
}

/// Verifies an Ed25519 signature: s below the group order, R compared by bytes, no cofactor.
#[must_use]
pub fn ed25519_verify(public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    signature::UnparsedPublicKey::new(&ED25519, public).verify(message, signature).is_ok()
}

/// Encrypts `buffer` in place with AES-256-GCM and appends the 16-byte tag.
pub fn aes256_gcm_seal(key: &[u8; 32], nonce: &[u8; 12], aad: &[u8], buffer: &mut Vec<u8>) {
    gcm_key(key)
        .seal_in_place_append_tag(Nonce::from(nonce), Aad::from(aad), buffer)
        .expect("a plaintext in memory is far below the 64 GiB limit of GCM");
}

/// Decrypts `buffer` (ciphertext and tag) in place and drops the tag; false, with `buffer` emptied, when it is not authentic.
#[must_use]
pub fn aes256_gcm_open(key: &[u8; 32], nonce: &[u8; 12], aad: &[u8], buffer: &mut Vec<u8>) -> bool {
    let opened =
        gcm_key(key).open_in_place(Nonce::from(nonce), Aad::from(aad), buffer).map(|plaintext| plaintext.len());
    buffer.truncate(opened.unwrap_or(0));
    opened.is_ok()
}

fn gcm_key(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect(FIXED_LENGTH))
}

/// Encrypts with AES-256-CBC and PKCS#7 padding.
#[must_use]
pub fn aes256_cbc_encrypt(key: &[u8; 32], iv: &[u8; 16], plaintext: &[u8]) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(plaintext.len() + 16);
    buffer.extend_from_slice(plaintext);
    let key = UnboundCipherKey::new(&AES_256, key).and_then(PaddedBlockEncryptingKey::cbc_pkcs7).expect(FIXED_LENGTH);
    key.less_safe_encrypt(&mut buffer, EncryptionContext::Iv128(FixedLength::from(iv)))
        .expect("CBC with a 16-byte IV encrypts any padded input");
    buffer
}

/// Decrypts AES-256-CBC and removes PKCS#7 padding; `None` when the length or the padding is wrong.
#[must_use]
pub fn aes256_cbc_decrypt(key: &[u8; 32], iv: &[u8; 16], ciphertext: &[u8]) -> Option<Vec<u8>> {
    if ciphertext.is_empty() || !ciphertext.len().is_multiple_of(16) {
        return None;
    }
    let mut buffer = ciphertext.to_vec();
    let key = UnboundCipherKey::new(&AES_256, key).and_then(PaddedBlockDecryptingKey::cbc_pkcs7).expect(FIXED_LENGTH);
    let length =
        key.decrypt(&mut buffer, DecryptionContext::Iv128(FixedLength::from(iv))).map(|plaintext| plaintext.len());
    if length.is_err() {
        // What is in it now was decrypted, only not padded.
        buffer.zeroize();
    }
    buffer.truncate(length.ok()?);
    Some(buffer)
}
