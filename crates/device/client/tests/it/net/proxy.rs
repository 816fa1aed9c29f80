//! Through a proxy: what it is told, what it may answer, and what it never sees; and keys that servers are pinned to.

use std::sync::{Arc, Mutex};

use rcseal_client::net::{Authenticated, Endpoint, NetError, Pins, Proxy, ProxyFault};
use rcseal_crypto::hash::sha256;
use rcseal_wire::api::PrekeyCounts;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use zeroize::Zeroizing;

use crate::support::device::{serve_login, signer};
use crate::support::server::{Peer, Server};

const COUNTS: PrekeyCounts = PrekeyCounts { one_time: 1, one_time_kem: 2, low: false };

/// A proxy that answers as it is told, and connects where it is asked to if that is a success.
struct FakeProxy {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl FakeProxy {
    async fn start(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let seen = Arc::clone(&seen);
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        match client.read_u8().await {
                            Ok(byte) => head.push(byte),
                            Err(_) => return,
                        }
                    }
                    let head = String::from_utf8(head).unwrap();
                    let target = head.split(' ').nth(1).unwrap().to_owned();
                    seen.lock().unwrap().push(head);
                    client.write_all(answer.as_bytes()).await.unwrap();
                    if answer.contains(" 200 ") {
                        let mut server = TcpStream::connect(target).await.unwrap();
                        let _ = copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
        Self { port, asked, task }
    }

    fn proxy(&self) -> Proxy {
        Proxy::new("127.0.0.1".to_owned(), self.port).unwrap()
    }
}

impl Drop for FakeProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn relay() -> Server {
    Server::start(|mut peer: Peer| async move {
        serve_login(&mut peer, "the-token").await;
        while peer.request().await.is_some() {
            peer.answer_json(&COUNTS).await;
        }
    })
    .await
}

async fn ask(endpoint: Endpoint) -> Result<PrekeyCounts, NetError> {
    Authenticated::new(endpoint, signer()).prekey_counts().await
}

#[tokio::test]
async fn requests_go_through_the_proxy_which_sees_a_host_and_nothing_else() {
    let (server, proxy) =
        (relay().await, FakeProxy::start("HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n").await);
    let password = Zeroizing::new("open sesame".to_owned());
    let by = proxy.proxy().with_credentials("ada", password).unwrap();
    assert_eq!(ask(server.endpoint().by(Pins::none(), Some(by))).await.unwrap(), COUNTS);
    let asked = proxy.asked.lock().unwrap().clone();
    let target = format!("127.0.0.1:{}", server.port);
    // "ada:open sesame" in base64.
    let expected = format!(
        "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: Basic YWRhOm9wZW4gc2VzYW1l\r\n\r\n"
    );
    assert_eq!(asked, [expected]);
}

#[tokio::test]
async fn what_a_proxy_refuses_has_a_name_and_says_whether_to_try_again() {
    let server = relay().await;
    let long: &'static str = Box::leak(format!("HTTP/1.1 200 OK\r\nX: {}", "a".repeat(9_000)).into_boxed_str());
    let cases: [(&'static str, &str, bool); 6] = [
        ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "net.proxy_auth", false),
        ("HTTP/1.1 403 Forbidden\r\n\r\n", "net.proxy", false),
        ("HTTP/1.1 502 Bad Gateway\r\n\r\n", "net.proxy", true),
        ("HTTP/1.1 302 Found\r\nLocation: https://portal.example\r\n\r\n", "net.proxy", false),
        ("SSH-2.0-OpenSSH\r\n\r\n", "net.proxy", false),
        (long, "net.proxy", false),
    ];
    for (answer, code, is_retryable) in cases {
        let proxy = FakeProxy::start(answer).await;
        let error = ask(server.endpoint().by(Pins::none(), Some(proxy.proxy()))).await.unwrap_err();
        assert_eq!((error.code(), error.is_retryable()), (code, is_retryable), "{answer:.40}");
    }
    assert_eq!(server.connections(), 0);
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let away = Proxy::new("127.0.0.1".to_owned(), nobody).unwrap();
    let error = ask(server.endpoint().by(Pins::none(), Some(away))).await.unwrap_err();
    assert!(matches!(error, NetError::Proxy(ProxyFault::Unreachable(_))), "{error:?}");
    assert!(error.is_retryable());
}

#[tokio::test]
async fn a_server_must_have_a_key_that_it_is_pinned_to() {
    let server = relay().await;
    let origin: rcseal_wire::origin::Origin = format!("https://127.0.0.1:{}", server.port).parse().unwrap();
    let (right, wrong) = (sha256(&[&server.public_key_info()]), [9; 32]);
    let by = |pins: Pins| ask(server.endpoint().by(pins, None));
    assert_eq!(by(Pins::none().with(origin.clone(), right)).await.unwrap(), COUNTS);
    // While a key is changed there are two.
    let both = Pins::none().with(origin.clone(), wrong).with(origin.clone(), right);
    assert_eq!(by(both).await.unwrap(), COUNTS);
    // A pin of another server's is nothing to this one.
    let other = Pins::none().with("https://relay.example.org".parse().unwrap(), wrong);
    assert_eq!(by(other).await.unwrap(), COUNTS);
    let error = by(Pins::none().with(origin, wrong)).await.unwrap_err();
    assert!(matches!(error, NetError::Pin), "{error:?}");
    assert_eq!((error.code(), error.is_retryable()), ("net.pin", false));
}
