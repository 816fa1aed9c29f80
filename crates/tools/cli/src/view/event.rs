//! What happened beside messages, in print. Every event has a name in JSON that stands in `docs/manual/cli.md`.

use rcseal_engine::event::Event;
use serde_json::{Value, json};

use super::{how_it_changed, moment};
use crate::device::Names;

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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rcseal_credential::Succession;
    use rcseal_engine::UnixMillis;
    use rcseal_engine::capability::NumberKey;
    use rcseal_engine::case::CaseProgress;
    use rcseal_engine::event::KeySetReason;
    use rcseal_engine::number::{BrokerFinding, NumberState};
    use rcseal_engine::policy::DeliveryMode;
    use rcseal_rcs::number::PhoneNumber;
    use rcseal_wire::content::CaseId;
    use rcseal_wire::id::{AccountId, ConversationId, DeviceAddress, DeviceNumber, MessageId};

    use super::*;

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
        let manual = include_str!("../../../../../docs/manual/cli.md");
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
}
