//! Under the providers: tokens, connections, TLS, and the fakes' posting of webhooks.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcseal_carrier::business::fake::rbm::FakeRbm;
use rcseal_carrier::business::rbm::{AgentId, ClientToken, RbmConfig, RcsForBusiness, WEBHOOK_WINDOW_MS};
use rcseal_carrier::business::token::{
    BearerToken, ClientCredentials, CommandToken, FileToken, FixedToken, TokenError, TokenSource,
};
use rcseal_carrier::business::{BusinessProvider, Endpoint, ProviderFailure, Reach};
use rcseal_carrier::tls::TrustAnchors;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{AGENT, ALICE, CLIENT_TOKEN, TOKEN, number, quick, rbm, rbm_client, text};

/// A server that gives fixed answers, the last one again and again, and keeps what it was asked.
struct Fixed {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

impl Fixed {
    async fn start(answers: &[(u16, &str)], tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answers: Vec<(u16, String)> = answers.iter().map(|(status, body)| (*status, (*body).to_owned())).collect();
        let (requests, connections) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
        let (kept, counted) = (Arc::clone(&requests), Arc::clone(&connections));
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                let (kept, answers, tls) = (Arc::clone(&kept), answers.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(tcp, &kept, &answers).await,
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(tcp).await {
                                serve(stream, &kept, &answers).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, requests, connections }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, kept: &Mutex<Vec<String>>, answers: &[(u16, String)]) {
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let whole = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = whole.split_once("\r\n\r\n") {
            let header =
                |line: &str| Some(line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse::<usize>());
            let len = head.lines().find_map(header).map_or(0, |len| len.unwrap());
            if body.len() >= len {
                read.clear();
                let (status, answer) = {
                    let mut kept = kept.lock().unwrap();
                    kept.push(whole);
                    answers[(kept.len() - 1).min(answers.len() - 1)].clone()
                };
                let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n{answer}", answer.len());
                if stream.write_all(head.as_bytes()).await.is_err() {
                    return;
                }
                continue;
            }
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) => read.extend_from_slice(&buffer[..count]),
        }
    }
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap_or_else(|_| panic!("{what}"));
}

#[tokio::test]
async fn a_token_file_is_read_again_when_its_token_was_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let (fake, _) = rbm().await;
    fake.has_rcs(ALICE, true);
    let source = Arc::new(FileToken::new(&path));
    assert!(matches!(source.token().await, Err(TokenError::File(_))));
    std::fs::write(&path, "an old token\n").unwrap();
    assert!(matches!(source.token().await, Err(TokenError::Malformed)));
    std::fs::write(&path, "old\n").unwrap();
    let (patience, retries) = quick();
    let provider = RcsForBusiness::new(RbmConfig {
        agent_id: AgentId::parse(AGENT).unwrap(),
        endpoint: Endpoint::parse(&fake.url()).unwrap(),
        trust: TrustAnchors::none(),
        tokens: Arc::clone(&source) as Arc<dyn TokenSource>,
        client_token: ClientToken::parse(CLIENT_TOKEN).unwrap(),
        traffic_type: None,
        webhook_window_ms: WEBHOOK_WINDOW_MS,
        patience,
        retries,
    });
    assert_eq!(provider.send(&text(1, ALICE, "Hi", None)).await, Err(ProviderFailure::Unauthorized));
    source.token().await.unwrap();
    std::fs::write(&path, format!("{TOKEN}\n")).unwrap();
    provider.send(&text(1, ALICE, "Hi", None)).await.unwrap();
}

#[tokio::test]
async fn a_program_prints_a_token_or_there_is_none() {
    let minute = Duration::from_secs(60);
    let good = CommandToken::new("/bin/echo", vec!["token-2".into()], minute);
    assert_eq!(format!("{:?}", good.token().await.unwrap()), "BearerToken", "it is never shown");
    let none = CommandToken::new("/bin/echo", vec!["not a token".into()], minute);
    assert!(matches!(none.token().await, Err(TokenError::Malformed)));
    let failing = CommandToken::new("/bin/false", Vec::new(), minute);
    assert!(matches!(failing.token().await, Err(TokenError::CommandFailed)));
    let missing = CommandToken::new("/nowhere/token", Vec::new(), minute);
    assert!(matches!(missing.token().await, Err(TokenError::Command(_))));
}

