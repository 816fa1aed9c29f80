//! Broken traffic from SIPp, straight at our user agent and by way of Kamailio: it may be answered with anything or nothing, and afterwards
//! our user agent still answers.

use std::net::SocketAddr;
use std::time::Duration;

use rcseal_carrier::sip::{Access, Peer, UserAgent};
use rcseal_carrier::transport::Answer;
use rcseal_rcs::chat;
use rcseal_rcs::frame::find_in;
use rcseal_report::{Report, Row};
use tokio::net::UdpSocket;

use super::super::kamailio::DOMAIN;
use super::super::line::{Line, LineError, Over, awkward_blob, config};
use super::super::process::free_port;
use super::super::{Kamailio, Setup, User, prepare, sipp};
use super::RunError;

/// How often the whole list is sent.
const TIMES: u32 = 25;
const LIMIT: Duration = Duration::from_secs(60);

pub(in super::super) async fn run(report: &mut Report) -> Result<(), RunError> {
    let (alice, bob) = (User::nth(1), User::nth(2));
    let carrier = Kamailio::start(&Setup { challenges_messages: false, ..Setup::of(vec![alice, bob.clone()]) }).await?;

    // Straight at us: SIPp is the carrier then, since a user agent hears nobody else.
    let port = free_port().map_err(prepare("a port"))?;
    let mut ours = config(&carrier, &bob, Over::Udp, Access::Unregistered(None))?;
    ours.peer = Peer { host: "127.0.0.1".to_owned(), port };
    let agent = UserAgent::start(ours).await.map_err(LineError::from)?;
    let address = wait_for_address(&agent).await;
    send_raw(port, address).await?;
    let scenario = sipp::hostile(&requests(), &format!("sip:{address}"));
    let counted = while_reading(&agent, sipp::run(&scenario, address, port, TIMES, 1, LIMIT)).await?;
    report.promise_row(Row::equal("answers_after_broken_sip", counted.ok, "of 25").goal(TIMES));
    drop(agent);

    // By way of the carrier, which looks at headers and not at bodies.
    let line = Line::open(&carrier, &bob, Over::Tcp).await?;
    let scenario = sipp::hostile(&bodies(&bob), &bob.uri());
    let port = free_port().map_err(prepare("a port"))?;
    let run = sipp::run(&scenario, carrier.address(), port, TIMES, 1, LIMIT);
    let counted = while_reading(line.agent(), run).await?;
    report.promise_row(Row::equal("answers_after_broken_bodies", counted.ok, "of 25").goal(TIMES));
    Ok(())
}

