//! Bytes of a stream to frames.
//!
//! A frame does not say how long it is: it ends in a line of its own, made of its transaction id. The parser therefore remembers how
//! far it has looked, so that a peer that sends byte by byte costs no more than one that sends all at once, and it stops at a limit,
//! so that a peer that never ends a frame costs no more than one frame.

use super::frame::{Flag, Frame, FrameHeader, Method, Start, TransactionId};
use super::{BODY_LEN_MAX, ByteRange, HEAD_LEN_MAX, HEADERS_MAX, Path};
use crate::text::MediaType;

/// The longest start line: an id of 32 characters, a method, and a comment.
const START_LEN_MAX: usize = 256;

/// Why a stream cannot be read any further. The connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MsrpError {
    /// No start line of MSRP.
    #[error("not a start line of MSRP")]
    BadStart,
    /// A frame beyond the limits on its size.
    #[error("a frame larger than is read")]
    TooLarge,
    /// More headers, or longer ones, than are read.
    #[error("too many headers, or headers too long")]
    TooManyHeaders,
    /// A line that is no header, or a value that cannot be in one.
    #[error("not a header")]
    BadHeader,
    /// A header twice that may stand once.
    #[error("a header twice that may stand once")]
    DuplicateHeader,
    /// `To-Path` or `From-Path` is missing, or is no path.
    #[error("a path that is missing or is none")]
    BadPath,
    /// A byte range that is none.
    #[error("not a byte range")]
    BadByteRange,
    /// A body without a media type.
    #[error("a body without a media type")]
    NoContentType,
}

impl MsrpError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::BadStart => "msrp_bad_start",
            Self::TooLarge => "msrp_too_large",
            Self::TooManyHeaders => "msrp_too_many_headers",
            Self::BadHeader => "msrp_bad_header",
            Self::DuplicateHeader => "msrp_duplicate_header",
            Self::BadPath => "msrp_bad_path",
            Self::BadByteRange => "msrp_bad_byte_range",
            Self::NoContentType => "msrp_no_content_type",
        }
    }
}

/// Reads frames out of a stream. After an error it reads nothing more.
#[derive(Debug, Default)]
pub struct Parser {
    buffer: Vec<u8>,
    /// Bytes at the front that belong to frames already handed out.
    consumed: usize,
    current: Option<Current>,
    error: Option<MsrpError>,
}

/// The frame whose start line has been read. Places count from the frame's first byte.
#[derive(Debug)]
struct Current {
    transaction: TransactionId,
    start: Start,
    /// Where the headers begin.
    head: usize,
    /// What the end line begins with, and the line break before it.
    needle: Vec<u8>,
    /// Before this, there is no end line.
    scanned: usize,
    /// Whether the headers are known to end within their limit.
    is_head_bounded: bool,
}

impl Parser {
    /// A parser at the beginning of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes more of the stream. Call [`Parser::next_frame`] until it has no more before the next piece.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.error.is_none() {
            self.buffer.drain(..self.consumed);
            self.consumed = 0;
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// Whether the stream may end here: no frame has begun that has not ended.
    #[must_use]
    pub fn is_between_frames(&self) -> bool {
        self.error.is_none() && self.consumed == self.buffer.len()
    }

    /// The next frame; `None` until more of the stream has come.
    ///
    /// # Errors
    /// [`MsrpError`], the same one from then on.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, MsrpError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        self.advance().inspect_err(|error| {
            self.error = Some(*error);
            self.buffer = Vec::new();
            self.consumed = 0;
        })
    }

    fn advance(&mut self) -> Result<Option<Frame>, MsrpError> {
        let bytes = &self.buffer[self.consumed..];
        let mut current = match self.current.take() {
            Some(current) => current,
            None => match Current::begin(bytes)? {
                Some(current) => current,
                None => return Ok(None),
            },
        };
        let Some((end, flag)) = current.find_end(bytes) else {
            current.check_limits(bytes)?;
            self.current = Some(current);
            return Ok(None);
        };
        // Without any header, the line break before the end line is that of the start line.
        let content = bytes.get(current.head..end).unwrap_or_default();
        let len = end + current.needle.len() + 3;
        let frame = frame(current, content, flag)?;
        self.consumed += len;
        Ok(Some(frame))
    }
}

