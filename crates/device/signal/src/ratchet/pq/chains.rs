//! The symmetric half: per key epoch one chain for each direction, and from a chain one 32-byte key per message.
//!
//! Key epoch 0 comes from the handshake; each key the braid puts out begins the next. A chain counts from 1. The current key epoch and
//! the one before it are kept, so that a message may be late by an epoch and no more; what is older is deleted with the keys that were
//! skipped in it. Like the walk of the Double Ratchet's chains, a walk here happens before a message can be authenticated: the jump is
//! counted before anything is derived, a skipped step derives nothing but the next chain key, and the keys of skipped messages are
//! derived when the message has proven genuine.

use alloc::sync::Arc;

use rcseal_crypto::Secret;
use rcseal_crypto::hkdf::{hkdf_sha256, zero_salt};

use super::error::PqRefusal;
use super::labels::PqLabels;
use crate::kdf;
use crate::skipped::SKIPPED_MAX;
use crate::state::Role;

/// How far a message's index may lie beyond the last one used: deployed clients' limit. The walk costs about 9 ms.
pub const PQ_FORWARD_JUMP_MAX: u32 = 25_000;

const ZERO_SALT: [u8; 32] = [0; 32];

/// What the braid puts out once per epoch.
#[derive(Debug)]
pub(crate) struct EpochKey {
    pub(crate) epoch: u64,
    pub(crate) key: Secret<32>,
}

/// A chain: its key, and the index of the last message it served.
#[derive(Debug)]
pub(crate) struct PqChain {
    pub(crate) key: Secret<32>,
    pub(crate) index: u32,
}

impl PqChain {
    fn duplicate(&self) -> Self {
        Self { key: self.key.duplicate(), index: self.index }
    }

    /// The key of the next message; `None` behind the last index.
    fn next(&mut self, labels: &PqLabels) -> Option<Secret<32>> {
        let index = self.index.checked_add(1)?;
        #[cfg(test)]
        crate::ratchet::work::step();
        let info: [&[u8]; 2] = [&index.to_be_bytes(), labels.chain_next];
        let output: Secret<64> = zero_salt(self.key.expose(), &info);
        let [next, key] = kdf::keys(&output);
        *self = Self { key: next, index };
        Some(key)
    }

    /// One message further, without its key: the first half of the same derivation.
    fn skip(&mut self, labels: &PqLabels) {
        #[cfg(test)]
        crate::ratchet::work::step();
        let index = self.index.saturating_add(1);
        *self = Self { key: zero_salt(self.key.expose(), &[&index.to_be_bytes(), labels.chain_next]), index };
    }
}

/// The chains of one key epoch.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) send: PqChain,
    pub(crate) receive: PqChain,
}

impl Pair {
    fn duplicate(&self) -> Self {
        Self { send: self.send.duplicate(), receive: self.receive.duplicate() }
    }
}

/// All chains of a session.
#[derive(Debug)]
pub(crate) struct Chains {
    role: Role,
    /// The current key epoch.
    epoch: u64,
    root: Arc<Secret<32>>,
    current: Pair,
    /// Of `epoch - 1`. Shared between copies: it rarely changes.
    previous: Option<Arc<Pair>>,
}

/// Where the key of a received message comes from.
pub(crate) enum KeySource {
    /// From a walk along its chain.
    Walk { key: Secret<32>, skipped: Skipped },
    /// The chain is past it: it is a stored row or nothing.
    Stored { epoch: u64, index: u32 },
}

/// The messages a walk has jumped over, as far as their keys are kept.
pub(crate) struct Skipped {
    epoch: u64,
    from: PqChain,
    /// The index of the message that arrived.
    to: u32,
}

impl Skipped {
    pub(crate) fn count(&self) -> u32 {
        self.to.saturating_sub(self.from.index).saturating_sub(1)
    }

    /// Key epoch, index and key of each.
    pub(crate) fn keys(mut self, labels: &PqLabels) -> impl Iterator<Item = (u64, u32, Secret<32>)> + '_ {
        let count = self.count();
        (0..count).map_while(move |_| self.from.next(labels).map(|key| (self.epoch, self.from.index, key)))
    }
}

impl Chains {
    pub(crate) fn new(labels: &PqLabels, role: Role, auth_key: &Secret<32>) -> Self {
        let (root, current) = derive(&ZERO_SALT, auth_key, labels.chain_start, role);
        Self { role, epoch: 0, root, current, previous: None }
    }

    pub(crate) fn restore(role: Role, epoch: u64, root: Secret<32>, current: Pair, previous: Option<Pair>) -> Self {
        Self { role, epoch, root: Arc::new(root), current, previous: previous.map(Arc::new) }
    }

    pub(crate) fn duplicate(&self) -> Self {
        Self {
            role: self.role,
            epoch: self.epoch,
            root: Arc::clone(&self.root),
            current: self.current.duplicate(),
            previous: self.previous.clone(),
        }
    }

