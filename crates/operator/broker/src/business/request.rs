//! What a tenant asks for, as a provider and a gateway take it; and the row of a message.

use rcseal_carrier::business::continuation::{self, Wording};
use rcseal_carrier::business::{AgentMessage, Content, MessageId, Suggestion, Ttl};
use rcseal_carrier::fallback::{Fallback, Phase, Policy, Unanswered};
use rcseal_carrier::sms::SmsText;
use rcseal_rcs::number::PhoneNumber;
use rcseal_store::StoreError;
use rcseal_wire::api::Base64;
use rcseal_wire::api::business::{
    BusinessContent, BusinessMessageRequest, BusinessStatus, BusinessSuggestion, WhenUnknown,
};
use rcseal_wire::number::E164;
use serde::{Deserialize, Serialize};

/// Why a message cannot be sent as it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message cannot be sent as it is: {code}")]
pub(crate) struct Unsendable {
    /// Which limit or form it does not keep.
    pub(crate) code: &'static str,
}

fn unsendable(code: &'static str) -> Unsendable {
    Unsendable { code }
}

pub(crate) fn phone(number: &E164) -> Result<PhoneNumber, Unsendable> {
    number.as_str().parse().map_err(|_| unsendable("number_invalid"))
}

fn suggestion(suggestion: &BusinessSuggestion) -> Result<Suggestion, Unsendable> {
    let made = match suggestion {
        BusinessSuggestion::Reply { text, postback } => Suggestion::reply(text, postback),
        BusinessSuggestion::OpenUrl { text, url, postback } => Suggestion::open_url(text, url, postback),
        BusinessSuggestion::Dial { text, number, postback } => Suggestion::dial(text, phone(number)?, postback),
    };
    made.map_err(|error| unsendable(error.code()))
}

fn suggestions(list: &[BusinessSuggestion]) -> Result<Vec<Suggestion>, Unsendable> {
    list.iter().map(suggestion).collect()
}

/// The message for a provider. Its id was checked when it was asked for; a link is judged by the time it was asked for at.
pub(crate) fn agent_message(request: &BusinessMessageRequest, asked_at_ms: u64) -> Result<AgentMessage, Unsendable> {
    let content = match &request.content {
        BusinessContent::Text { text, suggestions: list } => {
            Content::Text { text: text.clone(), suggestions: suggestions(list)? }
        }
        BusinessContent::Card { title, body, suggestions: list } => {
            Content::Card { title: title.clone(), body: body.clone(), suggestions: suggestions(list)? }
        }
        BusinessContent::ContinueSecurely { link, expires_at_ms, title, body, button } => {
            let wording = Wording { title: title.clone(), body: body.clone(), button: button.clone() };
            continuation::card(link, *expires_at_ms, asked_at_ms, &wording).map_err(|error| unsendable(error.code()))?
        }
    };
    let id = MessageId::parse(&request.id).ok_or(unsendable("id_malformed"))?;
    let ttl = ttl(request)?;
    AgentMessage::new(id, phone(&request.to)?, content, Some(ttl)).map_err(|error| unsendable(error.code()))
}

pub(crate) fn ttl(request: &BusinessMessageRequest) -> Result<Ttl, Unsendable> {
    Ttl::from_seconds(request.ttl_seconds).map_err(|error| unsendable(error.code()))
}

pub(crate) const fn unanswered(request: &BusinessMessageRequest) -> Unanswered {
    match &request.sms {
        Some(sms) => match sms.when_unknown {
            WhenUnknown::Wait => Unanswered::Wait,
            WhenUnknown::SendSms => Unanswered::FallBack,
        },
        None => Unanswered::Wait,
    }
}

/// A message as its row has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Message {
    /// Which agent sends.
    pub(crate) agent: String,
    /// When it was asked for.
    pub(crate) asked_at_ms: u64,
    /// What was asked for.
    pub(crate) request: BusinessMessageRequest,
    /// How it stands.
    fallback: Base64,
    /// The tenant took it back: no SMS leaves any more.
    #[serde(default)]
    pub(crate) is_withdrawn: bool,
    /// What the SMS took.
    #[serde(default)]
    pub(crate) sms_segments: Option<u8>,
    /// How often the gateway could not be reached.
    #[serde(default)]
    pub(crate) sms_tries: u8,
}

/// A row that this version does not write.
fn corrupt() -> StoreError {
    StoreError::Corrupt { space: "business_messages" }
}

impl Message {
    pub(crate) fn new(agent: String, request: BusinessMessageRequest, fallback: &Fallback, now_ms: u64) -> Self {
        Self {
            agent,
            asked_at_ms: now_ms,
            request,
            fallback: Base64(fallback.to_row()),
            is_withdrawn: false,
            sms_segments: None,
            sms_tries: 0,
        }
    }

    pub(crate) fn parse(row: &[u8]) -> Result<Self, StoreError> {
        serde_json::from_slice(row).map_err(|_| corrupt())
    }

