//! The two back ends give the same answer to every input, not only to the vectors'.

use proptest::prelude::*;
use rcseal_crypto::Secret;
use rcseal_crypto::backend::{aws_lc, portable};

fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..max)
}

proptest! {
    #[test]
    fn at_x25519(secret: [u8; 32], their: [u8; 32]) {
        let a = aws_lc::X25519Key::new(Secret::from_bytes(secret));
        let b = portable::X25519Key::new(Secret::from_bytes(secret));
        prop_assert_eq!(a.public(), b.public());
        // Any 32 bytes, on the curve or its twist, canonical or not.
        prop_assert_eq!(a.agree(&their).map(|s| *s.expose()), b.agree(&their).map(|s| *s.expose()));
    }

    #[test]
    fn at_ed25519(seed: [u8; 32], message in bytes(200), flip in 0usize..512) {
        let (a, b) = (aws_lc::Ed25519Key::new(&seed), portable::Ed25519Key::new(&seed));
        prop_assert_eq!(a.public(), b.public());
        let mut signature = a.sign(&message);
        prop_assert_eq!(signature, b.sign(&message));
        prop_assert!(portable::ed25519_verify(&a.public(), &message, &signature));
        signature[flip / 8] ^= 1 << (flip % 8);
        prop_assert!(!aws_lc::ed25519_verify(&a.public(), &message, &signature));
        prop_assert!(!portable::ed25519_verify(&a.public(), &message, &signature));
    }

    #[test]
    fn at_hashing(parts in proptest::collection::vec(bytes(200), 0..4)) {
        let (mut a, mut b) = (aws_lc::Sha256::new(), portable::Sha256::new());
        let (mut c, mut d) = (aws_lc::Sha512::new(), portable::Sha512::new());
        for part in &parts {
            a.update(part);
            b.update(part);
            c.update(part);
            d.update(part);
        }
        prop_assert_eq!(a.finish(), b.finish());
        prop_assert_eq!(c.finish(), d.finish());
    }

    #[test]
    fn at_gcm(key: [u8; 32], nonce: [u8; 12], aad in bytes(100), plaintext in bytes(300)) {
        let (mut a, mut b) = (plaintext.clone(), plaintext.clone());
        aws_lc::aes256_gcm_seal(&key, &nonce, &aad, &mut a);
        portable::aes256_gcm_seal(&key, &nonce, &aad, &mut b);
        prop_assert_eq!(&a, &b);
        prop_assert!(portable::aes256_gcm_open(&key, &nonce, &aad, &mut a));
        prop_assert!(aws_lc::aes256_gcm_open(&key, &nonce, &aad, &mut b));
        prop_assert_eq!(&a, &plaintext);
        prop_assert_eq!(&b, &plaintext);
    }

    #[test]
    fn at_cbc(key: [u8; 32], iv: [u8; 16], plaintext in bytes(300), noise in bytes(80)) {
        let sealed = aws_lc::aes256_cbc_encrypt(&key, &iv, &plaintext);
        prop_assert_eq!(&sealed, &portable::aes256_cbc_encrypt(&key, &iv, &plaintext));
        let opened = portable::aes256_cbc_decrypt(&key, &iv, &sealed);
        prop_assert_eq!(opened.as_ref(), Some(&plaintext));
        prop_assert_eq!(aws_lc::aes256_cbc_decrypt(&key, &iv, &sealed), opened);
        // Noise rarely ends in good padding; both must agree on when it does.
        prop_assert_eq!(
            aws_lc::aes256_cbc_decrypt(&key, &iv, &noise),
            portable::aes256_cbc_decrypt(&key, &iv, &noise)
        );
    }
}