impl Current {
    /// Reads `MSRP id METHOD` or `MSRP id 200 OK`, if the line is whole.
    fn begin(bytes: &[u8]) -> Result<Option<Self>, MsrpError> {
        const MAGIC: &[u8] = b"MSRP ";
        let magic_len = MAGIC.len().min(bytes.len());
        if bytes[..magic_len] != MAGIC[..magic_len] {
            return Err(MsrpError::BadStart);
        }
        let window = &bytes[..bytes.len().min(START_LEN_MAX)];
        let Some(end) = memchr::memmem::find(window, b"\r\n") else {
            return if window.len() == START_LEN_MAX { Err(MsrpError::BadStart) } else { Ok(None) };
        };
        let line = std::str::from_utf8(&bytes[MAGIC.len()..end]).map_err(|_| MsrpError::BadStart)?;
        let (id, rest) = line.split_once(' ').ok_or(MsrpError::BadStart)?;
        let transaction = TransactionId::parse(id).ok_or(MsrpError::BadStart)?;
        let word = rest.split(' ').next().unwrap_or_default();
        let start = if word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_digit()) {
            Start::Response(word.parse().map_err(|_| MsrpError::BadStart)?)
        } else {
            Start::Request(method(rest).ok_or(MsrpError::BadStart)?)
        };
        let needle = format!("\r\n{}", transaction.end_line()).into_bytes();
        Ok(Some(Self { transaction, start, head: end + 2, needle, scanned: end, is_head_bounded: false }))
    }

    /// Where the content ends (at the line break before the end line), and the flag.
    fn find_end(&mut self, bytes: &[u8]) -> Option<(usize, Flag)> {
        loop {
            let Some(at) = memchr::memmem::find(&bytes[self.scanned..], &self.needle) else {
                self.scanned = self.scanned.max((bytes.len() + 1).saturating_sub(self.needle.len()));
                return None;
            };
            let at = self.scanned + at;
            let Some(tail) = bytes.get(at + self.needle.len()..at + self.needle.len() + 3) else {
                self.scanned = at;
                return None;
            };
            if let (Some(flag), b"\r\n") = (Flag::of(tail[0]), &tail[1..]) {
                return Some((at, flag));
            }
            self.scanned = at + 1;
        }
    }

    fn check_limits(&mut self, bytes: &[u8]) -> Result<(), MsrpError> {
        if !self.is_head_bounded && bytes.len() > self.head + HEAD_LEN_MAX {
            let head = &bytes[self.head..self.head + HEAD_LEN_MAX];
            memchr::memmem::find(head, b"\r\n\r\n").ok_or(MsrpError::TooManyHeaders)?;
            self.is_head_bounded = true;
        }
        if bytes.len() > self.head + HEAD_LEN_MAX + BODY_LEN_MAX { Err(MsrpError::TooLarge) } else { Ok(()) }
    }
}

/// A method is a word of capital letters.
fn method(text: &str) -> Option<Method> {
    let is_method = (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_uppercase());
    is_method.then(|| match text {
        "SEND" => Method::Send,
        "REPORT" => Method::Report,
        "AUTH" => Method::Auth,
        other => Method::Other(other.to_owned()),
    })
}

/// Headers that may stand once: two readings of one frame must not be possible.
const SINGLE: [&str; 7] =
    ["Message-ID", "Byte-Range", "Success-Report", "Failure-Report", "Status", "Use-Path", "Expires"];

/// A frame out of what stands between the start line and the end line, without the last line break.
fn frame(current: Current, content: &[u8], flag: Flag) -> Result<Frame, MsrpError> {
    let (head, body) = match memchr::memmem::find(content, b"\r\n\r\n") {
        Some(at) => (&content[..at], Some(&content[at + 4..])),
        // An empty line right before the end line: the second line break is the end line's.
        None => (content.strip_suffix(b"\r\n").unwrap_or(content), None),
    };
    if head.len() > HEAD_LEN_MAX {
        return Err(MsrpError::TooManyHeaders);
    }
    let head = std::str::from_utf8(head).map_err(|_| MsrpError::BadHeader)?;
    let (mut to, mut from, mut content_type) = (None, None, None);
    let mut headers: Vec<FrameHeader> = Vec::new();
    for (count, line) in head.split("\r\n").filter(|line| !line.is_empty()).enumerate() {
        if count >= HEADERS_MAX {
            return Err(MsrpError::TooManyHeaders);
        }
        let (name, value) = line.split_once(':').ok_or(MsrpError::BadHeader)?;
        match name.to_ascii_lowercase().as_str() {
            "to-path" => set(&mut to, value.parse::<Path>().map_err(|_| MsrpError::BadPath)?)?,
            "from-path" => set(&mut from, value.parse::<Path>().map_err(|_| MsrpError::BadPath)?)?,
            "content-type" => set(&mut content_type, MediaType::parse(value).map_err(|_| MsrpError::BadHeader)?)?,
            _ => {
                let header = FrameHeader::new(name, value).map_err(|_| MsrpError::BadHeader)?;
                let is_single = SINGLE.iter().any(|single| header.is(single));
                if is_single && headers.iter().any(|found| found.is(name)) {
                    return Err(MsrpError::DuplicateHeader);
                }
                if header.is("Byte-Range") {
                    header.value().parse::<ByteRange>().map_err(|_| MsrpError::BadByteRange)?;
                }
                headers.push(header);
            }
        }
    }
    let body = match (content_type, body) {
        (Some(_), Some(body)) if body.len() > BODY_LEN_MAX => return Err(MsrpError::TooLarge),
        (Some(content_type), body) => Some((content_type, body.unwrap_or_default().to_vec())),
        (None, Some(body)) if !body.is_empty() => return Err(MsrpError::NoContentType),
        (None, _) => None,
    };
    let (to, from) = (to.ok_or(MsrpError::BadPath)?, from.ok_or(MsrpError::BadPath)?);
    Ok(Frame { transaction: current.transaction, start: current.start, to, from, headers, body, flag })
}

fn set<T>(place: &mut Option<T>, value: T) -> Result<(), MsrpError> {
    if place.replace(value).is_some() { Err(MsrpError::DuplicateHeader) } else { Ok(()) }
}
