//! Messages of a business: through RCS for Business, or through an aggregator.
//!
//! A business reaches a phone number by an agent that a provider runs. Whatever goes this way is readable by the provider and by the
//! recipient's carrier; its use here is a card that leads into an end-to-end conversation ([`continuation`]), and what a business decides to
//! send in the clear. [`BusinessProvider`] is the seam: it asks what a number can take, sends, takes back, and reads the provider's webhooks.
//! What goes on after a message was sent is [`crate::fallback`]'s to decide; this module keeps no state of a message.
//!
//! | module | what |
//! |---|---|
//! | [`message`] | what is sent, within the limits that are published for it |
//! | [`event`] | what a provider reports: among it the channel that really carried a message |
//! | [`webhook`] | what makes a webhook credible: signature, window of time, key against replay |
//! | [`rbm`] | RCS for Business, by its REST interface |
//! | [`sinch`] | an aggregator whose reports name the real channel |
//! | [`continuation`] | the card that leads into the app |
//! | [`token`] | where bearer tokens come from |
//! | [`endpoint`] | where a provider's interface is |
//! | `http` | requests, answers within limits, and what is tried again |
//! | `fake` | fakes of both providers, for tests and demonstrations (feature `fake`) |
//!
//! Nothing here was run against a production service: that takes an enrolment. The fakes follow the published protocols, and are labelled.

use async_trait::async_trait;
use http::HeaderMap;
use rcseal_rcs::number::PhoneNumber;

pub mod continuation;
pub mod endpoint;
pub mod event;
mod failure;
#[cfg(feature = "fake")]
pub mod fake;
mod http_client;
mod json;
pub mod message;
pub mod rbm;
pub mod sinch;
pub mod token;
pub mod webhook;

pub use endpoint::{Endpoint, EndpointError};
pub use event::{Channel, EventKey, Feature, InboundContent, ProviderEvent, Reach, Webhook, WebhookEvent};
pub use failure::{Accepted, ProviderFailure, RevokeOutcome};
pub use http_client::{Patience, RetryPolicy};
pub use message::{AgentMessage, Content, MessageError, MessageId, Suggestion, Ttl};
pub use webhook::WebhookError;

/// What a provider can do, as far as it matters to who decides on a fall-back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProviderTraits {
    /// A message that was not delivered can be taken back.
    pub can_revoke: bool,
    /// A message that is sent twice under one id is delivered once.
    pub sends_are_idempotent: bool,
    /// The provider gives up by itself when a time to live has passed, and says so.
    pub expires_by_itself: bool,
}

/// What an agent tells a user besides messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// Somebody is writing an answer.
    Typing,
    /// A message of the user, by the id it came with, was read.
    Read(String),
}

/// A provider of business messages.
#[async_trait]
pub trait BusinessProvider: Send + Sync {
    /// A short name for logs, metrics and rows.
    fn name(&self) -> &'static str;

    /// What it can do.
    fn traits(&self) -> ProviderTraits;

    /// How old a signed webhook may be. Keys of events are kept for as long, or a replay is not noticed.
    fn webhook_window_ms(&self) -> u64;

    /// Asks whether a number can be reached by RCS, and what it takes. [`Reach::Unknown`] where the answer comes by webhook.
    ///
    /// # Errors
    /// [`ProviderFailure`]; none of them says anything about the number.
    async fn capabilities(&self, of: &PhoneNumber) -> Result<Reach, ProviderFailure>;

    /// Sends. What is temporary is tried again within the provider's own patience, as far as that cannot make two messages of one.
    ///
    /// # Errors
    /// [`ProviderFailure`]; [`ProviderFailure::may_have_arrived`] says whether the message may be on its way all the same.
    async fn send(&self, message: &AgentMessage) -> Result<Accepted, ProviderFailure>;

    /// Takes a message back that was not delivered yet.
    async fn revoke(&self, to: &PhoneNumber, id: MessageId) -> RevokeOutcome;

    /// Tells a user that somebody writes or has read. `id` makes it a new event for the provider.
    ///
    /// # Errors
    /// [`ProviderFailure`].
    async fn signal(&self, to: &PhoneNumber, signal: Signal, id: MessageId) -> Result<(), ProviderFailure>;

    /// Reads a webhook: its signature and its time first, then what it says.
    ///
    /// # Errors
    /// [`WebhookError`] by name, with the status to answer.
    fn parse_webhook(&self, headers: &HeaderMap, body: &[u8], now_ms: u64) -> Result<Webhook, WebhookError>;
}
