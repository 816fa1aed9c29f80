//! [`ForwardStore`] on fjall. Its rows begin with a digit:
//!
//! | key | value |
//! |---|---|
//! | `0`, frame, number 2 | of 2, part |
//! | `1`, frame | since 8, of 2, parts there 2, their bytes 8 |
//! | `2`, since 8, frame | nothing |
//! | `3`, number | bytes of parts that wait for it 8 |
//! | `4`, device 17, id 16 | expires 8, envelope |
//! | `5`, kind 1, expires 8, rest of the key of `4` (`q`), `6` (`m`), `7` (`o`) | nothing |
//! | `6`, id 16 | expires 8 |
//! | `7`, device 17, id 16 | digest 16, expires 8, outcome |
//! | `8`, `q` or `m`; `8`, `d`, device 17 | how many there are 8 |
//!
//! A number is its length in one byte and its text; a frame is number, peer 16, frame id 16.

use async_trait::async_trait;
use bytes::Bytes;
use fjall::{Slice, UserKey, UserValue};
use rcseal_wire::id::{DeviceAddress, EnvelopeId};
use rcseal_wire::number::E164;

use crate::broker::forward::{
    BoundNumber, FRAMES_PER_SENDER_MAX, ForwardExpired, ForwardStore, ForwardUsage, FrameKey, FrameLimit, FramePlace,
    MARKS_MAX, OUTCOME_LEN_MAX, OpenFrame, OutboundState, PART_BYTES_PER_NUMBER_MAX, PARTS_MAX, Part, PartOutcome,
    QUEUED_MAX, QUEUED_PER_DEVICE_MAX, QueuePlace, Queued, Settle, SettleOutcome,
};
use crate::embedded::engine::read_error;
use crate::embedded::rows::{Space, prefix_end};
use crate::embedded::txn::Txn;
use crate::embedded::{FjallBrokerStore, Need};
use crate::{StoreError, UnixMillis};

pub(super) const SPACE: Space = Space::Broker;
pub(super) const NAME: &str = "forwards";

const fn corrupt() -> StoreError {
    StoreError::Corrupt { space: NAME }
}

fn number_part(number: &E164) -> Vec<u8> {
    let text = number.as_str().as_bytes();
    // Sixteen characters at most.
    let len = u8::try_from(text.len()).unwrap_or(u8::MAX);
    [&[len], text].concat()
}

fn frame_part(key: &FrameKey) -> Vec<u8> {
    [&number_part(&key.to)[..], &key.peer, &key.frame].concat()
}

fn parse_frame(bytes: &[u8]) -> Result<FrameKey, StoreError> {
    let (&len, rest) = bytes.split_first().ok_or(corrupt())?;
    let (number, rest) = rest.split_at_checked(usize::from(len)).ok_or(corrupt())?;
    let to = std::str::from_utf8(number).ok().and_then(|text| text.parse().ok()).ok_or(corrupt())?;
    let (peer, frame) = rest.split_first_chunk::<16>().ok_or(corrupt())?;
    Ok(FrameKey { to, peer: *peer, frame: frame.try_into().map_err(|_| corrupt())? })
}

fn key(parts: &[&[u8]]) -> UserKey {
    UserKey::from(parts.concat())
}

fn value(parts: &[&[u8]]) -> UserValue {
    UserValue::from(parts.concat())
}

fn head_key(frame: &[u8]) -> UserKey {
    key(&[b"1", frame])
}

fn bytes_key(number: &E164) -> UserKey {
    key(&[b"3", &number_part(number)])
}

fn place_of(device: DeviceAddress, id: &[u8; 16]) -> [u8; 33] {
    let mut place = [0; 33];
    place[..17].copy_from_slice(&device.to_bytes());
    place[17..].copy_from_slice(id);
    place
}

fn expiry_key(kind: u8, expires_at: UnixMillis, rest: &[u8]) -> UserKey {
    key(&[b"5", &[kind], &expires_at.get().to_be_bytes(), rest])
}

fn device_count_key(device: &[u8]) -> UserKey {
    key(&[b"8d", device])
}

fn u64_of(row: &[u8]) -> Result<u64, StoreError> {
    row.first_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes)).ok_or(corrupt())
}

