//! The short message service: words that the user agreed to send so, links that say nothing, and what comes in.
//!
//! A shell that has a way to send an SMS says so ([`Engine::set_sms_way`]). Words leave under a permit for that mode and no other
//! ([`Engine::poll_sms_outbox`]); what was not taken, or not answered for, is not tried again by itself. A report moves the message that its id
//! names, which is this device's own number for it.
//!
//! **Once.** An SMS may say which message it is ([`MessageLink`]), because it was sent when nothing else got through. Whichever of the two
//! comes second is not shown again: the SMS is passed over where the message is here, and taken out of its thread when the message
//! comes in a session. Whoever writes such a link can hide nothing but the SMS it stands in.
//!
//! **By default** nothing goes by SMS but a link without content: an invitation, or that a message waits.

use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::{CarrierMessageId, Sender};
use rcseal_wire::id::{ConversationId, MessageId};
use rcseal_wire::message_link::MessageLink;
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

use super::message::PlainState;
use super::outbox::{Leaving, PlainIndexRecord, PlainOrigin};
use super::thread::PlainError;
use crate::account::AccountError;
use crate::capability::NumberKey;
use crate::carrier::CarrierDisposition;
use crate::context::{Engine, UnixMillis};
use crate::event::Event;
use crate::pages::Pages;
use crate::policy::{DeliveryMode, Permitted, ShortMessage, SmsWords};
use crate::record::{Record, key};
use crate::store::{BadRow, StoreError, Table};

/// Characters of an SMS, as UTF-16 counts them: ten parts of the densest alphabet. Of others fewer fit, and the way says so.
pub const SMS_LEN_MAX: usize = 1530;
/// The media type of an SMS.
const TEXT_PLAIN: &str = "text/plain";
/// How long a report, or the message itself, may come later than the SMS: as long as a relay keeps envelopes.
const KEPT_MS: u64 = 30 * 24 * 3600 * 1000;
/// Rows read at once.
const PAGE: usize = 256;

/// First byte of the key of an SMS of ours, by its id.
const SENT: u8 = 1;
/// First byte of the key of an SMS that came in and says which message it is.
const LINKED: u8 = 2;
/// The key of the row that says that there is a way.
const WAY: [u8; 1] = [3];
/// First byte of the key of an SMS that came in and is nothing but the link of a message that waits.
const ANNOUNCED: u8 = 4;

/// Words to send as an SMS.
#[derive(Debug)]
pub struct SmsOutgoing {
    /// Its place in the outbox; what [`Engine::may_words_leave`] and [`Engine::handle_plain_outcome`] take.
    pub number: u64,
    /// To whom.
    pub to: PhoneNumber,
    /// The words, with the permit that lets them go.
    pub words: Permitted<ShortMessage>,
}

/// What became of an SMS that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmsReport {
    /// It reached the phone, as the network says.
    Delivered,
    /// It did not, and will not.
    Failed,
}

/// A link to send as an SMS. It holds no words of anybody's. It is the user's to send, and nothing repeats it.
#[must_use = "a link that is not sent invites nobody"]
#[derive(Clone, PartialEq, Eq)]
pub struct SmsNotice {
    to: PhoneNumber,
    id: [u8; 16],
    text: String,
}

impl SmsNotice {
    /// To whom.
    #[must_use]
    pub const fn to(&self) -> &PhoneNumber {
        &self.to
    }

    /// What the recipient reads: a link, and nothing else.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What to hand over.
    #[must_use]
    pub fn release(self) -> SmsWords {
        SmsWords { to: self.to, id: self.id, text: self.text }
    }
}

/// An invitation holds a delivery token.
impl std::fmt::Debug for SmsNotice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SmsNotice").field("to", &self.to).field("len", &self.text.len()).finish_non_exhaustive()
    }
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct SentRecord {
    to: [u8; 16],
    conversation: [u8; 16],
    order: u64,
    at_ms: u64,
}

impl Record for SentRecord {
    const VERSION: u8 = 1;
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct LinkedRecord {
    number: [u8; 16],
    order: u64,
    at_ms: u64,
}

impl Record for LinkedRecord {
    const VERSION: u8 = 1;
}

fn bad() -> StoreError {
    BadRow::error(Table::Sms)
}

fn sent_key(id: &[u8; 16]) -> Vec<u8> {
    key(&[&[SENT], id])
}

fn linked_key(message: MessageId) -> Vec<u8> {
    key(&[&[LINKED], message.as_bytes()])
}

fn announced_key(message: MessageId) -> Vec<u8> {
    key(&[&[ANNOUNCED], message.as_bytes()])
}

/// How long words are, as an SMS counts them where it counts most.
pub(crate) fn sms_len(words: &str) -> usize {
    words.encode_utf16().count()
}

impl Engine<'_> {
    /// This device has a way to send an SMS, or has none any more. It does no harm to say the same at every start.
    ///
    /// # Errors
    /// [`AccountError::NoAccount`], those of the store.
    pub fn set_sms_way(&mut self, is_there: bool) -> Result<(), AccountError> {
        self.account()?;
        let written = if is_there { self.tx.put(Table::Sms, &WAY, &[1]) } else { self.tx.delete(Table::Sms, &WAY) };
        Ok(written?)
    }

