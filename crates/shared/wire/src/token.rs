//! Delivery tokens: the leave to submit to an account's mailboxes and to fetch its key set and prekey bundles.
//!
//! Contacts learn it inside a session or from an invitation. A server stores its hash only. It is a secret: it never prints.

use std::fmt;

use rand_core::CryptoRng;
use rcseal_crypto::hash::sha256;
use rcseal_crypto::secret::Secret;

use crate::b64;
use crate::id::DeliveryTokenHash;

const HASH_LABEL: &[u8] = b"rcseal/delivery-token/v1";

/// Name of the HTTP header that carries it, as base64url.
pub const DELIVERY_TOKEN_HEADER: &str = "rcseal-delivery-token";

/// A delivery token.
pub struct DeliveryToken(Secret<32>);

/// Not 32 bytes, or not base64url of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a delivery token")]
pub struct TokenError;

impl DeliveryToken {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// Draws a fresh one.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        Self(Secret::generate(rng))
    }

    /// Wraps the bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Secret::from_bytes(bytes))
    }

    /// Parses exactly 32 bytes.
    ///
    /// # Errors
    /// When the length differs.
    pub fn parse(bytes: &[u8]) -> Result<Self, TokenError> {
        Secret::from_slice(bytes).map(Self).ok_or(TokenError)
    }

    /// Parses the text of the header.
    ///
    /// # Errors
    /// When it is not base64url of 32 bytes.
    pub fn from_text(text: &str) -> Result<Self, TokenError> {
        Self::parse(&b64::decode(text).map_err(|_| TokenError)?)
    }

    /// The bytes, for the one who sends them.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// The text of the header.
    #[must_use]
    pub fn expose_text(&self) -> String {
        b64::encode(self.0.expose())
    }

    /// What a server stores of it.
    #[must_use]
    pub fn hash(&self) -> DeliveryTokenHash {
        DeliveryTokenHash::from_bytes(sha256(&[HASH_LABEL, self.0.expose()]))
    }

    /// A second copy, for a second owner.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(self.0.duplicate())
    }
}

impl fmt::Debug for DeliveryToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeliveryToken")
    }
}
