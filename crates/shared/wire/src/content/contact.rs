//! Contacts, as devices of one account tell each other.

use super::{ContentError, NAME_LEN_MAX, fixed, id, limited, proto};
use crate::id::{AccountId, KeySetCounter, KeySetHash};
use crate::origin::Origin;
use crate::token::DeliveryToken;

/// A contact, as devices of one account tell each other.
#[derive(Debug)]
pub struct ContactEntry {
    /// The account.
    pub account: AccountId,
    /// The leave to write to it.
    pub delivery_token: DeliveryToken,
    /// Where its mailboxes are.
    pub origin: Origin,
    /// What the user calls it.
    pub name: String,
    /// The key set last seen.
    pub key_set_counter: KeySetCounter,
    /// Its hash.
    pub key_set_hash: KeySetHash,
    /// The account key behind it, without which a later key set could be anybody's; `None` where it is not known yet.
    pub account_key: Option<[u8; 32]>,
    /// The user compared safety numbers, over that account key.
    pub verified: bool,
    /// The account key was replaced, and the user has not decided about that.
    pub changed: Option<KeyChange>,
    /// The user wants nothing to do with the contact.
    pub blocked: bool,
}

/// By whose leave a contact's account key was replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyChange {
    /// The key before signed.
    Migrated,
    /// The recovery key signed.
    Recovered,
    /// Nobody signed. What a later version may know beside these is taken for this one.
    Reset,
}

impl ContactEntry {
    pub(super) fn to_proto(&self) -> proto::Contact {
        proto::Contact {
            account: self.account.as_bytes().to_vec(),
            delivery_token: self.delivery_token.expose().to_vec(),
            origin: self.origin.to_string(),
            name: self.name.clone(),
            key_set_counter: self.key_set_counter.get(),
            key_set_hash: self.key_set_hash.as_bytes().to_vec(),
            verified: self.verified,
            changed: match self.changed {
                None => 0,
                Some(KeyChange::Migrated) => 1,
                Some(KeyChange::Recovered) => 2,
                Some(KeyChange::Reset) => 3,
            },
            blocked: self.blocked,
            account_key: self.account_key.map(Vec::from).unwrap_or_default(),
        }
    }

    pub(super) fn from_proto(contact: proto::Contact) -> Result<Self, ContentError> {
        Ok(Self {
            account: id("contact.account", AccountId::parse(&contact.account))?,
            delivery_token: DeliveryToken::parse(&contact.delivery_token)
                .map_err(|_| ContentError::Field { field: "contact.delivery_token" })?,
            origin: contact.origin.parse().map_err(|_| ContentError::Field { field: "contact.origin" })?,
            name: limited("contact.name", contact.name, NAME_LEN_MAX)?,
            key_set_counter: KeySetCounter::new(contact.key_set_counter),
            key_set_hash: id("contact.key_set_hash", KeySetHash::parse(&contact.key_set_hash))?,
            account_key: match contact.account_key.as_slice() {
                [] => None,
                key => Some(fixed("contact.account_key", key)?),
            },
            verified: contact.verified,
            changed: match contact.changed {
                0 => None,
                1 => Some(KeyChange::Migrated),
                2 => Some(KeyChange::Recovered),
                _ => Some(KeyChange::Reset),
            },
            blocked: contact.blocked,
        })
    }
}
