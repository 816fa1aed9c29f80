//! The first row: which generation of the vault the store belongs to, and how many commits it has seen.
//!
//! Every commit replaces the head and is conditional on it. So of two processes with one store only one commits a step, and the other
//! does its step again over what the first one wrote: a ratchet step is never made twice.
//!
//! **Generations.** The vault counts how often the store was opened and closed, where a restored copy of the store does not bring the
//! number along. A store that is behind its vault was set back: its sessions would use keys again. They belong to a former *era* then and
//! are never used, and the prekeys are made anew.

use rcseal_crypto::Secret;
use zeroize::Zeroizing;

use crate::batch::{StoreKeys, u64_at};
use crate::error::PairwiseError;
use crate::store::{CryptoStore, HEAD, StoreWrite};
use crate::vault::DataKeyVault;

/// The row of the wrapped data key.
const KEY: &[u8] = b"key";
/// The alias of the wrapping key.
pub(crate) const ALIAS: &str = "pairwise";
const VERSION: u8 = 1;
const LEN: usize = 1 + 3 * 8;

/// What the head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) generation: u64,
    /// Counts how often the store was found set back.
    pub(crate) era: u64,
    /// Counts commits.
    pub(crate) revision: u64,
}

impl Head {
    pub(crate) fn read(keys: &StoreKeys, sealed: &[u8]) -> Result<Self, PairwiseError> {
        let row = keys.open(HEAD, sealed)?;
        if row.len() != LEN || row[0] != VERSION {
            return Err(PairwiseError::Damaged);
        }
        Ok(Self { generation: u64_at(&row, 1)?, era: u64_at(&row, 9)?, revision: u64_at(&row, 17)? })
    }

    pub(crate) fn write(self, keys: &StoreKeys, rng: &mut dyn rand_core::CryptoRng) -> StoreWrite {
        let mut row = vec![VERSION];
        for number in [self.generation, self.era, self.revision] {
            row.extend_from_slice(&number.to_be_bytes());
        }
        keys.seal(rng, HEAD, &row)
    }

    /// The head of the next commit.
    pub(crate) const fn next(self) -> Self {
        Self { revision: self.revision + 1, ..self }
    }
}

/// A store whose data key is known.
pub(crate) struct Unlocked {
    pub(crate) keys: StoreKeys,
    pub(crate) head: Head,
    pub(crate) sealed_head: Vec<u8>,
    pub(crate) is_rolled_back: bool,
}

/// Unwraps the data key and compares generations; in an empty store with an empty vault, makes both.
pub(crate) fn unlock(
    rng: &mut dyn rand_core::CryptoRng,
    store: &dyn CryptoStore,
    vault: &dyn DataKeyVault,
) -> Result<Unlocked, PairwiseError> {
    let has_key = vault.has_wrapping_key(ALIAS)?;
    match (store.get(KEY)?, store.get(HEAD)?, has_key) {
        (Some(wrapped), Some(sealed_head), true) => {
            let data_key = vault.unwrap(ALIAS, wrapped)?;
            let keys = StoreKeys::new(&Secret::from_slice(&data_key).ok_or(PairwiseError::Damaged)?);
            let head = Head::read(&keys, &sealed_head)?;
            let is_rolled_back = head.generation != vault.generation(ALIAS)?;
            Ok(Unlocked { keys, head, sealed_head, is_rolled_back })
        }
        (None, None, has_key) => {
            if has_key {
                // Generation 0 has never been opened: its first opening was interrupted.
                if vault.generation(ALIAS)? != 0 {
                    return Err(PairwiseError::StoreMissing);
                }
                vault.delete(ALIAS)?;
            }
            create(rng, store, vault)
        }
        (Some(_), Some(_), false) => Err(PairwiseError::KeyMissing),
        (Some(_), None, _) | (None, Some(_), _) => Err(PairwiseError::Damaged),
    }
}

fn create(
    rng: &mut dyn rand_core::CryptoRng,
    store: &dyn CryptoStore,
    vault: &dyn DataKeyVault,
) -> Result<Unlocked, PairwiseError> {
    vault.create_wrapping_key(ALIAS)?;
    let data_key = Secret::<32>::generate(rng);
    let wrapped = vault.wrap(ALIAS, Zeroizing::new(data_key.expose().to_vec()))?;
    let keys = StoreKeys::new(&data_key);
    let head = Head { generation: vault.generation(ALIAS)?, era: 0, revision: 0 };
    let first = head.write(&keys, rng);
    let sealed_head = first.value.clone().unwrap_or_default();
    store.commit(None, &[StoreWrite { key: KEY.to_vec(), value: Some(wrapped) }, first])?;
    Ok(Unlocked { keys, head, sealed_head, is_rolled_back: false })
}
