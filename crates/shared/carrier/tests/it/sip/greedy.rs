//! A carrier that asks for more than is good for us: memory, tasks, credentials.

use std::fmt::Write as _;

use rcseal_carrier::sip::Trunk;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};

use super::*;

/// A user agent on a connection to a carrier that is a bare socket, which has little room for what it does not read.
async fn over_stream(timers: Timers) -> (UserAgent, TcpListener, TcpStream) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(8 << 10).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(8).unwrap();
    let mut config = config(BOB, listener.local_addr().unwrap(), Wire::Tcp, Access::Unregistered(None));
    config.timers = timers;
    let agent = UserAgent::start(config).await.unwrap();
    let stream = listener.accept().await.unwrap().0;
    until(|| agent.local_address().is_some()).await;
    (agent, listener, stream)
}

fn request(method: &str, branch: usize, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "{method} sip:{BOB}@x SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK{branch}\r\nFrom: <sip:{ALICE}@x>;tag=1\r\nTo: <sip:{BOB}@x>\r\n\
         Call-ID: {branch}\r\nCSeq: 1 {method}\r\nContent-Type: text/plain\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

#[tokio::test]
async fn a_carrier_that_asks_and_never_reads_loses_its_connection_and_costs_few_tasks() {
    let patient = Timers { stall: Duration::from_secs(30), keep_alive: Duration::from_secs(30), ..timers() };
    let (_agent, listener, mut stream) = over_stream(patient).await;
    let more_hops = format!("Via: SIP/2.0/TCP {};branch=z9hG4bKx\r\n", "h".repeat(12_000));
    let mut most = 0;
    let flood = async {
        for branch in 0..6000 {
            if stream.write_all(&request("OPTIONS", branch, &more_hops, b"")).await.is_err() {
                return;
            }
            most = most.max(tokio::runtime::Handle::current().metrics().num_alive_tasks());
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = flood => {}
        again = listener.accept() => drop(again.unwrap()),
        () = tokio::time::sleep(Duration::from_secs(20)) => panic!("it was answered for ever: {most} tasks"),
    }
    assert!(most < 600, "{most} tasks");
}

#[tokio::test]
async fn messages_that_nobody_takes_out_are_bounded_in_bytes() {
    let (agent, _listener, mut stream) = over_stream(timers()).await;
    let body = vec![b'x'; 120 << 10];
    let mut first_status = None;
    for branch in 0..200 {
        stream.write_all(&request("MESSAGE", branch, "", &body)).await.unwrap();
        let mut buffer = [0; 2000];
        if let Ok(len) = stream.try_read(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..len]).trim_start().to_owned();
            if text.starts_with("SIP/2.0") {
                first_status = Some(text);
                break;
            }
        }
    }
    assert!(first_status.unwrap().starts_with("SIP/2.0 503 "));
    // What was taken out and answered makes room.
    received(&agent).await.answer(Answer::Accepted);
    let mut buffer = [0; 4000];
    loop {
        let len = stream.read(&mut buffer).await.unwrap();
        if String::from_utf8_lossy(&buffer[..len]).contains("SIP/2.0 200 ") {
            break;
        }
    }
}

#[test]
fn a_trunk_over_tls_takes_no_connections_in_clear() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (_, wire) = tls();
    let trunk = Trunk { listens: true, ..Trunk::default() };
    let config = config(BOB, "127.0.0.1:9".parse().unwrap(), wire, Access::Trunk(trunk));
    assert_eq!(runtime.block_on(UserAgent::start(config)).unwrap_err().code(), "sip_start_listen");
}

/// An answer of a carrier to a request of ours.
fn answer(request: &str, status: &str, headers: &str) -> String {
    let mut text = format!("SIP/2.0 {status}\r\n");
    for line in request.lines().take_while(|line| !line.is_empty()) {
        if ["Via:", "From:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name)) {
            write!(text, "{line}\r\n").unwrap();
        } else if line.starts_with("To:") {
            write!(text, "{line};tag=carrier\r\n").unwrap();
        }
    }
    text + headers + "Content-Length: 0\r\n\r\n"
}

