//! SIP and MSRP as one transport, between two of ours over a fake registrar.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcseal_carrier::msrp::{MsrpConfig, Protection};
use rcseal_carrier::sip::{Access, Config, Peer, Wire};
use rcseal_carrier::sip_transport::{SipTransport, SipTransportConfig};
use rcseal_carrier::tls::SelfSigned;
use rcseal_carrier::transport::{Answer, Transport};
use rcseal_rcs::chat::{self, Content};
use rcseal_rcs::imdn::{Kind, Notification};
use rcseal_rcs::transport::{Carriage, CarrierMessage, CarrierMessageId, ReceiptRequest, SendFailure, Sender, Taken};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::sip::registrar::{Auth, FakeRegistrar, Listen};
use crate::support::{bytes, number};

fn agent(own: u8, registrar: SocketAddr) -> Config {
    let peer = Peer { host: registrar.ip().to_string(), port: registrar.port() };
    let domain = "carrier.test".parse().unwrap();
    let mut config = Config::new(number(own), domain, peer, Wire::Tcp, Access::Register(None));
    config.local = "127.0.0.1:0".parse().unwrap();
    config.feature_tags = vec!["+g.rcseal.frame=\"1\"".to_owned()];
    config
}

fn msrp(is_tls: bool) -> MsrpConfig {
    let protection =
        if is_tls { Protection::Tls(Arc::new(SelfSigned::generate().unwrap())) } else { Protection::Plain };
    MsrpConfig::new("127.0.0.1:0".parse().unwrap(), protection)
}

async fn start(config: SipTransportConfig) -> Arc<SipTransport> {
    let transport = SipTransport::start(config).await.unwrap();
    transport.agent().register().await.unwrap();
    transport
}

async fn transport(own: u8, registrar: &FakeRegistrar, is_tls: bool) -> Arc<SipTransport> {
    start(SipTransportConfig::new(agent(own, registrar.address), Some(msrp(is_tls)))).await
}

/// Answers everything that comes in the same way, and hands on what it was.
fn answering(
    transport: &Arc<SipTransport>,
    answer: Answer,
) -> (mpsc::UnboundedReceiver<(Sender, Vec<u8>)>, JoinHandle<()>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let transport = Arc::clone(transport);
    let task = tokio::spawn(async move {
        while let Some(inbound) = transport.receive().await {
            assert_eq!(inbound.content_type, "message/cpim");
            let _ = sender.send((inbound.from.clone(), inbound.body.clone()));
            inbound.answer(answer);
        }
    });
    (receiver, task)
}

fn framed(to: u8, bytes: &[u8]) -> CarrierMessage {
    CarrierMessage {
        to: number(to),
        id: CarrierMessageId::from_random(rand::random()),
        receipts: ReceiptRequest { delivered: true, failed: true, displayed: false },
        carriage: Carriage::Framed { is_text: false, bytes: bytes.to_vec() },
    }
}

/// The body inside a CPIM message.
fn inside(cpim: &[u8]) -> Vec<u8> {
    match chat::unwrap("message/cpim", None, cpim).unwrap().content {
        Content::Body { body, .. } => body,
        other => panic!("not a body: {other:?}"),
    }
}

async fn until(mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "it never held");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn messages_arrive_byte_for_byte_by_the_way_that_fits_their_length() {
    for is_tls in [false, true] {
        let registrar = FakeRegistrar::start(Listen::Tcp, Auth::None).await;
        let (alice, bob) = (transport(1, &registrar, is_tls).await, transport(2, &registrar, is_tls).await);
        let (mut received, _task) = answering(&bob, Answer::Accepted);
        let mut pagers = 0;
        for len in [0, 200, 600, 2000, 65_536, (1 << 20) - 1024] {
            let body = bytes(len);
            assert_eq!(alice.send(framed(2, &body)).await, Ok(Taken::Answered), "{len} bytes");
            let (from, cpim) = received.recv().await.unwrap();
            assert_eq!(from, Sender::Claimed(number(1)));
            assert!(inside(&cpim) == body, "{len} bytes differ");
            pagers += usize::from(cpim.len() <= 1300);
            assert_eq!(registrar.count("MESSAGE"), pagers, "{len} bytes");
        }
        // All that were too long for it went by one session.
        assert_eq!((pagers, registrar.count("INVITE")), (3, 1));
    }
}

#[tokio::test]
async fn what_the_far_end_answers_is_told_by_either_way() {
    for (answer, pager, session) in [
        (Answer::UnsupportedMedia, SendFailure::UnsupportedMedia, SendFailure::UnsupportedMedia),
        (Answer::TryLater, SendFailure::Busy { retry_after: None }, SendFailure::Busy { retry_after: None }),
        (Answer::Malformed, SendFailure::Refused { status: 400 }, SendFailure::Refused { status: 400 }),
    ] {
        let registrar = FakeRegistrar::start(Listen::Tcp, Auth::None).await;
        let (alice, bob) = (transport(1, &registrar, true).await, transport(2, &registrar, true).await);
        let (_received, _task) = answering(&bob, answer);
        match (alice.send(framed(2, b"short")).await, &pager) {
            (Err(SendFailure::Busy { .. }), SendFailure::Busy { .. }) => {}
            (result, _) => assert_eq!(result, Err(pager)),
        }
        assert_eq!(alice.send(framed(2, &bytes(5000))).await, Err(session));
    }
}

