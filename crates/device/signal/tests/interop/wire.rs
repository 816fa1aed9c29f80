//! Messages as they travel, and what an ordinary protobuf codec sees in them.

use prost::Message;

use crate::Failure;
use crate::proto::{PreKeyProto, RatchetProto};

/// Length of the message code that trails a ratchet message.
const MAC_LEN: usize = 8;

/// A message of either form, as it travels.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) prekey: bool,
    pub(crate) bytes: Vec<u8>,
}

impl Sent {
    pub(crate) fn prekey_proto(&self) -> Result<PreKeyProto, Failure> {
        Ok(PreKeyProto::decode(&self.bytes[1..])?)
    }

    /// The ratchet message, from inside the prekey message if it is one.
    pub(crate) fn ratchet_proto(&self) -> Result<RatchetProto, Failure> {
        let inner = match self.prekey {
            true => self.prekey_proto()?.message.ok_or("no inner message")?,
            false => self.bytes.clone(),
        };
        let end = inner.len().checked_sub(MAC_LEN).filter(|end| *end > 1).ok_or("a short message")?;
        Ok(RatchetProto::decode(&inner[1..end])?)
    }

    /// The epoch of the post-quantum ratchet that the message states: a varint after the version byte.
    pub(crate) fn epoch(&self) -> Result<u64, Failure> {
        let field = self.ratchet_proto()?.pq_ratchet.ok_or("no post-quantum field")?;
        let mut rest = field.get(1..).ok_or("an empty post-quantum field")?;
        Ok(prost::encoding::decode_varint(&mut rest)?)
    }
}
