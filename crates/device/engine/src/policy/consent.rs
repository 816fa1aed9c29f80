//! Consents: the user's recorded agreement that messages to one recipient go in one mode, for a time.
//!
//! A consent binds the account that gave it, the recipient's account and number, the mode and an expiry. One that was withdrawn or has
//! expired is as good as none, and one for a mode serves no other. For a recipient the newest counts and no other: the end of one never
//! brings an earlier one back. Rows stay when they have ended: the journal names them.

use rcseal_wire::id::AccountId;
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

use super::decision::{Consent, ConsentId, Recipient};
use super::error::PolicyError;
use super::mode::DeliveryMode;
use super::record::Subject;
use super::settings::{PAGE, prefix};
use crate::capability::NumberKey;
use crate::context::{Engine, Sequence, UnixMillis};
use crate::pages::Pages;
use crate::record::{Number, Record, key, trailing_u64};
use crate::store::{BadRow, Order, StoreError, Table};

/// How long a consent lasts at most: a year. Who agreed longer ago has forgotten it.
pub const CONSENT_MS_MAX: u64 = 365 * 24 * 3600 * 1000;
/// Consents in one answer.
const LIST_MAX: usize = 1000;
const NONE: [u8; 16] = [0; 16];

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct ConsentRecord {
    by: [u8; 16],
    account: [u8; 16],
    number: [u8; 16],
    mode: u8,
    given_at_ms: u64,
    expires_at_ms: u64,
    /// 0 not withdrawn.
    withdrawn_at_ms: u64,
}

impl Record for ConsentRecord {
    const VERSION: u8 = 1;
}

fn consent_key(id: ConsentId) -> Vec<u8> {
    key(&[&[prefix::CONSENT], &id.0.to_be_bytes()])
}

fn newest_key(recipient: Recipient) -> Vec<u8> {
    let account = recipient.account.map_or(NONE, |account| *account.as_bytes());
    let number = recipient.number.map_or(NONE, |number| *number.as_bytes());
    key(&[&[prefix::NEWEST_CONSENT], &account, &number])
}

fn read(id: ConsentId, row: &[u8]) -> Result<Consent, StoreError> {
    let bad = || BadRow::error(Table::Policy);
    let record = ConsentRecord::from_row(Table::Policy, row)?;
    let number = match record.number {
        NONE => None,
        bytes => Some(NumberKey::from_bytes(bytes).ok_or_else(bad)?),
    };
    let account = (record.account != NONE).then_some(AccountId::from_bytes(record.account));
    Ok(Consent {
        id,
        by: AccountId::from_bytes(record.by),
        recipient: Recipient { account, number },
        mode: DeliveryMode::from_code(record.mode).ok_or_else(bad)?,
        given_at: UnixMillis(record.given_at_ms),
        expires_at: UnixMillis(record.expires_at_ms),
        withdrawn_at: (record.withdrawn_at_ms != 0).then_some(UnixMillis(record.withdrawn_at_ms)),
    })
}

