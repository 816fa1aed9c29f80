//! Messages that wait for the user: their recipient's keys are others than when they were sent.

use rcseal_credential::VerifiedKeySet;
use rcseal_wire::content::Participant;
use rcseal_wire::id::{AccountId, ConversationId, DeviceAddress, MessageId};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

use crate::account::AccountError;
use crate::context::{Engine, UnixMillis};
use crate::conversation::devices_in_scope;
use crate::event::Event;
use crate::message::{DeliveryState, Message, MessageKey};
use crate::pages::Pages;
use crate::record::{Record, key};
use crate::send::SendError;
use crate::store::{BadRow, Order, StoreError, Table, prefix_end};

/// First byte of the keys.
const AGAIN: u8 = 3;
/// Held messages that are listed; devices of one that are read.
const SCAN_MAX: usize = 10_000;
/// Rows read at once where all are looked at.
const PAGE: usize = 256;

/// A message that waits for a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldResend {
    /// Where.
    pub conversation: ConversationId,
    /// Which: a message of this account.
    pub message: MessageId,
    /// The device it was sent to, under keys that it no longer has.
    pub device: DeviceAddress,
    /// Since when.
    pub held_at: UnixMillis,
}

/// Why a message was not sent again.
#[derive(Debug, thiserror::Error)]
pub enum ResendError {
    /// It could not be sent.
    #[error(transparent)]
    Send(#[from] SendError),
    /// There is no such message of this account.
    #[error("there is no such message of this account")]
    UnknownMessage,
    /// Nobody is waiting for it, or it was decided before.
    #[error("the message does not wait for a decision")]
    NotHeld,
    /// It was taken back in the meantime.
    #[error("the message was taken back")]
    Deleted,
}

impl ResendError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Send(error) => error.code(),
            Self::UnknownMessage => "message_unknown",
            Self::NotHeld => "resend_not_held",
            Self::Deleted => "resend_deleted",
        }
    }
}

impl From<StoreError> for ResendError {
    fn from(error: StoreError) -> Self {
        Self::Send(error.into())
    }
}

impl From<AccountError> for ResendError {
    fn from(error: AccountError) -> Self {
        Self::Send(error.into())
    }
}

/// What was done about a message at one device.
#[derive(Debug, Clone, Copy, Default, TlsSize, TlsSerialize, TlsDeserializeBytes)]
pub(super) struct AgainRecord {
    /// Times it was sent again.
    pub(super) count: u8,
    /// 1 while it waits for a decision.
    pub(super) is_held: u8,
    /// When that changed.
    pub(super) at_ms: u64,
}

impl Record for AgainRecord {
    const VERSION: u8 = 1;
}

fn row_key(message: MessageKey, device: DeviceAddress) -> Vec<u8> {
    key(&[&[AGAIN], &message.bytes(), &device.to_bytes()])
}

fn parse(row_key: &[u8]) -> Result<(MessageKey, DeviceAddress), StoreError> {
    let bad = || BadRow::error(Table::Resend);
    let parts = row_key.get(1..).unwrap_or_default();
    let at = parts.len().checked_sub(DeviceAddress::LEN).ok_or_else(bad)?;
    let (message, device) = parts.split_at_checked(at).ok_or_else(bad)?;
    Ok((MessageKey::parse(message)?, DeviceAddress::parse(device).map_err(|_| bad())?))
}

