//! Looks for parts in a body, wherever they are.
//!
//! What a body is said to be is not believed: carriers rewrite media types, and a store-and-forward server turns everything into plain
//! text. Both forms of a part are looked for from the body's beginning to its end; what lies between parts is nobody's business here.
//! Work is bounded by the body's length and by [`DAMAGE_IN_BODY_MAX`], since a damaged part may cost a hash over all that follows it.

use std::sync::LazyLock;

use memchr::memmem::{self, Finder};

use super::damage::Damage;
use super::part::{MAGIC, Part};
use super::text::{self, TEXT_MAGIC};
use super::{BODY_LEN_MAX, DAMAGE_IN_BODY_MAX, MEDIA_TYPE, PARTS_IN_BODY_MAX};
use super::{head, inflate};
use crate::encoding::{Inflated, unquote};

/// How often a body is inflated: compressed once by a sender's stack and once by a gateway.
const LAYERS_MAX: usize = 2;

/// What a body held. Both lists are empty for a body that is none of ours.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found<'a> {
    /// Sound parts, in the order they stand there. A body may repeat one.
    pub parts: Vec<Part<'a>>,
    /// What looked like a part and is none.
    pub damage: Vec<Damage>,
}

impl Found<'_> {
    /// Whether the body has nothing to do with frames.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.parts.is_empty() && self.damage.is_empty()
    }

    fn is_full(&self) -> bool {
        self.parts.len() >= PARTS_IN_BODY_MAX || self.damage.len() >= DAMAGE_IN_BODY_MAX
    }

    fn damaged(damage: Damage) -> Self {
        Self { parts: Vec::new(), damage: vec![damage] }
    }

    /// The same in memory of its own, to be kept for longer than the body.
    #[must_use]
    pub fn into_owned(self) -> Found<'static> {
        Found { parts: self.parts.into_iter().map(Part::into_owned).collect(), damage: self.damage }
    }
}

/// The parts in a body that is not compressed.
#[must_use]
pub fn find(body: &[u8]) -> Found<'_> {
    if body.len() > BODY_LEN_MAX {
        return Found::damaged(Damage::TooLarge { len: body.len(), max: BODY_LEN_MAX });
    }
    let (mut found, text_damage) = scan(body);
    if text_damage.is_empty() && !found.is_nothing() {
        return found;
    }
    // Text is there but not in one piece, or its first characters are not: the same search without what was put between.
    let cleaned = text::clean(body);
    let again = scan_text(&cleaned);
    for part in again.parts {
        if !found.parts.contains(&part) {
            found.parts.push(part);
        }
    }
    found.damage.extend(again.damage);
    if found.is_nothing()
        && let Some(at) = memmem::find(body, QUOTED_MAGIC)
    {
        found = scan(&unquote(&body[at..])).0.into_owned();
    }
    if found.is_nothing() {
        found.damage.extend(characters_of_magic(body));
    }
    if found.is_nothing() && (head::is_damaged_binary(body) || head::is_damaged_text(&cleaned)) {
        found.damage.push(Damage::Corrupt);
    }
    found
}

/// The magic in quoted-printable, as a gateway writes binary data that it puts into a multipart body.
const QUOTED_MAGIC: &[u8] = b"D$=9EjW=9D";

/// The parts in a body as it came with its headers: inflated where it is compressed, whether the header says so or not.
#[must_use]
pub fn find_in<'a>(content_type: Option<&str>, content_encoding: Option<&str>, body: &'a [u8]) -> Found<'a> {
    let mut found = find(body);
    let mut inner: Option<Vec<u8>> = None;
    // The header speaks of the body as it came. A second layer has to show by itself that it is one: what came out of the first may be
    // words that were never compressed twice.
    let mut encoding = content_encoding;
    for _ in 0..LAYERS_MAX {
        if !found.is_nothing() {
            return found;
        }
        match inflate::unpack(encoding.take(), inner.as_deref().unwrap_or(body), BODY_LEN_MAX) {
            None => break,
            Some(Inflated::TooLarge) => {
                return Found::damaged(Damage::TooLarge { len: BODY_LEN_MAX + 1, max: BODY_LEN_MAX });
            }
            Some(Inflated::Whole(bytes)) => {
                found = find(&bytes).into_owned();
                inner = Some(bytes);
            }
            Some(Inflated::Broken(bytes)) => {
                // What came out before the break says more than that it broke.
                found = find(&bytes).into_owned();
                return if found.is_nothing() { Found::damaged(Damage::Inflate) } else { found };
            }
        }
    }
    if found.is_nothing() && content_type.is_some_and(declares_frame) {
        return Found::damaged(Damage::Unrecognisable);
    }
    found
}

