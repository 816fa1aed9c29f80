//! Contacts: other accounts, what we know of their keys, and the leave to write to them.
//!
//! A contact begins with an [`Invitation`] or with a first message. Its keys come from its signed key set, which a server hands over and
//! nobody trusts it for: the set must be signed, must follow the one known, and at first must be the one the invitation named.
//!
//! **Verification** is a state of the contact, over its account key: `unverified` until somebody compared safety numbers, then `verified`,
//! and `changed` when the account key was replaced after that, or by a reset (`policy.rs` says what follows).

mod error;
mod key_set;
mod policy;

pub use error::ContactError;
pub use key_set::{KeySetOutcome, KeySetRefusal};
pub use policy::{ChangePolicy, SUGGESTION_PAUSE_MS};

use rcseal_credential::{SafetyNumber, Succession};
use rcseal_wire::content::{ContactEntry, KeyChange, NAME_LEN_MAX};
use rcseal_wire::id::{AccountId, KeySetCounter, KeySetHash};
use rcseal_wire::invitation::Invitation;
use rcseal_wire::origin::Origin;
use rcseal_wire::token::DeliveryToken;
use tls_codec::{TlsByteVecU16, TlsDeserializeBytes, TlsSerialize, TlsSize};
use zeroize::{Zeroize, Zeroizing};

use crate::account::DeviceView;
use crate::context::Engine;
use crate::event::Event;
use crate::record::{Record, text};
use crate::store::{BadRow, Order, StoreError, Table, prefix_end};

/// Contacts that one scan reads.
const SCAN_MAX: usize = 10_000;

/// Whether somebody compared safety numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    /// Nobody has.
    Unverified,
    /// Somebody has, for the account key as it is.
    Verified,
    /// Somebody had, and the account key was replaced since; or it was replaced by a reset.
    Changed,
}

impl Verification {
    /// The name in texts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unverified => "unverified",
            Self::Verified => "verified",
            Self::Changed => "changed",
        }
    }
}

/// A contact, as apps see it.
#[derive(Debug, Clone)]
pub struct ContactView {
    /// The account.
    pub account: AccountId,
    /// What the user calls it.
    pub name: String,
    /// What it calls itself. A claim.
    pub display_name: String,
    /// Where its mailboxes are.
    pub origin: Origin,
    /// Whether somebody compared safety numbers.
    pub verification: Verification,
    /// Its devices, once its key set is known.
    pub devices: Vec<DeviceView>,
    /// The newest key set known.
    pub key_set_counter: Option<u64>,
    /// How the account key changed, while the contact is [`Verification::Changed`]: the weakest ground of several.
    pub changed_how: Option<Succession>,
    /// What becomes of messages after a change, where it is stricter than the account's own policy.
    pub change_policy: Option<ChangePolicy>,
    /// Nothing is sent to it, and what comes from it is dropped.
    pub is_blocked: bool,
}

/// What must hold of the first key set of a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pin {
    pub(crate) counter: KeySetCounter,
    pub(crate) hash: KeySetHash,
    /// Known from an invitation; a first message cannot tell it.
    pub(crate) account_key: Option<[u8; 32]>,
}

