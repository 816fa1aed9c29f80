//! The typed symmetric API: parts, truncation, errors.

use rcseal_crypto::aead::{self, OpenError};
use rcseal_crypto::cbc::{self, PaddingError};
use rcseal_crypto::hash::{Sha256, sha256, sha512};
use rcseal_crypto::hmac::{hmac_sha256, verify_hmac_sha256, verify_truncated};
use rcseal_crypto::{Secret, hkdf};

#[test]
fn parts_are_hashed_as_their_concatenation() {
    assert_eq!(sha256(&[b"a", b"", b"bc"]), sha256(&[b"abc"]));
    assert_eq!(sha512(&[b"a", b"", b"bc"]), sha512(&[b"abc"]));
    assert_eq!(sha256(&[]), sha256(&[b""]));
    let mut incremental = Sha256::new();
    incremental.update(b"ab");
    incremental.update(b"c");
    assert_eq!(incremental.finish(), sha256(&[b"abc"]));
    assert_eq!(hmac_sha256(b"key", &[b"a", b"bc"]), hmac_sha256(b"key", &[b"abc"]));
    let (whole, parts) = (
        hkdf::expand::<80>(&hkdf::extract(b"s", &[b"ikm"]), &[b"info"]),
        hkdf::hkdf_sha256::<80>(b"s", b"ikm", &[b"in", b"fo"]),
    );
    assert!(whole.ct_eq(&parts));
}

#[test]
fn hkdf_yields_up_to_255_blocks() {
    let prk = hkdf::extract(b"", &[b"ikm"]);
    let longest = hkdf::expand::<8160>(&prk, &[b"info"]);
    assert_eq!(longest.expose()[..32], *hkdf::expand::<32>(&prk, &[b"info"]).expose());
    assert_ne!(longest.expose()[8128..], longest.expose()[8096..8128]);
}

#[test]
fn a_truncated_tag_has_8_to_32_bytes() {
    let tag = hmac_sha256(b"key", &[b"message"]);
    for length in 0..=32 {
        let accepted = verify_truncated(b"key", &[b"message"], &tag[..length]);
        assert_eq!(accepted, length >= 8, "{length}");
    }
    assert!(!verify_truncated(b"key", &[b"message"], &[tag.as_slice(), &[0]].concat()));
    assert!(!verify_truncated(b"key", &[b"messagf"], &tag[..8]));
    assert!(verify_hmac_sha256(b"key", &[b"message"], &tag));
    assert!(!verify_hmac_sha256(b"key", &[b"message"], &tag[..31]));
    assert!(!verify_hmac_sha256(b"kez", &[b"message"], &tag));
}

#[test]
fn what_is_sealed_opens_with_the_same_key_nonce_and_aad_only() {
    let (key, nonce) = (Secret::from_bytes([1; 32]), [2; 12]);
    let sealed = aead::seal(&key, &nonce, b"aad", b"plaintext");
    assert_eq!(sealed.len(), 9 + aead::TAG_LEN);
    assert_eq!(aead::open(&key, &nonce, b"aad", &sealed).unwrap(), b"plaintext");
    let mut in_place = b"plaintext".to_vec();
    aead::seal_in_place(&key, &nonce, b"aad", &mut in_place);
    assert_eq!(in_place, sealed);
    assert_eq!(aead::open_in_place(&key, &nonce, b"aad", &mut in_place), Ok(()));
    assert_eq!(in_place, b"plaintext");
    let wrong = Err(OpenError::NotAuthentic);
    assert_eq!(aead::open(&Secret::from_bytes([3; 32]), &nonce, b"aad", &sealed), wrong);
    assert_eq!(aead::open(&key, &[3; 12], b"aad", &sealed), wrong);
    assert_eq!(aead::open(&key, &nonce, b"", &sealed), wrong);
    assert_eq!(aead::open(&key, &nonce, b"aad", &[]), wrong);
}

#[test]
fn padding_errors_are_one_error() {
    let (key, iv) = ([1; 32], [2; 16]);
    assert_eq!(cbc::decrypt(&key, &iv, &cbc::encrypt(&key, &iv, b"text")).unwrap(), b"text");
    assert_eq!(cbc::decrypt(&key, &iv, &[]), Err(PaddingError));
    assert_eq!(cbc::decrypt(&key, &iv, &[0; 15]), Err(PaddingError));
    assert_eq!(cbc::decrypt(&[9; 32], &iv, &cbc::encrypt(&key, &iv, b"text")), Err(PaddingError));
}