#[tokio::test]
async fn client_credentials_are_asked_for_once_until_they_end() {
    let server = Fixed::start(&[(200, "{\"access_token\":\"abc\",\"expires_in\":3599}"), (401, "{}")], None).await;
    let endpoint = Endpoint::parse(&format!("{}/oauth2/token", server.url())).unwrap();
    let source = ClientCredentials::new(endpoint, TrustAnchors::none(), "name".into(), "word".into());
    source.token().await.unwrap();
    source.token().await.unwrap();
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert!(requests[0].starts_with("POST /oauth2/token HTTP/1.1\r\n"), "{}", requests[0]);
    assert!(requests[0].contains("authorization: Basic bmFtZTp3b3Jk"));
    assert!(requests[0].ends_with("grant_type=client_credentials"));
    source.refused().await;
    assert!(matches!(source.token().await, Err(TokenError::Refused { status: 401 })));
}

#[tokio::test]
async fn requests_after_one_another_share_a_connection() {
    let server = Fixed::start(&[(200, "{\"features\":[]}")], None).await;
    let provider = rbm_client(&server.url());
    for _ in 0..5 {
        let reach = provider.capabilities(&number(ALICE)).await;
        assert_eq!(reach, Ok(Reach::Rcs { features: Vec::new() }));
    }
    assert_eq!((server.requests().len(), server.connections.load(Ordering::Relaxed)), (5, 1));
}

#[tokio::test]
async fn credentials_go_only_to_a_server_that_our_authorities_vouch_for() {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).unwrap();
    let issuer = rcgen::Issuer::from_params(&params, &key);
    let server_key = rcgen::KeyPair::generate().unwrap();
    let server_params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = server_params.signed_by(&server_key, &issuer).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(server_key.serialize_der())),
        )
        .unwrap();
    let server = Fixed::start(&[(200, "{\"features\":[]}")], Some(TlsAcceptor::from(Arc::new(config)))).await;
    let provider = |trust| {
        let (patience, retries) = quick();
        RcsForBusiness::new(RbmConfig {
            agent_id: AgentId::parse(AGENT).unwrap(),
            endpoint: Endpoint::parse(&format!("https://{}", server.address)).unwrap(),
            trust,
            tokens: Arc::new(FixedToken::new(BearerToken::parse(TOKEN).unwrap())),
            client_token: ClientToken::parse(CLIENT_TOKEN).unwrap(),
            traffic_type: None,
            webhook_window_ms: WEBHOOK_WINDOW_MS,
            patience,
            retries,
        })
    };
    let stranger = provider(TrustAnchors::none());
    assert_eq!(stranger.capabilities(&number(ALICE)).await, Err(ProviderFailure::Unreachable));
    assert!(server.requests().is_empty());
    let known = provider(TrustAnchors::from_pem(authority.pem().as_bytes()).unwrap());
    assert_eq!(known.capabilities(&number(ALICE)).await, Ok(Reach::Rcs { features: Vec::new() }));
}

#[tokio::test]
async fn fakes_post_webhooks_until_they_are_taken() {
    let server = Fixed::start(&[(503, ""), (403, ""), (200, "")], None).await;
    let fake = FakeRbm::start(AGENT, TOKEN, CLIENT_TOKEN).await.unwrap();
    fake.post_to(&format!("{}/webhook/rbm", server.url()), TrustAnchors::none()).unwrap();
    fake.says(ALICE, "Hello");
    until("the third attempt is taken", || fake.webhooks_waiting() == 0).await;
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|request| request.starts_with("POST /webhook/rbm HTTP/1.1\r\n")));
    assert!(requests.iter().all(|request| request.contains("x-rcseal-fake: not a real provider")));
    let bodies: Vec<_> = requests.iter().map(|request| request.split_once("\r\n\r\n").unwrap().1).collect();
    assert!(bodies.iter().all(|body| body == &bodies[0]));
}
