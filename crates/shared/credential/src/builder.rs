//! How the primary device writes key sets.
//!
//! [`AccountSigner`] holds the account key, which never leaves the primary device. A [`KeySetBuilder`] starts from nothing or from the
//! current set, takes changes, and signs. Before it hands the result out it parses, verifies and compares it like any stranger would,
//! so that a mistake shows here and not at the contacts.

use core::fmt;

use rand_core::CryptoRng;
use rcseal_crypto::ed25519::{Signature, SigningKey, VerifyingKey};
use rcseal_wire::id::{AccountId, DeviceNumber, KeySetCounter, KeySetHash};

use crate::codec::{self, BodyFields};
use crate::key_set::{KEY_SET_VERSION, SIGNATURE_LABEL};
use crate::proof::{MIGRATION_LABEL, RECOVERY_LABEL};
use crate::{
    BuildError, DEVICES_MAX, DeviceEntry, KeySetError, ParseError, ParticipantKey, RecoveryCommitment, RecoveryKey,
    SuccessionProof, UnverifiedKeySet, VerifiedKeySet,
};

/// The account key. It signs key sets, and what the account says of phone numbers ([`crate::mapping`]), each under its own label.
pub struct AccountSigner(SigningKey);

impl AccountSigner {
    /// Draws a new account key.
    #[must_use]
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self(SigningKey::generate(rng))
    }

    /// Takes a stored seed.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(SigningKey::from_seed(seed))
    }

    /// The stored form.
    #[must_use]
    pub fn seed(&self) -> &[u8; 32] {
        self.0.seed()
    }

    /// The public account key.
    #[must_use]
    pub fn account_key(&self) -> VerifyingKey {
        self.0.verifying_key()
    }

    /// Shows a server that the account key is at hand: a device that was restored from a backup reads the account's key set with it.
    #[must_use]
    pub fn prove_restoration(&self, account: &AccountId) -> Signature {
        self.0.sign(&[&rcseal_wire::backup::restoration_proof(account)])
    }

    /// Asks a server to delete the account whose current key set has this hash.
    #[must_use]
    pub fn sign_deletion(&self, account: &AccountId, key_set: &KeySetHash) -> Signature {
        self.0.sign(&[&rcseal_wire::backup::account_deletion(account, key_set)])
    }

    /// For [`crate::mapping`]: the first part is its label.
    pub(crate) fn sign_statement(&self, parts: &[&[u8]]) -> Signature {
        self.0.sign(parts)
    }
}

impl fmt::Debug for AccountSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccountSigner")
    }
}

/// A key set being written.
#[derive(Debug, Clone)]
pub struct KeySetBuilder {
    account: AccountId,
    previous: Option<VerifiedKeySet>,
    recovery: Vec<RecoveryCommitment>,
    participant_key: Option<ParticipantKey>,
    devices: Vec<DeviceEntry>,
    /// A recovery or a reset: the numbering begins anew with the devices it lists.
    is_anew: bool,
    /// Counters left out after the previous set's.
    ahead: u64,
}

impl KeySetBuilder {
    /// Starts the first set of an account. [`RecoveryCommitment::NONE`] where there is no recovery key yet.
    #[must_use]
    pub fn first(account: AccountId, recovery: RecoveryCommitment) -> Self {
        Self {
            account,
            previous: None,
            recovery: listed(recovery),
            participant_key: None,
            devices: Vec::new(),
            is_anew: false,
            ahead: 0,
        }
    }

    /// Starts the successor of `current`, with everything in it.
    #[must_use]
    pub fn successor(current: &VerifiedKeySet) -> Self {
        Self {
            account: current.account(),
            recovery: current.recovery_commitments().to_vec(),
            participant_key: current.participant_key().copied(),
            devices: current.devices().to_vec(),
            previous: Some(current.clone()),
            is_anew: false,
            ahead: 0,
        }
    }

    /// Starts a recovery of the account: no device of `current` stays, and neither does the participant key, which went with the
    /// primary device. `renewed` takes the place of the commitment to `key`, which has been typed in and is spent.
    ///
    /// # Errors
    /// [`KeySetError::RecoveryKey`] in [`BuildError::Refused`] where `current` does not commit to the key.
    pub fn recovery(
        current: &VerifiedKeySet,
        key: &RecoveryKey,
        renewed: RecoveryCommitment,
    ) -> Result<Self, BuildError> {
        let rank = current.recovery_rank(&key.public_key()).ok_or(BuildError::Refused(KeySetError::RecoveryKey))?;
        let mut recovery = current.recovery_commitments()[..rank].to_vec();
        recovery.push(renewed);
        Ok(Self { recovery, ..Self::anew(current) })
    }

    /// Starts a reset of the account: no device of `current` stays. `added` stands behind the commitments that there are, where there is
    /// room ([`VerifiedKeySet::takes_recovery_commitment`]).
    #[must_use]
    pub fn reset(current: &VerifiedKeySet, added: RecoveryCommitment) -> Self {
        let mut recovery = current.recovery_commitments().to_vec();
        if current.takes_recovery_commitment() {
            recovery.extend(listed(added));
        }
        Self { recovery, ..Self::anew(current) }
    }

    fn anew(current: &VerifiedKeySet) -> Self {
        Self {
            account: current.account(),
            recovery: Vec::new(),
            participant_key: None,
            devices: Vec::new(),
            previous: Some(current.clone()),
            is_anew: true,
            ahead: 0,
        }
    }

