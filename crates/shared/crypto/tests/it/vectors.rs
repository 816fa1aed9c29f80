//! Every published vector, on every back end that is compiled in.

use rcseal_crypto::Secret;
use serde::Deserialize;

use crate::fixture::{Hex, cases, load};

#[derive(Deserialize)]
struct ScalarMultiplication {
    scalar: Hex,
    u: Hex,
    result: Hex,
}

#[derive(Deserialize)]
struct Iterated {
    start: Hex,
    once: Hex,
    thousand: Hex,
}

#[derive(Deserialize)]
struct Agreement {
    our_secret: Hex,
    our_public: Hex,
    their_secret: Hex,
    their_public: Hex,
    shared: Hex,
}

#[derive(Deserialize)]
struct X25519File {
    scalar_multiplication: Vec<ScalarMultiplication>,
    iterated: Iterated,
    diffie_hellman: Vec<Agreement>,
}

#[derive(Deserialize)]
struct LowOrder {
    u: Hex,
    raw_zero: bool,
}

#[derive(Deserialize)]
struct LowOrderFile {
    low_order: Vec<LowOrder>,
}

#[derive(Deserialize)]
struct Ed25519Case {
    seed: Hex,
    public: Hex,
    message: Hex,
    signature: Hex,
}

#[derive(Deserialize)]
struct Ed25519File {
    signatures: Vec<Ed25519Case>,
}

#[derive(Deserialize)]
struct HashCase {
    message: Hex,
    sha256: Hex,
    sha512: Hex,
    sha3_256: Hex,
}

#[derive(Deserialize)]
struct HashFile {
    messages: Vec<HashCase>,
}

#[derive(Deserialize)]
struct GcmCase {
    key: Hex,
    nonce: Hex,
    aad: Hex,
    plaintext: Hex,
    sealed: Hex,
}

#[derive(Deserialize)]
struct CbcCase {
    key: Hex,
    iv: Hex,
    plaintext: Hex,
    ciphertext: Hex,
}

#[derive(Deserialize)]
struct BadCbcCase {
    key: Hex,
    iv: Hex,
    ciphertext: Hex,
}

#[derive(Deserialize)]
struct CbcFile {
    cases: Vec<CbcCase>,
    bad_padding: Vec<BadCbcCase>,
}

/// 2^252 + 27742317777372353535851937790883648493, little-endian: adding it to s gives a second spelling of a signature.
pub(crate) const GROUP_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// Adds the group order to the s half of a signature.
pub(crate) fn add_group_order(signature: &mut [u8; 64]) {
    let mut carry = 0u16;
    for (byte, order) in signature[32..].iter_mut().zip(GROUP_ORDER) {
        carry += u16::from(*byte) + u16::from(order);
        *byte = carry as u8;
        carry >>= 8;
    }
    assert_eq!(carry, 0);
}

