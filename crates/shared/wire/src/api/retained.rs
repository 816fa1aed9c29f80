//! Messages that the server can read: sealed to a key that the operator's hardware module holds, kept for as long as a retention class says,
//! and handed to the recipient's devices opened. Not end to end, and labelled so wherever they appear.
//!
//! `GET /v1/server-key` says to which key, `POST /v1/retained` submits, `GET /v1/retained?after=SEQUENCE` reads. All three need a login, and a
//! submission the recipient's delivery token in its header. Spec: `docs/protocol/server-encryption.md`.

use rcseal_crypto::hash::sha256;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Base64;
use crate::id::{AccountId, DeviceAddress, DeviceNumber, RetainedId, ServerKeyId, TenantId};

/// GET [`ServerKey`].
pub const SERVER_KEY_PATH: &str = "/v1/server-key";
/// POST a [`RetainedSubmit`], get a [`RetainedStored`]; GET a [`RetainedPage`].
pub const RETAINED_PATH: &str = "/v1/retained";

/// The HPKE `info` of every sealed message.
pub const RETAINED_INFO: &[u8] = b"rcseal/retained/v1";
/// What the id of a key is the hash of, before the key.
const SERVER_KEY_LABEL: &[u8] = b"rcseal/server-key/v1";
/// Bytes of the words that are sealed: as much as a message that goes end to end holds in its largest envelope.
pub const RETAINED_PLAINTEXT_LEN_MAX: usize = 64 * 1024;
/// Bytes of a sealed message: with encapsulation and tag.
pub const RETAINED_SEALED_LEN_MAX: usize = RETAINED_PLAINTEXT_LEN_MAX + 65 + 16;
/// Retention classes of a tenant.
pub const RETENTION_CLASSES_MAX: usize = 16;
/// Characters of a class's name: lower-case letters, digits and hyphens.
pub const RETENTION_CLASS_LEN_MAX: usize = 32;
/// Messages on one page.
pub const RETAINED_PAGE_LEN_MAX: usize = 64;

/// Whose key it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    /// Fixed for ever.
    #[schema(value_type = String)]
    pub id: TenantId,
    /// For people.
    pub name: String,
}

/// How long messages of a kind are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetentionClass {
    /// Its name.
    pub name: String,
    /// Days from the server's taking a message to its removal.
    pub days: u32,
}

/// What a message is sealed to now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerKey {
    /// Who can read.
    pub tenant: Tenant,
    /// Names the key; follows from `public_key` ([`server_key_id`]).
    #[schema(value_type = String)]
    pub key_id: ServerKeyId,
    /// P-256, uncompressed: 65 bytes.
    pub public_key: Base64,
    /// Where the key is.
    pub region: String,
    /// What a sender can choose from.
    pub classes: Vec<RetentionClass>,
    /// The class of a submission that names none.
    pub default_class: String,
    /// Ask again before you seal after this, in milliseconds since 1970.
    pub not_after_ms: u64,
}

/// POST /v1/retained. The recipient's delivery token travels in its header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetainedSubmit {
    /// Chosen by the sender at random; the same submission may be repeated under it.
    #[schema(value_type = String)]
    pub id: RetainedId,
    /// The recipient.
    #[schema(value_type = String)]
    pub to: AccountId,
    /// What `sealed` is sealed to.
    #[schema(value_type = String)]
    pub key_id: ServerKeyId,
    /// How long it is kept; the server's default when absent. The sealing covers the name either way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// HPKE: encapsulation, ciphertext, tag; at most [`RETAINED_SEALED_LEN_MAX`] bytes.
    pub sealed: Base64,
}

/// It is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetainedStored {
    /// Its place among the recipient's messages.
    pub sequence: u64,
    /// When it is removed, in milliseconds since 1970.
    pub expires_at_ms: u64,
}

/// Who can read a message beside sender and recipient. One value, so that it stands in every answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReadableBy {
    /// The server's operator.
    Server,
}

/// Why a message that is there could not be opened. It will not be openable later either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnreadableReason {
    /// The key that it was sealed to is no longer in the module.
    ServerKeyDestroyed,
    /// It was not sealed by the sender, to the recipient, under the id, key and class that it is stored with.
    NotAuthentic,
}

