//! What a wrapper may hold and what it may not.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::transport::CarrierMessageId;

/// The header order of deployed clients, with all that RCC.16 adds.
const DEPLOYED: &[u8] = b"From: <sip:anonymous@anonymous.invalid>\r\nTo: <sip:anonymous@anonymous.invalid>\r\n\
NS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: MxABEiM0RVZneImaq7zN3u=w\r\nDateTime: 2026-11-23T14:45:52.250Z\r\n\
imdn.Disposition-Notification: positive-delivery, negative-delivery, display\r\nNS: mls <http://www.gsma.com/rcs/mls>\r\n\
mls.Era-Id: 3\r\nmls.Epoch-Authenticator: AAAA\r\n\r\nContent-Type: message/mls\r\nContent-Length: 7\r\n\r\n\x00\r\n\r\n\xff\n";

fn replaced(from: &str, to: &str) -> Vec<u8> {
    let at = DEPLOYED.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
    [&DEPLOYED[..at], to.as_bytes(), &DEPLOYED[at + from.len()..]].concat()
}

fn sample() -> Message {
    let from = Address {
        display_name: DisplayName::clean("Bob \"the\" \\ b\u{f6}ss"),
        uri: Uri::parse("sip:+15551230001@example.test").unwrap(),
    };
    let to = Address::of("tel:+15551230002").unwrap();
    let mut message =
        Message::new(from, to, MediaType::parse("text/plain;charset=UTF-8").unwrap(), b"a\r\n\r\nb\0".to_vec());
    message.date_time = Some(Timestamp::from_millis(1_732_000_000_123));
    message.headers = vec![
        Header::new(IMDN, "Message-ID", "id-1").unwrap(),
        Header::new(CORE, "Subject", "greetings").unwrap(),
        Header::new("urn:example:x", "A.B", "1").unwrap(),
        Header::new(MLS, "Era-ID", "3").unwrap(),
    ];
    message.content_headers = vec![ContentHeader::new("Content-Disposition", "inline").unwrap()];
    message
}

#[test]
fn a_message_of_a_deployed_client_is_read_byte_for_byte() {
    let message = Message::parse(DEPLOYED).unwrap();
    assert_eq!(message.from, Address::anonymous());
    assert_eq!(message.header(IMDN, "message-id"), Some("MxABEiM0RVZneImaq7zN3u=w"));
    assert_eq!(message.header(MLS, "ERA-ID"), Some("3"));
    assert_eq!(message.header(IMDN, "Era-ID"), None);
    assert_eq!(message.date_time.unwrap().to_string(), "2026-11-23T14:45:52.25Z");
    assert!(message.content_type.is("message/mls"));
    assert_eq!(message.content_header("content-length"), Some("7"));
    assert_eq!(message.body, b"\x00\r\n\r\n\xff\n");
}

#[test]
fn a_header_is_known_by_its_namespace_and_not_by_its_prefix() {
    let text = "From: <sip:a@b>\r\nTo: <sip:c@d>\r\nNS: mls <urn:ietf:params:imdn>\r\nNS: IMDN <http://www.gsma.com/rcs/mls>\r\n\
        mls.Message-ID: x\r\nimdn.Era-ID: 7\r\n\r\nContent-Type: text/plain\r\n\r\n";
    let message = Message::parse(text.as_bytes()).unwrap();
    assert_eq!(message.header(IMDN, "Message-ID"), Some("x"));
    assert_eq!(message.header(MLS, "Era-ID"), Some("7"));
    assert_eq!(Message::parse(&message.to_bytes()).unwrap(), message);
}

#[test]
fn a_prefix_that_nobody_declared_stays_part_of_the_name() {
    let message = Message::parse(&replaced("NS: imdn <urn:ietf:params:imdn>\r\n", "")).unwrap();
    assert_eq!(message.header(IMDN, "Message-ID"), None);
    assert_eq!(message.headers[0].namespace(), None);
    assert_eq!(message.headers[0].name(), "imdn.Message-ID");
    assert_eq!(message.imdn_header("Message-ID"), Some("MxABEiM0RVZneImaq7zN3u=w"));
    // Writing it again does not give the prefix a meaning, not even next to a header that has the namespace.
    let mut more = message.clone();
    more.headers.push(Header::new(IMDN, "Original-To", "<sip:a@b>").unwrap());
    assert_eq!(Message::parse(&more.to_bytes()).unwrap(), more);
    assert_eq!(Message::parse(&message.to_bytes()).unwrap(), message);
}

#[test]
fn what_is_written_reads_back() {
    let message = sample();
    assert_eq!(Message::parse(&message.to_bytes()).unwrap(), message);
}

