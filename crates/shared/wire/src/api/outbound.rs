//! What a device sends out through its broker, by the carrier.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Base64;
use crate::number::E164;

/// POST, logged in at the broker.
pub const OUTBOUND_PATH: &str = "/v1/outbound";
/// Bytes of a request: the longest envelope as the text form of a frame, in base64, and the rest.
pub const OUTBOUND_REQUEST_LEN_MAX: usize = 384 * 1024;
/// Bytes of a body.
pub const OUTBOUND_BODY_LEN_MAX: usize = 256 * 1024;
/// Headers of a body that is sent word for word.
pub const OUTBOUND_HEADERS_MAX: usize = 16;
/// Bytes of a header's namespace, name or value.
pub const OUTBOUND_HEADER_LEN_MAX: usize = 1024;

/// POST /v1/outbound: a message for the carrier. Repeat it with the same `id` until it is answered: it is sent once, and a copy that leaves
/// after a lost answer has the same id at the carrier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OutboundRequest {
    /// In whose name: a number that is bound to the device that is logged in.
    #[schema(value_type = String)]
    pub from: E164,
    /// To whom.
    #[schema(value_type = String)]
    pub to: E164,
    /// Names the message at the carrier: 16 random bytes. Receipts name it as the UUID of these bytes with version 4 set.
    pub id: Base64,
    /// The media type of a body that is sent word for word; absent for a part of a frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Whether a part of a frame is in its text form.
    #[serde(default)]
    pub is_text: bool,
    /// Headers of a body that is sent word for word.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<OutboundHeader>,
    /// The body, or the part.
    pub body: Base64,
    /// Which receipts are asked for.
    #[serde(default)]
    pub receipts: OutboundReceipts,
}

/// A header of the message's wrapper, in a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OutboundHeader {
    /// The namespace's URI.
    pub namespace: String,
    /// The name in it.
    pub name: String,
    /// The value, one line.
    pub value: String,
}

/// Receipts, in the words of RFC 5438.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OutboundReceipts {
    /// `positive-delivery`.
    #[serde(default)]
    pub delivered: bool,
    /// `negative-delivery`.
    #[serde(default)]
    pub failed: bool,
    /// `display`.
    #[serde(default)]
    pub displayed: bool,
}

/// 202: what the carrier said. It is no delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OutboundAnswer {
    /// What the carrier took on.
    pub taken: OutboundTaken,
}

/// What the carrier took on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutboundTaken {
    /// The far end answered.
    Answered,
    /// Somebody on the way keeps it for later.
    Stored,
}
