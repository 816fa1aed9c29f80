//! Phone numbers in E.164 form, and the URIs that carry them.
//!
//! A number that reached this type has passed the numbering plan's library; its text is `+` and digits only, so that nothing can be
//! smuggled into a header by way of it. The plan says which lengths are *possible*; whether a number is in use is the carrier's to
//! say. `tel:` URIs follow RFC 3966, `sip:` URIs with a number RFC 3261 (section 19.1.6); numbers that are only good inside one
//! network are refused, because nobody outside could answer them.

use std::cell::RefCell;
use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use phonenumber::metadata::{DATABASE, Descriptor};
use phonenumber::{Metadata, Type};

/// A phone number: `+` and 7 to 15 digits, possible by the numbering plan.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PhoneNumber(String);

/// Not a phone number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a phone number in international form")]
pub struct NumberError;

impl NumberError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "number_invalid"
    }
}

/// Digits of E.164 at most, and the fewest that the shortest numbering plans have with their country code.
const DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

/// The longest text that is looked at: fifteen digits with separators between them.
const TEXT_LEN_MAX: usize = 48;

/// The longest URI that is looked at.
const URI_LEN_MAX: usize = 512;

/// What RFC 3966 allows between digits for people's eyes, and the space that people write.
const SEPARATORS: [char; 5] = ['-', '.', '(', ')', ' '];

/// The kinds of numbers whose lengths are possible ones: everything that somebody outside a country can call.
const KINDS: [Type; 9] = [
    Type::FixedLine,
    Type::Mobile,
    Type::TollFree,
    Type::PremiumRate,
    Type::SharedCost,
    Type::PersonalNumber,
    Type::Voip,
    Type::Pager,
    Type::Uan,
];

impl PhoneNumber {
    /// The number as `+` and digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `tel:+15551230001`.
    #[must_use]
    pub fn to_tel_uri(&self) -> String {
        format!("tel:{}", self.0)
    }

    /// `sip:+15551230001@domain;user=phone`.
    #[must_use]
    pub fn to_sip_uri(&self, domain: &Domain) -> String {
        format!("sip:{}@{};user=phone", self.0, domain.0)
    }

    /// The number in a `tel:`, `sip:` or `sips:` URI. Parameters are passed over; the domain says nothing about whose number it is.
    ///
    /// # Errors
    /// [`NumberError`] for another scheme, for a user that is not an international number, and for anything not of that form.
    pub fn from_uri(uri: &str) -> Result<Self, NumberError> {
        if uri.len() > URI_LEN_MAX || !uri.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(NumberError);
        }
        let (scheme, rest) = uri.split_once(':').ok_or(NumberError)?;
        let subscriber = match scheme.to_ascii_lowercase().as_str() {
            "tel" => rest.to_owned(),
            "sip" | "sips" => {
                let (user, host) = rest.split_once('@').ok_or(NumberError)?;
                let host = host.split([';', '?']).next().unwrap_or_default();
                HostPort::parse(host).ok_or(NumberError)?;
                unescape(user.split(':').next().unwrap_or_default())?
            }
            _ => return Err(NumberError),
        };
        let number = subscriber.split(';').next().unwrap_or_default();
        if number.contains(' ') { Err(NumberError) } else { number.parse() }
    }
}

/// Takes `%2B` and the like out of a user part. What is escaped must be visible ASCII.
fn unescape(user: &str) -> Result<String, NumberError> {
    let mut out = String::new();
    let mut rest = user;
    while let Some((before, escape)) = rest.split_once('%') {
        out.push_str(before);
        let digits = escape.get(..2).ok_or(NumberError)?;
        let byte = u8::from_str_radix(digits, 16).map_err(|_| NumberError)?;
        if !byte.is_ascii_graphic() {
            return Err(NumberError);
        }
        out.push(char::from(byte));
        rest = &escape[2..];
    }
    out.push_str(rest);
    Ok(out)
}

/// Numbers that each thread remembers to have read: some tens of bytes each.
const READ_BEFORE_MAX: usize = 256;

thread_local! {
    /// What was read before, by its text: asking the plan takes longer than everything else that is done with a message on its way, and the
    /// answer for one text is always the same. Each text has one place, so that whoever writes many numbers only pushes others out.
    static READ_BEFORE: RefCell<Vec<Option<(String, PhoneNumber)>>> = const { RefCell::new(Vec::new()) };
}

/// The place of a text among those that were read before.
fn place(text: &str) -> usize {
    text.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte))) % READ_BEFORE_MAX
}

impl FromStr for PhoneNumber {
    type Err = NumberError;

