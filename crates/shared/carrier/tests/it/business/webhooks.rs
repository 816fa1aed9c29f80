//! Webhooks of both providers: forged, altered, late, early, replayed, and of forms that nobody published. The golden signatures of the
//! aggregator are facts out of the provider's own public test suites.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use proptest::prelude::*;
use rcseal_carrier::business::fake::Posted;
use rcseal_carrier::business::fake::rbm::FakeRbm;
use rcseal_carrier::business::fake::sinch::FakeSinch;
use rcseal_carrier::business::{
    BusinessProvider, Channel, InboundContent, ProviderEvent, Webhook, WebhookError, rbm, sinch,
};
use rcseal_crypto::hmac::hmac_sha512;
use serde_json::json;

use super::{AGENT, ALICE, APP, CLIENT_TOKEN, SECRET, id, number, rbm_client, sinch_client};

const DAY: u64 = 24 * 3600 * 1000;

fn with(headers: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
    };
    headers.iter().map(pair).collect()
}

fn events(webhook: Webhook) -> Vec<ProviderEvent> {
    match webhook {
        Webhook::Events(events) => events.into_iter().map(|event| event.event).collect(),
        Webhook::Handshake { .. } => panic!("events were expected"),
    }
}

/// A push of the provider's queue in the published shape, signed.
fn push(data: &str) -> Posted {
    let signature = STANDARD.encode(hmac_sha512(CLIENT_TOKEN.as_bytes(), &[data.as_bytes()]));
    let body = json!({ "message": {
        "data": STANDARD.encode(data),
        "messageId": "2050091234567890",
        "publishTime": "2026-11-23T18:00:00.5Z",
    }, "subscription": "projects/p/subscriptions/s" });
    Posted { headers: with(&[(rbm::webhook::SIGNATURE_HEADER, &signature)]), body: body.to_string().into_bytes() }
}

/// 2026-11-23T18:00:00Z.
const NOON: u64 = 1_795_456_800_000;

fn rbm_parse(webhook: &Posted, now_ms: u64) -> Result<Webhook, WebhookError> {
    rbm_client("http://127.0.0.1:1").parse_webhook(&webhook.headers, &webhook.body, now_ms)
}

fn sinch_parse(headers: &HeaderMap, body: &[u8], now_ms: u64) -> Result<Webhook, WebhookError> {
    sinch_client("http://127.0.0.1:1", false).parse_webhook(headers, body, now_ms)
}

#[test]
fn every_published_shape_of_an_agents_events_is_read() {
    let id_1 = id(1).to_string();
    let from = number(ALICE);
    let time = "2026-11-23T17:59:58.123456Z";
    for (data, expected) in [
        (
            json!({ "senderPhoneNumber": ALICE, "eventType": "DELIVERED", "eventId": "e1", "messageId": id_1, "agentId": AGENT,
                "sendTime": time }),
            ProviderEvent::Delivered { id: id(1), channel: Channel::Rcs },
        ),
        (
            // Published samples leave the time out.
            json!({ "senderPhoneNumber": ALICE, "eventType": "READ", "eventId": "e2", "messageId": id_1, "agentId": AGENT }),
            ProviderEvent::Read { id: id(1), channel: Channel::Rcs },
        ),
        (
            json!({ "phoneNumber": ALICE, "messageId": id_1, "agentId": AGENT, "eventType": "TTL_EXPIRATION_REVOKED",
                "eventId": "e3", "sendTime": time }),
            ProviderEvent::Revoked { id: id(1) },
        ),
        (
            json!({ "phoneNumber": ALICE, "messageId": id_1, "agentId": AGENT, "eventType": "TTL_EXPIRATION_REVOKE_FAILED",
                "eventId": "e4", "sendTime": time }),
            ProviderEvent::RevokeFailed { id: id(1) },
        ),
        (
            json!({ "senderPhoneNumber": ALICE, "eventType": "UNSUBSCRIBE", "eventId": "e5", "agentId": AGENT, "sendTime": time }),
            ProviderEvent::Subscription { from: from.clone(), is_on: false },
        ),
        (
            json!({ "senderPhoneNumber": ALICE, "messageId": "m1", "sendTime": time, "agentId": AGENT, "text": "Hi" }),
            ProviderEvent::Inbound { from: from.clone(), id: "m1".into(), content: InboundContent::Text("Hi".into()) },
        ),
        (
            json!({ "senderPhoneNumber": ALICE, "messageId": "m2", "sendTime": time, "agentId": AGENT, "userFile": {
                "payload": { "mimeType": "image/gif", "fileSizeBytes": 127806, "fileUri": "https://files.example/1", "fileName": "a.gif" }
            } }),
            ProviderEvent::Inbound {
                from: from.clone(),
                id: "m2".into(),
                content: InboundContent::File { url: "https://files.example/1".into(), mime_type: "image/gif".into() },
            },
        ),
        (
            json!({ "senderPhoneNumber": ALICE, "messageId": "m3", "sendTime": time, "agentId": AGENT,
                "location": { "latitude": 37.422, "longitude": -122.084 } }),
            ProviderEvent::Inbound {
                from: from.clone(),
                id: "m3".into(),
                content: InboundContent::Location { latitude: 37.422, longitude: -122.084 },
            },
        ),
        (
            json!({ "senderPhoneNumber": ALICE, "messageId": "m4", "sendTime": time, "agentId": AGENT, "hologram": {} }),
            ProviderEvent::Inbound { from, id: "m4".into(), content: InboundContent::Unreadable },
        ),
        (
            json!({ "senderPhoneNumber": ALICE, "eventType": "DANCES", "eventId": "e6", "agentId": AGENT, "sendTime": time }),
            ProviderEvent::Unknown { kind: "DANCES".into() },
        ),
        (
            json!({ "senderPhoneNumber": ALICE, "eventType": "DELIVERED", "eventId": "e7", "messageId": "of-another-system",
                "agentId": AGENT, "sendTime": time }),
            ProviderEvent::Unknown { kind: "DELIVERED".into() },
        ),
    ] {
        assert_eq!(events(rbm_parse(&push(&data.to_string()), NOON).unwrap()), [expected], "{data}");
    }
}

