//! The JSON that an agent sends.

use serde::Serialize;

use super::TrafficType;
use crate::business::Signal;
use crate::business::message::{AgentMessage, Content, Suggestion};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    content_message: ContentMessage<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_traffic_type: Option<&'static str>,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct ContentMessage<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rich_card: Option<RichCard<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_info: Option<ContentInfo<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    suggestions: Vec<SuggestionJson<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RichCard<'a> {
    standalone_card: StandaloneCard<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StandaloneCard<'a> {
    card_orientation: &'static str,
    card_content: CardContent<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CardContent<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    title: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    suggestions: Vec<SuggestionJson<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ContentInfo<'a> {
    file_url: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum SuggestionJson<'a> {
    Reply(Reply<'a>),
    Action(Action<'a>),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reply<'a> {
    text: &'a str,
    postback_data: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Action<'a> {
    text: &'a str,
    postback_data: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    open_url_action: Option<OpenUrl<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dial_action: Option<Dial<'a>>,
}

#[derive(Serialize)]
struct OpenUrl<'a> {
    url: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Dial<'a> {
    phone_number: &'a str,
}

fn suggestion(suggestion: &Suggestion) -> SuggestionJson<'_> {
    match suggestion {
        Suggestion::Reply { text, postback } => SuggestionJson::Reply(Reply { text, postback_data: postback }),
        Suggestion::OpenUrl { text, url, postback } => SuggestionJson::Action(Action {
            text,
            postback_data: postback,
            open_url_action: Some(OpenUrl { url }),
            dial_action: None,
        }),
        Suggestion::Dial { text, number, postback } => SuggestionJson::Action(Action {
            text,
            postback_data: postback,
            open_url_action: None,
            dial_action: Some(Dial { phone_number: number.as_str() }),
        }),
    }
}

fn suggestions(suggestions: &[Suggestion]) -> Vec<SuggestionJson<'_>> {
    suggestions.iter().map(suggestion).collect()
}

/// The body of a message.
pub(super) fn agent_message(message: &AgentMessage, traffic_type: Option<TrafficType>) -> Vec<u8> {
    let mut content = ContentMessage::default();
    match message.content() {
        Content::Text { text, suggestions: beside } => {
            content.text = Some(text);
            content.suggestions = suggestions(beside);
        }
        Content::Card { title, body, suggestions: on_card } => {
            content.rich_card = Some(RichCard {
                standalone_card: StandaloneCard {
                    card_orientation: "VERTICAL",
                    card_content: CardContent { title, description: body, suggestions: suggestions(on_card) },
                },
            });
        }
        Content::File { url, suggestions: beside } => {
            content.content_info = Some(ContentInfo { file_url: url });
            content.suggestions = suggestions(beside);
        }
    }
    let message_traffic_type = traffic_type.map(|kind| match kind {
        TrafficType::Authentication => "AUTHENTICATION",
        TrafficType::Transaction => "TRANSACTION",
        TrafficType::Promotion => "PROMOTION",
        TrafficType::ServiceRequest => "SERVICEREQUEST",
        TrafficType::Acknowledgement => "ACKNOWLEDGEMENT",
    });
    let ttl = message.ttl().map(|ttl| format!("{}s", ttl.seconds()));
    serde_json::to_vec(&Message { content_message: content, ttl, message_traffic_type })
        .expect("texts and lists of texts have a JSON form")
}

/// The body of an event.
pub(super) fn agent_event(signal: &Signal) -> Vec<u8> {
    let body = match signal {
        Signal::Typing => serde_json::json!({ "eventType": "IS_TYPING" }),
        Signal::Read(id) => serde_json::json!({ "eventType": "READ", "messageId": id }),
    };
    body.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;
    use crate::business::message::{MessageId, Ttl};

    fn body(content: Content, ttl: Option<Ttl>) -> Value {
        let to = "+12015550123".parse().unwrap();
        let message = AgentMessage::new(MessageId::from_random([1; 16]), to, content, ttl).unwrap();
        serde_json::from_slice(&agent_message(&message, Some(TrafficType::Transaction))).unwrap()
    }

    #[test]
    fn a_text_has_the_published_shape() {
        let suggestions = vec![
            Suggestion::reply("Yes", "yes-1").unwrap(),
            Suggestion::dial("Call", "+12015550124".parse().unwrap(), "call-1").unwrap(),
        ];
        let content = Content::Text { text: "Hello".into(), suggestions };
        let expected = json!({
            "contentMessage": {
                "text": "Hello",
                "suggestions": [
                    { "reply": { "text": "Yes", "postbackData": "yes-1" } },
                    { "action": {
                        "text": "Call", "postbackData": "call-1", "dialAction": { "phoneNumber": "+12015550124" }
                    } },
                ],
            },
            "ttl": "3600s",
            "messageTrafficType": "TRANSACTION",
        });
        assert_eq!(body(content, Some(Ttl::from_seconds(3600).unwrap())), expected);
    }

    #[test]
    fn a_card_has_the_published_shape() {
        let open = Suggestion::open_url("Open", "https://example.com/c#x", "open-1").unwrap();
        let content = Content::Card { title: "Title".into(), body: "Text".into(), suggestions: vec![open] };
        let expected = json!({
            "contentMessage": { "richCard": { "standaloneCard": {
                "cardOrientation": "VERTICAL",
                "cardContent": {
                    "title": "Title",
                    "description": "Text",
                    "suggestions": [ { "action": {
                        "text": "Open", "postbackData": "open-1",
                        "openUrlAction": { "url": "https://example.com/c#x" },
                    } } ],
                },
            } } },
            "messageTrafficType": "TRANSACTION",
        });
        assert_eq!(body(content, None), expected);
    }

    #[test]
    fn a_file_and_events_have_the_published_shape() {
        let content = Content::File { url: "https://example.com/a.pdf".into(), suggestions: Vec::new() };
        assert_eq!(
            body(content, None)["contentMessage"],
            json!({ "contentInfo": { "fileUrl": "https://example.com/a.pdf" } })
        );
        let event = |signal| serde_json::from_slice::<Value>(&agent_event(&signal)).unwrap();
        assert_eq!(event(Signal::Typing), json!({ "eventType": "IS_TYPING" }));
        assert_eq!(event(Signal::Read("m1".into())), json!({ "eventType": "READ", "messageId": "m1" }));
    }
}
