//! Events, as they cross the border: flat, and without a word of content.

use rcseal_engine::event::Event;

use crate::model::DeliveryMode;

/// What happened. Which fields of [`ClientEvent`] an event fills is said with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "snake_case"))]
pub enum EventKind {
    /// A message to show: conversation, contact, message.
    MessageReceived,
    /// A message's state, words or reactions changed: conversation, contact (who wrote it), message.
    MessageChanged,
    /// Somebody is writing, or stopped: conversation, contact, is_active.
    Typing,
    /// Somebody new can be written to: contact.
    ContactAdded,
    /// The devices of a contact or of the own account are others than before: contact.
    DevicesChanged,
    /// A contact's account key changed, or our own by somebody else: contact, code (by whose leave).
    AccountKeyChanged,
    /// The server offered keys that are not believed: contact, code.
    KeySetRefused,
    /// It is time to compare safety numbers: contact.
    VerificationSuggested,
    /// Somebody asked the server to reset this account: at_ms.
    ResetPending,
    /// The reset was called off.
    ResetCalledOff,
    /// The server refused a change of this account's keys for good, and it was dropped.
    ChangeRefused,
    /// An envelope could not be decrypted: code.
    Undecryptable,
    /// This device is no longer one of its account's.
    DeviceRemoved,
    /// A message waits for the user's word: conversation, message, contact, device_number.
    MessageHeld,
    /// A conversation goes in a mode that others can read: conversation, contact (who decided it), mode.
    ConversationDowngraded,
    /// It is end to end again: conversation, contact.
    ConversationRestored,
    /// A readable message came from a number: number, order.
    PlainReceived,
    /// The state of a readable message changed: number, order.
    PlainChanged,
    /// The carrier says that the far end could not decrypt a message: conversation, message, contact, device_number.
    CarrierUnread,
    /// The server that may read messages has another key, or none: is_active (whether one can be used).
    ServerKeyChanged,
    /// A message came that a server can read, from somebody who never announced that: contact, message.
    RetainedUnannounced,
    /// One of this account's numbers has come further: number, code.
    NumberChanged,
    /// Another account has shown that it receives at one of this account's numbers: number, at_ms.
    NumberContested,
    /// The mapping of one of this account's numbers ends soon: number, at_ms.
    NumberExpiring,
    /// The store is an older copy of itself, and what was signed for the number may be missing: number.
    NumberStateBehind,
    /// A number has another account than before: number, contact (who has it now).
    NumberRebound,
    /// The broker did what an honest one does not do: number, contact, code.
    BrokerFound,
    /// A case has come further: conversation, contact, code.
    CaseChanged,
    /// Another account came with the token of a case that has been opened: contact.
    CaseReplayed,
}

/// Something happened that the app may want to show.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct ClientEvent {
    /// Ascending.
    pub number: u64,
    /// What happened.
    pub kind: EventKind,
    /// In which conversation.
    pub conversation_id: Option<String>,
    /// About which account.
    pub contact_id: Option<String>,
    /// About which message.
    pub message_id: Option<String>,
    /// About which device of the account.
    pub device_number: Option<u8>,
    /// About which phone number.
    pub phone_number: Option<String>,
    /// A message's place in the number's thread.
    pub order: Option<u64>,
    /// When.
    pub at_ms: Option<u64>,
    /// In which mode.
    pub mode: Option<DeliveryMode>,
    /// Why, or what: a stable code.
    pub code: Option<String>,
    /// Whether it is so, or has ended.
    pub is_active: bool,
}

impl ClientEvent {
    fn new(number: u64, kind: EventKind) -> Self {
        Self {
            number,
            kind,
            conversation_id: None,
            contact_id: None,
            message_id: None,
            device_number: None,
            phone_number: None,
            order: None,
            at_ms: None,
            mode: None,
            code: None,
            is_active: false,
        }
    }

