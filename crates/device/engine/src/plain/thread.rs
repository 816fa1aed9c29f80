//! Threads, and writing into them.

use rcseal_rcs::number::PhoneNumber;
use rcseal_wire::content::{NAME_LEN_MAX, TEXT_LEN_MAX};
use rcseal_wire::id::MessageId;
use tls_codec::{TlsByteVecU16, TlsDeserializeBytes, TlsSerialize, TlsSize};

use super::message::{PlainMessage, PlainSender, PlainState};
use super::outbox::PlainOrigin;
use super::sms::{SMS_LEN_MAX, sms_len};
use crate::account::AccountError;
use crate::capability::NumberKey;
use crate::context::{Engine, Sequence, Tally, UnixMillis};
use crate::policy::{ContentKind, DeliveryMode, PolicyError, StoredDecision, Subject};
use crate::record::{Record, text};
use crate::store::{BadRow, Order, StoreError, Table, prefix_end};

/// Threads in one answer.
const LIST_MAX: usize = 10_000;

/// Why something about a thread was not done.
#[derive(Debug, thiserror::Error)]
pub enum PlainError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// This device's account is not ready.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// There is no thread with this number.
    #[error("there is no thread with this number")]
    UnknownThread,
    /// There is no such message of this account's.
    #[error("there is no such message")]
    UnknownMessage,
    /// The name is over its limit.
    #[error("the name is too long")]
    NameTooLong,
    /// There are no words.
    #[error("there is nothing to send")]
    Empty,
    /// The words are more than the carrier takes.
    #[error("the message is too long: {len}")]
    TooLong {
        /// Their length: in bytes, of an SMS in the units of its longest alphabet.
        len: usize,
    },
    /// It was decided not to send it. Hand the decision to [`Engine::note_refusal`], so that it is stored and journalled.
    #[error("not sent: {}", .0.decision.reason.code())]
    Refused(Box<StoredDecision>),
}

impl PlainError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Account(error) => error.code(),
            Self::UnknownThread => "thread_unknown",
            Self::UnknownMessage => "message_unknown",
            Self::NameTooLong => "name_too_long",
            Self::Empty => "message_empty",
            Self::TooLong { .. } => "message_too_long",
            Self::Refused(refused) => refused.decision.reason.code(),
        }
    }
}

impl From<PolicyError> for PlainError {
    fn from(error: PolicyError) -> Self {
        match error {
            PolicyError::Store(error) => Self::Store(error),
            PolicyError::Account(error) => Self::Account(error),
            _ => Self::UnknownThread,
        }
    }
}

/// A thread, as apps see it. It says nothing of contacts: a number is no proof of who writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreadView {
    /// The number.
    pub number: PhoneNumber,
    /// What the user calls it; may be empty.
    pub name: String,
    /// Whether the user began it or wrote into it. Otherwise a stranger did.
    pub is_opened: bool,
    /// Messages from the number that the user has not seen.
    pub unread: u32,
    /// When something was last written.
    pub changed_at: UnixMillis,
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
pub(super) struct ThreadRecord {
    pub(super) name: TlsByteVecU16,
    pub(super) is_opened: u8,
    pub(super) unread: u32,
    /// Messages from the number that are here.
    pub(super) received: u32,
    pub(super) changed_at_ms: u64,
}

impl Record for ThreadRecord {
    const VERSION: u8 = 1;
}

