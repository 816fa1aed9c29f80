//! What was handed to a carrier under which id, and the carrier's receipts for it.
//!
//! Each part of each hand-over has an id of its own at the carrier, random and used once. An id belongs to one number, one message and one
//! device. A receipt counts for nothing unless it names such an id and comes from that number; then it is a hint and no more: anybody on
//! the way can make one. "Delivered" says that some stack took a part. "Failed" ends the wait, and the same envelope goes by the relay.

use rcseal_rcs::imdn::{ClientReason, FailureReason, Kind, Notification};
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::{CarrierMessageId, Sender};
use rcseal_wire::id::DeviceAddress;
use tls_codec::{TlsByteVecU8, TlsDeserializeBytes, TlsSerialize, TlsSize};

use super::receive::CarrierDisposition;
use crate::account::AccountError;
use crate::capability::{NativeOutcome, NumberKey};
use crate::context::{Engine, UnixMillis};
use crate::event::Event;
use crate::message::MessageKey;
use crate::pages::Pages;
use crate::policy::Reason;
use crate::record::Record;
use crate::store::{BadRow, StoreError, Table};

/// Rows read at once.
const PAGE: usize = 512;
/// How long a receipt may be late: as long as carriers keep messages for phones that are off.
pub(super) const ISSUED_MS_MAX: u64 = 30 * 24 * 3600 * 1000;

/// What an id at the carrier stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Issued {
    pub(super) to: PhoneNumber,
    /// The outbox's number.
    pub(super) number: u64,
    pub(super) device: DeviceAddress,
    pub(super) message: MessageKey,
    pub(super) at: UnixMillis,
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct IssuedRecord {
    to: TlsByteVecU8,
    number: u64,
    device: [u8; DeviceAddress::LEN],
    message: TlsByteVecU8,
    at_ms: u64,
}

impl Record for IssuedRecord {
    const VERSION: u8 = 1;
}

impl IssuedRecord {
    fn issued(&self) -> Result<Issued, StoreError> {
        let bad = || BadRow::error(Table::CarrierIssued);
        let to = std::str::from_utf8(self.to.as_slice()).ok().and_then(|text| text.parse().ok());
        Ok(Issued {
            to: to.ok_or_else(bad)?,
            number: self.number,
            device: DeviceAddress::parse(&self.device).map_err(|_| bad())?,
            message: MessageKey::parse(self.message.as_slice())?,
            at: UnixMillis(self.at_ms),
        })
    }
}

/// The number of a sender, vouched for or not.
pub(super) const fn number_of(from: &Sender) -> Option<&PhoneNumber> {
    match from {
        Sender::Asserted(number) | Sender::Claimed(number) => Some(number),
        Sender::Anonymous => None,
    }
}

impl Engine<'_> {
    pub(super) fn put_issued(&mut self, id: &CarrierMessageId, issued: &Issued) -> Result<(), StoreError> {
        let record = IssuedRecord {
            to: issued.to.as_str().as_bytes().into(),
            number: issued.number,
            device: issued.device.to_bytes(),
            message: issued.message.bytes().into(),
            at_ms: issued.at.0,
        };
        self.tx.put(Table::CarrierIssued, id.as_str().as_bytes(), &record.to_row())
    }

    /// What an id stands for, if it was issued for that number.
    fn issued(&self, id: &CarrierMessageId, from: &Sender) -> Result<Option<Issued>, StoreError> {
        let Some(row) = self.tx.get(Table::CarrierIssued, id.as_str().as_bytes())? else { return Ok(None) };
        let issued = IssuedRecord::from_row(Table::CarrierIssued, &row)?.issued()?;
        Ok((number_of(from) == Some(&issued.to)).then_some(issued))
    }

    /// Takes a carrier's receipt in.
    pub(super) fn take_notification(
        &mut self,
        from: &Sender,
        notification: &Notification,
    ) -> Result<CarrierDisposition, AccountError> {
        let Some(issued) = self.issued(&notification.message_id, from)? else {
            let is_ours = self.receive_plain_receipt(from, notification)?;
            return Ok(CarrierDisposition::Receipt { is_ours });
        };
        match notification.kind {
            Kind::DeliveryFailed {
                reason: Some(FailureReason::Client(ClientReason::FailedToDecrypt | ClientReason::ResentFailedToDecrypt)),
            } => {
                if self.carrier_gives_up(&issued, Reason::CarrierRefused)? {
                    self.hint_undecryptable(&issued)?;
                }
            }
            Kind::DeliveryFailed { .. } | Kind::DeliveryForbidden | Kind::DeliveryError => {
                self.carrier_gives_up(&issued, Reason::CarrierRefused)?;
            }
            // What a stack took or showed, no device of the peer's has decrypted for that.
            Kind::Delivered => self.note_native(NumberKey::of(&issued.to), NativeOutcome::CarrierReceipt)?,
            Kind::Displayed
            | Kind::DisplayForbidden
            | Kind::DisplayError
            | Kind::Processed
            | Kind::Stored
            | Kind::ProcessingForbidden
            | Kind::ProcessingError => {}
        }
        Ok(CarrierDisposition::Receipt { is_ours: true })
    }

    /// The app may show that the far end has the message and could not read it so far. Nothing is decided by it.
    fn hint_undecryptable(&mut self, issued: &Issued) -> Result<(), StoreError> {
        let Some(message) = self.message(issued.message)? else { return Ok(()) };
        let conversation = issued.message.conversation;
        self.emit(Event::CarrierUnread { conversation, message: message.id, device: issued.device })
    }

    /// Forgets ids for which no receipt will come.
    pub(super) fn forget_issued_before(&mut self, at_ms: u64) -> Result<(), StoreError> {
        let mut pages = Pages::new(Table::CarrierIssued, &[], PAGE);
        while let Some(rows) = pages.next(self.tx)? {
            for (row_key, row) in &rows {
                if IssuedRecord::from_row(Table::CarrierIssued, row)?.at_ms < at_ms {
                    self.tx.delete(Table::CarrierIssued, row_key)?;
                }
            }
        }
        Ok(())
    }
}
