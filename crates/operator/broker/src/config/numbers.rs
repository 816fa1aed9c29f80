//! Which numbers can be claimed.

use std::fmt;
use std::str::FromStr;

use rcseal_wire::number::E164;
use serde::{Deserialize, Serialize};

/// Table `[numbers]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NumbersConfig {
    /// Beginnings of the numbers that can be claimed, such as `+44`: countries, or ranges in them. Empty by default: nobody can claim
    /// anything, and no message is paid for. Of these, numbers that the numbering plan knows as mobile ones are served, and nothing else:
    /// no premium number, no shared cost, no landline, no satellite range.
    pub served: Vec<Prefix>,
    /// Beginnings of numbers that can be claimed whatever the numbering plan says of their kind: ranges of the operator's own, such as
    /// business landlines that take messages. Each is a decision to pay for what is sent there.
    pub served_of_any_kind: Vec<Prefix>,
    /// How long a mapping is good before it must be renewed with a new code.
    pub mapping_lifetime_seconds: u64,
    /// How long before that the account is reminded.
    pub reminder_seconds: u64,
    /// How long an expired mapping keeps its number from being given to somebody else without a wait. Its carrier may have given it to
    /// somebody new by then.
    pub quarantine_seconds: u64,
    /// How often the account that has a number is told that another one waits for it.
    pub notice_seconds: u64,
    /// How soon a notice that could not be sent is tried again. The wait does not begin before the first one was taken or refused.
    pub notice_retry_seconds: u64,
}

const DAY: u64 = 24 * 3600;

impl Default for NumbersConfig {
    fn default() -> Self {
        Self {
            served: Vec::new(),
            served_of_any_kind: Vec::new(),
            mapping_lifetime_seconds: 90 * DAY,
            reminder_seconds: 14 * DAY,
            // Numbering plans ask carriers for some weeks to months between two holders.
            quarantine_seconds: 30 * DAY,
            notice_seconds: DAY,
            notice_retry_seconds: 10 * 60,
        }
    }
}

/// The beginning of phone numbers: `+` and one to fourteen digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Prefix(String);

/// Not the beginning of a phone number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the beginning of a phone number, such as +44")]
pub struct PrefixError;

impl Prefix {
    /// Whether a number begins so.
    #[must_use]
    pub fn covers(&self, number: &E164) -> bool {
        number.as_str().starts_with(&self.0)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let digits = text.strip_prefix('+').ok_or(PrefixError)?;
        let is_sound = (1..=14).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0');
        if is_sound { Ok(Self(text.to_owned())) } else { Err(PrefixError) }
    }
}

impl TryFrom<String> for Prefix {
    type Error = PrefixError;

    fn try_from(text: String) -> Result<Self, PrefixError> {
        text.parse()
    }
}

impl From<Prefix> for String {
    fn from(prefix: Prefix) -> Self {
        prefix.0
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
