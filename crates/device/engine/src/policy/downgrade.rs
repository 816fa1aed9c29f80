//! A conversation that goes without end-to-end encryption, and back.
//!
//! It never happens by itself. The user acknowledges it for one conversation and one mode; the other side is told inside the encryption, in
//! a message that both see in the conversation, and each app gets an event. It ends when the user says so, and when the other side writes
//! end to end again: somebody who can read there is not answered in the open. It serves only as long as policy and consent do, and for the
//! contact and number that it was said of.

use rcseal_wire::content::{Body, DeliveryNotice};
use rcseal_wire::id::{AccountId, ConversationId, DeviceAddress, MessageId};

use super::decide::decide;
use super::decision::{Acknowledgement, ContentKind};
use super::error::PolicyError;
use super::journal::{Entry, EntryKind};
use super::mode::DeliveryMode;
use super::reason::Reason;
use super::record::Subject;
use crate::account::AccountError;
use crate::capability::NumberKey;
use crate::context::Engine;
use crate::conversation::direct_conversation_id;
use crate::event::Event;
use crate::store::StoreError;

impl Engine<'_> {
    /// The user acknowledges that a conversation goes in a mode that others can read. Both sides see it. Answers the id of the notice.
    ///
    /// # Errors
    /// [`PolicyError::NotAllowed`] where policy is not `downgrade` or there is no consent to this mode for this recipient,
    /// [`PolicyError::NotReadable`], [`PolicyError::UnknownConversation`], those of sending.
    pub fn acknowledge_downgrade(
        &mut self,
        conversation: ConversationId,
        mode: DeliveryMode,
    ) -> Result<MessageId, PolicyError> {
        if mode.is_end_to_end() {
            return Err(PolicyError::NotReadable);
        }
        let subject = Subject::Conversation(conversation);
        let mut inputs = self.inputs(subject, ContentKind::Words)?;
        inputs.acknowledged = Some(Acknowledgement { mode, at: self.now });
        let decision = decide(&inputs);
        if decision.mode() != Some(mode) {
            return Err(PolicyError::NotAllowed);
        }
        let notice = self.send(conversation, Body::DeliveryNotice(DeliveryNotice { mode: mode.code() }), None)?;
        self.put_acknowledgement(subject, Some(mode))?;
        self.append_to_journal(&Entry {
            kind: EntryKind::Downgrade,
            subject,
            message: Some(notice),
            wanted: inputs.wanted(),
            taken: Some(mode),
            reason: Reason::DowngradeAcknowledged,
            consent: inputs.consent_to(mode),
            decision: 0,
        })?;
        self.emit(Event::ConversationDowngraded { conversation, by: inputs.by, mode })?;
        Ok(notice)
    }

    /// The user acknowledges the same for a thread with a number that is known to be capable, and whose account is nobody's contact here:
    /// there is no session in which the other side could be told.
    ///
    /// # Errors
    /// As [`Engine::acknowledge_downgrade`]; [`PolicyError::NumberOfContact`].
    pub fn acknowledge_plain(
        &mut self,
        number: &rcseal_rcs::number::PhoneNumber,
        mode: DeliveryMode,
    ) -> Result<(), PolicyError> {
        let subject = Subject::Number(number.into());
        if mode.is_end_to_end() {
            return Err(PolicyError::NotReadable);
        }
        if self.contact_with_number(number.into())?.is_some() {
            return Err(PolicyError::NumberOfContact);
        }
        let mut inputs = self.inputs(subject, ContentKind::Words)?;
        if !inputs.peer.is_known() {
            return Err(PolicyError::NotKnownCapable);
        }
        inputs.acknowledged = Some(Acknowledgement { mode, at: self.now });
        if decide(&inputs).mode() != Some(mode) {
            return Err(PolicyError::NotAllowed);
        }
        self.put_acknowledgement(subject, Some(mode))?;
        Ok(())
    }

    /// The user wants a conversation end to end again. The other side is told. Answers the id of the notice.
    ///
    /// # Errors
    /// [`PolicyError::NotDowngraded`], [`PolicyError::UnknownConversation`], those of sending.
    pub fn restore_conversation(&mut self, conversation: ConversationId) -> Result<MessageId, PolicyError> {
        let own = self.account()?.address.account;
        if !self.end_downgrade(Subject::Conversation(conversation), own)? {
            return Err(PolicyError::NotDowngraded);
        }
        let mode = self.settings(Subject::Conversation(conversation))?.preference.mode();
        Ok(self.send(conversation, Body::DeliveryNotice(DeliveryNotice { mode: mode.code() }), None)?)
    }

    /// The mode that the user has acknowledged for a conversation; `None` where it is end to end.
    ///
    /// # Errors
    /// Those of the store.
    pub fn acknowledged_downgrade(&self, conversation: ConversationId) -> Result<Option<DeliveryMode>, StoreError> {
        Ok(self.settings(Subject::Conversation(conversation))?.acknowledged.map(|acknowledged| acknowledged.mode))
    }

    /// Ends a downgrade, if there is one.
    fn end_downgrade(&mut self, subject: Subject, by: AccountId) -> Result<bool, StoreError> {
        let settings = self.settings(subject)?;
        let Some(acknowledged) = settings.acknowledged else { return Ok(false) };
        self.put_acknowledgement(subject, None)?;
        self.append_to_journal(&Entry {
            kind: EntryKind::Restoration,
            subject,
            message: None,
            wanted: acknowledged.mode,
            taken: Some(settings.preference.mode()),
            reason: Reason::Restored,
            consent: None,
            decision: 0,
        })?;
        if let Subject::Conversation(conversation) = subject {
            self.emit(Event::ConversationRestored { conversation, by })?;
        }
        Ok(true)
    }

    /// A contact has another number, or is none any more: it is not whom the user's word was about.
    pub(crate) fn end_downgrade_with(&mut self, contact: AccountId) -> Result<(), AccountError> {
        let own = self.account()?.address.account;
        let subject = Subject::Conversation(direct_conversation_id(own, contact));
        self.end_downgrade(subject, own).map(|_| ()).map_err(Into::into)
    }

    /// A number is a contact's: from now on the word for it is given in the conversation, where the other side sees it.
    pub(crate) fn end_downgrade_of(&mut self, number: NumberKey) -> Result<(), AccountError> {
        let own = self.account()?.address.account;
        self.end_downgrade(Subject::Number(number), own).map(|_| ()).map_err(Into::into)
    }

    /// The store is an older copy of itself, and the life that was lost may have taken back whatever the user said in this one: no word
    /// for anything readable holds. Policies may stay, since they allow nothing by themselves.
    pub(crate) fn end_every_agreement(&mut self) -> Result<(), AccountError> {
        let own = self.account()?.address.account;
        for subject in self.subjects()? {
            self.end_downgrade(subject, own)?;
        }
        self.withdraw_attestations()?;
        self.withdraw_consents(None)?;
        self.forget_every_announcement()?;
        Ok(())
    }

    /// The other side has written end to end: what it says of modes is shown, and anything else ends a downgrade of ours.
    pub(crate) fn heard_end_to_end(
        &mut self,
        conversation: ConversationId,
        sender: DeviceAddress,
        body: &Body,
    ) -> Result<(), StoreError> {
        match body {
            Body::DeliveryNotice(notice) => {
                let by = sender.account;
                match DeliveryMode::from_code(notice.mode) {
                    // Whoever says so inside a session reads there: ours ends too, or the app would show an end that is none.
                    Some(mode) if mode.is_end_to_end() => {
                        let is_told = self.end_downgrade(Subject::Conversation(conversation), by)?;
                        if is_told { Ok(()) } else { self.emit(Event::ConversationRestored { conversation, by }) }
                    }
                    Some(mode) => self.emit(Event::ConversationDowngraded { conversation, by, mode }),
                    // Of a later version: it is shown as a message, and that is all there is to tell.
                    None => Ok(()),
                }
            }
            _ => self.end_downgrade(Subject::Conversation(conversation), sender.account).map(|_| ()),
        }
    }
}
