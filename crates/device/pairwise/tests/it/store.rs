//! The app's store and vault: what they see, and what happens when they fail, are set back, or are shared.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcseal_pairwise::{
    CryptoStore, DataKeyVault, HEAD, MemoryStore, MemoryVault, PairwiseError, StoreFault, StoreWrite,
};

use crate::support::{Device, acquainted, open};

#[test]
fn a_session_goes_on_after_the_process_was_killed() {
    let (mut alice, mut bob) = acquainted();
    for round in 0..4 {
        alice.reopen();
        bob.reopen();
        assert!(!alice.open.was_rolled_back() && !bob.open.was_rolled_back());
        alice.send("alice", &mut bob, "bob", &format!("there {round}"));
        bob.send("bob", &mut alice, "alice", &format!("back {round}"));
    }
}

#[test]
fn the_store_sees_neither_names_nor_words() {
    let (alice, _bob) = acquainted();
    let rows = alice.store.rows();
    for (key, value) in rows.iter() {
        assert!(key.len() == 32 || key.as_slice() == HEAD || key.as_slice() == b"key");
        for word in ["hello", "bob", "alice", "session"] {
            for bytes in [key, value] {
                assert!(!bytes.windows(word.len()).any(|window| window == word.as_bytes()), "{word}");
            }
        }
    }
}

/// A row in another's place, or from another store, opens nothing.
#[test]
fn rows_that_were_exchanged_are_noticed() {
    let (mut alice, _bob) = acquainted();
    let names: Vec<_> = alice.store.rows().keys().filter(|key| key.len() == 32).cloned().collect();
    let values: Vec<_> = names.iter().map(|name| alice.store.rows()[name].clone()).collect();
    for (name, value) in names.iter().zip(values.iter().cycle().skip(1)) {
        alice.store.rows().insert(name.clone(), value.clone());
    }
    assert!(matches!(alice.encrypt("bob", "hello"), Err(PairwiseError::Damaged)));
}

#[test]
fn a_store_that_was_set_back_never_uses_its_sessions_again() {
    let (mut alice, mut bob) = acquainted();
    let backup = Arc::new(alice.store.copied());
    alice.send("alice", &mut bob, "bob", "after the backup");
    alice.reopen();
    alice.reopen_on(backup);
    assert!(alice.open.was_rolled_back());
    assert!(matches!(alice.encrypt("bob", "with an old key"), Err(PairwiseError::BundleNeeded)));
    let from_bob = bob.encrypt("alice", "are you there?").unwrap();
    assert!(matches!(alice.decrypt("bob", &from_bob), Err(PairwiseError::NoSession)));
    // The identity is the same, and a new bundle begins a session that both sides use.
    let bundle = bob.bundle();
    assert!(alice.begin("bob", &bundle).unwrap());
    alice.send("alice", &mut bob, "bob", "here I am");
    bob.send("bob", &mut alice, "alice", "good");
    alice.reopen();
    assert!(!alice.open.was_rolled_back());
}

#[test]
fn a_copy_made_while_it_was_open_is_known_for_one_after_it_was_closed() {
    let (mut alice, _bob) = acquainted();
    let backup = Arc::new(alice.store.copied());
    alice.encrypt("bob", "after the copy").unwrap();
    alice.call(|pairwise, at| pairwise.close(at)).unwrap();
    assert!(matches!(alice.encrypt("bob", "closed"), Err(PairwiseError::Closed)));
    alice.call(|pairwise, at| pairwise.close(at)).unwrap();
    alice.reopen_on(backup);
    assert!(alice.open.was_rolled_back());
}

#[test]
fn a_store_that_is_set_back_while_it_is_open_is_noticed_at_the_next_call() {
    let (mut alice, _bob) = acquainted();
    let before = alice.store.rows().clone();
    alice.encrypt("bob", "one").unwrap();
    *alice.store.rows() = before;
    assert!(matches!(alice.encrypt("bob", "with the same key"), Err(PairwiseError::RolledBack)));
}

