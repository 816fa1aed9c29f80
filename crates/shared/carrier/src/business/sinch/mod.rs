//! An aggregator: the Conversation interface of Sinch (version 1).
//!
//! An app sends to a channel identity, here a phone number on RCS, and may let the aggregator go on to SMS by itself. It is not let by
//! default: a fall-back has one owner ([`crate::fallback`]), or two SMS are sent. Every report names the channel that it is about, which
//! is what makes an audit of fall-backs possible, and carries the `correlation_id` that we gave the message.
//!
//! Three things differ from RCS for Business. A request that is made twice makes two messages, so a lost answer is no reason to ask again.
//! A message cannot be taken back, it can only expire. And whether a number can be reached is answered by webhook.
//!
//! It is not end-to-end encrypted: aggregator and carrier read what an app sends.

mod body;
pub mod webhook;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderMap, HeaderValue, Method};
use rcseal_rcs::number::PhoneNumber;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::endpoint::Endpoint;
use super::event::{Reach, Webhook, clean_name};
use super::failure::{Accepted, ProviderFailure, RevokeOutcome};
use super::http_client::{Attempt, Call, CallError, HttpClient, Patience, Reply, RetryPolicy, with_retries};
use super::json::is_plain_token;
use super::message::{AgentMessage, MessageId, PAYLOAD_LEN_MAX};
use super::token::{TokenError, TokenSource, basic_header};
use super::webhook::WebhookError;
use super::{BusinessProvider, ProviderTraits, Signal};
use crate::tls::TrustAnchors;

/// Where the interface of the European region is. An app lives in one region, so the configuration names its own.
pub const DEFAULT_ENDPOINT: &str = "https://eu.conversation.api.sinch.com";

/// How old a webhook may be. The signature covers the time at which it was made; the provider's repetitions, each twice as long after the
/// one before, end within two days, whether they are signed anew or not.
pub const WEBHOOK_WINDOW_MS: u64 = 48 * 3600 * 1000;

/// The longest id of a project, an app or a key.
const ID_LEN_MAX: usize = 64;

/// An id of the provider's: of a project or of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinchId(String);

impl SinchId {
    /// An id that can stand in an address as it is; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        is_plain_token(text, ID_LEN_MAX).then(|| Self(text.to_owned()))
    }

    /// The id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The secret that webhooks are signed with. Erased on drop, never shown.
#[derive(Clone)]
pub struct WebhookSecret(Zeroizing<String>);

impl WebhookSecret {
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

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret")
    }
}

/// How an app says who it is.
pub enum SinchAuth {
    /// With the id and the secret of an access key, in every request.
    Key {
        /// The key's id.
        id: String,
        /// The key's secret.
        secret: Zeroizing<String>,
    },
    /// With tokens; [`ClientCredentials`](super::token::ClientCredentials) asks for them.
    Tokens(Arc<dyn TokenSource>),
}

/// An app at the aggregator.
pub struct SinchConfig {
    /// The project.
    pub project_id: SinchId,
    /// The app.
    pub app_id: SinchId,
    /// Where the interface is; see [`DEFAULT_ENDPOINT`].
    pub endpoint: Endpoint,
    /// Which authorities vouch for it.
    pub trust: TrustAnchors,
    /// How we say who we are.
    pub auth: SinchAuth,
    /// What webhooks are signed with.
    pub webhook_secret: WebhookSecret,
    /// Whether the aggregator may go on to SMS by itself. Cleartext, and out of our hands: off unless there is no SMS way of ours.
    pub may_fall_back_itself: bool,
    /// How old a webhook may be; see [`WEBHOOK_WINDOW_MS`].
    pub webhook_window_ms: u64,
    /// How long a request may take.
    pub patience: Patience,
    /// How often what is temporary is tried again.
    pub retries: RetryPolicy,
}

/// The aggregator as a provider.
pub struct Sinch {
    client: HttpClient,
    project_id: SinchId,
    app_id: SinchId,
    auth: SinchAuth,
    webhook_secret: WebhookSecret,
    may_fall_back_itself: bool,
    webhook_window_ms: u64,
    retries: RetryPolicy,
}

impl Sinch {
    /// A client of the interface. Nothing is connected before it is needed.
    #[must_use]
    pub fn new(config: SinchConfig) -> Self {
        Self {
            client: HttpClient::new(config.endpoint, config.trust, config.patience),
            project_id: config.project_id,
            app_id: config.app_id,
            auth: config.auth,
            webhook_secret: config.webhook_secret,
            may_fall_back_itself: config.may_fall_back_itself,
            webhook_window_ms: config.webhook_window_ms,
            retries: config.retries,
        }
    }

    async fn authorization(&self) -> Result<HeaderValue, TokenError> {
        match &self.auth {
            SinchAuth::Key { id, secret } => basic_header(id, secret),
            SinchAuth::Tokens(source) => source.token().await?.header(),
        }
    }

