//! The rows of messages and reactions.

use rcseal_wire::content::Content;
use rcseal_wire::id::{AccountId, ConversationId, DeviceAddress, MessageId};
use tls_codec::{TlsByteVecU32, TlsDeserializeBytes, TlsSerialize, TlsSize};

use super::{MessageKey, MessageState};
use crate::account::AccountError;
use crate::context::{Engine, Sequence, UnixMillis};
use crate::policy::DeliveryMode;
use crate::record::{Record, key, trailing_u64};
use crate::store::{BadRow, Order, StoreError, Table, prefix_end};

/// Reactions shown for one message.
const REACTIONS_MAX: usize = 256;

/// How a message was protected on its way. Part of every message, so that no app has to guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EncryptionStatus {
    /// A Signal session, over a relay that cannot read it.
    Relayed,
    /// A Signal session, by a carrier that cannot read it.
    Native,
    /// A Signal session, by a broker that cannot read it.
    Brokered,
    /// Readable by the operator of a server.
    ServerEncrypted,
    /// Readable by every carrier on the way.
    CarrierReadable,
    /// Readable by every carrier on the way, and between them.
    Sms,
}

impl EncryptionStatus {
    /// The status of a message that goes in this mode.
    #[must_use]
    pub const fn of(mode: DeliveryMode) -> Self {
        match mode {
            DeliveryMode::Relayed => Self::Relayed,
            DeliveryMode::Native => Self::Native,
            DeliveryMode::Brokered => Self::Brokered,
            DeliveryMode::ServerEncrypted => Self::ServerEncrypted,
            DeliveryMode::CarrierReadable => Self::CarrierReadable,
            DeliveryMode::Sms => Self::Sms,
        }
    }

    /// The delivery mode.
    #[must_use]
    pub const fn mode(self) -> DeliveryMode {
        match self {
            Self::Relayed => DeliveryMode::Relayed,
            Self::Native => DeliveryMode::Native,
            Self::Brokered => DeliveryMode::Brokered,
            Self::ServerEncrypted => DeliveryMode::ServerEncrypted,
            Self::CarrierReadable => DeliveryMode::CarrierReadable,
            Self::Sms => DeliveryMode::Sms,
        }
    }

    /// The suite; `none` where the message was not end-to-end encrypted.
    #[must_use]
    pub const fn suite(self) -> &'static str {
        if self.is_end_to_end() { "signal/native" } else { "none" }
    }

    /// Whether only the participants' devices could read it.
    #[must_use]
    pub const fn is_end_to_end(self) -> bool {
        self.mode().is_end_to_end()
    }

    /// The number that stands for it in rows. `relayed` had 1 before there was another.
    const fn code(self) -> u8 {
        match self {
            Self::Relayed => 1,
            Self::Native => 2,
            Self::Brokered => 3,
            Self::ServerEncrypted => 4,
            Self::CarrierReadable => 5,
            Self::Sms => 6,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Relayed),
            2 => Some(Self::Native),
            3 => Some(Self::Brokered),
            4 => Some(Self::ServerEncrypted),
            5 => Some(Self::CarrierReadable),
            6 => Some(Self::Sms),
            _ => None,
        }
    }
}

/// A message, as apps see it.
#[derive(Debug)]
pub struct MessageView {
    /// Its id.
    pub id: MessageId,
    /// Where it belongs.
    pub conversation: ConversationId,
    /// Its place there, ascending.
    pub order: u64,
    /// Which device wrote it.
    pub sender: DeviceAddress,
    /// Whether this account wrote it.
    pub is_outgoing: bool,
    /// The sender's clock.
    pub sent_at: UnixMillis,
    /// Our clock.
    pub received_at: UnixMillis,
    /// What it says now, edits applied; `None` after it was taken back.
    pub content: Option<Content>,
    /// Whether it was edited.
    pub is_edited: bool,
    /// How far it has come.
    pub state: MessageState,
    /// How it was protected.
    pub encryption: EncryptionStatus,
    /// Reactions to it.
    pub reactions: Vec<ReactionView>,
}

/// A reaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReactionView {
    /// Whose.
    pub account: AccountId,
    /// Which.
    pub emoji: String,
}

