//! What can be printed holds no secret, and errors say nothing about keys. The expected texts are a snapshot: a change
//! is a decision.

use rcseal_signal::*;

use crate::support::*;

#[test]
fn debug_output_names_types_and_counts() {
    let mut pair = Pair::established(Profile::Native, 1);
    assert_eq!(format!("{:?}", pair.alice.session), "Session { profile: Native, role: Initiator, step: 3, .. }");
    assert_eq!(format!("{:?}", pair.alice.session.record()), format!("Record({} bytes)", Record::LEN));
    let step = pair.alice.session.encrypt(&mut pair.rng, b"text").unwrap();
    assert_eq!(format!("{step:?}"), format!("Step {{ delta: {:?}, .. }}", step.delta));
    assert_eq!(
        format!("{:?}", step.delta),
        "Delta { step: 4, insert: 0, remove: 0, evict: Evict { messages_below: None, post_quantum_below: None, \
         epochs_below: None }, .. }"
    );
    assert_eq!(format!("{:?}", pair.alice_device.address), "Address { device: 1, .. }");
}

#[test]
fn no_debug_output_contains_secret_bytes() {
    let mut pair = Pair::accepted(Profile::Native, 2);
    let sent = pair.alice_sends(3);
    let step = pair.bob.session.decrypt(&pair.bob.skipped, &sent[2]).unwrap();
    let seeds: Vec<[u8; 32]> = step.delta.insert().iter().map(|row| *row.key().expose()).collect();
    let row = format!("{:?}", step.delta.insert()[0]);
    assert!(row.contains("Secret<32>"));
    pair.bob.commit(&step.delta);
    let device = &pair.bob_device;
    let printed = format!(
        "{row} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        device.identity, device.signed, device.kem, device.one_time, pair.bob.session, pair.bob.skipped, step.delta
    );
    let mut secrets = seeds;
    secrets.push(*device.identity.expose_secret());
    secrets.push(device.signed.to_bytes()[7..39].try_into().unwrap());
    secrets.push(device.one_time.to_bytes()[7..39].try_into().unwrap());
    secrets.push(device.kem.to_bytes()[7..39].try_into().unwrap());
    secrets.push(*pair.bob.session.export(b"seal").expose());
    for secret in secrets {
        assert_not_printed(&printed, &secret);
    }
}

#[test]
fn every_failure_of_authentication_reads_the_same() {
    let mut pair = Pair::established(Profile::Native, 3);
    let message = pair.alice.send(&mut pair.rng, b"text");
    let mut texts = Vec::new();
    for at in [message.len() - 1, message.len() - 33, message.len() - 32] {
        let mut forged = message.clone();
        forged[at] ^= 1;
        let error = pair.bob.receive(&forged).unwrap_err();
        assert_eq!(error.code(), "bad_mac");
        texts.push(format!("{error} {error:?}"));
    }
    texts.dedup();
    assert_eq!(texts, ["the message does not authenticate BadMac"]);
}

#[test]
fn an_archive_prints_counts() {
    let mut rng = rng(4);
    let (alice, bob) = (Device::new(&mut rng, Profile::Native, 1), Device::new(&mut rng, Profile::Native, 2));
    let mut side = Side::new(alice.initiate(&mut rng, &bob, false));
    let sent = [side.send(&mut rng, b"overtaken"), side.send(&mut rng, b"plaintext")];
    let accepted = bob.accept(&alice, &sent[1], false).unwrap();
    assert_eq!(
        format!("{accepted:?}"),
        format!("Accepted {{ session: {:?}, delta: {:?}, .. }}", accepted.session, accepted.delta)
    );
    let mut archive = Archive::new();
    let step = archive.accept(accepted, 1).unwrap();
    assert_eq!(format!("{step:?}"), format!("ArchiveStep {{ change: {:?}, .. }}", step.change));
    assert_eq!(
        format!("{:?}", step.change),
        format!("ArchiveChange {{ reordered: true, forgets: false, delta: {:?}, .. }}", step.change.delta())
    );
    let mut store = MemoryArchive::new();
    store.store(&step.change);
    archive.apply(step.change).unwrap();
    assert_eq!(format!("{archive:?}"), "Archive { has_active: true, archived: 0, .. }");
    assert_eq!(format!("{store:?}"), "MemoryArchive { sessions: 1, skipped: 2, .. }");
}

#[test]
fn every_kind_of_kem_key_prints_no_secret() {
    for profile in PROFILES {
        let device = Device::new(&mut rng(5), *profile, 1);
        let printed = format!("{:?}", device.kem);
        let seed: [u8; 64] = device.kem.to_bytes()[7..71].try_into().unwrap();
        for part in seed.as_chunks::<8>().0 {
            assert_not_printed(&printed, part);
        }
    }
}

/// Four bytes in a row, in hexadecimal or as a list of numbers, would be a leak.
fn assert_not_printed(printed: &str, secret: &[u8]) {
    let hex: String = secret[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    let list = format!("{}, {}, {}, {}", secret[0], secret[1], secret[2], secret[3]);
    assert!(!printed.to_lowercase().contains(&hex) && !printed.contains(&list), "{printed}");
}

#[test]
fn what_holds_a_secret_is_erased_when_it_is_dropped() {
    fn erased<T: zeroize::ZeroizeOnDrop>() {}
    erased::<rcseal_crypto::Secret<32>>();
    erased::<rcseal_crypto::Secret<80>>();
    erased::<Record>();
    // Stored halves of prekeys come as buffers that erase themselves.
    let device = Device::new(&mut rng(6), Profile::Native, 1);
    let _: [zeroize::Zeroizing<Vec<u8>>; 3] =
        [device.signed.to_bytes(), device.kem.to_bytes(), device.one_time.to_bytes()];
}

#[test]
fn a_chunk_that_was_changed_reads_like_any_forgery_whatever_it_completes() {
    // Which check failed, the header's, the key's, the ciphertext's or the message's, is nothing a sender may learn.
    for profile in PROFILES {
        let mut pair = Pair::established(*profile, 7);
        let mut texts = std::collections::BTreeSet::new();
        for _ in 0..90 {
            for from_alice in [true, false] {
                let (from, to, rng) = pair.ends(from_alice);
                let message = from.send(rng, b"text");
                let changed = tamper(*profile, &message, |proto| {
                    let part = proto.pq_ratchet.as_mut().unwrap();
                    // The chunk's last byte, if there is a chunk.
                    if part.len() > 32 {
                        *part.last_mut().unwrap() ^= 1;
                    }
                });
                if changed != message {
                    let error = to.refuses(&changed);
                    texts.insert(format!("{} {error} {error:?}", error.code()));
                }
                to.receive(&message).unwrap();
            }
        }
        assert_eq!(Vec::from_iter(texts), ["bad_mac the message does not authenticate BadMac"]);
    }
}
