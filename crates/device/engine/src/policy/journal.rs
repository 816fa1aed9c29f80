//! The journal: every fallback, downgrade and refusal, and every change of a server's key, for the account's owner and for an operator to review.
//!
//! **Append-only.** Entries are added by [`Engine::append_to_journal`] and by nothing else; no call changes or deletes one, not even the
//! one that empties the store for another account. Each row ends in a hash over it and the hash before, so that a gap or an edit made
//! outside shows ([`Engine::check_journal`]). Only what this device's user sends adds entries, and its own server's key; nothing that a peer or a
//! carrier does can fill it by itself.
//!
//! **No content.** An entry has ids, modes, a reason and times; what it leaves out is who and what. The summary for an operator leaves the
//! ids out as well.

use rcseal_crypto::hash::sha256;
use rcseal_wire::id::MessageId;
use serde::Serialize;
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

use super::decision::ConsentId;
use super::mode::DeliveryMode;
use super::reason::Reason;
use super::record::Subject;
use crate::context::{Engine, UnixMillis};
use crate::record::{Record, trailing_u64};
use crate::store::{BadRow, Order, StoreError, Table};

/// Entries in one page.
pub const JOURNAL_PAGE_MAX: usize = 1000;
const LABEL: &[u8] = b"rcseal/journal/v1";

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryKind {
    /// Another end-to-end way than the wanted one was taken.
    Fallback,
    /// A mode was taken in which somebody beside the participants can read.
    Downgrade,
    /// Nothing was sent.
    Refusal,
    /// A conversation that went without end-to-end encryption has it again.
    Restoration,
    /// The server to whose key readable messages are sealed has another key, or none.
    KeyChange,
}

impl EntryKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Fallback, Self::Downgrade, Self::Refusal, Self::Restoration, Self::KeyChange];

    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fallback => "fallback",
            Self::Downgrade => "downgrade",
            Self::Refusal => "refusal",
            Self::Restoration => "restoration",
            Self::KeyChange => "key_change",
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::Fallback => 1,
            Self::Downgrade => 2,
            Self::Refusal => 3,
            Self::Restoration => 4,
            Self::KeyChange => 5,
        }
    }
}

/// An entry to add.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) kind: EntryKind,
    pub(crate) subject: Subject,
    /// `None` where no message came to be.
    pub(crate) message: Option<MessageId>,
    pub(crate) wanted: DeliveryMode,
    /// `None` for a refusal.
    pub(crate) taken: Option<DeliveryMode>,
    pub(crate) reason: Reason,
    pub(crate) consent: Option<ConsentId>,
    /// 0 where there was none of its own.
    pub(crate) decision: u64,
}

/// An entry of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalEntry {
    /// Its place, from 1, without gaps.
    pub number: u64,
    /// When.
    pub at: UnixMillis,
    /// What kind of thing happened.
    pub kind: EntryKind,
    /// In which conversation or thread.
    pub subject: Subject,
    /// To which message; `None` where none came to be.
    pub message: Option<MessageId>,
    /// The mode that was wanted.
    pub wanted: DeliveryMode,
    /// The mode that was taken; `None` for a refusal.
    pub taken: Option<DeliveryMode>,
    /// Why.
    pub reason: Reason,
    /// By whose leave, where one was needed.
    pub consent: Option<ConsentId>,
    /// The stored decision behind it.
    pub decision: Option<u64>,
    /// The hash over this entry and all before it.
    pub chain: [u8; 32],
}

/// What an operator may review: counts, and no id, name, number or content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JournalSummary {
    /// Entries counted.
    pub entries: u64,
    /// When the first of them was written, in Unix milliseconds.
    pub first_at_ms: Option<u64>,
    /// When the last of them was written, in Unix milliseconds.
    pub last_at_ms: Option<u64>,
    /// Whether every entry follows from the one before.
    pub is_unbroken: bool,
    /// The hash over all entries, in hexadecimal digits: two reviews can be compared by it.
    pub chain: String,
    /// Counts by kind, wanted and taken mode and reason, in that order.
    pub rows: Vec<JournalSummaryRow>,
}

/// One count of a summary.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct JournalSummaryRow {
    /// Fallback, downgrade, refusal, restoration or change of key.
    pub kind: &'static str,
    /// The mode that was wanted.
    pub wanted: &'static str,
    /// The mode that was taken; `none` for a refusal.
    pub taken: &'static str,
    /// The reason's code.
    pub reason: &'static str,
    /// How many there were.
    pub count: u64,
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct JournalRecord {
    at_ms: u64,
    kind: u8,
    subject: [u8; 17],
    message: [u8; 16],
    wanted: u8,
    taken: u8,
    reason: u8,
    consent: u64,
    decision: u64,
    chain: [u8; 32],
}

impl Record for JournalRecord {
    const VERSION: u8 = 1;
}

impl JournalRecord {
    /// The hash over this entry, without its own hash, and the one before.
    fn chain_after(&self, number: u64, before: &[u8; 32]) -> [u8; 32] {
        sha256(&[
            LABEL,
            before,
            &number.to_be_bytes(),
            &self.at_ms.to_be_bytes(),
            &[self.kind],
            &self.subject,
            &self.message,
            &[self.wanted, self.taken, self.reason],
            &self.consent.to_be_bytes(),
            &self.decision.to_be_bytes(),
        ])
    }

