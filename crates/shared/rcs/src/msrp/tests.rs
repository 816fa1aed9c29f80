//! Frames of the RFC, of deployed peers, and of hostile ones.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::text::MediaType;
use crate::transport::CarrierMessageId;

const TO: &str = "msrp://biloxi.example.com:12763/kjhd37s2s20w2a;tcp";
const FROM: &str = "msrp://atlanta.example.com:7654/jshA7weztas;tcp";

fn path(text: &str) -> Path {
    text.parse().unwrap()
}

fn plain() -> MediaType {
    MediaType::parse("text/plain").unwrap()
}

fn id(text: &str) -> CarrierMessageId {
    CarrierMessageId::parse(text).unwrap()
}

fn all(bytes: &[u8]) -> Result<Vec<Frame>, MsrpError> {
    let mut parser = Parser::new();
    parser.push(bytes);
    let mut frames = Vec::new();
    while let Some(frame) = parser.next_frame()? {
        frames.push(frame);
    }
    Ok(frames)
}

fn one(text: &str) -> Result<Frame, MsrpError> {
    let frames = all(text.as_bytes())?;
    assert_eq!(frames.len(), 1, "{text}");
    Ok(frames[0].clone())
}

fn send(extra: &str, body: &str) -> String {
    format!(
        "MSRP d93kswow SEND\r\nTo-Path: {TO}\r\nFrom-Path: {FROM}\r\nMessage-ID: 12339sdqwer\r\n{extra}\r\n\r\n{body}\r\n-------d93kswow$\r\n"
    )
}

fn outgoing(body: &[u8]) -> Outgoing<'_> {
    Outgoing {
        to: path(TO),
        from: path(FROM),
        message_id: id("m1"),
        content_type: plain(),
        body,
        wants_success_report: true,
    }
}

fn seeds() -> impl FnMut() -> [u8; 8] {
    let mut count = 0_u64;
    move || {
        count += 1;
        count.to_be_bytes()
    }
}

#[test]
fn a_frame_of_the_rfc_is_read() {
    let frame = one(&send("Byte-Range: 1-16/16\r\nContent-Type: text/plain", "Hi, I'm Alice!\r\n")).unwrap();
    assert!(frame.is_request(&Method::Send));
    assert_eq!(frame.transaction().as_str(), "d93kswow");
    assert_eq!(frame.message_id(), Some(id("12339sdqwer")));
    assert_eq!(frame.byte_range(), Some(ByteRange::whole(16)));
    assert_eq!(frame.body(), Some(b"Hi, I'm Alice!\r\n".as_slice()));
    assert_eq!((frame.flag(), frame.wants_success_report()), (Flag::Last, false));
    assert_eq!(frame.to().first().session(), Some("kjhd37s2s20w2a"));
}

#[test]
fn responses_and_reports_are_read_and_answered_as_the_rfc_says() {
    let request = one(&send("Byte-Range: 1-4/8\r\nContent-Type: text/plain", "Hi!!")).unwrap();
    let response = request.response(200).unwrap();
    assert_eq!(
        String::from_utf8(response.to_bytes()).unwrap(),
        format!("MSRP d93kswow 200 OK\r\nTo-Path: {FROM}\r\nFrom-Path: {TO}\r\n-------d93kswow$\r\n")
    );
    assert_eq!(all(&response.to_bytes()).unwrap(), std::slice::from_ref(&response));
    assert_eq!(response.start(), &Start::Response(200));
    assert_eq!(response.response(200), None);

    let report = request.report([1; 8], ByteRange::whole(8), Status::OK).unwrap();
    let again = &all(&report.to_bytes()).unwrap()[0];
    assert_eq!(again, &report);
    assert!(again.is_request(&Method::Report));
    assert_eq!(
        (again.status(), again.byte_range(), again.message_id()),
        (Some(Status::OK), Some(ByteRange::whole(8)), request.message_id())
    );
    assert_eq!(report.response(200), None, "nobody answers a report");
}

