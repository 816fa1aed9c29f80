//! A **fake** of RCS for Business. See [the module above](super) for what that means.
//!
//! It keeps one agent and any number of recipients. A recipient has RCS or not and is online or not; a message to somebody online is
//! delivered at once, to somebody offline when they come online, unless it is revoked or its time to live passes first. [`Race`] says how
//! revocations lose.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{HeaderName, HeaderValue};
use rand::Rng;
use rcseal_crypto::hmac::hmac_sha512;
use serde_json::{Value, json};

use super::outbox::{Disorder, Outbox, Posted};
use super::{Clock, Server, Trouble, meet, refusal};
use crate::business::endpoint::{Endpoint, EndpointError};
use crate::business::json::rfc3339;
use crate::business::message::MessageId;
use crate::business::rbm::webhook::SIGNATURE_HEADER;
use crate::tls::TrustAnchors;

/// How a revocation, asked for or by time, goes when a message was not delivered yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Race {
    /// The message is taken back and never arrives.
    #[default]
    Clean,
    /// It is said to be taken back, and arrives all the same, because a delivery was under way.
    SaidAndDelivered,
    /// It fails, and the message stays where it is.
    Fails,
}

/// A message as the fake has it.
#[derive(Debug, Clone)]
pub struct FakeMessage {
    /// To whom.
    pub to: String,
    /// Its id.
    pub id: String,
    /// The body of the request.
    pub body: Value,
    /// Whether it was delivered.
    pub is_delivered: bool,
    expires_at: Option<u64>,
    is_revoked: bool,
}

#[derive(Debug, Clone, Default)]
struct Recipient {
    has_rcs: bool,
    is_online: bool,
    features: Vec<String>,
}

#[derive(Default)]
struct Inner {
    recipients: HashMap<String, Recipient>,
    messages: Vec<FakeMessage>,
    ids_seen: HashSet<String>,
    events: Vec<(String, Value)>,
    trouble: Vec<Trouble>,
    race: Race,
    requests: u64,
}

struct Shared {
    agent_id: String,
    token: Mutex<String>,
    client_token: String,
    clock: Clock,
    inner: Mutex<Inner>,
    outbox: Arc<Outbox>,
}

/// The fake.
pub struct FakeRbm {
    server: Server,
    shared: Arc<Shared>,
}

