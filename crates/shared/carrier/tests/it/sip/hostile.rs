//! What peers may do, and do in vain.

use rcseal_carrier::sip::Trunk;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UdpSocket;

use super::*;

fn raw_message(to: SocketAddr, branch: &str, headers: &str) -> Vec<u8> {
    format!(
        "MESSAGE sip:{BOB}@{to} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK{branch}\r\nMax-Forwards: 9\r\nFrom: <sip:{ALICE}@x>;tag=1\r\n\
         To: <sip:{BOB}@x>\r\nCall-ID: {branch}\r\nCSeq: 1 MESSAGE\r\nContent-Type: text/plain\r\n{headers}Content-Length: 2\r\n\r\nhi"
    )
    .into_bytes()
}

/// A user agent whose carrier is a bare socket.
async fn over_raw_socket(access: Access) -> (UserAgent, UdpSocket) {
    let carrier = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let agent = UserAgent::start(config(BOB, carrier.local_addr().unwrap(), Wire::Udp, access)).await.unwrap();
    until(|| agent.local_address().is_some()).await;
    (agent, carrier)
}

#[tokio::test]
async fn only_a_trunk_is_believed_who_sends() {
    let asserted =
        "P-Asserted-Identity: \"A, <sip:+15551239999@x>\" <sip:+15551230005@core;user=phone>, <tel:+15551230006>\r\n";
    for (access, from) in [
        (Access::Trunk(Trunk::default()), Sender::Asserted(number("+15551230005"))),
        (Access::Register(None), Sender::Claimed(number(ALICE))),
        (Access::Unregistered(None), Sender::Claimed(number(ALICE))),
    ] {
        let (agent, carrier) = over_raw_socket(access).await;
        let to = agent.local_address().unwrap();
        carrier.send_to(&raw_message(to, "a", asserted), to).await.unwrap();
        assert_eq!(received(&agent).await.from, from);
    }
}

#[tokio::test]
async fn whom_a_message_is_for_is_what_its_request_line_says_and_else_its_to() {
    let (agent, carrier) = over_raw_socket(Access::Trunk(Trunk::default())).await;
    let to = agent.local_address().unwrap();
    let usual = String::from_utf8(raw_message(to, "usual", "")).unwrap();
    let another =
        usual.replacen(&format!("MESSAGE sip:{BOB}@"), "MESSAGE sip:+15551230077@", 1).replace("usual", "line");
    let nameless = usual.replacen(&format!("MESSAGE sip:{BOB}@"), "MESSAGE sip:service@", 1).replace("usual", "to");
    let nobody = nameless
        .replace(&format!("To: <sip:{BOB}@x>"), "To: <sip:service@x>")
        .replace("branch=z9hG4bKto", "branch=z9hG4bKno");
    let wanted = [Some(number(BOB)), Some(number("+15551230077")), Some(number(BOB)), None];
    for (message, wanted) in [usual, another, nameless, nobody].into_iter().zip(wanted) {
        carrier.send_to(message.as_bytes(), to).await.unwrap();
        let inbound = received(&agent).await;
        assert_eq!(inbound.to, wanted);
        assert!(inbound.reference.as_deref().is_some_and(|reference| reference.ends_with(" 1")));
        inbound.answer(Answer::NotFound);
    }
}

#[tokio::test]
async fn only_a_trunk_writes_in_the_name_of_another_number() {
    let another = number("+15551230077");
    let (agent, _carrier) = over_raw_socket(Access::Unregistered(None)).await;
    assert_eq!(agent.message_from(&another, pager(ALICE, b"x")).await, Err(SendFailure::Unfit));
    assert!(agent.invite_from(&another, &number(ALICE), b"v=0").await.is_err());
    let (agent, carrier) = over_raw_socket(Access::Trunk(Trunk::default())).await;
    let mut buffer = vec![0; 4000];
    let receiving = async {
        let (len, _) = carrier.recv_from(&mut buffer).await.unwrap();
        String::from_utf8(buffer[..len].to_vec()).unwrap()
    };
    let sending = agent.message_from(&another, pager(ALICE, b"x"));
    tokio::pin!(sending);
    let request = tokio::select! {
        request = receiving => request,
        result = &mut sending => panic!("{result:?}"),
    };
    let names: Vec<&str> = request.lines().filter(|line| line.contains("+15551230077")).collect();
    assert!(names.iter().any(|line| line.starts_with("From: <sip:+15551230077@")), "{names:?}");
    assert!(names.iter().any(|line| line.starts_with("P-Asserted-Identity: <sip:+15551230077@")), "{names:?}");
}