fn count(txn: &Txn<'_>, key: &UserKey) -> Result<u64, StoreError> {
    txn.get(SPACE, key)?.map_or(Ok(0), |row| u64_of(&row))
}

fn set_count(txn: &mut Txn<'_>, key: UserKey, count: u64) {
    if count == 0 {
        txn.remove(SPACE, key);
    } else {
        txn.put(SPACE, key, value(&[&count.to_be_bytes()]));
    }
}

/// What is known of an open frame.
struct Head {
    since: u64,
    of: u16,
    have: u16,
    bytes: u64,
}

impl Head {
    fn parse(row: &[u8]) -> Result<Self, StoreError> {
        let row: &[u8; 20] = row.try_into().map_err(|_| corrupt())?;
        Ok(Self {
            since: u64_of(row)?,
            of: u16::from_be_bytes([row[8], row[9]]),
            have: u16::from_be_bytes([row[10], row[11]]),
            bytes: u64_of(&row[12..])?,
        })
    }

    fn write(&self) -> UserValue {
        value(&[&self.since.to_be_bytes(), &self.of.to_be_bytes(), &self.have.to_be_bytes(), &self.bytes.to_be_bytes()])
    }
}

fn parts_of(txn: &Txn<'_>, frame: &[u8]) -> Result<Vec<Part>, StoreError> {
    let prefix = [b"0", frame].concat();
    let rows = txn.scan(SPACE, &prefix, &prefix, usize::from(PARTS_MAX))?;
    rows.into_iter()
        .map(|(key, row)| {
            let number = key.get(prefix.len()..).and_then(|rest| <[u8; 2]>::try_from(rest).ok()).ok_or(corrupt())?;
            let (of, row) = row.split_first_chunk::<2>().ok_or(corrupt())?;
            Ok(Part {
                number: u16::from_be_bytes(number),
                of: u16::from_be_bytes(*of),
                row: Bytes::copy_from_slice(row),
            })
        })
        .collect()
}

fn take_part(txn: &mut Txn<'_>, frame: &FrameKey, part: &Part, now: UnixMillis) -> Result<PartOutcome, StoreError> {
    if part.number == 0 || part.number > part.of || part.of > PARTS_MAX {
        return Ok(PartOutcome::Mixed);
    }
    let name = frame_part(frame);
    let part_key = key(&[b"0", &name, &part.number.to_be_bytes()]);
    let row = value(&[&part.of.to_be_bytes(), &part.row]);
    let head = txn.get(SPACE, &head_key(&name))?.map(|row| Head::parse(&row)).transpose()?;
    let mut head = match head {
        Some(head) if head.of != part.of => return Ok(PartOutcome::Mixed),
        Some(head) => {
            if let Some(known) = txn.get(SPACE, &part_key)? {
                return Ok(match (known == row, head.have == head.of) {
                    (false, _) => PartOutcome::Mixed,
                    (true, false) => PartOutcome::Waiting,
                    (true, true) => PartOutcome::Complete(parts_of(txn, &name)?),
                });
            }
            head
        }
        None => {
            let prefix = [b"1", &number_part(&frame.to)[..], &frame.peer].concat();
            if txn.scan(SPACE, &prefix, &prefix, FRAMES_PER_SENDER_MAX)?.len() >= FRAMES_PER_SENDER_MAX {
                return Ok(PartOutcome::Full);
            }
            Head { since: now.get(), of: part.of, have: 0, bytes: 0 }
        }
    };
    let waiting = count(txn, &bytes_key(&frame.to))? + row.len() as u64;
    if waiting > PART_BYTES_PER_NUMBER_MAX {
        return Ok(PartOutcome::Full);
    }
    if head.have == 0 {
        txn.put(SPACE, key(&[b"2", &head.since.to_be_bytes(), &name]), Slice::from([]));
    }
    head.have += 1;
    head.bytes += row.len() as u64;
    set_count(txn, bytes_key(&frame.to), waiting);
    txn.put(SPACE, part_key, row);
    txn.put(SPACE, head_key(&name), head.write());
    if head.have == head.of { Ok(PartOutcome::Complete(parts_of(txn, &name)?)) } else { Ok(PartOutcome::Waiting) }
}

