//! TLS, timeouts, limits, refusals.

use rcseal_client::net::{Anonymous, Fault, NetError, Refused, Stage, TrustAnchors, TrustError};
use rcseal_wire::api::LinkCreated;
use rcseal_wire::id::LinkId;
use rcseal_wire::problem::ProblemCode;
use std::time::Duration;
use tokio::net::TcpListener;

use crate::support::server::{Authority, Peer, Server, endpoint, impatient};

/// What a request ends with when the server treats it like this.
async fn outcome<F, R>(serve: F) -> Result<LinkCreated, NetError>
where
    F: Fn(Peer) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let server = Server::start(serve).await;
    Anonymous::new(server.endpoint_with(impatient())).open_link().await
}

#[tokio::test]
async fn an_answer_is_read() {
    let created = outcome(|mut peer| async move {
        let request = peer.request().await.unwrap();
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/links"));
        assert!(request.header("host").unwrap().starts_with("127.0.0.1:"));
        peer.answer_json(&LinkCreated { id: LinkId::from_bytes([3; LinkId::LEN]), expires_in_seconds: 9 }).await;
    })
    .await
    .unwrap();
    assert_eq!((created.id, created.expires_in_seconds), (LinkId::from_bytes([3; LinkId::LEN]), 9));
}

#[tokio::test]
async fn nobody_listening_is_a_connect_error() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let error =
        Anonymous::new(endpoint(port, &Authority::new("127.0.0.1").pem, impatient())).open_link().await.unwrap_err();
    assert!(matches!(error, NetError::Connect(_)), "{error:?}");
    assert!(error.is_retryable());
}

#[tokio::test]
async fn an_authority_nobody_configured_is_refused() {
    let server = Server::start(Peer::stall).await;
    let other = Authority::new("127.0.0.1");
    let error = Anonymous::new(endpoint(server.port, &other.pem, impatient())).open_link().await.unwrap_err();
    assert!(matches!(error, NetError::Tls(_)), "{error:?}");
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let server = Server::start_with(Authority::new("elsewhere.example"), &[&rustls::version::TLS13], Peer::stall).await;
    let error = Anonymous::new(server.endpoint()).open_link().await.unwrap_err();
    assert!(matches!(error, NetError::Tls(_)), "{error:?}");
}

#[tokio::test]
async fn resumption_is_never_tried_although_the_server_hands_out_tickets() {
    let (kinds, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |mut peer: Peer| {
        let kinds = kinds.clone();
        async move {
            kinds.send(peer.stream.get_ref().1.handshake_kind()).unwrap();
            peer.request().await;
            peer.answer_problem(ProblemCode::Unavailable).await;
        }
    })
    .await;
    let anonymous = Anonymous::new(server.endpoint());
    for _ in 0..2 {
        anonymous.open_link().await.unwrap_err();
        assert_eq!(seen.recv().await.unwrap(), Some(rustls::HandshakeKind::Full));
    }
}

#[tokio::test]
async fn a_server_that_never_shakes_hands_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let error =
        Anonymous::new(endpoint(port, &Authority::new("127.0.0.1").pem, impatient())).open_link().await.unwrap_err();
    assert!(matches!(error, NetError::Timeout(Stage::Tls)), "{error:?}");
}

#[tokio::test]
async fn a_server_that_never_answers_times_out() {
    let error = outcome(|mut peer| async move {
        peer.request().await;
        peer.stall().await;
    })
    .await
    .unwrap_err();
    assert!(matches!(error, NetError::Timeout(Stage::Answer)), "{error:?}");
    assert_eq!((error.code(), error.is_retryable()), ("net.timeout", true));
}

