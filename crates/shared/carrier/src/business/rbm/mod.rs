//! RCS for Business, by its REST interface (version 1).
//!
//! An agent sends to `phones/{number}/agentMessages` under an id of ours. The provider ignores an id that it has seen, so a request without
//! an answer is made again. Its answers mean: 404, the number has no RCS or the agent is not launched on its network; 400, the client does
//! not take this; 200, taken, which for a recipient who is offline means kept for up to thirty days. A message is taken back by `DELETE`:
//! 200 says that it will not be delivered, 404 that it was; both leave room for a delivery that was under way. What the provider reports
//! comes by webhook ([`parse`](webhook)).
//!
//! It is not end-to-end encrypted: provider and carrier read what an agent sends.

mod body;
pub mod webhook;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use http::{HeaderMap, Method};
use rand::Rng;
use rcseal_rcs::number::PhoneNumber;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::endpoint::Endpoint;
use super::event::{Feature, Reach, Webhook};
use super::failure::{Accepted, ProviderFailure, RevokeOutcome};
use super::http_client::{Attempt, Call, CallError, HttpClient, Patience, Reply, RetryPolicy, with_retries};
use super::json::is_plain_token;
use super::message::{AgentMessage, MessageId, PAYLOAD_LEN_MAX};
use super::token::TokenSource;
use super::webhook::WebhookError;
use super::{BusinessProvider, ProviderTraits, Signal};
use crate::tls::TrustAnchors;

/// Where the provider's interface is, unless the configuration says otherwise.
pub const DEFAULT_ENDPOINT: &str = "https://rcsbusinessmessaging.googleapis.com";

/// How old a webhook may be: the provider repeats for seven days, and a clock or a queue may add some hours.
pub const WEBHOOK_WINDOW_MS: u64 = (7 * 24 + 12) * 3600 * 1000;

/// The longest id of an agent.
const AGENT_LEN_MAX: usize = 128;

/// An agent's id, as the provider gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentId(String);

impl AgentId {
    /// An id that can stand in an address as it is; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        is_plain_token(text, AGENT_LEN_MAX).then(|| Self(text.to_owned()))
    }

    /// The id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The secret that an agent's webhooks are signed with. Erased on drop, never shown.
#[derive(Clone)]
pub struct ClientToken(Zeroizing<String>);

impl ClientToken {
    /// A secret of 8 to 256 visible characters; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_sound = (8..=256).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_sound.then(|| Self(Zeroizing::new(text.to_owned())))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for ClientToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientToken")
    }
}

/// What a message is for, in the provider's words. Carriers bill and filter by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrafficType {
    /// One-time codes and the like.
    Authentication,
    /// About something that the user has bought or ordered.
    Transaction,
    /// Advertising.
    Promotion,
    /// About a service that the user uses.
    ServiceRequest,
    /// An answer to a user.
    Acknowledgement,
}

/// An agent.
pub struct RbmConfig {
    /// The agent.
    pub agent_id: AgentId,
    /// Where the interface is; see [`DEFAULT_ENDPOINT`].
    pub endpoint: Endpoint,
    /// Which authorities vouch for it.
    pub trust: TrustAnchors,
    /// Where access tokens come from.
    pub tokens: Arc<dyn TokenSource>,
    /// What its webhooks are signed with.
    pub client_token: ClientToken,
    /// What its messages are for, if it says.
    pub traffic_type: Option<TrafficType>,
    /// How old a webhook may be; see [`WEBHOOK_WINDOW_MS`].
    pub webhook_window_ms: u64,
    /// How long a request may take.
    pub patience: Patience,
    /// How often what is temporary is tried again.
    pub retries: RetryPolicy,
}

/// RCS for Business as a provider.
pub struct RcsForBusiness {
    client: HttpClient,
    agent_id: AgentId,
    tokens: Arc<dyn TokenSource>,
    client_token: ClientToken,
    traffic_type: Option<TrafficType>,
    webhook_window_ms: u64,
    retries: RetryPolicy,
}

impl RcsForBusiness {
    /// A client of the interface. Nothing is connected before it is needed.
    #[must_use]
    pub fn new(config: RbmConfig) -> Self {
        Self {
            client: HttpClient::new(config.endpoint, config.trust, config.patience),
            agent_id: config.agent_id,
            tokens: config.tokens,
            client_token: config.client_token,
            traffic_type: config.traffic_type,
            webhook_window_ms: config.webhook_window_ms,
            retries: config.retries,
        }
    }

    /// Makes a request until it has an answer that stays. Every request of this interface may be made twice: messages and events carry an
    /// id, the others change nothing that a second one would change again. Whether an attempt was lost on the way is remembered, because a
    /// later attempt that never leaves says nothing about it.
    async fn ask(&self, call: Call) -> Result<Reply, Trouble> {
        let was_lost = AtomicBool::new(false);
        let result = with_retries(self.retries, || self.attempt(call.clone(), &was_lost)).await;
        result.map_err(|trouble| match trouble {
            Trouble::Unreachable | Trouble::Busy { .. } | Trouble::Unauthorized if was_lost.load(Ordering::Relaxed) => {
                Trouble::Lost
            }
            other => other,
        })
    }

