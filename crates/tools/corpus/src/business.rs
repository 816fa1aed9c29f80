//! Parsers of what providers of business messages send, and the row of a fall-back.
//!
//! A webhook is signed, and a fuzzer finds no signature. So the input is what is signed, and the signature is made here; the same bytes go
//! in unsigned and under the signature of something else too, where they must be refused.

use std::sync::LazyLock;

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use rcseal_carrier::business::rbm::{self, ClientToken};
use rcseal_carrier::business::sinch::{self, WebhookSecret};
use rcseal_carrier::business::{Channel, InboundContent, MessageId, ProviderEvent, Webhook, WebhookError};
use rcseal_carrier::fallback::{Action, Event, Fallback, Policy, Unanswered};
use rcseal_crypto::hmac::{hmac_sha256, hmac_sha512};

use super::Verdict;

const SECRET: &str = "not-a-secret-of-anybody";
const AGENT: &str = "agent@rbm.example";
const APP: &str = "01EB37HMH1M6SV18BSNS3G135H";

/// 2026-11-23T18:00:00Z.
const NOW: u64 = 1_795_456_800_000;

static RBM: LazyLock<ClientToken> =
    LazyLock::new(|| ClientToken::parse(SECRET).expect("a secret of visible characters"));
static SINCH: LazyLock<WebhookSecret> =
    LazyLock::new(|| WebhookSecret::parse(SECRET).expect("a secret of visible characters"));

/// Standard base64, written here so that the parser's own is not checked against itself.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let value = chunk.iter().fold(0_u32, |value, byte| value << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let letter = LETTERS[(value >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).expect("visible ASCII"))
    };
    pairs.iter().map(pair).collect()
}

fn check(webhook: &Result<Webhook, WebhookError>) -> Verdict {
    if let Ok(Webhook::Events(events)) = webhook {
        assert!(!events.is_empty());
        for event in events {
            let name = match &event.event {
                ProviderEvent::Unknown { kind } => kind.as_str(),
                ProviderEvent::Failed { reason, .. } => reason.as_str(),
                ProviderEvent::Delivered { channel, .. } | ProviderEvent::Read { channel, .. } => {
                    assert_eq!(Channel::named(channel.as_str()), *channel, "a channel has one name");
                    channel.as_str()
                }
                ProviderEvent::Inbound { from, id, content } => {
                    assert!(from.as_str().starts_with('+') && !id.is_empty() && id.len() <= 256);
                    assert!(!matches!(content, InboundContent::Location { latitude, .. } if latitude.is_nan()));
                    ""
                }
                _ => "",
            };
            assert!(name.len() <= 48 && !name.contains(['\r', '\n', ' ', '\0']), "a name that breaks a log");
        }
    }
    if let Err(error) = webhook {
        assert!([200, 400, 403, 413, 503].contains(&error.status()) && error.code().starts_with("webhook_"));
    }
    Verdict::of(webhook)
}

/// The data of a push, signed; the same bytes as a whole body; and the push under another's signature.
pub(super) fn rbm_webhook(bytes: &[u8]) -> Verdict {
    let parse = |headers: &HeaderMap, body: &[u8]| {
        rbm::webhook::parse(headers, body, &RBM, Some(AGENT), NOW, rbm::WEBHOOK_WINDOW_MS)
    };
    let signed = |data: &[u8]| {
        let signature = base64(&hmac_sha512(SECRET.as_bytes(), &[data]));
        headers(&[(rbm::webhook::SIGNATURE_HEADER, &signature)])
    };
    let push = format!("{{\"message\":{{\"data\":\"{}\",\"publishTime\":\"2026-11-23T17:59:59Z\"}}}}", base64(bytes));
    let other = parse(&signed(&[bytes, b"."].concat()), push.as_bytes());
    assert!(matches!(other, Err(WebhookError::Forged | WebhookError::TooLarge)), "{other:?}");
    let raw = parse(&HeaderMap::new(), bytes);
    assert!(!matches!(raw, Ok(Webhook::Events(_))), "events without a signature");
    check(&parse(&signed(bytes), push.as_bytes()))
}

pub(super) fn rbm_webhook_seeds() -> Vec<Vec<u8>> {
    let id = "01010101-0101-4101-8101-010101010101";
    let tail = format!("\"agentId\":\"{AGENT}\",\"sendTime\":\"2026-11-23T17:59:58.123456Z\"}}");
    [
        format!("{{\"senderPhoneNumber\":\"+12015550123\",\"eventType\":\"DELIVERED\",\"eventId\":\"e\",\"messageId\":\"{id}\",{tail}"),
        format!("{{\"phoneNumber\":\"+12015550123\",\"eventType\":\"TTL_EXPIRATION_REVOKED\",\"eventId\":\"e\",\"messageId\":\"{id}\",{tail}"),
        format!("{{\"senderPhoneNumber\":\"+12015550123\",\"eventType\":\"IS_TYPING\",\"eventId\":\"e\",{tail}"),
        format!("{{\"senderPhoneNumber\":\"+12015550123\",\"messageId\":\"m\",\"text\":\"Hello\",{tail}"),
        format!(
            "{{\"senderPhoneNumber\":\"+12015550123\",\"messageId\":\"m\",\"suggestionResponse\":{{\"postbackData\":\"p\",\"text\":\"t\"}},{tail}"
        ),
        format!("{{\"senderPhoneNumber\":\"+12015550123\",\"messageId\":\"m\",\"location\":{{\"latitude\":1.5,\"longitude\":-2}},{tail}"),
        format!(
            "{{\"senderPhoneNumber\":\"+12015550123\",\"messageId\":\"m\",\"userFile\":{{\"payload\":{{\"mimeType\":\"image/gif\",\"fileUri\":\"https://x/\"}}}},{tail}"
        ),
    ]
    .map(String::into_bytes)
    .to_vec()
}

