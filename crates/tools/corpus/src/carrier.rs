//! Targets for the formats of carriers in `rcseal_rcs`: what SIP, MSRP and HTTP bring in before anything is decrypted.
//!
//! The promise is the same for all: what is read can be written, and what was written reads the same. Small inputs only keep it word for
//! word, since a prefix or an escape may lengthen a header that was at its limit.

use rcseal_rcs::chat::{self, Content};
use rcseal_rcs::composing::{IsComposing, State};
use rcseal_rcs::cpim::{self, Address, Header, Message};
use rcseal_rcs::feature::{FeatureTags, MlsTags};
use rcseal_rcs::ft::{Descriptor, FileInfo, ResumeInfo};
use rcseal_rcs::imdn::{self, ClientReason, FailureReason, Kind, Notification};
use rcseal_rcs::msrp::{Assembler, AssemblyLimits, Flag, Frame, FrameHeader, Method, Outgoing, Parser};
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::sdp::{Description, Fingerprint, Local};
use rcseal_rcs::stamp::Timestamp;
use rcseal_rcs::text::{DisplayName, MediaType};
use rcseal_rcs::transport::CarrierMessageId;

use crate::Verdict;

/// Below this, nothing that writing adds can reach a limit.
const SMALL: usize = 4096;

/// A wrapped message, and one behind a prefix.
pub(crate) fn cpim(bytes: &[u8]) -> Verdict {
    let parsed = Message::parse(bytes);
    if let Some((at, found)) = Message::find(bytes) {
        assert_eq!(Message::parse(&bytes[at..]).as_ref(), Ok(&found));
        if bytes.len() < SMALL {
            assert_eq!(Message::parse(&found.to_bytes()).as_ref(), Ok(&found), "what was read is written the same");
        }
    }
    Verdict::of(&parsed)
}

pub(crate) fn cpim_seeds() -> Vec<Vec<u8>> {
    vec![
        message().to_bytes(),
        b"From: Depressed Donkey <im:eeyore@example.test>\nNS: <urn:x:y>\nNS: a <urn:b:c>\na.D: e\nf.G: h\nI: j\n\nContent-Type: a/b;\n c=d\n\n".to_vec(),
    ]
}

fn message() -> Message {
    let from = Address {
        display_name: DisplayName::clean("Bob \"b\""),
        ..Address::of("sip:+15551230001@example.test").expect("a URI")
    };
    let content_type = MediaType::parse("application/vnd.rcseal.frame").expect("a media type");
    let mut message =
        Message::new(from, Address::of("tel:+15551230002").expect("a URI"), content_type, b"\0\r\n\r\n\xff".to_vec());
    message.date_time = Some(Timestamp::from_millis(1_764_000_000_123));
    message.headers = [
        (cpim::IMDN, "Message-ID", "MxABEiM0RVZneImaq7zN3u=w"),
        (cpim::MLS, "Era-ID", "3"),
        (cpim::CORE, "Subject", "x"),
    ]
    .into_iter()
    .filter_map(|(namespace, name, value)| Header::new(namespace, name, value).ok())
    .collect();
    message
}

/// A receipt: bare, wrapped, deflated.
pub(crate) fn imdn(bytes: &[u8]) -> Verdict {
    let parsed = Notification::parse(bytes);
    if let Ok(receipt) = &parsed {
        let once = Notification::parse(receipt.to_xml().as_bytes()).expect("what we write, we can read");
        assert_eq!(once.message_id, receipt.message_id, "a receipt stays with its message");
        assert_eq!(Notification::parse(once.to_xml().as_bytes()).as_ref(), Ok(&once));
    }
    let _ = chat::unwrap(imdn::CONTENT_TYPE, Some("deflate"), bytes);
    Verdict::of(&parsed)
}

pub(crate) fn imdn_seeds() -> Vec<Vec<u8>> {
    let reason = Some(FailureReason::Client(ClientReason::FailedToDecrypt));
    let kinds = [Kind::Delivered, Kind::DeliveryFailed { reason }, Kind::Displayed, Kind::Stored];
    let receipt = |kind| Notification { date_time: Some(Timestamp::from_millis(1)), ..Notification::new(id(), kind) };
    kinds.into_iter().map(|kind| receipt(kind).to_xml().into_bytes()).collect()
}

fn id() -> CarrierMessageId {
    CarrierMessageId::from_random([7; 16])
}

/// A notice of writing.
pub(crate) fn composing(bytes: &[u8]) -> Verdict {
    let parsed = IsComposing::parse(bytes);
    if let Ok(notice) = &parsed {
        assert_eq!(IsComposing::parse(notice.to_xml().as_bytes()).as_ref(), Ok(notice));
    }
    Verdict::of(&parsed)
}

