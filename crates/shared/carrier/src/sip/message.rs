//! SIP messages as they come in (RFC 3261, sections 7 and 25).
//!
//! [`Message::parse`] takes the bytes of one message and answers one that has what every later step relies on: a top `Via` with a branch, one
//! each of `From`, `To`, `Call-ID` and `CSeq`, and values without control characters. Nothing else is judged here. The reading is strict where
//! two readers could differ about where a message or a header ends, since that is what smuggling lives on: lines end with CR LF and nothing
//! else, a header that may stand once stands once, and `Content-Length` is digits. It is lenient where carriers are: folded lines, short
//! names, unknown headers and spaces before a colon are taken.
//!
//! The head is kept as one text with an index into it, so that a message costs a handful of allocations whatever its headers.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;

use super::field::{self, NameAddr};

/// The longest head that is read: start line and headers. Deployed proxies keep below 8 KiB.
pub const HEAD_LEN_MAX: usize = 16 << 10;

/// The most header lines.
pub const HEADERS_MAX: usize = 128;

/// The longest `Call-ID`, branch or tag: they become keys of tables.
const KEY_LEN_MAX: usize = 256;

/// Why bytes are not a SIP message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// There is no end of the head.
    #[error("the head does not end")]
    NoHead,
    /// The head is longer, or has more lines, than is read.
    #[error("the head is too large")]
    HeadTooLarge,
    /// The head has bytes that no header may have.
    #[error("the head is not text")]
    NotText,
    /// The first line is neither a request's nor a response's.
    #[error("the first line is neither a request's nor a response's")]
    StartLine,
    /// A line is not a header.
    #[error("a line is not a header")]
    Header,
    /// A header that must stand is missing.
    #[error("a header that must stand is missing")]
    Missing,
    /// A header that may stand once stands twice.
    #[error("a header that may stand once stands twice")]
    Twice,
    /// A header's value cannot be read.
    #[error("a header's value cannot be read")]
    Value,
    /// The body is shorter than its stated length, or the length is not stated where it must be.
    #[error("the body's length does not fit")]
    Length,
}

impl ParseError {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoHead => "sip_no_head",
            Self::HeadTooLarge => "sip_head_too_large",
            Self::NotText => "sip_not_text",
            Self::StartLine => "sip_start_line",
            Self::Header => "sip_header",
            Self::Missing => "sip_header_missing",
            Self::Twice => "sip_header_twice",
            Self::Value => "sip_header_value",
            Self::Length => "sip_length",
        }
    }
}

/// What a request asks for. Methods are compared as they are written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Method {
    /// `REGISTER`.
    Register,
    /// `MESSAGE` (RFC 3428).
    Message,
    /// `OPTIONS`.
    Options,
    /// `INVITE`.
    Invite,
    /// `ACK`.
    Ack,
    /// `BYE`.
    Bye,
    /// `CANCEL`.
    Cancel,
    /// Any other.
    Other(String),
}

impl Method {
    /// The method's name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Register => "REGISTER",
            Self::Message => "MESSAGE",
            Self::Options => "OPTIONS",
            Self::Invite => "INVITE",
            Self::Ack => "ACK",
            Self::Bye => "BYE",
            Self::Cancel => "CANCEL",
            Self::Other(name) => name,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "REGISTER" => Self::Register,
            "MESSAGE" => Self::Message,
            "OPTIONS" => Self::Options,
            "INVITE" => Self::Invite,
            "ACK" => Self::Ack,
            "BYE" => Self::Bye,
            "CANCEL" => Self::Cancel,
            other if (1..=32).contains(&other.len()) && other.bytes().all(field::is_token) => {
                Self::Other(other.to_owned())
            }
            _ => return None,
        })
    }
}

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// A request.
    Request {
        /// What it asks for.
        method: Method,
        /// For whom.
        uri: String,
    },
    /// A response.
    Response {
        /// Its status, 100 to 699.
        status: u16,
    },
}

