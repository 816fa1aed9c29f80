//! The side that makes the link: opening, taking back, closing, and judging the tokens that accounts show.

use rcseal_rcs::number::PhoneNumber;
use rcseal_wire::content::{Body, CaseId, CaseState, CaseStatus, REFERENCE_LEN_MAX, TEXT_LEN_MAX};
use rcseal_wire::continuation::{CaseToken, Continuation};
use rcseal_wire::id::{AccountId, ConversationId, DeviceAddress};

use super::record::{BUSINESS, CASE, CaseRecord, OfConversation};
use super::{CASE_LIFE_MS_MAX, CASES_MAX, CaseError, CaseProgress};
use crate::account::{Account, AccountError};
use crate::capability::NumberKey;
use crate::context::{Engine, Tally, UnixMillis};
use crate::conversation::{direct, direct_conversation_id};
use crate::event::Event;
use crate::pages::Pages;
use crate::record::Record as _;
use crate::send::as_account_error;
use crate::store::{StoreError, Table};

/// Cases that one pass reads at once.
const PAGE: usize = 256;
/// How long a case that is over stays: as long as receipts and repeats of its messages may come.
const KEPT_MS: u64 = 60 * 24 * 3600 * 1000;

/// A case to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCase {
    /// What people call it; both sides see it.
    pub reference: String,
    /// The number that the case was begun with, where it was one.
    pub number: Option<PhoneNumber>,
    /// Until when the link opens it.
    pub expires_at: UnixMillis,
    /// The first words in the conversation; may be empty.
    pub greeting: String,
}

