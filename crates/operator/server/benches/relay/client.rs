//! The least client that can log in, submit and receive.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use prost::Message as _;
use rcseal_wire::api::{Base64, LoginChallenge, LoginRequest, LoginResponse, path};
use rcseal_wire::frame::mailbox_event::Event;
use rcseal_wire::frame::{FRAME_LEN_MAX, MAILBOX_PATH, MailboxEvent, SUBMIT_PATH};
use rcseal_wire::login::{TLS_EXPORTER_LABEL, TLS_EXPORTER_LEN, login_bytes};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::server::{Owner, Relay};

#[derive(Clone)]
pub(crate) struct Tls(Arc<ClientConfig>);

impl Tls {
    pub(crate) fn trusting(authority_pem: &str) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority_pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        // Every connection is a stranger, as between phones.
        config.resumption = rustls::client::Resumption::disabled();
        Self(Arc::new(config))
    }

    async fn connect(&self, address: SocketAddr) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(self.0.clone()).connect(name, stream).await.unwrap()
    }
}

/// An HTTPS connection that logs devices in.
pub(crate) struct Login {
    sender: SendRequest<Full<Bytes>>,
    exporter: [u8; TLS_EXPORTER_LEN],
}

impl Login {
    pub(crate) async fn connect(relay: &Relay) -> Self {
        let stream = relay.tls.connect(relay.address).await;
        let exporter =
            stream.get_ref().1.export_keying_material([0; TLS_EXPORTER_LEN], TLS_EXPORTER_LABEL, None).unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self { sender, exporter }
    }

    async fn post(&mut self, path: &str, body: Vec<u8>) -> Bytes {
        let request = Request::post(path).header("host", "localhost").header("content-type", "application/json");
        self.sender.ready().await.unwrap();
        let response = self.sender.send_request(request.body(Full::new(body.into())).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        response.into_body().collect().await.unwrap().to_bytes()
    }

    /// The login token of an account's device.
    pub(crate) async fn log_in(&mut self, relay: &Relay, owner: &Owner) -> String {
        let challenge: LoginChallenge =
            serde_json::from_slice(&self.post(path::LOGIN_CHALLENGE, b"null".to_vec()).await).unwrap();
        let nonce = challenge.nonce.0.try_into().unwrap();
        let signature =
            owner.auth_key.sign(&[&login_bytes(&relay.origin, &self.exporter, owner.address, &nonce)]).0.to_vec();
        let request =
            LoginRequest { account: owner.address.account, device: owner.address.device, signature: Base64(signature) };
        let reply: LoginResponse =
            serde_json::from_slice(&self.post(path::LOGIN, serde_json::to_vec(&request).unwrap()).await).unwrap();
        reply.token
    }
}

/// A WebSocket of the message plane.
pub(crate) struct Plane {
    socket: WebSocketStream<TlsStream<TcpStream>>,
}

impl Plane {
    pub(crate) async fn submitter(relay: &Relay) -> Self {
        Self::open(relay, SUBMIT_PATH, None, 64 * 1024).await
    }

    pub(crate) async fn device(relay: &Relay, token: &str) -> Self {
        Self::open(relay, MAILBOX_PATH, Some(token), 4 * 1024).await
    }

    async fn open(relay: &Relay, path: &str, token: Option<&str>, buffer: usize) -> Self {
        let stream = relay.tls.connect(relay.address).await;
        let mut request = format!("wss://localhost{path}").into_client_request().unwrap();
        if let Some(token) = token {
            request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        let config = WebSocketConfig::default()
            .read_buffer_size(buffer)
            .write_buffer_size(buffer)
            .max_message_size(Some(FRAME_LEN_MAX));
        let (socket, _) = tokio_tungstenite::client_async_with_config(request, stream, Some(config))
            .await
            .expect("the server takes us");
        Self { socket }
    }

    pub(crate) async fn send(&mut self, frame: Vec<u8>) {
        self.socket.send(Message::Binary(frame.into())).await.expect("the server reads");
    }

    /// Queues a frame; [`Self::flush`] sends what is queued.
    pub(crate) async fn feed(&mut self, frame: Vec<u8>) {
        self.socket.feed(Message::Binary(frame.into())).await.expect("the server reads");
    }

    pub(crate) async fn flush(&mut self) {
        self.socket.flush().await.expect("the server reads");
    }

    /// The next frame, if it is here already.
    pub(crate) fn try_next(&mut self) -> Option<Bytes> {
        self.next().now_or_never()
    }

    pub(crate) async fn next(&mut self) -> Bytes {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Binary(frame))) => return frame,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("the server hung up: {other:?}"),
            }
        }
    }

    pub(crate) async fn event(&mut self) -> Event {
        MailboxEvent::decode(self.next().await).unwrap().event.unwrap()
    }
}
