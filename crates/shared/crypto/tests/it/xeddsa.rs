//! XEdDSA in both sign-bit conventions, and everything that must not verify.

use rcseal_crypto::x25519::{PublicKey, SecretKey};
use rcseal_crypto::xeddsa::{Signature, SignatureError, VerifyingKey, sign, verify, verify_with_sign_bit};
use serde::Deserialize;

use crate::fixture::{Chosen, Hex, cases, rng};
use crate::vectors::add_group_order;

#[derive(Deserialize)]
struct Case {
    secret: Hex,
    public: Hex,
    message: Hex,
    random: Hex,
    sign_bit: u8,
    signature: Hex,
    signature_with_sign_bit: Hex,
}

#[test]
fn signing_the_specifications_way_meets_the_vectors() {
    for case in cases::<Case>("xeddsa") {
        let secret = SecretKey::from_bytes(case.secret.array());
        let public = PublicKey::from_bytes(&case.public.array()).unwrap();
        assert_eq!(secret.public_key(), public);
        let message = case.message.0.as_slice();
        let signature = sign(&secret, &[message], &mut Chosen(case.random.0.clone()));
        assert_eq!(signature, Signature(case.signature.array()));
        let (front, back) = message.split_at(message.len() / 2);
        assert_eq!(sign(&secret, &[front, back], &mut Chosen(case.random.0)), signature);
        assert_eq!(verify(&public, &[front, back], &signature), Ok(()));
        assert_eq!(verify_with_sign_bit(&public, &[message], &signature), Ok(()));
    }
}

#[test]
fn signatures_of_deployed_clients_verify_with_their_sign_bit_only() {
    let cases = cases::<Case>("xeddsa");
    assert!(cases.iter().any(|case| case.sign_bit == 1) && cases.iter().any(|case| case.sign_bit == 0));
    for case in cases {
        let public = PublicKey::from_bytes(&case.public.array()).unwrap();
        let signature = Signature(case.signature_with_sign_bit.array());
        assert_eq!(signature.0[63] >> 7, case.sign_bit);
        assert_eq!(verify_with_sign_bit(&public, &[&case.message.0], &signature), Ok(()));
        let strict = if case.sign_bit == 0 { Ok(()) } else { Err(SignatureError) };
        assert_eq!(verify(&public, &[&case.message.0], &signature), strict);
        // The bit says which point is meant, so it cannot be toggled.
        let mut toggled = signature;
        toggled.0[63] ^= 0x80;
        assert_eq!(verify_with_sign_bit(&public, &[&case.message.0], &toggled), Err(SignatureError));
    }
}

#[test]
fn a_prepared_key_verifies_what_the_key_verifies() {
    for case in cases::<Case>("xeddsa") {
        let public = PublicKey::from_bytes(&case.public.array()).unwrap();
        let prepared = VerifyingKey::new(&public).unwrap();
        let message: [&[u8]; 1] = [&case.message.0];
        // Several signatures by one prepared key, of both conventions and in any order.
        for bytes in [&case.signature, &case.signature_with_sign_bit, &case.signature] {
            let signature = Signature(bytes.array());
            assert_eq!(prepared.verify(&message, &signature), verify(&public, &message, &signature));
            assert_eq!(prepared.verify_with_sign_bit(&message, &signature), Ok(()));
            assert_eq!(prepared.verify_with_sign_bit(&[b"other"], &signature), Err(SignatureError));
        }
        assert!(format!("{prepared:?}").starts_with("xeddsa::VerifyingKey("));
    }
}

#[test]
fn xeddsa_malleability() {
    let mut rng = rng(3);
    let secret = SecretKey::generate(&mut rng);
    let public = secret.public_key();
    let message: [&[u8]; 1] = [b"prekey"];
    let signature = sign(&secret, &message, &mut rng);
    for bit in 0..512 {
        let mut flipped = signature;
        flipped.0[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(verify(&public, &message, &flipped), Err(SignatureError), "bit {bit}");
        assert_eq!(verify_with_sign_bit(&public, &message, &flipped), Err(SignatureError), "bit {bit}");
    }
    let mut unreduced = signature;
    add_group_order(&mut unreduced.0);
    assert_eq!(verify(&public, &message, &unreduced), Err(SignatureError));
    assert_eq!(verify_with_sign_bit(&public, &message, &unreduced), Err(SignatureError));
    let mut zero_s = signature;
    zero_s.0[32..].fill(0);
    assert_eq!(verify(&public, &message, &zero_s), Err(SignatureError));
    assert_eq!(verify(&public, &[b"prekez"], &signature), Err(SignatureError));
    let other = SecretKey::generate(&mut rng).public_key();
    assert_eq!(verify(&other, &message, &signature), Err(SignatureError));
}

#[test]
fn a_point_of_the_twist_verifies_nothing() {
    // Half of all u are on the twist, where there is no Edwards point; X25519 takes them, a signature check does not.
    let on_twist = (2..50u8)
        .filter_map(|u| {
            let mut bytes = [0; 32];
            bytes[0] = u;
            PublicKey::from_bytes(&bytes).ok()
        })
        .filter(|key| curve25519_dalek::MontgomeryPoint(*key.as_bytes()).to_edwards(0).is_none());
    let mut seen = 0;
    for key in on_twist {
        assert_eq!(verify(&key, &[b""], &Signature([0; 64])), Err(SignatureError));
        assert_eq!(verify_with_sign_bit(&key, &[b""], &Signature([0; 64])), Err(SignatureError));
        seen += 1;
    }
    assert!(seen > 10);
}

#[test]
fn two_signatures_of_one_message_differ_in_their_nonce() {
    let mut rng = rng(4);
    let secret = SecretKey::generate(&mut rng);
    assert_ne!(sign(&secret, &[b"m"], &mut rng).0[..32], sign(&secret, &[b"m"], &mut rng).0[..32]);
}
