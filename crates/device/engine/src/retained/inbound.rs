//! What the server keeps for this account.
//!
//! The shell fetches in order and hands over what it got ([`Engine::handle_retained`]); the place it has come to is a row of the store, written
//! with what was taken in. Everything here is the server's word: who wrote, when, and what. So a message is taken into a conversation only
//! where the very device that sent it has announced this mode inside a session and has written nothing end to end since; anything else is
//! listed apart, and is no message.

use rcseal_wire::content::{Body, Content, TEXT_LEN_MAX};
use rcseal_wire::id::{AccountId, ConversationId, DeviceAddress, MessageId};
use tls_codec::{TlsByteVecU32, TlsDeserializeBytes, TlsSerialize, TlsSize};

use crate::account::AccountError;
use crate::context::{Engine, UnixMillis};
use crate::conversation::direct_conversation_id;
use crate::event::Event;
use crate::message::{EncryptionStatus, Message, MessageState};
use crate::policy::DeliveryMode;
use crate::record::{Number, Record, key, text, trailing_u64};
use crate::send::ReceiptKind;
use crate::store::{BadRow, Order, StoreError, Table, prefix_end};

/// Messages that nobody announced and that are kept: enough to see what the server does, few enough that it fills nothing.
pub const RETAINED_UNANNOUNCED_MAX: usize = 200;

/// The key of the place that was come to.
const CURSOR: [u8; 1] = [1];
/// First byte of the key of an announcement, by conversation and device.
const ANNOUNCED: u8 = 2;
/// First byte of the key of a message that nobody announced, by its place at the server.
const UNANNOUNCED: u8 = 3;

/// A message that the server keeps, as it handed it out.
#[derive(Clone, PartialEq, Eq)]
pub struct RetainedMessage {
    /// Its place at the server, ascending.
    pub sequence: u64,
    /// Its id.
    pub id: MessageId,
    /// Who wrote it, as the server says.
    pub from: DeviceAddress,
    /// When it was sent, as the server says.
    pub sent_at: UnixMillis,
    /// What it says.
    pub plaintext: Vec<u8>,
}

/// Without what it says.
impl std::fmt::Debug for RetainedMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RetainedMessage")
            .field("sequence", &self.sequence)
            .field("id", &self.id)
            .field("len", &self.plaintext.len())
            .finish_non_exhaustive()
    }
}

/// What came of messages that the server handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RetainedTaken {
    /// Taken into a conversation.
    pub shown: usize,
    /// Here before.
    pub repeated: usize,
    /// Listed apart, since nobody announced them.
    pub unannounced: usize,
    /// Passed over: from somebody who is blocked, or no words.
    pub passed_over: usize,
}

/// A message that the server says somebody wrote, and that nobody announced.
#[derive(Clone, PartialEq, Eq)]
pub struct UnannouncedView {
    /// Its place at the server.
    pub sequence: u64,
    /// Its id.
    pub id: MessageId,
    /// Who wrote it, as the server says.
    pub from: DeviceAddress,
    /// When, as the server says.
    pub sent_at: UnixMillis,
    /// When it was fetched.
    pub received_at: UnixMillis,
    /// What it says.
    pub words: String,
}

impl UnannouncedView {
    /// The stable code of what is the matter with it.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "retained_unannounced"
    }
}

/// Without what it says.
impl std::fmt::Debug for UnannouncedView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UnannouncedView")
            .field("sequence", &self.sequence)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct UnannouncedRecord {
    id: [u8; 16],
    from: [u8; DeviceAddress::LEN],
    sent_at_ms: u64,
    received_at_ms: u64,
    words: TlsByteVecU32,
}

