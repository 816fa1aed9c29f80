//! The errors of parsing, checking, making and comparing mappings, each with a stable `code()`.

use rcseal_crypto::ed25519;
use rcseal_wire::id::IdError;
use thiserror::Error;

use super::Evidence;
use crate::KeySetError;

/// Why bytes are not a statement, a mapping or evidence. Nothing about signatures is known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FormError {
    /// A field ends after the bytes do, or a length field points past them.
    #[error("the bytes end too early or a length is wrong")]
    Malformed,
    /// Bytes follow the last field.
    #[error("{count} bytes follow the last field")]
    TrailingBytes {
        /// How many.
        count: usize,
    },
    /// Longer than any can be.
    #[error("{actual} bytes are more than there can be")]
    TooLong {
        /// The length given.
        actual: usize,
    },
    /// A version this program does not know.
    #[error("unknown version {version}")]
    UnknownVersion {
        /// The version given.
        version: u8,
    },
    /// An action or a kind of grounds that stands for nothing, or content that its kind does not have.
    #[error("code {code} stands for nothing here")]
    UnknownCode {
        /// The code given.
        code: u8,
    },
    /// A device number that stands for nothing.
    #[error("the device number is impossible")]
    Device(#[source] IdError),
    /// The number is not `+` and 7 to 15 digits.
    #[error("the phone number is malformed")]
    Number,
    /// Sequence 0; or the first of a number that names one before; or a later one, or a release, that names none.
    #[error("sequence {sequence} does not fit the hash before it")]
    Sequence {
        /// The sequence given.
        sequence: u64,
    },
    /// Key-set counter 0.
    #[error("a key set has no counter 0")]
    Counter,
    /// The broker's key is not a usable Ed25519 key.
    #[error("the broker's key is invalid")]
    Key(#[source] ed25519::KeyError),
}

impl FormError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "mapping_malformed",
            Self::TrailingBytes { .. } => "mapping_trailing_bytes",
            Self::TooLong { .. } => "mapping_too_long",
            Self::UnknownVersion { .. } => "mapping_unknown_version",
            Self::UnknownCode { .. } => "mapping_unknown_code",
            Self::Device(_) => "mapping_device",
            Self::Number => "mapping_number",
            Self::Sequence { .. } => "mapping_sequence",
            Self::Counter => "mapping_counter",
            Self::Key(_) => "mapping_key",
        }
    }
}

/// Why a parsed statement or mapping is not believed on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MappingError {
    /// The broker did not sign this.
    #[error("the broker's signature is invalid")]
    BrokerSignature,
    /// The account key did not sign this.
    #[error("the account's signature is invalid")]
    AccountSignature,
    /// It names another key set than the one given, or another account.
    #[error("the statement names another key set")]
    KeySet,
    /// The key set has no such device.
    #[error("the key set has no such device")]
    Device,
    /// The statement was made for another broker.
    #[error("the statement was made for another broker")]
    WrongBroker,
    /// A mapping round a release.
    #[error("a mapping needs a statement that binds")]
    NotABind,
    /// A release that binds, or of another number, broker or place in the chain.
    #[error("the release does not release this number at this place")]
    NotARelease,
    /// The grounds do not fit the sequence, or their wait was too short.
    #[error("the grounds do not hold")]
    Grounds,
    /// Countersigned before the statement was made or long after, or for too long.
    #[error("the times of statement and countersignature do not fit")]
    Times,
}

impl MappingError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::BrokerSignature => "mapping_broker_signature",
            Self::AccountSignature => "mapping_account_signature",
            Self::KeySet => "mapping_key_set",
            Self::Device => "mapping_device",
            Self::WrongBroker => "mapping_wrong_broker",
            Self::NotABind => "mapping_not_a_bind",
            Self::NotARelease => "mapping_not_a_release",
            Self::Grounds => "mapping_grounds",
            Self::Times => "mapping_times",
        }
    }
}

/// Why a verified mapping does not follow the one known.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SuccessionError {
    /// Of another number.
    #[error("the mappings are of two numbers")]
    OtherNumber,
    /// Of another broker, whose chain is another one.
    #[error("the mappings are of two brokers")]
    OtherBroker,
    /// Older than what is known.
    #[error("mapping {offered} is older than the known {known}")]
    RolledBack {
        /// The sequence known.
        known: u64,
        /// The sequence offered.
        offered: u64,
    },
    /// The broker signed two chains of one number.
    #[error("the broker signed two chains of one number")]
    Forked(Box<Evidence>),
    /// It is next in the chain, and its grounds do not hold against the known one.
    #[error("the number changed hands on grounds that do not hold")]
    NotNext(Box<Evidence>),
}

impl SuccessionError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::OtherNumber => "mapping_other_number",
            Self::OtherBroker => "mapping_other_broker",
            Self::RolledBack { .. } => "mapping_rolled_back",
            Self::Forked(_) => "mapping_forked",
            Self::NotNext(_) => "mapping_not_next",
        }
    }

    /// What proves it, where something does.
    #[must_use]
    pub fn evidence(&self) -> Option<&Evidence> {
        match self {
            Self::Forked(evidence) | Self::NotNext(evidence) => Some(evidence),
            Self::OtherNumber | Self::OtherBroker | Self::RolledBack { .. } => None,
        }
    }
}

/// Why a broker does not countersign.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CountersignError {
    /// Readers would refuse the mapping.
    #[error("readers would refuse the mapping")]
    Refused(#[source] MappingError),
    /// Readers who know the mapping before would refuse it.
    #[error("the mapping would not follow the one before")]
    Succession(#[source] SuccessionError),
    /// A number's first mapping has sequence 1, and a later one needs the mapping before it.
    #[error("sequence {sequence} cannot be countersigned without the mapping before it")]
    NotFirst {
        /// The sequence stated.
        sequence: u64,
    },
}

impl CountersignError {
    /// The stable code. A cause that has its own keeps it.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Refused(cause) => cause.code(),
            Self::Succession(cause) => cause.code(),
            Self::NotFirst { .. } => "mapping_not_first",
        }
    }
}

/// Why evidence proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EvidenceError {
    /// What is in it cannot be parsed.
    #[error("the evidence is malformed")]
    Form(#[source] FormError),
    /// The key set in it is not one, or not the one that the mapping names.
    #[error("the key set in the evidence is not the one that the mapping names")]
    KeySet(#[source] Option<KeySetError>),
    /// The broker did not sign it.
    #[error("the broker did not sign it")]
    Mapping(#[source] MappingError),
    /// Two numbers or two brokers.
    #[error("the mappings have nothing to do with each other")]
    Unrelated,
    /// Everything in it is in order.
    #[error("nothing contradicts itself")]
    NoContradiction,
}

impl EvidenceError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Form(_) => "evidence_malformed",
            Self::KeySet(_) => "evidence_key_set",
            Self::Mapping(_) => "evidence_not_signed",
            Self::Unrelated => "evidence_unrelated",
            Self::NoContradiction => "evidence_no_contradiction",
        }
    }
}
