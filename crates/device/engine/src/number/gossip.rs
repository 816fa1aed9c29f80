//! Contacts compare what a broker shows them, inside their sessions, where the broker hears nothing.
//!
//! Who looked a contact's number up tells the contact which mapping it was shown; a device says on its card which one it signed. A broker that
//! shows two people different things is found out when they meet. The two then exchange the mappings, and both hold what convicts it. What a
//! contact only says is no proof of anything: it is a finding that names who said so, and changes nothing else.

use std::cmp::Ordering;

use rcseal_credential::mapping::{Evidence, UnverifiedMapping, VerifiedMapping};
use rcseal_wire::content::{Body, MappingClaim, NumberSeen};
use rcseal_wire::id::AccountId;

use super::record::{Heard, HeardRecord};
use super::{BrokerFinding, NumberError};
use crate::account::{Account, AccountError};
use crate::capability::NumberKey;
use crate::context::{Engine, UnixMillis};
use crate::conversation::direct_conversation_id;
use crate::record::{Record as _, key};
use crate::send::as_account_error;
use crate::store::{BadRow, StoreError, Table};

/// First byte of a row that says which mapping a contact was told of, by account.
const TOLD: u8 = 1;
/// First byte of a row that says what a contact signed, by its own word, by account.
const HEARD: u8 = 2;
/// First byte of a row that says that our mapping was sent to a contact, by account.
const EXCHANGED: u8 = 3;
/// First byte of a row that says by which number a contact was found, by account.
const SOURCE: u8 = 4;
/// First byte of a row that says which number of ours a contact is to get the mapping of, once it may know the number, by account.
const OWED: u8 = 5;

pub(super) fn source_key(account: AccountId) -> Vec<u8> {
    key(&[&[SOURCE], account.as_bytes()])
}

fn owed_key(account: AccountId) -> Vec<u8> {
    key(&[&[OWED], account.as_bytes()])
}

