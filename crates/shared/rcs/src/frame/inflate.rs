//! Compressed bodies, within a limit.
//!
//! `deflate` means a zlib stream in the standards and a bare one in some stacks; both are tried. Nothing is compressed here: a ciphertext
//! does not get shorter.

use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

/// What became of a body.
pub(super) enum Inflated {
    /// Neither said to be compressed nor looking like it.
    NotCompressed,
    /// All of it.
    Whole(Vec<u8>),
    /// What came out before the stream broke off or contradicted itself.
    Broken(Vec<u8>),
    /// More than the limit came out, and the rest was left in.
    TooLarge,
}

/// Inflates `body` if its header says so or its first bytes do.
pub(super) fn inflate(content_encoding: Option<&str>, body: &[u8], max: usize) -> Inflated {
    if body.starts_with(&[0x1f, 0x8b, 0x08]) {
        return read(MultiGzDecoder::new(body), max);
    }
    if let [head, flags, ..] = *body
        && head & 0x0f == 8
        && head >> 4 <= 7
        && u16::from_be_bytes([head, flags]) % 31 == 0
    {
        return read(ZlibDecoder::new(body), max);
    }
    if content_encoding.is_some_and(names_compression) {
        return read(DeflateDecoder::new(body), max);
    }
    Inflated::NotCompressed
}

fn names_compression(content_encoding: &str) -> bool {
    let known = ["deflate", "gzip", "x-gzip"];
    content_encoding.split(',').any(|name| known.iter().any(|known| name.trim().eq_ignore_ascii_case(known)))
}

fn read(decoder: impl Read, max: usize) -> Inflated {
    let mut bytes = Vec::new();
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    let outcome = decoder.take(limit).read_to_end(&mut bytes);
    if bytes.len() > max {
        return Inflated::TooLarge;
    }
    if outcome.is_ok() { Inflated::Whole(bytes) } else { Inflated::Broken(bytes) }
}
