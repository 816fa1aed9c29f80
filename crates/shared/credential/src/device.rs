//! One device of a key set: its keys, and its proofs that it holds them.
//!
//! A device makes its own entry with [`prove_device`] and hands it to the primary device, which cannot have made it: each identity key
//! and the device-auth key sign the whole entry, under a type label and the account id. So an entry proves itself in its account only
//! and an account cannot list another's keys as its own. The sealing key and the MLS leaf keys cannot sign here; the device-auth proof
//! covers them.

use rand_core::CryptoRng;
use rcseal_crypto::seal::SealingPublicKey;
use rcseal_crypto::{ed25519, x25519, xeddsa};
use rcseal_wire::id::{AccountId, Custody, DeviceNumber, Platform};

use crate::codec::{self, ClaimsFields, DeviceFields, IdentityKeyField};
use crate::{BuildError, KeySetError, ParseError};

/// Label of the device-auth key's proof.
const AUTH_PROOF_LABEL: &[u8] = b"rcseal/device-proof/auth/v1";
/// Label of an identity key's proof.
const IDENTITY_PROOF_LABEL: &[u8] = b"rcseal/device-proof/identity/v1";

/// MLS leaf keys of one device: one per signature scheme and use, far more than the two schemes RCC.16 names.
pub const MLS_LEAF_KEYS_MAX: usize = 16;
/// Bytes of the longest MLS leaf key, an uncompressed P-521 point.
pub const MLS_LEAF_KEY_LEN_MAX: usize = 133;

/// The protocol profile an identity key serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IdentityProfile {
    /// Our own profile. Every device has a key for it.
    Native,
    /// The Signal-compatible profile, present only where its user opted in.
    SignalV4,
}

impl IdentityProfile {
    /// The byte that stands for it.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Native => 1,
            Self::SignalV4 => 2,
        }
    }

    /// Parses the byte.
    pub const fn from_code(code: u8) -> Result<Self, ParseError> {
        match code {
            1 => Ok(Self::Native),
            2 => Ok(Self::SignalV4),
            code => Err(ParseError::UnknownProfile { code }),
        }
    }
}

/// One device as its key set lists it. Well formed; proven once it sits in a [`crate::VerifiedKeySet`] or has passed
/// [`DeviceEntry::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceEntry {
    number: DeviceNumber,
    platform: Platform,
    custody: Custody,
    auth_key: ed25519::VerifyingKey,
    identity_keys: Vec<(IdentityProfile, x25519::PublicKey)>,
    sealing_key: SealingPublicKey,
    mls_leaf_keys: Vec<Vec<u8>>,
    auth_proof: ed25519::Signature,
    identity_proofs: Vec<xeddsa::Signature>,
}

