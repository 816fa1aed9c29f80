//! A **fake** of the aggregator. See [the module above](super) for what that means.
//!
//! It keeps one app and any number of recipients, each reachable on some channels and online or not. A message goes to the first channel of
//! its order on which the recipient can be reached; every step is reported with the channel it was taken on. Two requests make two messages.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{HeaderName, HeaderValue};
use rand::Rng;
use rcseal_crypto::hmac::hmac_sha256;
use serde_json::{Value, json};

use super::outbox::{Disorder, Outbox, Posted};
use super::{Clock, Server, Trouble, meet, refusal};
use crate::business::endpoint::{Endpoint, EndpointError};
use crate::business::json::rfc3339;
use crate::business::sinch::webhook::{ALGORITHM, ALGORITHM_HEADER, NONCE_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER};
use crate::tls::TrustAnchors;

/// A message as the fake has it.
#[derive(Debug, Clone)]
pub struct FakeMessage {
    /// The fake's id of it.
    pub id: String,
    /// To whom, in digits.
    pub to: String,
    /// What carries it.
    pub channel: String,
    /// The body of the request.
    pub body: Value,
    /// Whether it was delivered.
    pub is_delivered: bool,
    expires_at: Option<u64>,
    is_over: bool,
}

#[derive(Debug, Clone, Default)]
struct Recipient {
    channels: Vec<String>,
    is_online: bool,
}

#[derive(Default)]
struct Inner {
    recipients: HashMap<String, Recipient>,
    messages: Vec<FakeMessage>,
    trouble: Vec<Trouble>,
    events: Vec<Value>,
    requests: u64,
}

struct Shared {
    project_id: String,
    app_id: String,
    authorization: String,
    secret: String,
    clock: Clock,
    inner: Mutex<Inner>,
    outbox: Arc<Outbox>,
}

/// The fake.
pub struct FakeSinch {
    server: Server,
    shared: Arc<Shared>,
}

impl FakeSinch {
    /// Starts one for that project and app, which takes that access key (an id and a secret) and signs webhooks with that secret.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(project_id: &str, app_id: &str, key: (&str, &str), secret: &str) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            project_id: project_id.to_owned(),
            app_id: app_id.to_owned(),
            authorization: format!("Basic {}", STANDARD.encode(format!("{}:{}", key.0, key.1))),
            secret: secret.to_owned(),
            clock: Clock::default(),
            inner: Mutex::default(),
            outbox: Outbox::new(),
        });
        // The published paths have a verb behind a colon, which no router of segments knows: one handler tells them apart.
        let router = Router::new().route("/v1/projects/{project}/{verb}", post(called)).with_state(Arc::clone(&shared));
        Ok(Self { server: Server::start(router).await?, shared })
    }

    /// Its base address.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Its clock.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.shared.clock.now_ms()
    }

    /// A recipient, `+` and digits, and the channels on which they can be reached.
    pub fn has(&self, number: &str, channels: &[&str], is_online: bool) {
        let channels = channels.iter().map(|channel| (*channel).to_owned()).collect();
        self.shared.lock().recipients.insert(digits(number), Recipient { channels, is_online });
    }

    /// A recipient comes online: what waits for them is delivered.
    pub fn comes_online(&self, number: &str) {
        if let Some(recipient) = self.shared.lock().recipients.get_mut(&digits(number)) {
            recipient.is_online = true;
        }
        self.shared.deliver_to(&digits(number));
    }

    /// Lets time pass. Messages whose time to live ends are given up, and reported as failed.
    pub fn advance(&self, by: Duration) {
        self.shared.clock.advance(u64::try_from(by.as_millis()).unwrap_or(u64::MAX));
        self.shared.expire();
    }

    /// The next requests get these instead of what they ask for, in order.
    pub fn trouble(&self, trouble: &[Trouble]) {
        self.shared.lock().trouble.extend(trouble.iter().rev());
    }

    /// A recipient opens the newest message to them.
    pub fn reads(&self, number: &str) {
        let to = digits(number);
        let newest = self.shared.lock().messages.iter().rev().find(|m| m.to == to && m.is_delivered).cloned();
        if let Some(message) = newest {
            self.shared.report(&message, "READ", None);
        }
    }

    /// A recipient writes. Gives the id of what they wrote.
    pub fn says(&self, number: &str, text: &str) -> String {
        self.shared.contact_message(number, &json!({ "text_message": { "text": text } }))
    }

    /// A recipient taps a button.
    pub fn taps(&self, number: &str, postback: &str) -> String {
        let choice = json!({ "choice_response_message": { "message_id": "", "postback_data": postback } });
        self.shared.contact_message(number, &choice)
    }

    /// Every message that was taken, oldest first.
    #[must_use]
    pub fn messages(&self) -> Vec<FakeMessage> {
        self.shared.lock().messages.clone()
    }

    /// Every event of the app.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        self.shared.lock().events.clone()
    }

    /// How many requests came.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.shared.lock().requests
    }

    /// What the queue of webhooks does from now on.
    pub fn disorder(&self, disorder: Disorder) {
        self.shared.outbox.disorder(disorder);
    }

    /// Takes the webhooks that wait, to hand them in by hand.
    #[must_use]
    pub fn take_webhooks(&self) -> Vec<Posted> {
        self.shared.outbox.take()
    }

    /// How many webhooks wait or are under way.
    #[must_use]
    pub fn webhooks_waiting(&self) -> usize {
        self.shared.outbox.len()
    }

    /// Posts webhooks to that address from now on, until each is answered with 200.
    ///
    /// # Errors
    /// [`EndpointError`].
    pub fn post_to(&self, url: &str, trust: TrustAnchors) -> Result<(), EndpointError> {
        self.shared.outbox.post_to(Endpoint::parse(url)?, trust);
        Ok(())
    }

    /// A webhook with any body, signed as of now.
    #[must_use]
    pub fn sign(&self, body: &[u8]) -> Posted {
        self.shared.sign(body.to_vec())
    }
}