#[test]
fn a_response_goes_one_hop_back_and_a_report_all_the_way() {
    let relayed =
        send("Content-Type: text/plain", "x").replace(FROM, &format!("msrps://relay.example.com:9000/aaa;tcp {FROM}"));
    let request = one(&relayed).unwrap();
    assert_eq!(request.response(200).unwrap().to().to_string(), "msrps://relay.example.com:9000/aaa;tcp");
    assert_eq!(request.report([1; 8], ByteRange::whole(1), Status::OK).unwrap().to(), request.from());
    let auth = Frame::request([2; 8], Method::Auth, request.to().clone(), request.from().clone(), Vec::new());
    assert_eq!(auth.response(401).unwrap().to(), request.from());
}

#[test]
fn failure_reports_are_given_only_where_they_are_wanted() {
    let no = one(&send("Failure-Report: no\r\nContent-Type: text/plain", "x")).unwrap();
    assert_eq!(no.response(413), None);
    let partial = one(&send("Failure-Report: partial\r\nContent-Type: text/plain", "x")).unwrap();
    assert_eq!(partial.response(200), None);
    assert!(partial.response(413).is_some());
}

#[test]
fn a_relay_is_asked_with_auth_and_gives_out_a_path() {
    let credentials = FrameHeader::new("Authorization", "Digest username=\"a\", response=\"00\"").unwrap();
    let auth = Frame::request([3; 8], Method::Auth, path(TO), path(FROM), vec![credentials]);
    let read = &all(&auth.to_bytes()).unwrap()[0];
    assert!(read.is_request(&Method::Auth));
    assert_eq!(read.header("authorization"), Some("Digest username=\"a\", response=\"00\""));
    let granted = format!(
        "MSRP 49fi 200 OK\r\nTo-Path: {FROM}\r\nFrom-Path: {TO}\r\nUse-Path: msrps://r.example.com:9000/jui787s2f;tcp\r\nExpires: 900\r\n-------49fi$\r\n"
    );
    let granted = one(&granted).unwrap();
    assert_eq!(granted.use_path().unwrap().first().session(), Some("jui787s2f"));
    assert_eq!(granted.header("Expires"), Some("900"));
    assert_eq!(
        FrameHeader::new("Authorization", "x\r\nTo-Path: y"),
        Err(FrameError::Header(crate::text::TextError::BadCharacter))
    );
    assert_eq!(FrameHeader::new("to-path", TO), Err(FrameError::OwnHeader));
}

#[test]
fn an_id_of_a_session_is_no_longer_than_the_rfc_allows() {
    assert_eq!(message_id([0; 16]).as_str(), "0".repeat(32));
    assert_eq!(message_id([255; 16]).as_str(), "f".repeat(32));
}

#[test]
fn a_connection_is_bound_by_an_empty_request() {
    let bind = Frame::bind([4; 8], path(TO), path(FROM), &id("b"));
    assert_eq!(all(&bind.to_bytes()).unwrap(), std::slice::from_ref(&bind));
    assert_eq!((bind.body(), bind.content_type()), (None, None));
    assert_eq!(Assembler::new(AssemblyLimits::default()).add(&bind), Err(AssemblyError::NotAChunk));
}

#[test]
fn a_transaction_id_never_occurs_in_the_body() {
    let mut body = Vec::new();
    for number in 0x0707_0707_0707_0707_u64..0x0707_0707_0707_0707 + 50 {
        body.extend_from_slice(format!("\r\n-------{number:016x}$\r\n").as_bytes());
    }
    let frame = Frame::send([7; 8], path(TO), path(FROM), Vec::new(), plain(), body.clone(), Flag::Last);
    assert_eq!(frame.transaction().as_str(), format!("{:016x}", 0x0707_0707_0707_0707_u64 + 50));
    assert_eq!(all(&frame.to_bytes()).unwrap()[0].body(), Some(body.as_slice()));
}