#[tokio::test]
async fn a_message_too_large_for_pager_mode_somewhere_goes_by_a_session() {
    let registrar = FakeRegistrar::start(Listen::Tcp, Auth::None).await;
    let (alice, bob) = (transport(1, &registrar, true).await, transport(2, &registrar, true).await);
    let receiving = Arc::clone(&bob);
    let (sender, mut received) = mpsc::unbounded_channel();
    let _task = tokio::spawn(async move {
        let mut answers = vec![Answer::Accepted, Answer::TooLarge];
        while let Some(inbound) = receiving.receive().await {
            let _ = sender.send(inbound.body.clone());
            inbound.answer(answers.pop().unwrap());
        }
    });
    assert_eq!(alice.send(framed(2, b"short")).await, Ok(Taken::Answered));
    assert_eq!(received.recv().await, received.recv().await);
    assert_eq!((registrar.count("MESSAGE"), registrar.count("INVITE")), (1, 1));
}

#[tokio::test]
async fn a_session_is_kept_for_a_while_and_opened_again_after() {
    let registrar = FakeRegistrar::start(Listen::Tcp, Auth::None).await;
    let mut config = SipTransportConfig::new(agent(1, registrar.address), Some(msrp(true)));
    config.idle = Duration::from_millis(300);
    let (alice, bob) = (start(config).await, transport(2, &registrar, true).await);
    let (mut received, _task) = answering(&bob, Answer::Accepted);
    for _ in 0..2 {
        alice.send(framed(2, &bytes(3000))).await.unwrap();
        received.recv().await.unwrap();
    }
    assert_eq!(registrar.count("INVITE"), 1);
    until(|| registrar.count("BYE") == 1).await;
    alice.send(framed(2, &bytes(3000))).await.unwrap();
    assert_eq!(registrar.count("INVITE"), 2);
}

#[tokio::test]
async fn a_peer_that_went_and_came_back_is_reached_by_a_new_session() {
    let registrar = FakeRegistrar::start(Listen::Tcp, Auth::None).await;
    let (alice, bob) = (transport(1, &registrar, true).await, transport(2, &registrar, true).await);
    let (mut received, task) = answering(&bob, Answer::Accepted);
    alice.send(framed(2, &bytes(3000))).await.unwrap();
    received.recv().await.unwrap();
    task.abort();
    let _ = task.await;
    drop(bob);
    let bob = transport(2, &registrar, true).await;
    let (mut received, _task) = answering(&bob, Answer::Accepted);
    let body = bytes(4000);
    assert_eq!(alice.send(framed(2, &body)).await, Ok(Taken::Answered));
    assert_eq!(inside(&received.recv().await.unwrap().1), body);
    assert_eq!(registrar.count("INVITE"), 2);
}

#[tokio::test]
async fn a_peer_without_sessions_says_so_and_so_does_a_transport_without() {
    let registrar = FakeRegistrar::start(Listen::Tcp, Auth::None).await;
    let alice = transport(1, &registrar, true).await;
    let _bob = start(SipTransportConfig::new(agent(2, registrar.address), None)).await;
    assert_eq!(alice.send(framed(2, &bytes(5000))).await, Err(SendFailure::UnsupportedMedia));
    // One that wants TLS and one that does not have no session either.
    let _carol = transport(3, &registrar, false).await;
    assert_eq!(alice.send(framed(3, &bytes(5000))).await, Err(SendFailure::UnsupportedMedia));

    let dave = start(SipTransportConfig::new(agent(4, registrar.address), None)).await;
    let len_max = dave.profile().body_len_max;
    assert_eq!(dave.send(framed(2, &bytes(len_max + 1))).await, Err(SendFailure::TooLarge));
}

#[tokio::test]
async fn the_longest_body_of_the_profile_fits_with_its_wrapper() {
    let registrar = FakeRegistrar::start(Listen::Tcp, Auth::None).await;
    let alice = start(SipTransportConfig::new(agent(1, registrar.address), None)).await;
    let bob = start(SipTransportConfig::new(agent(2, registrar.address), None)).await;
    let (mut received, _task) = answering(&bob, Answer::Accepted);
    let body = bytes(alice.profile().body_len_max);
    assert_eq!(alice.send(framed(2, &body)).await, Ok(Taken::Answered));
    assert_eq!(inside(&received.recv().await.unwrap().1), body);

    let (carol, dave) = (transport(3, &registrar, true).await, transport(4, &registrar, true).await);
    let (mut received, _task) = answering(&dave, Answer::Accepted);
    let body = bytes(carol.profile().body_len_max);
    assert_eq!(carol.send(framed(4, &body)).await, Ok(Taken::Answered));
    assert!(inside(&received.recv().await.unwrap().1) == body);
}

