//! Events: what the app is told, in order, and told again until it says it has heard.
//!
//! An event is written in the transaction that caused it, so a crash loses none. The app reads them with [`Engine::events`] and forgets
//! them with [`Engine::forget_events`]; the messages themselves stay.

use rcseal_wire::id::{AccountId, ConversationId, EnvelopeId, MessageId};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

use crate::context::{Engine, Sequence};
use crate::inbox::Undecryptable;
use crate::record::{Record, trailing_u64};
use crate::store::{BadRow, Order, StoreError, Table};

/// Something happened that the app may want to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A message to show.
    MessageReceived {
        /// Where.
        conversation: ConversationId,
        /// Who wrote it.
        sender: AccountId,
        /// Which.
        message: MessageId,
    },
    /// A message's state, words or reactions changed.
    MessageChanged {
        /// Where.
        conversation: ConversationId,
        /// Who wrote it.
        sender: AccountId,
        /// Which.
        message: MessageId,
    },
    /// Somebody is writing, or stopped.
    Typing {
        /// Where.
        conversation: ConversationId,
        /// Who.
        account: AccountId,
        /// Whether they still are.
        active: bool,
    },
    /// Somebody new can be written to.
    ContactAdded {
        /// Who.
        account: AccountId,
    },
    /// A contact's devices changed.
    DevicesChanged {
        /// Whose.
        account: AccountId,
    },
    /// A contact's account key changed: a verified contact no longer is.
    AccountKeyChanged {
        /// Whose.
        account: AccountId,
    },
    /// The server offered a key set that does not follow the known one. Nothing was changed by it.
    KeySetRefused {
        /// Whose.
        account: AccountId,
    },
    /// An envelope could not be decrypted. It is kept.
    Undecryptable {
        /// Which.
        envelope: EnvelopeId,
        /// Why.
        reason: Undecryptable,
    },
    /// This device is no longer in its account's key set.
    DeviceRemoved,
}

/// An event with its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumberedEvent {
    /// Ascending; what [`Engine::forget_events`] takes.
    pub number: u64,
    /// What happened.
    pub event: Event,
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct EventRecord {
    kind: u8,
    first: [u8; 16],
    account: [u8; 16],
    second: [u8; 16],
    value: u32,
}

impl Record for EventRecord {
    const VERSION: u8 = 1;
}

impl EventRecord {
    fn of(event: Event) -> Self {
        let none = [0; 16];
        let (kind, first, account, second, value) = match event {
            Event::MessageReceived { conversation, sender, message } => {
                (1, *conversation.as_bytes(), *sender.as_bytes(), *message.as_bytes(), 0)
            }
            Event::MessageChanged { conversation, sender, message } => {
                (2, *conversation.as_bytes(), *sender.as_bytes(), *message.as_bytes(), 0)
            }
            Event::Typing { conversation, account, active } => {
                (3, *conversation.as_bytes(), *account.as_bytes(), none, u32::from(active))
            }
            Event::ContactAdded { account } => (4, none, *account.as_bytes(), none, 0),
            Event::DevicesChanged { account } => (5, none, *account.as_bytes(), none, 0),
            Event::AccountKeyChanged { account } => (6, none, *account.as_bytes(), none, 0),
            Event::KeySetRefused { account } => (7, none, *account.as_bytes(), none, 0),
            Event::Undecryptable { envelope, reason } => (8, *envelope.as_bytes(), none, none, reason.number()),
            Event::DeviceRemoved => (9, none, none, none, 0),
        };
        Self { kind, first, account, second, value }
    }

    fn event(&self) -> Result<Event, StoreError> {
        let account = AccountId::from_bytes(self.account);
        let conversation = ConversationId::from_bytes(self.first);
        let message = MessageId::from_bytes(self.second);
        Ok(match self.kind {
            1 => Event::MessageReceived { conversation, sender: account, message },
            2 => Event::MessageChanged { conversation, sender: account, message },
            3 => Event::Typing { conversation, account, active: self.value == 1 },
            4 => Event::ContactAdded { account },
            5 => Event::DevicesChanged { account },
            6 => Event::AccountKeyChanged { account },
            7 => Event::KeySetRefused { account },
            8 => Event::Undecryptable {
                envelope: EnvelopeId::from_bytes(self.first),
                reason: Undecryptable::from_number(self.value).ok_or_else(|| BadRow::error(Table::Event))?,
            },
            9 => Event::DeviceRemoved,
            _ => return Err(BadRow::error(Table::Event)),
        })
    }
}

impl Engine<'_> {
    pub(crate) fn emit(&mut self, event: Event) -> Result<(), StoreError> {
        let number = self.next(Sequence::Event)?;
        self.tx.put(Table::Event, &number.to_be_bytes(), &EventRecord::of(event).to_row())
    }

    /// Up to `limit` events after `after`, oldest first.
    ///
    /// # Errors
    /// Those of the store.
    pub fn events(&self, after: u64, limit: usize) -> Result<Vec<NumberedEvent>, StoreError> {
        let start = after.saturating_add(1).to_be_bytes();
        let rows = self.tx.scan(Table::Event, &start, &[0xff; 9], limit, Order::Ascending)?;
        rows.iter()
            .map(|(key, row)| {
                Ok(NumberedEvent {
                    number: trailing_u64(Table::Event, key)?,
                    event: EventRecord::from_row(Table::Event, row)?.event()?,
                })
            })
            .collect()
    }

    /// The app has heard every event up to and including `number`.
    ///
    /// # Errors
    /// Those of the store.
    pub fn forget_events(&mut self, number: u64) -> Result<(), StoreError> {
        self.tx.delete_range(Table::Event, &[], &number.saturating_add(1).to_be_bytes())
    }
}
