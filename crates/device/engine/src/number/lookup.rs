//! Looking up who has a number, and contacts that begin with one.
//!
//! What a broker answers is *found*, *absent* or *undiscoverable*, and only the first is worth anything: a mapping that the account signed and the
//! pinned broker countersigned, of the number that was asked for, that has not expired, under a key set that follows the one known, after
//! what was shown before. The others are hints. Neither is evidence of absence, and no message becomes more readable by them.
//!
//! **What a first look-up cannot show.** Somebody whom this device has never met has nothing to be compared with: a broker that works together
//! with an account can give it the number. The holder of the number sees that at their next watch, and this device when it meets them.

use rcseal_credential::UnverifiedKeySet;
use rcseal_credential::mapping::{Change, GroundsKind, UnverifiedMapping, check_succession};
use rcseal_rcs::number::PhoneNumber;
use rcseal_wire::api::broker::{LookupAnswer, LookupOutcome};
use rcseal_wire::id::{AccountId, KeySetCounter, KeySetHash};
use rcseal_wire::invitation::Invitation;
use rcseal_wire::origin::Origin;
use rcseal_wire::token::DeliveryToken;

use super::judge::{Doubt, believable, countersigned, doubt_of};
use super::record::{Shown, e164};
use super::{BrokerFinding, CLOCK_SLACK_MS, NumberError};
use crate::capability::{LatchSource, Latched, NumberKey};
use crate::context::{Engine, UnixMillis};
use crate::event::Event;
use crate::store::{StoreError, Table};

/// What came of a look-up.
#[derive(Debug)]
pub enum LookupResult {
    /// An account has the number, and both signed so.
    Found(FoundNumber),
    /// The broker shows nobody. A hint.
    Absent,
    /// The broker does not say. Verify another way, or do not send.
    Undiscoverable,
    /// The key set that the mapping names is too long for the answer: the shell fetches it with this leave and hands the answer in again.
    KeySetNeeded {
        /// Whose.
        account: AccountId,
        /// Where.
        relay: Origin,
        /// By whose leave.
        delivery_token: DeliveryToken,
        /// Which.
        counter: KeySetCounter,
        /// And exactly which.
        hash: KeySetHash,
    },
    /// What the broker answered does not hold. Nothing was changed by it.
    Refused(LookupRefusal),
}

/// A number whose account is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundNumber {
    /// Whose it is.
    pub account: AccountId,
    /// It is this device's own account.
    pub is_own: bool,
    /// The account is a contact.
    pub is_contact: bool,
    /// How it relates to what was shown before; none the first time.
    pub change: Option<Change>,
    /// By which grounds the account has it.
    pub grounds: GroundsKind,
    /// The place in the number's chain.
    pub sequence: u64,
    /// Until when the mapping holds.
    pub expires_at: UnixMillis,
}

/// Why an answer is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the broker's answer does not hold: {code}")]
pub struct LookupRefusal {
    /// What the broker did.
    pub finding: BrokerFinding,
    /// The stable code of the cause.
    pub code: &'static str,
}

