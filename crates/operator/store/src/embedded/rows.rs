//! How rows and keys look on disk.
//!
//! Five fjall keyspaces: `envelopes`, `ids` and `expiry` are hot and have fixed layouts, written out below; `prekeys` holds one key per
//! row; `records` holds everything small, told apart by the first byte of the key. Numbers in keys are big-endian, so that byte order is
//! number order. A change of layout bumps [`FORMAT`].
//!
//! | keyspace | key | value |
//! |---|---|---|
//! | envelopes | mailbox 16, seq 8 | id 16, received 8, expires 8, envelope |
//! | ids | mailbox 16, id 16 | seq 8, expires 8, envelope length 4, first 16 bytes of the envelope's SHA-256 |
//! | expiry | expires 8, mailbox 16, id 16 | nothing |
//! | prekeys | device 17, kind 1, id 4 | prekey |
//! | records | tag 1, ... | protobuf, or as the tag says |

use fjall::{Slice, UserKey};
use rcseal_wire::id::{AccountId, BlobId, DeviceAddress, DeviceNumber, EnvelopeId, LinkId, MailboxId};

use crate::mailbox::MailboxSeq;
use crate::{InviteHash, StoreError, UnixMillis};

/// Version of everything in this module; a store of another version is refused.
pub(super) const FORMAT: u64 = 1;

/// A keyspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Space {
    Envelopes,
    Ids,
    Expiry,
    Prekeys,
    Records,
}

impl Space {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Envelopes => "envelopes",
            Self::Ids => "ids",
            Self::Expiry => "expiry",
            Self::Prekeys => "prekeys",
            Self::Records => "records",
        }
    }
}

/// Builds a key from its parts without a detour over the heap for short ones.
macro_rules! key {
    ($len:expr, $($part:expr),+) => {{
        let mut bytes = [0u8; $len];
        let mut at = 0;
        $(
            let part: &[u8] = $part;
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        )+
        debug_assert_eq!(at, $len);
        UserKey::from(bytes)
    }};
}

pub(super) fn envelope_key(mailbox: MailboxId, seq: MailboxSeq) -> UserKey {
    key!(24, mailbox.as_bytes(), &seq.get().to_be_bytes())
}

pub(super) fn id_key(mailbox: MailboxId, id: EnvelopeId) -> UserKey {
    key!(32, mailbox.as_bytes(), id.as_bytes())
}

pub(super) fn expiry_key(expires_at: UnixMillis, mailbox: MailboxId, id: EnvelopeId) -> UserKey {
    key!(40, &expires_at.get().to_be_bytes(), mailbox.as_bytes(), id.as_bytes())
}

/// Kinds of prekey rows. The two that exist once per device have id 0 in the key and their own id in front of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PrekeyKind {
    Signed,
    LastResort,
    OneTime,
    OneTimeKem,
}

impl PrekeyKind {
    const fn tag(self) -> u8 {
        match self {
            Self::Signed => b's',
            Self::LastResort => b'l',
            Self::OneTime => b'o',
            Self::OneTimeKem => b'q',
        }
    }
}

pub(super) fn prekey_key(device: DeviceAddress, kind: PrekeyKind, id: u32) -> UserKey {
    key!(22, &device.to_bytes(), &[kind.tag()], &id.to_be_bytes())
}

pub(super) fn prekey_prefix(device: DeviceAddress, kind: PrekeyKind) -> UserKey {
    key!(18, &device.to_bytes(), &[kind.tag()])
}

/// All prekeys of a device.
pub(super) fn prekeys_prefix(device: DeviceAddress) -> UserKey {
    key!(17, &device.to_bytes())
}

// Records.

pub(super) fn account_key(account: AccountId) -> UserKey {
    key!(17, b"a", account.as_bytes())
}

pub(super) fn key_set_key(account: AccountId, counter: u64) -> UserKey {
    key!(25, b"k", account.as_bytes(), &counter.to_be_bytes())
}

pub(super) fn key_set_prefix(account: AccountId) -> UserKey {
    key!(17, b"k", account.as_bytes())
}

pub(super) fn device_key(device: DeviceAddress) -> UserKey {
    key!(18, b"d", &device.to_bytes())
}

pub(super) fn device_prefix(account: AccountId) -> UserKey {
    key!(17, b"d", account.as_bytes())
}

