//! Messages, contacts and events in print: one JSON shape each, and one line for people.

use rcseal_client::client::SyncReport;
use rcseal_credential::Succession;
use rcseal_engine::account::{AccountView, DeviceView};
use rcseal_engine::contact::{ChangePolicy, ContactView, Verification};
use rcseal_engine::event::Event;
use rcseal_engine::message::{MessageState, MessageView};
use rcseal_engine::policy::DeliveryMode;
use rcseal_wire::content::{Body, Content, DeliveryNotice, Media};
use serde_json::{Value, json};

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

/// A moment for people: UTC, to the minute.
#[must_use]
pub fn moment(milliseconds: u64) -> String {
    const DAY_MS: u64 = 24 * 3600 * 1000;
    let (year, month, day) = date(milliseconds / DAY_MS);
    let minutes = milliseconds % DAY_MS / 60_000;
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", minutes / 60, minutes % 60)
}

/// The Gregorian date of a number of days since 1970-01-01.
fn date(days: u64) -> (u64, u64, u64) {
    // Counted from 0000-03-01, so that a leap day is the last day of its year, in eras of 400 years, which all have the same length.
    let days = days.saturating_add(719_468);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let (month, later) = if month_from_march < 10 { (month_from_march + 3, 0) } else { (month_from_march - 9, 1) };
    (era * 400 + year_of_era + later, month, day)
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

/// What happened beside messages: its JSON, and its line for people where it has one. `None` for events about a message.
#[must_use]
pub fn event(event: &Event, names: &Names) -> Option<(Value, Option<String>)> {
    Some(match event {
        Event::MessageReceived { .. } | Event::MessageChanged { .. } => return None,
        Event::Typing { conversation, account, active } => (
            json!({
                "event": "typing",
                "conversation": conversation.to_string(),
                "account": account.to_string(),
                "active": active,
            }),
            None,
        ),
        Event::ContactAdded { account } => {
            (account_event("contact_added", *account), Some(format!("* {} can be written to", names.of(*account))))
        }
        Event::DevicesChanged { account } => {
            (account_event("devices_changed", *account), Some(format!("* {} devices changed", names.whose(*account))))
        }
        Event::AccountKeyChanged { account, how } => {
            let mut json = account_event("account_key_changed", *account);
            json["how"] = json!(how.as_str());
            let how = how_it_changed(Some(*how));
            let whose = names.whose(*account);
            (json, Some(format!("* {whose} account key changed ({how}): compare safety numbers again, or accept it")))
        }
        Event::KeySetRefused { account, reason } => {
            let mut json = account_event("key_set_refused", *account);
            json["reason"] = json!(reason.code());
            let whose = names.whose(*account);
            let text = format!(
                "* the server showed a key set as {whose} that does not hold ({}); it was refused",
                reason.code()
            );
            (json, Some(text))
        }
        Event::VerificationSuggested { account } => (
            account_event("verification_suggested", *account),
            Some(format!("* compare safety numbers with {}: `rcseal verify`", names.of(*account))),
        ),
        Event::ResetPending { effective_at } => (
            json!({ "event": "reset_pending", "effective_at_ms": effective_at.0 }),
            Some(format!(
                "* somebody asked the operator to begin your account again, with keys that you do not have; it takes effect at {}\n  \
                 call it off with `rcseal account reset veto`, unless it was you",
                moment(effective_at.0)
            )),
        ),
        Event::ResetCalledOff => {
            (json!({ "event": "reset_called_off" }), Some("* the reset of your account was called off".to_owned()))
        }
        Event::ChangeRefused => (
            json!({ "event": "change_refused" }),
            Some(
                "* the server refused a change of your account: a device that you removed may still be there, or your account key the \
                 old one; `rcseal devices` says who is in the account"
                    .to_owned(),
            ),
        ),
        Event::ResendHeld { conversation, message, device } => (
            json!({
                "event": "resend_held",
                "conversation": conversation.to_string(),
                "message": message.to_string(),
                "account": device.account.to_string(),
                "device": device.device.get(),
            }),
            Some(format!(
                "* {message} did not reach {} device {}, which has other keys by now: `rcseal resend` sends it to those",
                names.whose(device.account),
                device.device.get()
            )),
        ),
        Event::ConversationDowngraded { conversation, by, mode } => (
            json!({
                "event": "conversation_downgraded",
                "conversation": conversation.to_string(),
                "by": by.to_string(),
                "mode": mode.as_str(),
            }),
            Some(format!(
                "* NOT end-to-end encrypted from now on: {} messages in this conversation go as {}",
                names.whose(*by),
                mode.as_str()
            )),
        ),
        Event::ConversationRestored { conversation, by } => (
            json!({
                "event": "conversation_restored",
                "conversation": conversation.to_string(),
                "by": by.to_string(),
            }),
            Some("* this conversation is end-to-end encrypted again".to_owned()),
        ),
        Event::PlainReceived { number, order } => (
            json!({ "event": "plain_received", "number": number.text(), "order": order }),
            Some(format!("* a readable message from {}, who may be anybody", number.text())),
        ),
        Event::PlainChanged { number, order } => {
            (json!({ "event": "plain_changed", "number": number.text(), "order": order }), None)
        }
        Event::CarrierUnread { conversation, message, device } => (
            json!({
                "event": "carrier_unread",
                "conversation": conversation.to_string(),
                "message": message.to_string(),
                "account": device.account.to_string(),
                "device": device.device.get(),
            }),
            Some(format!(
                "* the carrier says that {} device {} could not read {message} so far: it goes by the relay as well",
                names.whose(device.account),
                device.device.get()
            )),
        ),
        Event::ServerKeyChanged { is_usable } => (
            json!({ "event": "server_key_changed", "usable": is_usable }),
            Some(if *is_usable {
                "* the server that you let read messages has another key; `rcseal policy journal` has it".to_owned()
            } else {
                "! the server's key cannot be used as it is: nothing is sealed to it; `rcseal policy journal` says why".to_owned()
            }),
        ),
        Event::RetainedUnannounced { account, message } => (
            json!({ "event": "retained_unannounced", "account": account.to_string(), "message": message.to_string() }),
            Some(format!(
                "! the server says that {} wrote something that it can read, and they never said so; it is not shown among messages",
                names.of(*account)
            )),
        ),
        Event::NumberChanged { number, state } => (
            json!({ "event": "number_changed", "number": number.text(), "state": state.as_str() }),
            Some(format!("* your number {} is {}", number.text(), state.as_str())),
        ),
        Event::NumberContested { number, until } => (
            json!({ "event": "number_contested", "number": number.text(), "until_ms": until.0 }),
            Some(format!(
                "! another account has shown that it receives at your number {}, and gets it unless you object",
                number.text()
            )),
        ),
        Event::NumberExpiring { number, at } => (
            json!({ "event": "number_expiring", "number": number.text(), "at_ms": at.0 }),
            Some(format!("* the mapping of your number {} ends soon: claim it again", number.text())),
        ),
        Event::NumberStateBehind { number } => (
            json!({ "event": "number_state_behind", "number": number.text() }),
            Some(format!(
                "! this device does not have the newest of what you signed for {}; the broker is asked",
                number.text()
            )),
        ),
        Event::NumberRebound { number, from, to, grounds } => (
            json!({
                "event": "number_rebound",
                "number": number.text(),
                "from": from.to_string(),
                "to": to.to_string(),
                "grounds": grounds.map(|grounds| grounds.as_str()),
            }),
            Some(format!(
                "! the number {} is not {} any more: another account has it",
                number.text(),
                names.whose(*from)
            )),
        ),
        Event::BrokerFound { number, account, finding } => (
            json!({
                "event": "broker_found",
                "number": number.map(|number| number.text().to_owned()),
                "account": account.map(|account| account.to_string()),
                "finding": finding.code(),
            }),
            Some(format!("! the broker did what an honest one does not do: {}", finding.code())),
        ),
        Event::CaseChanged { conversation, account, case, progress } => (
            json!({
                "event": "case_changed",
                "conversation": conversation.to_string(),
                "account": account.to_string(),
                "case": rcseal_wire::b64::encode(case.as_bytes()),
                "progress": progress.as_str(),
            }),
            Some(format!("* a case with {} is {}", names.of(*account), progress.as_str())),
        ),
        Event::CaseReplayed { case, account } => (
            json!({
                "event": "case_replayed",
                "case": rcseal_wire::b64::encode(case.as_bytes()),
                "account": account.to_string(),
            }),
            Some(format!("! {} came with the link of a case that another account has; refused", names.of(*account))),
        ),
        Event::Undecryptable { envelope, reason } => (
            json!({ "event": "undecryptable", "envelope": envelope.to_string(), "reason": reason.code() }),
            Some(format!("* a message could not be decrypted: {}", reason.code())),
        ),
        Event::DeviceRemoved => {
            (json!({ "event": "device_removed" }), Some("* this device was removed from its account".to_owned()))
        }
    })
}

fn account_event(name: &str, account: rcseal_wire::id::AccountId) -> Value {
    json!({ "event": name, "account": account.to_string() })
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
    use rcseal_engine::UnixMillis;
    use rcseal_engine::capability::NumberKey;
    use rcseal_engine::case::CaseProgress;
    use rcseal_engine::event::KeySetReason;
    use rcseal_engine::number::{BrokerFinding, NumberState};
    use rcseal_rcs::number::PhoneNumber;
    use rcseal_wire::content::CaseId;
    use rcseal_wire::id::{AccountId, ConversationId, DeviceAddress, DeviceNumber, MessageId};

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
        ] {
            assert_eq!(moment(milliseconds), expected);
        }
    }

    /// One of each, with the name that its JSON has.
    fn events() -> Vec<(Event, &'static str)> {
        let account = AccountId::from_bytes([1; 16]);
        let conversation = ConversationId::from_bytes([2; 16]);
        let message = MessageId::from_bytes([3; 16]);
        let device = DeviceAddress { account, device: DeviceNumber::PRIMARY };
        let how = Succession::Reset;
        let number: PhoneNumber = "+15551230001".parse().unwrap();
        let (number, case) = (NumberKey::of(&number), CaseId::from_bytes([4; 16]));
        vec![
            (Event::Typing { conversation, account, active: true }, "typing"),
            (Event::ContactAdded { account }, "contact_added"),
            (Event::DevicesChanged { account }, "devices_changed"),
            (Event::AccountKeyChanged { account, how }, "account_key_changed"),
            (Event::KeySetRefused { account, reason: KeySetReason::Rollback }, "key_set_refused"),
            (Event::VerificationSuggested { account }, "verification_suggested"),
            (Event::ResetPending { effective_at: UnixMillis(0) }, "reset_pending"),
            (Event::ResetCalledOff, "reset_called_off"),
            (Event::ChangeRefused, "change_refused"),
            (Event::ResendHeld { conversation, message, device }, "resend_held"),
            (Event::CarrierUnread { conversation, message, device }, "carrier_unread"),
            (
                Event::ConversationDowngraded { conversation, by: account, mode: DeliveryMode::Sms },
                "conversation_downgraded",
            ),
            (Event::ConversationRestored { conversation, by: account }, "conversation_restored"),
            (Event::DeviceRemoved, "device_removed"),
            (Event::NumberChanged { number, state: NumberState::Mapped }, "number_changed"),
            (Event::NumberContested { number, until: UnixMillis(0) }, "number_contested"),
            (Event::NumberExpiring { number, at: UnixMillis(0) }, "number_expiring"),
            (Event::NumberStateBehind { number }, "number_state_behind"),
            (Event::NumberRebound { number, from: account, to: account, grounds: None }, "number_rebound"),
            (
                Event::BrokerFound { number: Some(number), account: None, finding: BrokerFinding::Forked },
                "broker_found",
            ),
            (Event::CaseChanged { conversation, account, case, progress: CaseProgress::Open }, "case_changed"),
            (Event::CaseReplayed { case, account }, "case_replayed"),
        ]
    }

    #[test]
    fn every_event_has_a_name_that_stands_in_the_manual_and_words() {
        let manual = include_str!("../../../../docs/manual/cli.md");
        for (happened, name) in events() {
            let (json, words) = event(&happened, &Names::default()).unwrap();
            assert_eq!(json["event"], name);
            assert!(manual.contains(&format!("`{name}`")), "{name}");
            assert_eq!(words.is_none(), name == "typing", "{name}");
        }
    }

    #[test]
    fn how_a_key_changed_is_told_in_words_and_in_json() {
        let account = AccountId::from_bytes([1; 16]);
        for (how, code, words) in [
            (Succession::Migrated, "migrated", "the old key vouches"),
            (Succession::Recovered, "recovered", "the recovery key vouches"),
            (Succession::Reset, "reset", "no key vouches"),
        ] {
            let (json, text) = event(&Event::AccountKeyChanged { account, how }, &Names::default()).unwrap();
            assert_eq!(json["how"], code);
            assert!(text.unwrap().contains(words), "{code}");
        }
    }

    #[test]
    fn an_age_is_told_in_its_largest_whole_unit() {
        assert_eq!([age(0), age(59_999), age(60_000), age(7_200_000)], ["0 s", "59 s", "1 min", "2 h"]);
        assert_eq!(age(3 * 24 * 3600 * 1000 + 1), "3 d");
    }
}
