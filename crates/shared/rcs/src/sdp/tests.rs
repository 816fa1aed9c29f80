//! Offers and answers of deployed peers, and of hostile ones.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

/// The shape of a phone's offer.
const OFFER: &str = "v=0\r\no=- 3911 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=message 9 TCP/TLS/MSRP *\r\n\
a=accept-types:message/cpim application/im-iscomposing+xml\r\na=accept-wrapped-types:text/plain message/imdn+xml *\r\n\
a=setup:actpass\r\na=path:msrps://10.0.0.1:9/s1;tcp\r\n\
a=fingerprint:SHA-256 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F\r\n\
a=msrp-cema\r\na=max-size:1048576\r\na=sendrecv\r\na=unknown:x\r\n";

fn parse(text: &str) -> Result<Description, SdpError> {
    Description::parse(text.as_bytes())
}

fn local(is_tls: bool) -> Local {
    let (accept_types, accept_wrapped_types) = Local::wrapped();
    let scheme = if is_tls { "msrps" } else { "msrp" };
    Local {
        session_id: 7,
        address: "10.0.0.2".parse().unwrap(),
        port: 2855,
        is_tls,
        fingerprint: is_tls.then_some(Fingerprint::from_bytes([9; 32])),
        path: format!("{scheme}://10.0.0.2:2855/s2;tcp").parse().unwrap(),
        accept_types,
        accept_wrapped_types,
        max_size: 1000,
        can_connect: true,
        can_listen: true,
    }
}

#[test]
fn an_offer_of_a_phone_is_read() {
    let offer = parse(OFFER).unwrap();
    assert!(offer.is_tls && offer.has_cema);
    assert_eq!((offer.address.as_str(), offer.port, offer.setup), ("10.0.0.1", 9, Some(Setup::ActPass)));
    assert_eq!(offer.max_size, Some(1_048_576));
    assert_eq!(offer.fingerprint.unwrap().as_bytes()[..3], [0, 1, 2]);
    assert!(offer.accept_types.accepts(&MediaType::parse("Message/CPIM").unwrap()));
    assert!(!offer.accept_types.accepts(&MediaType::parse("text/plain").unwrap()));
    assert!(offer.accept_wrapped_types.accepts(&MediaType::parse("x/y").unwrap()));
    assert_eq!(offer.connect_to(), ("10.0.0.1".to_owned(), 9));
    assert_eq!(Description::parse(&offer.to_bytes()).unwrap(), offer);
}

#[test]
fn the_path_says_where_to_connect_unless_the_description_does() {
    let offer =
        parse(&OFFER.replace("a=msrp-cema\r\n", "").replace("msrps://10.0.0.1:9/", "msrps://relay.example.com:9000/"))
            .unwrap();
    assert_eq!(offer.connect_to(), ("relay.example.com".to_owned(), 9000));
}

#[test]
fn addresses_of_both_kinds_and_attributes_of_the_session_are_read() {
    let six = OFFER.replace("c=IN IP4 10.0.0.1", "c=IN IP6 2001:db8::1");
    let offer = parse(&six).unwrap();
    assert_eq!(offer.address.as_str(), "[2001:db8::1]");
    assert_eq!(Description::parse(&offer.to_bytes()).unwrap(), offer);
    let moved = OFFER.replace("a=setup:actpass\r\n", "").replace("t=0 0\r\n", "t=0 0\r\na=setup:passive\r\n");
    assert_eq!(parse(&moved).unwrap().setup, Some(Setup::Passive));
}

#[test]
fn what_is_not_msrp_alone_is_refused_by_name() {
    assert_eq!(parse(""), Err(SdpError::Malformed));
    assert_eq!(parse(&OFFER.replace("TCP/TLS/MSRP", "RTP/AVP")), Err(SdpError::NotMsrp));
    assert_eq!(parse(&OFFER.replace("m=message", "m=audio")), Err(SdpError::NotMsrp));
    assert_eq!(parse(&format!("{OFFER}m=audio 1 RTP/AVP 0\r\n")), Err(SdpError::NotMsrp));
    assert_eq!(parse(&OFFER.replace("a=path:", "a=way:")), Err(SdpError::BadPath));
    assert_eq!(parse(&OFFER.replace("/s1;tcp", "/s1;sctp")), Err(SdpError::BadPath));
    assert_eq!(parse(&OFFER.replace("c=IN IP4 10.0.0.1\r\n", "")), Err(SdpError::BadAddress));
    assert_eq!(parse(&OFFER.replace("c=IN IP4 10.0.0.1", "c=IN IP4 a;b")), Err(SdpError::BadAddress));
    assert_eq!(parse(&OFFER.replace("actpass", "eager")), Err(SdpError::BadAttribute));
    assert_eq!(parse(&OFFER.replace("1048576", "-1")), Err(SdpError::BadAttribute));
    assert_eq!(parse(&OFFER.replace("SHA-256", "SHA-1")), Err(SdpError::BadFingerprint));
    assert_eq!(parse(&OFFER.replace(":1F", "")), Err(SdpError::BadFingerprint));
    assert_eq!(parse(&OFFER.replace(":1F", ":1F:20")), Err(SdpError::BadFingerprint));
    assert_eq!(parse(&OFFER.replace(":1F", ":+1")), Err(SdpError::BadFingerprint));
}