#[test]
fn the_order_on_the_wire_is_that_of_deployed_clients() {
    let text = String::from_utf8(sample().to_bytes()).unwrap();
    let names: Vec<&str> =
        text.lines().take_while(|line| !line.is_empty()).map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(
        names,
        ["From", "To", "NS", "imdn.Message-ID", "DateTime", "Subject", "NS", "n1.A.B", "NS", "mls.Era-ID"]
    );
}

#[test]
fn a_display_name_cannot_inject_a_header() {
    for name in ["Eve\r\nTo: <sip:x@y>", "Eve\" <sip:x@y>\r\nimdn.Message-ID: z", "\\\" <sip:x@y>", "a\u{2028}b\u{85}c"]
    {
        let mut message = sample();
        message.from.display_name = DisplayName::clean(name);
        let again = Message::parse(&message.to_bytes()).unwrap();
        assert_eq!(again, message, "{name:?}");
        assert_eq!(again.from.uri.as_str(), "sip:+15551230001@example.test");
    }
}

#[test]
fn a_number_a_domain_or_a_value_cannot_inject_a_header() {
    assert!("+15551230001\r\nTo: x".parse::<crate::number::PhoneNumber>().is_err());
    assert!("example.test\r\nTo: x".parse::<crate::number::Domain>().is_err());
    assert!(Address::of("sip:a@b>\r\nTo: <sip:x@y").is_err());
    assert!(CarrierMessageId::parse("id\r\nTo: x").is_none());
    assert_eq!(Header::new(IMDN, "Message-ID", "id\r\nTo: x"), Err(TextError::BadCharacter));
    assert_eq!(Header::new(IMDN, "Message-ID: x\r\nTo", "y"), Err(TextError::BadForm));
    assert_eq!(Header::new("urn:x>\r\nTo: <y", "A", "y"), Err(TextError::BadCharacter));
    assert_eq!(ContentHeader::new("X", "y\n\nbody"), Err(TextError::BadCharacter));
}

#[test]
fn a_header_cannot_stand_for_a_field() {
    for name in ["From", "to", "DATETIME", "NS", "Require"] {
        assert_eq!(Header::new(CORE, name, "<sip:a@b>"), Err(TextError::BadForm), "{name}");
    }
    assert_eq!(ContentHeader::new("content-type", "text/html"), Err(TextError::BadForm));
}

#[test]
fn duplicated_headers_are_refused_or_say_nothing() {
    let twice = replaced("NS: imdn", "From: <sip:eve@x>\r\nNS: imdn");
    assert_eq!(Message::parse(&twice), Err(CpimError::DuplicateHeader { line: 3 }));
    let twice = replaced("DateTime:", "DateTime: 2020-01-01T00:00:00Z\r\nDateTime:");
    assert_eq!(Message::parse(&twice), Err(CpimError::DuplicateHeader { line: 6 }));
    let twice = replaced("Content-Length", "Content-type: text/plain\r\nContent-Length");
    assert_eq!(Message::parse(&twice), Err(CpimError::DuplicateHeader { line: 12 }));
    let twice = replaced("mls.Era-Id: 3", "imdn.message-id: other");
    let message = Message::parse(&twice).unwrap();
    assert_eq!(message.header(IMDN, "Message-ID"), None);
    assert_eq!(message.imdn_header("Message-ID"), None);
    // A second recipient is not a duplicate.
    let message = Message::parse(&replaced("NS: imdn", "To: <sip:second@x>\r\nNS: imdn")).unwrap();
    assert_eq!(message.values(CORE, "To"), ["<sip:second@x>"]);
    assert_eq!(Message::parse(&message.to_bytes()).unwrap(), message);
}

#[test]
fn hostile_sizes_are_refused() {
    assert_eq!(Message::parse(&vec![b'a'; MESSAGE_LEN_MAX + 1]), Err(CpimError::TooLarge));
    assert_eq!(Message::parse(&vec![b'a'; HEADERS_LEN_MAX + 1]), Err(CpimError::TooManyHeaders));
    assert_eq!(Message::parse(&b"X: y\r\n".repeat(HEADERS_MAX + 1)), Err(CpimError::TooManyHeaders));
    assert_eq!(Message::parse(&b"NS: a <urn:b:c>\r\n".repeat(NAMESPACES_MAX + 1)), Err(CpimError::TooManyHeaders));
    let folded = [b"X: y\r\n".as_slice(), &b" z\r\n".repeat(HEADERS_LEN_MAX)].concat();
    assert_eq!(Message::parse(&folded), Err(CpimError::TooManyHeaders));
    let long = format!("X: {}\r\n\r\n", "y".repeat(Line::LEN_MAX + 1));
    assert_eq!(Message::parse(long.as_bytes()), Err(CpimError::BadHeader { line: 1 }));
}