    /// `+` and digits, with separators between them where a person has written it. A trunk prefix that people write inside
    /// international numbers (`+44 (0) 20 …`) is taken out where the plan knows the number without it and not with it.
    fn from_str(text: &str) -> Result<Self, NumberError> {
        if text.len() > TEXT_LEN_MAX {
            return Err(NumberError);
        }
        let known = READ_BEFORE.with_borrow(|read| match read.get(place(text)) {
            Some(Some((before, number))) if before == text => Some(number.clone()),
            _ => None,
        });
        if let Some(number) = known {
            return Ok(number);
        }
        let number = Self::read(text)?;
        READ_BEFORE.with_borrow_mut(|read| {
            read.resize_with(READ_BEFORE_MAX, || None);
            read[place(text)] = Some((text.to_owned(), number.clone()));
        });
        Ok(number)
    }
}

impl PhoneNumber {
    /// Asks the plan.
    fn read(text: &str) -> Result<Self, NumberError> {
        let digits = text.trim().strip_prefix('+').ok_or(NumberError)?.replace(SEPARATORS, "");
        if !DIGITS.contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NumberError);
        }
        // The library sees a sign and digits only: its own reading of free text is not used.
        let parsed = phonenumber::parse(None, format!("+{digits}")).map_err(|_| NumberError)?;
        let code = parsed.country().code();
        let plans = DATABASE.by_code(&code).unwrap_or_default();
        let code = code.to_string();
        let written = digits.strip_prefix(&code).ok_or(NumberError)?;
        // The library takes off what looks like a trunk prefix, which is right for (0) and wrong for area codes that begin like it.
        let shortened = parsed.national().to_string();
        let is_as_written = shortened == written || is_known(&plans, written) || !is_known(&plans, &shortened);
        let national = if is_as_written { written } else { &shortened };
        let number = format!("+{code}{national}");
        if is_possible(&plans, national) && DIGITS.contains(&(number.len() - 1)) {
            Ok(Self(number))
        } else {
            Err(NumberError)
        }
    }
}

/// Whether a country's plan has numbers of this form.
fn is_known(plans: &[&Metadata], national: &str) -> bool {
    descriptors(plans).any(|descriptor| descriptor.is_match(national))
}

/// Whether a country's plan has numbers of this length.
fn is_possible(plans: &[&Metadata], national: &str) -> bool {
    descriptors(plans).flat_map(Descriptor::possible_length).any(|len| usize::from(*len) == national.len())
}

fn descriptors<'a>(plans: &'a [&'a Metadata]) -> impl Iterator<Item = &'a Descriptor> {
    plans.iter().flat_map(|plan| KINDS.iter().filter_map(|kind| plan.descriptors().get(*kind)))
}

impl fmt::Debug for PhoneNumber {
    /// The last two digits: enough to tell two apart in a log, too little to call.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PhoneNumber(..{})", &self.0[self.0.len() - 2..])
    }
}

/// The domain of a carrier or of a registrar: a host name, an IPv4 address, or an IPv6 address in brackets; no port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Domain(String);

/// Not a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a host name or address")]
pub struct DomainError;