/// A contact out of the store.
pub(crate) struct Contact {
    pub(crate) account: AccountId,
    pub(crate) name: String,
    pub(crate) display_name: String,
    pub(crate) origin: Origin,
    pub(crate) delivery_token: DeliveryToken,
    pub(crate) pin: Pin,
    pub(crate) verification: Verification,
    pub(crate) changed_how: Option<Succession>,
    pub(crate) change_policy: Option<ChangePolicy>,
    pub(crate) is_blocked: bool,
    /// Somebody claims to be this account, and no message of theirs has authenticated yet. Not shown.
    pub(crate) is_candidate: bool,
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct ContactRecord {
    name: TlsByteVecU16,
    display_name: TlsByteVecU16,
    origin: TlsByteVecU16,
    delivery_token: [u8; 32],
    pin_counter: u64,
    pin_hash: [u8; 32],
    /// Empty where unknown.
    pin_account_key: TlsByteVecU16,
    /// 1 unverified, 2 verified, 3 changed.
    verification: u8,
    /// 0 not, 3 migrated, 4 recovered, 5 reset.
    changed_how: u8,
    /// 0 the account's, 1 allow, 2 warn, 3 block.
    change_policy: u8,
    is_blocked: u8,
    is_candidate: u8,
}

impl Record for ContactRecord {
    const VERSION: u8 = 1;
}

impl Drop for ContactRecord {
    fn drop(&mut self) {
        self.delivery_token.zeroize();
    }
}

impl Engine<'_> {
    /// Takes an invitation in. The contact can be written to at once; its keys are fetched before the first message leaves.
    ///
    /// # Errors
    /// [`ContactError::Own`] for one's own invitation.
    pub fn add_contact(&mut self, invitation: &Invitation, name: &str) -> Result<AccountId, ContactError> {
        let own = self.account()?;
        if invitation.account == own.address.account {
            return Err(ContactError::Own);
        }
        if name.len() > NAME_LEN_MAX {
            return Err(ContactError::NameTooLong);
        }
        let pin = Pin {
            counter: invitation.key_set_counter,
            hash: invitation.key_set_hash,
            account_key: Some(invitation.account_key),
        };
        let known = self.known_contact(invitation.account)?;
        match (&known, self.key_set(invitation.account)?) {
            // Somebody gave us an invitation to an account we know: it must not speak of another account key.
            (Some(_), Some(key_set)) if key_set.account_key().as_bytes() != &invitation.account_key => {
                return Err(ContactError::OtherAccountKey);
            }
            (Some(contact), None) if contact.pin.account_key.is_some_and(|key| key != invitation.account_key) => {
                return Err(ContactError::OtherAccountKey);
            }
            // What a mere claim brought here gives way to what the invitation names.
            (None, Some(key_set)) if key_set::check(&pin, &key_set).is_err() => {
                self.tx.delete(Table::KeySet, invitation.account.as_bytes())?;
            }
            (Some(_) | None, Some(_) | None) => {}
        }
        if known.is_some() {
            // Whoever gives another invitation may have removed this account, and its sessions with it. Unless something more comes
            // in one of those, what is sent next begins a new one.
            let prefix = invitation.account.as_bytes();
            self.tx.delete_range(Table::ActiveSession, prefix, &prefix_end(prefix))?;
        }
        let contact = match known {
            Some(contact) => Contact {
                name: if name.is_empty() { contact.name } else { name.to_owned() },
                origin: invitation.origin.clone(),
                delivery_token: invitation.delivery_token.duplicate(),
                ..contact
            },
            None => {
                self.emit(Event::ContactAdded { account: invitation.account })?;
                Contact {
                    account: invitation.account,
                    name: name.to_owned(),
                    display_name: String::new(),
                    origin: invitation.origin.clone(),
                    delivery_token: invitation.delivery_token.duplicate(),
                    pin,
                    verification: Verification::Unverified,
                    changed_how: None,
                    change_policy: None,
                    is_blocked: false,
                    is_candidate: false,
                }
            }
        };
        self.put_contact(&contact)?;
        if self.key_set(contact.account)?.is_none_or(|key_set| key_set.counter() < invitation.key_set_counter) {
            self.need_key_set(contact.account)?;
        }
        Ok(contact.account)
    }

    /// Every contact.
    ///
    /// # Errors
    /// Those of the store.
    pub fn contacts(&mut self) -> Result<Vec<ContactView>, ContactError> {
        let rows = self.tx.scan(Table::Contact, &[], &prefix_end(&[]), SCAN_MAX, Order::Ascending)?;
        let mut views = Vec::new();
        for (key, row) in rows {
            let account = AccountId::parse(&key).map_err(|_| BadRow::error(Table::Contact))?;
            let contact = read(account, &Zeroizing::new(row))?;
            if !contact.is_candidate {
                views.push(self.view_contact(contact)?);
            }
        }
        Ok(views)
    }

    /// One contact.
    ///
    /// # Errors
    /// [`ContactError::Unknown`].
    pub fn contact_view(&mut self, account: AccountId) -> Result<ContactView, ContactError> {
        let contact = self.known_contact(account)?.ok_or(ContactError::Unknown)?;
        Ok(self.view_contact(contact)?)
    }

    fn view_contact(&self, contact: Contact) -> Result<ContactView, StoreError> {
        let key_set = self.key_set(contact.account)?;
        Ok(ContactView {
            account: contact.account,
            name: contact.name,
            display_name: contact.display_name,
            origin: contact.origin,
            verification: contact.verification,
            changed_how: contact.changed_how,
            change_policy: contact.change_policy,
            is_blocked: contact.is_blocked,
            key_set_counter: key_set.as_ref().map(|key_set| key_set.counter().get()),
            devices: key_set
                .iter()
                .flat_map(|key_set| key_set.devices())
                .map(|device| DeviceView {
                    number: device.number(),
                    platform: device.platform(),
                    custody: device.custody(),
                })
                .collect(),
        })
    }

