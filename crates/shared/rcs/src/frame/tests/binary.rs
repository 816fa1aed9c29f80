//! The binary form: found wherever it is whole, named wherever it is not.

use std::io::Write;

use base64::Engine;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use super::super::{BODY_LEN_MAX, DAMAGE_IN_BODY_MAX, Damage, Found, MEDIA_TYPE, PARTS_IN_BODY_MAX, find, find_in};
use super::{blob, mangle, one, parts_of, rechecked, whole};

fn survives(body: &[u8]) {
    assert_eq!(find(body), Found { parts: vec![one()], damage: vec![] });
}

fn is_named(body: &[u8], damage: Damage) {
    assert_eq!(find(body), Found { parts: vec![], damage: vec![damage] });
}

#[test]
fn survives_as_it_is() {
    survives(one().as_bytes());
}

#[test]
fn a_blob_of_one_part_is_opened_where_it_arrived() {
    let body = [b"hello ", one().as_bytes(), b"!"].concat();
    let blob = whole(find(&body).parts).unwrap();
    assert!(body.as_ptr_range().contains(&blob.bytes.as_ptr()), "no copy was made of it");
    assert_eq!(blob.into_owned(), whole([one()]).unwrap());
}

#[test]
fn survives_a_prefix_and_a_suffix() {
    survives(&[b"[Offline message - Sun Nov 22]\r\n", one().as_bytes(), b"\r\n-- \r\nsent later"].concat());
}

#[test]
fn survives_every_content_type() {
    for content_type in [None, Some("text/plain"), Some("message/cpim"), Some(";;"), Some(MEDIA_TYPE)] {
        assert_eq!(find_in(content_type, None, one().as_bytes()).parts, [one()]);
    }
}

#[test]
fn survives_multipart_in_binary_base64_and_quoted_printable() {
    let part = one();
    survives(&mangle::multipart("application/octet-stream", "binary", part.as_bytes()));
    let base64 = base64::engine::general_purpose::STANDARD.encode(part.as_bytes());
    let lines = mangle::wrapped(&base64, 76, "\r\n");
    survives(&mangle::multipart("application/octet-stream", "base64", lines.as_bytes()));
    let quoted = mangle::quoted_printable(part.as_bytes());
    survives(&mangle::multipart("application/octet-stream", "quoted-printable", &quoted));
}