impl Engine<'_> {
    pub(super) fn thread(&self, number: NumberKey) -> Result<Option<ThreadRecord>, StoreError> {
        let row = self.tx.get(Table::PlainThread, number.as_bytes())?;
        row.map(|row| ThreadRecord::from_row(Table::PlainThread, &row)).transpose()
    }

    pub(super) fn put_thread(&mut self, number: NumberKey, thread: &ThreadRecord) -> Result<(), StoreError> {
        self.tx.put(Table::PlainThread, number.as_bytes(), &thread.to_row())
    }

    /// Takes a row of a backup in.
    pub(crate) fn restore_thread(&mut self, number: NumberKey, row: &[u8]) -> Result<(), StoreError> {
        let thread = ThreadRecord::from_row(Table::PlainThread, row)?;
        text(Table::PlainThread, thread.name.as_slice())?;
        if thread.is_opened == 0 {
            self.count_up(Tally::StrangerThreads)?;
        }
        self.put_thread(number, &thread)
    }

    /// Opens a thread with a number; an empty name leaves what it has.
    ///
    /// # Errors
    /// [`PlainError::NameTooLong`].
    pub fn open_thread(&mut self, number: &PhoneNumber, name: &str) -> Result<(), PlainError> {
        self.account()?;
        if name.len() > NAME_LEN_MAX {
            return Err(PlainError::NameTooLong);
        }
        let key = NumberKey::of(number);
        let mut thread = match self.thread(key)? {
            Some(thread) => self.opened(thread)?,
            None => ThreadRecord {
                name: Vec::new().into(),
                is_opened: 1,
                unread: 0,
                received: 0,
                changed_at_ms: self.now.0,
            },
        };
        if !name.is_empty() {
            thread.name = name.as_bytes().into();
        }
        Ok(self.put_thread(key, &thread)?)
    }

    /// It is the user's thread from now on, whoever began it.
    fn opened(&mut self, mut thread: ThreadRecord) -> Result<ThreadRecord, StoreError> {
        if thread.is_opened == 0 {
            thread.is_opened = 1;
            self.count_down(Tally::StrangerThreads)?;
        }
        Ok(thread)
    }

    /// Every thread.
    ///
    /// # Errors
    /// Those of the store.
    pub fn threads(&self) -> Result<Vec<ThreadView>, StoreError> {
        let rows = self.tx.scan(Table::PlainThread, &[], &prefix_end(&[]), LIST_MAX, Order::Ascending)?;
        rows.into_iter()
            .map(|(row_key, row)| {
                let bad = || BadRow::error(Table::PlainThread);
                let key = row_key.try_into().ok().and_then(NumberKey::from_bytes).ok_or_else(bad)?;
                let record = ThreadRecord::from_row(Table::PlainThread, &row)?;
                Ok(ThreadView {
                    number: key.number().ok_or_else(bad)?,
                    name: text(Table::PlainThread, record.name.as_slice())?,
                    is_opened: record.is_opened == 1,
                    unread: record.unread,
                    changed_at: UnixMillis(record.changed_at_ms),
                })
            })
            .collect()
    }

    /// The user has seen what is in a thread.
    ///
    /// # Errors
    /// [`PlainError::UnknownThread`].
    pub fn mark_thread_read(&mut self, number: &PhoneNumber) -> Result<(), PlainError> {
        let key = NumberKey::of(number);
        let mut thread = self.thread(key)?.ok_or(PlainError::UnknownThread)?;
        thread.unread = 0;
        Ok(self.put_thread(key, &thread)?)
    }

    /// Deletes a thread and what is in it. What waits to be sent is not sent. Policies and consents for the number stay.
    ///
    /// # Errors
    /// [`PlainError::UnknownThread`].
    pub fn delete_thread(&mut self, number: &PhoneNumber) -> Result<(), PlainError> {
        let key = NumberKey::of(number);
        let thread = self.thread(key)?.ok_or(PlainError::UnknownThread)?;
        if thread.is_opened == 0 {
            self.count_down(Tally::StrangerThreads)?;
        }
        self.drop_plain_outgoing(key)?;
        let end = prefix_end(key.as_bytes());
        self.tx.delete_range(Table::PlainMessage, key.as_bytes(), &end)?;
        self.tx.delete_range(Table::PlainIndex, key.as_bytes(), &end)?;
        Ok(self.tx.delete(Table::PlainThread, key.as_bytes())?)
    }

    /// Writes words into a thread, if the decision allows a mode that carries them. Answers the message's place.
    ///
    /// # Errors
    /// [`PlainError::Refused`] with the decision; [`PlainError::UnknownThread`], [`PlainError::TooLong`], [`PlainError::Empty`].
    pub fn send_plain(&mut self, number: &PhoneNumber, words: &str) -> Result<u64, PlainError> {
        let key = NumberKey::of(number);
        let thread = self.thread(key)?.ok_or(PlainError::UnknownThread)?;
        if words.is_empty() {
            return Err(PlainError::Empty);
        }
        let id = MessageId::generate(self.rng);
        let decided = self.decide_about(Subject::Number(key), ContentKind::Words, Some(id))?;
        let Some(mode) = decided.decision.mode().filter(|mode| !mode.is_end_to_end()) else {
            return Err(PlainError::Refused(Box::new(StoredDecision { message: None, ..decided })));
        };
        let (len, limit) = match mode {
            DeliveryMode::Sms => (sms_len(words), SMS_LEN_MAX),
            _ => {
                let setup = self.carrier_setup()?;
                (words.len(), setup.map_or(TEXT_LEN_MAX, |setup| setup.profile.body_len_max.min(TEXT_LEN_MAX)))
            }
        };
        if len > limit {
            return Err(PlainError::TooLong { len });
        }
        self.record_decision(decided)?;
        let mut thread = self.opened(thread)?;
        thread.changed_at_ms = self.now.0;
        self.put_thread(key, &thread)?;
        let order = self.next(Sequence::Plain)?;
        let message = PlainMessage {
            id,
            sender: PlainSender::Own,
            mode,
            at: self.now,
            state: PlainState::Queued,
            words: words.to_owned(),
        };
        self.put_plain_message(key, order, &message)?;
        self.queue_plain(key, PlainOrigin::Thread { order }, id, mode, words)?;
        Ok(order)
    }
}
