//! Why bytes are not a message.

use rcseal_crypto::{mlkem1024, x25519};

use crate::profile::ProfileUnavailable;

/// The bytes are not a message of this crate. Says where, never what the bytes were.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// A field or the message ends before its length is reached.
    #[error("the message ends early")]
    Truncated,
    /// Longer than any honest message.
    #[error("the message has {actual} bytes, more than {max}")]
    TooLong {
        /// The limit.
        max: usize,
        /// What was given.
        actual: usize,
    },
    /// The first byte names no format this crate reads.
    #[error("unknown message version {found:#04x}")]
    UnknownVersion {
        /// The first byte.
        found: u8,
    },
    /// The format is known, but this build or session does not speak it.
    #[error(transparent)]
    ProfileUnavailable(#[from] ProfileUnavailable),
    /// A number is not in its shortest form or does not fit.
    #[error("a varint is not canonical")]
    Varint,
    /// A field repeats or stands before one with a lower number.
    #[error("field {field} is repeated or out of order")]
    FieldOrder {
        /// The field's number.
        field: u32,
    },
    /// The format has no such field, or the profile does not use it.
    #[error("field {field} is unknown here")]
    UnknownField {
        /// The field's number.
        field: u32,
    },
    /// The field has another protobuf type.
    #[error("field {field} has the wrong wire type")]
    WireType {
        /// The field's number.
        field: u32,
    },
    /// The field must be there.
    #[error("field {field} is missing")]
    MissingField {
        /// The field's number.
        field: u32,
    },
    /// The field has the wrong length.
    #[error("field {field} has a length of {actual}")]
    FieldLength {
        /// The field's number.
        field: u32,
        /// What was given.
        actual: usize,
    },
    /// The number is outside its range.
    #[error("field {field} is out of range")]
    FieldRange {
        /// The field's number.
        field: u32,
    },
    /// The key's type byte is another one's.
    #[error("field {field} holds a key of type {found:#04x}")]
    KeyType {
        /// The field's number.
        field: u32,
        /// The type byte.
        found: u8,
    },
    /// The X25519 key is not canonical or of low order.
    #[error("field {field} is not a usable X25519 key")]
    EcKey {
        /// The field's number.
        field: u32,
        /// What is wrong with it.
        #[source]
        source: x25519::KeyError,
    },
    /// The KEM ciphertext is malformed.
    #[error("field {field} is not a KEM ciphertext")]
    KemCiphertext {
        /// The field's number.
        field: u32,
        /// What is wrong with it.
        #[source]
        source: mlkem1024::KeyError,
    },
}

impl ParseError {
    /// Stable name for SDKs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Truncated => "message_truncated",
            Self::TooLong { .. } => "message_too_long",
            Self::UnknownVersion { .. } => "message_unknown_version",
            Self::ProfileUnavailable(error) => error.code(),
            Self::Varint => "message_varint",
            Self::FieldOrder { .. } => "message_field_order",
            Self::UnknownField { .. } => "message_unknown_field",
            Self::WireType { .. } => "message_wire_type",
            Self::MissingField { .. } => "message_missing_field",
            Self::FieldLength { .. } => "message_field_length",
            Self::FieldRange { .. } => "message_field_range",
            Self::KeyType { .. } => "message_key_type",
            Self::EcKey { .. } => "message_ec_key",
            Self::KemCiphertext { .. } => "message_kem_ciphertext",
        }
    }
}
