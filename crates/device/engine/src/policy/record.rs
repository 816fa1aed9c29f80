//! Stored decisions: one row for every message that was sent or refused, by number, and an index by message.
//!
//! A row is what a permit is made of, so it is written in the transaction that queues the message. The newest [`DECISIONS_MAX`] are kept;
//! what has to be reviewable for good is in the journal.

use rcseal_wire::id::{AccountId, ConversationId, MessageId};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

use super::decision::{Choice, ConsentId, ConsentState, Decision, Recipient};
use super::journal::{Entry, EntryKind};
use super::mode::DeliveryMode;
use super::permit::{Class, Permit};
use super::reason::Reason;
use crate::capability::NumberKey;
use crate::context::{Engine, Sequence, UnixMillis};
use crate::record::{Record, trailing_u64};
use crate::store::{BadRow, Order, StoreError, Table};

/// Decisions that are kept: years of a busy user's messages, in some megabytes.
pub const DECISIONS_MAX: u64 = 100_000;

/// What a decision is about: a conversation with an account, or a thread with a number that has none. An entry of the journal can be about
/// the account's server as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A conversation.
    Conversation(ConversationId),
    /// A thread.
    Number(NumberKey),
    /// The account's server, whose key changed. Nothing is sent to it, and nothing is decided about it.
    Server,
}

impl Subject {
    pub(crate) fn to_bytes(self) -> [u8; 17] {
        let (kind, id) = match self {
            Self::Conversation(id) => (1, *id.as_bytes()),
            Self::Number(number) => (2, *number.as_bytes()),
            Self::Server => (3, [0; 16]),
        };
        let mut bytes = [kind; 17];
        bytes[1..].copy_from_slice(&id);
        bytes
    }

    pub(crate) fn parse(bytes: &[u8; 17]) -> Option<Self> {
        let (kind, id) = bytes.split_first()?;
        let id: [u8; 16] = id.try_into().ok()?;
        match kind {
            1 => Some(Self::Conversation(ConversationId::from_bytes(id))),
            2 => NumberKey::from_bytes(id).map(Self::Number),
            3 => Some(Self::Server),
            _ => None,
        }
    }
}

/// A decision, with what it was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredDecision {
    /// The decision.
    pub decision: Decision,
    /// When.
    pub at: UnixMillis,
    /// What it was about.
    pub subject: Subject,
    /// To whom.
    pub recipient: Recipient,
    /// Which message; `None` where none came to be.
    pub message: Option<MessageId>,
    /// The mode the user would have had, had nothing stood against it.
    pub wanted: DeliveryMode,
}

/// An absent id: none is all zeros but by a chance of 2^-128.
const NONE: [u8; 16] = [0; 16];

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct DecisionRecord {
    at_ms: u64,
    subject: [u8; 17],
    account: [u8; 16],
    number: [u8; 16],
    message: [u8; 16],
    wanted: u8,
    /// 0 for a refusal.
    mode: u8,
    reason: u8,
    /// 0 not needed, 1 given, 2 needed, 3 acknowledgement needed, 4 verification needed.
    consent: u8,
    consent_id: u64,
}

impl Record for DecisionRecord {
    const VERSION: u8 = 1;
}

impl DecisionRecord {
    fn of(stored: &StoredDecision) -> Self {
        let (consent, consent_id) = match stored.decision.consent {
            ConsentState::NotNeeded => (0, 0),
            ConsentState::Given(ConsentId(id)) => (1, id),
            ConsentState::Needed => (2, 0),
            ConsentState::AcknowledgementNeeded => (3, 0),
            ConsentState::VerificationNeeded => (4, 0),
        };
        Self {
            at_ms: stored.at.0,
            subject: stored.subject.to_bytes(),
            account: stored.recipient.account.map_or(NONE, |account| *account.as_bytes()),
            number: stored.recipient.number.map_or(NONE, |number| *number.as_bytes()),
            message: stored.message.map_or(NONE, |message| *message.as_bytes()),
            wanted: stored.wanted.code(),
            mode: stored.decision.mode().map_or(0, DeliveryMode::code),
            reason: stored.decision.reason.number(),
            consent,
            consent_id,
        }
    }

