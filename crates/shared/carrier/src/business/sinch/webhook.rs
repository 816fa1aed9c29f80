//! Webhooks of the aggregator.
//!
//! The signature is base64 of HMAC-SHA256 over the raw body, a dot, a nonce, a dot and a time in seconds, each of the latter two in a header
//! of its own; all of it is signed, so that the time that counts is the header's. The algorithm is named in a header too, which is read only
//! to be told that it is another one: the algorithm is a setting, never the sender's choice.
//!
//! A repetition may be signed anew, with another nonce, and still is the same event, so the key of an event is over what it says. A message
//! of ours is found by the `correlation_id` that we gave it; what has none of ours is none of ours.

use http::HeaderMap;
use rcseal_crypto::hmac::verify_hmac_sha256;
use rcseal_rcs::number::PhoneNumber;
use serde::Deserialize;

use super::WebhookSecret;
use crate::business::event::{
    Channel, Feature, InboundContent, ProviderEvent, Reach, Webhook, WebhookEvent, clean_name,
};
use crate::business::json::millis;
use crate::business::message::MessageId;
use crate::business::webhook::{BODY_LEN_MAX, WebhookError, check_time, event_key, one_header, signature};

/// The header with the signature.
pub const SIGNATURE_HEADER: &str = "x-sinch-webhook-signature";
/// The header with the time of the signature.
pub const TIMESTAMP_HEADER: &str = "x-sinch-webhook-signature-timestamp";
/// The header with the nonce.
pub const NONCE_HEADER: &str = "x-sinch-webhook-signature-nonce";
/// The header with the algorithm's name.
pub const ALGORITHM_HEADER: &str = "x-sinch-webhook-signature-algorithm";

/// The one algorithm that we take.
pub const ALGORITHM: &str = "HmacSHA256";

/// The longest nonce that is read; published ones have 26 characters.
const NONCE_LEN_MAX: usize = 128;

/// The longest id of a message that is kept.
const ID_LEN_MAX: usize = 256;

#[derive(Deserialize)]
struct Callback {
    app_id: Option<String>,
    event_time: Option<String>,
    accepted_time: Option<String>,
    correlation_id: Option<String>,
    message_delivery_report: Option<DeliveryReport>,
    message: Option<Inbound>,
    event: Option<InboundEvent>,
    capability_notification: Option<CapabilityNotification>,
    opt_in_notification: Option<OptNotification>,
    opt_out_notification: Option<OptNotification>,
}

#[derive(Deserialize)]
struct ChannelIdentity {
    #[serde(default)]
    channel: String,
    #[serde(default)]
    identity: String,
}

#[derive(Deserialize)]
struct Reason {
    #[serde(default)]
    code: String,
}

#[derive(Deserialize)]
struct DeliveryReport {
    #[serde(default)]
    message_id: String,
    #[serde(default)]
    status: String,
    channel_identity: Option<ChannelIdentity>,
    reason: Option<Reason>,
}

#[derive(Deserialize)]
struct Inbound {
    #[serde(default)]
    id: String,
    channel_identity: Option<ChannelIdentity>,
    contact_message: Option<ContactMessage>,
}

#[derive(Deserialize)]
struct ContactMessage {
    text_message: Option<TextMessage>,
    choice_response_message: Option<ChoiceResponse>,
    media_message: Option<MediaMessage>,
    location_message: Option<LocationMessage>,
}

#[derive(Deserialize)]
struct TextMessage {
    #[serde(default)]
    text: String,
}

#[derive(Deserialize)]
struct ChoiceResponse {
    #[serde(default)]
    postback_data: String,
}

#[derive(Deserialize)]
struct MediaMessage {
    #[serde(default)]
    url: String,
}

#[derive(Deserialize)]
struct LocationMessage {
    coordinates: Option<Coordinates>,
}

#[derive(Deserialize)]
struct Coordinates {
    #[serde(default)]
    latitude: f64,
    #[serde(default)]
    longitude: f64,
}

#[derive(Deserialize)]
struct InboundEvent {
    channel_identity: Option<ChannelIdentity>,
    contact_event: Option<ContactEvent>,
}