#[test]
fn lines_that_only_look_like_an_end_do_not_end_a_frame() {
    let body = "-------d93kswow$\r\n-------d93kswowx\r\n-------d93kswow$x\r\n-------d93ksw$\r\n\n-------d93kswow$\n";
    let text = send("Content-Type: text/plain", body);
    let mut parser = Parser::new();
    parser.push(text.as_bytes());
    assert_eq!(
        parser.next_frame().unwrap().unwrap().body(),
        Some(b"".as_slice()),
        "a line at the body's beginning ends it"
    );
    let body = format!("x{}", &body[16..]);
    let frame = one(&send("Content-Type: text/plain", &body)).unwrap();
    assert_eq!(frame.body(), Some(body.as_bytes()));
}

#[test]
fn frames_are_read_however_the_stream_is_cut() {
    let body: Vec<u8> = (0..=255).cycle().take(5000).collect();
    let out = outgoing(&body);
    let frames: Vec<Frame> = out.chunks(CHUNK_LEN, seeds()).collect();
    let stream: Vec<u8> = frames.iter().flat_map(Frame::to_bytes).collect();
    assert_eq!(all(&stream).unwrap(), frames);
    for piece in [1, 2, 7, 100, 2047] {
        let mut parser = Parser::new();
        let mut found = Vec::new();
        for bytes in stream.chunks(piece) {
            parser.push(bytes);
            while let Some(frame) = parser.next_frame().unwrap() {
                found.push(frame);
            }
        }
        assert_eq!(found, frames, "in pieces of {piece}");
        assert!(parser.is_between_frames());
    }
}

#[test]
fn an_empty_body_and_a_missing_one_are_told_apart() {
    let empty = one(&send("Byte-Range: 1-0/0\r\nContent-Type: text/plain", "")).unwrap();
    assert_eq!(empty.body(), Some(b"".as_slice()));
    assert_eq!(all(&empty.to_bytes()).unwrap(), std::slice::from_ref(&empty));
    let sloppy = send("Content-Type: text/plain", "").replace("\r\n\r\n\r\n", "\r\n\r\n");
    assert_eq!(one(&sloppy).unwrap().body(), Some(b"".as_slice()));
    let none = send("X: y", "").replace("\r\n\r\n\r\n", "\r\n");
    assert_eq!(one(&none).unwrap().body(), None);
}

#[test]
fn streams_that_are_not_msrp_end_by_name() {
    assert_eq!(all(b"GET / HTTP/1.1\r\n"), Err(MsrpError::BadStart));
    assert_eq!(all(b"M"), Ok(Vec::new()));
    assert_eq!(all(b"MSRP abc SEND\r\n"), Err(MsrpError::BadStart));
    assert_eq!(all(b"MSRP abcd send\r\n"), Err(MsrpError::BadStart));
    assert_eq!(all(b"MSRP abcd\r\n"), Err(MsrpError::BadStart));
    assert_eq!(all(&[b"MSRP ".as_slice(), &[b'a'; 300]].concat()), Err(MsrpError::BadStart));
    assert_eq!(all(b"MSRP abcd SEND\r\n-------abcd$\r\n"), Err(MsrpError::BadPath));
    assert_eq!(one(&send("Content-Type: text/plain", "x").replace(";tcp", ";ws")), Err(MsrpError::BadPath));
    assert_eq!(one(&send("no header", "x")), Err(MsrpError::BadHeader));
    assert_eq!(one(&send("X: y", "body")), Err(MsrpError::NoContentType));
    let mut parser = Parser::new();
    parser.push(b"HTTP");
    assert_eq!(parser.next_frame(), Err(MsrpError::BadStart));
    parser.push(send("Content-Type: text/plain", "x").as_bytes());
    assert_eq!(parser.next_frame(), Err(MsrpError::BadStart), "nothing is read behind an error");
    assert!(!parser.is_between_frames());
}