fn forget_frame(txn: &mut Txn<'_>, frame: &FrameKey) -> Result<(), StoreError> {
    let name = frame_part(frame);
    let Some(row) = txn.get(SPACE, &head_key(&name))? else { return Ok(()) };
    let head = Head::parse(&row)?;
    let prefix = [b"0", &name[..]].concat();
    for (key, _) in txn.scan(SPACE, &prefix, &prefix, usize::from(PARTS_MAX))? {
        txn.remove(SPACE, key);
    }
    txn.remove(SPACE, head_key(&name));
    txn.remove(SPACE, key(&[b"2", &head.since.to_be_bytes(), &name]));
    let left = count(txn, &bytes_key(&frame.to))?.saturating_sub(head.bytes);
    set_count(txn, bytes_key(&frame.to), left);
    Ok(())
}

fn open_frames(
    txn: &Txn<'_>,
    before: UnixMillis,
    after: Option<&FramePlace>,
    limit: FrameLimit,
) -> Result<Vec<OpenFrame>, StoreError> {
    let mut found = Vec::new();
    let mut bytes = 0_u64;
    let start = match after {
        // The next key there can be.
        Some(place) => [b"2", &place.since.get().to_be_bytes()[..], &frame_part(&place.key), &[0]].concat(),
        None => b"2".to_vec(),
    };
    for (key, _) in txn.scan(SPACE, b"2", &start, limit.frames)? {
        let (since, name) = key.get(1..).and_then(|rest| rest.split_first_chunk::<8>()).ok_or(corrupt())?;
        let since = UnixMillis::new(u64::from_be_bytes(*since));
        if since > before {
            break;
        }
        if let Some(head) = txn.get(SPACE, &head_key(name))? {
            bytes = bytes.saturating_add(Head::parse(&head)?.bytes);
        }
        if bytes > limit.bytes && !found.is_empty() {
            break;
        }
        found.push(OpenFrame { key: parse_frame(name)?, since, parts: parts_of(txn, name)? });
    }
    Ok(found)
}

fn mark(txn: &mut Txn<'_>, marks: &[(EnvelopeId, UnixMillis)]) -> Result<(), StoreError> {
    let mut added = 0;
    for (id, expires_at) in marks {
        let mark_key = key(&[b"6", id.as_bytes()]);
        if txn.contains(SPACE, &mark_key)? {
            continue;
        }
        txn.put(SPACE, mark_key, value(&[&expires_at.get().to_be_bytes()]));
        txn.put(SPACE, expiry_key(b'm', *expires_at, id.as_bytes()), Slice::from([]));
        added += 1;
    }
    if added > 0 {
        let marks = count(txn, &key(&[b"8m"]))? + added;
        set_count(txn, key(&[b"8m"]), marks);
    }
    Ok(())
}

fn settle(txn: &mut Txn<'_>, settle: &Settle) -> Result<SettleOutcome, StoreError> {
    if let Some(queued) = &settle.queue {
        let place = place_of(queued.device, queued.id.as_bytes());
        let queue_key = key(&[b"4", &place]);
        if !txn.contains(SPACE, &queue_key)? {
            let device = queued.device.to_bytes();
            let (of_device, in_all) = (count(txn, &device_count_key(&device))?, count(txn, &key(&[b"8q"]))?);
            if of_device >= QUEUED_PER_DEVICE_MAX || in_all >= QUEUED_MAX {
                return Ok(SettleOutcome::QueueFull);
            }
            set_count(txn, device_count_key(&device), of_device + 1);
            set_count(txn, key(&[b"8q"]), in_all + 1);
            txn.put(SPACE, queue_key, value(&[&queued.expires_at.get().to_be_bytes(), &queued.envelope]));
            txn.put(SPACE, expiry_key(b'q', queued.expires_at, &place), Slice::from([]));
        }
    }
    mark(txn, &settle.marks)?;
    if let Some(frame) = &settle.joined {
        forget_frame(txn, frame)?;
    }
    Ok(SettleOutcome::Done)
}

