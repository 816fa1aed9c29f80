//! Parts as text: the binary form in base64, and what carriers do to text undone.
//!
//! The alphabet is that of RFC 4648 section 4, without padding: letters, digits, `+` and `/`. No hyphen, underscore, asterisk, quote,
//! dot or equals sign, because typography, markup and transfer encodings rewrite those. Where a part begins is seen from its first
//! characters, which are the magic; where it ends follows from the lengths at its beginning, so that no end marker can be lost.
//!
//! Two passes read it. The first expects the characters in one piece and decodes them where they stand. Only if that fails is the body
//! [`clean`]ed: what networks put between the characters is dropped, what they write instead of one is turned back, anything else stops
//! a run of characters.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::damage::Damage;
use super::part::{PREFIX_LEN, Part, claimed_len};
use crate::encoding::{Quoted, quoted};

/// The first characters of every part as text: magic, canary.
pub(super) const TEXT_MAGIC: &[u8; 13] = b"RCSealedDQoaC";

/// Characters of the prefix from which a part's length is known.
const PREFIX_TEXT_LEN: usize = PREFIX_LEN / 3 * 4;

/// Stands in cleaned text for whatever cannot be between two characters of a part.
const STOP: u8 = b'.';

/// The last character may carry bits of something behind the part, where a gateway encoded more than the part: they are not looked at,
/// since a part is kept as bytes and checked as such.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// Characters of a part of `len` bytes.
#[must_use]
pub const fn text_len(len: usize) -> usize {
    (len * 4).div_ceil(3)
}

/// The longest part whose text has at most `len` characters.
pub(super) const fn bytes_in_text(len: usize) -> usize {
    len / 4 * 3
        + match len % 4 {
            3 => 2,
            2 => 1,
            _ => 0,
        }
}

pub(super) fn write(part: &[u8]) -> String {
    BASE64.encode(part)
}

/// The part at the beginning of `text`, which begins with [`TEXT_MAGIC`], and how many characters it took.
///
/// # Errors
/// The [`Damage`], as seen in this text: [`Damage::Truncated`] if a character of another kind stands in it.
pub(super) fn read(text: &[u8]) -> Result<(Part<'static>, usize), Damage> {
    let mut prefix = [0; PREFIX_LEN];
    let Some(head) = text.first_chunk::<PREFIX_TEXT_LEN>() else { return Err(cut_off(text, PREFIX_TEXT_LEN)) };
    if BASE64.decode_slice(head, &mut prefix).is_err() {
        return Err(cut_off(text, PREFIX_TEXT_LEN));
    }
    let len = claimed_len(&prefix)?;
    let chars = text_len(len);
    let Some(whole) = text.get(..chars) else { return Err(cut_off(text, chars)) };
    // The decoder wants room for whole groups of three.
    let mut bytes = vec![0; len.next_multiple_of(3)];
    if BASE64.decode_slice(whole, &mut bytes).is_err() {
        return Err(cut_off(text, chars));
    }
    bytes.truncate(len);
    match Part::verify(bytes) {
        Ok(part) => Ok((part, chars)),
        // The next part begins before this one should end: something is missing in between.
        Err(Damage::Corrupt) => match memchr::memmem::find(&whole[1..], TEXT_MAGIC) {
            Some(next) => Err(Damage::Truncated { expected: chars, found: next + 1 }),
            None => Err(Damage::Corrupt),
        },
        Err(other) => Err(other),
    }
}

fn cut_off(text: &[u8], expected: usize) -> Damage {
    let found = text.iter().take(expected).take_while(|byte| is_of_alphabet(**byte)).count();
    Damage::Truncated { expected, found }
}

pub(super) const fn is_of_alphabet(byte: u8) -> bool {
    IS_OF_ALPHABET[byte as usize]
}

/// A look-up, because it is asked of every byte of wrapped text.
const IS_OF_ALPHABET: [bool; 256] = {
    let mut table = [false; 256];
    let mut at = 0;
    while at < ALPHABET.len() {
        table[ALPHABET[at] as usize] = true;
        at += 1;
    }
    table
};

