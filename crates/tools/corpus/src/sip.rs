//! Parsers of SIP and of the challenges in it.

use bytes::Bytes;
use rcseal_carrier::auth::Challenge;
use rcseal_carrier::sip::count_messages;
use rcseal_carrier::sip::message::{HEAD_LEN_MAX, HEADERS_MAX, Message, Start};

use super::Verdict;

/// The longest body that the stream's reader is told to take.
const BODY_LEN_MAX: usize = 4096;

/// A datagram, the same bytes as a stream in one piece and in two, and every challenge in the message.
pub(super) fn sip_message(bytes: &[u8]) -> Verdict {
    let whole = count_messages(&[bytes], BODY_LEN_MAX);
    let (left, right) = bytes.split_at(bytes.len() / 2);
    assert_eq!(whole, count_messages(&[left, right], BODY_LEN_MAX), "where a packet ends changes what a stream says");
    let message = Message::parse(&Bytes::copy_from_slice(bytes));
    if let Ok(message) = &message {
        assert!(!message.branch().is_empty() && !message.call_id().is_empty() && !message.sent_by().is_empty());
        assert!(message.body().len() <= bytes.len() && bytes.len() - message.body().len() <= bytes.len());
        match message.start() {
            Start::Request { method, uri } => {
                assert_eq!(method, message.cseq().1);
                assert!(uri.bytes().all(|byte| byte.is_ascii_graphic()));
            }
            Start::Response { status } => assert!((100..700).contains(status)),
        }
        for name in ["Via", "From", "To", "Contact", "Record-Route", "P-Asserted-Identity", "WWW-Authenticate"] {
            assert!(message.all(name).count() <= HEADERS_MAX);
            for value in message.list(name) {
                assert!(!value.is_empty() && value.len() <= HEAD_LEN_MAX);
                assert!(!value.contains(['\r', '\n', '\0']), "a value that ends its line");
            }
            for value in message.all(name) {
                for challenge in Challenge::parse_all(value) {
                    assert!(!challenge.realm().contains(['\r', '\n']));
                }
            }
        }
    }
    Verdict::of(&message)
}

pub(super) fn sip_message_seeds() -> Vec<Vec<u8>> {
    let seeds = [
        "MESSAGE sip:+15551230002@carrier.test;user=phone SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK1;rport\r\nMax-Forwards: 70\r\n\
         From: \"A, B\" <sip:+15551230001@carrier.test>;tag=a\r\nTo: <sip:+15551230002@carrier.test>\r\nCall-ID: c1\r\nCSeq: 1 MESSAGE\r\n\
         P-Asserted-Identity: <sip:+15551230001@core>, <tel:+15551230001>\r\nContent-Type: message/cpim\r\nContent-Length: 5\r\n\r\nhello",
        "SIP/2.0 401 Unauthorized\r\nv: SIP/2.0/TCP [::1]:5060;branch=z9hG4bK2, SIP/2.0/UDP h;branch=z9hG4bK0\r\nf: sip:a@b;tag=1\r\nt: sip:a@b;tag=2\r\n\
         i: c2\r\nCSeq: 7 REGISTER\r\nWWW-Authenticate: Basic realm=\"x\", Digest realm=\"r\", nonce=\"n\",\r\n algorithm=SHA-256, qop=\"auth,auth-int\"\r\n\
         l: 0\r\n\r\n",
        "\r\n\r\nINVITE tel:+15551230002 SIP/2.0\r\nVia: SIP/2.0/TLS h;branch=z9hG4bK3\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: c3\r\n\
         CSeq: 1 INVITE\r\nRecord-Route: <sip:p;lr>,<sip:q;lr>\r\nm: <sip:a@h:1;transport=tls>;+g.x=\"a,b\";expires=3\r\nContent-Length: 3\r\n\r\nv=0",
    ];
    // Only a stream may begin with line ends; as a datagram the last one is a message without them.
    seeds.map(|seed| seed.trim_start().as_bytes().to_vec()).to_vec()
}
