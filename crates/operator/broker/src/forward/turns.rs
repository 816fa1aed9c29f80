//! One at a time, of those that are the same message.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rcseal_wire::id::DeviceAddress;
use tokio::sync::OwnedMutexGuard;

/// Whose message, and under which id.
type Key = (DeviceAddress, [u8; 16]);
type Lock = Arc<tokio::sync::Mutex<()>>;

/// Messages under way. There are as many entries as requests.
#[derive(Clone, Default)]
pub(super) struct Turns(Arc<Mutex<HashMap<Key, Lock>>>);

/// The right to work on a message, until it is dropped.
pub(super) struct Turn {
    turns: Turns,
    key: Key,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits until nobody else works on this message.
    pub(super) async fn of(&self, key: Key) -> Turn {
        let lock = Arc::clone(self.map().entry(key).or_default());
        // Whoever gives up waiting leaves by the same door.
        let mut turn = Turn { turns: self.clone(), key, guard: None };
        turn.guard = Some(lock.lock_owned().await);
        turn
    }

    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Lock>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut map = self.turns.map();
        self.guard = None;
        // Nobody else can take the lock out while the map is held.
        if map.get(&self.key).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            map.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const KEY: Key = (
        DeviceAddress {
            account: rcseal_wire::id::AccountId::from_bytes([1; 16]),
            device: rcseal_wire::id::DeviceNumber::PRIMARY,
        },
        [2; 16],
    );

    #[tokio::test]
    async fn the_same_message_waits_and_another_does_not() {
        let turns = Turns::default();
        let first = turns.of(KEY).await;
        let _other = turns.of((KEY.0, [3; 16])).await;
        let second = tokio::spawn({
            let turns = turns.clone();
            async move { drop(turns.of(KEY).await) }
        });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        drop(first);
        second.await.unwrap();
        assert_eq!(turns.map().len(), 1, "nothing is kept of what is over");
    }

    #[tokio::test]
    async fn whoever_gives_up_waiting_is_forgotten() {
        let turns = Turns::default();
        let first = turns.of(KEY).await;
        assert!(futures_util::FutureExt::now_or_never(turns.of(KEY)).is_none());
        drop(first);
        assert!(turns.map().is_empty());
    }
}
