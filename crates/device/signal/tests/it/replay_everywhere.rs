//! The same ciphertext decrypts once.

use rcseal_signal::*;

use crate::support::*;

#[test]
fn an_ordinary_message_decrypts_once() {
    for profile in PROFILES {
        let mut pair = Pair::established(*profile, 1);
        let sent = pair.alice_sends(3);
        assert_eq!(pair.bob.receive(&sent[2]).unwrap(), b"2");
        assert_eq!(pair.bob.receive(&sent[0]).unwrap(), b"0");
        for (used, counter) in [(0, 1), (2, 3)] {
            let error = pair.bob.receive(&sent[used]).unwrap_err();
            assert!(matches!(error, DecryptError::DuplicateMessage { counter: found } if found == counter));
        }
        pair.bob.restart();
        assert!(matches!(pair.bob.receive(&sent[2]).unwrap_err(), DecryptError::DuplicateMessage { .. }));
        assert_eq!(pair.bob.receive(&sent[1]).unwrap(), b"1");
    }
}

#[test]
fn a_replayed_prekey_message_finds_its_session_by_base_key_and_is_a_duplicate_there() {
    for profile in PROFILES {
        let mut pair = Pair::accepted(*profile, 2);
        let again = pair.alice.send(&mut pair.rng, b"second");
        assert_eq!(pair.bob.receive(&again).unwrap(), b"second");
        assert_eq!(PreKeyMessage::parse(&again).unwrap().base_key(), pair.bob.session.base_key());
        assert!(matches!(pair.bob.receive(&again).unwrap_err(), DecryptError::DuplicateMessage { .. }));
    }
}

#[test]
fn a_prekey_message_cannot_be_replayed_once_its_one_time_prekey_is_gone() {
    let mut rng = rng(3);
    let (alice, bob) = (Device::new(&mut rng, Profile::Native, 1), Device::new(&mut rng, Profile::Native, 2));
    let session = alice.initiate(&mut rng, &bob, true);
    let first = session.encrypt(&mut rng, b"once").unwrap().output;
    let message = PreKeyMessage::parse(&first).unwrap();
    let error = Session::accept(Profile::Native, &bob.identity, bob.address, alice.peer(), message, bob.keys(false))
        .unwrap_err();
    assert!(matches!(
        error,
        AcceptError::PreKeyMismatch { kind: PreKeyKind::OneTime, named: Some(70_000), given: None }
    ));
    // Naming no one-time prekey does not help: the id is part of what the keys are derived from.
    let stripped = tamper_prekey(&first, |proto| proto.one_time_id = None);
    assert!(matches!(bob.accept(&alice, &stripped, false).unwrap_err(), DecryptError::BadMac));
}

#[cfg(feature = "signal-v4")]
#[test]
fn a_signal_v4_prekey_message_cannot_be_replayed_once_its_one_time_prekey_is_gone() {
    let v4 = Profile::SignalV4;
    let mut rng = rng(5);
    let (alice, bob) = (Device::new(&mut rng, v4, 1), Device::new(&mut rng, v4, 2));
    let first = alice.initiate(&mut rng, &bob, true).encrypt(&mut rng, b"once").unwrap().output;
    let message = PreKeyMessage::parse(&first).unwrap();
    let error = Session::accept(v4, &bob.identity, bob.address, alice.peer(), message, bob.keys(false)).unwrap_err();
    assert!(matches!(error, AcceptError::PreKeyMismatch { kind: PreKeyKind::OneTime, .. }));
    let stripped = tamper_prekey(&first, |proto| proto.one_time_id = None);
    assert!(matches!(bob.accept(&alice, &stripped, false).unwrap_err(), DecryptError::BadMac));
}

#[test]
fn a_first_message_is_a_duplicate_while_its_session_is_archived_and_has_the_same_name_when_it_is_gone() {
    for profile in PROFILES {
        let mut rng = rng(6);
        let (alice, bob) = (Device::new(&mut rng, *profile, 1), Device::new(&mut rng, *profile, 2));
        // Without a one-time prekey: nothing but Bob's memory of base keys stands against a replay.
        let first = alice.initiate(&mut rng, &bob, false).encrypt(&mut rng, b"first").unwrap().output;
        let (mut store, mut archive) = (MemoryArchive::new(), Archive::new());
        let change = archive.accept(bob.accept(&alice, &first, false).unwrap(), 1).unwrap().change;
        store.store(&change);
        archive.apply(change).unwrap();
        let change = archive.close().unwrap();
        store.store(&change);
        archive.apply(change).unwrap();
        let before = store.stored();
        for archive in [&archive, &store.restore().unwrap()] {
            let error = archive.decrypt(&store, &first).unwrap_err();
            assert!(matches!(error, ArchiveDecryptError::Message(DecryptError::DuplicateMessage { counter: 0 })));
        }
        assert_eq!(store.stored(), before);
        // Taken in once more it is refused by its name, and where the session is gone the name is what a caller compares.
        let again = bob.accept(&alice, &first, false).unwrap();
        assert!(matches!(archive.accept(again, 2), Err(AddError::Known)));
        let error = Archive::new().decrypt(&store, &first).unwrap_err();
        let ArchiveDecryptError::NewSession { message } = error else { panic!("{error:?}") };
        assert!(archive.contains(SessionId(message.base_key())));
    }
}