    /// The safety number with a contact: the same on both sides.
    ///
    /// # Errors
    /// [`ContactError::Unknown`], or [`ContactError::NoKeySet`] before the contact's keys were fetched.
    pub fn safety_number(&mut self, account: AccountId) -> Result<SafetyNumber, ContactError> {
        let own = self.account()?;
        let ours = self.own_key_set(&own)?.party();
        self.known_contact(account)?.ok_or(ContactError::Unknown)?;
        let theirs = self.key_set(account)?.ok_or(ContactError::NoKeySet)?.party();
        Ok(SafetyNumber::new(&ours, &theirs))
    }

    /// The user has compared these digits with the contact's, and they were the same. They are checked against the keys of now: whoever
    /// could have the keys replaced while two people read sixty digits to each other would be verified in the contact's place.
    ///
    /// # Errors
    /// [`ContactError::Scan`] when they are not those of the keys of now; those of [`Engine::safety_number`].
    pub fn verify_digits(&mut self, account: AccountId, digits: &str) -> Result<(), ContactError> {
        self.safety_number(account)?.verify_digits(digits)?;
        self.mark_verified(account)
    }

    /// The keys of now are the contact's.
    pub(crate) fn mark_verified(&mut self, account: AccountId) -> Result<(), ContactError> {
        let mut contact = self.known_contact(account)?.ok_or(ContactError::Unknown)?;
        self.key_set(account)?.ok_or(ContactError::NoKeySet)?;
        contact.verification = Verification::Verified;
        contact.changed_how = None;
        self.put_contact(&contact)?;
        // What was kept back after a change goes out.
        Ok(self.release_unless_kept_back(account)?)
    }

    /// The user has scanned the contact's code.
    ///
    /// # Errors
    /// [`ContactError::Scan`] when it is not the contact's.
    pub fn verify_scan(&mut self, account: AccountId, scanned: &str) -> Result<(), ContactError> {
        self.safety_number(account)?.verify_scan(scanned)?;
        self.mark_verified(account)
    }

    pub(crate) fn contact(&self, account: AccountId) -> Result<Option<Contact>, StoreError> {
        let Some(row) = self.tx.get(Table::Contact, account.as_bytes())? else { return Ok(None) };
        read(account, &Zeroizing::new(row)).map(Some)
    }

    /// Somebody who was invited, or of whom a message has authenticated: not a mere claim.
    pub(crate) fn known_contact(&self, account: AccountId) -> Result<Option<Contact>, StoreError> {
        Ok(self.contact(account)?.filter(|contact| !contact.is_candidate))
    }

    /// Whether all that is known of an account is that somebody claims to be it.
    pub(crate) fn is_claim(&self, account: AccountId) -> Result<bool, StoreError> {
        Ok(self.contact(account)?.is_some_and(|contact| contact.is_candidate))
    }

    pub(crate) fn put_contact(&mut self, contact: &Contact) -> Result<(), StoreError> {
        let record = ContactRecord {
            name: contact.name.as_bytes().into(),
            display_name: contact.display_name.as_bytes().into(),
            origin: contact.origin.as_str().as_bytes().into(),
            delivery_token: *contact.delivery_token.expose(),
            pin_counter: contact.pin.counter.get(),
            pin_hash: *contact.pin.hash.as_bytes(),
            pin_account_key: contact.pin.account_key.map(Vec::from).unwrap_or_default().into(),
            verification: match contact.verification {
                Verification::Unverified => 1,
                Verification::Verified => 2,
                Verification::Changed => 3,
            },
            changed_how: contact.changed_how.map_or(0, succession_number),
            change_policy: contact.change_policy.map_or(0, ChangePolicy::number),
            is_blocked: u8::from(contact.is_blocked),
            is_candidate: u8::from(contact.is_candidate),
        };
        self.tx.put(Table::Contact, contact.account.as_bytes(), &record.to_row())
    }

    /// Contacts as the devices of one account tell each other.
    pub(crate) fn contact_entries(&self) -> Result<Vec<ContactEntry>, StoreError> {
        let rows = self.tx.scan(
            Table::Contact,
            &[],
            &prefix_end(&[]),
            rcseal_wire::content::CONTACTS_MAX,
            Order::Ascending,
        )?;
        let mut entries = Vec::new();
        for (key, row) in rows {
            let account = AccountId::parse(&key).map_err(|_| BadRow::error(Table::Contact))?;
            let contact = read(account, &Zeroizing::new(row))?;
            if contact.is_candidate {
                continue;
            }
            let key_set = self.key_set(account)?;
            entries.push(ContactEntry {
                account,
                delivery_token: contact.delivery_token,
                origin: contact.origin,
                name: contact.name,
                key_set_counter: key_set
                    .as_ref()
                    .map_or(contact.pin.counter, rcseal_credential::VerifiedKeySet::counter),
                key_set_hash: key_set.as_ref().map_or(contact.pin.hash, rcseal_credential::VerifiedKeySet::hash),
                account_key: key_set
                    .as_ref()
                    .map_or(contact.pin.account_key, |key_set| Some(*key_set.account_key().as_bytes())),
                verified: contact.verification == Verification::Verified,
                changed: match contact.verification {
                    Verification::Changed => Some(key_change(contact.changed_how)),
                    Verification::Unverified | Verification::Verified => None,
                },
                blocked: contact.is_blocked,
            });
        }
        Ok(entries)
    }

