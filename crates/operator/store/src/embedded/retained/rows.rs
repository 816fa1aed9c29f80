//! Rows and keys of what the server can read, told apart by the first byte of the key.
//!
//! | key | value |
//! |---|---|
//! | `m`, account 16, sequence 8 | a kept message |
//! | `i`, id 16 | account 16, sequence 8 |
//! | `e`, expiry 8, account 16, sequence 8 | nothing |
//! | `u`, account 16 | next sequence 8, messages 8, bytes 8 |
//! | `f`, account 16, sender's account 16 | messages 8, bytes 8: what is kept of this sender; gone with the last message |
//! | `k`, key id 16 | a key |
//! | `l`, label | key id 16 |
//! | `a`, number 8 | a row of the record |
//! | `h`, `t` | number 8, hash 32: the record's newest row, and what its oldest one follows |

use fjall::{Slice, UserKey};
use rcseal_wire::id::{AccountId, DeviceAddress, KeySetCounter, RetainedId, ServerKeyId};

use super::super::rows::{Fields, joined};
use crate::audit::{AuditActor, AuditEntry, AuditHash, AuditHead, AuditOutcome, AuditRow};
use crate::retained::{NewRetained, RetainedEntry, RetainedRecord, ServerKeyRecord};
use crate::{StoreError, UnixMillis};

const SPACE: &str = "retained";
pub(super) const EXPIRY_PREFIX: &[u8] = b"e";
pub(super) const MESSAGE_PREFIX: &[u8] = b"m";
pub(super) const AUDIT_PREFIX: &[u8] = b"a";

pub(super) const fn corrupt() -> StoreError {
    StoreError::Corrupt { space: SPACE }
}

pub(super) fn message_key(to: AccountId, sequence: u64) -> UserKey {
    joined!(25, b"m", to.as_bytes(), &sequence.to_be_bytes())
}

pub(super) fn id_key(id: RetainedId) -> UserKey {
    joined!(17, b"i", id.as_bytes())
}

pub(super) fn expiry_key(expires_at: UnixMillis, to: AccountId, sequence: u64) -> UserKey {
    joined!(33, b"e", &expires_at.get().to_be_bytes(), to.as_bytes(), &sequence.to_be_bytes())
}

pub(super) fn usage_key(to: AccountId) -> UserKey {
    joined!(17, b"u", to.as_bytes())
}

pub(super) fn sender_key(to: AccountId, from: AccountId) -> UserKey {
    joined!(33, b"f", to.as_bytes(), from.as_bytes())
}

pub(super) fn server_key_key(id: ServerKeyId) -> UserKey {
    joined!(17, b"k", id.as_bytes())
}

pub(super) fn label_key(label: &str) -> UserKey {
    UserKey::from([b"l", label.as_bytes()].concat())
}

pub(super) fn audit_key(number: u64) -> UserKey {
    joined!(9, b"a", &number.to_be_bytes())
}

pub(super) fn head_key() -> UserKey {
    joined!(1, b"h")
}

pub(super) fn tail_key() -> UserKey {
    joined!(1, b"t")
}

/// The recipient and the sequence behind a tag.
pub(super) fn parse_message_key(key: &[u8]) -> Result<(AccountId, u64), StoreError> {
    let mut fields = Fields::new(key, SPACE);
    let _tag: [u8; 1] = fields.take()?;
    let place = (AccountId::from_bytes(fields.take()?), fields.u64()?);
    fields.end()?;
    Ok(place)
}

pub(super) fn parse_expiry_key(key: &[u8]) -> Result<(UnixMillis, AccountId, u64), StoreError> {
    let mut fields = Fields::new(key, SPACE);
    let _tag: [u8; 1] = fields.take()?;
    let parsed = (UnixMillis::new(fields.u64()?), AccountId::from_bytes(fields.take()?), fields.u64()?);
    fields.end()?;
    Ok(parsed)
}

pub(super) fn write_place(to: AccountId, sequence: u64) -> Slice {
    joined!(24, to.as_bytes(), &sequence.to_be_bytes())
}

pub(super) fn parse_place(row: &[u8]) -> Result<(AccountId, u64), StoreError> {
    let mut fields = Fields::new(row, SPACE);
    let place = (AccountId::from_bytes(fields.take()?), fields.u64()?);
    fields.end()?;
    Ok(place)
}

