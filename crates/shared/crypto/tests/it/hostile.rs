//! Arbitrary bytes at every parser: a value or a typed error, never a panic.

use proptest::prelude::*;
use rcseal_crypto::mlkem768::split;
use rcseal_crypto::seal::{Encapsulation, SealingPublicKey, SealingSecretKey};
use rcseal_crypto::xeddsa::{Signature, verify, verify_with_sign_bit};
use rcseal_crypto::{Secret, aead, cbc, ed25519, mlkem768, mlkem1024, x25519};

fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..max)
}

fn bytes_of<const N: usize>() -> impl Strategy<Value = [u8; N]> {
    proptest::collection::vec(any::<u8>(), N).prop_map(|bytes| bytes.try_into().unwrap())
}

proptest! {
    #[test]
    fn keys(bytes in bytes(1_700)) {
        let _ = mlkem768::PublicKey::from_bytes(&bytes);
        let _ = mlkem768::Ciphertext::from_bytes(&bytes);
        let _ = mlkem1024::PublicKey::from_bytes(&bytes);
        let _ = mlkem1024::Ciphertext::from_bytes(&bytes);
        #[cfg(feature = "kyber")]
        {
            let _ = rcseal_crypto::kyber1024::PublicKey::from_bytes(&bytes);
            let _ = rcseal_crypto::kyber1024::Ciphertext::from_bytes(&bytes);
        }
        let _ = SealingPublicKey::from_bytes(&bytes);
        let _ = Encapsulation::from_bytes(&bytes);
    }

    #[test]
    fn pieces(header in bytes_of::<64>(), vector in bytes_of::<1152>(), ct1 in bytes_of::<960>(), ct2 in bytes_of::<128>()) {
        // No 1,152 bytes drawn at random hash to 32 others.
        let halves = split::Encapsulation::begin(&header, &Secret::from_bytes([1; 32]));
        prop_assert_eq!(halves.finish(&vector), Err(split::VectorError::NotOfHeader));
        let _ = split::KeyPair::from_seed(&Secret::from_bytes([2; 64])).decapsulate(&ct1, &ct2);
    }

    #[test]
    fn points_have_one_spelling(bytes: [u8; 32]) {
        if let Ok(key) = x25519::PublicKey::from_bytes(&bytes) {
            prop_assert_eq!(key.as_bytes(), &bytes);
            let _ = key.is_torsion_free();
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
