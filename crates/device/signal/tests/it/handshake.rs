//! The paved road: set-up, the first messages, the exporter, stored prekeys.

use rcseal_signal::*;

use crate::support::*;

#[test]
fn sessions_begin_with_and_without_a_one_time_prekey() {
    for profile in PROFILES {
        for one_time in [true, false] {
            let mut rng = rng(1);
            let (alice_device, bob_device) = (Device::new(&mut rng, *profile, 1), Device::new(&mut rng, *profile, 2));
            let mut alice = Side::new(alice_device.initiate(&mut rng, &bob_device, one_time));
            let first = alice.send(&mut rng, b"hello");
            let parsed = PreKeyMessage::parse(&first).unwrap();
            assert_eq!(parsed.profile(), *profile);
            assert_eq!(parsed.identity(), alice_device.identity.public());
            assert_eq!((parsed.signed_prekey_id(), parsed.kem_prekey_id()), (7, 300));
            assert_eq!(parsed.one_time_id(), one_time.then_some(70_000));
            let accepted = bob_device.accept(&alice_device, &first, one_time).unwrap();
            assert_eq!(accepted.plaintext, b"hello");
            assert_eq!(accepted.session.base_key(), alice.session.base_key());
            assert_eq!((alice.session.role(), accepted.session.role()), (Role::Initiator, Role::Responder));
            assert!(accepted.session.has_received() && !alice.session.has_received());
        }
    }
}

#[test]
fn the_initiator_repeats_the_prekey_form_until_it_has_received_a_reply() {
    for profile in PROFILES {
        let mut pair = Pair::accepted(*profile, 2);
        let again = pair.alice.send(&mut pair.rng, b"second");
        assert_eq!(PreKeyMessage::form_of(*profile, &again).unwrap(), MessageForm::PreKey);
        assert_eq!(PreKeyMessage::parse(&again).unwrap().base_key(), pair.bob.session.base_key());
        assert_eq!(pair.bob.receive(&again).unwrap(), b"second");
        pair.ping_pong();
        assert!(pair.alice.session.has_received());
        let ordinary = pair.alice.send(&mut pair.rng, b"third");
        assert_eq!(PreKeyMessage::form_of(*profile, &ordinary).unwrap(), MessageForm::Regular);
        assert_eq!(pair.bob.receive(&ordinary).unwrap(), b"third");
    }
}

#[test]
fn any_of_the_first_messages_opens_the_session_and_the_others_follow() {
    for profile in PROFILES {
        let mut rng = rng(3);
        let (alice_device, bob_device) = (Device::new(&mut rng, *profile, 1), Device::new(&mut rng, *profile, 2));
        let mut alice = Side::new(alice_device.initiate(&mut rng, &bob_device, true));
        let sent: Vec<_> = (0..6u8).map(|number| alice.send(&mut rng, &[number])).collect();
        let accepted = bob_device.accept(&alice_device, &sent[3], true).unwrap();
        assert_eq!(accepted.plaintext, [3]);
        assert_eq!(accepted.delta.insert().len(), 6);
        let mut bob = Side::accepted(accepted.session, &accepted.delta);
        for number in [0u8, 5, 1, 4, 2] {
            assert_eq!(bob.receive(&sent[usize::from(number)]).unwrap(), [number]);
        }
        assert!(bob.skipped.is_empty());
    }
}

#[test]
fn both_sides_export_the_same_keys_and_different_ones_per_label_and_session() {
    for profile in PROFILES {
        let mut pair = Pair::established(*profile, 4);
        let exported = pair.alice.session.export(b"seal");
        assert!(exported.ct_eq(&pair.bob.session.export(b"seal")));
        assert!(!exported.ct_eq(&pair.bob.session.export(b"tag")));
        pair.ping_pong();
        pair.bob.restart();
        assert!(exported.ct_eq(&pair.bob.session.export(b"seal")), "exports do not move with the ratchet");
        assert!(!exported.ct_eq(&Pair::established(*profile, 5).alice.session.export(b"seal")));
    }
}

#[test]
fn stored_prekeys_come_back_as_what_they_were() {
    let mut rng = rng(6);
    let device = Device::new(&mut rng, Profile::Native, 1);
    let signed = SignedPreKey::from_bytes(&device.signed.to_bytes()).unwrap();
    assert_eq!(signed.public(), device.signed.public());
    let one_time = OneTimePreKey::from_bytes(&device.one_time.to_bytes()).unwrap();
    assert_eq!(one_time.public(), device.one_time.public());
    let kem = KemPreKey::from_bytes(&device.kem.to_bytes()).unwrap();
    assert_eq!(kem.public().key.as_bytes(), device.kem.public().key.as_bytes());
    assert_eq!(
        (device.signed.to_bytes().len(), device.one_time.to_bytes().len(), device.kem.to_bytes().len()),
        (SignedPreKey::LEN, OneTimePreKey::LEN, KemPreKey::LEN)
    );

    let stored = device.signed.to_bytes();
    assert_eq!(
        KemPreKey::from_bytes(&stored).unwrap_err(),
        PreKeyFormatError::Kind { expected: PreKeyKind::Kem, found: 1 }
    );
    assert_eq!(
        SignedPreKey::from_bytes(&stored[..102]).unwrap_err(),
        PreKeyFormatError::Length { expected: 103, actual: 102 }
    );
    let mut other = stored.to_vec();
    other[0] = 2;
    assert_eq!(SignedPreKey::from_bytes(&other).unwrap_err(), PreKeyFormatError::Version { found: 2 });
    other[0] = 1;
    other[2] = 9;
    assert_eq!(SignedPreKey::from_bytes(&other).unwrap_err(), PreKeyFormatError::Profile { found: 9 });
}

