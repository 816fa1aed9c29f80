//! What the user set: policies, route preferences, acknowledgements, attestations of absence.
//!
//! One row for the account, one for each conversation or thread, in the table of policies. These are settings of the device they are made
//! on, as the policies about changed keys are.

use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

use rcseal_rcs::number::PhoneNumber;

use super::decision::{AbsenceEvidence, Acknowledgement, Policies};
use super::error::PolicyError;
use super::mode::{DeliveryMode, FallbackPolicy, RoutePreference};
use super::record::Subject;
use crate::capability::{Latched, NumberKey};
use crate::context::{Engine, UnixMillis};
use crate::pages::Pages;
use crate::record::{Record, key};
use crate::store::{BadRow, StoreError, Table};

/// How long the user's word counts that a number has no end-to-end encryption: 30 days. People change their apps.
pub const ATTESTATION_MS_MAX: u64 = 30 * 24 * 3600 * 1000;

/// Rows read at once.
pub(super) const PAGE: usize = 256;

/// First bytes of the keys in the table of policies.
pub(super) mod prefix {
    pub(crate) const ACCOUNT: u8 = 1;
    pub(crate) const SUBJECT: u8 = 2;
    pub(crate) const CONSENT: u8 = 3;
    pub(crate) const NEWEST_CONSENT: u8 = 4;
}

/// For whom a policy is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyScope {
    /// The operator's customer that the account belongs to: what its configuration says.
    Tenant,
    /// The account.
    Account,
    /// One conversation or thread.
    Subject(Subject),
}

#[derive(Default, TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct AccountRow {
    /// 0 not set.
    tenant: u8,
    account: u8,
    preference: u8,
}

impl Record for AccountRow {
    const VERSION: u8 = 1;
}

#[derive(Default, TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct SubjectRow {
    /// 0 not set.
    policy: u8,
    preference: u8,
    /// 0 not acknowledged.
    acknowledged: u8,
    acknowledged_at_ms: u64,
    attested_at_ms: u64,
    /// 0 not attested.
    attested_until_ms: u64,
}

impl Record for SubjectRow {
    const VERSION: u8 = 1;
}

/// What is set for one conversation or thread, with what the account sets.
pub(super) struct Settings {
    pub(super) policies: Policies,
    pub(super) preference: RoutePreference,
    pub(super) acknowledged: Option<Acknowledgement>,
    pub(super) absence: Option<AbsenceEvidence>,
}

fn bad() -> StoreError {
    BadRow::error(Table::Policy)
}

/// 0 stands for what was not set; anything else has to mean something.
fn some<T>(number: u8, read: impl FnOnce(u8) -> Option<T>) -> Result<Option<T>, StoreError> {
    if number == 0 { Ok(None) } else { read(number).map(Some).ok_or_else(bad) }
}

fn subject_key(subject: Subject) -> Vec<u8> {
    key(&[&[prefix::SUBJECT], &subject.to_bytes()])
}

