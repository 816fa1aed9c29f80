//! `vectors/signal/native-v1.json`: one whole session as data, shared by every language.
//!
//! Each step lists the random bytes it draws, what goes in, what comes out and the record after it, so an
//! implementation can be checked step by step. The steps are followed by an exchange that takes the post-quantum ratchet
//! through an epoch of either side, with digests in place of whole records. `RCSEAL_WRITE_VECTORS=1` writes the file anew
//! from a seeded generator; without it the file is replayed.

use std::path::PathBuf;

use rcseal_signal::*;
use serde::{Deserialize, Serialize};

use crate::support::*;
use crate::tape::{Recorder, Replay};

#[derive(Serialize, Deserialize)]
struct Vectors {
    about: String,
    profile: String,
    alice: Party,
    bob: Party,
    signed_prekey: String,
    kem_prekey: String,
    one_time_prekey: String,
    signed_prekey_signature: String,
    kem_prekey_public: String,
    kem_prekey_signature: String,
    initiate: Initiate,
    steps: Vec<StepVector>,
    refused: Vec<Refused>,
    exports: Vec<Export>,
    exchange: Vec<Exchanged>,
}

#[derive(Serialize, Deserialize)]
struct Party {
    account: String,
    device: u8,
    identity_secret: String,
    identity: String,
}

#[derive(Serialize, Deserialize)]
struct Initiate {
    /// Base key, KEM message, ratchet key: 32 bytes each.
    random: String,
    record: String,
}

