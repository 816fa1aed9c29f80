//! The outbox: envelopes that are made, and that neither a relay has made durable nor their device has confirmed.
//!
//! A row is written in the transaction that encrypted, and deleted when the relay has said that the envelope is durable. Between the two it
//! is submitted as often as it takes: the envelope id is the same each time, so the relay keeps one.
//!
//! A row whose message goes by a carrier is handed over once ([`crate::carrier`]) and stays until the device has confirmed the message, or
//! until it is the relay's after all.

use std::collections::BTreeSet;

use rcseal_signal::IdentityKey;
use rcseal_wire::frame::{Submit, SubmitStatus};
use rcseal_wire::id::{AccountId, DeviceAddress, EnvelopeId, MailboxId};
use rcseal_wire::origin::Origin;
use tls_codec::{TlsByteVecU32, TlsDeserializeBytes, TlsSerialize, TlsSize};

use crate::account::{Account, AccountError};
use crate::carrier::{CarrierHandover, Deposit, Step};
use crate::context::{Engine, Sequence, Tally, UnixMillis};
use crate::message::{DeliveryState, FailureReason, MessageKey};
use crate::need::RETRY_WAIT_MS_MAX;
use crate::pages::Pages;
use crate::record::{Record, trailing_u64};
use crate::store::{BadRow, StoreError, Table};
use rcseal_wire::id::ConversationId;

/// How long a relay is asked to keep an envelope: as long as it will.
const TTL_SECONDS: u32 = rcseal_wire::frame::TTL_SECONDS_MAX;
/// How long we try to hand an envelope over: as long as a relay would have kept it.
const QUEUED_MS_MAX: u64 = TTL_SECONDS as u64 * 1000;
/// Rows read at once: they may have 96 KiB each.
const PAGE: usize = 64;
/// Envelopes without a message, such as receipts, that wait for one device: a peer makes us send them, and a mailbox that takes none
/// would let them pile up.
const NOTICES_MAX: u64 = 256;
/// Refusals after which an envelope is given up: the mailbox is gone, or the delivery token is.
const REFUSED_MAX: u32 = 5;

/// An envelope to send.
#[derive(Debug)]
pub struct Outgoing {
    /// Its place in the outbox; what [`Engine::handle_submitted`] or [`Engine::handle_carrier_outcome`] takes.
    pub number: u64,
    /// By whom.
    pub via: Via,
}

/// By whom an envelope is sent.
#[derive(Debug)]
pub enum Via {
    /// By a relay.
    Relay {
        /// Which server has the mailbox.
        origin: Origin,
        /// The submission.
        submit: Submit,
    },
    /// By the carrier that this device is on. It has been noted as handed over: what is not released goes by the relay after the patience.
    Carrier(CarrierHandover),
    /// By the carrier, once it is kept at our own relay, because it is too long. Put it there, and tell
    /// [`Engine::handle_deposited`] or [`Engine::handle_deposit_failed`]; until then it comes again.
    Deposit(Deposit),
}

impl Outgoing {
    /// The submission, where it goes by a relay.
    #[must_use]
    pub const fn submit(&self) -> Option<&Submit> {
        match &self.via {
            Via::Relay { submit, .. } => Some(submit),
            Via::Carrier(_) | Via::Deposit(_) => None,
        }
    }
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
pub(crate) struct OutboxRecord {
    envelope_id: [u8; 16],
    recipient: [u8; DeviceAddress::LEN],
    has_message: u8,
    conversation: [u8; 16],
    order: u64,
    attempts: u32,
    pub(crate) due_at_ms: u64,
    queued_at_ms: u64,
    envelope: TlsByteVecU32,
}

impl Record for OutboxRecord {
    const VERSION: u8 = 1;
}

impl OutboxRecord {
    pub(crate) fn message(&self) -> Option<MessageKey> {
        (self.has_message == 1)
            .then_some(MessageKey { conversation: ConversationId::from_bytes(self.conversation), order: self.order })
    }

    pub(crate) fn recipient(&self) -> Result<DeviceAddress, StoreError> {
        DeviceAddress::parse(&self.recipient).map_err(|_| BadRow::error(Table::Outbox))
    }

    pub(crate) const fn envelope_id(&self) -> EnvelopeId {
        EnvelopeId::from_bytes(self.envelope_id)
    }

