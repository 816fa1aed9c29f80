//! The errors of parsing, checking and building key sets. Every variant has a stable `code()` for SDKs, metrics and problem documents.

use rcseal_crypto::{ed25519, seal, x25519};
use rcseal_wire::id::{AccountId, DeviceNumber, IdError, KeySetCounter};
use thiserror::Error;

/// Why bytes are not a key set or a device entry. Nothing about signatures is known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ParseError {
    /// A field ends after the bytes do, or a length field points past them.
    #[error("the bytes end too early or a length is wrong")]
    Malformed,
    /// Bytes follow the last field.
    #[error("{count} bytes follow the last field")]
    TrailingBytes {
        /// How many.
        count: usize,
    },
    /// Longer than any key set can be.
    #[error("{actual} bytes are more than a key set can have")]
    TooLong {
        /// The length given.
        actual: usize,
    },
    /// A version this program does not know.
    #[error("unknown key-set version {version}")]
    UnknownVersion {
        /// The version given.
        version: u8,
    },
    /// A device number, platform or custody code that stands for nothing.
    #[error("a device's number, platform or custody is impossible")]
    Code(#[source] IdError),
    /// An identity-key profile that stands for nothing.
    #[error("unknown identity-key profile {code}")]
    UnknownProfile {
        /// The code given.
        code: u8,
    },
    /// The account key or a device-auth key is not a usable Ed25519 key.
    #[error("an Ed25519 key is invalid")]
    Ed25519Key(#[source] ed25519::KeyError),
    /// An identity key is not a usable X25519 key.
    #[error("an identity key is invalid")]
    IdentityKey(#[source] x25519::KeyError),
    /// An identity key has another length than its profile's keys have.
    #[error("an identity key has {actual} bytes")]
    IdentityKeyLength {
        /// The length given.
        actual: usize,
    },
    /// A sealing key is not usable.
    #[error("a sealing key is invalid")]
    SealingKey(#[source] seal::KeyError),
    /// The participant key is neither empty nor a compressed P-256 point by length and prefix.
    #[error("the participant key is not a compressed P-256 point")]
    ParticipantKey,
    /// Devices, identity keys or MLS leaf keys are not in strictly ascending order: a second spelling of the same set, or a duplicate.
    #[error("{list} are not in strictly ascending order")]
    NotAscending {
        /// Which list.
        list: &'static str,
    },
    /// No device, or more than 64.
    #[error("a key set has 1 to 64 devices, got {count}")]
    DeviceCount {
        /// How many.
        count: usize,
    },
    /// Too many MLS leaf keys, or one of an impossible length.
    #[error("a device's MLS leaf keys are too many or of an impossible length")]
    MlsLeafKeys,
    /// A device without the native profile's identity key.
    #[error("device {device} has no native identity key")]
    NoNativeIdentity {
        /// The device.
        device: DeviceNumber,
    },
    /// Not exactly one identity proof per identity key.
    #[error("device {device} has {proofs} proofs for {keys} identity keys")]
    ProofCount {
        /// The device.
        device: DeviceNumber,
        /// Proofs given.
        proofs: usize,
        /// Identity keys given.
        keys: usize,
    },
    /// The highest number ever assigned is below a device's number, or impossible.
    #[error("the highest device number {highest} does not cover the devices")]
    HighestDevice {
        /// The number given.
        highest: u8,
    },
    /// Counter 0, or a first set that names a previous one, or shows a proof, or a later one that names none.
    #[error("counter {counter} does not fit the previous hash or the succession proof")]
    Counter {
        /// The counter given.
        counter: KeySetCounter,
    },
    /// A kind of proof that stands for nothing.
    #[error("unknown kind of succession proof {code}")]
    UnknownProof {
        /// The code given.
        code: u8,
    },
    /// A proof of another length than its kind has.
    #[error("a succession proof of kind {code} has {actual} bytes")]
    ProofLength {
        /// The kind.
        code: u8,
        /// The length given.
        actual: usize,
    },
    /// More than four recovery commitments, or one of zeros, which commits to nothing.
    #[error("the recovery commitments are too many, or one of them is empty")]
    RecoveryCommitments,
}

impl ParseError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "key_set_malformed",
            Self::TrailingBytes { .. } => "key_set_trailing_bytes",
            Self::TooLong { .. } => "key_set_too_long",
            Self::UnknownVersion { .. } => "key_set_unknown_version",
            Self::Code(_) => "key_set_unknown_code",
            Self::UnknownProfile { .. } => "key_set_unknown_profile",
            Self::Ed25519Key(_) => "key_set_ed25519_key",
            Self::IdentityKey(_) => "key_set_identity_key",
            Self::IdentityKeyLength { .. } => "key_set_identity_key_length",
            Self::SealingKey(_) => "key_set_sealing_key",
            Self::ParticipantKey => "key_set_participant_key",
            Self::NotAscending { .. } => "key_set_not_ascending",
            Self::DeviceCount { .. } => "key_set_device_count",
            Self::MlsLeafKeys => "key_set_mls_leaf_keys",
            Self::NoNativeIdentity { .. } => "key_set_no_native_identity",
            Self::ProofCount { .. } => "key_set_proof_count",
            Self::HighestDevice { .. } => "key_set_highest_device",
            Self::Counter { .. } => "key_set_counter",
            Self::UnknownProof { .. } => "key_set_unknown_proof",
            Self::ProofLength { .. } => "key_set_proof_length",
            Self::RecoveryCommitments => "key_set_recovery_commitments",
        }
    }
}

