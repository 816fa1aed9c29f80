//! A business, its provider and its gateway. The provider is a fake that follows the published protocol, and is labelled so.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::routing::post;
use axum::{Form, Router};
use http::{Method, StatusCode};
use rcseal_broker::config::{AgentConfig, HttpSmsConfig, RbmAgentConfig, TenantConfig, TenantSmsConfig};
use rcseal_carrier::business::MessageId;
use rcseal_carrier::business::fake::rbm::{FakeRbm, Race};
use rcseal_carrier::business::fake::{Disorder, Posted, Trouble};
use rcseal_crypto::hash::sha256;
use rcseal_store::UnixMillis;
use rcseal_wire::api::business::{
    BUSINESS_EVENTS_PATH, BUSINESS_MESSAGES_PATH, BusinessContent, BusinessEvents, BusinessMessageRequest,
    BusinessReach, BusinessRevoked, BusinessSms, BusinessStatus, BusinessSuggestion, WhenUnknown,
    business_message_path,
};
use rcseal_wire::carrier_delivery::{CarrierChannel, DeliverySender};
use tokio::net::TcpListener;

use crate::client::Reply;
use crate::world::{ALICE, BOB, Person, STRANGER, World, until};

const KEY: &str = "0123456789abcdef0123456789abcdef";
const OTHER_KEY: &str = "fedcba9876543210fedcba9876543210";
const SECRET: &str = "5ec7e75ec7e75ec7e75ec7e75ec7e75e";
const WEBHOOK: &str = "/v1/webhooks/acme-rbm";

/// An SMS gateway of Jasmin's shape.
#[derive(Default)]
struct FakeSms {
    sent: Mutex<Vec<HashMap<String, String>>>,
    answers: Mutex<VecDeque<u16>>,
}

impl FakeSms {
    async fn start() -> (Arc<Self>, String) {
        let state = Arc::new(Self::default());
        let router = Router::new().route("/send", post(Self::take)).with_state(state.clone());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/send", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (state, url)
    }

    async fn take(State(state): State<Arc<Self>>, Form(form): Form<HashMap<String, String>>) -> (StatusCode, String) {
        let status = state.answers.lock().unwrap().pop_front().unwrap_or(200);
        let mut sent = state.sent.lock().unwrap();
        if status == 200 {
            sent.push(form);
        }
        (StatusCode::from_u16(status).unwrap(), format!("Success \"sms-{}\"", sent.len()))
    }

    fn count(&self) -> usize {
        self.sent.lock().unwrap().len()
    }

    /// The words of the last one.
    fn words(&self) -> String {
        let sent = self.sent.lock().unwrap();
        let digits = sent.last().unwrap()["hex-content"].clone();
        let bytes = digits
            .as_bytes()
            .chunks(2)
            .map(|pair| char::from(u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()));
        bytes.collect()
    }
}

struct Shop {
    world: World,
    fake: FakeRbm,
    sms: Arc<FakeSms>,
}

impl Shop {
    async fn open() -> Self {
        Self::open_with_codes(true).await
    }

