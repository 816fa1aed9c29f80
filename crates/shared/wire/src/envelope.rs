//! Envelopes: what a relay or a carrier is handed.
//!
//! | kind | first byte | then |
//! |---|---|---|
//! | first | 0x11 | 1,120 bytes of X-Wing encapsulation, AES-256-GCM ciphertext and tag |
//! | session | 0x12 | recognition tag (16), nonce (12), AES-256-GCM ciphertext and tag |
//! | forwarded | 0x13 | 1,120 bytes of X-Wing encapsulation, AES-256-GCM ciphertext and tag |
//!
//! The high nibble is the version, the low one the kind. A *first* envelope is sealed under the device's sealing key and holds a
//! [`Hello`]; a *session* envelope is sealed under a key of the session that the tag names. Either way nobody on the road learns who
//! sent it. A *forwarded* one is sealed under the device's sealing key by a broker and holds what came in from a carrier
//! ([`crate::carrier_delivery`]). The whole is padded to a bucket ([`crate::padding`]) and authenticated, so that damage is noticed before anything else.
//! Sealing and opening are the engine's; this module is the layout. `docs/protocol/envelope.md` is the specification.

use tls_codec::{DeserializeBytes, Serialize as _, TlsByteVecU32, TlsDeserializeBytes, TlsSerialize, TlsSize};

use crate::id::{DeviceAddress, KeySetCounter, KeySetHash};
use crate::padding::ENVELOPE_LEN_MAX;
use crate::token::DeliveryToken;

const FIRST: u8 = 0x11;
const SESSION: u8 = 0x12;
const FORWARDED: u8 = 0x13;
const VERSION: u8 = 1;

/// Bytes of a recognition tag.
pub const TAG_LEN: usize = 16;
/// Bytes of a session envelope's nonce.
pub const NONCE_LEN: usize = 12;
/// Bytes round the padded plaintext of a session envelope: kind, tag, nonce, AEAD tag.
pub const SESSION_OVERHEAD: usize = 1 + TAG_LEN + NONCE_LEN + 16;
/// Bytes round the padded plaintext of a first envelope: kind, encapsulation, AEAD tag.
pub const FIRST_OVERHEAD: usize = 1 + 1120 + 16;
/// Bytes round the padded plaintext of a forwarded envelope: kind, encapsulation, AEAD tag.
pub const FORWARDED_OVERHEAD: usize = FIRST_OVERHEAD;

/// Recognises a session without telling anybody else which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tag(pub [u8; TAG_LEN]);

/// An envelope, parsed but not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Envelope<'a> {
    /// Opens with the device's sealing key.
    First {
        /// Encapsulation and ciphertext.
        sealed: &'a [u8],
    },
    /// Opens with a session's key.
    Session {
        /// Which session.
        tag: Tag,
        /// The AEAD's nonce.
        nonce: [u8; NONCE_LEN],
        /// Ciphertext and AEAD tag.
        ciphertext: &'a [u8],
    },
    /// Opens with the device's sealing key; made by a broker.
    Forwarded {
        /// Encapsulation and ciphertext.
        sealed: &'a [u8],
    },
}

/// Why bytes are not an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Too short for its kind.
    #[error("the envelope is truncated")]
    Truncated,
    /// Over [`ENVELOPE_LEN_MAX`].
    #[error("the envelope is too large")]
    TooLarge,
    /// A version this software does not know: update.
    #[error("the envelope has unknown version {version}")]
    UnknownVersion {
        /// The version.
        version: u8,
    },
    /// A kind this software does not know: update.
    #[error("the envelope has unknown kind {kind}")]
    UnknownKind {
        /// The kind.
        kind: u8,
    },
}

impl EnvelopeError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Truncated => "envelope_truncated",
            Self::TooLarge => "envelope_too_large",
            Self::UnknownVersion { .. } => "envelope_unknown_version",
            Self::UnknownKind { .. } => "envelope_unknown_kind",
        }
    }
}

impl<'a> Envelope<'a> {
    /// Parses the layout.
    ///
    /// # Errors
    /// [`EnvelopeError`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, EnvelopeError> {
        if bytes.len() > ENVELOPE_LEN_MAX {
            return Err(EnvelopeError::TooLarge);
        }
        let (&kind, rest) = bytes.split_first().ok_or(EnvelopeError::Truncated)?;
        match kind {
            FIRST if bytes.len() > FIRST_OVERHEAD => Ok(Self::First { sealed: rest }),
            SESSION if bytes.len() > SESSION_OVERHEAD => {
                let (tag, rest) = rest.split_first_chunk::<TAG_LEN>().ok_or(EnvelopeError::Truncated)?;
                let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_LEN>().ok_or(EnvelopeError::Truncated)?;
                Ok(Self::Session { tag: Tag(*tag), nonce: *nonce, ciphertext })
            }
            FORWARDED if bytes.len() > FORWARDED_OVERHEAD => Ok(Self::Forwarded { sealed: rest }),
            FIRST | SESSION | FORWARDED => Err(EnvelopeError::Truncated),
            other if other >> 4 == VERSION => Err(EnvelopeError::UnknownKind { kind: other & 0x0f }),
            other => Err(EnvelopeError::UnknownVersion { version: other >> 4 }),
        }
    }

    /// Writes the layout.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::First { sealed } => [&[FIRST][..], sealed].concat(),
            Self::Session { tag, nonce, ciphertext } => [&[SESSION][..], &tag.0, nonce, ciphertext].concat(),
            Self::Forwarded { sealed } => [&[FORWARDED][..], sealed].concat(),
        }
    }

    /// What the AEAD authenticates beside the ciphertext.
    #[must_use]
    pub fn associated_data(&self) -> Vec<u8> {
        match self {
            Self::First { .. } => vec![FIRST],
            Self::Session { tag, .. } => Self::session_associated_data(*tag),
            Self::Forwarded { .. } => Self::forwarded_associated_data(),
        }
    }

    /// The associated data of a session envelope that is yet to be made.
    #[must_use]
    pub fn session_associated_data(tag: Tag) -> Vec<u8> {
        [&[SESSION][..], &tag.0].concat()
    }

    /// The associated data of a forwarded envelope that is yet to be made.
    #[must_use]
    pub fn forwarded_associated_data() -> Vec<u8> {
        vec![FORWARDED]
    }

    /// The associated data of a first envelope that is yet to be made.
    #[must_use]
    pub fn first_associated_data() -> Vec<u8> {
        vec![FIRST]
    }
}

