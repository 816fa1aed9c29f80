//! Fetching the envelopes that references name ([`super::deposit`] has the other side).
//!
//! A reference is taken from a session only, so that whoever wrote it is known, and only where a carrier brought it. The relay that is asked
//! is the one of the contact, as the contact's record has it, and never one that the reference alone names: otherwise whoever writes to
//! this device could make it connect to any machine, and learn its address. What comes back is an envelope like any other: it opens and
//! authenticates, or it does not. A reference inside one that was fetched is not followed, so that there are no chains.
//!
//! A reference is durable before the carrier is answered. Fetching is tried for as long as the blob is kept, and given up by name; nothing
//! is lost by that, since the sender's device hears nothing and takes the relay.

use rcseal_crypto::secret::Secret;
use rcseal_wire::content::EnvelopeReference;
use rcseal_wire::id::{BlobId, DeviceAddress, Digest, EnvelopeId};
use rcseal_wire::origin::Origin;
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};
use zeroize::Zeroize as _;

use super::prefix;
use crate::account::{Account, AccountError};
use crate::context::{Arrival, Engine, Reference, UnixMillis};
use crate::inbox::Disposition;
use crate::media::{open_whole, sealed_len};
use crate::need::Need;
use crate::pages::Pages;
use crate::record::{Record, key};
use crate::store::{BadRow, Order, StoreError, Table, prefix_end};

/// References of one device that wait: a burst of long messages. Each has at most an envelope behind it.
pub(super) const WAITING_PER_DEVICE_MAX: usize = 16;
/// How long one is worth fetching: as long as the sender's relay keeps the blob.
pub(super) const WAITING_MS_MAX: u64 = 24 * 3600 * 1000;
/// Rows read at once.
const PAGE: usize = 64;

/// Which reference a blob was fetched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchId {
    device: DeviceAddress,
    envelope: EnvelopeId,
}

/// A blob to fetch.
pub struct Fetch {
    /// For what; goes back with the answer.
    pub id: FetchId,
    /// Where: the contact's server.
    pub origin: Origin,
    /// Which.
    pub blob: BlobId,
    /// Bytes of ciphertext: more are not to be read.
    pub len: u64,
    /// Their SHA-256.
    pub digest: Digest,
}

/// Without the blob's id, which is the leave to fetch it.
impl std::fmt::Debug for Fetch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetch").field("origin", &self.origin).field("len", &self.len).finish_non_exhaustive()
    }
}

/// Why a blob was not fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchFailure {
    /// The server does not have it, or not any more.
    Gone,
    /// It is not what the reference names.
    Damaged,
    /// The server cannot be reached, or not now.
    Unavailable,
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct FetchRecord {
    blob: [u8; 32],
    key: [u8; 32],
    digest: [u8; 32],
    size: u64,
    attempts: u32,
    due_at_ms: u64,
    since_ms: u64,
}

impl Record for FetchRecord {
    const VERSION: u8 = 1;
}

impl Drop for FetchRecord {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl FetchId {
    fn key(&self) -> Vec<u8> {
        key(&[&[prefix::FETCH], &self.device.to_bytes(), self.envelope.as_bytes()])
    }

    fn parse(row_key: &[u8]) -> Result<Self, StoreError> {
        let bad = || BadRow::error(Table::Carrier);
        let (device, envelope) =
            row_key.get(1..).and_then(|rest| rest.split_at_checked(DeviceAddress::LEN)).ok_or_else(bad)?;
        Ok(Self {
            device: DeviceAddress::parse(device).map_err(|_| bad())?,
            envelope: EnvelopeId::parse(envelope).map_err(|_| bad())?,
        })
    }
}

impl Engine<'_> {
    /// A device said where an envelope is kept.
    pub(crate) fn take_reference(
        &mut self,
        own: &Account,
        device: DeviceAddress,
        reference: &EnvelopeReference,
    ) -> Result<(), StoreError> {
        let refusal = self.refusal(own, device, reference)?;
        self.arrival.reference = Some(if refusal.is_none() { Reference::Kept } else { Reference::Refused });
        if let Some(code) = refusal {
            return self.count_mutation(code);
        }
        let row_key = FetchId { device, envelope: reference.envelope }.key();
        // Said twice it is fetched once, and what was said first counts.
        if self.tx.get(Table::Carrier, &row_key)?.is_some() {
            return Ok(());
        }
        let blob = &reference.blob;
        let record = FetchRecord {
            blob: *blob.id.as_bytes(),
            key: *blob.key.expose(),
            digest: *blob.digest.as_bytes(),
            size: blob.size,
            attempts: 0,
            due_at_ms: self.now.0,
            since_ms: self.now.0,
        };
        self.tx.put(Table::Carrier, &row_key, &record.to_row())
    }

