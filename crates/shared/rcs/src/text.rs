//! Pieces of text that may stand in a header: values that cannot break out of their line.
//!
//! Whatever is written into a header is one of these types, and each is checked where it is made. A line break, a NUL or an angle
//! bracket in the wrong place is therefore refused (or, in a display name, replaced) before there is a header at all; no writer has
//! to remember to escape.

use std::fmt;
use std::str::FromStr;

/// A text that cannot stand in a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Longer than its limit.
    #[error("longer than {max} bytes")]
    TooLong {
        /// The limit.
        max: usize,
    },
    /// A character that has no place in it.
    #[error("a character that has no place there")]
    BadCharacter,
    /// Nothing, or not of the form.
    #[error("not of the expected form")]
    BadForm,
}

impl TextError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "text_too_long",
            Self::BadCharacter => "text_bad_character",
            Self::BadForm => "text_bad_form",
        }
    }
}

/// Whether a byte may stand in a token (RFC 2045, section 5.1, without `.`, which separates a namespace's prefix in CPIM).
pub(crate) const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

/// One line of text: no control characters, no space at either end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Line(String);

impl Line {
    /// The longest line. A signed statement of RCC.16 in base64 is the longest value known, at some four kilobytes.
    pub const LEN_MAX: usize = 8192;

