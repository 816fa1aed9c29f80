//! Rows that are small, rarely written and likely to grow fields: protobuf.

use fjall::Slice;
use rcseal_wire::api::push::{PushHandle, PushProvider};
use rcseal_wire::id::{DeviceNumber, MailboxId};

use crate::StoreError;

/// An account.
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::embedded) struct AccountRow {
    #[prost(uint64, tag = "1")]
    pub(in crate::embedded) created_at: u64,
    /// The current key set's.
    #[prost(uint64, tag = "2")]
    pub(in crate::embedded) counter: u64,
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub(in crate::embedded) delivery_tokens: Vec<Vec<u8>>,
    /// Every device number that was ever in a key set, one byte each.
    #[prost(bytes = "vec", tag = "4")]
    pub(in crate::embedded) used_numbers: Vec<u8>,
    #[prost(uint64, tag = "5")]
    pub(in crate::embedded) blob_bytes: u64,
    /// Bytes of all key sets in the history.
    #[prost(uint64, tag = "6")]
    pub(in crate::embedded) key_set_bytes: u64,
    /// What [`Self::key_set_bytes`] was after the last takeover; 0 where there was none.
    #[prost(uint64, tag = "7")]
    pub(in crate::embedded) key_set_bytes_at_takeover: u64,
}

/// A key set of the history.
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::embedded) struct KeySetRow {
    #[prost(uint64, tag = "1")]
    pub(in crate::embedded) counter: u64,
    #[prost(bytes = "vec", tag = "2")]
    pub(in crate::embedded) hash: Vec<u8>,
    #[prost(bytes = "bytes", tag = "3")]
    pub(in crate::embedded) bytes: bytes::Bytes,
}

/// A push registration.
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::embedded) struct PushRow {
    #[prost(uint32, tag = "1")]
    pub(in crate::embedded) provider: u32,
    #[prost(bytes = "vec", tag = "2")]
    pub(in crate::embedded) token: Vec<u8>,
    #[prost(string, tag = "3")]
    pub(in crate::embedded) app: String,
    #[prost(bytes = "vec", tag = "4")]
    pub(in crate::embedded) handle: Vec<u8>,
    /// Wake-ups so far.
    #[prost(uint64, tag = "5")]
    pub(in crate::embedded) woken: u64,
    /// When the last one was; 0 before the first.
    #[prost(uint64, tag = "6")]
    pub(in crate::embedded) woken_at: u64,
}

impl PushRow {
    pub(in crate::embedded) fn provider(&self) -> Result<PushProvider, StoreError> {
        let known = u8::try_from(self.provider).ok().and_then(PushProvider::from_number);
        known.ok_or(StoreError::Corrupt { space: "pushes" })
    }

    pub(in crate::embedded) fn handle(&self) -> Result<PushHandle, StoreError> {
        let bytes = self.handle.as_slice().try_into().map_err(|_| StoreError::Corrupt { space: "pushes" })?;
        Ok(PushHandle::from_bytes(bytes))
    }
}

/// A device.
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::embedded) struct DeviceRow {
    /// Empty until it has one.
    #[prost(bytes = "vec", tag = "1")]
    pub(in crate::embedded) mailbox: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    pub(in crate::embedded) one_time: Option<PoolRow>,
    #[prost(message, optional, tag = "3")]
    pub(in crate::embedded) one_time_kem: Option<PoolRow>,
    #[prost(bool, tag = "4")]
    pub(in crate::embedded) has_signed: bool,
    #[prost(bool, tag = "5")]
    pub(in crate::embedded) has_last_resort: bool,
    /// When the signed prekey came.
    #[prost(uint64, tag = "6")]
    pub(in crate::embedded) signed_at: u64,
    #[prost(uint64, tag = "7")]
    pub(in crate::embedded) last_resort_at: u64,
    /// When one-time prekeys last came.
    #[prost(uint64, tag = "8")]
    pub(in crate::embedded) one_time_at: u64,
    /// The counter of the first key set that listed it.
    #[prost(uint64, tag = "9")]
    pub(in crate::embedded) added_at_counter: u64,
}