/// A message out of the store.
pub(crate) struct Message {
    pub(crate) key: MessageKey,
    pub(crate) id: MessageId,
    pub(crate) sender: DeviceAddress,
    pub(crate) is_outgoing: bool,
    pub(crate) sent_at: UnixMillis,
    pub(crate) received_at: UnixMillis,
    pub(crate) state: MessageState,
    pub(crate) encryption: EncryptionStatus,
    pub(crate) is_edited: bool,
    /// Empty after it was taken back.
    pub(crate) content: Vec<u8>,
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct MessageRecord {
    id: [u8; 16],
    sender: [u8; DeviceAddress::LEN],
    is_outgoing: u8,
    sent_at_ms: u64,
    received_at_ms: u64,
    state: u8,
    reason: u32,
    encryption: u8,
    is_edited: u8,
    content: TlsByteVecU32,
}

impl Record for MessageRecord {
    const VERSION: u8 = 1;
}

fn index_key(conversation: ConversationId, sender: AccountId, id: MessageId) -> Vec<u8> {
    key(&[conversation.as_bytes(), sender.as_bytes(), id.as_bytes()])
}

fn reaction_prefix(message: MessageKey) -> Vec<u8> {
    message.bytes()
}

impl Message {
    pub(crate) fn read(message_key: MessageKey, row: &[u8]) -> Result<Self, StoreError> {
        let bad = || BadRow::error(Table::Message);
        let record = MessageRecord::from_row(Table::Message, row)?;
        Ok(Self {
            key: message_key,
            id: MessageId::from_bytes(record.id),
            sender: DeviceAddress::parse(&record.sender).map_err(|_| bad())?,
            is_outgoing: record.is_outgoing == 1,
            sent_at: UnixMillis(record.sent_at_ms),
            received_at: UnixMillis(record.received_at_ms),
            state: MessageState::from_numbers(record.state, record.reason).ok_or_else(bad)?,
            encryption: EncryptionStatus::from_code(record.encryption).ok_or_else(bad)?,
            is_edited: record.is_edited == 1,
            content: record.content.into(),
        })
    }
}

impl Engine<'_> {
    /// Adds a message at the end of its conversation.
    pub(crate) fn add_message(
        &mut self,
        conversation: ConversationId,
        message: impl FnOnce(MessageKey) -> Message,
    ) -> Result<MessageKey, StoreError> {
        let message_key = MessageKey { conversation, order: self.next(Sequence::Message)? };
        let message = message(message_key);
        self.put_message(&message)?;
        self.tx.put(
            Table::MessageIndex,
            &index_key(conversation, message.sender.account, message.id),
            &message_key.order.to_be_bytes(),
        )?;
        Ok(message_key)
    }

    /// Takes a message of a backup in, at the place that it had.
    pub(crate) fn restore_message_row(&mut self, message: &Message) -> Result<(), StoreError> {
        self.put_message(message)?;
        self.tx.put(
            Table::MessageIndex,
            &index_key(message.key.conversation, message.sender.account, message.id),
            &message.key.order.to_be_bytes(),
        )
    }

    pub(crate) fn put_message(&mut self, message: &Message) -> Result<(), StoreError> {
        let (state, reason) = message.state.numbers();
        let record = MessageRecord {
            id: *message.id.as_bytes(),
            sender: message.sender.to_bytes(),
            is_outgoing: u8::from(message.is_outgoing),
            sent_at_ms: message.sent_at.0,
            received_at_ms: message.received_at.0,
            state,
            reason,
            encryption: message.encryption.code(),
            is_edited: u8::from(message.is_edited),
            content: message.content.as_slice().into(),
        };
        self.tx.put(Table::Message, &message.key.bytes(), &record.to_row())
    }

    pub(crate) fn message(&self, message_key: MessageKey) -> Result<Option<Message>, StoreError> {
        let Some(row) = self.tx.get(Table::Message, &message_key.bytes())? else { return Ok(None) };
        Message::read(message_key, &row).map(Some)
    }

    /// A message by its sender's account and id: ids of different senders never meet.
    pub(crate) fn find_message(
        &self,
        conversation: ConversationId,
        sender: AccountId,
        id: MessageId,
    ) -> Result<Option<Message>, StoreError> {
        let Some(order) = self.tx.get(Table::MessageIndex, &index_key(conversation, sender, id))? else {
            return Ok(None);
        };
        self.message(MessageKey { conversation, order: trailing_u64(Table::MessageIndex, &order)? })
    }

