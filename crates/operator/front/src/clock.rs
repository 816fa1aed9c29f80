//! The wall clock, as a trait, so that tests move time by hand.
//!
//! Only decisions that outlive a connection use it: expiry of tokens, nonces, messages, blobs and links. Timeouts inside one
//! connection use tokio's monotonic clock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use rcseal_store::UnixMillis;

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock's time.
    fn now(&self) -> UnixMillis;
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixMillis {
        // A clock before 1970 reads as 0: everything then looks unexpired, and nothing is deleted by mistake.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixMillis::new(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn at(now: UnixMillis) -> Self {
        Self(AtomicU64::new(now.get()))
    }

    /// Moves the clock forward.
    pub fn advance_seconds(&self, seconds: u64) {
        self.0.fetch_add(seconds.saturating_mul(1000), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixMillis {
        UnixMillis::new(self.0.load(Ordering::SeqCst))
    }
}
