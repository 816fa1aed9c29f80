//! Requests and responses of everything but the message plane: JSON over HTTPS, described by the served OpenAPI document.
//!
//! Byte strings are base64url without padding. The server treats prekeys and key sets as bytes until it has verified them; the client
//! verifies again, trusting nobody.

pub mod broker;
pub mod business;
mod key_map;
pub mod outbound;
pub mod push;
pub mod retained;
mod takeover;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

pub use key_map::{KeyMap, KeyMapDevice, KeyMapPrekey};
pub use takeover::{
    AccountDeletion, KeySetBasis, KeySetProof, PendingReset, RecoveryRequest, ResetAccepted, ResetRequest, ResetStatus,
};

use crate::b64;
use crate::id::{AccountId, BlobId, DeliveryTokenHash, DeviceNumber, Digest, LinkId, MailboxId};

/// One-time prekeys of one kind that a device may have at the server.
pub const ONE_TIME_PREKEYS_MAX: usize = 200;
/// Below this many of either kind the server tells the device.
pub const ONE_TIME_PREKEYS_LOW: u32 = 20;
/// Bytes of a blob: 100 MiB, which is what an attachment may weigh.
pub const BLOB_LEN_MAX: u64 = 100 * 1024 * 1024;
/// Bytes of one uploaded or downloaded piece.
pub const BLOB_CHUNK_LEN: usize = 1024 * 1024;
/// Bytes of a JSON body: a key set of 64 devices and a full set of prekeys, in base64.
pub const JSON_BODY_LEN_MAX: usize = 1024 * 1024;
/// Messages in one link rendezvous, numbered from 1.
pub const LINK_MESSAGES_MAX: u8 = 4;
/// Bytes of one of them.
pub const LINK_MESSAGE_LEN_MAX: usize = 256 * 1024;
/// Delivery tokens that are valid at once: the current one, and old ones until contacts have learnt the new one.
pub const DELIVERY_TOKENS_MAX: usize = 8;

/// Bytes in a JSON field.
#[derive(Clone, PartialEq, Eq, Default, ToSchema)]
#[schema(value_type = String, format = Byte)]
pub struct Base64(pub Vec<u8>);

impl std::fmt::Debug for Base64 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Base64({} bytes)", self.0.len())
    }
}

impl From<Vec<u8>> for Base64 {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        b64::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        b64::deserialize(deserializer).map(Self)
    }
}

/// A signed EC prekey.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignedPreKey {
    /// The owner's number for it.
    pub id: u32,
    /// X25519 public key, 32 bytes.
    pub key: Base64,
    /// Signature by the identity key, 64 bytes.
    pub signature: Base64,
}

/// A one-time EC prekey.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OneTimePreKey {
    /// The owner's number for it.
    pub id: u32,
    /// X25519 public key, 32 bytes.
    pub key: Base64,
}

/// A KEM prekey, one-time or last-resort.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KemPreKey {
    /// The owner's number for it.
    pub id: u32,
    /// ML-KEM-1024 public key, 1,568 bytes.
    pub key: Base64,
    /// Signature by the identity key, 64 bytes.
    pub signature: Base64,
}

/// A device's mailbox and prekeys, as it uploads them. Absent parts stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceUpload {
    /// The device's mailbox: random, chosen by the device; fixed once set.
    #[schema(value_type = String)]
    pub mailbox: MailboxId,
    /// Replaces the signed prekey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<SignedPreKey>,
    /// Replaces the last-resort KEM prekey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_resort: Option<KemPreKey>,
    /// Adds one-time EC prekeys.
    #[serde(default)]
    pub one_time: Vec<OneTimePreKey>,
    /// Adds one-time KEM prekeys.
    #[serde(default)]
    pub one_time_kem: Vec<KemPreKey>,
}

/// POST /v1/accounts.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterRequest {
    /// An invitation code, where the server's admission asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invite: Option<String>,
    /// The first signed key set, counter 1, with one device.
    pub key_set: Base64,
    /// That device's mailbox and prekeys; the signed and the last-resort prekey must be there.
    pub device: DeviceUpload,
    /// Hash of the delivery token.
    #[schema(value_type = String)]
    pub delivery_token_hash: DeliveryTokenHash,
}

/// POST /v1/login/challenge.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LoginChallenge {
    /// 32 bytes, for one login on this connection.
    pub nonce: Base64,
}

/// POST /v1/login.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    /// Who.
    #[schema(value_type = String, format = Uuid)]
    pub account: AccountId,
    /// Which device.
    #[schema(value_type = u8)]
    pub device: DeviceNumber,
    /// Ed25519 signature by the device-auth key over the login bytes of `rcseal_wire::login`, 64 bytes.
    pub signature: Base64,
}

/// What a login yields.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct LoginResponse {
    /// For `Authorization: Bearer`.
    pub token: String,
    /// How long it is good for.
    pub expires_in_seconds: u64,
    /// When a reset of the account takes effect that somebody asked for, in milliseconds since 1970: a device that knows nothing of it
    /// should tell its user, who can veto.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset_effective_at_ms: Option<u64>,
}

impl std::fmt::Debug for LoginResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoginResponse").field("expires_in_seconds", &self.expires_in_seconds).finish_non_exhaustive()
    }
}

/// A signed key set, up or down.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeySetBody {
    /// The signed bytes.
    pub key_set: Base64,
}

