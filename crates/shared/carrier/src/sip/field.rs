//! Parts of header values: addresses, parameters, lists.
//!
//! Every function takes text without control characters, borrows from it, and answers `None` for what is not of the form. Quotes and angle
//! brackets are respected when a value is split, so that a comma in somebody's display name does not make two people of one.

use std::str::FromStr;

/// A character of a token (RFC 3261, section 25.1).
pub(super) const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~')
}

/// Whether a text can stand as a URI in a request line or between angle brackets: visible ASCII, a scheme, none of the
/// delimiters, and nothing that would take a delimiter its meaning where the URI is quoted.
pub(super) fn is_uri(text: &str) -> bool {
    let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b'"' | b'\\'));
    is_visible
        && text
            .split_once(':')
            .is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty() && scheme.bytes().all(is_token))
}

/// A number out of digits alone: no sign, no space.
pub(super) fn number<T: FromStr>(text: &str) -> Option<T> {
    let is_digits = (1..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_digits { text.parse().ok() } else { None }
}

/// Where the first of these characters stands outside quotes and angle brackets.
fn find_outside(text: &str, wanted: impl Fn(u8) -> bool) -> Option<usize> {
    let (mut is_quoted, mut is_escaped, mut is_bracketed) = (false, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            b'<' if wanted(b'<') => return Some(at),
            b'<' => is_bracketed = true,
            b'>' => is_bracketed = false,
            _ if is_bracketed => {}
            byte if wanted(byte) => return Some(at),
            _ => {}
        }
    }
    None
}

/// What stands between these separators outside quotes and angle brackets, trimmed; empty pieces are passed over.
fn split_outside(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    let pieces = std::iter::from_fn(move || {
        let text = rest?;
        let (piece, behind) = match find_outside(text, |byte| byte == separator) {
            Some(at) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        rest = behind;
        Some(trim(piece))
    });
    pieces.filter(|piece| !piece.is_empty())
}

/// Without space at either end.
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// The elements of a list.
pub(super) fn split_list(value: &str) -> impl Iterator<Item = &str> {
    split_outside(value, b',')
}

/// An address with what may stand round it: `"Name" <uri>;parameters` or `uri;parameters`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NameAddr<'a> {
    pub(super) uri: &'a str,
    pub(super) parameters: &'a str,
}

impl<'a> NameAddr<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (uri, parameters) = match find_outside(text, |byte| byte == b'<') {
            Some(at) => text[at + 1..].split_once('>')?,
            // Without brackets, what follows a semicolon is the header's and not the URI's (RFC 3261, section 20.10).
            None => text.split_at(text.find(';').unwrap_or(text.len())),
        };
        let (uri, parameters) = (trim(uri), trim(parameters));
        (is_uri(uri) && (parameters.is_empty() || parameters.starts_with(';'))).then_some(Self { uri, parameters })
    }
}

/// The parameters in `;name=value;name`, in order. A quoted value keeps its quotes.
pub(super) fn parameters(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    split_outside(text, b';').map(|parameter| match parameter.split_once('=') {
        Some((name, value)) => (trim(name), Some(trim(value))),
        None => (parameter, None),
    })
}

/// A parameter: not there, there, or there with a value.
pub(super) fn parameter<'a>(text: &'a str, name: &str) -> Option<Option<&'a str>> {
    parameters(text).find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// One hop: `SIP/2.0/UDP host:port;branch=…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Via<'a> {
    pub(super) sent_by: &'a str,
    pub(super) branch: &'a str,
}

impl<'a> Via<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let semicolon = text.find(';')?;
        let (hop, parameters) = text.split_at(semicolon);
        let hop = trim(hop);
        let space = hop.find([' ', '\t'])?;
        let protocol = hop[..space].strip_prefix("SIP/2.0/")?;
        let sent_by = hop[space..].trim_start_matches([' ', '\t']);
        // Without a branch there is no telling one transaction from another; nobody has left it out for twenty years.
        let branch = parameter(parameters, "branch").flatten()?;
        let is_sound =
            !protocol.is_empty() && protocol.bytes().all(is_token) && !sent_by.is_empty() && !branch.is_empty();
        (is_sound && branch.bytes().all(is_token)).then_some(Self { sent_by, branch })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn commas_in_names_and_addresses_do_not_split_a_list() {
        let all: Vec<_> = split_list(r#""A, \"B\", C" <sip:a,b@x>;q=1, , <sip:c@x>"#).collect();
        assert_eq!(all, [r#""A, \"B\", C" <sip:a,b@x>;q=1"#, "<sip:c@x>"]);
    }

    #[test]
    fn an_address_is_found_behind_any_name() {
        let address = NameAddr::parse(r#""<sip:evil@x>" <sip:+15551230001@d;user=phone>;tag=a"#).unwrap();
        assert_eq!((address.uri, address.parameters), ("sip:+15551230001@d;user=phone", ";tag=a"));
        let bare = NameAddr::parse("tel:+15551230001;tag=b").unwrap();
        assert_eq!((bare.uri, parameter(bare.parameters, "TAG")), ("tel:+15551230001", Some(Some("b"))));
        for bad in ["", "sip", "<sip:a@b", "<sip:a b@c>", "<sip:a@b> x", "a:", "<sip:a@b\\>"] {
            assert_eq!(NameAddr::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn parameters_keep_what_is_quoted_together() {
        let all: Vec<_> = parameters(r#";+g.x="a;b" ; lr;q = 0.5"#).collect();
        assert_eq!(all, [("+g.x", Some(r#""a;b""#)), ("lr", None), ("q", Some("0.5"))]);
    }

    proptest! {
        #[test]
        fn any_text_is_taken_apart_without_harm(text in "\\PC{0,200}") {
            let _ = NameAddr::parse(&text);
            let _ = Via::parse(&text);
            prop_assert!(split_list(&text).all(|element| !element.is_empty()));
            prop_assert!(parameters(&text).count() <= text.len() + 1);
        }
    }
}