    /// Leaves `counters` out, which nothing but a recovery may: somebody with the account key publishes faster than the recovery gets to
    /// the server, and what they publish meanwhile is below it. At most [`crate::KEY_SET_GAP_MAX`], less one.
    #[must_use]
    pub fn ahead(self, counters: u64) -> Self {
        Self { ahead: counters, ..self }
    }

    /// Adds a device. Its number must be one that was never assigned; [`VerifiedKeySet::next_device_number`] is.
    pub fn add_device(mut self, entry: DeviceEntry) -> Result<Self, BuildError> {
        match self.position(entry.number()) {
            Ok(_) => Err(BuildError::DeviceExists { device: entry.number() }),
            Err(_) if self.devices.len() == DEVICES_MAX => {
                Err(BuildError::Format(ParseError::DeviceCount { count: DEVICES_MAX + 1 }))
            }
            Err(index) => {
                self.devices.insert(index, entry);
                Ok(self)
            }
        }
    }

    /// Replaces a device's entry by one that it made anew: renewed keys under the same device-auth key.
    pub fn replace_device(mut self, entry: DeviceEntry) -> Result<Self, BuildError> {
        let device = entry.number();
        let index = self.position(device).map_err(|_| BuildError::NoSuchDevice { device })?;
        self.devices[index] = entry;
        Ok(self)
    }

    /// Removes a device. Its number stays used.
    pub fn remove_device(mut self, device: DeviceNumber) -> Result<Self, BuildError> {
        let index = self.position(device).map_err(|_| BuildError::NoSuchDevice { device })?;
        self.devices.remove(index);
        Ok(self)
    }

    /// Sets or clears the participant key.
    #[must_use]
    pub fn participant_key(mut self, key: Option<ParticipantKey>) -> Self {
        self.participant_key = key;
        self
    }

    /// Sets the recovery commitment, which only works where there was none.
    #[must_use]
    pub fn recovery_commitment(mut self, commitment: RecoveryCommitment) -> Self {
        self.recovery = listed(commitment);
        self
    }

    /// Signs with the account key that signed the previous set.
    pub fn sign(self, signer: &AccountSigner) -> Result<VerifiedKeySet, BuildError> {
        self.finish(signer, |_| SuccessionProof::None)
    }

    /// Hands the account over to a new account key: `new` signs the set and `old` signs the change. Used when a holder of the account
    /// key is removed, or when the key may have been seen.
    pub fn sign_migration(self, old: &AccountSigner, new: &AccountSigner) -> Result<VerifiedKeySet, BuildError> {
        self.finish(new, |body| SuccessionProof::Migration(old.0.sign(&[MIGRATION_LABEL, body])))
    }

    /// Takes the account back: `new` signs the set and the recovery key signs the change. For a builder from [`Self::recovery`].
    pub fn sign_recovery(self, key: &RecoveryKey, new: &AccountSigner) -> Result<VerifiedKeySet, BuildError> {
        self.finish(new, |body| SuccessionProof::Recovery {
            key: key.public_key(),
            signature: key.sign(&[RECOVERY_LABEL, body]),
        })
    }

    /// Begins the account again: `new` signs the set, and nobody signs the change. For a builder from [`Self::reset`].
    pub fn sign_reset(self, new: &AccountSigner, not_before_ms: u64) -> Result<VerifiedKeySet, BuildError> {
        self.finish(new, |_| SuccessionProof::Reset { not_before_ms })
    }

    fn position(&self, device: DeviceNumber) -> Result<usize, usize> {
        self.devices.binary_search_by_key(&device, DeviceEntry::number)
    }

    fn finish(
        self,
        signer: &AccountSigner,
        prove: impl FnOnce(&[u8]) -> SuccessionProof,
    ) -> Result<VerifiedKeySet, BuildError> {
        let counter = match &self.previous {
            None => KeySetCounter::FIRST,
            Some(previous) => {
                let next = previous.counter().next().and_then(|next| next.get().checked_add(self.ahead));
                KeySetCounter::new(next.ok_or(BuildError::CounterExhausted)?)
            }
        };
        let assigned = self.previous.as_ref().map_or(0, |previous| previous.highest_device().get());
        let listed = self.devices.last().map_or(0, |device| device.number().get());
        let mut bytes = codec::encode(&BodyFields {
            version: KEY_SET_VERSION,
            account: *self.account.as_bytes(),
            counter: counter.get(),
            previous: self.previous.as_ref().map_or([0; 32], |previous| *previous.hash().as_bytes()),
            account_key: *signer.account_key().as_bytes(),
            recovery_commitments: self.recovery.iter().map(|key| *key.as_bytes()).collect::<Vec<_>>().into(),
            participant_key: self.participant_key.as_ref().map_or(&[][..], |key| key.as_bytes()).into(),
            highest_device: if self.is_anew { listed } else { assigned.max(listed) },
            devices: self.devices.iter().map(DeviceEntry::fields).collect::<Vec<_>>().into(),
        });
        let proof = prove(&bytes);
        bytes.extend_from_slice(&codec::encode(&proof.fields()));
        let signature = signer.0.sign(&[SIGNATURE_LABEL, &bytes]);
        bytes.extend_from_slice(signature.as_bytes());

        let signed =
            UnverifiedKeySet::parse(&bytes).map_err(BuildError::Format)?.verify().map_err(BuildError::Refused)?;
        if let Some(previous) = &self.previous {
            previous.check_successor(&signed).map_err(BuildError::Refused)?;
        }
        Ok(signed)
    }
}

/// The list of one, or of none.
fn listed(commitment: RecoveryCommitment) -> Vec<RecoveryCommitment> {
    if commitment == RecoveryCommitment::NONE { Vec::new() } else { vec![commitment] }
}
