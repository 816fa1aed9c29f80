//! Sealing to a P-256 key against the vectors of RFC 9180, and what is refused.

use proptest::prelude::*;
use rcseal_crypto::Secret;
use rcseal_crypto::hpke_p256::{
    KeyError, OpenError, PUBLIC_KEY_LEN, PublicKey, SEAL_OVERHEAD, Sealed, agree_in_software, open_with_shared,
    public_in_software, seal,
};
use serde::Deserialize;

use crate::fixture::{Chosen, Hex, cases, rng};

#[derive(Deserialize)]
#[allow(non_snake_case)]
struct Case {
    info: Hex,
    skRm: Hex,
    skEm: Hex,
    pkRm: Hex,
    aad: Hex,
    enc: Hex,
    plaintext: Hex,
    ciphertext: Hex,
}

#[test]
fn the_vectors_of_rfc_9180_are_met_both_ways() {
    let cases = cases::<Case>("hpke_p256");
    assert!(!cases.is_empty());
    for case in cases {
        let recipient = PublicKey::from_bytes(&case.pkRm.0).unwrap();
        let private = Secret::from_bytes(case.skRm.array());
        assert_eq!(public_in_software(&private), Some(recipient));
        let sealed = seal(&mut Chosen(case.skEm.0.clone()), &recipient, &case.info.0, &case.aad.0, &case.plaintext.0);
        assert_eq!(sealed, [&case.enc.0[..], &case.ciphertext.0].concat());
        let parsed = Sealed::parse(&sealed).unwrap();
        let dh = agree_in_software(&private, parsed.encapsulation()).unwrap();
        let opened = open_with_shared(&dh, &parsed, &recipient, &case.info.0, &case.aad.0);
        assert_eq!(opened, Ok(case.plaintext.0));
    }
}

fn key(n: u8) -> (Secret<32>, PublicKey) {
    let private = Secret::from_bytes([n; 32]);
    let public = public_in_software(&private).unwrap();
    (private, public)
}

#[test]
fn another_key_info_or_associated_data_opens_nothing() {
    let (private, public) = key(1);
    let (other_private, other) = key(2);
    let sealed = seal(&mut rng(1), &public, b"info", b"aad", b"words");
    let sealed = Sealed::parse(&sealed).unwrap();
    let dh = agree_in_software(&private, sealed.encapsulation()).unwrap();
    assert_eq!(open_with_shared(&dh, &sealed, &public, b"info", b"aad"), Ok(b"words".to_vec()));
    let wrong = agree_in_software(&other_private, sealed.encapsulation()).unwrap();
    for (dh, public, info, aad) in [
        (&wrong, &public, b"info", b"aad"),
        (&dh, &other, b"info", b"aad"),
        (&dh, &public, b"inf0", b"aad"),
        (&dh, &public, b"info", b"aax"),
    ] {
        assert_eq!(open_with_shared(dh, &sealed, public, info, aad), Err(OpenError::NotAuthentic));
    }
}

#[test]
fn points_off_the_curve_and_other_forms_are_no_keys() {
    let (_, public) = key(1);
    let mut off = *public.as_bytes();
    off[PUBLIC_KEY_LEN - 1] ^= 1;
    assert_eq!(PublicKey::from_bytes(&off), Err(KeyError::NotOnCurve));
    assert_eq!(PublicKey::from_bytes(&[&[4][..], &[0; 64]].concat()), Err(KeyError::NotOnCurve));
    let mut compressed = public.as_bytes()[..33].to_vec();
    compressed[0] = 2;
    assert_eq!(PublicKey::from_bytes(&compressed), Err(KeyError::Form));
    assert_eq!(PublicKey::from_bytes(&[0]), Err(KeyError::Form));
    let mut sealed = seal(&mut rng(1), &public, b"", b"", b"");
    assert_eq!(sealed.len(), SEAL_OVERHEAD);
    sealed[5] ^= 1;
    assert!(matches!(Sealed::parse(&sealed), Err(OpenError::Encapsulation(KeyError::NotOnCurve))));
}

proptest! {
    #[test]
    fn any_bytes_are_a_sealed_message_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(sealed) = Sealed::parse(&bytes) {
            let (private, public) = key(3);
            let dh = agree_in_software(&private, sealed.encapsulation()).unwrap();
            prop_assert_eq!(open_with_shared(&dh, &sealed, &public, b"", b""), Err(OpenError::NotAuthentic));
        }
        let _ = PublicKey::from_bytes(&bytes);
    }
}
