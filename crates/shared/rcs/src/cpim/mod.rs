//! The message wrapper of RFC 3862.
//!
//! A message of RCS is wrapped: headers about the message, an empty line, headers about its body, an empty line, the body byte for
//! byte. The outer `Content-Type: message/cpim` stands in the SIP or MSRP headers and not here.
//!
//! ```text
//! From: "Bob" <sip:+15551230001@example.test;user=phone>
//! To: <sip:+15551230002@example.test;user=phone>
//! NS: imdn <urn:ietf:params:imdn>
//! imdn.Message-ID: 6ba7b810-9dad-41d1-80b4-00c04fd430c8
//! DateTime: 2026-11-23T14:45:52Z
//!
//! Content-Type: text/plain;charset=UTF-8
//!
//! hello
//! ```
//!
//! The prefix of a header is its sender's choice, so a header is known by its namespace's URI and its name, the latter without regard
//! to case, since vendors differ in it. Every part of a [`Message`] is of a type that cannot hold a line break, which is why writing
//! cannot fail and cannot add a header. Nothing in here is authenticated: `From` is what somebody wrote.
//!
//! [`Message::parse`] takes a wrapper from its first byte on; [`Message::find`] also looks behind a prefix that a store on the way has
//! put before it.

mod read;
mod write;

#[cfg(test)]
mod tests;

use crate::stamp::Timestamp;
use crate::text::{DisplayName, Line, MediaType, TextError, Uri};

/// The namespace of the headers that RFC 3862 itself defines.
pub const CORE: &str = "urn:ietf:params:cpim-headers:";

/// The namespace of RFC 5438 (message ids and receipts).
pub const IMDN: &str = "urn:ietf:params:imdn";

/// The namespace of RCC.16.
pub const MLS: &str = "http://www.gsma.com/rcs/mls";

/// The media type of a wrapped message.
pub const CONTENT_TYPE: &str = "message/cpim";

/// The largest wrapped message that is looked at: twice the largest message that we offer to take over MSRP, so that a peer's base64
/// of it still fits.
pub const MESSAGE_LEN_MAX: usize = 2 * 1024 * 1024;

/// Headers of both blocks together. RCC.16 uses a dozen.
pub const HEADERS_MAX: usize = 64;

/// Bytes of both header blocks together.
pub const HEADERS_LEN_MAX: usize = 32 * 1024;

/// Namespaces that one message may declare.
pub const NAMESPACES_MAX: usize = 16;

/// Why bytes are not a wrapped message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CpimError {
    /// Longer than [`MESSAGE_LEN_MAX`].
    #[error("a wrapped message of more than {MESSAGE_LEN_MAX} bytes")]
    TooLarge,
    /// More headers, or longer ones, than are read.
    #[error("too many headers, or headers too long")]
    TooManyHeaders,
    /// The headers do not end.
    #[error("the headers do not end")]
    Unterminated,
    /// A line of the headers that is no header, or a value that has no place in one.
    #[error("line {line} is not a header")]
    BadHeader {
        /// Which line, from one.
        line: usize,
    },
    /// A header twice that may stand once.
    #[error("a header twice that may stand once, in line {line}")]
    DuplicateHeader {
        /// Where the second stands.
        line: usize,
    },
    /// The sender requires a header to be understood (`Require`) that is not.
    #[error("the sender requires a header that is not known here")]
    RequiredHeader,
    /// No media type for the body.
    #[error("no media type for the body")]
    NoContentType,
}

impl CpimError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge => "cpim_too_large",
            Self::TooManyHeaders => "cpim_too_many_headers",
            Self::Unterminated => "cpim_unterminated",
            Self::BadHeader { .. } => "cpim_bad_header",
            Self::DuplicateHeader { .. } => "cpim_duplicate_header",
            Self::RequiredHeader => "cpim_required_header",
            Self::NoContentType => "cpim_no_content_type",
        }
    }
}

/// A sender or recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The name next to it.
    pub display_name: Option<DisplayName>,
    /// The address.
    pub uri: Uri,
}

impl Address {
    /// An address without a name.
    ///
    /// # Errors
    /// [`TextError`] if the text is no URI.
    pub fn of(uri: &str) -> Result<Self, TextError> {
        Ok(Self { display_name: None, uri: Uri::parse(uri)? })
    }

    /// What RCS writes where the session around the message says who it is.
    #[must_use]
    pub fn anonymous() -> Self {
        let uri = Uri::parse("sip:anonymous@anonymous.invalid").expect("a constant that is a URI");
        Self { display_name: None, uri }
    }
}

/// A header about the message, other than `From`, the first `To`, and `DateTime`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    namespace: Namespace,
    name: String,
    value: Line,
}

/// Where a header's name belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Namespace {
    /// That of a declared prefix, or [`CORE`] without one.
    Uri(String),
    /// The name has a prefix that nobody declared; it is part of the name then.
    Undeclared,
}

impl Header {
    /// The longest name.
    pub const NAME_LEN_MAX: usize = 128;

