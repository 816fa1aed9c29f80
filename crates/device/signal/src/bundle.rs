//! The prekey bundle: what the directory hands to somebody who wants to write to a device, and the step that turns it
//! into something a session may be built on.
//!
//! A [`PreKeyBundle`] holds well-formed keys from an untrusted server. [`PreKeyBundle::verify`] consumes it and checks
//! both prekey signatures under the bundle's identity key; only a [`VerifiedBundle`] starts a session, and
//! [`crate::Session::initiate`] then checks that this identity key is the one in the device's signed key set. The
//! one-time prekey carries no signature (PQXDH 3.2); a server that swaps it makes a session that does not decrypt, no
//! more.

use rcseal_crypto::{mlkem1024, x25519, xeddsa};

use crate::identity::IdentityKey;
use crate::prekey::{self, PreKeyKind};
use crate::profile::{Profile, ProfileUnavailable};

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
    /// The KEM key fails the modulus check of FIPS 203.
    #[error("the KEM prekey is not an ML-KEM-1024 key")]
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
}

/// The public half of an ML-KEM prekey.
#[derive(Clone, Debug)]
pub struct KemPreKeyPublic {
    /// Chosen by the owner.
    pub id: u32,
    /// The ML-KEM-1024 key.
    pub key: mlkem1024::PublicKey,
    /// By the owner's identity key.
    pub signature: xeddsa::Signature,
}

impl KemPreKeyPublic {
    /// Parses the parts the directory sends: 1,568 bytes of key, 64 of signature.
    pub fn from_parts(id: u32, key: &[u8], signature: &[u8]) -> Result<Self, BundleError> {
        let key = mlkem1024::PublicKey::from_bytes(key).map_err(|source| BundleError::KemKey { source })?;
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
        let identity = self.identity.key();
        let ec = &self.signed_prekey;
        prekey::verify(suite, identity, PreKeyKind::Signed, ec.id, &suite.encode_ec(ec.key.as_bytes()), &ec.signature)
            .map_err(|source| BundleError::Signature { kind: PreKeyKind::Signed, source })?;
        let kem = &self.kem_prekey;
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

/// A bundle whose prekeys its identity key vouches for, under one profile.
#[derive(Clone, Debug)]
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

fn parse_signature(field: &'static str, bytes: &[u8]) -> Result<xeddsa::Signature, BundleError> {
    let bytes: &[u8; 64] =
        bytes.try_into().map_err(|_| BundleError::Length { field, expected: 64, actual: bytes.len() })?;
    Ok(xeddsa::Signature(*bytes))
}