/// A message.
pub struct Message {
    start: Start,
    text: String,
    fields: Vec<Field>,
    branch: Range<usize>,
    sent_by: Range<usize>,
    call_id: Range<usize>,
    from_tag: Option<Range<usize>>,
    to_tag: Option<Range<usize>>,
    cseq: u32,
    cseq_method: Method,
    body: Bytes,
}

struct Field {
    name: Range<usize>,
    value: Range<usize>,
}

/// Headers that stand once at most, because readers would differ about which counts.
const ONCE: [&str; 10] = [
    "From",
    "To",
    "Call-ID",
    "CSeq",
    "Content-Length",
    "Content-Type",
    "Content-Encoding",
    "Max-Forwards",
    "Expires",
    "Min-Expires",
];

impl Message {
    /// Reads one message that ends where the bytes end: a datagram. Bytes behind a stated length are passed over.
    ///
    /// # Errors
    /// [`ParseError`].
    pub fn parse(bytes: &Bytes) -> Result<Self, ParseError> {
        let head_len = head_len(bytes)?.ok_or(ParseError::NoHead)?;
        let mut message = Self::parse_head(&bytes[..head_len])?;
        let rest = bytes.slice(head_len..);
        message.body = match message.content_length()? {
            None => rest,
            Some(length) if length <= rest.len() => rest.slice(..length),
            Some(_) => return Err(ParseError::Length),
        };
        Ok(message)
    }

    /// Reads a head, with the empty line that ends it. The body is empty.
    pub(super) fn parse_head(head: &[u8]) -> Result<Self, ParseError> {
        if head.len() > HEAD_LEN_MAX {
            return Err(ParseError::HeadTooLarge);
        }
        let mut text = head.to_vec();
        unfold(&mut text);
        let text = String::from_utf8(text).map_err(|_| ParseError::NotText)?;
        let mut start = None;
        let mut fields = Vec::with_capacity(24);
        let mut at = 0;
        for line in text.split("\r\n") {
            let offset = at;
            at += line.len() + 2;
            if line.bytes().any(|byte| (byte < 0x20 && byte != b'\t') || byte == 0x7f) {
                return Err(ParseError::NotText);
            }
            if start.is_none() {
                start = Some(parse_start(line)?);
            } else if line.is_empty() {
                break;
            } else if fields.len() == HEADERS_MAX {
                return Err(ParseError::HeadTooLarge);
            } else {
                fields.push(parse_field(line, offset)?);
            }
        }
        let start = start.ok_or(ParseError::StartLine)?;
        Self::assemble(start, text, fields)
    }

    fn assemble(start: Start, text: String, fields: Vec<Field>) -> Result<Self, ParseError> {
        let message = Self {
            start,
            text,
            fields,
            branch: 0..0,
            sent_by: 0..0,
            call_id: 0..0,
            from_tag: None,
            to_tag: None,
            cseq: 0,
            cseq_method: Method::Ack,
            body: Bytes::new(),
        };
        for name in ONCE {
            if message.all(name).nth(1).is_some() {
                return Err(ParseError::Twice);
            }
        }
        let via = message.header("Via").ok_or(ParseError::Missing)?;
        let top = field::split_list(via).next().ok_or(ParseError::Value)?;
        let via = field::Via::parse(top).ok_or(ParseError::Value)?;
        let call_id = message.header("Call-ID").ok_or(ParseError::Missing)?;
        if call_id.is_empty() || call_id.contains([' ', '\t']) {
            return Err(ParseError::Value);
        }
        let (number, method) =
            message.header("CSeq").ok_or(ParseError::Missing)?.split_once([' ', '\t']).ok_or(ParseError::Value)?;
        let cseq = field::number(number).ok_or(ParseError::Value)?;
        let cseq_method = Method::parse(method.trim()).ok_or(ParseError::Value)?;
        if matches!(&message.start, Start::Request { method, .. } if *method != cseq_method) {
            return Err(ParseError::Value);
        }
        let tag = |name| -> Result<Option<Range<usize>>, ParseError> {
            let address = NameAddr::parse(message.header(name).ok_or(ParseError::Missing)?).ok_or(ParseError::Value)?;
            let tag = field::parameter(address.parameters, "tag").flatten();
            if tag.is_some_and(str::is_empty) {
                return Err(ParseError::Value);
            }
            Ok(tag.map(|tag| message.range(tag)))
        };
        let (from_tag, to_tag) = (tag("From")?, tag("To")?);
        let (branch, sent_by, call_id) =
            (message.range(via.branch), message.range(via.sent_by), message.range(call_id));
        let keys = [Some(&branch), Some(&sent_by), Some(&call_id), from_tag.as_ref(), to_tag.as_ref()];
        if keys.into_iter().flatten().any(|key| key.len() > KEY_LEN_MAX) {
            return Err(ParseError::Value);
        }
        message.content_length()?;
        Ok(Self { branch, sent_by, call_id, from_tag, to_tag, cseq, cseq_method, ..message })
    }