pub(super) fn mailbox_key(mailbox: MailboxId) -> UserKey {
    key!(17, b"m", mailbox.as_bytes())
}

/// A mailbox whose device is gone and whose envelopes are being removed.
pub(super) fn purge_key(mailbox: MailboxId) -> UserKey {
    key!(17, b"x", mailbox.as_bytes())
}

pub(super) const PURGE_PREFIX: &[u8] = b"x";

pub(super) fn invite_key(invite: InviteHash) -> UserKey {
    key!(33, b"i", invite.as_bytes())
}

pub(super) const INVITE_PREFIX: &[u8] = b"i";

pub(super) fn blob_key(blob: BlobId) -> UserKey {
    key!(33, b"b", blob.as_bytes())
}

pub(super) fn blob_expiry_key(expires_at: UnixMillis, blob: BlobId) -> UserKey {
    key!(41, b"B", &expires_at.get().to_be_bytes(), blob.as_bytes())
}

pub(super) const BLOB_EXPIRY_PREFIX: &[u8] = b"B";

/// A rendezvous: its end. Its messages follow it.
pub(super) fn link_key(link: LinkId) -> UserKey {
    key!(17, b"l", link.as_bytes())
}

pub(super) fn link_message_key(link: LinkId, slot: u8) -> UserKey {
    key!(18, b"n", link.as_bytes(), &[slot])
}

pub(super) fn link_expiry_key(ends_at: UnixMillis, link: LinkId) -> UserKey {
    key!(25, b"L", &ends_at.get().to_be_bytes(), link.as_bytes())
}

pub(super) const LINK_EXPIRY_PREFIX: &[u8] = b"L";

pub(super) fn reset_key(account: AccountId) -> UserKey {
    key!(17, b"r", account.as_bytes())
}

pub(super) const RESET_PREFIX: &[u8] = b"r";

/// When a reset takes effect, or its ticket expires.
pub(super) fn reset_due_key(due_at: UnixMillis, account: AccountId) -> UserKey {
    key!(25, b"R", &due_at.get().to_be_bytes(), account.as_bytes())
}

pub(super) const RESET_DUE_PREFIX: &[u8] = b"R";

/// The account in a reset's key.
pub(super) fn parse_reset_key(key: &[u8]) -> Result<AccountId, StoreError> {
    AccountId::parse(key.get(1..).unwrap_or_default()).map_err(|_| StoreError::Corrupt { space: "resets" })
}

pub(super) fn secret_key(name: &str) -> UserKey {
    let mut bytes = Vec::with_capacity(1 + name.len());
    bytes.push(b's');
    bytes.extend_from_slice(name.as_bytes());
    UserKey::from(bytes)
}

/// Counts of live rows that have a cap.
#[derive(Debug, Clone, Copy)]
pub(super) enum Counter {
    Invites,
    Links,
    Resets,
}

pub(super) fn counter_key(counter: Counter) -> UserKey {
    let tag = match counter {
        Counter::Invites => b'i',
        Counter::Links => b'l',
        Counter::Resets => b'r',
    };
    key!(2, b"c", &[tag])
}

pub(super) fn format_key() -> UserKey {
    key!(1, b"f")
}

/// The row that [`crate::Store::check`] writes.
pub(super) fn check_key() -> UserKey {
    key!(1, b"h")
}

/// The first key behind every key with this prefix; `None` if there is no such key.
pub(super) fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.last_mut() {
        if *last < u8::MAX {
            *last += 1;
            return Some(end);
        }
        end.pop();
    }
    None
}

// Fixed layouts.

/// Takes fixed-length fields off a row.
struct Fields<'a> {
    rest: &'a [u8],
    space: &'static str,
}

impl<'a> Fields<'a> {
    const fn new(rest: &'a [u8], space: &'static str) -> Self {
        Self { rest, space }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(StoreError::Corrupt { space: self.space })?;
        self.rest = rest;
        Ok(*head)
    }

    fn u64(&mut self) -> Result<u64, StoreError> {
        Ok(u64::from_be_bytes(self.take()?))
    }

    fn end(self) -> Result<(), StoreError> {
        if self.rest.is_empty() { Ok(()) } else { Err(StoreError::Corrupt { space: self.space }) }
    }
}