    async fn open_with_codes(has_codes: bool) -> Self {
        let fake = FakeRbm::start("acme-agent", "access-token", "client-token-of-acme").await.unwrap();
        let (sms, url) = FakeSms::start().await;
        let endpoint = fake.url();
        let world = World::start_at(UnixMillis::new(fake.now_ms()), has_codes, |folder, config| {
            let file = |name: &str, text: &str| {
                let path = folder.join(name);
                std::fs::write(&path, format!("{text}\n")).unwrap();
                path
            };
            config.sms.sender = Some("+447700900100".to_owned());
            config.sms.http = Some(HttpSmsConfig {
                url,
                user: "acme".to_owned(),
                password: file("sms-password", "secret"),
                authority: None,
                callback_secret: file("sms-callback", SECRET),
                callback_origin: Some("http://127.0.0.1:1".to_owned()),
                signing_key: None,
            });
            let tenant = |name: &str, key: &str| TenantConfig {
                name: name.to_owned(),
                key_hashes: vec![sha256(&[key.as_bytes()]).iter().map(|byte| format!("{byte:02x}")).collect()],
                requests_per_minute: 6_000,
                sms: TenantSmsConfig {
                    segments_per_day: 12,
                    sender: (name == "other").then(|| "Other".to_owned()),
                    ..TenantSmsConfig::default()
                },
            };
            config.business.tenants = vec![tenant("acme", KEY), tenant("other", OTHER_KEY)];
            config.business.agents = vec![AgentConfig {
                name: "acme-rbm".to_owned(),
                tenant: "acme".to_owned(),
                rbm: Some(RbmAgentConfig {
                    agent_id: "acme-agent".to_owned(),
                    endpoint: Some(endpoint),
                    authority: None,
                    token: file("rbm-token", "access-token"),
                    client_token: file("rbm-client-token", "client-token-of-acme"),
                }),
                sinch: None,
            }];
        })
        .await;
        Self { world, fake, sms }
    }

    async fn call_as(&self, key: &str, method: Method, path: &str, body: &serde_json::Value) -> Reply {
        let mut client = self.world.connect_broker().await;
        client.token = Some(key.to_owned());
        let body = if body.is_null() { Vec::new() } else { serde_json::to_vec(body).unwrap() };
        client.bytes(method, path, &[("content-type", "application/json")], &body).await
    }

    async fn send(&self, request: &BusinessMessageRequest) -> BusinessStatus {
        let body = serde_json::to_value(request).unwrap();
        let reply = self.call_as(KEY, Method::POST, BUSINESS_MESSAGES_PATH, &body).await;
        assert_eq!(reply.status, 202, "{reply:?}");
        reply.json()
    }

    async fn status(&self, id: &str) -> BusinessStatus {
        let reply = self.call_as(KEY, Method::GET, &business_message_path(id), &serde_json::Value::Null).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()
    }

    async fn phase(&self, id: &str, phase: &str) {
        until(async || self.status(id).await.phase == phase).await;
    }

    async fn post(&self, posted: &Posted) -> Reply {
        let headers: Vec<(&str, &str)> = posted
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .filter(|(name, _)| *name != "host" && *name != "content-length")
            .collect();
        self.world.connect_broker().await.bytes(Method::POST, WEBHOOK, &headers, &posted.body).await
    }

    /// Hands everything over that the provider has to report.
    async fn report(&self) -> Vec<Posted> {
        let posted = self.fake.take_webhooks();
        for one in &posted {
            let reply = self.post(one).await;
            assert_eq!(reply.status, 200, "{reply:?}");
        }
        posted
    }

    async fn sms_report(&self, id: &str, state: &str) -> Reply {
        let body = format!("id={id}&level=2&message_status={state}");
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let path = format!("/v1/callbacks/sms/{SECRET}");
        self.world.connect_broker().await.bytes(Method::POST, &path, &headers, body.as_bytes()).await
    }

    /// Time passes, for everybody.
    async fn advance(&self, seconds: u64) {
        self.world.clock.advance_seconds(seconds);
        self.fake.advance(Duration::from_secs(seconds));
        self.world.broker().sweep().await.unwrap();
    }

    async fn events(&self, after: u64) -> BusinessEvents {
        let path = format!("{BUSINESS_EVENTS_PATH}?after={after}");
        let reply = self.call_as(KEY, Method::GET, &path, &serde_json::Value::Null).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()
    }

    async fn kinds(&self) -> Vec<String> {
        self.events(0).await.events.into_iter().map(|event| event.what.kind).collect()
    }

    /// What reached the person's phone: messages by RCS, and SMS.
    fn arrived(&self) -> (usize, usize) {
        (self.fake.messages().iter().filter(|message| message.is_delivered).count(), self.sms.count())
    }
}

