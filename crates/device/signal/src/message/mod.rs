//! The bytes of messages: `version || protobuf || MAC` for a ratchet message, `version || protobuf` round a ratchet
//! message for a prekey message (`docs/protocol/ratchet.md`, `docs/protocol/pqxdh.md`).
//!
//! Parsing is strict: the protobuf must be the one canonical encoding (fields in ascending order, each once, none
//! unknown, shortest varints), so two byte strings never mean the same message. Nothing here decides whether a message
//! is genuine; the MAC is computed over the received bytes by the ratchet.

mod error;
mod fields;
mod prekey;
mod regular;

pub use error::ParseError;
pub use prekey::PreKeyMessage;
pub(crate) use prekey::{PreKeyHeader, encode_prekey_message};
pub(crate) use regular::{Outgoing, RatchetMessage, encode_message};

use crate::profile::Suite;

/// Longest accepted message: an envelope carries at most 96 KiB, so nothing longer can arrive by an honest path.
pub const MESSAGE_LEN_MAX: usize = 96 * 1024;

/// Highest counter of a message: the receiver stores the position after it in 32 bits.
pub(crate) const COUNTER_MAX: u32 = u32::MAX - 1;

/// Which of the two forms a message has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageForm {
    /// An ordinary message of a session both sides have.
    Regular,
    /// A message that also carries what the receiver needs to set the session up.
    PreKey,
}

impl MessageForm {
    /// Reads the form off the first bytes. Native messages have a version byte of their own per form; both forms of
    /// `signal-v4` begin alike and differ in the protobuf's first field, which is a byte string with number 1 only in a
    /// ratchet message.
    pub(crate) fn sniff(suite: &Suite, bytes: &[u8]) -> Result<Self, ParseError> {
        let version = *bytes.first().ok_or(ParseError::Truncated)?;
        let regular = version == suite.message_version;
        let prekey = version == suite.prekey_message_version;
        match (regular, prekey) {
            (true, true) if bytes.get(1) == Some(&fields::tag(1, fields::WireType::Bytes)) => Ok(Self::Regular),
            (false, true) | (true, true) => Ok(Self::PreKey),
            (true, false) => Ok(Self::Regular),
            (false, false) => Err(ParseError::UnknownVersion { found: version }),
        }
    }
}
