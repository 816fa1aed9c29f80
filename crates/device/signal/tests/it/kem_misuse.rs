//! The post-quantum half: a wrong ciphertext or key ends in the one error that every forgery ends in, and malformed
//! ones never get in.

use rcseal_crypto::mlkem1024;
use rcseal_signal::*;

use crate::support::*;

fn first_message(seed: u64) -> (Device, Device, Vec<u8>) {
    let mut rng = rng(seed);
    let (alice, bob) = (Device::new(&mut rng, Profile::Native, 1), Device::new(&mut rng, Profile::Native, 2));
    let first = alice.initiate(&mut rng, &bob, true).encrypt(&mut rng, b"hello").unwrap().output;
    (alice, bob, first)
}

#[test]
fn implicit_rejection_is_a_bad_mac() {
    let (alice, bob, first) = first_message(1);
    let broken = tamper_prekey(&first, |proto| proto.kem_ciphertext.as_mut().unwrap()[700] ^= 1);
    assert!(matches!(bob.accept(&alice, &broken, true).unwrap_err(), DecryptError::BadMac));
    let broken = tamper_prekey(&first, |proto| {
        let inner = proto.message.as_mut().unwrap();
        let last = inner.len() - 1;
        inner[last] ^= 1;
    });
    assert!(matches!(bob.accept(&alice, &broken, true).unwrap_err(), DecryptError::BadMac));
}

#[test]
fn a_ciphertext_for_another_key_is_a_bad_mac() {
    let (alice, bob, first) = first_message(2);
    let other = KemPreKey::generate(&mut rng(99), Profile::Native, 300, &bob.identity).unwrap();
    let message = PreKeyMessage::parse(&first).unwrap();
    let keys = ResponderKeys { kem: &other, ..bob.keys(true) };
    let accepting = Session::accept(Profile::Native, &bob.identity, bob.address, alice.peer(), message, keys).unwrap();
    assert!(matches!(accepting.decrypt_first().unwrap_err(), DecryptError::BadMac));
}

#[test]
fn re_encapsulating_the_shared_secret_to_another_key_is_a_bad_mac() {
    // The KEM secret alone is not enough to move a handshake to another KEM key: the key itself is in the transcript.
    let (alice, bob, first) = first_message(3);
    let mut rng = rng(98);
    let other = KemPreKey::generate(&mut rng, Profile::Native, 300, &bob.identity).unwrap();
    let (ciphertext, _) = other.public().key.encapsulate(&mut rng);
    let moved = tamper_prekey(&first, |proto| {
        proto.kem_ciphertext = Some([&[0x43][..], ciphertext.as_bytes()].concat());
    });
    let message = PreKeyMessage::parse(&moved).unwrap();
    let keys = ResponderKeys { kem: &other, ..bob.keys(true) };
    let accepting = Session::accept(Profile::Native, &bob.identity, bob.address, alice.peer(), message, keys).unwrap();
    assert!(matches!(accepting.decrypt_first().unwrap_err(), DecryptError::BadMac));
}

#[test]
fn a_key_with_an_unreduced_coefficient_or_a_wrong_length_is_refused() {
    let device = Device::new(&mut rng(4), Profile::Native, 1);
    let public = device.kem.public();
    let mut unreduced = public.key.as_bytes().to_vec();
    (unreduced[0], unreduced[1]) = (0xFF, unreduced[1] | 0x0F);
    let error = KemPreKeyPublic::from_parts(1, &unreduced, public.signature.as_bytes()).unwrap_err();
    assert!(matches!(error, BundleError::KemKey { source: mlkem1024::KeyError::Modulus }));
    for len in [0, 800, 1184, 1567, 1569] {
        let error = KemPreKeyPublic::from_parts(1, &vec![0; len], public.signature.as_bytes()).unwrap_err();
        assert!(matches!(error, BundleError::KemKey { source: mlkem1024::KeyError::Length { .. } }), "{len}");
    }
    let error = KemPreKeyPublic::from_parts(1, public.key.as_bytes(), &[0; 63]).unwrap_err();
    assert!(matches!(error, BundleError::Length { expected: 64, actual: 63, .. }));
}

#[test]
fn a_ciphertext_of_another_type_or_length_is_not_parsed() {
    let (_, _, first) = first_message(5);
    for type_byte in [0x07, 0x08, 0x0A, 0x41, 0x42] {
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
