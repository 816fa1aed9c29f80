//! Periodic work: removing what expired, and resets whose time has come. Every job can also be called once, by tests and by the operator's
//! scripts.

use std::time::Duration;

use rcseal_store::BlobError;
use rcseal_store::{StoreError, UnixMillis};
use tokio::time::{MissedTickBehavior, interval};

use crate::metrics::SweptKind;
use crate::retained;
use crate::state::AppState;
use crate::takeover;

/// Entries removed per transaction: small enough that submissions in between do not wait noticeably.
const BUDGET: usize = 1024;

/// What a sweep removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Messages that nobody fetched in time.
    pub messages: u64,
    /// Blobs, finished or not.
    pub blobs: u64,
    /// Linking slots.
    pub links: u64,
    /// Resets that took effect.
    pub resets: u64,
    /// Messages that the server could read, whose time was over.
    pub retained: u64,
    /// Rows of the record of openings, whose time was over.
    pub audit: u64,
    /// Reset tickets that expired, and resets that could not take effect.
    pub tickets: u64,
}

/// A sweep did not finish; what it had removed stays removed.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// A blob could not be removed.
    #[error("a blob could not be removed")]
    Blob(#[from] BlobError),
}

impl SweepError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(source) => source.code(),
            Self::Blob(source) => source.code(),
        }
    }
}

/// Sweeps at the configured pace until the server stops.
pub(crate) async fn run(state: AppState) {
    let mut ticks = interval(Duration::from_secs(state.config.jobs.sweep_seconds));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = state.stopping.cancelled() => return,
            _ = ticks.tick() => {}
        }
        state.limiters.tidy();
        if state.server_encryption.is_some() {
            // For the metric that says whether the key is there; whoever needs the key looks for itself.
            let _ = retained::current(&state).await;
        }
        match sweep(&state).await {
            Ok(Swept { messages, blobs, links, resets, retained, audit, tickets }) => {
                tracing::debug!(event = "swept", messages, blobs, links, resets, retained, audit, tickets);
            }
            Err(error) => {
                state.metrics.sweep_failures.inc();
                tracing::warn!(event = "sweep_failed", code = error.code());
            }
        }
    }
}

/// Lets resets that are due take effect, and removes everything that has expired by now.
pub(crate) async fn sweep(state: &AppState) -> Result<Swept, SweepError> {
    let now = state.clock.now();
    let mut swept = Swept::default();
    let settled = takeover::settle(state).await?;
    swept.resets = settled.in_force;
    swept.tickets = settled.dropped;
    state.metrics.swept(SweptKind::ResetTicket, settled.dropped);
    loop {
        let outcome = state.store.expire(now, BUDGET).await?;
        swept.messages += outcome.dropped;
        state.metrics.swept(SweptKind::Message, outcome.dropped);
        if !outcome.more {
            break;
        }
    }
    loop {
        let removed = state.store.expire_links(now, BUDGET).await?;
        swept.links += removed as u64;
        state.metrics.swept(SweptKind::Link, removed as u64);
        if removed < BUDGET {
            break;
        }
    }
    loop {
        let removed = state.blobs.expire(now, BUDGET).await?;
        swept.blobs += removed as u64;
        state.metrics.swept(SweptKind::Blob, removed as u64);
        if removed < BUDGET {
            break;
        }
    }
    sweep_retained(state, now, &mut swept).await?;
    Ok(swept)
}

/// What the server could read leaves when its class says so, also after the operator has turned such messages off.
async fn sweep_retained(state: &AppState, now: UnixMillis, swept: &mut Swept) -> Result<(), SweepError> {
    loop {
        let removed = state.store.expire_retained(now, BUDGET).await?;
        swept.retained += removed as u64;
        state.metrics.swept(SweptKind::Retained, removed as u64);
        if removed < BUDGET {
            break;
        }
    }
    let Some(encryption) = &state.server_encryption else { return Ok(()) };
    let kept = u64::from(encryption.config.audit_days) * 24 * 3600 * 1000;
    let before = UnixMillis::new(now.get().saturating_sub(kept));
    loop {
        let removed = state.store.expire_audit(before, BUDGET).await?;
        swept.audit += removed as u64;
        if removed < BUDGET {
            return Ok(());
        }
    }
}
