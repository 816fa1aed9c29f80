//! A phone number in sixteen bytes: what keys of rows and inputs of decisions are made of.

use std::fmt;

use rcseal_rcs::number::PhoneNumber;

/// A phone number as `+` and digits, filled up with zeros. E.164 has fifteen digits at most, so every number fits and no two meet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NumberKey([u8; 16]);

impl NumberKey {
    /// Bytes of every key.
    pub const LEN: usize = 16;

    /// The number's key.
    #[must_use]
    pub fn of(number: &PhoneNumber) -> Self {
        let mut bytes = [0; 16];
        for (place, byte) in bytes.iter_mut().zip(number.as_str().bytes()) {
            *place = byte;
        }
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// A key out of a row; `None` where it is no number's.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        let key = Self(bytes);
        let (sign, digits) = key.text().split_at_checked(1)?;
        let is_filled_up = bytes.iter().skip(1 + digits.len()).all(|byte| *byte == 0);
        let is_number = sign == "+" && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        (is_number && is_filled_up).then_some(key)
    }

    /// `+` and digits.
    #[must_use]
    pub fn text(&self) -> &str {
        let len = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        self.0.get(..len).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }

    /// The number; `None` where the numbering plan of now does not know it.
    #[must_use]
    pub fn number(&self) -> Option<PhoneNumber> {
        self.text().parse().ok()
    }
}

impl From<&PhoneNumber> for NumberKey {
    fn from(number: &PhoneNumber) -> Self {
        Self::of(number)
    }
}

impl fmt::Debug for NumberKey {
    /// The last two digits, as of a phone number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.text();
        write!(f, "NumberKey(..{})", text.get(text.len().saturating_sub(2)..).unwrap_or_default())
    }
}
