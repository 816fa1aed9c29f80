//! Reset tickets: 16 random bytes, shown once to the operator, stored as a hash.

use std::fmt;
use std::str::FromStr;

use rand_core::CryptoRng;
use rcseal_crypto::hash::sha256;
use rcseal_crypto::secret::Secret;
use rcseal_store::ResetTicketHash;
use rcseal_wire::b64;

const HASH_LABEL: &[u8] = b"rcseal/reset-ticket/v1";
const PREFIX: &str = "rst-";

/// A ticket for one reset of one account. Whoever knows it can ask for that reset, so it never prints.
pub(crate) struct ResetTicket(Secret<16>);

/// The text is not a reset ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a reset ticket")]
pub(crate) struct ResetTicketError;

impl ResetTicket {
    /// Draws a fresh one.
    pub(crate) fn generate(rng: &mut dyn CryptoRng) -> Self {
        Self(Secret::generate(rng))
    }

    /// The text to hand to the account's owner.
    #[must_use]
    pub(crate) fn expose_text(&self) -> String {
        format!("{PREFIX}{}", b64::encode(self.0.expose()))
    }

    /// What the store keeps of it.
    #[must_use]
    pub(crate) fn hash(&self) -> ResetTicketHash {
        ResetTicketHash::from_bytes(sha256(&[HASH_LABEL, self.0.expose()]))
    }
}

impl FromStr for ResetTicket {
    type Err = ResetTicketError;

    fn from_str(text: &str) -> Result<Self, ResetTicketError> {
        let bytes = text.strip_prefix(PREFIX).and_then(|text| b64::decode(text).ok()).ok_or(ResetTicketError)?;
        Secret::from_slice(&bytes).map(Self).ok_or(ResetTicketError)
    }
}

impl fmt::Debug for ResetTicket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ResetTicket")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_ticket_survives_its_text_and_never_prints() {
        let ticket = ResetTicket::generate(&mut rand::rng());
        let again: ResetTicket = ticket.expose_text().parse().unwrap();
        assert_eq!(again.hash(), ticket.hash());
        assert_eq!(format!("{ticket:?}"), "ResetTicket");
        assert_eq!("inv-AAAAAAAAAAAAAAAAAAAAAA".parse::<ResetTicket>().unwrap_err(), ResetTicketError);
    }

    proptest! {
        #[test]
        fn any_text_is_a_ticket_or_refused(text: String) {
            let _ = text.parse::<ResetTicket>();
        }
    }
}
