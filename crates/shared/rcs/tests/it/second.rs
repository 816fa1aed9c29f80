//! What we write, through parsers of another language: Python's own for mail and XML, and one for MSRP written from the RFC's grammar.
//!
//! The documents are made here, read by `second.py` in one process, and what it read comes back as JSON. Receipts also come back as that
//! library writes them, with prefixes of its choice, and must read the same.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use rcseal_rcs::cpim::{self, Address, ContentHeader, Header, Message};
use rcseal_rcs::imdn::{ClientReason, FailureReason, Kind, Notification};
use rcseal_rcs::msrp::{CHUNK_LEN, Frame, Outgoing, Start, Status};
use rcseal_rcs::stamp::Timestamp;
use rcseal_rcs::text::{DisplayName, MediaType, Uri};
use rcseal_rcs::transport::CarrierMessageId;
use serde_json::{Value, json};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The same bytes in every run, and different ones for every number.
fn noise(number: u64, len: usize) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..len).map(|_| next()).collect()
}

/// Runs `second.py` over documents of one kind.
fn second(kind: &str, documents: &[Vec<u8>]) -> Vec<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/second.py");
    let mut child = Command::new("python3")
        .arg(script)
        .arg(kind)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is one of the packages that the tests need");
    let input: String = documents.iter().map(|document| hex(document) + "\n").collect();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let answers: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answers.len(), documents.len());
    answers
}

fn message(number: u64) -> Message {
    let names = ["Bob", "B\u{f6}b \u{1f600}", "a \"quoted\" \\ name", "Eve\r\nTo: <sip:x@y>", ""];
    let name = names[usize::try_from(number).unwrap() % names.len()];
    let from = Address {
        display_name: DisplayName::clean(name),
        uri: Uri::parse("sip:+15551230001@example.test;user=phone").unwrap(),
    };
    let body = noise(number, usize::try_from(number).unwrap() * 7 % 900);
    let mut message =
        Message::new(from, Address::of("tel:+15551230002").unwrap(), MediaType::parse("a/b;c=\"d e\"").unwrap(), body);
    message.date_time = Some(Timestamp::from_millis(number * 1_000_003));
    message.headers = vec![
        Header::new(cpim::IMDN, "Message-ID", &format!("id-{number}")).unwrap(),
        Header::new("urn:example:other", "X-Thing", "some: value <with> \"signs\"").unwrap(),
        Header::new(cpim::MLS, "Epoch-Authenticator", "AAAA+/==").unwrap(),
    ];
    message.content_headers = vec![ContentHeader::new("Content-Disposition", "inline").unwrap()];
    message
}

#[test]
fn wrapped_messages_are_read_by_another_parser_of_mail_headers() {
    let messages: Vec<Message> = (0..200).map(message).collect();
    let answers = second("cpim", &messages.iter().map(Message::to_bytes).collect::<Vec<_>>());
    for (message, answer) in messages.iter().zip(answers) {
        let headers: Vec<Value> =
            message.headers.iter().map(|header| json!([header.namespace(), header.name(), header.value()])).collect();
        let expected = json!({
            "from": [message.from.display_name.as_ref().map_or("", DisplayName::as_str), message.from.uri.as_str()],
            "to": ["", message.to.uri.as_str()],
            "date_time_ms": message.date_time.unwrap().millis(),
            "headers": headers,
            "content": [["Content-Type", "a/b;c=\"d e\""], ["Content-Disposition", "inline"]],
            "body": hex(&message.body),
        });
        assert_eq!(answer, expected);
    }
}

#[test]
fn receipts_are_read_by_another_parser_of_xml_and_read_as_it_writes_them() {
    let decrypt = Some(FailureReason::Client(ClientReason::FailedToDecrypt));
    let kinds = [
        (Kind::Delivered, "delivery-notification", "delivered", None),
        (Kind::DeliveryFailed { reason: decrypt }, "delivery-notification", "failed", Some("failed-to-decrypt")),
        (Kind::DeliveryFailed { reason: None }, "delivery-notification", "failed", None),
        (Kind::Displayed, "display-notification", "displayed", None),
        (Kind::Stored, "processing-notification", "stored", None),
    ];
    let receipts: Vec<Notification> = kinds
        .iter()
        .map(|(kind, ..)| {
            let mut receipt = Notification::new(CarrierMessageId::parse("a<&>'\"]]>b").unwrap(), kind.clone());
            receipt.date_time = Some(Timestamp::from_millis(1_764_000_000_123));
            receipt.recipient = Some(Uri::parse("sip:a@b;c=d&e").unwrap());
            receipt
        })
        .collect();
    let answers = second("imdn", &receipts.iter().map(|receipt| receipt.to_xml().into_bytes()).collect::<Vec<_>>());
    for ((receipt, (_, notification, status, reason)), answer) in receipts.iter().zip(kinds).zip(answers) {
        assert_eq!(answer["message_id"], "a<&>'\"]]>b");
        assert_eq!(answer["datetime"], "2025-11-24T16:00:00.123Z");
        assert_eq!(answer["recipient"], "sip:a@b;c=d&e");
        assert_eq!(answer["status"], json!([notification, status, reason]));
        let again = answer["again"].as_str().unwrap();
        assert!(again.contains("<ns0:imdn"), "the library uses a prefix");
        assert_eq!(Notification::parse(again.as_bytes()).unwrap(), *receipt);
    }
}

#[test]
fn frames_are_read_by_another_parser_of_msrp() {
    let mut frames: Vec<Frame> = Vec::new();
    for number in 0..40_u64 {
        let body = noise(number, usize::try_from(number).unwrap() * 251);
        let outgoing = Outgoing {
            to: "msrps://relay.example.com:9000/r;tcp msrp://b.example.com:7654/s2;tcp".parse().unwrap(),
            from: "msrp://a.example.com:7654/s1;tcp".parse().unwrap(),
            message_id: CarrierMessageId::parse(&format!("m{number}")).unwrap(),
            content_type: MediaType::parse("message/cpim").unwrap(),
            body: &body,
            wants_success_report: number % 2 == 0,
        };
        let mut count = 0_u8;
        let seed = || {
            count += 1;
            [count; 8]
        };
        frames.extend(outgoing.chunks(CHUNK_LEN, seed));
        let last = frames.last().unwrap().clone();
        frames.push(last.response(200).unwrap());
        frames.push(last.report([number.to_le_bytes()[0]; 8], last.byte_range().unwrap(), Status::OK).unwrap());
    }
    // In one stream, so that it also shows where frames end.
    let stream: Vec<u8> = frames.iter().flat_map(Frame::to_bytes).collect();
    let answers = second("msrp", &[stream]);
    let answers = answers[0].as_array().unwrap();
    assert_eq!(answers.len(), frames.len());
    for (frame, answer) in frames.iter().zip(answers) {
        let word = match frame.start() {
            Start::Request(method) => method.as_str().to_owned(),
            Start::Response(code) => code.to_string(),
        };
        assert_eq!(answer["start"], json!([frame.transaction().as_str(), word]));
        assert_eq!(answer["headers"]["To-Path"], frame.to().to_string());
        assert_eq!(answer["headers"]["From-Path"], frame.from().to_string());
        for name in ["Message-ID", "Byte-Range", "Success-Report", "Status"] {
            assert_eq!(answer["headers"][name].as_str(), frame.header(name), "{name}");
        }
        assert_eq!(answer["headers"]["Content-Type"].as_str(), frame.content_type().map(MediaType::as_str));
        assert_eq!(answer["body"].as_str().map(str::to_owned), frame.body().map(hex));
    }
}