#[tokio::test]
async fn the_address_check_is_answered_only_with_our_secret() {
    let fake = FakeRbm::start(AGENT, "t", CLIENT_TOKEN).await.unwrap();
    let answer = rbm_parse(&fake.address_check("1234567890"), NOON);
    assert_eq!(answer, Ok(Webhook::Handshake { answer: "1234567890".into() }));
    let stranger = FakeRbm::start(AGENT, "t", "ANOTHERSECRET").await.unwrap();
    let refused = rbm_parse(&stranger.address_check("1234567890"), NOON).unwrap_err();
    assert_eq!((refused.status(), refused), (403, WebhookError::WrongToken));
    let page = rbm_parse(&fake.address_check("<script>alert(1)</script> "), NOON);
    assert_eq!(page, Err(WebhookError::Malformed { what: "secret" }), "nothing but visible characters is sent back");
}

#[tokio::test]
async fn forged_and_altered_webhooks_are_refused_by_name() {
    let fake = FakeRbm::start(AGENT, "t", CLIENT_TOKEN).await.unwrap();
    fake.says(ALICE, "Hello");
    let sound = fake.take_webhooks().remove(0);
    let now = fake.now_ms();
    assert!(rbm_parse(&sound, now).is_ok());
    let mut unsigned = sound.clone();
    unsigned.headers.clear();
    assert_eq!(rbm_parse(&unsigned, now), Err(WebhookError::SignatureMissing));
    let mut twice = sound.clone();
    let first = twice.headers.get(rbm::webhook::SIGNATURE_HEADER).unwrap().clone();
    twice.headers.append(rbm::webhook::SIGNATURE_HEADER, first);
    assert_eq!(rbm_parse(&twice, now), Err(WebhookError::SignatureMissing), "one of two signatures is none");
    let mut short = sound.clone();
    short.headers = with(&[(rbm::webhook::SIGNATURE_HEADER, "AAAA")]);
    assert_eq!(rbm_parse(&short, now), Err(WebhookError::SignatureMalformed));
    let stranger = FakeRbm::start(AGENT, "t", "ANOTHERSECRET").await.unwrap();
    stranger.says(ALICE, "Hello");
    assert_eq!(rbm_parse(&stranger.take_webhooks()[0], now), Err(WebhookError::Forged));
    // The body of one under the signature of another.
    fake.says(ALICE, "Bye");
    let mut mixed = fake.take_webhooks().remove(0);
    mixed.headers = sound.headers.clone();
    assert_eq!(rbm_parse(&mixed, now), Err(WebhookError::Forged));
    assert_eq!(WebhookError::Forged.status(), 403);
    let elsewhere = FakeRbm::start("another-agent@rbm.example", "t", CLIENT_TOKEN).await.unwrap();
    elsewhere.says(ALICE, "Hello");
    assert_eq!(rbm_parse(&elsewhere.take_webhooks()[0], now), Err(WebhookError::WrongAgent));
}