#[tokio::test]
async fn nobody_but_the_carrier_is_listened_to() {
    let (agent, carrier) = over_raw_socket(Access::Trunk(Trunk::default())).await;
    let to = agent.local_address().unwrap();
    let stranger = UdpSocket::bind("127.0.0.2:0").await.unwrap();
    stranger.send_to(&raw_message(to, "stranger", ""), to).await.unwrap();
    carrier.send_to(&raw_message(to, "carrier", "Subject: known\r\n"), to).await.unwrap();
    received(&agent).await.answer(Answer::Accepted);
    let mut buffer = [0; 2000];
    assert!(stranger.try_recv(&mut buffer).is_err());
    let next = tokio::time::timeout(Duration::from_millis(100), agent.receive()).await;
    assert!(next.is_err(), "the stranger's message was taken");
}

#[tokio::test]
async fn garbage_is_passed_over() {
    let (agent, carrier) = over_raw_socket(Access::Unregistered(None)).await;
    let to = agent.local_address().unwrap();
    let good = raw_message(to, "good", "");
    let mut bad: Vec<Vec<u8>> =
        vec![Vec::new(), vec![0; 1500], b"\r\n\r\n".to_vec(), b"SIP/2.0 200 OK\r\n\r\n".to_vec()];
    for at in (0..good.len()).step_by(7) {
        bad.push(good[..at].to_vec());
        let mut changed = good.clone();
        changed[at] = 0xff;
        bad.push(changed);
    }
    for bytes in bad {
        let _ = carrier.send_to(&bytes, to).await;
    }
    carrier.send_to(&raw_message(to, "last", "X-Last: yes\r\n"), to).await.unwrap();
    let mut buffer = vec![0; 4000];
    loop {
        let inbound = received(&agent).await;
        inbound.answer(Answer::Accepted);
        let (len, _) = carrier.recv_from(&mut buffer).await.unwrap();
        let text = String::from_utf8_lossy(&buffer[..len]);
        if text.contains("Call-ID: last") {
            assert!(text.starts_with("SIP/2.0 200 "));
            break;
        }
    }
}

#[tokio::test]
async fn what_cannot_be_understood_is_refused_by_name() {
    let (agent, carrier) = over_raw_socket(Access::Unregistered(None)).await;
    let to = agent.local_address().unwrap();
    let text = |branch: &str| String::from_utf8(raw_message(to, branch, "")).unwrap();
    let cases = [
        (text("m1").replace("MESSAGE", "PUBLISH"), "SIP/2.0 405 "),
        (text("m2").replace("Content-Type: text/plain\r\n", ""), "SIP/2.0 400 "),
        (text("m3").replace("Max-Forwards", "Require: 100rel\r\nMax-Forwards"), "SIP/2.0 420 "),
        (text("m4").replace("MESSAGE", "BYE"), "SIP/2.0 481 "),
        (text("m5").replace("MESSAGE", "INVITE"), "SIP/2.0 415 "),
        (text("m6").replace("MESSAGE", "REGISTER"), "SIP/2.0 405 "),
        (text("m7").replace("MESSAGE", "OPTIONS"), "SIP/2.0 200 "),
    ];
    let mut buffer = vec![0; 4000];
    for (request, status) in cases {
        carrier.send_to(request.as_bytes(), to).await.unwrap();
        let (len, _) = carrier.recv_from(&mut buffer).await.unwrap();
        let answer = String::from_utf8_lossy(&buffer[..len]).into_owned();
        assert!(answer.starts_with(status), "{status}: {answer}");
    }
}

#[tokio::test]
async fn no_value_begins_a_header_of_its_own() {
    let registrar = FakeRegistrar::start(Listen::Udp, Auth::None).await;
    let alice = registered(ALICE, &registrar, Wire::Udp).await;
    let mut message = pager(BOB, b"x");
    message.content_type = "text/plain\r\nP-Asserted-Identity: <sip:+15551239999@x>".to_owned();
    assert_eq!(alice.message(message).await, Err(SendFailure::Unfit));
    assert_eq!(registrar.count("MESSAGE"), 0);
    for tag in ["a\r\nb", "a=\"b\"c\"", "a=b,c", "", "a;b"] {
        let mut bad = config(ALICE, registrar.address, Wire::Udp, Access::Register(None));
        bad.feature_tags = vec![tag.to_owned()];
        assert_eq!(UserAgent::start(bad).await.unwrap_err().code(), "sip_start_feature_tag", "{tag:?}");
    }
}

