//! A small HTTPS client: one connection, one request at a time, everything visible.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rcseal_wire::login::{TLS_EXPORTER_LABEL, TLS_EXPORTER_LEN};
use rcseal_wire::problem::Problem;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

#[derive(Clone)]
pub struct Tls(Arc<ClientConfig>);

impl Tls {
    pub fn trusting(authority_pem: &str) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority_pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self(Arc::new(config))
    }

    /// The same, asking for an application protocol.
    pub fn with_protocol(&self, name: &[u8]) -> Self {
        let mut config = (*self.0).clone();
        config.alpn_protocols = vec![name.to_vec()];
        Self(Arc::new(config))
    }

    pub async fn connect(&self, address: SocketAddr) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(self.0.clone()).connect(name, stream).await.unwrap()
    }
}

pub struct Client {
    sender: SendRequest<BoxBody<Bytes, std::io::Error>>,
    pub exporter: [u8; TLS_EXPORTER_LEN],
    pub token: Option<String>,
    pub delivery_token: Option<String>,
}

impl Client {
    pub async fn connect(tls: &Tls, address: SocketAddr) -> Self {
        let stream = tls.connect(address).await;
        let exporter =
            stream.get_ref().1.export_keying_material([0; TLS_EXPORTER_LEN], TLS_EXPORTER_LABEL, None).unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self { sender, exporter, token: None, delivery_token: None }
    }

    /// Sends a request with whatever credentials the client has.
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: BoxBody<Bytes, std::io::Error>,
    ) -> Reply {
        self.try_send(method, path, headers, body).await.unwrap()
    }

    pub async fn try_send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: BoxBody<Bytes, std::io::Error>,
    ) -> Result<Reply, hyper::Error> {
        let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(token) = &self.delivery_token {
            request = request.header("rcseal-delivery-token", token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.sender.ready().await?;
        let response = self.sender.send_request(request.body(body).unwrap()).await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Reply { status: parts.status.as_u16(), headers: parts.headers, body })
    }

    pub async fn get(&mut self, path: &str) -> Reply {
        self.send(Method::GET, path, &[], full("")).await
    }

    pub async fn post(&mut self, path: &str, body: &impl Serialize) -> Reply {
        self.json(Method::POST, path, body).await
    }

    pub async fn put(&mut self, path: &str, body: &impl Serialize) -> Reply {
        self.json(Method::PUT, path, body).await
    }

    pub async fn delete(&mut self, path: &str) -> Reply {
        self.send(Method::DELETE, path, &[], full("")).await
    }

    pub async fn bytes(&mut self, method: Method, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        self.send(method, path, headers, full(body.to_vec())).await
    }

    pub async fn json(&mut self, method: Method, path: &str, body: &impl Serialize) -> Reply {
        let body = serde_json::to_vec(body).unwrap();
        self.send(method, path, &[("content-type", "application/json")], full(body)).await
    }
}

pub fn full(body: impl Into<Bytes>) -> BoxBody<Bytes, std::io::Error> {
    Full::new(body.into()).map_err(|never| match never {}).boxed()
}

pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The problem's code, having checked that document, status and media type agree.
    pub fn code(&self) -> String {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        let problem: Problem = self.json();
        assert_eq!(problem.status, self.status);
        problem.code
    }

    /// The reply, having checked its status.
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.status, String::from_utf8_lossy(&self.body))
    }
}