impl Record for UnannouncedRecord {
    const VERSION: u8 = 1;
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct AnnouncedRecord {
    mode: u8,
    /// By the device's own clock.
    sent_at_ms: u64,
}

impl Record for AnnouncedRecord {
    const VERSION: u8 = 1;
}

fn announced_key(conversation: ConversationId, by: DeviceAddress) -> Vec<u8> {
    key(&[&[ANNOUNCED], conversation.as_bytes(), &by.to_bytes()])
}

fn unannounced_key(sequence: u64) -> Vec<u8> {
    key(&[&[UNANNOUNCED], &sequence.to_be_bytes()])
}

impl Engine<'_> {
    /// The place up to which the server's messages are here: what comes after it is to be fetched.
    ///
    /// # Errors
    /// Those of the store.
    pub fn retained_cursor(&self) -> Result<u64, StoreError> {
        match self.tx.get(Table::Retained, &CURSOR)? {
            Some(row) => Ok(Number::from_row(Table::Retained, &row)?.0),
            None => Ok(0),
        }
    }

    /// The server handed out messages, in order. What is at or before the place that was come to is here already.
    ///
    /// # Errors
    /// Those of the store; then nothing of it was taken, and the same is to be fetched again.
    pub fn handle_retained(&mut self, messages: &[RetainedMessage]) -> Result<RetainedTaken, AccountError> {
        let own = self.account()?.address.account;
        let (mut taken, mut cursor) = (RetainedTaken::default(), self.retained_cursor()?);
        for message in messages {
            if message.sequence <= cursor {
                taken.repeated += 1;
                continue;
            }
            cursor = message.sequence;
            self.take_retained(own, message, &mut taken)?;
        }
        self.tx.put(Table::Retained, &CURSOR, &Number(cursor).to_row())?;
        Ok(taken)
    }

    fn take_retained(
        &mut self,
        own: AccountId,
        message: &RetainedMessage,
        taken: &mut RetainedTaken,
    ) -> Result<(), AccountError> {
        let from = message.from.account;
        let words = std::str::from_utf8(&message.plaintext).ok();
        let words = words.filter(|words| !words.is_empty() && words.len() <= TEXT_LEN_MAX);
        let Some(words) = words.filter(|_| from != own) else {
            taken.passed_over += 1;
            return Ok(());
        };
        if self.is_blocked(from)? {
            taken.passed_over += 1;
            return Ok(());
        }
        let conversation = direct_conversation_id(own, from);
        if self.find_message(conversation, from, message.id)?.is_some() {
            taken.repeated += 1;
            return Ok(());
        }
        if !self.is_announced(conversation, message.from)? || self.known_contact(from)?.is_none() {
            taken.unannounced += 1;
            return Ok(self.list_unannounced(message, words)?);
        }
        let (id, sender, now) = (message.id, message.from, self.now);
        let content = Content::new(Body::Text(words.to_owned()), None).as_bytes().to_vec();
        self.add_message(conversation, |key| Message {
            key,
            id,
            sender,
            is_outgoing: false,
            sent_at: message.sent_at,
            received_at: now,
            state: MessageState::Received,
            encryption: EncryptionStatus::ServerEncrypted,
            is_edited: false,
            content,
        })?;
        self.note_activity(conversation)?;
        self.message_is_here(id)?;
        self.receipt_due(ReceiptKind::Delivered, conversation, from, id)?;
        self.emit(Event::MessageReceived { conversation, sender: from, message: id })?;
        self.apply_early_changes(conversation, id)?;
        taken.shown += 1;
        Ok(())
    }

    fn list_unannounced(&mut self, message: &RetainedMessage, words: &str) -> Result<(), StoreError> {
        let rows = self.tx.scan(
            Table::Retained,
            &[UNANNOUNCED],
            &[UNANNOUNCED + 1],
            RETAINED_UNANNOUNCED_MAX,
            Order::Ascending,
        )?;
        if rows.len() >= RETAINED_UNANNOUNCED_MAX
            && let Some((oldest, _)) = rows.first()
        {
            self.tx.delete(Table::Retained, oldest)?;
        }
        let record = UnannouncedRecord {
            id: *message.id.as_bytes(),
            from: message.from.to_bytes(),
            sent_at_ms: message.sent_at.0,
            received_at_ms: self.now.0,
            words: words.as_bytes().into(),
        };
        self.tx.put(Table::Retained, &unannounced_key(message.sequence), &record.to_row())?;
        self.emit(Event::RetainedUnannounced { account: message.from.account, message: message.id })
    }

