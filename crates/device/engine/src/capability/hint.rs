//! Hints: what a carrier answered when it was asked about a number, and how the native way has gone lately.
//!
//! A hint has an expiry and chooses between end-to-end ways; it is never evidence of anything else. Questions are needs of the shell and are
//! rationed: one a day for a number that answered, one a quarter of an hour for one that did not, and [`QUERIES_PER_HOUR`] in all.

use rcseal_rcs::feature::FeatureTags;
use rcseal_rcs::number::PhoneNumber;
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

use super::NumberKey;
use crate::context::{Engine, UnixMillis};
use crate::policy::{CarrierHint, Observed};
use crate::record::{Record, key};
use crate::store::{BadRow, StoreError, Table};

/// How long an answer counts: a day, in which a phone may be replaced and the carrier not have noticed.
pub const HINT_MS: u64 = 24 * 3600 * 1000;
/// Between two questions about a number that nobody answered for: a quarter of an hour.
pub const ASK_AGAIN_MS: u64 = 15 * 60 * 1000;
/// Questions to the carrier in an hour, about all numbers: what a person can need, and too few to sweep a range of numbers.
pub const QUERIES_PER_HOUR: u32 = 60;
/// Contacts that answer for one number: a handful of devices.
const CONTACTS_MAX: usize = 16;
const HOUR_MS: u64 = 3600 * 1000;
const NUMBER: u8 = 1;
const RATION: u8 = 2;

#[derive(Default, TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct HintRecord {
    /// 0 none, 1 frames, 2 no frames.
    hint: u8,
    answered_at_ms: u64,
    asked_at_ms: u64,
    native_failures: u8,
    carrier_receipts: u8,
}

impl Record for HintRecord {
    const VERSION: u8 = 1;
}

#[derive(Default, TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct RationRecord {
    since_ms: u64,
    asked: u32,
}

impl Record for RationRecord {
    const VERSION: u8 = 1;
}

/// What is known of a number from the carrier, as apps see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HintView {
    /// What the carrier answered.
    pub hint: CarrierHint,
    /// When.
    pub answered_at: UnixMillis,
    /// Until when it counts.
    pub expires_at: UnixMillis,
}

/// How a hand-over of ciphertext to the carrier ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NativeOutcome {
    /// The peer's device confirmed it, end to end.
    Confirmed,
    /// It was refused, could not be handed over, or was not confirmed in time.
    Failed,
    /// The carrier says that it was delivered. It says nothing of a device that could read it.
    CarrierReceipt,
}

fn hint_key(number: NumberKey) -> Vec<u8> {
    key(&[&[NUMBER], number.as_bytes()])
}

