//! Who is speaking to whom is part of every message: identities and addresses cannot be swapped, moved or reflected.

use rcseal_signal::*;

use crate::support::*;

#[test]
fn a_bundle_with_another_identity_than_the_key_set_is_refused() {
    let mut rng = rng(1);
    let alice = Device::new(&mut rng, Profile::Native, 1);
    let (bob, mallory) = (Device::new(&mut rng, Profile::Native, 2), Device::new(&mut rng, Profile::Native, 3));
    let verified = mallory.bundle(true).verify(Profile::Native).unwrap();
    let error =
        Session::initiate(&mut rng, Profile::Native, &alice.identity, alice.address, bob.peer(), verified).unwrap_err();
    assert!(matches!(error, InitiateError::IdentityMismatch));
}

#[test]
fn a_prekey_message_with_another_identity_than_the_key_set_is_refused() {
    let mut rng = rng(2);
    let (alice, bob) = (Device::new(&mut rng, Profile::Native, 1), Device::new(&mut rng, Profile::Native, 2));
    let mallory = Device::new(&mut rng, Profile::Native, 3);
    let first = mallory.initiate(&mut rng, &bob, true).encrypt(&mut rng, b"I am Alice").unwrap().output;
    let message = PreKeyMessage::parse(&first).unwrap();
    let error = Session::accept(Profile::Native, &bob.identity, bob.address, alice.peer(), message, bob.keys(true))
        .unwrap_err();
    assert!(matches!(error, AcceptError::IdentityMismatch));
    // Claiming Alice's identity key in the message does not help without her secret.
    let alice_key = [&[0x41][..], alice.identity.public().as_bytes()].concat();
    let forged = tamper_prekey(&first, |proto| proto.identity = Some(alice_key));
    assert!(matches!(bob.accept(&alice, &forged, true).unwrap_err(), DecryptError::BadMac));
}

#[test]
fn an_unknown_key_share_does_not_authenticate() {
    // Mallory republishes Bob's prekeys as its own, signed anew: Alice believes to talk to Mallory, Bob reads it as
    // written to Bob.
    let mut rng = rng(3);
    let (alice, bob) = (Device::new(&mut rng, Profile::Native, 1), Device::new(&mut rng, Profile::Native, 2));
    let mut elsewhere = bob.peer();
    elsewhere.address = Address::new([9; 16], 1);
    let verified = bob.bundle(true).verify(Profile::Native).unwrap();
    let session =
        Session::initiate(&mut rng, Profile::Native, &alice.identity, alice.address, elsewhere, verified).unwrap();
    let first = session.encrypt(&mut rng, b"to somebody else").unwrap().output;
    assert!(matches!(bob.accept(&alice, &first, true).unwrap_err(), DecryptError::BadMac));
}

#[test]
fn another_device_number_or_account_does_not_authenticate() {
    let mut rng = rng(4);
    let (alice, bob) = (Device::new(&mut rng, Profile::Native, 1), Device::new(&mut rng, Profile::Native, 2));
    let first = alice.initiate(&mut rng, &bob, true).encrypt(&mut rng, b"hello").unwrap().output;
    for address in [Address::new([1; 16], 2), Address::new([7; 16], 1)] {
        let message = PreKeyMessage::parse(&first).unwrap();
        let their = Peer { address, identity: alice.identity.public() };
        let accepting =
            Session::accept(Profile::Native, &bob.identity, bob.address, their, message, bob.keys(true)).unwrap();
        assert!(matches!(accepting.decrypt_first().unwrap_err(), DecryptError::BadMac));
    }
}

#[test]
fn a_reflected_message_does_not_authenticate() {
    for profile in PROFILES {
        let mut pair = Pair::established(*profile, 5);
        let own = pair.bob.send(&mut pair.rng, b"to Alice");
        let before = pair.bob.record();
        let error = pair.bob.receive(&own).unwrap_err();
        assert!(
            matches!(error, DecryptError::BadMac | DecryptError::PqRatchet(PqRefusal::KeyGone { .. })),
            "{error:?}"
        );
        assert_eq!(pair.bob.record(), before);
        assert_eq!(pair.alice.receive(&own).unwrap(), b"to Alice");
    }
}

#[test]
fn a_device_makes_no_session_with_itself() {
    let mut rng = rng(6);
    let alice = Device::new(&mut rng, Profile::Native, 1);
    let bob = Device::new(&mut rng, Profile::Native, 2);
    let same_key = Peer { address: bob.address, identity: alice.identity.public() };
    for their in [alice.peer(), same_key] {
        let verified = alice.bundle(true).verify(Profile::Native).unwrap();
        let error =
            Session::initiate(&mut rng, Profile::Native, &alice.identity, alice.address, their, verified).unwrap_err();
        assert!(matches!(error, InitiateError::SelfSession));
    }
    let first = alice.initiate(&mut rng, &bob, true).encrypt(&mut rng, b"hello").unwrap().output;
    let message = PreKeyMessage::parse(&first).unwrap();
    let their = Peer { address: bob.address, identity: alice.identity.public() };
    let error =
        Session::accept(Profile::Native, &bob.identity, bob.address, their, message, bob.keys(true)).unwrap_err();
    assert!(matches!(error, AcceptError::SelfSession));
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
