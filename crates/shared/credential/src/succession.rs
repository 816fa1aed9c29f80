//! Whether a key set may follow the one already known.
//!
//! [`VerifiedKeySet::check_successor`] is for neighbours in the chain and checks everything: previous hash, change of account key,
//! device numbers. [`VerifiedKeySet::check_newer`] is for a client that was away while several sets were signed and does not have the
//! ones between. What it can check without them it checks; a change of account key it cannot judge without them, unless the known set
//! itself commits to the recovery key that signed it. Who gets the sets between hands them to [`VerifiedKeySet::check_chain`].
//!
//! **A recovery outranks everything that an account key signed.** Its set need not name the known set as its predecessor, only carry a
//! higher counter and the signature of a key that the known set commits to. A thief who signed a migration first, and whose migration a
//! contact has taken in, has carried the owner's commitment along, because no account key may change it; so the contact takes the
//! owner's recovery in after it. Device numbers begin anew with it, where a thief may have used up what there is.

use rcseal_crypto::ed25519::{Signature, VerifyingKey};
use rcseal_wire::id::DeviceNumber;

use crate::proof::{MIGRATION_LABEL, SuccessionProof};
use crate::recovery::{self, RECOVERY_COMMITMENTS_MAX};
use crate::{KeySetError, VerifiedKeySet};

/// How many counters a set may leap at once, under the same account key or by a recovery. Nobody signs so many. A thief of the account key,
/// or of a recovery key that another outranks, who could leap to the highest counter would leave none above it for the owner's recovery.
pub const KEY_SET_GAP_MAX: u64 = 65_536;

/// How an accepted set relates to the known one. In ascending order of what a contact should make of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Succession {
    /// The same set again.
    Unchanged,
    /// A newer set under the same account key.
    SameAccountKey,
    /// A newer set under a new account key that the old one signed. The safety number changes with it.
    Migrated,
    /// A newer set under a new account key that an offline recovery key signed. The safety number changes with it.
    Recovered,
    /// A newer set under a new account key, and nobody who held a key of the account signed it. The weakest kind: only the server's
    /// delay and notices stand behind it.
    Reset,
}

impl Succession {
    /// Whether the account key is another one.
    #[must_use]
    pub const fn changes_account_key(self) -> bool {
        match self {
            Self::Unchanged | Self::SameAccountKey => false,
            Self::Migrated | Self::Recovered | Self::Reset => true,
        }
    }

    /// The name in texts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::SameAccountKey => "same_account_key",
            Self::Migrated => "migrated",
            Self::Recovered => "recovered",
            Self::Reset => "reset",
        }
    }
}

impl VerifiedKeySet {
    /// Checks that `next` is this set again, its immediate successor, or a recovery that takes the account back from it.
    ///
    /// # Errors
    /// [`KeySetError`].
    pub fn check_successor(&self, next: &Self) -> Result<Succession, KeySetError> {
        let (known, offered) = (&self.0, &next.0);
        if self.is_same_or_older(next)? {
            return Ok(Succession::Unchanged);
        }
        if let SuccessionProof::Recovery { key, signature } = &offered.proof {
            return self.check_recovery(next, key, signature);
        }
        if known.counter.next() != Some(offered.counter) {
            return Err(KeySetError::Gap { known: known.counter, offered: offered.counter });
        }
        // It names another set at our counter: the account signed two.
        if offered.previous != known.hash {
            return Err(KeySetError::Fork { counter: known.counter });
        }
        let same_key = known.account_key == offered.account_key;
        let succession = match &offered.proof {
            SuccessionProof::None if same_key => Succession::SameAccountKey,
            SuccessionProof::None => return Err(KeySetError::ProofMissing),
            _ if same_key => return Err(KeySetError::ProofUnexpected),
            SuccessionProof::Migration(signature) => {
                known
                    .account_key
                    .verify(&[MIGRATION_LABEL, offered.body()], signature)
                    .map_err(|_| KeySetError::MigrationSignature)?;
                Succession::Migrated
            }
            SuccessionProof::Reset { .. } => Succession::Reset,
            SuccessionProof::Recovery { key, signature } => return self.check_recovery(next, key, signature),
        };
        if succession == Succession::Reset {
            self.check_reset_commitments(next)?;
            return Ok(succession);
        }
        self.check_devices(next)?;
        // Neighbours leave no room for devices that came and went unseen.
        if self.highest_with(next) != offered.highest_device {
            return Err(self.highest_device_error(next));
        }
        Ok(succession)
    }

