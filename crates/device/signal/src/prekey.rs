//! Prekeys: the handshake keys a device publishes so that others can write to it while it is offline.
//!
//! Three kinds: a signed X25519 prekey that rotates, one-time X25519 prekeys that are used once, and signed KEM
//! prekeys (one-time or last-resort; the caller knows which ids are which). These types are our secret halves; what the
//! directory hands out stands in [`crate::PreKeyBundle`]. A stored half carries version, kind and profile, so no row is
//! ever read as another kind of key.
//!
//! A native prekey signature covers `label || profile || kind || id || encoded key` (`docs/protocol/pqxdh.md`).

use alloc::sync::Arc;
use alloc::vec::Vec;

use rand_core::CryptoRng;
use rcseal_crypto::{x25519, xeddsa};
use zeroize::Zeroizing;

use crate::bundle::{KemPreKeyPublic, OneTimePreKeyPublic, SignedPreKeyPublic};
use crate::identity::IdentityKeyPair;
use crate::kem::{KEM_SEED_LEN, KemPublicKey, KemSecretKey};
use crate::profile::{PreKeySignature, Profile, ProfileUnavailable, Suite};

const VERSION: u8 = 1;
/// Version, kind, profile, id.
const HEADER_LEN: usize = 7;
const SIGNATURE_LEN: usize = 64;

/// What a prekey is for. The byte stands in signatures and in stored halves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreKeyKind {
    /// The rotating X25519 prekey.
    Signed,
    /// An X25519 prekey that is used once.
    OneTime,
    /// A KEM prekey: ML-KEM-1024, or Kyber-1024 for `signal-v4`.
    Kem,
}

impl PreKeyKind {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Signed => 1,
            Self::OneTime => 2,
            Self::Kem => 3,
        }
    }
}

/// Why stored bytes are not the prekey they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PreKeyFormatError {
    /// Every kind has one fixed length.
    #[error("a stored prekey of this kind has {expected} bytes, not {actual}")]
    Length {
        /// What the kind needs.
        expected: usize,
        /// What was given.
        actual: usize,
    },
    /// Written by a version of this crate that this one does not know.
    #[error("unknown version {found} of a stored prekey")]
    Version {
        /// The version byte.
        found: u8,
    },
    /// A prekey of another kind.
    #[error("stored prekey has kind {found}, expected {expected:?}")]
    Kind {
        /// The kind that was asked for.
        expected: PreKeyKind,
        /// The kind byte.
        found: u8,
    },
    /// The profile byte means nothing.
    #[error("unknown profile {found} in a stored prekey")]
    Profile {
        /// The profile byte.
        found: u8,
    },
    /// The profile is known and not in this build, which therefore lacks its KEM.
    #[error(transparent)]
    ProfileUnavailable(#[from] ProfileUnavailable),
}

impl PreKeyFormatError {
    /// Stable name for SDKs and metrics.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Length { .. } => "prekey_length",
            Self::Version { .. } => "prekey_version",
            Self::Kind { .. } => "prekey_kind",
            Self::Profile { .. } => "prekey_profile",
            Self::ProfileUnavailable(error) => error.code(),
        }
    }
}

/// Our rotating signed prekey.
#[derive(Debug)]
pub struct SignedPreKey {
    profile: Profile,
    id: u32,
    /// Shared with the session it opens, whose first ratchet key it is: preparing it costs a base-point multiplication.
    pair: Arc<x25519::KeyPair>,
    signature: xeddsa::Signature,
}

impl SignedPreKey {
    /// Length of [`SignedPreKey::to_bytes`].
    pub const LEN: usize = HEADER_LEN + 32 + SIGNATURE_LEN;

    /// A fresh prekey, signed by `identity`.
    pub fn generate(
        rng: &mut dyn CryptoRng,
        profile: Profile,
        id: u32,
        identity: &IdentityKeyPair,
    ) -> Result<Self, ProfileUnavailable> {
        let suite = profile.suite()?;
        let pair = x25519::KeyPair::generate(rng);
        let signature = sign(suite, rng, identity, PreKeyKind::Signed, id, &suite.encode_ec(pair.public.as_bytes()));
        Ok(Self { profile, id, pair: Arc::new(pair), signature })
    }

