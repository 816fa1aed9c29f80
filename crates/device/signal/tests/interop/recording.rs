//! Writes conversations with libsignal down, so that they replay without it (`vectors/signal/libsignal-v4.json`).
//!
//! libsignal draws its own keys, so a recording holds its messages as they came, and of our side everything: keys, the
//! random bytes each step draws, and what it sends. The keys are made for the recording and used for nothing else.

use std::fmt::Write;
use std::path::Path;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::tape::Recorder;
use crate::world::{Names, Side, World};
use crate::{Failure, ensure};

const PACKAGE: &str = "@signalapp/libsignal-client";
const SEED: u64 = 20_261_123;
/// Rounds of one message each way: two epochs of the post-quantum ratchet and the beginning of a third.
const ROUNDS: u32 = 100;
/// In every so many rounds libsignal sends three messages, of which the second is lost and the others change places.
const DISORDER_EVERY: u32 = 5;

pub(crate) fn write(folder: &Path, file: &Path) -> Result<(), Failure> {
    let mut out = String::from("{\n");
    let about = "Conversations with libsignal (the npm package named as source), seen from our side. Byte strings in hexadecimal; \
                 prekeys in their stored form; keys of a bundle behind their type bytes. Each step starts from the state the one \
                 before left. `random` is what our side draws, in order. Test keys: never used for anything else.";
    writeln!(out, "  \"about\": {},", json!(about))?;
    writeln!(out, "  \"source\": \"{PACKAGE} {}, run as a black box\",", version(folder)?)?;
    writeln!(out, "  \"profile\": \"signal-v4\",")?;
    writeln!(out, "  \"conversations\": [")?;
    for (number, initiator) in Side::BOTH.into_iter().enumerate() {
        let (head, steps) = converse(folder, initiator)?;
        let head = head.to_string();
        writeln!(out, "    {},", &head[..head.len() - 1])?;
        writeln!(out, "      \"steps\": [")?;
        let lines: Vec<String> = steps.iter().map(|step| format!("        {step}")).collect();
        writeln!(out, "{}", lines.join(",\n"))?;
        writeln!(out, "      ]\n    }}{}", if number == 0 { "," } else { "" })?;
    }
    out.push_str("  ]\n}\n");
    let _is_json: Value = serde_json::from_str(&out)?;
    Ok(std::fs::write(file, out)?)
}

/// The version of libsignal that is installed beside the peer.
fn version(folder: &Path) -> Result<String, Failure> {
    let manifest: Value = serde_json::from_str(&std::fs::read_to_string(folder.join("package.json"))?)?;
    Ok(manifest["dependencies"][PACKAGE].as_str().ok_or("the peer's manifest names no libsignal")?.to_owned())
}

/// One conversation: what it needs to start, and its steps.
fn converse(folder: &Path, initiator: Side) -> Result<(Value, Vec<Value>), Failure> {
    let mut world = World::new(folder, SEED + u64::from(initiator == Side::Ours), Names::Uuids)?;
    let mut tape = Recorder::new(ChaCha20Rng::seed_from_u64(world.rng.next_u64()));
    let mut steps = Vec::new();
    let mut head = json!({
        "role": initiator.our_role(),
        "ours": {
            "account": hex::encode(world.ours.address.account()),
            "device": 1,
            "registration_id": world.ours.registration,
            "identity_secret": hex::encode(world.ours.identity.expose_secret()),
        },
        "theirs": {
            "account": hex::encode(world.their_account),
            "device": 1,
            "identity": hex::encode(&world.their_identity),
        },
    });
    match initiator {
        Side::Ours => {
            let mut bundle = world.ask("bundle", json!({"oneTime": true}))??;
            bundle.as_object_mut().ok_or("no bundle")?.remove("ok");
            world.ours.begin(&mut tape, &bundle)?;
            head["bundle"] = bundle;
            head["random"] = tape.drawn().into();
        }
        Side::Theirs => {
            let bundle = world.ours.bundle(&mut world.rng, true)?;
            world.ask("process", json!({"bundle": bundle}))??;
            head["prekeys"] = world.ours.stored_prekeys();
            receive_in_disorder(&mut world, &mut steps)?;
        }
    }
    for round in 0..ROUNDS {
        let text = format!("ours {round}").into_bytes();
        let sent = world.ours.send(&mut tape, &text)?;
        ensure(world.theirs_receive(&sent)?? == text, "libsignal read another text")?;
        steps.push(json!({
            "action": "encrypt",
            "random": tape.drawn(),
            "plaintext": hex::encode(&text),
            "message": hex::encode(&sent.bytes),
        }));
        if round % DISORDER_EVERY == 0 {
            receive_in_disorder(&mut world, &mut steps)?;
        } else {
            let text = format!("theirs {round}").into_bytes();
            let sent = world.theirs_send(&text)?;
            receive(&mut world, &mut steps, &sent.bytes, &text)?;
        }
    }
    Ok((head, steps))
}

fn receive(world: &mut World, steps: &mut Vec<Value>, message: &[u8], text: &[u8]) -> Result<(), Failure> {
    ensure(world.ours.receive(message)?? == text, "we read another text")?;
    steps.push(json!({"action": "decrypt", "message": hex::encode(message), "plaintext": hex::encode(text)}));
    Ok(())
}

/// Three messages: the third arrives before the first, the second never, and the first again.
fn receive_in_disorder(world: &mut World, steps: &mut Vec<Value>) -> Result<(), Failure> {
    let texts = [&b"one of three"[..], b"two of three", b"three of three"];
    let sent = texts.map(|text| world.theirs_send(text));
    let [first, _lost, third] = sent;
    let (first, third) = (first?, third?);
    receive(world, steps, &third.bytes, texts[2])?;
    receive(world, steps, &first.bytes, texts[0])?;
    let refusal = world.ours.receive(&first.bytes)?.err().ok_or("we read a message twice")?;
    steps.push(json!({"action": "refuse", "message": hex::encode(&first.bytes), "code": refusal.code()}));
    Ok(())
}
