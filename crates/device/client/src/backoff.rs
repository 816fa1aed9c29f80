//! How long to wait before the next attempt: exponential, with full jitter.
//!
//! The n-th wait is drawn evenly from zero to `base × 2^n`, capped. Drawing from the whole range spreads the clients of a relay that has
//! just come back better than adding a little noise to a fixed wait. The generator is an argument, so a test can foresee every wait. The
//! crates that do this bring a retry loop and a sleep of their own; the waits here end early on a new message or on shutdown, which is
//! the caller's `select`, so nothing is left for them to do.

use std::time::Duration;

use rand::Rng;

/// The waits between attempts at one thing.
#[derive(Debug, Clone)]
pub struct Backoff {
    base: Duration,
    max: Duration,
    attempts: u32,
}

impl Backoff {
    /// For reconnecting to a relay: from half a second to one minute, which a phone's battery bears and a person still calls soon.
    pub const RECONNECT: Self = Self::new(Duration::from_millis(500), Duration::from_secs(60));

    /// Waits that begin at up to `base` and end at up to `max`.
    #[must_use]
    pub const fn new(base: Duration, max: Duration) -> Self {
        Self { base, max, attempts: 0 }
    }

    /// Draws the next wait. A wait that the server asked for is respected: the jitter comes on top of it.
    pub fn next(&mut self, server_wants: Option<Duration>, rng: &mut (impl Rng + ?Sized)) -> Duration {
        let ceiling = self.base.saturating_mul(1_u32.checked_shl(self.attempts).unwrap_or(u32::MAX)).min(self.max);
        self.attempts = self.attempts.saturating_add(1);
        let nanos = u64::try_from(ceiling.as_nanos()).unwrap_or(u64::MAX);
        // Scaling by the high half of a product is even enough here: the bias is below one in four thousand million.
        let drawn = (u128::from(rng.next_u64()) * u128::from(nanos)) >> 64;
        let jitter = Duration::from_nanos(u64::try_from(drawn).unwrap_or(u64::MAX));
        server_wants.map_or(jitter, |wanted| wanted.min(SERVER_WAIT_MAX).saturating_add(jitter))
    }

    /// Begins anew, after something worked.
    pub const fn reset(&mut self) {
        self.attempts = 0;
    }

    /// Attempts that have failed since the last reset.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }
}

/// No server silences a client for longer than this: an hour.
const SERVER_WAIT_MAX: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use rand_core::SeedableRng;

    use super::*;

    #[test]
    fn waits_grow_to_the_cap_and_never_beyond() {
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(5);
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
        for attempt in 0..70 {
            let ceiling = Duration::from_millis(100).saturating_mul(1 << attempt.min(20)).min(Duration::from_secs(10));
            assert!(backoff.next(None, &mut rng) <= ceiling, "attempt {attempt}");
        }
        assert_eq!(backoff.attempts(), 70);
        backoff.reset();
        assert!(backoff.next(None, &mut rng) <= Duration::from_millis(100));
    }

    #[test]
    fn the_whole_range_is_used() {
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(6);
        let waits: Vec<_> = (0..1000)
            .map(|_| Backoff::new(Duration::from_secs(1), Duration::from_secs(1)).next(None, &mut rng))
            .collect();
        let below = waits.iter().filter(|wait| **wait < Duration::from_millis(500)).count();
        assert!((400..600).contains(&below), "{below} of 1000 in the lower half");
    }

    #[test]
    fn a_wait_the_server_asked_for_is_kept_but_bounded() {
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(7);
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(1));
        let wait = backoff.next(Some(Duration::from_secs(30)), &mut rng);
        assert!((30..=31).contains(&wait.as_secs()), "{wait:?}");
        let wait = backoff.next(Some(Duration::from_secs(1 << 40)), &mut rng);
        assert!(wait <= Duration::from_secs(3601), "{wait:?}");
    }
}