fn compressed(body: &[u8]) -> [(&'static str, Vec<u8>); 3] {
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(body).unwrap();
    raw.write_all(body).unwrap();
    gzip.write_all(body).unwrap();
    [("deflate", zlib.finish().unwrap()), ("Deflate", raw.finish().unwrap()), ("gzip", gzip.finish().unwrap())]
}

#[test]
fn survives_compression_in_every_dialect() {
    for (encoding, body) in compressed(one().as_bytes()) {
        assert_eq!(find_in(None, Some(encoding), &body).parts, [one()], "{encoding}");
    }
}

#[test]
fn survives_compression_whose_header_was_stripped() {
    let [zlib, _, gzip] = compressed(one().as_bytes());
    assert_eq!(find_in(Some(MEDIA_TYPE), None, &zlib.1).parts, [one()]);
    assert_eq!(find_in(None, None, &gzip.1).parts, [one()]);
}

#[test]
fn survives_compression_twice() {
    let once = compressed(one().as_bytes())[0].1.clone();
    let twice = compressed(&once)[2].1.clone();
    assert_eq!(find_in(None, Some("deflate, gzip"), &twice).parts, [one()]);
}

#[test]
fn a_compressed_body_that_breaks_off_is_named() {
    let body = &compressed(one().as_bytes())[0].1;
    let found = find_in(None, Some("deflate"), &body[..body.len() / 2]);
    assert!(matches!(found.damage[..], [Damage::Truncated { expected: 572, .. } | Damage::Inflate]), "{found:?}");
    let nonsense = find_in(None, Some("deflate"), b"hello");
    assert_eq!(nonsense.damage, [Damage::Inflate]);
}

/// Words that a gateway has compressed are no damaged frame: what came out of the one layer that the header names is not inflated again.
#[test]
fn compressed_words_are_words() {
    for (encoding, body) in compressed(b"Are you there?") {
        assert!(find_in(Some("text/plain"), Some(encoding), &body).is_nothing(), "{encoding}");
    }
}

#[test]
fn a_compressed_body_does_not_grow_without_bound() {
    let bomb = compressed(&vec![0; BODY_LEN_MAX + 1])[0].1.clone();
    let damage = Damage::TooLarge { len: BODY_LEN_MAX + 1, max: BODY_LEN_MAX };
    assert_eq!(find_in(None, Some("deflate"), &bomb).damage, [damage]);
    assert_eq!(find(&vec![0; BODY_LEN_MAX + 1]).damage, [damage]);
}

#[test]
fn a_changed_byte_of_the_beginning_is_named() {
    let sound = one().into_bytes();
    for at in 0..10 {
        for bit in 0..8 {
            let mut body = [b"hello ", sound.as_slice(), b"!"].concat();
            body[6 + at] ^= 1 << bit;
            let found = find(&body);
            assert!(found.parts.is_empty() && found.damage.len() == 1, "{at} {bit}: {found:?}");
        }
        let without = [&sound[..at], &sound[at + 1..]].concat();
        assert!(!find(&without).is_nothing() && find(&without).parts.is_empty(), "{at}");
    }
}

#[test]
fn several_parts_in_one_body_are_found() {
    let parts = parts_of(&blob(3000), 1300);
    let body: Vec<u8> = parts.iter().flat_map(|part| [b"--x\r\n".as_slice(), part.as_bytes()].concat()).collect();
    assert_eq!(find(&body).parts, parts);
    assert_eq!(whole(find(&body).parts).unwrap().bytes, blob(3000));
}

#[test]
fn rewritten_line_ends_are_named_and_never_accepted() {
    for body in [mangle::to_lf(one().as_bytes()), mangle::to_crlf(one().as_bytes())] {
        is_named(&body, Damage::LineEndings);
    }
    let returns: Vec<u8> =
        mangle::to_lf(one().as_bytes()).iter().map(|b| if *b == b'\n' { b'\r' } else { *b }).collect();
    is_named(&returns, Damage::LineEndings);
}

#[test]
fn bytes_taken_for_characters_are_named() {
    is_named(&mangle::as_latin_1_in_utf_8(one().as_bytes()), Damage::Transcoded);
    is_named(String::from_utf8_lossy(one().as_bytes()).as_bytes(), Damage::Transcoded);
    let seven_bits: Vec<u8> = one().as_bytes().iter().map(|byte| byte & 0x7f).collect();
    is_named(&seven_bits, Damage::Transcoded);
}

#[test]
fn truncation_is_named_at_every_length() {
    let part = one();
    for len in 6..part.as_bytes().len() {
        let found = find(&part.as_bytes()[..len]);
        let expected = if len < 36 { 61 } else { 572 };
        assert_eq!(found, Found { parts: vec![], damage: vec![Damage::Truncated { expected, found: len }] });
    }
}

#[test]
fn a_flip_of_any_bit_is_named() {
    let part = one();
    for bit in 0..part.as_bytes().len() * 8 {
        let mut bytes = part.as_bytes().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let found = find_in(Some(MEDIA_TYPE), None, &bytes);
        assert_eq!((found.parts.len(), found.damage.len()), (0, 1), "bit {bit}: {found:?}");
    }
}

#[test]
fn a_later_version_and_a_later_kind_are_named() {
    let mut later = one().into_bytes();
    later[10] = 2;
    is_named(&later, Damage::UnknownVersion { version: 2 });
    let mut kind = one().into_bytes();
    kind[11] = 9;
    is_named(&kind, Damage::Corrupt);
    is_named(&rechecked(kind), Damage::UnknownKind { kind: 9 });
}

#[test]
fn headers_that_contradict_themselves_are_named() {
    for (at, byte) in [(28, 1), (29, 0), (29, 2), (30, 5), (31, 0)] {
        let mut bytes = one().into_bytes();
        bytes[at] = byte;
        is_named(&bytes, Damage::Malformed);
    }
    let mut bytes = one().into_bytes();
    bytes[32] = 1;
    is_named(&bytes, Damage::TooLarge { len: 0x0100_0200, max: 1024 * 1024 });
}

#[test]
fn a_body_declared_to_be_a_frame_without_anything_of_one_is_named() {
    assert_eq!(find_in(Some("Application/vnd.RCSeal.frame; x=1"), None, b"hello").damage, [Damage::Unrecognisable]);
    assert!(find_in(Some("text/plain"), None, b"hello").is_nothing());
}

#[test]
fn people_who_write_the_word_are_not_damaged_parts() {
    assert!(find("Have you heard of RCSeal? RCSealed mail! RCSealed".as_bytes()).is_nothing());
}

#[test]
fn a_body_full_of_parts_or_of_fragments_is_not_searched_to_the_end() {
    let many = one().as_bytes().repeat(PARTS_IN_BODY_MAX + 1);
    let found = find(&many);
    assert_eq!((found.parts.len(), found.damage), (PARTS_IN_BODY_MAX, vec![Damage::TooManyParts]));
    let fragments = one().as_bytes()[..40].repeat(10_000);
    assert_eq!(find(&fragments).damage.len(), DAMAGE_IN_BODY_MAX + 1);
}
