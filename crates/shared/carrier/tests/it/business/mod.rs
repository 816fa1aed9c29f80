//! Providers of business messages against their fakes. **The fakes are ours**: these tests show that client and fake agree on the published
//! protocol, and that the fall-back keeps its promises over it. They show nothing about a production service.

mod fallback;
mod rbm;
mod sinch;
mod transport;
mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use rcseal_carrier::business::fake::rbm::FakeRbm;
use rcseal_carrier::business::fake::sinch::FakeSinch;
use rcseal_carrier::business::rbm::{AgentId, ClientToken, RbmConfig, RcsForBusiness, WEBHOOK_WINDOW_MS};
use rcseal_carrier::business::sinch::{
    Sinch, SinchAuth, SinchConfig, SinchId, WEBHOOK_WINDOW_MS as SINCH_WINDOW_MS, WebhookSecret,
};
use rcseal_carrier::business::token::{BearerToken, FixedToken};
use rcseal_carrier::business::{
    AgentMessage, BusinessProvider, Content, Endpoint, MessageId, Patience, ProviderEvent, RetryPolicy, Ttl, Webhook,
    WebhookEvent,
};
use rcseal_carrier::tls::TrustAnchors;
use rcseal_rcs::number::PhoneNumber;

const AGENT: &str = "welcome-agent@rbm.example";
const TOKEN: &str = "access-token-1";
const CLIENT_TOKEN: &str = "SJENCPGJESMGUFPY";
const ALICE: &str = "+12015550123";
const BOB: &str = "+12015550124";

fn quick() -> (Patience, RetryPolicy) {
    let patience = Patience { connect: Duration::from_secs(2), whole: Duration::from_millis(700) };
    let retries = RetryPolicy { again: 3, first: Duration::from_millis(5), longest: Duration::from_millis(20) };
    (patience, retries)
}

fn number(text: &str) -> PhoneNumber {
    text.parse().unwrap()
}

fn id(seed: u8) -> MessageId {
    MessageId::from_random([seed; 16])
}

fn text(seed: u8, to: &str, words: &str, ttl: Option<u64>) -> AgentMessage {
    let ttl = ttl.map(|seconds| Ttl::from_seconds(seconds).unwrap());
    AgentMessage::new(id(seed), number(to), Content::Text { text: words.into(), suggestions: Vec::new() }, ttl).unwrap()
}

fn rbm_client(url: &str) -> RcsForBusiness {
    let (patience, retries) = quick();
    RcsForBusiness::new(RbmConfig {
        agent_id: AgentId::parse(AGENT).unwrap(),
        endpoint: Endpoint::parse(url).unwrap(),
        trust: TrustAnchors::none(),
        tokens: Arc::new(FixedToken::new(BearerToken::parse(TOKEN).unwrap())),
        client_token: ClientToken::parse(CLIENT_TOKEN).unwrap(),
        traffic_type: None,
        webhook_window_ms: WEBHOOK_WINDOW_MS,
        patience,
        retries,
    })
}

async fn rbm() -> (FakeRbm, RcsForBusiness) {
    let fake = FakeRbm::start(AGENT, TOKEN, CLIENT_TOKEN).await.unwrap();
    let client = rbm_client(&fake.url());
    (fake, client)
}

const PROJECT: &str = "c36f3d3d-1513-4edd-ae42-11995557ff61";
const APP: &str = "01EB37HMH1M6SV18BSNS3G135H";
const SECRET: &str = "foo_secret1234";

fn sinch_client(url: &str, may_fall_back_itself: bool) -> Sinch {
    let (patience, retries) = quick();
    Sinch::new(SinchConfig {
        project_id: SinchId::parse(PROJECT).unwrap(),
        app_id: SinchId::parse(APP).unwrap(),
        endpoint: Endpoint::parse(url).unwrap(),
        trust: TrustAnchors::none(),
        auth: SinchAuth::Key { id: "key-1".into(), secret: "secret-1".to_owned().into() },
        webhook_secret: WebhookSecret::parse(SECRET).unwrap(),
        may_fall_back_itself,
        webhook_window_ms: SINCH_WINDOW_MS,
        patience,
        retries,
    })
}

async fn sinch(may_fall_back_itself: bool) -> (FakeSinch, Sinch) {
    let fake = FakeSinch::start(PROJECT, APP, ("key-1", "secret-1"), SECRET).await.unwrap();
    let client = sinch_client(&fake.url(), may_fall_back_itself);
    (fake, client)
}

/// Everything that waits at the fake, read by the provider.
fn read(
    provider: &dyn BusinessProvider,
    webhooks: Vec<rcseal_carrier::business::fake::Posted>,
    now_ms: u64,
) -> Vec<WebhookEvent> {
    let read = webhooks.iter().flat_map(|webhook| {
        assert!(webhook.headers.contains_key(rcseal_carrier::business::fake::LABEL), "a fake says that it is one");
        match provider.parse_webhook(&webhook.headers, &webhook.body, now_ms).unwrap() {
            Webhook::Events(events) => events,
            Webhook::Handshake { .. } => panic!("events were expected"),
        }
    });
    read.collect()
}

fn what(events: &[WebhookEvent]) -> Vec<ProviderEvent> {
    events.iter().map(|event| event.event.clone()).collect()
}
