//! Rate limits, all of them fail-closed: where no answer can be had, the answer is no.
//!
//! | limit | keyed by | beyond it |
//! |---|---|---|
//! | prekey claims | target account | only last-resort prekeys are handed out |
//! | bundle requests | target account | `rate_limited` |
//! | anonymous requests | IPv4 address or IPv6 /64 | `rate_limited` |
//! | requests of a logged-in device | device | `rate_limited` |
//! | recoveries and resets, and reading for them | IPv4 address or IPv6 /64 | `rate_limited` |
//! | recoveries signed by the right key, and resets with the right ticket | target account | `rate_limited` |
//! | submissions | IPv4 address or IPv6 /64 | `rate_limited`, per batch |
//! | kept messages that the server opens | account | `rate_limited`, per page |
//!
//! The state is in memory: after a restart everybody starts with a full burst.

use std::net::IpAddr;
use std::num::NonZeroU32;

use rcseal_front::limiter::KeyedLimiter;
use rcseal_front::net::subscriber;
use rcseal_front::refusal::Refusal;
use rcseal_wire::frame::BATCH_LEN_MAX;
use rcseal_wire::id::{AccountId, DeviceAddress};

use crate::config::LimitsConfig;

/// Requests that opening a rendezvous counts for: the default lets an address open sixty a minute, so that it takes many to use up the
/// ten thousand that may be open.
const RENDEZVOUS_COST: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);

/// Requests that publishing a key set counts for beside itself: verifying one of 127 devices takes thirty milliseconds.
const PUBLICATION_COST: NonZeroU32 = NonZeroU32::MIN.saturating_add(18);

/// Requests that a recovery or a reset counts for: nobody needs a second one in the same minute, and the default leaves thirty.
const TAKEOVER_COST: NonZeroU32 = NonZeroU32::MIN.saturating_add(19);

/// Seconds' worth of submissions that may come at once: a phone that was offline sends what it has queued.
const SUBMISSION_BURST_SECONDS: u32 = 4;

/// Kept messages that are opened for one account in an hour. Each is a step of the operator's module, which all share, and a row of the record
/// that stays for years.
const OPENINGS_PER_HOUR_MAX: u32 = 10_000;

/// The limiters.
pub(crate) struct Limiters {
    claims: KeyedLimiter<AccountId>,
    bundles: KeyedLimiter<AccountId>,
    anonymous: KeyedLimiter<IpAddr>,
    devices: KeyedLimiter<DeviceAddress>,
    takeovers: KeyedLimiter<AccountId>,
    submissions: KeyedLimiter<IpAddr>,
    openings: KeyedLimiter<AccountId>,
}

impl Limiters {
    pub(crate) fn new(limits: &LimitsConfig) -> Self {
        Self {
            claims: KeyedLimiter::per_hour(limits.prekey_claims_per_hour_max),
            bundles: KeyedLimiter::per_minute(limits.bundle_requests_per_minute_max),
            anonymous: KeyedLimiter::per_minute(limits.anonymous_requests_per_minute_max),
            devices: KeyedLimiter::per_minute(limits.device_requests_per_minute_max),
            takeovers: KeyedLimiter::per_hour(limits.takeovers_per_hour_max),
            submissions: KeyedLimiter::per_second(
                limits.submissions_per_second_max,
                submission_burst(limits.submissions_per_second_max),
            ),
            openings: KeyedLimiter::per_hour(OPENINGS_PER_HOUR_MAX),
        }
    }

    /// Whether one-time prekeys of one of `target`'s devices may be handed out now.
    pub(crate) fn may_claim_one_time(&self, target: AccountId) -> bool {
        self.claims.allows(&target, NonZeroU32::MIN)
    }

    /// Whether bundles of `target` may be asked for now.
    pub(crate) fn bundle_request(&self, target: AccountId) -> Result<(), Refusal> {
        self.bundles.check(&target, NonZeroU32::MIN)
    }

    /// Whether somebody at `peer` who has not logged in may ask for something now.
    pub(crate) fn anonymous(&self, peer: IpAddr) -> Result<(), Refusal> {
        self.anonymous.check(&subscriber(peer), NonZeroU32::MIN)
    }

    /// Whether somebody at `peer` who has not logged in may open a rendezvous now, which is kept for minutes and takes up to a mebibyte.
    pub(crate) fn rendezvous(&self, peer: IpAddr) -> Result<(), Refusal> {
        self.anonymous.check(&subscriber(peer), RENDEZVOUS_COST)
    }

    /// Whether somebody at `peer` who has not logged in may ask to take an account back, or read what that takes.
    pub(crate) fn takeover_request(&self, peer: IpAddr) -> Result<(), Refusal> {
        self.anonymous.check(&subscriber(peer), TAKEOVER_COST)
    }