    /// Where a part of the text lies in it.
    fn range(&self, part: &str) -> Range<usize> {
        let start = part.as_ptr().addr() - self.text.as_ptr().addr();
        start..start + part.len()
    }

    pub(super) fn with_body(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }

    /// The first line.
    #[must_use]
    pub const fn start(&self) -> &Start {
        &self.start
    }

    /// The body.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// The first value of a header, by its long name in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The values of a header, line by line.
    pub fn all<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        let is_named = move |field: &&Field| long_name(&self.text[field.name.clone()]).eq_ignore_ascii_case(name);
        self.fields.iter().filter(is_named).map(|field| &self.text[field.value.clone()])
    }

    /// The values of a header that is a list, element by element.
    pub fn list<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.all(name).flat_map(field::split_list)
    }

    /// The top branch: which transaction it is of.
    #[must_use]
    pub fn branch(&self) -> &str {
        &self.text[self.branch.clone()]
    }

    /// Who sent it over the last hop, by its own account.
    #[must_use]
    pub fn sent_by(&self) -> &str {
        &self.text[self.sent_by.clone()]
    }

    /// The call's id.
    #[must_use]
    pub fn call_id(&self) -> &str {
        &self.text[self.call_id.clone()]
    }

    /// The tag of `From`.
    #[must_use]
    pub fn from_tag(&self) -> Option<&str> {
        self.from_tag.clone().map(|range| &self.text[range])
    }

    /// The tag of `To`.
    #[must_use]
    pub fn to_tag(&self) -> Option<&str> {
        self.to_tag.clone().map(|range| &self.text[range])
    }

    /// The sequence number and method of `CSeq`.
    #[must_use]
    pub const fn cseq(&self) -> (u32, &Method) {
        (self.cseq, &self.cseq_method)
    }

    /// What it holds of memory, more or less.
    pub(super) fn size(&self) -> usize {
        self.text.len() + self.body.len()
    }

    /// The stated length of the body.
    pub(super) fn content_length(&self) -> Result<Option<usize>, ParseError> {
        match self.header("Content-Length") {
            None => Ok(None),
            Some(text) => field::number(text).map(|number: u32| Some(number as usize)).ok_or(ParseError::Length),
        }
    }
}

impl fmt::Debug for Message {
    /// Without values: they name people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Message");
        match &self.start {
            Start::Request { method, .. } => debug.field("method", method),
            Start::Response { status } => debug.field("status", status),
        };
        debug.field("body_len", &self.body.len()).finish_non_exhaustive()
    }
}

/// Where the head ends, with its empty line; `None` where it does not yet.
pub(super) fn head_len(bytes: &[u8]) -> Result<Option<usize>, ParseError> {
    let window = &bytes[..bytes.len().min(HEAD_LEN_MAX)];
    match window.windows(4).position(|four| four == b"\r\n\r\n") {
        Some(at) => Ok(Some(at + 4)),
        None if bytes.len() >= HEAD_LEN_MAX => Err(ParseError::HeadTooLarge),
        None => Ok(None),
    }
}

