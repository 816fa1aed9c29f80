//! When the next reset falls due, and what happens then.
//!
//! Every request that looks at an account asks first whether a reset is due somewhere: one comparison, as long as none is. The one that
//! finds it due settles it, and the others wait for that. So a reset is in force from its time on, whenever the sweep comes by.

use std::sync::atomic::{AtomicU64, Ordering};

use rcseal_front::carried_out::carried_out;
use rcseal_front::log::LogId;
use rcseal_store::takeover::Settled;
use rcseal_store::{StoreError, UnixMillis};
use tokio::sync::Mutex;

use super::look_for_departures;
use crate::metrics::TakeoverEvent;
use crate::state::AppState;

/// Nothing is to come.
const NEVER: u64 = u64::MAX;

/// When the store has to be asked again.
pub(crate) struct Schedule {
    /// Milliseconds since 1970; 0 until the store was asked the first time.
    next: AtomicU64,
    /// Held while the store is asked, so that nothing that is entered meanwhile is forgotten.
    settling: Mutex<()>,
}

/// What settling did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settling {
    /// Resets that are in force now.
    pub(crate) in_force: u64,
    /// Tickets that expired unused, and resets that could not take effect.
    pub(crate) dropped: u64,
}

impl Schedule {
    pub(crate) fn new() -> Self {
        Self { next: AtomicU64::new(0), settling: Mutex::new(()) }
    }

    /// Whether there may be any ticket or reset at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.next.load(Ordering::Acquire) == NEVER
    }

    /// Takes note of something that the store holds since a moment ago.
    pub(super) async fn enter(&self, due_at: UnixMillis) {
        let _guard = self.settling.lock().await;
        self.next.fetch_min(due_at.get(), Ordering::AcqRel);
    }
}

/// Lets resets that are due take effect. A store that cannot do so now leaves the account as it was, which is what is served then.
pub(crate) async fn settle_due(state: &AppState) {
    if state.clock.now().get() < state.resets.next.load(Ordering::Acquire) {
        return;
    }
    let settling = state.clone();
    if let Err(error) = carried_out(async move { settle(&settling).await }).await {
        tracing::warn!(event = "reset_settling_failed", code = error.code());
    }
}

/// Asks the store for everything that is due.
pub(crate) async fn settle(state: &AppState) -> Result<Settling, StoreError> {
    let _guard = state.resets.settling.lock().await;
    let now = state.clock.now();
    let mut done = Settling::default();
    loop {
        match state.store.settle_reset(now).await? {
            Settled::Nothing { next } => {
                state.resets.next.store(next.map_or(NEVER, UnixMillis::get), Ordering::Release);
                return Ok(done);
            }
            Settled::Expired => done.dropped += 1,
            Settled::InForce { account, published } => {
                done.in_force += 1;
                state.metrics.takeover(TakeoverEvent::ResetInForce);
                tracing::info!(
                    event = "reset_in_force",
                    account = %LogId::of(account.as_bytes()),
                    removed = published.removed.len(),
                );
                look_for_departures(state, account);
            }
            Settled::Dropped { account, code } => {
                done.dropped += 1;
                state.metrics.takeover(TakeoverEvent::ResetDropped);
                tracing::warn!(event = "reset_dropped", account = %LogId::of(account.as_bytes()), code);
            }
        }
    }
}