    pub(crate) fn envelope(&self) -> &[u8] {
        self.envelope.as_slice()
    }
}

impl Engine<'_> {
    /// Puts an envelope into the outbox. It was encrypted to this identity key of the recipient's.
    pub(crate) fn queue(
        &mut self,
        recipient: DeviceAddress,
        identity: IdentityKey,
        envelope: &[u8],
        message: Option<MessageKey>,
    ) -> Result<(), StoreError> {
        let number = self.next(Sequence::Outbox)?;
        let envelope_id = EnvelopeId::generate(self.rng);
        match message {
            Some(message) => self.remember_sent(envelope_id, message, recipient, identity)?,
            None => self.count_up(Tally::Notices(recipient))?,
        }
        let record = OutboxRecord {
            envelope_id: *envelope_id.as_bytes(),
            recipient: recipient.to_bytes(),
            has_message: u8::from(message.is_some()),
            conversation: message.map_or([0; 16], |message| *message.conversation.as_bytes()),
            order: message.map_or(0, |message| message.order),
            attempts: 0,
            due_at_ms: self.now.0,
            queued_at_ms: self.now.0,
            envelope: envelope.into(),
        };
        self.put_outgoing(number, &record)?;
        match message {
            Some(message) => self.choose_route(number, recipient, message),
            None => Ok(()),
        }
    }

    pub(crate) fn put_outgoing(&mut self, number: u64, record: &OutboxRecord) -> Result<(), StoreError> {
        self.tx.put(Table::Outbox, &number.to_be_bytes(), &record.to_row())
    }

    pub(crate) fn outgoing_row(&self, number: u64) -> Result<Option<OutboxRecord>, StoreError> {
        let Some(row) = self.tx.get(Table::Outbox, &number.to_be_bytes())? else { return Ok(None) };
        OutboxRecord::from_row(Table::Outbox, &row).map(Some)
    }

    /// Whether a device gets notices. One that has not taken the last [`NOTICES_MAX`], or for which as many wait until it has keys, gets no
    /// further one: a peer that makes us send receipts and takes none must not fill the store. One of a contact for whom messages are kept
    /// back gets none at all.
    pub(crate) fn may_notify(&self, device: DeviceAddress) -> Result<bool, AccountError> {
        Ok(self.tally(Tally::Notices(device))? < NOTICES_MAX
            && !self.has_waiting(device, NOTICES_MAX)?
            && !self.is_kept_back(device.account)?)
    }

    pub(crate) fn put_route(&mut self, device: DeviceAddress, mailbox: MailboxId) -> Result<(), StoreError> {
        self.tx.put(Table::Route, &device.to_bytes(), mailbox.as_bytes())
    }

    fn route(&self, device: DeviceAddress) -> Result<Option<MailboxId>, StoreError> {
        let Some(row) = self.tx.get(Table::Route, &device.to_bytes())? else { return Ok(None) };
        MailboxId::parse(&row).map(Some).map_err(|_| BadRow::error(Table::Route))
    }

    /// Up to `limit` envelopes that are due, oldest first. An envelope to a device comes to a relay only when all earlier ones to it were
    /// taken, so that they arrive in order. What comes for a carrier is noted as handed over, and comes once.
    ///
    /// # Errors
    /// Those of the store.
    pub fn poll_outbox(&mut self, limit: usize) -> Result<Vec<Outgoing>, AccountError> {
        let own = self.account()?;
        let mut held_back = BTreeSet::new();
        let (mut due, mut pages) = (Vec::new(), Pages::new(Table::Outbox, &[], PAGE));
        // Every row is looked at where it has to be: those of a mailbox that takes nothing must not hide the others.
        while due.len() < limit
            && let Some(rows) = pages.next(self.tx)?
        {
            for (key, row) in rows {
                if due.len() < limit {
                    due.extend(self.outgoing(&own, &mut held_back, &key, &row)?);
                }
            }
        }
        Ok(due)
    }

    /// What to submit for a row, if it is due.
    fn outgoing(
        &mut self,
        own: &Account,
        held_back: &mut BTreeSet<DeviceAddress>,
        key: &[u8],
        row: &[u8],
    ) -> Result<Option<Outgoing>, AccountError> {
        let number = trailing_u64(Table::Outbox, key)?;
        let mut record = OutboxRecord::from_row(Table::Outbox, row)?;
        let recipient = record.recipient()?;
        if self.now.since(UnixMillis(record.queued_at_ms)) > QUEUED_MS_MAX {
            self.give_up(number, &record, FailureReason::Expired)?;
            return Ok(None);
        }
        match self.carrier_step(number, &mut record)? {
            Step::Relay => {}
            Step::Wait => return Ok(None),
            Step::Deposit(deposit) => return Ok(Some(Outgoing { number, via: Via::Deposit(deposit) })),
            Step::HandOver(handover) => return Ok(Some(Outgoing { number, via: Via::Carrier(handover) })),
        }
        if self.due(&record) > self.now || held_back.contains(&recipient) {
            held_back.insert(recipient);
            return Ok(None);
        }
        let way = if recipient.account == own.address.account {
            Some((own.origin.clone(), own.delivery_token.duplicate()))
        } else {
            self.contact(recipient.account)?.map(|contact| (contact.origin, contact.delivery_token))
        };
        let (Some((origin, token)), Some(mailbox)) = (way, self.route(recipient)?) else {
            // Without a way there is nothing to try.
            self.give_up(number, &record, FailureReason::Refused)?;
            return Ok(None);
        };
        let submit = Submit {
            mailbox,
            token,
            id: EnvelopeId::from_bytes(record.envelope_id),
            ttl_seconds: TTL_SECONDS,
            envelope: Vec::from(record.envelope).into(),
        };
        Ok(Some(Outgoing { number, via: Via::Relay { origin, submit } }))
    }

