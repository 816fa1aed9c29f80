//! Sessions between two endpoints, and between one and a peer that misbehaves.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rcseal_carrier::auth::{Credentials, Password};
use rcseal_carrier::msrp::{
    Endpoint, Inlet, MsrpConfig, MsrpLimits, OpenError, Protection, RelayAccess, Remote, Role, Session, SessionError,
};
use rcseal_carrier::tls::{SelfSigned, TrustAnchors};
use rcseal_carrier::transport::Answer;
use rcseal_rcs::msrp::{ByteRange, Flag, Frame, FrameHeader, Method, Parser, Path, Received, Start, Status, Uri};
use rcseal_rcs::text::MediaType;
use rcseal_rcs::transport::CarrierMessageId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::support::bytes;

const PATIENCE: Duration = Duration::from_secs(10);

/// Takes messages and gives the answer it was made with.
struct Box_(mpsc::UnboundedSender<Received>, Answer);

#[async_trait]
impl Inlet for Box_ {
    async fn take(&self, message: Received) -> Answer {
        let _ = self.0.send(message);
        self.1
    }
}

fn inlet(answer: Answer) -> (Arc<dyn Inlet>, mpsc::UnboundedReceiver<Received>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Arc::new(Box_(sender, answer)), receiver)
}

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn plain() -> MsrpConfig {
    MsrpConfig::new(loopback(), Protection::Plain)
}

fn quick() -> MsrpLimits {
    MsrpLimits {
        connect: Duration::from_secs(2),
        response: Duration::from_millis(300),
        stall: Duration::from_millis(300),
        ..MsrpLimits::default()
    }
}

fn tls() -> MsrpConfig {
    MsrpConfig::new(loopback(), Protection::Tls(Arc::new(SelfSigned::generate().unwrap())))
}

fn id(text: &str) -> CarrierMessageId {
    CarrierMessageId::parse(text).unwrap()
}

fn cpim() -> MediaType {
    MediaType::parse("message/cpim").unwrap()
}

/// Two endpoints with a session between them; the first connected.
async fn pair(
    first: MsrpConfig,
    second: MsrpConfig,
    answer: Answer,
) -> (Session, Session, mpsc::UnboundedReceiver<Received>, [Endpoint; 2]) {
    let (first, second) = (Endpoint::start(first).await.unwrap(), Endpoint::start(second).await.unwrap());
    let (ours, theirs) = (first.prepare().await.unwrap(), second.prepare().await.unwrap());
    let to_second = Remote { path: theirs.path.clone(), fingerprint: second.fingerprint(), connect_to: None };
    let to_first = Remote { path: ours.path.clone(), fingerprint: first.fingerprint(), connect_to: None };
    let (unused, _) = inlet(Answer::Accepted);
    let (taking, received) = inlet(answer);
    let (active, passive) = tokio::join!(
        first.open(ours, to_second, Role::Active, unused),
        second.open(theirs, to_first, Role::Passive, taking),
    );
    (active.unwrap(), passive.unwrap(), received, [first, second])
}

/// A peer that does what a test says, on the connection of a session that it opened.
struct Puppet {
    stream: TcpStream,
    parser: Parser,
    own: Path,
    peer: Path,
}

impl Puppet {
    /// Opens a session to a new endpoint.
    async fn bound(config: MsrpConfig, answer: Answer) -> (Self, Session, mpsc::UnboundedReceiver<Received>, Endpoint) {
        let endpoint = Endpoint::start(config).await.unwrap();
        let local = endpoint.prepare().await.unwrap();
        let own = Path::of("msrp://127.0.0.1:9/puppet;tcp".parse().unwrap());
        let stream = TcpStream::connect(endpoint.address()).await.unwrap();
        let mut puppet = Self { stream, parser: Parser::new(), own, peer: local.path.clone() };
        let (taking, received) = inlet(answer);
        let remote = Remote { path: puppet.own.clone(), fingerprint: None, connect_to: None };
        let bind = Frame::bind([1; 8], puppet.peer.clone(), puppet.own.clone(), &id("bind"));
        puppet.write(&bind).await;
        let session = endpoint.open(local, remote, Role::Passive, taking).await.unwrap();
        assert_eq!(puppet.read().await.start(), &Start::Response(200));
        (puppet, session, received, endpoint)
    }