#[test]
fn a_message_that_carries_a_chunk_is_read_once_in_every_state_of_the_post_quantum_ratchet() {
    for profile in PROFILES {
        let mut pair = Pair::established(*profile, 7);
        let mut last: [Option<Vec<u8>>; 2] = [None, None];
        for _ in 0..90 {
            for from_alice in [true, false] {
                let (from, to, rng) = pair.ends(from_alice);
                let message = from.send(rng, b"chunk");
                assert_eq!(to.receive(&message).unwrap(), b"chunk");
                let earlier = last[usize::from(from_alice)].replace(message.clone());
                for replayed in [Some(message), earlier].into_iter().flatten() {
                    assert!(matches!(to.refuses(&replayed), DecryptError::DuplicateMessage { .. }));
                }
            }
        }
    }
}

#[test]
fn a_base_key_with_torsion_is_no_second_name_for_a_native_session() {
    // Adding the point of order 2 turns u into 1/u and leaves every clamped agreement as it is.
    let mut rng = rng(4);
    let (alice, bob) = (Device::new(&mut rng, Profile::Native, 1), Device::new(&mut rng, Profile::Native, 2));
    let session = alice.initiate(&mut rng, &bob, true);
    let first = session.encrypt(&mut rng, b"once").unwrap().output;
    let twin = inverse(&PreKeyMessage::parse(&first).unwrap().base_key());
    let ours = rcseal_crypto::x25519::SecretKey::from_bytes([7; 32]);
    let agree = |u: &[u8; 32]| ours.diffie_hellman(&rcseal_crypto::x25519::PublicKey::from_bytes(u).unwrap()).unwrap();
    assert!(agree(&twin).ct_eq(&agree(&session.base_key())), "the two keys agree alike");
    let renamed = tamper_prekey(&first, |proto| proto.base_key = Some([&[0x41][..], &twin].concat()));
    assert_ne!(PreKeyMessage::parse(&renamed).unwrap().base_key(), session.base_key());
    assert!(matches!(bob.accept(&alice, &renamed, true).unwrap_err(), DecryptError::BadMac));
}

/// 1/u modulo 2^255 - 19, by Fermat, with sixteen 16-bit limbs. Slow and only for this test.
pub(crate) fn inverse(u: &[u8; 32]) -> [u8; 32] {
    type Limbs = [u64; 16];
    fn reduce(wide: &mut [u64; 32]) -> Limbs {
        let mut out = [0u64; 16];
        for (at, limb) in out.iter_mut().enumerate() {
            // 2^256 = 38 modulo p.
            *limb = wide[at] + 38 * wide[at + 16];
        }
        for _ in 0..4 {
            let mut carry = 0;
            for limb in &mut out {
                *limb += carry;
                carry = *limb >> 16;
                *limb &= 0xFFFF;
            }
            out[0] += 38 * carry;
        }
        out
    }
    fn multiply(a: &Limbs, b: &Limbs) -> Limbs {
        let mut wide = [0u64; 32];
        for (i, x) in a.iter().enumerate() {
            for (j, y) in b.iter().enumerate() {
                wide[i + j] += x * y;
            }
        }
        // Carry once so that the fold cannot overflow.
        for at in 0..31 {
            wide[at + 1] += wide[at] >> 16;
            wide[at] &= 0xFFFF;
        }
        reduce(&mut wide)
    }
    let base: Limbs = std::array::from_fn(|at| u64::from(u16::from_le_bytes([u[2 * at], u[2 * at + 1]])));
    let mut result: Limbs = std::array::from_fn(|at| u64::from(at == 0));
    // p - 2 = 2^255 - 21: bits 254..5 are ones, the low five are 01011.
    for bit in (0..255).rev() {
        result = multiply(&result, &result);
        if bit >= 5 || [true, true, false, true, false][bit] {
            result = multiply(&result, &base);
        }
    }
    // Below 2^256: subtract p at most twice.
    for _ in 0..2 {
        let p: Limbs = std::array::from_fn(|at| match at {
            0 => 0xFFED,
            15 => 0x7FFF,
            _ => 0xFFFF,
        });
        if result.iter().rev().ge(p.iter().rev()) {
            let mut borrow = 0i64;
            for (limb, less) in result.iter_mut().zip(p) {
                let difference = *limb as i64 - less as i64 + borrow;
                *limb = (difference & 0xFFFF) as u64;
                borrow = difference >> 16;
            }
        }
    }
    let mut out = [0; 32];
    for (at, limb) in result.iter().enumerate() {
        out[2 * at..2 * at + 2].copy_from_slice(&(*limb as u16).to_le_bytes());
    }
    out
}

#[test]
fn the_inverse_is_an_inverse() {
    let mut three = [0; 32];
    three[0] = 3;
    let third = inverse(&three);
    assert_eq!(inverse(&third), three);
    assert_ne!(third, three);
}
