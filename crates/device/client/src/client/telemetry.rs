//! Counting what happens, where the user has agreed to it: a handful of numbers that the app may send wherever it says it does.
//!
//! Off unless the app's configuration turns it on, and off whenever remote configuration says so. What is counted is [`Counted`] and nothing
//! else: how often something happened since the last report. No ids, no names, no times, no sizes, no addresses, no contents, nothing per
//! contact or conversation. Numbers are rounded down to 1, 2 or 5 times a power of ten, so that a report does not stand for one device's day.
//! They are in memory only, and nothing here sends anything.

use std::sync::atomic::{AtomicU64, Ordering};

use super::remote_config::RemoteKey;
use super::{Client, ClientError};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// Envelopes taken in.
    Received,
    /// Of these, envelopes that could not be decrypted.
    Undecryptable,
    /// Of these, envelopes that had been decrypted before.
    Duplicate,
    /// Envelopes that a relay has taken.
    Submitted,
    /// Connections to the mailbox that were lost.
    ConnectionLost,
    /// Wake-ups worked for.
    WakeUp,
    /// Of these, wake-ups that left work.
    WakeUpLeft,
}

impl Counted {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::Received,
        Self::Undecryptable,
        Self::Duplicate,
        Self::Submitted,
        Self::ConnectionLost,
        Self::WakeUp,
        Self::WakeUpLeft,
    ];

    /// Its name in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Undecryptable => "undecryptable",
            Self::Duplicate => "duplicate",
            Self::Submitted => "submitted",
            Self::ConnectionLost => "connection_lost",
            Self::WakeUp => "wake_up",
            Self::WakeUpLeft => "wake_up_left",
        }
    }
}

/// The whole of what a report says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelemetryReport {
    /// Each count since the last report, rounded down.
    pub counts: Vec<(Counted, u64)>,
}

impl TelemetryReport {
    /// As JSON: `{"v":1,"counts":{"received":20,…}}`.
    #[must_use]
    pub fn to_json(&self) -> String {
        let counts: Vec<String> =
            self.counts.iter().map(|(what, count)| format!("\"{}\":{count}", what.as_str())).collect();
        format!("{{\"v\":1,\"counts\":{{{}}}}}", counts.join(","))
    }
}

/// The counters; one that is off counts nothing.
pub(super) struct Telemetry {
    is_on: bool,
    counts: [AtomicU64; Counted::ALL.len()],
}

impl Telemetry {
    pub(super) const fn new(is_on: bool) -> Self {
        Self { is_on, counts: [const { AtomicU64::new(0) }; Counted::ALL.len()] }
    }

    pub(super) fn count(&self, what: Counted, times: usize) {
        if self.is_on {
            let times = u64::try_from(times).unwrap_or(u64::MAX);
            self.counts[what as usize].fetch_add(times, Ordering::Relaxed);
        }
    }

    /// Reads the counters and sets them to zero.
    fn take(&self) -> Option<TelemetryReport> {
        let take = |what: Counted| (what, rounded(self.counts[what as usize].swap(0, Ordering::Relaxed)));
        self.is_on.then(|| TelemetryReport { counts: Counted::ALL.into_iter().map(take).collect() })
    }
}

/// The next lower number of 1, 2 or 5 times a power of ten.
fn rounded(count: u64) -> u64 {
    let power = count.checked_ilog10().map_or(0, |digits| 10_u64.pow(digits));
    match count.checked_div(power) {
        None => 0,
        Some(1) => power,
        Some(2..=4) => 2 * power,
        Some(_) => 5 * power,
    }
}

impl Client {
    /// What happened since the last report, and begins anew; `None` where nothing is counted. The app shows it or sends it, as it has told its
    /// user it would.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn telemetry_report(&self) -> Result<Option<TelemetryReport>, ClientError> {
        let report = self.core.telemetry.take();
        if report.is_some() && self.core.is_switched_off(RemoteKey::NoTelemetry).await? {
            return Ok(None);
        }
        Ok(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_rounded_down_and_begin_anew() {
        for (count, expected) in [(0, 0), (1, 1), (4, 2), (9, 5), (10, 10), (1999, 1000), (u64::MAX, 10_u64.pow(19))] {
            assert_eq!(rounded(count), expected, "{count}");
        }
        let telemetry = Telemetry::new(true);
        telemetry.count(Counted::Received, 37);
        let report = telemetry.take().map(|report| report.to_json()).unwrap_or_default();
        let expected = "{\"v\":1,\"counts\":{\"received\":20,\"undecryptable\":0,\"duplicate\":0,\"submitted\":0,\
                        \"connection_lost\":0,\"wake_up\":0,\"wake_up_left\":0}}";
        assert_eq!(report, expected);
        assert!(telemetry.take().is_some_and(|report| report.counts.iter().all(|(_, count)| *count == 0)));
    }

    #[test]
    fn what_is_off_counts_nothing() {
        let telemetry = Telemetry::new(false);
        telemetry.count(Counted::Received, 37);
        assert_eq!(telemetry.take(), None);
    }
}