    /// Whether `target` may be taken over now by somebody who has signed with its recovery key or shown a ticket for it.
    pub(crate) fn takeover_of(&self, target: AccountId) -> Result<(), Refusal> {
        self.takeovers.check(&target, NonZeroU32::MIN)
    }

    /// Whether `device`, which has shown a good token, may ask for something now.
    pub(crate) fn device(&self, device: DeviceAddress) -> Result<(), Refusal> {
        self.devices.check(&device, NonZeroU32::MIN)
    }

    /// Whether `device`, whose request was counted, may have a key set verified now.
    pub(crate) fn publication(&self, device: DeviceAddress) -> Result<(), Refusal> {
        self.devices.check(&device, PUBLICATION_COST)
    }

    /// Whether somebody at `peer` may submit `count` envelopes now; the largest batch fits into every burst.
    pub(crate) fn submissions(&self, peer: IpAddr, count: usize) -> bool {
        let Some(count) = u32::try_from(count).ok().and_then(NonZeroU32::new) else { return count == 0 };
        self.submissions.allows(&subscriber(peer), count)
    }

    /// Whether `count` kept messages of `account` may be opened now, whichever of its devices asks.
    pub(crate) fn openings(&self, account: AccountId, count: usize) -> Result<(), Refusal> {
        let Some(count) = u32::try_from(count).ok().and_then(NonZeroU32::new) else { return Ok(()) };
        self.openings.check(&account, count)
    }

    /// Forgets keys whose limit is fully recovered. Called by the sweep.
    pub(crate) fn tidy(&self) {
        self.claims.tidy();
        self.bundles.tidy();
        self.anonymous.tidy();
        self.devices.tidy();
        self.takeovers.tidy();
        self.submissions.tidy();
        self.openings.tidy();
    }
}

/// A burst of some seconds' worth, and of one whole batch at least: a smaller one would never let that batch through.
fn submission_burst(per_second_max: u32) -> u32 {
    let batch = u32::try_from(BATCH_LEN_MAX).unwrap_or(u32::MAX);
    per_second_max.saturating_mul(SUBMISSION_BURST_SECONDS).max(batch)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use rcseal_wire::id::DeviceNumber;

    use super::*;

    fn limiters() -> Limiters {
        Limiters::new(&LimitsConfig {
            prekey_claims_per_hour_max: 2,
            bundle_requests_per_minute_max: 1,
            anonymous_requests_per_minute_max: 1,
            ..LimitsConfig::default()
        })
    }

    #[test]
    fn claims_beyond_the_limit_are_denied_per_target() {
        let limiters = limiters();
        let (one, other) = (AccountId::from_bytes([1; 16]), AccountId::from_bytes([2; 16]));
        assert!(limiters.may_claim_one_time(one));
        assert!(limiters.may_claim_one_time(one));
        assert!(!limiters.may_claim_one_time(one));
        assert!(limiters.may_claim_one_time(other));
    }

    #[test]
    fn what_costs_more_than_the_limit_is_still_allowed_once() {
        let limiters = limiters();
        let peer: IpAddr = "192.0.2.1".parse().unwrap();
        assert!(limiters.rendezvous(peer).is_ok());
        assert!(limiters.rendezvous(peer).is_err());
        let device = DeviceAddress { account: AccountId::from_bytes([1; 16]), device: DeviceNumber::PRIMARY };
        let publications = (0..100).filter(|_| limiters.publication(device).is_ok()).count();
        // A few more than fit, because the test's own time passes.
        assert!((63..80).contains(&publications), "{publications}");
    }

    #[test]
    fn one_account_can_neither_keep_the_module_busy_nor_fill_the_record() {
        let limiters = limiters();
        let (one, other) = (AccountId::from_bytes([1; 16]), AccountId::from_bytes([2; 16]));
        let pages = (0..1_000).filter(|_| limiters.openings(one, 64).is_ok()).count();
        assert!((150..170).contains(&pages), "{pages}");
        assert_eq!(limiters.openings(one, 64).unwrap_err().problem().code, "rate_limited");
        // A page without a message opens nothing, and what one account does is nothing to another.
        assert!(limiters.openings(one, 0).is_ok());
        assert!(limiters.openings(other, 64).is_ok());
    }

    #[test]
    fn a_limited_caller_learns_when_to_come_back() {
        let limiters = limiters();
        let peer: IpAddr = "192.0.2.1".parse().unwrap();
        assert!(limiters.anonymous(peer).is_ok());
        let refusal = limiters.anonymous(peer).unwrap_err();
        assert_eq!(refusal.problem().code, "rate_limited");
        assert!(refusal.problem().retry_after_seconds.unwrap() <= 61);
    }
}
