//! A message that fails leaves the session byte for byte as it was, and the genuine one still decrypts.

use rcseal_signal::*;

use crate::support::*;

fn flip_everything(side: &mut Side, message: &[u8], text: &[u8]) {
    let before = (side.record(), side.rows());
    for at in 0..message.len() {
        for bit in [0x01, 0x80] {
            let mut forged = message.to_vec();
            forged[at] ^= bit;
            assert!(side.receive(&forged).is_err(), "byte {at} of {} flipped by {bit:#x} was accepted", message.len());
            let after = (side.record(), side.rows());
            assert!(after == before, "byte {at} flipped by {bit:#x} changed what is stored");
        }
    }
    for len in 0..message.len() {
        assert!(side.receive(&message[..len]).is_err());
    }
    let twice = [message, message].concat();
    for extended in [&[message, &[0]].concat(), &[&[0], message].concat(), &twice] {
        assert!(side.receive(extended).is_err());
    }
    assert!((side.record(), side.rows()) == before);
    assert_eq!(side.receive(message).unwrap(), text);
    assert!(side.refuses(message).code() == "duplicate_message");
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
fn every_byte_of_a_message_whose_keys_are_stored() {
    for profile in PROFILES {
        let mut pair = Pair::established(*profile, 7);
        let sent = pair.alice_sends(3);
        assert_eq!(pair.bob.receive(&sent[2]).unwrap(), b"2");
        assert_eq!(pair.bob.skipped.len(), 4);
        flip_everything(&mut pair.bob, &sent[1], b"1");
        assert_eq!(pair.bob.skipped.len(), 2);
        assert_eq!(pair.bob.receive(&sent[0]).unwrap(), b"0");
    }
}

#[test]
fn every_byte_of_a_message_that_completes_a_part_of_the_post_quantum_ratchet() {
    // Header, vector and ciphertext are judged by what all their chunks give, so the last chunk is the one that counts.
    for profile in PROFILES {
        let mut pair = Pair::established(*profile, 8);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..46 {
            for from_alice in [true, false] {
                let (from, to, rng) = pair.ends(from_alice);
                let message = from.send(rng, b"part");
                let before = braid_state(&to.record());
                let step = to.session.decrypt(&to.skipped, &message).unwrap();
                let after = braid_state(step.delta.record().as_bytes());
                if after != before && seen.insert((before, after)) {
                    flip_everything(to, &message, b"part");
                } else {
                    to.commit(&step.delta);
                }
            }
        }
        // Every transition that a message brings about while nothing is lost: edges 2, 3, 4, 5, 6, 8, 11 and 13.
        assert!(seen.len() >= 8, "{seen:?}");
    }
}

/// State of the post-quantum ratchet, where `docs/protocol/spqr.md` puts it in a record.
fn braid_state(record: &[u8]) -> u8 {
    record[PQ_SLOT + 1]
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

#[cfg(feature = "signal-v4")]
#[test]
fn every_byte_of_the_first_message_of_a_signal_v4_session() {
    let v4 = Profile::SignalV4;
    let mut rng = rng(9);
    let (alice_device, bob_device) = (Device::new(&mut rng, v4, 1), Device::new(&mut rng, v4, 2));
    let verified = bob_device.bundle(true).verify(v4).unwrap();
    let local = Local {
        identity: &alice_device.identity,
        address: alice_device.address,
        registration_id: Some(0x15),
        states_addresses: true,
    };
    let session = Session::initiate_from(&mut rng, v4, local, bob_device.peer(), verified).unwrap();
    let first = Side::new(session).send(&mut rng, b"first");
    let mut unauthenticated = 0;
    for at in 0..first.len() {
        let mut forged = first.clone();
        forged[at] ^= 0x01;
        let Ok(message) = PreKeyMessage::parse(&forged) else { continue };
        let registration_id = message.registration_id();
        let keys = bob_device.keys(true);
        let accepting =
            Session::accept(v4, &bob_device.identity, bob_device.address, alice_device.peer(), message, keys);
        if accepting.is_ok_and(|accepting| accepting.decrypt_first().is_ok()) {
            // The profile leaves one field to whoever carries the message.
            assert_ne!(registration_id, Some(0x15), "byte {at} flipped was accepted");
            unauthenticated += 1;
        }
    }
    assert_eq!(unauthenticated, 1, "the registration id has one byte");
    assert_eq!(bob_device.accept(&alice_device, &first, true).unwrap().plaintext, b"first");
}

#[test]
fn messages_swapped_between_sessions_do_not_authenticate() {
    for profile in PROFILES {
        let mut one = Pair::established(*profile, 5);
        let mut two = Pair::established(*profile, 6);
        let (for_one, for_two) = (one.alice.send(&mut one.rng, b"one"), two.alice.send(&mut two.rng, b"two"));
        one.bob.refuses(&for_two);
        two.bob.refuses(&for_one);
        assert_eq!(one.bob.receive(&for_one).unwrap(), b"one");
        assert_eq!(two.bob.receive(&for_two).unwrap(), b"two");
    }
}

#[test]
fn messages_swapped_between_two_sessions_of_the_same_devices_do_not_authenticate() {
    for profile in PROFILES {
        let mut pair = Pair::accepted(*profile, 10);
        let mut other = Side::new(pair.alice_device.initiate(&mut pair.rng, &pair.bob_device, false));
        let opening = other.send(&mut pair.rng, b"other");
        let accepted = pair.bob_device.accept(&pair.alice_device, &opening, false).unwrap();
        let mut other_bob = Side::new(accepted.session);
        // As prekey messages the header tells them apart, and a message moved into the other's wrapping fails inside.
        let (here, there) = (pair.alice.send(&mut pair.rng, b"here"), other.send(&mut pair.rng, b"there"));
        assert!(matches!(pair.bob.refuses(&there), DecryptError::WrongSession));
        assert!(matches!(other_bob.refuses(&here), DecryptError::WrongSession));
        let moved = tamper_prekey(&here, |proto| {
            let _ = tamper_prekey(&there, |donor| proto.message = donor.message.clone());
        });
        pair.bob.refuses(&moved);
        assert_eq!(pair.bob.receive(&here).unwrap(), b"here");
        assert_eq!(other_bob.receive(&there).unwrap(), b"there");
        // So do ordinary ones, and a post-quantum part from the other session under this one's header.
        pair.ping_pong();
        let answer = other_bob.send(&mut pair.rng, b"answer");
        other.receive(&answer).unwrap();
        let (here, there) = (pair.alice.send(&mut pair.rng, b"here"), other.send(&mut pair.rng, b"there"));
        pair.bob.refuses(&there);
        other_bob.refuses(&here);
        let mut part = None;
        let _ = tamper(*profile, &there, |proto| part = proto.pq_ratchet.clone());
        let mixed = tamper(*profile, &here, |proto| proto.pq_ratchet = part);
        pair.bob.refuses(&mixed);
        assert_eq!(pair.bob.receive(&here).unwrap(), b"here");
        assert_eq!(other_bob.receive(&there).unwrap(), b"there");
    }
}