impl DeviceEntry {
    /// Parses an entry as a new device sends it to the primary.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        Self::from_fields(codec::decode_exact(bytes)?)
    }

    /// The encoded entry.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(&self.fields())
    }

    /// The device's number.
    #[must_use]
    pub fn number(&self) -> DeviceNumber {
        self.number
    }

    /// What the device runs on.
    #[must_use]
    pub fn platform(&self) -> Platform {
        self.platform
    }

    /// Who keeps the device's keys.
    #[must_use]
    pub fn custody(&self) -> Custody {
        self.custody
    }

    /// The key the device logs in with.
    #[must_use]
    pub fn auth_key(&self) -> &ed25519::VerifyingKey {
        &self.auth_key
    }

    /// The identity key of a profile.
    #[must_use]
    pub fn identity_key(&self, profile: IdentityProfile) -> Option<&x25519::PublicKey> {
        self.identity_keys.iter().find(|(of, _)| *of == profile).map(|(_, key)| key)
    }

    /// All identity keys, ascending by profile.
    #[must_use]
    pub fn identity_keys(&self) -> &[(IdentityProfile, x25519::PublicKey)] {
        &self.identity_keys
    }

    /// The key that opens first messages.
    #[must_use]
    pub fn sealing_key(&self) -> &SealingPublicKey {
        &self.sealing_key
    }

    /// MLS leaf public keys, ascending.
    pub fn mls_leaf_keys(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.mls_leaf_keys.iter().map(Vec::as_slice)
    }

    /// Checks the proofs of possession for `account`.
    pub fn verify(&self, account: AccountId) -> Result<(), KeySetError> {
        let claims = codec::encode(&self.claims());
        let device = self.number;
        self.auth_key
            .verify(&[AUTH_PROOF_LABEL, account.as_bytes(), &claims], &self.auth_proof)
            .map_err(|_| KeySetError::DeviceProof { device })?;
        let message: [&[u8]; 3] = [IDENTITY_PROOF_LABEL, account.as_bytes(), &claims];
        for ((_, key), proof) in self.identity_keys.iter().zip(&self.identity_proofs) {
            xeddsa::verify(key, &message, proof).map_err(|_| KeySetError::IdentityProof { device })?;
        }
        Ok(())
    }

    pub(crate) fn from_fields(fields: DeviceFields) -> Result<Self, ParseError> {
        let claims = fields.claims;
        let device = DeviceNumber::new(claims.number).map_err(ParseError::Code)?;
        let mut identity_keys = Vec::with_capacity(claims.identity_keys.len());
        for field in claims.identity_keys.as_slice() {
            let key = field.key.as_slice();
            let bytes = key.try_into().map_err(|_| ParseError::IdentityKeyLength { actual: key.len() })?;
            let key = x25519::PublicKey::from_bytes(bytes).map_err(ParseError::IdentityKey)?;
            identity_keys.push((IdentityProfile::from_code(field.profile)?, key));
        }
        if !identity_keys.is_sorted_by(|(a, _), (b, _)| a < b) {
            return Err(ParseError::NotAscending { list: "identity keys" });
        }
        if identity_keys.first().is_none_or(|(profile, _)| *profile != IdentityProfile::Native) {
            return Err(ParseError::NoNativeIdentity { device });
        }
        if fields.identity_proofs.len() != identity_keys.len() {
            return Err(ParseError::ProofCount {
                device,
                proofs: fields.identity_proofs.len(),
                keys: identity_keys.len(),
            });
        }
        let mls_leaf_keys: Vec<Vec<u8>> =
            claims.mls_leaf_keys.into_vec().into_iter().map(|key| key.as_slice().to_vec()).collect();
        let lengths = 1..=MLS_LEAF_KEY_LEN_MAX;
        if mls_leaf_keys.len() > MLS_LEAF_KEYS_MAX || mls_leaf_keys.iter().any(|key| !lengths.contains(&key.len())) {
            return Err(ParseError::MlsLeafKeys);
        }
        if !mls_leaf_keys.is_sorted_by(|a, b| a < b) {
            return Err(ParseError::NotAscending { list: "MLS leaf keys" });
        }
        Ok(Self {
            number: device,
            platform: Platform::from_code(claims.platform).map_err(ParseError::Code)?,
            custody: Custody::from_code(claims.custody).map_err(ParseError::Code)?,
            auth_key: ed25519::VerifyingKey::from_bytes(&claims.auth_key).map_err(ParseError::Ed25519Key)?,
            identity_keys,
            sealing_key: SealingPublicKey::from_bytes(claims.sealing_key.as_slice()).map_err(ParseError::SealingKey)?,
            mls_leaf_keys,
            auth_proof: ed25519::Signature(fields.auth_proof),
            identity_proofs: fields.identity_proofs.into_vec().into_iter().map(xeddsa::Signature).collect(),
        })
    }

    pub(crate) fn fields(&self) -> DeviceFields {
        DeviceFields {
            claims: self.claims(),
            auth_proof: self.auth_proof.0,
            identity_proofs: self.identity_proofs.iter().map(|proof| proof.0).collect::<Vec<_>>().into(),
        }
    }

    fn claims(&self) -> ClaimsFields {
        ClaimsFields {
            number: self.number.get(),
            platform: self.platform.code(),
            custody: self.custody.code(),
            auth_key: *self.auth_key.as_bytes(),
            identity_keys: identity_fields(self.identity_keys.iter().copied()),
            sealing_key: self.sealing_key.as_bytes().as_slice().into(),
            mls_leaf_keys: leaf_fields(&self.mls_leaf_keys),
        }
    }
}

