//! What became of a message at each recipient device.

use rcseal_signal::IdentityKey;
use rcseal_wire::id::{AccountId, ConversationId, DeviceAddress, EnvelopeId};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

use super::{FailureReason, MessageState};
use crate::context::Engine;
use crate::event::Event;
use crate::inbox::Undecryptable;
use crate::pages::Pages;
use crate::record::Record;
use crate::store::{BadRow, Order, StoreError, Table, prefix_end};

/// Devices of one message: 32 participants with 64 devices each.
const DEVICES_MAX: usize = 2048;
/// Rows read at once where all envelopes that were sent are looked at.
const SENT_PAGE: usize = 512;

/// A message's place in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MessageKey {
    pub(crate) conversation: ConversationId,
    pub(crate) order: u64,
}

impl MessageKey {
    pub(crate) fn bytes(self) -> Vec<u8> {
        [&self.conversation.as_bytes()[..], &self.order.to_be_bytes()].concat()
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, StoreError> {
        let bad = || BadRow::error(Table::Message);
        let (conversation, order) = bytes.split_at_checked(16).ok_or_else(bad)?;
        Ok(Self {
            conversation: ConversationId::parse(conversation).map_err(|_| bad())?,
            order: u64::from_be_bytes(order.try_into().map_err(|_| bad())?),
        })
    }
}

/// How far a message has come at one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeliveryState {
    Queued,
    Stored,
    Delivered,
    Read,
    Undecryptable(Undecryptable),
    Failed(FailureReason),
}

impl DeliveryState {
    const fn numbers(self) -> (u8, u32) {
        match self {
            Self::Queued => (1, 0),
            Self::Stored => (2, 0),
            Self::Delivered => (3, 0),
            Self::Read => (4, 0),
            Self::Undecryptable(reason) => (5, reason.number()),
            Self::Failed(reason) => (6, reason.number()),
        }
    }

    fn from_numbers(state: u8, reason: u32) -> Option<Self> {
        Some(match state {
            1 => Self::Queued,
            2 => Self::Stored,
            3 => Self::Delivered,
            4 => Self::Read,
            5 => Self::Undecryptable(Undecryptable::from_number(reason)?),
            6 => Self::Failed(FailureReason::from_number(reason)?),
            _ => return None,
        })
    }

    /// Whether a device that was in this state may move to `next`. What is proven by a receipt is never taken back by what comes late.
    const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Read => false,
            Self::Delivered => matches!(next, Self::Read),
            Self::Queued | Self::Stored | Self::Undecryptable(_) | Self::Failed(_) => true,
        }
    }
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct DeliveryRecord {
    state: u8,
    reason: u32,
    at_ms: u64,
}

impl Record for DeliveryRecord {
    const VERSION: u8 = 1;
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct SentRecord {
    conversation: [u8; 16],
    order: u64,
    recipient: [u8; DeviceAddress::LEN],
    identity: [u8; 32],
    at_ms: u64,
}

impl Record for SentRecord {
    const VERSION: u8 = 1;
}

/// What an envelope that we sent was.
pub(crate) struct Sent {
    pub(crate) message: MessageKey,
    /// The one device that could read it.
    pub(crate) recipient: DeviceAddress,
    /// The identity key that this device had.
    pub(crate) identity: [u8; 32],
}

impl SentRecord {
    fn sent(&self) -> Result<Sent, StoreError> {
        Ok(Sent {
            message: MessageKey { conversation: ConversationId::from_bytes(self.conversation), order: self.order },
            recipient: DeviceAddress::parse(&self.recipient).map_err(|_| BadRow::error(Table::Sent))?,
            identity: self.identity,
        })
    }
}

impl Engine<'_> {
    /// Moves a message on at one device, and the message with it.
    pub(crate) fn set_delivery(
        &mut self,
        message: MessageKey,
        device: DeviceAddress,
        state: DeliveryState,
    ) -> Result<(), StoreError> {
        let row_key = [message.bytes(), device.to_bytes().to_vec()].concat();
        if let Some(row) = self.tx.get(Table::Delivery, &row_key)? {
            let current = delivery_state(&row)?;
            if current == state || !current.may_become(state) {
                return Ok(());
            }
        }
        let (number, reason) = state.numbers();
        self.tx.put(
            Table::Delivery,
            &row_key,
            &DeliveryRecord { state: number, reason, at_ms: self.now.0 }.to_row(),
        )?;
        self.refresh_state(message)
    }

