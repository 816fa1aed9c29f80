//! HMAC and HKDF against published vectors and against the implementations of two libraries.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use proptest::prelude::*;
use rcseal_crypto::Secret;
use rcseal_crypto::hkdf::{expand, extract, hkdf_sha256, zero_salt};
use rcseal_crypto::hmac::{Key, hmac_sha256};
use serde::Deserialize;

use crate::fixture::{Hex, cases};

#[derive(Deserialize)]
struct HmacCase {
    key: Hex,
    data: Hex,
    mac: Hex,
}

#[derive(Deserialize)]
struct HkdfCase {
    ikm: Hex,
    salt: Hex,
    info: Hex,
    prk: Hex,
    okm: Hex,
}

#[test]
fn hmac_meets_the_vectors() {
    for case in cases::<HmacCase>("hmac_sha256") {
        let (front, back) = case.data.0.split_at(case.data.0.len() / 3);
        assert_eq!(hmac_sha256(&case.key.0, &[&case.data.0]), case.mac.array());
        assert_eq!(Key::new(&case.key.0).mac(&[front, &[], back]), case.mac.array());
    }
}

#[test]
fn hkdf_meets_the_vectors() {
    for case in cases::<HkdfCase>("hkdf_sha256") {
        let (front, back) = case.ikm.0.split_at(5);
        let prk = extract(&case.salt.0, &[front, back]);
        assert_eq!(prk.expose(), &case.prk.array());
        let okm: Secret<100> = expand(&prk, &[&case.info.0]);
        assert_eq!(okm.expose()[..case.okm.0.len()], case.okm.0);
    }
}

/// The lengths around which SHA-256 begins another block.
#[test]
fn every_length_up_to_four_blocks_agrees_with_the_library() {
    let (key, data) = ([0x5a; 32], [0xc3; 260]);
    for length in 0..data.len() {
        let mut library = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
        library.update(&data[..length]);
        let expected: [u8; 32] = library.finalize().into_bytes().into();
        assert_eq!(hmac_sha256(&key, &[&data[..length]]), expected, "{length}");
        let (front, back) = data[..length].split_at(length / 2);
        assert_eq!(hmac_sha256(&key, &[front, back]), expected, "{length}");
    }
}

#[test]
fn the_first_block_of_hkdf_does_not_depend_on_the_length() {
    let (short, long) = (zero_salt::<32>(&[7; 32], &[b"info"]), zero_salt::<64>(&[7; 32], &[b"info"]));
    assert_eq!(short.expose(), &long.expose()[..32]);
}

#[test]
fn a_key_is_not_printed() {
    assert_eq!(format!("{:?}", Key::new(&[7; 32])), "hmac::Key");
}

fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..max)
}

proptest! {
    #[test]
    fn hmac_is_the_libraries(key in bytes(200), parts in proptest::collection::vec(bytes(200), 0..5)) {
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let tag = hmac_sha256(&key, &parts);
        let mut library = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
        library.update(&parts.concat());
        let expected: [u8; 32] = library.finalize().into_bytes().into();
        prop_assert_eq!(tag, expected);
        #[cfg(feature = "aws-lc")]
        {
            use aws_lc_rs::hmac;
            let aws_lc = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), &parts.concat());
            prop_assert_eq!(tag.as_slice(), aws_lc.as_ref());
        }
    }

    #[test]
    fn hkdf_is_the_library_s(salt in bytes(100), ikm in bytes(200), first in bytes(50), second in bytes(50)) {
        let okm = hkdf_sha256::<300>(&salt, &ikm, &[&first, &second]);
        let mut library = [0; 300];
        Hkdf::<sha2::Sha256>::new(Some(&salt), &ikm).expand_multi_info(&[&first, &second], &mut library).unwrap();
        prop_assert_eq!(okm.expose(), &library);
        prop_assert!(zero_salt::<300>(&ikm, &[&first]).ct_eq(&hkdf_sha256(&[0; 32], &ikm, &[&first])));
    }
}
