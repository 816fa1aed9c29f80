//! Where the sessions with a peer are stored: an index, a record per session, and its skipped keys.
//!
//! The app's store cannot list its rows, so what has to be found in order is found by counting: skipped keys carry consecutive ordinals
//! per kind, a row leads from ordinal to key, and one row per session says from where to where they go.

use std::cell::Cell;

use rcseal_crypto::Secret;
use rcseal_signal::{
    Archive, ArchiveChange, ArchiveRows, Delta, LookupFailed, SessionId, SkippedId, SkippedKeys, SkippedKind,
    SkippedRow,
};
use zeroize::Zeroizing;

use crate::batch::{Batch, name, u64_at};
use crate::error::PairwiseError;

/// The sessions with `peer`. Those of a former era are not there any more.
pub(crate) fn load(batch: &Batch<'_>, peer: &str, era: u64) -> Result<Archive, PairwiseError> {
    let Some(row) = batch.get(&index_name(peer))? else { return Ok(Archive::new()) };
    if u64_at(&row, 0)? != era {
        return Ok(Archive::new());
    }
    // Whether the store failed, which is not the same as a record that is missing.
    let failed = Cell::new(None);
    let restored = Archive::restore(&row[8..], |session| match batch.get(&record_name(session)) {
        Ok(record) => record.map(|record| record.to_vec()),
        Err(error) => {
            failed.set(Some(error));
            None
        }
    });
    match failed.take() {
        Some(error) => Err(error),
        None => Ok(restored?),
    }
}

/// Writes a change.
pub(crate) fn store(batch: &mut Batch<'_>, peer: &str, era: u64, change: &ArchiveChange) -> Result<(), PairwiseError> {
    // Of sessions of a former era nothing is used, and with the first change nothing is kept.
    if let Some(row) = batch.get(&index_name(peer))?
        && u64_at(&row, 0)? != era
    {
        forget(batch, peer)?;
    }
    let session = change.session();
    if let Some(delta) = change.delta() {
        store_rows(batch, session, delta)?;
    }
    if let Some(record) = change.record() {
        batch.put(record_name(session), record.as_bytes());
    }
    if let Some(index) = change.index() {
        batch.put(index_name(peer), &[&era.to_be_bytes()[..], index].concat());
    }
    if let Some(session) = change.forgotten() {
        forget_session(batch, session)?;
    }
    Ok(())
}

/// Deletes everything that is stored of the sessions with a peer.
pub(crate) fn forget(batch: &mut Batch<'_>, peer: &str) -> Result<(), PairwiseError> {
    let Some(row) = batch.get(&index_name(peer))? else { return Ok(()) };
    let archive = load(batch, peer, u64_at(&row, 0)?)?;
    for session in archive.active().into_iter().chain(archive.archived()) {
        forget_session(batch, SessionId::of(session))?;
    }
    batch.delete(index_name(peer));
    Ok(())
}

fn forget_session(batch: &mut Batch<'_>, session: SessionId) -> Result<(), PairwiseError> {
    let mut places = Places::load(batch, session)?;
    for kind in [SkippedKind::Message, SkippedKind::PostQuantum] {
        places.evict_below(batch, session, kind, u64::MAX)?;
    }
    batch.delete(places_name(session));
    batch.delete(record_name(session));
    Ok(())
}

/// In the order that a delta asks for: evict, remove, insert.
fn store_rows(batch: &mut Batch<'_>, session: SessionId, delta: &Delta) -> Result<(), PairwiseError> {
    let evict = delta.evict();
    let is_quiet = delta.insert().is_empty() && delta.remove().is_empty();
    if is_quiet && evict.messages_below.is_none() && evict.post_quantum_below.is_none() && evict.epochs_below.is_none()
    {
        return Ok(());
    }
    let mut places = Places::load(batch, session)?;
    let before = places;
    if let Some(below) = evict.messages_below {
        places.evict_below(batch, session, SkippedKind::Message, below)?;
    }
    if let Some(below) = evict.post_quantum_below {
        places.evict_below(batch, session, SkippedKind::PostQuantum, below)?;
    }
    if let Some(below) = evict.epochs_below {
        places.evict_epochs(batch, session, below)?;
    }
    for id in delta.remove() {
        if let Some(row) = batch.get(&row_name(session, &id.to_bytes()))? {
            remove(batch, session, id.kind(), u64_at(&row, 0)?, &id.to_bytes());
        }
    }
    for row in delta.insert() {
        let (kind, id) = (row.id().kind(), row.id().to_bytes());
        let mut value = Zeroizing::new(row.ordinal().to_be_bytes().to_vec());
        value.extend_from_slice(row.key().expose());
        batch.put(row_name(session, &id), &value);
        batch.put(ordinal_name(session, kind, row.ordinal()), &id);
        places.note(kind, row.ordinal());
    }
    if places != before {
        places.save(batch, session);
    }
    Ok(())
}