#[test]
fn a_plaintext_beyond_the_limit_is_refused_and_one_at_the_limit_passes() {
    let mut pair = Pair::established(Profile::Native, 7);
    let longest = vec![7; PLAINTEXT_LEN_MAX];
    let sent = pair.alice.send(&mut pair.rng, &longest);
    assert_eq!(pair.bob.receive(&sent).unwrap(), longest);
    let before = pair.alice.record();
    let error = pair.alice.session.encrypt(&mut pair.rng, &vec![7; PLAINTEXT_LEN_MAX + 1]).unwrap_err();
    assert!(matches!(error, EncryptError::TooLong { max: PLAINTEXT_LEN_MAX, .. }));
    assert_eq!(pair.alice.record(), before);
}

#[test]
fn records_have_the_two_documented_sizes() {
    let pair = Pair::accepted(Profile::Native, 8);
    assert_eq!(pair.alice.record().len(), Record::PENDING_LEN);
    assert_eq!(pair.bob.record().len(), Record::LEN);
    assert_eq!((Record::LEN, Record::PENDING_LEN), (2_277, 3_863), "the layout in docs/protocol/ratchet.md");
}

#[cfg(feature = "signal-v4")]
#[test]
fn signal_v4_messages_have_the_public_layout() {
    let mut pair = Pair::accepted(Profile::SignalV4, 9);
    let handshake = pair.alice.send(&mut pair.rng, b"layout");
    pair.ping_pong();
    let message = pair.alice.send(&mut pair.rng, b"layout");
    assert_eq!((handshake[0], message[0]), (0x44, 0x44));
    let key_type = |key: &Option<Vec<u8>>| key.as_deref().map(|key| (key.len(), key[0]));
    let _ = tamper_prekey(&handshake, |proto| {
        assert_eq!(key_type(&proto.base_key), Some((33, 0x05)));
        assert_eq!(key_type(&proto.identity), Some((33, 0x05)));
        assert_eq!(key_type(&proto.kem_ciphertext), Some((1569, 0x08)));
        let _ = tamper(Profile::SignalV4, &proto.message.clone().unwrap(), |inner| {
            let side = |account: u8| [&[0][..], &[account; 16], &[1]].concat();
            assert_eq!(inner.addresses.as_deref().unwrap(), [side(0xA1), side(0xB0)].concat());
        });
    });
    let _ = tamper(Profile::SignalV4, &message, |proto| {
        assert_eq!(key_type(&proto.ratchet_key), Some((33, 0x05)));
        assert_eq!(proto.addresses, None, "stated while the session is being set up");
    });
}

#[cfg(feature = "signal-v4")]
#[test]
fn signal_v4_states_what_the_caller_says_it_states() {
    let mut rng = rng(11);
    let (alice, bob) = (Device::new(&mut rng, Profile::SignalV4, 1), Device::new(&mut rng, Profile::SignalV4, 2));
    for (registration_id, states_addresses) in [(None, false), (Some(0), false), (None, true), (Some(77), true)] {
        let verified = bob.bundle(false).verify(Profile::SignalV4).unwrap();
        let local = Local { identity: &alice.identity, address: alice.address, registration_id, states_addresses };
        let session = Session::initiate_from(&mut rng, Profile::SignalV4, local, bob.peer(), verified).unwrap();
        let mut side = Side::new(session);
        side.restart();
        let message = side.send(&mut rng, b"first");
        assert_eq!(PreKeyMessage::parse(&message).unwrap().registration_id(), registration_id);
        let _ = tamper_prekey(&message, |proto| {
            let _ = tamper(Profile::SignalV4, &proto.message.clone().unwrap(), |inner| {
                assert_eq!(inner.addresses.is_some(), states_addresses);
            });
        });
        assert_eq!(bob.accept(&alice, &message, false).unwrap().plaintext, b"first");
    }
}

#[cfg(feature = "signal-v4")]
#[test]
fn a_changed_registration_id_makes_no_genuine_repetition_foreign() {
    let mut rng = rng(12);
    let (alice, bob) = (Device::new(&mut rng, Profile::SignalV4, 1), Device::new(&mut rng, Profile::SignalV4, 2));
    let mut side = Side::new(alice.initiate(&mut rng, &bob, false));
    let (first, second) = (side.send(&mut rng, b"first"), side.send(&mut rng, b"second"));
    let changed = tamper_prekey(&first, |proto| proto.registration_id = Some(9));
    let accepted = bob.accept(&alice, &changed, false).unwrap();
    assert_eq!(accepted.plaintext, b"first");
    assert_eq!(Side::new(accepted.session).receive(&second).unwrap(), b"second");
}

#[test]
fn messages_have_the_documented_overhead() {
    let mut pair = Pair::accepted(Profile::Native, 10);
    let first = pair.alice.send(&mut pair.rng, &[7; 1024]);
    pair.ping_pong();
    let later = pair.alice.send(&mut pair.rng, &[7; 1024]);
    assert_eq!((later.len() - 1024, first.len() - 1024), (130, 1_785), "docs/protocol/ratchet.md explains the bytes");
}
