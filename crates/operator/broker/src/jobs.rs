//! Periodic work: what is due about numbers, and removing what expired. Can also be called once, by tests and by the operator's scripts.

use std::time::Duration;

use rcseal_store::StoreError;
use tokio::time::{MissedTickBehavior, interval};

use crate::metrics::SweptKind;
use crate::number::{NumberRefusal, tend};
use crate::state::AppState;

/// Rows removed per transaction: small enough that requests in between do not wait noticeably.
const BUDGET: usize = 1024;
/// Numbers looked after in one sweep. Each may ask a relay; the rest has its turn in the next.
const NUMBERS_MAX: usize = 1024;

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Numbers about which something was due.
    pub numbers: u64,
    /// Claims removed.
    pub claims: u64,
    /// Counters removed.
    pub quotas: u64,
}

/// A sweep did not finish; what it had done stays done.
#[derive(Debug, thiserror::Error)]
#[error("the store failed")]
pub struct SweepError(#[from] StoreError);

impl SweepError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.0.code()
    }
}

/// Sweeps at the configured pace until the broker stops.
pub(crate) async fn run(state: AppState) {
    let mut ticks = interval(Duration::from_secs(state.config.jobs.sweep_seconds));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = state.stopping.cancelled() => return,
            _ = ticks.tick() => {}
        }
        state.limiters.tidy();
        match sweep(&state).await {
            Ok(Swept { numbers, claims, quotas }) => tracing::debug!(event = "swept", numbers, claims, quotas),
            Err(error) => {
                state.metrics.sweep_failures.inc();
                tracing::warn!(event = "sweep_failed", code = error.code());
            }
        }
    }
}

/// Sends notices that are due, ends waits that are over, and removes what has expired by now.
pub(crate) async fn sweep(state: &AppState) -> Result<Swept, SweepError> {
    let now = state.now();
    let mut swept = Swept::default();
    for number in state.store.due(now, NUMBERS_MAX).await? {
        match tend(state, number.clone()).await {
            Ok(()) => swept.numbers += 1,
            Err(NumberRefusal::Store(error)) => return Err(error.into()),
            Err(error) => {
                // One number that cannot be looked after keeps no other waiting.
                tracing::warn!(event = "number_not_tended", number = %state.hashes.log(&number), reason = %error);
            }
        }
    }
    loop {
        let removed = state.store.expire_claims(now, BUDGET).await?;
        swept.claims += removed as u64;
        state.metrics.swept(SweptKind::Claim, removed as u64);
        if removed < BUDGET {
            break;
        }
    }
    loop {
        let removed = state.store.expire_quotas(now, BUDGET).await?;
        swept.quotas += removed as u64;
        state.metrics.swept(SweptKind::Quota, removed as u64);
        if removed < BUDGET {
            break;
        }
    }
    while state.forward.sweep().await? {}
    while state.business.sweep().await? {}
    Ok(swept)
}
