//! The prekey bundle: what the directory hands to somebody who wants to write to a device, and the step that turns it
//! into something a session may be built on.
//!
//! A [`PreKeyBundle`] holds well-formed keys from an untrusted server. [`PreKeyBundle::verify`] consumes it and checks
//! both prekey signatures under the bundle's identity key; only a [`VerifiedBundle`] starts a session, and
//! [`crate::Session::initiate`] then checks that this identity key is the one in the device's signed key set. The
//! one-time prekey carries no signature (PQXDH 3.2); a server that swaps it makes a session that does not decrypt, no
//! more.

use alloc::vec::Vec;

use rcseal_crypto::{mlkem1024, x25519, xeddsa};

use crate::identity::IdentityKey;
use crate::kem::{KEM_PUBLIC_KEY_LEN, Kem, KemPublicKey};
use crate::prekey::{self, PreKeyKind};
use crate::profile::{EC_KEY_LEN, Profile, ProfileUnavailable};

/// Why a bundle is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// This build cannot verify bundles of the profile.
    #[error(transparent)]
    ProfileUnavailable(#[from] ProfileUnavailable),
    /// A field has the wrong number of bytes.
    #[error("{field} has {expected} bytes, not {actual}")]
    Length {
        /// Which field.
        field: &'static str,
        /// What the field needs.
        expected: usize,
        /// What was given.
        actual: usize,
    },
    /// An X25519 key is not canonical or of low order.
    #[error("{field} is not a usable X25519 key")]
    EcKey {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        #[source]
        source: x25519::KeyError,
    },
    /// The key has the type byte of something else.
    #[error("{field} has type {found:#04x}, expected {expected:#04x}")]
    KeyType {
        /// Which field.
        field: &'static str,
        /// The type byte of the profile.
        expected: u8,
        /// The type byte.
        found: u8,
    },
    /// The KEM prekey belongs to another profile.
    #[error("the KEM prekey is one of profile {found}, not {expected}")]
    KemProfile {
        /// The profile the bundle is verified for.
        expected: Profile,
        /// The profile whose KEM the key belongs to.
        found: Profile,
    },
    /// The KEM key has the wrong length or fails the modulus check of FIPS 203.
    #[error("the KEM prekey is not a key of the profile's KEM")]
    KemKey {
        /// What is wrong with it.
        #[source]
        source: mlkem1024::KeyError,
    },
    /// The identity key did not sign this prekey, id and kind.
    #[error("signature of the {kind:?} prekey does not verify")]
    Signature {
        /// Which of the two signed prekeys.
        kind: PreKeyKind,
        /// What is wrong with it.
        #[source]
        source: xeddsa::SignatureError,
    },
}

impl BundleError {
    /// Stable name for SDKs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ProfileUnavailable(error) => error.code(),
            Self::Length { .. } => "bundle_length",
            Self::EcKey { .. } => "bundle_ec_key",
            Self::KeyType { .. } => "bundle_key_type",
            Self::KemProfile { .. } => "bundle_kem_profile",
            Self::KemKey { .. } => "bundle_kem_key",
            Self::Signature { .. } => "bundle_signature",
        }
    }
}

/// The public half of a signed prekey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedPreKeyPublic {
    /// Chosen by the owner.
    pub id: u32,
    /// The X25519 key.
    pub key: x25519::PublicKey,
    /// By the owner's identity key.
    pub signature: xeddsa::Signature,
}

impl SignedPreKeyPublic {
    /// Parses the parts the directory sends: 32 bytes of key, 64 of signature.
    pub fn from_parts(id: u32, key: &[u8], signature: &[u8]) -> Result<Self, BundleError> {
        Ok(Self {
            id,
            key: ec_key("signed prekey", key)?,
            signature: parse_signature("signed prekey signature", signature)?,
        })
    }

    /// Parses a key behind its type byte, as `profile` encodes it: 33 bytes of key, 64 of signature.
    pub fn from_encoded(profile: Profile, id: u32, key: &[u8], signature: &[u8]) -> Result<Self, BundleError> {
        let key = encoded_ec_key(profile, "signed prekey", key)?;
        Ok(Self { id, key, signature: parse_signature("signed prekey signature", signature)? })
    }

    /// The key behind its type byte, as `profile` encodes and signs it.
    pub fn encoded_key(&self, profile: Profile) -> Result<[u8; EC_KEY_LEN], ProfileUnavailable> {
        Ok(profile.suite()?.encode_ec(self.key.as_bytes()))
    }
}

/// The public half of a one-time prekey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OneTimePreKeyPublic {
    /// Chosen by the owner.
    pub id: u32,
    /// The X25519 key.
    pub key: x25519::PublicKey,
}

impl OneTimePreKeyPublic {
    /// Parses the parts the directory sends: 32 bytes of key.
    pub fn from_parts(id: u32, key: &[u8]) -> Result<Self, BundleError> {
        Ok(Self { id, key: ec_key("one-time prekey", key)? })
    }

    /// Parses a key behind its type byte, as `profile` encodes it: 33 bytes.
    pub fn from_encoded(profile: Profile, id: u32, key: &[u8]) -> Result<Self, BundleError> {
        Ok(Self { id, key: encoded_ec_key(profile, "one-time prekey", key)? })
    }

    /// The key behind its type byte, as `profile` encodes it.
    pub fn encoded_key(&self, profile: Profile) -> Result<[u8; EC_KEY_LEN], ProfileUnavailable> {
        Ok(profile.suite()?.encode_ec(self.key.as_bytes()))
    }
}

