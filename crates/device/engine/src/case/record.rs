//! The rows: cases by their id at the business, and the cases of a conversation on both sides.

use rcseal_wire::content::{CaseId, CaseStatus};
use rcseal_wire::id::{AccountId, ConversationId};
use tls_codec::{TlsByteVecU8, TlsByteVecU16, TlsDeserializeBytes, TlsSerialize, TlsSize};

use super::CaseError;
use crate::capability::NumberKey;
use crate::context::{Engine, UnixMillis};
use crate::record::{Record, key, text};
use crate::store::{BadRow, Order, StoreError, Table, prefix_end};

/// Cases of one conversation that are read, the newest.
const OF_CONVERSATION_MAX: usize = 100;
/// Cases in one answer.
const LIST_MAX: usize = 1_000;
const NONE: [u8; 16] = [0; 16];

/// How far a case has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CaseProgress {
    /// The link has not been followed; at the app: the business has not answered yet.
    Waiting,
    /// It goes on here.
    Open,
    /// It is over.
    Closed,
    /// The business took the link back.
    Revoked,
    /// Nobody followed the link in time.
    Expired,
    /// At the app: the business does not take the token.
    Refused(CaseStatus),
}

impl CaseProgress {
    /// The name in texts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::Refused(status) => match status {
                CaseStatus::Used => "refused_used",
                CaseStatus::Expired => "refused_expired",
                CaseStatus::Revoked => "refused_revoked",
                CaseStatus::Unknown | CaseStatus::Opened | CaseStatus::Closed => "refused_unknown",
            },
        }
    }

    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Waiting => 1,
            Self::Open => 2,
            Self::Closed => 3,
            Self::Revoked => 4,
            Self::Expired => 5,
            Self::Refused(CaseStatus::Used) => 10,
            Self::Refused(CaseStatus::Expired) => 11,
            Self::Refused(CaseStatus::Revoked) => 12,
            Self::Refused(CaseStatus::Unknown | CaseStatus::Opened | CaseStatus::Closed) => 13,
        }
    }

    pub(crate) const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Waiting),
            2 => Some(Self::Open),
            3 => Some(Self::Closed),
            4 => Some(Self::Revoked),
            5 => Some(Self::Expired),
            10 => Some(Self::Refused(CaseStatus::Used)),
            11 => Some(Self::Refused(CaseStatus::Expired)),
            12 => Some(Self::Refused(CaseStatus::Revoked)),
            13 => Some(Self::Refused(CaseStatus::Unknown)),
            _ => None,
        }
    }
}

/// Which side of a case this account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CaseRole {
    /// It followed the link.
    Customer,
    /// It made the link.
    Business,
}

impl CaseRole {
    /// The name in texts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Business => "business",
        }
    }
}

/// A case as a conversation shows it, on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseView {
    /// The case; both sides name it so.
    pub case: CaseId,
    /// The conversation it goes on in.
    pub conversation: ConversationId,
    /// Which side this is.
    pub role: CaseRole,
    /// How far it has come.
    pub progress: CaseProgress,
    /// What people call it. At the app: empty until the business has answered.
    pub reference: String,
    /// A broker says that the customer's account has the number for which the case was begun. At the app this is the business's word.
    pub is_number_verified: bool,
    /// When it changed last.
    pub changed_at: UnixMillis,
}

/// A case as the business that opened it sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusinessCaseView {
    /// The case.
    pub case: CaseId,
    /// What people call it.
    pub reference: String,
    /// The number it was begun for.
    pub number: Option<NumberKey>,
    /// Until when the link opens it.
    pub expires_at: UnixMillis,
    /// How far it has come.
    pub progress: CaseProgress,
    /// The account that followed the link first.
    pub account: Option<AccountId>,
    /// That account has the number, by a broker's mapping.
    pub is_number_verified: bool,
    /// How many others have come with the same token since.
    pub refused: u32,
}

/// A case at the business. The token is not in it: the id follows from it.
#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
pub(super) struct CaseRecord {
    pub(super) reference: TlsByteVecU8,
    pub(super) greeting: TlsByteVecU16,
    /// Zeros for none.
    pub(super) number: [u8; 16],
    pub(super) expires_at_ms: u64,
    pub(super) progress: u8,
    /// Zeros for none.
    pub(super) account: [u8; 16],
    pub(super) is_number_verified: u8,
    pub(super) refused: u32,
}

impl Record for CaseRecord {
    const VERSION: u8 = 1;
}

impl CaseRecord {
    pub(super) fn number(&self) -> Result<Option<NumberKey>, StoreError> {
        match self.number {
            NONE => Ok(None),
            bytes => NumberKey::from_bytes(bytes).map(Some).ok_or_else(|| BadRow::error(Table::Case)),
        }
    }

    pub(super) fn account(&self) -> Option<AccountId> {
        (self.account != NONE).then_some(AccountId::from_bytes(self.account))
    }

    /// How far it has come by now.
    pub(super) fn progress(&self, now: UnixMillis) -> Result<CaseProgress, StoreError> {
        let progress = CaseProgress::from_code(self.progress).ok_or_else(|| BadRow::error(Table::Case))?;
        let is_late = progress == CaseProgress::Waiting && self.expires_at_ms <= now.0;
        Ok(if is_late { CaseProgress::Expired } else { progress })
    }

    pub(super) fn reference(&self) -> Result<String, StoreError> {
        text(Table::Case, self.reference.as_slice())
    }
}

/// A case of a conversation, on either side.
#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
pub(super) struct OfConversation {
    pub(super) role: u8,
    pub(super) progress: u8,
    pub(super) reference: TlsByteVecU8,
    pub(super) is_number_verified: u8,
    pub(super) changed_at_ms: u64,
}