    pub(crate) fn of(number: u64, event: Event) -> Self {
        let new = |kind| Self::new(number, kind);
        let text = |id: &dyn std::fmt::Display| Some(id.to_string());
        match event {
            Event::MessageReceived { conversation, sender, message } => Self {
                conversation_id: text(&conversation),
                contact_id: text(&sender),
                message_id: text(&message),
                ..new(EventKind::MessageReceived)
            },
            Event::MessageChanged { conversation, sender, message } => Self {
                conversation_id: text(&conversation),
                contact_id: text(&sender),
                message_id: text(&message),
                ..new(EventKind::MessageChanged)
            },
            Event::Typing { conversation, account, active } => Self {
                conversation_id: text(&conversation),
                contact_id: text(&account),
                is_active: active,
                ..new(EventKind::Typing)
            },
            Event::ContactAdded { account } => Self { contact_id: text(&account), ..new(EventKind::ContactAdded) },
            Event::DevicesChanged { account } => Self { contact_id: text(&account), ..new(EventKind::DevicesChanged) },
            Event::AccountKeyChanged { account, how } => Self {
                contact_id: text(&account),
                code: Some(how.as_str().to_owned()),
                ..new(EventKind::AccountKeyChanged)
            },
            Event::KeySetRefused { account, reason } => Self {
                contact_id: text(&account),
                code: Some(reason.code().to_owned()),
                ..new(EventKind::KeySetRefused)
            },
            Event::VerificationSuggested { account } => {
                Self { contact_id: text(&account), ..new(EventKind::VerificationSuggested) }
            }
            Event::ResetPending { effective_at } => {
                Self { at_ms: Some(effective_at.0), is_active: true, ..new(EventKind::ResetPending) }
            }
            Event::ResetCalledOff => new(EventKind::ResetCalledOff),
            Event::ChangeRefused => new(EventKind::ChangeRefused),
            // The envelope's id names nothing that an app could ask for.
            Event::Undecryptable { envelope: _, reason } => {
                Self { code: Some(reason.code().to_owned()), ..new(EventKind::Undecryptable) }
            }
            Event::DeviceRemoved => new(EventKind::DeviceRemoved),
            Event::ResendHeld { conversation, message, device } => Self {
                conversation_id: text(&conversation),
                contact_id: text(&device.account),
                message_id: text(&message),
                device_number: Some(device.device.get()),
                ..new(EventKind::MessageHeld)
            },
            Event::ConversationDowngraded { conversation, by, mode } => Self {
                conversation_id: text(&conversation),
                contact_id: text(&by),
                mode: Some(mode.into()),
                is_active: true,
                ..new(EventKind::ConversationDowngraded)
            },
            Event::ConversationRestored { conversation, by } => Self {
                conversation_id: text(&conversation),
                contact_id: text(&by),
                ..new(EventKind::ConversationRestored)
            },
            Event::PlainReceived { number, order } => {
                Self { phone_number: text(&number.text()), order: Some(order), ..new(EventKind::PlainReceived) }
            }
            Event::PlainChanged { number, order } => {
                Self { phone_number: text(&number.text()), order: Some(order), ..new(EventKind::PlainChanged) }
            }
            Event::CarrierUnread { conversation, message, device } => Self {
                conversation_id: text(&conversation),
                contact_id: text(&device.account),
                message_id: text(&message),
                device_number: Some(device.device.get()),
                ..new(EventKind::CarrierUnread)
            },
            Event::ServerKeyChanged { is_usable } => Self { is_active: is_usable, ..new(EventKind::ServerKeyChanged) },
            Event::RetainedUnannounced { account, message } => {
                Self { contact_id: text(&account), message_id: text(&message), ..new(EventKind::RetainedUnannounced) }
            }
            Event::NumberChanged { number, state } => Self {
                phone_number: text(&number.text()),
                code: Some(state.as_str().to_owned()),
                ..new(EventKind::NumberChanged)
            },
            Event::NumberContested { number, until } => Self {
                phone_number: text(&number.text()),
                at_ms: Some(until.0),
                is_active: true,
                ..new(EventKind::NumberContested)
            },
            Event::NumberExpiring { number, at } => {
                Self { phone_number: text(&number.text()), at_ms: Some(at.0), ..new(EventKind::NumberExpiring) }
            }
            Event::NumberStateBehind { number } => {
                Self { phone_number: text(&number.text()), ..new(EventKind::NumberStateBehind) }
            }
            Event::NumberRebound { number, from: _, to, grounds: _ } => {
                Self { phone_number: text(&number.text()), contact_id: text(&to), ..new(EventKind::NumberRebound) }
            }
            Event::BrokerFound { number, account, finding } => Self {
                phone_number: number.map(|number| number.text().to_owned()),
                contact_id: account.map(|account| account.to_string()),
                code: Some(finding.code().to_owned()),
                ..new(EventKind::BrokerFound)
            },
            Event::CaseChanged { conversation, account, case: _, progress } => Self {
                conversation_id: text(&conversation),
                contact_id: text(&account),
                code: Some(progress.as_str().to_owned()),
                ..new(EventKind::CaseChanged)
            },
            Event::CaseReplayed { case: _, account } => {
                Self { contact_id: text(&account), ..new(EventKind::CaseReplayed) }
            }
        }
    }
}

impl std::fmt::Debug for ClientEvent {
    /// Without ids and numbers.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientEvent")
            .field("number", &self.number)
            .field("kind", &self.kind)
            .field("code", &self.code)
            .finish_non_exhaustive()
    }
}
