//! Small helpers for the JSON of providers.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A timestamp of RFC 3339 as milliseconds since 1970; `None` for anything else and for what lies before.
pub(crate) fn millis(text: &str) -> Option<u64> {
    // The longest form has nine digits of a fraction and an offset.
    if text.len() > 48 {
        return None;
    }
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()
}

/// Milliseconds since 1970 as RFC 3339.
#[cfg(any(test, feature = "fake"))]
pub(crate) fn rfc3339(millis: u64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| "1970-01-01T00:00:00Z".to_owned())
}

/// Whether a text can stand in a path or a query as it is.
pub(crate) fn is_plain_token(text: &str, len_max: usize) -> bool {
    (1..=len_max).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'@'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn timestamps_are_read_in_every_published_form() {
        assert_eq!(millis("2014-10-02T15:01:23Z"), Some(1_412_262_083_000));
        assert_eq!(millis("2014-10-02T15:01:23.045123456Z"), Some(1_412_262_083_045));
        assert_eq!(millis("2014-10-02T20:31:23+05:30"), Some(1_412_262_083_000));
        for wrong in ["", "yesterday", "1912-01-01T00:00:00Z", "2014-10-02T15:01:23", &"1".repeat(100)] {
            assert_eq!(millis(wrong), None, "{wrong}");
        }
        assert_eq!(millis(&rfc3339(1_412_262_083_045)), Some(1_412_262_083_045));
    }
}