    /// Another device of this account told us its contacts. What we know better stays.
    pub(crate) fn take_contact_entries(&mut self, entries: Vec<ContactEntry>) -> Result<(), StoreError> {
        let own = self.account().map_err(|_| BadRow::error(Table::Account))?.address.account;
        for entry in entries {
            if entry.account == own || self.known_contact(entry.account)?.is_some() {
                continue;
            }
            // Whatever a mere claim brought here is of no weight beside it.
            self.tx.delete(Table::KeySet, entry.account.as_bytes())?;
            self.put_contact(&Contact {
                account: entry.account,
                name: entry.name,
                display_name: String::new(),
                origin: entry.origin,
                delivery_token: entry.delivery_token,
                pin: Pin { counter: entry.key_set_counter, hash: entry.key_set_hash, account_key: entry.account_key },
                // What was compared is the account key: without it there is nothing that could be verified.
                verification: match (entry.changed, entry.account_key) {
                    (Some(_), _) => Verification::Changed,
                    (None, Some(_)) if entry.verified => Verification::Verified,
                    (None, Some(_) | None) => Verification::Unverified,
                },
                changed_how: entry.changed.map(succession),
                change_policy: None,
                is_blocked: entry.blocked,
                is_candidate: false,
            })?;
            self.emit(Event::ContactAdded { account: entry.account })?;
            self.need_key_set(entry.account)?;
        }
        Ok(())
    }
}

/// How an account key changed, as the devices of one account tell each other.
const fn key_change(how: Option<Succession>) -> KeyChange {
    match how {
        Some(Succession::Migrated) => KeyChange::Migrated,
        Some(Succession::Recovered) => KeyChange::Recovered,
        Some(Succession::Reset | Succession::Unchanged | Succession::SameAccountKey) | None => KeyChange::Reset,
    }
}

const fn succession(change: KeyChange) -> Succession {
    match change {
        KeyChange::Migrated => Succession::Migrated,
        KeyChange::Recovered => Succession::Recovered,
        KeyChange::Reset => Succession::Reset,
    }
}

/// The number that stands for a succession in rows.
pub(crate) const fn succession_number(succession: Succession) -> u8 {
    match succession {
        Succession::Unchanged => 1,
        Succession::SameAccountKey => 2,
        Succession::Migrated => 3,
        Succession::Recovered => 4,
        Succession::Reset => 5,
    }
}

/// The succession that a number stands for.
pub(crate) const fn succession_from_number(number: u8) -> Option<Succession> {
    match number {
        1 => Some(Succession::Unchanged),
        2 => Some(Succession::SameAccountKey),
        3 => Some(Succession::Migrated),
        4 => Some(Succession::Recovered),
        5 => Some(Succession::Reset),
        _ => None,
    }
}

pub(crate) fn read(account: AccountId, row: &[u8]) -> Result<Contact, StoreError> {
    let bad = || BadRow::error(Table::Contact);
    let record = ContactRecord::from_row(Table::Contact, row)?;
    Ok(Contact {
        account,
        name: text(Table::Contact, record.name.as_slice())?,
        display_name: text(Table::Contact, record.display_name.as_slice())?,
        origin: text(Table::Contact, record.origin.as_slice())?.parse().map_err(|_| bad())?,
        delivery_token: DeliveryToken::from_bytes(record.delivery_token),
        pin: Pin {
            counter: KeySetCounter::new(record.pin_counter),
            hash: KeySetHash::from_bytes(record.pin_hash),
            account_key: match record.pin_account_key.as_slice() {
                [] => None,
                key => Some(key.try_into().map_err(|_| bad())?),
            },
        },
        verification: match record.verification {
            1 => Verification::Unverified,
            2 => Verification::Verified,
            3 => Verification::Changed,
            _ => return Err(bad()),
        },
        changed_how: match record.changed_how {
            0 => None,
            number => Some(succession_from_number(number).ok_or_else(bad)?),
        },
        change_policy: match record.change_policy {
            0 => None,
            number => Some(ChangePolicy::from_number(number).ok_or_else(bad)?),
        },
        is_blocked: record.is_blocked == 1,
        is_candidate: record.is_candidate == 1,
    })
}
