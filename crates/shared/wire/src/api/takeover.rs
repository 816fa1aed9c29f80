//! Requests of people who have lost every device, and what their account's devices hear of it.
//!
//! A *recovery* replaces the account's devices at once, by the offline recovery key. A *reset* does so without any old key: by a ticket
//! of the operator's, after a delay in which any device of the account can veto. Spec: `docs/protocol/relay-api.md`, section Recovery and
//! reset.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Base64, DeviceUpload};

/// POST /v1/accounts/{account}/key-set: what lets somebody without a device and without a delivery token read the current key set, whose
/// successor a recovery, a restoration or a reset is. Exactly one of the three.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeySetProof {
    /// The recovery key's public half, 32 bytes. Nobody knows it before it is used: key sets show a hash of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_key: Option<Base64>,
    /// A reset ticket, which is not used up by this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset_ticket: Option<String>,
    /// A signature by the account key ([`crate::backup::restoration_proof`]), which a device shows that was restored from a backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_signature: Option<Base64>,
}

impl std::fmt::Debug for KeySetProof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeySetProof")
    }
}

/// What the next key set is built on.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeySetBasis {
    /// The account's current key set.
    pub key_set: Base64,
    /// The server's clock, in milliseconds since 1970.
    pub now_ms: u64,
    /// How long a reset that begins now would be pending.
    pub reset_delay_seconds: u64,
}

/// POST /v1/accounts/{account}/recovery.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecoveryRequest {
    /// The successor of the current key set, with exactly one device that the current one does not list: with a recovery proof, or signed by
    /// the same account key, which a backup brought back.
    pub key_set: Base64,
    /// That device's mailbox and prekeys; the signed and the last-resort prekey must be there.
    pub device: DeviceUpload,
    /// With a set that has no recovery proof, the same signature as in [`KeySetProof`]: contacts have key sets too, and must not learn from
    /// the answer whether theirs is the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_signature: Option<Base64>,
}

/// POST /v1/account/deletion, logged in.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountDeletion {
    /// By the account key, over [`crate::backup::account_deletion`] with the account's current key set.
    pub signature: Base64,
}

/// POST /v1/accounts/{account}/reset.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetRequest {
    /// The operator's ticket, for one reset of one account.
    pub ticket: String,
    /// The successor of the current key set, with a reset proof and exactly one device that the current one does not list.
    pub key_set: Base64,
    /// That device's mailbox and prekeys; the signed and the last-resort prekey must be there.
    pub device: DeviceUpload,
}

impl std::fmt::Debug for ResetRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResetRequest").field("key_set", &self.key_set).finish_non_exhaustive()
    }
}

/// A reset was taken down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetAccepted {
    /// When it takes effect unless somebody vetoes, in milliseconds since 1970.
    pub effective_at_ms: u64,
    /// Whether it has taken effect: the new device can log in.
    pub in_force: bool,
}

/// GET /v1/account/reset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetStatus {
    /// The reset that is pending, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<PendingReset>,
}

/// A reset that somebody asked for and that has not taken effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PendingReset {
    /// When it was asked for, in milliseconds since 1970.
    pub requested_at_ms: u64,
    /// When it takes effect unless a device vetoes.
    pub effective_at_ms: u64,
    /// The key set that would become the account's.
    pub key_set: Base64,
}
