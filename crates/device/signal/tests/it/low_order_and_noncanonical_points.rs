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
        // The rest of the twelve in the usual list: low-order points with p or 2p added.
        "cdeb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b880",
        "4c9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f11d7",
        "d9ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "daffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "dbffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
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
        for profile in PROFILES {
            let encoded = [&[ec_type(*profile)][..], &bytes].concat();
            for refused in [
                IdentityKey::from_encoded(*profile, &encoded).map(|_| ()),
                SignedPreKeyPublic::from_encoded(*profile, 1, &encoded, &[0; 64]).map(|_| ()),
                OneTimePreKeyPublic::from_encoded(*profile, 1, &encoded).map(|_| ()),
            ] {
                assert!(matches!(refused.unwrap_err(), BundleError::EcKey { source, .. } if source == error));
            }
        }
    }
}

#[test]
fn in_base_and_identity_key_of_a_prekey_message() {
    for profile in PROFILES {
        let mut pair = Pair::accepted(*profile, 1);
        let message = pair.alice.send(&mut pair.rng, b"text");
        for (bytes, error) in hostile() {
            let encoded = [&[ec_type(*profile)][..], &bytes].concat();
            let forged = tamper_prekey(&message, |proto| proto.base_key = Some(encoded.clone()));
            let refused = PreKeyMessage::parse(&forged).unwrap_err();
            assert!(matches!(refused, ParseError::EcKey { field: 2, source } if source == error));
            let forged = tamper_prekey(&message, |proto| proto.identity = Some(encoded));
            let refused = PreKeyMessage::parse(&forged).unwrap_err();
            assert!(matches!(refused, ParseError::EcKey { field: 3, source } if source == error));
        }
    }
}

#[test]
fn in_the_ratchet_key_of_a_message() {
    for profile in PROFILES {
        for wrapped in [false, true] {
            let mut pair = if wrapped { Pair::accepted(*profile, 2) } else { Pair::established(*profile, 2) };
            let message = pair.alice.send(&mut pair.rng, b"text");
            for (bytes, error) in hostile() {
                let forged = tamper_any(*profile, &message, |proto| {
                    proto.ratchet_key = Some([&[ec_type(*profile)][..], &bytes].concat());
                });
                let refused = pair.bob.refuses(&forged);
                let expected =
                    |found: &ParseError| matches!(found, ParseError::EcKey { field: 1, source } if *source == error);
                assert!(matches!(&refused, DecryptError::Parse(found) if expected(found)), "{refused:?}");
            }
            assert_eq!(pair.bob.receive(&message).unwrap(), b"text");
        }
    }
}

#[test]
fn in_a_stored_session() {
    for profile in PROFILES {
        let pair = Pair::established(*profile, 3);
        let record = pair.bob.record();
        // Behind version, profile, role, pending flag, step and the addresses: two identity keys and the base key.
        let first = 12 + 2 * Address::LEN;
        for (bytes, _) in hostile() {
            for (at, field) in [(0, "our identity key"), (32, "their identity key"), (64, "base key")] {
                let mut damaged = record.clone();
                damaged[first + at..first + at + 32].copy_from_slice(&bytes);
                assert_eq!(Session::from_record(&damaged).map(|_| ()).unwrap_err(), RecordError::Field { field });
            }
        }
    }
}

#[test]
fn a_one_time_prekey_with_torsion_makes_no_native_session() {
    // No signature covers the one-time prekey, and the sum with the point of order 2 agrees alike: the transcript tells them apart.
    let mut rng = rng(4);
    let (alice, bob) = (Device::new(&mut rng, Profile::Native, 1), Device::new(&mut rng, Profile::Native, 2));
    let mut bundle = bob.bundle(true);
    let genuine = bob.one_time.public();
    let twin = crate::replay_everywhere::inverse(genuine.key.as_bytes());
    bundle.one_time = Some(OneTimePreKeyPublic::from_parts(genuine.id, &twin).unwrap());
    let verified = bundle.verify(Profile::Native).unwrap();
    let session =
        Session::initiate(&mut rng, Profile::Native, &alice.identity, alice.address, bob.peer(), verified).unwrap();
    let first = session.encrypt(&mut rng, b"text").unwrap().output;
    assert!(matches!(bob.accept(&alice, &first, true).unwrap_err(), DecryptError::BadMac));
}

#[test]
fn a_ratchet_key_with_torsion_does_not_authenticate() {
    for profile in PROFILES {
        let mut pair = Pair::established(*profile, 5);
        let message = pair.bob.send(&mut pair.rng, b"turn");
        let twin = tamper(*profile, &message, |proto| {
            let key = proto.ratchet_key.take().unwrap();
            let inverse = crate::replay_everywhere::inverse(&key[1..].try_into().unwrap());
            proto.ratchet_key = Some([&key[..1], &inverse].concat());
        });
        assert!(matches!(pair.alice.refuses(&twin), DecryptError::BadMac));
        assert_eq!(pair.alice.receive(&message).unwrap(), b"turn");
    }
}