/// Our address towards the carrier, as soon as there is one.
async fn wait_for_address(agent: &UserAgent) -> SocketAddr {
    loop {
        if let Some(address) = agent.local_address() {
            return address;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Reads everything that comes in, as the product does, while something else runs.
async fn while_reading<T>(agent: &UserAgent, run: impl Future<Output = T>) -> T {
    let read = async {
        while let Some(inbound) = agent.receive().await {
            let (kind, encoding) = (inbound.content_type.clone(), inbound.content_encoding.clone());
            let _ = find_in(Some(&kind), encoding.as_deref(), &inbound.body);
            let _ = chat::unwrap(&kind, encoding.as_deref(), &inbound.body);
            inbound.answer(Answer::UnsupportedMedia);
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        outcome = run => outcome,
        () = read => unreachable!("it never ends"),
    }
}

/// What SIPp does not agree to send, since it begins with no method or holds a NUL: sent by hand, from SIPp's port.
async fn send_raw(port: u16, to: SocketAddr) -> Result<(), RunError> {
    let socket = UdpSocket::bind(("127.0.0.1", port)).await.map_err(prepare("a port"))?;
    let mut datagrams: Vec<Vec<u8>> = [
        &b"MESSAGE\r\n\r\n"[..],
        b"\0",
        b"\r\n\r\n",
        b" \r\n\r\n",
        b"\xff\xfe\x01\x02\r\n\r\n",
        b"SIP/2.0\r\n\r\n",
        b"SIP/2.0 200 OK\r\n\r\n",
        b"SIP/2.0 999 Beyond\r\nCSeq: 1 MESSAGE\r\n\r\n",
        b"SIP/2.0 abc Unheard\r\nVia: x\r\n\r\n",
        b"SIP/2.0 401 Who\r\nVia: x\r\nCSeq: 1 REGISTER\r\nWWW-Authenticate: Digest realm=\"\r\n\r\n",
        b"MESSAGE sip:us SIP/2.0\r\nVia: SIP/2.0/UDP \0;branch=\0\r\nFrom: \0\r\nTo: \0\r\nCall-ID: \0\r\nCSeq: 1 MESSAGE\r\n\r\n",
    ]
    .map(<[u8]>::to_vec)
    .to_vec();
    datagrams.push(awkward_blob(60_000));
    for datagram in datagrams {
        socket.send_to(&datagram, to).await.map_err(prepare("a datagram"))?;
    }
    Ok(())
}

/// A request whose headers are in order, up to the media type.
fn head(number: usize, uri: &str) -> String {
    format!(
        "MESSAGE {uri} SIP/2.0\nVia: SIP/2.0/UDP [local_ip]:[local_port];branch=z9hG4bKb{number}-[call_number]\n\
         From: <sip:+4915100000101@{DOMAIN}>;tag=b{number}\nTo: <{uri}>\nCall-ID: broken-{number}-[call_number]\n\
         CSeq: 1 MESSAGE\nMax-Forwards: 70\n"
    )
}

/// Requests and answers that break SIP.
fn requests() -> Vec<String> {
    let good = |number: usize| head(number, "sip:us@127.0.0.1");
    let long = "x".repeat(20_000);
    let many: String = (0..300).map(|number| format!("X-{number}: y\n")).collect();
    let routes: String = (0..100).map(|hop| format!("Record-Route: <sip:hop{hop}@127.0.0.1;lr>\n")).collect();
    let without = |name: &str| -> String {
        good(90).lines().filter(|line| !line.starts_with(name)).map(|line| format!("{line}\n")).collect()
    };
    vec![
        format!("{}Content-Length: -1\n\n", good(1)),
        format!("{}Content-Length: 99999999999999999999\n\nx", good(2)),
        format!("{}Content-Type: text/plain\nContent-Length: 500\n\nshort", good(3)),
        format!("{}Content-Type: text/plain\nContent-Length: 1\nContent-Length: 5\n\nhello", good(4)),
        format!("{}Content-Type: text/plain\n\nwithout a length", good(5)),
        format!("{}Content-Type\n\n", good(6)),
        format!("{}: nameless\nContent-Length: 0\n\n", good(7)),
        format!("{}X-Long: {long}\nContent-Length: 0\n\n", good(8)),
        format!("{}{many}Content-Length: 0\n\n", good(9)),
        format!("{}{routes}Content-Length: 0\n\n", good(10)),
        format!("{} folded\n\tand again\nContent-Length: 0\n\n", good(11)),
        format!("{}Content-Length: 0\n\n", without("Via")),
        format!("{}Content-Length: 0\n\n", without("CSeq")),
        format!("{}Content-Length: 0\n\n", without("Call-ID")),
        format!("{}Content-Length: 0\n\n", without("From")),
        format!("{}Content-Length: 0\n\n", good(12).replace("1 MESSAGE", "1 INVITE")),
        format!("{}Content-Length: 0\n\n", good(13).replace("1 MESSAGE", "99999999999 MESSAGE")),
        format!("{}Content-Length: 0\n\n", good(14).replace("MESSAGE", "BYE")),
        format!("{}Content-Length: 0\n\n", good(15).replace("MESSAGE", "CANCEL")),
        format!("{}Content-Length: 0\n\n", good(16).replace("MESSAGE", "ACK")),
        format!("{}Content-Length: 0\n\n", good(17).replace("MESSAGE", "REFER")),
        format!("{}Content-Length: 0\n\n", good(18).replace("MESSAGE", "NOSUCHMETHOD")),
        format!("{}Contact: <sip:x@127.0.0.1>\nContent-Length: 0\n\n", good(19).replace("MESSAGE", "INVITE")),
        format!(
            "{}Contact: <sip:x@127.0.0.1>\nContent-Type: application/sdp\nContent-Length: 30\n\nv=0\nm=message x y z\na=path:msrp",
            good(20).replace("MESSAGE", "INVITE")
        ),
        format!("{}P-Asserted-Identity: \"\\\nContent-Length: 0\n\n", good(21)),
        format!(
            "{}Content-Length: 0\n\n",
            good(22).replace("<sip:+4915100000101@carrier.test>", "\"\\\" <sip:<<>;;;=\"")
        ),
    ]
}

/// Requests that are in order, with bodies that are not.
fn bodies(bob: &User) -> Vec<String> {
    let nested = "<a>".repeat(3_000);
    let headers: String = (0..400).map(|number| format!("NS: p{number} <urn:x>\n")).collect();
    // Square brackets are SIPp's own, so entities are left to the parsers' tests.
    let elsewhere =
        "<!DOCTYPE imdn SYSTEM \"file:///etc/hostname\"><imdn xmlns=\"urn:ietf:params:xml:ns:imdn\"></imdn>";
    let cases: [(&str, &str, &str); 14] = [
        ("message/cpim", "", ""),
        ("message/cpim", "", "From: <<<<\n"),
        ("message/cpim", "", "From: <sip:a@b>\nTo\n\n\n"),
        ("message/cpim", "", "From: <sip:a@b>\nTo: <sip:b@c>\n\nContent-Type: message/cpim\n\nFrom: <sip:a@b>\n\n"),
        ("message/cpim", "", &headers),
        ("message/cpim;charset=\"", "", "x"),
        ("message/imdn+xml", "", &nested),
        ("message/imdn+xml", "", elsewhere),
        ("message/imdn+xml", "Content-Encoding: deflate\n", "not deflated"),
        ("message/imdn+xml", "Content-Encoding: gzip, deflate, br\n", "not anything"),
        ("application/im-iscomposing+xml", "", "<isComposing><state>"),
        ("application/vnd.rcseal.frame", "", "D$\u{fffd}jW RCSeal"),
        ("multipart/mixed;boundary=x", "", "--x--x--x"),
        (
            "application/vnd.gsma.rcs-ft-http+xml",
            "",
            "<file xmlns=\"urn:gsma:params:xml:ns:rcs:rcs:fthttp\"><file-info>",
        ),
    ];
    cases
        .iter()
        .enumerate()
        .map(|(number, (kind, more, body))| {
            format!("{}Content-Type: {kind}\n{more}Content-Length: [len]\n\n{body}", head(100 + number, &bob.uri()))
        })
        .collect()
}
