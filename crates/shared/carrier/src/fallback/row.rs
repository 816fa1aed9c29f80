//! A fall-back as a row: one version byte, then every field in order, integers big-endian.
//!
//! There is one encoding of a state. What is not of it is refused, so that a damaged row or one of a later version is never taken for
//! something to act on.

use super::{Fallback, Policy, Rcs, Sms, Unanswered};
use crate::business::event::NAME_LEN_MAX;
use crate::business::{Channel, MessageId};

/// The version that is written.
const VERSION: u8 = 1;

/// Why bytes are no row of a fall-back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// Of another version.
    #[error("a row of version {0}")]
    Version(u8),
    /// Too short, too long, or with a value that is never written.
    #[error("a damaged row")]
    Damaged,
}

impl RowError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Version(_) => "fallback_row_version",
            Self::Damaged => "fallback_row_damaged",
        }
    }
}

impl Fallback {
    /// The row.
    #[must_use]
    pub fn to_row(&self) -> Vec<u8> {
        let mut row = vec![VERSION];
        row.extend_from_slice(self.id.as_bytes());
        let policy = &self.policy;
        for value in [policy.patience_ms, policy.revoke_patience_ms, policy.settle_ms] {
            row.extend_from_slice(&value.to_be_bytes());
        }
        row.push(policy.revokes_max);
        let may_fall_back = policy.unanswered == Unanswered::FallBack;
        row.push(flags([may_fall_back, policy.can_revoke, policy.send_takes_id_once, policy.sms_takes_id_once]));
        let (tag, times, tries) = match self.rcs {
            Rcs::Sending { give_up } => (1, [give_up, 0], 0),
            Rcs::Held { until, give_up } => (2, [until, give_up], 0),
            Rcs::Trying { until } => (3, [until, 0], 0),
            Rcs::Revoking { until, tries } => (4, [until, 0], tries),
            Rcs::Settling { until } => (5, [until, 0], 0),
            Rcs::Doubt { next: Some(next), tries } => (6, [next, 0], tries),
            Rcs::Doubt { next: None, tries } => (7, [0, 0], tries),
            Rcs::Presumed => (8, [0, 0], 0),
            Rcs::Gone => (9, [0, 0], 0),
            Rcs::Arrived => (10, [0, 0], 0),
        };
        row.push(tag);
        times.iter().for_each(|time| row.extend_from_slice(&time.to_be_bytes()));
        row.push(tries);
        let (tag, may_double, is_repeat) = match self.sms {
            Sms::None => (1, false, false),
            Sms::Ordered { may_double, is_repeat } => (2, may_double, is_repeat),
            Sms::Withdrawn => (3, false, false),
            Sms::Submitting { may_double, is_repeat } => (4, may_double, is_repeat),
            Sms::Submitted => (5, false, false),
            Sms::InDoubt => (6, false, false),
            Sms::Delivered => (7, false, false),
            Sms::Failed => (8, false, false),
        };
        row.push(tag);
        row.push(flags([may_double, is_repeat, self.was_accepted, self.is_read]));
        let channel = self.arrived.as_ref().map_or("", Channel::as_str);
        row.push(u8::from(self.arrived.is_some()));
        row.push(u8::try_from(channel.len()).expect("a channel's name was cut when it came in"));
        row.extend_from_slice(channel.as_bytes());
        row
    }

