//! Taking in key sets that a server handed over: a server is a courier here, not a witness.

use rcseal_credential::{KeySetError, ParseError, Succession, UnverifiedKeySet, VerifiedKeySet};
use rcseal_wire::id::{AccountId, KeySetCounter};

use super::{Contact, Pin, Verification};
use crate::account::AccountError;
use crate::context::Engine;
use crate::event::Event;
use crate::need::NeedKind;

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
        }
    }
}

impl Engine<'_> {
    /// The server handed over a key set: a contact's, or our own account's. Envelopes that waited for it are taken up again.
    ///
    /// # Errors
    /// Those of the store. A set that is not believed is no error: see [`KeySetOutcome::Refused`].
    pub fn handle_key_set(&mut self, account: AccountId, bytes: &[u8]) -> Result<KeySetOutcome, AccountError> {
        let own = self.account()?.address;
        let is_claim = self.is_claim(account)?;
        let outcome = match self.judge(own.account, account, bytes)? {
            Err(refusal) => {
                // Of somebody who has shown nothing yet the app hears nothing.
                if !is_claim {
                    self.emit(Event::KeySetRefused { account })?;
                }
                self.handle_need_failed(NeedKind::KeySet, account)?;
                return Ok(KeySetOutcome::Refused(refusal));
            }
            Ok((_, Succession::Unchanged)) => KeySetOutcome::Unchanged,
            Ok((key_set, succession)) => {
                let replaced = self.key_set(account)?;
                self.put_key_set(&key_set)?;
                if let Some(replaced) = replaced {
                    self.forget_removed_devices(&replaced, &key_set)?;
                }
                if account == own.account {
                    if key_set.device(own.device).is_none() {
                        self.emit(Event::DeviceRemoved)?;
                    }
                } else if succession == Succession::Migrated {
                    self.account_key_changed(account)?;
                }
                if !is_claim {
                    self.emit(Event::DevicesChanged { account })?;
                }
                KeySetOutcome::Accepted { counter: key_set.counter() }
            }
        };
        let attempts = self.key_set_attempts(account)?;
        self.key_set_is_here(account)?;
        // To keys that only a server vouches for nothing goes out.
        if !is_claim {
            self.release_waiting(account)?;
        }
        self.take_parked(account, attempts)?;
        Ok(outcome)
    }

    fn account_key_changed(&mut self, account: AccountId) -> Result<(), AccountError> {
        if let Some(mut contact) = self.contact(account)?
            && contact.verification == Verification::Verified
        {
            contact.verification = Verification::Changed;
            self.put_contact(&contact)?;
        }
        self.emit(Event::AccountKeyChanged { account })?;
        Ok(())
    }

    fn judge(
        &self,
        own: AccountId,
        account: AccountId,
        bytes: &[u8],
    ) -> Result<Result<(VerifiedKeySet, Succession), KeySetRefusal>, AccountError> {
        let offered = match UnverifiedKeySet::parse(bytes) {
            Ok(offered) if offered.account() != account => return Ok(Err(KeySetRefusal::OtherAccount)),
            Ok(offered) => offered,
            Err(error) => return Ok(Err(KeySetRefusal::Format(error))),
        };
        let offered = match offered.verify() {
            Ok(offered) => offered,
            Err(error) => return Ok(Err(KeySetRefusal::Invalid(error))),
        };
        if let Some(known) = self.key_set(account)? {
            return Ok(known
                .check_newer(&offered)
                .map(|succession| (offered, succession))
                .map_err(KeySetRefusal::Invalid));
        }
        if account == own {
            return Ok(Err(KeySetRefusal::Unknown));
        }
        let Some(contact) = self.contact(account)? else { return Ok(Err(KeySetRefusal::Unknown)) };
        Ok(check_pin(&contact, &offered).map(|()| (offered, Succession::SameAccountKey)))
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
        Some(account_key) if &account_key != offered.account_key().as_bytes() => Err(KeySetRefusal::NotPinned),
        _ => Ok(()),
    }
}
