//! Who is speaking to whom is part of every message: identities and addresses cannot be swapped, moved or reflected.

use rcseal_signal::*;

use crate::support::*;

#[test]
fn a_bundle_with_another_identity_than_the_key_set_is_refused() {
    for profile in PROFILES {
        let mut rng = rng(1);
        let alice = Device::new(&mut rng, *profile, 1);
        let (bob, mallory) = (Device::new(&mut rng, *profile, 2), Device::new(&mut rng, *profile, 3));
        let verified = mallory.bundle(true).verify(*profile).unwrap();
        let error =
            Session::initiate(&mut rng, *profile, &alice.identity, alice.address, bob.peer(), verified).unwrap_err();
        assert!(matches!(error, InitiateError::IdentityMismatch));
    }
}

#[test]
fn a_prekey_message_with_another_identity_than_the_key_set_is_refused() {
    for profile in PROFILES {
        let mut rng = rng(2);
        let (alice, bob) = (Device::new(&mut rng, *profile, 1), Device::new(&mut rng, *profile, 2));
        let mut mallory = Device::new(&mut rng, *profile, 3);
        mallory.address = alice.address;
        let first = mallory.initiate(&mut rng, &bob, true).encrypt(&mut rng, b"I am Alice").unwrap().output;
        let message = PreKeyMessage::parse(&first).unwrap();
        let error =
            Session::accept(*profile, &bob.identity, bob.address, alice.peer(), message, bob.keys(true)).unwrap_err();
        assert!(matches!(error, AcceptError::IdentityMismatch));
        // Claiming Alice's identity key in the message does not help without her secret.
        let alice_key = alice.identity.public().encoded(*profile).unwrap().to_vec();
        let forged = tamper_prekey(&first, |proto| proto.identity = Some(alice_key));
        assert!(matches!(bob.accept(&alice, &forged, true).unwrap_err(), DecryptError::BadMac));
    }
}

/// Native messages bind addresses in the code; `signal-v4` states them in a field that is compared first.
fn names_other_addresses(profile: Profile, error: &DecryptError) -> bool {
    match profile {
        Profile::Native => matches!(error, DecryptError::BadMac),
        Profile::SignalV4 => matches!(error, DecryptError::AddressMismatch),
    }
}

#[test]
fn an_unknown_key_share_does_not_authenticate() {
    // Mallory republishes Bob's prekeys as its own, signed anew: Alice believes to talk to Mallory, Bob reads it as
    // written to Bob.
    for profile in PROFILES {
        let mut rng = rng(3);
        let (alice, bob) = (Device::new(&mut rng, *profile, 1), Device::new(&mut rng, *profile, 2));
        let mut elsewhere = bob.peer();
        elsewhere.address = Address::new([9; 16], 1);
        let verified = bob.bundle(true).verify(*profile).unwrap();
        let session =
            Session::initiate(&mut rng, *profile, &alice.identity, alice.address, elsewhere, verified).unwrap();
        let first = session.encrypt(&mut rng, b"to somebody else").unwrap().output;
        assert!(names_other_addresses(*profile, &bob.accept(&alice, &first, true).unwrap_err()));
    }
}

#[test]
fn another_device_number_or_account_does_not_authenticate() {
    for profile in PROFILES {
        let mut rng = rng(4);
        let (alice, bob) = (Device::new(&mut rng, *profile, 1), Device::new(&mut rng, *profile, 2));
        let first = alice.initiate(&mut rng, &bob, true).encrypt(&mut rng, b"hello").unwrap().output;
        for address in [Address::new([1; 16], 2), Address::new([7; 16], 1)] {
            let message = PreKeyMessage::parse(&first).unwrap();
            let their = Peer { address, identity: alice.identity.public() };
            let accepting =
                Session::accept(*profile, &bob.identity, bob.address, their, message, bob.keys(true)).unwrap();
            assert!(names_other_addresses(*profile, &accepting.decrypt_first().unwrap_err()));
        }
    }
}

