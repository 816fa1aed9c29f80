//! Envelopes that are too long for a carrier: kept at our own relay, and named by a reference in the frame.
//!
//! The envelope is sealed once more, under a key of its own, and the shell puts it at our relay as a blob. Then a second, short envelope is
//! encrypted on the session with the device, which says where the blob is, how long, its digest, and the key ([`Body::EnvelopeReference`]).
//! That one goes into the frame. The carrier has a ciphertext like any other: no address, no id, and nothing of the one in the blob. The
//! relay has bytes under a key that it does not know: without the second seal it would see an envelope's tag together with the account that
//! logged in to leave it, and the tags of sessions are what submissions without a login are there to keep apart from accounts.
//!
//! ```text
//! ready ── too long, or longer than a reference is worth ──> depositing ── the relay has it ──> ready, with the reference
//!   ^                                                            │
//!   └────── the relay does not take it, or not in time: ─────────┘  directly where it fits, else by the relay as an envelope
//! ```
//!
//! Everything is in the store before the shell has it, so whatever is interrupted begins again: a blob that nobody names any more expires.

use rcseal_crypto::secret::Secret;
use rcseal_rcs::frame::{FrameError, FrameId, Kind, Part, split};
use rcseal_rcs::transport::{Carriage, TransportProfile};
use rcseal_wire::content::{BlobReference, Body, EnvelopeReference};
use rcseal_wire::id::{BlobId, Digest};
use rcseal_wire::origin::Origin;
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};
use zeroize::Zeroize as _;

use super::route::{Phase, RouteRecord, Step, Way};
use crate::account::AccountError;
use crate::context::{Engine, UnixMillis};
use crate::conversation::direct_conversation_id;
use crate::media::seal_whole;
use crate::outbox::OutboxRecord;
use crate::record::{Record, key};
use crate::send::{as_account_error, native_identity};
use crate::store::{StoreError, StoreErrorKind, Table};

/// First byte of the key of a deposit that the relay does not have yet, with the outbox's number.
const DEPOSIT: u8 = 3;
/// First byte of the key of an envelope that says where another is kept, with the outbox's number.
const REFERENCE: u8 = 4;

/// Messages up to which an envelope goes directly. Each is charged for, may be lost, and takes the others with it. A reference takes one, and in
/// exchange the relay twice, some ten round trips: about the time of eight messages one after another.
pub(super) const DIRECT_MESSAGES_MAX: usize = 8;
/// Bytes up to which an envelope goes directly, as the carrier counts them: the bucket of 16 KiB in either form. A reference takes less
/// than one KiB. A bearer slow enough to choose a carrier for, 200 kbit/s, takes longer for more than for the relay's round trips.
pub(super) const DIRECT_BYTES_MAX: usize = 32 * 1024;
/// How long a reference's envelope is taken to be before it is made: the smallest bucket, unless the relay's name is very long. Where that
/// does not fit, no blob is made.
const REFERENCE_LEN: usize = 512;
/// How long the relay may take to have the blob: the shell tries once, with a dozen round trips at most.
const DEPOSIT_MS_MAX: u64 = 20_000;
/// How long the relay is asked to keep the blob: a day. When the patience ends, the envelope itself goes by the relay, so that a later
/// fetch brings what is here already.
const TTL_SECONDS: u32 = 24 * 3600;

/// An envelope to be kept at our own relay.
#[must_use = "what is not deposited goes another way only after a while"]
pub struct Deposit {
    /// Which server.
    pub origin: Origin,
    /// What it is to keep. The key is nowhere in here.
    pub bytes: Vec<u8>,
    /// Its SHA-256.
    pub digest: Digest,
    /// For how long.
    pub ttl_seconds: u32,
}

/// Without the bytes.
impl std::fmt::Debug for Deposit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deposit").field("origin", &self.origin).field("len", &self.bytes.len()).finish_non_exhaustive()
    }
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct DepositRecord {
    key: [u8; 32],
    until_ms: u64,
}

impl Record for DepositRecord {
    const VERSION: u8 = 1;
}

impl Drop for DepositRecord {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

fn deposit_key(number: u64) -> Vec<u8> {
    key(&[&[DEPOSIT], &number.to_be_bytes()])
}

fn reference_key(number: u64) -> Vec<u8> {
    key(&[&[REFERENCE], &number.to_be_bytes()])
}

/// Whether a reference is smaller than these parts on a carrier, and would pass there.
pub(super) fn is_reference_smaller(direct: &Result<Vec<Part>, FrameError>, profile: &TransportProfile) -> bool {
    let len = |part: &Part| match part.carriage(profile) {
        Carriage::Framed { bytes, .. } => bytes.len(),
        Carriage::Verbatim { .. } => 0,
    };
    let is_long = match direct {
        Ok(parts) => parts.len() > DIRECT_MESSAGES_MAX || parts.iter().map(len).sum::<usize>() > DIRECT_BYTES_MAX,
        Err(FrameError::TooManyParts { .. }) => true,
        Err(FrameError::TooLarge { .. } | FrameError::BodyTooShort { .. } | FrameError::Empty) => false,
    };
    is_long && split(Kind::BlobReference, FrameId::from_bytes([0; 16]), &[0; REFERENCE_LEN], profile).is_ok()
}

/// What the engine seals is within every limit.
fn as_store_error(error: crate::media::MediaError) -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, error)
}