    /// What the server says somebody wrote, and nobody announced, oldest first.
    ///
    /// # Errors
    /// Those of the store.
    pub fn retained_unannounced(&self) -> Result<Vec<UnannouncedView>, StoreError> {
        let bad = || BadRow::error(Table::Retained);
        let (start, end) = ([UNANNOUNCED], [UNANNOUNCED + 1]);
        self.tx
            .scan(Table::Retained, &start, &end, RETAINED_UNANNOUNCED_MAX, Order::Ascending)?
            .iter()
            .map(|(row_key, row)| {
                let record = UnannouncedRecord::from_row(Table::Retained, row)?;
                Ok(UnannouncedView {
                    sequence: trailing_u64(Table::Retained, row_key)?,
                    id: MessageId::from_bytes(record.id),
                    from: DeviceAddress::parse(&record.from).map_err(|_| bad())?,
                    sent_at: UnixMillis(record.sent_at_ms),
                    received_at: UnixMillis(record.received_at_ms),
                    words: text(Table::Retained, record.words.as_slice())?,
                })
            })
            .collect()
    }

    /// The user has seen one of these.
    ///
    /// # Errors
    /// Those of the store.
    pub fn dismiss_retained(&mut self, sequence: u64) -> Result<(), StoreError> {
        self.tx.delete(Table::Retained, &unannounced_key(sequence))
    }

    /// A device of the other side wrote inside a session: in which mode its messages go from now on, or anything else, which by itself says
    /// that they go end to end. The device's own clock says which of two came later.
    pub(crate) fn note_announced(
        &mut self,
        conversation: ConversationId,
        by: DeviceAddress,
        body: &Body,
        sent_at: UnixMillis,
    ) -> Result<(), StoreError> {
        let mode = match body {
            Body::DeliveryNotice(notice) => notice.mode,
            _ => DeliveryMode::Relayed.code(),
        };
        let row_key = announced_key(conversation, by);
        let known = self.tx.get(Table::Retained, &row_key)?;
        let known = known.map(|row| AnnouncedRecord::from_row(Table::Retained, &row)).transpose()?;
        let is_new = match &known {
            Some(known) => known.sent_at_ms < sent_at.0,
            // Where nothing was ever announced there is nothing to end.
            None => mode == DeliveryMode::ServerEncrypted.code(),
        };
        if !is_new {
            return Ok(());
        }
        self.tx.put(Table::Retained, &row_key, &AnnouncedRecord { mode, sent_at_ms: sent_at.0 }.to_row())
    }

    /// Whether a device's messages go to the server, by its own word.
    fn is_announced(&self, conversation: ConversationId, by: DeviceAddress) -> Result<bool, StoreError> {
        let Some(row) = self.tx.get(Table::Retained, &announced_key(conversation, by))? else { return Ok(false) };
        Ok(AnnouncedRecord::from_row(Table::Retained, &row)?.mode == DeliveryMode::ServerEncrypted.code())
    }

    /// A contact is removed: what it announced was for the contact that it was.
    pub(crate) fn forget_announced(&mut self, contact: AccountId) -> Result<(), AccountError> {
        let own = self.account()?.address.account;
        let conversation = direct_conversation_id(own, contact);
        let prefix = key(&[&[ANNOUNCED], conversation.as_bytes(), contact.as_bytes()]);
        Ok(self.tx.delete_range(Table::Retained, &prefix, &prefix_end(&prefix))?)
    }

    /// The store is an older copy of itself: whoever announced something may have ended it since.
    pub(crate) fn forget_every_announcement(&mut self) -> Result<(), StoreError> {
        self.tx.delete_range(Table::Retained, &[ANNOUNCED], &[ANNOUNCED + 1])
    }
}
