//! Linking: what a new device shows the primary device, and what the two then say over the rendezvous.
//!
//! The new device shows [`LinkRequest`] as a QR code: the rendezvous, an ephemeral X25519 key, and a secret that only somebody who saw
//! the screen knows. Three messages follow, each sealed under keys derived from both (`engine::link`):
//! 1. primary to new device: [`LinkOffer`], the account and the number the device will have;
//! 2. new device to primary: its entry of the key set, with its proofs of possession (opaque here; `rcseal_credential` parses it);
//! 3. primary to new device: [`LinkWelcome`], the signed key set that names it, and the contacts.
//!
//! No account key moves, and the server sees three opaque blobs. `docs/protocol/linking.md` is the specification.

use std::fmt;
use std::str::FromStr;

use tls_codec::{
    DeserializeBytes, Serialize as _, TlsByteVecU16, TlsByteVecU32, TlsDeserializeBytes, TlsSerialize, TlsSize,
};

use crate::b64;
use crate::content::NAME_LEN_MAX;
use crate::id::{AccountId, DeviceNumber, LinkId};
use crate::origin::Origin;
use crate::token::DeliveryToken;
use rcseal_crypto::secret::Secret;

const PREFIX: &str = "rcseal://link/";
const VERSION: u8 = 1;
const TEXT_LEN_MAX: usize = 1024;

/// What the new device shows.
#[derive(Debug)]
pub struct LinkRequest {
    /// Where to meet.
    pub origin: Origin,
    /// The rendezvous there.
    pub link: LinkId,
    /// The new device's ephemeral X25519 public key.
    pub ephemeral: [u8; 32],
    /// Known to whoever saw the screen.
    pub secret: Secret<32>,
}

/// What the text or bytes of linking failed to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// It cannot be parsed.
    #[error("not a link request")]
    Malformed,
    /// Made by newer software: update.
    #[error("the link request has unknown version {version}")]
    UnknownVersion {
        /// The version.
        version: u8,
    },
}

impl LinkError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "link_malformed",
            Self::UnknownVersion { .. } => "link_unknown_version",
        }
    }
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct RequestFields {
    version: u8,
    link: [u8; 16],
    ephemeral: [u8; 32],
    secret: [u8; 32],
    origin: TlsByteVecU32,
}

fn parse_versioned<T: DeserializeBytes>(bytes: &[u8]) -> Result<T, LinkError> {
    match bytes.first() {
        Some(&VERSION) => T::tls_deserialize_exact_bytes(bytes).map_err(|_| LinkError::Malformed),
        Some(&version) => Err(LinkError::UnknownVersion { version }),
        None => Err(LinkError::Malformed),
    }
}

fn parse_origin(bytes: &TlsByteVecU32) -> Result<Origin, LinkError> {
    let text = std::str::from_utf8(bytes.as_slice()).map_err(|_| LinkError::Malformed)?;
    text.parse().map_err(|_| LinkError::Malformed)
}

impl LinkRequest {
    /// The text to show as a QR code. It holds the secret.
    #[must_use]
    pub fn expose_text(&self) -> String {
        let fields = RequestFields {
            version: VERSION,
            link: *self.link.as_bytes(),
            ephemeral: self.ephemeral,
            secret: *self.secret.expose(),
            origin: self.origin.as_str().as_bytes().to_vec().into(),
        };
        format!("{PREFIX}{}", b64::encode(&fields.tls_serialize_detached().expect("fixed fields and one short vector")))
    }
}

impl FromStr for LinkRequest {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        if text.len() > TEXT_LEN_MAX {
            return Err(LinkError::Malformed);
        }
        let body = text.trim().strip_prefix(PREFIX).ok_or(LinkError::Malformed)?;
        let fields: RequestFields = parse_versioned(&b64::decode(body).map_err(|_| LinkError::Malformed)?)?;
        Ok(Self {
            origin: parse_origin(&fields.origin)?,
            link: LinkId::from_bytes(fields.link),
            ephemeral: fields.ephemeral,
            secret: Secret::from_bytes(fields.secret),
        })
    }
}

/// First message: the account that the new device will belong to.
#[derive(Debug)]
pub struct LinkOffer {
    /// The account.
    pub account: AccountId,
    /// The number the new device will have.
    pub device: DeviceNumber,
    /// The signed key set as it stands, so that the new device sees whose it becomes before it proves anything.
    pub key_set: Vec<u8>,
    /// What the account calls itself towards contacts; may be empty.
    pub display_name: String,
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct OfferFields {
    version: u8,
    account: [u8; 16],
    device: u8,
    key_set: TlsByteVecU32,
    display_name: TlsByteVecU16,
}

impl LinkOffer {
    /// Writes it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        OfferFields {
            version: VERSION,
            account: *self.account.as_bytes(),
            device: self.device.get(),
            key_set: self.key_set.clone().into(),
            display_name: self.display_name.as_bytes().into(),
        }
        .tls_serialize_detached()
        .expect("fixed fields and two vectors far below the codec's limits")
    }

    /// Parses it.
    ///
    /// # Errors
    /// [`LinkError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, LinkError> {
        let fields: OfferFields = parse_versioned(bytes)?;
        let display_name = String::from_utf8(fields.display_name.into()).map_err(|_| LinkError::Malformed)?;
        if display_name.len() > NAME_LEN_MAX {
            return Err(LinkError::Malformed);
        }
        Ok(Self {
            account: AccountId::from_bytes(fields.account),
            device: DeviceNumber::new(fields.device).map_err(|_| LinkError::Malformed)?,
            key_set: fields.key_set.into(),
            display_name,
        })
    }
}

/// Third message: the new device is a member.
pub struct LinkWelcome {
    /// The signed key set that names the new device.
    pub key_set: Vec<u8>,
    /// The account's delivery token.
    pub delivery_token: DeliveryToken,
    /// An encoded `ContactSync`.
    pub contacts: Vec<u8>,
}

/// The contacts hold delivery tokens and names.
impl fmt::Debug for LinkWelcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkWelcome")
    }
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct WelcomeFields {
    version: u8,
    delivery_token: [u8; 32],
    key_set: TlsByteVecU32,
    contacts: TlsByteVecU32,
}

impl LinkWelcome {
    /// Writes it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        WelcomeFields {
            version: VERSION,
            delivery_token: *self.delivery_token.expose(),
            key_set: self.key_set.clone().into(),
            contacts: self.contacts.clone().into(),
        }
        .tls_serialize_detached()
        .expect("fixed fields and vectors far below the codec's limit")
    }

    /// Parses it.
    ///
    /// # Errors
    /// [`LinkError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, LinkError> {
        let fields: WelcomeFields = parse_versioned(bytes)?;
        Ok(Self {
            key_set: fields.key_set.into(),
            delivery_token: DeliveryToken::from_bytes(fields.delivery_token),
            contacts: fields.contacts.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn requests_round_trip() {
        let request = LinkRequest {
            origin: "https://relay.example".parse().unwrap(),
            link: LinkId::from_bytes([1; 16]),
            ephemeral: [2; 32],
            secret: Secret::from_bytes([3; 32]),
        };
        let text = request.expose_text();
        assert_eq!(text.parse::<LinkRequest>().unwrap().expose_text(), text);
    }

    proptest::proptest! {
        #[test]
        fn parsers_never_panic(bytes: Vec<u8>) {
            let _ = LinkOffer::parse(&bytes);
            let _ = LinkWelcome::parse(&bytes);
            let _ = format!("{PREFIX}{}", b64::encode(&bytes)).parse::<LinkRequest>();
        }
    }
}
