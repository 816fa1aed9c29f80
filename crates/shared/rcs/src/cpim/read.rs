//! Reading a wrapper.
//!
//! Lines may end in CRLF or, where a network has changed them, in LF; the body starts behind the second empty line and is not looked
//! at. `Content-Length` is not believed: the transport knows the length, and a network that changes line ends does not correct it.

use std::collections::HashMap;

use super::{
    Address, CORE, ContentHeader, CpimError, HEADERS_LEN_MAX, HEADERS_MAX, Header, MESSAGE_LEN_MAX, Message,
    NAMESPACES_MAX, Namespace,
};
use crate::stamp::Timestamp;
use crate::text::{DisplayName, Line, MediaType, Uri};

/// How far into a body a wrapper is looked for: a store's prefix is one line.
const PREFIX_LEN_MAX: usize = 1024;

/// How many places are tried as the beginning of a wrapper.
const CANDIDATES_MAX: usize = 8;

impl Message {
    /// The message in these bytes, from the first on.
    ///
    /// # Errors
    /// [`CpimError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, CpimError> {
        Self::read(bytes).map(|(message, _)| message)
    }

    /// The message, and whether it says both from whom and to whom.
    fn read(bytes: &[u8]) -> Result<(Self, bool), CpimError> {
        if bytes.len() > MESSAGE_LEN_MAX {
            return Err(CpimError::TooLarge);
        }
        let mut lines = Lines { rest: bytes, taken: 0, number: 0, headers: 0 };
        let about = Head::read(&mut lines)?;
        let content = Content::read(&mut lines)?;
        let is_addressed = about.from.is_some() && about.to.is_some();
        // Both are always written, so that what was read can be written and read again.
        let added = usize::from(about.from.is_none()) + usize::from(about.to.is_none());
        if lines.headers + added > HEADERS_MAX {
            return Err(CpimError::TooManyHeaders);
        }
        let message = Self {
            from: about.from.unwrap_or_else(Address::anonymous),
            to: about.to.unwrap_or_else(Address::anonymous),
            date_time: about.date_time.flatten(),
            headers: about.headers,
            content_type: content.media_type.ok_or(CpimError::NoContentType)?,
            content_headers: content.headers,
            body: lines.rest.to_vec(),
        };
        Ok((message, is_addressed))
    }

    /// The message in these bytes and where it begins: at the first byte, or behind a prefix of up to a kilobyte that a store on the
    /// way has put before it, on the same line or on its own. A message that is found behind a prefix has a `From` and a `To`.
    #[must_use]
    pub fn find(bytes: &[u8]) -> Option<(usize, Self)> {
        if let Ok(message) = Self::parse(bytes) {
            return Some((0, message));
        }
        let prefix = &bytes[..bytes.len().min(PREFIX_LEN_MAX)];
        let starts = |at: &usize| {
            let here = &prefix[*at..];
            [b"from:".as_slice(), b"to:"]
                .iter()
                .any(|name| here.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name)))
        };
        (1..prefix.len()).filter(starts).take(CANDIDATES_MAX).find_map(|at| match Self::read(&bytes[at..]) {
            Ok((message, true)) => Some((at, message)),
            _ => None,
        })
    }
}

/// The header lines that are left.
struct Lines<'a> {
    rest: &'a [u8],
    taken: usize,
    number: usize,
    headers: usize,
}

impl<'a> Lines<'a> {
    /// The next line without its end; empty at the end of a block.
    fn line(&mut self) -> Result<&'a str, CpimError> {
        let room = HEADERS_LEN_MAX.saturating_sub(self.taken).min(self.rest.len());
        let end = memchr::memchr(b'\n', &self.rest[..room]);
        let end =
            end.ok_or(if room < self.rest.len() { CpimError::TooManyHeaders } else { CpimError::Unterminated })?;
        let line = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        self.taken += end + 1;
        self.number += 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        std::str::from_utf8(line).map_err(|_| self.bad())
    }

    /// The next header, its folded lines joined; `None` at the end of a block.
    fn header(&mut self) -> Result<Option<(&'a str, String)>, CpimError> {
        let line = self.line()?;
        if line.is_empty() {
            return Ok(None);
        }
        self.headers += 1;
        if self.headers > HEADERS_MAX {
            return Err(CpimError::TooManyHeaders);
        }
        let (name, value) = line.split_once(':').ok_or(self.bad())?;
        let mut value = value.to_owned();
        while matches!(self.rest.first(), Some(b' ' | b'\t')) {
            let more = self.line()?;
            value.push(' ');
            value.push_str(more.trim_start());
        }
        Ok(Some((name.trim_end(), value)))
    }

    const fn bad(&self) -> CpimError {
        CpimError::BadHeader { line: self.number }
    }

    const fn duplicate(&self) -> CpimError {
        CpimError::DuplicateHeader { line: self.number }
    }
}

/// The headers about the message.
#[derive(Default)]
struct Head {
    from: Option<Address>,
    to: Option<Address>,
    date_time: Option<Option<Timestamp>>,
    headers: Vec<Header>,
}

