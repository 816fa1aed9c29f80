//! The latch: who is known to have end-to-end encryption.
//!
//! A row says that an account or a number was once shown to be capable, by something that a network cannot make up. It is written once and
//! stays: no expiry, no failure, no answer of a carrier takes it back, and there is no call that does. Somebody who loses the ability has to
//! be told to us by the user, as an acknowledgement for one conversation.

use rcseal_wire::id::AccountId;
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

use super::NumberKey;
use crate::context::{Engine, UnixMillis};
use crate::record::{Record, key};
use crate::store::{BadRow, StoreError, Table};

/// Who.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Latched {
    /// An account.
    Account(AccountId),
    /// A phone number.
    Number(NumberKey),
}

/// What showed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LatchSource {
    /// A signed key set.
    KeySet,
    /// The device itself, inside a session.
    Session,
    /// The user, who gave the number to an account.
    User,
}

impl LatchSource {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KeySet => "key_set",
            Self::Session => "session",
            Self::User => "user",
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::KeySet => 1,
            Self::Session => 2,
            Self::User => 3,
        }
    }

    const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::KeySet),
            2 => Some(Self::Session),
            3 => Some(Self::User),
            _ => None,
        }
    }
}

/// Since when, and what showed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latch {
    /// What showed it first.
    pub source: LatchSource,
    /// When.
    pub since: UnixMillis,
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct LatchRecord {
    source: u8,
    since_ms: u64,
}

impl Record for LatchRecord {
    const VERSION: u8 = 1;
}

fn latch_key(who: Latched) -> Vec<u8> {
    match who {
        Latched::Account(account) => key(&[&[1], account.as_bytes()]),
        Latched::Number(number) => key(&[&[2], number.as_bytes()]),
    }
}

impl Engine<'_> {
    /// Somebody was shown to be capable. What was shown first stays.
    pub(crate) fn latch(&mut self, who: Latched, source: LatchSource) -> Result<(), StoreError> {
        let key = latch_key(who);
        if self.tx.get(Table::Latch, &key)?.is_some() {
            return Ok(());
        }
        let record = LatchRecord { source: source.number(), since_ms: self.now.0 };
        self.tx.put(Table::Latch, &key, &record.to_row())
    }

    /// Takes a row of a backup in. What is known here already stays.
    pub(crate) fn restore_latch(&mut self, row_key: &[u8], row: &[u8]) -> Result<(), StoreError> {
        let bad = || BadRow::error(Table::Latch);
        let is_key = match row_key.split_first() {
            Some((1, account)) => AccountId::parse(account).is_ok(),
            Some((2, number)) => number.try_into().ok().and_then(NumberKey::from_bytes).is_some(),
            _ => false,
        };
        let record = LatchRecord::from_row(Table::Latch, row)?;
        if !is_key || LatchSource::from_number(record.source).is_none() {
            return Err(bad());
        }
        if self.tx.get(Table::Latch, row_key)?.is_some() {
            return Ok(());
        }
        self.tx.put(Table::Latch, row_key, row)
    }

    /// Whether somebody is known to be capable.
    ///
    /// # Errors
    /// Those of the store.
    pub fn latched(&self, who: Latched) -> Result<Option<Latch>, StoreError> {
        let Some(row) = self.tx.get(Table::Latch, &latch_key(who))? else { return Ok(None) };
        let record = LatchRecord::from_row(Table::Latch, &row)?;
        let source = LatchSource::from_number(record.source).ok_or_else(|| BadRow::error(Table::Latch))?;
        Ok(Some(Latch { source, since: UnixMillis(record.since_ms) }))
    }
}