    /// Makes a request; again only if the one before was certainly not carried out.
    async fn ask(&self, path: &str, body: Vec<u8>) -> Result<Reply, ProviderFailure> {
        let path = format!("/v1/projects/{}/{path}", self.project_id.as_str());
        let call = Call::new(Method::POST, path).body(body);
        let result = with_retries(self.retries, || self.attempt(call.clone())).await;
        result.map_err(|Trouble(failure)| failure)
    }

    async fn attempt(&self, mut call: Call) -> Result<Reply, Trouble> {
        for is_last in [false, true] {
            call.authorization = Some(self.authorization().await.map_err(|error| {
                tracing::warn!(code = error.code(), "business_token");
                Trouble(ProviderFailure::Unauthorized)
            })?);
            let reply = self.client.call(&call).await.map_err(|error| match error {
                CallError::Unreachable => Trouble(ProviderFailure::Unreachable),
                CallError::Unanswered => Trouble(ProviderFailure::Unanswered),
            })?;
            return match reply.status {
                401 => {
                    if let (SinchAuth::Tokens(source), false) = (&self.auth, is_last) {
                        source.refused().await;
                        continue;
                    }
                    Err(Trouble(ProviderFailure::Unauthorized))
                }
                // Both are said before a request is carried out.
                429 | 503 => Err(Trouble(ProviderFailure::Busy { retry_after: reply.retry_after })),
                // It may have failed after it was done.
                500..=599 => Err(Trouble(ProviderFailure::Unanswered)),
                _ => Ok(reply),
            };
        }
        Err(Trouble(ProviderFailure::Unauthorized))
    }
}

/// A failure, for whoever tries again.
struct Trouble(ProviderFailure);

impl Attempt for Trouble {
    fn may_be_tried_again(&self) -> bool {
        matches!(self.0, ProviderFailure::Busy { .. } | ProviderFailure::Unreachable)
    }

    fn retry_after(&self) -> Option<u64> {
        match self.0 {
            ProviderFailure::Busy { retry_after } => retry_after,
            _ => None,
        }
    }
}

/// What a status that is no success means.
const fn refusal(status: u16) -> ProviderFailure {
    match status {
        400 => ProviderFailure::Unsupported,
        403 => ProviderFailure::Refused { status },
        404 => ProviderFailure::NotReachable,
        413 => ProviderFailure::TooLarge,
        status => ProviderFailure::Refused { status },
    }
}

#[derive(Deserialize)]
struct SentMessage {
    #[serde(default)]
    message_id: String,
}

#[async_trait]
impl BusinessProvider for Sinch {
    fn name(&self) -> &'static str {
        "sinch"
    }

    fn traits(&self) -> ProviderTraits {
        ProviderTraits { can_revoke: false, sends_are_idempotent: false, expires_by_itself: true }
    }

    fn webhook_window_ms(&self) -> u64 {
        self.webhook_window_ms
    }

    async fn capabilities(&self, of: &PhoneNumber) -> Result<Reach, ProviderFailure> {
        let reply = self.ask("capability:query", body::capability_query(self.app_id.as_str(), of)).await?;
        if reply.status == 200 { Ok(Reach::Unknown) } else { Err(refusal(reply.status)) }
    }

    async fn send(&self, message: &AgentMessage) -> Result<Accepted, ProviderFailure> {
        let body = body::send(self.app_id.as_str(), message, self.may_fall_back_itself);
        if body.len() > PAYLOAD_LEN_MAX {
            return Err(ProviderFailure::TooLarge);
        }
        let reply = self.ask("messages:send", body).await?;
        if reply.status != 200 {
            return Err(refusal(reply.status));
        }
        // Taken is taken: an id that cannot be read is only a worse audit.
        let sent: SentMessage =
            serde_json::from_slice(&reply.body).unwrap_or(SentMessage { message_id: String::new() });
        let provider_id = clean_name(&sent.message_id);
        Ok(Accepted { provider_id: (!provider_id.is_empty()).then_some(provider_id) })
    }

    async fn revoke(&self, _: &PhoneNumber, _: MessageId) -> RevokeOutcome {
        RevokeOutcome::Unsupported
    }

    async fn signal(&self, to: &PhoneNumber, signal: Signal, _: MessageId) -> Result<(), ProviderFailure> {
        match signal {
            Signal::Typing => {
                let reply = self.ask("events:send", body::composing(self.app_id.as_str(), to)).await?;
                if reply.status == 200 { Ok(()) } else { Err(refusal(reply.status)) }
            }
            Signal::Read(_) => Err(ProviderFailure::NotOffered),
        }
    }

    fn parse_webhook(&self, headers: &HeaderMap, body: &[u8], now_ms: u64) -> Result<Webhook, WebhookError> {
        webhook::parse(headers, body, &self.webhook_secret, self.app_id.as_str(), now_ms, self.webhook_window_ms)
    }
}
