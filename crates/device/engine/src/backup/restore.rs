//! Writing an archive's rows into a store that has no history.
//!
//! The rows are authentic: whoever wrote them knew the user's secret. They are read all the same, each by the reader that the store has for
//! it, because whatever cannot be read now would be damage for ever. The archive's account becomes this device's: the same one, or where
//! the archive is taken into another, its author and its conversations are that one's from now on.

use std::collections::HashMap;

use rcseal_credential::UnverifiedKeySet;
use rcseal_wire::backup::{AccountRow, Row, RowKind};
use rcseal_wire::content::{Content, Conversation};
use rcseal_wire::id::{AccountId, ConversationId, DeviceAddress};

use super::{BackupError, of_row};
use crate::account::AccountError;
use crate::capability::NumberKey;
use crate::contact::Verification;
use crate::context::{Engine, Sequence};
use crate::conversation::direct_conversation_id;
use crate::message::{FailureReason, MessageKey, MessageState};
use crate::record::trailing_u64;
use crate::store::{Order, Table, prefix_end};

/// Conversations of one archive: as many as an app lists.
const CONVERSATIONS_MAX: usize = 100_000;

/// What a restoration brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Restored {
    /// Contacts.
    pub contacts: u64,
    /// Of these, those whose safety numbers had been compared, for the account key that they still have here.
    pub verified: u64,
    /// Conversations.
    pub conversations: u64,
    /// Messages, of conversations and of threads with numbers.
    pub messages: u64,
}

/// Takes rows in, in the order of the archive, within one transaction.
#[derive(Debug)]
pub struct Restorer {
    /// The archive's account.
    then: AccountId,
    /// This device.
    now: DeviceAddress,
    conversations: HashMap<ConversationId, ConversationId>,
    last_message: u64,
    last_plain: u64,
    restored: Restored,
}

impl Restorer {
    /// What was brought until now.
    #[must_use]
    pub const fn restored(&self) -> Restored {
        self.restored
    }

    fn account(&self, account: AccountId) -> AccountId {
        if account == self.then { self.now.account } else { account }
    }
}

const fn malformed(kind: RowKind) -> BackupError {
    BackupError::Malformed { kind: Some(kind) }
}

