//! One request or response.
//!
//! A frame ends in a line made of its transaction id, so the id must not occur in the body. The constructors that take a body take a
//! random seed and choose an id for it; a frame that was read satisfies the rule by having been read. There is no way to set the two
//! apart from each other.

use std::fmt;

use super::{ByteRange, HEAD_LEN_MAX, Path};
use crate::text::{Line, MediaType, TextError};
use crate::transport::CarrierMessageId;

/// A value that cannot stand in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A header that is none.
    #[error("not a header")]
    Header(#[source] TextError),
    /// A header that the frame writes itself.
    #[error("a header that is written for the frame")]
    OwnHeader,
}

/// The id of a transaction: 4 to 32 letters, digits and `.-+%=` (RFC 4975, section 9), the first a letter or a digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransactionId(String);

impl TransactionId {
    /// The id in a start line.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_sound = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+' | b'%' | b'=');
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        ((4..=32).contains(&text.len()) && begins && text.bytes().all(is_sound)).then(|| Self(text.to_owned()))
    }

    /// An id out of random bytes that does not end a line within the body.
    #[must_use]
    pub fn choose(seed: [u8; 8], body: &[u8]) -> Self {
        let mut number = u64::from_be_bytes(seed);
        loop {
            let id = Self(format!("{number:016x}"));
            // A body of n bytes holds fewer than n ids, so this ends.
            if memchr::memmem::find(body, id.end_line().as_bytes()).is_none() {
                return id;
            }
            number = number.wrapping_add(1);
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The end line without its flag.
    pub(super) fn end_line(&self) -> String {
        format!("-------{}", self.0)
    }
}

/// What a request asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    /// Take a chunk.
    Send,
    /// What became of a message.
    Report,
    /// Let me use this relay (RFC 4976).
    Auth,
    /// Something else, to be answered with 501.
    Other(String),
}

impl Method {
    /// The method's name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Send => "SEND",
            Self::Report => "REPORT",
            Self::Auth => "AUTH",
            Self::Other(name) => name,
        }
    }
}

/// The start line without the transaction id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// A request.
    Request(Method),
    /// A response with its code.
    Response(u16),
}

/// Whether a message goes on behind this chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag {
    /// `$`: this was the last chunk.
    Last,
    /// `+`: more follows.
    Continues,
    /// `#`: the sender has given the message up.
    Aborted,
}

impl Flag {
    pub(super) const fn of(byte: u8) -> Option<Self> {
        match byte {
            b'$' => Some(Self::Last),
            b'+' => Some(Self::Continues),
            b'#' => Some(Self::Aborted),
            _ => None,
        }
    }

    const fn as_char(self) -> char {
        match self {
            Self::Last => '$',
            Self::Continues => '+',
            Self::Aborted => '#',
        }
    }
}

/// What a report says: `000 200 OK`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status(pub u16);

impl Status {
    /// The whole message arrived.
    pub const OK: Self = Self(200);
    /// It was not wanted, or was too large; no more of it should come.
    pub const STOP: Self = Self(413);
    /// The media type is not known.
    pub const UNSUPPORTED: Self = Self(415);

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ').filter(|word| !word.is_empty());
        let space = words.next()?;
        let code = words.next().filter(|code| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit()))?;
        // Other name spaces than 000 have other meanings.
        (space == "000").then(|| code.parse().ok().map(Self))?
    }
}

/// A header other than the two paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameHeader {
    name: String,
    value: Line,
}

impl FrameHeader {
    /// A header.
    ///
    /// # Errors
    /// [`FrameError`] for a name that is no token and a value that is not one line.
    pub fn new(name: &str, value: &str) -> Result<Self, FrameError> {
        let is_name = (1..=64).contains(&name.len()) && name.bytes().all(crate::text::is_token);
        if !is_name {
            return Err(FrameError::Header(TextError::BadForm));
        }
        if ["To-Path", "From-Path"].iter().any(|path| path.eq_ignore_ascii_case(name)) {
            return Err(FrameError::OwnHeader);
        }
        Ok(Self { name: name.to_owned(), value: Line::parse(value).map_err(FrameError::Header)? })
    }