fn identity_fields(
    keys: impl Iterator<Item = (IdentityProfile, x25519::PublicKey)>,
) -> tls_codec::TlsVecU16<IdentityKeyField> {
    keys.map(|(profile, key)| IdentityKeyField { profile: profile.code(), key: key.as_bytes().as_slice().into() })
        .collect::<Vec<_>>()
        .into()
}

fn leaf_fields(keys: &[Vec<u8>]) -> tls_codec::TlsVecU16<tls_codec::TlsByteVecU8> {
    keys.iter().map(|key| key.as_slice().into()).collect::<Vec<_>>().into()
}

/// What a device says of itself, with the secret keys that prove it.
#[derive(Debug)]
pub struct DeviceClaims<'a> {
    /// The account that will list the device.
    pub account: AccountId,
    /// The number the primary device assigned.
    pub number: DeviceNumber,
    /// What the device runs on.
    pub platform: Platform,
    /// Who keeps its keys.
    pub custody: Custody,
    /// The key it logs in with.
    pub auth_key: &'a ed25519::SigningKey,
    /// Its identity keys, ascending by profile, the native one among them.
    pub identity_keys: &'a [(IdentityProfile, &'a x25519::SecretKey)],
    /// Its public sealing key.
    pub sealing_key: &'a SealingPublicKey,
    /// Its MLS leaf public keys, ascending. None yet.
    pub mls_leaf_keys: &'a [Vec<u8>],
}

/// Makes a device's entry, proofs included. `rng` feeds the XEdDSA nonces.
pub fn prove_device(rng: &mut (impl CryptoRng + ?Sized), device: &DeviceClaims<'_>) -> Result<DeviceEntry, BuildError> {
    // Lengths are checked before anything is encoded: beyond them a length field would not hold.
    if device.mls_leaf_keys.len() > MLS_LEAF_KEYS_MAX
        || device.mls_leaf_keys.iter().any(|key| key.len() > MLS_LEAF_KEY_LEN_MAX)
    {
        return Err(BuildError::Format(ParseError::MlsLeafKeys));
    }
    if !device.identity_keys.is_sorted_by(|(a, _), (b, _)| a < b) {
        return Err(BuildError::Format(ParseError::NotAscending { list: "identity keys" }));
    }
    let claims = ClaimsFields {
        number: device.number.get(),
        platform: device.platform.code(),
        custody: device.custody.code(),
        auth_key: *device.auth_key.verifying_key().as_bytes(),
        identity_keys: identity_fields(device.identity_keys.iter().map(|(profile, key)| (*profile, key.public_key()))),
        sealing_key: device.sealing_key.as_bytes().as_slice().into(),
        mls_leaf_keys: leaf_fields(device.mls_leaf_keys),
    };
    let signed = codec::encode(&claims);
    let auth_proof = device.auth_key.sign(&[AUTH_PROOF_LABEL, device.account.as_bytes(), &signed]);
    let message: [&[u8]; 3] = [IDENTITY_PROOF_LABEL, device.account.as_bytes(), &signed];
    let identity_proofs: Vec<[u8; 64]> =
        device.identity_keys.iter().map(|(_, key)| xeddsa::sign(key, &message, rng).0).collect();
    // The one way to an entry leads through the parser, so a device cannot make what others would refuse.
    DeviceEntry::from_fields(DeviceFields { claims, auth_proof: auth_proof.0, identity_proofs: identity_proofs.into() })
        .map_err(BuildError::Format)
}