    pub(crate) fn root(&self) -> &Secret<32> {
        &self.root
    }

    pub(crate) fn current(&self) -> &Pair {
        &self.current
    }

    pub(crate) fn previous(&self) -> Option<&Pair> {
        self.previous.as_deref()
    }

    /// The oldest key epoch that has chains.
    pub(crate) fn oldest(&self) -> u64 {
        self.epoch.saturating_sub(1)
    }

    /// Begins a key epoch with the key that the braid put out. Keys come once each and in order.
    pub(crate) fn add(&mut self, labels: &PqLabels, key: &EpochKey) -> Result<(), PqRefusal> {
        let expected = self.epoch.saturating_add(1);
        if key.epoch != expected {
            return Err(PqRefusal::EpochOrder { expected, found: key.epoch });
        }
        let (root, current) = derive(self.root.expose(), &key.key, labels.chain_add_epoch, self.role);
        self.previous = Some(Arc::new(core::mem::replace(&mut self.current, current)));
        self.root = root;
        self.epoch = expected;
        Ok(())
    }

    /// Index and key of the next message we send in a key epoch; `None` when the chain is used up.
    pub(crate) fn send(&mut self, labels: &PqLabels, epoch: u64) -> Option<(u32, Secret<32>)> {
        self.with(epoch, |pair| pair.send.next(labels).map(|key| (pair.send.index, key))).ok()?
    }

    /// The key of a received message.
    pub(crate) fn receive(&mut self, labels: &PqLabels, epoch: u64, index: u32) -> Result<KeySource, PqRefusal> {
        self.with(epoch, |pair| {
            let chain = &mut pair.receive;
            let jump = match index.checked_sub(chain.index) {
                None | Some(0) => return Ok(KeySource::Stored { epoch, index }),
                Some(jump) if jump > PQ_FORWARD_JUMP_MAX => {
                    return Err(PqRefusal::TooFarAhead { jump, max: PQ_FORWARD_JUMP_MAX });
                }
                Some(jump) => jump,
            };
            // Rows further back would be evicted by this very jump, so they are never made.
            for _ in 0..u64::from(jump - 1).saturating_sub(SKIPPED_MAX) {
                chain.skip(labels);
            }
            let from = chain.duplicate();
            while chain.index + 1 < index {
                chain.skip(labels);
            }
            let key = chain.next(labels).ok_or(PqRefusal::KeyGone { epoch, index })?;
            Ok(KeySource::Walk { key, skipped: Skipped { epoch, from, to: index } })
        })?
    }

    /// How far a message of this key epoch and index makes its chain walk. Not at all where it is refused before.
    pub(crate) fn jump(&self, epoch: u64, index: u32) -> u32 {
        let chain = match &self.previous {
            _ if epoch == self.epoch => Some(&self.current.receive),
            Some(previous) if epoch == self.oldest() => Some(&previous.receive),
            _ => None,
        };
        let jump = chain.map_or(0, |chain| index.saturating_sub(chain.index));
        if jump > PQ_FORWARD_JUMP_MAX { 0 } else { jump }
    }

    /// Changes the chains of a kept key epoch.
    fn with<T>(&mut self, epoch: u64, change: impl FnOnce(&mut Pair) -> T) -> Result<T, PqRefusal> {
        if epoch == self.epoch {
            return Ok(change(&mut self.current));
        }
        match &mut self.previous {
            Some(previous) if epoch.checked_add(1) == Some(self.epoch) => {
                let mut pair = previous.duplicate();
                let result = change(&mut pair);
                *previous = Arc::new(pair);
                Ok(result)
            }
            _ if epoch > self.epoch => Err(PqRefusal::FutureEpoch { epoch, ours: self.epoch }),
            _ => Err(PqRefusal::EpochGone { epoch, oldest: self.oldest() }),
        }
    }
}