#[test]
fn duplicated_attributes_and_hostile_sizes_are_refused() {
    for line in ["a=path:msrps://eve:1/x;tcp\r\n", "a=setup:active\r\n", "a=max-size:1\r\n", "a=accept-types:*\r\n"] {
        assert_eq!(parse(&format!("{OFFER}{line}")), Err(SdpError::Duplicate), "{line}");
    }
    let twice = OFFER.lines().find(|line| line.starts_with("a=fingerprint")).unwrap();
    assert_eq!(parse(&format!("{OFFER}{twice}\r\n")), Err(SdpError::Duplicate));
    assert_eq!(parse(&format!("{OFFER}a=x:{}\r\n", "y".repeat(LEN_MAX))), Err(SdpError::TooLarge));
    assert_eq!(parse(&format!("{OFFER}{}", "a=x\r\n".repeat(LINES_MAX))), Err(SdpError::TooLarge));
    let types = format!("a=accept-types:{}\r\n", "a/b ".repeat(TYPES_MAX + 1));
    assert_eq!(
        parse(&OFFER.replace("a=accept-types:message/cpim application/im-iscomposing+xml\r\n", &types)),
        Err(SdpError::BadAttribute)
    );
}

#[test]
fn an_offer_is_answered_with_the_other_role() {
    let mut offer = parse(OFFER).unwrap();
    let ours = local(true);
    let (answer, role) = ours.answer(&offer).unwrap();
    assert_eq!((answer.setup, role), (Some(Setup::Active), Role::Connect));
    assert_eq!(Description::parse(&answer.to_bytes()).unwrap(), answer);
    for (said, role) in
        [(None, Role::Listen), (Some(Setup::Active), Role::Listen), (Some(Setup::Passive), Role::Connect)]
    {
        offer.setup = said;
        assert_eq!(ours.answer(&offer).unwrap().1, role);
    }
    offer.setup = Some(Setup::HoldConn);
    assert_eq!(ours.answer(&offer).unwrap_err(), AnswerError::BadSetup);
    let deaf = Local { can_listen: false, ..local(true) };
    offer.setup = Some(Setup::Active);
    assert_eq!(deaf.answer(&offer).unwrap_err(), AnswerError::BadSetup);
}

#[test]
fn two_ends_of_ours_agree_on_who_connects() {
    for (connects, listens) in [(true, true), (true, false), (false, true)] {
        let offerer = Local { can_connect: connects, can_listen: listens, ..local(true) };
        let (answer, answerer) = local(true).answer(&offerer.offer().unwrap()).unwrap();
        let role = offerer.conclude(&answer).unwrap();
        assert_ne!(role, answerer);
    }
    let nobody = Local { can_connect: false, can_listen: false, ..local(true) };
    assert_eq!(nobody.offer(), Err(AnswerError::BadSetup));
}

#[test]
fn an_answer_is_never_weaker_than_the_offer() {
    let ours = local(true);
    let mut answer = ours.answer(&parse(OFFER).unwrap()).unwrap().0;
    answer.setup = Some(Setup::Passive);
    assert_eq!(ours.conclude(&answer), Ok(Role::Connect));
    let with = |change: &dyn Fn(&mut Description)| {
        let mut changed = answer.clone();
        change(&mut changed);
        ours.conclude(&changed)
    };
    assert_eq!(with(&|answer| answer.is_tls = false), Err(AnswerError::TlsMismatch));
    assert_eq!(with(&|answer| answer.fingerprint = None), Err(AnswerError::NoFingerprint));
    assert_eq!(with(&|answer| answer.port = 0), Err(AnswerError::Refused));
    assert_eq!(with(&|answer| answer.setup = Some(Setup::ActPass)), Err(AnswerError::BadSetup));
    assert_eq!(with(&|answer| answer.direction = Direction::Inactive), Err(AnswerError::BadDirection));
    assert_eq!(with(&|answer| answer.accept_types = AcceptTypes::of(Vec::new())), Err(AnswerError::TypeNotAccepted));
    assert_eq!(local(false).answer(&parse(OFFER).unwrap()).unwrap_err(), AnswerError::TlsMismatch);
    assert_eq!(Local { fingerprint: None, ..local(true) }.offer(), Err(AnswerError::NoFingerprint));
}

proptest! {
    #[test]
    fn arbitrary_bytes_end_in_a_description_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Description::parse(&bytes);
    }

    #[test]
    fn damaged_descriptions_that_are_still_read_are_written_to_the_same(at in 0..OFFER.len(), byte in any::<u8>()) {
        let mut bytes = OFFER.as_bytes().to_vec();
        bytes[at] = byte;
        if let Ok(description) = Description::parse(&bytes) {
            prop_assert_eq!(Description::parse(&description.to_bytes()).unwrap(), description);
        }
    }
}