/// What an envelope row carries in front of the envelope.
pub(super) const ENVELOPE_HEADER_LEN: usize = 32;

/// An envelope row, without its body.
#[derive(Debug, Clone, Copy)]
pub(super) struct EnvelopeHeader {
    pub(super) id: EnvelopeId,
    pub(super) received_at: UnixMillis,
    pub(super) expires_at: UnixMillis,
}

impl EnvelopeHeader {
    pub(super) fn write(&self, envelope: &[u8]) -> Slice {
        let mut row = Vec::with_capacity(ENVELOPE_HEADER_LEN + envelope.len());
        row.extend_from_slice(self.id.as_bytes());
        row.extend_from_slice(&self.received_at.get().to_be_bytes());
        row.extend_from_slice(&self.expires_at.get().to_be_bytes());
        row.extend_from_slice(envelope);
        Slice::from(row)
    }

    pub(super) fn parse(row: &[u8]) -> Result<Self, StoreError> {
        let mut fields = Fields::new(row, "envelopes");
        Ok(Self {
            id: EnvelopeId::from_bytes(fields.take()?),
            received_at: UnixMillis::new(fields.u64()?),
            expires_at: UnixMillis::new(fields.u64()?),
        })
    }
}

/// The seq in an envelope's key.
pub(super) fn parse_envelope_key(key: &[u8]) -> Result<MailboxSeq, StoreError> {
    let mut fields = Fields::new(key, "envelopes");
    let _mailbox: [u8; 16] = fields.take()?;
    let seq = MailboxSeq::new(fields.u64()?);
    fields.end()?;
    Ok(seq)
}

/// What is remembered of an id until its envelope's time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IdRow {
    pub(super) seq: MailboxSeq,
    pub(super) expires_at: UnixMillis,
    pub(super) len: u32,
    pub(super) check: [u8; 16],
}

impl IdRow {
    pub(super) fn write(&self) -> Slice {
        key!(
            36,
            &self.seq.get().to_be_bytes(),
            &self.expires_at.get().to_be_bytes(),
            &self.len.to_be_bytes(),
            &self.check
        )
    }

    pub(super) fn parse(row: &[u8]) -> Result<Self, StoreError> {
        let mut fields = Fields::new(row, "ids");
        let parsed = Self {
            seq: MailboxSeq::new(fields.u64()?),
            expires_at: UnixMillis::new(fields.u64()?),
            len: u32::from_be_bytes(fields.take()?),
            check: fields.take()?,
        };
        fields.end()?;
        Ok(parsed)
    }
}

/// The expiry, mailbox and id in an expiry key.
pub(super) fn parse_expiry_key(key: &[u8]) -> Result<(UnixMillis, MailboxId, EnvelopeId), StoreError> {
    let mut fields = Fields::new(key, "expiry");
    let parsed =
        (UnixMillis::new(fields.u64()?), MailboxId::from_bytes(fields.take()?), EnvelopeId::from_bytes(fields.take()?));
    fields.end()?;
    Ok(parsed)
}

/// A mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MailboxRow {
    pub(super) device: DeviceAddress,
    /// The seq of the next envelope.
    pub(super) next: u64,
    /// Nothing waits below this seq: a fetch need not look at what was acknowledged there.
    pub(super) head: u64,
    /// Envelopes that wait.
    pub(super) envelopes: u64,
    /// Bytes of their bodies.
    pub(super) bytes: u64,
}

impl MailboxRow {
    pub(super) const fn new(device: DeviceAddress) -> Self {
        // Seq 0 is the place before the first envelope.
        Self { device, next: 1, head: 1, envelopes: 0, bytes: 0 }
    }

    pub(super) fn write(&self) -> Slice {
        key!(
            49,
            &self.device.to_bytes(),
            &self.next.to_be_bytes(),
            &self.head.to_be_bytes(),
            &self.envelopes.to_be_bytes(),
            &self.bytes.to_be_bytes()
        )
    }

    pub(super) fn parse(row: &[u8]) -> Result<Self, StoreError> {
        let mut fields = Fields::new(row, "mailboxes");
        let device: [u8; DeviceAddress::LEN] = fields.take()?;
        let parsed = Self {
            device: DeviceAddress::parse(&device).map_err(|_| StoreError::Corrupt { space: "mailboxes" })?,
            next: fields.u64()?,
            head: fields.u64()?,
            envelopes: fields.u64()?,
            bytes: fields.u64()?,
        };
        fields.end()?;
        Ok(parsed)
    }

