//! Which bytes of a message a chunk holds.

use std::fmt;
use std::str::FromStr;

/// `first-last/total`, counted from one; `*` where the sender does not know yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    first: u64,
    last: Option<u64>,
    total: Option<u64>,
}

/// Not a byte range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a byte range")]
pub struct RangeError;

impl ByteRange {
    /// A range. `first` is at least one, and `last` at least `first - 1` (an empty chunk) and at most `total`.
    ///
    /// # Errors
    /// [`RangeError`].
    pub fn new(first: u64, last: Option<u64>, total: Option<u64>) -> Result<Self, RangeError> {
        let starts = first >= 1 && first - 1 <= total.unwrap_or(u64::MAX);
        let ends = last.is_none_or(|last| last.saturating_add(1) >= first && last <= total.unwrap_or(u64::MAX));
        if starts && ends { Ok(Self { first, last, total }) } else { Err(RangeError) }
    }

    /// A whole message in one chunk, which is also what a missing header means.
    #[must_use]
    pub const fn whole(len: u64) -> Self {
        Self { first: 1, last: Some(len), total: Some(len) }
    }

    /// The first byte, from one.
    #[must_use]
    pub const fn first(&self) -> u64 {
        self.first
    }

    /// The last byte, if it was known when the header was written. One less than the first for an empty chunk.
    #[must_use]
    pub const fn last(&self) -> Option<u64> {
        self.last
    }

    /// The whole message's length, if it was known.
    #[must_use]
    pub const fn total(&self) -> Option<u64> {
        self.total
    }
}

impl FromStr for ByteRange {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        let (range, total) = text.trim().split_once('/').ok_or(RangeError)?;
        let (first, last) = range.split_once('-').ok_or(RangeError)?;
        Self::new(number(first)?, star(last)?, star(total)?)
    }
}

fn star(text: &str) -> Result<Option<u64>, RangeError> {
    if text == "*" { Ok(None) } else { number(text).map(Some) }
}

/// Digits only: the standard library would take a sign.
fn number(text: &str) -> Result<u64, RangeError> {
    let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_digits).ok_or(RangeError)
}

impl fmt::Display for ByteRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = |value: Option<u64>| value.map_or_else(|| "*".to_owned(), |value| value.to_string());
        write!(f, "{}-{}/{}", self.first, star(self.last), star(self.total))
    }
}
