//! From a provider's call to the message that the business reads: the provider is a fake that signs as the published protocol says, the
//! business waits in a long poll, and in between lie the check of the signature, the durable row, and the tenant's feed.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use rcseal_broker::config::{AgentConfig, RbmAgentConfig, TenantConfig, TenantSmsConfig};
use rcseal_carrier::business::fake::rbm::FakeRbm;
use rcseal_crypto::hash::sha256;
use rcseal_report::{Report, Row};
use rcseal_server::{Config as RelayConfig, Server, init};
use rcseal_sim::broker::SimBroker;
use rcseal_wire::api::business::{BUSINESS_EVENTS_PATH, BusinessEvents};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::median;

const KEY: &str = "0123456789abcdef0123456789abcdef";
const PERSON: &str = "+14155550144";
const MESSAGES: usize = 200;
const GOAL_MS: f64 = 20.0;

pub(crate) async fn measure(report: &mut Report) {
    let folder = tempfile::tempdir().unwrap();
    init::write_development_identity(folder.path()).unwrap();
    let relay = Server::start(RelayConfig::development(folder.path())).await.unwrap();
    let fake = FakeRbm::start("bench-agent", "access-token", "client-token").await.unwrap();
    fake.has_rcs(PERSON, true);
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let agent = AgentConfig {
        name: "bench".to_owned(),
        tenant: "bench".to_owned(),
        rbm: Some(RbmAgentConfig {
            agent_id: "bench-agent".to_owned(),
            endpoint: Some(fake.url()),
            authority: None,
            token: file("token", "access-token"),
            client_token: file("client-token", "client-token"),
        }),
        sinch: None,
    };
    let key_hash = sha256(&[KEY.as_bytes()]).iter().map(|byte| format!("{byte:02x}")).collect();
    let tenant = TenantConfig {
        name: "bench".to_owned(),
        key_hashes: vec![key_hash],
        requests_per_minute: 1_000_000,
        sms: TenantSmsConfig::default(),
    };
    let broker = SimBroker::start_with(relay.origin(), relay.ca_pem().unwrap(), |config| {
        config.business.tenants = vec![tenant];
        config.business.agents = vec![agent];
    })
    .await
    .unwrap();
    let address = broker.running().unwrap().addr();
    let mut provider = connect(broker.pem(), address).await;
    let mut business = connect(broker.pem(), address).await;
    let (mut times, mut after) = (Vec::new(), 0);
    for number in 0..MESSAGES {
        fake.says(PERSON, &format!("message {number}"));
        let posted = fake.take_webhooks().pop().unwrap();
        let began = Instant::now();
        let mut hook = Request::builder().method(Method::POST).uri("/v1/webhooks/bench").header("host", "localhost");
        for (name, value) in posted.headers.iter().filter(|(name, _)| *name != "host" && *name != "content-length") {
            hook = hook.header(name, value);
        }
        let hook = hook.body(Full::new(Bytes::from(posted.body.clone()))).unwrap();
        let poll = Request::builder()
            .uri(format!("{BUSINESS_EVENTS_PATH}?after={after}&wait=10"))
            .header("host", "localhost")
            .header("authorization", format!("Bearer {KEY}"))
            .body(Full::new(Bytes::new()))
            .unwrap();
        let (hooked, polled) = tokio::join!(send(&mut provider, hook), send(&mut business, poll));
        times.push(began.elapsed().as_secs_f64() * 1e3);
        assert_eq!(hooked.0, 200);
        let events: BusinessEvents = serde_json::from_slice(&polled.1).unwrap();
        assert_eq!(events.events.len(), 1, "{}", polled.0);
        after = events.events[0].sequence;
    }
    report.measure(Row::lower("webhook_to_business_p50_ms", median(&times), "ms").goal(GOAL_MS));
}

async fn connect(pem: &str, address: std::net::SocketAddr) -> SendRequest<Full<Bytes>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn send(to: &mut SendRequest<Full<Bytes>>, request: Request<Full<Bytes>>) -> (u16, Bytes) {
    to.ready().await.unwrap();
    let response = to.send_request(request).await.unwrap();
    let status = response.status().as_u16();
    (status, response.into_body().collect().await.unwrap().to_bytes())
}