impl Engine<'_> {
    /// Asks the broker who has a number; answered by [`Engine::handle_lookup`].
    ///
    /// # Errors
    /// [`NumberError::NoBroker`], [`NumberError::Number`].
    pub fn look_up_number(&mut self, number: &PhoneNumber) -> Result<(), NumberError> {
        self.broker()?.ok_or(NumberError::NoBroker)?;
        e164(number)?;
        Ok(self.need_lookup(NumberKey::of(number), self.now)?)
    }

    /// The broker answered a look-up. `key_set` is the one that [`LookupResult::KeySetNeeded`] asked for.
    ///
    /// # Errors
    /// [`NumberError::NoBroker`], those of the store. An answer that does not hold is no error: [`LookupResult::Refused`].
    pub fn handle_lookup(
        &mut self,
        number: &PhoneNumber,
        answer: &LookupAnswer,
        key_set: Option<&[u8]>,
    ) -> Result<LookupResult, NumberError> {
        self.broker()?.ok_or(NumberError::NoBroker)?;
        let key = NumberKey::of(number);
        self.lookup_is_here(key)?;
        let is_own = self.own_number(key)?.is_some();
        match answer.answer {
            LookupOutcome::Found => self.found(number, key, is_own, answer, key_set),
            LookupOutcome::Absent | LookupOutcome::Undiscoverable => {
                if answer.proof.is_some() {
                    // There is no kind of proof yet that could be one.
                    let finding = BrokerFinding::AbsenceUnproven;
                    self.note_finding(Some(key), None, None, finding, None)?;
                    return Ok(LookupResult::Refused(LookupRefusal { finding, code: finding.code() }));
                }
                if is_own {
                    if let Err(doubt) = self.watched(key, None)? {
                        return Ok(refused(&doubt));
                    }
                } else if answer.answer == LookupOutcome::Absent {
                    self.judge_absence(key)?;
                }
                Ok(match answer.answer {
                    LookupOutcome::Absent => LookupResult::Absent,
                    LookupOutcome::Undiscoverable | LookupOutcome::Found => LookupResult::Undiscoverable,
                })
            }
        }
    }

    /// Absent, where the account that had the number says that it has it: the broker withholds it. That a mapping was shown before is not enough:
    /// its holder may have given the number up since. The word is the holder's, and the finding names it.
    fn judge_absence(&mut self, number: NumberKey) -> Result<(), NumberError> {
        let shown = self.shown(number)?.filter(|shown| !shown.mapping.is_expired(self.now.0));
        let holder = match shown {
            Some(shown) => Some(shown.account()),
            None => self.contact_with_number(number)?,
        };
        if let Some(holder) = holder
            && self.heard_of(holder, number)?.is_some()
        {
            self.note_finding(Some(number), Some(holder), Some(holder), BrokerFinding::Withheld, None)?;
        }
        // Nobody vouches for it now.
        Ok(self.verify_case_numbers(number, None)?)
    }

    fn found(
        &mut self,
        number: &PhoneNumber,
        key: NumberKey,
        is_own: bool,
        answer: &LookupAnswer,
        key_set: Option<&[u8]>,
    ) -> Result<LookupResult, NumberError> {
        let own = self.account()?.address.account;
        let Some(mapping) = answer.mapping.as_ref().map(|mapping| &mapping.0[..]) else {
            return self.refuse_lookup(key, Doubt::new(BrokerFinding::MappingInvalid, "mapping_missing"));
        };
        let given = answer.key_set.as_ref().map(|key_set| &key_set.0[..]).or(key_set);
        if is_own && let Err(doubt) = self.watched(key, Some((mapping, given)))? {
            return Ok(refused(&doubt));
        }
        let account = match UnverifiedMapping::parse(mapping) {
            Ok(mapping) => mapping.account(),
            Err(error) => return self.refuse_lookup(key, Doubt::new(BrokerFinding::MappingInvalid, error.code())),
        };
        if is_own && account == own {
            return self.found_own(key);
        }
        let Some(invitation) = answer.invitation.as_ref().filter(|invitation| invitation.account == account) else {
            return self.refuse_lookup(key, Doubt::new(BrokerFinding::Swapped, "lookup_invitation"));
        };
        let Ok(delivery_token) = DeliveryToken::parse(&invitation.delivery_token.0) else {
            return self.refuse_lookup(key, Doubt::new(BrokerFinding::MappingInvalid, "lookup_invitation"));
        };
        let Some(key_set) = given.map_or_else(|| self.named_key_set(mapping), |given| Ok(Some(given.to_vec())))? else {
            return self.key_set_needed(number, key, mapping, invitation.relay.clone(), delivery_token);
        };
        let broker = self.broker()?.ok_or(NumberError::NoBroker)?;
        let (mapping, key_set) = match believable(&broker, &e164(number)?, mapping, &key_set, self.now) {
            Ok(believed) => believed,
            Err(doubt) => return self.refuse_lookup(key, doubt),
        };
        let relay = invitation.relay.clone();
        let shown = Shown { mapping, key_set, seen_at: self.now, relay, delivery_token };
        match self.follows_key_set(key, &shown)? {
            Fit::Follows => {}
            Fit::Stale => return Ok(LookupResult::Undiscoverable),
            Fit::Doubt(doubt) => return self.refuse_lookup(key, doubt),
        }
        match self.follows_what_is_known(key, &shown)? {
            Ok(change) => self.take_shown(key, shown, change),
            Err(doubt) => self.refuse_lookup(key, doubt),
        }
    }

    /// The mapping names a key set that is neither here nor in the answer. It is fetched for what the pinned broker countersigned of this
    /// number, and that holds now; anything else does not make this device connect anywhere. From a contact it is fetched at the server where
    /// the contact is: a broker moves nobody to another one.
    fn key_set_needed(
        &mut self,
        number: &PhoneNumber,
        key: NumberKey,
        mapping: &[u8],
        relay: Origin,
        delivery_token: DeliveryToken,
    ) -> Result<LookupResult, NumberError> {
        let broker = self.broker()?.ok_or(NumberError::NoBroker)?;
        let mapping = match countersigned(&broker, &e164(number)?, mapping, self.now) {
            Ok(mapping) => mapping,
            Err(doubt) => return self.refuse_lookup(key, doubt),
        };
        let (relay, delivery_token) = match self.known_contact(mapping.account())? {
            Some(contact) => (contact.origin, contact.delivery_token),
            None => (relay, delivery_token),
        };
        Ok(LookupResult::KeySetNeeded {
            account: mapping.account(),
            relay,
            delivery_token,
            counter: mapping.key_set_counter(),
            hash: mapping.key_set_hash(),
        })
    }

    fn found_own(&mut self, number: NumberKey) -> Result<LookupResult, NumberError> {
        let broker = self.broker()?.ok_or(NumberError::NoBroker)?;
        let own = self.account()?.address.account;
        let record = self.own_number(number)?;
        let mapping = record.as_ref().map_or(Ok(None), |record| record.mapping(&broker))?;
        Ok(mapping.map_or(LookupResult::Undiscoverable, |(mapping, _)| {
            LookupResult::Found(FoundNumber {
                account: own,
                is_own: true,
                is_contact: false,
                change: Some(Change::Unchanged),
                grounds: mapping.grounds().kind(),
                sequence: mapping.sequence(),
                expires_at: UnixMillis(mapping.expires_at_ms()),
            })
        }))
    }

    fn refuse_lookup(&mut self, number: NumberKey, doubt: Doubt) -> Result<LookupResult, NumberError> {
        let holder = match self.shown(number)? {
            Some(shown) => Some(shown.account()),
            None => self.contact_with_number(number)?,
        };
        self.note_finding(Some(number), holder, doubt.told_by, doubt.finding, doubt.evidence.as_deref())?;
        Ok(refused(&doubt))
    }

    /// The key set that a mapping names, where it is the one known of the account.
    fn named_key_set(&self, mapping: &[u8]) -> Result<Option<Vec<u8>>, NumberError> {
        let Ok(mapping) = UnverifiedMapping::parse(mapping) else { return Ok(None) };
        let known = self.key_set(mapping.account())?.filter(|known| known.hash() == mapping.key_set_hash());
        Ok(known.map(|known| known.as_bytes().to_vec()))
    }

    /// The key set of a mapping against the one known of the account: an account is only a name, and a key set signs itself. A set that is
    /// older than the known one must have its account key. An account that has changed its key and not renewed its mapping is not believed
    /// to have the number, and nobody has done anything wrong.
    fn follows_key_set(&mut self, number: NumberKey, shown: &Shown) -> Result<Fit, NumberError> {
        let account = shown.account();
        let Some(known) = self.key_set(account)? else { return Ok(Fit::Follows) };
        // What nobody has vouched for yet is no measure, and what was judged before stays.
        if self.is_claim(account)?
            || self.shown(number)?.is_some_and(|before| before.mapping.hash() == shown.mapping.hash())
        {
            return Ok(Fit::Follows);
        }
        if shown.key_set.counter() < known.counter() {
            let is_same = shown.key_set.account_key() == known.account_key();
            return Ok(if is_same { Fit::Follows } else { Fit::Stale });
        }
        Ok(match known.check_newer(&shown.key_set) {
            Ok(_) => Fit::Follows,
            Err(rcseal_credential::KeySetError::KeyChangeAcrossGap) => {
                // The sets between may show by whose leave: they are fetched, and the next look-up knows more.
                self.need_key_set(account)?;
                Fit::Stale
            }
            Err(error) => Fit::Doubt(Doubt::new(BrokerFinding::Swapped, error.code())),
        })
    }

    /// What is shown against what was shown before, what the user knows of contacts, and what contacts said inside their sessions.
    fn follows_what_is_known(
        &mut self,
        number: NumberKey,
        shown: &Shown,
    ) -> Result<Result<Option<Change>, Doubt>, NumberError> {
        let mut change = None;
        if let Some(before) = self.shown(number)? {
            match check_succession(&before.mapping, &shown.mapping) {
                Ok(found) => change = Some(found),
                Err(error) => return Ok(Err(doubt_of(&error, &before.key_set))),
            }
        }
        let (place, hash) = (shown.mapping.sequence(), shown.mapping.hash());
        let heard = match self.contact_with_number(number)? {
            Some(contact) => self.heard_of(contact, number)?.map(|heard| (contact, heard)),
            None => self.heard_of(shown.account(), number)?.map(|heard| (shown.account(), heard)),
        };
        if let Some((contact, heard)) = heard {
            let finding = match place.cmp(&heard.sequence) {
                std::cmp::Ordering::Less => Some(BrokerFinding::RolledBack),
                std::cmp::Ordering::Equal if hash != heard.hash => Some(BrokerFinding::Forked),
                std::cmp::Ordering::Equal | std::cmp::Ordering::Greater => None,
            };
            if let Some(finding) = finding {
                return Ok(Err(Doubt::new(finding, finding.code()).told_by(contact)));
            }
        }
        Ok(Ok(change))
    }

    fn take_shown(
        &mut self,
        number: NumberKey,
        shown: Shown,
        change: Option<Change>,
    ) -> Result<LookupResult, NumberError> {
        let account = shown.account();
        let grounds = match change {
            Some(Change::Rebound { grounds }) => grounds,
            Some(Change::Unchanged | Change::Renewed) | None => None,
        };
        let before = match self.contact_with_number(number)? {
            Some(contact) => Some(contact),
            None => self.shown(number)?.map(|shown| shown.account()),
        };
        let change = match before {
            Some(before) if before != account => {
                self.rebound(number, before, account, grounds)?;
                Some(Change::Rebound { grounds })
            }
            Some(_) | None => change,
        };
        // Whoever has a mapping has a key set: the number is written to in the open no more by mistake.
        self.latch(Latched::Number(number), LatchSource::KeySet)?;
        let found = FoundNumber {
            account,
            is_own: account == self.account()?.address.account,
            is_contact: self.known_contact(account)?.is_some(),
            change,
            grounds: shown.mapping.grounds().kind(),
            sequence: shown.mapping.sequence(),
            expires_at: UnixMillis(shown.mapping.expires_at_ms()),
        };
        self.put_shown(number, &shown)?;
        self.finding_is_over(number, BrokerFinding::Withheld)?;
        self.tell_number_seen(account)?;
        self.verify_case_numbers(number, Some(account))?;
        Ok(LookupResult::Found(found))
    }

    /// A number has another account: the contact that had it loses it, with everything that the user agreed to for it.
    fn rebound(
        &mut self,
        number: NumberKey,
        from: AccountId,
        to: AccountId,
        grounds: Option<GroundsKind>,
    ) -> Result<(), NumberError> {
        let is_contacts = self.number_of(from)?.is_some_and(|known| NumberKey::of(&known) == number);
        if is_contacts {
            self.set_contact_number(from, None)?;
        }
        self.end_downgrade_of(number)?;
        self.withdraw_consents_at(number)?;
        self.tx.delete(Table::NumberGossip, &super::gossip::source_key(from))?;
        Ok(self.emit(Event::NumberRebound { number, from, to, grounds })?)
    }

    /// The user takes who was found for a number as a contact. Its keys are checked like those of an invitation, and the number is its own.
    ///
    /// # Errors
    /// [`NumberError::NotFound`] without a look-up that holds, [`NumberError::Contact`].
    pub fn add_contact_by_number(&mut self, number: &PhoneNumber, name: &str) -> Result<AccountId, NumberError> {
        let key = NumberKey::of(number);
        let shown = self.shown(key)?.filter(|shown| !shown.mapping.is_expired(self.now.0));
        let shown = shown.ok_or(NumberError::NotFound)?;
        let invitation = Invitation {
            account: shown.account(),
            key_set_counter: shown.key_set.counter(),
            key_set_hash: shown.key_set.hash(),
            account_key: *shown.key_set.account_key().as_bytes(),
            delivery_token: shown.delivery_token.duplicate(),
            origin: shown.relay.clone(),
        };
        let account = match self.known_contact(shown.account())? {
            // Somebody known stays where they are, and keeps the leave they gave: a broker moves nobody to another server.
            Some(contact) => {
                let is_same = self
                    .key_set(contact.account)?
                    .is_none_or(|known| known.account_key() == shown.key_set.account_key());
                if !is_same {
                    return Err(crate::contact::ContactError::OtherAccountKey.into());
                }
                contact.account
            }
            None => self.add_contact(&invitation, name)?,
        };
        self.set_contact_number(account, Some(number))?;
        self.tx.put(Table::NumberGossip, &super::gossip::source_key(account), key.as_bytes())?;
        self.tell_number_seen(account)?;
        Ok(account)
    }

    /// The number by which a contact was found at the broker; none for one who came by an invitation or a message.
    ///
    /// # Errors
    /// Those of the store.
    pub fn contact_source(&self, account: AccountId) -> Result<Option<NumberKey>, StoreError> {
        let row = self.tx.get(Table::NumberGossip, &super::gossip::source_key(account))?;
        let bad = || crate::store::BadRow::error(Table::NumberGossip);
        row.map(|row| row.try_into().ok().and_then(NumberKey::from_bytes).ok_or_else(bad)).transpose()
    }

    /// Whether an account has a number, by a mapping that was shown and holds now.
    pub(crate) fn has_number(&self, account: AccountId, number: NumberKey) -> Result<bool, StoreError> {
        let shown = self.shown(number)?;
        Ok(shown.is_some_and(|shown| shown.account() == account && !shown.mapping.is_expired(self.now.0)))
    }

    /// Whether an old look-up is older than another thing beyond what two clocks may differ.
    pub(super) fn is_after(seen_at: u64, made_at: u64) -> bool {
        seen_at > made_at.saturating_add(CLOCK_SLACK_MS)
    }
}

/// How the key set of a mapping fits the one known of its account.
enum Fit {
    /// It is the one known, or follows it, or went before it under the same account key.
    Follows,
    /// It went before it under another account key, or cannot be judged yet.
    Stale,
    /// It does not.
    Doubt(Doubt),
}

fn refused(doubt: &Doubt) -> LookupResult {
    LookupResult::Refused(LookupRefusal { finding: doubt.finding, code: doubt.code })
}

/// Picks the set that was asked for out of a server's answer.
#[must_use]
pub fn pick_key_set(sets: Vec<Vec<u8>>, hash: KeySetHash) -> Option<Vec<u8>> {
    sets.into_iter().find(|bytes| UnverifiedKeySet::parse(bytes).is_ok_and(|set| set.hash() == hash))
}