#[tokio::test]
async fn a_late_webhook_is_refused_and_a_repeated_one_has_the_same_key() {
    let fake = FakeRbm::start(AGENT, "t", CLIENT_TOKEN).await.unwrap();
    fake.says(ALICE, "Hello");
    let webhook = fake.take_webhooks().remove(0);
    let now = fake.now_ms();
    let key = |at| match rbm_parse(&webhook, at) {
        Ok(Webhook::Events(events)) => events[0].key,
        other => panic!("{other:?}"),
    };
    assert_eq!(key(now), key(now + 7 * DAY), "the provider's own repetitions come for seven days");
    let late = rbm_parse(&webhook, now + 8 * DAY).unwrap_err();
    assert!(matches!(late, WebhookError::Late { by_ms } if by_ms > 11 * 3600 * 1000), "{late:?}");
    assert_eq!(late.status(), 200, "it is acknowledged and dropped");
    let early = rbm_parse(&webhook, now - 3600 * 1000).unwrap_err();
    assert!(matches!(early, WebhookError::Early { .. }) && early.status() == 503);
}

#[test]
fn what_a_user_sends_needs_a_signed_time() {
    let data = json!({ "senderPhoneNumber": ALICE, "messageId": "m1", "agentId": AGENT, "text": "Hi" }).to_string();
    assert_eq!(rbm_parse(&push(&data), NOON), Err(WebhookError::Untimed));
    // The queue's time stands outside the signature, and serves reports on our own messages only.
    let data = json!({ "senderPhoneNumber": ALICE, "eventType": "READ", "messageId": id(1).to_string() }).to_string();
    assert!(rbm_parse(&push(&data), NOON).is_ok());
    let late = rbm_parse(&push(&data), NOON + 9 * DAY);
    assert!(matches!(late, Err(WebhookError::Late { .. })));
}

#[test]
fn signed_nonsense_is_acknowledged_and_unsigned_nonsense_is_not() {
    for data in
        ["", "null", "[]", "{", "{\"messageId\":7}", "{\"messageId\":\"m\",\"sendTime\":\"2026-11-23T17:59:58Z\"}"]
    {
        let refused = rbm_parse(&push(data), NOON).unwrap_err();
        assert!(matches!(refused, WebhookError::Unreadable { .. }), "{data}: {refused:?}");
        assert_eq!(refused.status(), 200, "or the provider holds back what comes after");
    }
    for body in ["", "null", "[]", "{}", "{\"message\":{\"data\":7}}"] {
        let refused = rbm_parse(&Posted { headers: HeaderMap::new(), body: body.into() }, NOON).unwrap_err();
        assert!(matches!(refused, WebhookError::Malformed { .. }), "{body}: {refused:?}");
        assert_eq!(refused.status(), 400);
    }
    let long = Posted { headers: HeaderMap::new(), body: vec![b' '; 600 << 10] };
    assert_eq!(rbm_parse(&long, NOON), Err(WebhookError::TooLarge));
}

/// Headers as the aggregator's public test suites have them, with a signature.
fn golden(signature: &str) -> HeaderMap {
    with(&[
        (sinch::webhook::SIGNATURE_HEADER, signature),
        (sinch::webhook::NONCE_HEADER, "01FJA8B4A7BM43YGWSG9GBV067"),
        (sinch::webhook::TIMESTAMP_HEADER, "1634579353"),
    ])
}

/// When they were signed.
const SIGNED: u64 = 1_634_579_353_000;