#[tokio::test]
async fn receipts_are_handed_up_as_they_came() {
    let registrar = FakeRegistrar::start(Listen::Tcp, Auth::None).await;
    let (alice, bob) = (transport(1, &registrar, true).await, transport(2, &registrar, true).await);
    let (mut received, _task) = answering(&bob, Answer::Accepted);
    let about = CarrierMessageId::from_random([9; 16]);
    let notification = Notification::new(about, Kind::Delivered);
    let receipt = chat::receipt(&notification, number(2), CarrierMessageId::from_random([8; 16]));
    assert_eq!(alice.send(receipt).await, Ok(Taken::Answered));
    let (_, cpim) = received.recv().await.unwrap();
    let unwrapped = chat::unwrap("message/cpim", None, &cpim).unwrap();
    assert_eq!(unwrapped.content, Content::Receipt(notification));
}

#[tokio::test]
async fn capabilities_are_what_the_far_end_says() {
    let registrar = FakeRegistrar::start(Listen::Tcp, Auth::None).await;
    let (alice, bob) = (transport(1, &registrar, true).await, transport(2, &registrar, true).await);
    let found = alice.capabilities(&number(2)).await.unwrap();
    assert!(found.contacts.iter().flatten().any(|tag| tag == "+g.rcseal.frame=\"1\""), "{found:?}");
    assert_eq!(alice.capabilities(&number(5)).await, Err(SendFailure::NotFound));
    bob.close();
    assert!(bob.receive().await.is_none());
}

#[tokio::test]
async fn one_number_does_not_take_the_sessions_of_all() {
    let registrar = FakeRegistrar::start(Listen::Tcp, Auth::None).await;
    let (alice, _bob) = (transport(1, &registrar, false).await, transport(2, &registrar, false).await);
    let carol = transport(3, &registrar, false).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let offer = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=message {port} TCP/MSRP *\r\n\
         a=accept-types:message/cpim\r\na=setup:passive\r\na=path:msrp://127.0.0.1:{port}/held;tcp\r\n"
    );
    let mut dialogs = Vec::new();
    let refusal = loop {
        assert!(dialogs.len() < 8, "one number has all sessions");
        match alice.agent().invite(&number(2), offer.as_bytes()).await {
            Ok(dialog) => dialogs.push(dialog),
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(refusal, SendFailure::Busy { retry_after: None });
    assert!(!dialogs.is_empty());
    assert!(carol.agent().invite(&number(2), offer.as_bytes()).await.is_ok());
}

/// A session that fails is ended before its place is given to another: unanswered BYEs would otherwise take the room of all our requests.
#[tokio::test]
async fn sessions_that_come_to_nothing_hold_their_places_until_they_are_ended() {
    let carrier = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut agent = agent(2, carrier.local_addr().unwrap());
    agent.wire = Wire::Udp;
    let bob = SipTransport::start(SipTransportConfig::new(agent, Some(msrp(false)))).await.unwrap();
    until(|| bob.agent().local_address().is_some()).await;
    let to = bob.agent().local_address().unwrap();
    // A network that nobody is led into: the session fails at once.
    let sdp = "v=0\r\no=- 1 1 IN IP4 169.254.1.1\r\ns=-\r\nc=IN IP4 169.254.1.1\r\nt=0 0\r\nm=message 9 TCP/MSRP *\r\n\
               a=accept-types:message/cpim\r\na=setup:passive\r\na=path:msrp://169.254.1.1:9/none;tcp\r\n";
    let mut buffer = vec![0; 4000];
    for number in 0..8 {
        let head = |method: &str, to_tag: &str| {
            format!(
                "{method} sip:+12015550122@x SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK{method}{number}\r\n\
                 From: <sip:+12015550121@x>;tag=a{number}\r\nTo: <sip:+12015550122@x>{to_tag}\r\nCall-ID: {number}\r\nCSeq: 1 {method}\r\n\
                 Contact: <sip:+12015550121@x>\r\n"
            )
        };
        let invite = head("INVITE", "")
            + &format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}", sdp.len());
        carrier.send_to(invite.as_bytes(), to).await.unwrap();
        let call = format!("Call-ID: {number}\r\n");
        loop {
            let len = carrier.recv(&mut buffer).await.unwrap();
            let text = String::from_utf8_lossy(&buffer[..len]).into_owned();
            if text.starts_with("SIP/2.0 486 ") {
                assert_eq!(number, 4);
                return;
            } else if text.starts_with("SIP/2.0 200 ") && text.contains(&call) {
                let tag = text.lines().find(|line| line.starts_with("To:")).unwrap().split_once(";tag=").unwrap().1;
                let ack = head("ACK", &format!(";tag={tag}")) + "Content-Length: 0\r\n\r\n";
                carrier.send_to(ack.as_bytes(), to).await.unwrap();
            } else if text.starts_with("BYE ") && text.contains(&call) {
                break;
            }
        }
    }
    panic!("there was always another place");
}
