//! Messages, contacts and events in print: one JSON shape each, and one line for people.

mod event;

use rcseal_client::client::SyncReport;
use rcseal_credential::Succession;
use rcseal_engine::account::{AccountView, DeviceView};
use rcseal_engine::contact::{ChangePolicy, ContactView, Verification};
use rcseal_engine::message::{MessageState, MessageView};
use rcseal_engine::policy::DeliveryMode;
use rcseal_wire::content::{Body, Content, DeliveryNotice, Media};
use serde_json::{Value, json};
use time::UtcDateTime;

pub use self::event::event;
use crate::device::Names;
use crate::safe_text;

/// Second and later lines of a message begin with this.
pub(crate) const INDENT: &str = "    | ";

/// What stands before words that somebody beside the participants could read.
pub(crate) const READABLE: &str = "READABLE BY THE CARRIER";

/// The state's reason, where it has one.
#[must_use]
pub fn reason(state: MessageState) -> Option<&'static str> {
    match state {
        MessageState::Undecryptable { reason } => Some(reason.code()),
        MessageState::Failed { reason } => Some(reason.code()),
        MessageState::Queued
        | MessageState::Stored
        | MessageState::Delivered
        | MessageState::Read
        | MessageState::Received
        | MessageState::Seen => None,
    }
}

/// A message, as JSON.
#[must_use]
pub fn message_json(event: &str, message: &MessageView) -> Value {
    json!({
        "event": event,
        "message": message.id.to_string(),
        "conversation": message.conversation.to_string(),
        "order": message.order,
        "sender": { "account": message.sender.account.to_string(), "device": message.sender.device.get() },
        "outgoing": message.is_outgoing,
        "sent_at_ms": message.sent_at.0,
        "received_at_ms": message.received_at.0,
        "state": message.state.as_str(),
        "reason": reason(message.state),
        "encryption": {
            "mode": message.encryption.mode().as_str(),
            "suite": message.encryption.suite(),
            "end_to_end": message.encryption.is_end_to_end(),
        },
        "edited": message.is_edited,
        "reply_to": message.content.as_ref().and_then(|content| content.reply_to()).map(|id| id.to_string()),
        "content": message.content.as_ref().map(content_json),
        "reactions": message
            .reactions
            .iter()
            .map(|reaction| json!({ "account": reaction.account.to_string(), "emoji": reaction.emoji }))
            .collect::<Vec<_>>(),
    })
}

/// The same names as in an export.
fn content_json(content: &Content) -> Value {
    let mut json = match content.body() {
        Body::Text(text) => json!({ "text": text }),
        Body::Media(media) => media_json(media),
        Body::Card(card) => json!({
            "title": card.title,
            "text": card.text,
            "suggestions": card
                .suggestions
                .iter()
                .map(|suggestion| json!({ "label": suggestion.label, "url": suggestion.url }))
                .collect::<Vec<_>>(),
        }),
        Body::Suggested { card, .. } => json!({ "card": card.to_string() }),
        Body::ConsentEvent { retention_days, .. } => json!({ "retention_days": retention_days }),
        Body::DeliveryNotice(notice) => json!({ "mode": notice_mode(notice).map(DeliveryMode::as_str) }),
        Body::GroupEvent { .. }
        | Body::Unknown
        | Body::Edit { .. }
        | Body::Delete { .. }
        | Body::Reaction { .. }
        | Body::Receipt(_)
        | Body::Typing(_)
        | Body::KeySetChanged
        | Body::ContactSync(_)
        | Body::Rekey(_)
        | Body::ResendRequest { .. }
        | Body::Capabilities(_)
        | Body::EnvelopeReference(_)
        | Body::NumberSeen(_)
        | Body::ContinueCase { .. }
        | Body::CaseState(_)
        | Body::Ignored => json!({}),
    };
    json["kind"] = json!(content.body().kind());
    json
}

fn notice_mode(notice: &DeliveryNotice) -> Option<DeliveryMode> {
    DeliveryMode::from_code(notice.mode)
}

