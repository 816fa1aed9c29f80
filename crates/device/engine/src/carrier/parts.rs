//! Parts of frames until they are whole.
//!
//! A part is in the store before it is answered for, since nobody sends it again after that. Anybody who knows a number can send parts, so
//! what is not whole is bounded: by sender, where a number that the carrier vouches for is another sender than the same number without,
//! and in all. Where one sender is over its bound its own oldest frame goes; where all are, the carrier is told to come later, and the
//! sender takes another way.
//!
//! The envelope inside authenticates itself; until then two frames of one id from two senders are two frames.

use rcseal_crypto::hash::sha256;
use rcseal_rcs::frame::{Assembly, AssemblyLimits, Blob, Damage, Part, Progress};
use rcseal_rcs::transport::{CarrierMessageId, Sender};
use tls_codec::{TlsByteVecU8, TlsDeserializeBytes, TlsSerialize, TlsSize};

use super::issued::number_of;
use super::reply::Ask;
use crate::context::{Engine, UnixMillis};
use crate::pages::Pages;
use crate::record::{Number, Record, key};
use crate::store::{BadRow, Order, StoreError, Table, prefix_end};

/// First byte of the key of an open frame.
const OPEN: u8 = 1;
/// First byte of the key of a part.
const PART: u8 = 2;
/// First byte of the key of an envelope that was taken in.
const TAKEN: u8 = 3;
/// Frames of one sender that are not whole: a burst of long messages.
pub(super) const OPEN_PER_SENDER_MAX: usize = 16;
/// Frames that are not whole, in all: each has at most [`FRAME_LEN_MAX`] bytes, so 12 MiB.
pub(super) const OPEN_MAX: usize = 128;
/// Bytes of a frame that is put together: an envelope's, at most.
const FRAME_LEN_MAX: usize = rcseal_wire::padding::ENVELOPE_LEN_MAX;
/// How long a frame stays open after its first part: the sender has taken the relay long before, and what carriers keep for a phone that was
/// off they deliver at once.
pub(super) const OPEN_MS_MAX: u64 = 60 * 60 * 1000;
/// Rows read at once.
const PAGE: usize = 1_000;
const SENDER_LABEL: &[u8] = b"rcseal/carrier-sender/v1";
const TAKEN_LABEL: &[u8] = b"rcseal/taken/v1";

/// Who sends, for the bounds.
type SenderKey = [u8; 8];

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct OpenRecord {
    sender: SenderKey,
    first_at_ms: u64,
    have: u16,
    /// The id under which a receipt was asked for, with one of the parts; empty where none was.
    asked: TlsByteVecU8,
    asks_delivered: u8,
    asks_failed: u8,
}

impl Record for OpenRecord {
    const VERSION: u8 = 1;
}

impl OpenRecord {
    fn new(sender: SenderKey, now: UnixMillis) -> Self {
        let asked = Vec::new().into();
        Self { sender, first_at_ms: now.0, have: 0, asked, asks_delivered: 0, asks_failed: 0 }
    }

    fn set_ask(&mut self, ask: &Ask) {
        self.asked = ask.id.as_str().as_bytes().into();
        (self.asks_delivered, self.asks_failed) = (u8::from(ask.delivered), u8::from(ask.failed));
    }

    fn ask(&self) -> Option<Ask> {
        let id = std::str::from_utf8(self.asked.as_slice()).ok().and_then(CarrierMessageId::parse)?;
        Some(Ask { id, delivered: self.asks_delivered == 1, failed: self.asks_failed == 1 })
    }
}

/// What became of a part.
pub(super) enum Kept<'a> {
    /// It is here; others are not.
    Waiting { have: u16, of: u16 },
    /// It was the last. A receipt may have been asked for with another.
    Whole(Blob<'a>, Option<Ask>),
    /// It was here before.
    Repeated,
    /// It cannot belong to anything.
    Damaged(Damage),
    /// There is no room.
    Full,
}