/// The app and its push extension: each call of either is one step, and none is made twice.
#[test]
fn two_processes_on_one_store_never_make_the_same_step() {
    let (mut alice, mut bob) = acquainted();
    let mut extension = Device::new(77);
    extension.open = open(alice.store.clone(), &alice.vault, &mut extension.rng).unwrap();
    assert!(!extension.open.was_rolled_back());
    for round in 0..6 {
        let one = alice.encrypt("bob", &format!("app {round}")).unwrap();
        let other = extension.encrypt("bob", &format!("extension {round}")).unwrap();
        assert_eq!(bob.decrypt("alice", &other).unwrap(), format!("extension {round}"));
        assert_eq!(bob.decrypt("alice", &one).unwrap(), format!("app {round}"));
        let back = bob.encrypt("alice", "back").unwrap();
        assert_eq!(extension.decrypt("bob", &back).unwrap(), "back");
        assert!(alice.decrypt("bob", &back).is_err());
    }
}

/// Answers a conflict for the first commits, as if another process had been faster, and then fails the n-th.
struct Faulty {
    inner: Arc<MemoryStore>,
    conflicts: AtomicUsize,
    fails: AtomicUsize,
}

impl CryptoStore for Faulty {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFault> {
        self.inner.get(key)
    }

    fn commit(&self, expected_head: Option<&[u8]>, writes: &[StoreWrite]) -> Result<(), StoreFault> {
        if self.conflicts.load(Ordering::SeqCst) > 0 {
            self.conflicts.fetch_sub(1, Ordering::SeqCst);
            return Err(StoreFault::Conflict);
        }
        if self.fails.load(Ordering::SeqCst) > 0 {
            self.fails.fetch_sub(1, Ordering::SeqCst);
            return Err(StoreFault::Full);
        }
        self.inner.commit(expected_head, writes)
    }
}

#[test]
fn a_commit_that_lost_a_race_is_made_again_and_one_that_failed_gives_nothing_away() {
    let (mut alice, mut bob) = acquainted();
    let faulty =
        Arc::new(Faulty { inner: alice.store.clone(), conflicts: AtomicUsize::new(0), fails: AtomicUsize::new(0) });
    alice.open = open(faulty.clone(), &alice.vault, &mut alice.rng).unwrap();
    faulty.conflicts.store(3, Ordering::SeqCst);
    alice.send("alice", &mut bob, "bob", "late");

    faulty.fails.store(1, Ordering::SeqCst);
    let before = alice.store.rows().clone();
    assert!(matches!(alice.encrypt("bob", "full"), Err(PairwiseError::Store(StoreFault::Full))));
    assert_eq!(*alice.store.rows(), before);
    let message = bob.encrypt("alice", "kept").unwrap();
    faulty.fails.store(1, Ordering::SeqCst);
    assert!(matches!(alice.decrypt("bob", &message), Err(PairwiseError::Store(StoreFault::Full))));
    assert_eq!(alice.decrypt("bob", &message).unwrap(), "kept");

    faulty.conflicts.store(usize::MAX, Ordering::SeqCst);
    let error = alice.encrypt("bob", "never").unwrap_err();
    assert!(matches!(error, PairwiseError::Store(StoreFault::Conflict)) && error.is_retryable());
}

#[test]
fn a_store_without_its_vault_and_a_vault_without_its_store_are_told_apart() {
    let mut alice = Device::new(1);
    let no_vault = open(alice.store.clone(), &Arc::new(MemoryVault::new([1; 32])), &mut alice.rng);
    assert!(matches!(no_vault, Err(PairwiseError::KeyMissing)));
    let no_store = open(Arc::new(MemoryStore::new()), &alice.vault, &mut alice.rng);
    assert!(matches!(no_store, Err(PairwiseError::StoreMissing)));
    alice.store.rows().remove(HEAD);
    assert!(matches!(open(alice.store.clone(), &alice.vault, &mut alice.rng), Err(PairwiseError::Damaged)));
}

#[test]
fn a_first_opening_that_was_interrupted_is_begun_again() {
    let vault = Arc::new(MemoryVault::new([5; 32]));
    vault.create_wrapping_key("pairwise").unwrap();
    let mut rng = Device::new(5).rng;
    assert!(open(Arc::new(MemoryStore::new()), &vault, &mut rng).is_ok());
}

#[test]
fn what_is_printed_says_nothing() {
    let (alice, _bob) = acquainted();
    assert_eq!(format!("{:?}", alice.open), "Pairwise { was_rolled_back: false, .. }");
}