fn media_json(media: &Media) -> Value {
    json!({
        "content_type": media.content_type,
        "file_name": media.file_name,
        "caption": media.caption,
        "size": media.blob.size,
        "width": media.width,
        "height": media.height,
        "thumbnail_size": media.thumbnail.as_ref().map(|thumbnail| thumbnail.size),
    })
}

/// A message, as a line (or several, indented) for people.
#[must_use]
pub fn message_text(message: &MessageView, names: &Names) -> String {
    let who = names.of(message.sender.account);
    let what = message.content.as_ref().map_or_else(|| "(taken back)".to_owned(), |content| body_text(content.body()));
    let mut line = format!("{who}: {what}");
    if message.content.as_ref().is_some_and(|content| content.reply_to().is_some()) {
        line = format!("{who} (reply): {what}");
    }
    if message.is_edited {
        line.push_str(" (edited)");
    }
    for reaction in &message.reactions {
        line.push_str(&format!("  [{} {}]", safe_text::one_line(&reaction.emoji), names.of(reaction.account)));
    }
    if !message.encryption.is_end_to_end() {
        line = format!("{READABLE} {line}");
    }
    if message.is_outgoing {
        line.push_str(&format!("  · {}", message.state.as_str()));
        if let Some(reason) = reason(message.state) {
            line.push_str(&format!(" ({reason})"));
        }
    }
    line
}

fn body_text(body: &Body) -> String {
    match body {
        Body::Text(text) => safe_text::lines(text, INDENT),
        Body::Media(media) => {
            let mut line = format!("[{}, {}]", safe_text::file_name(&media.file_name), size(media.blob.size));
            if !media.caption.is_empty() {
                line.push(' ');
                line.push_str(&safe_text::lines(&media.caption, INDENT));
            }
            line
        }
        Body::Card(card) => {
            format!("[card] {}: {}", safe_text::one_line(&card.title), safe_text::lines(&card.text, INDENT))
        }
        Body::Suggested { .. } => "[chose a suggestion]".to_owned(),
        Body::GroupEvent { .. } => "[the group changed]".to_owned(),
        Body::ConsentEvent { .. } => "[the choice about transcripts changed]".to_owned(),
        Body::DeliveryNotice(notice) => match notice_mode(notice) {
            Some(mode) if mode.is_end_to_end() => "[end-to-end encrypted again]".to_owned(),
            Some(mode) => format!("[NOT end-to-end encrypted from here on: {}]", mode.as_str()),
            None => "[the delivery mode changed; update rcseal to see how]".to_owned(),
        },
        Body::Unknown => "[update rcseal to see this message]".to_owned(),
        Body::Edit { .. }
        | Body::Delete { .. }
        | Body::Reaction { .. }
        | Body::Receipt(_)
        | Body::Typing(_)
        | Body::KeySetChanged
        | Body::ContactSync(_)
        | Body::Rekey(_)
        | Body::ResendRequest { .. }
        | Body::Capabilities(_)
        | Body::EnvelopeReference(_)
        | Body::NumberSeen(_)
        | Body::ContinueCase { .. }
        | Body::CaseState(_)
        | Body::Ignored => String::new(),
    }
}

/// A size for people.
#[must_use]
pub fn size(bytes: u64) -> String {
    #[allow(clippy::cast_precision_loss)]
    let amount = bytes as f64;
    match bytes {
        0..=999 => format!("{bytes} B"),
        1_000..=999_999 => format!("{:.1} kB", amount / 1e3),
        _ => format!("{:.1} MB", amount / 1e6),
    }
}

/// A contact, as JSON.
#[must_use]
pub fn contact_json(contact: &ContactView) -> Value {
    json!({
        "account": contact.account.to_string(),
        "name": contact.name,
        "display_name": contact.display_name,
        "server": contact.origin.as_str(),
        "verification": contact.verification.as_str(),
        "changed_how": contact.changed_how.map(Succession::as_str),
        "on_change": contact.change_policy.map(ChangePolicy::as_str),
        "blocked": contact.is_blocked,
        "key_set_counter": contact.key_set_counter,
        "devices": contact.devices.iter().map(|device| device_json(device, None)).collect::<Vec<_>>(),
    })
}

