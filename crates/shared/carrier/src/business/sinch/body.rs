//! The JSON that an app sends.

use rcseal_rcs::number::PhoneNumber;
use serde_json::{Map, Value, json};

use crate::business::message::{AgentMessage, Content, Suggestion};

/// A number as the provider writes identities: digits.
fn identity(number: &PhoneNumber) -> &str {
    number.as_str().trim_start_matches('+')
}

fn recipient(number: &PhoneNumber, channels: &[&str]) -> Value {
    let identity = identity(number);
    let identities: Vec<Value> =
        channels.iter().map(|channel| json!({ "channel": channel, "identity": identity })).collect();
    json!({ "identified_by": { "channel_identities": identities } })
}

fn choices(suggestions: &[Suggestion]) -> Vec<Value> {
    let one = |suggestion: &Suggestion| {
        let (mut choice, postback) = match suggestion {
            Suggestion::Reply { text, postback } => (json!({ "text_message": { "text": text } }), postback),
            Suggestion::OpenUrl { text, url, postback } => {
                (json!({ "url_message": { "title": text, "url": url } }), postback)
            }
            Suggestion::Dial { text, number, postback } => {
                (json!({ "call_message": { "title": text, "phone_number": number.as_str() } }), postback)
            }
        };
        if let (Value::Object(choice), false) = (&mut choice, postback.is_empty()) {
            choice.insert("postback_data".to_owned(), json!(postback));
        }
        choice
    };
    suggestions.iter().map(one).collect()
}

fn message(content: &Content) -> Value {
    match content {
        Content::Text { text, suggestions } if suggestions.is_empty() => json!({ "text_message": { "text": text } }),
        Content::Text { text, suggestions } => {
            json!({ "choice_message": { "text_message": { "text": text }, "choices": choices(suggestions) } })
        }
        Content::Card { title, body, suggestions } => {
            let mut card = Map::new();
            for (name, text) in [("title", title), ("description", body)] {
                if !text.is_empty() {
                    card.insert(name.to_owned(), json!(text));
                }
            }
            card.insert("choices".to_owned(), Value::Array(choices(suggestions)));
            json!({ "card_message": card })
        }
        Content::File { url, .. } => json!({ "media_message": { "url": url } }),
    }
}

/// The body of a message.
pub(super) fn send(app_id: &str, sent: &AgentMessage, may_fall_back_itself: bool) -> Vec<u8> {
    let channels: &[&str] = if may_fall_back_itself { &["RCS", "SMS"] } else { &["RCS"] };
    let mut body = json!({
        "app_id": app_id,
        "recipient": recipient(sent.to(), channels),
        "message": message(sent.content()),
        "channel_priority_order": channels,
        "correlation_id": sent.id().to_string(),
    });
    if let (Value::Object(body), Some(ttl)) = (&mut body, sent.ttl()) {
        body.insert("ttl".to_owned(), json!(format!("{}s", ttl.seconds())));
    }
    body.to_string().into_bytes()
}

/// The body of a question about a number.
pub(super) fn capability_query(app_id: &str, number: &PhoneNumber) -> Vec<u8> {
    json!({ "app_id": app_id, "recipient": recipient(number, &["RCS"]) }).to_string().into_bytes()
}

/// The body of an event: somebody writes.
pub(super) fn composing(app_id: &str, number: &PhoneNumber) -> Vec<u8> {
    let event = json!({ "composing_event": {} });
    json!({ "app_id": app_id, "recipient": recipient(number, &["RCS"]), "event": event }).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::business::message::{MessageId, Ttl};

    fn body(content: Content, ttl: Option<Ttl>, may_fall_back_itself: bool) -> Value {
        let id = MessageId::from_random([1; 16]);
        let sent = AgentMessage::new(id, "+12015550123".parse().unwrap(), content, ttl).unwrap();
        serde_json::from_slice(&send("APP", &sent, may_fall_back_itself)).unwrap()
    }

    #[test]
    fn a_text_has_the_published_shape_and_stays_on_one_channel() {
        let content = Content::Text { text: "Hello".into(), suggestions: Vec::new() };
        let expected = json!({
            "app_id": "APP",
            "recipient": { "identified_by": { "channel_identities": [
                { "channel": "RCS", "identity": "12015550123" },
            ] } },
            "message": { "text_message": { "text": "Hello" } },
            "channel_priority_order": ["RCS"],
            "correlation_id": "01010101-0101-4101-8101-010101010101",
            "ttl": "60s",
        });
        assert_eq!(body(content, Some(Ttl::from_seconds(60).unwrap()), false), expected);
    }

    #[test]
    fn the_aggregator_goes_on_to_sms_only_where_it_is_let() {
        let content = Content::Text { text: "Hello".into(), suggestions: Vec::new() };
        let body = body(content, None, true);
        assert_eq!(body["channel_priority_order"], json!(["RCS", "SMS"]));
        assert_eq!(body["recipient"]["identified_by"]["channel_identities"][1]["channel"], "SMS");
    }

    #[test]
    fn a_card_has_the_published_shape() {
        let suggestions = vec![
            Suggestion::open_url("Open", "https://example.com/c#x", "p1").unwrap(),
            Suggestion::dial("Call", "+12015550124".parse().unwrap(), "").unwrap(),
            Suggestion::reply("Later", "p3").unwrap(),
        ];
        let content = Content::Card { title: "Title".into(), body: "Text".into(), suggestions };
        let expected = json!({ "card_message": {
            "title": "Title",
            "description": "Text",
            "choices": [
                { "url_message": { "title": "Open", "url": "https://example.com/c#x" }, "postback_data": "p1" },
                { "call_message": { "title": "Call", "phone_number": "+12015550124" } },
                { "text_message": { "text": "Later" }, "postback_data": "p3" },
            ],
        } });
        assert_eq!(body(content, None, false)["message"], expected);
    }
}
