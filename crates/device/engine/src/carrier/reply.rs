//! Receipts of the carrier's kind that the far end asked for.
//!
//! "Delivered" is said of an envelope that was decrypted, and "failed to decrypt" of one that was not, each only where it was asked for,
//! and neither to a blocked contact nor to somebody without a number. A receipt is a courtesy: it is tried a few times and then dropped, and
//! there are only so many, since anybody can ask.

use rcseal_rcs::chat::{self, Unwrapped};
use rcseal_rcs::imdn::{ClientReason, FailureReason, Kind, Notification};
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::{CarrierMessageId, Sender};
use tls_codec::{TlsByteVecU8, TlsDeserializeBytes, TlsSerialize, TlsSize};

use super::handover::CarrierNotice;
use super::issued::number_of;
use crate::context::{Engine, Sequence, UnixMillis};
use crate::record::{Record, trailing_u64};
use crate::store::{BadRow, Order, StoreError, Table, prefix_end};

/// Receipts that wait at most.
const WAITING_MAX: usize = 256;
/// Times that one is tried.
const ATTEMPTS_MAX: u32 = 3;
/// How long the shell has to answer for one that it polled: longer than any transport waits.
const LEASE_MS: u64 = 5 * 60 * 1000;
/// How long one is worth sending: an hour, after which the relay has brought the message.
const AGE_MS_MAX: u64 = 60 * 60 * 1000;

/// What a sender asked to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ask {
    /// The message's id at the carrier.
    pub(super) id: CarrierMessageId,
    pub(super) delivered: bool,
    pub(super) failed: bool,
}

impl Ask {
    /// What the sender of a message asked for: `None` where it is nothing, or where the message has no id.
    pub(super) fn of(unwrapped: &Unwrapped) -> Option<Self> {
        let (delivered, failed) = (unwrapped.receipts.delivered, unwrapped.receipts.failed);
        let id = unwrapped.id.clone().filter(|_| delivered || failed)?;
        Some(Self { id, delivered, failed })
    }
}

/// What is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Delivered,
    FailedToDecrypt,
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct ReplyRecord {
    to: TlsByteVecU8,
    id: TlsByteVecU8,
    /// 1 delivered, 2 failed to decrypt.
    told: u8,
    attempts: u32,
    made_at_ms: u64,
    due_at_ms: u64,
}

impl Record for ReplyRecord {
    const VERSION: u8 = 1;
}

impl ReplyRecord {
    fn notification(&self) -> Result<(PhoneNumber, Notification), StoreError> {
        let bad = || BadRow::error(Table::CarrierReply);
        let text = |bytes: &TlsByteVecU8| std::str::from_utf8(bytes.as_slice()).map(str::to_owned).map_err(|_| bad());
        let kind = match self.told {
            1 => Kind::Delivered,
            2 => Kind::DeliveryFailed { reason: Some(FailureReason::Client(ClientReason::FailedToDecrypt)) },
            _ => return Err(bad()),
        };
        let id = CarrierMessageId::parse(&text(&self.id)?).ok_or_else(bad)?;
        Ok((text(&self.to)?.parse().map_err(|_| bad())?, Notification::new(id, kind)))
    }
}

impl Engine<'_> {
    /// A receipt becomes due, if it was asked for and there is somebody to send it to.
    pub(super) fn owe_receipt(&mut self, from: &Sender, ask: &Ask, told: Told) -> Result<(), StoreError> {
        let is_asked = match told {
            Told::Delivered => ask.delivered,
            Told::FailedToDecrypt => ask.failed,
        };
        let Some(to) = number_of(from).filter(|_| is_asked) else { return Ok(()) };
        if self.is_number_of_blocked(to)? {
            return Ok(());
        }
        let waiting = self.tx.scan(Table::CarrierReply, &[], &prefix_end(&[]), WAITING_MAX, Order::Ascending)?;
        if waiting.len() >= WAITING_MAX {
            return Ok(());
        }
        let number = self.next(Sequence::CarrierReply)?;
        let record = ReplyRecord {
            to: to.as_str().as_bytes().into(),
            id: ask.id.as_str().as_bytes().into(),
            told: match told {
                Told::Delivered => 1,
                Told::FailedToDecrypt => 2,
            },
            attempts: 0,
            made_at_ms: self.now.0,
            due_at_ms: self.now.0,
        };
        self.tx.put(Table::CarrierReply, &number.to_be_bytes(), &record.to_row())
    }

    /// Receipts for the carrier that are due, oldest first.
    ///
    /// # Errors
    /// Those of the store.
    pub fn poll_carrier_notices(&mut self, limit: usize) -> Result<Vec<CarrierNotice>, StoreError> {
        let rows = self.tx.scan(Table::CarrierReply, &[], &prefix_end(&[]), WAITING_MAX, Order::Ascending)?;
        let mut notices = Vec::new();
        for (row_key, row) in rows {
            let record = ReplyRecord::from_row(Table::CarrierReply, &row)?;
            if self.now.since(UnixMillis(record.made_at_ms)) > AGE_MS_MAX {
                self.tx.delete(Table::CarrierReply, &row_key)?;
                continue;
            }
            if notices.len() >= limit || record.due_at_ms > self.now.0 {
                continue;
            }
            let (to, notification) = record.notification()?;
            let mut random = [0; 16];
            self.rng.fill_bytes(&mut random);
            let message = chat::receipt(&notification, to, CarrierMessageId::from_random(random));
            // Whoever polls has it for a while: polled again meanwhile, it would go out twice.
            let leased = ReplyRecord { due_at_ms: self.now.plus(LEASE_MS).0, ..record };
            self.tx.put(Table::CarrierReply, &row_key, &leased.to_row())?;
            notices.push(CarrierNotice { number: trailing_u64(Table::CarrierReply, &row_key)?, message });
        }
        Ok(notices)
    }

    /// When a receipt for the carrier is due next; `None` when there is none.
    ///
    /// # Errors
    /// Those of the store.
    pub fn poll_carrier_notices_timeout(&self) -> Result<Option<UnixMillis>, StoreError> {
        let rows = self.tx.scan(Table::CarrierReply, &[], &prefix_end(&[]), WAITING_MAX, Order::Ascending)?;
        let mut next = None::<UnixMillis>;
        for (_, row) in &rows {
            let due = UnixMillis(ReplyRecord::from_row(Table::CarrierReply, row)?.due_at_ms);
            next = Some(next.map_or(due, |next| next.min(due)));
        }
        Ok(next)
    }

    /// A receipt was handed to the carrier, or was not taken by it.
    ///
    /// # Errors
    /// Those of the store.
    pub fn handle_carrier_notice_sent(&mut self, number: u64, is_taken: bool) -> Result<(), StoreError> {
        let row_key = number.to_be_bytes();
        let Some(row) = self.tx.get(Table::CarrierReply, &row_key)? else { return Ok(()) };
        let mut record = ReplyRecord::from_row(Table::CarrierReply, &row)?;
        record.attempts = record.attempts.saturating_add(1);
        if is_taken || record.attempts >= ATTEMPTS_MAX {
            return self.tx.delete(Table::CarrierReply, &row_key);
        }
        record.due_at_ms = self.retry_at(record.attempts).0;
        self.tx.put(Table::CarrierReply, &row_key, &record.to_row())
    }
}
