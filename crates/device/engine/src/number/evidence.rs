//! What a broker is found to have done, and what proves it.
//!
//! A finding has a name, is told to the app once, and stays with the mappings that show it where there are any. [`Engine::export_evidence`]
//! gives these in the portable form of `rcseal_credential::mapping::Evidence`, which anybody can check with the broker's key.

use rcseal_credential::mapping::{Evidence, Finding};
use rcseal_crypto::hash::sha256;
use rcseal_wire::id::AccountId;
use tls_codec::{TlsByteVecU24, TlsDeserializeBytes, TlsSerialize, TlsSize};

use super::NumberError;
use crate::capability::NumberKey;
use crate::context::{Engine, UnixMillis};
use crate::event::Event;
use crate::record::{Record, key, trailing_u64};
use crate::store::{BadRow, Order, StoreError, Table};

/// First byte of the keys of evidence, which are in order.
const ROW: u8 = 1;
/// First byte of the keys that say what was noted.
const NOTED: u8 = 2;
/// Findings that are kept. Each is of another kind, number or proof; who finds so many needs no more.
const EVIDENCE_MAX: u64 = 256;
/// Of these, rows that may be filled by findings without a proof: what is only said or seen once leaves room for what convicts.
const UNPROVEN_UP_TO: u64 = EVIDENCE_MAX / 2;
const NONE: [u8; 16] = [0; 16];

/// What a broker did that an honest one does not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BrokerFinding {
    /// It signed two mappings for one place of a number's chain, or shows two people different ones.
    Forked,
    /// It shows an older mapping than one that it has shown, or that is known to be there.
    RolledBack,
    /// It says that a number is an account's that did not sign so, or that the account with the number did not let go.
    Swapped,
    /// What it shows is no mapping, or breaks a rule, or has expired.
    MappingInvalid,
    /// It shows another key than the pinned one, or a mapping that another key countersigned.
    OtherKey,
    /// It says nothing of a number that it has countersigned.
    Withheld,
    /// It says that a number has no account, and calls something a proof of that which is none.
    AbsenceUnproven,
}

impl BrokerFinding {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Forked => "broker_forked",
            Self::RolledBack => "broker_rolled_back",
            Self::Swapped => "broker_swapped",
            Self::MappingInvalid => "mapping_invalid",
            Self::OtherKey => "broker_other_key",
            Self::Withheld => "broker_withholds",
            Self::AbsenceUnproven => "absence_unproven",
        }
    }

    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Forked => 1,
            Self::RolledBack => 2,
            Self::Swapped => 3,
            Self::MappingInvalid => 4,
            Self::OtherKey => 5,
            Self::Withheld => 6,
            Self::AbsenceUnproven => 7,
        }
    }

    pub(crate) const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Forked),
            2 => Some(Self::RolledBack),
            3 => Some(Self::Swapped),
            4 => Some(Self::MappingInvalid),
            5 => Some(Self::OtherKey),
            6 => Some(Self::Withheld),
            7 => Some(Self::AbsenceUnproven),
            _ => None,
        }
    }
}

/// A finding, as apps see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvidenceView {
    /// For [`Engine::export_evidence`].
    pub id: u64,
    /// What.
    pub finding: BrokerFinding,
    /// Of which number.
    pub number: Option<NumberKey>,
    /// The account that the number belongs to, as far as this device knows.
    pub account: Option<AccountId>,
    /// The contact that said so; none where this device saw it itself.
    pub told_by: Option<AccountId>,
    /// When it was found.
    pub at: UnixMillis,
    /// What the mappings show of the broker, to anybody who has its key; none where nothing it signed shows it.
    pub shows: Option<Finding>,
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct EvidenceRecord {
    finding: u8,
    number: [u8; 16],
    account: [u8; 16],
    told_by: [u8; 16],
    at_ms: u64,
    broker: [u8; 32],
    /// Empty where there is nothing that proves it.
    evidence: TlsByteVecU24,
}

impl Record for EvidenceRecord {
    const VERSION: u8 = 1;
}

