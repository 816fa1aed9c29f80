//! What is done to the bytes of one message.
//!
//! Pure functions from one message to those that become of it. What concerns time, answers and the carrier's own messages is done by
//! [`super::route`].

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _};
use rcseal_rcs::transport::Sender;

use super::wrapper::Wrapper;
use crate::data::{LineEnds, MediaTypes, Place, Step, Transfer};

/// The media type of a wrapped message.
pub const CPIM: &str = "message/cpim";

/// A message on its way, as it stands between two steps.
#[derive(Clone, PartialEq, Eq)]
pub struct Passing {
    /// Who sends it.
    pub from: Sender,
    /// The media type of the whole.
    pub content_type: String,
    /// The encoding of the whole.
    pub content_encoding: Option<String>,
    /// Its bytes.
    pub body: Vec<u8>,
}

impl Passing {
    /// A wrapped message as a stack hands it in.
    #[must_use]
    pub fn cpim(from: Sender, body: Vec<u8>) -> Self {
        Self { from, content_type: CPIM.to_owned(), content_encoding: None, body }
    }

    /// The media type inside the wrapper; that of the whole where there is no wrapper.
    #[must_use]
    pub fn inner_type(&self) -> String {
        Wrapper::read(&self.body).map_or_else(|| self.content_type.clone(), |wrapper| wrapper.content_type().to_owned())
    }

    /// Its body inside the wrapper; the whole where there is none.
    #[must_use]
    pub fn inner_body(&self) -> Vec<u8> {
        Wrapper::read(&self.body).map_or_else(|| self.body.clone(), |wrapper| wrapper.body)
    }
}

/// Without its bytes, which may be readable.
impl std::fmt::Debug for Passing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passing")
            .field("from", &self.from)
            .field("content_type", &self.content_type)
            .field("content_encoding", &self.content_encoding)
            .field("body_len", &self.body.len())
            .finish()
    }
}

/// Does one step to one message. Steps that are not about bytes leave it as it is.
pub(super) fn mangle(step: &Step, passing: Passing, rng: &mut StdRng) -> Vec<Passing> {
    match step {
        Step::StripHeaders => one(in_wrapper(passing, strip)),
        Step::RenameHeaders { prefix } => one(in_wrapper(passing, |wrapper| rename(wrapper, prefix))),
        Step::Retype { to, at } => one(retype(passing, to, *at)),
        Step::CrlfToLf { at: LineEnds::Everything } => one(Passing { body: without_returns(&passing.body), ..passing }),
        Step::CrlfToLf { at: LineEnds::Body } => one(on_body(passing, |body| without_returns(&body))),
        Step::Surround { before, behind, at } => {
            let round = |body: Vec<u8>| [before.as_bytes(), &body, behind.as_bytes()].concat();
            one(match at {
                Place::Body => on_body(passing, round),
                Place::Everything => Passing { body: round(passing.body), ..passing },
            })
        }
        Step::QuoteAndWrap { columns, quote } => one(on_body(passing, |body| quoted(&body, *columns, quote))),
        Step::Typography { every } => one(on_body(passing, |body| typography(&body, *every))),
        Step::Multipart { transfer } => one(multipart(&passing, *transfer, rng)),
        Step::Deflate => {
            one(Passing { content_encoding: Some("deflate".to_owned()), body: deflated(&passing.body), ..passing })
        }
        Step::Segment { bytes } => segments(passing, *bytes),
        Step::Duplicate { copies } => vec![passing; (*copies).max(1)],
        Step::Truncate { keep } => one(on_body(passing, |mut body| {
            body.truncate(*keep);
            body
        })),
        Step::Corrupt { one_in } => one(on_body(passing, |body| corrupted(body, *one_in, rng))),
        Step::Anonymous => {
            let hide = |wrapper: &mut Wrapper| {
                for (name, value) in &mut wrapper.message {
                    if name.eq_ignore_ascii_case("From") {
                        "<sip:anonymous@anonymous.invalid>".clone_into(value);
                    }
                }
            };
            let passing = in_wrapper(passing, hide);
            one(Passing { from: Sender::Anonymous, ..passing })
        }
        Step::RepeatLater { .. }
        | Step::Reorder { .. }
        | Step::Refuse { .. }
        | Step::RefuseAbove { .. }
        | Step::RefuseTypes { .. }
        | Step::Drop { .. }
        | Step::DropAbove { .. }
        | Step::Store { .. }
        | Step::Late { .. }
        | Step::ForgeReceipts
        | Step::Inject { .. } => one(passing),
    }
}

fn one(passing: Passing) -> Vec<Passing> {
    vec![passing]
}

/// A message without a wrapper stays as it is.
fn in_wrapper(passing: Passing, change: impl FnOnce(&mut Wrapper)) -> Passing {
    match Wrapper::read(&passing.body) {
        Some(mut wrapper) => {
            change(&mut wrapper);
            Passing { body: wrapper.write(), ..passing }
        }
        None => passing,
    }
}