/// How a contact's account key changed, for people: what vouches for the new one.
#[must_use]
pub const fn how_it_changed(how: Option<Succession>) -> &'static str {
    match how {
        Some(Succession::Migrated) => "the old key vouches for the new one",
        Some(Succession::Recovered) => "the recovery key vouches for the new one",
        Some(Succession::Reset) => "the server's operator began the account again; no key vouches for the new one",
        Some(Succession::Unchanged | Succession::SameAccountKey) | None => "the account key is another one",
    }
}

/// What somebody who is about to write to a contact should know; `None` when there is nothing.
#[must_use]
pub fn warning(contact: &ContactView) -> Option<String> {
    let name = crate::device::name_of(contact);
    if contact.is_blocked {
        return Some(format!("note: {name} is blocked; `rcseal contact unblock` ends that"));
    }
    (contact.verification == Verification::Changed).then(|| {
        format!(
            "note: the account key of {name} has changed: {}\n      compare it with `rcseal verify`, or take it as it is with `rcseal contact accept`",
            how_it_changed(contact.changed_how)
        )
    })
}

/// An age for people, in its largest whole unit.
#[must_use]
pub fn age(milliseconds: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(24 * 3600 * 1000, "d"), (3600 * 1000, "h"), (60 * 1000, "min")];
    for (length, unit) in UNITS {
        if milliseconds >= length {
            return format!("{} {unit}", milliseconds / length);
        }
    }
    format!("{} s", milliseconds / 1000)
}

/// A moment for people: UTC, to the minute. Moments after the year 9999 are shown as its last one.
#[must_use]
pub fn moment(milliseconds: u64) -> String {
    let seconds = i64::try_from(milliseconds / 1000).unwrap_or(i64::MAX);
    let at = UtcDateTime::from_unix_timestamp(seconds).unwrap_or(UtcDateTime::MAX);
    let (date, time) = (at.date(), at.time());
    format!("{date} {:02}:{:02} UTC", time.hour(), time.minute())
}

/// A device, as JSON; `own` is the number of the one that prints it.
#[must_use]
pub fn device_json(device: &DeviceView, own: Option<u8>) -> Value {
    let mut json = json!({
        "device": device.number.get(),
        "platform": device.platform.as_str(),
        "custody": device.custody.as_str(),
    });
    if let Some(own) = own {
        json["this"] = (own == device.number.get()).into();
    }
    json
}

/// The account, as JSON.
#[must_use]
pub fn account_json(account: &AccountView) -> Value {
    json!({
        "account": account.address.account.to_string(),
        "device": account.address.device.get(),
        "server": account.origin.as_str(),
        "name": account.display_name,
        "primary": account.is_primary,
        "registered": account.state == rcseal_engine::account::AccountState::Active,
        "mailbox": account.mailbox.to_string(),
        "key_set_counter": account.key_set_counter,
        "on_change": account.change_policy.as_str(),
        "reset_effective_at_ms": account.reset_at.map(|at| at.0),
    })
}

/// What a synchronisation did, as JSON.
#[must_use]
pub fn sync_json(event: &str, report: &SyncReport) -> Value {
    json!({
        "event": event,
        "received": report.received,
        "undecryptable": report.undecryptable,
        "duplicates": report.duplicates,
        "submitted": report.submitted,
        "complete": report.is_complete,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn moments_are_dates_of_the_calendar() {
        for (milliseconds, expected) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_400_000, "2000-02-29 00:00 UTC"),
            (1_709_251_199_999, "2024-02-29 23:59 UTC"),
            (1_767_225_600_000, "2026-01-01 00:00 UTC"),
            (4_107_542_399_000, "2100-02-28 23:59 UTC"),
            (4_107_542_400_000, "2100-03-01 00:00 UTC"),
            (253_402_300_799_999, "9999-12-31 23:59 UTC"),
            (u64::MAX, "9999-12-31 23:59 UTC"),
        ] {
            assert_eq!(moment(milliseconds), expected);
        }
    }

    #[test]
    fn an_age_is_told_in_its_largest_whole_unit() {
        assert_eq!([age(0), age(59_999), age(60_000), age(7_200_000)], ["0 s", "59 s", "1 min", "2 h"]);
        assert_eq!(age(3 * 24 * 3600 * 1000 + 1), "3 d");
    }
}
