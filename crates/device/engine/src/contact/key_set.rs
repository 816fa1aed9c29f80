//! Taking in key sets that a server handed over: a server is a courier here, not a witness.
//!
//! The newest set comes alone ([`Engine::handle_key_set`]). Where it has another account key and sets between are missing, nobody can say
//! from it by whose leave, so the sets between are asked for and come in a row ([`Engine::handle_key_sets`]); each link is checked.

use rcseal_credential::{KeySetError, ParseError, Succession, SuccessionProof, UnverifiedKeySet, VerifiedKeySet};
use rcseal_wire::id::{AccountId, KeySetCounter};

use super::{Contact, Pin};
use crate::account::AccountError;
use crate::context::Engine;
use crate::event::{Event, KeySetReason};
use crate::need::NeedKind;
use crate::record::{Number, Record as _};
use crate::store::Table;

/// Key sets of one answer that are looked at; what follows them is asked for again. Four times what our relay sends at once.
const CHAIN_LEN_MAX: usize = 64;
/// Bytes of one answer that are looked at. Each set costs its signatures: these are some thousand of them at most, a second of work.
const CHAIN_BYTES_MAX: usize = 2 * 1024 * 1024;
/// A reset is taken this long before its time, for clocks that are slow: an hour, of a delay of days.
const RESET_SLACK_MS: u64 = 3600 * 1000;

/// What became of an offered key set.
#[derive(Debug)]
pub enum KeySetOutcome {
    /// It is the one known.
    Unchanged,
    /// It is new, and in use now.
    Accepted {
        /// Its counter.
        counter: KeySetCounter,
    },
    /// The account key changed while sets were missed. They are asked for: [`crate::need::Need::FetchKeySets`].
    Behind,
    /// It is not believed. Nothing was changed by it.
    Refused(KeySetRefusal),
}

/// Why an offered key set is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeySetRefusal {
    /// Its bytes are not a key set.
    #[error("the bytes are not a key set")]
    Format(#[source] ParseError),
    /// A signature, a proof, or the succession does not hold.
    #[error("the key set does not verify")]
    Invalid(#[source] KeySetError),
    /// It is another account's.
    #[error("the key set is another account's")]
    OtherAccount,
    /// It is not the one that the invitation or the first message named.
    #[error("the key set is not the one that was named")]
    NotPinned,
    /// It is older than the one that was named.
    #[error("the key set is older than the one that was named")]
    OlderThanPinned,
    /// Nobody asked about this account.
    #[error("the account is not a contact")]
    Unknown,
    /// A reset before its time.
    #[error("the account's reset is not in force before {not_before_ms}")]
    ResetTooEarly {
        /// The time in the set, in milliseconds since 1970.
        not_before_ms: u64,
    },
    /// A reset of this device's own account. Nobody with a key of the account signed it, so a server could make every device give up its
    /// keys by one; a device that was really left behind is told at its login.
    #[error("somebody has reset this account")]
    OwnReset,
    /// The sets between were asked for, and none came.
    #[error("the key sets between are not there")]
    ChainEmpty,
}

impl KeySetRefusal {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Format(error) => error.code(),
            Self::Invalid(error) => error.code(),
            Self::OtherAccount => "key_set_other_account",
            Self::NotPinned => "key_set_not_pinned",
            Self::OlderThanPinned => "key_set_older_than_pinned",
            Self::Unknown => "key_set_unknown_account",
            Self::ResetTooEarly { .. } => "key_set_reset_too_early",
            Self::OwnReset => "key_set_own_reset",
            Self::ChainEmpty => "key_set_chain_empty",
        }
    }
}

/// Key sets that hold, and the most that happened from the known one to the last.
struct Judged {
    key_set: VerifiedKeySet,
    succession: Succession,
}

