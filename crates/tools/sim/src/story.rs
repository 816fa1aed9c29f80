//! What every story over a simulated carrier needs: words that can be looked for, the texts that arrived, a user's leave for a while,
//! and an error on one line.

use std::error::Error;
use std::time::{SystemTime, UNIX_EPOCH};

use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _};
use rcseal_client::{Client, ClientError};
use rcseal_engine::UnixMillis;
use rcseal_engine::message::MessageView;
use rcseal_wire::content::Body;
use rcseal_wire::id::ConversationId;

/// How long a user's word and leave count in a story.
const HOUR_MS: u64 = 3_600_000;

/// Words that stand in one message and nowhere else, and the message.
pub fn words(rng: &mut StdRng, len: usize) -> (String, String) {
    let mark = format!("{:016x}", rng.next_u64());
    let mut text = format!("Dear, {mark} is what I meant. ");
    while text.len() < len {
        text.extend((0..rng.random_range(2..9)).map(|_| char::from(rng.random_range(b'a'..=b'z'))));
        text.push(' ');
    }
    text.truncate(len.max(40));
    (mark, text)
}

/// The texts among the newest `limit` messages of a conversation, the newest first.
///
/// # Errors
/// Those of the client.
pub async fn texts(
    client: &Client,
    conversation: ConversationId,
    limit: usize,
) -> Result<Vec<(MessageView, String)>, ClientError> {
    let messages = client.messages(conversation, None, limit).await?;
    let text = |message: MessageView| match message.content.as_ref()?.body() {
        Body::Text(text) => Some(text.clone()).map(|text| (message, text)),
        _ => None,
    };
    Ok(messages.into_iter().filter_map(text).collect())
}

/// Until when a user's word and leave count.
#[must_use]
pub fn in_an_hour() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(0) + HOUR_MS)
}

/// An error and its causes, on one line.
#[must_use]
pub fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