/// Why a parsed key set is not believed: its own signatures, or what it says against the set already known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeySetError {
    /// The account key did not sign this.
    #[error("the account signature is invalid")]
    AccountSignature,
    /// A device-auth key did not sign its entry.
    #[error("the device-auth proof of device {device} is invalid")]
    DeviceProof {
        /// The device.
        device: DeviceNumber,
    },
    /// An identity key did not sign its device's entry.
    #[error("an identity proof of device {device} is invalid")]
    IdentityProof {
        /// The device.
        device: DeviceNumber,
    },
    /// A device lists another `signal-v4` identity key than the devices before it: that profile has one per account.
    #[error("device {device} lists another signal-v4 identity key than the account's other devices")]
    SignalV4Identity {
        /// The device.
        device: DeviceNumber,
    },
    /// A first set was expected.
    #[error("expected a first key set, got counter {counter}")]
    NotFirst {
        /// The counter offered.
        counter: KeySetCounter,
    },
    /// Of another account.
    #[error("the key set belongs to account {offered}, not {known}")]
    WrongAccount {
        /// The account expected.
        known: AccountId,
        /// The account offered.
        offered: AccountId,
    },
    /// Older than what is known.
    #[error("key set {offered} is older than the known {known}")]
    Rollback {
        /// The counter known.
        known: KeySetCounter,
        /// The counter offered.
        offered: KeySetCounter,
    },
    /// Two different sets claim this counter.
    #[error("two different key sets claim counter {counter}")]
    Fork {
        /// The counter claimed twice.
        counter: KeySetCounter,
    },
    /// Sets between the known and the offered one are missing.
    #[error("key sets between {known} and {offered} are missing")]
    Gap {
        /// The counter known.
        known: KeySetCounter,
        /// The counter offered.
        offered: KeySetCounter,
    },
    /// The account key changed, and the set shows no proof for it.
    #[error("the account key changed without a proof")]
    ProofMissing,
    /// A proof for a change of the account key, which stayed.
    #[error("a proof for a change of account key, which stayed")]
    ProofUnexpected,
    /// The previous account key did not sign the change.
    #[error("the migration signature is invalid")]
    MigrationSignature,
    /// The recovery key is not one that the known set commits to.
    #[error("the known key set does not commit to this recovery key")]
    RecoveryKey,
    /// The recovery key did not sign the change.
    #[error("the recovery signature is invalid")]
    RecoverySignature,
    /// The account key changed across a gap, and only the sets between can show by whose leave.
    #[error("the account key changed across missing key sets")]
    KeyChangeAcrossGap,
    /// A number that was assigned before names another device now.
    #[error("device number {device} is reused")]
    DeviceNumberReused {
        /// The number.
        device: DeviceNumber,
    },
    /// The highest number ever assigned is not what the devices of both sets make it.
    #[error("the highest device number went from {known} to {offered}")]
    HighestDevice {
        /// The highest number known.
        known: DeviceNumber,
        /// The highest number offered.
        offered: DeviceNumber,
    },
    /// Recovery commitments were replaced, added or withdrawn by something that may not.
    #[error("the recovery commitments changed")]
    RecoveryCommitmentChanged,
}

impl KeySetError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::AccountSignature => "key_set_account_signature",
            Self::DeviceProof { .. } => "key_set_device_proof",
            Self::IdentityProof { .. } => "key_set_identity_proof",
            Self::SignalV4Identity { .. } => "key_set_signal_v4_identity",
            Self::NotFirst { .. } => "key_set_not_first",
            Self::WrongAccount { .. } => "key_set_wrong_account",
            Self::Rollback { .. } => "key_set_rollback",
            Self::Fork { .. } => "key_set_fork",
            Self::Gap { .. } => "key_set_gap",
            Self::ProofMissing => "key_set_proof_missing",
            Self::ProofUnexpected => "key_set_proof_unexpected",
            Self::MigrationSignature => "key_set_migration_signature",
            Self::RecoveryKey => "key_set_recovery_key",
            Self::RecoverySignature => "key_set_recovery_signature",
            Self::KeyChangeAcrossGap => "key_set_key_change_across_gap",
            Self::DeviceNumberReused { .. } => "key_set_device_number_reused",
            Self::HighestDevice { .. } => "key_set_highest_device_changed",
            Self::RecoveryCommitmentChanged => "key_set_recovery_commitment_changed",
        }
    }
}

/// Why a key set or a device entry was not built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BuildError {
    /// The parts do not make a well-formed set.
    #[error("the parts do not make a well-formed key set")]
    Format(#[source] ParseError),
    /// The set would be refused by those who know the previous one, or a proof in it is wrong.
    #[error("the key set would be refused")]
    Refused(#[source] KeySetError),
    /// No device of that number to remove or update.
    #[error("there is no device {device}")]
    NoSuchDevice {
        /// The number.
        device: DeviceNumber,
    },
    /// A device of that number is already there.
    #[error("there already is a device {device}")]
    DeviceExists {
        /// The number.
        device: DeviceNumber,
    },
    /// No counter is left. It takes 2^64 - 1 sets to get here.
    #[error("the counter is exhausted")]
    CounterExhausted,
}

impl BuildError {
    /// The stable code. A cause that has its own keeps it.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Format(cause) => cause.code(),
            Self::Refused(cause) => cause.code(),
            Self::NoSuchDevice { .. } => "key_set_no_such_device",
            Self::DeviceExists { .. } => "key_set_device_exists",
            Self::CounterExhausted => "key_set_counter_exhausted",
        }
    }
}
