//! Conversations: who takes part, with which devices.
//!
//! A direct conversation is between two accounts, and its id follows from theirs, so that both may begin at once and mean the same one.
//! Participants are explicit, (account, role, devices in scope): what is sent goes to those devices and no others.

use rcseal_credential::VerifiedKeySet;
use rcseal_crypto::hash::sha256;
use rcseal_wire::content::{Conversation, ConversationKind, Participant, Role};
use rcseal_wire::id::{AccountId, ConversationId, Custody, DeviceAddress};

use crate::account::AccountError;
use crate::contact::ContactError;
use crate::context::Engine;
use crate::store::{BadRow, Order, StoreError, Table, prefix_end};

const DIRECT_LABEL: &[u8] = b"rcseal/conversation/direct/v1";
/// Conversations that one scan reads.
const SCAN_MAX: usize = 10_000;

/// A conversation, as apps see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationView {
    /// Its id.
    pub id: ConversationId,
    /// Everybody in it.
    pub participants: Vec<Participant>,
    /// Its title; empty in direct ones.
    pub title: String,
}

/// The id of the direct conversation of two accounts: SHA-256 of a label and both ids, the lower first, cut to 16 bytes.
#[must_use]
pub fn direct_conversation_id(one: AccountId, other: AccountId) -> ConversationId {
    let (lower, higher) = if one <= other { (one, other) } else { (other, one) };
    let hash = sha256(&[DIRECT_LABEL, lower.as_bytes(), higher.as_bytes()]);
    let (id, _) = hash.split_first_chunk::<16>().expect("a SHA-256 hash has more than 16 bytes");
    ConversationId::from_bytes(*id)
}

/// The participants of a direct conversation.
pub(crate) fn direct(one: AccountId, other: AccountId) -> Conversation {
    let mut accounts = [one, other];
    accounts.sort_unstable();
    let participants =
        accounts.into_iter().map(|account| Participant { account, role: Role::Member, devices: None }).collect();
    Conversation { kind: ConversationKind::Direct, participants, title: String::new() }
}

/// The devices of a participant that are in scope.
pub(crate) fn devices_in_scope(participant: &Participant, key_set: &VerifiedKeySet) -> Vec<DeviceAddress> {
    key_set
        .devices()
        .iter()
        .filter(|device| match &participant.devices {
            Some(devices) => devices.contains(&device.number()),
            None => device.custody() == Custody::User,
        })
        .map(|device| DeviceAddress { account: participant.account, device: device.number() })
        .collect()
}

impl Engine<'_> {
    /// The direct conversation with a contact; it comes to be when it is first asked for.
    ///
    /// # Errors
    /// [`ContactError::Unknown`].
    pub fn direct_conversation(&mut self, account: AccountId) -> Result<ConversationId, ContactError> {
        let own = self.account()?.address.account;
        self.known_contact(account)?.ok_or(ContactError::Unknown)?;
        let id = direct_conversation_id(own, account);
        if self.conversation(id)?.is_none() {
            self.put_conversation(id, &direct(own, account))?;
        }
        Ok(id)
    }

    /// Every conversation.
    ///
    /// # Errors
    /// Those of the store.
    pub fn conversations(&self) -> Result<Vec<ConversationView>, AccountError> {
        let rows = self.tx.scan(Table::Conversation, &[], &prefix_end(&[]), SCAN_MAX, Order::Ascending)?;
        rows.into_iter()
            .map(|(key, row)| {
                let bad = || BadRow::error(Table::Conversation);
                let conversation = Conversation::parse(&row).map_err(|_| bad())?;
                Ok(ConversationView {
                    id: ConversationId::parse(&key).map_err(|_| bad())?,
                    participants: conversation.participants,
                    title: conversation.title,
                })
            })
            .collect()
    }

    pub(crate) fn conversation(&self, id: ConversationId) -> Result<Option<Conversation>, StoreError> {
        let Some(row) = self.tx.get(Table::Conversation, id.as_bytes())? else { return Ok(None) };
        Conversation::parse(&row).map(Some).map_err(|_| BadRow::error(Table::Conversation))
    }

    pub(crate) fn put_conversation(
        &mut self,
        id: ConversationId,
        conversation: &Conversation,
    ) -> Result<(), StoreError> {
        self.tx.put(Table::Conversation, id.as_bytes(), &conversation.to_bytes())
    }
}