    /// Books an envelope out.
    pub(super) fn remove(&mut self, len: u32) {
        self.envelopes = self.envelopes.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(u64::from(len));
        if self.envelopes == 0 {
            self.head = self.next;
        }
    }
}

pub(super) fn write_u64(number: u64) -> Slice {
    Slice::from(number.to_be_bytes())
}

pub(super) fn parse_u64(row: &[u8], space: &'static str) -> Result<u64, StoreError> {
    let mut fields = Fields::new(row, space);
    let number = fields.u64()?;
    fields.end()?;
    Ok(number)
}

/// The mailbox in a purge key.
pub(super) fn parse_purge_key(key: &[u8]) -> Result<MailboxId, StoreError> {
    MailboxId::parse(key.get(1..).unwrap_or_default()).map_err(|_| StoreError::Corrupt { space: "purges" })
}

/// The end and the id in the key of a link's or a blob's expiry.
pub(super) fn parse_tagged_expiry<const N: usize>(
    key: &[u8],
    space: &'static str,
) -> Result<(UnixMillis, [u8; N]), StoreError> {
    let mut fields = Fields::new(key, space);
    let _tag: [u8; 1] = fields.take()?;
    let parsed = (UnixMillis::new(fields.u64()?), fields.take()?);
    fields.end()?;
    Ok(parsed)
}

// Protobuf rows: small, rarely written, likely to grow fields.

/// An account.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct AccountRow {
    #[prost(uint64, tag = "1")]
    pub(super) created_at: u64,
    /// The current key set's.
    #[prost(uint64, tag = "2")]
    pub(super) counter: u64,
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub(super) delivery_tokens: Vec<Vec<u8>>,
    /// Every device number that was ever in a key set, one byte each.
    #[prost(bytes = "vec", tag = "4")]
    pub(super) used_numbers: Vec<u8>,
    #[prost(uint64, tag = "5")]
    pub(super) blob_bytes: u64,
    /// Bytes of all key sets in the history.
    #[prost(uint64, tag = "6")]
    pub(super) key_set_bytes: u64,
    /// What [`Self::key_set_bytes`] was after the last takeover; 0 where there was none.
    #[prost(uint64, tag = "7")]
    pub(super) key_set_bytes_at_takeover: u64,
}

/// A key set of the history.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct KeySetRow {
    #[prost(uint64, tag = "1")]
    pub(super) counter: u64,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) hash: Vec<u8>,
    #[prost(bytes = "bytes", tag = "3")]
    pub(super) bytes: bytes::Bytes,
}

/// A device.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct DeviceRow {
    /// Empty until it has one.
    #[prost(bytes = "vec", tag = "1")]
    pub(super) mailbox: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    pub(super) one_time: Option<PoolRow>,
    #[prost(message, optional, tag = "3")]
    pub(super) one_time_kem: Option<PoolRow>,
    #[prost(bool, tag = "4")]
    pub(super) has_signed: bool,
    #[prost(bool, tag = "5")]
    pub(super) has_last_resort: bool,
    /// When the signed prekey came.
    #[prost(uint64, tag = "6")]
    pub(super) signed_at: u64,
    #[prost(uint64, tag = "7")]
    pub(super) last_resort_at: u64,
    /// When one-time prekeys last came.
    #[prost(uint64, tag = "8")]
    pub(super) one_time_at: u64,
    /// The counter of the first key set that listed it.
    #[prost(uint64, tag = "9")]
    pub(super) added_at_counter: u64,
}

/// A pool of one-time prekeys.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct PoolRow {
    /// Keys left.
    #[prost(uint32, tag = "1")]
    pub(super) count: u32,
    /// One above the highest id ever uploaded.
    #[prost(uint64, tag = "2")]
    pub(super) next_id: u64,
    /// No key is left below this id.
    #[prost(uint32, tag = "3")]
    pub(super) first_id: u32,
}