impl FakeRbm {
    /// Starts one for that agent, which takes that access token and signs webhooks with that client token.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(agent_id: &str, token: &str, client_token: &str) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            agent_id: agent_id.to_owned(),
            token: Mutex::new(token.to_owned()),
            client_token: client_token.to_owned(),
            clock: Clock::default(),
            inner: Mutex::default(),
            outbox: Outbox::new(),
        });
        let router = Router::new()
            .route("/v1/phones/{phone}/agentMessages", post(create))
            .route("/v1/phones/{phone}/agentMessages/{id}", delete(revoke))
            .route("/v1/phones/{phone}/agentEvents", post(event))
            .route("/v1/phones/{phone}/capabilities", get(capabilities))
            .with_state(Arc::clone(&shared));
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

    /// A recipient with RCS and every feature, online or not.
    pub fn has_rcs(&self, number: &str, is_online: bool) {
        let features = ["RICHCARD_STANDALONE", "RICHCARD_CAROUSEL", "ACTION_OPEN_URL", "ACTION_DIAL", "REVOCATION"];
        let features = features.map(str::to_owned).to_vec();
        let recipient = Recipient { has_rcs: true, is_online, features };
        self.shared.lock().recipients.insert(number.to_owned(), recipient);
    }

    /// A recipient with RCS who does not take cards.
    pub fn has_plain_rcs(&self, number: &str) {
        let recipient = Recipient { has_rcs: true, is_online: true, features: vec!["REVOCATION".to_owned()] };
        self.shared.lock().recipients.insert(number.to_owned(), recipient);
    }

    /// A recipient comes online: what waits for them is delivered.
    pub fn comes_online(&self, number: &str) {
        let mut inner = self.shared.lock();
        if let Some(recipient) = inner.recipients.get_mut(number) {
            recipient.is_online = true;
        }
        drop(inner);
        self.shared.deliver_to(number);
    }

    /// How revocations go from now on.
    pub fn race(&self, race: Race) {
        self.shared.lock().race = race;
    }

    /// Lets time pass. Messages whose time to live ends are revoked, as the [`Race`] has it.
    pub fn advance(&self, by: Duration) {
        self.shared.clock.advance(u64::try_from(by.as_millis()).unwrap_or(u64::MAX));
        self.shared.expire();
    }

    /// The next requests get these instead of what they ask for, in order.
    pub fn trouble(&self, trouble: &[Trouble]) {
        self.shared.lock().trouble.extend(trouble.iter().rev());
    }

    /// The access token that is taken from now on.
    pub fn changes_token(&self, token: &str) {
        token.clone_into(&mut self.shared.token.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// What a recipient does with the newest message to them: opens it.
    pub fn reads(&self, number: &str) {
        let newest =
            self.shared.lock().messages.iter().rev().find(|m| m.to == number && m.is_delivered).map(|m| m.id.clone());
        if let Some(id) = newest {
            self.shared.user_event(number, "READ", Some(&id));
        }
    }

    /// A recipient writes. Gives the id of what they wrote.
    pub fn says(&self, number: &str, text: &str) -> String {
        self.shared.user_message(number, &json!({ "text": text }))
    }

    /// A recipient taps a button.
    pub fn taps(&self, number: &str, text: &str, postback: &str) -> String {
        let response = json!({ "suggestionResponse": { "text": text, "postbackData": postback, "type": "REPLY" } });
        self.shared.user_message(number, &response)
    }

    /// A recipient is writing.
    pub fn types(&self, number: &str) {
        self.shared.user_event(number, "IS_TYPING", None);
    }

    /// Every message that was taken, oldest first.
    #[must_use]
    pub fn messages(&self) -> Vec<FakeMessage> {
        self.shared.lock().messages.clone()
    }

    /// Every event of the agent, with its recipient.
    #[must_use]
    pub fn events(&self) -> Vec<(String, Value)> {
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

    /// The body of the check that the provider makes when an address is set up; the answer must be `secret` in plain text.
    #[must_use]
    pub fn address_check(&self, secret: &str) -> Posted {
        let body = json!({ "clientToken": self.shared.client_token, "secret": secret });
        Posted { headers: HeaderMap::new(), body: body.to_string().into_bytes() }
    }

    /// A webhook with any data, signed: for what only an attacker with the secret, or a later version of the provider, would send.
    #[must_use]
    pub fn sign(&self, data: &[u8]) -> Posted {
        self.shared.sign(data)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sign(&self, data: &[u8]) -> Posted {
        let signature = STANDARD.encode(hmac_sha512(self.client_token.as_bytes(), &[data]));
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_str(&signature).expect("base64 is visible ASCII");
        headers.insert(HeaderName::from_static(SIGNATURE_HEADER), value);
        let body = json!({
            "message": {
                "attributes": { "product": "RBM", "note": "fake" },
                "data": STANDARD.encode(data),
                "messageId": random_id(),
                "publishTime": rfc3339(self.clock.now_ms()),
            },
            "subscription": "projects/fake/subscriptions/fake",
        });
        Posted { headers, body: body.to_string().into_bytes() }
    }

    fn post(&self, data: &Value) {
        self.outbox.push(self.sign(data.to_string().as_bytes()));
    }

    fn user_event(&self, number: &str, kind: &str, about: Option<&str>) {
        let mut data = json!({
            "senderPhoneNumber": number,
            "eventType": kind,
            "eventId": random_id(),
            "agentId": self.agent_id,
            "sendTime": rfc3339(self.clock.now_ms()),
        });
        if let Some(id) = about {
            data["messageId"] = json!(id);
        }
        self.post(&data);
    }

    fn server_event(&self, number: &str, kind: &str, about: &str) {
        self.post(&json!({
            "phoneNumber": number,
            "messageId": about,
            "agentId": self.agent_id,
            "eventType": kind,
            "eventId": random_id(),
            "sendTime": rfc3339(self.clock.now_ms()),
        }));
    }

    fn user_message(&self, number: &str, content: &Value) -> String {
        let id = random_id();
        let mut data = json!({
            "senderPhoneNumber": number,
            "messageId": id,
            "sendTime": rfc3339(self.clock.now_ms()),
            "agentId": self.agent_id,
        });
        if let (Value::Object(data), Value::Object(content)) = (&mut data, content) {
            data.extend(content.clone());
        }
        self.post(&data);
        id
    }

    fn deliver_to(&self, number: &str) {
        let mut delivered = Vec::new();
        let mut inner = self.lock();
        let is_online = inner.recipients.get(number).is_some_and(|recipient| recipient.is_online);
        for message in &mut inner.messages {
            if is_online && message.to == number && !message.is_delivered && !message.is_revoked {
                message.is_delivered = true;
                delivered.push(message.id.clone());
            }
        }
        drop(inner);
        delivered.iter().for_each(|id| self.user_event(number, "DELIVERED", Some(id)));
    }

    fn expire(&self) {
        let now = self.clock.now_ms();
        let mut notices = Vec::new();
        let mut inner = self.lock();
        let race = inner.race;
        for message in &mut inner.messages {
            let is_due = message.expires_at.is_some_and(|at| at <= now) && !message.is_delivered && !message.is_revoked;
            if !is_due {
                continue;
            }
            message.expires_at = None;
            match race {
                Race::Clean => message.is_revoked = true,
                Race::SaidAndDelivered => message.is_delivered = true,
                Race::Fails => {}
            }
            notices.push((message.to.clone(), message.id.clone()));
        }
        drop(inner);
        for (to, id) in notices {
            let kind = if race == Race::Fails { "TTL_EXPIRATION_REVOKE_FAILED" } else { "TTL_EXPIRATION_REVOKED" };
            self.server_event(&to, kind, &id);
            if race == Race::SaidAndDelivered {
                self.user_event(&to, "DELIVERED", Some(&id));
            }
        }
    }

    /// Who asks, and what gets in the way. `Ok(true)` carries out and loses the answer.
    async fn enter(&self, headers: &HeaderMap, query: &HashMap<String, String>) -> Result<bool, Response> {
        let trouble = {
            let mut inner = self.lock();
            inner.requests += 1;
            inner.trouble.pop()
        };
        let is_lost = meet(trouble).await?;
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        if sent != Some(format!("Bearer {token}").as_str()) {
            return Err(refusal(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"));
        }
        if query.get("agentId") != Some(&self.agent_id) {
            return Err(refusal(StatusCode::FORBIDDEN, "PERMISSION_DENIED"));
        }
        Ok(is_lost)
    }
}

fn random_id() -> String {
    let mut random = [0; 16];
    rand::rng().fill_bytes(&mut random);
    MessageId::from_random(random).to_string()
}

fn answer(is_lost: bool, body: Value) -> Response {
    if is_lost { refusal(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL") } else { Json(body).into_response() }
}

/// What is wrong with a message, by the published limits.
fn fault(content: &Value, features: &[String]) -> Option<&'static str> {
    let Some(content) = content.as_object() else { return Some("contentMessage") };
    let kinds = ["text", "richCard", "contentInfo", "fileName", "uploadedRbmFile"];
    if kinds.iter().filter(|kind| content.contains_key(**kind)).count() != 1 {
        return Some("content is a union");
    }
    let count = |value: Option<&Value>| value.and_then(Value::as_array).map_or(0, Vec::len);
    if count(content.get("suggestions")) > 11 {
        return Some("suggestions");
    }
    if let Some(text) = content.get("text") {
        let chars = text.as_str().map_or(0, |text| text.chars().count());
        return (!(1..=3072).contains(&chars)).then_some("text");
    }
    if let Some(card) = content.get("richCard") {
        if !features.iter().any(|feature| feature == "RICHCARD_STANDALONE") {
            return Some("the client has no cards");
        }
        let inside = &card["standaloneCard"]["cardContent"];
        if !inside.is_object() || (inside["title"].is_null() && inside["description"].is_null()) {
            return Some("an empty card");
        }
        return (count(inside.get("suggestions")) > 4).then_some("suggestions of a card");
    }
    None
}

/// A published duration: seconds with an `s` behind them.
fn duration_ms(text: &str) -> Option<u64> {
    let seconds: f64 = text.strip_suffix('s')?.parse().ok()?;
    // Fifteen days, published.
    (seconds > 0.0 && seconds <= 1_296_000.0).then_some((seconds * 1000.0) as u64)
}

async fn create(
    State(shared): State<Arc<Shared>>,
    Path(phone): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let is_lost = match shared.enter(&headers, &query).await {
        Ok(is_lost) => is_lost,
        Err(refused) => return refused,
    };
    let Some(id) = query.get("messageId").filter(|id| MessageId::parse(id).is_some()).cloned() else {
        return refusal(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT");
    };
    let Ok(sent) = serde_json::from_slice::<Value>(&body) else {
        return refusal(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT");
    };
    if body.len() > 250_000 {
        return refusal(StatusCode::PAYLOAD_TOO_LARGE, "INVALID_ARGUMENT");
    }
    let name = format!("phones/{phone}/agentMessages/{id}");
    let mut inner = shared.lock();
    let Some(recipient) = inner.recipients.get(&phone).filter(|recipient| recipient.has_rcs).cloned() else {
        return refusal(StatusCode::NOT_FOUND, "NOT_FOUND");
    };
    if fault(&sent["contentMessage"], &recipient.features).is_some() {
        return refusal(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT");
    }
    let ttl = match &sent["ttl"] {
        Value::Null => None,
        Value::String(text) => match duration_ms(text) {
            Some(ttl) => Some(ttl),
            None => return refusal(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT"),
        },
        _ => return refusal(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT"),
    };
    let now = shared.clock.now_ms();
    // An id that was seen is ignored.
    if inner.ids_seen.insert(id.clone()) {
        inner.messages.push(FakeMessage {
            to: phone.clone(),
            id,
            body: sent.clone(),
            is_delivered: false,
            expires_at: ttl.map(|ttl| now.saturating_add(ttl)),
            is_revoked: false,
        });
    }
    drop(inner);
    shared.deliver_to(&phone);
    answer(is_lost, json!({ "name": name, "sendTime": rfc3339(now), "contentMessage": sent["contentMessage"] }))
}

async fn revoke(
    State(shared): State<Arc<Shared>>,
    Path((phone, id)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let is_lost = match shared.enter(&headers, &query).await {
        Ok(is_lost) => is_lost,
        Err(refused) => return refused,
    };
    let mut inner = shared.lock();
    let race = inner.race;
    let waiting = inner.messages.iter_mut().find(|m| m.to == phone && m.id == id && !m.is_delivered && !m.is_revoked);
    let Some(message) = waiting else { return refusal(StatusCode::NOT_FOUND, "NOT_FOUND") };
    match race {
        Race::Clean => message.is_revoked = true,
        Race::SaidAndDelivered => message.is_delivered = true,
        Race::Fails => return refusal(StatusCode::NOT_FOUND, "NOT_FOUND"),
    }
    drop(inner);
    if race == Race::SaidAndDelivered {
        shared.user_event(&phone, "DELIVERED", Some(&id));
    }
    answer(is_lost, json!({}))
}

async fn event(
    State(shared): State<Arc<Shared>>,
    Path(phone): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let is_lost = match shared.enter(&headers, &query).await {
        Ok(is_lost) => is_lost,
        Err(refused) => return refused,
    };
    let is_sound = match body["eventType"].as_str() {
        Some("IS_TYPING") => true,
        Some("READ") => body["messageId"].is_string(),
        _ => false,
    };
    if !is_sound || !query.contains_key("eventId") {
        return refusal(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT");
    }
    shared.lock().events.push((phone, body.clone()));
    answer(is_lost, body)
}

async fn capabilities(
    State(shared): State<Arc<Shared>>,
    Path(phone): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let is_lost = match shared.enter(&headers, &query).await {
        Ok(is_lost) => is_lost,
        Err(refused) => return refused,
    };
    let found = shared.lock().recipients.get(&phone).filter(|recipient| recipient.has_rcs).cloned();
    match found {
        Some(recipient) => answer(is_lost, json!({ "features": recipient.features })),
        None => refusal(StatusCode::NOT_FOUND, "NOT_FOUND"),
    }
}