    /// Whether an envelope for some device of an account is not with a relay or a device yet.
    pub(crate) fn has_outgoing_to(&self, account: AccountId) -> Result<bool, StoreError> {
        let mut pages = Pages::new(Table::Outbox, &[], PAGE);
        while let Some(rows) = pages.next(self.tx)? {
            for (_, row) in &rows {
                if OutboxRecord::from_row(Table::Outbox, row)?.recipient()?.account == account {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// When an entry is due: now, where it would be later than any retry is, because the clock was set back since.
    fn due(&self, record: &OutboxRecord) -> UnixMillis {
        let due = UnixMillis(record.due_at_ms);
        if due.since(self.now) > RETRY_WAIT_MS_MAX { self.now } else { due }
    }

    /// When the outbox has something due next; `None` when it is empty.
    ///
    /// # Errors
    /// Those of the store.
    pub fn poll_outbox_timeout(&self) -> Result<Option<UnixMillis>, StoreError> {
        let mut pages = Pages::new(Table::Outbox, &[], PAGE);
        let mut next = None::<UnixMillis>;
        while let Some(rows) = pages.next(self.tx)? {
            for (_, row) in &rows {
                let due = self.due(&OutboxRecord::from_row(Table::Outbox, row)?);
                next = Some(next.map_or(due, |next| next.min(due)));
            }
        }
        Ok(next)
    }

    /// The relay answered a submission.
    ///
    /// # Errors
    /// Those of the store.
    pub fn handle_submitted(&mut self, number: u64, status: SubmitStatus) -> Result<(), StoreError> {
        let key = number.to_be_bytes();
        let Some(row) = self.tx.get(Table::Outbox, &key)? else { return Ok(()) };
        let mut record = OutboxRecord::from_row(Table::Outbox, &row)?;
        match status {
            SubmitStatus::Stored | SubmitStatus::Duplicate => self.leave(number, &record, DeliveryState::Stored),
            SubmitStatus::IdConflict | SubmitStatus::TooLarge | SubmitStatus::Malformed => {
                self.give_up(number, &record, FailureReason::Rejected)
            }
            SubmitStatus::Refused if record.attempts >= REFUSED_MAX => {
                self.give_up(number, &record, FailureReason::Refused)
            }
            SubmitStatus::Refused
            | SubmitStatus::QuotaExceeded
            | SubmitStatus::Unavailable
            | SubmitStatus::RateLimited
            | SubmitStatus::Unspecified => {
                // The mailbox may be gone with its device: an account that was taken back has others, and its key set says so.
                if status == SubmitStatus::Refused && record.attempts == 0 {
                    self.need_key_set(record.recipient()?.account)?;
                }
                record.attempts = record.attempts.saturating_add(1);
                record.due_at_ms = self.retry_at(record.attempts).0;
                self.tx.put(Table::Outbox, &key, &record.to_row())
            }
        }
    }

    /// Nothing is known of a submission's fate: the connection broke. It is due again.
    ///
    /// # Errors
    /// Those of the store.
    pub fn handle_submit_lost(&mut self, number: u64) -> Result<(), StoreError> {
        self.handle_submitted(number, SubmitStatus::Unavailable)
    }

    fn give_up(&mut self, number: u64, record: &OutboxRecord, reason: FailureReason) -> Result<(), StoreError> {
        self.leave(number, record, DeliveryState::Failed(reason))
    }

    /// An envelope leaves the outbox.
    pub(crate) fn leave(&mut self, number: u64, record: &OutboxRecord, state: DeliveryState) -> Result<(), StoreError> {
        self.tx.delete(Table::Outbox, &number.to_be_bytes())?;
        self.forget_carrier_route(number)?;
        match record.message() {
            Some(message) => self.set_delivery(message, record.recipient()?, state),
            None => self.count_down(Tally::Notices(record.recipient()?)),
        }
    }

    /// These devices were taken out of their account: what is still here goes to them no more.
    pub(crate) fn drop_outgoing(&mut self, devices: &[DeviceAddress]) -> Result<(), StoreError> {
        let mut pages = Pages::new(Table::Outbox, &[], PAGE);
        while let Some(rows) = pages.next(self.tx)? {
            for (key, row) in &rows {
                let record = OutboxRecord::from_row(Table::Outbox, row)?;
                if devices.contains(&record.recipient()?) {
                    self.give_up(trailing_u64(Table::Outbox, key)?, &record, FailureReason::NoKeys)?;
                }
            }
        }
        Ok(())
    }
}