    /// Whether an account has written anything into a conversation.
    pub(crate) fn has_written(&self, conversation: ConversationId, sender: AccountId) -> Result<bool, StoreError> {
        let prefix = [&conversation.as_bytes()[..], sender.as_bytes()].concat();
        let rows = self.tx.scan(Table::MessageIndex, &prefix, &prefix_end(&prefix), 1, Order::Ascending)?;
        Ok(!rows.is_empty())
    }

    /// A message by id, whoever of the participants sent it.
    pub(crate) fn find_any_message(
        &self,
        conversation: ConversationId,
        id: MessageId,
    ) -> Result<Option<Message>, StoreError> {
        let Some(participants) = self.conversation(conversation)? else { return Ok(None) };
        for participant in participants.participants {
            if let Some(message) = self.find_message(conversation, participant.account, id)? {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    /// Sets or takes off a reaction.
    pub(crate) fn put_reaction(
        &mut self,
        message: MessageKey,
        account: AccountId,
        emoji: Option<&str>,
    ) -> Result<(), StoreError> {
        let row_key = [reaction_prefix(message), account.as_bytes().to_vec()].concat();
        match emoji {
            Some(emoji) => self.tx.put(Table::Reaction, &row_key, emoji.as_bytes()),
            None => self.tx.delete(Table::Reaction, &row_key),
        }
    }

    /// Messages of a conversation with a place below `before`, newest first: a page of at most `limit`.
    ///
    /// # Errors
    /// Those of the store.
    pub fn messages(
        &self,
        conversation: ConversationId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<MessageView>, AccountError> {
        self.page(conversation, before, limit)?.into_iter().map(|message| self.view(message)).collect()
    }

    /// Where the same messages stand and how far they have come, without what is in them.
    pub(crate) fn message_states(
        &self,
        conversation: ConversationId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, MessageState)>, StoreError> {
        let page = self.page(conversation, before, limit)?;
        Ok(page.into_iter().map(|message| (message.key.order, message.state)).collect())
    }

    fn page(
        &self,
        conversation: ConversationId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        let start = MessageKey { conversation, order: 0 }.bytes();
        let end = match before {
            Some(order) => MessageKey { conversation, order }.bytes(),
            None => prefix_end(conversation.as_bytes()),
        };
        let rows = self.tx.scan(Table::Message, &start, &end, limit, Order::Descending)?;
        rows.iter().map(|(row_key, row)| Message::read(MessageKey::parse(row_key)?, row)).collect()
    }

    /// One message.
    ///
    /// # Errors
    /// Those of the store.
    pub fn message_view(
        &self,
        conversation: ConversationId,
        sender: AccountId,
        id: MessageId,
    ) -> Result<Option<MessageView>, AccountError> {
        self.find_message(conversation, sender, id)?.map(|message| self.view(message)).transpose()
    }

    fn view(&self, message: Message) -> Result<MessageView, AccountError> {
        let bad = || BadRow::error(Table::Message);
        let content =
            if message.content.is_empty() { None } else { Some(Content::parse(message.content).map_err(|_| bad())?) };
        let prefix = reaction_prefix(message.key);
        let reactions = self
            .tx
            .scan(Table::Reaction, &prefix, &prefix_end(&prefix), REACTIONS_MAX, Order::Ascending)?
            .into_iter()
            .map(|(row_key, emoji)| {
                let bad = || BadRow::error(Table::Reaction);
                let account =
                    row_key.get(prefix.len()..).and_then(|bytes| AccountId::parse(bytes).ok()).ok_or_else(bad)?;
                Ok(ReactionView { account, emoji: crate::record::text(Table::Reaction, &emoji)? })
            })
            .collect::<Result<_, StoreError>>()?;
        Ok(MessageView {
            id: message.id,
            conversation: message.key.conversation,
            order: message.key.order,
            sender: message.sender,
            is_outgoing: message.is_outgoing,
            sent_at: message.sent_at,
            received_at: message.received_at,
            content,
            is_edited: message.is_edited,
            state: message.state,
            encryption: message.encryption,
            reactions,
        })
    }
}