#[test]
fn duplicated_headers_are_refused() {
    for extra in [
        "To-Path: msrp://a:1/b;tcp",
        "From-Path: msrp://a:1/b;tcp",
        "message-id: x",
        "Status: 000 200\r\nStatus: 000 413",
        "Content-Type: a/b",
    ] {
        assert_eq!(
            one(&send(&format!("{extra}\r\nContent-Type: text/plain"), "x")),
            Err(MsrpError::DuplicateHeader),
            "{extra}"
        );
    }
}

#[test]
fn wrong_byte_ranges_are_refused() {
    for range in [
        "",
        "0-1/1",
        "1-2",
        "2-0/5",
        "1-9/5",
        "7-7/5",
        "a-b/c",
        "+1-2/2",
        "1-*/-1",
        "99999999999999999999-*/*",
        "1-2/2/2",
        "-1/1",
    ] {
        assert_eq!(
            one(&send(&format!("Byte-Range: {range}\r\nContent-Type: text/plain"), "x")),
            Err(MsrpError::BadByteRange),
            "{range}"
        );
    }
    for range in ["1-0/0", "6-5/5", "1-*/*", "3-*/10", "1-5/5", "18446744073709551615-*/*"] {
        assert_eq!(range.parse::<ByteRange>().unwrap().to_string(), range);
    }
}

#[test]
fn hostile_sizes_end_the_stream() {
    let endless_head = format!("MSRP abcd SEND\r\nX: {}", "y".repeat(HEAD_LEN_MAX + 100));
    assert_eq!(all(endless_head.as_bytes()), Err(MsrpError::TooManyHeaders));
    let many = send(&"X: y\r\n".repeat(HEADERS_MAX), "x");
    assert_eq!(one(&many), Err(MsrpError::TooManyHeaders));
    let endless_body = send("Content-Type: text/plain", &"y".repeat(HEAD_LEN_MAX + BODY_LEN_MAX + 100));
    assert_eq!(all(&endless_body.as_bytes()[..endless_body.len() - 10]), Err(MsrpError::TooLarge));
    assert_eq!(
        all(send("Content-Type: text/plain", &"y".repeat(BODY_LEN_MAX + 1)).as_bytes()),
        Err(MsrpError::TooLarge)
    );
    let hops = send("Content-Type: text/plain", "x").replace(TO, &[TO; PATH_MAX + 1].join(" "));
    assert_eq!(one(&hops), Err(MsrpError::BadPath));
}

#[test]
fn addresses_are_equal_as_the_rfc_says() {
    let uri = |text: &str| text.parse::<Uri>();
    assert_eq!(uri("msrp://A.example.com:1/x;tcp"), uri("MSRP://user@a.EXAMPLE.com:1/x;TCP;y=z"));
    assert_ne!(uri("msrp://a:1/x;tcp"), uri("msrp://a:1/X;tcp"));
    assert_ne!(uri("msrp://a:1/x;tcp"), uri("msrps://a:1/x;tcp"));
    assert_ne!(uri("msrp://a:1/x;tcp"), uri("msrp://a:2/x;tcp"));
    for text in [
        "",
        "msrp://a:1/x",
        "http://a:1/x;tcp",
        "msrp://a:1/;tcp",
        "msrp://a:1/x y;tcp",
        "msrp://:1/x;tcp",
        "msrp://a:x/x;tcp",
        "msrp://a:1/x\r\n;tcp",
    ] {
        assert_eq!(uri(text), Err(UriError), "{text:?}");
    }
    assert_eq!(Uri::new(true, "[::1]", 2855, "s1").unwrap().as_str(), "msrps://[::1]:2855/s1;tcp");
    assert_eq!(Uri::new(true, "a", 1, "x\r\n"), Err(UriError));
    assert_eq!(format!("{:?}", uri(TO).unwrap()), "Uri(msrp://biloxi.example.com:12763)");
}

fn assembled(frames: &[Frame]) -> Result<Option<Received>, AssemblyError> {
    let mut assembler = Assembler::new(AssemblyLimits::default());
    let mut complete = None;
    for frame in frames {
        if let Added::Complete(message) = assembler.add(frame)? {
            assert!(complete.replace(message).is_none(), "a message is whole once");
        }
    }
    Ok(complete)
}