/// What is kept for one recipient.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    pub(super) next: u64,
    pub(super) messages: u64,
    pub(super) bytes: u64,
}

impl Usage {
    pub(super) const NONE: Self = Self { next: 1, messages: 0, bytes: 0 };

    pub(super) fn write(self) -> Slice {
        joined!(24, &self.next.to_be_bytes(), &self.messages.to_be_bytes(), &self.bytes.to_be_bytes())
    }

    pub(super) fn parse(row: &[u8]) -> Result<Self, StoreError> {
        let mut fields = Fields::new(row, SPACE);
        let usage = Self { next: fields.u64()?, messages: fields.u64()?, bytes: fields.u64()? };
        fields.end()?;
        Ok(usage)
    }
}

/// What is kept for one recipient of one sender.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SenderUsage {
    pub(super) messages: u64,
    pub(super) bytes: u64,
}

impl SenderUsage {
    pub(super) fn write(self) -> Slice {
        joined!(16, &self.messages.to_be_bytes(), &self.bytes.to_be_bytes())
    }

    pub(super) fn parse(row: &[u8]) -> Result<Self, StoreError> {
        let mut fields = Fields::new(row, SPACE);
        let usage = Self { messages: fields.u64()?, bytes: fields.u64()? };
        fields.end()?;
        Ok(usage)
    }
}

pub(super) fn write_head(head: AuditHead) -> Slice {
    joined!(40, &head.number.to_be_bytes(), &head.hash.0)
}

pub(super) fn parse_head(row: &[u8]) -> Result<AuditHead, StoreError> {
    let mut fields = Fields::new(row, SPACE);
    let head = AuditHead { number: fields.u64()?, hash: AuditHash(fields.take()?) };
    fields.end()?;
    Ok(head)
}

/// A kept message.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct MessageRow {
    #[prost(bytes = "vec", tag = "1")]
    from: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) id: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    key: Vec<u8>,
    #[prost(string, tag = "4")]
    class: String,
    #[prost(string, tag = "5")]
    region: String,
    #[prost(uint64, tag = "6")]
    sent_at: u64,
    #[prost(uint64, tag = "7")]
    pub(super) expires_at: u64,
    #[prost(bytes = "bytes", tag = "8")]
    pub(super) sealed: bytes::Bytes,
    /// Of the recipient's key set when it came.
    #[prost(uint64, tag = "9")]
    counter: u64,
}

impl MessageRow {
    /// Whose message it is.
    pub(super) fn sender(&self) -> Result<AccountId, StoreError> {
        DeviceAddress::parse(&self.from).map(|from| from.account).map_err(|_| corrupt())
    }

    pub(super) fn new(message: NewRetained, counter: u64) -> Self {
        Self {
            from: message.from.to_bytes().to_vec(),
            id: message.id.as_bytes().to_vec(),
            key: message.key.as_bytes().to_vec(),
            class: message.class,
            region: message.region,
            sent_at: message.now.get(),
            expires_at: message.expires_at.get(),
            sealed: message.sealed,
            counter,
        }
    }

    /// Whether this is what `message` would be stored as, whenever that came.
    pub(super) fn is_of(&self, message: &NewRetained) -> bool {
        self.from == message.from.to_bytes()
            && self.key == message.key.as_bytes()
            && self.class == message.class
            && self.sealed == message.sealed
    }

    pub(super) fn record(self, to: AccountId, sequence: u64) -> Result<RetainedRecord, StoreError> {
        let entry = RetainedEntry {
            to,
            sequence,
            id: RetainedId::parse(&self.id).map_err(|_| corrupt())?,
            from: DeviceAddress::parse(&self.from).map_err(|_| corrupt())?,
            key: ServerKeyId::parse(&self.key).map_err(|_| corrupt())?,
            class: self.class,
            region: self.region,
            sent_at: UnixMillis::new(self.sent_at),
            expires_at: UnixMillis::new(self.expires_at),
            counter: KeySetCounter::new(self.counter),
            sealed_len: self.sealed.len(),
        };
        Ok(RetainedRecord { entry, sealed: self.sealed })
    }
}

/// A key.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ServerKeyRow {
    #[prost(string, tag = "1")]
    label: String,
    #[prost(bytes = "bytes", tag = "2")]
    public_key: bytes::Bytes,
    #[prost(string, tag = "3")]
    region: String,
    #[prost(uint64, tag = "4")]
    adopted_at: u64,
}