fn sender_key(from: &Sender) -> SenderKey {
    let class: u8 = match from {
        Sender::Asserted(_) => 1,
        Sender::Claimed(_) => 2,
        Sender::Anonymous => 3,
    };
    let number = number_of(from).map_or("", |number| number.as_str());
    let hash = sha256(&[SENDER_LABEL, &[class], number.as_bytes()]);
    *hash.first_chunk().expect("a SHA-256 hash has more than 8 bytes")
}

fn open_key(sender: SenderKey, part: &Part<'_>) -> Vec<u8> {
    key(&[&[OPEN], part.id().as_bytes(), &sender])
}

fn part_prefix(sender: SenderKey, part: &Part<'_>) -> Vec<u8> {
    key(&[&[PART], part.id().as_bytes(), &sender])
}

fn taken_key(envelope: &[u8]) -> Vec<u8> {
    key(&[&[TAKEN], &sha256(&[TAKEN_LABEL, envelope])])
}

fn limits() -> AssemblyLimits {
    AssemblyLimits { frames: 1, bytes: usize::MAX, age_ms: u64::MAX, finished: 1 }
}

impl Engine<'_> {
    /// Keeps a part, and puts the frame together where it was the last.
    pub(super) fn keep_part<'a>(
        &mut self,
        from: &Sender,
        part: Part<'a>,
        ask: Option<Ask>,
    ) -> Result<Kept<'a>, StoreError> {
        if part.whole_len() > FRAME_LEN_MAX {
            return Ok(Kept::Damaged(Damage::TooLarge { len: part.whole_len(), max: FRAME_LEN_MAX }));
        }
        if part.of() == 1 {
            return Ok(join(vec![part], ask));
        }
        let sender = sender_key(from);
        let row_key = open_key(sender, &part);
        let open = match self.tx.get(Table::CarrierPart, &row_key)? {
            Some(row) => OpenRecord::from_row(Table::CarrierPart, &row)?,
            None if !self.make_room(sender)? => return Ok(Kept::Full),
            None => OpenRecord::new(sender, self.now),
        };
        let prefix = part_prefix(sender, &part);
        let part_key = key(&[&prefix, &part.number().to_be_bytes()]);
        if let Some(known) = self.tx.get(Table::CarrierPart, &part_key)? {
            let is_same = known == part.as_bytes();
            return Ok(if is_same { Kept::Repeated } else { Kept::Damaged(Damage::MixedParts { frame: part.id() }) });
        }
        // A frame that was cut differently has another id, so a part that counts differently is somebody else's.
        if open.have > 0 && !self.is_of_frame(&prefix, &part)? {
            return Ok(Kept::Damaged(Damage::MixedParts { frame: part.id() }));
        }
        let mut open = open;
        open.have = open.have.saturating_add(1);
        if let Some(ask) = &ask {
            open.set_ask(ask);
        }
        if open.have < part.of() {
            self.tx.put(Table::CarrierPart, &part_key, part.as_bytes())?;
            self.tx.put(Table::CarrierPart, &row_key, &open.to_row())?;
            return Ok(Kept::Waiting { have: open.have, of: part.of() });
        }
        let mut parts = self.parts(&prefix, usize::from(part.of()))?;
        parts.push(part);
        self.tx.delete(Table::CarrierPart, &row_key)?;
        self.tx.delete_range(Table::CarrierPart, &prefix, &prefix_end(&prefix))?;
        Ok(join(parts, open.ask()))
    }

    fn parts(&self, prefix: &[u8], limit: usize) -> Result<Vec<Part<'static>>, StoreError> {
        let rows = self.tx.scan(Table::CarrierPart, prefix, &prefix_end(prefix), limit, Order::Ascending)?;
        let read = |row: &[u8]| Part::parse(row).map(Part::into_owned).map_err(|_| BadRow::error(Table::CarrierPart));
        rows.iter().map(|(_, row)| read(row)).collect()
    }

    /// Whether a part agrees with what is here of its frame, by the first part of that.
    fn is_of_frame(&self, prefix: &[u8], part: &Part<'_>) -> Result<bool, StoreError> {
        let known = self.parts(prefix, 1)?;
        Ok(known.first().is_none_or(|known| {
            known.kind() == part.kind() && known.of() == part.of() && known.whole_len() == part.whole_len()
        }))
    }

    /// Makes room for one more open frame of a sender. Answers whether there is any.
    fn make_room(&mut self, sender: SenderKey) -> Result<bool, StoreError> {
        let rows = self.tx.scan(Table::CarrierPart, &[OPEN], &[OPEN + 1], OPEN_MAX, Order::Ascending)?;
        let mut open = Vec::with_capacity(rows.len());
        for (row_key, row) in rows {
            let record = OpenRecord::from_row(Table::CarrierPart, &row)?;
            if self.now.since(UnixMillis(record.first_at_ms)) > OPEN_MS_MAX {
                self.drop_open(&row_key, "frame_aged")?;
            } else {
                open.push((row_key, record));
            }
        }
        let own = open.iter().filter(|(_, record)| record.sender == sender);
        if own.clone().count() >= OPEN_PER_SENDER_MAX
            && let Some((oldest, _)) = own.min_by_key(|(_, record)| record.first_at_ms)
        {
            let oldest = oldest.clone();
            self.drop_open(&oldest, "frame_evicted")?;
            return Ok(true);
        }
        Ok(open.len() < OPEN_MAX)
    }

    fn drop_open(&mut self, row_key: &[u8], code: &str) -> Result<(), StoreError> {
        let frame = row_key.get(1..).ok_or_else(|| BadRow::error(Table::CarrierPart))?;
        let prefix = key(&[&[PART], frame]);
        self.tx.delete(Table::CarrierPart, row_key)?;
        self.tx.delete_range(Table::CarrierPart, &prefix, &prefix_end(&prefix))?;
        self.count_mutation(code)
    }

    /// Gives up frames that are not whole after so long.
    pub(super) fn drop_aged_parts(&mut self) -> Result<(), StoreError> {
        for (row_key, row) in self.tx.scan(Table::CarrierPart, &[OPEN], &[OPEN + 1], OPEN_MAX, Order::Ascending)? {
            let record = OpenRecord::from_row(Table::CarrierPart, &row)?;
            if self.now.since(UnixMillis(record.first_at_ms)) > OPEN_MS_MAX {
                self.drop_open(&row_key, "frame_aged")?;
            }
        }
        Ok(())
    }

    /// Notes that an envelope was taken in, on a device that has two ways for envelopes to come: the second copy may be later than any
    /// session remembers.
    pub(crate) fn note_taken(&mut self, envelope: &[u8]) -> Result<(), StoreError> {
        if self.carrier_setup()?.is_none() {
            return Ok(());
        }
        self.tx.put(Table::CarrierPart, &taken_key(envelope), &Number(self.now.0).to_row())
    }

    /// Whether an envelope was taken in before, by whichever way.
    pub(crate) fn was_taken(&self, envelope: &[u8]) -> Result<bool, StoreError> {
        Ok(self.tx.get(Table::CarrierPart, &taken_key(envelope))?.is_some())
    }

    /// Forgets envelopes that come no more.
    pub(super) fn forget_taken_before(&mut self, at_ms: u64) -> Result<(), StoreError> {
        let mut pages = Pages::new(Table::CarrierPart, &[TAKEN], PAGE);
        while let Some(rows) = pages.next(self.tx)? {
            for (row_key, row) in &rows {
                if Number::from_row(Table::CarrierPart, row)?.0 < at_ms {
                    self.tx.delete(Table::CarrierPart, row_key)?;
                }
            }
        }
        Ok(())
    }
}

/// Puts all parts of a frame together.
fn join<'a>(parts: Vec<Part<'a>>, ask: Option<Ask>) -> Kept<'a> {
    let mut assembly = Assembly::new(limits());
    let mut progress = Progress::Duplicate;
    for part in parts {
        match assembly.add(part, 0) {
            Ok(next) => progress = next,
            Err(damage) => return Kept::Damaged(damage),
        }
    }
    match progress {
        Progress::Complete(blob) => Kept::Whole(blob, ask),
        Progress::Waiting { have, of } => Kept::Waiting { have, of },
        Progress::Duplicate => Kept::Repeated,
    }
}
