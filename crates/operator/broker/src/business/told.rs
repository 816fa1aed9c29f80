//! What a tenant is told of what happened.

use rcseal_carrier::business::{Channel, InboundContent, ProviderEvent, Reach};
use rcseal_wire::api::business::BusinessEventBody;

/// Characters of a text by a user that are passed on. The longest that clients send, with room.
const TEXT_CHARS_MAX: usize = 5_000;

/// An entry with nothing but its kind.
pub(super) fn entry(agent: &str, at_ms: u64, kind: &'static str) -> BusinessEventBody {
    BusinessEventBody {
        at_ms,
        agent: agent.to_owned(),
        kind: kind.to_owned(),
        id: None,
        channel: None,
        reason: None,
        from: None,
        text: None,
        postback: None,
        url: None,
        is_on: None,
    }
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).collect()
}

/// What a tenant is told of a provider's event; `None` for what is of no use to it.
pub(super) fn of_provider(agent: &str, at_ms: u64, event: &ProviderEvent) -> Option<BusinessEventBody> {
    let plain = entry(agent, at_ms, event.kind());
    let named = |channel: &Channel| Some(channel.as_str().to_owned());
    Some(match event {
        ProviderEvent::Accepted { id, channel } | ProviderEvent::Expired { id, channel } => {
            BusinessEventBody { id: Some(id.to_string()), channel: channel.as_ref().and_then(named), ..plain }
        }
        ProviderEvent::Delivered { id, channel } | ProviderEvent::Read { id, channel } => {
            BusinessEventBody { id: Some(id.to_string()), channel: named(channel), ..plain }
        }
        ProviderEvent::Failed { id, channel, reason, .. } => BusinessEventBody {
            id: Some(id.to_string()),
            channel: channel.as_ref().and_then(named),
            reason: Some(reason.clone()),
            ..plain
        },
        ProviderEvent::Revoked { id } | ProviderEvent::RevokeFailed { id } => {
            BusinessEventBody { id: Some(id.to_string()), ..plain }
        }
        ProviderEvent::Inbound { from, id, content } => {
            let told = BusinessEventBody { id: Some(id.clone()), from: Some(from.as_str().to_owned()), ..plain };
            match content {
                InboundContent::Text(text) => BusinessEventBody { text: Some(cut(text)), ..told },
                InboundContent::Postback { text, data } => {
                    BusinessEventBody { text: Some(cut(text)), postback: Some(cut(data)), ..told }
                }
                InboundContent::File { url, .. } => BusinessEventBody { url: Some(cut(url)), ..told },
                InboundContent::Location { latitude, longitude } => {
                    BusinessEventBody { url: Some(format!("geo:{latitude},{longitude}")), ..told }
                }
                InboundContent::Unreadable => BusinessEventBody { reason: Some("unreadable".to_owned()), ..told },
            }
        }
        ProviderEvent::Subscription { from, is_on } => {
            BusinessEventBody { from: Some(from.as_str().to_owned()), is_on: Some(*is_on), ..plain }
        }
        ProviderEvent::Reached { number, reach } => BusinessEventBody {
            from: Some(number.as_str().to_owned()),
            is_on: match reach {
                Reach::Rcs { .. } => Some(true),
                Reach::NotRcs => Some(false),
                Reach::Unknown => None,
            },
            ..plain
        },
        // Gone before anybody reads of it; and what nobody knows.
        ProviderEvent::Typing { .. } | ProviderEvent::Unknown { .. } => return None,
    })
}