    /// Checks that `newer` is this set again or a later one, with sets between them possibly missing.
    ///
    /// Across a gap the account key must be the same one, the counter greater by [`KEY_SET_GAP_MAX`] at most and the highest device
    /// number no lower. A number this set had already assigned still names the same device or none. What a gap hides is whether the
    /// account signed another set at one of the missing counters; it would take the account key to do so. A recovery that this set
    /// commits to needs none of the sets between.
    ///
    /// # Errors
    /// [`KeySetError`]; with [`KeySetError::KeyChangeAcrossGap`] the sets between may tell.
    pub fn check_newer(&self, newer: &Self) -> Result<Succession, KeySetError> {
        let (known, offered) = (&self.0, &newer.0);
        if self.is_same_or_older(newer)? || known.counter.next() == Some(offered.counter) {
            return self.check_successor(newer);
        }
        if let SuccessionProof::Recovery { key, signature } = &offered.proof {
            // A key that this set does not know may be one that a set between brought in, and a long way may have been gone in steps.
            return match self.check_recovery(newer, key, signature) {
                Err(KeySetError::RecoveryKey | KeySetError::Gap { .. }) => Err(KeySetError::KeyChangeAcrossGap),
                result => result,
            };
        }
        if known.account_key != offered.account_key || offered.proof != SuccessionProof::None {
            return Err(KeySetError::KeyChangeAcrossGap);
        }
        self.check_leap(newer)?;
        self.check_devices(newer)?;
        if offered.highest_device < known.highest_device {
            return Err(self.highest_device_error(newer));
        }
        Ok(Succession::SameAccountKey)
    }

    /// Checks sets that follow this one in a row, oldest first, and says the most that happened in them. The last one is the newest.
    ///
    /// # Errors
    /// [`KeySetError`] of the first link that does not hold.
    pub fn check_chain(&self, chain: &[Self]) -> Result<Succession, KeySetError> {
        let (mut known, mut most) = (self, Succession::Unchanged);
        for next in chain {
            most = most.max(known.check_successor(next)?);
            known = next;
        }
        Ok(most)
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

    /// A later set that shows a recovery: the key must be one that this set commits to. Its own commitment it may replace, those that
    /// outrank it stay, those that it outranks go.
    fn check_recovery(
        &self,
        next: &Self,
        key: &VerifyingKey,
        signature: &Signature,
    ) -> Result<Succession, KeySetError> {
        let (known, offered) = (&self.0, &next.0);
        let rank = recovery::rank(&known.recovery, key).ok_or(KeySetError::RecoveryKey)?;
        self.check_leap(next)?;
        SuccessionProof::check_recovery(key, offered.body(), signature)?;
        if known.account_key == offered.account_key {
            return Err(KeySetError::ProofUnexpected);
        }
        if offered.recovery.len() != rank + 1 || offered.recovery[..rank] != known.recovery[..rank] {
            return Err(KeySetError::RecoveryCommitmentChanged);
        }
        Ok(Succession::Recovered)
    }

    /// A later set is not further ahead than anybody can have come honestly.
    fn check_leap(&self, next: &Self) -> Result<(), KeySetError> {
        let (known, offered) = (self.0.counter, next.0.counter);
        if offered.get() - known.get() > KEY_SET_GAP_MAX { Err(KeySetError::Gap { known, offered }) } else { Ok(()) }
    }

    /// A reset keeps every commitment, and may add one behind them.
    fn check_reset_commitments(&self, next: &Self) -> Result<(), KeySetError> {
        let (known, offered) = (&self.0.recovery, &next.0.recovery);
        let added = offered.strip_prefix(known.as_slice()).ok_or(KeySetError::RecoveryCommitmentChanged)?;
        if added.len() > 1 { Err(KeySetError::RecoveryCommitmentChanged) } else { Ok(()) }
    }

    /// What holds between any two sets that account keys signed: numbers are not reused and the recovery commitments stay.
    fn check_devices(&self, next: &Self) -> Result<(), KeySetError> {
        let (known, offered) = (&self.0.recovery, &next.0.recovery);
        if known != offered && !(known.is_empty() && offered.len() == 1) {
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

    /// The rank at which a recovery key stands here; `None` where this set does not commit to it.
    #[must_use]
    pub fn recovery_rank(&self, key: &VerifyingKey) -> Option<usize> {
        recovery::rank(&self.0.recovery, key)
    }

    /// Whether a reset may add a commitment: the list has room.
    #[must_use]
    pub fn takes_recovery_commitment(&self) -> bool {
        self.0.recovery.len() < RECOVERY_COMMITMENTS_MAX
    }
}
