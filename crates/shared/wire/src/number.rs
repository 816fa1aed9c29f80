//! Phone numbers as they stand in signed objects and requests: one text form, and nothing that a numbering plan knows.
//!
//! Whether a number can exist is the business of whoever reads it from a person or a carrier (`rcseal_rcs::number`). Here it is only
//! a name that two sides must spell alike.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Fewest digits with the country code; shorter ones reach nobody from abroad.
pub const DIGITS_MIN: usize = 7;
/// Most digits, by E.164.
pub const DIGITS_MAX: usize = 15;

/// A phone number in international form: `+`, then 7 to 15 digits that begin with no zero.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct E164(String);

/// The text is not a phone number in international form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a phone number of the form + and 7 to 15 digits")]
pub struct E164Error;

impl E164Error {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "number_invalid"
    }
}

impl E164 {
    /// `+15551230001`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Without the number: it says who somebody is, and debug texts end up in logs.
impl fmt::Debug for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("E164")
    }
}

impl FromStr for E164 {
    type Err = E164Error;

    fn from_str(text: &str) -> Result<Self, E164Error> {
        let digits = text.strip_prefix('+').ok_or(E164Error)?;
        let is_sound = (DIGITS_MIN..=DIGITS_MAX).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0');
        if is_sound { Ok(Self(text.to_owned())) } else { Err(E164Error) }
    }
}

impl TryFrom<String> for E164 {
    type Error = E164Error;

    fn try_from(text: String) -> Result<Self, E164Error> {
        text.parse()
    }
}

impl From<E164> for String {
    fn from(number: E164) -> Self {
        number.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_number_has_one_form() {
        for good in ["+1555123", "+15551230001", "+999999999999999"] {
            assert_eq!(good.parse::<E164>().unwrap().as_str(), good);
        }
        for bad in
            ["", "+", "15551230001", "+155512", "+0155512300", "+1555 123 0001", "+1234567890123456", "+1555123000x"]
        {
            assert_eq!(bad.parse::<E164>(), Err(E164Error), "{bad}");
        }
    }

    #[test]
    fn debug_shows_no_digit() {
        assert_eq!(format!("{:?}", "+15551230001".parse::<E164>().unwrap()), "E164");
    }

    proptest::proptest! {
        #[test]
        fn parsing_never_panics(text: String) {
            let _ = text.parse::<E164>();
        }
    }
}