impl Engine<'_> {
    fn account_row(&self) -> Result<AccountRow, StoreError> {
        match self.tx.get(Table::Policy, &[prefix::ACCOUNT])? {
            Some(row) => AccountRow::from_row(Table::Policy, &row),
            None => Ok(AccountRow::default()),
        }
    }

    fn subject_row(&self, subject: Subject) -> Result<SubjectRow, StoreError> {
        match self.tx.get(Table::Policy, &subject_key(subject))? {
            Some(row) => SubjectRow::from_row(Table::Policy, &row),
            None => Ok(SubjectRow::default()),
        }
    }

    fn put_subject_row(&mut self, subject: Subject, row: &SubjectRow) -> Result<(), StoreError> {
        self.tx.put(Table::Policy, &subject_key(subject), &row.to_row())
    }

    pub(super) fn settings(&self, subject: Subject) -> Result<Settings, StoreError> {
        let (of_account, row) = (self.account_row()?, self.subject_row(subject)?);
        let preference = match some(row.preference, RoutePreference::from_number)? {
            Some(preference) => preference,
            None => some(of_account.preference, RoutePreference::from_number)?.unwrap_or_default(),
        };
        let acknowledged = some(row.acknowledged, DeliveryMode::from_code)?
            .map(|mode| Acknowledgement { mode, at: UnixMillis(row.acknowledged_at_ms) });
        let absence = (row.attested_until_ms != 0).then_some(AbsenceEvidence::UserAttested {
            at: UnixMillis(row.attested_at_ms),
            expires_at: UnixMillis(row.attested_until_ms),
        });
        Ok(Settings {
            policies: Policies {
                tenant: some(of_account.tenant, FallbackPolicy::from_number)?,
                account: some(of_account.account, FallbackPolicy::from_number)?.unwrap_or(FallbackPolicy::Block),
                conversation: some(row.policy, FallbackPolicy::from_number)?,
            },
            preference,
            acknowledged,
            absence,
        })
    }

    /// Sets a fallback policy; `None` takes it back. An account without one has `block`. Of several the stricter wins, so a milder one for a
    /// conversation than for the account has no effect.
    ///
    /// # Errors
    /// [`PolicyError::UnknownConversation`].
    pub fn set_fallback_policy(
        &mut self,
        scope: PolicyScope,
        policy: Option<FallbackPolicy>,
    ) -> Result<(), PolicyError> {
        let number = policy.map_or(0, FallbackPolicy::number);
        match scope {
            PolicyScope::Tenant | PolicyScope::Account => {
                let mut row = self.account_row()?;
                match scope {
                    PolicyScope::Tenant => row.tenant = number,
                    _ => row.account = number,
                }
                Ok(self.tx.put(Table::Policy, &[prefix::ACCOUNT], &row.to_row())?)
            }
            PolicyScope::Subject(subject) => {
                self.recipient_of(subject)?;
                let mut row = self.subject_row(subject)?;
                row.policy = number;
                Ok(self.put_subject_row(subject, &row)?)
            }
        }
    }

    /// The fallback policy that is set in one place; `None` where none is.
    ///
    /// # Errors
    /// Those of the store.
    pub fn fallback_policy(&self, scope: PolicyScope) -> Result<Option<FallbackPolicy>, StoreError> {
        let number = match scope {
            PolicyScope::Tenant => self.account_row()?.tenant,
            PolicyScope::Account => self.account_row()?.account,
            PolicyScope::Subject(subject) => self.subject_row(subject)?.policy,
        };
        some(number, FallbackPolicy::from_number)
    }

    /// Sets which end-to-end way is taken where there are two: for a conversation, or for the account with `None`. A conversation's own
    /// wins over the account's.
    ///
    /// # Errors
    /// [`PolicyError::UnknownConversation`].
    pub fn set_route_preference(
        &mut self,
        subject: Option<Subject>,
        preference: Option<RoutePreference>,
    ) -> Result<(), PolicyError> {
        let number = preference.map_or(0, RoutePreference::number);
        match subject {
            None => {
                let mut row = self.account_row()?;
                row.preference = number;
                Ok(self.tx.put(Table::Policy, &[prefix::ACCOUNT], &row.to_row())?)
            }
            Some(subject) => {
                self.recipient_of(subject)?;
                let mut row = self.subject_row(subject)?;
                row.preference = number;
                Ok(self.put_subject_row(subject, &row)?)
            }
        }
    }

    /// The route preference that counts for a conversation or thread.
    ///
    /// # Errors
    /// Those of the store.
    pub fn route_preference(&self, subject: Subject) -> Result<RoutePreference, StoreError> {
        Ok(self.settings(subject)?.preference)
    }

    /// The user has asked the holder of a number by another way, and they have no end-to-end encryption. It counts until `expires_at`.
    ///
    /// # Errors
    /// [`PolicyError::KnownCapable`] for a number that is known to be capable, [`PolicyError::Expiry`] for a time that is past or more than
    /// [`ATTESTATION_MS_MAX`] away.
    pub fn attest_absence(&mut self, number: &PhoneNumber, expires_at: UnixMillis) -> Result<(), PolicyError> {
        let number = NumberKey::of(number);
        if self.latched(Latched::Number(number))?.is_some() {
            return Err(PolicyError::KnownCapable);
        }
        if expires_at <= self.now || expires_at.since(self.now) > ATTESTATION_MS_MAX {
            return Err(PolicyError::Expiry);
        }
        let mut row = self.subject_row(Subject::Number(number))?;
        (row.attested_at_ms, row.attested_until_ms) = (self.now.0, expires_at.0);
        Ok(self.put_subject_row(Subject::Number(number), &row)?)
    }

    /// Takes that word back.
    ///
    /// # Errors
    /// Those of the store.
    pub fn withdraw_attestation(&mut self, number: &PhoneNumber) -> Result<(), StoreError> {
        let subject = Subject::Number(NumberKey::of(number));
        let mut row = self.subject_row(subject)?;
        (row.attested_at_ms, row.attested_until_ms) = (0, 0);
        self.put_subject_row(subject, &row)
    }

    /// Every conversation and thread for which something is set.
    pub(super) fn subjects(&self) -> Result<Vec<Subject>, StoreError> {
        let (mut subjects, mut pages) = (Vec::new(), Pages::new(Table::Policy, &[prefix::SUBJECT], PAGE));
        while let Some(rows) = pages.next(self.tx)? {
            for (row_key, _) in rows {
                let subject = row_key.get(1..).and_then(|bytes| bytes.try_into().ok()).and_then(Subject::parse);
                subjects.push(subject.ok_or_else(bad)?);
            }
        }
        Ok(subjects)
    }

    /// Takes every attestation back.
    pub(super) fn withdraw_attestations(&mut self) -> Result<(), StoreError> {
        self.drop_attestations(|_| true)
    }

    fn drop_attestations(&mut self, is_over: impl Fn(&SubjectRow) -> bool) -> Result<(), StoreError> {
        for subject in self.subjects()? {
            let row = self.subject_row(subject)?;
            if row.attested_until_ms != 0 && is_over(&row) {
                self.put_subject_row(subject, &SubjectRow { attested_at_ms: 0, attested_until_ms: 0, ..row })?;
            }
        }
        Ok(())
    }

    /// What has expired does not serve again, whatever the clock says later: a network can set the clock of a phone.
    pub(crate) fn end_what_expired(&mut self) -> Result<(), StoreError> {
        let now = self.now.0;
        self.drop_attestations(|row| row.attested_until_ms <= now)?;
        self.forget_expired_consents()
    }

    pub(super) fn put_acknowledgement(
        &mut self,
        subject: Subject,
        mode: Option<DeliveryMode>,
    ) -> Result<(), StoreError> {
        let mut row = self.subject_row(subject)?;
        row.acknowledged = mode.map_or(0, DeliveryMode::code);
        row.acknowledged_at_ms = mode.map_or(0, |_| self.now.0);
        self.put_subject_row(subject, &row)
    }
}
