//! Who a key belongs to: signed key sets and safety numbers (`docs/protocol/key-set.md`).
//!
//! An account is named by a random id and speaks through one signed object, its **key set**: the account key, the devices and each
//! device's keys with proofs that the device holds them. The types follow its life: bytes are parsed into an [`UnverifiedKeySet`],
//! whose signatures turn it into a [`VerifiedKeySet`], which is then compared with the one already known
//! ([`VerifiedKeySet::check_successor`], [`VerifiedKeySet::check_newer`], [`VerifiedKeySet::check_chain`]); rollback and fork are refused
//! there, and a change of account key must show by whose leave ([`SuccessionProof`]). The primary device
//! writes the next set with a [`KeySetBuilder`] and an [`AccountSigner`]; each device proves its own keys with [`prove_device`].
//!
//! [`mapping`] says which account a phone number belongs to: the account signs it, and a broker countersigns.
//!
//! Client and server both use this crate: the server to refuse what no client would accept, the client because it does not trust the
//! server. Nothing here does I/O, reads a clock or draws randomness of its own.

mod builder;
mod codec;
mod device;
mod error;
mod fingerprint;
mod key_set;
pub mod mapping;
mod proof;
mod recovery;
mod safety_number;
mod safety_number_v4;
mod succession;

pub use builder::{AccountSigner, KeySetBuilder};
pub use device::{DeviceClaims, DeviceEntry, IdentityProfile, MLS_LEAF_KEY_LEN_MAX, MLS_LEAF_KEYS_MAX, prove_device};
pub use error::{BuildError, KeySetError, ParseError};
pub use key_set::{DEVICES_MAX, KEY_SET_LEN_MAX, KEY_SET_VERSION, ParticipantKey, UnverifiedKeySet, VerifiedKeySet};
pub use proof::SuccessionProof;
pub use recovery::{RECOVERY_COMMITMENTS_MAX, RecoveryCommitment, RecoveryKey};
pub use safety_number::{Party, SAFETY_NUMBER_VERSION, SafetyNumber, ScanError};
pub use safety_number_v4::{
    SIGNAL_V4_CODE_LEN, SIGNAL_V4_NUMBER_VERSION, SignalV4Party, SignalV4SafetyNumber, SignalV4ScanError,
};
pub use succession::{KEY_SET_GAP_MAX, Succession};
