//! A message that fails leaves the session byte for byte as it was, and the genuine one still decrypts.

use rcseal_signal::*;

use crate::support::*;

fn flip_everything(side: &mut Side, message: &[u8], text: &[u8]) {
    let before = side.record();
    for at in 0..message.len() {
        for bit in [0x01, 0x80] {
            let mut forged = message.to_vec();
            forged[at] ^= bit;
            assert!(side.receive(&forged).is_err(), "byte {at} of {} flipped by {bit:#x} was accepted", message.len());
            assert!(side.record() == before, "byte {at} flipped by {bit:#x} changed the session");
        }
    }
    for len in 0..message.len() {
        assert!(side.receive(&message[..len]).is_err());
    }
    let extended = [message, &[0]].concat();
    assert!(side.receive(&extended).is_err());
    assert!(side.record() == before);
    assert!(side.skipped.is_empty());
    assert_eq!(side.receive(message).unwrap(), text);
}

#[test]
fn every_byte_of_a_message_on_a_known_chain() {
    for profile in PROFILES {
        let mut pair = Pair::established(*profile, 1);
        let message = pair.alice.send(&mut pair.rng, b"known chain");
        flip_everything(&mut pair.bob, &message, b"known chain");
    }
}

#[test]
fn every_byte_of_a_message_that_turns_the_ratchet() {
    for profile in PROFILES {
        let mut pair = Pair::established(*profile, 2);
        let message = pair.bob.send(&mut pair.rng, b"new chain");
        flip_everything(&mut pair.alice, &message, b"new chain");
    }
}

#[test]
fn every_byte_of_a_repeated_prekey_message() {
    for profile in PROFILES {
        let mut pair = Pair::accepted(*profile, 3);
        let message = pair.alice.send(&mut pair.rng, b"again");
        flip_everything(&mut pair.bob, &message, b"again");
    }
}

#[test]
fn every_byte_of_the_first_message_of_a_native_session() {
    let mut rng = rng(4);
    let (alice_device, bob_device) =
        (Device::new(&mut rng, Profile::Native, 1), Device::new(&mut rng, Profile::Native, 2));
    let mut alice = Side::new(alice_device.initiate(&mut rng, &bob_device, true));
    let first = alice.send(&mut rng, b"first");
    for at in 0..first.len() {
        let mut forged = first.clone();
        forged[at] ^= 0x01;
        let accepted = PreKeyMessage::parse(&forged).is_ok_and(|message| {
            let keys = bob_device.keys(true);
            let their = alice_device.peer();
            Session::accept(Profile::Native, &bob_device.identity, bob_device.address, their, message, keys)
                .is_ok_and(|accepting| accepting.decrypt_first().is_ok())
        });
        assert!(!accepted, "byte {at} flipped was accepted");
    }
    assert_eq!(bob_device.accept(&alice_device, &first, true).unwrap().plaintext, b"first");
}

#[test]
fn messages_swapped_between_sessions_do_not_authenticate() {
    let mut one = Pair::established(Profile::Native, 5);
    let mut two = Pair::established(Profile::Native, 6);
    let (for_one, for_two) = (one.alice.send(&mut one.rng, b"one"), two.alice.send(&mut two.rng, b"two"));
    assert!(one.bob.receive(&for_two).is_err());
    assert!(two.bob.receive(&for_one).is_err());
    assert_eq!(one.bob.receive(&for_one).unwrap(), b"one");
    assert_eq!(two.bob.receive(&for_two).unwrap(), b"two");
}
