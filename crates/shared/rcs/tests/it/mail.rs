//! Wrapped messages through a parser of mail, which reads the same kind of headers: `mail-parser`.

use mail_parser::MessageParser;
use proptest::prelude::*;
use rcseal_rcs::cpim::{self, Address, Header, Message};
use rcseal_rcs::stamp::Timestamp;
use rcseal_rcs::text::{DisplayName, MediaType};

/// The two blocks of a wrapped message, each as the head of a mail, and what follows them.
fn blocks(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    bytes.split_at(end)
}

fn raw<'a>(mail: &'a mail_parser::Message<'a>, name: &str) -> Vec<&'a str> {
    let headers = mail.parts[0].headers.iter().filter(|header| header.name.as_str().eq_ignore_ascii_case(name));
    let text = |header: &mail_parser::Header<'_>| {
        std::str::from_utf8(&mail.raw_message[header.offset_start as usize..header.offset_end as usize]).unwrap()
    };
    headers.map(|header| text(header).trim()).collect()
}

proptest! {
    #[test]
    fn a_parser_of_mail_reads_what_we_write(
        name in "[ -~äöü€]{0,40}",
        id in "[!-~]{1,64}",
        subject in "[a-zA-Z0-9 ]{1,40}",
        body in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let from = Address { display_name: DisplayName::clean(&name), ..Address::of("sip:+15551230001@example.test").unwrap() };
        let content_type = MediaType::parse("application/vnd.rcseal.frame").unwrap();
        let mut message = Message::new(from, Address::of("tel:+15551230002").unwrap(), content_type, body.clone());
        message.date_time = Some(Timestamp::from_millis(1_764_000_000_000));
        message.headers = vec![
            Header::new(cpim::IMDN, "Message-ID", &id).unwrap(),
            Header::new(cpim::CORE, "Subject", &subject).unwrap(),
            Header::new(cpim::MLS, "Era-ID", "3").unwrap(),
        ];
        let bytes = message.to_bytes();
        let (head, content) = blocks(&bytes);
        let about = MessageParser::new().parse_headers(head).unwrap();
        prop_assert_eq!(raw(&about, "imdn.Message-ID"), [id.as_str()]);
        prop_assert_eq!(raw(&about, "NS"), ["imdn <urn:ietf:params:imdn>", "mls <http://www.gsma.com/rcs/mls>"]);
        prop_assert_eq!(raw(&about, "mls.Era-ID"), ["3"]);
        prop_assert_eq!(raw(&about, "DateTime"), ["2025-11-24T16:00:00Z"]);
        prop_assert_eq!(raw(&about, "Subject"), [subject.trim()]);
        prop_assert_eq!(raw(&about, "To"), ["<tel:+15551230002>"]);
        prop_assert_eq!(about.parts[0].headers.len(), 8, "no header but ours");
        let about_body = MessageParser::new().parse_headers(content).unwrap();
        prop_assert_eq!(raw(&about_body, "Content-Type"), ["application/vnd.rcseal.frame"]);
        prop_assert_eq!(&content[blocks(content).0.len()..], body.as_slice());
    }
}