#[derive(Serialize, Deserialize)]
struct StepVector {
    side: String,
    action: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    random: String,
    plaintext: String,
    message: String,
    record: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    insert: Vec<Row>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    remove: Vec<String>,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Row {
    /// Kind, then chain and counter or epoch and index.
    id: String,
    ordinal: u64,
    key: String,
}

#[derive(Serialize, Deserialize)]
struct Refused {
    why: String,
    message: String,
    code: String,
}

#[derive(Serialize, Deserialize)]
struct Export {
    label: String,
    key: String,
}

/// A message that is written and read at once.
#[derive(Serialize, Deserialize)]
struct Exchanged {
    from: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    random: String,
    plaintext: String,
    message: String,
    /// SHA-256 of the sender's record after it, and of the receiver's.
    records: [String; 2],
    /// Where either side's step begins a key epoch: rows of key epochs below this go.
    #[serde(default, skip_serializing_if = "is_nothing")]
    epochs_below: [Option<u64>; 2],
}

fn is_nothing(epochs: &[Option<u64>; 2]) -> bool {
    *epochs == [None, None]
}

fn digest(delta: &Delta) -> String {
    hex::encode(rcseal_crypto::hash::sha256(&[delta.record().as_bytes()]))
}

/// Key epochs after which each side has made one key pair and one ciphertext.
const EPOCHS: u64 = 2;

/// Both write in turns, every message arrives, until each has made one key pair and one ciphertext.
fn exchange(sides: &mut [Option<Side>; 2], tape: &mut Recorder) -> Vec<Exchanged> {
    let mut out = Vec::new();
    while sides.iter().flatten().any(|side| side.session.pq_epoch() < EPOCHS) {
        for (from, name) in [(0, "alice"), (1, "bob")] {
            let plaintext = format!("exchange {}", out.len()).into_bytes();
            let sender = sides[from].as_mut().unwrap();
            let sent = sender.session.encrypt(tape, &plaintext).unwrap();
            sender.commit(&sent.delta);
            let receiver = sides[1 - from].as_mut().unwrap();
            let read = receiver.session.decrypt(&receiver.skipped, &sent.output).unwrap();
            assert_eq!(read.output, plaintext);
            receiver.commit(&read.delta);
            out.push(Exchanged {
                from: name.into(),
                random: tape.drawn(),
                plaintext: hex::encode(&plaintext),
                message: hex::encode(&sent.output),
                records: [digest(&sent.delta), digest(&read.delta)],
                epochs_below: [sent.delta.evict().epochs_below, read.delta.evict().epochs_below],
            });
        }
    }
    out
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../vectors/signal/native-v1.json")
}

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

fn array<const N: usize>(text: &str) -> [u8; N] {
    bytes(text).try_into().unwrap()
}

fn rows(delta: &Delta) -> Vec<Row> {
    let row = |row: &SkippedRow| Row {
        id: hex::encode(row.id().to_bytes()),
        ordinal: row.ordinal(),
        key: hex::encode(row.key().expose()),
    };
    delta.insert().iter().map(row).collect()
}

fn removed(delta: &Delta) -> Vec<String> {
    delta.remove().iter().map(|id| hex::encode(id.to_bytes())).collect()
}

fn write() {
    let mut rng = rng(20_261_123);
    let (alice, bob) = (Device::new(&mut rng, Profile::Native, 0xA1), Device::new(&mut rng, Profile::Native, 0xB0));
    let party = |device: &Device| Party {
        account: hex::encode(device.address.account()),
        device: device.address.device(),
        identity_secret: hex::encode(device.identity.expose_secret()),
        identity: hex::encode(device.identity.public().as_bytes()),
    };
    let mut tape = Recorder::new(rng);
    let verified = bob.bundle(true).verify(Profile::Native).unwrap();
    let session =
        Session::initiate(&mut tape, Profile::Native, &alice.identity, alice.address, bob.peer(), verified).unwrap();
    let initiate = Initiate { random: tape.drawn(), record: hex::encode(session.record().as_bytes()) };
    let mut sides = [Some(Side::new(session)), None];
    let mut steps = Vec::new();
    let mut sent: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut refused = Vec::new();
    // (who, what): a number is the index of the sent message that arrives, none is an encryption.
    let script: &[(usize, Option<usize>)] = &[
        (0, None),
        (0, None),
        (0, None),
        (1, Some(1)),
        (1, Some(0)),
        (1, None),
        (0, Some(3)),
        (1, Some(2)),
        (0, None),
        (0, None),
        (1, Some(5)),
        (1, None),
        (1, None),
        (0, Some(7)),
        (0, None),
        (1, Some(8)),
        (1, Some(4)),
        (0, Some(6)),
    ];
    for (number, (who, arriving)) in script.iter().enumerate() {
        let name = ["alice", "bob"][*who].to_owned();
        match arriving {
            None => {
                let side = sides[*who].as_mut().unwrap();
                let plaintext = format!("step {number}").into_bytes();
                let step = side.session.encrypt(&mut tape, &plaintext).unwrap();
                side.commit(&step.delta);
                steps.push(StepVector {
                    side: name,
                    action: "encrypt".into(),
                    random: tape.drawn(),
                    plaintext: hex::encode(&plaintext),
                    message: hex::encode(&step.output),
                    record: hex::encode(step.delta.record().as_bytes()),
                    insert: Vec::new(),
                    remove: Vec::new(),
                });
                sent.push((plaintext, step.output));
            }
            Some(arriving) => {
                let (plaintext, message) = &sent[*arriving];
                let (output, delta, action) = match &mut sides[*who] {
                    Some(side) => {
                        let step = side.session.decrypt(&side.skipped, message).unwrap();
                        side.commit(&step.delta);
                        (step.output, step.delta, "decrypt")
                    }
                    empty => {
                        let accepted = bob.accept(&alice, message, true).unwrap();
                        *empty = Some(Side::accepted(accepted.session, &accepted.delta));
                        (accepted.plaintext, accepted.delta, "accept")
                    }
                };
                assert_eq!(&output, plaintext);
                steps.push(StepVector {
                    side: name,
                    action: action.into(),
                    random: String::new(),
                    plaintext: hex::encode(plaintext),
                    message: hex::encode(message),
                    record: hex::encode(delta.record().as_bytes()),
                    insert: rows(&delta),
                    remove: removed(&delta),
                });
            }
        }
    }
    let fresh = sides[0].as_ref().unwrap().session.encrypt(&mut tape, b"fresh").unwrap().output;
    let bob_side = sides[1].as_mut().unwrap();
    let bob_side_refuses = |why: &str, message: Vec<u8>, refused: &mut Vec<Refused>, side: &mut Side| {
        let code = side.receive(&message).unwrap_err().code().to_owned();
        refused.push(Refused { why: why.into(), message: hex::encode(message), code });
    };
    bob_side_refuses("already received", sent[8].1.clone(), &mut refused, bob_side);
    let mut flipped = fresh.clone();
    *flipped.last_mut().unwrap() ^= 1;
    bob_side_refuses("last bit of the MAC flipped", flipped, &mut refused, bob_side);
    let far = tamper(Profile::Native, &fresh, |proto| proto.counter = Some(25_002));
    bob_side_refuses("25,001 ahead of its chain", far, &mut refused, bob_side);
    let mut version = fresh.clone();
    version[0] = 0x44;
    bob_side_refuses("version of another format", version, &mut refused, bob_side);
    let pq = tamper(Profile::Native, &fresh, |proto| proto.pq_ratchet = Some(Vec::new()));
    bob_side_refuses("empty post-quantum field", pq, &mut refused, bob_side);
    let exports = ["seal", "tag"].map(|label| Export {
        label: label.into(),
        key: hex::encode(bob_side.session.export(label.as_bytes()).expose()),
    });
    let exchange = exchange(&mut sides, &mut tape);
    let vectors = Vectors {
        about:
            "One native session, step by step. Byte strings in hexadecimal; prekeys in their stored form; formats in \
                docs/protocol/pqxdh.md, ratchet.md and spqr.md. `refused` is given to bob after the last step. `exchange` goes \
                on from there: every message arrives at once, records are given as SHA-256."
                .into(),
        profile: Profile::Native.to_string(),
        alice: party(&alice),
        bob: party(&bob),
        signed_prekey: hex::encode(&*bob.signed.to_bytes()),
        kem_prekey: hex::encode(&*bob.kem.to_bytes()),
        one_time_prekey: hex::encode(&*bob.one_time.to_bytes()),
        signed_prekey_signature: hex::encode(bob.signed.public().signature.as_bytes()),
        kem_prekey_public: hex::encode(bob.kem.public().key.as_bytes()),
        kem_prekey_signature: hex::encode(bob.kem.public().signature.as_bytes()),
        initiate,
        steps,
        refused,
        exports: exports.into(),
        exchange,
    };
    std::fs::create_dir_all(path().parent().unwrap()).unwrap();
    std::fs::write(path(), serde_json::to_string_pretty(&vectors).unwrap() + "\n").unwrap();
}

#[test]
fn the_native_session_replays() {
    if std::env::var_os("RCSEAL_WRITE_VECTORS").is_some() {
        write();
    }
    let vectors: Vectors = serde_json::from_str(&std::fs::read_to_string(path()).unwrap()).unwrap();
    let address = |party: &Party| Address::new(array(&party.account), party.device);
    let identity = |party: &Party| {
        let pair = IdentityKeyPair::from_secret_bytes(array(&party.identity_secret));
        assert_eq!(hex::encode(pair.public().as_bytes()), party.identity);
        pair
    };
    let (alice, bob) = (identity(&vectors.alice), identity(&vectors.bob));
    let (alice_address, bob_address) = (address(&vectors.alice), address(&vectors.bob));
    let alice_device = Peer { address: alice_address, identity: alice.public() };
    let bob_device = Peer { address: bob_address, identity: bob.public() };
    let signed = SignedPreKey::from_bytes(&bytes(&vectors.signed_prekey)).unwrap();
    let kem = KemPreKey::from_bytes(&bytes(&vectors.kem_prekey)).unwrap();
    let one_time = OneTimePreKey::from_bytes(&bytes(&vectors.one_time_prekey)).unwrap();
    let bundle = PreKeyBundle {
        identity: bob.public(),
        signed_prekey: SignedPreKeyPublic::from_parts(
            signed.id(),
            signed.public().key.as_bytes(),
            &bytes(&vectors.signed_prekey_signature),
        )
        .unwrap(),
        kem_prekey: KemPreKeyPublic::from_parts(
            kem.id(),
            &bytes(&vectors.kem_prekey_public),
            &bytes(&vectors.kem_prekey_signature),
        )
        .unwrap(),
        one_time: Some(one_time.public()),
    };
    let verified = bundle.verify(Profile::Native).unwrap();
    let mut random = Replay::new(&vectors.initiate.random);
    let session = Session::initiate(&mut random, Profile::Native, &alice, alice_address, bob_device, verified).unwrap();
    assert_eq!(hex::encode(session.record().as_bytes()), vectors.initiate.record);
    let mut alice_side = Side::new(session);
    let mut bob_side: Option<Side> = None;
    for (number, step) in vectors.steps.iter().enumerate() {
        let message = bytes(&step.message);
        let (output, expected, delta) = match (step.side.as_str(), step.action.as_str()) {
            ("bob", "accept") => {
                let keys = ResponderKeys { signed: &signed, kem: &kem, one_time: Some(&one_time) };
                let parsed = PreKeyMessage::parse(&message).unwrap();
                let accepted = Session::accept(Profile::Native, &bob, bob_address, alice_device, parsed, keys)
                    .unwrap()
                    .decrypt_first()
                    .unwrap();
                bob_side = Some(Side::accepted(accepted.session, &accepted.delta));
                (accepted.plaintext, &step.plaintext, accepted.delta)
            }
            (side, action) => {
                let side = if side == "alice" { &mut alice_side } else { bob_side.as_mut().unwrap() };
                // Every step also starts from the stored record.
                side.restart();
                let (step, expected) = match action {
                    "encrypt" => {
                        let mut random = Replay::new(&step.random);
                        (side.session.encrypt(&mut random, &bytes(&step.plaintext)).unwrap(), &step.message)
                    }
                    "decrypt" => (side.session.decrypt(&side.skipped, &message).unwrap(), &step.plaintext),
                    other => panic!("unknown action {other}"),
                };
                side.commit(&step.delta);
                (step.output, expected, step.delta)
            }
        };
        assert_eq!(&hex::encode(output), expected, "step {number}");
        assert_eq!(hex::encode(delta.record().as_bytes()), step.record, "record after step {number}");
        assert_eq!(rows(&delta), step.insert, "rows of step {number}");
        assert_eq!(removed(&delta), step.remove, "rows used by step {number}");
    }
    let mut bob_side = bob_side.unwrap();
    for refused in &vectors.refused {
        let error = bob_side.receive(&bytes(&refused.message)).unwrap_err();
        assert_eq!(error.code(), refused.code, "{}", refused.why);
    }
    for export in &vectors.exports {
        for side in [&alice_side, &bob_side] {
            assert_eq!(hex::encode(side.session.export(export.label.as_bytes()).expose()), export.key);
        }
    }
    let mut sides = [alice_side, bob_side];
    for (number, step) in vectors.exchange.iter().enumerate() {
        let from = usize::from(step.from == "bob");
        for side in &mut sides {
            side.restart();
        }
        let mut random = Replay::new(&step.random);
        let sent = sides[from].session.encrypt(&mut random, &bytes(&step.plaintext)).unwrap();
        assert!(random.is_used_up(), "message {number} draws less");
        assert_eq!(hex::encode(&sent.output), step.message, "message {number}");
        sides[from].commit(&sent.delta);
        let receiver = &mut sides[1 - from];
        let read = receiver.session.decrypt(&receiver.skipped, &sent.output).unwrap();
        assert_eq!(hex::encode(&read.output), step.plaintext, "message {number}");
        receiver.commit(&read.delta);
        assert_eq!([digest(&sent.delta), digest(&read.delta)], step.records, "records after message {number}");
        let evicted = [&sent.delta, &read.delta].map(|delta| delta.evict().epochs_below);
        assert_eq!(evicted, step.epochs_below, "rows after message {number}");
    }
    assert!(
        sides.iter().all(|side| side.session.pq_epoch() >= EPOCHS),
        "each side has made a key pair and a ciphertext"
    );
}