/// An account's reset: allowed by a ticket, or pending.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ResetRow {
    /// The ticket's hash. It stays while the reset is pending, for who repeats the request.
    #[prost(bytes = "vec", tag = "1")]
    pub(super) ticket: Vec<u8>,
    #[prost(uint64, tag = "2")]
    pub(super) ticket_expires_at: u64,
    #[prost(message, optional, tag = "3")]
    pub(super) pending: Option<PendingResetRow>,
}

/// What will happen to the account.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PendingResetRow {
    #[prost(uint64, tag = "1")]
    pub(super) requested_at: u64,
    #[prost(uint64, tag = "2")]
    pub(super) effective_at: u64,
    /// The hash of the key set before.
    #[prost(bytes = "vec", tag = "3")]
    pub(super) previous: Vec<u8>,
    #[prost(uint64, tag = "4")]
    pub(super) counter: u64,
    #[prost(bytes = "vec", tag = "5")]
    pub(super) hash: Vec<u8>,
    #[prost(bytes = "bytes", tag = "6")]
    pub(super) key_set: bytes::Bytes,
    #[prost(uint32, tag = "7")]
    pub(super) device: u32,
    #[prost(bytes = "vec", tag = "8")]
    pub(super) mailbox: Vec<u8>,
    #[prost(message, optional, tag = "9")]
    pub(super) signed: Option<PrekeyRow>,
    #[prost(message, optional, tag = "10")]
    pub(super) last_resort: Option<PrekeyRow>,
    #[prost(message, repeated, tag = "11")]
    pub(super) one_time: Vec<PrekeyRow>,
    #[prost(message, repeated, tag = "12")]
    pub(super) one_time_kem: Vec<PrekeyRow>,
}

/// A prekey of a device that is not there yet.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PrekeyRow {
    #[prost(uint32, tag = "1")]
    pub(super) id: u32,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) bytes: bytes::Bytes,
}

/// A blob.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct BlobRow {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) owner: Vec<u8>,
    #[prost(uint64, tag = "2")]
    pub(super) size: u64,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) digest: Vec<u8>,
    #[prost(uint32, tag = "4")]
    pub(super) chunk_len: u32,
    #[prost(uint64, tag = "5")]
    pub(super) received: u64,
    #[prost(bool, tag = "6")]
    pub(super) complete: bool,
    #[prost(uint64, tag = "7")]
    pub(super) expires_at: u64,
}

pub(super) fn decode<M: prost::Message + Default>(row: &[u8], space: &'static str) -> Result<M, StoreError> {
    M::decode(row).map_err(|_| StoreError::Corrupt { space })
}

pub(super) fn encode(row: &impl prost::Message) -> Slice {
    Slice::from(row.encode_to_vec())
}

impl DeviceRow {
    pub(super) fn mailbox(&self) -> Result<Option<MailboxId>, StoreError> {
        if self.mailbox.is_empty() {
            return Ok(None);
        }
        MailboxId::parse(&self.mailbox).map(Some).map_err(|_| StoreError::Corrupt { space: "devices" })
    }
}

/// The device number in a device key.
pub(super) fn parse_device_key(key: &[u8]) -> Result<DeviceAddress, StoreError> {
    DeviceAddress::parse(key.get(1..).unwrap_or_default()).map_err(|_| StoreError::Corrupt { space: "devices" })
}

/// The device numbers of an account row that were ever used.
pub(super) fn was_used(account: &AccountRow, device: DeviceNumber) -> bool {
    account.used_numbers.contains(&device.get())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn prefix_end_is_the_next_prefix() {
        assert_eq!(prefix_end(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(prefix_end(&[1, 255, 255]), Some(vec![2]));
        assert_eq!(prefix_end(&[255]), None);
    }

    proptest::proptest! {
        #[test]
        fn fixed_rows_refuse_what_they_did_not_write(bytes: Vec<u8>) {
            let _ = EnvelopeHeader::parse(&bytes);
            let _ = parse_envelope_key(&bytes);
            let _ = parse_expiry_key(&bytes);
            if let Ok(row) = IdRow::parse(&bytes) {
                proptest::prop_assert_eq!(&row.write()[..], &bytes[..]);
            }
            if let Ok(row) = MailboxRow::parse(&bytes) {
                proptest::prop_assert_eq!(&row.write()[..], &bytes[..]);
            }
        }
    }
}