    async fn write(&mut self, frame: &Frame) {
        self.stream.write_all(&frame.to_bytes()).await.unwrap();
    }

    /// The next frame; panics where the connection ends.
    async fn read(&mut self) -> Frame {
        self.try_read().await.expect("a frame before the connection ends")
    }

    async fn try_read(&mut self) -> Option<Frame> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(frame) = self.parser.next_frame().unwrap() {
                return Some(frame);
            }
            match timeout(PATIENCE, self.stream.read(&mut buffer)).await.unwrap() {
                Ok(0) | Err(_) => return None,
                Ok(read) => self.parser.push(&buffer[..read]),
            }
        }
    }

    fn chunk(&self, message: &str, whole: &[u8], from: usize, to: usize) -> Frame {
        let range = ByteRange::new(from as u64 + 1, Some(to as u64), Some(whole.len() as u64)).unwrap();
        let headers = vec![
            FrameHeader::new("Message-ID", message).unwrap(),
            FrameHeader::new("Byte-Range", &range.to_string()).unwrap(),
            FrameHeader::new("Success-Report", "yes").unwrap(),
        ];
        let flag = if to == whole.len() { Flag::Last } else { Flag::Continues };
        let seed = (from as u64 + 77).to_be_bytes();
        Frame::send(seed, self.peer.clone(), self.own.clone(), headers, cpim(), whole[from..to].to_vec(), flag)
    }

    /// A report about a message of the endpoint's.
    async fn report(&mut self, message: &str, len: u64, status: Status) {
        let headers = vec![
            FrameHeader::new("Message-ID", message).unwrap(),
            FrameHeader::new("Byte-Range", &ByteRange::whole(len).to_string()).unwrap(),
            FrameHeader::new("Status", &format!("000 {}", status.0)).unwrap(),
        ];
        let frame = Frame::request([9; 8], Method::Report, self.peer.clone(), self.own.clone(), headers);
        self.write(&frame).await;
    }
}

#[tokio::test]
async fn messages_of_every_size_arrive_byte_for_byte() {
    for config in [plain as fn() -> MsrpConfig, tls] {
        let (active, passive, mut received, _endpoints) = pair(config(), config(), Answer::Accepted).await;
        for len in [0, 1, 200, 2047, 2048, 2049, 65_536, 1 << 20] {
            let body = bytes(len);
            active.send(id(&format!("m{len}")), cpim(), &body).await.unwrap();
            let message = received.recv().await.unwrap();
            assert_eq!(
                (message.message_id.as_str(), message.content_type.as_str()),
                (&*format!("m{len}"), "message/cpim")
            );
            assert!(message.body == body, "{len} bytes differ");
        }
        // The other way, on the same connection; the active end's inlet takes it.
        passive.send(id("back"), cpim(), b"back").await.unwrap();
    }
}

#[tokio::test]
async fn what_the_far_end_says_of_a_message_reaches_its_sender() {
    for (answer, error) in
        [(Answer::UnsupportedMedia, 415), (Answer::TooLarge, 413), (Answer::TryLater, 503), (Answer::Malformed, 400)]
    {
        let (active, _passive, mut received, _endpoints) = pair(plain(), plain(), answer).await;
        assert_eq!(active.send(id("m"), cpim(), &bytes(5000)).await, Err(SessionError::Refused { status: error }));
        assert!(received.recv().await.is_some());
    }
}

#[tokio::test]
async fn a_message_that_is_larger_than_taken_is_refused_before_it_is_whole() {
    let small = MsrpConfig { limits: MsrpLimits { message_len_max: 10_000, ..MsrpLimits::default() }, ..plain() };
    let (active, passive, mut received, _endpoints) = pair(plain(), small, Answer::Accepted).await;
    assert_eq!(active.send(id("m"), cpim(), &bytes(200_000)).await, Err(SessionError::Refused { status: 413 }));
    // The session goes on.
    active.send(id("n"), cpim(), b"small").await.unwrap();
    assert_eq!(received.recv().await.unwrap().body, b"small");
    assert!(!passive.has_ended());
}