#[tokio::test]
async fn a_server_that_stalls_inside_an_answer_times_out() {
    let error = outcome(|mut peer| async move {
        peer.request().await;
        peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{").await;
        peer.stall().await;
    })
    .await
    .unwrap_err();
    assert!(matches!(error, NetError::Timeout(Stage::Body)), "{error:?}");
}

#[tokio::test]
async fn a_server_that_drips_an_answer_is_given_up() {
    let started = std::time::Instant::now();
    let error = outcome(|mut peer| async move {
        peer.request().await;
        peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await;
        for _ in 0..1000 {
            peer.write(b" ").await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .unwrap_err();
    assert!(matches!(error, NetError::Timeout(Stage::Body)), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_server_that_hangs_up_inside_an_answer_closed_it() {
    let error = outcome(|mut peer| async move {
        peer.request().await;
        peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{").await;
    })
    .await
    .unwrap_err();
    assert!(matches!(error, NetError::Closed(_)), "{error:?}");
    assert!(error.is_retryable());
}

#[tokio::test]
async fn an_endless_answer_is_cut_off_at_the_limit() {
    let error = outcome(|mut peer| async move {
        peer.request().await;
        peer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        let chunk = [b"10000\r\n", &[b' '; 0x1_0000][..], b"\r\n"].concat();
        for _ in 0..200 {
            peer.write(&chunk).await;
        }
    })
    .await
    .unwrap_err();
    assert!(matches!(error, NetError::TooLarge { .. }), "{error:?}");
}

#[tokio::test]
async fn what_is_not_http_or_not_json_is_a_protocol_error() {
    let error = outcome(|mut peer| async move {
        peer.request().await;
        peer.write(b"220 mail.example ESMTP\r\n\r\n").await;
    })
    .await
    .unwrap_err();
    assert!(matches!(error, NetError::Protocol(Fault::Framing)), "{error:?}");
    let error = outcome(|mut peer| async move {
        peer.request().await;
        peer.answer(200, "", b"{\"id\": 7}").await;
    })
    .await
    .unwrap_err();
    assert!(matches!(error, NetError::Protocol(Fault::Body)), "{error:?}");
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn a_problem_document_becomes_its_code() {
    let error = outcome(|mut peer| async move {
        peer.request().await;
        peer.answer(
            429,
            "content-type: application/problem+json; charset=utf-8\r\nretry-after: 7\r\n",
            br#"{"type":"urn:rcseal:problem:rate_limited","title":"t","status":429,"code":"rate_limited"}"#,
        )
        .await;
    })
    .await
    .unwrap_err();
    let NetError::Problem(refused) = &error else { panic!("{error:?}") };
    let expected =
        Refused { status: 429, known: Some(ProblemCode::RateLimited), retry_after: Some(Duration::from_secs(7)) };
    assert_eq!(refused, &expected);
    assert_eq!((error.code(), error.is_retryable(), error.retry_after()), ("rate_limited", true, expected.retry_after));
}

#[tokio::test]
async fn an_unknown_code_is_treated_by_its_status() {
    for (status, retryable) in [(418, false), (503, true)] {
        let error = outcome(move |mut peer| async move {
            peer.request().await;
            let body = format!(r#"{{"type":"x","title":"t","status":{status},"code":"teapot"}}"#);
            peer.answer(status, "content-type: application/problem+json\r\n", body.as_bytes()).await;
        })
        .await
        .unwrap_err();
        assert_eq!((error.code(), error.is_retryable()), ("unknown", retryable), "{status}");
    }
}

#[tokio::test]
async fn an_error_page_of_some_middlebox_is_no_problem_document() {
    let error = outcome(|mut peer| async move {
        peer.request().await;
        peer.answer(502, "content-type: text/html\r\n", b"<h1>Bad gateway</h1>").await;
    })
    .await
    .unwrap_err();
    assert!(matches!(error, NetError::Protocol(Fault::Refusal(502))), "{error:?}");
    assert!(error.is_retryable());
}

#[test]
fn trust_anchors_are_certificates() {
    assert!(matches!(TrustAnchors::from_pem(b""), Err(TrustError::Empty)));
    assert!(matches!(TrustAnchors::from_pem(b"hello"), Err(TrustError::Empty)));
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(TrustAnchors::from_pem(broken.as_bytes()), Err(TrustError::Certificate(_))));
    let unfinished = "-----BEGIN CERTIFICATE-----\nAAAA\n";
    assert!(matches!(TrustAnchors::from_pem(unfinished.as_bytes()), Err(TrustError::Pem(_))));
}
