//! Points in time as peers write them (RFC 3339), to the millisecond.
//!
//! A carrier's times are claims: they are shown and never decide anything.

use std::fmt;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Milliseconds since 1970 in UTC, up to the end of the year 9999, which is the last that RFC 3339 can write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The last millisecond of the year 9999.
    const MAX: u64 = 253_402_300_799_999;

    /// From milliseconds since 1970; what is later than the year 9999 becomes its last millisecond.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(if millis > Self::MAX { Self::MAX } else { millis })
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// A time with its offset from UTC. `None` for what is not one, and for times before 1970: a wrong time must not lose a message.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        const LEN_MAX: usize = 64;
        let text = text.trim();
        if text.len() > LEN_MAX {
            return None;
        }
        let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        let millis = u64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()?;
        (millis <= Self::MAX).then_some(Self(millis))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000).map_err(|_| fmt::Error)?;
        f.write_str(&time.format(&Rfc3339).map_err(|_| fmt::Error)?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn times_are_read_with_their_offset_and_written_in_utc() {
        let time = Timestamp::parse("2026-11-23T16:45:52.250+02:00").unwrap();
        assert_eq!(time.to_string(), "2026-11-23T14:45:52.25Z");
        assert_eq!(Timestamp::parse(&time.to_string()), Some(time));
        assert_eq!(Timestamp::from_millis(u64::MAX).to_string(), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in
            ["", "yesterday", "2026-13-01T00:00:00Z", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59-23:59", "2026-11-23"]
        {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }
}