macro_rules! back_end {
    ($feature:literal, $name:ident) => {
        #[cfg(feature = $feature)]
        mod $name {
            use rcseal_crypto::backend::$name as back_end;

            use super::*;

            #[test]
            fn x25519() {
                let file: X25519File = load("x25519");
                for case in &file.scalar_multiplication {
                    let key = back_end::X25519Key::new(Secret::from_bytes(case.scalar.array()));
                    assert_eq!(key.agree(&case.u.array()).unwrap().expose(), &case.result.array());
                }
                for case in &file.diffie_hellman {
                    let ours = back_end::X25519Key::new(Secret::from_bytes(case.our_secret.array()));
                    let theirs = back_end::X25519Key::new(Secret::from_bytes(case.their_secret.array()));
                    assert_eq!(ours.public(), case.our_public.array());
                    assert_eq!(theirs.public(), case.their_public.array());
                    assert_eq!(ours.agree(&theirs.public()).unwrap().expose(), &case.shared.array());
                    assert_eq!(theirs.agree(&ours.public()).unwrap().expose(), &case.shared.array());
                }
            }

            #[test]
            fn x25519_iterated() {
                let iterated = load::<X25519File>("x25519").iterated;
                let (mut k, mut u) = (iterated.start.array(), iterated.start.array());
                for round in 1..=1_000 {
                    let next = *back_end::X25519Key::new(Secret::from_bytes(k)).agree(&u).unwrap().expose();
                    (k, u) = (next, k);
                    if round == 1 {
                        assert_eq!(k, iterated.once.array());
                    }
                }
                assert_eq!(k, iterated.thousand.array());
            }

            #[test]
            fn x25519_of_low_order_gives_nothing() {
                let key = back_end::X25519Key::new(Secret::from_bytes([7; 32]));
                for case in load::<LowOrderFile>("x25519_low_order").low_order {
                    assert_eq!(key.agree(&case.u.array()).is_none(), case.raw_zero, "{:?}", case.u);
                }
            }

            #[test]
            fn ed25519() {
                for case in load::<Ed25519File>("ed25519").signatures {
                    let key = back_end::Ed25519Key::new(&case.seed.array());
                    let (public, mut signature) = (case.public.array(), case.signature.array());
                    assert_eq!(key.public(), public);
                    assert_eq!(key.sign(&case.message.0), signature);
                    assert!(back_end::ed25519_verify(&public, &case.message.0, &signature));
                    assert!(!back_end::ed25519_verify(&public, b"another message", &signature));
                    add_group_order(&mut signature);
                    assert!(!back_end::ed25519_verify(&public, &case.message.0, &signature));
                }
            }

            #[test]
            fn hashes() {
                for case in load::<HashFile>("hash").messages {
                    let message = case.message.0.as_slice();
                    assert_eq!(back_end::Sha256::digest(message), case.sha256.array());
                    assert_eq!(back_end::Sha512::digest(message), case.sha512.array());
                    let (mut sha256, mut sha512) = (back_end::Sha256::new(), back_end::Sha512::new());
                    for chunk in message.chunks(7) {
                        sha256.update(chunk);
                        sha512.update(chunk);
                    }
                    assert_eq!(sha256.finish(), case.sha256.array());
                    assert_eq!(sha512.finish(), case.sha512.array());
                }
            }

            #[test]
            fn aes256_gcm() {
                for case in cases::<GcmCase>("aes256_gcm") {
                    let (key, nonce) = (case.key.array(), case.nonce.array());
                    let mut buffer = case.plaintext.0.clone();
                    back_end::aes256_gcm_seal(&key, &nonce, &case.aad.0, &mut buffer);
                    assert_eq!(buffer, case.sealed.0);
                    assert!(back_end::aes256_gcm_open(&key, &nonce, &case.aad.0, &mut buffer));
                    assert_eq!(buffer, case.plaintext.0);
                    for index in 0..case.sealed.0.len() {
                        let mut changed = case.sealed.0.clone();
                        changed[index] ^= 1;
                        assert!(!back_end::aes256_gcm_open(&key, &nonce, &case.aad.0, &mut changed));
                        assert!(changed.is_empty());
                    }
                    let mut short = vec![0; 15];
                    assert!(!back_end::aes256_gcm_open(&key, &nonce, &case.aad.0, &mut short));
                }
            }

            #[test]
            fn aes256_cbc() {
                let file: CbcFile = load("aes256_cbc_pkcs7");
                for case in &file.cases {
                    let (key, iv) = (case.key.array(), case.iv.array());
                    assert_eq!(back_end::aes256_cbc_encrypt(&key, &iv, &case.plaintext.0), case.ciphertext.0);
                    let plaintext = back_end::aes256_cbc_decrypt(&key, &iv, &case.ciphertext.0);
                    assert_eq!(plaintext.as_ref(), Some(&case.plaintext.0));
                }
                for case in &file.bad_padding {
                    let plaintext =
                        back_end::aes256_cbc_decrypt(&case.key.array(), &case.iv.array(), &case.ciphertext.0);
                    assert_eq!(plaintext, None, "{:?}", case.ciphertext);
                }
            }
        }
    };
}

back_end!("aws-lc", aws_lc);
back_end!("portable", portable);

#[test]
fn sha3_256() {
    for case in load::<HashFile>("hash").messages {
        let (front, back) = case.message.0.split_at(case.message.0.len() / 2);
        assert_eq!(rcseal_crypto::hash::sha3_256(&[front, back]), case.sha3_256.array());
    }
}
