//! The record of everything that was opened with the server's key: who, when, which message, and what came of it.
//!
//! Rows are numbered from 1, and each carries the hash of the one before. Whoever changes or removes one changes every hash after it, or
//! leaves a gap: [`AuditHead::follow`] says where. Cutting off the newest rows shows only to somebody who has noted a later head; that is
//! why the operator's commands print it. The oldest rows may be removed after their time, and the chain then begins at the head they left.

use async_trait::async_trait;
use rcseal_crypto::hash::sha256;
use rcseal_wire::id::{AccountId, DeviceAddress, RetainedId, ServerKeyId};

use crate::{StoreError, UnixMillis};

/// What a row's hash covers first.
const LABEL: &[u8] = b"rcseal/retained-audit/v1";
/// Bytes of an operator's name.
pub const OPERATOR_LEN_MAX: usize = 64;
/// Bytes of an operator's reason: a sentence, or a case number and a sentence.
pub const REASON_LEN_MAX: usize = 256;

/// Who opened a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditActor {
    /// A logged-in device of the recipient.
    Device(DeviceAddress),
    /// Somebody with the operator's rights on the server, by their own account of it.
    Operator {
        /// Who they say they are; at most [`OPERATOR_LEN_MAX`] bytes.
        name: String,
        /// Why; at most [`REASON_LEN_MAX`] bytes.
        reason: String,
    },
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditOutcome {
    /// Its words were handed over.
    Opened,
    /// The key is destroyed.
    KeyDestroyed,
    /// It was not sealed as it is stored.
    NotAuthentic,
    /// The key could not be used at the time.
    KmsUnavailable,
    /// The key, or the message, belongs to another region.
    RegionMismatch,
}

impl AuditOutcome {
    /// Every outcome.
    pub const ALL: [Self; 5] =
        [Self::Opened, Self::KeyDestroyed, Self::NotAuthentic, Self::KmsUnavailable, Self::RegionMismatch];

    /// The byte that stands for it.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Opened => 1,
            Self::KeyDestroyed => 2,
            Self::NotAuthentic => 3,
            Self::KmsUnavailable => 4,
            Self::RegionMismatch => 5,
        }
    }

    /// What the byte stands for.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.code() == code)
    }

    /// Its name in texts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::KeyDestroyed => "server_key_destroyed",
            Self::NotAuthentic => "not_authentic",
            Self::KmsUnavailable => "kms_unavailable",
            Self::RegionMismatch => "region_mismatch",
        }
    }

    /// Finds an outcome by its name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == name)
    }
}

/// That a message was opened, or that it was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When.
    pub at: UnixMillis,
    /// Who.
    pub actor: AuditActor,
    /// Which message.
    pub message: RetainedId,
    /// Whose.
    pub recipient: AccountId,
    /// With which key.
    pub key: ServerKeyId,
    /// What came of it.
    pub outcome: AuditOutcome,
}

/// The hash of a row and, through it, of every row before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditHash(pub [u8; 32]);

/// The newest row up to some point: its number and its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditHead {
    /// 0 before the first row.
    pub number: u64,
    /// Zeros before the first row.
    pub hash: AuditHash,
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// From 1.
    pub number: u64,
    /// What happened.
    pub entry: AuditEntry,
    /// As it is stored; whether it is right is for [`AuditHead::follow`] to say.
    pub hash: AuditHash,
}

/// Where the chain breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuditBreak {
    /// A row is missing.
    #[error("row {expected} is missing")]
    Missing {
        /// The number that should have come.
        expected: u64,
    },
    /// A row, or one before it, is not what it was.
    #[error("row {number} was changed")]
    Changed {
        /// Its number.
        number: u64,
    },
}

impl AuditHead {
    /// Before the first row.
    pub const START: Self = Self { number: 0, hash: AuditHash([0; 32]) };

    /// The row that a new entry becomes behind this one.
    #[must_use]
    pub fn next(&self, entry: AuditEntry) -> AuditRow {
        let number = self.number + 1;
        let hash = self.hash_of(number, &entry);
        AuditRow { number, entry, hash }
    }

    /// The head after `row`, if `row` is the one that follows.
    pub fn follow(&self, row: &AuditRow) -> Result<Self, AuditBreak> {
        if row.number != self.number + 1 {
            return Err(AuditBreak::Missing { expected: self.number + 1 });
        }
        if row.hash != self.hash_of(row.number, &row.entry) {
            return Err(AuditBreak::Changed { number: row.number });
        }
        Ok(Self { number: row.number, hash: row.hash })
    }