impl Engine<'_> {
    /// The user agrees that messages of a conversation or thread go in a mode that others can read, until `expires_at`. The agreement is
    /// for its recipient as it is now: another number of the contact is another recipient. It takes the place of an earlier one, so one to
    /// a mode for which there is no way is refused: it could serve nothing, and would end the one that does.
    ///
    /// # Errors
    /// [`PolicyError::NotReadable`], [`PolicyError::Expiry`], [`PolicyError::UnknownConversation`], [`PolicyError::NoNumber`] for a
    /// contact without a number, [`PolicyError::NoWayForMode`].
    pub fn give_consent(
        &mut self,
        subject: Subject,
        mode: DeliveryMode,
        expires_at: UnixMillis,
    ) -> Result<ConsentId, PolicyError> {
        if mode.is_end_to_end() {
            return Err(PolicyError::NotReadable);
        }
        if expires_at <= self.now || expires_at.since(self.now) > CONSENT_MS_MAX {
            return Err(PolicyError::Expiry);
        }
        let recipient = self.recipient_of(subject)?;
        if recipient.number.is_none() && mode != DeliveryMode::ServerEncrypted {
            return Err(PolicyError::NoNumber);
        }
        if !self.ways(subject, recipient)?.has(mode) {
            return Err(PolicyError::NoWayForMode { mode });
        }
        let id = ConsentId(self.next(Sequence::Consent)?);
        let by = self.account()?.address.account;
        let consent = Consent { id, by, recipient, mode, given_at: self.now, expires_at, withdrawn_at: None };
        self.put_consent(&consent)?;
        self.tx.put(Table::Policy, &newest_key(recipient), &Number(id.0).to_row())?;
        Ok(id)
    }

    /// The user takes an agreement back. What has not left yet stays.
    ///
    /// # Errors
    /// [`PolicyError::UnknownConsent`].
    pub fn withdraw_consent(&mut self, id: ConsentId) -> Result<(), PolicyError> {
        let mut consent = self.consent(id)?.ok_or(PolicyError::UnknownConsent)?;
        if consent.withdrawn_at.is_some() {
            return Err(PolicyError::UnknownConsent);
        }
        consent.withdrawn_at = Some(self.now);
        Ok(self.put_consent(&consent)?)
    }

    /// One consent, whether it still counts or not.
    ///
    /// # Errors
    /// Those of the store.
    pub fn consent(&self, id: ConsentId) -> Result<Option<Consent>, StoreError> {
        self.tx.get(Table::Policy, &consent_key(id))?.map(|row| read(id, &row)).transpose()
    }

    /// The newest consents, ended ones included, the newest first.
    ///
    /// # Errors
    /// Those of the store.
    pub fn consents(&self) -> Result<Vec<Consent>, StoreError> {
        let (start, end) = ([prefix::CONSENT], [prefix::CONSENT + 1]);
        let rows = self.tx.scan(Table::Policy, &start, &end, LIST_MAX, Order::Descending)?;
        rows.iter().map(|(row_key, row)| read(ConsentId(trailing_u64(Table::Policy, row_key)?), row)).collect()
    }

    fn put_consent(&mut self, consent: &Consent) -> Result<(), StoreError> {
        let record = ConsentRecord {
            by: *consent.by.as_bytes(),
            account: consent.recipient.account.map_or(NONE, |account| *account.as_bytes()),
            number: consent.recipient.number.map_or(NONE, |number| *number.as_bytes()),
            mode: consent.mode.code(),
            given_at_ms: consent.given_at.0,
            expires_at_ms: consent.expires_at.0,
            withdrawn_at_ms: consent.withdrawn_at.map_or(0, |at| at.0),
        };
        self.tx.put(Table::Policy, &consent_key(consent.id), &record.to_row())
    }

    /// Takes back what counts of what the user agreed to: for one account, at whatever number, or for everybody.
    pub(crate) fn withdraw_consents(&mut self, of: Option<AccountId>) -> Result<(), StoreError> {
        let account = of.as_ref().map_or(&[][..], |account| account.as_bytes());
        let mut pages = Pages::new(Table::Policy, &key(&[&[prefix::NEWEST_CONSENT], account]), PAGE);
        while let Some(rows) = pages.next(self.tx)? {
            for (row_key, row) in &rows {
                let id = ConsentId(Number::from_row(Table::Policy, row)?.0);
                if let Some(consent) = self.consent(id)?.filter(|consent| consent.withdrawn_at.is_none()) {
                    self.put_consent(&Consent { withdrawn_at: Some(self.now), ..consent })?;
                }
                self.tx.delete(Table::Policy, row_key)?;
            }
        }
        Ok(())
    }

    /// Takes back what counts of what the user agreed to in one mode, for everybody.
    pub(crate) fn withdraw_consents_to(&mut self, mode: DeliveryMode) -> Result<(), StoreError> {
        self.withdraw_consents_where(|consent| consent.mode == mode)
    }

    /// Takes back what counts of what the user agreed to for a number, whosever it was.
    pub(crate) fn withdraw_consents_at(&mut self, number: NumberKey) -> Result<(), StoreError> {
        self.withdraw_consents_where(|consent| consent.recipient.number == Some(number))
    }

    fn withdraw_consents_where(&mut self, is_meant: impl Fn(&Consent) -> bool) -> Result<(), StoreError> {
        let mut pages = Pages::new(Table::Policy, &[prefix::NEWEST_CONSENT], PAGE);
        while let Some(rows) = pages.next(self.tx)? {
            for (row_key, row) in &rows {
                let id = ConsentId(Number::from_row(Table::Policy, row)?.0);
                if let Some(consent) = self.consent(id)?.filter(|it| it.withdrawn_at.is_none() && is_meant(it)) {
                    self.put_consent(&Consent { withdrawn_at: Some(self.now), ..consent })?;
                    self.tx.delete(Table::Policy, row_key)?;
                }
            }
        }
        Ok(())
    }

    /// A consent that has expired counts for nobody from now on.
    pub(super) fn forget_expired_consents(&mut self) -> Result<(), StoreError> {
        let mut pages = Pages::new(Table::Policy, &[prefix::NEWEST_CONSENT], PAGE);
        while let Some(rows) = pages.next(self.tx)? {
            for (row_key, row) in &rows {
                let consent = self.consent(ConsentId(Number::from_row(Table::Policy, row)?.0))?;
                if consent.is_none_or(|consent| consent.expires_at <= self.now) {
                    self.tx.delete(Table::Policy, row_key)?;
                }
            }
        }
        Ok(())
    }

    /// The newest consent for a recipient.
    pub(super) fn consent_for(&self, recipient: Recipient) -> Result<Option<Consent>, StoreError> {
        let Some(row) = self.tx.get(Table::Policy, &newest_key(recipient))? else { return Ok(None) };
        self.consent(ConsentId(Number::from_row(Table::Policy, &row)?.0))
    }
}
