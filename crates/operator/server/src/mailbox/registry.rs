//! Which mailbox is being delivered over which connection, and how such a connection learns that there is something to do.
//!
//! The store's commit thread calls [`Registry::stored`] after every flush: a look-up and a flag per mailbox, no waiting. Signals
//! coalesce: a hundred of them while a connection is busy are one.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rcseal_store::MailboxObserver;
use rcseal_wire::id::MailboxId;
use tokio::sync::Notify;

use crate::push::Waker;

/// Parts of the registry with a lock each, so that connections that come and go do not hold up the commit thread.
const SHARDS: usize = 64;

/// Every open delivery connection.
pub(crate) struct Registry {
    shards: Vec<Mutex<HashMap<MailboxId, Arc<Signals>>>>,
    hasher: RandomState,
    /// Hears of devices that leave, where devices are woken.
    waker: OnceLock<Arc<Waker>>,
}

/// What a connection can be told.
#[derive(Default)]
struct Signals {
    notify: Notify,
    stored: AtomicBool,
    prekeys_low: AtomicBool,
    reset_changed: AtomicBool,
    retained: AtomicBool,
    taken_over: AtomicBool,
}

/// What a connection was told since it last asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Woken {
    /// The mailbox got something.
    pub(super) stored: bool,
    /// One-time prekeys run low.
    pub(super) prekeys_low: bool,
    /// A reset of the account began or was called off.
    pub(super) reset_changed: bool,
    /// The account got a message that the server can read.
    pub(super) retained: bool,
    /// A newer connection serves the mailbox now.
    pub(super) taken_over: bool,
}

impl Registry {
    pub(crate) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            waker: OnceLock::new(),
        }
    }

    /// Whom to tell when a device leaves. The first one stays.
    pub(crate) fn tell_departures(&self, waker: Arc<Waker>) {
        let _ = self.waker.set(waker);
    }

    /// Whether a connection serves the mailbox.
    pub(crate) fn is_served(&self, mailbox: MailboxId) -> bool {
        self.shard(&mailbox).contains_key(&mailbox)
    }

    fn shard(&self, mailbox: &MailboxId) -> MutexGuard<'_, HashMap<MailboxId, Arc<Signals>>> {
        // The remainder is below SHARDS, so the cast loses nothing.
        #[allow(clippy::cast_possible_truncation)]
        let index = (self.hasher.hash_one(mailbox) % SHARDS as u64) as usize;
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a connection; the one that served the mailbox before is told that it no longer does.
    pub(super) fn open(self: &Arc<Self>, mailbox: MailboxId) -> Registration {
        let signals = Arc::new(Signals::default());
        let before = self.shard(&mailbox).insert(mailbox, Arc::clone(&signals));
        if let Some(before) = before {
            before.taken_over.store(true, Ordering::Release);
            before.notify.notify_one();
        }
        Registration { registry: Arc::clone(self), mailbox, signals }
    }

    /// Tells a device, if it is connected, that its one-time prekeys run low.
    pub(crate) fn prekeys_low(&self, mailbox: MailboxId) {
        if let Some(signals) = self.shard(&mailbox).get(&mailbox) {
            signals.prekeys_low.store(true, Ordering::Release);
            signals.notify.notify_one();
        }
    }

    /// Tells a device, if it is connected, that a reset of its account began or was called off.
    pub(crate) fn reset_changed(&self, mailbox: MailboxId) {
        if let Some(signals) = self.shard(&mailbox).get(&mailbox) {
            signals.reset_changed.store(true, Ordering::Release);
            signals.notify.notify_one();
        }
    }

    /// Tells a device, if it is connected, that its account got a message that the server can read.
    pub(crate) fn retained(&self, mailbox: MailboxId) {
        if let Some(signals) = self.shard(&mailbox).get(&mailbox) {
            signals.retained.store(true, Ordering::Release);
            signals.notify.notify_one();
        }
    }
}

impl MailboxObserver for Registry {
    fn stored(&self, mailboxes: &[MailboxId]) {
        for mailbox in mailboxes {
            if let Some(signals) = self.shard(mailbox).get(mailbox)
                && !signals.stored.swap(true, Ordering::AcqRel)
            {
                signals.notify.notify_one();
            }
        }
    }
}

/// A connection's entry; leaves the registry when it is dropped, unless a newer one took its place.
pub(super) struct Registration {
    registry: Arc<Registry>,
    mailbox: MailboxId,
    signals: Arc<Signals>,
}

impl Registration {
    /// Waits until there is something to be told. Cancelling it loses nothing.
    pub(super) async fn woken(&self) -> Woken {
        loop {
            let woken = Woken {
                stored: self.signals.stored.swap(false, Ordering::AcqRel),
                prekeys_low: self.signals.prekeys_low.swap(false, Ordering::AcqRel),
                reset_changed: self.signals.reset_changed.swap(false, Ordering::AcqRel),
                retained: self.signals.retained.swap(false, Ordering::AcqRel),
                taken_over: self.signals.taken_over.load(Ordering::Acquire),
            };
            if woken.stored || woken.prekeys_low || woken.reset_changed || woken.retained || woken.taken_over {
                return woken;
            }
            self.signals.notify.notified().await;
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut shard = self.registry.shard(&self.mailbox);
        if shard.get(&self.mailbox).is_some_and(|current| Arc::ptr_eq(current, &self.signals)) {
            shard.remove(&self.mailbox);
            drop(shard);
            // What went out over a dead connection is still there, and nobody else would wake the device for it.
            if let Some(waker) = self.registry.waker.get() {
                waker.left(self.mailbox);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn mailbox(n: u8) -> MailboxId {
        MailboxId::from_bytes([n; 16])
    }

    #[tokio::test]
    async fn signals_coalesce_and_reach_only_their_mailbox() {
        let registry = Arc::new(Registry::new());
        let (one, other) = (registry.open(mailbox(1)), registry.open(mailbox(2)));
        registry.stored(&[mailbox(1), mailbox(1), mailbox(3)]);
        registry.stored(&[mailbox(1)]);
        assert_eq!(
            one.woken().await,
            Woken { stored: true, prekeys_low: false, reset_changed: false, retained: false, taken_over: false }
        );
        for registration in [&one, &other] {
            let again = tokio::time::timeout(std::time::Duration::from_millis(1), registration.woken()).await;
            assert!(again.is_err(), "nothing was left to be told");
        }
    }

    #[tokio::test]
    async fn the_newest_connection_takes_over_and_stays() {
        let registry = Arc::new(Registry::new());
        let old = registry.open(mailbox(1));
        let new = registry.open(mailbox(1));
        assert!(old.woken().await.taken_over);
        drop(old);
        registry.stored(&[mailbox(1)]);
        assert!(new.woken().await.stored);
        drop(new);
        assert!(registry.shard(&mailbox(1)).is_empty());
    }
}
