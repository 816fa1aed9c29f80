//! What a network may do to a connection.

use std::time::Duration;

/// Faults, each off by default. Both directions have them.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Time that every piece takes on its way.
    pub delay: Duration,
    /// Time that a piece may take besides.
    pub jitter: Duration,
    /// Bytes that pass in a second; all that come where there is none.
    pub bytes_per_second: Option<u32>,
    /// The longest piece that is passed on at once.
    pub slice_max: Option<usize>,
    /// A connection is reset after so many bytes in one direction.
    pub reset_after: Option<u64>,
    /// A connection is reset after a random number of bytes in one direction, up to this.
    pub reset_within: Option<u64>,
    /// One byte of so many has a bit flipped, in each direction.
    pub corrupt_one_in: Option<u64>,
    /// In so many of the first connections nothing passes, and nothing ends.
    pub blackhole_connections: u64,
    /// Header lines that are rewritten, in protocols whose headers are lines of text.
    pub headers: Vec<HeaderRewrite>,
}

/// A header line that becomes another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderRewrite {
    /// The header's name, without regard to case.
    pub name: String,
    /// What is written instead of the value; the line is taken out where this is `None`.
    pub value: Option<String>,
}

impl HeaderRewrite {
    /// Another value.
    #[must_use]
    pub fn set(name: &str, value: &str) -> Self {
        Self { name: name.to_owned(), value: Some(value.to_owned()) }
    }

    /// No such line.
    #[must_use]
    pub fn remove(name: &str) -> Self {
        Self { name: name.to_owned(), value: None }
    }
}
