//! Identity keys: the long-term X25519 key of a device in one profile.
//!
//! The key has two uses, both inside this crate's protocol: Diffie-Hellman in the handshake and XEdDSA signatures over
//! prekeys. The signed key set says to which device it belongs; [`Peer`] is how a caller hands that knowledge to a
//! session.

use rand_core::CryptoRng;
use rcseal_crypto::x25519;

use crate::address::Address;
use crate::bundle::{self, BundleError};
use crate::profile::{EC_KEY_LEN, Profile, ProfileUnavailable};

/// Our own identity key pair. No `Clone`, no `Serialize`; zeroized when dropped.
#[derive(Debug)]
pub struct IdentityKeyPair {
    secret: x25519::SecretKey,
    public: IdentityKey,
}

impl IdentityKeyPair {
    /// A fresh pair.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        Self::from_secret_key(x25519::SecretKey::generate(rng))
    }

    /// The pair of a stored secret.
    pub fn from_secret_bytes(secret: [u8; 32]) -> Self {
        Self::from_secret_key(x25519::SecretKey::from_bytes(secret))
    }

    /// The pair of a secret key; costs one base-point multiplication.
    pub fn from_secret_key(secret: x25519::SecretKey) -> Self {
        let public = IdentityKey(secret.public_key());
        Self { secret, public }
    }

    /// The public half.
    pub fn public(&self) -> IdentityKey {
        self.public
    }

    /// The secret key, for the proof of possession in the key set.
    pub fn secret_key(&self) -> &x25519::SecretKey {
        &self.secret
    }

    /// The secret's 32 bytes, to be stored wrapped.
    pub fn expose_secret(&self) -> &[u8; 32] {
        self.secret.expose()
    }
}

/// An identity key, ours or a peer's; canonical and not of low order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IdentityKey(x25519::PublicKey);

impl IdentityKey {
    /// Parses 32 bytes; refuses non-canonical and low-order encodings.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, x25519::KeyError> {
        x25519::PublicKey::from_bytes(bytes).map(Self)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Parses a key behind its type byte, as `profile` encodes it: 33 bytes.
    pub fn from_encoded(profile: Profile, bytes: &[u8]) -> Result<Self, BundleError> {
        bundle::encoded_ec_key(profile, "identity key", bytes).map(Self)
    }

    /// The key behind its type byte, as `profile` encodes it.
    pub fn encoded(&self, profile: Profile) -> Result<[u8; EC_KEY_LEN], ProfileUnavailable> {
        Ok(profile.suite()?.encode_ec(self.as_bytes()))
    }

    pub(crate) fn key(&self) -> &x25519::PublicKey {
        &self.0
    }
}

impl From<x25519::PublicKey> for IdentityKey {
    fn from(key: x25519::PublicKey) -> Self {
        Self(key)
    }
}

impl From<IdentityKey> for x25519::PublicKey {
    fn from(key: IdentityKey) -> Self {
        key.0
    }
}

/// A device of somebody else as the signed key set names it: its address and the identity key that stands there.
///
/// Sessions take this instead of an address alone: a bundle or a prekey message that shows another identity key is
/// refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The device's address.
    pub address: Address,
    /// Its identity key, from the verified key set.
    pub identity: IdentityKey,
}
