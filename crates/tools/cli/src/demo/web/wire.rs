//! What passed the carrier and the relay, for the page: who, how much, what was answered, and the bytes.

use std::sync::Arc;

use rcseal_rcs::frame;
use rcseal_rcs::transport::Taken;
use rcseal_sim::carrier::{Origin, Passing, Seen};
use serde_json::{Value, json};

use crate::demo::carrier::scene::Submission;

/// Bytes of one message that are shown: some screens. Its whole length is said beside it.
const SHOWN_LEN_MAX: usize = 4096;
/// Forms of one message that are shown after the carrier: it may pass a message on many times.
const FORMS_MAX: usize = 4;
/// Characters of readable words that are shown as such.
const WORDS_LEN_MAX: usize = 500;
/// Entries that are kept.
const ENTRIES_MAX: usize = 200;

/// The newest entries.
#[derive(Debug, Default)]
pub(super) struct Log {
    entries: Vec<(u64, Arc<Value>)>,
    count: u64,
}

impl Log {
    /// Adds one.
    pub(super) fn add(&mut self, mut entry: Value) {
        self.count += 1;
        entry["number"] = self.count.into();
        self.entries.push((self.count, Arc::new(entry)));
        if self.entries.len() > ENTRIES_MAX {
            self.entries.remove(0);
        }
    }

    /// Entries after the given number, and the number of the newest.
    pub(super) fn after(&self, number: u64) -> (Vec<Arc<Value>>, u64) {
        let newer = self.entries.iter().filter(|(of, _)| *of > number);
        (newer.map(|(_, entry)| Arc::clone(entry)).collect(), self.count)
    }
}

/// What the carrier saw, and what it made of it.
pub(super) fn at_carrier(seen: &Seen, name: impl Fn(&str) -> String) -> Value {
    let forms: Vec<Value> =
        seen.passed_on.iter().filter(|form| **form != seen.handed_in).take(FORMS_MAX).map(form).collect();
    json!({
        "at": "carrier",
        "from": name(seen.from.as_str()),
        "to": name(seen.to.as_str()),
        "made_up": seen.origin == Origin::Carrier,
        "handed_in": form(&seen.handed_in),
        "kind": kind(&seen.handed_in),
        "words": words(&seen.handed_in),
        "passed_on": seen.passed_on.len(),
        "changed": forms,
        "told": match &seen.told {
            Ok(Taken::Answered) => "200".to_owned(),
            Ok(Taken::Stored) => "202, stored".to_owned(),
            Err(failure) => failure.to_string(),
        },
    })
}

/// What the relay was handed.
pub(super) fn at_relay(submission: &Submission) -> Value {
    json!({
        "at": "relay",
        "from": submission.peer.to_string(),
        "mailbox": submission.mailbox.to_string(),
        "handed_in": bytes(&submission.envelope),
    })
}

/// What a message is to whoever carries it.
fn kind(passing: &Passing) -> &'static str {
    match passing.inner_type() {
        _ if !frame::find(&passing.body).parts.is_empty() => "frame",
        inner if inner.starts_with("message/imdn") => "receipt",
        _ => "words",
    }
}

/// The words that a carrier can read in a message, if it is one of words.
fn words(passing: &Passing) -> Option<String> {
    let is_words = kind(passing) == "words";
    is_words.then(|| String::from_utf8_lossy(&passing.inner_body()).chars().take(WORDS_LEN_MAX).collect())
}

fn form(passing: &Passing) -> Value {
    let mut form = bytes(&passing.body);
    form["type"] = passing.content_type.as_str().into();
    form["inner_type"] = passing.inner_type().into();
    form["encoding"] = passing.content_encoding.as_deref().into();
    form
}

fn bytes(bytes: &[u8]) -> Value {
    json!({ "len": bytes.len(), "hex": hex::encode(&bytes[..bytes.len().min(SHOWN_LEN_MAX)]) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_keeps_the_newest_and_numbers_go_on() {
        let mut log = Log::default();
        for _ in 0..ENTRIES_MAX + 5 {
            log.add(json!({}));
        }
        let (all, newest) = log.after(0);
        assert_eq!((all.len(), newest), (ENTRIES_MAX, (ENTRIES_MAX + 5) as u64));
        assert_eq!(all.first().map(|entry| entry["number"].clone()), Some(json!(6)));
        assert!(log.after(newest).0.is_empty());
    }
}
