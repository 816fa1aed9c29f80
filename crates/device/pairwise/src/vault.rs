//! Whoever keeps the key that wraps the data key, and a number that a restored copy of the store does not bring along.
//!
//! The data key is random, never stored as it is, and unwrapped once per opening. On a phone the wrapping key is in hardware.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rcseal_crypto::{Secret, aead};
use zeroize::Zeroizing;

/// Why a vault did not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultFault {
    /// The user has to unlock the device first.
    #[error("the user has not authenticated")]
    UserNotAuthenticated,
    /// The system has discarded the key.
    #[error("the wrapping key is no longer valid")]
    KeyInvalidated,
    /// There is no key under this alias.
    #[error("the key vault has no key under this alias")]
    NotFound,
    /// There is one already.
    #[error("the key vault has a key under this alias already")]
    AlreadyExists,
    /// The secure hardware does not answer.
    #[error("the secure hardware is not available")]
    HardwareUnavailable,
    /// Something else.
    #[error("the key vault failed")]
    Failed,
}

impl VaultFault {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UserNotAuthenticated => "vault.user_not_authenticated",
            Self::KeyInvalidated => "vault.key_invalidated",
            Self::NotFound => "vault.not_found",
            Self::AlreadyExists => "vault.already_exists",
            Self::HardwareUnavailable => "vault.hardware_unavailable",
            Self::Failed => "vault.unexpected",
        }
    }
}

/// Keeps wrapping keys and generation numbers, both by alias.
pub trait DataKeyVault: Send + Sync {
    /// Creates the wrapping key of an alias, generation 0. An alias that is there already is refused.
    ///
    /// # Errors
    /// [`VaultFault`].
    fn create_wrapping_key(&self, alias: &str) -> Result<(), VaultFault>;
    /// Whether the alias has a wrapping key.
    ///
    /// # Errors
    /// [`VaultFault`].
    fn has_wrapping_key(&self, alias: &str) -> Result<bool, VaultFault>;
    /// Wraps a data key. The answer is opaque.
    ///
    /// # Errors
    /// [`VaultFault`].
    fn wrap(&self, alias: &str, data_key: Zeroizing<Vec<u8>>) -> Result<Vec<u8>, VaultFault>;
    /// Unwraps what `wrap` answered.
    ///
    /// # Errors
    /// [`VaultFault`].
    fn unwrap(&self, alias: &str, wrapped: Vec<u8>) -> Result<Zeroizing<Vec<u8>>, VaultFault>;
    /// Deletes the wrapping key and its generation.
    ///
    /// # Errors
    /// [`VaultFault`].
    fn delete(&self, alias: &str) -> Result<(), VaultFault>;
    /// The generation number.
    ///
    /// # Errors
    /// [`VaultFault`].
    fn generation(&self, alias: &str) -> Result<u64, VaultFault>;
    /// Adds one to the generation number, durably, and answers the new one.
    ///
    /// # Errors
    /// [`VaultFault`].
    fn bump_generation(&self, alias: &str) -> Result<u64, VaultFault>;
}

struct Entry {
    key: Secret<32>,
    generation: u64,
    wrapped: u64,
}

/// A vault in memory, for tests and examples. What it wrapped is lost with it.
#[derive(Default)]
pub struct MemoryVault {
    seed: [u8; 32],
    entries: Mutex<BTreeMap<String, Entry>>,
}

impl MemoryVault {
    /// A vault whose keys are derived from this.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self { seed, entries: Mutex::default() }
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, alias: &str, then: impl FnOnce(&mut Entry) -> T) -> Result<T, VaultFault> {
        self.entries().get_mut(alias).map(then).ok_or(VaultFault::NotFound)
    }
}

impl DataKeyVault for MemoryVault {
    fn create_wrapping_key(&self, alias: &str) -> Result<(), VaultFault> {
        let mut entries = self.entries();
        if entries.contains_key(alias) {
            return Err(VaultFault::AlreadyExists);
        }
        let key = rcseal_crypto::hkdf::hkdf_sha256(b"memory vault", &self.seed, &[alias.as_bytes()]);
        entries.insert(alias.to_owned(), Entry { key, generation: 0, wrapped: 0 });
        Ok(())
    }

    fn has_wrapping_key(&self, alias: &str) -> Result<bool, VaultFault> {
        Ok(self.entries().contains_key(alias))
    }

    fn wrap(&self, alias: &str, data_key: Zeroizing<Vec<u8>>) -> Result<Vec<u8>, VaultFault> {
        self.with(alias, |entry| {
            let mut nonce = [0; aead::NONCE_LEN];
            nonce[..8].copy_from_slice(&entry.wrapped.to_be_bytes());
            entry.wrapped += 1;
            [&nonce[..], &aead::seal(&entry.key, &nonce, b"", &data_key)].concat()
        })
    }

    fn unwrap(&self, alias: &str, wrapped: Vec<u8>) -> Result<Zeroizing<Vec<u8>>, VaultFault> {
        let (nonce, sealed) = wrapped.split_first_chunk::<{ aead::NONCE_LEN }>().ok_or(VaultFault::Failed)?;
        self.with(alias, |entry| aead::open(&entry.key, nonce, b"", sealed).map(Zeroizing::new))?
            .map_err(|_| VaultFault::Failed)
    }

    fn delete(&self, alias: &str) -> Result<(), VaultFault> {
        self.entries().remove(alias).map(drop).ok_or(VaultFault::NotFound)
    }

    fn generation(&self, alias: &str) -> Result<u64, VaultFault> {
        self.with(alias, |entry| entry.generation)
    }

    fn bump_generation(&self, alias: &str) -> Result<u64, VaultFault> {
        self.with(alias, |entry| {
            entry.generation += 1;
            entry.generation
        })
    }
}