    pub(crate) fn to_row(&self) -> Result<Vec<u8>, StoreError> {
        serde_json::to_vec(self).map_err(|_| corrupt())
    }

    pub(crate) fn fallback(&self) -> Result<Fallback, StoreError> {
        Fallback::from_row(&self.fallback.0).map_err(|_| corrupt())
    }

    pub(crate) fn set_fallback(&mut self, fallback: &Fallback) {
        self.fallback = Base64(fallback.to_row());
    }

    /// Whether an SMS may leave for it.
    pub(crate) const fn may_use_sms(&self) -> bool {
        self.request.sms.is_some() && !self.is_withdrawn
    }

    /// The words of its SMS.
    pub(crate) fn sms_text(&self) -> Option<SmsText> {
        SmsText::parse(self.request.sms.as_ref()?.text.clone()).ok()
    }

    /// How it stands, as its tenant is told.
    pub(crate) fn status(&self) -> Result<BusinessStatus, StoreError> {
        let status = self.fallback()?.status();
        let is_over = matches!(status.phase, Phase::Delivered | Phase::SmsSent | Phase::SmsInDoubt);
        let phase = match status.phase {
            _ if self.is_withdrawn && !is_over => "withdrawn",
            // No SMS is going to leave: neither way has worked.
            Phase::SmsDue if !self.may_use_sms() => Phase::Failed.code(),
            phase => phase.code(),
        };
        Ok(BusinessStatus {
            id: self.request.id.clone(),
            phase: phase.to_owned(),
            channel: status.channel.map(|channel| channel.as_str().to_owned()),
            read: status.is_read,
            by_both: status.by_both,
            sms_segments: self.sms_segments,
        })
    }
}

/// Checks everything about a request, and begins its life.
pub(crate) fn begin(
    agent: String,
    request: BusinessMessageRequest,
    traits: rcseal_carrier::business::ProviderTraits,
    now_ms: u64,
) -> Result<(MessageId, Message), Unsendable> {
    let message = agent_message(&request, now_ms)?;
    if let Some(sms) = &request.sms {
        SmsText::parse(sms.text.clone()).map_err(|error| unsendable(error.code()))?;
    }
    let policy = Policy::for_provider(traits, ttl(&request)?, unanswered(&request));
    let (fallback, _) = Fallback::new(message.id(), policy, now_ms);
    let row = Message::new(agent, request, &fallback, now_ms);
    Ok((message.id(), row))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rcseal_carrier::business::ProviderTraits;
    use rcseal_wire::api::business::BusinessSms;

    const TRAITS: ProviderTraits =
        ProviderTraits { can_revoke: true, sends_are_idempotent: true, expires_by_itself: true };

    fn request() -> BusinessMessageRequest {
        BusinessMessageRequest {
            id: MessageId::from_random([7; 16]).to_string(),
            agent: None,
            to: "+447700900123".parse().unwrap(),
            content: BusinessContent::Text { text: "hello".into(), suggestions: Vec::new() },
            ttl_seconds: 60,
            sms: Some(BusinessSms { text: "hello by sms".into(), when_unknown: WhenUnknown::Wait }),
        }
    }

    #[test]
    fn a_row_comes_back_as_it_was() {
        let (_, message) = begin("acme".into(), request(), TRAITS, 5).unwrap();
        let again = Message::parse(&message.to_row().unwrap()).unwrap();
        assert_eq!(again.request, request());
        assert_eq!(again.status().unwrap().phase, "sending");
        assert!(again.may_use_sms());
    }

    #[test]
    fn every_limit_has_a_name() {
        let bad = [
            (BusinessMessageRequest { id: "x".into(), ..request() }, "id_malformed"),
            (BusinessMessageRequest { ttl_seconds: 9, ..request() }, ""),
            (
                BusinessMessageRequest {
                    content: BusinessContent::Text { text: "x".repeat(4000), suggestions: Vec::new() },
                    ..request()
                },
                "",
            ),
            (
                BusinessMessageRequest {
                    sms: Some(BusinessSms { text: "x".repeat(5000), when_unknown: WhenUnknown::Wait }),
                    ..request()
                },
                "",
            ),
            (
                BusinessMessageRequest {
                    content: BusinessContent::ContinueSecurely {
                        link: "http://not.secure/c".into(),
                        expires_at_ms: 10_000_000,
                        title: "t".into(),
                        body: "b".into(),
                        button: "open".into(),
                    },
                    ..request()
                },
                "",
            ),
        ];
        for (request, code) in bad {
            let error = begin("acme".into(), request, TRAITS, 5).err().unwrap();
            assert!(!error.code.is_empty() && (code.is_empty() || error.code == code), "{}", error.code);
        }
    }

    #[test]
    fn what_was_withdrawn_sends_no_sms() {
        let (_, mut message) = begin("acme".into(), request(), TRAITS, 5).unwrap();
        message.is_withdrawn = true;
        assert!(!message.may_use_sms());
        assert_eq!(message.status().unwrap().phase, "withdrawn");
    }
}
