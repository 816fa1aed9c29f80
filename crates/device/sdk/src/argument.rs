//! Strings of apps that become ids.

use std::str::FromStr;

use crate::error::RcsealError;

/// Parses an argument of this name.
pub(crate) fn parse<T: FromStr>(name: &'static str, text: &str) -> Result<T, RcsealError> {
    text.trim().parse().map_err(|_| RcsealError::argument(name))
}

/// Parses one that may be absent.
pub(crate) fn parse_some<T: FromStr>(name: &'static str, text: Option<&str>) -> Result<Option<T>, RcsealError> {
    text.map(|text| parse(name, text)).transpose()
}

/// How many entries a page has: at least one, at most `max`.
pub(crate) fn page_len(limit: u32, max: usize) -> usize {
    usize::try_from(limit).unwrap_or(max).clamp(1, max)
}