fn digits(number: &str) -> String {
    number.trim_start_matches('+').to_owned()
}

/// An id in the provider's form: 26 letters and digits.
fn random_id() -> String {
    const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let mut random = [0; 26];
    rand::rng().fill_bytes(&mut random);
    random.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect()
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sign(&self, body: Vec<u8>) -> Posted {
        let (nonce, timestamp) = (random_id(), (self.clock.now_ms() / 1000).to_string());
        let parts: [&[u8]; 5] = [&body, b".", nonce.as_bytes(), b".", timestamp.as_bytes()];
        let signature = STANDARD.encode(hmac_sha256(self.secret.as_bytes(), &parts));
        let mut headers = HeaderMap::new();
        for (name, value) in [
            (SIGNATURE_HEADER, signature.as_str()),
            (NONCE_HEADER, &nonce),
            (TIMESTAMP_HEADER, &timestamp),
            (ALGORITHM_HEADER, ALGORITHM),
        ] {
            let value = HeaderValue::from_str(value).expect("letters and digits");
            headers.insert(HeaderName::from_static(name), value);
        }
        Posted { headers, body }
    }

    fn post(&self, mut body: Value) {
        let now = rfc3339(self.clock.now_ms());
        body["app_id"] = json!(self.app_id);
        body["project_id"] = json!(self.project_id);
        body["accepted_time"] = json!(now);
        body["event_time"] = json!(now);
        self.outbox.push(self.sign(body.to_string().into_bytes()));
    }

    fn report(&self, message: &FakeMessage, status: &str, reason: Option<&str>) {
        let mut report = json!({
            "message_id": message.id,
            "conversation_id": "",
            "status": status,
            "channel_identity": { "channel": message.channel, "identity": message.to, "app_id": "" },
            "contact_id": "",
            "metadata": "",
        });
        if let Some(code) = reason {
            report["reason"] =
                json!({ "code": code, "description": "a fake says so", "sub_code": "UNSPECIFIED_SUB_CODE" });
        }
        let correlation_id = message.body["correlation_id"].clone();
        self.post(json!({ "message_delivery_report": report, "correlation_id": correlation_id }));
    }

    fn contact_message(&self, number: &str, content: &Value) -> String {
        let id = random_id();
        self.post(json!({ "message": {
            "id": id,
            "direction": "TO_APP",
            "contact_message": content,
            "channel_identity": { "channel": "RCS", "identity": digits(number), "app_id": "" },
            "conversation_id": "",
            "contact_id": "",
            "metadata": "",
            "accept_time": rfc3339(self.clock.now_ms()),
        } }));
        id
    }

    fn deliver_to(&self, to: &str) {
        let mut delivered = Vec::new();
        let mut inner = self.lock();
        let is_online = inner.recipients.get(to).is_some_and(|recipient| recipient.is_online);
        for message in &mut inner.messages {
            if is_online && message.to == to && !message.is_delivered && !message.is_over {
                message.is_delivered = true;
                delivered.push(message.clone());
            }
        }
        drop(inner);
        delivered.iter().for_each(|message| self.report(message, "DELIVERED", None));
    }

    fn expire(&self) {
        let now = self.clock.now_ms();
        let mut expired = Vec::new();
        for message in &mut self.lock().messages {
            if message.expires_at.is_some_and(|at| at <= now) && !message.is_delivered && !message.is_over {
                message.is_over = true;
                expired.push(message.clone());
            }
        }
        expired.iter().for_each(|message| self.report(message, "FAILED", Some("MESSAGE_EXPIRED")));
    }

    fn send(&self, body: &Value) -> Result<Value, StatusCode> {
        let bad = || StatusCode::BAD_REQUEST;
        let identities = body["recipient"]["identified_by"]["channel_identities"].as_array().ok_or_else(bad)?;
        let kinds = ["text_message", "card_message", "choice_message", "media_message"];
        let message = body["message"].as_object().ok_or_else(bad)?;
        if kinds.iter().filter(|kind| message.contains_key(**kind)).count() != 1 {
            return Err(bad());
        }
        let to = identities.first().and_then(|identity| identity["identity"].as_str()).ok_or_else(bad)?.to_owned();
        let order: Vec<&str> = match body["channel_priority_order"].as_array() {
            Some(order) => order.iter().filter_map(Value::as_str).collect(),
            None => identities.iter().filter_map(|identity| identity["channel"].as_str()).collect(),
        };
        let ttl = match &body["ttl"] {
            Value::Null => None,
            Value::String(text) => Some(text.strip_suffix('s').and_then(|n| n.parse::<u64>().ok()).ok_or_else(bad)?),
            Value::Number(number) => Some(number.as_u64().ok_or_else(bad)?),
            _ => return Err(bad()),
        };
        let now = self.clock.now_ms();
        let reachable = self.lock().recipients.get(&to).map_or_else(Vec::new, |found| found.channels.clone());
        let id = random_id();
        let mut message = FakeMessage {
            id: id.clone(),
            to: to.clone(),
            channel: String::new(),
            body: body.clone(),
            is_delivered: false,
            expires_at: ttl.map(|seconds| now.saturating_add(seconds.saturating_mul(1000))),
            is_over: false,
        };
        for (place, channel) in order.iter().enumerate() {
            (*channel).clone_into(&mut message.channel);
            if reachable.iter().any(|reachable| reachable == channel) {
                self.report(&message, "QUEUED_ON_CHANNEL", None);
                self.lock().messages.push(message);
                self.deliver_to(&to);
                return Ok(json!({ "message_id": id, "accepted_time": rfc3339(now) }));
            }
            let status = if place + 1 == order.len() { "FAILED" } else { "SWITCHING_CHANNEL" };
            self.report(&message, status, Some("RECIPIENT_NOT_REACHABLE"));
        }
        message.is_over = true;
        self.lock().messages.push(message);
        Ok(json!({ "message_id": id, "accepted_time": rfc3339(now) }))
    }

    fn query(&self, body: &Value) -> Value {
        let to = body["recipient"]["identified_by"]["channel_identities"][0]["identity"].as_str().unwrap_or_default();
        let has_rcs = self.lock().recipients.get(to).is_some_and(|found| found.channels.iter().any(|c| c == "RCS"));
        let request_id = random_id();
        self.post(json!({ "capability_notification": {
            "request_id": request_id,
            "contact_id": "",
            "channel": "RCS",
            "identity": to,
            "capability_status": if has_rcs { "CAPABILITY_FULL" } else { "NO_CAPABILITY" },
            "channel_capabilities": [],
        } }));
        json!({ "app_id": self.app_id, "recipient": body["recipient"], "request_id": request_id })
    }
}