/// What can stand at a place of a body that is cleaned.
enum Piece {
    /// Belongs to a part, so many bytes of the body later.
    Chars(&'static [u8], usize),
    /// Was put between characters.
    Nothing(usize),
    /// Ends a part.
    Stop,
}

/// The body's characters in one run wherever nothing but wrapping, quoting and encoding stands between them.
pub(super) fn clean(body: &[u8]) -> Vec<u8> {
    let mut cleaned = Vec::with_capacity(body.len());
    let mut rest = body;
    loop {
        let run = rest.iter().position(|byte| !is_of_alphabet(*byte)).unwrap_or(rest.len());
        cleaned.extend_from_slice(&rest[..run]);
        rest = &rest[run..];
        if rest.is_empty() {
            return cleaned;
        }
        let skip = match piece(rest) {
            Piece::Chars(chars, len) => {
                cleaned.extend_from_slice(chars);
                len
            }
            Piece::Nothing(len) => len,
            Piece::Stop => {
                if cleaned.last() != Some(&STOP) {
                    cleaned.push(STOP);
                }
                1
            }
        };
        rest = &rest[skip..];
    }
}

/// Reads what begins with a byte outside the alphabet.
fn piece(rest: &[u8]) -> Piece {
    match rest[0] {
        // Line ends, indentation, quoting, and the zero bytes of UTF-16.
        b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c | 0 | b'>' | b'|' => Piece::Nothing(1),
        b'\\' => named(rest, ESCAPES),
        b'=' => quoted_printable(rest),
        b'<' => tag(rest),
        b'&' => named(rest, ENTITIES),
        0x80.. => character(rest),
        _ => Piece::Stop,
    }
}

/// `=` before a line end is a soft break; before two digits it is a character.
fn quoted_printable(rest: &[u8]) -> Piece {
    match quoted(rest) {
        Quoted::SoftBreak(len) => Piece::Nothing(len),
        Quoted::Byte(b' ' | b'\t' | b'\r' | b'\n' | b'>') => Piece::Nothing(3),
        Quoted::Byte(byte) => match ALPHABET.iter().position(|known| *known == byte) {
            Some(at) => Piece::Chars(&ALPHABET[at..=at], 3),
            None => Piece::Stop,
        },
        Quoted::Nonsense => Piece::Stop,
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The longest tag that is taken for a line break of HTML.
const TAG_LEN_MAX: usize = 32;

/// Gateways that turn text into HTML put tags at line ends.
fn tag(rest: &[u8]) -> Piece {
    let end = rest.iter().take(TAG_LEN_MAX).position(|byte| *byte == b'>');
    end.map_or(Piece::Stop, |end| Piece::Nothing(end + 1))
}

type Names = &'static [(&'static str, &'static str)];

fn named(rest: &[u8], names: Names) -> Piece {
    match names.iter().find(|(name, _)| rest.starts_with(name.as_bytes())) {
        Some((name, "")) => Piece::Nothing(name.len()),
        Some((name, chars)) => Piece::Chars(chars.as_bytes(), name.len()),
        None => Piece::Stop,
    }
}

/// Line ends and our signs as JSON writes them; any other backslash is markup's, in front of a sign.
const ESCAPES: Names = &[
    ("\\n", ""),
    ("\\r", ""),
    ("\\t", ""),
    ("\\u002b", "+"),
    ("\\u002B", "+"),
    ("\\u002f", "/"),
    ("\\u002F", "/"),
    ("\\u003e", ""),
    ("\\", ""),
];

/// Entities by which HTML and XML write what we use or what quotes it.
const ENTITIES: Names = &[
    ("&gt;", ""),
    ("&nbsp;", ""),
    ("&#43;", "+"),
    ("&#x2B;", "+"),
    ("&#x2b;", "+"),
    ("&plus;", "+"),
    ("&#47;", "/"),
    ("&#x2F;", "/"),
    ("&#x2f;", "/"),
    ("&sol;", "/"),
];

/// Characters of Unicode that are put between ours, and those that typography and normalisation make of ours.
fn character(rest: &[u8]) -> Piece {
    let Some(character) = first_character(rest) else { return Piece::Stop };
    let chars: &'static [u8] = match character {
        // Blanks, soft hyphen, joiners, direction marks, separators, byte order mark.
        '\u{a0}'
        | '\u{ad}'
        | '\u{2000}'..='\u{200f}'
        | '\u{2028}'..='\u{202f}'
        | '\u{2060}'
        | '\u{3000}'
        | '\u{feff}' => b"",
        '\u{2044}' | '\u{2215}' => b"/",
        '½' => b"1/2",
        '⅓' => b"1/3",
        '⅔' => b"2/3",
        '¼' => b"1/4",
        '¾' => b"3/4",
        '⅕' => b"1/5",
        '⅖' => b"2/5",
        '⅗' => b"3/5",
        '⅘' => b"4/5",
        '⅙' => b"1/6",
        '⅚' => b"5/6",
        '⅐' => b"1/7",
        '⅛' => b"1/8",
        '⅜' => b"3/8",
        '⅝' => b"5/8",
        '⅞' => b"7/8",
        '⅑' => b"1/9",
        '⅒' => b"1/10",
        '↉' => b"0/3",
        '℀' => b"a/c",
        '℁' => b"a/s",
        '℅' => b"c/o",
        '℆' => b"c/u",
        '\u{ff1e}' => b"",
        // Letters, digits and signs in their wide forms, as East Asian input methods write them.
        '\u{ff01}'..='\u{ff5e}' => {
            let plain = u32::from(character) - 0xfee0;
            match ALPHABET.iter().position(|known| u32::from(*known) == plain) {
                Some(at) => &ALPHABET[at..=at],
                None => return Piece::Stop,
            }
        }
        _ => return Piece::Stop,
    };
    Piece::Chars(chars, character.len_utf8())
}

/// The character of UTF-8 at the beginning, if it is one.
fn first_character(rest: &[u8]) -> Option<char> {
    let longest = &rest[..rest.len().min(4)];
    let valid = match core::str::from_utf8(longest) {
        Ok(text) => text,
        Err(error) => core::str::from_utf8(&longest[..error.valid_up_to()]).ok()?,
    };
    valid.chars().next()
}