    fn hash_of(&self, number: u64, entry: &AuditEntry) -> AuditHash {
        let device;
        let (kind, lengths, texts): (u8, [u8; 4], [&[u8]; 2]) = match &entry.actor {
            AuditActor::Device(address) => {
                device = address.to_bytes();
                (1, [0; 4], [&device, b""])
            }
            AuditActor::Operator { name, reason } => {
                // Both are bounded far below what two bytes count; a longer one could only be a row that somebody made.
                let [a, b] = u16::try_from(name.len()).unwrap_or(u16::MAX).to_be_bytes();
                let [c, d] = u16::try_from(reason.len()).unwrap_or(u16::MAX).to_be_bytes();
                (2, [a, b, c, d], [name.as_bytes(), reason.as_bytes()])
            }
        };
        AuditHash(sha256(&[
            LABEL,
            &number.to_be_bytes(),
            &self.hash.0,
            &entry.at.get().to_be_bytes(),
            entry.message.as_bytes(),
            entry.recipient.as_bytes(),
            entry.key.as_bytes(),
            &[entry.outcome.code(), kind],
            &lengths,
            texts[0],
            texts[1],
        ]))
    }
}

/// Both ends of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditEnds {
    /// What the oldest row that is kept follows.
    pub tail: AuditHead,
    /// The newest row.
    pub head: AuditHead,
}

/// The record. Every method that changes something is one transaction, durable when it returns `Ok`.
#[async_trait]
pub trait AuditStore: Send + Sync {
    /// Appends entries, in order, and says where the chain ends now. Repeated after an error, it may append them twice: better twice than not.
    async fn append_audit(&self, entries: Vec<AuditEntry>) -> Result<AuditHead, StoreError>;

    /// Rows after a number, oldest first, as they are stored.
    async fn audit(&self, after: u64, limit: usize) -> Result<Vec<AuditRow>, StoreError>;

    /// Where the chain begins and ends.
    async fn audit_ends(&self) -> Result<AuditEnds, StoreError>;

    /// Removes the oldest rows from before `before`, at most `budget`; how many. The newest row stays.
    async fn expire_audit(&self, before: UnixMillis, budget: usize) -> Result<usize, StoreError>;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use rcseal_wire::id::DeviceNumber;

    use super::*;

    fn entry(n: u8) -> AuditEntry {
        AuditEntry {
            at: UnixMillis::new(n.into()),
            actor: AuditActor::Operator { name: "ann".to_owned(), reason: format!("case {n}") },
            message: RetainedId::from_bytes([n; 16]),
            recipient: AccountId::from_bytes([1; 16]),
            key: ServerKeyId::from_bytes([2; 16]),
            outcome: AuditOutcome::Opened,
        }
    }

    fn chain(count: u8) -> Vec<AuditRow> {
        let mut head = AuditHead::START;
        (0..count)
            .map(|n| {
                let row = head.next(entry(n));
                head = head.follow(&row).unwrap();
                row
            })
            .collect()
    }

    fn verify(rows: &[AuditRow]) -> Result<AuditHead, AuditBreak> {
        rows.iter().try_fold(AuditHead::START, |head, row| head.follow(row))
    }

    #[test]
    fn name_and_reason_cannot_trade_letters() {
        let mut rows = chain(1);
        rows[0].entry.actor = AuditActor::Operator { name: "annc".to_owned(), reason: "ase 0".to_owned() };
        assert_eq!(verify(&rows), Err(AuditBreak::Changed { number: 1 }));
    }

    proptest! {
        #[test]
        fn every_change_shows_where_it_was_made(at in 0..8usize, change in 0..7u8) {
            let mut rows = chain(8);
            let row = &mut rows[at];
            match change {
                0 => row.entry.at = row.entry.at.plus_millis(1),
                1 => row.entry.message = RetainedId::from_bytes([99; 16]),
                2 => row.entry.recipient = AccountId::from_bytes([99; 16]),
                3 => row.entry.key = ServerKeyId::from_bytes([99; 16]),
                4 => row.entry.outcome = AuditOutcome::NotAuthentic,
                5 => row.hash.0[3] ^= 1,
                _ => {
                    let account = AccountId::from_bytes([3; 16]);
                    row.entry.actor = AuditActor::Device(DeviceAddress { account, device: DeviceNumber::PRIMARY });
                }
            }
            prop_assert_eq!(verify(&rows), Err(AuditBreak::Changed { number: at as u64 + 1 }));
        }

        #[test]
        fn a_missing_row_shows(at in 0..7usize) {
            let mut rows = chain(8);
            rows.remove(at);
            prop_assert_eq!(verify(&rows), Err(AuditBreak::Missing { expected: at as u64 + 1 }));
        }
    }
}