/// The next request of ours, keep-alives passed over.
async fn request_of_ours(carrier: &UdpSocket) -> (String, SocketAddr) {
    let mut buffer = vec![0; 65_536];
    loop {
        let received = tokio::time::timeout(Duration::from_secs(5), carrier.recv_from(&mut buffer)).await;
        let (len, from) = received.unwrap().unwrap();
        let text = String::from_utf8_lossy(&buffer[..len]).into_owned();
        if !text.trim().is_empty() {
            return (text, from);
        }
    }
}

/// Answers the next request, and gives it back.
async fn answered(carrier: &UdpSocket, status: &str, headers: &str) -> String {
    let (text, from) = request_of_ours(carrier).await;
    carrier.send_to(answer(&text, status, headers).as_bytes(), from).await.unwrap();
    text
}

/// A user agent whose carrier asks for a password in this way, and takes it.
async fn registered_by(challenge: &str) -> (UserAgent, UdpSocket) {
    let carrier = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let agent = UserAgent::start(config(BOB, carrier.local_addr().unwrap(), Wire::Udp, password(BOB, "secret"))).await;
    let agent = agent.unwrap();
    let asking = async {
        let first = answered(&carrier, "401 Unauthorized", challenge).await;
        assert!(!first.contains("Authorization"));
        answered(&carrier, "200 OK", "Expires: 600\r\n").await
    };
    let (granted, second) = tokio::join!(agent.register(), asking);
    assert!(granted.is_ok() && second.contains("\r\nAuthorization: Digest "), "{second}");
    (agent, carrier)
}

#[tokio::test]
async fn what_proves_us_to_the_registrar_goes_to_no_peer() {
    let (agent, carrier) =
        registered_by("WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=MD5, qop=\"auth\"\r\n").await;
    let (sent, text) = tokio::join!(agent.message(pager(ALICE, b"x")), answered(&carrier, "200 OK", ""));
    assert_eq!(sent, Ok(Taken::Answered));
    assert!(!text.contains("Authorization"), "{text}");
}

#[tokio::test]
async fn a_peer_that_was_answered_is_the_only_one_that_sees_the_answer() {
    let carrier = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let access =
        Access::Unregistered(Some(Credentials::Password { user: BOB.to_owned(), password: Password::new("secret") }));
    let agent = UserAgent::start(config(BOB, carrier.local_addr().unwrap(), Wire::Udp, access)).await.unwrap();
    let challenge = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=SHA-256, qop=\"auth\"\r\n";
    let asking = async {
        answered(&carrier, "401 Unauthorized", challenge).await;
        answered(&carrier, "200 OK", "").await
    };
    let (sent, text) = tokio::join!(agent.message(pager(ALICE, b"x")), asking);
    assert!(sent.is_ok() && text.contains("\r\nAuthorization: Digest "), "{text}");
    let (sent, same) = tokio::join!(agent.message(pager(ALICE, b"y")), answered(&carrier, "200 OK", ""));
    assert!(sent.is_ok() && same.contains("\r\nAuthorization: Digest "), "{same}");
    let (sent, other) = tokio::join!(agent.message(pager("+15551230003", b"z")), answered(&carrier, "200 OK", ""));
    assert!(sent.is_ok() && !other.contains("Authorization"), "{other}");
}

#[tokio::test]
async fn a_registrar_that_had_sha_256_gets_no_md5() {
    let (agent, carrier) =
        registered_by("WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=SHA-256, qop=\"auth\"\r\n").await;
    let weaker = "WWW-Authenticate: Digest realm=\"r\", nonce=\"m\", algorithm=MD5, qop=\"auth\", stale=true\r\n";
    let (again, text) = tokio::join!(agent.register(), answered(&carrier, "401 Unauthorized", weaker));
    assert_eq!(again, Err(SendFailure::Unauthorized));
    assert!(text.contains("algorithm=SHA-256"), "{text}");
    let nothing = tokio::time::timeout(Duration::from_millis(150), request_of_ours(&carrier)).await;
    assert!(nothing.is_err(), "{nothing:?}");
}
