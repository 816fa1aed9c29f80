//! HMAC and HKDF against published vectors and against the other back end's library.

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

#[cfg(feature = "aws-lc")]
proptest! {
    #[test]
    fn hmac_is_the_other_librarys(key in bytes(200), parts in proptest::collection::vec(bytes(200), 0..5)) {
        use aws_lc_rs::hmac;
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let other = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), &parts.concat());
        let tag = hmac_sha256(&key, &parts);
        prop_assert_eq!(tag.as_slice(), other.as_ref());
    }

    #[test]
    fn hkdf_is_the_other_librarys(salt in bytes(100), ikm in bytes(200), first in bytes(50), second in bytes(50)) {
        use aws_lc_rs::hkdf;
        let okm = hkdf_sha256::<300>(&salt, &ikm, &[&first, &second]);
        let mut other = [0; 300];
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, &salt).extract(&ikm);
        prk.expand(&[&first, &second], Length(300)).unwrap().fill(&mut other).unwrap();
        prop_assert_eq!(okm.expose(), &other);
    }
}

proptest! {
    #[test]
    fn a_salt_of_zeros_is_a_salt(ikm in bytes(200), info in bytes(50)) {
        prop_assert!(zero_salt::<300>(&ikm, &[&info]).ct_eq(&hkdf_sha256(&[0; 32], &ikm, &[&info])));
    }
}

/// How AWS-LC is told a length.
#[cfg(feature = "aws-lc")]
struct Length(usize);

#[cfg(feature = "aws-lc")]
impl aws_lc_rs::hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}