fn unqueue(txn: &mut Txn<'_>, place: &[u8]) -> Result<bool, StoreError> {
    let queue_key = key(&[b"4", place]);
    let Some(row) = txn.get(SPACE, &queue_key)? else { return Ok(false) };
    let device = place.get(..17).ok_or(corrupt())?;
    txn.remove(SPACE, expiry_key(b'q', UnixMillis::new(u64_of(&row)?), place));
    txn.remove(SPACE, queue_key);
    let of_device = count(txn, &device_count_key(device))?.saturating_sub(1);
    set_count(txn, device_count_key(device), of_device);
    let in_all = count(txn, &key(&[b"8q"]))?.saturating_sub(1);
    set_count(txn, key(&[b"8q"]), in_all);
    Ok(true)
}

fn outbound_row(digest: [u8; 16], expires_at: UnixMillis, outcome: &[u8]) -> UserValue {
    value(&[&digest, &expires_at.get().to_be_bytes(), outcome])
}

fn begin_outbound(
    txn: &mut Txn<'_>,
    place: [u8; 33],
    digest: [u8; 16],
    expires_at: UnixMillis,
) -> Result<OutboundState, StoreError> {
    let row_key = key(&[b"7", &place]);
    if let Some(row) = txn.get(SPACE, &row_key)? {
        let (known, rest) = row.split_first_chunk::<16>().ok_or(corrupt())?;
        let outcome = rest.get(8..).ok_or(corrupt())?;
        return Ok(match (*known == digest, outcome.is_empty()) {
            (false, _) => OutboundState::Conflict,
            (true, true) => OutboundState::Begun,
            (true, false) => OutboundState::Done(Bytes::copy_from_slice(outcome)),
        });
    }
    txn.put(SPACE, row_key, outbound_row(digest, expires_at, &[]));
    txn.put(SPACE, expiry_key(b'o', expires_at, &place), Slice::from([]));
    Ok(OutboundState::New)
}

fn end_outbound(txn: &mut Txn<'_>, place: [u8; 33], outcome: &[u8]) -> Result<(), StoreError> {
    let row_key = key(&[b"7", &place]);
    let Some(row) = txn.get(SPACE, &row_key)? else { return Ok(()) };
    let (digest, rest) = row.split_first_chunk::<16>().ok_or(corrupt())?;
    let expires_at = UnixMillis::new(u64_of(rest)?);
    txn.put(SPACE, row_key, outbound_row(*digest, expires_at, outcome));
    Ok(())
}

/// Rows of one kind that end at or before `now`, or that are too many; at most `budget`.
fn ended(
    txn: &Txn<'_>,
    kind: u8,
    now: UnixMillis,
    surplus: u64,
    budget: usize,
) -> Result<Vec<(UserKey, Vec<u8>)>, StoreError> {
    let prefix = [b'5', kind];
    let mut found = Vec::new();
    for (key, _) in txn.scan(SPACE, &prefix, &prefix, budget)? {
        let (expires_at, rest) = key.get(2..).and_then(|rest| rest.split_first_chunk::<8>()).ok_or(corrupt())?;
        if u64::from_be_bytes(*expires_at) > now.get() && found.len() as u64 >= surplus {
            break;
        }
        let rest = rest.to_vec();
        found.push((key, rest));
    }
    Ok(found)
}

fn expire(txn: &mut Txn<'_>, now: UnixMillis, budget: usize) -> Result<ForwardExpired, StoreError> {
    let mut outcome = ForwardExpired::default();
    for (_, place) in ended(txn, b'q', now, 0, budget)? {
        unqueue(txn, &place)?;
        outcome.dropped += 1;
    }
    let marks = count(txn, &key(&[b"8m"]))?;
    let old_marks = ended(txn, b'm', now, marks.saturating_sub(MARKS_MAX), budget)?;
    if !old_marks.is_empty() {
        set_count(txn, key(&[b"8m"]), marks.saturating_sub(old_marks.len() as u64));
    }
    for (expiry, id) in old_marks {
        txn.remove(SPACE, key(&[b"6", &id]));
        txn.remove(SPACE, expiry);
        outcome.forgotten += 1;
    }
    for (expiry, place) in ended(txn, b'o', now, 0, budget)? {
        txn.remove(SPACE, key(&[b"7", &place]));
        txn.remove(SPACE, expiry);
        outcome.forgotten += 1;
    }
    outcome.more = outcome.dropped + outcome.forgotten >= budget as u64;
    Ok(outcome)
}

