//! That states lead to the words meant for them. That none is forgotten is the compiler's work.

use std::collections::BTreeSet;

use rcseal_credential::ScanError;
use rcseal_engine::event::Event;
use rcseal_engine::inbox::Undecryptable;
use rcseal_engine::message::{EncryptionStatus, FailureReason, MessageState};
use rcseal_engine::policy::{DeliveryMode, FallbackPolicy, Reason};
use rcseal_wire::id::{AccountId, ConversationId};
use rcseal_words::{Key, Severity, Worded, event_key, scan_key};

#[test]
fn a_reason_of_policy_has_the_key_of_its_code_and_no_two_have_the_same() {
    let keys: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.key()).collect();
    assert_eq!(keys.len(), Reason::ALL.len());
    for reason in Reason::ALL {
        assert_eq!(reason.key().as_str(), format!("reason.{}", reason.code()));
    }
}

#[test]
fn a_mode_that_others_can_read_is_never_shown_as_if_it_were_nothing() {
    for mode in DeliveryMode::ALL {
        let is_plain_sailing = mode.key().severity() == Severity::Info;
        assert_eq!(is_plain_sailing, mode.is_end_to_end(), "{}", mode.as_str());
        assert_eq!(EncryptionStatus::of(mode).key(), mode.key());
        assert_eq!(mode.key().as_str(), format!("encryption.{}", mode.as_str()));
    }
}

#[test]
fn a_message_has_the_words_of_its_state() {
    assert_eq!(MessageState::Queued.key(), Key::MessageQueued);
    assert_eq!(MessageState::Failed { reason: FailureReason::Expired }.key(), Key::FailedExpired);
    let undecryptable = MessageState::Undecryptable { reason: Undecryptable::PrekeyGone };
    assert_eq!(undecryptable.key(), Key::MessageUndecryptable);
    assert_eq!(Undecryptable::PrekeyGone.key(), Key::UndecryptableKeysGone);
}

#[test]
fn policies_have_the_keys_of_their_names() {
    for policy in FallbackPolicy::ALL {
        assert_eq!(policy.key().as_str(), format!("fallback.{}", policy.as_str()));
    }
}

#[test]
fn a_scan_that_does_not_match_is_no_typing_error() {
    assert_eq!(scan_key(Ok(())), Key::ScanMatched);
    assert_eq!(scan_key(Err(ScanError::Malformed)), Key::ScanMalformed);
    assert_eq!(scan_key(Err(ScanError::WrongVersion { version: 9 })), Key::ScanWrongVersion);
    assert_eq!(scan_key(Err(ScanError::Mismatch)), Key::ScanMismatch);
}

#[test]
fn an_event_says_whether_it_is_about_the_user_or_about_a_contact() {
    let (own, other) = (AccountId::from_bytes([1; 16]), AccountId::from_bytes([2; 16]));
    assert_eq!(event_key(&Event::DevicesChanged { account: own }, own), Some(Key::AccountDevicesChanged));
    assert_eq!(event_key(&Event::DevicesChanged { account: other }, own), Some(Key::ContactDevicesChanged));
    let conversation = ConversationId::from_bytes([3; 16]);
    let downgraded = |by| Event::ConversationDowngraded { conversation, by, mode: DeliveryMode::Sms };
    assert_eq!(event_key(&downgraded(own), own), Some(Key::ConversationDowngradedHere));
    assert_eq!(event_key(&downgraded(other), own), Some(Key::ConversationDowngradedThere));
    assert_eq!(event_key(&Event::Typing { conversation, account: other, active: true }, own), None);
}
