//! Rate limits by key, fail-closed: where no answer can be had, the answer is no.
//!
//! A server has one [`KeyedLimiter`] for each thing that it counts: by account, by device, by [subscriber](crate::net::subscriber), by phone
//! number. The state is in memory: after a restart everybody starts with a full burst. What must outlive a restart belongs into the store.

use std::hash::Hash;
use std::num::NonZeroU32;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use rcseal_wire::problem::ProblemCode;

use crate::refusal::Refusal;

/// Keys remembered per limiter. Beyond it new keys are refused until the next tidy-up: memory is worth more than the stranger who
/// comes as a million addresses.
const KEYS_MAX: usize = 1_000_000;
/// Seconds after which a stranger may come back who found no room to be remembered.
const CROWDED_RETRY_SECONDS: u64 = 60;

/// So many of something per key and time, after a burst.
#[derive(Debug)]
pub struct KeyedLimiter<K: Hash + Eq + Clone>(DefaultKeyedRateLimiter<K>);

impl<K: Hash + Eq + Clone> KeyedLimiter<K> {
    /// `limit` per minute, after a burst of the same size. Zero is taken for one.
    #[must_use]
    pub fn per_minute(limit: u32) -> Self {
        Self(RateLimiter::keyed(Quota::per_minute(at_least_one(limit))))
    }

    /// `limit` per hour, after a burst of the same size. Zero is taken for one.
    #[must_use]
    pub fn per_hour(limit: u32) -> Self {
        Self(RateLimiter::keyed(Quota::per_hour(at_least_one(limit))))
    }

    /// `limit` per second, after a burst of `burst`. Zero is taken for one.
    #[must_use]
    pub fn per_second(limit: u32, burst: u32) -> Self {
        Self(RateLimiter::keyed(Quota::per_second(at_least_one(limit)).allow_burst(at_least_one(burst))))
    }

    /// Counts `cost` for `key`, or says when to come back. An operator may set a limit below the cost of a single request, and does not
    /// mean that nobody may ever ask for it: what costs more than a burst counts as one.
    pub fn check(&self, key: &K, cost: NonZeroU32) -> Result<(), Refusal> {
        if self.0.len() >= KEYS_MAX {
            return Err(Refusal::retry_after(ProblemCode::RateLimited, CROWDED_RETRY_SECONDS));
        }
        self.0.check_key_n(key, cost).unwrap_or_else(|_| self.0.check_key(key)).map_err(|until| {
            let wait = until.wait_time_from(DefaultClock::default().now());
            Refusal::retry_after(ProblemCode::RateLimited, wait.as_secs() + 1)
        })
    }

    /// Counts `count` for `key`; `false`, and nothing counted, where that is too many.
    #[must_use]
    pub fn allows(&self, key: &K, count: NonZeroU32) -> bool {
        self.0.len() < KEYS_MAX && matches!(self.0.check_key_n(key, count), Ok(Ok(())))
    }

    /// Forgets keys whose limit is fully recovered. Called by a server's periodic work.
    pub fn tidy(&self) {
        self.0.retain_recent();
    }
}

/// A configuration refuses zero; a caller that skipped that check gets the strictest limit there is.
fn at_least_one(limit: u32) -> NonZeroU32 {
    NonZeroU32::new(limit).unwrap_or(NonZeroU32::MIN)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn keys_are_counted_apart_and_zero_is_one() {
        let limiter = KeyedLimiter::per_hour(0);
        assert!(limiter.check(&1, NonZeroU32::MIN).is_ok());
        assert!(limiter.check(&1, NonZeroU32::MIN).is_err());
        assert!(limiter.check(&2, NonZeroU32::MIN).is_ok());
    }

    #[test]
    fn what_costs_more_than_the_burst_is_checked_as_one_and_never_allowed_as_many() {
        let limiter = KeyedLimiter::per_minute(1);
        let many = NonZeroU32::new(5).unwrap();
        assert!(!limiter.allows(&1, many));
        assert!(limiter.check(&1, many).is_ok());
        let refusal = limiter.check(&1, many).unwrap_err();
        assert!(refusal.problem().retry_after_seconds.unwrap() <= 61);
    }
}
