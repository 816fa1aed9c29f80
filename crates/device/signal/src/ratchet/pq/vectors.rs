//! `vectors/signal/spqr-v1.json`: the post-quantum ratchet by itself, as data shared by every language.
//!
//! Parity chunks of the erasure code, and two sides in step for three epochs: the random bytes each message draws, its field, its key,
//! and both slots at the end. `RCSEAL_WRITE_VECTORS=1` writes the file anew from a seeded generator; without it the file is replayed.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

#[path = "../../../tests/shared/tape.rs"]
mod tape;

use alloc::string::String;
use std::path::PathBuf;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use self::tape::{Recorder, Replay};
use super::erasure::{CHUNK_LEN, Payload, encode};
use super::*;

#[derive(Serialize, Deserialize)]
struct Vectors {
    about: String,
    parity: Vec<Parity>,
    /// Seeds chains and authenticator of both sides.
    auth_key: String,
    messages: Vec<MessageVector>,
    initiator_slot: String,
    responder_slot: String,
}

#[derive(Serialize, Deserialize)]
struct Parity {
    payload: String,
    chunks: Vec<ParityChunk>,
}

#[derive(Serialize, Deserialize)]
struct ParityChunk {
    index: u16,
    chunk: String,
}

#[derive(Serialize, Deserialize)]
struct MessageVector {
    from: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    random: String,
    field: String,
    key: String,
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../vectors/signal/spqr-v1.json")
}

fn parity<const K: usize>(payload: &[u8], index: u16) -> String {
    let (chunks, _) = payload.as_chunks::<CHUNK_LEN>();
    let payload: &Payload<K> = chunks.try_into().unwrap();
    hex::encode(encode(payload, index).bytes)
}

fn parity_of(payload: &[u8], index: u16) -> String {
    match payload.len() / CHUNK_LEN {
        3 => parity::<3>(payload, index),
        5 => parity::<5>(payload, index),
        30 => parity::<30>(payload, index),
        36 => parity::<36>(payload, index),
        other => panic!("no piece has {other} chunks"),
    }
}

fn slot(ratchet: &PqRatchet) -> String {
    let mut slot = Vec::new();
    ratchet.encode(&mut slot);
    hex::encode(slot)
}

const NAMES: [&str; 2] = ["initiator", "responder"];

fn sides(auth_key: [u8; 32]) -> [PqRatchet; 2] {
    [Role::Initiator, Role::Responder].map(|role| PqRatchet::new(&NATIVE, role, &Secret::from_bytes(auth_key)))
}

/// Takes a message into the side that did not write it, and gives the key it found.
fn read(sides: &mut [PqRatchet; 2], from: usize, field: &[u8]) -> Secret<32> {
    let part = PqPart::parse(&NATIVE, field).unwrap();
    let received = sides[1 - from].receive(&NATIVE, &part).unwrap();
    sides[1 - from] = received.next;
    match received.source {
        KeySource::Walk { key, .. } => key,
        KeySource::Stored { .. } => panic!("in step, no key is skipped"),
    }
}

fn write() {
    let mut rng = ChaCha20Rng::seed_from_u64(20_261_123);
    let parity = [3usize, 5, 30, 36].map(|chunks| {
        let mut payload = alloc::vec![0; chunks * CHUNK_LEN];
        rng.fill_bytes(&mut payload);
        let chunks = [chunks as u16 - 1, chunks as u16, chunks as u16 + 1, 1_000, u16::MAX]
            .map(|index| ParityChunk { index, chunk: parity_of(&payload, index) });
        Parity { payload: hex::encode(&payload), chunks: chunks.into() }
    });
    let mut auth_key = [0; 32];
    rng.fill_bytes(&mut auth_key);
    let mut tape = Recorder::new(rng);
    let mut sides = sides(auth_key);
    let mut messages = Vec::new();
    while sides.iter().any(|side| side.braid.epoch() < 4) {
        for from in [0, 1] {
            let sent = sides[from].send(&NATIVE, &mut tape).unwrap();
            sides[from] = sent.next;
            read(&mut sides, from, sent.field.as_bytes());
            messages.push(MessageVector {
                from: NAMES[from].into(),
                random: tape.drawn(),
                field: hex::encode(sent.field.as_bytes()),
                key: hex::encode(sent.key.expose()),
            });
        }
    }
    let vectors = Vectors {
        about: "The sparse post-quantum ratchet with native labels, docs/protocol/spqr.md. Byte strings in hexadecimal. Each message is \
                written by one side, with the random bytes it draws, and read by the other at once: both find the same key."
            .into(),
        parity: parity.into(),
        auth_key: hex::encode(auth_key),
        messages,
        initiator_slot: slot(&sides[0]),
        responder_slot: slot(&sides[1]),
    };
    std::fs::write(path(), serde_json::to_string_pretty(&vectors).unwrap() + "\n").unwrap();
}

#[test]
fn the_post_quantum_vectors_replay() {
    if std::env::var_os("RCSEAL_WRITE_VECTORS").is_some() {
        write();
    }
    let vectors: Vectors = serde_json::from_str(&std::fs::read_to_string(path()).unwrap()).unwrap();
    for parity in &vectors.parity {
        let payload = hex::decode(&parity.payload).unwrap();
        for chunk in &parity.chunks {
            assert_eq!(parity_of(&payload, chunk.index), chunk.chunk, "chunk {}", chunk.index);
        }
    }
    let mut sides = sides(hex::decode(&vectors.auth_key).unwrap().try_into().unwrap());
    for (number, message) in vectors.messages.iter().enumerate() {
        let from = NAMES.iter().position(|name| *name == message.from).unwrap();
        let mut random = Replay::new(&message.random);
        let sent = sides[from].send(&NATIVE, &mut random).unwrap();
        assert!(random.is_used_up(), "message {number} draws what it needs");
        sides[from] = sent.next;
        assert_eq!(hex::encode(sent.field.as_bytes()), message.field, "field of message {number}");
        assert_eq!(hex::encode(sent.key.expose()), message.key, "key of message {number}");
        let key = read(&mut sides, from, &hex::decode(&message.field).unwrap());
        assert_eq!(hex::encode(key.expose()), message.key, "key found for message {number}");
    }
    assert_eq!((slot(&sides[0]), slot(&sides[1])), (vectors.initiator_slot, vectors.responder_slot));
}
