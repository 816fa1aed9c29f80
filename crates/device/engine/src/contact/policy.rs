//! What the user decides about a contact: what becomes of messages after a change of key, whether to hear of the contact at all, and
//! when to be reminded to compare safety numbers.
//!
//! **After a change.** A contact is `changed` when its account key was replaced after somebody had compared safety numbers, or by a reset,
//! which nothing proves, whether they had or not. What becomes of messages then is policy, of the account and of the contact; the stricter
//! one counts; where it says *block*, receipts, answers and handshakes are kept back as well, which would introduce this device to the new
//! keys. [`Engine::verify_digits`], [`Engine::verify_scan`] and [`Engine::accept_change`] end the state.
//!
//! **Blocked.** Nothing is sent to a blocked contact: no messages, receipts or notices. What comes from it is decrypted, so that the
//! sessions stay in step and an end of the block loses nothing but the messages in between, and dropped unread: no row, no event, no
//! receipt. The peer sees what it would see of somebody who is offline.
//!
//! **Removed.** Nothing stays of a removed contact but the conversation, which is the user's, and that it was known to have encryption. Words
//! that the user let go in the open do so no more, should it come back. The delivery token is replaced, so that the
//! contact, who knows the old one, cannot come back with a first message once the overlap is over; who must not come back at once is
//! blocked.
//!
//! **On several devices.** These are decisions of the device they are made on. One that is linked later begins with the contacts as they
//! are on the primary device, blocked and changed ones included, and with the strictest policy.

use rcseal_credential::Succession;
use rcseal_wire::content::NAME_LEN_MAX;
use rcseal_wire::id::{AccountId, ConversationId, DeviceAddress};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

use super::{ContactError, Verification};
use crate::account::{AccountError, TOKEN_OVERLAP_MS};
use crate::context::Engine;
use crate::event::Event;
use crate::need::NeedKind;
use crate::record::{Record, trailing_u64};
use crate::send::SendError;
use crate::session::SessionKey;
use crate::store::{BadRow, Order, StoreError, Table, prefix_end};

/// Between two reminders in one conversation: a week. More often and people stop reading them.
pub const SUGGESTION_PAUSE_MS: u64 = 7 * 24 * 3600 * 1000;
/// Sessions read at once where all of an account are looked at.
const PAGE: usize = 256;

/// What becomes of messages to a contact whose account key changed. In ascending order of strictness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangePolicy {
    /// They are sent.
    Allow,
    /// They are sent, and the app is told each time that it should warn: [`Event::VerificationSuggested`].
    Warn,
    /// They are refused until the user compares again or accepts the change.
    Block,
}

impl ChangePolicy {
    /// The name in texts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Warn => "warn",
            Self::Block => "block",
        }
    }

    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Allow => 1,
            Self::Warn => 2,
            Self::Block => 3,
        }
    }

    pub(crate) const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Allow),
            2 => Some(Self::Warn),
            3 => Some(Self::Block),
            _ => None,
        }
    }
}

#[derive(Default, TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct ConversationSettings {
    is_high_risk: u8,
    suggested_at_ms: u64,
}

impl Record for ConversationSettings {
    const VERSION: u8 = 1;
}