/// Puts continued lines on one, in place: a line end before a space becomes two spaces.
fn unfold(head: &mut [u8]) {
    for at in 0..head.len().saturating_sub(2) {
        if head[at] == b'\r' && head[at + 1] == b'\n' && matches!(head[at + 2], b' ' | b'\t') {
            head[at] = b' ';
            head[at + 1] = b' ';
        }
    }
}

fn parse_start(line: &str) -> Result<Start, ParseError> {
    let (first, rest) = line.split_once(' ').ok_or(ParseError::StartLine)?;
    if first.eq_ignore_ascii_case("SIP/2.0") {
        let status = rest.split(' ').next().unwrap_or_default();
        let status = if status.len() == 3 { field::number(status) } else { None };
        let status = status.filter(|status| (100..700).contains(status)).ok_or(ParseError::StartLine)?;
        return Ok(Start::Response { status });
    }
    let (uri, version) = rest.split_once(' ').ok_or(ParseError::StartLine)?;
    if !version.eq_ignore_ascii_case("SIP/2.0") || !field::is_uri(uri) {
        return Err(ParseError::StartLine);
    }
    Ok(Start::Request { method: Method::parse(first).ok_or(ParseError::StartLine)?, uri: uri.to_owned() })
}

fn parse_field(line: &str, offset: usize) -> Result<Field, ParseError> {
    let colon = line.find(':').ok_or(ParseError::Header)?;
    let name = line[..colon].trim_end_matches([' ', '\t']);
    if name.is_empty() || !name.bytes().all(field::is_token) {
        return Err(ParseError::Header);
    }
    let after = &line[colon + 1..];
    let value = after.trim_matches([' ', '\t']);
    let start = offset + colon + 1 + (after.len() - after.trim_start_matches([' ', '\t']).len());
    Ok(Field { name: offset..offset + name.len(), value: start..start + value.len() })
}