#[test]
fn the_aggregators_golden_signatures_are_right() {
    let contact = br#"{"app_id":"","accepted_time":"2021-10-18T17:49:13.813615Z","project_id":"e2df3a34-a71b-4448-9db5-a8d2baad28e4","contact_create_notification":{"contact":{"id":"01FJA8B466Y0R2GNXD78MD9SM1","channel_identities":[{"channel":"SMS","identity":"48123456789","app_id":""}],"display_name":"New Test Contact","email":"new.contact@email.com","external_id":"","metadata":"","language":"EN_US"}},"message_metadata":""}"#;
    let headers = golden("6bpJoRmFoXVjfJIVglMoJzYXxnoxRujzR4k2GOXewOE=");
    assert_eq!(
        events(sinch_parse(&headers, contact, SIGNED).unwrap()),
        [ProviderEvent::Unknown { kind: "unnamed".into() }]
    );
    assert_eq!(sinch_parse(&headers, &[&contact[..], b" "].concat(), SIGNED), Err(WebhookError::Forged));
    let report = br#"{"app_id":"01EB37HMH1M6SV18BSNS3G135H","accepted_time":"2020-11-17T15:09:11.659Z","project_id":"c36f3d3d-1513-2edd-ae42-11995557ff61","message_delivery_report":{"message_id":"01EQBC1A3BEK731GY4YXEN0C2R","conversation_id":"01EPYATA64TMNZ1FV02JKF12JF","status":"QUEUED_ON_CHANNEL","contact_id":"01EXA07N79THJ20WSN6AS30TMW"}}"#;
    let headers = golden("Yc+3R1pIS78xLASybulhs8BsSo9BPB3Pr92QCUoczfk=");
    let expected = [ProviderEvent::Unknown { kind: "QUEUED_ON_CHANNEL".into() }];
    assert_eq!(events(sinch_parse(&headers, report, SIGNED).unwrap()), expected, "a message that is none of ours");
    assert!(matches!(sinch_parse(&headers, report, SIGNED + 3 * DAY), Err(WebhookError::Late { .. })));
}

#[tokio::test]
async fn the_aggregators_signature_covers_nonce_time_and_body() {
    let fake = FakeSinch::start("p", APP, ("k", "s"), SECRET).await.unwrap();
    fake.says(ALICE, "Hello");
    let sound = fake.take_webhooks().remove(0);
    let now = fake.now_ms();
    assert!(sinch_parse(&sound.headers, &sound.body, now).is_ok());
    for (name, value, expected) in [
        (sinch::webhook::NONCE_HEADER, "01FJA8B4A7BM43YGWSG9GBV067", WebhookError::Forged),
        (sinch::webhook::TIMESTAMP_HEADER, "1634579353", WebhookError::Forged),
        (sinch::webhook::TIMESTAMP_HEADER, "tomorrow", WebhookError::SignatureMalformed),
        (sinch::webhook::NONCE_HEADER, "a.b", WebhookError::SignatureMalformed),
        (sinch::webhook::ALGORITHM_HEADER, "none", WebhookError::Algorithm),
        (sinch::webhook::ALGORITHM_HEADER, "HmacSHA1", WebhookError::Algorithm),
    ] {
        let mut headers = sound.headers.clone();
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        assert_eq!(sinch_parse(&headers, &sound.body, now), Err(expected), "{name}: {value}");
        headers.remove(name);
        if name != sinch::webhook::ALGORITHM_HEADER {
            assert_eq!(sinch_parse(&headers, &sound.body, now), Err(WebhookError::SignatureMissing));
        }
    }
    let elsewhere = FakeSinch::start("p", "ANOTHERAPP", ("k", "s"), SECRET).await.unwrap();
    elsewhere.says(ALICE, "Hello");
    let other = elsewhere.take_webhooks().remove(0);
    assert_eq!(sinch_parse(&other.headers, &other.body, now), Err(WebhookError::WrongAgent));
}

#[tokio::test]
async fn an_event_that_is_signed_anew_is_the_same_event() {
    let fake = FakeSinch::start("p", APP, ("k", "s"), SECRET).await.unwrap();
    fake.says(ALICE, "Hello");
    let first = fake.take_webhooks().remove(0);
    let again = fake.sign(&first.body);
    assert_ne!(first.headers.get(sinch::webhook::NONCE_HEADER), again.headers.get(sinch::webhook::NONCE_HEADER));
    let key = |posted: &Posted| match sinch_parse(&posted.headers, &posted.body, fake.now_ms()) {
        Ok(Webhook::Events(events)) => events[0].key,
        other => panic!("{other:?}"),
    };
    assert_eq!(key(&first), key(&again));
}

proptest! {
    #[test]
    fn signed_or_not_nothing_panics(data in prop::collection::vec(any::<u8>(), 0..300), text in ".{0,200}") {
        for bytes in [data.as_slice(), text.as_bytes()] {
            let posted = push("{}");
            let altered = Posted { headers: posted.headers.clone(), body: bytes.to_vec() };
            let result = rbm_parse(&altered, NOON);
            prop_assert!(result.is_err());
            let signed = push(&String::from_utf8_lossy(bytes));
            let _ = rbm_parse(&signed, NOON);
            let headers = golden("6bpJoRmFoXVjfJIVglMoJzYXxnoxRujzR4k2GOXewOE=");
            let result = sinch_parse(&headers, bytes, SIGNED);
            prop_assert!(result.is_err());
        }
    }
}
