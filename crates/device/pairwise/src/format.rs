//! What peers exchange: identity cards, bundles, messages. `docs/protocol/pairwise.md` has the bytes.
//!
//! A **card** says who somebody is: an Ed25519 key, which is the identity that people compare, and the X25519 key of its sessions, signed by
//! it. A **bundle** is a card with prekeys, signed as a whole. A **message** is a message of the session, with the sender's card in front
//! until the peer has answered. Each begins with a version; nothing has two encodings.

use rcseal_crypto::ed25519::{Signature, SigningKey, VerifyingKey};
use rcseal_crypto::hash::sha256;
use rcseal_signal::{
    Address, IdentityKey, IdentityKeyPair, KEM_PUBLIC_KEY_LEN, KemPreKeyPublic, MESSAGE_LEN_MAX, OneTimePreKeyPublic,
    Peer, PreKeyBundle, SignedPreKeyPublic,
};
use rcseal_wire::id::AccountId;

const VERSION: u8 = 1;
const CARD_LABEL: &[u8] = b"rcseal/pairwise/card/v1";
const BUNDLE_LABEL: &[u8] = b"rcseal/pairwise/bundle/v1";
const ADDRESS_LABEL: &[u8] = b"rcseal/pairwise/address/v1";
const SIGNATURE_LEN: usize = 64;
const SIGNED_LEN: usize = 4 + 32 + SIGNATURE_LEN;
const KEM_LEN: usize = 4 + KEM_PUBLIC_KEY_LEN + SIGNATURE_LEN;
const ONE_TIME_LEN: usize = 4 + 32;

/// Length of a card.
pub(crate) const CARD_LEN: usize = 32 + 32 + SIGNATURE_LEN;
/// Length of a bundle with a one-time prekey; one without is shorter by that key.
pub const BUNDLE_LEN_MAX: usize = 1 + CARD_LEN + SIGNED_LEN + KEM_LEN + 1 + ONE_TIME_LEN + SIGNATURE_LEN;
/// The longest message.
pub const PAIRWISE_MESSAGE_LEN_MAX: usize = 2 + CARD_LEN + MESSAGE_LEN_MAX;

/// Why bytes are no card, bundle or message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The bytes end too early.
    #[error("the bytes end too early")]
    Truncated,
    /// More bytes than there may be.
    #[error("{actual} bytes are more than {max}")]
    TooLong {
        /// The limit.
        max: usize,
        /// What was given.
        actual: usize,
    },
    /// Bytes follow the end.
    #[error("bytes follow the end")]
    Trailing,
    /// Of a later version: update the app.
    #[error("unknown version {found}")]
    Version {
        /// The version byte.
        found: u8,
    },
    /// A byte that says which of two forms follows says neither.
    #[error("unknown form {found}")]
    Form {
        /// The byte.
        found: u8,
    },
    /// A key is not a usable one.
    #[error("a key is not usable")]
    Key,
    /// A signature of the identity does not hold.
    #[error("a signature of the identity does not hold")]
    Signature,
    /// The bundle's ids contradict each other.
    #[error("the prekeys of the bundle do not belong together")]
    Ids,
}

impl FormatError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Truncated => "pairwise.truncated",
            Self::TooLong { .. } => "pairwise.too_long",
            Self::Trailing => "pairwise.trailing",
            Self::Version { .. } => "pairwise.version",
            Self::Form { .. } => "pairwise.form",
            Self::Key => "pairwise.key",
            Self::Signature => "pairwise.signature",
            Self::Ids => "pairwise.ids",
        }
    }
}

/// Reads from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Result<&'a [u8; N], FormatError> {
        let (head, tail) = self.0.split_first_chunk::<N>().ok_or(FormatError::Truncated)?;
        self.0 = tail;
        Ok(head)
    }

    fn byte(&mut self) -> Result<u8, FormatError> {
        let [byte] = *self.take::<1>()?;
        Ok(byte)
    }

    fn id(&mut self) -> Result<u32, FormatError> {
        Ok(u32::from_be_bytes(*self.take()?))
    }

    fn version(&mut self) -> Result<(), FormatError> {
        match self.byte()? {
            VERSION => Ok(()),
            found => Err(FormatError::Version { found }),
        }
    }

    fn end(&self) -> Result<(), FormatError> {
        if self.0.is_empty() { Ok(()) } else { Err(FormatError::Trailing) }
    }
}

/// Who somebody is, proven by a signature. Public.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Card {
    /// The identity that people compare.
    pub(crate) account_key: VerifyingKey,
    /// The key of its sessions.
    pub(crate) identity: IdentityKey,
    signature: Signature,
}

impl Card {
    pub(crate) fn issue(account: &SigningKey, identity: &IdentityKeyPair) -> Self {
        let identity = identity.public();
        let signature = account.sign(&[CARD_LABEL, identity.as_bytes()]);
        Self { account_key: account.verifying_key(), identity, signature }
    }

    /// The id that stands for the identity in addresses and safety numbers: a hash of its key.
    pub(crate) fn account(&self) -> AccountId {
        let hash = sha256(&[ADDRESS_LABEL, self.account_key.as_bytes()]);
        let mut id = [0; 16];
        id.copy_from_slice(&hash[..16]);
        AccountId::from_bytes(id)
    }

    pub(crate) fn address(&self) -> Address {
        // An identity has one device here; more devices are more peers.
        Address::new(*self.account().as_bytes(), 1)
    }

    pub(crate) fn peer(&self) -> Peer {
        Peer { address: self.address(), identity: self.identity }
    }

