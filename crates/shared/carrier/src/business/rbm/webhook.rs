//! Webhooks of RCS for Business.
//!
//! A webhook is a push of the provider's queue: `message.data` is base64 of the JSON of one event, and the header `X-Goog-Signature` is
//! base64 of HMAC-SHA512 over those bytes before base64, under the agent's client token. Everything outside `data` is unsigned, the queue's
//! `publishTime` among it. So the time that counts is `sendTime` inside. A report on one of our messages may come without it (published
//! samples do); the queue's time is taken then, which is good enough because such a report changes nothing when it comes again. What a user
//! sends must have a signed time.
//!
//! When the address is set up, the provider posts the client token and a secret instead, and wants the secret back.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use rcseal_crypto::ct_eq;
use rcseal_crypto::hmac::verify_hmac_sha512;
use rcseal_rcs::number::PhoneNumber;
use serde::Deserialize;

use super::ClientToken;
use crate::business::event::{Channel, InboundContent, ProviderEvent, Webhook, WebhookEvent, clean_name};
use crate::business::json::millis;
use crate::business::message::MessageId;
use crate::business::webhook::{BODY_LEN_MAX, WebhookError, check_time, event_key, signature};

/// The header with the signature.
pub const SIGNATURE_HEADER: &str = "x-goog-signature";

/// The longest secret of an address check that is sent back.
const SECRET_LEN_MAX: usize = 1024;

/// The longest id of a user's message that is kept.
const ID_LEN_MAX: usize = 256;

#[derive(Deserialize)]
struct Push {
    message: Option<PushMessage>,
    #[serde(rename = "clientToken")]
    client_token: Option<String>,
    secret: Option<String>,
}

#[derive(Deserialize)]
struct PushMessage {
    #[serde(default)]
    data: String,
    #[serde(rename = "publishTime")]
    publish_time: Option<String>,
}

/// Users' messages, users' events and the server's events: which it is shows in what is there.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    sender_phone_number: Option<String>,
    phone_number: Option<String>,
    message_id: Option<String>,
    event_id: Option<String>,
    event_type: Option<String>,
    agent_id: Option<String>,
    send_time: Option<String>,
    text: Option<String>,
    user_file: Option<UserFile>,
    location: Option<Location>,
    suggestion_response: Option<SuggestionResponse>,
}