#[tokio::test]
async fn a_message_that_never_ends_costs_its_connection() {
    let registrar = FakeRegistrar::start(Listen::Tcp, Auth::None).await;
    let alice = registered(ALICE, &registrar, Wire::Tcp).await;
    let raw = registrar.raw.lock().unwrap().clone().unwrap();
    raw.send(Bytes::from_static(b"MESSAGE sip:a@b SIP/2.0\r\nVia: ")).unwrap();
    until(|| registrar.state.lock().unwrap().connections >= 2).await;
    let garbage = loop {
        let sender = registrar.raw.lock().unwrap().clone().unwrap();
        if sender.send(Bytes::from_static(b"\x16\x03\x01\r\n\r\n")).is_ok() {
            break sender;
        }
        tokio::task::yield_now().await;
    };
    until(|| registrar.state.lock().unwrap().connections >= 3).await;
    drop(garbage);
    until(|| matches!(alice.registration(), Registration::Until(_)) && registrar.count("REGISTER") >= 3).await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_and_nobody_else_suffers() {
    let registrar = FakeRegistrar::start(Listen::Tcp, Auth::None).await;
    let alice = registered(ALICE, &registrar, Wire::Tcp).await;
    let bob = registered(BOB, &registrar, Wire::Tcp).await;
    let large = vec![b'x'; (128 << 10) + 1];
    assert_eq!(alice.message(pager(BOB, &large)).await, Err(SendFailure::TooLarge));
    assert_eq!(exchange(&alice, &bob, b"small", Answer::Accepted).await, Ok(Taken::Answered));
    assert_eq!(registrar.state.lock().unwrap().connections, 2);
    let over_udp =
        UserAgent::start(config(ALICE, registrar.address, Wire::Udp, Access::Unregistered(None))).await.unwrap();
    assert_eq!(over_udp.message(pager(BOB, &large)).await, Err(SendFailure::Unfit));
}

#[tokio::test]
async fn a_carrier_with_another_certificate_is_not_spoken_to() {
    let (listen, _) = tls();
    let (_, other) = tls();
    let registrar = FakeRegistrar::start(listen, Auth::None).await;
    let other = config(ALICE, registrar.address, other, Access::Register(None));
    assert_eq!(trouble_of(other).await, WayTrouble::Certificate);
    let (_, ours) = tls();
    let clear = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let in_clear = config(ALICE, clear.local_addr().unwrap(), ours, Access::Register(None));
    let answering = async {
        loop {
            let (mut stream, _) = clear.accept().await.unwrap();
            let _ = stream.write_all(b"SIP/2.0 400 Bad Request\r\n\r\n").await;
        }
    };
    let trouble = tokio::select! { trouble = trouble_of(in_clear) => trouble, () = answering => unreachable!() };
    assert_eq!(trouble, WayTrouble::Tls);
    assert_eq!(registrar.count("REGISTER"), 0);
}

#[tokio::test]
async fn the_id_of_a_device_is_for_the_registrar_alone() {
    let carrier = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut config = config(BOB, carrier.local_addr().unwrap(), Wire::Udp, Access::Register(None));
    config.instance = Some([9; 16]);
    let agent = UserAgent::start(config).await.unwrap();
    until(|| agent.local_address().is_some()).await;
    let to = agent.local_address().unwrap();
    let options = String::from_utf8(raw_message(to, "o", "")).unwrap().replace("MESSAGE", "OPTIONS");
    carrier.send_to(options.as_bytes(), to).await.unwrap();
    let mut buffer = vec![0; 4000];
    let mut seen = Vec::new();
    let registering = async {
        while seen.len() < 3 {
            let (len, _) = carrier.recv_from(&mut buffer).await.unwrap();
            let text = String::from_utf8_lossy(&buffer[..len]).into_owned();
            let kind = text.split(' ').next().unwrap().to_owned();
            if text.contains("Contact:") && !seen.iter().any(|(known, _)| *known == kind) {
                seen.push((kind, text.contains("+sip.instance")));
            }
        }
    };
    let bob = number(ALICE);
    tokio::select! {
        () = registering => {}
        _ = async { tokio::join!(agent.register(), agent.invite(&bob, b"v=0")) } => panic!("somebody answered"),
    }
    seen.sort();
    assert_eq!(seen, [("INVITE".to_owned(), false), ("REGISTER".to_owned(), true), ("SIP/2.0".to_owned(), false)]);
}
