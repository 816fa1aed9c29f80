//! Bytes as text: base64url without padding, one text per value. As a serde helper: `#[serde(with = "rcseal_wire::b64")]`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serializer, de};

pub use base64::DecodeError;

/// Bytes to text.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Text to bytes. The engine refuses padding and non-zero trailing bits, so that no two texts mean the same bytes.
///
/// # Errors
/// On a character outside the alphabet, a wrong length, or trailing bits.
pub fn decode(text: &str) -> Result<Vec<u8>, DecodeError> {
    URL_SAFE_NO_PAD.decode(text)
}

/// Serialises bytes as text.
///
/// # Errors
/// Those of the serialiser.
pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&encode(bytes))
}

/// Deserialises bytes from text.
///
/// # Errors
/// When the text is not base64url without padding.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
    decode(&text).map_err(de::Error::custom)
}