impl Engine<'_> {
    /// The server handed over a key set: a contact's, or our own account's. Envelopes that waited for it are taken up again.
    ///
    /// # Errors
    /// Those of the store. A set that is not believed is no error: see [`KeySetOutcome::Refused`].
    pub fn handle_key_set(&mut self, account: AccountId, bytes: &[u8]) -> Result<KeySetOutcome, AccountError> {
        let own = self.account()?;
        if account == own.address.account && own.unpublished.as_deref() == Some(bytes) {
            // The directory took it, and its answer was lost.
            self.handle_published()?;
            self.key_set_is_here(account)?;
            return Ok(KeySetOutcome::Accepted { counter: self.own_key_set(&own)?.counter() });
        }
        match self.judge(own.address.account, account, bytes)? {
            Ok(judged) => self.accept_key_set(own.address.account, account, &judged),
            Err(KeySetRefusal::Invalid(KeySetError::KeyChangeAcrossGap)) => {
                let attempts = self.key_set_attempts(account)?;
                self.key_set_is_here(account)?;
                self.need_key_sets(account, attempts)?;
                Ok(KeySetOutcome::Behind)
            }
            Err(refusal) => self.refuse_key_set(NeedKind::KeySet, account, refusal),
        }
    }

    /// The server handed over the key sets in a row that [`crate::need::Need::FetchKeySets`] asked for, oldest first. Where there are more,
    /// the newest is asked for next, and then those between again.
    ///
    /// # Errors
    /// Those of the store. Sets that are not believed are no error: see [`KeySetOutcome::Refused`].
    pub fn handle_key_sets(&mut self, account: AccountId, chain: &[Vec<u8>]) -> Result<KeySetOutcome, AccountError> {
        let own = self.account()?.address.account;
        match self.judge_chain(own, account, chain)? {
            Ok(judged) => {
                let outcome = self.accept_key_set(own, account, &judged)?;
                // A full answer may have successors.
                if matches!(outcome, KeySetOutcome::Accepted { .. }) {
                    self.need_key_set(account)?;
                }
                Ok(outcome)
            }
            Err(refusal) => self.refuse_key_set(NeedKind::KeySets, account, refusal),
        }
    }

    fn refuse_key_set(
        &mut self,
        kind: NeedKind,
        account: AccountId,
        refusal: KeySetRefusal,
    ) -> Result<KeySetOutcome, AccountError> {
        self.tell_refusal(account, KeySetReason::of(&refusal))?;
        self.handle_need_failed(kind, account)?;
        Ok(KeySetOutcome::Refused(refusal))
    }

    /// Tells the app, once for each reason until a set of the account is believed again: the server is asked again and again.
    fn tell_refusal(&mut self, account: AccountId, reason: KeySetReason) -> Result<(), AccountError> {
        // Of somebody who has shown nothing yet, or is gone, the app hears nothing, and nothing is kept.
        let is_own = account == self.account()?.address.account;
        if self.is_claim(account)? || !is_own && self.contact(account)?.is_none() {
            return Ok(());
        }
        let mut told = match self.tx.get(Table::RefusalTold, account.as_bytes())? {
            Some(row) => Number::from_row(Table::RefusalTold, &row)?,
            None => Number(0),
        };
        if told.0 & reason.bit() != 0 {
            return Ok(());
        }
        told.0 |= reason.bit();
        self.tx.put(Table::RefusalTold, account.as_bytes(), &told.to_row())?;
        Ok(self.emit(Event::KeySetRefused { account, reason })?)
    }

    fn accept_key_set(
        &mut self,
        own: AccountId,
        account: AccountId,
        judged: &Judged,
    ) -> Result<KeySetOutcome, AccountError> {
        let Judged { key_set, succession } = judged;
        let is_claim = self.is_claim(account)?;
        let is_new = *succession != Succession::Unchanged;
        if is_new {
            let replaced = self.key_set(account)?;
            self.put_key_set(key_set)?;
            // The first set of an account changes nothing: there was none to change.
            let are_other_devices = replaced.as_ref().is_some_and(|replaced| replaced.devices() != key_set.devices());
            if let Some(replaced) = replaced {
                self.forget_removed_devices(&replaced, key_set)?;
            }
            // Who only claims to be the account has shown nothing that could change, and the user has never heard of them.
            if account != own && !is_claim && succession.changes_account_key() {
                self.account_key_changed(account, *succession)?;
            }
            if are_other_devices && !is_claim {
                self.emit(Event::DevicesChanged { account })?;
            }
        }
        if account == own {
            self.adopt_own_key_set(key_set, *succession)?;
        }
        let attempts = self.key_set_attempts(account)?;
        self.key_set_is_here(account)?;
        self.tx.delete(Table::RefusalTold, account.as_bytes())?;
        // To keys that only a server vouches for nothing goes out, nor to those that the user has not taken for genuine.
        if !is_claim {
            self.release_unless_kept_back(account)?;
        }
        self.take_parked(account, attempts)?;
        Ok(if is_new { KeySetOutcome::Accepted { counter: key_set.counter() } } else { KeySetOutcome::Unchanged })
    }

    fn judge(
        &self,
        own: AccountId,
        account: AccountId,
        bytes: &[u8],
    ) -> Result<Result<Judged, KeySetRefusal>, AccountError> {
        let offered = match self.read_offered(account, bytes) {
            Ok(offered) => offered,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if let Some(known) = self.key_set(account)? {
            let checked = known.check_newer(&offered).map_err(KeySetRefusal::Invalid);
            return Ok(checked
                .and_then(|succession| match succession {
                    Succession::Reset if account == own => Err(KeySetRefusal::OwnReset),
                    Succession::Reset => self.in_force(&offered).map(|()| succession),
                    _ => Ok(succession),
                })
                .map(|succession| Judged { key_set: offered, succession }));
        }
        if account == own {
            return Ok(Err(KeySetRefusal::Unknown));
        }
        let Some(contact) = self.contact(account)? else { return Ok(Err(KeySetRefusal::Unknown)) };
        Ok(check_pin(&contact, &offered).map(|()| Judged { key_set: offered, succession: Succession::SameAccountKey }))
    }

    /// Checks sets in a row. Without a set of the account here the row must begin with the one that was named to us.
    fn judge_chain(
        &self,
        own: AccountId,
        account: AccountId,
        chain: &[Vec<u8>],
    ) -> Result<Result<Judged, KeySetRefusal>, AccountError> {
        let contact = self.contact(account)?;
        let mut offered = Vec::new();
        let mut bytes_left = CHAIN_BYTES_MAX;
        for bytes in chain.iter().take(CHAIN_LEN_MAX) {
            // The beginning of a chain is a chain.
            let Some(left) = bytes_left.checked_sub(bytes.len()) else { break };
            bytes_left = left;
            match self.read_offered(account, bytes) {
                Ok(key_set) => offered.push(key_set),
                Err(refusal) => return Ok(Err(refusal)),
            }
        }
        let known = self.key_set(account)?;
        let (known, rest) = match (known, offered.split_first(), contact) {
            (Some(known), _, _) => (known, offered.as_slice()),
            (None, Some((first, rest)), Some(contact)) if account != own => {
                if first.counter() != contact.pin.counter || first.hash() != contact.pin.hash {
                    return Ok(Err(KeySetRefusal::NotPinned));
                }
                (first.clone(), rest)
            }
            (None, None, _) => return Ok(Err(KeySetRefusal::ChainEmpty)),
            (None, Some(_), _) => return Ok(Err(KeySetRefusal::Unknown)),
        };
        let Some(last) = offered.last().cloned() else { return Ok(Err(KeySetRefusal::ChainEmpty)) };
        let checked = known.check_chain(rest).map_err(KeySetRefusal::Invalid).and_then(|succession| match succession {
            Succession::Reset if account == own => Err(KeySetRefusal::OwnReset),
            _ => rest.iter().try_for_each(|key_set| self.in_force(key_set)).map(|()| succession),
        });
        Ok(checked.map(|succession| Judged {
            // The first set that is known of a contact is news, even where it is the one that was named.
            succession: if rest.is_empty() { Succession::SameAccountKey } else { succession },
            key_set: last,
        }))
    }

    fn read_offered(&self, account: AccountId, bytes: &[u8]) -> Result<VerifiedKeySet, KeySetRefusal> {
        let offered = UnverifiedKeySet::parse(bytes).map_err(KeySetRefusal::Format)?;
        if offered.account() != account {
            return Err(KeySetRefusal::OtherAccount);
        }
        offered.verify().map_err(KeySetRefusal::Invalid)
    }

    /// A reset has a time before which nobody takes it for valid.
    fn in_force(&self, offered: &VerifiedKeySet) -> Result<(), KeySetRefusal> {
        match *offered.proof() {
            SuccessionProof::Reset { not_before_ms } if self.now.plus(RESET_SLACK_MS).0 < not_before_ms => {
                Err(KeySetRefusal::ResetTooEarly { not_before_ms })
            }
            _ => Ok(()),
        }
    }
}

fn check_pin(contact: &Contact, offered: &VerifiedKeySet) -> Result<(), KeySetRefusal> {
    // What an unproven first message claimed binds nothing: it would let a stranger shut the real sender out.
    if contact.is_candidate { Ok(()) } else { check(&contact.pin, offered) }
}

/// Whether a contact's first key set is the one we were told to expect, or a later one of the same account key.
pub(super) fn check(pin: &Pin, offered: &VerifiedKeySet) -> Result<(), KeySetRefusal> {
    if offered.counter() < pin.counter {
        return Err(KeySetRefusal::OlderThanPinned);
    }
    if offered.counter() == pin.counter && offered.hash() != pin.hash {
        return Err(KeySetRefusal::NotPinned);
    }
    match pin.account_key {
        // The key may have changed since by right: the sets from the one that was named show it.
        Some(account_key) if &account_key != offered.account_key().as_bytes() && offered.counter() > pin.counter => {
            Err(KeySetRefusal::Invalid(KeySetError::KeyChangeAcrossGap))
        }
        Some(account_key) if &account_key != offered.account_key().as_bytes() => Err(KeySetRefusal::NotPinned),
        _ => Ok(()),
    }
}
