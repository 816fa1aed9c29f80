//! Phone numbers in E.164 form.
//!
//! A number that reached this type has passed the numbering plan's library; its text is `+` and digits only, so that nothing can be
//! smuggled into a header by way of it.

use std::fmt;
use std::str::FromStr;

/// A phone number: `+` and 7 to 15 digits, possible by the numbering plan.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PhoneNumber(String);

/// Not a phone number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a phone number in international form")]
pub struct NumberError;

impl PhoneNumber {
    /// The number as `+` and digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PhoneNumber {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, NumberError> {
        let digits = text.strip_prefix('+').ok_or(NumberError)?;
        if !(7..=15).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NumberError);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for PhoneNumber {
    /// The last two digits: enough to tell two apart in a log, too little to call.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PhoneNumber(..{})", &self.0[self.0.len() - 2..])
    }
}
