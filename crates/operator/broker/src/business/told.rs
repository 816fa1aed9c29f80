//! What a tenant is told of what happened.

use rcseal_carrier::business::{Channel, InboundContent, ProviderEvent, Reach};
use rcseal_store::broker::business::FEED_ENTRY_LEN_MAX;
use rcseal_wire::api::business::BusinessEventBody;

/// Bytes, as they stand in an entry, of the texts by a user that are passed on: the longest that clients send, with room. What a user's client
/// makes up must not be longer than an entry may be, or it would be refused, and brought again for days.
const TEXT_LEN_MAX: usize = FEED_ENTRY_LEN_MAX - 4 * 1024;

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

/// The beginning of a text that takes so many bytes in JSON.
fn cut(text: &str, max: usize) -> String {
    let mut len = 0;
    let fits = |character: &char| {
        len += match character {
            '"' | '\\' => 2,
            character if character.is_control() => 6,
            character => character.len_utf8(),
        };
        len <= max
    };
    text.chars().take_while(fits).collect()
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
                InboundContent::Text(text) => BusinessEventBody { text: Some(cut(text, TEXT_LEN_MAX)), ..told },
                InboundContent::Postback { text, data } => {
                    let half = TEXT_LEN_MAX / 2;
                    BusinessEventBody { text: Some(cut(text, half)), postback: Some(cut(data, half)), ..told }
                }
                InboundContent::File { url, .. } => BusinessEventBody { url: Some(cut(url, TEXT_LEN_MAX)), ..told },
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn whatever_a_user_writes_fits_into_an_entry() {
        let id = "\u{1}".repeat(256);
        for long in ["\u{1}", "\"", "\u{1f990}", "a"].map(|one| one.repeat(100_000)) {
            for content in [
                InboundContent::Text(long.clone()),
                InboundContent::Postback { text: long.clone(), data: long.clone() },
                InboundContent::File { url: long.clone(), mime_type: String::new() },
            ] {
                let from = "+447700900123".parse().unwrap();
                let event = ProviderEvent::Inbound { from, id: id.clone(), content };
                let entry = of_provider("acme-rbm", u64::MAX, &event).unwrap();
                let len = serde_json::to_vec(&entry).unwrap().len();
                assert!(len > FEED_ENTRY_LEN_MAX / 2 && len <= FEED_ENTRY_LEN_MAX, "{len}");
            }
        }
    }
}