#[tokio::test]
async fn a_stranger_with_another_certificate_gets_no_session() {
    let stranger = SelfSigned::generate().unwrap().fingerprint();
    // The one who connects finds another certificate than announced.
    let (first, second) = (Endpoint::start(tls()).await.unwrap(), Endpoint::start(tls()).await.unwrap());
    let (ours, theirs) = (first.prepare().await.unwrap(), second.prepare().await.unwrap());
    let remote = Remote { path: theirs.path.clone(), fingerprint: Some(stranger), connect_to: None };
    let (taking, _) = inlet(Answer::Accepted);
    let error = first.open(ours, remote, Role::Active, taking).await.unwrap_err();
    assert!(matches!(error, OpenError::WrongFingerprint), "{error:?}");
    drop(theirs);

    // The one who waits is connected to by somebody who was not announced.
    let config = MsrpConfig { limits: MsrpLimits { connect: Duration::from_millis(700), ..quick() }, ..tls() };
    let waiting = Endpoint::start(config).await.unwrap();
    let (ours, theirs) = (first.prepare().await.unwrap(), waiting.prepare().await.unwrap());
    let to_waiting = Remote { path: theirs.path.clone(), fingerprint: waiting.fingerprint(), connect_to: None };
    let to_first = Remote { path: ours.path.clone(), fingerprint: Some(stranger), connect_to: None };
    let (unused, _) = inlet(Answer::Accepted);
    let (taking, mut received) = inlet(Answer::Accepted);
    let (active, passive) = tokio::join!(
        first.open(ours, to_waiting, Role::Active, unused),
        waiting.open(theirs, to_first, Role::Passive, taking),
    );
    assert!(matches!(passive, Err(OpenError::WrongFingerprint)), "{passive:?}");
    assert!(active.is_err());
    assert!(received.recv().await.is_none());
}

#[tokio::test]
async fn descriptions_that_do_not_fit_are_refused() {
    let (secure, open) = (Endpoint::start(tls()).await.unwrap(), Endpoint::start(plain()).await.unwrap());
    let plain_path = open.prepare().await.unwrap().path.clone();
    let secure_path = secure.prepare().await.unwrap().path.clone();
    let (taking, _) = inlet(Answer::Accepted);
    for (endpoint, path) in [(&secure, plain_path), (&secure, secure_path.clone()), (&open, secure_path)] {
        let remote = Remote { path, fingerprint: None, connect_to: None };
        let local = endpoint.prepare().await.unwrap();
        let error = endpoint.open(local, remote, Role::Active, Arc::clone(&taking)).await.unwrap_err();
        assert!(matches!(error, OpenError::Mismatch), "{error:?}");
    }
}

#[tokio::test]
async fn chunks_out_of_order_and_twice_are_one_message() {
    let (mut puppet, _session, mut received, _endpoint) = Puppet::bound(plain(), Answer::Accepted).await;
    let whole = bytes(6000);
    for (from, to) in [(2000, 4000), (0, 2000), (2000, 4000), (4000, 6000)] {
        let chunk = puppet.chunk("m", &whole, from, to);
        puppet.write(&chunk).await;
        assert_eq!(puppet.read().await.start(), &Start::Response(200));
    }
    assert_eq!(received.recv().await.unwrap().body, whole);
    let report = puppet.read().await;
    assert!(report.is_request(&Method::Report));
    assert_eq!((report.status(), report.byte_range()), (Some(Status::OK), Some(ByteRange::whole(6000))));
}

#[tokio::test]
async fn a_connection_lost_in_the_middle_delivers_nothing_and_says_so() {
    // To the receiver.
    let (mut puppet, session, mut received, _endpoint) = Puppet::bound(plain(), Answer::Accepted).await;
    let whole = bytes(6000);
    let chunk = puppet.chunk("m", &whole, 0, 2000);
    puppet.write(&chunk).await;
    assert_eq!(puppet.read().await.start(), &Start::Response(200));
    drop(puppet);
    timeout(PATIENCE, session.ended()).await.unwrap();
    drop(session);
    assert!(received.recv().await.is_none());

    // To the sender: with everything sent it may have arrived, with a part of it it has not.
    for (len, error) in [(100, SessionError::NoAnswer), (4 << 20, SessionError::Cut)] {
        let (mut puppet, session, _received, _endpoint) = Puppet::bound(plain(), Answer::Accepted).await;
        let sending = tokio::spawn(async move { session.send(id("m"), cpim(), &bytes(len)).await });
        assert!(puppet.read().await.is_request(&Method::Send));
        drop(puppet);
        assert_eq!(timeout(PATIENCE, sending).await.unwrap().unwrap(), Err(error));
    }
}

