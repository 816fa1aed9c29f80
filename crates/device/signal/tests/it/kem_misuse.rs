//! The post-quantum half: a wrong ciphertext or key ends in the one error that every forgery ends in, and malformed
//! ones never get in.

use rcseal_crypto::mlkem1024;
use rcseal_signal::*;

use crate::support::*;

fn first_message(profile: Profile, seed: u64) -> (Device, Device, Vec<u8>) {
    let mut rng = rng(seed);
    let (alice, bob) = (Device::new(&mut rng, profile, 1), Device::new(&mut rng, profile, 2));
    let first = alice.initiate(&mut rng, &bob, true).encrypt(&mut rng, b"hello").unwrap().output;
    (alice, bob, first)
}

/// The type bytes of a KEM key and of a ciphertext.
fn kem_types(profile: Profile) -> (u8, u8) {
    match profile {
        Profile::Native => (0x42, 0x43),
        Profile::SignalV4 => (0x08, 0x08),
    }
}

fn accept_with(bob: &Device, alice: &Device, message: &[u8], kem: &KemPreKey) -> DecryptError {
    let message = PreKeyMessage::parse(message).unwrap();
    let keys = ResponderKeys { kem, ..bob.keys(true) };
    let accepting = Session::accept(bob.profile, &bob.identity, bob.address, alice.peer(), message, keys).unwrap();
    accepting.decrypt_first().unwrap_err()
}

#[test]
fn implicit_rejection_is_a_bad_mac() {
    for profile in PROFILES {
        let (alice, bob, first) = first_message(*profile, 1);
        // Of the first part, of the second, and of the last byte: no place gives another answer.
        for at in [1, 700, 1408, 1500, 1568] {
            let broken = tamper_prekey(&first, |proto| proto.kem_ciphertext.as_mut().unwrap()[at] ^= 1);
            assert!(matches!(bob.accept(&alice, &broken, true).unwrap_err(), DecryptError::BadMac), "byte {at}");
        }
        let broken = tamper_prekey(&first, |proto| proto.kem_ciphertext.as_mut().unwrap()[1..].fill(0xFF));
        assert!(matches!(bob.accept(&alice, &broken, true).unwrap_err(), DecryptError::BadMac));
        let broken = tamper_prekey(&first, |proto| {
            let inner = proto.message.as_mut().unwrap();
            let last = inner.len() - 1;
            inner[last] ^= 1;
        });
        assert!(matches!(bob.accept(&alice, &broken, true).unwrap_err(), DecryptError::BadMac));
        assert_eq!(bob.accept(&alice, &first, true).unwrap().plaintext, b"hello");
    }
}

#[test]
fn a_ciphertext_for_another_key_is_a_bad_mac() {
    for profile in PROFILES {
        let (alice, bob, first) = first_message(*profile, 2);
        let other = KemPreKey::generate(&mut rng(99), *profile, 300, &bob.identity).unwrap();
        assert!(matches!(accept_with(&bob, &alice, &first, &other), DecryptError::BadMac));
    }
}

#[test]
fn re_encapsulating_the_shared_secret_to_another_key_is_a_bad_mac() {
    // The KEM secret alone is not enough to move a handshake to another KEM key: the key itself is in the transcript, and both
    // KEMs hash it into the secret.
    for profile in PROFILES {
        let (alice, bob, first) = first_message(*profile, 3);
        let mut rng = rng(98);
        let other = KemPreKey::generate(&mut rng, *profile, 300, &bob.identity).unwrap();
        let (ciphertext, _) = other.public().key.encapsulate(&mut rng);
        let moved = tamper_prekey(&first, |proto| {
            proto.kem_ciphertext = Some([&[kem_types(*profile).1][..], ciphertext.as_bytes()].concat());
        });
        assert!(matches!(accept_with(&bob, &alice, &moved, &other), DecryptError::BadMac));
        // Nor does a second ciphertext for the right key.
        let (ciphertext, _) = bob.kem.public().key.encapsulate(&mut rng);
        let again = tamper_prekey(&first, |proto| {
            proto.kem_ciphertext = Some([&[kem_types(*profile).1][..], ciphertext.as_bytes()].concat());
        });
        assert!(matches!(bob.accept(&alice, &again, true).unwrap_err(), DecryptError::BadMac));
    }
}

