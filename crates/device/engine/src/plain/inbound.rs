//! Readable words that a carrier delivers, and its receipts for ours.
//!
//! Everything lands in the thread of the number it is said to come from. Nothing else is touched: no contact, no conversation, no latch,
//! no decision. Whoever can write a number into a message can fill what strangers may fill, and that is bounded.

use rcseal_rcs::imdn::{Kind, Notification};
use rcseal_rcs::transport::{CarrierMessageId, Sender};
use rcseal_wire::content::TEXT_LEN_MAX;
use rcseal_wire::id::MessageId;
use rcseal_wire::message_link::MessageLink;

use super::message::{PlainMessage, PlainSender, PlainState};
use super::outbox::{PlainIndexRecord, PlainOrigin, index_key};
use super::thread::ThreadRecord;
use crate::capability::NumberKey;
use crate::carrier::CarrierDisposition;
use crate::context::{Engine, Sequence, Tally};
use crate::event::Event;
use crate::policy::DeliveryMode;
use crate::record::Record as _;
use crate::store::{StoreError, Table};

/// Threads that strangers may begin: more people than write to anybody out of the blue, and some megabytes at most with what may be in them.
pub const STRANGER_THREADS_MAX: u64 = 200;
/// Messages in a thread that the user has not opened.
pub const STRANGER_MESSAGES_MAX: u32 = 50;
/// Messages of the other side in a thread of the user's.
pub const THREAD_MESSAGES_MAX: u32 = 50_000;

impl Engine<'_> {
    /// Takes in readable words that a carrier delivered.
    pub(crate) fn receive_plain(
        &mut self,
        from: &Sender,
        id: Option<&CarrierMessageId>,
        content_type: &str,
        body: &[u8],
    ) -> Result<CarrierDisposition, StoreError> {
        self.receive_words(from, id, content_type, body, DeliveryMode::CarrierReadable)
    }

    /// The same of whichever network. An SMS that says which message it is, and that is here already, is not shown again.
    pub(super) fn receive_words(
        &mut self,
        from: &Sender,
        id: Option<&CarrierMessageId>,
        content_type: &str,
        body: &[u8],
        mode: DeliveryMode,
    ) -> Result<CarrierDisposition, StoreError> {
        let (number, sender) = match from {
            Sender::Asserted(number) => (NumberKey::of(number), PlainSender::Asserted),
            Sender::Claimed(number) => (NumberKey::of(number), PlainSender::Claimed),
            Sender::Anonymous => return Ok(CarrierDisposition::ReadableRefused),
        };
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        let Some(words) = std::str::from_utf8(body).ok().filter(|_| media_type.eq_ignore_ascii_case("text/plain"))
        else {
            return Ok(CarrierDisposition::Unsupported);
        };
        if words.len() > TEXT_LEN_MAX {
            return Ok(CarrierDisposition::ReadableTooLong);
        }
        if words.is_empty() {
            return Ok(CarrierDisposition::Ignored);
        }
        if let Some(id) = id
            && self.tx.get(Table::PlainIndex, &index_key(number, false, id))?.is_some()
        {
            return Ok(CarrierDisposition::Repeated);
        }
        let link = (mode == DeliveryMode::Sms).then(|| MessageLink::find_in(words)).flatten();
        if let Some(link) = link
            && self.is_here(link.message, number)?
        {
            return Ok(CarrierDisposition::Repeated);
        }
        // Whoever is told that words are here does not send them again.
        let Some(mut thread) = self.thread_for(number)? else { return Ok(CarrierDisposition::Full) };
        thread.received += 1;
        thread.unread = thread.unread.saturating_add(1);
        thread.changed_at_ms = self.now.0;
        self.put_thread(number, &thread)?;
        let order = self.next(Sequence::Plain)?;
        if let Some(id) = id {
            let index = PlainIndexRecord::of(PlainOrigin::Thread { order });
            self.tx.put(Table::PlainIndex, &index_key(number, false, id), &index.to_row())?;
        }
        let message = PlainMessage {
            id: MessageId::generate(self.rng),
            sender,
            mode,
            at: self.now,
            state: PlainState::Received,
            words: words.to_owned(),
        };
        self.put_plain_message(number, order, &message)?;
        if let Some(link) = link {
            self.expect_message(link.message, number, order, link.is_alone_in(words))?;
        }
        self.emit(Event::PlainReceived { number, order })?;
        Ok(CarrierDisposition::Readable)
    }

    /// The thread of a number, with room for one more message; `None` where there is none.
    fn thread_for(&mut self, number: NumberKey) -> Result<Option<ThreadRecord>, StoreError> {
        if let Some(thread) = self.thread(number)? {
            let limit = if thread.is_opened == 1 { THREAD_MESSAGES_MAX } else { STRANGER_MESSAGES_MAX };
            return Ok((thread.received < limit).then_some(thread));
        }
        if self.tally(Tally::StrangerThreads)? >= STRANGER_THREADS_MAX {
            return Ok(None);
        }
        self.count_up(Tally::StrangerThreads)?;
        let name = Vec::new().into();
        Ok(Some(ThreadRecord { name, is_opened: 0, unread: 0, received: 0, changed_at_ms: self.now.0 }))
    }

    /// Takes in a carrier's receipt for readable words. It moves the one message that it names, if that was sent to the number the receipt
    /// comes from. Answers whether there was one.
    pub(crate) fn receive_plain_receipt(
        &mut self,
        from: &Sender,
        notification: &Notification,
    ) -> Result<bool, StoreError> {
        let number = match from {
            Sender::Asserted(number) | Sender::Claimed(number) => NumberKey::of(number),
            Sender::Anonymous => return Ok(false),
        };
        let key = index_key(number, true, &notification.message_id);
        let Some(row) = self.tx.get(Table::PlainIndex, &key)? else { return Ok(false) };
        let origin = PlainIndexRecord::from_row(Table::PlainIndex, &row)?.origin();
        let state = match notification.kind {
            Kind::Delivered => PlainState::Delivered,
            Kind::Displayed => PlainState::Displayed,
            Kind::DeliveryFailed { .. } | Kind::DeliveryError => PlainState::Failed,
            Kind::Stored => PlainState::Stored,
            Kind::DeliveryForbidden
            | Kind::DisplayForbidden
            | Kind::DisplayError
            | Kind::Processed
            | Kind::ProcessingForbidden
            | Kind::ProcessingError => return Ok(true),
        };
        self.move_plain(number, origin, state)?;
        Ok(true)
    }
}