    /// Reads a row.
    ///
    /// # Errors
    /// [`RowError`].
    pub fn from_row(row: &[u8]) -> Result<Self, RowError> {
        let mut left = Left(row);
        match left.byte()? {
            VERSION => {}
            other => return Err(RowError::Version(other)),
        }
        let id = MessageId::from_bytes(left.array()?);
        let [patience_ms, revoke_patience_ms, settle_ms] = [left.u64()?, left.u64()?, left.u64()?];
        let revokes_max = left.byte()?;
        let [may_fall_back, can_revoke, send_takes_id_once, sms_takes_id_once] = left.flags()?;
        let policy = Policy {
            patience_ms,
            revoke_patience_ms,
            settle_ms,
            revokes_max,
            unanswered: if may_fall_back { Unanswered::FallBack } else { Unanswered::Wait },
            can_revoke,
            send_takes_id_once,
            sms_takes_id_once,
        };
        let rcs = left.rcs()?;
        let sms_tag = left.byte()?;
        let [may_double, is_repeat, was_accepted, is_read] = left.flags()?;
        let sms = match (sms_tag, may_double, is_repeat) {
            (1, false, false) => Sms::None,
            (2, may_double, is_repeat) => Sms::Ordered { may_double, is_repeat },
            (3, false, false) => Sms::Withdrawn,
            (4, may_double, is_repeat) => Sms::Submitting { may_double, is_repeat },
            (5, false, false) => Sms::Submitted,
            (6, false, false) => Sms::InDoubt,
            (7, false, false) => Sms::Delivered,
            (8, false, false) => Sms::Failed,
            _ => return Err(RowError::Damaged),
        };
        let arrived = left.channel()?;
        if !left.0.is_empty() {
            return Err(RowError::Damaged);
        }
        let read = Self { id, policy, rcs, was_accepted, sms, arrived, is_read };
        // A state that the machine never enters is damage.
        let is_sound = (read.arrived.is_some() == (read.rcs == Rcs::Arrived))
            && (!read.is_read || read.arrived.is_some())
            && (read.sms == Sms::None || !read.is_open())
            && !(read.arrived.is_some() && matches!(read.sms, Sms::Ordered { .. }));
        if is_sound { Ok(read) } else { Err(RowError::Damaged) }
    }
}

fn flags(flags: [bool; 4]) -> u8 {
    flags.iter().enumerate().fold(0, |byte, (place, flag)| byte | u8::from(*flag) << place)
}

struct Left<'a>(&'a [u8]);

impl Left<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], RowError> {
        let (array, rest) = self.0.split_first_chunk::<N>().ok_or(RowError::Damaged)?;
        self.0 = rest;
        Ok(*array)
    }

    fn byte(&mut self) -> Result<u8, RowError> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u64(&mut self) -> Result<u64, RowError> {
        self.array().map(u64::from_be_bytes)
    }

    fn flags(&mut self) -> Result<[bool; 4], RowError> {
        let byte = self.byte()?;
        if byte > 0x0f {
            return Err(RowError::Damaged);
        }
        Ok([0, 1, 2, 3].map(|place| byte >> place & 1 == 1))
    }

    fn rcs(&mut self) -> Result<Rcs, RowError> {
        let (tag, first, second, tries) = (self.byte()?, self.u64()?, self.u64()?, self.byte()?);
        Ok(match (tag, first, second, tries) {
            (1, give_up, 0, 0) => Rcs::Sending { give_up },
            (2, until, give_up, 0) => Rcs::Held { until, give_up },
            (3, until, 0, 0) => Rcs::Trying { until },
            (4, until, 0, tries) => Rcs::Revoking { until, tries },
            (5, until, 0, 0) => Rcs::Settling { until },
            (6, next, 0, tries) => Rcs::Doubt { next: Some(next), tries },
            (7, 0, 0, tries) => Rcs::Doubt { next: None, tries },
            (8, 0, 0, 0) => Rcs::Presumed,
            (9, 0, 0, 0) => Rcs::Gone,
            (10, 0, 0, 0) => Rcs::Arrived,
            _ => return Err(RowError::Damaged),
        })
    }

    fn channel(&mut self) -> Result<Option<Channel>, RowError> {
        let is_there = self.byte()?;
        let len = usize::from(self.byte()?);
        if len > self.0.len() || len > NAME_LEN_MAX {
            return Err(RowError::Damaged);
        }
        let (name, rest) = self.0.split_at(len);
        self.0 = rest;
        let name = std::str::from_utf8(name).map_err(|_| RowError::Damaged)?;
        match (is_there, name) {
            (0, "") => Ok(None),
            (1, name) => {
                let channel = Channel::named(name);
                // Only what `named` would have written is a name of ours.
                if channel.as_str() == name { Ok(Some(channel)) } else { Err(RowError::Damaged) }
            }
            _ => Err(RowError::Damaged),
        }
    }
}