/// One message of a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetainedMessage {
    /// Its place among the recipient's messages; the next page begins after the last one.
    pub sequence: u64,
    /// The sender's id of it.
    #[schema(value_type = String)]
    pub id: RetainedId,
    /// Who was logged in when it was submitted.
    #[schema(value_type = String)]
    pub from: AccountId,
    /// And with which device.
    #[schema(value_type = u8)]
    pub from_device: DeviceNumber,
    /// When the server took it, in milliseconds since 1970.
    pub sent_at_ms: u64,
    /// Its retention class.
    pub class: String,
    /// When it is removed, in milliseconds since 1970.
    pub expires_at_ms: u64,
    /// What was sealed; absent where `unreadable` says why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plaintext: Option<Base64>,
    /// Why there is no plaintext.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<UnreadableReason>,
    /// Who else can read it.
    pub readable_by: ReadableBy,
}

/// GET /v1/retained?after=SEQUENCE: the caller's account's messages after that one, oldest first. Reading removes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetainedPage {
    /// At most [`RETAINED_PAGE_LEN_MAX`] of them.
    pub messages: Vec<RetainedMessage>,
    /// Whether there are others after the last one.
    pub more: bool,
}

/// The id of a key: the first 16 bytes of SHA-256 over its label and the key.
#[must_use]
pub fn server_key_id(public_key: &[u8]) -> ServerKeyId {
    let mut halves = [[0; 16]; 2];
    halves.as_flattened_mut().copy_from_slice(&sha256(&[SERVER_KEY_LABEL, public_key]));
    ServerKeyId::from_bytes(halves[0])
}

/// What the sealing of a message covers beside its words, so that the server cannot file it under another sender, recipient, id or class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetainedHeader<'a> {
    /// Whose key it is sealed to.
    pub tenant: TenantId,
    /// The sender's device.
    pub from: DeviceAddress,
    /// The recipient.
    pub to: AccountId,
    /// The sender's id of the message.
    pub id: RetainedId,
    /// The key.
    pub key_id: ServerKeyId,
    /// The retention class, the default's name where the submission names none.
    pub class: &'a str,
}

impl RetainedHeader<'_> {
    /// The associated data: tenant 16 ‖ from 17 ‖ to 16 ‖ id 16 ‖ key id 16 ‖ class, to the end.
    #[must_use]
    pub fn associated_data(&self) -> Vec<u8> {
        let from = self.from.to_bytes();
        let parts: [&[u8]; 6] = [
            self.tenant.as_bytes(),
            &from,
            self.to.as_bytes(),
            self.id.as_bytes(),
            self.key_id.as_bytes(),
            self.class.as_bytes(),
        ];
        parts.concat()
    }
}

/// Whether a text can be a class's name.
#[must_use]
pub fn is_class_name(text: &str) -> bool {
    (1..=RETENTION_CLASS_LEN_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn header(class: &str) -> RetainedHeader<'_> {
        RetainedHeader {
            tenant: TenantId::from_bytes([1; 16]),
            from: DeviceAddress { account: AccountId::from_bytes([2; 16]), device: DeviceNumber::PRIMARY },
            to: AccountId::from_bytes([3; 16]),
            id: RetainedId::from_bytes([4; 16]),
            key_id: ServerKeyId::from_bytes([5; 16]),
            class,
        }
    }

    #[test]
    fn the_sealing_covers_every_field_of_the_header() {
        let bytes = header("standard").associated_data();
        assert_eq!(bytes.len(), 81 + "standard".len());
        assert_eq!(&bytes[..16], &[1; 16]);
        assert_eq!(&bytes[81..], b"standard");
        let mut others = vec![header("short")];
        others.push(RetainedHeader { tenant: TenantId::from_bytes([9; 16]), ..header("standard") });
        others.push(RetainedHeader { to: AccountId::from_bytes([9; 16]), ..header("standard") });
        others.push(RetainedHeader { id: RetainedId::from_bytes([9; 16]), ..header("standard") });
        others.push(RetainedHeader { key_id: ServerKeyId::from_bytes([9; 16]), ..header("standard") });
        assert!(others.iter().all(|other| other.associated_data() != bytes));
    }

    #[test]
    fn class_names_are_short_and_plain() {
        assert!(is_class_name("two-years"));
        assert!(!is_class_name(""));
        assert!(!is_class_name("Standard"));
        assert!(!is_class_name(&"a".repeat(33)));
    }

    #[test]
    fn every_message_says_who_else_can_read_it() {
        let text = serde_json::to_string(&RetainedMessage {
            sequence: 1,
            id: RetainedId::from_bytes([4; 16]),
            from: AccountId::from_bytes([2; 16]),
            from_device: DeviceNumber::PRIMARY,
            sent_at_ms: 1,
            class: "standard".to_owned(),
            expires_at_ms: 2,
            plaintext: Some(Base64(vec![1])),
            unreadable: None,
            readable_by: ReadableBy::Server,
        })
        .unwrap();
        assert!(text.contains(r#""readable_by":"server""#), "{text}");
    }
}
