//! Messages as an ordinary protobuf codec sees them: to look at what went over the wire, and to damage it.

use prost::Message;

use crate::Failure;

/// Length of the message code that trails a ratchet message.
const MAC_LEN: usize = 8;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RatchetProto {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub(crate) ratchet_key: Option<Vec<u8>>,
    #[prost(uint32, optional, tag = "2")]
    pub(crate) counter: Option<u32>,
    #[prost(uint32, optional, tag = "3")]
    pub(crate) previous_counter: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "4")]
    pub(crate) ciphertext: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "5")]
    pub(crate) pq_ratchet: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "6")]
    pub(crate) addresses: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct PreKeyProto {
    #[prost(uint32, optional, tag = "1")]
    pub(crate) one_time_id: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(crate) base_key: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "3")]
    pub(crate) identity: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "4")]
    pub(crate) message: Option<Vec<u8>>,
    #[prost(uint32, optional, tag = "5")]
    pub(crate) registration_id: Option<u32>,
    #[prost(uint32, optional, tag = "6")]
    pub(crate) signed_prekey_id: Option<u32>,
    #[prost(uint32, optional, tag = "7")]
    pub(crate) kem_prekey_id: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "8")]
    pub(crate) kem_ciphertext: Option<Vec<u8>>,
}

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