    /// What the directory gets.
    pub fn public(&self) -> SignedPreKeyPublic {
        SignedPreKeyPublic { id: self.id, key: self.pair.public, signature: self.signature }
    }

    /// The prekey's id.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Header, secret, signature; to be stored encrypted.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        store(PreKeyKind::Signed, self.profile, self.id, &[self.pair.secret.expose(), &self.signature.0])
    }

    /// The reverse of [`SignedPreKey::to_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PreKeyFormatError> {
        let (profile, id, body) = load::<{ 32 + SIGNATURE_LEN }>(PreKeyKind::Signed, bytes)?;
        let (secret, signature) = split::<32, SIGNATURE_LEN>(&body[..]);
        let pair = x25519::KeyPair::from_secret(x25519::SecretKey::from_bytes(secret));
        Ok(Self { profile, id, pair: Arc::new(pair), signature: xeddsa::Signature(signature) })
    }

    pub(crate) fn profile(&self) -> Profile {
        self.profile
    }

    pub(crate) fn pair(&self) -> &Arc<x25519::KeyPair> {
        &self.pair
    }
}

/// One of our one-time prekeys. It is deleted in the transaction that stores the session it opened.
#[derive(Debug)]
pub struct OneTimePreKey {
    profile: Profile,
    id: u32,
    secret: x25519::SecretKey,
    public: x25519::PublicKey,
}

impl OneTimePreKey {
    /// Length of [`OneTimePreKey::to_bytes`].
    pub const LEN: usize = HEADER_LEN + 32;

    /// A fresh prekey.
    pub fn generate(rng: &mut dyn CryptoRng, profile: Profile, id: u32) -> Result<Self, ProfileUnavailable> {
        profile.suite()?;
        let secret = x25519::SecretKey::generate(rng);
        Ok(Self { profile, id, public: secret.public_key(), secret })
    }

    /// What the directory gets.
    pub fn public(&self) -> OneTimePreKeyPublic {
        OneTimePreKeyPublic { id: self.id, key: self.public }
    }

    /// The prekey's id.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Header, secret; to be stored encrypted.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        store(PreKeyKind::OneTime, self.profile, self.id, &[self.secret.expose()])
    }

    /// The reverse of [`OneTimePreKey::to_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PreKeyFormatError> {
        let (profile, id, secret) = load::<32>(PreKeyKind::OneTime, bytes)?;
        let secret = x25519::SecretKey::from_bytes(*secret);
        Ok(Self { profile, id, public: secret.public_key(), secret })
    }

    pub(crate) fn profile(&self) -> Profile {
        self.profile
    }

    pub(crate) fn secret(&self) -> &x25519::SecretKey {
        &self.secret
    }

    pub(crate) fn key(&self) -> x25519::PublicKey {
        self.public
    }
}

/// One of our KEM prekeys, kept as the 64-byte seed its key pair is derived from.
#[derive(Debug)]
pub struct KemPreKey {
    profile: Profile,
    id: u32,
    secret: KemSecretKey,
    public: KemPublicKey,
    signature: xeddsa::Signature,
}

impl KemPreKey {
    /// Length of [`KemPreKey::to_bytes`].
    pub const LEN: usize = HEADER_LEN + KEM_SEED_LEN + SIGNATURE_LEN;

    /// A fresh prekey, signed by `identity`.
    pub fn generate(
        rng: &mut dyn CryptoRng,
        profile: Profile,
        id: u32,
        identity: &IdentityKeyPair,
    ) -> Result<Self, ProfileUnavailable> {
        let suite = profile.suite()?;
        let secret = KemSecretKey::generate(suite.kem, rng);
        let public = secret.public_key();
        let encoded = encode_kem_key(suite, public.as_bytes());
        let signature = sign(suite, rng, identity, PreKeyKind::Kem, id, &encoded);
        Ok(Self { profile, id, secret, public, signature })
    }

    /// What the directory gets.
    pub fn public(&self) -> KemPreKeyPublic {
        KemPreKeyPublic { id: self.id, key: self.public.clone(), signature: self.signature }
    }