    fn read(&self, number: u64) -> Option<StoredDecision> {
        let some = |bytes: [u8; 16]| (bytes != NONE).then_some(bytes);
        let choice = match self.mode {
            0 => Choice::Refuse,
            code => Choice::Send(DeliveryMode::from_code(code)?),
        };
        let consent = match self.consent {
            0 => ConsentState::NotNeeded,
            1 => ConsentState::Given(ConsentId(self.consent_id)),
            2 => ConsentState::Needed,
            3 => ConsentState::AcknowledgementNeeded,
            4 => ConsentState::VerificationNeeded,
            _ => return None,
        };
        let peer = match some(self.number) {
            Some(bytes) => Some(NumberKey::from_bytes(bytes)?),
            None => None,
        };
        Some(StoredDecision {
            decision: Decision { number, choice, reason: Reason::from_number(self.reason)?, consent },
            at: UnixMillis(self.at_ms),
            subject: Subject::parse(&self.subject)?,
            recipient: Recipient { account: some(self.account).map(AccountId::from_bytes), number: peer },
            message: some(self.message).map(MessageId::from_bytes),
            wanted: DeliveryMode::from_code(self.wanted)?,
        })
    }
}

fn read(number: u64, row: &[u8]) -> Result<StoredDecision, StoreError> {
    DecisionRecord::from_row(Table::Decision, row)?.read(number).ok_or_else(|| BadRow::error(Table::Decision))
}

impl Engine<'_> {
    /// Stores a decision, and journals it where it is a fallback, a downgrade or a refusal. Answers it with its number.
    pub(crate) fn record_decision(&mut self, mut stored: StoredDecision) -> Result<Decision, StoreError> {
        let number = self.next(Sequence::Decision)?;
        stored.decision.number = number;
        self.tx.put(Table::Decision, &number.to_be_bytes(), &DecisionRecord::of(&stored).to_row())?;
        if let Some(message) = stored.message {
            self.tx.put(Table::DecisionIndex, message.as_bytes(), &number.to_be_bytes())?;
        }
        if let Some(old) = number.checked_sub(DECISIONS_MAX) {
            self.forget_decision(old)?;
        }
        let taken = stored.decision.mode();
        let kind = match taken {
            None => Some(EntryKind::Refusal),
            Some(mode) if !mode.is_end_to_end() => Some(EntryKind::Downgrade),
            Some(mode) if mode != stored.wanted => Some(EntryKind::Fallback),
            Some(_) => None,
        };
        if let Some(kind) = kind {
            self.append_to_journal(&Entry {
                kind,
                subject: stored.subject,
                message: stored.message,
                wanted: stored.wanted,
                taken,
                reason: stored.decision.reason,
                consent: match stored.decision.consent {
                    ConsentState::Given(id) => Some(id),
                    _ => None,
                },
                decision: number,
            })?;
        }
        Ok(stored.decision)
    }

    fn forget_decision(&mut self, number: u64) -> Result<(), StoreError> {
        let key = number.to_be_bytes();
        let Some(row) = self.tx.get(Table::Decision, &key)? else { return Ok(()) };
        if let Some(message) = read(number, &row)?.message {
            // A message that was decided on again belongs to the later decision.
            if self.tx.get(Table::DecisionIndex, message.as_bytes())?.as_deref() == Some(&key[..]) {
                self.tx.delete(Table::DecisionIndex, message.as_bytes())?;
            }
        }
        self.tx.delete(Table::Decision, &key)
    }

    /// The decision that a message went by, the newest if it was decided on again.
    ///
    /// # Errors
    /// Those of the store.
    pub fn decision_of(&self, message: MessageId) -> Result<Option<StoredDecision>, StoreError> {
        let Some(number) = self.tx.get(Table::DecisionIndex, message.as_bytes())? else { return Ok(None) };
        let number = trailing_u64(Table::DecisionIndex, &number)?;
        self.tx.get(Table::Decision, &number.to_be_bytes())?.map(|row| read(number, &row)).transpose()
    }

    /// Stored decisions with a number below `before`, newest first: a page of at most `limit`.
    ///
    /// # Errors
    /// Those of the store.
    pub fn decisions(&self, before: Option<u64>, limit: usize) -> Result<Vec<StoredDecision>, StoreError> {
        let end = before.unwrap_or(u64::MAX).to_be_bytes();
        let rows = self.tx.scan(Table::Decision, &[], &end, limit, Order::Descending)?;
        rows.iter().map(|(key, row)| read(trailing_u64(Table::Decision, key)?, row)).collect()
    }

    /// The permit to hand a message to a carrier: what was decided for it, for this recipient; `None` where that was another class, or
    /// nothing at all.
    pub(crate) fn permit<C: Class>(
        &self,
        message: MessageId,
        recipient: Recipient,
    ) -> Result<Option<Permit<C>>, StoreError> {
        Ok(self.decision_of(message)?.and_then(|stored| Permit::of(&stored, message, recipient)))
    }
}