impl Engine<'_> {
    pub(super) fn again(&self, message: MessageKey, device: DeviceAddress) -> Result<AgainRecord, StoreError> {
        match self.tx.get(Table::Resend, &row_key(message, device))? {
            Some(row) => AgainRecord::from_row(Table::Resend, &row),
            None => Ok(AgainRecord::default()),
        }
    }

    pub(super) fn put_again(
        &mut self,
        message: MessageKey,
        device: DeviceAddress,
        again: &AgainRecord,
    ) -> Result<(), StoreError> {
        self.tx.put(Table::Resend, &row_key(message, device), &again.to_row())
    }

    /// A message would have to go to other keys than it was sent to: the user decides.
    pub(crate) fn hold(&mut self, message: MessageKey, device: DeviceAddress) -> Result<(), StoreError> {
        let Some(known) = self.message(message)?.filter(Message::may_be_sent_again) else { return Ok(()) };
        // The user's own other devices are no decision to be made about a contact.
        if device.account == known.sender.account {
            return Ok(());
        }
        let again = self.again(message, device)?;
        if again.is_held == 1 {
            return Ok(());
        }
        self.put_again(message, device, &AgainRecord { is_held: 1, at_ms: self.now.0, ..again })?;
        self.emit(Event::ResendHeld { conversation: message.conversation, message: known.id, device })
    }

    /// A message will not reach a device any more because its keys were replaced or removed. Unless another device of the same account
    /// has read it, the user decides.
    pub(crate) fn hold_undelivered(&mut self, message: MessageKey, device: DeviceAddress) -> Result<(), StoreError> {
        if self.has_reached(message, device.account)? { Ok(()) } else { self.hold(message, device) }
    }

    /// Messages that wait for a decision.
    ///
    /// # Errors
    /// Those of the store.
    pub fn held_resends(&self) -> Result<Vec<HeldResend>, StoreError> {
        let mut held = Vec::new();
        for (row_key, row) in self.tx.scan(Table::Resend, &[AGAIN], &[AGAIN + 1], SCAN_MAX, Order::Ascending)? {
            let again = AgainRecord::from_row(Table::Resend, &row)?;
            if again.is_held == 0 {
                continue;
            }
            let (message, device) = parse(&row_key)?;
            // Of a contact that was removed there is nothing left to decide.
            if self.known_contact(device.account)?.is_none() {
                continue;
            }
            if let Some(known) = self.message(message)?.filter(Message::may_be_sent_again) {
                held.push(HeldResend {
                    conversation: message.conversation,
                    message: known.id,
                    device,
                    held_at: UnixMillis(again.at_ms),
                });
            }
        }
        Ok(held)
    }

    /// The user has decided that a held message goes to the keys that its recipients have now: to each device in scope that has not read
    /// it. Answers how many those are.
    ///
    /// # Errors
    /// [`ResendError::NotHeld`] where there is nothing to decide, and what [`Engine::send`] refuses: a contact whose account key changed
    /// is looked at first.
    pub fn approve_resend(&mut self, conversation: ConversationId, message: MessageId) -> Result<usize, ResendError> {
        let account = self.account()?;
        let participants = self.conversation(conversation)?.ok_or(SendError::UnknownConversation)?;
        let known = self
            .find_message(conversation, account.address.account, message)?
            .filter(|message| message.is_outgoing)
            .ok_or(ResendError::UnknownMessage)?;
        let held = self.held_devices(known.key)?;
        if held.is_empty() {
            return Err(ResendError::NotHeld);
        }
        if !known.may_be_sent_again() {
            return Err(ResendError::Deleted);
        }
        self.check_recipients(&participants)?;
        let mut sent = 0;
        for participant in &participants.participants {
            let is_concerned = held.iter().any(|device| device.account == participant.account);
            let Some(key_set) = self.key_set(participant.account)?.filter(|_| is_concerned) else { continue };
            for device in self.unread_by(known.key, participant, &key_set, &held)? {
                self.send_again(&account, device, &known)?;
                sent += 1;
            }
        }
        for device in held {
            let again = self.again(known.key, device)?;
            self.put_again(known.key, device, &AgainRecord { is_held: 0, at_ms: self.now.0, ..again })?;
        }
        Ok(sent)
    }

    fn held_devices(&self, message: MessageKey) -> Result<Vec<DeviceAddress>, StoreError> {
        let prefix = key(&[&[AGAIN], &message.bytes()]);
        let mut held = Vec::new();
        for (row_key, row) in self.tx.scan(Table::Resend, &prefix, &prefix_end(&prefix), SCAN_MAX, Order::Ascending)? {
            if AgainRecord::from_row(Table::Resend, &row)?.is_held == 1 {
                held.push(parse(&row_key)?.1);
            }
        }
        Ok(held)
    }

    /// The devices of a participant now that have not read a message and are not about to.
    fn unread_by(
        &self,
        message: MessageKey,
        participant: &Participant,
        key_set: &VerifiedKeySet,
        held: &[DeviceAddress],
    ) -> Result<Vec<DeviceAddress>, StoreError> {
        let mut unread = Vec::new();
        for device in devices_in_scope(participant, key_set) {
            let is_unread = match self.delivery(message, device)? {
                None | Some(DeliveryState::Failed(_) | DeliveryState::Undecryptable(_)) => true,
                Some(DeliveryState::Delivered | DeliveryState::Read) => false,
                Some(DeliveryState::Queued | DeliveryState::Stored) => held.contains(&device),
            };
            if is_unread {
                unread.push(device);
            }
        }
        Ok(unread)
    }

    /// Whether a device of an account has read a message.
    fn has_reached(&self, message: MessageKey, account: AccountId) -> Result<bool, StoreError> {
        let states = self.deliveries(message, account)?;
        Ok(states.iter().any(|state| matches!(state, DeliveryState::Delivered | DeliveryState::Read)))
    }

    /// Forgets what was done so long ago that no envelope of the message is known any more.
    pub(crate) fn forget_again_before(&mut self, at_ms: u64) -> Result<(), StoreError> {
        let mut pages = Pages::new(Table::Resend, &[AGAIN], PAGE);
        while let Some(rows) = pages.next(self.tx)? {
            for (row_key, row) in &rows {
                if AgainRecord::from_row(Table::Resend, row)?.at_ms < at_ms {
                    self.tx.delete(Table::Resend, row_key)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn keys_are_read_as_they_were_written() {
        let message = MessageKey { conversation: ConversationId::from_bytes([1; 16]), order: 7 };
        let device = DeviceAddress { account: AccountId::from_bytes([2; 16]), device: 3.try_into().unwrap() };
        assert_eq!(parse(&row_key(message, device)).unwrap(), (message, device));
        assert!(parse(&[AGAIN, 1]).is_err());
    }
}
