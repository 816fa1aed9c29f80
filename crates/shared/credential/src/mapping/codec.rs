//! The layouts in TLS presentation language, field by field. What the bytes mean is checked where they become types.

use tls_codec::{TlsByteVecU8, TlsByteVecU16, TlsByteVecU24, TlsDeserializeBytes, TlsSerialize, TlsSize};

use super::FormError;
use crate::ParseError;
pub(super) use crate::codec::encode;

/// What the account key signs after its label.
#[derive(Debug, Clone, TlsSize, TlsSerialize, TlsDeserializeBytes)]
pub(super) struct StatementFields {
    pub(super) version: u8,
    pub(super) action: u8,
    pub(super) number: TlsByteVecU8,
    pub(super) account: [u8; 16],
    pub(super) device: u8,
    pub(super) sequence: u64,
    pub(super) previous: [u8; 32],
    pub(super) key_set_counter: u64,
    pub(super) key_set_hash: [u8; 32],
    pub(super) broker: [u8; 32],
    pub(super) issued_at_ms: u64,
}

/// On what grounds the number is the account's.
#[derive(Debug, Clone, TlsSize, TlsSerialize, TlsDeserializeBytes)]
pub(super) struct GroundsFields {
    pub(super) kind: u8,
    pub(super) content: TlsByteVecU16,
}

/// What the broker signs after its label.
#[derive(Debug, Clone, TlsSize, TlsSerialize, TlsDeserializeBytes)]
pub(super) struct MappingFields {
    pub(super) version: u8,
    pub(super) statement: TlsByteVecU16,
    pub(super) grounds: GroundsFields,
    pub(super) countersigned_at_ms: u64,
    pub(super) expires_at_ms: u64,
}

/// What proves a broker's misbehaviour. An empty `second` or `key_set` is none.
#[derive(Debug, Clone, TlsSize, TlsSerialize, TlsDeserializeBytes)]
pub(super) struct EvidenceFields {
    pub(super) version: u8,
    pub(super) first: TlsByteVecU16,
    pub(super) second: TlsByteVecU16,
    pub(super) key_set: TlsByteVecU24,
}

/// Reads one structure from the front of `bytes` and gives back the rest.
pub(super) fn decode<T>(bytes: &[u8]) -> Result<(T, &[u8]), FormError>
where
    T: tls_codec::DeserializeBytes + tls_codec::Serialize,
{
    crate::codec::decode(bytes).map_err(form)
}

/// Reads one structure that fills `bytes`.
pub(super) fn decode_exact<T>(bytes: &[u8]) -> Result<T, FormError>
where
    T: tls_codec::DeserializeBytes + tls_codec::Serialize,
{
    match decode(bytes)? {
        (fields, []) => Ok(fields),
        (_, rest) => Err(FormError::TrailingBytes { count: rest.len() }),
    }
}

/// Of the errors of key sets, the decoder makes one only.
fn form(_: ParseError) -> FormError {
    FormError::Malformed
}

/// The version decides how the rest reads, so it is looked at before anything else can fail.
pub(super) fn check_head(bytes: &[u8], limit: usize) -> Result<(), FormError> {
    if bytes.len() > limit {
        return Err(FormError::TooLong { actual: bytes.len() });
    }
    match bytes.first() {
        Some(&super::MAPPING_VERSION) => Ok(()),
        Some(&version) => Err(FormError::UnknownVersion { version }),
        None => Err(FormError::Malformed),
    }
}
