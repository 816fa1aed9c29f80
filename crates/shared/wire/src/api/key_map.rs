//! The map of an account's public keys as the server has them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{DeviceNumber, Digest, KeySetHash, MailboxId};

/// GET /v1/account/key-map: which public keys of the account's devices the server has, so that a device can see what has to be replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyMap {
    /// The current key set's counter.
    pub counter: u64,
    /// The current key set's hash.
    #[schema(value_type = String)]
    pub key_set_hash: KeySetHash,
    /// The devices it lists, by number.
    pub devices: Vec<KeyMapDevice>,
    /// Numbers of devices that left; they are never given out again.
    #[schema(value_type = Vec<u8>)]
    pub retired: Vec<DeviceNumber>,
}

/// One device of a key map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyMapDevice {
    /// Which.
    #[schema(value_type = u8)]
    pub device: DeviceNumber,
    /// The counter of the first key set that listed it.
    pub added_at_counter: u64,
    /// The counter of the last key set that listed it.
    pub listed_at_counter: u64,
    /// Its mailbox, once it has created one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub mailbox: Option<MailboxId>,
    /// Its signed prekey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<KeyMapPrekey>,
    /// Its last-resort KEM prekey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_resort: Option<KeyMapPrekey>,
    /// One-time EC prekeys left.
    pub one_time: u32,
    /// One-time KEM prekeys left.
    pub one_time_kem: u32,
    /// When one-time prekeys last came, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_time_uploaded_at_ms: Option<u64>,
}

/// A prekey of a key map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyMapPrekey {
    /// The owner's number for it.
    pub id: u32,
    /// SHA-256 of the public key.
    #[schema(value_type = String)]
    pub fingerprint: Digest,
    /// When it came and replaced its predecessor, in milliseconds since 1970.
    pub uploaded_at_ms: u64,
}
