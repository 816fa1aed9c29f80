//! The adapter for gateways by HTTP: what it says when a gateway does not behave, and call-backs that are answered once somebody has them.

use rcseal_carrier::sms::ReportState;
use rcseal_carrier::sms::http_gateway::{Callback, Config, HttpGateway};

use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const DELIVERED: &[u8] = b"id=a-1&level=2&message_status=DELIVRD";

fn gateway(port: u16) -> Arc<HttpGateway> {
    let url = format!("http://127.0.0.1:{port}/send");
    let mut config = Config::new(&url, "us", Password::new("secret"), Password::new(SECRET)).unwrap();
    config.limits.answer = Duration::from_millis(300);
    config.limits.patience = Duration::from_millis(300);
    Arc::new(HttpGateway::new(config).unwrap())
}

fn call(content: &[u8]) -> Callback<'_> {
    Callback { secret: SECRET, content, signature: None, timestamp: None, now_ms: 1 }
}

/// What is said of a message that a gateway answers with these bytes; `None` keeps the connection open without a word.
async fn answered(bytes: Option<&[u8]>) -> Result<SmsSubmitted, SendFailure> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let gateway = gateway(listener.local_addr().unwrap().port());
    let sending = tokio::spawn(async move { gateway.submit(message("hello")).await });
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"username=us") {
        assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
    }
    assert!(request.starts_with(b"POST /send HTTP/1.1\r\n"));
    if let Some(bytes) = bytes {
        stream.write_all(bytes).await.unwrap();
        drop(stream);
        return sending.await.unwrap();
    }
    let outcome = sending.await.unwrap();
    drop(stream);
    outcome
}

fn response(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

#[tokio::test]
async fn once_the_request_may_have_arrived_no_answer_is_unconfirmed() {
    assert_eq!(answered(Some(&response("200 OK", "Success \"a-1\""))).await.unwrap().gateway_id.as_str(), "a-1");
    assert_eq!(answered(None).await, Err(SendFailure::NoAnswer));
    assert_eq!(answered(Some(b"")).await, Err(SendFailure::NoAnswer));
    assert_eq!(answered(Some(b"220 mail.test ESMTP\r\n")).await, Err(SendFailure::NoAnswer));
    assert_eq!(answered(Some(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nSucc")).await, Err(SendFailure::NoAnswer));
    assert_eq!(answered(Some(&response("502 Bad Gateway", ""))).await, Err(SendFailure::NoAnswer));
    let long = response("200 OK", &format!("Success \"{}\"", "a".repeat(20 << 10)));
    assert_eq!(answered(Some(&long)).await, Err(SendFailure::NoAnswer));
}

#[tokio::test]
async fn before_the_request_nothing_has_left() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    assert_eq!(gateway(port).submit(message("hello")).await, Err(SendFailure::Unreachable));
}

#[tokio::test]
async fn a_call_back_is_acknowledged_once_somebody_has_it_and_brings_nothing_again() {
    let gateway = gateway(9);
    let calling = |content: &'static [u8]| {
        let gateway = Arc::clone(&gateway);
        tokio::spawn(async move { gateway.callback(call(content)).await })
    };
    let refused = calling(DELIVERED);
    drop(timeout(PATIENCE, gateway.next_report()).await.unwrap().unwrap());
    assert_eq!(refused.await.unwrap().status, 503);
    let taken = calling(DELIVERED);
    let arrived = timeout(PATIENCE, gateway.next_report()).await.unwrap().unwrap();
    // While it is in hand, the same call is told to come later.
    assert_eq!(gateway.callback(call(DELIVERED)).await.status, 503);
    assert_eq!(arrived.accept().state, ReportState::Delivered);
    let answer = taken.await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "ACK/Jasmin"));
    assert_eq!(gateway.callback(call(DELIVERED)).await.status, 200);
    // A contradiction is something new.
    let other = calling(b"id=a-1&level=2&message_status=UNDELIV");
    let report = timeout(PATIENCE, gateway.next_report()).await.unwrap().unwrap().accept();
    assert_eq!(report.state, ReportState::Undeliverable);
    assert_eq!(other.await.unwrap().status, 200);
}

#[tokio::test]
async fn a_call_back_that_nobody_takes_is_told_to_come_later() {
    let gateway = gateway(9);
    assert_eq!(gateway.callback(call(DELIVERED)).await.status, 503);
    // Somebody takes it after all; the gateway that calls again is told so, and brings nothing.
    let late = timeout(PATIENCE, gateway.next_report()).await.unwrap().unwrap();
    assert_eq!(gateway.callback(call(DELIVERED)).await.status, 503);
    assert_eq!(late.accept().state, ReportState::Delivered);
    assert_eq!(gateway.callback(call(DELIVERED)).await.status, 200);
    // A gateway that gives up its call is no other case.
    let abandoned = timeout(Duration::from_millis(20), gateway.callback(call(b"id=b&message_status=DELIVRD"))).await;
    assert!(abandoned.is_err());
    drop(timeout(PATIENCE, gateway.next_report()).await.unwrap().unwrap());
    gateway.close();
    assert_eq!(gateway.callback(call(b"id=b&message_status=DELIVRD")).await.status, 503);
    assert_eq!(gateway.callback(call(b"id=b&message_status=ESME_ROK")).await.status, 200);
}