    async fn attempt(&self, mut call: Call, was_lost: &AtomicBool) -> Result<Reply, Trouble> {
        for is_last in [false, true] {
            let token = self.tokens.token().await.map_err(|error| {
                tracing::warn!(code = error.code(), "business_token");
                Trouble::Unauthorized
            })?;
            call.authorization = Some(token.header().map_err(|_| Trouble::Unauthorized)?);
            let reply = match self.client.call(&call).await {
                Ok(reply) => reply,
                Err(CallError::Unreachable) => return Err(Trouble::Unreachable),
                Err(CallError::Unanswered) => {
                    was_lost.store(true, Ordering::Relaxed);
                    return Err(Trouble::Lost);
                }
            };
            match reply.status {
                401 => {
                    self.tokens.refused().await;
                    if is_last {
                        return Err(Trouble::Unauthorized);
                    }
                }
                429 | 503 => return Err(Trouble::Busy { retry_after: reply.retry_after }),
                500..=599 => {
                    // It may have failed after it was done.
                    was_lost.store(true, Ordering::Relaxed);
                    return Err(Trouble::Lost);
                }
                _ => return Ok(reply),
            }
        }
        Err(Trouble::Unauthorized)
    }

    fn agent_query(&self) -> String {
        format!("agentId={}", self.agent_id.as_str())
    }
}

/// Why there is no answer that stays.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    Unreachable,
    Lost,
    Busy { retry_after: Option<u64> },
    Unauthorized,
}

impl Attempt for Trouble {
    fn may_be_tried_again(&self) -> bool {
        !matches!(self, Self::Unauthorized)
    }

    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Busy { retry_after } => *retry_after,
            _ => None,
        }
    }
}

impl From<Trouble> for ProviderFailure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Unreachable => Self::Unreachable,
            Trouble::Lost => Self::Unanswered,
            Trouble::Busy { retry_after } => Self::Busy { retry_after },
            Trouble::Unauthorized => Self::Unauthorized,
        }
    }
}

/// What a status that is no success means.
const fn refusal(status: u16) -> ProviderFailure {
    match status {
        400 => ProviderFailure::Unsupported,
        404 => ProviderFailure::NotReachable,
        413 => ProviderFailure::TooLarge,
        status => ProviderFailure::Refused { status },
    }
}

#[derive(Deserialize)]
struct Capabilities {
    #[serde(default)]
    features: Vec<String>,
}

/// The features that are read: more of them are no client's.
const FEATURES_MAX: usize = 32;

pub(crate) fn feature(name: &str) -> Feature {
    match name {
        "REVOCATION" => Feature::Revocation,
        "RICHCARD_STANDALONE" => Feature::Card,
        "RICHCARD_CAROUSEL" => Feature::Carousel,
        "ACTION_OPEN_URL" => Feature::OpenUrl,
        "ACTION_DIAL" => Feature::Dial,
        other => Feature::Other(super::event::clean_name(other)),
    }
}

#[async_trait]
impl BusinessProvider for RcsForBusiness {
    fn name(&self) -> &'static str {
        "rbm"
    }

    fn traits(&self) -> ProviderTraits {
        ProviderTraits { can_revoke: true, sends_are_idempotent: true, expires_by_itself: true }
    }

    fn webhook_window_ms(&self) -> u64 {
        self.webhook_window_ms
    }

    async fn capabilities(&self, of: &PhoneNumber) -> Result<Reach, ProviderFailure> {
        let mut random = [0; 16];
        rand::rng().fill_bytes(&mut random);
        let request_id = MessageId::from_random(random);
        let path = format!("/v1/phones/{}/capabilities?requestId={request_id}&{}", of.as_str(), self.agent_query());
        let reply = self.ask(Call::new(Method::GET, path)).await?;
        match reply.status {
            200 => {
                let answer: Capabilities =
                    serde_json::from_slice(&reply.body).map_err(|_| ProviderFailure::Unanswered)?;
                let features = answer.features.iter().take(FEATURES_MAX).map(|name| feature(name)).collect();
                Ok(Reach::Rcs { features })
            }
            404 => Ok(Reach::NotRcs),
            status => Err(refusal(status)),
        }
    }

    async fn send(&self, message: &AgentMessage) -> Result<Accepted, ProviderFailure> {
        let body = body::agent_message(message, self.traffic_type);
        if body.len() > PAYLOAD_LEN_MAX {
            return Err(ProviderFailure::TooLarge);
        }
        let (to, id) = (message.to().as_str(), message.id());
        let path = format!("/v1/phones/{to}/agentMessages?messageId={id}&{}", self.agent_query());
        let reply = self.ask(Call::new(Method::POST, path).body(body)).await?;
        match reply.status {
            // A conflict is over the id: the provider has this message.
            200..=299 | 409 => Ok(Accepted { provider_id: None }),
            status => Err(refusal(status)),
        }
    }

    async fn revoke(&self, to: &PhoneNumber, id: MessageId) -> RevokeOutcome {
        let path = format!("/v1/phones/{}/agentMessages/{id}?{}", to.as_str(), self.agent_query());
        match self.ask(Call::new(Method::DELETE, path)).await {
            Ok(reply) if (200..300).contains(&reply.status) => RevokeOutcome::Confirmed,
            Ok(reply) if reply.status == 404 => RevokeOutcome::Refused,
            Ok(_) | Err(_) => RevokeOutcome::Unanswered,
        }
    }

    async fn signal(&self, to: &PhoneNumber, signal: Signal, id: MessageId) -> Result<(), ProviderFailure> {
        let body = body::agent_event(&signal);
        let path = format!("/v1/phones/{}/agentEvents?eventId={id}&{}", to.as_str(), self.agent_query());
        let reply = self.ask(Call::new(Method::POST, path).body(body)).await?;
        if (200..300).contains(&reply.status) || reply.status == 409 { Ok(()) } else { Err(refusal(reply.status)) }
    }

    fn parse_webhook(&self, headers: &HeaderMap, body: &[u8], now_ms: u64) -> Result<Webhook, WebhookError> {
        let agent = Some(self.agent_id.as_str());
        webhook::parse(headers, body, &self.client_token, agent, now_ms, self.webhook_window_ms)
    }
}