#[test]
fn the_two_identities_of_a_message_cannot_be_swapped() {
    // The same two devices, each with the other's address: everything but who is who is equal.
    for profile in PROFILES {
        let mut pair = Pair::established(*profile, 8);
        let message = pair.alice.send(&mut pair.rng, b"from Alice");
        let record = pair.bob.record();
        // Version, profile, role, pending flag, step, two addresses of 17 bytes; then our identity key and theirs.
        const IDENTITIES: usize = 12 + 2 * Address::LEN;
        let mut swapped = record.clone();
        swapped[IDENTITIES..IDENTITIES + 32].copy_from_slice(&record[IDENTITIES + 32..IDENTITIES + 64]);
        swapped[IDENTITIES + 32..IDENTITIES + 64].copy_from_slice(&record[IDENTITIES..IDENTITIES + 32]);
        let confused = Session::from_record(&swapped).unwrap();
        assert_eq!(confused.our_identity(), pair.bob.session.their_identity());
        let error = confused.decrypt(&MemorySkippedKeys::new(), &message).unwrap_err();
        assert!(matches!(error, DecryptError::BadMac));
        assert_eq!(pair.bob.receive(&message).unwrap(), b"from Alice");
    }
}

#[test]
fn a_reflected_message_does_not_authenticate() {
    for profile in PROFILES {
        let mut pair = Pair::established(*profile, 5);
        let own = pair.bob.send(&mut pair.rng, b"to Alice");
        let error = pair.bob.refuses(&own);
        assert!(
            matches!(error, DecryptError::BadMac | DecryptError::PqRatchet(PqRefusal::KeyGone { .. })),
            "{error:?}"
        );
        assert_eq!(pair.alice.receive(&own).unwrap(), b"to Alice");
    }
}

#[test]
fn a_device_makes_no_session_with_itself() {
    for profile in PROFILES {
        let mut rng = rng(6);
        let alice = Device::new(&mut rng, *profile, 1);
        let bob = Device::new(&mut rng, *profile, 2);
        let same_key = Peer { address: bob.address, identity: alice.identity.public() };
        for their in [alice.peer(), same_key] {
            let verified = alice.bundle(true).verify(*profile).unwrap();
            let error =
                Session::initiate(&mut rng, *profile, &alice.identity, alice.address, their, verified).unwrap_err();
            assert!(matches!(error, InitiateError::SelfSession));
        }
        let first = alice.initiate(&mut rng, &bob, true).encrypt(&mut rng, b"hello").unwrap().output;
        let own_key = bob.identity.public().encoded(*profile).unwrap().to_vec();
        let reflected = tamper_prekey(&first, |proto| proto.identity = Some(own_key));
        let same_key = Peer { address: alice.address, identity: bob.identity.public() };
        let same_address = Peer { address: bob.address, identity: alice.identity.public() };
        for (message, their) in [(&reflected, same_key), (&first, same_address)] {
            let message = PreKeyMessage::parse(message).unwrap();
            let error =
                Session::accept(*profile, &bob.identity, bob.address, their, message, bob.keys(true)).unwrap_err();
            assert!(matches!(error, AcceptError::SelfSession));
        }
    }
}

#[cfg(feature = "signal-v4")]
#[test]
fn a_changed_address_field_is_refused_and_an_absent_one_is_covered_by_the_mac() {
    // The address travels in the messages inside prekey messages.
    let mut pair = Pair::accepted(Profile::SignalV4, 7);
    let message = pair.alice.send(&mut pair.rng, b"to Bob");
    let changed = |change: fn(&mut RatchetProto)| {
        tamper_prekey(&message, |proto| {
            proto.message = Some(tamper(Profile::SignalV4, &proto.message.clone().unwrap(), change));
        })
    };
    let moved = changed(|proto| proto.addresses.as_mut().unwrap()[35] = 2);
    assert!(matches!(pair.bob.receive(&moved).unwrap_err(), DecryptError::AddressMismatch));
    let stripped = changed(|proto| proto.addresses = None);
    assert!(matches!(pair.bob.receive(&stripped).unwrap_err(), DecryptError::BadMac));
    assert_eq!(pair.bob.receive(&message).unwrap(), b"to Bob");
}