#[async_trait]
impl ForwardStore for FjallBrokerStore {
    async fn bound_number(&self, of: E164) -> Result<Option<BoundNumber>, StoreError> {
        self.1.ask(&self.0, of).await
    }

    async fn take_part(&self, key: FrameKey, part: Part, now: UnixMillis) -> Result<PartOutcome, StoreError> {
        self.0.write(Need::Space(part.row.len()), move |txn| take_part(txn, &key, &part, now)).await
    }

    async fn open_frames(
        &self,
        before: UnixMillis,
        after: Option<FramePlace>,
        limit: FrameLimit,
    ) -> Result<Vec<OpenFrame>, StoreError> {
        self.0.write(Need::Little, move |txn| open_frames(txn, before, after.as_ref(), limit)).await
    }

    async fn is_marked(&self, id: EnvelopeId) -> Result<bool, StoreError> {
        self.0.read(move |engine| Ok(engine.get(SPACE, &key(&[b"6", id.as_bytes()]))?.is_some())).await
    }

    async fn settle(&self, changes: Settle) -> Result<SettleOutcome, StoreError> {
        let need = match &changes.queue {
            Some(queued) => Need::Space(queued.envelope.len()),
            None => Need::Little,
        };
        self.0.write(need, move |txn| settle(txn, &changes)).await
    }

    async fn mark(&self, marks: Vec<(EnvelopeId, UnixMillis)>) -> Result<(), StoreError> {
        self.0.write(Need::Space(marks.len() * 64), move |txn| mark(txn, &marks)).await
    }

    async fn queued(&self, after: Option<QueuePlace>, budget: usize) -> Result<Vec<(QueuePlace, Queued)>, StoreError> {
        self.0
            .read(move |engine| {
                let from = after.map_or(vec![b'4'], |place| [b"4", &place.0[..], &[0]].concat());
                let end = prefix_end(b"4").unwrap_or_default();
                let mut found = Vec::new();
                for entry in engine.keyspace(SPACE).range::<Vec<u8>, _>(from..end).take(budget) {
                    let (key, row) = entry.into_inner().map_err(read_error)?;
                    let place: [u8; 33] = key.get(1..).and_then(|rest| rest.try_into().ok()).ok_or(corrupt())?;
                    let device = DeviceAddress::parse(&place[..17]).map_err(|_| corrupt())?;
                    let id = EnvelopeId::parse(&place[17..]).map_err(|_| corrupt())?;
                    let expires_at = UnixMillis::new(u64_of(&row)?);
                    let envelope = Bytes::copy_from_slice(&row[8..]);
                    found.push((QueuePlace(place), Queued { device, id, expires_at, envelope }));
                }
                Ok(found)
            })
            .await
    }

    async fn unqueue(&self, places: Vec<QueuePlace>) -> Result<(), StoreError> {
        self.0
            .write(Need::Little, move |txn| places.iter().try_for_each(|place| unqueue(txn, &place.0).map(drop)))
            .await
    }

    async fn begin_outbound(
        &self,
        device: DeviceAddress,
        id: [u8; 16],
        digest: [u8; 16],
        expires_at: UnixMillis,
    ) -> Result<OutboundState, StoreError> {
        let place = place_of(device, &id);
        self.0.write(Need::Space(128), move |txn| begin_outbound(txn, place, digest, expires_at)).await
    }

    async fn end_outbound(&self, device: DeviceAddress, id: [u8; 16], outcome: Bytes) -> Result<(), StoreError> {
        let place = place_of(device, &id);
        let outcome = outcome.slice(..outcome.len().min(OUTCOME_LEN_MAX));
        self.0.write(Need::Little, move |txn| end_outbound(txn, place, &outcome)).await
    }

    async fn expire_forwards(&self, now: UnixMillis, budget: usize) -> Result<ForwardExpired, StoreError> {
        self.0.write(Need::Little, move |txn| expire(txn, now, budget)).await
    }

    async fn forward_usage(&self) -> Result<ForwardUsage, StoreError> {
        self.0
            .read(|engine| {
                let count = |name: &[u8]| engine.get(SPACE, name)?.map_or(Ok(0), |row| u64_of(&row));
                Ok(ForwardUsage { queued: count(b"8q")?, marks: count(b"8m")? })
            })
            .await
    }
}

#[cfg(test)]
mod tests;
