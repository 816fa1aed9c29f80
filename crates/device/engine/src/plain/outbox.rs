//! Readable words on their way to a carrier.
//!
//! A row is written with the message and leaves when the carrier has answered. Between the two nothing is sent twice: a row that was
//! polled and never answered for is given up as unconfirmed.

use rcseal_crypto::hash::sha256;
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::{Carriage, CarrierMessage, CarrierMessageId, ReceiptRequest, SendFailure, Taken};
use rcseal_wire::id::{ConversationId, MessageId};
use tls_codec::{TlsByteVecU8, TlsByteVecU32, TlsDeserializeBytes, TlsSerialize, TlsSize};

use super::message::PlainState;
use crate::account::AccountError;
use crate::capability::NumberKey;
use crate::context::{Engine, Sequence, UnixMillis};
use crate::event::Event;
use crate::message::{FailureReason, MessageKey, MessageState};
use crate::pages::Pages;
use crate::policy::{
    ContentKind, DeliveryMode, Entry, EntryKind, Permit, Permitted, Plaintext, PolicyError, Readable, Reason,
    Recipient, Subject,
};
use crate::record::{Record, key, trailing_u64};
use crate::store::{BadRow, StoreError, Table};

/// The media type of plain words.
const TEXT_PLAIN: &str = "text/plain;charset=UTF-8";
/// How long the shell has to answer for a hand-over: longer than any transport waits.
const ANSWER_MS: u64 = 5 * 60 * 1000;
/// How long words are tried to be handed over: a day. Later they say something else than they did.
const QUEUED_MS_MAX: u64 = 24 * 3600 * 1000;
/// Rows read at once.
const PAGE: usize = 64;

/// Words to hand to a carrier.
#[derive(Debug)]
pub struct PlainOutgoing {
    /// Its place in the outbox; what [`Engine::handle_plain_outcome`] takes.
    pub number: u64,
    /// To whom.
    pub to: PhoneNumber,
    /// The words, with the permit that lets them go.
    pub words: Permitted<Plaintext>,
}

/// Words that leave now, before they are what somebody takes.
pub(super) struct Leaving {
    pub(super) number: u64,
    pub(super) to: PhoneNumber,
    pub(super) message: MessageId,
    pub(super) recipient: Recipient,
    pub(super) permit: Permit<Readable>,
    pub(super) carrier_id: CarrierMessageId,
    pub(super) words: Vec<u8>,
}

/// Which message the words are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlainOrigin {
    /// One of a thread.
    Thread { order: u64 },
    /// One of a conversation that was downgraded.
    Conversation(MessageKey),
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct PlainOutboxRecord {
    to: [u8; 16],
    /// Zeros where it is a message of a thread.
    conversation: [u8; 16],
    order: u64,
    message: [u8; 16],
    mode: u8,
    carrier_id: TlsByteVecU8,
    is_handed_over: u8,
    attempts: u32,
    due_at_ms: u64,
    queued_at_ms: u64,
    words: TlsByteVecU32,
}

impl Record for PlainOutboxRecord {
    const VERSION: u8 = 1;
}

impl PlainOutboxRecord {
    fn to(&self) -> Result<NumberKey, StoreError> {
        NumberKey::from_bytes(self.to).ok_or_else(|| BadRow::error(Table::PlainOutbox))
    }

    fn origin(&self) -> PlainOrigin {
        origin_of(self.conversation, self.order)
    }

    fn subject(&self) -> Result<Subject, StoreError> {
        Ok(match self.origin() {
            PlainOrigin::Thread { .. } => Subject::Number(self.to()?),
            PlainOrigin::Conversation(message) => Subject::Conversation(message.conversation),
        })
    }
}

pub(super) fn origin_of(conversation: [u8; 16], order: u64) -> PlainOrigin {
    if conversation == [0; 16] {
        PlainOrigin::Thread { order }
    } else {
        PlainOrigin::Conversation(MessageKey { conversation: ConversationId::from_bytes(conversation), order })
    }
}

