//! One step's reads and writes: sealed values under hashed names, gathered and committed at once.
//!
//! A name is `HMAC(name key, plain name)`. A value is `version(1) = 1 || nonce(12) || AES-256-GCM`, under a key derived for its name and with
//! the name as associated data, so no row can be put in another's place.

use std::collections::BTreeMap;

use rand_core::CryptoRng;
use rcseal_crypto::{Secret, aead, hkdf, hmac};
use zeroize::Zeroizing;

use crate::error::PairwiseError;
use crate::store::{CryptoStore, HEAD, StoreWrite};

const VERSION: u8 = 1;
const NAME_LABEL: &[u8] = b"rcseal/pairwise/name/v1";
const VALUE_LABEL: &[u8] = b"rcseal/pairwise/value/v1";

/// The keys of a store, out of its data key.
pub(crate) struct StoreKeys {
    name: Secret<32>,
    value: Secret<32>,
}

impl StoreKeys {
    pub(crate) fn new(data_key: &Secret<32>) -> Self {
        let derive = |label| hkdf::hkdf_sha256(b"", data_key.expose(), &[label]);
        Self { name: derive(NAME_LABEL), value: derive(VALUE_LABEL) }
    }

    fn name(&self, plain: &[u8]) -> Vec<u8> {
        // The head is found before anything is known about the store.
        if plain == HEAD { HEAD.to_vec() } else { hmac::hmac_sha256(self.name.expose(), &[plain]).to_vec() }
    }

    fn key_of(&self, name: &[u8]) -> Secret<32> {
        hkdf::hkdf_sha256(b"", self.value.expose(), &[name])
    }

    pub(crate) fn seal(&self, rng: &mut dyn CryptoRng, plain_name: &[u8], value: &[u8]) -> StoreWrite {
        let name = self.name(plain_name);
        let mut nonce = [0; aead::NONCE_LEN];
        rng.fill_bytes(&mut nonce);
        let mut sealed = vec![VERSION];
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&aead::seal(&self.key_of(&name), &nonce, &name, value));
        StoreWrite { key: name, value: Some(sealed) }
    }

    pub(crate) fn open(&self, plain_name: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, PairwiseError> {
        let name = self.name(plain_name);
        let (version, rest) = sealed.split_first().ok_or(PairwiseError::Damaged)?;
        let (nonce, sealed) = rest.split_first_chunk().ok_or(PairwiseError::Damaged)?;
        if *version != VERSION {
            return Err(PairwiseError::Damaged);
        }
        let opened = aead::open(&self.key_of(&name), nonce, &name, sealed);
        opened.map(Zeroizing::new).map_err(|_| PairwiseError::Damaged)
    }
}

/// A step that is under way. What it has written it reads back; the store sees nothing of it before the commit.
pub(crate) struct Batch<'a> {
    store: &'a dyn CryptoStore,
    keys: &'a StoreKeys,
    pending: BTreeMap<Vec<u8>, Option<Zeroizing<Vec<u8>>>>,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(store: &'a dyn CryptoStore, keys: &'a StoreKeys) -> Self {
        Self { store, keys, pending: BTreeMap::new() }
    }

    pub(crate) fn get(&self, name: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, PairwiseError> {
        if let Some(pending) = self.pending.get(name) {
            return Ok(pending.clone());
        }
        match self.store.get(&self.keys.name(name))? {
            Some(sealed) => self.keys.open(name, &sealed).map(Some),
            None => Ok(None),
        }
    }

    pub(crate) fn put(&mut self, name: Vec<u8>, value: &[u8]) {
        self.pending.insert(name, Some(Zeroizing::new(value.to_vec())));
    }

    pub(crate) fn delete(&mut self, name: Vec<u8>) {
        self.pending.insert(name, None);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Everything that the step changes, sealed.
    pub(crate) fn into_writes(self, rng: &mut dyn CryptoRng) -> Vec<StoreWrite> {
        let keys = self.keys;
        self.pending
            .into_iter()
            .map(|(name, value)| match value {
                Some(value) => keys.seal(rng, &name, &value),
                None => StoreWrite { key: keys.name(&name), value: None },
            })
            .collect()
    }
}

/// A row's plain name.
pub(crate) fn name(kind: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut name = Vec::from(kind.as_bytes());
    for part in parts {
        name.push(b'/');
        name.extend_from_slice(part);
    }
    name
}

/// A number out of a row.
pub(crate) fn u64_at(row: &[u8], at: usize) -> Result<u64, PairwiseError> {
    let bytes = row.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).ok_or(PairwiseError::Damaged)?;
    Ok(u64::from_be_bytes(bytes))
}
