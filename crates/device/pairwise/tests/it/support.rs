//! Two people, each with a store, a vault and a seed.

use std::sync::Arc;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use rcseal_pairwise::{CryptoStore, MemoryStore, MemoryVault, Moment, Pairwise, PairwiseError};

pub(crate) const NOW_S: u64 = 1_800_000_000;

/// A device: what survives when the app is closed, and the open handle.
pub(crate) struct Device {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) vault: Arc<MemoryVault>,
    pub(crate) rng: ChaCha20Rng,
    pub(crate) now_s: u64,
    pub(crate) open: Pairwise,
}

impl Device {
    pub(crate) fn new(seed: u8) -> Self {
        let (store, vault) = (Arc::new(MemoryStore::new()), Arc::new(MemoryVault::new([seed; 32])));
        let mut rng = ChaCha20Rng::from_seed([seed; 32]);
        let open = open(store.clone(), &vault, &mut rng).unwrap();
        Self { store, vault, rng, now_s: NOW_S, open }
    }

    /// As after the process was killed: nothing is closed.
    pub(crate) fn reopen(&mut self) {
        self.reopen_on(self.store.clone());
    }

    /// Another store in place of the one there was.
    pub(crate) fn reopen_on(&mut self, store: Arc<MemoryStore>) {
        self.open = open(store.clone(), &self.vault, &mut self.rng).unwrap();
        self.store = store;
    }

    /// One call.
    pub(crate) fn call<T>(
        &mut self,
        call: impl FnOnce(&Pairwise, &mut Moment<'_>) -> Result<T, PairwiseError>,
    ) -> Result<T, PairwiseError> {
        call(&self.open, &mut Moment { now_s: self.now_s, rng: &mut self.rng })
    }

    pub(crate) fn bundle(&mut self) -> Vec<u8> {
        self.call(|pairwise, at| Ok(pairwise.bundles(1, at)?.remove(0).to_bytes())).unwrap()
    }

    pub(crate) fn last_resort(&mut self) -> Vec<u8> {
        self.call(|pairwise, at| Ok(pairwise.last_resort_bundle(at)?.to_bytes())).unwrap()
    }

    pub(crate) fn begin(&mut self, peer: &str, bundle: &[u8]) -> Result<bool, PairwiseError> {
        self.call(|pairwise, at| Ok(pairwise.get_or_create_session(peer, Some(bundle), at)?.is_new))
    }

    pub(crate) fn encrypt(&mut self, peer: &str, text: &str) -> Result<Vec<u8>, PairwiseError> {
        self.call(|pairwise, at| pairwise.encrypt(peer, text.as_bytes(), at))
    }

    pub(crate) fn decrypt(&mut self, peer: &str, message: &[u8]) -> Result<String, PairwiseError> {
        self.call(|pairwise, at| Ok(String::from_utf8(pairwise.decrypt(peer, message, at)?).unwrap()))
    }

    /// Sends a text that must arrive.
    pub(crate) fn send(&mut self, our_name: &str, to: &mut Self, their_name: &str, text: &str) {
        let message = self.encrypt(their_name, text).unwrap();
        assert_eq!(to.decrypt(our_name, &message).unwrap(), text);
    }
}

pub(crate) fn open(
    store: Arc<dyn CryptoStore>,
    vault: &Arc<MemoryVault>,
    rng: &mut ChaCha20Rng,
) -> Result<Pairwise, PairwiseError> {
    Pairwise::open(store, vault.clone(), &mut Moment { now_s: NOW_S, rng })
}

/// Two people who have written to each other.
pub(crate) fn acquainted() -> (Device, Device) {
    let (mut alice, mut bob) = (Device::new(1), Device::new(2));
    let bundle = bob.bundle();
    assert!(alice.begin("bob", &bundle).unwrap());
    alice.send("alice", &mut bob, "bob", "hello");
    bob.send("bob", &mut alice, "alice", "hello to you");
    (alice, bob)
}
