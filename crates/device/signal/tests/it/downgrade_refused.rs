//! Older versions, other profiles and messages without their post-quantum parts are refused by name.

use rcseal_signal::*;

use crate::support::*;

#[test]
fn unknown_version_bytes_are_refused() {
    for profile in PROFILES {
        let mut pair = Pair::accepted(*profile, 1);
        let prekey = pair.alice.send(&mut pair.rng, b"prekey form");
        pair.ping_pong();
        let regular = pair.alice.send(&mut pair.rng, b"regular form");
        for message in [prekey, regular] {
            let genuine = message[0];
            for version in (0..=u8::MAX).filter(|version| *version != genuine) {
                let mut other = message.clone();
                other[0] = version;
                assert!(pair.bob.receive(&other).is_err(), "version {version:#x}");
            }
        }
    }
    let mut pair = Pair::established(Profile::Native, 2);
    let mut message = pair.alice.send(&mut pair.rng, b"text");
    for version in [0x33, 0x34, 0x43, 0x44, 0x54, 0xA0, 0xA2] {
        message[0] = version;
        let error = pair.bob.refuses(&message);
        assert!(matches!(error, DecryptError::Parse(ParseError::UnknownVersion { found }) if found == version));
    }
}

#[test]
fn a_new_session_of_an_older_version_is_refused() {
    // What a version 3 client sends: the old version byte, and no KEM fields.
    for profile in PROFILES {
        let mut pair = Pair::accepted(*profile, 8);
        let message = pair.alice.send(&mut pair.rng, b"text");
        let stripped = tamper_prekey(&message, |proto| (proto.kem_prekey_id, proto.kem_ciphertext) = (None, None));
        for version in [0x33, 0x34, 0x43, 0x54, 0x04, 0x40] {
            for form in [&message, &stripped] {
                let old = [&[version], &form[1..]].concat();
                let error = PreKeyMessage::parse(&old).unwrap_err();
                assert!(matches!(error, ParseError::UnknownVersion { found } if found == version));
                let error = pair.bob.refuses(&old);
                assert!(matches!(error, DecryptError::Parse(ParseError::UnknownVersion { found }) if found == version));
            }
        }
        assert_eq!(pair.bob.receive(&message).unwrap(), b"text");
    }
}

#[test]
fn a_new_session_needs_its_post_quantum_fields() {
    for profile in PROFILES {
        let mut rng = rng(3);
        let (alice, bob) = (Device::new(&mut rng, *profile, 1), Device::new(&mut rng, *profile, 2));
        let message = alice.initiate(&mut rng, &bob, true).encrypt(&mut rng, b"text").unwrap().output;
        let stripped = tamper_prekey(&message, |proto| proto.kem_ciphertext = None);
        assert!(matches!(PreKeyMessage::parse(&stripped).unwrap_err(), ParseError::MissingField { field: 8 }));
        let stripped = tamper_prekey(&message, |proto| proto.kem_prekey_id = None);
        assert!(matches!(PreKeyMessage::parse(&stripped).unwrap_err(), ParseError::MissingField { field: 7 }));
        let stripped = tamper_prekey(&message, |proto| (proto.kem_prekey_id, proto.kem_ciphertext) = (None, None));
        assert!(matches!(PreKeyMessage::parse(&stripped).unwrap_err(), ParseError::MissingField { field: 7 }));
        let empty = tamper_prekey(&message, |proto| proto.kem_ciphertext = Some(Vec::new()));
        assert!(matches!(PreKeyMessage::parse(&empty).unwrap_err(), ParseError::FieldLength { field: 8, actual: 0 }));
        // The post-quantum ratchet is part of the very first message already.
        let part = |part: Option<Vec<u8>>| tamper_any(*profile, &message, |proto| proto.pq_ratchet = part);
        let error = bob.accept(&alice, &part(None), true).unwrap_err();
        assert!(matches!(error, DecryptError::PqRatchet(PqRefusal::Missing)));
        for field in [vec![], vec![0], vec![0, 1, 1, 0]] {
            let error = bob.accept(&alice, &part(Some(field)), true).unwrap_err();
            assert!(matches!(error, DecryptError::PqRatchet(PqRefusal::Malformed)));
        }
        // One that takes no part in the braid is well-formed, and not what was sent.
        let error = bob.accept(&alice, &part(Some(vec![1, 1, 1, 0])), true).unwrap_err();
        assert!(matches!(error, DecryptError::BadMac));
        assert_eq!(bob.accept(&alice, &message, true).unwrap().plaintext, b"text");
    }
}

