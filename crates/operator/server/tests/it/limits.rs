//! Bad peers: too large, too slow, too many, or speaking something else. Each gets the documented answer and harms nobody else.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::Method;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use rcseal_wire::api::JSON_BODY_LEN_MAX;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_stream::StreamExt as _;

use crate::support::{Client, TestServer, full};

const PATIENCE: Duration = Duration::from_secs(10);
const JSON: (&str, &str) = ("content-type", "application/json");

/// Whether the server closes `stream` without being asked.
async fn closes(mut stream: impl tokio::io::AsyncRead + Unpin) -> bool {
    let mut rest = Vec::new();
    // A reset is a close too.
    timeout(PATIENCE, stream.read_to_end(&mut rest)).await.is_ok()
}

#[tokio::test]
async fn an_oversized_body_is_refused() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    let body = vec![b' '; JSON_BODY_LEN_MAX + 1];
    assert_eq!(client.send(Method::POST, "/v1/accounts", &[JSON], full(body)).await.code(), "too_large");
    // Without a declared length it is cut off at the limit.
    let mut client = server.connect().await;
    let pieces = (0..=JSON_BODY_LEN_MAX / 65536).map(|_| Ok(Frame::data(Bytes::from(vec![b' '; 65536]))));
    let body = StreamBody::new(stream::iter(pieces.collect::<Vec<_>>())).boxed();
    assert_eq!(client.send(Method::POST, "/v1/accounts", &[JSON], body).await.code(), "too_large");
}

#[tokio::test]
async fn a_body_that_stalls_is_refused() {
    let server = TestServer::start_with(|config| config.limits.stall_seconds_max = 1).await;
    let mut client = server.connect().await;
    let first = stream::iter([Ok(Frame::data(Bytes::from_static(b"{\"key_set\":")))]);
    let body = StreamBody::new(first.chain(stream::pending())).boxed();
    assert_eq!(client.send(Method::POST, "/v1/accounts", &[JSON], body).await.code(), "stalled");
}

#[tokio::test]
async fn unknown_paths_and_methods_get_problem_documents() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    assert_eq!(client.get("/v1/nothing").await.code(), "not_found");
    assert_eq!(client.get("/metrics").await.code(), "not_found");
    assert_eq!(client.get("/v1/login").await.code(), "method_not_allowed");
    assert_eq!(client.get("/v1/accounts/not-a-uuid/key-set").await.code(), "unauthenticated");
}

#[tokio::test]
async fn a_peer_that_never_shakes_hands_is_dropped() {
    let server = TestServer::start_with(|config| config.limits.handshake_seconds_max = 1).await;
    let silent = TcpStream::connect(server.running.addr()).await.unwrap();
    assert!(closes(silent).await);
    let mut garbage = TcpStream::connect(server.running.addr()).await.unwrap();
    garbage.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert!(closes(garbage).await);
    server.connect().await;
}

#[tokio::test]
async fn a_peer_that_dawdles_over_its_request_head_is_dropped() {
    let server = TestServer::start_with(|config| config.limits.header_seconds_max = 1).await;
    let mut stream = server.tls.connect(server.running.addr()).await;
    stream.write_all(b"GET /openapi.json HTTP/1.1\r\nhost: ").await.unwrap();
    assert!(closes(stream).await);
}

#[tokio::test]
async fn a_peer_that_asks_for_http_2_and_does_not_begin_is_dropped() {
    let server = TestServer::start_with(|config| config.limits.header_seconds_max = 1).await;
    let mut stream = server.tls.with_protocol(b"h2").connect(server.running.addr()).await;
    stream.write_all(b"PRI * HTTP/2.0\r\n").await.unwrap();
    assert!(closes(stream).await);
}

#[tokio::test]
async fn a_peer_that_stops_reading_is_dropped() {
    let server = TestServer::start_with(|config| config.limits.stall_seconds_max = 1).await;
    let (_, mut client) = server.registered().await;
    let content = vec![0; 32 * 1024 * 1024];
    let blob = rcseal_wire::api::BlobCreate {
        size: content.len() as u64,
        digest: rcseal_wire::id::Digest::from_bytes(rcseal_crypto::hash::sha256(&[&content])),
        ttl_seconds: 60,
    };
    let created: rcseal_wire::api::BlobCreated = client.post("/v1/blobs", &blob).await.json();
    let path = format!("/v1/blobs/{}", created.id);
    assert_eq!(client.bytes(Method::PATCH, &path, &[("upload-offset", "0")], &content).await.status, 204);
    let mut stream = server.tls.connect(server.running.addr()).await;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()).await.unwrap();
    // Nothing is read: the buffers fill, the write stalls, and the server gives the place back.
    let dropped = async {
        while !server.running.metrics().contains("rcseal_connections_open 1\n") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, dropped).await.unwrap();
    drop(stream);
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_and_others_live_on() {
    let server = TestServer::start_with(|config| config.limits.connections_max = 2).await;
    let mut first = server.connect().await;
    let second = server.connect().await;
    assert!(closes(TcpStream::connect(server.running.addr()).await.unwrap()).await);
    assert_eq!(first.get("/v1/nothing").await.status, 404);
    drop(second);
    let freed = async {
        while !server.running.metrics().contains("rcseal_connections_open 1\n") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, freed).await.unwrap();
    server.connect().await;
}

