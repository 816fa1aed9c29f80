//! Secrets print nothing, compare in constant time and have no second way in.

use rcseal_crypto::seal::SealingSecretKey;
use rcseal_crypto::{Secret, ct_eq, ed25519, mlkem768, mlkem1024, x25519};

use crate::fixture::rng;

#[test]
fn debug_prints_the_type_and_nothing_else() {
    let mut rng = rng(1);
    assert_eq!(format!("{:?}", Secret::<32>::generate(&mut rng)), "Secret<32>");
    assert_eq!(format!("{:#?}", Secret::<64>::generate(&mut rng)), "Secret<64>");
    assert_eq!(format!("{:?}", x25519::SecretKey::generate(&mut rng)), "x25519::SecretKey");
    assert_eq!(format!("{:?}", ed25519::SigningKey::generate(&mut rng)), "ed25519::SigningKey");
    assert_eq!(format!("{:?}", mlkem768::SecretKey::generate(&mut rng)), "mlkem768::SecretKey");
    assert_eq!(format!("{:?}", mlkem1024::SecretKey::generate(&mut rng)), "mlkem1024::SecretKey");
    assert_eq!(format!("{:?}", SealingSecretKey::generate(&mut rng)), "SealingSecretKey");
    let pair = x25519::KeyPair::from_secret(x25519::SecretKey::from_bytes([1; 32]));
    assert_eq!(
        format!("{pair:?}"),
        "KeyPair { secret: x25519::SecretKey, public: x25519::PublicKey(a4e09292b651c278b9772c569f5fa9bb13d906b46ab68c9df9dc2b4409f8a209) }"
    );
}

#[test]
fn secrets_compare_and_duplicate_explicitly() {
    let secret = Secret::from_bytes([7; 32]);
    assert!(secret.ct_eq(&secret.duplicate()));
    assert!(!secret.ct_eq(&Secret::from_bytes([8; 32])));
    assert!(Secret::<32>::from_slice(&[7; 32]).unwrap().ct_eq(&secret));
    assert!(Secret::<32>::from_slice(&[7; 31]).is_none());
    assert!(Secret::<32>::from_slice(&[7; 33]).is_none());
}

#[test]
fn comparison_is_of_whole_strings() {
    assert!(ct_eq(b"", b""));
    assert!(ct_eq(b"abc", b"abc"));
    assert!(!ct_eq(b"abc", b"abd"));
    assert!(!ct_eq(b"abc", b"ab"));
}