async fn called(
    State(shared): State<Arc<Shared>>,
    Path((project, verb)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let trouble = {
        let mut inner = shared.lock();
        inner.requests += 1;
        inner.trouble.pop()
    };
    let is_lost = match meet(trouble).await {
        Ok(is_lost) => is_lost,
        Err(refused) => return refused,
    };
    let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if sent != Some(shared.authorization.as_str()) {
        return refusal(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED");
    }
    let Ok(body) = serde_json::from_slice::<Value>(&body) else {
        return refusal(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT");
    };
    if project != shared.project_id || body["app_id"] != json!(shared.app_id) {
        return refusal(StatusCode::NOT_FOUND, "NOT_FOUND");
    }
    let answer = match verb.as_str() {
        "messages:send" => shared.send(&body),
        "capability:query" => Ok(shared.query(&body)),
        "events:send" => {
            shared.lock().events.push(body["event"].clone());
            Ok(json!({ "event_id": random_id(), "accepted_time": rfc3339(shared.clock.now_ms()) }))
        }
        _ => Err(StatusCode::NOT_FOUND),
    };
    match answer {
        Ok(_) if is_lost => refusal(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL"),
        Ok(answer) => Json(answer).into_response(),
        Err(status) => refusal(status, "INVALID_ARGUMENT"),
    }
}