pub(crate) fn composing_seeds() -> Vec<Vec<u8>> {
    let notice = IsComposing {
        refresh: Some(90),
        content_type: MediaType::parse("text/plain").ok(),
        ..IsComposing::new(State::Active)
    };
    vec![notice.to_xml().into_bytes()]
}

/// A stream of MSRP, read at once and byte by byte, and its chunks put together.
pub(crate) fn msrp(bytes: &[u8]) -> Verdict {
    let (at_once, is_whole) = frames(bytes, bytes.len().max(1));
    let (one_by_one, _) = frames(bytes, 1);
    assert_eq!(at_once, one_by_one, "it does not matter how a stream is cut");
    let mut assembler = Assembler::new(AssemblyLimits { message_len_max: 100_000, messages_max: 2, runs_max: 4 });
    for frame in &at_once {
        let (again, _) = frames(&frame.to_bytes(), usize::MAX);
        assert_eq!(again.as_slice(), std::slice::from_ref(frame), "a frame that was read is written the same");
        let _ = assembler.add(frame);
        let _ = (frame.response(200), frame.status(), frame.use_path());
    }
    if is_whole && !at_once.is_empty() { Verdict::Accepted } else { Verdict::Refused }
}

/// The frames of a stream that arrives in pieces, and whether it ends between two of them.
fn frames(bytes: &[u8], piece: usize) -> (Vec<Frame>, bool) {
    let mut parser = Parser::new();
    let mut found = Vec::new();
    for piece in bytes.chunks(piece) {
        parser.push(piece);
        while let Ok(Some(frame)) = parser.next_frame() {
            found.push(frame);
        }
    }
    (found, parser.is_between_frames())
}

pub(crate) fn msrp_seeds() -> Vec<Vec<u8>> {
    let path = |text: &str| text.parse().expect("a path");
    let body = vec![b'x'; 300];
    let outgoing = Outgoing {
        to: path("msrps://relay.example.test:9000/r;tcp msrp://b.example.test:1/b;tcp"),
        from: path("msrp://a.example.test:1/a;tcp"),
        message_id: id(),
        content_type: MediaType::parse("message/cpim").expect("a media type"),
        body: &body,
        wants_success_report: true,
    };
    let mut count = 0;
    let seed = || {
        count += 1;
        [count; 8]
    };
    let chunks: Vec<Frame> = outgoing.chunks(200, seed).collect();
    let mut stream: Vec<u8> = chunks.iter().flat_map(Frame::to_bytes).collect();
    let last = &chunks[chunks.len() - 1];
    let answers = [
        last.response(413),
        last.byte_range().and_then(|range| last.report([9; 8], range, rcseal_rcs::msrp::Status::OK)),
    ];
    stream.extend(answers.into_iter().flatten().flat_map(|frame| frame.to_bytes()));
    let credentials = FrameHeader::new("Authorization", "Digest username=\"a\"").into_iter().collect();
    let auth = Frame::request([1; 8], Method::Auth, outgoing.to.clone(), outgoing.from.clone(), credentials);
    let aborted =
        Frame::send([2; 8], outgoing.to, outgoing.from, Vec::new(), outgoing.content_type, Vec::new(), Flag::Aborted);
    vec![stream, auth.to_bytes(), aborted.to_bytes()]
}

/// A session description, and what we would answer.
pub(crate) fn sdp(bytes: &[u8]) -> Verdict {
    let parsed = Description::parse(bytes);
    if let Ok(description) = &parsed {
        if bytes.len() < SMALL {
            assert_eq!(Description::parse(&description.to_bytes()).as_ref(), Ok(description));
        }
        for is_tls in [false, true] {
            if let Ok((answer, _)) = local(is_tls).answer(description) {
                assert_eq!(answer.is_tls, description.is_tls, "an answer is never weaker");
                assert_eq!(Description::parse(&answer.to_bytes()), Ok(answer));
            }
        }
    }
    Verdict::of(&parsed)
}

fn local(is_tls: bool) -> Local {
    let (accept_types, accept_wrapped_types) = Local::wrapped();
    Local {
        session_id: 1,
        address: "10.0.0.1".parse().expect("an address"),
        port: 2855,
        is_tls,
        fingerprint: is_tls.then_some(Fingerprint::from_bytes([1; 32])),
        path: "msrp://10.0.0.1:2855/s;tcp".parse().expect("a path"),
        accept_types,
        accept_wrapped_types,
        max_size: 1000,
        can_connect: true,
        can_listen: true,
    }
}

pub(crate) fn sdp_seeds() -> Vec<Vec<u8>> {
    [false, true].into_iter().filter_map(|is_tls| local(is_tls).offer().ok()).map(|offer| offer.to_bytes()).collect()
}