impl Engine<'_> {
    /// Tells a contact which mapping of its number the broker showed us, once for each mapping and only inside a session that there is.
    pub(crate) fn tell_number_seen(&mut self, contact: AccountId) -> Result<(), AccountError> {
        if self.known_contact(contact)?.is_none() || self.is_kept_back(contact)? {
            return Ok(());
        }
        self.tell_owed(contact)?;
        let Some(number) = self.number_of(contact)? else { return Ok(()) };
        let number_key = NumberKey::of(&number);
        let Some(shown) = self.shown(number_key)?.filter(|shown| shown.account() == contact) else { return Ok(()) };
        let told_key = key(&[&[TOLD], contact.as_bytes()]);
        if self.tx.get(Table::NumberGossip, &told_key)?.as_deref() == Some(&shown.mapping.hash().as_bytes()[..]) {
            return Ok(());
        }
        let prefix = contact.as_bytes();
        let end = crate::store::prefix_end(prefix);
        if self.tx.scan(Table::ActiveSession, prefix, &end, 1, crate::store::Order::Ascending)?.is_empty() {
            return Ok(());
        }
        self.tx.put(Table::NumberGossip, &told_key, shown.mapping.hash().as_bytes())?;
        let seen = seen(&shown.mapping, false, shown.seen_at, false);
        self.say(contact, seen)
    }

    fn say(&mut self, to: AccountId, seen: NumberSeen) -> Result<(), AccountError> {
        let account = self.account()?;
        let conversation = direct_conversation_id(account.address.account, to);
        self.send_notice(&account, to, conversation, Body::NumberSeen(Box::new(seen))).map_err(as_account_error)
    }

    /// What a contact says that it signed for a number.
    pub(crate) fn heard_of(&self, contact: AccountId, number: NumberKey) -> Result<Option<Heard>, StoreError> {
        let Some(row) = self.tx.get(Table::NumberGossip, &key(&[&[HEARD], contact.as_bytes()]))? else {
            return Ok(None);
        };
        let heard = HeardRecord::from_row(Table::NumberGossip, &row)?.heard()?;
        Ok(Some(heard).filter(|heard| heard.number == number))
    }

    /// A contact's device says on its card which mapping of its number the account signed.
    pub(crate) fn heard_mapping(
        &mut self,
        contact: AccountId,
        number: NumberKey,
        claim: MappingClaim,
    ) -> Result<(), AccountError> {
        let heard = Heard { number, sequence: claim.sequence, hash: claim.hash, at: self.now };
        if self.heard_of(contact, number)?.is_some_and(|known| known.sequence > heard.sequence) {
            return Ok(());
        }
        self.tx.put(Table::NumberGossip, &key(&[&[HEARD], contact.as_bytes()]), &HeardRecord::of(&heard).to_row())?;
        let Some(shown) = self.shown(number)? else { return Ok(()) };
        if shown.account() != contact {
            // Only of numbers that the user gave the contact: anybody can claim anything.
            if self.number_of(contact)?.is_some_and(|known| NumberKey::of(&known) == number) {
                self.differs(contact, number, BrokerFinding::Swapped, &shown.mapping, false, shown.seen_at)?;
            }
            return Ok(());
        }
        match shown.mapping.sequence().cmp(&heard.sequence) {
            Ordering::Equal if shown.mapping.hash() != heard.hash => {
                self.differs(contact, number, BrokerFinding::Forked, &shown.mapping, false, shown.seen_at)
            }
            // It was renewed since: what the broker shows now must be that.
            Ordering::Less => Ok(self.need_lookup(number, self.now)?),
            Ordering::Equal | Ordering::Greater => Ok(()),
        }
    }

    /// A contact's device names its number on its card, and no mapping of it: the account has signed none that counts any more.
    pub(crate) fn heard_no_mapping(&mut self, contact: AccountId, number: NumberKey) -> Result<(), AccountError> {
        if self.heard_of(contact, number)?.is_some() {
            self.tx.delete(Table::NumberGossip, &key(&[&[HEARD], contact.as_bytes()]))?;
            self.finding_is_over(number, BrokerFinding::Withheld)?;
        }
        Ok(())
    }

    /// A contact says which mapping it was shown of our number, or signed for its own.
    pub(crate) fn take_number_seen(
        &mut self,
        account: &Account,
        contact: AccountId,
        seen: &NumberSeen,
    ) -> Result<(), AccountError> {
        let Ok(number) = seen.number.as_str().parse() else { return Ok(()) };
        let number = NumberKey::of(&number);
        if contact == account.address.account || self.broker()?.is_none() {
            return Ok(());
        }
        let taken = if seen.is_senders {
            self.contact_signed(contact, number, seen)
        } else {
            self.contact_was_shown(contact, number, seen)
        };
        taken.map_err(|error| match error {
            NumberError::Store(error) => AccountError::Store(error),
            NumberError::Account(error) => error,
            other => StoreError::new(crate::store::StoreErrorKind::Corrupt, other).into(),
        })
    }

    /// Of our number, a contact was shown a mapping.
    fn contact_was_shown(
        &mut self,
        contact: AccountId,
        number: NumberKey,
        seen: &NumberSeen,
    ) -> Result<(), NumberError> {
        let Some(broker) = self.broker()? else { return Ok(()) };
        let Some(record) = self.own_number(number)? else { return Ok(()) };
        let Some((ours, _)) = record.mapping(&broker)? else { return Ok(()) };
        let finding = match seen.sequence.cmp(&ours.sequence()) {
            Ordering::Equal if seen.hash == ours.hash() => return Ok(()),
            Ordering::Equal => BrokerFinding::Forked,
            // Either nobody of this account signed it, or this device has forgotten that it did: the mapping itself tells, and is sent
            // when ours comes there.
            Ordering::Greater if seen.mapping.is_empty() => {
                self.need_lookup(number, self.now)?;
                return Ok(self.exchange(contact, &ours, true, self.now)?);
            }
            Ordering::Greater => BrokerFinding::Swapped,
            // Shown before the newer one was made: nobody has done anything wrong.
            Ordering::Less if !Self::is_after(seen.seen_at_ms, ours.countersigned_at_ms()) => return Ok(()),
            Ordering::Less => BrokerFinding::RolledBack,
        };
        // What everybody else is shown says more than one contact's word.
        self.need_lookup(number, self.now)?;
        let own = self.account()?.address.account;
        if !seen.mapping.is_empty()
            && let Err(doubt) = self.judge_own(number, &seen.mapping, None)?
            && doubt.evidence.is_some()
        {
            self.note_finding(Some(number), Some(own), Some(contact), doubt.finding, doubt.evidence.as_deref())?;
            return Ok(self.exchange(contact, &ours, true, self.now)?);
        }
        // A mapping that holds and that we had forgotten is no finding.
        if let Some((now_ours, _)) = self.own_number(number)?.map_or(Ok(None), |record| record.mapping(&broker))?
            && now_ours.hash() == seen.hash
        {
            return Ok(());
        }
        Ok(self.differs(contact, number, finding, &ours, true, self.now)?)
    }

    /// Of its own number, a contact has signed a mapping.
    fn contact_signed(&mut self, contact: AccountId, number: NumberKey, seen: &NumberSeen) -> Result<(), NumberError> {
        let Some(broker) = self.broker()? else { return Ok(()) };
        self.heard_mapping(contact, number, MappingClaim { sequence: seen.sequence, hash: seen.hash })?;
        let Some(shown) = self.shown(number)? else { return Ok(()) };
        let Ok(theirs) = UnverifiedMapping::parse(&seen.mapping) else { return Ok(()) };
        let is_brokers = theirs.verify_broker(&broker.key).is_ok();
        if !is_brokers || theirs.number() != shown.mapping.number() || theirs.hash() == shown.mapping.hash() {
            return Ok(());
        }
        let evidence = Evidence::of_pair(shown.mapping.unverified(), &theirs).with_key_set(&shown.key_set);
        if evidence.check(&broker.key).is_ok() {
            let finding = match theirs.sequence().cmp(&shown.mapping.sequence()) {
                Ordering::Equal => BrokerFinding::Forked,
                Ordering::Less | Ordering::Greater => BrokerFinding::Swapped,
            };
            self.note_finding(Some(number), Some(contact), Some(contact), finding, Some(&evidence))?;
        } else if theirs.sequence() > shown.mapping.sequence()
            && Self::is_after(shown.seen_at.0, theirs.countersigned_at_ms())
        {
            // The newer one was there when the older was shown.
            self.note_finding(Some(number), Some(contact), Some(contact), BrokerFinding::RolledBack, None)?;
        }
        Ok(self.exchange(contact, &shown.mapping, false, shown.seen_at)?)
    }

    /// A contact's word and what is here differ: the finding names who said so, and the contact gets what is here.
    fn differs(
        &mut self,
        contact: AccountId,
        number: NumberKey,
        finding: BrokerFinding,
        ours: &VerifiedMapping,
        is_ours: bool,
        seen_at: UnixMillis,
    ) -> Result<(), AccountError> {
        let holder = if is_ours { self.account()?.address.account } else { contact };
        self.note_finding(Some(number), Some(holder), Some(contact), finding, None)?;
        self.exchange(contact, ours, is_ours, seen_at)
    }

    /// Sends a contact the mapping that is here, once for each. One of ours says whose the number is: whoever has an invitation could ask for
    /// number after number, so it waits until the user has written to the contact or has a number of it.
    fn exchange(
        &mut self,
        contact: AccountId,
        mapping: &VerifiedMapping,
        is_ours: bool,
        seen_at: UnixMillis,
    ) -> Result<(), AccountError> {
        if is_ours && !self.may_know_number(&self.account()?, contact)? {
            let number = mapping.number().as_str().parse().map_err(|_| BadRow::error(Table::NumberOwn))?;
            return Ok(self.tx.put(Table::NumberGossip, &owed_key(contact), NumberKey::of(&number).as_bytes())?);
        }
        let row_key = key(&[&[EXCHANGED], contact.as_bytes()]);
        if self.tx.get(Table::NumberGossip, &row_key)?.as_deref() == Some(&mapping.hash().as_bytes()[..]) {
            return Ok(());
        }
        self.tx.put(Table::NumberGossip, &row_key, mapping.hash().as_bytes())?;
        self.say(contact, seen(mapping, is_ours, seen_at, true))
    }

    /// What a contact was not told while it might not know the number.
    fn tell_owed(&mut self, contact: AccountId) -> Result<(), AccountError> {
        let Some(row) = self.tx.get(Table::NumberGossip, &owed_key(contact))? else { return Ok(()) };
        if !self.may_know_number(&self.account()?, contact)? {
            return Ok(());
        }
        self.tx.delete(Table::NumberGossip, &owed_key(contact))?;
        let bad = || BadRow::error(Table::NumberGossip);
        let number = row.try_into().ok().and_then(NumberKey::from_bytes).ok_or_else(bad)?;
        let (Some(broker), Some(record)) = (self.broker()?, self.own_number(number)?) else { return Ok(()) };
        match record.mapping(&broker)? {
            Some((ours, _)) => self.exchange(contact, &ours, true, self.now),
            None => Ok(()),
        }
    }

    /// A contact is removed: what it said and was told of numbers goes with it.
    pub(crate) fn forget_number_gossip(&mut self, contact: AccountId) -> Result<(), StoreError> {
        for first in [TOLD, HEARD, EXCHANGED, SOURCE, OWED] {
            self.tx.delete(Table::NumberGossip, &key(&[&[first], contact.as_bytes()]))?;
        }
        Ok(())
    }

    /// The mapping of a number that this account signed and that counts, for the card.
    pub(crate) fn mapping_claim(&self, number: NumberKey) -> Result<Option<MappingClaim>, StoreError> {
        let (Some(broker), Some(record)) = (self.broker()?, self.own_number(number)?) else { return Ok(None) };
        if !record.is_held()? {
            return Ok(None);
        }
        let mapping = record.mapping(&broker)?;
        Ok(mapping.map(|(mapping, _)| MappingClaim { sequence: mapping.sequence(), hash: mapping.hash() }))
    }
}

fn seen(mapping: &VerifiedMapping, is_senders: bool, seen_at: UnixMillis, is_whole: bool) -> NumberSeen {
    NumberSeen {
        number: mapping.number().clone(),
        is_senders,
        sequence: mapping.sequence(),
        hash: mapping.hash(),
        seen_at_ms: seen_at.0,
        mapping: if is_whole { mapping.as_bytes().to_vec() } else { Vec::new() },
    }
}