impl Domain {
    /// The domain in small letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Domain {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        if is_host(text) { Ok(Self(text.to_ascii_lowercase())) } else { Err(DomainError) }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A host name by RFC 1123, or an address.
pub(crate) fn is_host(text: &str) -> bool {
    if let Some(inner) = text.strip_prefix('[') {
        return inner.strip_suffix(']').is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

/// `host` or `host:port`.
pub(crate) struct HostPort<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: Option<u16>,
}

impl<'a> HostPort<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let split = match text.rsplit_once(':') {
            Some((host, _)) if host.starts_with('[') && !host.ends_with(']') => None,
            other => other,
        };
        let (host, port) = match split {
            None => (text, None),
            Some((host, port)) => {
                let is_port = (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
                (host, Some(port.parse().ok().filter(|_| is_port)?))
            }
        };
        is_host(host).then_some(Self { host, port })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    const NUMBER: &str = "+15551230001";

    #[test]
    fn a_number_is_a_plus_and_digits_whatever_was_written() {
        for text in ["+15551230001", "+1 (555) 123-0001", " +1.555.123.0001 "] {
            assert_eq!(text.parse::<PhoneNumber>().unwrap().as_str(), NUMBER);
        }
        assert_eq!("+44 (0)20 7946 0018".parse::<PhoneNumber>().unwrap().as_str(), "+442079460018");
        // A leading zero that belongs to the number stays.
        assert_eq!("+390612345678".parse::<PhoneNumber>().unwrap().as_str(), "+390612345678");
    }

    #[test]
    fn an_area_code_that_begins_like_a_trunk_prefix_stays() {
        // Saint Petersburg, where the trunk prefix is 8; a number without charge in Lithuania, where it was 8.
        for text in ["+78121234567", "+78001234567", "+37080012345", "+4930123456"] {
            assert_eq!(text.parse::<PhoneNumber>().unwrap().as_str(), text);
        }
        assert_eq!("+49 (0)30 123456".parse::<PhoneNumber>().unwrap().as_str(), "+4930123456");
    }

    #[test]
    fn a_number_that_was_read_reads_the_same_again() {
        // The library takes a zero off each time.
        let number: PhoneNumber = "+4300000001".parse().unwrap();
        assert_eq!(number.as_str().parse(), Ok(number));
    }

    #[test]
    fn two_texts_with_one_place_are_read_each_for_itself() {
        let mut by_place: std::collections::HashMap<usize, String> = std::collections::HashMap::new();
        for last in 0..2_000 {
            let text = format!("+1415555{last:04}");
            assert_eq!(text.parse::<PhoneNumber>().unwrap().as_str(), text);
            if let Some(other) = by_place.insert(place(&text), text.clone()) {
                assert_eq!(other.parse::<PhoneNumber>().unwrap().as_str(), other);
                assert_eq!(text.parse::<PhoneNumber>().unwrap().as_str(), text);
            }
        }
    }

    #[test]
    fn what_the_plan_does_not_allow_is_refused() {
        for text in [
            "",
            "+",
            "15551230001",
            "+1555",
            "+1555123000100",
            "+99912345678",
            "+1555123000a",
            "+1555123 0001;x",
            "+1555\r\n1230001",
            "++15551230001",
            "+\u{0661}5551230001",
            "+0123456789",
        ] {
            assert_eq!(text.parse::<PhoneNumber>(), Err(NumberError), "{text:?}");
        }
    }

    #[test]
    fn uris_of_both_kinds_carry_a_number() {
        let number: PhoneNumber = NUMBER.parse().unwrap();
        let domain: Domain = "IMS.Example.test".parse().unwrap();
        assert_eq!(number.to_sip_uri(&domain), "sip:+15551230001@ims.example.test;user=phone");
        for uri in [
            number.to_tel_uri(),
            number.to_sip_uri(&domain),
            "TEL:+1-555-123-0001;x=y".to_owned(),
            "sips:%2B15551230001:secret@[::1]:5061;transport=tls?Subject=x".to_owned(),
            "sip:+15551230001;npdi@10.0.0.1".to_owned(),
        ] {
            assert_eq!(PhoneNumber::from_uri(&uri), Ok(number.clone()), "{uri}");
        }
    }

    #[test]
    fn uris_without_an_international_number_are_refused() {
        for uri in [
            "tel:5551230001;phone-context=+1",
            "sip:alice@example.test",
            "sip:+15551230001",
            "sip:+15551230001@",
            "mailto:+15551230001@x",
            "sip:+1555%0d%0a1230001@x",
            "sip:+15551230001@a@b",
            "sip:+15551230001@exa mple",
            "tel:+15551230001\r\nX: y",
            "sip:%+1@x",
            "sip:%é@x",
        ] {
            assert_eq!(PhoneNumber::from_uri(uri), Err(NumberError), "{uri:?}");
        }
    }

    #[test]
    fn a_domain_is_a_host_and_nothing_else() {
        for text in ["example.test", "10.0.0.1", "[2001:db8::1]", "localhost"] {
            assert!(text.parse::<Domain>().is_ok(), "{text}");
        }
        for text in ["", "a..b", "a b", "a\r\nb", "a;b", "a@b", "a:5060", "[::1", "-a", "é"] {
            assert_eq!(text.parse::<Domain>(), Err(DomainError), "{text:?}");
        }
    }

    #[test]
    fn debug_shows_two_digits() {
        assert_eq!(format!("{:?}", NUMBER.parse::<PhoneNumber>().unwrap()), "PhoneNumber(..01)");
    }

    proptest! {
        #[test]
        fn arbitrary_text_is_a_number_or_refused(text in ".{0,40}") {
            let _ = text.parse::<PhoneNumber>();
            let _ = text.parse::<Domain>();
            let _ = PhoneNumber::from_uri(&text);
        }

        #[test]
        fn a_number_reads_back_from_everything_it_writes(digits in "[1-9][0-9]{6,14}") {
            if let Ok(number) = format!("+{digits}").parse::<PhoneNumber>() {
                prop_assert_eq!(number.as_str().parse::<PhoneNumber>(), Ok(number.clone()));
                prop_assert_eq!(PhoneNumber::from_uri(&number.to_tel_uri()), Ok(number.clone()));
                let domain: Domain = "example.test".parse().unwrap();
                prop_assert_eq!(PhoneNumber::from_uri(&number.to_sip_uri(&domain)), Ok(number));
            }
        }
    }
}