    /// The name as it was written. Compare without regard to case.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> &str {
        self.value.as_str()
    }

    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// One request or response.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    pub(super) transaction: TransactionId,
    pub(super) start: Start,
    pub(super) to: Path,
    pub(super) from: Path,
    pub(super) headers: Vec<FrameHeader>,
    pub(super) body: Option<(MediaType, Vec<u8>)>,
    pub(super) flag: Flag,
}

impl Frame {
    /// A `SEND` with a body. `seed` is random.
    #[must_use]
    pub fn send(
        seed: [u8; 8],
        to: Path,
        from: Path,
        headers: Vec<FrameHeader>,
        content_type: MediaType,
        body: Vec<u8>,
        flag: Flag,
    ) -> Self {
        let transaction = TransactionId::choose(seed, &body);
        Self {
            transaction,
            start: Start::Request(Method::Send),
            to,
            from,
            headers,
            body: Some((content_type, body)),
            flag,
        }
    }

    /// A request without a body: `REPORT`, `AUTH`, or the empty `SEND` that binds a connection to a session (RFC 4975, section 5.4).
    #[must_use]
    pub fn request(seed: [u8; 8], method: Method, to: Path, from: Path, headers: Vec<FrameHeader>) -> Self {
        let transaction = TransactionId::choose(seed, &[]);
        Self { transaction, start: Start::Request(method), to, from, headers, body: None, flag: Flag::Last }
    }

    /// The empty `SEND` by which the end that connects says which session the connection is for.
    #[must_use]
    pub fn bind(seed: [u8; 8], to: Path, from: Path, message_id: &CarrierMessageId) -> Self {
        let headers = vec![FrameHeader { name: "Message-ID".to_owned(), value: line(message_id.as_str()) }];
        Self::request(seed, Method::Send, to, from, headers)
    }

    /// The response to this request (section 7.2): one hop back for `SEND`, along the whole path otherwise. `None` for a response, for
    /// a `REPORT`, which nobody answers, and where the request asks for no response to this code (`Failure-Report`).
    #[must_use]
    pub fn response(&self, code: u16) -> Option<Self> {
        let Start::Request(method) = &self.start else { return None };
        let wants = match self.header("Failure-Report").unwrap_or("yes").to_ascii_lowercase().as_str() {
            "no" => false,
            "partial" => code != 200,
            _ => true,
        };
        if *method == Method::Report || !wants {
            return None;
        }
        let to = if *method == Method::Send { Path::of(self.from.first().clone()) } else { self.from.clone() };
        let from = Path::of(self.to.first().clone());
        let transaction = self.transaction.clone();
        Some(Self {
            transaction,
            start: Start::Response(code),
            to,
            from,
            headers: Vec::new(),
            body: None,
            flag: Flag::Last,
        })
    }

    /// The report about a message, one of whose chunks this is (section 7.1.2). `own` is the address it came to.
    #[must_use]
    pub fn report(&self, seed: [u8; 8], range: ByteRange, status: Status) -> Option<Self> {
        let message_id = self.message_id()?;
        let value = |name: &str, value: String| FrameHeader { name: name.to_owned(), value: line(&value) };
        let reason = match status.0 {
            200 => " OK",
            413 => " Stop",
            415 => " Unsupported media type",
            _ => "",
        };
        let headers = vec![
            value("Message-ID", message_id.as_str().to_owned()),
            value("Byte-Range", range.to_string()),
            value("Status", format!("000 {:03}{reason}", status.0)),
        ];
        Some(Self::request(seed, Method::Report, self.from.clone(), Path::of(self.to.last().clone()), headers))
    }

    /// The transaction.
    #[must_use]
    pub const fn transaction(&self) -> &TransactionId {
        &self.transaction
    }

    /// What it is.
    #[must_use]
    pub const fn start(&self) -> &Start {
        &self.start
    }

