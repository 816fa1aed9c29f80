//! Receipts: what became of messages.

use super::{ContentError, RECEIPT_LEN_MAX, id, proto};
use crate::id::{EnvelopeId, MessageId};

/// What became of messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receipt {
    /// They reached a device and were decrypted there.
    Delivered(Vec<MessageId>),
    /// Somebody saw them.
    Read(Vec<MessageId>),
    /// Envelopes that reached a device and could not be decrypted.
    Undecryptable {
        /// Which envelopes; the sender knows which message was in them.
        envelopes: Vec<EnvelopeId>,
        /// A code of `docs/protocol/envelope.md`.
        reason: u32,
    },
}

impl Receipt {
    pub(super) fn to_proto(&self) -> proto::Receipt {
        let (kind, messages, reason) = match self {
            Self::Delivered(ids) => {
                (proto::ReceiptKind::Delivered, ids.iter().map(|id| id.as_bytes().to_vec()).collect(), 0)
            }
            Self::Read(ids) => (proto::ReceiptKind::Read, ids.iter().map(|id| id.as_bytes().to_vec()).collect(), 0),
            Self::Undecryptable { envelopes, reason } => (
                proto::ReceiptKind::Undecryptable,
                envelopes.iter().map(|id| id.as_bytes().to_vec()).collect(),
                *reason,
            ),
        };
        proto::Receipt { kind: kind.into(), messages, reason }
    }

    /// `None` for a kind of a later version.
    pub(super) fn from_proto(receipt: &proto::Receipt) -> Result<Option<Self>, ContentError> {
        if receipt.messages.len() > RECEIPT_LEN_MAX {
            return Err(ContentError::TooLong { field: "messages" });
        }
        let messages = || {
            receipt.messages.iter().map(|bytes| id("messages", MessageId::parse(bytes))).collect::<Result<Vec<_>, _>>()
        };
        Ok(match receipt.kind() {
            proto::ReceiptKind::Delivered => Some(Self::Delivered(messages()?)),
            proto::ReceiptKind::Read => Some(Self::Read(messages()?)),
            proto::ReceiptKind::Undecryptable => {
                let envelopes = receipt
                    .messages
                    .iter()
                    .map(|bytes| id("messages", EnvelopeId::parse(bytes)))
                    .collect::<Result<_, _>>()?;
                Some(Self::Undecryptable { envelopes, reason: receipt.reason })
            }
            proto::ReceiptKind::Unspecified => None,
        })
    }
}