/// GET /v1/accounts/{account}/key-sets: signed key sets in a row, oldest first, for somebody who is behind and checks every link.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeySetsBody {
    /// The signed bytes of each; a full answer may have successors, so ask again from the last counter plus one.
    pub key_sets: Vec<Base64>,
}

/// One-time prekeys left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PrekeyCounts {
    /// EC.
    pub one_time: u32,
    /// KEM.
    pub one_time_kem: u32,
    /// Either is below [`ONE_TIME_PREKEYS_LOW`].
    pub low: bool,
}

/// POST /v1/accounts/{account}/bundles.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BundlesRequest {
    /// Which devices: each costs a one-time prekey.
    #[schema(value_type = Vec<u8>)]
    pub devices: Vec<DeviceNumber>,
}

/// The answer: devices that are gone are missing.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct BundlesResponse {
    /// One per device that is there.
    pub bundles: Vec<DeviceBundle>,
}

/// Material to begin a session with one device, and where its mailbox is.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeviceBundle {
    /// Which device.
    #[schema(value_type = u8)]
    pub device: DeviceNumber,
    /// Its mailbox.
    #[schema(value_type = String)]
    pub mailbox: MailboxId,
    /// Its signed prekey.
    pub signed: SignedPreKey,
    /// A one-time KEM prekey, or the last-resort one.
    pub kem: KemPreKey,
    /// Whether `kem` is the last-resort one.
    pub kem_last_resort: bool,
    /// A one-time EC prekey while there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_time: Option<OneTimePreKey>,
}

/// PUT and GET /v1/account/delivery-tokens: the whole list of valid ones.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeliveryTokens {
    /// Hashes, at most [`DELIVERY_TOKENS_MAX`].
    #[schema(value_type = Vec<String>)]
    pub hashes: Vec<DeliveryTokenHash>,
}

/// POST /v1/blobs.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BlobCreate {
    /// Bytes of ciphertext that will come.
    pub size: u64,
    /// Their SHA-256.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// How long to keep it.
    pub ttl_seconds: u32,
}

/// Where to put it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct BlobCreated {
    /// Whoever knows it can download.
    #[schema(value_type = String)]
    pub id: BlobId,
    /// Upload in pieces of at most this many bytes, each starting at a multiple of it.
    pub chunk_len: u64,
}

/// POST /v1/links.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LinkCreated {
    /// The rendezvous.
    #[schema(value_type = String)]
    pub id: LinkId,
    /// How long it lives.
    pub expires_in_seconds: u64,
}

/// Header of an upload piece: where it starts, in bytes; and of the answer: where the next one starts.
pub const UPLOAD_OFFSET_HEADER: &str = "upload-offset";

/// The paths, in one place for server and client.
pub mod path {
    /// POST.
    pub const ACCOUNTS: &str = "/v1/accounts";
    /// POST, no body.
    pub const LOGIN_CHALLENGE: &str = "/v1/login/challenge";
    /// POST.
    pub const LOGIN: &str = "/v1/login";
    /// PUT, logged in.
    pub const KEY_SET: &str = "/v1/account/key-set";
    /// GET, logged in.
    pub const KEY_MAP: &str = "/v1/account/key-map";
    /// GET and DELETE, logged in.
    pub const RESET: &str = "/v1/account/reset";
    /// PUT and GET, logged in.
    pub const DELIVERY_TOKENS: &str = "/v1/account/delivery-tokens";
    /// POST, logged in.
    pub const ACCOUNT_DELETION: &str = "/v1/account/deletion";
    /// PUT, logged in.
    pub const DEVICE: &str = "/v1/device";
    /// GET, logged in.
    pub const DEVICE_PREKEYS: &str = "/v1/device/prekeys";
    /// POST, logged in; below it `/{id}`: PATCH and HEAD logged in, GET by the id alone.
    pub const BLOBS: &str = "/v1/blobs";
    /// POST; below it `/{id}/{n}`: PUT and GET.
    pub const LINKS: &str = "/v1/links";
    /// GET.
    pub const OPENAPI: &str = "/openapi.json";

    /// GET, with a delivery token or logged in as the account; POST with a [`KeySetProof`](super::KeySetProof).
    #[must_use]
    pub fn account_key_set(account: &crate::id::AccountId) -> String {
        format!("{ACCOUNTS}/{account}/key-set")
    }

    /// GET with `?from=COUNTER`, with a delivery token or logged in as the account.
    #[must_use]
    pub fn account_key_sets(account: &crate::id::AccountId) -> String {
        format!("{ACCOUNTS}/{account}/key-sets")
    }

    /// POST, with a delivery token or logged in as the account.
    #[must_use]
    pub fn account_bundles(account: &crate::id::AccountId) -> String {
        format!("{ACCOUNTS}/{account}/bundles")
    }

    /// POST, nobody logged in.
    #[must_use]
    pub fn account_recovery(account: &crate::id::AccountId) -> String {
        format!("{ACCOUNTS}/{account}/recovery")
    }

    /// POST, nobody logged in.
    #[must_use]
    pub fn account_reset(account: &crate::id::AccountId) -> String {
        format!("{ACCOUNTS}/{account}/reset")
    }

    /// One blob.
    #[must_use]
    pub fn blob(id: &crate::id::BlobId) -> String {
        format!("{BLOBS}/{id}")
    }

    /// One message of a rendezvous.
    #[must_use]
    pub fn link_message(id: &crate::id::LinkId, number: u8) -> String {
        format!("{LINKS}/{id}/{number}")
    }
}