#[derive(Deserialize)]
struct ContactEvent {
    composing_event: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct CapabilityNotification {
    #[serde(default)]
    request_id: String,
    #[serde(default)]
    channel: String,
    #[serde(default)]
    identity: String,
    #[serde(default)]
    capability_status: String,
    #[serde(default)]
    channel_capabilities: Vec<String>,
}

#[derive(Deserialize)]
struct OptNotification {
    #[serde(default)]
    request_id: String,
    #[serde(default)]
    identity: String,
}

/// Features that are read: more of them are no client's.
const FEATURES_MAX: usize = 32;

const fn unreadable(what: &'static str) -> WebhookError {
    WebhookError::Unreadable { what }
}

/// Reads a webhook that was signed with `secret` and is for the app `app_id`.
///
/// # Errors
/// [`WebhookError`].
pub fn parse(
    headers: &HeaderMap,
    body: &[u8],
    secret: &WebhookSecret,
    app_id: &str,
    now_ms: u64,
    window_ms: u64,
) -> Result<Webhook, WebhookError> {
    if body.len() > BODY_LEN_MAX {
        return Err(WebhookError::TooLarge);
    }
    let signed_at_ms = check_signature(headers, body, secret)?;
    check_time(signed_at_ms, now_ms, window_ms)?;
    let callback: Callback = serde_json::from_slice(body).map_err(|_| unreadable("body"))?;
    match callback.app_id.as_deref() {
        // What is about a project and not about an app has no app.
        None | Some("") => {}
        Some(theirs) if theirs == app_id => {}
        Some(_) => return Err(WebhookError::WrongAgent),
    }
    let time = callback.event_time.as_deref().or(callback.accepted_time.as_deref());
    let at_ms = time.and_then(millis).unwrap_or(signed_at_ms);
    let (event, key) = read(&callback, body)?;
    Ok(Webhook::Events(vec![WebhookEvent { key, at_ms, event }]))
}

/// Checks the signature, and gives the time that it covers, in milliseconds.
fn check_signature(headers: &HeaderMap, body: &[u8], secret: &WebhookSecret) -> Result<u64, WebhookError> {
    if headers.contains_key(ALGORITHM_HEADER) && one_header(headers, ALGORITHM_HEADER) != Some(ALGORITHM) {
        return Err(WebhookError::Algorithm);
    }
    let expected = signature::<32>(headers, SIGNATURE_HEADER)?;
    let nonce = one_header(headers, NONCE_HEADER).ok_or(WebhookError::SignatureMissing)?;
    let timestamp = one_header(headers, TIMESTAMP_HEADER).ok_or(WebhookError::SignatureMissing)?;
    // A dot in one of them would let the end of the body move into it.
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    let is_number = timestamp.len() <= 12 && timestamp.bytes().all(|byte| byte.is_ascii_digit());
    if !(1..=NONCE_LEN_MAX).contains(&nonce.len()) || !is_plain(nonce) || !is_number {
        return Err(WebhookError::SignatureMalformed);
    }
    let seconds: u64 = timestamp.parse().map_err(|_| WebhookError::SignatureMalformed)?;
    let parts: [&[u8]; 5] = [body, b".", nonce.as_bytes(), b".", timestamp.as_bytes()];
    if verify_hmac_sha256(secret.as_bytes(), &parts, &expected) {
        Ok(seconds * 1000)
    } else {
        Err(WebhookError::Forged)
    }
}

/// A number as the provider writes identities: with or without its sign.
fn number(identity: &str) -> Result<PhoneNumber, WebhookError> {
    let digits = identity.strip_prefix('+').unwrap_or(identity);
    format!("+{digits}").parse().map_err(|_| unreadable("identity"))
}

fn read(callback: &Callback, body: &[u8]) -> Result<(ProviderEvent, crate::business::EventKey), WebhookError> {
    if let Some(report) = &callback.message_delivery_report {
        let channel = report.channel_identity.as_ref().map_or("", |identity| identity.channel.as_str());
        let key = event_key("sinch", &["report", &report.message_id, &report.status, channel]);
        return Ok((delivery(report, callback.correlation_id.as_deref()), key));
    }
    if let Some(message) = &callback.message {
        let key = event_key("sinch", &["message", &message.id]);
        return Ok((inbound(message)?, key));
    }
    if let Some(found) = &callback.capability_notification {
        let key = event_key("sinch", &["capability", &found.request_id, &found.channel, &found.identity]);
        return Ok((reached(found)?, key));
    }
    for (notification, is_on) in [(&callback.opt_in_notification, true), (&callback.opt_out_notification, false)] {
        if let Some(notification) = notification {
            let kind = if is_on { "opt_in" } else { "opt_out" };
            let key = event_key("sinch", &[kind, &notification.request_id, &notification.identity]);
            return Ok((ProviderEvent::Subscription { from: number(&notification.identity)?, is_on }, key));
        }
    }
    // What has no id of its own is known by its bytes.
    let key = event_key("sinch", &["body", &hex::encode(rcseal_crypto::hash::sha256(&[body]))]);
    if let Some(event) = &callback.event
        && event.contact_event.as_ref().is_some_and(|event| event.composing_event.is_some())
    {
        let identity = event.channel_identity.as_ref().ok_or(unreadable("channel_identity"))?;
        return Ok((ProviderEvent::Typing { from: number(&identity.identity)? }, key));
    }
    Ok((ProviderEvent::Unknown { kind: "unnamed".to_owned() }, key))
}

fn delivery(report: &DeliveryReport, correlation_id: Option<&str>) -> ProviderEvent {
    let Some(id) = correlation_id.and_then(MessageId::parse) else {
        return ProviderEvent::Unknown { kind: clean_name(&report.status) };
    };
    let channel = report.channel_identity.as_ref().filter(|identity| !identity.channel.is_empty());
    let channel = channel.map(|identity| Channel::named(&identity.channel));
    // A delivery without a channel is a delivery on a channel that nobody names.
    let carried_by = || channel.clone().unwrap_or_else(|| Channel::Other("UNNAMED".to_owned()));
    let reason = report.reason.as_ref().map_or_else(String::new, |reason| clean_name(&reason.code));
    match report.status.as_str() {
        "QUEUED_ON_CHANNEL" => ProviderEvent::Accepted { id, channel },
        "DELIVERED" => ProviderEvent::Delivered { id, channel: carried_by() },
        "READ" => ProviderEvent::Read { id, channel: carried_by() },
        "FAILED"
            if matches!(reason.as_str(), "MESSAGE_EXPIRED" | "DELIVERY_TIMED_OUT" | "DELIVERY_REPORT_TIME_OUT") =>
        {
            ProviderEvent::Expired { id, channel }
        }
        "FAILED" => ProviderEvent::Failed { id, channel, reason, is_final: true },
        "SWITCHING_CHANNEL" => ProviderEvent::Failed { id, channel, reason, is_final: false },
        other => ProviderEvent::Unknown { kind: clean_name(other) },
    }
}

fn inbound(message: &Inbound) -> Result<ProviderEvent, WebhookError> {
    if message.id.is_empty() || message.id.len() > ID_LEN_MAX {
        return Err(unreadable("message.id"));
    }
    let identity = message.channel_identity.as_ref().ok_or(unreadable("channel_identity"))?;
    let from = number(&identity.identity)?;
    let content = match &message.contact_message {
        Some(ContactMessage { choice_response_message: Some(choice), .. }) => {
            InboundContent::Postback { text: String::new(), data: choice.postback_data.clone() }
        }
        Some(ContactMessage { text_message: Some(text), .. }) => InboundContent::Text(text.text.clone()),
        Some(ContactMessage { media_message: Some(media), .. }) => {
            InboundContent::File { url: media.url.clone(), mime_type: String::new() }
        }
        Some(ContactMessage { location_message: Some(LocationMessage { coordinates: Some(place) }), .. }) => {
            InboundContent::Location { latitude: place.latitude, longitude: place.longitude }
        }
        Some(_) | None => InboundContent::Unreadable,
    };
    Ok(ProviderEvent::Inbound { from, id: message.id.clone(), content })
}

fn reached(found: &CapabilityNotification) -> Result<ProviderEvent, WebhookError> {
    if found.channel != "RCS" {
        return Ok(ProviderEvent::Unknown { kind: "capability".to_owned() });
    }
    let reach = match found.capability_status.as_str() {
        "CAPABILITY_FULL" => Reach::Rcs { features: vec![Feature::Card, Feature::OpenUrl, Feature::Dial] },
        "CAPABILITY_PARTIAL" => {
            let names = found.channel_capabilities.iter().take(FEATURES_MAX);
            Reach::Rcs { features: names.map(|name| crate::business::rbm::feature(name)).collect() }
        }
        "NO_CAPABILITY" => Reach::NotRcs,
        _ => Reach::Unknown,
    };
    Ok(ProviderEvent::Reached { number: number(&found.identity)?, reach })
}