    pub(crate) fn to_bytes(self) -> [u8; CARD_LEN] {
        let mut out = [0; CARD_LEN];
        out[..32].copy_from_slice(self.account_key.as_bytes());
        out[32..64].copy_from_slice(self.identity.as_bytes());
        out[64..].copy_from_slice(self.signature.as_bytes());
        out
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        let account_key = VerifyingKey::from_bytes(reader.take()?).map_err(|_| FormatError::Key)?;
        let identity = IdentityKey::from_bytes(reader.take()?).map_err(|_| FormatError::Key)?;
        let signature = Signature(*reader.take()?);
        let signed = account_key.verify(&[CARD_LABEL, identity.as_bytes()], &signature);
        signed.map_err(|_| FormatError::Signature)?;
        Ok(Self { account_key, identity, signature })
    }

    /// The reverse of `to_bytes`. Checks the signature.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader(bytes);
        let card = Self::read(&mut reader)?;
        reader.end()?;
        Ok(card)
    }
}

/// What somebody publishes so that others can write to them: a card and prekeys.
#[derive(Debug)]
pub struct Bundle {
    pub(crate) card: Card,
    pub(crate) prekeys: PreKeyBundle,
    signature: Signature,
}

impl Bundle {
    pub(crate) fn issue(account: &SigningKey, card: Card, prekeys: PreKeyBundle) -> Self {
        let signature = account.sign(&[BUNDLE_LABEL, &Self::body(&card, &prekeys)]);
        Self { card, prekeys, signature }
    }

    fn body(card: &Card, prekeys: &PreKeyBundle) -> Vec<u8> {
        let PreKeyBundle { signed_prekey, kem_prekey, one_time, .. } = prekeys;
        let mut out = Vec::with_capacity(BUNDLE_LEN_MAX);
        out.push(VERSION);
        out.extend_from_slice(&card.to_bytes());
        out.extend_from_slice(&signed_prekey.id.to_be_bytes());
        out.extend_from_slice(signed_prekey.key.as_bytes());
        out.extend_from_slice(&signed_prekey.signature.0);
        out.extend_from_slice(&kem_prekey.id.to_be_bytes());
        out.extend_from_slice(kem_prekey.key.as_bytes());
        out.extend_from_slice(&kem_prekey.signature.0);
        out.push(u8::from(one_time.is_some()));
        if let Some(one_time) = one_time {
            out.extend_from_slice(&one_time.id.to_be_bytes());
            out.extend_from_slice(one_time.key.as_bytes());
        }
        out
    }

    /// The bytes to publish.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Self::body(&self.card, &self.prekeys);
        out.extend_from_slice(self.signature.as_bytes());
        out
    }

    /// Whether it serves one session: a directory deletes it when it hands it out.
    #[must_use]
    pub const fn is_one_time(&self) -> bool {
        self.prekeys.one_time.is_some()
    }

    /// Parses a bundle and checks the signatures of its identity. Those of the prekeys are checked when a session begins.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        if bytes.len() > BUNDLE_LEN_MAX {
            return Err(FormatError::TooLong { max: BUNDLE_LEN_MAX, actual: bytes.len() });
        }
        let mut reader = Reader(bytes);
        reader.version()?;
        let card = Card::read(&mut reader)?;
        let key = |_| FormatError::Key;
        let (id, public, signature) = (reader.id()?, reader.take::<32>()?, reader.take::<SIGNATURE_LEN>()?);
        let signed_prekey = SignedPreKeyPublic::from_parts(id, public, signature).map_err(key)?;
        let (id, public) = (reader.id()?, reader.take::<KEM_PUBLIC_KEY_LEN>()?);
        let kem_prekey = KemPreKeyPublic::from_parts(id, public, reader.take::<SIGNATURE_LEN>()?).map_err(key)?;
        let one_time = match reader.byte()? {
            0 => None,
            1 => Some(OneTimePreKeyPublic::from_parts(reader.id()?, reader.take::<32>()?).map_err(key)?),
            found => return Err(FormatError::Form { found }),
        };
        // The KEM prekey belongs to the one-time prekey or, as the last resort, to the signed one.
        if kem_prekey.id != one_time.map_or(signed_prekey.id, |prekey| prekey.id) {
            return Err(FormatError::Ids);
        }
        let signature = Signature(*reader.take()?);
        reader.end()?;
        let prekeys = PreKeyBundle { identity: card.identity, signed_prekey, kem_prekey, one_time };
        let signed = card.account_key.verify(&[BUNDLE_LABEL, &Self::body(&card, &prekeys)], &signature);
        signed.map_err(|_| FormatError::Signature)?;
        Ok(Self { card, prekeys, signature })
    }
}

/// A message as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub(crate) card: Option<Card>,
    pub(crate) inner: Vec<u8>,
}

impl Message {
    /// The bytes to hand to the transport.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(2 + CARD_LEN + self.inner.len());
        out.extend_from_slice(&[VERSION, u8::from(self.card.is_some())]);
        if let Some(card) = self.card {
            out.extend_from_slice(&card.to_bytes());
        }
        out.extend_from_slice(&self.inner);
        out
    }

    /// Parses a message, and checks the signature of the card in it. What is inside is parsed when it is decrypted.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        if bytes.len() > PAIRWISE_MESSAGE_LEN_MAX {
            return Err(FormatError::TooLong { max: PAIRWISE_MESSAGE_LEN_MAX, actual: bytes.len() });
        }
        let mut reader = Reader(bytes);
        reader.version()?;
        let card = match reader.byte()? {
            0 => None,
            1 => Some(Card::read(&mut reader)?),
            found => return Err(FormatError::Form { found }),
        };
        if reader.0.is_empty() {
            return Err(FormatError::Truncated);
        }
        Ok(Self { card, inner: reader.0.to_vec() })
    }
}