/// HKDF(salt, key, label, 96) = root, chain from the initiator, chain from the responder.
fn derive(salt: &[u8; 32], key: &Secret<32>, label: &[u8], role: Role) -> (Arc<Secret<32>>, Pair) {
    let output: Secret<96> = hkdf_sha256(salt, key.expose(), &[label]);
    let [root, from_initiator, from_responder] = kdf::keys(&output);
    let (send, receive) = match role {
        Role::Initiator => (from_initiator, from_responder),
        Role::Responder => (from_responder, from_initiator),
    };
    let chain = |key| PqChain { key, index: 0 };
    (Arc::new(root), Pair { send: chain(send), receive: chain(receive) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use alloc::vec::Vec;

    use super::super::labels::NATIVE;
    use super::*;

    fn pair() -> (Chains, Chains) {
        let key = Secret::from_bytes([7; 32]);
        (Chains::new(&NATIVE, Role::Initiator, &key), Chains::new(&NATIVE, Role::Responder, &key))
    }

    fn epoch_key(epoch: u64) -> EpochKey {
        EpochKey { epoch, key: Secret::from_bytes([epoch as u8; 32]) }
    }

    fn walked(source: Result<KeySource, PqRefusal>) -> (Secret<32>, Vec<(u64, u32, Secret<32>)>) {
        match source.unwrap() {
            KeySource::Walk { key, skipped } => (key, skipped.keys(&NATIVE).collect()),
            KeySource::Stored { .. } => panic!("the chain was not past it"),
        }
    }

    #[test]
    fn each_direction_has_its_keys_and_indices_begin_at_one() {
        let (mut alice, mut bob) = pair();
        let (index, sent) = alice.send(&NATIVE, 0).unwrap();
        assert_eq!(index, 1);
        let (answered, answer) = bob.send(&NATIVE, 0).unwrap();
        assert_eq!(answered, 1);
        assert!(!sent.ct_eq(&answer));
        assert!(walked(bob.receive(&NATIVE, 0, 1)).0.ct_eq(&sent));
        assert!(walked(alice.receive(&NATIVE, 0, 1)).0.ct_eq(&answer));
    }

    #[test]
    fn a_jump_gives_the_keys_it_passed() {
        let (mut alice, mut bob) = pair();
        let sent: Vec<_> = (0..5).map(|_| alice.send(&NATIVE, 0).unwrap().1).collect();
        let (key, skipped) = walked(bob.receive(&NATIVE, 0, 5));
        assert!(key.ct_eq(&sent[4]));
        for (at, (epoch, index, key)) in skipped.iter().enumerate() {
            assert_eq!((*epoch, *index as usize), (0, at + 1));
            assert!(key.ct_eq(&sent[at]));
        }
        assert_eq!(skipped.len(), 4);
        assert!(matches!(bob.receive(&NATIVE, 0, 5), Ok(KeySource::Stored { epoch: 0, index: 5 })));
        assert!(matches!(bob.receive(&NATIVE, 0, 2), Ok(KeySource::Stored { epoch: 0, index: 2 })));
    }

    #[test]
    fn a_jump_beyond_25_000_is_refused_before_anything_is_derived() {
        let (_, mut bob) = pair();
        let refusal = PqRefusal::TooFarAhead { jump: 25_001, max: 25_000 };
        assert_eq!(bob.receive(&NATIVE, 0, 25_001).err(), Some(refusal));
        assert_eq!(bob.current().receive.index, 0);
        assert_eq!([bob.jump(0, 25_000), bob.jump(0, 25_001), bob.jump(1, 25_000)], [25_000, 0, 0]);
        let (_, skipped) = walked(bob.receive(&NATIVE, 0, 25_000));
        // Only what can be kept is derived.
        assert_eq!((skipped.len(), skipped[0].1), (2_000, 23_000));
        assert_eq!(bob.current().receive.index, 25_000);
    }

    #[test]
    fn the_current_key_epoch_and_one_before_are_kept() {
        let (mut alice, mut bob) = pair();
        let first = alice.send(&NATIVE, 0).unwrap().1;
        for epoch in 1..=2 {
            alice.add(&NATIVE, &epoch_key(epoch)).unwrap();
            bob.add(&NATIVE, &epoch_key(epoch)).unwrap();
            if epoch == 1 {
                assert!(walked(bob.receive(&NATIVE, 0, 1)).0.ct_eq(&first));
            }
        }
        assert_eq!(bob.receive(&NATIVE, 0, 2).err(), Some(PqRefusal::EpochGone { epoch: 0, oldest: 1 }));
        assert_eq!(bob.receive(&NATIVE, 3, 1).err(), Some(PqRefusal::FutureEpoch { epoch: 3, ours: 2 }));
        let current = alice.send(&NATIVE, 2).unwrap().1;
        assert!(walked(bob.receive(&NATIVE, 2, 1)).0.ct_eq(&current));
        let late = alice.send(&NATIVE, 1).unwrap().1;
        assert!(walked(bob.receive(&NATIVE, 1, 1)).0.ct_eq(&late));
    }

    #[test]
    fn keys_come_once_and_in_order() {
        let (mut alice, _) = pair();
        let refusal = PqRefusal::EpochOrder { expected: 1, found: 2 };
        assert_eq!(alice.add(&NATIVE, &epoch_key(2)), Err(refusal));
        assert_eq!(alice.add(&NATIVE, &epoch_key(1)), Ok(()));
        assert_eq!(alice.add(&NATIVE, &epoch_key(1)), Err(PqRefusal::EpochOrder { expected: 2, found: 1 }));
    }

    #[test]
    fn a_chain_ends_with_its_last_index() {
        let (mut alice, _) = pair();
        alice.current.send.index = u32::MAX - 1;
        assert_eq!(alice.send(&NATIVE, 0).unwrap().0, u32::MAX);
        assert!(alice.send(&NATIVE, 0).is_none());
    }
}