#[tokio::test]
async fn a_peer_that_takes_nothing_is_given_up() {
    let config = MsrpConfig { limits: MsrpLimits { in_flight_max: 1 << 30, ..quick() }, ..plain() };
    let (puppet, session, _received, _endpoint) = Puppet::bound(config, Answer::Accepted).await;
    // More than the buffers of both sockets hold.
    let error = timeout(PATIENCE, session.send(id("m"), cpim(), &bytes(64 << 20))).await.unwrap().unwrap_err();
    assert!(matches!(error, SessionError::Slow | SessionError::Cut), "{error:?}");
    timeout(PATIENCE, session.ended()).await.unwrap();
    drop(puppet);
}

#[tokio::test]
async fn bytes_that_are_not_answered_are_bounded() {
    let config = MsrpConfig { limits: MsrpLimits { in_flight_max: 8192, ..quick() }, ..plain() };
    let (mut puppet, session, _received, _endpoint) = Puppet::bound(config, Answer::Accepted).await;
    let sending = tokio::spawn(async move { session.send(id("m"), cpim(), &bytes(100_000)).await });
    let mut chunks = 0;
    while let Some(frame) = puppet.try_read().await {
        chunks += usize::from(frame.is_request(&Method::Send));
    }
    assert_eq!((sending.await.unwrap(), chunks), (Err(SessionError::Slow), 4));
}

#[tokio::test]
async fn a_message_that_is_never_finished_ends_the_session() {
    let (mut puppet, session, mut received, _endpoint) =
        Puppet::bound(MsrpConfig { limits: quick(), ..plain() }, Answer::Accepted).await;
    let whole = bytes(6000);
    let chunk = puppet.chunk("m", &whole, 0, 2000);
    puppet.write(&chunk).await;
    timeout(PATIENCE, session.ended()).await.unwrap();
    drop(session);
    assert!(received.recv().await.is_none());
}

#[tokio::test]
async fn a_session_on_which_nothing_comes_ends() {
    let limits = MsrpLimits { idle: Duration::from_millis(100), ..MsrpLimits::default() };
    let (puppet, session, _received, _endpoint) =
        Puppet::bound(MsrpConfig { limits, ..plain() }, Answer::Accepted).await;
    timeout(PATIENCE, session.ended()).await.unwrap();
    assert_eq!(session.send(id("m"), cpim(), b"body").await, Err(SessionError::Ended));
    drop(puppet);
}

#[tokio::test]
async fn two_ends_that_both_send_much_do_not_wait_for_each_other() {
    let wide = || MsrpConfig { limits: MsrpLimits { in_flight_max: 16 << 20, ..MsrpLimits::default() }, ..tls() };
    let (active, passive, mut received, _endpoints) = pair(wide(), wide(), Answer::Accepted).await;
    let body = bytes(1 << 20);
    let (mine, theirs) = (id("mine"), id("theirs"));
    let sending = async { tokio::join!(active.send(mine, cpim(), &body), passive.send(theirs, cpim(), &body)) };
    assert_eq!(timeout(PATIENCE, sending).await.unwrap(), (Ok(()), Ok(())));
    assert!(received.recv().await.unwrap().body == body);
}

#[tokio::test]
async fn a_report_counts_for_its_own_message_only() {
    let (mut puppet, session, _received, _endpoint) =
        Puppet::bound(MsrpConfig { limits: quick(), ..plain() }, Answer::Accepted).await;
    let sending = tokio::spawn({
        let session = session.clone();
        async move { session.send(id("mine"), cpim(), &bytes(100)).await }
    });
    assert!(puppet.read().await.is_request(&Method::Send));
    // Success for another message, success for another length, and failure for another message.
    puppet.report("other", 100, Status::OK).await;
    puppet.report("mine", 99, Status::OK).await;
    puppet.report("other", 100, Status::STOP).await;
    assert_eq!(sending.await.unwrap(), Err(SessionError::NoAnswer));

    let (mut puppet, session, _received, _endpoint) = Puppet::bound(plain(), Answer::Accepted).await;
    let sending = tokio::spawn(async move { session.send(id("mine"), cpim(), &bytes(100)).await });
    let chunk = puppet.read().await;
    puppet.write(&chunk.response(200).unwrap()).await;
    puppet.report("mine", 100, Status::OK).await;
    assert_eq!(sending.await.unwrap(), Ok(()));
}