/// A body, signed; and the same body under another's signature.
pub(super) fn cpaas_webhook(bytes: &[u8]) -> Verdict {
    let (nonce, time) = ("01FJA8B4A7BM43YGWSG9GBV067", (NOW / 1000).to_string());
    let parse = |headers: &HeaderMap| sinch::webhook::parse(headers, bytes, &SINCH, APP, NOW, sinch::WEBHOOK_WINDOW_MS);
    let signed = |body: &[u8]| {
        let parts: [&[u8]; 5] = [body, b".", nonce.as_bytes(), b".", time.as_bytes()];
        let signature = base64(&hmac_sha256(SECRET.as_bytes(), &parts));
        headers(&[
            (sinch::webhook::SIGNATURE_HEADER, &signature),
            (sinch::webhook::NONCE_HEADER, nonce),
            (sinch::webhook::TIMESTAMP_HEADER, &time),
            (sinch::webhook::ALGORITHM_HEADER, sinch::webhook::ALGORITHM),
        ])
    };
    let other = parse(&signed(&[bytes, b" "].concat()));
    assert!(matches!(other, Err(WebhookError::Forged | WebhookError::TooLarge)), "{other:?}");
    assert!(parse(&HeaderMap::new()).is_err(), "events without a signature");
    check(&parse(&signed(bytes)))
}

pub(super) fn cpaas_webhook_seeds() -> Vec<Vec<u8>> {
    let identity = "\"channel_identity\":{\"channel\":\"RCS\",\"identity\":\"12015550123\"}";
    let head = format!("{{\"app_id\":\"{APP}\",\"event_time\":\"2026-11-23T17:59:58Z\"");
    let id = "\"correlation_id\":\"01010101-0101-4101-8101-010101010101\"";
    [
        format!("{head},{id},\"message_delivery_report\":{{\"message_id\":\"m\",\"status\":\"DELIVERED\",{identity}}}}}"),
        format!(
            "{head},{id},\"message_delivery_report\":{{\"message_id\":\"m\",\"status\":\"FAILED\",{identity},\"reason\":{{\"code\":\"MESSAGE_EXPIRED\"}}}}}}"
        ),
        format!(
            "{head},{id},\"message_delivery_report\":{{\"message_id\":\"m\",\"status\":\"SWITCHING_CHANNEL\",\"channel_identity\":{{\"channel\":\"WHATSAPP\"}}}}}}"
        ),
        format!("{head},\"message\":{{\"id\":\"m\",{identity},\"contact_message\":{{\"text_message\":{{\"text\":\"Hi\"}}}}}}}}"),
        format!(
            "{head},\"message\":{{\"id\":\"m\",{identity},\"contact_message\":{{\"choice_response_message\":{{\"postback_data\":\"p\"}}}}}}}}"
        ),
        format!(
            "{head},\"capability_notification\":{{\"request_id\":\"r\",\"channel\":\"RCS\",\"identity\":\"12015550123\",\"capability_status\":\"CAPABILITY_PARTIAL\",\"channel_capabilities\":[\"ACTION_DIAL\"]}}}}"
        ),
        format!("{head},\"opt_out_notification\":{{\"request_id\":\"r\",\"identity\":\"+12015550123\"}}}}"),
        format!("{head},\"event\":{{{identity},\"contact_event\":{{\"composing_event\":{{}}}}}}}}"),
    ]
    .map(String::into_bytes)
    .to_vec()
}

/// A row; what is read is written the same, and goes on without a panic.
pub(super) fn fallback_row(bytes: &[u8]) -> Verdict {
    let read = Fallback::from_row(bytes);
    if let Ok(mut fallback) = read.clone() {
        assert_eq!(fallback.to_row(), bytes, "a state has one row");
        let is_over = fallback.status().channel.is_some();
        let deadline = fallback.deadline().unwrap_or(NOW);
        let actions =
            [fallback.resume(deadline), fallback.on_time(u64::MAX), fallback.on(Event::RevokeUnanswered, u64::MAX)];
        assert!(actions.iter().filter(|action| **action == Some(Action::SendSms)).count() <= 2);
        let permits = [fallback.take_sms(), fallback.take_sms()];
        assert!(permits[1].is_none(), "two permits");
        assert!(!is_over || permits[0].is_none(), "an SMS after a delivery");
        assert!(Fallback::from_row(&fallback.to_row()).is_ok());
    }
    Verdict::of(&read)
}

pub(super) fn fallback_row_seeds() -> Vec<Vec<u8>> {
    let policy = Policy {
        patience_ms: 65_000,
        revoke_patience_ms: 30_000,
        settle_ms: 3_000,
        revokes_max: 5,
        unanswered: Unanswered::Wait,
        can_revoke: true,
        send_takes_id_once: true,
        sms_takes_id_once: false,
    };
    let (fresh, _) = Fallback::new(MessageId::from_random([1; 16]), policy, NOW);
    let after = |events: &[Event]| {
        let mut fallback = fresh.clone();
        for event in events {
            fallback.on(event.clone(), NOW);
        }
        fallback.to_row()
    };
    vec![
        fresh.to_row(),
        after(&[Event::SendAccepted]),
        after(&[Event::SendUnanswered]),
        after(&[Event::SendUnanswered, Event::RevokeUnanswered]),
        after(&[Event::SendAccepted, Event::RevokedByTtl]),
        after(&[Event::SendAccepted, Event::RevokeRefused]),
        after(&[Event::SendRefused]),
        after(&[Event::SendDeferred { after_ms: 1_000 }]),
        after(&[Event::Read(Channel::Other("WHATSAPP".to_owned()))]),
    ]
}
