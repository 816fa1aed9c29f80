//! The side that follows the link.

use rcseal_wire::content::{Body, CaseId, CaseState, CaseStatus, Content};
use rcseal_wire::continuation::Continuation;
use rcseal_wire::id::{AccountId, ConversationId, MessageId};

use super::record::{CUSTOMER, OfConversation};
use super::{CaseError, CaseProgress};
use crate::account::Account;
use crate::context::Engine;
use crate::conversation::direct_conversation_id;
use crate::event::Event;
use crate::store::StoreError;

impl Engine<'_> {
    /// Follows a link: takes the business as a contact and shows it the token, end to end. Answers the conversation in which the case goes
    /// on; what the business makes of the token follows in [`Event::CaseChanged`]. Following it again asks again.
    ///
    /// # Errors
    /// [`CaseError::Link`] for what is no link, or has expired; [`CaseError::Contact`], [`CaseError::Send`].
    pub fn continue_case(&mut self, link: &str) -> Result<ConversationId, CaseError> {
        let link = Continuation::parse(link, self.now.0)?;
        let business = self.add_contact(&link.invitation, "")?;
        let conversation = self.direct_conversation(business)?;
        let case = CaseId::of(&link.token);
        let account = self.account()?;
        let participants = self.conversation(conversation)?.ok_or(CaseError::Unknown)?;
        self.check_recipients(&participants)?;
        // It is to go on end to end: what the user said before of this conversation ends, and the business hears so.
        if self.acknowledged_downgrade(conversation)?.is_some() {
            self.restore_conversation(conversation)?;
        }
        if self.case_of(conversation, case)?.is_none() {
            let record = OfConversation {
                role: CUSTOMER,
                progress: CaseProgress::Waiting.code(),
                reference: Vec::new().into(),
                is_number_verified: 0,
                changed_at_ms: self.now.0,
            };
            self.put_case_of(conversation, case, &record)?;
        }
        let id = MessageId::generate(self.rng);
        let content = Content::new(Body::ContinueCase { token: link.token }, None);
        let payload = self.payload(&account, id, conversation, self.now, content)?;
        // To the business alone: this account's other devices hear of the case with its first message.
        for participant in participants.participants.iter().filter(|participant| participant.account == business) {
            self.dispatch(&account, participant, &payload, None)?;
        }
        Ok(conversation)
    }

    /// A business says what it makes of a token. Of a case that this account did not ask for it says nothing.
    pub(crate) fn take_case_state(
        &mut self,
        account: &Account,
        sender: AccountId,
        state: &CaseState,
    ) -> Result<(), StoreError> {
        let conversation = direct_conversation_id(account.address.account, sender);
        let Some(mut record) = self.case_of(conversation, state.case)?.filter(|record| record.role == CUSTOMER) else {
            return Ok(());
        };
        let progress = match state.status {
            CaseStatus::Opened => CaseProgress::Open,
            CaseStatus::Closed => CaseProgress::Closed,
            CaseStatus::Used | CaseStatus::Expired | CaseStatus::Revoked | CaseStatus::Unknown => {
                CaseProgress::Refused(state.status)
            }
        };
        record.progress = progress.code();
        if !state.status.is_refusal() {
            record.reference = state.reference.as_bytes().into();
            record.is_number_verified = u8::from(state.number_verified);
        }
        record.changed_at_ms = self.now.0;
        self.put_case_of(conversation, state.case, &record)?;
        self.emit(Event::CaseChanged { conversation, account: sender, case: state.case, progress })
    }
}