#[tokio::test]
async fn connections_of_one_address_are_bounded() {
    let server = TestServer::start_with(|config| config.limits.connections_per_address_max = 1).await;
    let _first = server.connect().await;
    assert!(closes(TcpStream::connect(server.running.addr()).await.unwrap()).await);
    assert!(server.running.metrics().contains("rcseal_connections_refused_total{reason=\"Address\"} 1"));
}

#[tokio::test]
async fn anonymous_requests_of_one_address_are_bounded() {
    let server = TestServer::start_with(|config| config.limits.anonymous_requests_per_minute_max = 2).await;
    let mut client = server.connect().await;
    for _ in 0..2 {
        assert_eq!(client.post("/v1/login/challenge", &()).await.status, 200);
    }
    assert_eq!(client.post("/v1/login/challenge", &()).await.code(), "rate_limited");
    assert_eq!(client.post("/v1/links", &()).await.code(), "rate_limited");
}

#[tokio::test]
async fn a_device_that_floods_is_limited_and_others_are_not() {
    let server = TestServer::start_with(|config| config.limits.device_requests_per_minute_max = 5).await;
    let (_, mut flooding) = server.registered().await;
    let (_, mut other) = server.registered().await;
    for _ in 0..5 {
        assert_eq!(flooding.get("/v1/device/prekeys").await.status, 200);
    }
    assert_eq!(flooding.get("/v1/device/prekeys").await.code(), "rate_limited");
    assert_eq!(other.get("/v1/device/prekeys").await.status, 200);
}

#[tokio::test]
async fn only_tls_1_3_is_spoken() {
    let server = TestServer::start().await;
    // A TLS 1.2 ClientHello without the supported_versions extension.
    let mut hello = vec![0x16, 3, 1, 0, 47, 1, 0, 0, 43, 3, 3];
    hello.extend([7; 32]);
    hello.extend([0, 0, 4, 0xc0, 0x2b, 0xc0, 0x2f, 1, 0]);
    let mut stream = TcpStream::connect(server.running.addr()).await.unwrap();
    stream.write_all(&hello).await.unwrap();
    let mut answer = [0; 7];
    timeout(PATIENCE, stream.read_exact(&mut answer)).await.unwrap().unwrap();
    // A fatal alert, and no ServerHello.
    assert_eq!((answer[0], answer[5]), (0x15, 2));
}

#[tokio::test]
async fn http_2_is_spoken_where_it_is_asked_for() {
    let server = TestServer::start().await;
    let stream = server.tls.with_protocol(b"h2").connect(server.running.addr()).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, connection) = hyper::client::conn::http2::handshake(
        hyper_util::rt::TokioExecutor::new(),
        hyper_util::rt::TokioIo::new(stream),
    )
    .await
    .unwrap();
    tokio::spawn(connection);
    let request = http::Request::get("https://localhost/v1/nothing").body(full("")).unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), 404);
}

#[tokio::test]
async fn answers_that_a_peer_makes_no_room_for_are_bounded() {
    let server = TestServer::start().await;
    let mut statuses = Vec::new();
    let mut unread = Vec::new();
    for _ in 0..2 {
        let stream = server.tls.with_protocol(b"h2").connect(server.running.addr()).await;
        let (mut sender, connection) = hyper::client::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new())
            .initial_stream_window_size(0)
            .handshake(hyper_util::rt::TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        for _ in 0..33 {
            let request = http::Request::get("https://localhost/openapi.json").body(full("")).unwrap();
            let response = timeout(PATIENCE, sender.send_request(request)).await.unwrap().unwrap();
            statuses.push(response.status().as_u16());
            unread.push(response);
        }
        unread.push(timeout(PATIENCE, sender.send_request(nothing())).await.unwrap().unwrap());
    }
    assert_eq!(statuses[..64], [200; 64]);
    assert_eq!(statuses[64..], [429; 2]);
    // Others, and small answers, are not held up.
    assert_eq!(server.connect().await.get("/v1/nothing").await.status, 404);
}

fn nothing() -> http::Request<http_body_util::combinators::BoxBody<Bytes, std::io::Error>> {
    http::Request::get("https://localhost/v1/nothing").body(full("")).unwrap()
}

#[tokio::test]
async fn the_hybrid_key_exchange_is_chosen() {
    let server = TestServer::start().await;
    let stream = server.tls.connect(server.running.addr()).await;
    let group = stream.get_ref().1.negotiated_key_exchange_group().unwrap();
    assert_eq!(group.name(), rustls::NamedGroup::X25519MLKEM768);
    let _: Client = Client::connect(&server.tls, server.running.addr()).await;
}

#[tokio::test]
async fn whoever_shows_delivery_tokens_is_bounded_by_address() {
    // A registration, a challenge, and one reading.
    let server = TestServer::start_with(|config| config.limits.anonymous_requests_per_minute_max = 3).await;
    let (owner, _) = server.registered().await;
    let mut contact = server.contact(&owner).await;
    let path = format!("/v1/accounts/{}/key-set", owner.account);
    assert_eq!(contact.get(&path).await.status, 200);
    assert_eq!(contact.get(&path).await.code(), "rate_limited");
}
