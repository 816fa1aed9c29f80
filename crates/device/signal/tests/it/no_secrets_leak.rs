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
        // Four bytes in a row, in hexadecimal or as a list of numbers, would be a leak.
        let hex: String = secret[..4].iter().map(|byte| format!("{byte:02x}")).collect();
        let list = format!("{}, {}, {}, {}", secret[0], secret[1], secret[2], secret[3]);
        assert!(!printed.to_lowercase().contains(&hex) && !printed.contains(&list), "{printed}");
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