fn chunk(range: &str, body: &str, flag: Flag) -> Frame {
    let headers = vec![FrameHeader::new("Message-ID", "m").unwrap(), FrameHeader::new("Byte-Range", range).unwrap()];
    Frame::send([9; 8], path(TO), path(FROM), headers, plain(), body.as_bytes().to_vec(), flag)
}

#[test]
fn a_message_is_put_together_whatever_the_order() {
    let body: Vec<u8> = (0..=255).cycle().take(9001).collect();
    let out = outgoing(&body);
    let mut frames: Vec<Frame> = out.chunks(2000, seeds()).collect();
    assert_eq!(
        frames.iter().map(Frame::flag).collect::<Vec<_>>(),
        [Flag::Continues, Flag::Continues, Flag::Continues, Flag::Continues, Flag::Last]
    );
    let message = assembled(&frames).unwrap().unwrap();
    assert_eq!(
        (message.body.as_slice(), message.wants_success_report, message.range()),
        (body.as_slice(), true, ByteRange::whole(9001))
    );
    frames.reverse();
    assert_eq!(assembled(&frames).unwrap().unwrap().body, body);
    assert_eq!(assembled(&frames[1..]).unwrap(), None, "without the first chunk it is not whole");
    let empty = outgoing(b"");
    assert_eq!(assembled(&empty.chunks(2048, seeds()).collect::<Vec<_>>()).unwrap().unwrap().body, b"");
}

#[test]
fn chunks_of_senders_that_do_not_know_the_length_are_taken() {
    let frames =
        [chunk("1-*/*", "abc", Flag::Continues), chunk("4-*/*", "de", Flag::Continues), chunk("6-5/*", "", Flag::Last)];
    assert_eq!(assembled(&frames).unwrap().unwrap().body, b"abcde");
    // A sender that interrupts itself, and one that repeats itself.
    let frames = [
        chunk("1-5/5", "ab", Flag::Continues),
        chunk("2-3/5", "bc", Flag::Continues),
        chunk("3-5/5", "cde", Flag::Last),
    ];
    assert_eq!(assembled(&frames).unwrap().unwrap().body, b"abcde");
    let bare = Frame::send(
        [9; 8],
        path(TO),
        path(FROM),
        vec![FrameHeader::new("Message-ID", "m").unwrap()],
        plain(),
        b"abc".to_vec(),
        Flag::Last,
    );
    assert_eq!(assembled(&[bare]).unwrap().unwrap().body, b"abc");
}

#[test]
fn chunks_that_do_not_hold_what_they_say_are_refused() {
    let refused = |frames: &[Frame]| assembled(frames).unwrap_err();
    assert_eq!(refused(&[chunk("1-2/5", "abc", Flag::Continues)]), AssemblyError::RangeMismatch);
    assert_eq!(refused(&[chunk("1-5/5", "abc", Flag::Last)]), AssemblyError::RangeMismatch);
    assert_eq!(refused(&[chunk("1-*/5", "abc", Flag::Last)]), AssemblyError::RangeMismatch);
    assert_eq!(refused(&[chunk("1-*/2", "abc", Flag::Continues)]), AssemblyError::RangeMismatch);
    assert_eq!(
        refused(&[chunk("1-2/5", "ab", Flag::Continues), chunk("3-4/6", "cd", Flag::Continues)]),
        AssemblyError::TotalChanged
    );
    assert_eq!(
        refused(&[chunk("5-6/*", "ef", Flag::Continues), chunk("1-2/*", "ab", Flag::Last)]),
        AssemblyError::RangeMismatch
    );
    assert_eq!(refused(&[chunk("18446744073709551615-*/*", "ab", Flag::Continues)]), AssemblyError::TooLarge);
    assert_eq!(refused(&[chunk("1-1/18446744073709551615", "a", Flag::Continues)]), AssemblyError::TooLarge);
    assert_eq!(refused(&[chunk("1048576-*/*", "ab", Flag::Continues)]), AssemblyError::TooLarge);
}

