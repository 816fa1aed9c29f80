//! `vectors/rcs/frame.json`: parts as data, for every language. `RCSEAL_WRITE_VECTORS=1` writes them anew; a change is a change of format.
#![allow(clippy::disallowed_methods)]

use std::path::PathBuf;

use serde_json::{Value, json};

use super::super::{FrameId, Kind, Part, find, split};
use super::{blob, profile, whole};

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../vectors/rcs/frame.json")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn case(name: &str, kind: Kind, id: u8, len: usize, body_len_max: usize) -> Value {
    let blob = blob(len);
    let parts = split(kind, FrameId::from_bytes([id; 16]), &blob, &profile(true, body_len_max)).unwrap();
    let binary: Vec<String> = parts.iter().map(|part| hex(part.as_bytes())).collect();
    let text: Vec<String> = parts.iter().map(Part::to_text).collect();
    json!({
        "name": name, "kind": kind.code(), "id": hex(&[id; 16]), "body_len_max": body_len_max, "blob": hex(&blob),
        "parts": binary, "text": text,
    })
}

fn current() -> Value {
    json!({
        "about": "Frames of docs/protocol/framing.md: a blob, and its parts for binary bodies of body_len_max bytes, each also as text. Byte strings in hexadecimal.",
        "frames": [
            case("one byte", Kind::Envelope, 1, 1, 1300),
            case("the smallest envelope", Kind::Envelope, 2, 512, 1300),
            case("five parts, the last one shorter", Kind::Envelope, 3, 1021, 300),
            case("a reference", Kind::BlobReference, 4, 512, 400),
        ],
        "refused": refused(),
    })
}

fn refused() -> Value {
    let part = split(Kind::Envelope, FrameId::from_bytes([5; 16]), &blob(20), &profile(true, 1300)).unwrap().remove(0);
    let bytes = part.as_bytes();
    let with = |at: usize, byte: u8| {
        let mut bytes = bytes.to_vec();
        bytes[at] = byte;
        hex(&bytes)
    };
    let no_returns: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != b'\r').collect();
    json!([
        { "code": "frame_truncated", "body": hex(&bytes[..bytes.len() - 1]) },
        { "code": "frame_corrupt", "body": with(60, !bytes[60]) },
        { "code": "frame_line_endings", "body": hex(&no_returns) },
        { "code": "frame_unknown_version", "body": with(10, 2) },
        { "code": "frame_malformed", "body": with(29, 2) },
        { "code": "frame_too_large", "body": with(32, 1) },
    ])
}

fn unhex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap().as_bytes();
    text.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[test]
fn the_vectors_are_what_we_write_and_read() {
    if std::env::var_os("RCSEAL_WRITE_VECTORS").is_some() {
        std::fs::create_dir_all(file().parent().unwrap()).unwrap();
        std::fs::write(file(), serde_json::to_string_pretty(&current()).unwrap() + "\n").unwrap();
    }
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(file()).unwrap()).unwrap();
    assert_eq!(kept, current());
    for frame in kept["frames"].as_array().unwrap() {
        let texts = frame["text"].as_array().unwrap().iter().map(|text| text.as_str().unwrap().as_bytes().to_vec());
        let bodies = frame["parts"].as_array().unwrap().iter().map(unhex);
        for bodies in [bodies.collect::<Vec<_>>(), texts.collect()] {
            let parts: Vec<Part> = bodies.iter().flat_map(|body| find(body).parts).collect();
            assert_eq!(whole(parts).unwrap().bytes, unhex(&frame["blob"]));
        }
    }
    for case in kept["refused"].as_array().unwrap() {
        let body = unhex(&case["body"]);
        let found = find(&body);
        assert_eq!(
            found.damage.iter().map(|damage| damage.code()).collect::<Vec<_>>(),
            [case["code"].as_str().unwrap()]
        );
    }
}