#[test]
fn a_post_quantum_part_that_is_stripped_or_of_another_version_is_refused() {
    for profile in PROFILES {
        let mut pair = Pair::established(*profile, 4);
        let message = pair.alice.send(&mut pair.rng, b"text");
        let stripped = tamper(*profile, &message, |proto| proto.pq_ratchet = None);
        assert!(matches!(pair.bob.receive(&stripped).unwrap_err(), DecryptError::PqRatchet(PqRefusal::Missing)));
        for field in [vec![], vec![0], vec![0, 1, 1, 0], vec![2, 1, 1, 0]] {
            let forged = tamper(*profile, &message, |proto| proto.pq_ratchet = Some(field));
            assert!(matches!(pair.bob.refuses(&forged), DecryptError::PqRatchet(PqRefusal::Malformed)));
        }
        for version in (0..=u8::MAX).filter(|version| *version != 1) {
            let forged = tamper(*profile, &message, |proto| proto.pq_ratchet.as_mut().unwrap()[0] = version);
            assert!(matches!(pair.bob.refuses(&forged), DecryptError::PqRatchet(PqRefusal::Malformed)));
        }
        assert_eq!(pair.bob.receive(&message).unwrap(), b"text");
    }
}

#[test]
fn a_profile_never_stands_in_for_another() {
    assert_eq!(Profile::SignalV4.is_available(), cfg!(feature = "signal-v4"));
    let mut rng = rng(5);
    let (alice, bob) = (Device::new(&mut rng, Profile::Native, 1), Device::new(&mut rng, Profile::Native, 2));
    let verified = bob.bundle(true).verify(Profile::Native).unwrap();
    let error = Session::initiate(&mut rng, Profile::SignalV4, &alice.identity, alice.address, bob.peer(), verified)
        .unwrap_err();
    #[cfg(not(feature = "signal-v4"))]
    assert!(matches!(error, InitiateError::ProfileUnavailable(ProfileUnavailable { profile: Profile::SignalV4 })));
    #[cfg(feature = "signal-v4")]
    assert!(matches!(error, InitiateError::ProfileMismatch { expected: Profile::SignalV4, found: Profile::Native }));
}

#[cfg(not(feature = "signal-v4"))]
#[test]
fn no_step_of_an_unavailable_profile_can_be_taken() {
    let refusal = ProfileUnavailable { profile: Profile::SignalV4 };
    let mut rng = rng(6);
    let device = Device::new(&mut rng, Profile::Native, 1);
    assert_eq!(SignedPreKey::generate(&mut rng, Profile::SignalV4, 1, &device.identity).unwrap_err(), refusal);
    assert_eq!(OneTimePreKey::generate(&mut rng, Profile::SignalV4, 1).unwrap_err(), refusal);
    assert_eq!(KemPreKey::generate(&mut rng, Profile::SignalV4, 1, &device.identity).unwrap_err(), refusal);
    let error = device.bundle(true).verify(Profile::SignalV4).unwrap_err();
    assert!(matches!(error, BundleError::ProfileUnavailable(found) if found == refusal));
    assert!(matches!(PreKeyMessage::parse(&[0x44, 8, 1]).unwrap_err(), ParseError::UnknownVersion { found: 0x44 }));
}

#[cfg(feature = "signal-v4")]
#[test]
fn prekeys_of_two_profiles_do_not_mix() {
    let mut rng = rng(7);
    let (alice, bob) = (Device::new(&mut rng, Profile::Native, 1), Device::new(&mut rng, Profile::Native, 2));
    let other = Device::new(&mut rng, Profile::SignalV4, 2);
    let first = alice.initiate(&mut rng, &bob, true).encrypt(&mut rng, b"hello").unwrap().output;
    let message = PreKeyMessage::parse(&first).unwrap();
    let keys = ResponderKeys { kem: &other.kem, ..bob.keys(true) };
    let error = Session::accept(Profile::Native, &bob.identity, bob.address, alice.peer(), message, keys).unwrap_err();
    assert!(matches!(error, AcceptError::ProfileMismatch { expected: Profile::Native, found: Profile::SignalV4 }));
}