fn remove(batch: &mut Batch<'_>, session: SessionId, kind: SkippedKind, ordinal: u64, id: &[u8]) {
    batch.delete(row_name(session, id));
    batch.delete(ordinal_name(session, kind, ordinal));
}

/// From which ordinal to which the rows of each kind go, the second not included.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Places {
    messages: (u64, u64),
    post_quantum: (u64, u64),
}

impl Places {
    fn load(batch: &Batch<'_>, session: SessionId) -> Result<Self, PairwiseError> {
        let Some(row) = batch.get(&places_name(session))? else { return Ok(Self::default()) };
        Ok(Self {
            messages: (u64_at(&row, 0)?, u64_at(&row, 8)?),
            post_quantum: (u64_at(&row, 16)?, u64_at(&row, 24)?),
        })
    }

    fn save(self, batch: &mut Batch<'_>, session: SessionId) {
        let numbers = [self.messages.0, self.messages.1, self.post_quantum.0, self.post_quantum.1];
        batch.put(places_name(session), &numbers.map(u64::to_be_bytes).concat());
    }

    fn of(&mut self, kind: SkippedKind) -> &mut (u64, u64) {
        match kind {
            SkippedKind::Message => &mut self.messages,
            SkippedKind::PostQuantum => &mut self.post_quantum,
        }
    }

    fn note(&mut self, kind: SkippedKind, ordinal: u64) {
        let (first, end) = self.of(kind);
        if first == end {
            *first = ordinal;
        }
        *end = ordinal.saturating_add(1);
    }

    fn evict_below(
        &mut self,
        batch: &mut Batch<'_>,
        session: SessionId,
        kind: SkippedKind,
        below: u64,
    ) -> Result<(), PairwiseError> {
        let (first, end) = *self.of(kind);
        let below = below.min(end);
        for ordinal in first..below {
            if let Some(id) = batch.get(&ordinal_name(session, kind, ordinal))? {
                remove(batch, session, kind, ordinal, &id);
            }
        }
        self.of(kind).0 = below.max(first);
        Ok(())
    }

    /// Rows of a former key epoch. They need not be the oldest, so all are looked at: at most 2,000, when an epoch ends.
    fn evict_epochs(&mut self, batch: &mut Batch<'_>, session: SessionId, below: u64) -> Result<(), PairwiseError> {
        let (first, end) = self.post_quantum;
        for ordinal in first..end {
            let Some(id) = batch.get(&ordinal_name(session, SkippedKind::PostQuantum, ordinal))? else { continue };
            // Kind, then the epoch.
            if u64_at(&id, 1)? < below {
                remove(batch, session, SkippedKind::PostQuantum, ordinal, &id);
            }
        }
        Ok(())
    }
}

/// Skipped keys, read through a step.
pub(crate) struct Rows<'a>(pub(crate) &'a Batch<'a>);

impl ArchiveRows for Rows<'_> {
    fn of<'a>(&'a self, session: SessionId) -> Box<dyn SkippedKeys + 'a> {
        Box::new(SessionRows { batch: self.0, session })
    }
}

struct SessionRows<'a> {
    batch: &'a Batch<'a>,
    session: SessionId,
}

impl SkippedKeys for SessionRows<'_> {
    fn get(&self, id: &SkippedId) -> Result<Option<SkippedRow>, LookupFailed> {
        let row = self.batch.get(&row_name(self.session, &id.to_bytes())).map_err(|_| LookupFailed)?;
        let Some(row) = row else { return Ok(None) };
        let ordinal = u64_at(&row, 0).map_err(|_| LookupFailed)?;
        let key = row.get(8..).and_then(Secret::from_slice).ok_or(LookupFailed)?;
        Ok(Some(SkippedRow::from_parts(*id, ordinal, key)))
    }
}

fn index_name(peer: &str) -> Vec<u8> {
    name("sessions", &[peer.as_bytes()])
}

fn record_name(session: SessionId) -> Vec<u8> {
    name("session", &[&session.0])
}

fn places_name(session: SessionId) -> Vec<u8> {
    name("places", &[&session.0])
}

fn row_name(session: SessionId, id: &[u8]) -> Vec<u8> {
    name("skipped", &[&session.0, id])
}

fn ordinal_name(session: SessionId, kind: SkippedKind, ordinal: u64) -> Vec<u8> {
    name("ordinal", &[&session.0, &[kind.code()], &ordinal.to_be_bytes()])
}
