//! Requests to the broker that no client of the library makes: the business's own systems as its tenant, and what a provider and a gateway
//! report.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rcseal_carrier::business::fake::Posted;
use rcseal_client::net::TrustAnchors;
use rcseal_wire::api::business::{
    BUSINESS_EVENTS_PATH, BUSINESS_MESSAGES_PATH, BusinessEventBody, BusinessEvents, BusinessMessageRequest,
    BusinessStatus, business_message_path,
};
use rcseal_wire::origin::Origin;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::demo::carrier::scene::{LIMIT, until};
use crate::demo::stage::{StepError, ensure};

/// The business's key at the broker, and its SHA-256 as the configuration has it. The broker lives for seconds, on loopback.
const TENANT_KEY: &str = "demo-tenant-key-on-loopback-only-0123456789";
pub(super) const TENANT_KEY_HASH: &str = "7775086859bc6c340b57314582ecc286ea72bf212b92f565c105698e8eddc0a5";
/// The agent's name, and the last element of its webhook's path.
pub(super) const AGENT: &str = "support-desk";

/// What the broker answered.
pub(super) struct Reply {
    pub(super) status: u16,
    body: Bytes,
}

/// HTTP over TLS to the broker, a connection for each request.
pub(super) struct BrokerHttp {
    origin: Origin,
    address: std::net::SocketAddr,
    tls: Arc<ClientConfig>,
}

impl BrokerHttp {
    pub(super) fn new(origin: Origin, address: std::net::SocketAddr, trust: &TrustAnchors) -> Self {
        Self { origin, address, tls: trust.client_config() }
    }

    /// Posts.
    pub(super) async fn post(&self, path: &str, headers: &[(&str, &str)], body: Bytes) -> Result<Reply, StepError> {
        let request = headers.iter().fold(Request::post(path), |request, (name, value)| request.header(*name, *value));
        self.send(request, body).await
    }

    async fn send(&self, request: hyper::http::request::Builder, body: Bytes) -> Result<Reply, StepError> {
        let failed = |error: hyper::Error| StepError::Io(std::io::Error::other(error));
        let malformed = || StepError::NotShown { what: "a request that can be written".to_owned() };
        let name = ServerName::try_from("localhost").map_err(|_| malformed())?;
        let tcp = TcpStream::connect(self.address).await?;
        let tls = TlsConnector::from(Arc::clone(&self.tls)).connect(name, tcp).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(tls)).await.map_err(failed)?;
        let host = self.origin.to_string().trim_start_matches("https://").to_owned();
        let request = request.header("host", host).header("connection", "close").body(Full::new(body));
        let request = request.map_err(|_| malformed())?;
        // It ends with its connection, which is closed after the answer.
        tokio::spawn(connection);
        let response = sender.send_request(request).await.map_err(failed)?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.map_err(failed)?.to_bytes();
        Ok(Reply { status, body })
    }

    /// A webhook of the agent's provider; answers the status.
    pub(super) async fn webhook(&self, posted: &Posted) -> Result<u16, StepError> {
        let mut request = Request::post(format!("/v1/webhooks/{AGENT}"));
        for (name, value) in &posted.headers {
            request = request.header(name, value);
        }
        Ok(self.send(request, posted.body.clone().into()).await?.status)
    }

    fn as_tenant(request: hyper::http::request::Builder) -> hyper::http::request::Builder {
        request.header("authorization", format!("Bearer {TENANT_KEY}")).header("content-type", "application/json")
    }

    /// The business has its agent say something.
    pub(super) async fn say(&self, message: &BusinessMessageRequest) -> Result<BusinessStatus, StepError> {
        let body = serde_json::to_vec(message).map_err(|error| StepError::Io(error.into()))?;
        let reply = self.send(Self::as_tenant(Request::post(BUSINESS_MESSAGES_PATH)), body.into()).await?;
        ensure(reply.status == 202, format!("a message that the broker takes, but it said {}", reply.status))?;
        read(&reply)
    }

    /// How a message stands.
    pub(super) async fn status(&self, id: &str) -> Result<BusinessStatus, StepError> {
        let reply = self.send(Self::as_tenant(Request::get(business_message_path(id))), Bytes::new()).await?;
        ensure(reply.status == 200, format!("the status of a message, but the broker said {}", reply.status))?;
        read(&reply)
    }

    /// Waits until a message stands so.
    pub(super) async fn wait_for(&self, id: &str, phase: &str) -> Result<BusinessStatus, StepError> {
        let there = until(LIMIT, || async { Ok(self.status(id).await?.phase == phase) }).await?;
        ensure(there, format!("a message that is {phase:?}"))?;
        self.status(id).await
    }

    /// Everything that the business was told.
    pub(super) async fn events(&self) -> Result<Vec<BusinessEventBody>, StepError> {
        let reply = self.send(Self::as_tenant(Request::get(BUSINESS_EVENTS_PATH)), Bytes::new()).await?;
        ensure(reply.status == 200, format!("the business's events, but the broker said {}", reply.status))?;
        Ok(read::<BusinessEvents>(&reply)?.events.into_iter().map(|event| event.what).collect())
    }
}

fn read<T: DeserializeOwned>(reply: &Reply) -> Result<T, StepError> {
    serde_json::from_slice(&reply.body)
        .map_err(|_| StepError::NotShown { what: "an answer of the broker that can be read".to_owned() })
}
