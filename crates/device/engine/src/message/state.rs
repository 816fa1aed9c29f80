//! The states of a message.

use crate::inbox::Undecryptable;

/// How far a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageState {
    /// Written here; not yet durable at a relay for every recipient device.
    Queued,
    /// Durable at the relay for every recipient device; of a readable message, taken by the carrier.
    Stored,
    /// A device of the recipient decrypted it.
    Delivered,
    /// The recipient has seen it.
    Read,
    /// It reached the recipient and no device could decrypt it.
    Undecryptable {
        /// Why.
        reason: Undecryptable,
    },
    /// It will not arrive.
    Failed {
        /// Why.
        reason: FailureReason,
    },
    /// Somebody else wrote it, and it is here.
    Received,
    /// Somebody else wrote it, and the user has seen it.
    Seen,
}

/// Why a message will not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureReason {
    /// The relay does not take envelopes for the recipient: the mailbox is gone or the delivery token is no longer valid.
    Refused,
    /// It waited longer than it may.
    Expired,
    /// The relay finds it too large or malformed.
    Rejected,
    /// The recipient's device is gone or never published keys.
    NoKeys,
    /// What the user had agreed to ended before it could leave.
    NotAllowed,
    /// It was handed to a carrier, readable, and nothing came back. It may have arrived; it is not sent again by itself.
    Unconfirmed,
    /// The server's key that it was to be sealed to does not exist any more.
    ServerKeyGone,
    /// The server keeps its key in another region than it said.
    RegionMismatch,
    /// The server does not keep messages for the time that was chosen.
    RetentionUnknown,
}

impl FailureReason {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Rejected => "rejected",
            Self::NoKeys => "no_keys",
            Self::NotAllowed => "not_allowed",
            Self::Unconfirmed => "unconfirmed",
            Self::ServerKeyGone => "server_key_destroyed",
            Self::RegionMismatch => "region_mismatch",
            Self::RetentionUnknown => "retention_unknown",
        }
    }

    pub(crate) const fn number(self) -> u32 {
        match self {
            Self::Refused => 1,
            Self::Expired => 2,
            Self::Rejected => 3,
            Self::NoKeys => 4,
            Self::NotAllowed => 5,
            Self::Unconfirmed => 6,
            Self::ServerKeyGone => 7,
            Self::RegionMismatch => 8,
            Self::RetentionUnknown => 9,
        }
    }

    pub(crate) const fn from_number(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Refused),
            2 => Some(Self::Expired),
            3 => Some(Self::Rejected),
            4 => Some(Self::NoKeys),
            5 => Some(Self::NotAllowed),
            6 => Some(Self::Unconfirmed),
            7 => Some(Self::ServerKeyGone),
            8 => Some(Self::RegionMismatch),
            9 => Some(Self::RetentionUnknown),
            _ => None,
        }
    }
}

impl MessageState {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Stored => "stored",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Undecryptable { .. } => "undecryptable",
            Self::Failed { .. } => "failed",
            Self::Received => "received",
            Self::Seen => "seen",
        }
    }

    /// State and reason as they stand in a row.
    pub(crate) const fn numbers(self) -> (u8, u32) {
        match self {
            Self::Queued => (1, 0),
            Self::Stored => (2, 0),
            Self::Delivered => (3, 0),
            Self::Read => (4, 0),
            Self::Undecryptable { reason } => (5, reason.number()),
            Self::Failed { reason } => (6, reason.number()),
            Self::Received => (7, 0),
            Self::Seen => (8, 0),
        }
    }

    pub(crate) fn from_numbers(state: u8, reason: u32) -> Option<Self> {
        Some(match state {
            1 => Self::Queued,
            2 => Self::Stored,
            3 => Self::Delivered,
            4 => Self::Read,
            5 => Self::Undecryptable { reason: Undecryptable::from_number(reason)? },
            6 => Self::Failed { reason: FailureReason::from_number(reason)? },
            7 => Self::Received,
            8 => Self::Seen,
            _ => return None,
        })
    }
}
