//! Whether a key set may follow the one already known.
//!
//! [`VerifiedKeySet::check_successor`] is for neighbours in the chain and checks everything: previous hash, change of account key,
//! device numbers. [`VerifiedKeySet::check_newer`] is for a client that was away while several sets were signed and does not have the
//! ones between. What it can check without them it checks; a change of account key it refuses, because only the set that made the
//! change carries the old key's signature.

use rcseal_wire::id::DeviceNumber;

use crate::key_set::MIGRATION_LABEL;
use crate::{KeySetError, VerifiedKeySet};

/// How an accepted set relates to the known one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Succession {
    /// The same set again.
    Unchanged,
    /// A newer set under the same account key.
    SameAccountKey,
    /// A newer set under a new account key that the old one signed. The safety number changes with it.
    Migrated,
}

impl VerifiedKeySet {
    /// Checks that `next` is this set again or its immediate successor.
    pub fn check_successor(&self, next: &Self) -> Result<Succession, KeySetError> {
        let (known, offered) = (&self.0, &next.0);
        if self.is_same_or_older(next)? {
            return Ok(Succession::Unchanged);
        }
        if known.counter.next() != Some(offered.counter) {
            return Err(KeySetError::Gap { known: known.counter, offered: offered.counter });
        }
        // It names another set at our counter: the account signed two.
        if offered.previous != known.hash {
            return Err(KeySetError::Fork { counter: known.counter });
        }
        let succession = match (known.account_key == offered.account_key, &offered.migration) {
            (true, None) => Succession::SameAccountKey,
            (true, Some(_)) => return Err(KeySetError::MigrationUnexpected),
            (false, None) => return Err(KeySetError::MigrationMissing),
            (false, Some(signature)) => {
                known
                    .account_key
                    .verify(&[MIGRATION_LABEL, offered.body()], signature)
                    .map_err(|_| KeySetError::MigrationSignature)?;
                Succession::Migrated
            }
        };
        self.check_devices(next)?;
        // Neighbours leave no room for devices that came and went unseen.
        if self.highest_with(next) != offered.highest_device {
            return Err(self.highest_device_error(next));
        }
        Ok(succession)
    }

    /// Checks that `newer` is this set again or a later one, with sets between them possibly missing.
    ///
    /// Across a gap the account key must be the same one, the counter greater and the highest device number no lower. A number this
    /// set had already assigned still names the same device or none. What a gap hides is whether the account signed another set at
    /// one of the missing counters; it would take the account key to do so.
    pub fn check_newer(&self, newer: &Self) -> Result<Succession, KeySetError> {
        let (known, offered) = (&self.0, &newer.0);
        if self.is_same_or_older(newer)? || known.counter.next() == Some(offered.counter) {
            return self.check_successor(newer);
        }
        if known.account_key != offered.account_key {
            return Err(KeySetError::MigrationAcrossGap);
        }
        self.check_devices(newer)?;
        if offered.highest_device < known.highest_device {
            return Err(self.highest_device_error(newer));
        }
        Ok(Succession::SameAccountKey)
    }

    /// `Ok(true)` for the same set, `Ok(false)` for a later counter; another account, a rollback or a fork is the error.
    fn is_same_or_older(&self, next: &Self) -> Result<bool, KeySetError> {
        let (known, offered) = (&self.0, &next.0);
        if known.account != offered.account {
            return Err(KeySetError::WrongAccount { known: known.account, offered: offered.account });
        }
        if offered.counter < known.counter {
            return Err(KeySetError::Rollback { known: known.counter, offered: offered.counter });
        }
        match (offered.counter == known.counter, offered.hash == known.hash) {
            (true, true) => Ok(true),
            (true, false) => Err(KeySetError::Fork { counter: known.counter }),
            (false, _) => Ok(false),
        }
    }

    /// What holds between any two sets of an account: numbers are not reused and the recovery commitment stays.
    fn check_devices(&self, next: &Self) -> Result<(), KeySetError> {
        if !self.0.recovery.may_become(&next.0.recovery) {
            return Err(KeySetError::RecoveryCommitmentChanged);
        }
        // A device is its number and its device-auth key. Its other keys may be renewed: that key signs for them.
        let reused = next.devices().iter().find(|device| {
            device.number() <= self.0.highest_device
                && self.device(device.number()).is_none_or(|known| known.auth_key() != device.auth_key())
        });
        match reused {
            Some(device) => Err(KeySetError::DeviceNumberReused { device: device.number() }),
            None => Ok(()),
        }
    }

    fn highest_with(&self, next: &Self) -> DeviceNumber {
        next.devices().last().map_or(self.0.highest_device, |device| device.number().max(self.0.highest_device))
    }

    fn highest_device_error(&self, next: &Self) -> KeySetError {
        KeySetError::HighestDevice { known: self.0.highest_device, offered: next.0.highest_device }
    }
}