#[test]
fn what_is_not_whole_is_bounded() {
    let limits = AssemblyLimits { message_len_max: 1000, messages_max: 2, runs_max: 3 };
    let mut assembler = Assembler::new(limits);
    let other = |name: &str| {
        let headers =
            vec![FrameHeader::new("Message-ID", name).unwrap(), FrameHeader::new("Byte-Range", "1-1/2").unwrap()];
        Frame::send([9; 8], path(TO), path(FROM), headers, plain(), b"a".to_vec(), Flag::Continues)
    };
    assert_eq!(assembler.add(&other("a")), Ok(Added::Waiting));
    assert_eq!(assembler.add(&other("b")), Ok(Added::Waiting));
    assert_eq!(assembler.add(&other("c")), Err(AssemblyError::TooManyMessages));
    assembler.forget(&id("a"));
    assert_eq!(assembler.add(&other("c")), Ok(Added::Waiting));
    assert_eq!(assembler.pending().map(CarrierMessageId::as_str).collect::<Vec<_>>(), ["b", "c"]);
    assembler.forget(&id("b"));
    for (place, expected) in [
        (2, Ok(Added::Waiting)),
        (4, Ok(Added::Waiting)),
        (6, Ok(Added::Waiting)),
        (8, Err(AssemblyError::TooManyRuns)),
    ] {
        assert_eq!(assembler.add(&chunk(&format!("{place}-{place}/*"), "x", Flag::Continues)), expected);
    }
    assert_eq!(assembler.pending().count(), 1, "a message that breaks a rule is forgotten");
}

#[test]
fn a_message_that_its_sender_gives_up_is_forgotten() {
    let mut assembler = Assembler::new(AssemblyLimits::default());
    assembler.add(&chunk("1-2/5", "ab", Flag::Continues)).unwrap();
    assert_eq!(assembler.add(&chunk("3-3/5", "c", Flag::Aborted)), Ok(Added::Aborted(id("m"))));
    assert_eq!(assembler.pending().count(), 0);
}

proptest! {
    #[test]
    fn arbitrary_bytes_end_in_frames_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = all(&bytes);
        let _ = all(&[b"MSRP abcd SEND\r\n".as_slice(), &bytes].concat());
    }

    #[test]
    fn any_message_survives_any_cut_and_any_order(
        body in proptest::collection::vec(any::<u8>(), 0..700),
        chunk_len in 1_usize..200,
        order in any::<u64>(),
        piece in 1_usize..300,
    ) {
        let out = outgoing(&body);
        let mut frames: Vec<Frame> = out.chunks(chunk_len, seeds()).collect();
        let turns = usize::try_from(order % 1000).unwrap() % frames.len();
        frames.rotate_left(turns);
        let stream: Vec<u8> = frames.iter().flat_map(Frame::to_bytes).collect();
        let (mut parser, mut assembler, mut whole) = (Parser::new(), Assembler::new(AssemblyLimits { runs_max: 1000, ..AssemblyLimits::default() }), None);
        for bytes in stream.chunks(piece) {
            parser.push(bytes);
            while let Some(frame) = parser.next_frame().unwrap() {
                if let Added::Complete(message) = assembler.add(&frame).unwrap() {
                    whole = Some(message.body);
                }
            }
        }
        prop_assert_eq!(whole, Some(body));
    }

    #[test]
    fn damaged_frames_that_are_still_read_are_written_to_the_same(at in 0_usize..240, byte in any::<u8>()) {
        let mut bytes = send("Byte-Range: 1-3/3\r\nSuccess-Report: yes\r\nContent-Type: text/plain", "abc").into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        for frame in all(&bytes).unwrap_or_default() {
            prop_assert_eq!(all(&frame.to_bytes()).unwrap(), vec![frame]);
        }
    }
}