/// What a first envelope holds: who writes, how to fetch their key set, and the suite's ciphertext.
///
/// Anybody could write any name here. It is a claim, proven only when the ciphertext decrypts under the claimed device's identity key.
#[derive(Debug)]
pub struct Hello {
    /// Who claims to write.
    pub sender: DeviceAddress,
    /// The key set at which the sender's device is a member.
    pub key_set_counter: KeySetCounter,
    /// Its hash.
    pub key_set_hash: KeySetHash,
    /// Lets the recipient fetch that key set.
    pub delivery_token: DeliveryToken,
    /// The suite's ciphertext.
    pub ciphertext: Vec<u8>,
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct HelloFields {
    version: u8,
    sender: [u8; DeviceAddress::LEN],
    key_set_counter: u64,
    key_set_hash: [u8; 32],
    delivery_token: [u8; 32],
    ciphertext: TlsByteVecU32,
}

/// Why the inside of a first envelope is not a [`Hello`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the first message's header is malformed")]
pub struct HelloError;

impl HelloError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "hello_malformed"
    }
}

impl Hello {
    /// Writes it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        HelloFields {
            version: VERSION,
            sender: self.sender.to_bytes(),
            key_set_counter: self.key_set_counter.get(),
            key_set_hash: *self.key_set_hash.as_bytes(),
            delivery_token: *self.delivery_token.expose(),
            ciphertext: self.ciphertext.clone().into(),
        }
        .tls_serialize_detached()
        .expect("fixed fields and one vector far below the codec's limit")
    }

    /// Parses it.
    ///
    /// # Errors
    /// [`HelloError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, HelloError> {
        let fields = HelloFields::tls_deserialize_exact_bytes(bytes).map_err(|_| HelloError)?;
        if fields.version != VERSION {
            return Err(HelloError);
        }
        Ok(Self {
            sender: DeviceAddress::parse(&fields.sender).map_err(|_| HelloError)?,
            key_set_counter: KeySetCounter::new(fields.key_set_counter),
            key_set_hash: KeySetHash::from_bytes(fields.key_set_hash),
            delivery_token: DeliveryToken::from_bytes(fields.delivery_token),
            ciphertext: fields.ciphertext.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::id::{AccountId, DeviceNumber};

    #[test]
    fn damage_has_a_name() {
        assert_eq!(Envelope::parse(&[]), Err(EnvelopeError::Truncated));
        assert_eq!(Envelope::parse(&[FIRST; 900]), Err(EnvelopeError::Truncated));
        assert_eq!(Envelope::parse(&[SESSION; 40]), Err(EnvelopeError::Truncated));
        assert_eq!(Envelope::parse(&[FORWARDED; FORWARDED_OVERHEAD]), Err(EnvelopeError::Truncated));
        assert_eq!(Envelope::parse(&[0x22; 600]), Err(EnvelopeError::UnknownVersion { version: 2 }));
        assert_eq!(Envelope::parse(&[0x1f; 600]), Err(EnvelopeError::UnknownKind { kind: 15 }));
        assert_eq!(Envelope::parse(&vec![FIRST; ENVELOPE_LEN_MAX + 1]), Err(EnvelopeError::TooLarge));
    }

    #[test]
    fn hello_round_trips() {
        let hello = Hello {
            sender: DeviceAddress { account: AccountId::from_bytes([1; 16]), device: DeviceNumber::PRIMARY },
            key_set_counter: KeySetCounter::FIRST,
            key_set_hash: KeySetHash::from_bytes([2; 32]),
            delivery_token: DeliveryToken::from_bytes([3; 32]),
            ciphertext: vec![4; 100],
        };
        let bytes = hello.to_bytes();
        let parsed = Hello::parse(&bytes).unwrap();
        assert_eq!(parsed.to_bytes(), bytes);
        assert_eq!(parsed.sender, hello.sender);
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(Hello::parse(&longer).is_err());
        assert!(Hello::parse(&bytes[..bytes.len() - 1]).is_err());
    }

    proptest::proptest! {
        #[test]
        fn parsers_never_panic(bytes: Vec<u8>) {
            if let Ok(envelope) = Envelope::parse(&bytes) {
                proptest::prop_assert_eq!(envelope.to_bytes(), bytes.clone());
            }
            let _ = Hello::parse(&bytes);
        }
    }
}
