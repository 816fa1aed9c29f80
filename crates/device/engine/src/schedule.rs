//! What the engine does by itself when its time has come: turning sessions of active conversations, and beginning sessions anew after the
//! store was rolled back.
//!
//! A task is a row under the time it is due, so the next one is the first row, however many there are. Times are jittered when they are
//! chosen, so that devices that were woken together do not all act together.

use rcseal_wire::id::{ConversationId, DeviceAddress};

use crate::account::AccountError;
use crate::context::{Engine, UnixMillis};
use crate::record::key;
use crate::send::as_account_error;
use crate::store::{BadRow, Order, StoreError, Table};

/// First byte of the keys of these rows, in the table of rekeys.
const PREFIX: u8 = 3;
/// Tasks of one transaction: each may send to every device of a conversation.
const TASKS_MAX: usize = 16;

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// The sessions of a conversation are to turn.
    Rekey(ConversationId),
    /// The session with a device is to begin anew, unless it has by then.
    Renewal(DeviceAddress),
}

impl Task {
    fn key(self, due: UnixMillis) -> Vec<u8> {
        let due = due.0.to_be_bytes();
        match self {
            Self::Rekey(conversation) => key(&[&[PREFIX], &due, &[1], conversation.as_bytes()]),
            Self::Renewal(device) => key(&[&[PREFIX], &due, &[2], &device.to_bytes()]),
        }
    }

    fn parse(row_key: &[u8]) -> Option<Self> {
        let (kind, subject) = row_key.get(9..)?.split_first()?;
        match kind {
            1 => ConversationId::parse(subject).ok().map(Self::Rekey),
            2 => DeviceAddress::parse(subject).ok().map(Self::Renewal),
            _ => None,
        }
    }
}

impl Engine<'_> {
    pub(crate) fn schedule(&mut self, task: Task, due: UnixMillis) -> Result<(), StoreError> {
        self.tx.put(Table::Rekey, &task.key(due), &[])
    }

    pub(crate) fn unschedule(&mut self, task: Task, due: UnixMillis) -> Result<(), StoreError> {
        self.tx.delete(Table::Rekey, &task.key(due))
    }

    /// A number below `bound`, for jitter; 0 where there is no room for any.
    pub(crate) fn jitter(&mut self, bound: u64) -> u64 {
        let mut bytes = [0; 8];
        self.rng.fill_bytes(&mut bytes);
        // The bias of the remainder is of no consequence for a delay.
        u64::from_be_bytes(bytes).checked_rem(bound).unwrap_or_default()
    }

    /// When [`Engine::poll_schedule`] has something to do next; `None` when nothing will be.
    ///
    /// # Errors
    /// Those of the store.
    pub fn poll_schedule_timeout(&self) -> Result<Option<UnixMillis>, StoreError> {
        let rows = self.tx.scan(Table::Rekey, &[PREFIX], &[PREFIX + 1], 1, Order::Ascending)?;
        let bad = || BadRow::error(Table::Rekey);
        rows.first().map(|(row_key, _)| due(row_key).ok_or_else(bad)).transpose()
    }

    /// Does what is due, and answers how many tasks that were. What it sends is in the outbox then. There may be more at once: ask
    /// [`Engine::poll_schedule_timeout`] again.
    ///
    /// # Errors
    /// Those of the store.
    pub fn poll_schedule(&mut self) -> Result<usize, AccountError> {
        let end = key(&[&[PREFIX], &self.now.0.saturating_add(1).to_be_bytes()]);
        let rows = self.tx.scan(Table::Rekey, &[PREFIX], &end, TASKS_MAX, Order::Ascending)?;
        if rows.is_empty() {
            return Ok(0);
        }
        let account = self.account()?;
        for (row_key, _) in &rows {
            self.tx.delete(Table::Rekey, row_key)?;
            match Task::parse(row_key).ok_or_else(|| BadRow::error(Table::Rekey))? {
                Task::Rekey(conversation) => self.rekey_due(&account, conversation),
                Task::Renewal(device) => self.renewal_due(&account, device),
            }
            .map_err(as_account_error)?;
        }
        Ok(rows.len())
    }
}

fn due(row_key: &[u8]) -> Option<UnixMillis> {
    row_key.get(1..9)?.try_into().ok().map(|bytes| UnixMillis(u64::from_be_bytes(bytes)))
}