#[tokio::test]
async fn a_connection_that_names_no_session_is_answered_481() {
    let endpoint = Endpoint::start(plain()).await.unwrap();
    let uri: Uri = format!("msrp://{}/guess;tcp", endpoint.address()).parse().unwrap();
    let own = Path::of("msrp://127.0.0.1:9/puppet;tcp".parse().unwrap());
    let stream = TcpStream::connect(endpoint.address()).await.unwrap();
    let mut puppet = Puppet { stream, parser: Parser::new(), own, peer: Path::of(uri) };
    let bind = Frame::bind([1; 8], puppet.peer.clone(), puppet.own.clone(), &id("bind"));
    puppet.write(&bind).await;
    assert_eq!(puppet.read().await.start(), &Start::Response(481));
    assert!(puppet.try_read().await.is_none());
}

#[tokio::test]
async fn sessions_are_limited() {
    let config = MsrpConfig { limits: MsrpLimits { sessions_max: 1, ..MsrpLimits::default() }, ..plain() };
    let endpoint = Endpoint::start(config).await.unwrap();
    let first = endpoint.prepare().await.unwrap();
    assert!(matches!(endpoint.prepare().await, Err(OpenError::TooManySessions)));
    drop(first);
    assert!(endpoint.prepare().await.is_ok());
}

/// A relay that asks for digest authentication and passes frames between its client and whoever is on the other side of the path. A fake:
/// it serves one client.
async fn fake_relay(listener: TcpListener, is_stale_first: bool) -> Option<(TcpStream, Parser)> {
    let address = listener.local_addr().unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut parser = Parser::new();
    let mut buffer = [0; 4096];
    let mut nonces = if is_stale_first { vec!["second", "first"] } else { vec!["first"] };
    let mut nonce = nonces.pop().unwrap();
    loop {
        let Some(frame) = parser.next_frame().unwrap() else {
            match stream.read(&mut buffer).await.unwrap() {
                0 => return None,
                read => parser.push(&buffer[..read]),
            }
            continue;
        };
        assert!(frame.is_request(&Method::Auth));
        let header = |name: &str, value: &str| FrameHeader::new(name, value).unwrap();
        let (code, headers) = match frame.header("Authorization") {
            Some(value) if value.contains("username=\"alice\"") && value.contains("nonce=\"second\"") => {
                let path = format!("msrp://{address}/alice-1;tcp");
                (200, vec![header("Use-Path", &path), header("Expires", "900")])
            }
            Some(_) if !nonces.is_empty() => {
                nonce = nonces.pop().unwrap();
                let value = format!("Digest realm=\"relay\", nonce=\"{nonce}\", qop=\"auth\", stale=true");
                (401, vec![header("WWW-Authenticate", &value)])
            }
            _ => {
                let value = format!("Digest realm=\"relay\", nonce=\"{nonce}\", qop=\"auth\"");
                (401, vec![header("WWW-Authenticate", &value)])
            }
        };
        // The codec writes no headers into responses, which only relays do.
        let mut text = format!("MSRP {} {code} x\r\n", frame.transaction().as_str());
        text.push_str(&format!("To-Path: {}\r\nFrom-Path: {}\r\n", frame.from(), frame.to()));
        for header in headers {
            text.push_str(&format!("{}: {}\r\n", header.name(), header.value()));
        }
        text.push_str(&format!("-------{}$\r\n", frame.transaction().as_str()));
        stream.write_all(text.as_bytes()).await.unwrap();
        if code == 200 {
            return Some((stream, parser));
        }
    }
}

