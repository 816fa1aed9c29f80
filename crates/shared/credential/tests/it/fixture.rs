//! Devices and accounts with keys drawn from a seed.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use rcseal_credential::{
    AccountSigner, DeviceClaims, DeviceEntry, IdentityProfile, KeySetBuilder, RecoveryCommitment, VerifiedKeySet,
    prove_device,
};
use rcseal_crypto::seal::SealingSecretKey;
use rcseal_crypto::{ed25519, x25519};
use rcseal_wire::id::{AccountId, Custody, DeviceNumber, Platform};

pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub(crate) fn number(number: u8) -> DeviceNumber {
    DeviceNumber::new(number).unwrap()
}

/// The secret keys of one device.
pub(crate) struct Device {
    pub(crate) auth: ed25519::SigningKey,
    pub(crate) native: x25519::SecretKey,
    pub(crate) signal: x25519::SecretKey,
    pub(crate) sealing: SealingSecretKey,
}

impl Device {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = rng(seed);
        Self {
            auth: ed25519::SigningKey::generate(&mut rng),
            native: x25519::SecretKey::generate(&mut rng),
            signal: x25519::SecretKey::generate(&mut rng),
            sealing: SealingSecretKey::generate(&mut rng),
        }
    }

    pub(crate) fn entry(&self, account: AccountId, device: u8) -> DeviceEntry {
        self.entry_with(account, device, &[(IdentityProfile::Native, &self.native)], &[])
    }

    pub(crate) fn entry_with(
        &self,
        account: AccountId,
        device: u8,
        identity_keys: &[(IdentityProfile, &x25519::SecretKey)],
        mls_leaf_keys: &[Vec<u8>],
    ) -> DeviceEntry {
        let claims = DeviceClaims {
            account,
            number: number(device),
            platform: Platform::Android,
            custody: Custody::User,
            auth_key: &self.auth,
            identity_keys,
            sealing_key: &self.sealing.public_key(),
            mls_leaf_keys,
        };
        prove_device(&mut rng(1_000 + u64::from(device)), &claims).unwrap()
    }
}

/// An account with one device, and its first key set.
pub(crate) struct Account {
    pub(crate) id: AccountId,
    pub(crate) signer: AccountSigner,
    pub(crate) first: VerifiedKeySet,
}

impl Account {
    pub(crate) fn new(seed: u64) -> Self {
        Self::with_recovery(seed, RecoveryCommitment::NONE)
    }

    pub(crate) fn with_recovery(seed: u64, recovery: RecoveryCommitment) -> Self {
        let mut rng = rng(seed);
        let id = AccountId::generate(&mut rng);
        let signer = AccountSigner::generate(&mut rng);
        let first = KeySetBuilder::first(id, recovery)
            .add_device(Device::new(seed).entry(id, 1))
            .unwrap()
            .sign(&signer)
            .unwrap();
        Self { id, signer, first }
    }

    /// The successor of `current` with one more device, its keys drawn from `seed`.
    pub(crate) fn add(&self, current: &VerifiedKeySet, device: u8, seed: u64) -> VerifiedKeySet {
        KeySetBuilder::successor(current)
            .add_device(Device::new(seed).entry(self.id, device))
            .unwrap()
            .sign(&self.signer)
            .unwrap()
    }

    pub(crate) fn remove(&self, current: &VerifiedKeySet, device: u8) -> VerifiedKeySet {
        KeySetBuilder::successor(current).remove_device(number(device)).unwrap().sign(&self.signer).unwrap()
    }
}