    /// Whether there is a way to send an SMS.
    ///
    /// # Errors
    /// Those of the store.
    pub fn has_sms_way(&self) -> Result<bool, StoreError> {
        Ok(self.tx.get(Table::Sms, &WAY)?.is_some())
    }

    /// Up to `limit` messages to send as an SMS now. Each comes once, as in [`Engine::poll_plain_outbox`]; the shell asks
    /// [`Engine::may_words_leave`] right before it hands one over, and answers with [`Engine::handle_plain_outcome`].
    ///
    /// # Errors
    /// Those of the store.
    pub fn poll_sms_outbox(&mut self, limit: usize) -> Result<Vec<SmsOutgoing>, AccountError> {
        if !self.has_sms_way()? {
            return Ok(Vec::new());
        }
        let mut due = Vec::new();
        for Leaving { number, to, message, recipient, permit, carrier_id, words } in
            self.poll_words(DeliveryMode::Sms, limit)?
        {
            let bad = || BadRow::error(Table::PlainOutbox);
            let words = SmsWords {
                to: to.clone(),
                id: carrier_id.uuid_bytes().ok_or_else(bad)?,
                text: String::from_utf8(words).map_err(|_| bad())?,
            };
            let permitted = Permitted::new(permit, ShortMessage::new(message, recipient, words));
            due.extend(permitted.ok().map(|words| SmsOutgoing { number, to, words }));
        }
        Ok(due)
    }

    /// When words for an SMS are due next; `None` when there are none.
    ///
    /// # Errors
    /// Those of the store.
    pub fn poll_sms_outbox_timeout(&self) -> Result<Option<UnixMillis>, StoreError> {
        self.words_due_next(DeliveryMode::Sms)
    }

    /// An SMS of ours gets an id, under which a report may come.
    pub(super) fn expect_report(
        &mut self,
        id: &CarrierMessageId,
        to: NumberKey,
        origin: PlainOrigin,
    ) -> Result<(), StoreError> {
        let Some(id) = id.uuid_bytes() else { return Ok(()) };
        let index = PlainIndexRecord::of(origin);
        let record =
            SentRecord { to: *to.as_bytes(), conversation: index.conversation, order: index.order, at_ms: self.now.0 };
        self.tx.put(Table::Sms, &sent_key(&id), &record.to_row())
    }

    /// The network says what became of an SMS. One that no SMS of ours has is of no effect. Answers whether there was one.
    ///
    /// # Errors
    /// Those of the store.
    pub fn handle_sms_report(&mut self, id: &[u8; 16], report: SmsReport) -> Result<bool, StoreError> {
        let Some(row) = self.tx.get(Table::Sms, &sent_key(id))? else { return Ok(false) };
        let record = SentRecord::from_row(Table::Sms, &row)?;
        let number = NumberKey::from_bytes(record.to).ok_or_else(bad)?;
        let state = match report {
            SmsReport::Delivered => PlainState::Delivered,
            SmsReport::Failed => PlainState::Failed,
        };
        let origin = super::outbox::origin_of(record.conversation, record.order);
        self.move_plain(number, origin, state)?;
        Ok(true)
    }

    /// An SMS came in. `id` is what tells a second copy, where the way has one. From a sender without a number it is not kept.
    ///
    /// # Errors
    /// Those of the store; then the way must be told to bring it again.
    pub fn handle_sms(
        &mut self,
        from: Option<&PhoneNumber>,
        id: Option<&str>,
        text: &str,
    ) -> Result<CarrierDisposition, AccountError> {
        self.account()?;
        // Nobody vouches for the number of an SMS.
        let from = from.cloned().map_or(Sender::Anonymous, Sender::Claimed);
        let id = id.and_then(CarrierMessageId::parse);
        Ok(self.receive_sms(&from, id.as_ref(), TEXT_PLAIN, text.as_bytes())?)
    }

    /// The same, of whichever way.
    pub(crate) fn receive_sms(
        &mut self,
        from: &Sender,
        id: Option<&CarrierMessageId>,
        content_type: &str,
        body: &[u8],
    ) -> Result<CarrierDisposition, StoreError> {
        self.receive_words(from, id, content_type, body, DeliveryMode::Sms)
    }

