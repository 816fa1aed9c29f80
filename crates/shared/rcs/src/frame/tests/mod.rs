//! What frames survive, what they name, and that nothing panics.
#![allow(clippy::unwrap_used, clippy::panic)]

mod assembly;
mod binary;
mod mangle;
mod properties;
mod sizes;
mod text;
mod vectors;

use super::{Assembly, AssemblyLimits, Blob, FrameId, Kind, Part, Progress, split};
use crate::transport::TransportProfile;

/// A transport with bodies of `body_len_max` bytes.
fn profile(is_binary_safe: bool, body_len_max: usize) -> TransportProfile {
    TransportProfile { is_binary_safe, body_len_max, parts_max: 1000, carries_headers: false, has_receipts: false }
}

/// Bytes that look random, the same each time; every 97th is a carriage return with a line feed behind it, every 89th a line feed.
fn blob(len: usize) -> Vec<u8> {
    let random = |at: usize| ((at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as u8;
    let byte = |at: usize| match (at % 97, at % 89) {
        (41, _) => b'\r',
        (42, _) | (_, 17) => b'\n',
        _ => random(at),
    };
    (0..len).map(byte).collect()
}

const ID: FrameId = FrameId::from_bytes([7; 16]);

fn parts_of(blob: &[u8], body_len_max: usize) -> Vec<Part<'static>> {
    split(Kind::Envelope, ID, blob, &profile(true, body_len_max)).unwrap()
}

/// The one part of a blob of 512 bytes, the smallest envelope.
fn one() -> Part<'static> {
    parts_of(&blob(512), 2000).remove(0)
}

fn whole<'a>(parts: impl IntoIterator<Item = Part<'a>>) -> Option<Blob<'a>> {
    let mut assembly = Assembly::new(AssemblyLimits::default());
    parts.into_iter().fold(None, |blob, part| match assembly.add(part, 0) {
        Ok(Progress::Complete(blob)) => Some(blob),
        _ => blob,
    })
}

/// The same bytes with the check that belongs to them, as anybody can write it.
fn rechecked(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.len() - 8;
    let digest = xxhash_rust::xxh3::xxh3_128(&bytes[52..end]).to_be_bytes();
    let check = xxhash_rust::xxh3::xxh3_64(&[&bytes[..52], &digest].concat());
    bytes[end..].copy_from_slice(&check.to_be_bytes());
    bytes
}
