//! The commitment to an offline recovery key.
//!
//! The recovery key is an Ed25519 key made with the account and kept offline. The key set shows only its hash, so that nobody learns
//! which key could take the account back until it is used. A set may add a commitment where there was none, and no set may change or
//! withdraw one: a thief with the account key could otherwise lock the owner out. The statement that such a key signs to override a
//! migration is a later version of the format; this version keeps what it will be checked against.

use rcseal_crypto::ct_eq;
use rcseal_crypto::ed25519::VerifyingKey;
use rcseal_crypto::hash::sha256;

/// Label of the hash.
const LABEL: &[u8] = b"rcseal/recovery-key/v1";

/// SHA-256 of the label and the recovery key; all zeros where the account has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RecoveryCommitment([u8; 32]);

impl RecoveryCommitment {
    /// The account has no recovery key (yet).
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

    /// Whether a successor may carry `next` in this place.
    pub(crate) fn may_become(&self, next: &Self) -> bool {
        *self == Self::NONE || self == next
    }
}