fn message(n: u8, when_unknown: WhenUnknown) -> BusinessMessageRequest {
    BusinessMessageRequest {
        id: MessageId::from_random([n; 16]).to_string(),
        agent: None,
        to: ALICE.parse().unwrap(),
        content: BusinessContent::Card {
            title: "Your parcel".to_owned(),
            body: "It comes today.".to_owned(),
            suggestions: vec![BusinessSuggestion::Reply { text: "Thanks".to_owned(), postback: "ok".to_owned() }],
        },
        ttl_seconds: 60,
        sms: Some(BusinessSms { text: "Your parcel comes today.".to_owned(), when_unknown }),
    }
}

fn card(n: u8) -> BusinessMessageRequest {
    message(n, WhenUnknown::Wait)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_is_delivered_and_named_by_what_carried_it() {
    let mut shop = Shop::open().await;
    shop.fake.has_rcs(ALICE, true);
    let request = card(1);
    shop.send(&request).await;
    until(async || shop.arrived() == (1, 0)).await;
    shop.report().await;
    shop.fake.reads(ALICE);
    shop.report().await;
    let status = shop.status(&request.id).await;
    assert_eq!((status.phase.as_str(), status.channel.as_deref(), status.read), ("delivered", Some("RCS"), true));
    // Asked for again, it is not sent again, whatever was restarted.
    shop.world.restart_broker().await;
    assert_eq!(shop.send(&request).await.phase, "delivered");
    let other = BusinessMessageRequest { ttl_seconds: 61, ..request.clone() };
    let reply = shop.call_as(KEY, Method::POST, BUSINESS_MESSAGES_PATH, &serde_json::to_value(&other).unwrap()).await;
    assert_eq!((reply.status, reply.code().as_str()), (409, "id_conflict"));
    shop.advance(3600).await;
    assert_eq!(shop.arrived(), (1, 0));
    assert_eq!(shop.kinds().await, ["delivered", "read"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_rcs_does_not_reach_gets_one_sms() {
    let shop = Shop::open().await;
    let request = card(2);
    shop.send(&request).await;
    until(async || shop.sms.count() == 1).await;
    assert_eq!(shop.sms.words(), "Your parcel comes today.");
    shop.phase(&request.id, "sms_sent").await;
    for _ in 0..2 {
        assert_eq!(shop.sms_report("sms-1", "DELIVRD").await.status, 200);
    }
    shop.phase(&request.id, "delivered").await;
    let status = shop.status(&request.id).await;
    assert_eq!((status.channel.as_deref(), status.by_both, status.sms_segments), (Some("SMS"), false, Some(1)));
    assert_eq!(shop.kinds().await, ["sms_submitted", "sms_delivered"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_waits_too_long_falls_back_once_through_restarts_between_every_step() {
    let mut shop = Shop::open().await;
    shop.fake.has_rcs(ALICE, false);
    let request = card(3);
    shop.send(&request).await;
    shop.phase(&request.id, "waiting").await;
    shop.world.restart_broker().await;
    shop.advance(70).await;
    for _ in 0..20 {
        shop.report().await;
        shop.world.restart_broker().await;
        shop.advance(10).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        if shop.sms.count() > 0 {
            break;
        }
    }
    until(async || shop.sms.count() == 1).await;
    shop.world.restart_broker().await;
    shop.advance(3600).await;
    shop.report().await;
    assert_eq!(shop.arrived(), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_was_reported_in_time_keeps_the_sms_back() {
    let shop = Shop::open().await;
    shop.fake.has_rcs(ALICE, false);
    shop.fake.race(Race::SaidAndDelivered);
    let request = card(4);
    shop.send(&request).await;
    shop.phase(&request.id, "waiting").await;
    // The provider says that it took the message back, and delivers it all the same; both reports come before the SMS is due.
    shop.fake.disorder(Disorder { copies: 2, is_backwards: true });
    shop.advance(61).await;
    until(async || shop.fake.webhooks_waiting() > 0).await;
    shop.report().await;
    shop.phase(&request.id, "delivered").await;
    shop.advance(3600).await;
    shop.report().await;
    assert_eq!(shop.arrived(), (1, 0));
    assert_eq!(shop.status(&request.id).await.channel.as_deref(), Some("RCS"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_was_reported_too_late_is_said_to_be_a_double() {
    let shop = Shop::open().await;
    shop.fake.has_rcs(ALICE, false);
    shop.fake.race(Race::SaidAndDelivered);
    let request = card(5);
    shop.send(&request).await;
    shop.phase(&request.id, "waiting").await;
    shop.advance(61).await;
    until(async || shop.fake.webhooks_waiting() > 0).await;
    let posted = shop.fake.take_webhooks();
    // The notice of revocation only; the report of the delivery stays away for now.
    let (delivered, revoked): (Vec<_>, Vec<_>) = posted.into_iter().partition(is_delivery);
    for one in &revoked {
        assert_eq!(shop.post(one).await.status, 200);
    }
    for _ in 0..10 {
        shop.advance(10).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    until(async || shop.sms.count() == 1).await;
    let late = shop.fake.take_webhooks();
    for one in delivered.iter().chain(&late) {
        assert_eq!(shop.post(one).await.status, 200);
    }
    shop.phase(&request.id, "delivered").await;
    let status = shop.status(&request.id).await;
    assert!(status.by_both, "{status:?}");
    assert_eq!(shop.sms.count(), 1);
}

/// Whether a webhook reports a delivery: what it says is base64 inside.
fn is_delivery(posted: &Posted) -> bool {
    let outer: serde_json::Value = serde_json::from_slice(&posted.body).unwrap();
    let data = outer["message"]["data"].as_str().unwrap().trim_end_matches('=').replace('+', "-").replace('/', "_");
    let inner = rcseal_wire::b64::decode(&data).unwrap_or_default();
    String::from_utf8_lossy(&inner).contains("DELIVERED")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_busy_or_away_is_asked_again_and_gets_it_once() {
    let mut shop = Shop::open().await;
    shop.sms.answers.lock().unwrap().extend([429, 429]);
    let request = card(6);
    shop.send(&request).await;
    until(async || shop.sms.answers.lock().unwrap().len() == 1).await;
    shop.phase(&request.id, "sms_due").await;
    shop.world.restart_broker().await;
    until(async || {
        shop.advance(10).await;
        shop.sms.count() == 1
    })
    .await;
    shop.phase(&request.id, "sms_sent").await;
    shop.world.restart_broker().await;
    shop.advance(3600).await;
    assert_eq!(shop.sms.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_did_not_answer_is_never_asked_twice() {
    let mut shop = Shop::open().await;
    // A server's own fault: nobody knows how far it came.
    shop.sms.answers.lock().unwrap().push_back(500);
    let request = card(7);
    shop.send(&request).await;
    shop.phase(&request.id, "sms_in_doubt").await;
    shop.world.restart_broker().await;
    shop.advance(3600).await;
    assert_eq!(shop.sms.count(), 0);
    assert_eq!(shop.status(&request.id).await.phase, "sms_in_doubt");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_busy_for_a_moment_is_no_reason_for_an_sms() {
    let shop = Shop::open().await;
    shop.fake.has_rcs(ALICE, true);
    shop.fake.trouble(&[Trouble::Status(503, None)]);
    let request = card(8);
    shop.send(&request).await;
    until(async || {
        shop.advance(1).await;
        shop.arrived().0 == 1
    })
    .await;
    shop.report().await;
    shop.phase(&request.id, "delivered").await;
    assert_eq!(shop.arrived(), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_its_tenant_takes_back_sends_no_sms() {
    let mut shop = Shop::open().await;
    shop.fake.has_rcs(ALICE, false);
    let request = card(9);
    shop.send(&request).await;
    shop.phase(&request.id, "waiting").await;
    let path = business_message_path(&request.id);
    let reply = shop.call_as(KEY, Method::DELETE, &path, &serde_json::Value::Null).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let revoked: BusinessRevoked = reply.json();
    assert_eq!((revoked.outcome.as_str(), revoked.status.phase.as_str()), ("confirmed", "withdrawn"));
    shop.world.restart_broker().await;
    for _ in 0..10 {
        shop.advance(30).await;
        shop.report().await;
    }
    shop.fake.comes_online(ALICE);
    assert_eq!(shop.arrived(), (0, 0));
    assert_eq!(shop.status(&request.id).await.phase, "withdrawn");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_user_writes_reaches_the_agents_tenant_once() {
    let mut shop = Shop::open().await;
    shop.fake.has_rcs(ALICE, true);
    shop.fake.says(ALICE, "is anybody there?");
    shop.fake.taps(ALICE, "Thanks", "ok");
    let posted = shop.report().await;
    shop.world.restart_broker().await;
    for one in &posted {
        assert_eq!(shop.post(one).await.status, 200);
    }
    let events = shop.events(0).await.events;
    assert_eq!(events.len(), 2);
    assert_eq!(events[0].what.from.as_deref(), Some(ALICE));
    assert_eq!(events[0].what.text.as_deref(), Some("is anybody there?"));
    assert_eq!(events[1].what.postback.as_deref(), Some("ok"));
    assert_eq!(shop.events(events[0].sequence).await.events.len(), 1);
    // A reader that waits hears of the next one when it comes.
    let path = format!("{BUSINESS_EVENTS_PATH}?after={}&wait=20", events[1].sequence);
    let waiting = shop.call_as(KEY, Method::GET, &path, &serde_json::Value::Null);
    let saying = async {
        shop.fake.says(ALICE, "hello?");
        shop.report().await;
    };
    let (reply, ()) = tokio::join!(waiting, saying);
    assert_eq!(reply.json::<BusinessEvents>().events.len(), 1);
    // Another tenant hears nothing of it.
    let reply = shop.call_as(OTHER_KEY, Method::GET, BUSINESS_EVENTS_PATH, &serde_json::Value::Null).await;
    assert!(reply.json::<BusinessEvents>().events.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_late_and_replayed_webhooks_change_nothing() {
    let shop = Shop::open().await;
    shop.fake.has_rcs(ALICE, true);
    let request = card(10);
    shop.send(&request).await;
    until(async || shop.arrived().0 == 1).await;
    let genuine = shop.fake.take_webhooks();
    assert!(!genuine.is_empty());
    let mut forged = genuine[0].clone();
    let at = forged.body.len() / 2;
    forged.body[at] ^= 1;
    let reply = shop.post(&forged).await;
    assert!(matches!(reply.status, 400 | 401), "{reply:?}");
    let mut unsigned = genuine[0].clone();
    unsigned.headers.clear();
    let reply = shop.post(&unsigned).await;
    assert_eq!((reply.status, reply.code().as_str()), (401, "webhook_refused"));
    let nowhere = shop.world.connect_broker().await.bytes(Method::POST, "/v1/webhooks/none", &[], b"{}").await;
    assert_eq!(nowhere.code(), "not_found");
    // Eight days later the signature still holds, and the window has closed: it is acknowledged, so that it does not come again, and dropped.
    shop.world.clock.advance_seconds(8 * 24 * 3600);
    let reply = shop.post(&genuine[0]).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(shop.kinds().await.is_empty());
    assert_ne!(shop.status(&request.id).await.phase, "delivered");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_tenant_asks_and_only_of_its_own() {
    let shop = Shop::open().await;
    shop.fake.has_rcs(ALICE, true);
    let request = card(11);
    shop.send(&request).await;
    let body = serde_json::to_value(&request).unwrap();
    for (key, status, code) in
        [("", 401, "tenant_key_unknown"), (&KEY[1..], 401, "tenant_key_unknown"), (OTHER_KEY, 404, "not_found")]
    {
        let reply = shop.call_as(key, Method::POST, BUSINESS_MESSAGES_PATH, &body).await;
        assert_eq!((reply.status, reply.code().as_str()), (status, code));
        let reply = shop.call_as(key, Method::GET, &business_message_path(&request.id), &serde_json::Value::Null).await;
        assert_eq!((reply.status, reply.code().as_str()), (status, code));
    }
    let bad = BusinessMessageRequest { ttl_seconds: 1, ..card(12) };
    let reply = shop.call_as(KEY, Method::POST, BUSINESS_MESSAGES_PATH, &serde_json::to_value(&bad).unwrap()).await;
    assert_eq!(reply.code(), "out_of_range");
    let body = serde_json::json!({ "to": ALICE });
    let reply = shop.call_as(KEY, Method::POST, "/v1/business/capabilities", &body).await;
    assert_eq!(reply.json::<BusinessReach>().reach, "rcs");
    let body = serde_json::json!({ "to": STRANGER });
    let reply = shop.call_as(KEY, Method::POST, "/v1/business/capabilities", &body).await;
    assert_eq!(reply.json::<BusinessReach>().reach, "not_rcs");
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_leave_by_the_gateway_and_sms_for_a_number_reach_its_device() {
    let shop = Shop::open_with_codes(false).await;
    let world = &shop.world;
    let alice = Person::register(world).await;
    alice.enrol(world).await;
    let mut client = alice.at_broker(world).await;
    let reply = client.post("/v1/numbers", &serde_json::json!({ "number": ALICE })).await;
    assert_eq!(reply.status, 202, "{reply:?}");
    until(async || shop.sms.count() == 1).await;
    let words = shop.sms.words();
    let code: String = words.chars().skip_while(|c| !c.is_ascii_digit()).take(6).collect();
    alice.confirm(world, ALICE, &reply, &code).await;
    let bring = async |id: &str| {
        let body = format!("id={id}&from={}&to={}&content=hello&binary=68656c6c6f&coding=0", &BOB[1..], &ALICE[1..]);
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let path = format!("/v1/callbacks/sms/{SECRET}");
        world.connect_broker().await.bytes(Method::POST, &path, &headers, body.as_bytes()).await
    };
    for _ in 0..2 {
        assert_eq!(bring("in-1").await.status, 200);
    }
    let mail = alice.mail(world).await;
    assert_eq!(mail.len(), 1);
    let delivery = alice.open(&mail[0].1);
    assert_eq!((delivery.channel, delivery.body.as_slice()), (CarrierChannel::Sms, &b"hello"[..]));
    assert_eq!(delivery.from, DeliverySender::Claimed(BOB.parse().unwrap()));
    let wrong = world.connect_broker().await.get(&format!("/v1/callbacks/sms/{}", &KEY)).await;
    assert!(wrong.status >= 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_key_sends_no_sms_to_costly_or_foreign_numbers_and_so_many_a_day() {
    let mut shop = Shop::open().await;
    let post = async |shop: &Shop, request: &BusinessMessageRequest| {
        let body = serde_json::to_value(request).unwrap();
        shop.call_as(KEY, Method::POST, BUSINESS_MESSAGES_PATH, &body).await
    };
    for (n, number) in (100..).zip(["+33612345678", "+19002345678", "+449098790879"]) {
        let elsewhere = BusinessMessageRequest { to: number.parse().unwrap(), ..card(n) };
        let reply = post(&shop, &elsewhere).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "out_of_range"), "{number}");
        let without = BusinessMessageRequest { sms: None, ..elsewhere };
        assert_eq!(post(&shop, &without).await.status, 202, "without an SMS it costs the operator nothing: {number}");
    }
    for n in 1..=12 {
        assert_eq!(post(&shop, &card(n)).await.status, 202, "{n}");
    }
    shop.world.restart_broker().await;
    let reply = post(&shop, &card(13)).await;
    assert_eq!((reply.status, reply.code().as_str()), (429, "rate_limited"));
    assert_eq!(post(&shop, &card(12)).await.status, 202, "what was begun before uses up nothing");
    shop.advance(24 * 3600).await;
    assert_eq!(post(&shop, &card(13)).await.status, 202);
}
