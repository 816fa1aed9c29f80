//! Compressed bodies, whether their headers say so or not.
//!
//! `deflate` means a zlib stream in the standards and a bare one in some stacks; a bare one shows by nothing that it is one. Nothing is
//! compressed here: a ciphertext does not get shorter.

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use crate::encoding::{Inflated, inflate};

/// Inflates `body` if its first bytes say that it is compressed, or else its header does; `None` where neither does.
pub(super) fn unpack(content_encoding: Option<&str>, body: &[u8], max: usize) -> Option<Inflated> {
    if body.starts_with(&[0x1f, 0x8b, 0x08]) {
        return Some(inflate(MultiGzDecoder::new(body), max));
    }
    if let [head, flags, ..] = *body
        && head & 0x0f == 8
        && head >> 4 <= 7
        && u16::from_be_bytes([head, flags]) % 31 == 0
    {
        return Some(inflate(ZlibDecoder::new(body), max));
    }
    content_encoding.is_some_and(names_compression).then(|| inflate(DeflateDecoder::new(body), max))
}

fn names_compression(content_encoding: &str) -> bool {
    let known = ["deflate", "gzip", "x-gzip"];
    content_encoding.split(',').any(|name| known.iter().any(|known| name.trim().eq_ignore_ascii_case(known)))
}