    fn read(&self, number: u64) -> Option<JournalEntry> {
        let kind = EntryKind::ALL.into_iter().find(|kind| kind.number() == self.kind)?;
        let taken = match self.taken {
            0 => None,
            code => Some(DeliveryMode::from_code(code)?),
        };
        Some(JournalEntry {
            number,
            at: UnixMillis(self.at_ms),
            kind,
            subject: Subject::parse(&self.subject)?,
            message: (self.message != [0; 16]).then_some(MessageId::from_bytes(self.message)),
            wanted: DeliveryMode::from_code(self.wanted)?,
            taken,
            reason: Reason::from_number(self.reason)?,
            consent: (self.consent != 0).then_some(ConsentId(self.consent)),
            decision: (self.decision != 0).then_some(self.decision),
            chain: self.chain,
        })
    }
}

fn read(key: &[u8], row: &[u8]) -> Result<JournalEntry, StoreError> {
    let number = trailing_u64(Table::Journal, key)?;
    JournalRecord::from_row(Table::Journal, row)?.read(number).ok_or_else(|| BadRow::error(Table::Journal))
}

impl Engine<'_> {
    /// Adds an entry at the end. Its number follows from the last row, not from a counter, so nothing makes it write over one.
    pub(crate) fn append_to_journal(&mut self, entry: &Entry) -> Result<(), StoreError> {
        let last = self.tx.scan(Table::Journal, &[], &[0xff; 9], 1, Order::Descending)?;
        let (last, before) = match last.first() {
            Some((key, row)) => {
                (trailing_u64(Table::Journal, key)?, JournalRecord::from_row(Table::Journal, row)?.chain)
            }
            None => (0, [0; 32]),
        };
        let number = last + 1;
        let mut record = JournalRecord {
            at_ms: self.now.0,
            kind: entry.kind.number(),
            subject: entry.subject.to_bytes(),
            message: entry.message.map_or([0; 16], |message| *message.as_bytes()),
            wanted: entry.wanted.code(),
            taken: entry.taken.map_or(0, DeliveryMode::code),
            reason: entry.reason.number(),
            consent: entry.consent.map_or(0, |consent| consent.0),
            decision: entry.decision,
            chain: [0; 32],
        };
        record.chain = record.chain_after(number, &before);
        self.tx.put(Table::Journal, &number.to_be_bytes(), &record.to_row())
    }

    /// Entries of the journal with a number above `after`, oldest first: a page of at most `limit`, and never more than
    /// [`JOURNAL_PAGE_MAX`].
    ///
    /// # Errors
    /// Those of the store.
    pub fn journal(&self, after: u64, limit: usize) -> Result<Vec<JournalEntry>, StoreError> {
        let start = after.saturating_add(1).to_be_bytes();
        let limit = limit.min(JOURNAL_PAGE_MAX);
        let rows = self.tx.scan(Table::Journal, &start, &[0xff; 9], limit, Order::Ascending)?;
        rows.iter().map(|(key, row)| read(key, row)).collect()
    }

    /// Whether every entry follows from the one before, with the hash over all.
    ///
    /// # Errors
    /// Those of the store.
    pub fn check_journal(&self) -> Result<(bool, [u8; 32]), StoreError> {
        let (mut number, mut chain, mut is_unbroken) = (0, [0; 32], true);
        loop {
            let start = (number + 1_u64).to_be_bytes();
            let rows = self.tx.scan(Table::Journal, &start, &[0xff; 9], JOURNAL_PAGE_MAX, Order::Ascending)?;
            if rows.is_empty() {
                return Ok((is_unbroken, chain));
            }
            for (key, row) in &rows {
                let (found, record) =
                    (trailing_u64(Table::Journal, key)?, JournalRecord::from_row(Table::Journal, row)?);
                is_unbroken &= found == number + 1 && record.chain == record.chain_after(found, &chain);
                (number, chain) = (found, record.chain);
            }
        }
    }

    /// Counts of the entries since a time, in a form that an operator may see.
    ///
    /// # Errors
    /// Those of the store.
    pub fn journal_summary(&self, since: UnixMillis) -> Result<JournalSummary, StoreError> {
        let (is_unbroken, chain) = self.check_journal()?;
        let mut summary = JournalSummary {
            entries: 0,
            first_at_ms: None,
            last_at_ms: None,
            is_unbroken,
            chain: chain.iter().map(|byte| format!("{byte:02x}")).collect(),
            rows: Vec::new(),
        };
        let mut after = 0;
        loop {
            let page = self.journal(after, JOURNAL_PAGE_MAX)?;
            let Some(last) = page.last() else { break };
            after = last.number;
            for entry in page.iter().filter(|entry| entry.at >= since) {
                summary.count(entry);
            }
        }
        summary.rows.sort();
        Ok(summary)
    }
}

impl JournalSummary {
    fn count(&mut self, entry: &JournalEntry) {
        self.entries += 1;
        self.first_at_ms.get_or_insert(entry.at.0);
        self.last_at_ms = Some(entry.at.0);
        let row = JournalSummaryRow {
            kind: entry.kind.as_str(),
            wanted: entry.wanted.as_str(),
            taken: entry.taken.map_or("none", DeliveryMode::as_str),
            reason: entry.reason.code(),
            count: 1,
        };
        let is_same = |other: &&mut JournalSummaryRow| {
            (other.kind, other.wanted, other.taken, other.reason) == (row.kind, row.wanted, row.taken, row.reason)
        };
        match self.rows.iter_mut().find(is_same) {
            Some(known) => known.count += 1,
            None => self.rows.push(row),
        }
    }
}
