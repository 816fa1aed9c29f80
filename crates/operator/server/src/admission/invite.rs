//! Invite codes: 16 random bytes, shown once to the operator, stored as a hash.

use std::fmt;
use std::str::FromStr;

use rand_core::CryptoRng;
use rcseal_crypto::hash::sha256;
use rcseal_crypto::secret::Secret;
use rcseal_store::InviteHash;
use rcseal_wire::b64;

const HASH_LABEL: &[u8] = b"rcseal/invite/v1";
const PREFIX: &str = "inv-";

/// A single-use code that admits one account. Whoever knows it can register, so it never prints.
pub(crate) struct InviteCode(Secret<16>);

/// The text is not an invite code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an invite code")]
pub(crate) struct InviteCodeError;

impl InviteCode {
    /// Draws a fresh one.
    pub(crate) fn generate(rng: &mut dyn CryptoRng) -> Self {
        Self(Secret::generate(rng))
    }

    /// Wraps the bytes.
    #[cfg(test)]
    pub(crate) fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Secret::from_bytes(bytes))
    }

    /// The text to hand to the invited person.
    #[must_use]
    pub(crate) fn expose_text(&self) -> String {
        format!("{PREFIX}{}", b64::encode(self.0.expose()))
    }

    /// What the store keeps of it.
    #[must_use]
    pub(crate) fn hash(&self) -> InviteHash {
        InviteHash::from_bytes(sha256(&[HASH_LABEL, self.0.expose()]))
    }
}

impl FromStr for InviteCode {
    type Err = InviteCodeError;

    fn from_str(text: &str) -> Result<Self, InviteCodeError> {
        let bytes = text.strip_prefix(PREFIX).and_then(|text| b64::decode(text).ok()).ok_or(InviteCodeError)?;
        Secret::from_slice(&bytes).map(Self).ok_or(InviteCodeError)
    }
}

impl fmt::Debug for InviteCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("InviteCode")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_code_survives_its_text_and_never_prints() {
        let code = InviteCode::from_bytes([9; 16]);
        let again: InviteCode = code.expose_text().parse().unwrap();
        assert_eq!(again.hash(), code.hash());
        assert_eq!(format!("{code:?}"), "InviteCode");
    }

    proptest! {
        #[test]
        fn any_text_is_a_code_or_refused(text: String) {
            let _ = text.parse::<InviteCode>();
        }
    }
}
