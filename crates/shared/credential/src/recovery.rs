//! The offline recovery key, and the commitments to it.
//!
//! A recovery key is an Ed25519 key made with the account and kept offline. A key set shows only its hash, so that nobody learns which
//! key could take the account back until it is used. It outranks the account key: a set may add a commitment where there was none, and
//! no account key may change or withdraw one, or a thief of the account key could lock the owner out.
//!
//! **Why a list.** A reset is for somebody who has lost everything, recovery key included, and gets a new one. Nobody proves the right
//! to a reset, so it must not take the older recovery key's place: it is added behind it. The first of the list outranks the others: a
//! recovery keeps the commitments before its own, replaces its own and drops those after it.

use core::fmt;

use rand_core::CryptoRng;
use rcseal_crypto::ct_eq;
use rcseal_crypto::ed25519::{SigningKey, VerifyingKey};
use rcseal_crypto::hash::sha256;

use crate::ParseError;

/// Label of the hash.
const LABEL: &[u8] = b"rcseal/recovery-key/v1";

/// Commitments in one key set: the account's own, and those of three resets. A reset after that adds none.
pub const RECOVERY_COMMITMENTS_MAX: usize = 4;

/// SHA-256 of the label and the recovery key; all zeros where the account has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RecoveryCommitment([u8; 32]);

impl RecoveryCommitment {
    /// The account has no recovery key (yet). Never in a list.
    pub const NONE: Self = Self([0; 32]);

    /// Commits to a recovery key.
    #[must_use]
    pub fn to_key(key: &VerifyingKey) -> Self {
        Self(sha256(&[LABEL, key.as_bytes()]))
    }

    /// Wraps the bytes of the field.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes of the field.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether this commits to `key`.
    #[must_use]
    pub fn is_for(&self, key: &VerifyingKey) -> bool {
        ct_eq(&self.0, &Self::to_key(key).0)
    }

    pub(crate) fn list(fields: &[[u8; 32]]) -> Result<Vec<Self>, ParseError> {
        let list: Vec<Self> = fields.iter().copied().map(Self).collect();
        if list.len() > RECOVERY_COMMITMENTS_MAX || list.contains(&Self::NONE) {
            return Err(ParseError::RecoveryCommitments);
        }
        Ok(list)
    }
}

/// The rank of `key` among commitments: 0 outranks 1.
pub(crate) fn rank(commitments: &[RecoveryCommitment], key: &VerifyingKey) -> Option<usize> {
    commitments.iter().position(|commitment| commitment.is_for(key))
}

/// A recovery key: made with the account, shown once, kept offline, typed in when all else is lost or stolen.
pub struct RecoveryKey(SigningKey);

impl RecoveryKey {
    /// Draws a new one.
    #[must_use]
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self(SigningKey::generate(rng))
    }

    /// From what was written down.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(SigningKey::from_seed(seed))
    }

    /// What is written down.
    #[must_use]
    pub fn seed(&self) -> &[u8; 32] {
        self.0.seed()
    }

    /// The public key, which nobody sees before a recovery.
    #[must_use]
    pub fn public_key(&self) -> VerifyingKey {
        self.0.verifying_key()
    }

    /// What a key set shows of it.
    #[must_use]
    pub fn commitment(&self) -> RecoveryCommitment {
        RecoveryCommitment::to_key(&self.public_key())
    }

    pub(crate) fn sign(&self, message: &[&[u8]]) -> rcseal_crypto::ed25519::Signature {
        self.0.sign(message)
    }
}

impl fmt::Debug for RecoveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryKey")
    }
}