/// Where a file is, and how much of an upload arrived.
pub(crate) fn ft_descriptor(bytes: &[u8]) -> Verdict {
    if let Ok(resume) = ResumeInfo::parse(bytes) {
        assert_eq!(ResumeInfo::parse(resume.to_xml().as_bytes()), Ok(resume));
        return Verdict::Accepted;
    }
    let parsed = Descriptor::parse(bytes);
    if let Ok(descriptor) = &parsed
        && bytes.len() < SMALL
    {
        assert_eq!(Descriptor::parse(descriptor.to_xml().as_bytes()).as_ref(), Ok(descriptor));
    }
    Verdict::of(&parsed)
}

pub(crate) fn ft_descriptor_seeds() -> Vec<Vec<u8>> {
    let info = |url: &str| FileInfo {
        size: 4096,
        name: None,
        content_type: MediaType::parse("application/octet-stream").expect("a media type"),
        url: url.parse().expect("a URL"),
        until: Some(Timestamp::from_millis(1_764_000_000_000)),
    };
    let descriptor = Descriptor {
        file: info("https://ft.example.test/f?a=b&c=d"),
        thumbnail: Some(info("https://ft.example.test/t")),
    };
    let resume = ResumeInfo { start: 0, end: 99, url: "https://ft.example.test/u".parse().expect("a URL") };
    vec![descriptor.to_xml().into_bytes(), resume.to_xml().into_bytes()]
}

/// A URI with a number, and a number alone.
pub(crate) fn phone_uri(bytes: &[u8]) -> Verdict {
    let text = String::from_utf8_lossy(bytes);
    let parsed = PhoneNumber::from_uri(&text).or_else(|_| text.parse());
    if let Ok(number) = &parsed {
        assert!(
            number.as_str().strip_prefix('+').is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
        );
        assert_eq!(number.as_str().parse().as_ref(), Ok(number), "a number is written in one way");
        assert_eq!(PhoneNumber::from_uri(&number.to_tel_uri()).as_ref(), Ok(number));
    }
    Verdict::of(&parsed)
}

pub(crate) fn phone_uri_seeds() -> Vec<Vec<u8>> {
    let texts = [
        "tel:+1-555-123-0001;x=y",
        "sip:%2B15551230001@example.test:5060;user=phone",
        "sips:+442079460018;npdi:a@[::1]",
        "+44 (0)20 7946 0018",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// A contact's capability tags. Any text is read to something; what is read is written the same.
pub(crate) fn feature_tags(bytes: &[u8]) -> Verdict {
    let parsed = FeatureTags::parse(&String::from_utf8_lossy(bytes));
    if let Ok(tags) = &parsed {
        let written = tags.to_contact_params();
        assert!(!written.contains(['\r', '\n']), "a tag never adds a header");
        let once = FeatureTags::parse(&written).expect("what we write, we can read");
        assert_eq!(
            once.to_contact_params(),
            FeatureTags::parse(&once.to_contact_params()).expect("as before").to_contact_params()
        );
    }
    Verdict::of(&parsed)
}

pub(crate) fn feature_tags_seeds() -> Vec<Vec<u8>> {
    let tags = FeatureTags {
        frame_version: Some(1),
        mls: Some(MlsTags::v1("2")),
        standalone: true,
        chat: true,
        ft_http: true,
    };
    vec![format!("\"Bob\" <sip:a@b;c>{}", tags.to_contact_params()).into_bytes()]
}

/// Whatever a carrier brings: the first byte chooses under which media type and encoding.
pub(crate) fn carrier_body(bytes: &[u8]) -> Verdict {
    let Some((choice, body)) = bytes.split_first() else { return Verdict::Refused };
    let content_type = [cpim::CONTENT_TYPE, "text/plain", imdn::CONTENT_TYPE, "application/im-iscomposing+xml"]
        [usize::from(choice % 4)];
    let content_encoding = [None, Some("deflate"), Some("gzip")][usize::from(choice / 4 % 3)];
    let unwrapped = chat::unwrap(content_type, content_encoding, body);
    if let Ok(unwrapped) = &unwrapped {
        let is_message = matches!(unwrapped.content, Content::Body { .. });
        let answers = [unwrapped.delivered(), unwrapped.failed_to_decrypt()];
        for answer in answers.into_iter().flatten() {
            assert!(
                is_message && Some(answer.message_id) == unwrapped.id,
                "a receipt is for the one message, and never for a receipt"
            );
        }
    }
    Verdict::of(&unwrapped)
}

pub(crate) fn carrier_body_seeds() -> Vec<Vec<u8>> {
    let wrapped = message().to_bytes();
    vec![
        [b"\0".as_slice(), &wrapped].concat(),
        [b"\x01[Offline message] ".as_slice(), &wrapped].concat(),
        [b"\x02".as_slice(), &imdn_seeds()[0]].concat(),
        [b"\x03".as_slice(), &composing_seeds()[0]].concat(),
    ]
}