impl From<ServerKeyRecord> for ServerKeyRow {
    fn from(key: ServerKeyRecord) -> Self {
        Self { label: key.label, public_key: key.public_key, region: key.region, adopted_at: key.adopted_at.get() }
    }
}

impl ServerKeyRow {
    pub(super) fn record(self, id: ServerKeyId) -> ServerKeyRecord {
        ServerKeyRecord {
            label: self.label,
            id,
            public_key: self.public_key,
            region: self.region,
            adopted_at: UnixMillis::new(self.adopted_at),
        }
    }
}

/// A row of the record.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct AuditRowBytes {
    #[prost(uint64, tag = "1")]
    at: u64,
    /// A device; empty where it was an operator.
    #[prost(bytes = "vec", tag = "2")]
    device: Vec<u8>,
    #[prost(string, tag = "3")]
    operator: String,
    #[prost(string, tag = "4")]
    reason: String,
    #[prost(bytes = "vec", tag = "5")]
    message: Vec<u8>,
    #[prost(bytes = "vec", tag = "6")]
    recipient: Vec<u8>,
    #[prost(bytes = "vec", tag = "7")]
    key: Vec<u8>,
    #[prost(uint32, tag = "8")]
    outcome: u32,
    #[prost(bytes = "vec", tag = "9")]
    hash: Vec<u8>,
}

impl From<&AuditRow> for AuditRowBytes {
    fn from(row: &AuditRow) -> Self {
        let (device, operator, reason) = match &row.entry.actor {
            AuditActor::Device(device) => (device.to_bytes().to_vec(), String::new(), String::new()),
            AuditActor::Operator { name, reason } => (Vec::new(), name.clone(), reason.clone()),
        };
        Self {
            at: row.entry.at.get(),
            device,
            operator,
            reason,
            message: row.entry.message.as_bytes().to_vec(),
            recipient: row.entry.recipient.as_bytes().to_vec(),
            key: row.entry.key.as_bytes().to_vec(),
            outcome: row.entry.outcome.code().into(),
            hash: row.hash.0.to_vec(),
        }
    }
}

impl AuditRowBytes {
    /// The row as it stands there. Whether its hash is right is for the chain to say.
    pub(super) fn row(self, number: u64) -> Result<AuditRow, StoreError> {
        let actor = if self.device.is_empty() {
            AuditActor::Operator { name: self.operator, reason: self.reason }
        } else {
            AuditActor::Device(DeviceAddress::parse(&self.device).map_err(|_| corrupt())?)
        };
        let outcome = u8::try_from(self.outcome).ok().and_then(AuditOutcome::from_code).ok_or_else(corrupt)?;
        let entry = AuditEntry {
            at: UnixMillis::new(self.at),
            actor,
            message: RetainedId::parse(&self.message).map_err(|_| corrupt())?,
            recipient: AccountId::parse(&self.recipient).map_err(|_| corrupt())?,
            key: ServerKeyId::parse(&self.key).map_err(|_| corrupt())?,
            outcome,
        };
        Ok(AuditRow { number, entry, hash: AuditHash(self.hash.try_into().map_err(|_| corrupt())?) })
    }
}

/// The number in the key of a row of the record.
pub(super) fn parse_audit_key(key: &[u8]) -> Result<u64, StoreError> {
    let mut fields = Fields::new(key, SPACE);
    let _tag: [u8; 1] = fields.take()?;
    let number = fields.u64()?;
    fields.end()?;
    Ok(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::rows::decode;
    use super::*;

    proptest! {
        #[test]
        fn any_row_is_read_or_corrupt(bytes: Vec<u8>, number: u64) {
            let account = AccountId::from_bytes([1; 16]);
            let _ = decode::<MessageRow>(&bytes, SPACE).and_then(|row| row.record(account, number));
            let _ = decode::<AuditRowBytes>(&bytes, SPACE).and_then(|row| row.row(number));
            let _ = parse_message_key(&bytes);
            let _ = parse_expiry_key(&bytes);
            let _ = parse_place(&bytes);
            let _ = parse_head(&bytes);
            let _ = Usage::parse(&bytes);
            let _ = parse_audit_key(&bytes);
        }
    }
}