impl Engine<'_> {
    /// Tells the app of a finding and keeps what proves it, once.
    pub(super) fn note_finding(
        &mut self,
        number: Option<NumberKey>,
        account: Option<AccountId>,
        told_by: Option<AccountId>,
        finding: BrokerFinding,
        evidence: Option<&Evidence>,
    ) -> Result<(), StoreError> {
        let evidence = evidence.map(Evidence::to_bytes).unwrap_or_default();
        let subject = number.map_or(NONE, |number| *number.as_bytes());
        let source = told_by.map_or(NONE, |account| *account.as_bytes());
        // What proves something is noted once, whoever brought it; what only somebody says, once for each who says it.
        let proof = if evidence.is_empty() { source.to_vec() } else { sha256(&[&evidence]).to_vec() };
        let noted = key(&[&[NOTED], &subject, &[finding.number()], &proof]);
        if self.tx.get(Table::BrokerEvidence, &noted)?.is_some() {
            return Ok(());
        }
        let last = self.tx.scan(Table::BrokerEvidence, &[ROW], &[ROW + 1], 1, Order::Descending)?;
        let last = last.first().map_or(Ok(0), |(row_key, _)| trailing_u64(Table::BrokerEvidence, row_key))?;
        let room = if evidence.is_empty() { UNPROVEN_UP_TO } else { EVIDENCE_MAX };
        if last < room {
            let record = EvidenceRecord {
                finding: finding.number(),
                number: subject,
                account: account.map_or(NONE, |account| *account.as_bytes()),
                told_by: source,
                at_ms: self.now.0,
                broker: self.broker()?.map_or([0; 32], |broker| *broker.key.as_bytes()),
                evidence: evidence.into(),
            };
            let order = last.saturating_add(1);
            self.tx.put(Table::BrokerEvidence, &key(&[&[ROW], &order.to_be_bytes()]), &record.to_row())?;
            self.tx.put(Table::BrokerEvidence, &noted, &[])?;
        }
        self.emit(Event::BrokerFound { number, account, finding })
    }

    /// The matter of a finding is in order again: should it come back, the app is told again. What proves something stays noted.
    pub(super) fn finding_is_over(&mut self, number: NumberKey, finding: BrokerFinding) -> Result<(), StoreError> {
        let prefix = key(&[&[NOTED], number.as_bytes(), &[finding.number()]]);
        self.tx.delete(Table::BrokerEvidence, &key(&[&prefix, &NONE]))?;
        if finding == BrokerFinding::Withheld {
            // Its proof is a contact's word, and never more.
            self.tx.delete_range(Table::BrokerEvidence, &prefix, &crate::store::prefix_end(&prefix))?;
        }
        Ok(())
    }

    /// What the broker was found to have done, oldest first.
    ///
    /// # Errors
    /// Those of the store.
    pub fn broker_evidence(&self) -> Result<Vec<EvidenceView>, StoreError> {
        let limit = usize::try_from(EVIDENCE_MAX).unwrap_or(usize::MAX);
        let rows = self.tx.scan(Table::BrokerEvidence, &[ROW], &[ROW + 1], limit, Order::Ascending)?;
        let bad = || BadRow::error(Table::BrokerEvidence);
        rows.iter()
            .map(|(row_key, row)| {
                let record = EvidenceRecord::from_row(Table::BrokerEvidence, row)?;
                let account = |bytes: [u8; 16]| (bytes != NONE).then_some(AccountId::from_bytes(bytes));
                Ok(EvidenceView {
                    id: trailing_u64(Table::BrokerEvidence, row_key)?,
                    finding: BrokerFinding::from_number(record.finding).ok_or_else(bad)?,
                    number: match record.number {
                        NONE => None,
                        bytes => Some(NumberKey::from_bytes(bytes).ok_or_else(bad)?),
                    },
                    account: account(record.account),
                    told_by: account(record.told_by),
                    at: UnixMillis(record.at_ms),
                    shows: record.shows(),
                })
            })
            .collect()
    }

    /// The portable form of what proves a finding: anybody can check it with the broker's key, which comes with it.
    ///
    /// # Errors
    /// [`NumberError::UnknownEvidence`], also where nothing that the broker signed proves it.
    pub fn export_evidence(&self, id: u64) -> Result<(rcseal_wire::id::BrokerKeyId, Vec<u8>), NumberError> {
        let row_key = key(&[&[ROW], &id.to_be_bytes()]);
        let row = self.tx.get(Table::BrokerEvidence, &row_key)?.ok_or(NumberError::UnknownEvidence)?;
        let record = EvidenceRecord::from_row(Table::BrokerEvidence, &row)?;
        if record.evidence.as_slice().is_empty() {
            return Err(NumberError::UnknownEvidence);
        }
        Ok((rcseal_wire::id::BrokerKeyId::from_bytes(record.broker), record.evidence.as_slice().to_vec()))
    }
}

impl EvidenceRecord {
    fn shows(&self) -> Option<Finding> {
        let broker = rcseal_crypto::ed25519::VerifyingKey::from_bytes(&self.broker).ok()?;
        Evidence::parse(self.evidence.as_slice()).ok()?.check(&broker).ok()
    }
}