async fn relayed(
    is_stale_first: bool,
) -> (Result<rcseal_carrier::msrp::Local, OpenError>, Endpoint, tokio::task::JoinHandle<Option<(TcpStream, Parser)>>) {
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let uri = format!("msrp://{};tcp", listener.local_addr().unwrap()).parse().unwrap();
    let relay = tokio::spawn(fake_relay(listener, is_stale_first));
    let credentials = Credentials::Password { user: "alice".to_owned(), password: Password::new("secret") };
    let access = RelayAccess { uri, credentials, trust: TrustAnchors::none() };
    let endpoint = Endpoint::start(MsrpConfig { relay: Some(access), limits: quick(), ..plain() }).await.unwrap();
    (endpoint.prepare().await, endpoint, relay)
}

#[tokio::test]
async fn a_relay_gives_out_a_path_and_its_200_is_not_the_far_ends() {
    let (local, endpoint, relay) = relayed(true).await;
    let local = local.unwrap();
    assert_eq!(local.path.uris().len(), 2);
    assert_eq!(local.path.first().session(), Some("alice-1"));
    let (stream, parser) = relay.await.unwrap().unwrap();
    let far: Path = "msrp://127.0.0.1:9/far;tcp".parse().unwrap();
    let remote = Remote { path: far.clone(), fingerprint: None, connect_to: None };
    let (peer, own) = (Path::of(local.path.last().clone()), far);
    let mut relay = Puppet { stream, parser, own, peer };
    let (taking, _) = inlet(Answer::Accepted);
    let session = endpoint.open(local, remote, Role::Passive, taking).await.unwrap();
    for is_reported in [true, false] {
        let sending = tokio::spawn({
            let session = session.clone();
            async move { session.send(id("m"), cpim(), b"body").await }
        });
        let chunk = relay.read().await;
        let hops: Vec<_> = chunk.to().uris().iter().map(|uri| uri.session().unwrap()).collect();
        assert_eq!(hops, ["alice-1", "far"]);
        relay.write(&chunk.response(200).unwrap()).await;
        if is_reported {
            relay.report("m", 4, Status::OK).await;
        }
        let expected = if is_reported { Ok(()) } else { Err(SessionError::NoAnswer) };
        assert_eq!(sending.await.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_relay_that_does_not_take_our_password_is_not_asked_for_ever() {
    // Its nonce never becomes the one that it accepts, and it does not call ours stale.
    let (local, _endpoint, relay) = relayed(false).await;
    assert!(matches!(local, Err(OpenError::Refused { status: 401 })));
    assert!(relay.await.unwrap().is_none());
}

/// Takes messages and never says what became of them.
struct Silent;

#[async_trait]
impl Inlet for Silent {
    async fn take(&self, _: Received) -> Answer {
        std::future::pending().await
    }
}

#[tokio::test]
async fn messages_that_wait_to_be_answered_are_bounded_in_a_session() {
    let endpoint = Endpoint::start(plain()).await.unwrap();
    let local = endpoint.prepare().await.unwrap();
    let own = Path::of("msrp://127.0.0.1:9/puppet;tcp".parse().unwrap());
    let stream = TcpStream::connect(endpoint.address()).await.unwrap();
    let mut puppet = Puppet { stream, parser: Parser::new(), own, peer: local.path.clone() };
    let remote = Remote { path: puppet.own.clone(), fingerprint: None, connect_to: None };
    puppet.write(&Frame::bind([1; 8], puppet.peer.clone(), puppet.own.clone(), &id("bind"))).await;
    let _session = endpoint.open(local, remote, Role::Passive, Arc::new(Silent)).await.unwrap();
    assert_eq!(puppet.read().await.start(), &Start::Response(200));
    let mut refused = 0;
    for number in 0..1500_u64 {
        let headers = vec![FrameHeader::new("Message-ID", &format!("m{number}")).unwrap()];
        let (to, from) = (puppet.peer.clone(), puppet.own.clone());
        let frame = Frame::send(number.to_be_bytes(), to, from, headers, cpim(), b"x".to_vec(), Flag::Last);
        puppet.write(&frame).await;
        if let Ok(answer) = timeout(Duration::from_micros(100), puppet.read()).await {
            assert_eq!(answer.start(), &Start::Response(503));
            refused += 1;
        }
    }
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert!(tasks < 400 && refused > 0, "{tasks} tasks, {refused} refused");
}

#[tokio::test]
async fn a_description_leads_to_nobody_inside_our_own_networks() {
    let inside = TcpListener::bind(loopback()).await.unwrap();
    let port = inside.local_addr().unwrap().port();
    let config = MsrpConfig { limits: quick(), ..plain() };
    let config = MsrpConfig { listen: "0.0.0.0:0".parse().unwrap(), ..config };
    let endpoint = Endpoint::start(config).await.unwrap();
    for (path, connect_to) in [
        (format!("msrp://127.0.0.1:{port}/a;tcp"), None),
        (format!("msrp://localhost:{port}/a;tcp"), None),
        (format!("msrp://[::ffff:127.0.0.1]:{port}/a;tcp"), None),
        ("msrp://peer.invalid:9/a;tcp".to_owned(), Some(("127.0.0.1".to_owned(), port))),
        ("msrp://peer.invalid:9/a;tcp".to_owned(), Some(("10.0.0.1".to_owned(), port))),
        ("msrp://peer.invalid:9/a;tcp".to_owned(), Some(("169.254.169.254".to_owned(), port))),
    ] {
        // An address of the public internet, as the carrier sees us.
        let local = endpoint.prepare_at(Some("203.0.114.1".parse().unwrap())).await.unwrap();
        let remote = Remote { path: path.parse().unwrap(), fingerprint: None, connect_to };
        let (unused, _) = inlet(Answer::Accepted);
        let error = endpoint.open(local, remote, Role::Active, unused).await.unwrap_err();
        assert_eq!(error.code(), "msrp_forbidden", "{path}");
    }
    assert!(timeout(Duration::from_millis(50), inside.accept()).await.is_err());
}

#[tokio::test]
async fn a_relay_without_tls_is_not_used_where_tls_is_asked_for() {
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let uri = format!("msrp://{};tcp", listener.local_addr().unwrap()).parse().unwrap();
    let credentials = Credentials::Password { user: "alice".to_owned(), password: Password::new("secret") };
    let access = RelayAccess { uri, credentials, trust: TrustAnchors::none() };
    let endpoint = Endpoint::start(MsrpConfig { relay: Some(access), limits: quick(), ..tls() }).await.unwrap();
    assert!(matches!(endpoint.prepare().await, Err(OpenError::Mismatch)));
    assert!(timeout(Duration::from_millis(50), listener.accept()).await.is_err());
}

#[tokio::test]
async fn a_path_whose_later_hops_are_in_clear_is_not_taken_for_tls() {
    let endpoint = Endpoint::start(MsrpConfig { limits: quick(), ..tls() }).await.unwrap();
    let local = endpoint.prepare().await.unwrap();
    let path: Path = "msrps://127.0.0.1:9/relay;tcp msrp://127.0.0.1:9/far;tcp".parse().unwrap();
    let remote = Remote { path, fingerprint: endpoint.fingerprint(), connect_to: None };
    let (unused, _) = inlet(Answer::Accepted);
    assert!(matches!(endpoint.open(local, remote, Role::Active, unused).await, Err(OpenError::Mismatch)));
}

#[tokio::test]
async fn connections_that_say_nothing_keep_no_peer_out() {
    let first = Endpoint::start(plain()).await.unwrap();
    let second = Endpoint::start(plain()).await.unwrap();
    let mut idle = Vec::new();
    for _ in 0..40 {
        idle.push(TcpStream::connect(second.address()).await.unwrap());
    }
    let (ours, theirs) = (first.prepare().await.unwrap(), second.prepare().await.unwrap());
    let to_second = Remote { path: theirs.path.clone(), fingerprint: None, connect_to: None };
    let to_first = Remote { path: ours.path.clone(), fingerprint: None, connect_to: None };
    let ((one, _), (other, _)) = (inlet(Answer::Accepted), inlet(Answer::Accepted));
    let opening = async {
        tokio::join!(
            first.open(ours, to_second, Role::Active, one),
            second.open(theirs, to_first, Role::Passive, other),
        )
    };
    let (active, passive) = timeout(Duration::from_secs(5), opening).await.unwrap();
    assert!(active.is_ok() && passive.is_ok(), "{active:?} {passive:?}");
    // Those that were there first were hung up on, so that idle ones are not many.
    assert_eq!(timeout(PATIENCE, idle[0].read(&mut [0; 1])).await.unwrap().unwrap_or(0), 0);
}
