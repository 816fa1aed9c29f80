//! A point of low order or a second spelling of a point is refused wherever a key comes in: it would make an agreement
//! predictable.

use rcseal_crypto::x25519::KeyError;
use rcseal_signal::*;

use crate::support::*;

/// The known encodings of low order on the curve and its twist, and encodings at and above the prime.
fn hostile() -> Vec<([u8; 32], KeyError)> {
    let hex = |text: &str| <[u8; 32]>::try_from(hex::decode(text).unwrap()).unwrap();
    let mut out = Vec::new();
    for low in [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ] {
        out.push((hex(low), KeyError::LowOrder));
        let mut high_bit = hex(low);
        high_bit[31] |= 0x80;
        out.push((high_bit, KeyError::NonCanonical));
    }
    for above in [
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    ] {
        out.push((hex(above), KeyError::NonCanonical));
    }
    let mut spelled_twice = [0; 32];
    spelled_twice[0] = 9;
    spelled_twice[31] = 0x80;
    out.push((spelled_twice, KeyError::NonCanonical));
    out
}

#[test]
fn in_an_identity_key_and_in_every_key_of_a_bundle() {
    for (bytes, error) in hostile() {
        assert_eq!(IdentityKey::from_bytes(&bytes).unwrap_err(), error);
        let refused = SignedPreKeyPublic::from_parts(1, &bytes, &[0; 64]).unwrap_err();
        assert!(matches!(refused, BundleError::EcKey { field: "signed prekey", source } if source == error));
        let refused = OneTimePreKeyPublic::from_parts(1, &bytes).unwrap_err();
        assert!(matches!(refused, BundleError::EcKey { field: "one-time prekey", source } if source == error));
    }
}

#[test]
fn in_base_and_identity_key_of_a_prekey_message() {
    let mut pair = Pair::accepted(Profile::Native, 1);
    let message = pair.alice.send(&mut pair.rng, b"text");
    for (bytes, error) in hostile() {
        let encoded = [&[0x41][..], &bytes].concat();
        let forged = tamper_prekey(&message, |proto| proto.base_key = Some(encoded.clone()));
        let refused = PreKeyMessage::parse(&forged).unwrap_err();
        assert!(matches!(refused, ParseError::EcKey { field: 2, source } if source == error));
        let forged = tamper_prekey(&message, |proto| proto.identity = Some(encoded));
        let refused = PreKeyMessage::parse(&forged).unwrap_err();
        assert!(matches!(refused, ParseError::EcKey { field: 3, source } if source == error));
    }
}

#[test]
fn in_the_ratchet_key_of_a_message() {
    let mut pair = Pair::established(Profile::Native, 2);
    let message = pair.alice.send(&mut pair.rng, b"text");
    let before = pair.bob.record();
    for (bytes, error) in hostile() {
        let forged = tamper(Profile::Native, &message, |proto| {
            proto.ratchet_key = Some([&[0x41][..], &bytes].concat());
        });
        let refused = pair.bob.receive(&forged).unwrap_err();
        assert!(matches!(refused, DecryptError::Parse(ParseError::EcKey { field: 1, source }) if source == error));
    }
    assert_eq!(pair.bob.record(), before);
    assert_eq!(pair.bob.receive(&message).unwrap(), b"text");
}