/// The public half of a KEM prekey.
#[derive(Clone, Debug)]
pub struct KemPreKeyPublic {
    /// Chosen by the owner.
    pub id: u32,
    /// A key of the profile's KEM.
    pub key: KemPublicKey,
    /// By the owner's identity key.
    pub signature: xeddsa::Signature,
}

impl KemPreKeyPublic {
    /// Parses the parts the directory sends for [`Profile::Native`]: 1,568 bytes of ML-KEM-1024 key, 64 of signature.
    pub fn from_parts(id: u32, key: &[u8], signature: &[u8]) -> Result<Self, BundleError> {
        Self::new(Kem::MlKem1024, id, key, signature)
    }

    /// Parses a key behind its type byte, as `profile` encodes it: 1,569 bytes of key, 64 of signature.
    pub fn from_encoded(profile: Profile, id: u32, key: &[u8], signature: &[u8]) -> Result<Self, BundleError> {
        let suite = profile.suite()?;
        let expected = suite.kem_key_type;
        match key.split_first() {
            Some((found, key)) if *found == expected => Self::new(suite.kem, id, key, signature),
            Some((found, _)) => Err(BundleError::KeyType { field: "KEM prekey", expected, found: *found }),
            None => Err(BundleError::Length { field: "KEM prekey", expected: 1 + KEM_PUBLIC_KEY_LEN, actual: 0 }),
        }
    }

    /// The key behind the type byte of its profile, as it is signed.
    pub fn encoded_key(&self) -> Result<Vec<u8>, ProfileUnavailable> {
        Ok(prekey::encode_kem_key(self.key.profile().suite()?, self.key.as_bytes()))
    }

    fn new(kem: Kem, id: u32, key: &[u8], signature: &[u8]) -> Result<Self, BundleError> {
        let key = KemPublicKey::from_bytes(kem, key).map_err(|source| BundleError::KemKey { source })?;
        Ok(Self { id, key, signature: parse_signature("KEM prekey signature", signature)? })
    }
}

/// What a directory hands out for one device. Well-formed, not yet believed.
#[derive(Clone, Debug)]
pub struct PreKeyBundle {
    /// The device's identity key.
    pub identity: IdentityKey,
    /// Its rotating prekey.
    pub signed_prekey: SignedPreKeyPublic,
    /// A one-time or the last-resort KEM prekey.
    pub kem_prekey: KemPreKeyPublic,
    /// Absent when the directory had none left or refused to spend one.
    pub one_time: Option<OneTimePreKeyPublic>,
}

impl PreKeyBundle {
    /// Checks both signatures by the rules of `profile`.
    pub fn verify(self, profile: Profile) -> Result<VerifiedBundle, BundleError> {
        let suite = profile.suite()?;
        // Both signatures are by one key, which is converted for verifying once.
        let identity = &xeddsa::VerifyingKey::new(self.identity.key())
            .map_err(|source| BundleError::Signature { kind: PreKeyKind::Signed, source })?;
        let ec = &self.signed_prekey;
        prekey::verify(suite, identity, PreKeyKind::Signed, ec.id, &suite.encode_ec(ec.key.as_bytes()), &ec.signature)
            .map_err(|source| BundleError::Signature { kind: PreKeyKind::Signed, source })?;
        let kem = &self.kem_prekey;
        if kem.key.profile() != profile {
            return Err(BundleError::KemProfile { expected: profile, found: kem.key.profile() });
        }
        prekey::verify(
            suite,
            identity,
            PreKeyKind::Kem,
            kem.id,
            &prekey::encode_kem_key(suite, kem.key.as_bytes()),
            &kem.signature,
        )
        .map_err(|source| BundleError::Signature { kind: PreKeyKind::Kem, source })?;
        Ok(VerifiedBundle { profile, bundle: self })
    }
}

/// A bundle whose prekeys its identity key vouches for, under one profile. No `Clone`: it begins one session, because its
/// one-time prekey serves one.
#[derive(Debug)]
pub struct VerifiedBundle {
    profile: Profile,
    bundle: PreKeyBundle,
}

impl VerifiedBundle {
    /// The profile under whose rules it was verified.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// The identity key that vouched.
    pub fn identity(&self) -> IdentityKey {
        self.bundle.identity
    }

    pub(crate) fn bundle(&self) -> &PreKeyBundle {
        &self.bundle
    }
}

fn ec_key(field: &'static str, bytes: &[u8]) -> Result<x25519::PublicKey, BundleError> {
    let bytes: &[u8; 32] =
        bytes.try_into().map_err(|_| BundleError::Length { field, expected: 32, actual: bytes.len() })?;
    x25519::PublicKey::from_bytes(bytes).map_err(|source| BundleError::EcKey { field, source })
}

/// A key behind the profile's type byte.
pub(crate) fn encoded_ec_key(
    profile: Profile,
    field: &'static str,
    bytes: &[u8],
) -> Result<x25519::PublicKey, BundleError> {
    let expected = profile.suite()?.ec_key_type;
    match bytes.split_first() {
        Some((found, key)) if *found == expected => ec_key(field, key),
        Some((found, _)) => Err(BundleError::KeyType { field, expected, found: *found }),
        None => Err(BundleError::Length { field, expected: EC_KEY_LEN, actual: 0 }),
    }
}

fn parse_signature(field: &'static str, bytes: &[u8]) -> Result<xeddsa::Signature, BundleError> {
    let bytes: &[u8; 64] =
        bytes.try_into().map_err(|_| BundleError::Length { field, expected: 64, actual: bytes.len() })?;
    Ok(xeddsa::Signature(*bytes))
}