    /// Recomputes a message's state from its devices.
    fn refresh_state(&mut self, message_key: MessageKey) -> Result<(), StoreError> {
        let Some(mut message) = self.message(message_key)? else { return Ok(()) };
        if !message.is_outgoing {
            return Ok(());
        }
        let prefix = message_key.bytes();
        let mut states = Vec::new();
        for (row_key, row) in
            self.tx.scan(Table::Delivery, &prefix, &prefix_end(&prefix), DEVICES_MAX, Order::Ascending)?
        {
            let bad = || BadRow::error(Table::Delivery);
            let device =
                row_key.get(prefix.len()..).and_then(|bytes| DeviceAddress::parse(bytes).ok()).ok_or_else(bad)?;
            if device.account != message.sender.account {
                states.push(delivery_state(&row)?);
            }
        }
        let state = furthest(&states);
        if state != message.state {
            message.state = state;
            self.put_message(&message)?;
            self.emit(Event::MessageChanged {
                conversation: message_key.conversation,
                sender: message.sender.account,
                message: message.id,
            })?;
        }
        Ok(())
    }

    /// How far a message has come at one device; `None` where it was never to go there.
    pub(crate) fn delivery(
        &self,
        message: MessageKey,
        device: DeviceAddress,
    ) -> Result<Option<DeliveryState>, StoreError> {
        let row_key = [message.bytes(), device.to_bytes().to_vec()].concat();
        let Some(row) = self.tx.get(Table::Delivery, &row_key)? else { return Ok(None) };
        delivery_state(&row).map(Some)
    }

    /// How far a message has come at the devices of one account.
    pub(crate) fn deliveries(&self, message: MessageKey, account: AccountId) -> Result<Vec<DeliveryState>, StoreError> {
        let prefix = [message.bytes(), account.as_bytes().to_vec()].concat();
        let rows = self.tx.scan(Table::Delivery, &prefix, &prefix_end(&prefix), DEVICES_MAX, Order::Ascending)?;
        rows.iter().map(|(_, row)| delivery_state(row)).collect()
    }

    /// Remembers which message an envelope carries and to which key it was encrypted, so that the recipient can tell us that it could not
    /// be read, and ask for it once more.
    pub(crate) fn remember_sent(
        &mut self,
        envelope: EnvelopeId,
        message: MessageKey,
        recipient: DeviceAddress,
        identity: IdentityKey,
    ) -> Result<(), StoreError> {
        let record = SentRecord {
            conversation: *message.conversation.as_bytes(),
            order: message.order,
            recipient: recipient.to_bytes(),
            identity: *identity.as_bytes(),
            at_ms: self.now.0,
        };
        self.tx.put(Table::Sent, envelope.as_bytes(), &record.to_row())
    }

    /// The same envelope goes under another id as well.
    pub(crate) fn remember_sent_as(&mut self, envelope: EnvelopeId, other: EnvelopeId) -> Result<(), StoreError> {
        let Some(row) = self.tx.get(Table::Sent, envelope.as_bytes())? else { return Ok(()) };
        self.tx.put(Table::Sent, other.as_bytes(), &row)
    }

    /// What an envelope was, if it carried a message.
    pub(crate) fn sent(&self, envelope: EnvelopeId) -> Result<Option<Sent>, StoreError> {
        let Some(row) = self.tx.get(Table::Sent, envelope.as_bytes())? else { return Ok(None) };
        SentRecord::from_row(Table::Sent, &row)?.sent().map(Some)
    }

