//! Invitations: how two people meet without a directory of names.
//!
//! A text or a QR code that one shows and the other takes in: account id, key-set hash, delivery token, and the server. Whoever holds it
//! can write to the account once it was accepted as genuine; the key-set hash makes the first key fetch verified, not trusted.
//! `docs/protocol/linking.md` has the layout.

use std::fmt;
use std::str::FromStr;

use tls_codec::{DeserializeBytes, Serialize as _, TlsByteVecU16, TlsDeserializeBytes, TlsSerialize, TlsSize};

use crate::b64;
use crate::id::{AccountId, KeySetCounter, KeySetHash};
use crate::origin::Origin;
use crate::token::DeliveryToken;

const PREFIX: &str = "rcseal://invite/";
const VERSION: u8 = 1;
/// Longest text: fixed fields, an origin, in base64.
const TEXT_LEN_MAX: usize = 1024;

/// An invitation to write to an account.
#[derive(Debug)]
pub struct Invitation {
    /// Whom to write to.
    pub account: AccountId,
    /// The counter of the key set that was current when the invitation was made.
    pub key_set_counter: KeySetCounter,
    /// Its hash.
    pub key_set_hash: KeySetHash,
    /// The Ed25519 account key that signed it: a later key set must be signed by the same one, or by a migration from it.
    pub account_key: [u8; 32],
    /// The leave to write.
    pub delivery_token: DeliveryToken,
    /// Where the account's mailboxes are.
    pub origin: Origin,
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct Fields {
    version: u8,
    account: [u8; 16],
    key_set_counter: u64,
    key_set_hash: [u8; 32],
    account_key: [u8; 32],
    delivery_token: [u8; 32],
    origin: TlsByteVecU16,
}

/// The text is not an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvitationError {
    /// It does not begin with `rcseal://invite/`, or what follows cannot be parsed.
    #[error("not an invitation")]
    Malformed,
    /// Made by newer software: update.
    #[error("the invitation has unknown version {version}")]
    UnknownVersion {
        /// The version.
        version: u8,
    },
}

impl InvitationError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "invitation_malformed",
            Self::UnknownVersion { .. } => "invitation_unknown_version",
        }
    }
}

impl Invitation {
    /// The text to show. It holds the delivery token: it goes to the person invited and to nobody else.
    #[must_use]
    pub fn expose_text(&self) -> String {
        let fields = Fields {
            version: VERSION,
            account: *self.account.as_bytes(),
            key_set_counter: self.key_set_counter.get(),
            key_set_hash: *self.key_set_hash.as_bytes(),
            account_key: self.account_key,
            delivery_token: *self.delivery_token.expose(),
            origin: self.origin.as_str().as_bytes().to_vec().into(),
        };
        let bytes = fields.tls_serialize_detached().expect("fixed fields and one short vector");
        format!("{PREFIX}{}", b64::encode(&bytes))
    }
}

impl FromStr for Invitation {
    type Err = InvitationError;

    fn from_str(text: &str) -> Result<Self, InvitationError> {
        if text.len() > TEXT_LEN_MAX {
            return Err(InvitationError::Malformed);
        }
        let body = text.trim().strip_prefix(PREFIX).ok_or(InvitationError::Malformed)?;
        let bytes = b64::decode(body).map_err(|_| InvitationError::Malformed)?;
        match bytes.first() {
            Some(&VERSION) => {}
            Some(&version) => return Err(InvitationError::UnknownVersion { version }),
            None => return Err(InvitationError::Malformed),
        }
        let fields = Fields::tls_deserialize_exact_bytes(&bytes).map_err(|_| InvitationError::Malformed)?;
        let origin = std::str::from_utf8(fields.origin.as_slice()).map_err(|_| InvitationError::Malformed)?;
        Ok(Self {
            account: AccountId::from_bytes(fields.account),
            key_set_counter: KeySetCounter::new(fields.key_set_counter),
            key_set_hash: KeySetHash::from_bytes(fields.key_set_hash),
            account_key: fields.account_key,
            delivery_token: DeliveryToken::from_bytes(fields.delivery_token),
            origin: origin.parse().map_err(|_| InvitationError::Malformed)?,
        })
    }
}

/// Shows whom it is for, never the token.
impl fmt::Display for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invitation of {}", self.account)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn round_trips_and_refuses_newer_versions() {
        let invitation = Invitation {
            account: AccountId::from_bytes([1; 16]),
            key_set_counter: KeySetCounter::new(3),
            key_set_hash: KeySetHash::from_bytes([2; 32]),
            account_key: [4; 32],
            delivery_token: DeliveryToken::from_bytes([3; 32]),
            origin: "https://127.0.0.1:8443".parse().unwrap(),
        };
        let text = invitation.expose_text();
        let parsed: Invitation = text.parse().unwrap();
        assert_eq!(parsed.expose_text(), text);
        assert!(!format!("{invitation:?}{invitation}").contains(&b64::encode(&[3; 32])));

        let mut bytes = b64::decode(text.strip_prefix(PREFIX).unwrap()).unwrap();
        bytes[0] = 2;
        let newer = format!("{PREFIX}{}", b64::encode(&bytes));
        assert_eq!(newer.parse::<Invitation>().unwrap_err(), InvitationError::UnknownVersion { version: 2 });
    }

    proptest::proptest! {
        #[test]
        fn parsing_never_panics(bytes: Vec<u8>) {
            let _ = format!("{PREFIX}{}", b64::encode(&bytes)).parse::<Invitation>();
        }
    }
}
