//! What a business asks of a broker: messages to people who have no app yet, and what became of them.
//!
//! Everything here is in the clear for the broker, the provider and the recipient's carrier. It is meant for the card that leads into the app,
//! and for what a business decides to send that way.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::number::E164;

/// POST, with the tenant's key.
pub const BUSINESS_MESSAGES_PATH: &str = "/v1/business/messages";
/// POST, with the tenant's key.
pub const BUSINESS_CAPABILITIES_PATH: &str = "/v1/business/capabilities";
/// GET, with the tenant's key.
pub const BUSINESS_EVENTS_PATH: &str = "/v1/business/events";
/// Events in one answer.
pub const BUSINESS_EVENTS_MAX: usize = 256;
/// Seconds that a reader may wait for the next event.
pub const BUSINESS_WAIT_SECONDS_MAX: u64 = 30;

/// GET and DELETE, with the tenant's key.
#[must_use]
pub fn business_message_path(id: &str) -> String {
    format!("{BUSINESS_MESSAGES_PATH}/{id}")
}

/// POST /v1/business/messages: a message of an agent. Repeat it with the same `id` until it is answered: it is sent once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BusinessMessageRequest {
    /// A UUID of version 4, the tenant's. The same id in the app's conversation lets the app show a message once that came twice.
    pub id: String,
    /// Which of the tenant's agents sends; may be left out by a tenant that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// To whom.
    #[schema(value_type = String)]
    pub to: E164,
    /// What.
    pub content: BusinessContent,
    /// How long the provider may try, 10 seconds to 15 days.
    pub ttl_seconds: u64,
    /// What is sent as an SMS if the message is not delivered that way. Left out: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sms: Option<BusinessSms>,
}

/// An SMS in a message's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BusinessSms {
    /// Its words. Best a link without content.
    pub text: String,
    /// What happens when nobody can tell whether the message was delivered.
    #[serde(default)]
    pub when_unknown: WhenUnknown,
}

/// What happens when nobody can tell whether a message was delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenUnknown {
    /// No SMS: nobody gets it twice.
    #[default]
    Wait,
    /// The SMS: it may be delivered twice, under one id.
    SendSms,
}

/// What an agent says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum BusinessContent {
    /// Words.
    Text {
        /// The words.
        text: String,
        /// Buttons under them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        suggestions: Vec<BusinessSuggestion>,
    },
    /// A card.
    Card {
        /// Its title.
        title: String,
        /// Its words.
        body: String,
        /// Its buttons.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        suggestions: Vec<BusinessSuggestion>,
    },
    /// The card that leads into an end-to-end conversation.
    ContinueSecurely {
        /// The one-time link.
        link: String,
        /// When the link ends, in milliseconds since 1970.
        expires_at_ms: u64,
        /// The card's title.
        title: String,
        /// The card's words.
        body: String,
        /// The button's.
        button: String,
    },
}

/// A button.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum BusinessSuggestion {
    /// Answers.
    Reply {
        /// What stands on it.
        text: String,
        /// What the agent gets.
        postback: String,
    },
    /// Opens a page.
    OpenUrl {
        /// What stands on it.
        text: String,
        /// The page.
        url: String,
        /// What the agent gets.
        postback: String,
    },
    /// Calls.
    Dial {
        /// What stands on it.
        text: String,
        /// Whom.
        #[schema(value_type = String)]
        number: E164,
        /// What the agent gets.
        postback: String,
    },
}

/// How a message stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BusinessStatus {
    /// Which.
    pub id: String,
    /// `sending`, `waiting`, `revoking`, `unresolved`, `presumed_delivered`, `sms_due`, `sms_sent`, `sms_in_doubt`, `delivered`, `failed`,
    /// or `withdrawn`.
    pub phase: String,
    /// What really carried it, once that is known: `RCS`, `SMS`, `MMS`, or the provider's name for another way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Whether it was opened.
    pub read: bool,
    /// Whether it was delivered by the provider and left as an SMS too.
    pub by_both: bool,
    /// SMS that it took, counted as the gateway bills them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sms_segments: Option<u8>,
}

/// What came of taking a message back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BusinessRevoked {
    /// What the provider said: `confirmed`, `refused`, `unanswered` or `unsupported`. Only `confirmed` says that it was not delivered, and a
    /// delivery may still be reported.
    pub outcome: String,
    /// How the message stands. No SMS will be sent for it any more.
    pub status: BusinessStatus,
}

/// POST /v1/business/capabilities.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BusinessReachRequest {
    /// Which agent asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Who is to be reached.
    #[schema(value_type = String)]
    pub to: E164,
}

/// Whether a number can be reached by RCS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BusinessReach {
    /// `rcs`, `not_rcs`, or `unknown`: the answer comes as an event.
    pub reach: String,
    /// What the recipient's client takes, by name.
    pub features: Vec<String>,
}

/// GET /v1/business/events?after=SEQUENCE&wait=SECONDS: what happened, oldest first. At least once: a reader keeps its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BusinessEvents {
    /// The events.
    pub events: Vec<BusinessEvent>,
    /// Whether more follow at once.
    pub more: bool,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BusinessEvent {
    /// Its place.
    pub sequence: u64,
    /// What happened.
    #[serde(flatten)]
    pub what: BusinessEventBody,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BusinessEventBody {
    /// When, as the provider says, in milliseconds since 1970.
    pub at_ms: u64,
    /// By which agent.
    pub agent: String,
    /// `accepted`, `delivered`, `read`, `failed`, `revoked`, `revoke_failed`, `expired`, `inbound`, `typing`, `subscription`, `reached`,
    /// `sms_submitted`, `sms_refused`, `sms_unanswered`, `sms_delivered`, `sms_failed`.
    pub kind: String,
    /// Which message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What carried it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// The provider's code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who wrote, or what was asked about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What they wrote: words, or what stood on the button.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What was behind the button.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postback: Option<String>,
    /// Where a file is, at the provider's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Whether messages are wanted, or a number can be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_on: Option<bool>,
}
