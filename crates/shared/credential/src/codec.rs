//! The layout of key sets in TLS presentation language, field by field, and nothing else.
//!
//! These mirror structs know lengths only. What the bytes mean is checked when they become the types of [`crate::device`] and
//! [`crate::key_set`]. All length fields have a fixed width and every enumeration is closed, so a value has one encoding; the parsers
//! still encode what they read and compare, so that a mistake here could not become a second spelling.

use tls_codec::{
    DeserializeBytes, Error, Serialize, TlsByteVecU8, TlsByteVecU16, TlsDeserializeBytes, TlsSerialize, TlsSize,
    TlsVecU8, TlsVecU16, TlsVecU24,
};

use crate::ParseError;

/// One identity key.
#[derive(Debug, Clone, TlsSize, TlsSerialize, TlsDeserializeBytes)]
pub(crate) struct IdentityKeyField {
    pub(crate) profile: u8,
    pub(crate) key: TlsByteVecU8,
}

/// What a device claims: everything its proofs sign, after label and account.
#[derive(Debug, Clone, TlsSize, TlsSerialize, TlsDeserializeBytes)]
pub(crate) struct ClaimsFields {
    pub(crate) number: u8,
    pub(crate) platform: u8,
    pub(crate) custody: u8,
    pub(crate) auth_key: [u8; 32],
    pub(crate) identity_keys: TlsVecU16<IdentityKeyField>,
    pub(crate) sealing_key: TlsByteVecU16,
    pub(crate) mls_leaf_keys: TlsVecU16<TlsByteVecU8>,
}

/// A device entry: claims, then proofs.
#[derive(Debug, Clone, TlsSize, TlsSerialize, TlsDeserializeBytes)]
pub(crate) struct DeviceFields {
    pub(crate) claims: ClaimsFields,
    pub(crate) auth_proof: [u8; 64],
    pub(crate) identity_proofs: TlsVecU16<[u8; 64]>,
}

/// What the account key signs after its label, with the proof that follows; and what a proof's signature is over.
#[derive(Debug, Clone, TlsSize, TlsSerialize, TlsDeserializeBytes)]
pub(crate) struct BodyFields {
    pub(crate) version: u8,
    pub(crate) account: [u8; 16],
    pub(crate) counter: u64,
    pub(crate) previous: [u8; 32],
    pub(crate) account_key: [u8; 32],
    pub(crate) recovery_commitments: TlsVecU8<[u8; 32]>,
    pub(crate) participant_key: TlsByteVecU8,
    pub(crate) highest_device: u8,
    pub(crate) devices: TlsVecU24<DeviceFields>,
}

/// What follows the body: by whose leave it takes the place of the set before.
#[derive(Debug, Clone, TlsSize, TlsSerialize, TlsDeserializeBytes)]
pub(crate) struct ProofFields {
    pub(crate) kind: u8,
    pub(crate) content: TlsByteVecU8,
}

/// Encodes fields whose lengths have been bounded by the types they came from.
pub(crate) fn encode(fields: &impl Serialize) -> Vec<u8> {
    fields.tls_serialize_detached().expect("every vector is bounded below its length field by the limits of this crate")
}

/// Reads one structure from the front of `bytes` and gives back the rest.
pub(crate) fn decode<T: DeserializeBytes + Serialize>(bytes: &[u8]) -> Result<(T, &[u8]), ParseError> {
    let (fields, rest) = T::tls_deserialize_bytes(bytes).map_err(|_: Error| ParseError::Malformed)?;
    let read = bytes.len() - rest.len();
    // A vector whose length field ends inside an element would read on past it; encoding it again shows that.
    if encode(&fields) == bytes[..read] { Ok((fields, rest)) } else { Err(ParseError::Malformed) }
}

/// Reads one structure that fills `bytes`.
pub(crate) fn decode_exact<T: DeserializeBytes + Serialize>(bytes: &[u8]) -> Result<T, ParseError> {
    match decode(bytes)? {
        (fields, []) => Ok(fields),
        (_, rest) => Err(ParseError::TrailingBytes { count: rest.len() }),
    }
}