    /// A header.
    ///
    /// # Errors
    /// [`TextError`] for a namespace that is no URI, a name that is no token, a value that is not one line, and for the headers that
    /// are fields of [`Message`].
    pub fn new(namespace: &str, name: &str, value: &str) -> Result<Self, TextError> {
        if namespace == CORE && RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(name)) {
            return Err(TextError::BadForm);
        }
        Self::build(Namespace::Uri(Uri::parse(namespace)?.as_str().to_owned()), name, value)
    }

    fn build(namespace: Namespace, name: &str, value: &str) -> Result<Self, TextError> {
        if name.len() > Self::NAME_LEN_MAX {
            return Err(TextError::TooLong { max: Self::NAME_LEN_MAX });
        }
        let is_name = name.split('.').all(|part| !part.is_empty() && part.bytes().all(crate::text::is_token));
        if !is_name {
            return Err(TextError::BadForm);
        }
        Ok(Self { namespace, name: name.to_owned(), value: Line::parse(value)? })
    }

    /// The namespace's URI; `None` where a prefix was used that is not declared, which then is part of the name.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        match &self.namespace {
            Namespace::Uri(uri) => Some(uri),
            Namespace::Undeclared => None,
        }
    }

    /// The name as it was written. Compare without regard to case.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value as it was written.
    #[must_use]
    pub fn value(&self) -> &str {
        self.value.as_str()
    }

    /// Whether it is that header.
    pub(crate) fn is(&self, namespace: &str, name: &str) -> bool {
        self.namespace() == Some(namespace) && self.name.eq_ignore_ascii_case(name)
    }
}

/// Core headers that are fields of [`Message`] or that the writer makes itself.
const RESERVED: [&str; 5] = ["From", "To", "DateTime", "NS", "Require"];

/// A header about the body, other than `Content-Type`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentHeader {
    name: String,
    value: Line,
}

impl ContentHeader {
    /// A header.
    ///
    /// # Errors
    /// [`TextError`] for a name that is no token, a value that is not one line, and for `Content-Type`.
    pub fn new(name: &str, value: &str) -> Result<Self, TextError> {
        if name.len() > Header::NAME_LEN_MAX {
            return Err(TextError::TooLong { max: Header::NAME_LEN_MAX });
        }
        let is_name = !name.is_empty() && name.bytes().all(|byte| crate::text::is_token(byte) || byte == b'.');
        if !is_name || name.eq_ignore_ascii_case("Content-Type") {
            return Err(TextError::BadForm);
        }
        Ok(Self { name: name.to_owned(), value: Line::parse(value)? })
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
}

/// A wrapped message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who is said to have sent it; [`Address::anonymous`] where nothing is said.
    pub from: Address,
    /// To whom; [`Address::anonymous`] where nothing is said.
    pub to: Address,
    /// When, if that is said and can be read.
    pub date_time: Option<Timestamp>,
    /// The other headers about the message, in order; also further recipients (`To`, `cc`).
    pub headers: Vec<Header>,
    /// The body's media type.
    pub content_type: MediaType,
    /// The other headers about the body, in order.
    pub content_headers: Vec<ContentHeader>,
    /// The body, byte for byte.
    pub body: Vec<u8>,
}

impl Message {
    /// A message without further headers.
    #[must_use]
    pub fn new(from: Address, to: Address, content_type: MediaType, body: Vec<u8>) -> Self {
        Self { from, to, date_time: None, headers: Vec::new(), content_type, content_headers: Vec::new(), body }
    }

    /// Every value of a header about the message, in order. The name is compared without regard to case.
    #[must_use]
    pub fn values(&self, namespace: &str, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|header| header.is(namespace, name)).map(Header::value).collect()
    }

    /// The value of a header that stands exactly once. A header that stands twice says nothing: the two readers of a message might
    /// each take another.
    #[must_use]
    pub fn header(&self, namespace: &str, name: &str) -> Option<&str> {
        only(&self.values(namespace, name))
    }

    /// As [`Message::header`], for headers of receipts whose declaration of the namespace was lost on the way: the usual prefix
    /// stands for it then.
    #[must_use]
    pub fn imdn_header(&self, name: &str) -> Option<&str> {
        let declared = self.values(IMDN, name);
        if !declared.is_empty() {
            return only(&declared);
        }
        let full = format!("imdn.{name}");
        let is_it = |header: &&Header| header.namespace().is_none() && header.name.eq_ignore_ascii_case(&full);
        only(&self.headers.iter().filter(is_it).map(Header::value).collect::<Vec<_>>())
    }

    /// The value of a header about the body that stands exactly once.
    #[must_use]
    pub fn content_header(&self, name: &str) -> Option<&str> {
        let named = self.content_headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        only(&named.map(ContentHeader::value).collect::<Vec<_>>())
    }
}

fn only<'a>(values: &[&'a str]) -> Option<&'a str> {
    match values {
        [value] => Some(value),
        _ => None,
    }
}