impl Engine<'_> {
    /// An envelope is to be kept at our relay before it is handed over.
    pub(super) fn begin_deposit(
        &mut self,
        number: u64,
        record: &OutboxRecord,
        mut route: RouteRecord,
    ) -> Result<Step, AccountError> {
        let blob_key = Secret::<32>::generate(self.rng);
        let deposit = DepositRecord { key: *blob_key.expose(), until_ms: self.now.plus(DEPOSIT_MS_MAX).0 };
        self.tx.put(Table::CarrierRoute, &deposit_key(number), &deposit.to_row())?;
        route.set_phase(Phase::Depositing);
        self.put_carrier_route(number, &route)?;
        self.deposit(&deposit, record).map(Step::Deposit)
    }

    /// What the shell is to do for an envelope that the relay does not have yet; `None` when its time is over.
    pub(super) fn deposit_step(&mut self, number: u64, record: &OutboxRecord) -> Result<Option<Step>, AccountError> {
        let Some(deposit) = self.deposit_record(number)? else { return Ok(None) };
        let left_ms = UnixMillis(deposit.until_ms).since(self.now);
        // More than there was to begin with is left where a clock went back: networks set the clocks of phones.
        if left_ms == 0 || left_ms > DEPOSIT_MS_MAX {
            return Ok(None);
        }
        self.deposit(&deposit, record).map(|deposit| Some(Step::Deposit(deposit)))
    }

    fn deposit_record(&self, number: u64) -> Result<Option<DepositRecord>, StoreError> {
        let Some(row) = self.tx.get(Table::CarrierRoute, &deposit_key(number))? else { return Ok(None) };
        DepositRecord::from_row(Table::CarrierRoute, &row).map(Some)
    }

    /// The same bytes each time.
    fn deposit(&self, deposit: &DepositRecord, record: &OutboxRecord) -> Result<Deposit, AccountError> {
        let (bytes, digest) = seal_whole(Secret::from_bytes(deposit.key), record.envelope()).map_err(as_store_error)?;
        Ok(Deposit { origin: self.account()?.origin, bytes, digest, ttl_seconds: TTL_SECONDS })
    }

    /// The envelope that says where the one of a row is kept.
    pub(super) fn reference_of(&self, number: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.tx.get(Table::CarrierRoute, &reference_key(number))
    }

    /// Our relay has a blob whole, under this id.
    ///
    /// # Errors
    /// Those of the store.
    pub fn handle_deposited(&mut self, number: u64, id: BlobId) -> Result<(), AccountError> {
        let Some((record, route)) = self.depositing(number)? else { return Ok(()) };
        let reference = match self.deposit_record(number)? {
            Some(deposit) => self.encrypt_reference(&record, &route, &deposit, id)?,
            None => None,
        };
        let way = match reference {
            Some(reference) => {
                self.tx.put(Table::CarrierRoute, &reference_key(number), &reference)?;
                Way::Reference
            }
            None => Way::Direct,
        };
        self.end_deposit(number, record, route, way)
    }

    /// Our relay does not take a blob, or cannot be reached: the envelope goes without one.
    ///
    /// # Errors
    /// Those of the store.
    pub fn handle_deposit_failed(&mut self, number: u64) -> Result<(), AccountError> {
        let Some((record, route)) = self.depositing(number)? else { return Ok(()) };
        self.end_deposit(number, record, route, Way::Direct)
    }

    fn depositing(&self, number: u64) -> Result<Option<(OutboxRecord, RouteRecord)>, StoreError> {
        let (Some(record), Some(route)) = (self.outgoing_row(number)?, self.carrier_route(number)?) else {
            return Ok(None);
        };
        Ok((route.phase()? == Phase::Depositing).then_some((record, route)))
    }

    fn end_deposit(
        &mut self,
        number: u64,
        mut record: OutboxRecord,
        mut route: RouteRecord,
        way: Way,
    ) -> Result<(), AccountError> {
        self.tx.delete(Table::CarrierRoute, &deposit_key(number))?;
        route.set_phase(Phase::Ready);
        route.set_way(way);
        self.put_carrier_route(number, &route)?;
        record.due_at_ms = self.now.0;
        Ok(self.put_outgoing(number, &record)?)
    }

    /// Says to a device, on the session with it, where an envelope is kept. `None` where there is no session that it could be said on, or
    /// where nothing goes to the device by the carrier any more.
    fn encrypt_reference(
        &mut self,
        record: &OutboxRecord,
        route: &RouteRecord,
        deposit: &DepositRecord,
        id: BlobId,
    ) -> Result<Option<Vec<u8>>, AccountError> {
        let (account, device) = (self.account()?, record.recipient()?);
        let message = record.message().map(|key| self.message(key)).transpose()?.flatten();
        let Some(message) = message else { return Ok(None) };
        if !self.is_way_still(device, &route.to()?, message.id)? {
            return Ok(None);
        }
        let Some(key_set) = self.key_set(device.account)? else { return Ok(None) };
        let Some(identity) = native_identity(&key_set, device.device)? else { return Ok(None) };
        let Some(mut session) = self.sendable_session(device, identity)? else { return Ok(None) };
        if self.is_suspected(device)? {
            return Ok(None);
        }
        let kept = self.deposit(deposit, record)?;
        let reference = EnvelopeReference {
            envelope: record.envelope_id(),
            blob: BlobReference {
                id,
                key: Secret::from_bytes(deposit.key),
                digest: kept.digest,
                size: record.envelope().len() as u64,
                origin: kept.origin,
            },
        };
        let conversation = direct_conversation_id(account.address.account, device.account);
        let payload = self
            .notice(&account, conversation, Body::EnvelopeReference(Box::new(reference)))
            .map_err(as_account_error)?;
        self.encrypt_on(&account, &mut session, &key_set, &payload).map_err(as_account_error)
    }

    /// What was known of a deposit goes with its row.
    pub(super) fn forget_deposit(&mut self, number: u64) -> Result<(), StoreError> {
        self.tx.delete(Table::CarrierRoute, &deposit_key(number))?;
        self.tx.delete(Table::CarrierRoute, &reference_key(number))
    }
}