    /// The line, with space at its ends taken off and tabs made spaces.
    ///
    /// # Errors
    /// [`TextError`]: too long, or a control character.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        let line = text.replace('\t', " ");
        let line = line.trim();
        if line.len() > Self::LEN_MAX {
            return Err(TextError::TooLong { max: Self::LEN_MAX });
        }
        if line.chars().any(char::is_control) {
            return Err(TextError::BadCharacter);
        }
        Ok(Self(line.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A URI as it stands between angle brackets: visible ASCII without brackets, quotes and backslashes. Not resolved, not fetched.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uri(String);

impl Uri {
    /// The longest URI; proxies of SIP refuse longer ones than this as well.
    pub const LEN_MAX: usize = 1024;

    /// The URI. It has a scheme.
    ///
    /// # Errors
    /// [`TextError`].
    pub fn parse(text: &str) -> Result<Self, TextError> {
        if text.len() > Self::LEN_MAX {
            return Err(TextError::TooLong { max: Self::LEN_MAX });
        }
        let is_sound = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b'"' | b'\\');
        if !text.bytes().all(is_sound) {
            return Err(TextError::BadCharacter);
        }
        let (scheme, rest) = text.split_once(':').ok_or(TextError::BadForm)?;
        let starts_with_letter = scheme.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
        let is_scheme = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
        if !starts_with_letter || !is_scheme || rest.is_empty() {
            return Err(TextError::BadForm);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Uri {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        Self::parse(text)
    }
}

/// The name that people read next to an address. Anybody may claim any name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DisplayName(String);

impl DisplayName {
    /// How many characters are kept of a name.
    pub const CHARS_MAX: usize = 128;

    /// A name made safe: control characters and characters that change the direction of the text around them become spaces, what is
    /// longer is cut. `None` where nothing remains.
    #[must_use]
    pub fn clean(text: &str) -> Option<Self> {
        let turns_text =
            |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        let breaks_lines = |c: char| matches!(c, '\u{2028}' | '\u{2029}');
        let safe = |c: char| if c.is_control() || turns_text(c) || breaks_lines(c) { ' ' } else { c };
        let name: String = text.trim().chars().map(safe).take(Self::CHARS_MAX).collect();
        let name = name.trim();
        (!name.is_empty()).then(|| Self(name.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A media type with its parameters, as it stands in a `Content-Type` header.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MediaType(String);

impl MediaType {
    /// The longest media type; a boundary has 70 characters at most, and nothing else in use is long.
    pub const LEN_MAX: usize = 512;

    /// The media type: `type/subtype`, then parameters, of which only the characters are checked here.
    ///
    /// # Errors
    /// [`TextError`].
    pub fn parse(text: &str) -> Result<Self, TextError> {
        let text = text.trim();
        if text.len() > Self::LEN_MAX {
            return Err(TextError::TooLong { max: Self::LEN_MAX });
        }
        if !text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            return Err(TextError::BadCharacter);
        }
        let essence = text.split(';').next().unwrap_or_default().trim();
        let (kind, subtype) = essence.split_once('/').ok_or(TextError::BadForm)?;
        let is_name = |name: &str| !name.is_empty() && name.bytes().all(|byte| is_token(byte) || byte == b'.');
        if !is_name(kind) || !is_name(subtype) {
            return Err(TextError::BadForm);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The type without parameters, in small letters, to compare by.
    #[must_use]
    pub fn essence(&self) -> String {
        self.0.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// Whether this is that type, whatever the parameters.
    #[must_use]
    pub fn is(&self, essence: &str) -> bool {
        self.essence().eq_ignore_ascii_case(essence)
    }

    /// A parameter's value without its quotes.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<String> {
        let parameters = parameters(self.0.split_once(';')?.1);
        parameters.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).and_then(|(_, value)| value)
    }
}

impl FromStr for MediaType {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        Self::parse(text)
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `;name=value;name="quoted"` in order: a semicolon inside quotes does not separate. What has no name is left out.
pub(crate) fn parameters(text: &str) -> Vec<(String, Option<String>)> {
    let mut found = Vec::new();
    let mut piece = String::new();
    let mut name: Option<String> = None;
    let mut in_quotes = false;
    let mut is_escaped = false;
    let mut finish = |name: &mut Option<String>, piece: &mut String| {
        let text = std::mem::take(piece);
        match name.take() {
            Some(name) => found.push((name, Some(text.trim().to_owned()))),
            None if !text.trim().is_empty() => found.push((text.trim().to_owned(), None)),
            None => {}
        }
    };
    for c in text.chars() {
        match c {
            _ if is_escaped => {
                piece.push(c);
                is_escaped = false;
            }
            '\\' if in_quotes => is_escaped = true,
            '"' => in_quotes = !in_quotes,
            ';' if !in_quotes => finish(&mut name, &mut piece),
            '=' if !in_quotes && name.is_none() && !piece.trim().is_empty() => {
                name = Some(std::mem::take(&mut piece).trim().to_owned());
            }
            _ => piece.push(c),
        }
    }
    finish(&mut name, &mut piece);
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_line_never_holds_a_line_break() {
        for text in ["a\r\nb", "a\nb", "a\0b", "a\u{85}b"] {
            assert_eq!(Line::parse(text), Err(TextError::BadCharacter));
        }
        assert_eq!(Line::parse(" a\tb ").unwrap().as_str(), "a b");
        assert_eq!(Line::parse(&"a".repeat(Line::LEN_MAX + 1)), Err(TextError::TooLong { max: Line::LEN_MAX }));
    }

    #[test]
    fn a_uri_never_leaves_its_brackets() {
        for text in ["sip:a>b", "sip:a\r\nTo: b", "sip:a b", "sip:\"a\"", "sip:ä"] {
            assert_eq!(Uri::parse(text), Err(TextError::BadCharacter), "{text}");
        }
        for text in ["", "sip", "sip:", ":a", "1sip:a"] {
            assert_eq!(Uri::parse(text), Err(TextError::BadForm), "{text}");
        }
        assert_eq!(
            Uri::parse("sip:+15551230001@example.test;user=phone").unwrap().as_str(),
            "sip:+15551230001@example.test;user=phone"
        );
    }

    #[test]
    fn a_display_name_is_made_safe() {
        assert_eq!(DisplayName::clean(" Bob\r\nTo: eve\u{202e} ").unwrap().as_str(), "Bob  To: eve");
        assert_eq!(DisplayName::clean("\r\n\0"), None);
        assert_eq!(DisplayName::clean(&"x".repeat(1000)).unwrap().as_str().len(), DisplayName::CHARS_MAX);
    }

    #[test]
    fn a_media_type_is_compared_without_parameters_and_without_case() {
        let media = MediaType::parse("Text/Plain; charset=\"UTF-8\"; x=\"a;b\"").unwrap();
        assert!(media.is("text/plain"));
        assert_eq!(media.parameter("CHARSET").as_deref(), Some("UTF-8"));
        assert_eq!(media.parameter("x").as_deref(), Some("a;b"));
        assert_eq!(media.parameter("y"), None);
        assert_eq!(MediaType::parse("text/plain\r\nX: y"), Err(TextError::BadCharacter));
        assert_eq!(MediaType::parse("text"), Err(TextError::BadForm));
    }
}
