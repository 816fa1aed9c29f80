//! Messages as an ordinary protobuf codec sees them, for the tests of this crate alone and for those against libsignal: to
//! look at what a message carries, and to damage it.

use prost::Message;

/// What stands between the version byte and the message code of a ratchet message.
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

/// What stands behind the version byte of a prekey message.
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