#[test]
fn what_is_read_can_be_written_and_read_again_also_at_the_limit() {
    // Without `From` and `To`, which are written all the same.
    let body = b"\r\nContent-Type: a/b\r\n\r\n";
    let of = |lines: usize| [b"X: y\r\n".repeat(lines).as_slice(), body].concat();
    let most = Message::parse(&of(HEADERS_MAX - 3)).unwrap();
    assert_eq!(Message::parse(&most.to_bytes()), Ok(most));
    for lines in [HEADERS_MAX - 2, HEADERS_MAX - 1] {
        assert_eq!(Message::parse(&of(lines)), Err(CpimError::TooManyHeaders));
    }
}

#[test]
fn what_is_no_wrapper_is_refused_by_name() {
    assert_eq!(Message::parse(b""), Err(CpimError::Unterminated));
    assert_eq!(Message::parse(b"hello\r\n"), Err(CpimError::BadHeader { line: 1 }));
    assert_eq!(Message::parse(b"\r\nContent-Type: text/plain\r\n\r\n"), Err(CpimError::BadHeader { line: 1 }));
    assert_eq!(Message::parse(b"From: <sip:a@b>\r\n\r\nContent-Length: 0\r\n\r\n"), Err(CpimError::NoContentType));
    assert_eq!(
        Message::parse(&replaced("\r\n\r\nContent-Type", "\r\nX: \x07\r\n\r\nContent-Type")),
        Err(CpimError::BadHeader { line: 10 })
    );
    assert_eq!(Message::parse(&replaced("DateTime", "Require: x.Strange\r\nDateTime")), Err(CpimError::RequiredHeader));
    for cut in 0..DEPLOYED.len() - 8 {
        assert!(Message::parse(&DEPLOYED[..cut]).is_err(), "cut at {cut}");
    }
}

#[test]
fn line_feeds_alone_folded_lines_and_names_without_quotes_are_read() {
    let text = "From: Depressed Donkey <im:eeyore@100akerwood.com>\nTo:im:piglet@100akerwood.com\n\nContent-Type: multipart/mixed;\n boundary=\"x\"\n\nbody\n";
    let message = Message::parse(text.as_bytes()).unwrap();
    assert_eq!(message.from.display_name.unwrap().as_str(), "Depressed Donkey");
    assert_eq!(message.to.uri.as_str(), "im:piglet@100akerwood.com");
    assert_eq!(message.content_type.parameter("boundary").as_deref(), Some("x"));
    assert_eq!(message.body, b"body\n");
}

#[test]
fn a_time_that_cannot_be_read_loses_no_message() {
    assert_eq!(Message::parse(&replaced("2026-11-23T14:45:52.250Z", "today")).unwrap().date_time, None);
}

#[test]
fn a_message_is_found_behind_a_prefix_of_a_store() {
    for prefix in ["[Offline message - Mon Nov 23 14:45:52 2026] ", "[Offline message]\r\n", "From: the store\r\n\r\n"]
    {
        let stored = [prefix.as_bytes(), DEPLOYED].concat();
        let (at, message) = Message::find(&stored).unwrap();
        assert_eq!((at, message), (prefix.len(), Message::parse(DEPLOYED).unwrap()), "{prefix:?}");
    }
    assert_eq!(Message::find(b"a line from: somebody, to: nobody"), None);
    assert_eq!(Message::find(&[&vec![b' '; 5000], DEPLOYED].concat()), None);
}

proptest! {
    #[test]
    fn arbitrary_bytes_end_in_a_message_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Message::parse(&bytes);
        let _ = Message::find(&bytes);
    }

    #[test]
    fn damaged_messages_that_are_still_read_are_written_to_the_same(at in 0..DEPLOYED.len(), byte in any::<u8>()) {
        let mut bytes = DEPLOYED.to_vec();
        bytes[at] = byte;
        if let Ok(message) = Message::parse(&bytes) {
            prop_assert_eq!(Message::parse(&message.to_bytes()).unwrap(), message);
        }
    }

    #[test]
    fn any_body_and_any_name_survive(body in proptest::collection::vec(any::<u8>(), 0..300), name in ".{0,60}") {
        let mut message = sample();
        message.body = body;
        message.to.display_name = DisplayName::clean(&name);
        prop_assert_eq!(Message::parse(&message.to_bytes()).unwrap(), message);
    }
}