impl Engine<'_> {
    fn hint_record(&self, number: NumberKey) -> Result<HintRecord, StoreError> {
        match self.tx.get(Table::Capability, &hint_key(number))? {
            Some(row) => HintRecord::from_row(Table::Capability, &row),
            None => Ok(HintRecord::default()),
        }
    }

    fn put_hint_record(&mut self, number: NumberKey, record: &HintRecord) -> Result<(), StoreError> {
        self.tx.put(Table::Capability, &hint_key(number), &record.to_row())
    }

    /// What the carrier answered about a number, while it counts.
    ///
    /// # Errors
    /// Those of the store.
    pub fn carrier_hint(&self, number: &PhoneNumber) -> Result<Option<HintView>, StoreError> {
        let record = self.hint_record(NumberKey::of(number))?;
        self.fresh_hint(&record)
    }

    fn fresh_hint(&self, record: &HintRecord) -> Result<Option<HintView>, StoreError> {
        let hint = match record.hint {
            0 => return Ok(None),
            1 => CarrierHint::Frames,
            2 => CarrierHint::NoFrames,
            _ => return Err(BadRow::error(Table::Capability)),
        };
        let answered_at = UnixMillis(record.answered_at_ms);
        let expires_at = answered_at.plus(HINT_MS);
        Ok((self.now < expires_at).then_some(HintView { hint, answered_at, expires_at }))
    }

    /// What was seen of the network on the way to a number.
    pub(crate) fn observed(&self, number: NumberKey) -> Result<Observed, StoreError> {
        let record = self.hint_record(number)?;
        Ok(Observed {
            hint: self.fresh_hint(&record)?.map_or(CarrierHint::None, |view| view.hint),
            native_failures: record.native_failures,
            carrier_receipts: record.carrier_receipts,
        })
    }

    /// A hand-over of ciphertext ended.
    pub(crate) fn note_native(&mut self, number: NumberKey, outcome: NativeOutcome) -> Result<(), StoreError> {
        let mut record = self.hint_record(number)?;
        match outcome {
            NativeOutcome::Confirmed => record.native_failures = 0,
            NativeOutcome::Failed => record.native_failures = record.native_failures.saturating_add(1),
            NativeOutcome::CarrierReceipt => record.carrier_receipts = record.carrier_receipts.saturating_add(1),
        }
        self.put_hint_record(number, &record)
    }

    /// The carrier answered a question about a number: the parameters of each contact that answered, `name` or `name="value"`. What cannot
    /// be parsed has said nothing. A fresh answer also ends a count of failures, so that the native way is tried again.
    ///
    /// # Errors
    /// Those of the store.
    pub fn handle_carrier_capabilities(
        &mut self,
        number: &PhoneNumber,
        contacts: &[Vec<String>],
    ) -> Result<(), StoreError> {
        let key = NumberKey::of(number);
        self.capabilities_are_here(key)?;
        let tags = |contact: &Vec<String>| FeatureTags::from_params(contact.iter().map(String::as_str)).ok();
        let takes_frames = |tags: FeatureTags| tags.frame_version.is_some_and(|version| version > 0);
        let has_frames = contacts.iter().take(CONTACTS_MAX).filter_map(tags).any(takes_frames);
        let mut record = self.hint_record(key)?;
        record.hint = if has_frames { 1 } else { 2 };
        record.answered_at_ms = self.now.0;
        if has_frames {
            record.native_failures = 0;
        }
        self.put_hint_record(key, &record)
    }

    /// The carrier did not answer, or refused. That says nothing about the number: what was known stays, and it is asked again later.
    ///
    /// # Errors
    /// Those of the store.
    pub fn handle_carrier_capabilities_failed(&mut self, number: &PhoneNumber) -> Result<(), StoreError> {
        self.capabilities_are_here(NumberKey::of(number))
    }

    /// Asks the carrier about a number, unless it was asked lately or enough was asked.
    pub(crate) fn want_capabilities(&mut self, number: NumberKey) -> Result<(), StoreError> {
        let mut record = self.hint_record(number)?;
        if self.fresh_hint(&record)?.is_some()
            || (record.asked_at_ms != 0 && self.now.since(UnixMillis(record.asked_at_ms)) < ASK_AGAIN_MS)
            || !self.take_ration()?
        {
            return Ok(());
        }
        record.asked_at_ms = self.now.0;
        self.put_hint_record(number, &record)?;
        self.need_capabilities(number)
    }

    fn take_ration(&mut self) -> Result<bool, StoreError> {
        let mut ration = match self.tx.get(Table::Capability, &[RATION])? {
            Some(row) => RationRecord::from_row(Table::Capability, &row)?,
            None => RationRecord::default(),
        };
        if self.now.since(UnixMillis(ration.since_ms)) >= HOUR_MS {
            ration = RationRecord { since_ms: self.now.0, asked: 0 };
        }
        if ration.asked >= QUERIES_PER_HOUR {
            return Ok(false);
        }
        ration.asked += 1;
        self.tx.put(Table::Capability, &[RATION], &ration.to_row())?;
        Ok(true)
    }
}
