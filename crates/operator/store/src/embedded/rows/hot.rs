//! Rows that every envelope reads or writes: fixed layouts.

use fjall::Slice;
use rcseal_wire::id::{DeviceAddress, EnvelopeId};

use super::fields::{Fields, joined};
use crate::mailbox::MailboxSeq;
use crate::{StoreError, UnixMillis};

/// What an envelope row carries in front of the envelope.
pub(in crate::embedded) const ENVELOPE_HEADER_LEN: usize = 32;

/// An envelope row, without its body.
#[derive(Debug, Clone, Copy)]
pub(in crate::embedded) struct EnvelopeHeader {
    pub(in crate::embedded) id: EnvelopeId,
    pub(in crate::embedded) received_at: UnixMillis,
    pub(in crate::embedded) expires_at: UnixMillis,
}

impl EnvelopeHeader {
    pub(in crate::embedded) fn write(&self, envelope: &[u8]) -> Slice {
        let mut row = Vec::with_capacity(ENVELOPE_HEADER_LEN + envelope.len());
        row.extend_from_slice(self.id.as_bytes());
        row.extend_from_slice(&self.received_at.get().to_be_bytes());
        row.extend_from_slice(&self.expires_at.get().to_be_bytes());
        row.extend_from_slice(envelope);
        Slice::from(row)
    }

    pub(in crate::embedded) fn parse(row: &[u8]) -> Result<Self, StoreError> {
        let mut fields = Fields::new(row, "envelopes");
        Ok(Self {
            id: EnvelopeId::from_bytes(fields.take()?),
            received_at: UnixMillis::new(fields.u64()?),
            expires_at: UnixMillis::new(fields.u64()?),
        })
    }
}

/// What is remembered of an id until its envelope's time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::embedded) struct IdRow {
    pub(in crate::embedded) seq: MailboxSeq,
    pub(in crate::embedded) expires_at: UnixMillis,
    pub(in crate::embedded) len: u32,
    pub(in crate::embedded) check: [u8; 16],
}

impl IdRow {
    pub(in crate::embedded) fn write(&self) -> Slice {
        joined!(
            36,
            &self.seq.get().to_be_bytes(),
            &self.expires_at.get().to_be_bytes(),
            &self.len.to_be_bytes(),
            &self.check
        )
    }

    pub(in crate::embedded) fn parse(row: &[u8]) -> Result<Self, StoreError> {
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

/// A mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::embedded) struct MailboxRow {
    pub(in crate::embedded) device: DeviceAddress,
    /// The seq of the next envelope.
    pub(in crate::embedded) next: u64,
    /// Nothing waits below this seq: a fetch need not look at what was acknowledged there.
    pub(in crate::embedded) head: u64,
    /// Envelopes that wait.
    pub(in crate::embedded) envelopes: u64,
    /// Bytes of their bodies.
    pub(in crate::embedded) bytes: u64,
}

impl MailboxRow {
    pub(in crate::embedded) const fn new(device: DeviceAddress) -> Self {
        // Seq 0 is the place before the first envelope.
        Self { device, next: 1, head: 1, envelopes: 0, bytes: 0 }
    }

    pub(in crate::embedded) fn write(&self) -> Slice {
        joined!(
            49,
            &self.device.to_bytes(),
            &self.next.to_be_bytes(),
            &self.head.to_be_bytes(),
            &self.envelopes.to_be_bytes(),
            &self.bytes.to_be_bytes()
        )
    }

    pub(in crate::embedded) fn parse(row: &[u8]) -> Result<Self, StoreError> {
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
    pub(in crate::embedded) fn remove(&mut self, len: u32) {
        self.envelopes = self.envelopes.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(u64::from(len));
        if self.envelopes == 0 {
            self.head = self.next;
        }
    }
}

pub(in crate::embedded) fn write_u64(number: u64) -> Slice {
    Slice::from(number.to_be_bytes())
}

pub(in crate::embedded) fn parse_u64(row: &[u8], space: &'static str) -> Result<u64, StoreError> {
    let mut fields = Fields::new(row, space);
    let number = fields.u64()?;
    fields.end()?;
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::super::keys::{parse_envelope_key, parse_expiry_key};
    use super::*;

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
