//! A TLS server that does exactly what a test tells it to, connection by connection.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rcseal_client::net::{Endpoint, Timeouts, TrustAnchors};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// One connection, and its number from 0.
pub(crate) struct Peer {
    pub(crate) stream: TlsStream<TcpStream>,
    pub(crate) number: usize,
}

/// A request as it came.
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) path: String,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

impl Peer {
    /// Reads one request; `None` when the client hung up. Reads not one byte more, so that a WebSocket may follow.
    pub(crate) async fn request(&mut self) -> Option<Received> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).unwrap();
        let mut line = head.split(' ');
        let (method, path) = (line.next().unwrap().to_owned(), line.next().unwrap().to_owned());
        let mut received = Received { method, path, head, body: Vec::new() };
        let len = received.header("content-length").map_or(0, |len| len.parse().unwrap());
        received.body.resize(len, 0);
        self.stream.read_exact(&mut received.body).await.ok()?;
        Some(received)
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        // The client may have had enough; that is for the test to see on its side.
        let _ = self.stream.write_all(bytes).await;
        let _ = self.stream.flush().await;
    }

    pub(crate) async fn answer(&mut self, status: u16, headers: &str, body: &[u8]) {
        let head = format!("HTTP/1.1 {status} Whatever\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
        self.write(head.as_bytes()).await;
        self.write(body).await;
    }

    pub(crate) async fn answer_json(&mut self, body: &impl serde::Serialize) {
        self.answer(200, "content-type: application/json\r\n", &serde_json::to_vec(body).unwrap()).await;
    }

    pub(crate) async fn answer_problem(&mut self, code: rcseal_wire::problem::ProblemCode) {
        let problem = rcseal_wire::problem::Problem::new(code);
        let body = serde_json::to_vec(&problem).unwrap();
        self.answer(problem.status, "content-type: application/problem+json\r\n", &body).await;
    }

    /// Keeps the connection open and silent for ever.
    pub(crate) async fn stall(self) {
        std::future::pending::<()>().await;
    }
}

/// An authority and a certificate of its for 127.0.0.1.
pub(crate) struct Authority {
    pub(crate) pem: String,
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        Self { pem: issuer.pem(), certificate, key }
    }

    pub(crate) fn config(&self, versions: &[&'static rustls::SupportedProtocolVersion]) -> ServerConfig {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.der().clone()], key)
            .unwrap()
    }
}

/// A running server. Its tasks end with it.
pub(crate) struct Server {
    pub(crate) port: u16,
    authority: Authority,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves each connection with `serve`.
    pub(crate) async fn start<F, R>(serve: F) -> Self
    where
        F: Fn(Peer) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        Self::start_with(Authority::new("127.0.0.1"), &[&rustls::version::TLS13], serve).await
    }

    pub(crate) async fn start_with<F, R>(
        authority: Authority,
        versions: &[&'static rustls::SupportedProtocolVersion],
        serve: F,
    ) -> Self
    where
        F: Fn(Peer) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let acceptor = TlsAcceptor::from(Arc::new(authority.config(versions)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        let serve = Arc::new(serve);
        let task = tokio::spawn(async move {
            // Dropped with this task, the set ends every connection.
            let mut serving = tokio::task::JoinSet::new();
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let (acceptor, serve, counted) = (acceptor.clone(), Arc::clone(&serve), Arc::clone(&counted));
                serving.spawn(async move {
                    let Ok(stream) = acceptor.accept(tcp).await else { return };
                    let number = counted.fetch_add(1, Ordering::SeqCst);
                    serve(Peer { stream, number }).await;
                });
            }
        });
        Self { port, authority, connections, task }
    }

    /// The server as a client that trusts it sees it.
    pub(crate) fn endpoint(&self) -> Endpoint {
        self.endpoint_with(Timeouts::default())
    }

    pub(crate) fn endpoint_with(&self, timeouts: Timeouts) -> Endpoint {
        endpoint(self.port, &self.authority.pem, timeouts)
    }

    /// The authority that a client must trust to speak to it.
    pub(crate) fn authority_pem(&self) -> &str {
        &self.authority.pem
    }

    /// The SubjectPublicKeyInfo of its certificate.
    pub(crate) fn public_key_info(&self) -> Vec<u8> {
        use rcgen::PublicKeyData as _;
        self.authority.key.subject_public_key_info()
    }

    /// Connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn endpoint(port: u16, authority_pem: &str, timeouts: Timeouts) -> Endpoint {
    let origin = format!("https://127.0.0.1:{port}").parse().unwrap();
    Endpoint::new(origin, &TrustAnchors::from_pem(authority_pem.as_bytes()).unwrap(), timeouts).unwrap()
}

/// Timeouts that a test may wait for.
pub(crate) fn impatient() -> Timeouts {
    let short = std::time::Duration::from_millis(150);
    Timeouts {
        answer: short,
        stall: short,
        whole: 4 * short,
        silence: short,
        tls: short,
        connect: std::time::Duration::from_secs(5),
    }
}