impl Head {
    fn read(lines: &mut Lines<'_>) -> Result<Self, CpimError> {
        let mut head = Self::default();
        let mut prefixes = Prefixes::default();
        let mut has_any = false;
        while let Some((name, value)) = lines.header()? {
            has_any = true;
            let (namespace, name) = prefixes.resolve(name);
            let core = (namespace == Namespace::Uri(CORE.to_owned())).then(|| name.to_ascii_lowercase());
            match core.as_deref() {
                Some("from") if head.from.is_some() => return Err(lines.duplicate()),
                Some("from") => head.from = Some(address(&value).ok_or(lines.bad())?),
                Some("to") if head.to.is_none() => head.to = Some(address(&value).ok_or(lines.bad())?),
                Some("datetime") if head.date_time.is_some() => return Err(lines.duplicate()),
                Some("datetime") => head.date_time = Some(Timestamp::parse(&value)),
                Some("ns") => prefixes.declare(&value, lines)?,
                Some("require") => require(&value)?,
                _ => head.headers.push(Header::build(namespace, name, &value).map_err(|_| lines.bad())?),
            }
        }
        if has_any { Ok(head) } else { Err(lines.bad()) }
    }
}

/// What `Require` may name: headers that this code reads.
fn require(value: &str) -> Result<(), CpimError> {
    const KNOWN: [&str; 6] = ["from", "to", "cc", "datetime", "subject", "ns"];
    let is_known = |name: &str| {
        let name = name.trim().to_ascii_lowercase();
        KNOWN.contains(&name.as_str()) || name.starts_with("imdn.") || name.starts_with("mls.")
    };
    if value.split(',').all(is_known) { Ok(()) } else { Err(CpimError::RequiredHeader) }
}

/// Which prefix stands for which namespace; the empty prefix for the default.
#[derive(Default)]
struct Prefixes {
    uris: HashMap<String, String>,
    declarations: usize,
}

impl Prefixes {
    /// `NS: prefix <uri>`, or `NS: <uri>` for names without a prefix. It holds for the headers below it.
    fn declare(&mut self, value: &str, lines: &Lines<'_>) -> Result<(), CpimError> {
        let (prefix, rest) = value.split_once('<').ok_or(lines.bad())?;
        let uri = rest.trim_end().strip_suffix('>').ok_or(lines.bad())?;
        let uri = Uri::parse(uri).map_err(|_| lines.bad())?;
        let prefix = prefix.trim().to_ascii_lowercase();
        if prefix.len() > Header::NAME_LEN_MAX || !prefix.bytes().all(crate::text::is_token) {
            return Err(lines.bad());
        }
        self.uris.insert(prefix, uri.as_str().to_owned());
        self.declarations += 1;
        if self.declarations > NAMESPACES_MAX { Err(CpimError::TooManyHeaders) } else { Ok(()) }
    }

    fn resolve<'a>(&self, name: &'a str) -> (Namespace, &'a str) {
        let default = || Namespace::Uri(self.uris.get("").map_or(CORE, String::as_str).to_owned());
        match name.split_once('.') {
            None if name.eq_ignore_ascii_case("NS") => (Namespace::Uri(CORE.to_owned()), name),
            None => (default(), name),
            Some((prefix, local)) => match self.uris.get(&prefix.to_ascii_lowercase()) {
                Some(uri) if !prefix.is_empty() => (Namespace::Uri(uri.clone()), local),
                _ => (Namespace::Undeclared, name),
            },
        }
    }
}

/// `"Name" <uri>`, `Name <uri>`, `<uri>`, or a URI alone.
fn address(value: &str) -> Option<Address> {
    let value = value.trim();
    let Some(inner) = value.strip_suffix('>') else { return Address::of(value).ok() };
    // A URI holds no bracket, so the last one that opens belongs to it, whatever the name before it holds.
    let (name, uri) = inner.rsplit_once('<')?;
    let name = name.trim();
    Line::parse(name).ok()?;
    let name = match name.strip_prefix('"') {
        Some(quoted) => unescape(quoted.strip_suffix('"')?)?,
        None if name.contains('"') => return None,
        None => name.to_owned(),
    };
    Some(Address { display_name: DisplayName::clean(&name), uri: Uri::parse(uri).ok()? })
}

/// Escapes of RFC 3862, section 2.4.3 (`\"`, `\\`, `\n`, `\u20ac`). An unescaped quote ends the name, so it may not stand inside.
fn unescape(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return None,
            '\\' => match chars.next()? {
                'b' | 't' | 'n' | 'r' => out.push(' '),
                'u' => {
                    let digits: String = chars.by_ref().take(4).collect();
                    let code = u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 4)?;
                    out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                other => out.push(other),
            },
            other => out.push(other),
        }
    }
    Some(out)
}

/// The headers about the body.
#[derive(Default)]
struct Content {
    media_type: Option<MediaType>,
    headers: Vec<ContentHeader>,
}

impl Content {
    fn read(lines: &mut Lines<'_>) -> Result<Self, CpimError> {
        let mut content = Self::default();
        while let Some((name, value)) = lines.header()? {
            if !name.eq_ignore_ascii_case("Content-Type") {
                content.headers.push(ContentHeader::new(name, &value).map_err(|_| lines.bad())?);
            } else if content.media_type.is_some() {
                return Err(lines.duplicate());
            } else {
                content.media_type = Some(MediaType::parse(&value).map_err(|_| lines.bad())?);
            }
        }
        Ok(content)
    }
}