    /// Why a reference is not followed.
    fn refusal(
        &self,
        own: &Account,
        device: DeviceAddress,
        reference: &EnvelopeReference,
    ) -> Result<Option<&'static str>, StoreError> {
        // A relay would have brought the envelope itself, and devices of one account do not write to each other by a carrier.
        if !self.arrival.is_by_carrier || self.arrival.is_fetched || device.account == own.address.account {
            return Ok(Some("reference_misplaced"));
        }
        let contact = self.known_contact(device.account)?;
        if contact.is_none_or(|contact| contact.origin != reference.blob.origin) {
            return Ok(Some("reference_foreign_origin"));
        }
        let start = key(&[&[prefix::FETCH], &device.to_bytes()]);
        let rows =
            self.tx.scan(Table::Carrier, &start, &prefix_end(&start), WAITING_PER_DEVICE_MAX, Order::Ascending)?;
        Ok((rows.len() >= WAITING_PER_DEVICE_MAX).then_some("reference_crowded"))
    }

    /// Blobs that are due to be fetched.
    pub(crate) fn poll_fetches(&mut self, needs: &mut Vec<Need>, limit: usize) -> Result<(), StoreError> {
        let mut pages = Pages::new(Table::Carrier, &[prefix::FETCH], PAGE);
        while needs.len() < limit
            && let Some(rows) = pages.next(self.tx)?
        {
            for (row_key, row) in &rows {
                let (id, record) = (FetchId::parse(row_key)?, FetchRecord::from_row(Table::Carrier, row)?);
                if self.now.since(UnixMillis(record.since_ms)) > WAITING_MS_MAX {
                    self.drop_fetch(id, "reference_expired")?;
                    continue;
                }
                // Where the contact is now, and only while it is one that is heard.
                let contact = self.known_contact(id.device.account)?.filter(|contact| !contact.is_blocked);
                let Some(contact) = contact else {
                    self.tx.delete(Table::Carrier, row_key)?;
                    continue;
                };
                if record.due_at_ms <= self.now.0 && needs.len() < limit {
                    needs.push(Need::FetchEnvelope(Fetch {
                        id,
                        origin: contact.origin,
                        blob: BlobId::from_bytes(record.blob),
                        len: sealed_len(record.size),
                        digest: Digest::from_bytes(record.digest),
                    }));
                }
            }
        }
        Ok(())
    }

    /// When a blob is due to be fetched next; `None` when none is.
    pub(crate) fn poll_fetches_timeout(&self) -> Result<Option<UnixMillis>, StoreError> {
        let mut pages = Pages::new(Table::Carrier, &[prefix::FETCH], PAGE);
        let mut next = None::<UnixMillis>;
        while let Some(rows) = pages.next(self.tx)? {
            for (_, row) in &rows {
                let due = UnixMillis(FetchRecord::from_row(Table::Carrier, row)?.due_at_ms);
                next = Some(next.map_or(due, |next| next.min(due)));
            }
        }
        Ok(next)
    }

    /// A blob was fetched. What is in it is taken in like any other envelope; `None` where it is not what the reference names, or where
    /// nobody waits for it any more.
    ///
    /// # Errors
    /// Those of the store.
    pub fn handle_fetched(&mut self, id: FetchId, sealed: &[u8]) -> Result<Option<Disposition>, AccountError> {
        let Some(row) = self.tx.get(Table::Carrier, &id.key())? else { return Ok(None) };
        let record = FetchRecord::from_row(Table::Carrier, &row)?;
        let digest = Digest::from_bytes(record.digest);
        let Ok(envelope) = open_whole(Secret::from_bytes(record.key), record.size, digest, sealed) else {
            self.drop_fetch(id, "reference_damaged")?;
            return Ok(None);
        };
        self.tx.delete(Table::Carrier, &id.key())?;
        let is_by_broker = self.is_on_broker()?;
        let before = std::mem::replace(&mut self.arrival, Arrival::by_reference(is_by_broker));
        let disposition = self.handle_envelope(id.envelope, &envelope);
        self.arrival = before;
        disposition.map(Some)
    }

    /// A blob was not fetched.
    ///
    /// # Errors
    /// Those of the store.
    pub fn handle_fetch_failed(&mut self, id: FetchId, failure: FetchFailure) -> Result<(), StoreError> {
        let Some(row) = self.tx.get(Table::Carrier, &id.key())? else { return Ok(()) };
        match failure {
            FetchFailure::Gone => self.drop_fetch(id, "reference_gone"),
            FetchFailure::Damaged => self.drop_fetch(id, "reference_damaged"),
            FetchFailure::Unavailable => {
                let mut record = FetchRecord::from_row(Table::Carrier, &row)?;
                record.attempts = record.attempts.saturating_add(1);
                record.due_at_ms = self.retry_at(record.attempts).0;
                self.tx.put(Table::Carrier, &id.key(), &record.to_row())
            }
        }
    }

    fn drop_fetch(&mut self, id: FetchId, code: &str) -> Result<(), StoreError> {
        self.tx.delete(Table::Carrier, &id.key())?;
        self.count_mutation(code)
    }
}