    /// A link that invites whoever has a number to write to this account. It holds the delivery token, and everybody who carries an SMS can
    /// read it: they could write here too, and can be shut out by renewing the token.
    ///
    /// # Errors
    /// [`PlainError::Account`].
    pub fn sms_invitation(&mut self, number: &PhoneNumber) -> Result<SmsNotice, PlainError> {
        let text = self.invitation()?.expose_text();
        Ok(self.sms_notice(number, text))
    }

    /// A link that says that a message waits, and not from whom or what.
    ///
    /// # Errors
    /// [`PlainError::UnknownMessage`] for a message that this account did not write.
    pub fn sms_wake_up(
        &mut self,
        number: &PhoneNumber,
        conversation: ConversationId,
        message: MessageId,
    ) -> Result<SmsNotice, PlainError> {
        let own = self.account()?.address.account;
        self.find_message(conversation, own, message)?.ok_or(PlainError::UnknownMessage)?;
        Ok(self.sms_notice(number, MessageLink { message }.to_string()))
    }

    fn sms_notice(&mut self, to: &PhoneNumber, text: String) -> SmsNotice {
        let mut id = [0; 16];
        self.rng.fill_bytes(&mut id);
        SmsNotice { to: to.clone(), id, text }
    }

    /// Whether a message of somebody else's is here, or an SMS from the same number that says to be it. One that only said that the message
    /// waits is not it, and what another number says hides nothing of this one's.
    pub(super) fn is_here(&self, message: MessageId, number: NumberKey) -> Result<bool, StoreError> {
        if let Some(row) = self.tx.get(Table::Sms, &linked_key(message))?
            && LinkedRecord::from_row(Table::Sms, &row)?.number == *number.as_bytes()
        {
            return Ok(true);
        }
        let mut pages = Pages::new(Table::Conversation, &[], PAGE);
        while let Some(rows) = pages.next(self.tx)? {
            for (row_key, _) in &rows {
                let conversation = ConversationId::parse(row_key).map_err(|_| BadRow::error(Table::Conversation))?;
                if self.find_any_message(conversation, message)?.is_some_and(|message| !message.is_outgoing) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// An SMS is in a thread that says which message it is, or only that the message waits.
    pub(super) fn expect_message(
        &mut self,
        message: MessageId,
        number: NumberKey,
        order: u64,
        is_announced: bool,
    ) -> Result<(), StoreError> {
        let record = LinkedRecord { number: *number.as_bytes(), order, at_ms: self.now.0 };
        let row_key = if is_announced { announced_key(message) } else { linked_key(message) };
        // The first one stays: whoever writes the same link later from another number has no part in it.
        match self.tx.get(Table::Sms, &row_key)? {
            Some(_) => Ok(()),
            None => self.tx.put(Table::Sms, &row_key, &record.to_row()),
        }
    }

    /// A message came in a session: the SMS that said to be it is not shown beside it.
    pub(crate) fn message_is_here(&mut self, message: MessageId) -> Result<(), StoreError> {
        for row_key in [linked_key(message), announced_key(message)] {
            self.give_way(&row_key)?;
        }
        Ok(())
    }

    fn give_way(&mut self, row_key: &[u8]) -> Result<(), StoreError> {
        let Some(row) = self.tx.get(Table::Sms, row_key)? else { return Ok(()) };
        self.tx.delete(Table::Sms, row_key)?;
        let record = LinkedRecord::from_row(Table::Sms, &row)?;
        let number = NumberKey::from_bytes(record.number).ok_or_else(bad)?;
        let Some(mut thread) = self.thread(number)? else { return Ok(()) };
        if self.take_plain_message_out(number, record.order)? {
            thread.received = thread.received.saturating_sub(1);
            thread.unread = thread.unread.saturating_sub(1);
            self.put_thread(number, &thread)?;
            self.emit(Event::PlainChanged { number, order: record.order })?;
        }
        Ok(())
    }

    /// Forgets what nothing will be said of any more.
    pub(crate) fn keep_sms(&mut self) -> Result<(), StoreError> {
        let oldest = self.now.0.saturating_sub(KEPT_MS);
        let mut pages = Pages::new(Table::Sms, &[], PAGE);
        while let Some(rows) = pages.next(self.tx)? {
            for (row_key, row) in &rows {
                let at_ms = match row_key.first() {
                    Some(&SENT) => SentRecord::from_row(Table::Sms, row)?.at_ms,
                    Some(&LINKED | &ANNOUNCED) => LinkedRecord::from_row(Table::Sms, row)?.at_ms,
                    _ => continue,
                };
                if at_ms < oldest {
                    self.tx.delete(Table::Sms, row_key)?;
                }
            }
        }
        Ok(())
    }
}