impl Record for OfConversation {
    const VERSION: u8 = 1;
}

pub(super) const CUSTOMER: u8 = 1;
pub(super) const BUSINESS: u8 = 2;

/// First byte of the keys of cases.
pub(super) const CASE: u8 = 1;
/// First byte of the keys that say which open cases were begun for a number.
const FOR_NUMBER: u8 = 2;

fn case_key(case: CaseId) -> Vec<u8> {
    key(&[&[CASE], case.as_bytes()])
}

fn of_key(conversation: ConversationId, case: CaseId) -> Vec<u8> {
    key(&[conversation.as_bytes(), case.as_bytes()])
}

impl Engine<'_> {
    pub(super) fn case_record(&self, case: CaseId) -> Result<Option<CaseRecord>, StoreError> {
        let Some(row) = self.tx.get(Table::Case, &case_key(case))? else { return Ok(None) };
        CaseRecord::from_row(Table::Case, &row).map(Some)
    }

    pub(super) fn put_case_record(&mut self, case: CaseId, record: &CaseRecord) -> Result<(), StoreError> {
        let is_open = record.progress == CaseProgress::Open.code();
        if let Some(number) = record.number()? {
            let index = key(&[&[FOR_NUMBER], number.as_bytes(), case.as_bytes()]);
            if is_open {
                self.tx.put(Table::Case, &index, &[])?;
            } else {
                self.tx.delete(Table::Case, &index)?;
            }
        }
        self.tx.put(Table::Case, &case_key(case), &record.to_row())
    }

    /// The open cases that were begun for a number.
    pub(super) fn cases_for(&self, number: NumberKey) -> Result<Vec<CaseId>, StoreError> {
        let start = key(&[&[FOR_NUMBER], number.as_bytes()]);
        let rows = self.tx.scan(Table::Case, &start, &prefix_end(&start), LIST_MAX, Order::Ascending)?;
        let bad = || BadRow::error(Table::Case);
        rows.iter()
            .map(|(row_key, _)| row_key.last_chunk::<16>().copied().map(CaseId::from_bytes).ok_or_else(bad))
            .collect()
    }

    pub(super) fn case_of(
        &self,
        conversation: ConversationId,
        case: CaseId,
    ) -> Result<Option<OfConversation>, StoreError> {
        let Some(row) = self.tx.get(Table::CaseOf, &of_key(conversation, case))? else { return Ok(None) };
        OfConversation::from_row(Table::CaseOf, &row).map(Some)
    }

    pub(super) fn put_case_of(
        &mut self,
        conversation: ConversationId,
        case: CaseId,
        record: &OfConversation,
    ) -> Result<(), StoreError> {
        self.tx.put(Table::CaseOf, &of_key(conversation, case), &record.to_row())
    }

    /// The cases of a conversation, the one that changed last first. Both sides see the same reference.
    ///
    /// # Errors
    /// Those of the store.
    pub fn cases_of(&self, conversation: ConversationId) -> Result<Vec<CaseView>, StoreError> {
        let prefix = conversation.as_bytes();
        let end = prefix_end(prefix);
        let rows = self.tx.scan(Table::CaseOf, prefix, &end, OF_CONVERSATION_MAX, Order::Ascending)?;
        let bad = || BadRow::error(Table::CaseOf);
        let mut views = rows
            .iter()
            .map(|(row_key, row)| {
                let record = OfConversation::from_row(Table::CaseOf, row)?;
                let case = row_key.last_chunk::<16>().copied().ok_or_else(bad)?;
                Ok(CaseView {
                    case: CaseId::from_bytes(case),
                    conversation,
                    role: match record.role {
                        CUSTOMER => CaseRole::Customer,
                        BUSINESS => CaseRole::Business,
                        _ => return Err(bad()),
                    },
                    progress: CaseProgress::from_code(record.progress).ok_or_else(bad)?,
                    reference: text(Table::CaseOf, record.reference.as_slice())?,
                    is_number_verified: record.is_number_verified == 1,
                    changed_at: UnixMillis(record.changed_at_ms),
                })
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        views.sort_by_key(|view| std::cmp::Reverse(view.changed_at));
        Ok(views)
    }

    /// One case that this account opened.
    ///
    /// # Errors
    /// [`CaseError::Unknown`].
    pub fn business_case(&self, case: CaseId) -> Result<BusinessCaseView, CaseError> {
        let record = self.case_record(case)?.ok_or(CaseError::Unknown)?;
        Ok(view(case, &record, self.now)?)
    }

    /// Up to a thousand cases that this account opened, after `after` in the order of their ids.
    ///
    /// # Errors
    /// Those of the store.
    pub fn business_cases(&self, after: Option<CaseId>) -> Result<Vec<BusinessCaseView>, StoreError> {
        let start = after.map_or_else(|| vec![CASE], |after| key(&[&case_key(after), &[0]]));
        let rows = self.tx.scan(Table::Case, &start, &[CASE + 1], LIST_MAX, Order::Ascending)?;
        let bad = || BadRow::error(Table::Case);
        rows.iter()
            .map(|(row_key, row)| {
                let case = row_key.last_chunk::<16>().copied().ok_or_else(bad)?;
                view(CaseId::from_bytes(case), &CaseRecord::from_row(Table::Case, row)?, self.now)
            })
            .collect()
    }
}

fn view(case: CaseId, record: &CaseRecord, now: UnixMillis) -> Result<BusinessCaseView, StoreError> {
    Ok(BusinessCaseView {
        case,
        reference: record.reference()?,
        number: record.number()?,
        expires_at: UnixMillis(record.expires_at_ms),
        progress: record.progress(now)?,
        account: record.account(),
        is_number_verified: record.is_number_verified == 1,
        refused: record.refused,
    })
}
