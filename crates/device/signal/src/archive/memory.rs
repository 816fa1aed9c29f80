//! A store for one archive in memory: what a disk would hold. For tests, tools and examples.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroizing;

use super::{Archive, ArchiveChange, ArchiveRows, RestoreError, SessionId};
use crate::skipped::{LookupFailed, MemorySkippedKeys, SkippedId, SkippedKeys};

/// Index, records and rows of one archive.
#[derive(Default)]
pub struct MemoryArchive {
    index: Vec<u8>,
    records: BTreeMap<SessionId, Zeroizing<Vec<u8>>>,
    rows: BTreeMap<SessionId, MemorySkippedKeys>,
}

impl MemoryArchive {
    /// Nothing stored.
    pub fn new() -> Self {
        Self::default()
    }

    /// Does what a store does with a change, in one transaction.
    pub fn store(&mut self, change: &ArchiveChange) {
        let session = change.session();
        if let Some(record) = change.record() {
            self.records.insert(session, Zeroizing::new(record.as_bytes().to_vec()));
        }
        if let Some(delta) = change.delta() {
            self.rows.entry(session).or_default().apply(delta);
        }
        if let Some(index) = change.index() {
            self.index = index.to_vec();
        }
        if let Some(session) = change.forgotten() {
            self.records.remove(&session);
            self.rows.remove(&session);
        }
    }

    /// The archive as it was stored.
    pub fn restore(&self) -> Result<Archive, RestoreError> {
        if self.index.is_empty() {
            return Ok(Archive::new());
        }
        Archive::restore(&self.index, |session| self.records.get(&session).map(|record| record.to_vec()))
    }

    /// How many sessions are stored.
    pub fn sessions(&self) -> usize {
        self.records.len()
    }

    /// How many skipped keys are stored in all.
    pub fn skipped(&self) -> usize {
        self.rows.values().map(MemorySkippedKeys::len).sum()
    }

    /// The stored bytes of every record and of the index, to see whether anything changed.
    pub fn stored(&self) -> Vec<Vec<u8>> {
        let records = self.records.values().map(|record| record.to_vec());
        core::iter::once(self.index.clone()).chain(records).collect()
    }
}

/// Counts only: records hold secrets.
impl fmt::Debug for MemoryArchive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryArchive")
            .field("sessions", &self.sessions())
            .field("skipped", &self.skipped())
            .finish_non_exhaustive()
    }
}

impl ArchiveRows for MemoryArchive {
    fn of<'a>(&'a self, session: SessionId) -> Box<dyn SkippedKeys + 'a> {
        Box::new(Rows(self.rows.get(&session)))
    }
}

/// A session that has skipped nothing yet has no rows.
struct Rows<'a>(Option<&'a MemorySkippedKeys>);

impl SkippedKeys for Rows<'_> {
    fn get(&self, id: &SkippedId) -> Result<Option<crate::SkippedRow>, LookupFailed> {
        match self.0 {
            Some(rows) => rows.get(id),
            None => Ok(None),
        }
    }
}
