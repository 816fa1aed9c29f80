//! The messages of a thread.

use rcseal_rcs::number::PhoneNumber;
use rcseal_wire::id::MessageId;
use tls_codec::{TlsByteVecU32, TlsDeserializeBytes, TlsSerialize, TlsSize};

use crate::capability::NumberKey;
use crate::context::{Engine, UnixMillis};
use crate::event::Event;
use crate::policy::DeliveryMode;
use crate::record::{Record, key, text, trailing_u64};
use crate::store::{BadRow, Order, StoreError, Table};

/// How far a readable message has come. What a carrier says is all there is: no device of the recipient's confirms anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PlainState {
    /// Written here, and not handed over yet.
    Queued,
    /// Handed over, and nobody answered: it may have arrived, so it is not sent again.
    Unconfirmed,
    /// Somebody on the way keeps it.
    Stored,
    /// The far end has answered.
    Sent,
    /// The carrier says that it was delivered.
    Delivered,
    /// The carrier says that it was shown.
    Displayed,
    /// The carrier did not take it, or says that it failed.
    Failed,
    /// What the user had agreed to ended before it could leave.
    NotAllowed,
    /// It came from the number.
    Received,
}

impl PlainState {
    const ALL: [Self; 9] = [
        Self::Queued,
        Self::Unconfirmed,
        Self::Stored,
        Self::Sent,
        Self::Delivered,
        Self::Displayed,
        Self::Failed,
        Self::NotAllowed,
        Self::Received,
    ];

    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Unconfirmed => "unconfirmed",
            Self::Stored => "stored",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Displayed => "displayed",
            Self::Failed => "failed",
            Self::NotAllowed => "not_allowed",
            Self::Received => "received",
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::Queued => 1,
            Self::Unconfirmed => 2,
            Self::Stored => 3,
            Self::Sent => 4,
            Self::Delivered => 5,
            Self::Displayed => 6,
            Self::Failed => 7,
            Self::NotAllowed => 8,
            Self::Received => 9,
        }
    }

    /// Whether a message may move on to `next`. What a receipt has said is not taken back by what comes late.
    pub(super) const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Queued => true,
            Self::Unconfirmed => !matches!(next, Self::Queued),
            Self::Stored => !matches!(next, Self::Queued | Self::Unconfirmed),
            Self::Sent => matches!(next, Self::Delivered | Self::Displayed | Self::Failed),
            Self::Delivered => matches!(next, Self::Displayed),
            Self::Displayed | Self::Failed | Self::NotAllowed | Self::Received => false,
        }
    }
}

/// Who wrote a message of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PlainSender {
    /// This account's user.
    Own,
    /// The number, as the carrier asserts.
    Asserted,
    /// The number, as the message says; nobody vouches for it.
    Claimed,
}

impl PlainSender {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Asserted => "asserted",
            Self::Claimed => "claimed",
        }
    }
}

/// A message of a thread, as apps see it.
#[derive(Clone, PartialEq, Eq)]
pub struct PlainMessageView {
    /// Its place, ascending.
    pub order: u64,
    /// Its id, under which its decision is stored.
    pub id: MessageId,
    /// Who wrote it.
    pub sender: PlainSender,
    /// The mode that it went or came in; its readers can read it.
    pub mode: DeliveryMode,
    /// When it was written here, or came.
    pub at: UnixMillis,
    /// How far it has come.
    pub state: PlainState,
    /// What it says.
    pub words: String,
}

/// Without what it says.
impl std::fmt::Debug for PlainMessageView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlainMessageView")
            .field("order", &self.order)
            .field("sender", &self.sender)
            .field("mode", &self.mode)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