/// The long form of a name (RFC 3261, section 20, and later extensions).
fn long_name(name: &str) -> &str {
    let [letter] = name.as_bytes() else { return name };
    match letter.to_ascii_lowercase() {
        b'c' => "Content-Type",
        b'e' => "Content-Encoding",
        b'f' => "From",
        b'i' => "Call-ID",
        b'k' => "Supported",
        b'l' => "Content-Length",
        b'm' => "Contact",
        b't' => "To",
        b'v' => "Via",
        b'a' => "Accept-Contact",
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "MESSAGE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:c@d>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: x\r\n\
                        CSeq: 1 MESSAGE\r\nContent-Length: 3\r\n\r\nabc";

    fn parse(text: &str) -> Result<Message, ParseError> {
        Message::parse(&Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn folded_lines_short_names_and_spaces_before_colons_are_taken() {
        let text = "SIP/2.0 200 OK\r\nv : SIP/2.0/UDP h:5060\r\n ;branch=z9hG4bK1;rport=9,\r\n\tSIP/2.0/TCP i;branch=z9hG4bK0\r\nf: \"A;tag=9\" <sip:c@d;x=y>;tag=1\r\n\
                    t: sip:a@b;tag=2\r\ni:x\r\nCSeq: 007   MESSAGE\r\n\r\n";
        let message = parse(text).unwrap();
        assert_eq!((message.branch(), message.sent_by()), ("z9hG4bK1", "h:5060"));
        assert_eq!((message.from_tag(), message.to_tag(), message.call_id()), (Some("1"), Some("2"), "x"));
        assert_eq!(message.cseq(), (7, &Method::Message));
        assert_eq!(message.list("Via").count(), 2);
        assert_eq!(message.start(), &Start::Response { status: 200 });
    }

    #[test]
    fn a_body_ends_where_its_length_says() {
        assert_eq!(parse(GOOD).unwrap().body().as_ref(), b"abc");
        assert_eq!(parse(&GOOD.replace("Length: 3", "Length: 2")).unwrap().body().as_ref(), b"ab");
        assert_eq!(parse(&GOOD.replace("Content-Length: 3\r\n", "")).unwrap().body().as_ref(), b"abc");
        for length in ["4", "-1", "+3", "3 3", "99999999999", ""] {
            let text = GOOD.replace("Length: 3", &format!("Length: {length}"));
            assert_eq!(parse(&text).unwrap_err(), ParseError::Length, "{length:?}");
        }
    }

    #[test]
    fn what_two_readers_would_read_differently_is_refused() {
        let cases = [
            ("CSeq: 1 MESSAGE", "CSeq: 1 INVITE", ParseError::Value),
            ("CSeq: 1 MESSAGE\r\n", "", ParseError::Missing),
            ("Call-ID: x", "Call-ID: x\r\ni: y", ParseError::Twice),
            ("From: <sip:c@d>;tag=1", "From: <sip:c@d>;tag=1\r\nFrom: <sip:e@d>", ParseError::Twice),
            ("Content-Length: 3", "Content-Length: 3\r\nl: 0", ParseError::Twice),
            ("Call-ID: x", "Call-ID: x\nFrom: <sip:e@d>", ParseError::NotText),
            ("Call-ID: x", "Call-ID: x\rFrom: <sip:e@d>", ParseError::NotText),
            ("Call-ID: x", "Call-ID: x\0", ParseError::NotText),
            ("Call-ID: x", "Call-ID x", ParseError::Header),
            ("Call-ID: x", "Call ID: x", ParseError::Header),
            (";branch=z9hG4bK1", "", ParseError::Value),
            ("sip:a@b SIP", "sip:a@b  SIP", ParseError::StartLine),
            ("SIP/2.0\r\nVia", "SIP/3.0\r\nVia", ParseError::StartLine),
            ("MESSAGE sip", "MES(AGE sip", ParseError::StartLine),
            ("\r\n\r\nabc", "\r\n", ParseError::NoHead),
        ];
        for (from, to, error) in cases {
            assert!(GOOD.contains(from), "{from}");
            assert_eq!(parse(&GOOD.replacen(from, to, 1)).unwrap_err(), error, "{to:?}");
        }
    }

    #[test]
    fn heads_are_bounded_in_lines_and_length() {
        let many = GOOD.replacen("Call-ID", &format!("{}Call-ID", "X: y\r\n".repeat(HEADERS_MAX)), 1);
        assert_eq!(parse(&many).unwrap_err(), ParseError::HeadTooLarge);
        let long = GOOD.replacen("Call-ID", &format!("X: {}\r\nCall-ID", "y".repeat(HEAD_LEN_MAX)), 1);
        assert_eq!(parse(&long).unwrap_err(), ParseError::HeadTooLarge);
        assert_eq!(
            parse(&GOOD.replacen("Call-ID: x", &format!("Call-ID: {}", "x".repeat(KEY_LEN_MAX + 1)), 1)).unwrap_err(),
            ParseError::Value
        );
    }

    #[test]
    fn a_log_sees_no_values() {
        let text = format!("{:?}", parse(GOOD).unwrap());
        assert!(!text.contains("sip:") && !text.contains("abc"), "{text}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Message::parse(&Bytes::from(bytes));
        }

        #[test]
        fn a_changed_message_is_a_message_or_an_error(at in 0..GOOD.len(), byte in any::<u8>(), cut in 0..GOOD.len()) {
            let mut bytes = GOOD.as_bytes().to_vec();
            bytes[at] = byte;
            let _ = Message::parse(&Bytes::copy_from_slice(&bytes[..cut]));
            let _ = Message::parse(&Bytes::from(bytes));
        }
    }
}