/// A pool of one-time prekeys.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(in crate::embedded) struct PoolRow {
    /// Keys left.
    #[prost(uint32, tag = "1")]
    pub(in crate::embedded) count: u32,
    /// One above the highest id ever uploaded.
    #[prost(uint64, tag = "2")]
    pub(in crate::embedded) next_id: u64,
    /// No key is left below this id.
    #[prost(uint32, tag = "3")]
    pub(in crate::embedded) first_id: u32,
}

/// An account's reset: allowed by a ticket, or pending.
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::embedded) struct ResetRow {
    /// The ticket's hash. It stays while the reset is pending, for who repeats the request.
    #[prost(bytes = "vec", tag = "1")]
    pub(in crate::embedded) ticket: Vec<u8>,
    #[prost(uint64, tag = "2")]
    pub(in crate::embedded) ticket_expires_at: u64,
    #[prost(message, optional, tag = "3")]
    pub(in crate::embedded) pending: Option<PendingResetRow>,
}

/// What will happen to the account.
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::embedded) struct PendingResetRow {
    #[prost(uint64, tag = "1")]
    pub(in crate::embedded) requested_at: u64,
    #[prost(uint64, tag = "2")]
    pub(in crate::embedded) effective_at: u64,
    /// The hash of the key set before.
    #[prost(bytes = "vec", tag = "3")]
    pub(in crate::embedded) previous: Vec<u8>,
    #[prost(uint64, tag = "4")]
    pub(in crate::embedded) counter: u64,
    #[prost(bytes = "vec", tag = "5")]
    pub(in crate::embedded) hash: Vec<u8>,
    #[prost(bytes = "bytes", tag = "6")]
    pub(in crate::embedded) key_set: bytes::Bytes,
    #[prost(uint32, tag = "7")]
    pub(in crate::embedded) device: u32,
    #[prost(bytes = "vec", tag = "8")]
    pub(in crate::embedded) mailbox: Vec<u8>,
    #[prost(message, optional, tag = "9")]
    pub(in crate::embedded) signed: Option<PrekeyRow>,
    #[prost(message, optional, tag = "10")]
    pub(in crate::embedded) last_resort: Option<PrekeyRow>,
    #[prost(message, repeated, tag = "11")]
    pub(in crate::embedded) one_time: Vec<PrekeyRow>,
    #[prost(message, repeated, tag = "12")]
    pub(in crate::embedded) one_time_kem: Vec<PrekeyRow>,
}

/// A prekey of a device that is not there yet.
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::embedded) struct PrekeyRow {
    #[prost(uint32, tag = "1")]
    pub(in crate::embedded) id: u32,
    #[prost(bytes = "bytes", tag = "2")]
    pub(in crate::embedded) bytes: bytes::Bytes,
}

/// A blob.
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::embedded) struct BlobRow {
    #[prost(bytes = "vec", tag = "1")]
    pub(in crate::embedded) owner: Vec<u8>,
    #[prost(uint64, tag = "2")]
    pub(in crate::embedded) size: u64,
    #[prost(bytes = "vec", tag = "3")]
    pub(in crate::embedded) digest: Vec<u8>,
    #[prost(uint32, tag = "4")]
    pub(in crate::embedded) chunk_len: u32,
    #[prost(uint64, tag = "5")]
    pub(in crate::embedded) received: u64,
    #[prost(bool, tag = "6")]
    pub(in crate::embedded) complete: bool,
    #[prost(uint64, tag = "7")]
    pub(in crate::embedded) expires_at: u64,
}

impl DeviceRow {
    pub(in crate::embedded) fn mailbox(&self) -> Result<Option<MailboxId>, StoreError> {
        if self.mailbox.is_empty() {
            return Ok(None);
        }
        MailboxId::parse(&self.mailbox).map(Some).map_err(|_| StoreError::Corrupt { space: "devices" })
    }
}

/// The device numbers of an account row that were ever used.
pub(in crate::embedded) fn was_used(account: &AccountRow, device: DeviceNumber) -> bool {
    account.used_numbers.contains(&device.get())
}

pub(in crate::embedded) fn decode<M: prost::Message + Default>(
    row: &[u8],
    space: &'static str,
) -> Result<M, StoreError> {
    M::decode(row).map_err(|_| StoreError::Corrupt { space })
}

pub(in crate::embedded) fn encode(row: &impl prost::Message) -> Slice {
    Slice::from(row.encode_to_vec())
}