impl Engine<'_> {
    /// Opens a case and makes its link, which is shown here and never again.
    ///
    /// # Errors
    /// [`CaseError::TooLong`], [`CaseError::Expiry`], [`CaseError::TooMany`], [`AccountError::NoAccount`].
    pub fn open_case(&mut self, new: &NewCase) -> Result<Continuation, CaseError> {
        if new.reference.is_empty() || new.reference.len() > REFERENCE_LEN_MAX {
            return Err(CaseError::TooLong { field: "the reference" });
        }
        if new.greeting.len() > TEXT_LEN_MAX {
            return Err(CaseError::TooLong { field: "the greeting" });
        }
        if new.expires_at <= self.now || new.expires_at.since(self.now) > CASE_LIFE_MS_MAX {
            return Err(CaseError::Expiry);
        }
        if self.tally(Tally::Cases)? >= CASES_MAX {
            return Err(CaseError::TooMany);
        }
        let invitation = self.invitation()?;
        let token = CaseToken::generate(self.rng);
        let record = CaseRecord {
            reference: new.reference.as_bytes().into(),
            greeting: new.greeting.as_bytes().into(),
            number: new.number.as_ref().map_or([0; 16], |number| *NumberKey::of(number).as_bytes()),
            expires_at_ms: new.expires_at.0,
            progress: CaseProgress::Waiting.code(),
            account: [0; 16],
            is_number_verified: 0,
            refused: 0,
        };
        self.put_case_record(CaseId::of(&token), &record)?;
        self.count_up(Tally::Cases)?;
        Ok(Continuation { invitation, token, expires_at_ms: new.expires_at.0 })
    }

    /// Takes a link back that nobody has followed yet.
    ///
    /// # Errors
    /// [`CaseError::Unknown`], [`CaseError::Progress`] where somebody has.
    pub fn revoke_case(&mut self, case: CaseId) -> Result<(), CaseError> {
        let mut record = self.case_record(case)?.ok_or(CaseError::Unknown)?;
        match record.progress(self.now)? {
            CaseProgress::Waiting | CaseProgress::Expired | CaseProgress::Revoked => {}
            progress @ (CaseProgress::Open | CaseProgress::Closed | CaseProgress::Refused(_)) => {
                return Err(CaseError::Progress { progress: progress.as_str() });
            }
        }
        record.progress = CaseProgress::Revoked.code();
        Ok(self.put_case_record(case, &record)?)
    }

    /// Ends a case. Both sides see it; the conversation stays.
    ///
    /// # Errors
    /// [`CaseError::Unknown`], [`CaseError::Progress`] where it is not open.
    pub fn close_case(&mut self, case: CaseId) -> Result<(), CaseError> {
        let account = self.account()?;
        let mut record = self.case_record(case)?.ok_or(CaseError::Unknown)?;
        let progress = record.progress(self.now)?;
        let Some(customer) = record.account().filter(|_| progress == CaseProgress::Open) else {
            return Err(CaseError::Progress { progress: progress.as_str() });
        };
        record.progress = CaseProgress::Closed.code();
        self.put_case_record(case, &record)?;
        let conversation = direct_conversation_id(account.address.account, customer);
        self.show_business_case(conversation, case, &record, customer)?;
        Ok(self.answer_case(&account, customer, case, CaseStatus::Closed, &record)?)
    }

    /// An account shows a token.
    pub(crate) fn take_continue_case(
        &mut self,
        account: &Account,
        sender: DeviceAddress,
        token: &CaseToken,
    ) -> Result<(), AccountError> {
        let (case, customer) = (CaseId::of(token), sender.account);
        if customer == account.address.account {
            return Ok(());
        }
        let conversation = direct_conversation_id(account.address.account, customer);
        if self.conversation(conversation)?.is_none() {
            self.put_conversation(conversation, &direct(account.address.account, customer))?;
        }
        // Whoever says so inside a session reads there, and is not answered in the open.
        self.heard_end_to_end(conversation, sender, &Body::ContinueCase { token: token.duplicate() })?;
        let Some(mut record) = self.case_record(case)? else {
            // Of a case that is not here nobody hears anything but that: a guess is as good as a mistake.
            return self.refuse_case(account, customer, case, CaseStatus::Unknown);
        };
        match record.progress(self.now)? {
            CaseProgress::Waiting => {}
            CaseProgress::Revoked => return self.refuse_case(account, customer, case, CaseStatus::Revoked),
            CaseProgress::Expired | CaseProgress::Refused(_) => {
                // Once it has been said, it stays so.
                record.progress = CaseProgress::Expired.code();
                self.put_case_record(case, &record)?;
                return self.refuse_case(account, customer, case, CaseStatus::Expired);
            }
            // The same account again: its answer was lost, or it comes with another device.
            progress @ (CaseProgress::Open | CaseProgress::Closed) if record.account() == Some(customer) => {
                let is_open = progress == CaseProgress::Open;
                let status = if is_open { CaseStatus::Opened } else { CaseStatus::Closed };
                return self.answer_case(account, customer, case, status, &record);
            }
            CaseProgress::Open | CaseProgress::Closed => {
                record.refused = record.refused.saturating_add(1);
                self.put_case_record(case, &record)?;
                self.emit(Event::CaseReplayed { case, account: customer })?;
                return self.refuse_case(account, customer, case, CaseStatus::Used);
            }
        }
        record.progress = CaseProgress::Open.code();
        record.account = *customer.as_bytes();
        if let Some(number) = record.number()? {
            record.is_number_verified = u8::from(self.has_number(customer, number)?);
            // Who has it now may be another one than was last seen.
            if self.broker()?.is_some() {
                self.need_lookup(number, self.now)?;
            }
        }
        self.put_case_record(case, &record)?;
        self.show_business_case(conversation, case, &record, customer)?;
        self.answer_case(account, customer, case, CaseStatus::Opened, &record)?;
        let greeting = crate::record::text(Table::Case, record.greeting.as_slice())?;
        // Where nothing may be sent to the account the case is open all the same, and the business sees it.
        if !greeting.is_empty() && self.check_recipient(customer).is_ok() {
            self.send(conversation, Body::Text(greeting), None).map(drop).map_err(as_account_error)?;
        }
        Ok(())
    }

    fn show_business_case(
        &mut self,
        conversation: ConversationId,
        case: CaseId,
        record: &CaseRecord,
        customer: AccountId,
    ) -> Result<(), StoreError> {
        let progress = record.progress(self.now)?;
        let of = OfConversation {
            role: BUSINESS,
            progress: progress.code(),
            reference: record.reference.as_slice().into(),
            is_number_verified: record.is_number_verified,
            changed_at_ms: self.now.0,
        };
        self.put_case_of(conversation, case, &of)?;
        self.emit(Event::CaseChanged { conversation, account: customer, case, progress })
    }

    fn refuse_case(
        &mut self,
        account: &Account,
        customer: AccountId,
        case: CaseId,
        status: CaseStatus,
    ) -> Result<(), AccountError> {
        self.say_case(account, customer, CaseState { case, status, reference: String::new(), number_verified: false })
    }

    fn answer_case(
        &mut self,
        account: &Account,
        customer: AccountId,
        case: CaseId,
        status: CaseStatus,
        record: &CaseRecord,
    ) -> Result<(), AccountError> {
        let (reference, number_verified) = (record.reference()?, record.is_number_verified == 1);
        self.say_case(account, customer, CaseState { case, status, reference, number_verified })
    }

    fn say_case(&mut self, account: &Account, customer: AccountId, state: CaseState) -> Result<(), AccountError> {
        let conversation = direct_conversation_id(account.address.account, customer);
        self.send_notice(account, customer, conversation, Body::CaseState(state)).map_err(as_account_error)
    }

    /// A broker shows who has a number, or that nobody has: cases that were begun for it and are open with that account say so, and others do
    /// not.
    pub(crate) fn verify_case_numbers(
        &mut self,
        number: NumberKey,
        holder: Option<AccountId>,
    ) -> Result<(), AccountError> {
        let account = self.account()?;
        for case in self.cases_for(number)? {
            let Some(mut record) = self.case_record(case)? else { continue };
            let Some(customer) = record.account() else { continue };
            let is_verified = u8::from(holder == Some(customer));
            if record.is_number_verified == is_verified {
                continue;
            }
            record.is_number_verified = is_verified;
            self.put_case_record(case, &record)?;
            let conversation = direct_conversation_id(account.address.account, customer);
            self.show_business_case(conversation, case, &record, customer)?;
            self.answer_case(&account, customer, case, CaseStatus::Opened, &record)?;
        }
        Ok(())
    }

    /// The store is an older copy of itself: a link that nobody has followed here may have been followed since, so that none opens a case
    /// any more. The business makes new ones.
    pub(crate) fn end_waiting_cases(&mut self) -> Result<(), StoreError> {
        let mut pages = Pages::new(Table::Case, &[CASE], PAGE);
        while let Some(rows) = pages.next(self.tx)? {
            for (row_key, row) in &rows {
                let mut record = CaseRecord::from_row(Table::Case, row)?;
                if record.progress == CaseProgress::Waiting.code() {
                    record.progress = CaseProgress::Expired.code();
                    self.tx.put(Table::Case, row_key, &record.to_row())?;
                }
            }
        }
        Ok(())
    }

    /// Drops cases whose link ended long ago and that are not open. What has expired is written down, and stays so whatever the clock says
    /// later; and a case says no longer that its account has a number than the mapping holds.
    pub(crate) fn drop_old_cases(&mut self) -> Result<(), AccountError> {
        let mut pages = Pages::new(Table::Case, &[CASE], PAGE);
        while let Some(rows) = pages.next(self.tx)? {
            for (row_key, row) in &rows {
                let mut record = CaseRecord::from_row(Table::Case, row)?;
                if record.progress(self.now)?.code() != record.progress {
                    record.progress = record.progress(self.now)?.code();
                    self.tx.put(Table::Case, row_key, &record.to_row())?;
                }
                if let (1, Some(number), Some(customer)) =
                    (record.is_number_verified, record.number()?, record.account())
                    && record.progress(self.now)? == CaseProgress::Open
                    && !self.has_number(customer, number)?
                {
                    self.verify_case_numbers(number, None)?;
                }
                let is_old = record.expires_at_ms.saturating_add(KEPT_MS) <= self.now.0;
                if is_old && record.progress(self.now)? != CaseProgress::Open {
                    self.tx.delete(Table::Case, row_key)?;
                    self.count_down(Tally::Cases)?;
                }
            }
        }
        Ok(())
    }
}