#[derive(Deserialize)]
struct UserFile {
    payload: Option<FilePayload>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FilePayload {
    #[serde(default)]
    mime_type: String,
    #[serde(default)]
    file_uri: String,
}

#[derive(Deserialize)]
struct Location {
    #[serde(default)]
    latitude: f64,
    #[serde(default)]
    longitude: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SuggestionResponse {
    #[serde(default)]
    postback_data: String,
    #[serde(default)]
    text: String,
}

const fn malformed(what: &'static str) -> WebhookError {
    WebhookError::Malformed { what }
}

const fn unreadable(what: &'static str) -> WebhookError {
    WebhookError::Unreadable { what }
}

/// Reads a webhook that was signed with `token`. `agent` is who it must be for; `None` takes every agent's, for a partner's common address.
///
/// # Errors
/// [`WebhookError`].
pub fn parse(
    headers: &HeaderMap,
    body: &[u8],
    token: &ClientToken,
    agent: Option<&str>,
    now_ms: u64,
    window_ms: u64,
) -> Result<Webhook, WebhookError> {
    if body.len() > BODY_LEN_MAX {
        return Err(WebhookError::TooLarge);
    }
    let push: Push = serde_json::from_slice(body).map_err(|_| malformed("body"))?;
    let Some(message) = push.message else {
        return handshake(push.client_token.as_deref(), push.secret, token);
    };
    let expected = signature::<64>(headers, SIGNATURE_HEADER)?;
    let data = STANDARD.decode(&message.data).map_err(|_| malformed("message.data"))?;
    if !verify_hmac_sha512(token.as_bytes(), &[&data], &expected) {
        return Err(WebhookError::Forged);
    }
    let event: Event = serde_json::from_slice(&data).map_err(|_| unreadable("data"))?;
    if let (Some(ours), Some(theirs)) = (agent, &event.agent_id)
        && !is_same_agent(ours, theirs)
    {
        return Err(WebhookError::WrongAgent);
    }
    let signed_time = event.send_time.as_deref().map(|text| millis(text).ok_or(unreadable("sendTime"))).transpose()?;
    let queue_time = message.publish_time.as_deref().and_then(millis);
    let what = read(&event)?;
    let at_ms = match (signed_time, &what) {
        (Some(time), _) => time,
        (None, ProviderEvent::Inbound { .. }) => return Err(WebhookError::Untimed),
        (None, _) => queue_time.ok_or(WebhookError::Untimed)?,
    };
    check_time(at_ms, now_ms, window_ms)?;
    Ok(Webhook::Events(vec![WebhookEvent { key: key(&event), at_ms, event: what }]))
}

/// The provider writes an agent's id with and without its domain.
fn is_same_agent(ours: &str, theirs: &str) -> bool {
    let bare = |id: &str| id.split('@').next().unwrap_or_default().to_owned();
    ours == theirs || bare(ours) == bare(theirs)
}

fn handshake(sent: Option<&str>, secret: Option<String>, token: &ClientToken) -> Result<Webhook, WebhookError> {
    let (Some(sent), Some(answer)) = (sent, secret) else { return Err(malformed("message")) };
    if !ct_eq(sent.as_bytes(), token.as_bytes()) {
        return Err(WebhookError::WrongToken);
    }
    // Nothing but visible characters is ever sent back: the answer is plain text on an address of ours.
    if !(1..=SECRET_LEN_MAX).contains(&answer.len()) || !answer.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(malformed("secret"));
    }
    Ok(Webhook::Handshake { answer })
}

fn key(event: &Event) -> crate::business::EventKey {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let from = event.sender_phone_number.as_ref().or(event.phone_number.as_ref()).cloned().unwrap_or_default();
    // Ids of events and of users' messages are chosen by users' clients, so that they are told apart by who sent them.
    event_key(
        "rbm",
        &[&text(&event.agent_id), &from, &text(&event.event_type), &text(&event.event_id), &text(&event.message_id)],
    )
}

fn number(text: Option<&str>) -> Result<PhoneNumber, WebhookError> {
    text.ok_or(unreadable("senderPhoneNumber"))?.parse().map_err(|_| unreadable("senderPhoneNumber"))
}

fn read(event: &Event) -> Result<ProviderEvent, WebhookError> {
    let Some(kind) = event.event_type.as_deref() else { return inbound(event) };
    let about = event.message_id.as_deref().and_then(MessageId::parse);
    let unknown = || ProviderEvent::Unknown { kind: clean_name(kind) };
    let of_message = |make: fn(MessageId) -> ProviderEvent| about.map_or_else(unknown, make);
    Ok(match kind {
        "DELIVERED" => of_message(|id| ProviderEvent::Delivered { id, channel: Channel::Rcs }),
        "READ" => of_message(|id| ProviderEvent::Read { id, channel: Channel::Rcs }),
        "TTL_EXPIRATION_REVOKED" => of_message(|id| ProviderEvent::Revoked { id }),
        "TTL_EXPIRATION_REVOKE_FAILED" => of_message(|id| ProviderEvent::RevokeFailed { id }),
        "IS_TYPING" => ProviderEvent::Typing { from: number(event.sender_phone_number.as_deref())? },
        "SUBSCRIBE" | "UNSUBSCRIBE" => ProviderEvent::Subscription {
            from: number(event.sender_phone_number.as_deref())?,
            is_on: kind == "SUBSCRIBE",
        },
        _ => unknown(),
    })
}

fn inbound(event: &Event) -> Result<ProviderEvent, WebhookError> {
    let Some(id) = event.message_id.as_deref() else {
        // Signed, and neither a message nor an event that we know by its shape.
        return Ok(ProviderEvent::Unknown { kind: "unnamed".to_owned() });
    };
    if id.is_empty() || id.len() > ID_LEN_MAX {
        return Err(unreadable("messageId"));
    }
    let from = number(event.sender_phone_number.as_deref())?;
    let content = if let Some(tapped) = &event.suggestion_response {
        InboundContent::Postback { text: tapped.text.clone(), data: tapped.postback_data.clone() }
    } else if let Some(text) = &event.text {
        InboundContent::Text(text.clone())
    } else if let Some(payload) = event.user_file.as_ref().and_then(|file| file.payload.as_ref()) {
        InboundContent::File { url: payload.file_uri.clone(), mime_type: payload.mime_type.clone() }
    } else if let Some(location) = &event.location {
        InboundContent::Location { latitude: location.latitude, longitude: location.longitude }
    } else {
        InboundContent::Unreadable
    };
    Ok(ProviderEvent::Inbound { from, id: id.to_owned(), content })
}