/// Where a message stands that a carrier knows by this id: in the index, under its number, so that nobody else's receipt finds it.
pub(super) fn index_key(number: NumberKey, is_outgoing: bool, id: &CarrierMessageId) -> Vec<u8> {
    key(&[number.as_bytes(), &[u8::from(is_outgoing)], &sha256(&[id.as_str().as_bytes()])])
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
pub(super) struct PlainIndexRecord {
    pub(super) conversation: [u8; 16],
    pub(super) order: u64,
}

impl Record for PlainIndexRecord {
    const VERSION: u8 = 1;
}

impl PlainIndexRecord {
    pub(super) const fn of(origin: PlainOrigin) -> Self {
        match origin {
            PlainOrigin::Thread { order } => Self { conversation: [0; 16], order },
            PlainOrigin::Conversation(message) => {
                Self { conversation: *message.conversation.as_bytes(), order: message.order }
            }
        }
    }

    pub(super) fn origin(&self) -> PlainOrigin {
        origin_of(self.conversation, self.order)
    }
}

impl Engine<'_> {
    /// Queues words that a decision allows to go in a readable mode.
    pub(crate) fn queue_plain(
        &mut self,
        to: NumberKey,
        origin: PlainOrigin,
        message: MessageId,
        mode: DeliveryMode,
        words: &str,
    ) -> Result<(), StoreError> {
        let mut random = [0; 16];
        self.rng.fill_bytes(&mut random);
        let id = CarrierMessageId::from_random(random);
        let index = PlainIndexRecord::of(origin);
        self.tx.put(Table::PlainIndex, &index_key(to, true, &id), &index.to_row())?;
        if mode == DeliveryMode::Sms {
            self.expect_report(&id, to, origin)?;
        }
        let record = PlainOutboxRecord {
            to: *to.as_bytes(),
            conversation: index.conversation,
            order: index.order,
            message: *message.as_bytes(),
            mode: mode.code(),
            carrier_id: id.as_str().as_bytes().into(),
            is_handed_over: 0,
            attempts: 0,
            due_at_ms: self.now.0,
            queued_at_ms: self.now.0,
            words: words.as_bytes().into(),
        };
        let number = self.next(Sequence::PlainOutbox)?;
        self.tx.put(Table::PlainOutbox, &number.to_be_bytes(), &record.to_row())
    }

    /// Up to `limit` messages that are to be handed to a carrier in plain words now. Each comes once: the shell answers with
    /// [`Engine::handle_plain_outcome`], and one that it does not answer for is given up as unconfirmed. Whether it may go is decided again
    /// here.
    ///
    /// # Errors
    /// Those of the store.
    pub fn poll_plain_outbox(&mut self, limit: usize) -> Result<Vec<PlainOutgoing>, AccountError> {
        let Some(setup) = self.carrier_setup()? else { return Ok(Vec::new()) };
        let asks = setup.profile.has_receipts;
        let mut due = Vec::new();
        for leaving in self.poll_words(DeliveryMode::CarrierReadable, limit)? {
            let Leaving { number, to, message, recipient, permit, carrier_id, words } = leaving;
            let words = CarrierMessage {
                to: to.clone(),
                id: carrier_id,
                receipts: ReceiptRequest { delivered: asks, failed: asks, displayed: asks },
                carriage: Carriage::Verbatim { headers: Vec::new(), content_type: TEXT_PLAIN.to_owned(), body: words },
            };
            let permitted = Permitted::new(permit, Plaintext::new(message, recipient, words));
            due.extend(permitted.ok().map(|words| PlainOutgoing { number, to, words }));
        }
        Ok(due)
    }

    /// Words of one mode that leave now. They are noted as handed over, and come once.
    pub(super) fn poll_words(&mut self, mode: DeliveryMode, limit: usize) -> Result<Vec<Leaving>, AccountError> {
        let (mut due, mut pages) = (Vec::new(), Pages::new(Table::PlainOutbox, &[], PAGE));
        while due.len() < limit
            && let Some(rows) = pages.next(self.tx)?
        {
            for (row_key, row) in rows {
                let record = PlainOutboxRecord::from_row(Table::PlainOutbox, &row)?;
                if due.len() < limit && record.mode == mode.code() && record.due_at_ms <= self.now.0 {
                    due.extend(self.leaving(trailing_u64(Table::PlainOutbox, &row_key)?, record)?);
                }
            }
        }
        Ok(due)
    }

    fn leaving(&mut self, number: u64, mut record: PlainOutboxRecord) -> Result<Option<Leaving>, AccountError> {
        if record.is_handed_over == 1 {
            self.plain_leaves(number, &record, PlainState::Unconfirmed)?;
            return Ok(None);
        }
        if self.now.since(UnixMillis(record.queued_at_ms)) > QUEUED_MS_MAX {
            self.plain_leaves(number, &record, PlainState::Failed)?;
            return Ok(None);
        }
        let bad = || BadRow::error(Table::PlainOutbox);
        let (key, subject, message) = (record.to()?, record.subject()?, MessageId::from_bytes(record.message));
        let to = key.number().ok_or_else(bad)?;
        let carrier_id = std::str::from_utf8(record.carrier_id.as_slice()).ok().and_then(CarrierMessageId::parse);
        let carrier_id = carrier_id.ok_or_else(bad)?;
        let Some((permit, recipient)) = self.clear_words(&record, subject, message, &to)? else {
            self.words_stay(number, &record, subject, message)?;
            return Ok(None);
        };
        record.is_handed_over = 1;
        record.due_at_ms = self.now.plus(ANSWER_MS).0;
        self.tx.put(Table::PlainOutbox, &number.to_be_bytes(), &record.to_row())?;
        let words = record.words.as_slice().to_vec();
        Ok(Some(Leaving { number, to, message, recipient, permit, carrier_id, words }))
    }

    /// Whether words that were polled may still leave. The shell asks right before it hands them over: they may have waited behind others,
    /// and the user may have taken back meanwhile what lets them go. Where they may not, they are answered for, and stay.
    ///
    /// # Errors
    /// Those of the store.
    pub fn may_words_leave(&mut self, number: u64) -> Result<bool, AccountError> {
        let Some(row) = self.tx.get(Table::PlainOutbox, &number.to_be_bytes())? else { return Ok(false) };
        let record = PlainOutboxRecord::from_row(Table::PlainOutbox, &row)?;
        // Without a hand-over, or so late that they are about to be given up as unconfirmed.
        if record.is_handed_over != 1 || record.due_at_ms <= self.now.0 {
            return Ok(false);
        }
        let (subject, id) = (record.subject()?, MessageId::from_bytes(record.message));
        let to = record.to()?.number().ok_or_else(|| BadRow::error(Table::PlainOutbox))?;
        if self.clear_words(&record, subject, id, &to)?.is_some() {
            return Ok(true);
        }
        self.words_stay(number, &record, subject, id)?;
        Ok(false)
    }

    /// What let words go has ended before they left.
    fn words_stay(
        &mut self,
        number: u64,
        record: &PlainOutboxRecord,
        subject: Subject,
        id: MessageId,
    ) -> Result<(), StoreError> {
        self.append_to_journal(&Entry {
            kind: EntryKind::Refusal,
            subject,
            message: Some(id),
            wanted: DeliveryMode::from_code(record.mode).ok_or_else(|| BadRow::error(Table::PlainOutbox))?,
            taken: None,
            reason: Reason::NoLongerAllowed,
            consent: None,
            decision: 0,
        })?;
        self.plain_leaves(number, record, PlainState::NotAllowed)
    }

    /// The permit of the decision that words were queued under, and to whom; `None` where that decision would not be made again now.
    fn clear_words(
        &self,
        record: &PlainOutboxRecord,
        subject: Subject,
        id: MessageId,
        to: &PhoneNumber,
    ) -> Result<Option<(Permit<Readable>, Recipient)>, AccountError> {
        let now = match self.decide_about(subject, ContentKind::Words, Some(id)) {
            Ok(now) => now,
            Err(PolicyError::Store(error)) => return Err(error.into()),
            Err(PolicyError::Account(error)) => return Err(error),
            Err(_) => return Ok(None),
        };
        // The number may have been taken from the contact, or another given: the consent was for the one before.
        let is_same = now.decision.mode().map(DeliveryMode::code) == Some(record.mode)
            && now.recipient.number == Some(NumberKey::of(to));
        if !is_same {
            return Ok(None);
        }
        Ok(self.permit::<Readable>(id, now.recipient)?.map(|permit| (permit, now.recipient)))
    }

    /// When words for a carrier are due next; `None` when there are none.
    ///
    /// # Errors
    /// Those of the store.
    pub fn poll_plain_outbox_timeout(&self) -> Result<Option<UnixMillis>, StoreError> {
        self.words_due_next(DeliveryMode::CarrierReadable)
    }

    /// When words are due next that go in one mode; `None` when there are none.
    pub(super) fn words_due_next(&self, mode: DeliveryMode) -> Result<Option<UnixMillis>, StoreError> {
        let (mut next, mut pages) = (None::<UnixMillis>, Pages::new(Table::PlainOutbox, &[], PAGE));
        while let Some(rows) = pages.next(self.tx)? {
            for (_, row) in &rows {
                let record = PlainOutboxRecord::from_row(Table::PlainOutbox, row)?;
                if record.mode == mode.code() {
                    let due = UnixMillis(record.due_at_ms);
                    next = Some(next.map_or(due, |next| next.min(due)));
                }
            }
        }
        Ok(next)
    }

    /// What a carrier answered to a hand-over of readable words. Where it was not taken for now it is due again, unless it is an SMS; where
    /// nobody answered it may have arrived, and is not.
    ///
    /// # Errors
    /// Those of the store.
    pub fn handle_plain_outcome(
        &mut self,
        number: u64,
        outcome: &Result<Taken, SendFailure>,
    ) -> Result<(), StoreError> {
        let Some(row) = self.tx.get(Table::PlainOutbox, &number.to_be_bytes())? else { return Ok(()) };
        let mut record = PlainOutboxRecord::from_row(Table::PlainOutbox, &row)?;
        let state = match outcome {
            Ok(Taken::Answered) => PlainState::Sent,
            Ok(Taken::Stored) => PlainState::Stored,
            Err(SendFailure::NoAnswer) => PlainState::Unconfirmed,
            Err(
                SendFailure::UnsupportedMedia
                | SendFailure::NotFound
                | SendFailure::TooLarge
                | SendFailure::Refused { .. }
                | SendFailure::Unfit,
            ) => PlainState::Failed,
            // What an SMS costs, and how often it comes, is the user's to decide: what was not taken is not tried again by itself.
            Err(SendFailure::Busy { .. } | SendFailure::Unauthorized | SendFailure::Unreachable)
                if record.mode == DeliveryMode::Sms.code() =>
            {
                PlainState::Failed
            }
            Err(SendFailure::Busy { .. } | SendFailure::Unauthorized | SendFailure::Unreachable) => {
                record.is_handed_over = 0;
                record.attempts = record.attempts.saturating_add(1);
                let due = self.retry_at(record.attempts);
                record.due_at_ms = match outcome {
                    Err(SendFailure::Busy { retry_after: Some(seconds) }) => {
                        due.0.max(self.now.plus(u64::from(*seconds).saturating_mul(1000)).0)
                    }
                    _ => due.0,
                };
                return self.tx.put(Table::PlainOutbox, &number.to_be_bytes(), &record.to_row());
            }
        };
        self.plain_leaves(number, &record, state)
    }

    fn plain_leaves(&mut self, number: u64, record: &PlainOutboxRecord, state: PlainState) -> Result<(), StoreError> {
        self.tx.delete(Table::PlainOutbox, &number.to_be_bytes())?;
        self.move_plain(record.to()?, record.origin(), state)
    }

    /// Moves a readable message on, wherever it is shown.
    pub(super) fn move_plain(
        &mut self,
        number: NumberKey,
        origin: PlainOrigin,
        state: PlainState,
    ) -> Result<(), StoreError> {
        let message_key = match origin {
            PlainOrigin::Thread { order } => return self.set_plain_state(number, order, state),
            PlainOrigin::Conversation(message_key) => message_key,
        };
        let Some(mut message) = self.message(message_key)? else { return Ok(()) };
        let rank = |state: MessageState| match state {
            MessageState::Queued => 0,
            MessageState::Stored => 1,
            MessageState::Failed { .. } => 2,
            MessageState::Delivered => 3,
            _ => 4,
        };
        let next = match state {
            PlainState::Queued | PlainState::Received => return Ok(()),
            // A state of its own would promise that something goes on: nothing does, and the user decides.
            PlainState::Unconfirmed => MessageState::Failed { reason: FailureReason::Unconfirmed },
            PlainState::Stored | PlainState::Sent => MessageState::Stored,
            PlainState::Delivered => MessageState::Delivered,
            PlainState::Displayed => MessageState::Read,
            PlainState::Failed => MessageState::Failed { reason: FailureReason::Refused },
            PlainState::NotAllowed => MessageState::Failed { reason: FailureReason::NotAllowed },
        };
        // A message that came to be end to end is no business of a carrier's receipt.
        if message.encryption.is_end_to_end() || rank(next) <= rank(message.state) {
            return Ok(());
        }
        message.state = next;
        self.put_message(&message)?;
        self.emit(Event::MessageChanged {
            conversation: message_key.conversation,
            sender: message.sender.account,
            message: message.id,
        })
    }

    /// A thread is deleted: what waits to be sent in it is not sent.
    pub(super) fn drop_plain_outgoing(&mut self, to: NumberKey) -> Result<(), StoreError> {
        let mut pages = Pages::new(Table::PlainOutbox, &[], PAGE);
        while let Some(rows) = pages.next(self.tx)? {
            for (row_key, row) in &rows {
                let record = PlainOutboxRecord::from_row(Table::PlainOutbox, row)?;
                if record.to()? == to && matches!(record.origin(), PlainOrigin::Thread { .. }) {
                    self.tx.delete(Table::PlainOutbox, row_key)?;
                }
            }
        }
        Ok(())
    }
}