pub(super) struct PlainMessage {
    pub(super) id: MessageId,
    pub(super) sender: PlainSender,
    pub(super) mode: DeliveryMode,
    pub(super) at: UnixMillis,
    pub(super) state: PlainState,
    pub(super) words: String,
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct PlainRecord {
    id: [u8; 16],
    /// 1 own, 2 asserted, 3 claimed.
    sender: u8,
    mode: u8,
    at_ms: u64,
    state: u8,
    words: TlsByteVecU32,
}

impl Record for PlainRecord {
    const VERSION: u8 = 1;
}

fn read(row: &[u8]) -> Result<PlainMessage, StoreError> {
    let bad = || BadRow::error(Table::PlainMessage);
    let record = PlainRecord::from_row(Table::PlainMessage, row)?;
    Ok(PlainMessage {
        id: MessageId::from_bytes(record.id),
        sender: match record.sender {
            1 => PlainSender::Own,
            2 => PlainSender::Asserted,
            3 => PlainSender::Claimed,
            _ => return Err(bad()),
        },
        mode: DeliveryMode::from_code(record.mode).ok_or_else(bad)?,
        at: UnixMillis(record.at_ms),
        state: PlainState::ALL.into_iter().find(|state| state.number() == record.state).ok_or_else(bad)?,
        words: text(Table::PlainMessage, record.words.as_slice())?,
    })
}

fn message_key(number: NumberKey, order: u64) -> Vec<u8> {
    key(&[number.as_bytes(), &order.to_be_bytes()])
}

impl Engine<'_> {
    pub(super) fn put_plain_message(
        &mut self,
        number: NumberKey,
        order: u64,
        message: &PlainMessage,
    ) -> Result<(), StoreError> {
        let record = PlainRecord {
            id: *message.id.as_bytes(),
            sender: match message.sender {
                PlainSender::Own => 1,
                PlainSender::Asserted => 2,
                PlainSender::Claimed => 3,
            },
            mode: message.mode.code(),
            at_ms: message.at.0,
            state: message.state.number(),
            words: message.words.as_bytes().into(),
        };
        self.tx.put(Table::PlainMessage, &message_key(number, order), &record.to_row())
    }

    /// Takes a row of a backup in. What had not been handed over is not handed over from here.
    pub(crate) fn restore_plain_message(
        &mut self,
        number: NumberKey,
        order: u64,
        row: &[u8],
    ) -> Result<(), StoreError> {
        let mut message = read(row)?;
        if message.state == PlainState::Queued {
            message.state = PlainState::Failed;
        }
        self.put_plain_message(number, order, &message)
    }

    /// Moves a message of a thread on.
    pub(super) fn set_plain_state(
        &mut self,
        number: NumberKey,
        order: u64,
        state: PlainState,
    ) -> Result<(), StoreError> {
        let Some(row) = self.tx.get(Table::PlainMessage, &message_key(number, order))? else { return Ok(()) };
        let mut message = read(&row)?;
        if message.sender != PlainSender::Own || message.state == state || !message.state.may_become(state) {
            return Ok(());
        }
        message.state = state;
        self.put_plain_message(number, order, &message)?;
        self.emit(Event::PlainChanged { number, order })
    }

    /// Takes a message of the other side out of its thread. Answers whether it was there.
    pub(super) fn take_plain_message_out(&mut self, number: NumberKey, order: u64) -> Result<bool, StoreError> {
        let row_key = message_key(number, order);
        let Some(row) = self.tx.get(Table::PlainMessage, &row_key)? else { return Ok(false) };
        if read(&row)?.sender == PlainSender::Own {
            return Ok(false);
        }
        self.tx.delete(Table::PlainMessage, &row_key)?;
        Ok(true)
    }

    /// Messages of a thread with a place below `before`, newest first: a page of at most `limit`.
    ///
    /// # Errors
    /// Those of the store.
    pub fn plain_messages(
        &self,
        number: &PhoneNumber,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<PlainMessageView>, StoreError> {
        let number = NumberKey::of(number);
        let (start, end) = (message_key(number, 0), message_key(number, before.unwrap_or(u64::MAX)));
        let rows = self.tx.scan(Table::PlainMessage, &start, &end, limit, Order::Descending)?;
        rows.iter()
            .map(|(row_key, row)| {
                let PlainMessage { id, sender, mode, at, state, words } = read(row)?;
                let order = trailing_u64(Table::PlainMessage, row_key)?;
                Ok(PlainMessageView { order, id, sender, mode, at, state, words })
            })
            .collect()
    }
}