    /// Devices are gone or have other keys: what a relay still keeps for them will not be read, and the user decides about it.
    pub(crate) fn hold_on_its_way(&mut self, devices: &[DeviceAddress]) -> Result<(), StoreError> {
        let mut pages = Pages::new(Table::Sent, &[], SENT_PAGE);
        while let Some(rows) = pages.next(self.tx)? {
            for (_, row) in &rows {
                let sent = SentRecord::from_row(Table::Sent, row)?.sent()?;
                if devices.contains(&sent.recipient) {
                    let state = self.delivery(sent.message, sent.recipient)?;
                    if let Some(DeliveryState::Queued | DeliveryState::Stored | DeliveryState::Undecryptable(_)) = state
                    {
                        let failed = DeliveryState::Failed(FailureReason::NoKeys);
                        self.set_delivery(sent.message, sent.recipient, failed)?;
                    }
                    self.hold_undelivered(sent.message, sent.recipient)?;
                }
            }
        }
        Ok(())
    }

    /// Forgets envelopes that no relay keeps any more.
    pub(crate) fn forget_sent_before(&mut self, at_ms: u64) -> Result<(), StoreError> {
        let mut pages = Pages::new(Table::Sent, &[], SENT_PAGE);
        while let Some(rows) = pages.next(self.tx)? {
            for (row_key, row) in &rows {
                if SentRecord::from_row(Table::Sent, row)?.at_ms < at_ms {
                    self.tx.delete(Table::Sent, row_key)?;
                }
            }
        }
        Ok(())
    }
}

fn delivery_state(row: &[u8]) -> Result<DeliveryState, StoreError> {
    let record = DeliveryRecord::from_row(Table::Delivery, row)?;
    DeliveryState::from_numbers(record.state, record.reason).ok_or_else(|| BadRow::error(Table::Delivery))
}

/// The state of a message whose recipient devices are in these.
fn furthest(states: &[DeliveryState]) -> MessageState {
    let any = |wanted: DeliveryState| states.contains(&wanted);
    if any(DeliveryState::Read) {
        return MessageState::Read;
    }
    if any(DeliveryState::Delivered) {
        return MessageState::Delivered;
    }
    for state in states {
        if let DeliveryState::Undecryptable(reason) = state {
            return MessageState::Undecryptable { reason: *reason };
        }
    }
    if states.is_empty() || any(DeliveryState::Queued) {
        return MessageState::Queued;
    }
    if any(DeliveryState::Stored) {
        return MessageState::Stored;
    }
    match states.first() {
        Some(DeliveryState::Failed(reason)) => MessageState::Failed { reason: *reason },
        _ => MessageState::Queued,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_where_its_furthest_device_is() {
        use DeliveryState as D;
        assert_eq!(furthest(&[]), MessageState::Queued);
        assert_eq!(furthest(&[D::Stored, D::Queued]), MessageState::Queued);
        assert_eq!(furthest(&[D::Stored, D::Failed(FailureReason::Refused)]), MessageState::Stored);
        assert_eq!(furthest(&[D::Stored, D::Delivered]), MessageState::Delivered);
        assert_eq!(furthest(&[D::Read, D::Queued]), MessageState::Read);
        assert_eq!(
            furthest(&[D::Undecryptable(Undecryptable::Authentication), D::Stored]),
            MessageState::Undecryptable { reason: Undecryptable::Authentication }
        );
        assert_eq!(
            furthest(&[D::Failed(FailureReason::Expired)]),
            MessageState::Failed { reason: FailureReason::Expired }
        );
    }

    #[test]
    fn a_receipt_is_not_taken_back() {
        assert!(!DeliveryState::Read.may_become(DeliveryState::Delivered));
        assert!(!DeliveryState::Delivered.may_become(DeliveryState::Undecryptable(Undecryptable::Authentication)));
        assert!(DeliveryState::Undecryptable(Undecryptable::Authentication).may_become(DeliveryState::Delivered));
    }
}
