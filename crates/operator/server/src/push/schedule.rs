//! Which mailboxes are to be looked at, and when.
//!
//! The store's commit thread notes mailboxes here after every flush, so noting is a look-up and an insertion, and never waits. A mailbox is
//! noted once however often it gets something.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::RngExt as _;
use rcseal_front::clock::Clock;
use rcseal_store::{MailboxObserver, UnixMillis};
use rcseal_wire::id::MailboxId;
use tokio::sync::Notify;

use crate::mailbox::Registry;

/// Mailboxes noted at a time: ten megabytes. Beyond it nobody is noted one by one any more; everybody is looked at once instead.
const NOTED_MAX: usize = 65_536;
/// How long a device that just left has to come back: phones change networks.
const LEFT_MILLIS: u64 = 2_000;

/// The mailboxes that are noted.
pub(crate) struct Waker {
    clock: Arc<dyn Clock>,
    jitter_millis: u64,
    noted: Mutex<Noted>,
    changed: Notify,
    /// Held while wake-ups are made, so that whoever has made them knows that all that were due are.
    pub(super) turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Noted {
    by_time: BTreeSet<(UnixMillis, MailboxId)>,
    by_mailbox: HashMap<MailboxId, UnixMillis>,
    everybody: bool,
}

impl Waker {
    pub(crate) fn new(clock: Arc<dyn Clock>, jitter_millis: u64) -> Self {
        Self {
            clock,
            jitter_millis,
            noted: Mutex::default(),
            changed: Notify::new(),
            turn: tokio::sync::Mutex::new(()),
        }
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The mailbox got something.
    pub(super) fn note(&self, mailbox: MailboxId) {
        self.note_after(mailbox, 0);
    }

    /// The device's connection ended; something may be left.
    pub(crate) fn left(&self, mailbox: MailboxId) {
        self.note_after(mailbox, LEFT_MILLIS);
    }

    fn note_after(&self, mailbox: MailboxId, millis: u64) {
        let jitter = if self.jitter_millis == 0 { 0 } else { rand::rng().random_range(0..self.jitter_millis) };
        self.note_at(mailbox, self.clock.now().plus_millis(millis + jitter));
    }

    /// The mailbox is to be looked at then. One that is noted already stays where it is.
    pub(super) fn note_at(&self, mailbox: MailboxId, at: UnixMillis) {
        let mut noted = self.noted();
        if noted.by_mailbox.contains_key(&mailbox) {
            return;
        }
        if noted.by_mailbox.len() >= NOTED_MAX {
            noted.everybody = true;
            return;
        }
        let is_next = noted.by_time.first().is_none_or(|(first, _)| at < *first);
        noted.by_mailbox.insert(mailbox, at);
        noted.by_time.insert((at, mailbox));
        drop(noted);
        if is_next {
            self.changed.notify_one();
        }
    }

    /// Every registered device is to be looked at.
    pub(crate) fn note_everybody(&self) {
        self.noted().everybody = true;
        self.changed.notify_one();
    }

    /// Whether every registered device is to be looked at, and there is room to note them.
    pub(super) fn take_everybody(&self) -> bool {
        let mut noted = self.noted();
        noted.everybody && noted.by_mailbox.len() < NOTED_MAX && std::mem::take(&mut noted.everybody)
    }

    /// Takes out what is due.
    pub(super) fn take_due(&self, now: UnixMillis) -> Vec<MailboxId> {
        let mut noted = self.noted();
        let mut due = Vec::new();
        while let Some((at, mailbox)) = noted.by_time.first().copied() {
            if at > now {
                break;
            }
            noted.by_time.pop_first();
            noted.by_mailbox.remove(&mailbox);
            due.push(mailbox);
        }
        due
    }

    /// How long until the next one is due.
    pub(super) fn wait(&self, now: UnixMillis) -> Option<Duration> {
        let next = self.noted().by_time.first().map(|(at, _)| *at)?;
        Some(Duration::from_millis(next.get().saturating_sub(now.get())))
    }

    /// Waits until something is due earlier than what was.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// How many are noted.
    pub(super) fn len(&self) -> usize {
        self.noted().by_mailbox.len()
    }
}

/// Tells the connections, and notes mailboxes that got something while nobody serves them.
pub(crate) struct Observer {
    pub(crate) registry: Arc<Registry>,
    pub(crate) waker: Arc<Waker>,
}

impl MailboxObserver for Observer {
    fn stored(&self, mailboxes: &[MailboxId]) {
        self.registry.stored(mailboxes);
        for mailbox in mailboxes {
            if !self.registry.is_served(*mailbox) {
                self.waker.note(*mailbox);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rcseal_front::clock::ManualClock;

    use super::*;

    const START: UnixMillis = UnixMillis::new(1_800_000_000_000);

    fn mailbox(n: u32) -> MailboxId {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        MailboxId::from_bytes(bytes)
    }

    fn waker(jitter_millis: u64) -> Waker {
        Waker::new(Arc::new(ManualClock::at(START)), jitter_millis)
    }

    #[test]
    fn a_mailbox_is_noted_once_and_due_in_order_of_time() {
        let waker = waker(0);
        waker.note_at(mailbox(1), START.plus_millis(20));
        waker.note_at(mailbox(1), START);
        waker.note(mailbox(2));
        assert_eq!(waker.wait(START), Some(Duration::ZERO));
        assert_eq!(waker.take_due(START), [mailbox(2)]);
        assert_eq!(waker.wait(START), Some(Duration::from_millis(20)));
        assert_eq!(waker.take_due(START.plus_millis(20)), [mailbox(1)]);
        assert_eq!((waker.len(), waker.wait(START)), (0, None));
    }

    #[test]
    fn the_pause_before_a_wake_up_is_drawn_and_bounded() {
        let waker = waker(1000);
        for n in 0..64 {
            waker.note(mailbox(n));
        }
        let early = waker.take_due(START.plus_millis(500)).len();
        let rest = waker.take_due(START.plus_millis(999)).len();
        assert_eq!(early + rest, 64);
        assert!((1..64).contains(&early), "{early} of 64 in the first half");
    }

    #[test]
    fn beyond_the_limit_everybody_is_looked_at_instead() {
        let waker = waker(0);
        let limit = u32::try_from(NOTED_MAX).unwrap_or(u32::MAX);
        for n in 0..=limit {
            waker.note(mailbox(n));
        }
        assert_eq!(waker.len(), NOTED_MAX);
        assert!(!waker.take_everybody(), "there is no room yet");
        assert_eq!(waker.take_due(START).len(), NOTED_MAX);
        assert!(waker.take_everybody());
        assert!(!waker.take_everybody());
    }
}