#[test]
fn a_key_with_an_unreduced_coefficient_or_a_wrong_length_is_refused() {
    for profile in PROFILES {
        let device = Device::new(&mut rng(4), *profile, 1);
        let public = device.kem.public();
        let signature = public.signature.as_bytes();
        let encoded = |key: &[u8]| [&[kem_types(*profile).0][..], key].concat();
        let mut unreduced = public.key.as_bytes().to_vec();
        (unreduced[0], unreduced[1]) = (0xFF, unreduced[1] | 0x0F);
        let error = KemPreKeyPublic::from_encoded(*profile, 1, &encoded(&unreduced), signature).unwrap_err();
        assert!(matches!(error, BundleError::KemKey { source: mlkem1024::KeyError::Modulus }), "{profile}");
        for len in [0, 800, 1184, 1567, 1569] {
            let error = KemPreKeyPublic::from_encoded(*profile, 1, &encoded(&vec![0; len]), signature).unwrap_err();
            assert!(matches!(error, BundleError::KemKey { source: mlkem1024::KeyError::Length { .. } }), "{len}");
        }
        let error = KemPreKeyPublic::from_encoded(*profile, 1, &[], signature).unwrap_err();
        assert!(matches!(error, BundleError::Length { expected: 1569, actual: 0, .. }));
        let key = encoded(public.key.as_bytes());
        let error = KemPreKeyPublic::from_encoded(*profile, 1, &key, &[0; 63]).unwrap_err();
        assert!(matches!(error, BundleError::Length { expected: 64, actual: 63, .. }));
    }
    // Without a type byte, as the directory of the native profile sends it.
    let public = Device::new(&mut rng(4), Profile::Native, 1).kem.public();
    for len in [0, 800, 1184, 1567, 1569] {
        let error = KemPreKeyPublic::from_parts(1, &vec![0; len], public.signature.as_bytes()).unwrap_err();
        assert!(matches!(error, BundleError::KemKey { source: mlkem1024::KeyError::Length { .. } }), "{len}");
    }
}

#[test]
fn a_key_of_another_type_is_refused_by_its_type_byte() {
    for profile in PROFILES {
        let public = Device::new(&mut rng(6), *profile, 1).kem.public();
        let right = kem_types(*profile).0;
        // Kyber-768, Kyber-1024, ML-KEM-1024, X25519, and every type of the native profile.
        for found in [0x05, 0x07, 0x08, 0x0A, 0x41, 0x42, 0x43].into_iter().filter(|found| *found != right) {
            let key = [&[found][..], public.key.as_bytes()].concat();
            let error = KemPreKeyPublic::from_encoded(*profile, 1, &key, public.signature.as_bytes()).unwrap_err();
            assert!(
                matches!(error, BundleError::KeyType { expected, found: other, .. } if (expected, other) == (right, found))
            );
        }
    }
}

#[test]
fn a_ciphertext_of_another_type_or_length_is_not_parsed() {
    for profile in PROFILES {
        let (_, _, first) = first_message(*profile, 5);
        let right = kem_types(*profile).1;
        for type_byte in [0x05, 0x07, 0x08, 0x0A, 0x41, 0x42, 0x43].into_iter().filter(|found| *found != right) {
            let other = tamper_prekey(&first, |proto| proto.kem_ciphertext.as_mut().unwrap()[0] = type_byte);
            let error = PreKeyMessage::parse(&other).unwrap_err();
            assert!(matches!(error, ParseError::KeyType { field: 8, found } if found == type_byte));
        }
        for len in [0, 1, 1089, 1568, 1570] {
            let other = tamper_prekey(&first, |proto| proto.kem_ciphertext.as_mut().unwrap().resize(len, 0));
            let error = PreKeyMessage::parse(&other).unwrap_err();
            assert!(matches!(error, ParseError::FieldLength { field: 8, actual } if actual == len));
        }
    }
}
