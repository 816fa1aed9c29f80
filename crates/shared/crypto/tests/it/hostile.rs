//! Arbitrary bytes at every parser: a value or a typed error, never a panic.

use proptest::prelude::*;
use rcseal_crypto::seal::{Encapsulation, SealingPublicKey, SealingSecretKey};
use rcseal_crypto::xeddsa::{Signature, verify, verify_with_sign_bit};
use rcseal_crypto::{Secret, aead, cbc, ed25519, mlkem768, mlkem1024, x25519};

fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..max)
}

proptest! {
    #[test]
    fn keys(bytes in bytes(1_700)) {
        let _ = mlkem768::PublicKey::from_bytes(&bytes);
        let _ = mlkem768::Ciphertext::from_bytes(&bytes);
        let _ = mlkem1024::PublicKey::from_bytes(&bytes);
        let _ = mlkem1024::Ciphertext::from_bytes(&bytes);
        let _ = SealingPublicKey::from_bytes(&bytes);
        let _ = Encapsulation::from_bytes(&bytes);
    }

    #[test]
    fn points_have_one_spelling(bytes: [u8; 32]) {
        if let Ok(key) = x25519::PublicKey::from_bytes(&bytes) {
            prop_assert_eq!(key.as_bytes(), &bytes);
            // No checked key makes an agreement of zeros.
            prop_assert!(x25519::SecretKey::from_bytes([1; 32]).diffie_hellman(&key).is_ok());
        }
        if let Ok(key) = ed25519::VerifyingKey::from_bytes(&bytes) {
            prop_assert_eq!(key.as_bytes(), &bytes);
        }
    }

    #[test]
    fn signatures(public: [u8; 32], front: [u8; 32], back: [u8; 32], message in bytes(100)) {
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&front);
        signature[32..].copy_from_slice(&back);
        if let Ok(key) = x25519::PublicKey::from_bytes(&public) {
            prop_assert!(verify(&key, &[&message], &Signature(signature)).is_err());
            prop_assert!(verify_with_sign_bit(&key, &[&message], &Signature(signature)).is_err());
        }
        if let Ok(key) = ed25519::VerifyingKey::from_bytes(&public) {
            prop_assert!(key.verify(&[&message], &ed25519::Signature(signature)).is_err());
        }
    }

    #[test]
    fn ciphertexts(bytes in bytes(1_300), aad in bytes(20)) {
        let secret = SealingSecretKey::from_seed([1; 32]);
        prop_assert!(secret.open(b"info", &aad, &bytes).is_err());
        prop_assert!(aead::open(&Secret::from_bytes([1; 32]), &[0; 12], &aad, &bytes).is_err());
        let _ = cbc::decrypt(&[1; 32], &[0; 16], &bytes);
    }
}