impl Engine<'_> {
    /// Sets what becomes of messages to contacts whose account key changed.
    ///
    /// # Errors
    /// [`AccountError::NoAccount`].
    pub fn set_change_policy(&mut self, policy: ChangePolicy) -> Result<(), AccountError> {
        let mut account = self.account()?;
        account.change_policy = policy;
        Ok(self.put_account(&account)?)
    }

    /// Sets it for one contact; `None` leaves it to the account's. A milder one than the account's has no effect.
    ///
    /// # Errors
    /// [`ContactError::Unknown`].
    pub fn set_contact_policy(&mut self, account: AccountId, policy: Option<ChangePolicy>) -> Result<(), ContactError> {
        let mut contact = self.known_contact(account)?.ok_or(ContactError::Unknown)?;
        contact.change_policy = policy;
        Ok(self.put_contact(&contact)?)
    }

    /// The user takes the contact's new account key for genuine without comparing: the contact is unverified again, and can be written to.
    ///
    /// # Errors
    /// [`ContactError::Unknown`], [`ContactError::NotChanged`].
    pub fn accept_change(&mut self, account: AccountId) -> Result<(), ContactError> {
        let mut contact = self.known_contact(account)?.ok_or(ContactError::Unknown)?;
        if contact.verification != Verification::Changed {
            return Err(ContactError::NotChanged);
        }
        contact.verification = Verification::Unverified;
        contact.changed_how = None;
        self.put_contact(&contact)?;
        // What was kept back goes out.
        Ok(self.release_unless_kept_back(account)?)
    }

    /// Gives a contact another name; an empty one leaves what it calls itself.
    ///
    /// # Errors
    /// [`ContactError::Unknown`], [`ContactError::NameTooLong`].
    pub fn rename_contact(&mut self, account: AccountId, name: &str) -> Result<(), ContactError> {
        if name.len() > NAME_LEN_MAX {
            return Err(ContactError::NameTooLong);
        }
        let mut contact = self.known_contact(account)?.ok_or(ContactError::Unknown)?;
        name.clone_into(&mut contact.name);
        Ok(self.put_contact(&contact)?)
    }

    /// Blocks a contact, or ends that.
    ///
    /// # Errors
    /// [`ContactError::Unknown`].
    pub fn block_contact(&mut self, account: AccountId, is_blocked: bool) -> Result<(), ContactError> {
        let mut contact = self.known_contact(account)?.ok_or(ContactError::Unknown)?;
        contact.is_blocked = is_blocked;
        self.put_contact(&contact)?;
        Ok(self.release_unless_kept_back(account)?)
    }

    /// Forgets a contact: its keys, sessions and mailboxes, and what waits to be sent to it. The conversation stays. On the primary device
    /// the delivery token that the contact knows is replaced; on a linked one the user does that on the primary.
    ///
    /// # Errors
    /// [`ContactError::Unknown`].
    pub fn remove_contact(&mut self, account: AccountId) -> Result<(), ContactError> {
        self.known_contact(account)?.ok_or(ContactError::Unknown)?;
        let prefix = account.as_bytes();
        let end = prefix_end(prefix);
        loop {
            let rows = self.tx.scan(Table::Session, prefix, &end, PAGE, Order::Ascending)?;
            if rows.is_empty() {
                break;
            }
            for (row_key, _) in &rows {
                let peer = row_key.get(..DeviceAddress::LEN).and_then(|bytes| DeviceAddress::parse(bytes).ok());
                let peer = peer.ok_or_else(|| BadRow::error(Table::Session))?;
                self.drop_session(SessionKey { peer, number: trailing_u64(Table::Session, row_key)? })?;
            }
        }
        self.forget_unsent(account)?;
        self.give_up_parked(account)?;
        for kind in [NeedKind::KeySet, NeedKind::KeySets, NeedKind::Bundles] {
            self.need_met(kind, account)?;
        }
        self.tx.delete_range(Table::Route, prefix, &end)?;
        self.tx.delete(Table::KeySet, prefix)?;
        self.tx.delete(Table::RefusalTold, prefix)?;
        self.forget_on_carrier(account)?;
        self.forget_number_gossip(account)?;
        self.end_downgrade_with(account)?;
        self.forget_announced(account)?;
        self.withdraw_consents(Some(account))?;
        self.tx.delete(Table::Contact, prefix)?;
        match self.replace_delivery_token(TOKEN_OVERLAP_MS) {
            // The replacement under way has not been told to anybody: the contact does not know it.
            Ok(()) | Err(AccountError::TokenUnderWay | AccountError::NotPrimary) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Marks a conversation as one in which being deceived would be costly: the user is reminded to compare safety numbers.
    ///
    /// # Errors
    /// [`SendError::UnknownConversation`].
    pub fn set_high_risk(&mut self, conversation: ConversationId, is_high_risk: bool) -> Result<(), SendError> {
        self.conversation(conversation)?.ok_or(SendError::UnknownConversation)?;
        let mut settings = self.conversation_settings(conversation)?;
        settings.is_high_risk = u8::from(is_high_risk);
        Ok(self.put_conversation_settings(conversation, &settings)?)
    }

    /// Whether a conversation is marked so.
    ///
    /// # Errors
    /// Those of the store.
    pub fn is_high_risk(&self, conversation: ConversationId) -> Result<bool, StoreError> {
        Ok(self.conversation_settings(conversation)?.is_high_risk == 1)
    }

    /// Takes a row of a backup in.
    pub(crate) fn restore_conversation_settings(
        &mut self,
        conversation: ConversationId,
        row: &[u8],
    ) -> Result<(), StoreError> {
        let settings = ConversationSettings::from_row(Table::ConversationSettings, row)?;
        self.put_conversation_settings(conversation, &settings)
    }

    fn conversation_settings(&self, conversation: ConversationId) -> Result<ConversationSettings, StoreError> {
        match self.tx.get(Table::ConversationSettings, conversation.as_bytes())? {
            Some(row) => ConversationSettings::from_row(Table::ConversationSettings, &row),
            None => Ok(ConversationSettings::default()),
        }
    }

    fn put_conversation_settings(
        &mut self,
        conversation: ConversationId,
        settings: &ConversationSettings,
    ) -> Result<(), StoreError> {
        self.tx.put(Table::ConversationSettings, conversation.as_bytes(), &settings.to_row())
    }

    /// What becomes of messages to a contact that is `changed`.
    fn effective_policy(&self, contact: &super::Contact) -> Result<ChangePolicy, AccountError> {
        let of_account = self.account()?.change_policy;
        Ok(contact.change_policy.map_or(of_account, |of_contact| of_contact.max(of_account)))
    }

    /// Whether messages to an account are kept back until the user decides, for whatever reason.
    pub(crate) fn is_kept_back(&self, account: AccountId) -> Result<bool, AccountError> {
        let Some(contact) = self.contact(account)? else { return Ok(false) };
        Ok(contact.is_blocked || self.is_kept_back_by_change(&contact)?)
    }

    fn is_kept_back_by_change(&self, contact: &super::Contact) -> Result<bool, AccountError> {
        Ok(contact.verification == Verification::Changed && self.effective_policy(contact)? == ChangePolicy::Block)
    }

    /// The user has decided something that may let messages go that were kept back.
    pub(crate) fn release_unless_kept_back(&mut self, account: AccountId) -> Result<(), AccountError> {
        if self.is_kept_back(account)? { Ok(()) } else { self.release_waiting(account) }
    }

    /// Whether the user wants nothing to do with an account.
    pub(crate) fn is_blocked(&self, account: AccountId) -> Result<bool, StoreError> {
        Ok(self.contact(account)?.is_some_and(|contact| contact.is_blocked))
    }

    /// Whether a message may be sent to an account.
    pub(crate) fn check_recipient(&self, account: AccountId) -> Result<(), SendError> {
        match self.contact(account)? {
            Some(contact) if contact.is_blocked => Err(SendError::ContactBlocked),
            Some(contact) if self.is_kept_back_by_change(&contact)? => Err(SendError::VerificationChanged),
            Some(_) | None => Ok(()),
        }
    }

    /// A message goes to an account: its sender may have to be reminded of something.
    pub(crate) fn remind(&mut self, conversation: ConversationId, account: AccountId) -> Result<(), SendError> {
        let Some(contact) = self.contact(account)? else { return Ok(()) };
        match contact.verification {
            Verification::Verified => Ok(()),
            Verification::Changed if self.effective_policy(&contact)? == ChangePolicy::Allow => Ok(()),
            Verification::Changed => Ok(self.emit(Event::VerificationSuggested { account })?),
            Verification::Unverified => Ok(self.suggest_verification(conversation, account)?),
        }
    }

    /// Reminds of comparing safety numbers, now and then, where it matters.
    fn suggest_verification(&mut self, conversation: ConversationId, account: AccountId) -> Result<(), StoreError> {
        let mut settings = self.conversation_settings(conversation)?;
        if settings.is_high_risk != 1 || self.now.0.saturating_sub(settings.suggested_at_ms) < SUGGESTION_PAUSE_MS {
            return Ok(());
        }
        settings.suggested_at_ms = self.now.0;
        self.put_conversation_settings(conversation, &settings)?;
        self.emit(Event::VerificationSuggested { account })
    }

    /// A contact's account key is another one.
    pub(super) fn account_key_changed(&mut self, account: AccountId, how: Succession) -> Result<(), AccountError> {
        if let Some(mut contact) = self.contact(account)?
            && (contact.verification != Verification::Unverified || how == Succession::Reset)
        {
            contact.verification = Verification::Changed;
            contact.changed_how = Some(contact.changed_how.map_or(how, |before| before.max(how)));
            self.put_contact(&contact)?;
        }
        Ok(self.emit(Event::AccountKeyChanged { account, how })?)
    }
}