    /// The prekey's id.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Header, seed, signature; to be stored encrypted.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        store(PreKeyKind::Kem, self.profile, self.id, &[self.secret.seed(), &self.signature.0])
    }

    /// The reverse of [`KemPreKey::to_bytes`]; derives the key pair anew.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PreKeyFormatError> {
        let (profile, id, body) = load::<{ KEM_SEED_LEN + SIGNATURE_LEN }>(PreKeyKind::Kem, bytes)?;
        let (seed, signature) = split::<KEM_SEED_LEN, SIGNATURE_LEN>(&body[..]);
        let secret = KemSecretKey::from_seed(profile.suite()?.kem, seed);
        Ok(Self { profile, id, public: secret.public_key(), secret, signature: xeddsa::Signature(signature) })
    }

    pub(crate) fn profile(&self) -> Profile {
        self.profile
    }

    pub(crate) fn secret(&self) -> &KemSecretKey {
        &self.secret
    }

    pub(crate) fn key(&self) -> &KemPublicKey {
        &self.public
    }
}

/// A KEM public key as it is signed and hashed: type byte, then the key.
pub(crate) fn encode_kem_key(suite: &Suite, key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + key.len());
    out.push(suite.kem_key_type);
    out.extend_from_slice(key);
    out
}

fn sign(
    suite: &Suite,
    rng: &mut dyn CryptoRng,
    identity: &IdentityKeyPair,
    kind: PreKeyKind,
    id: u32,
    encoded: &[u8],
) -> xeddsa::Signature {
    match suite.signature {
        PreKeySignature::Labelled(label) => {
            let message: [&[u8]; 4] = [label, &[suite.profile.code(), kind.code()], &id.to_be_bytes(), encoded];
            xeddsa::sign(identity.secret_key(), &message, rng)
        }
        #[cfg(feature = "signal-v4")]
        PreKeySignature::KeyOnly => xeddsa::sign(identity.secret_key(), &[encoded], rng),
    }
}

/// Whether `identity` vouched for this key under this kind and id.
pub(crate) fn verify(
    suite: &Suite,
    identity: &xeddsa::VerifyingKey,
    kind: PreKeyKind,
    id: u32,
    encoded: &[u8],
    signature: &xeddsa::Signature,
) -> Result<(), xeddsa::SignatureError> {
    match suite.signature {
        PreKeySignature::Labelled(label) => {
            let message: [&[u8]; 4] = [label, &[suite.profile.code(), kind.code()], &id.to_be_bytes(), encoded];
            identity.verify(&message, signature)
        }
        #[cfg(feature = "signal-v4")]
        PreKeySignature::KeyOnly => identity.verify_with_sign_bit(&[encoded], signature),
    }
}

fn store(kind: PreKeyKind, profile: Profile, id: u32, parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let body: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = Zeroizing::new(Vec::with_capacity(HEADER_LEN + body));
    out.extend_from_slice(&[VERSION, kind.code(), profile.code()]);
    out.extend_from_slice(&id.to_be_bytes());
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

fn load<const N: usize>(
    kind: PreKeyKind,
    bytes: &[u8],
) -> Result<(Profile, u32, Zeroizing<[u8; N]>), PreKeyFormatError> {
    let length = PreKeyFormatError::Length { expected: HEADER_LEN + N, actual: bytes.len() };
    let (header, body) = bytes.split_first_chunk::<HEADER_LEN>().ok_or(length)?;
    let [version, found, profile, a, b, c, d] = *header;
    if version != VERSION {
        return Err(PreKeyFormatError::Version { found: version });
    }
    if found != kind.code() {
        return Err(PreKeyFormatError::Kind { expected: kind, found });
    }
    let body: [u8; N] = body.try_into().map_err(|_| length)?;
    let profile = Profile::from_code(profile).ok_or(PreKeyFormatError::Profile { found: profile })?;
    Ok((profile, u32::from_be_bytes([a, b, c, d]), Zeroizing::new(body)))
}

fn split<const A: usize, const B: usize>(body: &[u8]) -> ([u8; A], [u8; B]) {
    let mut first = [0; A];
    let mut second = [0; B];
    first.copy_from_slice(&body[..A]);
    second.copy_from_slice(&body[A..]);
    (first, second)
}