    /// Whether it is that request.
    #[must_use]
    pub fn is_request(&self, method: &Method) -> bool {
        matches!(&self.start, Start::Request(found) if found == method)
    }

    /// Where it goes, the next hop first.
    #[must_use]
    pub const fn to(&self) -> &Path {
        &self.to
    }

    /// Where it comes from, the last hop first.
    #[must_use]
    pub const fn from(&self) -> &Path {
        &self.from
    }

    /// The first header of that name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.is(name)).map(FrameHeader::value)
    }

    /// Which message it belongs to.
    #[must_use]
    pub fn message_id(&self) -> Option<CarrierMessageId> {
        CarrierMessageId::parse(self.header("Message-ID")?)
    }

    /// Which of the message's bytes it holds or reports on. Checked when the frame was read.
    #[must_use]
    pub fn byte_range(&self) -> Option<ByteRange> {
        self.header("Byte-Range")?.parse().ok()
    }

    /// What a report says; `None` for another name space than that of MSRP.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        Status::parse(self.header("Status")?)
    }

    /// Whether the sender wants to be told that the message is whole.
    #[must_use]
    pub fn wants_success_report(&self) -> bool {
        self.header("Success-Report").is_some_and(|value| value.eq_ignore_ascii_case("yes"))
    }

    /// The path that a relay gives out (RFC 4976, section 5.1).
    #[must_use]
    pub fn use_path(&self) -> Option<Path> {
        self.header("Use-Path")?.parse().ok()
    }

    /// The body's media type.
    #[must_use]
    pub fn content_type(&self) -> Option<&MediaType> {
        self.body.as_ref().map(|(content_type, _)| content_type)
    }

    /// The body, if the frame has one; it may be empty.
    #[must_use]
    pub fn body(&self) -> Option<&[u8]> {
        self.body.as_ref().map(|(_, body)| body.as_slice())
    }

    /// Whether the message goes on.
    #[must_use]
    pub const fn flag(&self) -> Flag {
        self.flag
    }

    /// The bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = String::with_capacity(512.min(HEAD_LEN_MAX));
        let id = self.transaction.as_str();
        match &self.start {
            Start::Request(method) => out.push_str(&format!("MSRP {id} {}\r\n", method.as_str())),
            Start::Response(code) => out.push_str(&format!("MSRP {id} {code:03}{}\r\n", reason(*code))),
        }
        out.push_str(&format!("To-Path: {}\r\nFrom-Path: {}\r\n", self.to, self.from));
        for header in &self.headers {
            out.push_str(&format!("{}: {}\r\n", header.name, header.value.as_str()));
        }
        let mut bytes = out.into_bytes();
        if let Some((content_type, body)) = &self.body {
            bytes.extend_from_slice(format!("Content-Type: {content_type}\r\n\r\n").as_bytes());
            bytes.extend_from_slice(body);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(format!("{}{}\r\n", self.transaction.end_line(), self.flag.as_char()).as_bytes());
        bytes
    }
}

/// A line out of text that is one: a range, an id, a status.
fn line(text: &str) -> Line {
    Line::parse(text).expect("numbers and ids hold visible characters only")
}

/// Words for people who read traces.
const fn reason(code: u16) -> &'static str {
    match code {
        200 => " OK",
        400 => " Bad request",
        401 => " Unauthorized",
        403 => " Forbidden",
        408 => " Timeout",
        413 => " Stop",
        415 => " Unsupported media type",
        423 => " Interval out of bounds",
        481 => " No such session",
        501 => " Unknown method",
        506 => " Wrong connection",
        _ => "",
    }
}

impl fmt::Debug for Frame {
    /// Without the body and without the paths' session ids.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("start", &self.start)
            .field("transaction", &self.transaction)
            .field("range", &self.byte_range())
            .field("body_len", &self.body().map(<[u8]>::len))
            .field("flag", &self.flag)
            .finish_non_exhaustive()
    }
}