fn declares_frame(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default();
    media_type.trim().eq_ignore_ascii_case(MEDIA_TYPE)
}

static BINARY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(&MAGIC));
static TEXT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(TEXT_MAGIC));

/// Where the next of a mark stands, looked up again only when the search has passed it.
struct Mark {
    finder: &'static Finder<'static>,
    next: Option<usize>,
}

impl Mark {
    fn new(finder: &'static Finder<'static>, body: &[u8]) -> Self {
        Self { finder, next: finder.find(body) }
    }

    fn from(&mut self, body: &[u8], start: usize) -> Option<usize> {
        if self.next.is_some_and(|next| next < start) {
            self.next = body.get(start..).and_then(|rest| self.finder.find(rest)).map(|at| start + at);
        }
        self.next
    }
}

/// Both forms where they stand in one piece. The damage of text is apart, because a second look may do without it.
fn scan(body: &[u8]) -> (Found<'_>, Vec<Damage>) {
    let (mut found, mut text_damage) = (Found::default(), Vec::new());
    // A body that is one part and nothing else is the common case.
    if body.starts_with(&MAGIC)
        && let Ok(part) = Part::parse(body)
    {
        found.parts.push(part);
        return (found, text_damage);
    }
    let (mut binary, mut text) = (Mark::new(&BINARY, body), Mark::new(&TEXT, body));
    let mut start = 0;
    loop {
        let (in_binary, in_text) = (binary.from(body, start), text.from(body, start));
        let Some(at) = in_binary.into_iter().chain(in_text).min() else { break };
        if found.is_full() || text_damage.len() >= DAMAGE_IN_BODY_MAX {
            found.damage.push(Damage::TooManyParts);
            break;
        }
        if in_binary == Some(at) {
            match Part::read(&body[at..]) {
                Ok(part) => {
                    start = at + part.as_bytes().len();
                    found.parts.push(part);
                }
                Err(damage) => {
                    start = at + MAGIC.len();
                    found.damage.push(damage);
                }
            }
        } else {
            match text::read(&body[at..]) {
                Ok((part, len)) => {
                    start = at + len;
                    found.parts.push(part);
                }
                Err(damage) => {
                    start = at + TEXT_MAGIC.len();
                    text_damage.push(damage);
                }
            }
        }
    }
    (found, text_damage)
}

/// Text in a body that was cleaned.
fn scan_text(cleaned: &[u8]) -> Found<'static> {
    let mut found = Found::default();
    let mut mark = Mark::new(&TEXT, cleaned);
    let mut start = 0;
    while let Some(at) = mark.from(cleaned, start) {
        if found.is_full() {
            found.damage.push(Damage::TooManyParts);
            break;
        }
        match text::read(&cleaned[at..]) {
            Ok((part, len)) => {
                start = at + len;
                found.parts.push(part);
            }
            Err(damage) => {
                start = at + TEXT_MAGIC.len();
                found.damage.push(damage);
            }
        }
    }
    found
}

/// The magic as it looks after somebody took bytes for Latin-1 or for broken UTF-8 and wrote characters.
fn characters_of_magic(body: &[u8]) -> Option<Damage> {
    const AS_LATIN_1: &[u8] = "D$\u{9e}jW\u{9d}".as_bytes();
    const REPLACED: &[u8] = "D$\u{fffd}jW\u{fffd}".as_bytes();
    const IN_CODE_PAGE: &[u8] = "D$žjW\u{9d}".as_bytes();
    const QUESTIONED: &[u8] = b"D$?jW?\r\n\x1a\n";
    const SEVEN_BITS: &[u8] = b"D$\x1ejW\x1d";
    let forms = [AS_LATIN_1, REPLACED, IN_CODE_PAGE, QUESTIONED, SEVEN_BITS];
    forms.iter().any(|form| memmem::find(body, form).is_some()).then_some(Damage::Transcoded)
}