impl Engine<'_> {
    /// Begins to take in an archive of `row`'s account. This device has an account, and no messages.
    ///
    /// # Errors
    /// [`BackupError::NeedsAccount`], [`BackupError::TargetNotEmpty`].
    pub fn begin_restore(&mut self, row: &AccountRow) -> Result<Restorer, BackupError> {
        let account = match self.account() {
            Ok(account) => account,
            Err(AccountError::NoAccount) => return Err(BackupError::NeedsAccount),
            Err(error) => return Err(error.into()),
        };
        self.refuse_history()?;
        Ok(Restorer {
            then: row.account,
            now: account.address,
            conversations: HashMap::new(),
            last_message: 0,
            last_plain: 0,
            restored: Restored::default(),
        })
    }

    /// Refuses a store in which something was said already: places of messages would meet.
    ///
    /// # Errors
    /// [`BackupError::TargetNotEmpty`].
    pub fn refuse_history(&self) -> Result<(), BackupError> {
        for table in [Table::Message, Table::PlainMessage, Table::PlainThread] {
            if !self.tx.scan(table, &[], &prefix_end(&[]), 1, Order::Ascending)?.is_empty() {
                return Err(BackupError::TargetNotEmpty);
            }
        }
        Ok(())
    }

    /// Takes one row in.
    ///
    /// # Errors
    /// [`BackupError::Malformed`]; the transaction must be rolled back.
    pub fn restore_row(&mut self, restorer: &mut Restorer, row: &Row) -> Result<(), BackupError> {
        match row.kind {
            RowKind::Account | RowKind::AccountKey | RowKind::End => Ok(()),
            RowKind::KeySet => self.restore_key_set(restorer, row),
            RowKind::Latch => self.restore_latch(&row.key, &row.value).map_err(of_row(row.kind)),
            RowKind::Contact => self.restore_contact(restorer, row),
            RowKind::Conversation => self.take_conversation_back(restorer, row),
            RowKind::ConversationSettings => {
                let id = ConversationId::parse(&row.key).map_err(|_| malformed(row.kind))?;
                // A conversation that came to be while the archive was made may have settings, and not be in it.
                let Some(id) = restorer.conversations.get(&id).copied() else { return Ok(()) };
                self.restore_conversation_settings(id, &row.value).map_err(of_row(row.kind))
            }
            RowKind::Message => self.restore_message(restorer, row),
            RowKind::Reaction => self.restore_reaction(restorer, row),
            RowKind::Thread => {
                let number = number_key(&row.key, row.kind)?;
                self.restore_thread(number, &row.value).map_err(of_row(row.kind))
            }
            RowKind::ThreadMessage => {
                let (number, order) = row.key.split_at_checked(NumberKey::LEN).ok_or(malformed(row.kind))?;
                let number = number_key(number, row.kind)?;
                let order = trailing_u64(Table::PlainMessage, order).map_err(of_row(row.kind))?;
                self.restore_plain_message(number, order, &row.value).map_err(of_row(row.kind))?;
                restorer.last_plain = restorer.last_plain.max(order);
                restorer.restored.messages += 1;
                Ok(())
            }
        }
    }

    /// The last row was taken in. What comes next gets the places behind what was restored.
    ///
    /// # Errors
    /// Those of the store.
    pub fn end_restore(&mut self, restorer: &Restorer) -> Result<Restored, BackupError> {
        self.skip_to(Sequence::Message, restorer.last_message)?;
        self.skip_to(Sequence::Plain, restorer.last_plain)?;
        Ok(restorer.restored)
    }

    fn restore_key_set(&mut self, restorer: &Restorer, row: &Row) -> Result<(), BackupError> {
        let bad = || malformed(row.kind);
        let account = AccountId::parse(&row.key).map_err(|_| bad())?;
        // What this device knows of an account is newer, and was judged here.
        if account == restorer.now.account || account == restorer.then || self.key_set(account)?.is_some() {
            return Ok(());
        }
        let key_set = UnverifiedKeySet::parse(&row.value).map_err(|_| bad())?.verify().map_err(|_| bad())?;
        if key_set.account() != account {
            return Err(bad());
        }
        Ok(self.put_key_set(&key_set)?)
    }

    fn restore_contact(&mut self, restorer: &mut Restorer, row: &Row) -> Result<(), BackupError> {
        let account = AccountId::parse(&row.key).map_err(|_| malformed(row.kind))?;
        let mut contact = crate::contact::read(account, &row.value).map_err(of_row(row.kind))?;
        // A device that was linked has its account's contacts from the primary one.
        if account == restorer.now.account || self.known_contact(account)?.is_some() {
            return Ok(());
        }
        // What was compared is an account key: without it there is nothing that could be verified.
        let is_key_known = self.key_set(account)?.is_some() || contact.pin.account_key.is_some();
        if contact.verification == Verification::Verified && !is_key_known {
            contact.verification = Verification::Unverified;
        }
        contact.is_candidate = false;
        self.put_contact(&contact)?;
        // It may have other devices by now, or another account key: then the chain of its key sets shows it, and it is `changed`.
        self.need_key_set(account)?;
        restorer.restored.contacts += 1;
        restorer.restored.verified += u64::from(contact.verification == Verification::Verified);
        Ok(())
    }

    fn take_conversation_back(&mut self, restorer: &mut Restorer, row: &Row) -> Result<(), BackupError> {
        let bad = || malformed(row.kind);
        let then = ConversationId::parse(&row.key).map_err(|_| bad())?;
        let mut conversation = Conversation::parse(&row.value).map_err(|_| bad())?;
        for participant in &mut conversation.participants {
            participant.account = restorer.account(participant.account);
        }
        conversation.participants.sort_by_key(|participant| participant.account);
        let [one, other] = conversation.participants.as_slice() else { return Err(bad()) };
        let now = direct_conversation_id(one.account, other.account);
        if restorer.conversations.len() >= CONVERSATIONS_MAX || restorer.conversations.insert(then, now).is_some() {
            return Err(bad());
        }
        if self.conversation(now)?.is_none() {
            self.put_conversation(now, &conversation)?;
        }
        restorer.restored.conversations += 1;
        Ok(())
    }

    fn restore_message(&mut self, restorer: &mut Restorer, row: &Row) -> Result<(), BackupError> {
        let key = MessageKey::parse(&row.key).map_err(of_row(row.kind))?;
        // Of a conversation that came to be while the archive was made.
        let Some(conversation) = restorer.conversations.get(&key.conversation).copied() else { return Ok(()) };
        let key = MessageKey { conversation, ..key };
        let mut message = crate::message::Message::read(key, &row.value).map_err(of_row(row.kind))?;
        if !message.content.is_empty() && Content::parse(message.content.clone()).is_err() {
            return Err(malformed(row.kind));
        }
        if message.sender.account == restorer.then && restorer.then != restorer.now.account {
            message.sender = restorer.now;
        }
        // What waited to be sent waits nowhere any more: the archive has no outbox.
        if message.state == MessageState::Queued {
            message.state = MessageState::Failed { reason: FailureReason::Expired };
        }
        self.restore_message_row(&message)?;
        restorer.last_message = restorer.last_message.max(key.order);
        restorer.restored.messages += 1;
        Ok(())
    }

    fn restore_reaction(&mut self, restorer: &Restorer, row: &Row) -> Result<(), BackupError> {
        let bad = || malformed(row.kind);
        let (key, account) = row.key.split_at_checked(24).ok_or_else(bad)?;
        let key = MessageKey::parse(key).map_err(of_row(row.kind))?;
        let account = restorer.account(AccountId::parse(account).map_err(|_| bad())?);
        let emoji = std::str::from_utf8(&row.value).map_err(|_| bad())?;
        // Of a conversation that came to be while the archive was made.
        let Some(conversation) = restorer.conversations.get(&key.conversation).copied() else { return Ok(()) };
        Ok(self.put_reaction(MessageKey { conversation, ..key }, account, Some(emoji))?)
    }
}

fn number_key(bytes: &[u8], kind: RowKind) -> Result<NumberKey, BackupError> {
    bytes.try_into().ok().and_then(NumberKey::from_bytes).ok_or(malformed(kind))
}
