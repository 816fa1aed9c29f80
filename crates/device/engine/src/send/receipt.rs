//! Receipts: due when a message was taken in or seen, sent together.

use rcseal_wire::content::{Body, Receipt};
use rcseal_wire::id::{AccountId, ConversationId, MessageId};

use super::as_account_error;
use crate::account::AccountError;
use crate::context::Engine;
use crate::message::{MessageKey, MessageState};
use crate::store::{BadRow, Order, StoreError, Table, prefix_end};

impl Engine<'_> {
    /// The user has seen messages of a conversation: read receipts become due.
    ///
    /// # Errors
    /// Those of the store.
    pub fn mark_read(&mut self, conversation: ConversationId, up_to: u64) -> Result<(), AccountError> {
        let start = MessageKey { conversation, order: 0 }.bytes();
        let end = MessageKey { conversation, order: up_to.saturating_add(1) }.bytes();
        let mut before = end;
        loop {
            let rows = self.tx.scan(Table::Message, &start, &before, 64, Order::Descending)?;
            let Some((oldest, _)) = rows.last() else { return Ok(()) };
            before.clone_from(oldest);
            let mut unread = 0;
            for (row_key, _) in &rows {
                let Some(mut message) = self.message(MessageKey::parse(row_key)?)? else { continue };
                if message.state == MessageState::Received {
                    message.state = MessageState::Seen;
                    self.put_message(&message)?;
                    self.receipt_due(ReceiptKind::Read, conversation, message.sender.account, message.id)?;
                    unread += 1;
                }
            }
            // What is older than a page of seen messages was seen before.
            if unread == 0 {
                return Ok(());
            }
        }
    }

    /// Sends the receipts that are due, as many in one message as fit, and asks for what could not be decrypted.
    ///
    /// # Errors
    /// Those of the store.
    pub fn flush_receipts(&mut self) -> Result<(), AccountError> {
        let account = self.account()?;
        let rows = self.tx.scan(Table::ReceiptDue, &[], &prefix_end(&[]), 1_000, Order::Ascending)?;
        let mut groups: Vec<((u8, ConversationId, AccountId), Vec<MessageId>)> = Vec::new();
        for (row_key, _) in rows {
            self.tx.delete(Table::ReceiptDue, &row_key)?;
            let (group, message) = parse_receipt_key(&row_key).ok_or_else(|| BadRow::error(Table::ReceiptDue))?;
            match groups.last_mut() {
                Some((last, messages)) if *last == group && messages.len() < rcseal_wire::content::RECEIPT_LEN_MAX => {
                    messages.push(message);
                }
                _ => groups.push((group, vec![message])),
            }
        }
        self.flush_resend_requests(&account)?;
        for ((kind, conversation, to), messages) in groups {
            let receipt = match ReceiptKind::from_code(kind) {
                Some(ReceiptKind::Delivered) => Receipt::Delivered(messages),
                Some(ReceiptKind::Read) => Receipt::Read(messages),
                None => return Err(BadRow::error(Table::ReceiptDue).into()),
            };
            self.send_notice(&account, to, conversation, Body::Receipt(receipt)).map_err(as_account_error)?;
        }
        Ok(())
    }

    pub(crate) fn receipt_due(
        &mut self,
        kind: ReceiptKind,
        conversation: ConversationId,
        to: AccountId,
        message: MessageId,
    ) -> Result<(), StoreError> {
        let key = [&[kind.code()][..], conversation.as_bytes(), to.as_bytes(), message.as_bytes()].concat();
        self.tx.put(Table::ReceiptDue, &key, &[])
    }
}

/// Receipts that can be due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReceiptKind {
    Delivered,
    Read,
}

impl ReceiptKind {
    const fn code(self) -> u8 {
        match self {
            Self::Delivered => 1,
            Self::Read => 2,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Delivered),
            2 => Some(Self::Read),
            _ => None,
        }
    }
}

fn parse_receipt_key(key: &[u8]) -> Option<((u8, ConversationId, AccountId), MessageId)> {
    let (kind, rest) = key.split_first()?;
    let (conversation, rest) = rest.split_first_chunk::<16>()?;
    let (account, message) = rest.split_first_chunk::<16>()?;
    Some((
        (*kind, ConversationId::from_bytes(*conversation), AccountId::from_bytes(*account)),
        MessageId::parse(message).ok()?,
    ))
}