/// The body in the wrapper, or the whole where there is none.
fn on_body(passing: Passing, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Passing {
    match Wrapper::read(&passing.body) {
        Some(mut wrapper) => {
            wrapper.body = change(std::mem::take(&mut wrapper.body));
            wrapper.drop_length();
            Passing { body: wrapper.write(), ..passing }
        }
        None => Passing { body: change(passing.body), ..passing },
    }
}

fn strip(wrapper: &mut Wrapper) {
    let kept = ["From", "To", "DateTime"];
    wrapper.message.retain(|(name, _)| kept.iter().any(|kept| kept.eq_ignore_ascii_case(name)));
    wrapper.content.retain(|(name, _)| name.eq_ignore_ascii_case("Content-Type"));
}

/// Every declared prefix becomes another one, and the names behind it are written in capitals.
fn rename(wrapper: &mut Wrapper, prefix: &str) {
    let mut renamed: Vec<(String, String)> = Vec::new();
    for (name, value) in &mut wrapper.message {
        if name.eq_ignore_ascii_case("NS")
            && let Some((old, uri)) = value.clone().split_once(' ')
        {
            let new = format!("{prefix}{}", renamed.len());
            *value = format!("{new} {uri}");
            renamed.push((old.to_owned(), new));
        } else if let Some((old, rest)) = name.clone().split_once('.')
            && let Some((_, new)) = renamed.iter().find(|(known, _)| known == old)
        {
            *name = format!("{new}.{}", rest.to_ascii_uppercase());
        }
    }
    for (name, _) in &mut wrapper.content {
        *name = name.to_ascii_lowercase();
    }
}

fn retype(passing: Passing, to: &str, at: MediaTypes) -> Passing {
    let mut passing = passing;
    if matches!(at, MediaTypes::Inner | MediaTypes::Both) {
        passing = in_wrapper(passing, |wrapper| wrapper.set_content_type(to));
    }
    if matches!(at, MediaTypes::Outer | MediaTypes::Both) {
        to.clone_into(&mut passing.content_type);
    }
    passing
}

fn without_returns(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for (at, byte) in bytes.iter().enumerate() {
        if !(*byte == b'\r' && bytes.get(at + 1) == Some(&b'\n')) {
            out.push(*byte);
        }
    }
    out
}

fn quoted(body: &[u8], columns: usize, quote: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for line in body.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let pieces: Vec<&[u8]> = if line.is_empty() { vec![line] } else { line.chunks(columns.max(1)).collect() };
        for piece in pieces {
            out.extend_from_slice(quote.as_bytes());
            out.extend_from_slice(piece);
            out.extend_from_slice(b"\r\n");
        }
    }
    out
}

/// Only for text: bytes that are none become replacement characters, as in a gateway that takes everything for text.
fn typography(body: &[u8], every: usize) -> Vec<u8> {
    let text = String::from_utf8_lossy(body).replace("1/2", "\u{bd}").replace("3/4", "\u{be}");
    let mut out = String::from("\u{feff}");
    for (at, letter) in text.chars().enumerate() {
        match at % every.max(2) {
            0 if letter.is_ascii_graphic() => {
                // U+FF01 to U+FF5E are the visible characters of ASCII in their wide forms.
                out.push(char::from_u32(u32::from(letter) + 0xfee0).unwrap_or(letter));
            }
            1 => {
                out.push('\u{200b}');
                out.push(letter);
            }
            _ => out.push(letter),
        }
    }
    out.into_bytes()
}

fn multipart(passing: &Passing, transfer: Transfer, rng: &mut StdRng) -> Passing {
    let boundary = format!("=_part_{:016x}", rng.next_u64());
    let (name, body) = match transfer {
        Transfer::Binary => ("binary", passing.body.clone()),
        Transfer::QuotedPrintable => ("quoted-printable", quoted_printable(&passing.body)),
    };
    let before = format!(
        "--{boundary}\r\nContent-Type: text/plain\r\n\r\nSent over Example Mobile.\r\n--{boundary}\r\n\
         Content-Type: {}\r\nContent-Transfer-Encoding: {name}\r\n\r\n",
        passing.content_type
    );
    let behind = format!("\r\n--{boundary}--\r\n");
    Passing {
        from: passing.from.clone(),
        content_type: format!("multipart/mixed;boundary=\"{boundary}\""),
        content_encoding: passing.content_encoding.clone(),
        body: [before.as_bytes(), &body, behind.as_bytes()].concat(),
    }
}

/// Lines of 76 characters at most with soft breaks; line ends that stand as CRLF stay line ends.
fn quoted_printable(bytes: &[u8]) -> Vec<u8> {
    let (mut out, mut column) = (Vec::new(), 0);
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(b"\r\n") {
            out.extend_from_slice(b"\r\n");
            (column, rest) = (0, after);
            continue;
        }
        let is_plain = matches!(byte, b'!'..=b'<' | b'>'..=b'~' | b' ');
        let len = if is_plain { 1 } else { 3 };
        if column + len > 75 {
            out.extend_from_slice(b"=\r\n");
            column = 0;
        }
        if is_plain {
            out.push(byte);
        } else {
            out.extend_from_slice(format!("={byte:02X}").as_bytes());
        }
        column += len;
        rest = after;
    }
    out
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    // Writing into memory does not fail; bytes as they are would be what a broken compressor sends.
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.unwrap_or_else(|_| bytes.to_vec())
}

fn segments(passing: Passing, bytes: usize) -> Vec<Passing> {
    let Some(wrapper) = Wrapper::read(&passing.body) else { return vec![passing] };
    if wrapper.body.len() <= bytes {
        return vec![passing];
    }
    let pieces = wrapper.body.chunks(bytes.max(1)).map(|piece| {
        let mut part = Wrapper { body: piece.to_vec(), ..wrapper.clone() };
        part.drop_length();
        Passing { body: part.write(), ..passing.clone() }
    });
    pieces.collect()
}

fn corrupted(mut body: Vec<u8>, one_in: usize, rng: &mut StdRng) -> Vec<u8> {
    if body.is_empty() {
        return body;
    }
    let flips = (body.len() / one_in.max(1)).max(1);
    for _ in 0..flips {
        let at = rng.random_range(0..body.len());
        body[at] ^= 1 << rng.random_range(0..8);
    }
    body
}
